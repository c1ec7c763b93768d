"""Which parameters of a depth network move by which rate."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from model_training.depth.train_config import OptimizerConfig

BACKBONE, CAMERA_DECODER = "backbone.pretrained.", "cam_dec."


def make_optimizer(network: nn.Module, config: OptimizerConfig) -> torch.optim.AdamW:
    """AdamW over the network's parameters, in groups by rate and by decay.

    Tokens, tables, norms, biases and LayerScale are not decayed: pulling them to 0 switches them off.

    Args:
        network: what to train.
        config: rates.

    Returns:
        The optimizer; each group has its "peak" rate.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            decayed = parameter.ndim >= 2 and not name.endswith(("token", "pos_embed"))
            decay = config.weight_decay if decayed else 0.0
            groups.setdefault((config.learning_rate * _share_of(name, config), decay), []).append(parameter)
    settings: list[dict[str, Any]] = [
        {"params": parameters, "peak": peak, "weight_decay": decay}
        for (peak, decay), parameters in sorted(groups.items(), key=lambda item: item[0])
    ]
    return torch.optim.AdamW(settings, lr=config.learning_rate, betas=(config.beta1, config.beta2), fused=True)


def _share_of(name: str, config: OptimizerConfig) -> float:
    """A parameter's rate as a share of the peak."""
    if BACKBONE in name:
        return config.backbone_share
    return config.camera_share if CAMERA_DECODER in name else 1.0
