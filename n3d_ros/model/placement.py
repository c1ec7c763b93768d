"""How much memory a language model takes in a dtype and with the caches of its runtime, and what there is."""

from __future__ import annotations

import torch

from n3d_ros.model.memory import RuntimeRoom
from n3d_ros.model.n3d_vlm import N3dVlm
from n3d_ros.weights.memory import MemoryPlan, available_bytes, place_name

CACHE_ADVICE = "; language_model.kept_images and capacity make caches smaller"


def memory_plan(
    model: N3dVlm,
    dtype: torch.dtype,
    device: torch.device,
    limit_bytes: int | None,
    room: RuntimeRoom | None = None,
) -> MemoryPlan:
    """What a model takes, and what there is.

    Args:
        model: with or without weights.
        dtype: to hold them in.
        device: where.
        limit_bytes: most that it may take; None: what there is.
        room: what a runtime needs besides; None: nothing.

    Returns:
        The plan.
    """
    count = sum(parameter.numel() for parameter in model.parameters())
    free = available_bytes(device, limit_bytes=limit_bytes)
    return MemoryPlan(
        parameters=count,
        weight_bytes=count * dtype.itemsize,
        available_bytes=free,
        place=place_name(device),
        cache_bytes=0 if room is None else room.cache_bytes(model.config, dtype.itemsize),
        working_bytes=0 if room is None else room.working_bytes(model.config),
        advice="" if room is None else CACHE_ADVICE,
    )
