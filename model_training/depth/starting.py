"""Weights to begin with from another model: whatever has the same name and shape."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from n3d_ros.errors import ConfigurationError

logger = logging.getLogger(__name__)


def take_over(network: nn.Module, source: str | Path, without: Sequence[str] = ()) -> int:
    """Copies the tensors of a model's folder that the network has too; the rest stays as it is.

    Args:
        network: changed in place.
        source: folder of the released layout.
        without: beginnings of names that are left as they are.

    Returns:
        Tensors taken over.

    Raises:
        ConfigurationError: not one fits.
    """
    from n3d_ros.depth.checkpoint import LoadedNetwork, load_network

    loaded = load_network(source, device="cpu", dtype="float32")
    if not isinstance(loaded, LoadedNetwork):
        raise ConfigurationError(
            f"{source}: expected one network to start from, got a nested pair; name one of its parts."
        )
    given = {n: p for n, p in loaded.network.named_parameters() if not n.startswith(tuple(without))}
    taken = 0
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name in given and given[name].shape == parameter.shape:
                parameter.copy_(given[name])
                taken += 1
    if taken == 0:
        raise ConfigurationError(f"{source}: no tensor has a name and a shape of this network.")
    logger.info("%d of %d tensors from %s.", taken, len(dict(network.named_parameters())), source)
    return taken
