"""Learning rates over a run, and which parameters move by which."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from model_training.depth.train_config import OptimizerConfig

BACKBONE, CAMERA_DECODER = "backbone.pretrained.", "cam_dec."


def rate_share(config: OptimizerConfig, step: int) -> float:
    """The learning rate of a step as a share of its peak: linear warm-up, then half a cosine.

    Args:
        config: of the optimizer.
        step: 0 and up.

    Returns:
        0 to 1.
    """
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    length = max(config.steps - config.warmup_steps, 1)
    way = min((step - config.warmup_steps) / length, 1.0)
    return config.final_share + (1 - config.final_share) * (1 + math.cos(math.pi * way)) / 2


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


def set_rate(optimizer: torch.optim.Optimizer, share: float) -> None:
    """Sets the rate of every group to a share of its peak."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * share


class WeightMean:
    """A running mean of the weights: smoother than the last step's, and what is released."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.values = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}

    def update(self, network: nn.Module, step: int) -> None:
        """Takes in the weights after a step; early ones are forgotten faster.

        Args:
            network: after the step.
            step: steps done.
        """
        decay = min(self.decay, (1 + step) / (10 + step))
        with torch.no_grad():
            parameters = dict(network.named_parameters())
            torch._foreach_lerp_([self.values[name] for name in parameters], list(parameters.values()), 1 - decay)
