"""Learning rates over a run, and the running mean of the weights."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Protocol

import torch
from torch import nn


class Schedule(Protocol):
    """What decides the rate of a step."""

    @property
    def steps(self) -> int:
        """Of the whole run; the cosine ends there."""
        ...

    @property
    def warmup_steps(self) -> int:
        """Of rising rate."""
        ...

    @property
    def final_share(self) -> float:
        """Rate at the end as a share of the peak."""
        ...


def rate_share(config: Schedule, step: int) -> float:
    """The learning rate of a step as a share of its peak: linear warm-up, then half a cosine.

    Args:
        config: lengths.
        step: 0 and up.

    Returns:
        0 to 1.
    """
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    length = max(config.steps - config.warmup_steps, 1)
    way = min((step - config.warmup_steps) / length, 1.0)
    return config.final_share + (1 - config.final_share) * (1 + math.cos(math.pi * way)) / 2


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


@contextlib.contextmanager
def released_weights(network: nn.Module, mean: WeightMean | None) -> Iterator[None]:
    """Within it the network has the weights that would be released: the running mean, where there is one.

    Args:
        network: whose weights they are.
        mean: of them; None: they are released themselves.

    Yields:
        Nothing.
    """
    if mean is None:
        yield
        return
    own = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    network.load_state_dict(mean.values, strict=False)
    try:
        yield
    finally:
        network.load_state_dict(own, strict=False)
