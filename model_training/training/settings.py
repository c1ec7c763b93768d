"""What transformers' Trainer is told, and which weights move by which rate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import TrainingArguments

from model_training.training.config import LAYERS_TO_WRAP, TrainConfig


def make_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """AdamW over what is trained.

    Norms, biases and embeddings are not decayed: pulling them to 0 switches them off, and embeddings of rare tokens
    would fade between the steps that use them.

    Args:
        model: to be trained.
        config: rates.

    Returns:
        The optimizer.
    """
    settings = config.optimizer
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decayed = parameter.ndim >= 2 and "embed_tokens" not in name and "lm_head" not in name
            share = settings.vision_share if ".visual." in name else 1.0
            key = (settings.learning_rate * share, settings.weight_decay if decayed else 0.0)
            groups.setdefault(key, []).append(parameter)
    parts = [
        {"params": parameters, "lr": rate, "weight_decay": decay}
        for (rate, decay), parameters in sorted(groups.items(), key=lambda item: item[0])
    ]
    return torch.optim.AdamW(parts, lr=settings.learning_rate, betas=(settings.beta1, settings.beta2), fused=True)


def trainer_arguments(config: TrainConfig, folder: Path, device: str) -> TrainingArguments:
    """The Trainer's own settings; what is left at its default plays no part here.

    Args:
        config: of the run.
        folder: of the run.
        device: "cpu" or "cuda".

    Returns:
        The settings.
    """
    sharding: dict[str, Any] = {}
    if config.sharded:
        sharding = {"fsdp": True, "fsdp_config": {"transformer_layer_cls_to_wrap": list(LAYERS_TO_WRAP)}}
    return TrainingArguments(
        output_dir=str(folder),
        max_steps=config.optimizer.steps,
        gradient_accumulation_steps=config.data.accumulate,
        max_grad_norm=config.optimizer.clip_norm,
        bf16=config.precision == "bfloat16",
        use_cpu=device == "cpu",
        seed=config.seed,
        report_to="none",
        save_strategy="no",
        logging_strategy="no",
        eval_strategy="no",
        logging_nan_inf_filter=False,
        disable_tqdm=True,
        remove_unused_columns=False,
        ignore_data_skip=True,
        ddp_find_unused_parameters=False,
        **sharding,
    )
