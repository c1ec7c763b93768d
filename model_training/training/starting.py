"""The model that a run begins with, its tokenizer, and what of it is trained."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from model_training.training.config import TrainConfig
from model_training.training.network import TrainedModel
from n3d_ros.codec.tokenizer import Tokenizer, load_tokenizer
from n3d_ros.errors import BackendError, ConfigurationError
from n3d_ros.model.checkpoint import load_model, resolve_source
from n3d_ros.model.n3d_vlm import N3dVlm

logger = logging.getLogger(__name__)

LORA_TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Start:
    """What a run begins with.

    Args:
        model: with its losses, on the CPU, in training mode.
        tokenizer: of the model.
        folder: of the checkpoint it came from; the tokenizer's files lie there.
        parameters: of the network that will be released.
        trained: of them and of the dense head those that are trained.
    """

    model: TrainedModel
    tokenizer: Tokenizer
    folder: Path
    parameters: int
    trained: int


def start_of(config: TrainConfig) -> Start:
    """Loads what a run begins with; the same for every process and every resume.

    Args:
        config: of the run.

    Returns:
        Model and tokenizer.

    Raises:
        ConfigurationError: no such model, or soft targets for a tokenizer without tokens of bins.
        BackendError: LoRA without the package peft.
    """
    if not config.start_from:
        raise ConfigurationError(
            "train start_from: expected a folder, a hub id or n3d-nano to begin with; give --start MODEL."
        )
    folder = resolve_source(config.start_from)
    tokenizer = load_tokenizer(folder)
    if config.loss.sigma_bins > 0 and tokenizer.bin_ids is None:
        raise ConfigurationError(
            "loss sigma_bins: expected 0, since this model writes numbers digit by digit; soft targets need one token "
            "per bin."
        )
    vlm = load_model(config.start_from, device="cpu", dtype=config.weights, hashes=False).model  # type: ignore[arg-type]
    if config.position_code:
        vlm.set_position_code(config.position_code)  # type: ignore[arg-type]
    parameters = sum(parameter.numel() for parameter in vlm.parameters())
    vlm.requires_grad_(requires_grad=config.lora.rank == 0)
    if config.lora.rank:
        add_lora(vlm, config)
    if config.gradient_checkpointing:
        # Its name in transformers before 5.21.
        enable = getattr(vlm, "activation_checkpointing_enable", None) or vlm.gradient_checkpointing_enable
        enable({"use_reentrant": False})
    torch.manual_seed(config.seed)  # the dense head's first weights
    model = TrainedModel(vlm, config.loss, classes=config.examples.class_buckets, bin_ids=tokenizer.bin_ids)
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    return Start(model=model.train(), tokenizer=tokenizer, folder=folder, parameters=parameters, trained=trained)


def add_lora(vlm: N3dVlm, config: TrainConfig) -> None:
    """Puts low-rank additions on the language model's matrices; they alone, and the vision tower on request, learn.

    Args:
        vlm: changed in place.
        config: of the run.

    Raises:
        BackendError: the package peft is missing.
    """
    try:
        import peft
    except ImportError as error:
        raise BackendError("LoRA needs the package peft: pip install 'n3d_ros[train]'.") from error
    torch.manual_seed(config.seed)
    settings = peft.LoraConfig(
        r=config.lora.rank,
        lora_alpha=config.lora.alpha,
        lora_dropout=config.lora.dropout,
        target_modules=list(LORA_TARGETS),
    )
    peft.inject_adapter_in_model(settings, vlm.model.language_model)
    for name, parameter in vlm.model.language_model.named_parameters():
        if "lora_" in name:
            parameter.data = parameter.data.float()
            parameter.requires_grad_(requires_grad=True)
    vlm.model.visual.requires_grad_(requires_grad=config.lora.vision)


def merge_lora(module: nn.Module) -> int:
    """Adds the low-rank additions to the matrices they stand on, and takes them away.

    Args:
        module: changed in place.

    Returns:
        How many were merged; 0 without LoRA.
    """
    merged = 0
    for name, child in list(module.named_children()):
        if hasattr(child, "get_base_layer") and hasattr(child, "merge"):
            child.merge(safe_merge=True)
            setattr(module, name, child.get_base_layer())
            merged += 1
        else:
            merged += merge_lora(child)
    return merged
