"""What a checkpoint of a run holds: tensors as safetensors, everything else as JSON, nothing pickled."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from model_training import checkpoints
from model_training.schedule import WeightMean
from model_training.training.config import TrainConfig
from model_training.yaml_config import to_json
from n3d_ros.errors import ConfigurationError

FIRST_MOMENT, SECOND_MOMENT = "exp_avg", "exp_avg_sq"  # AdamW's names
WEIGHTS, MOMENTS, MEANS, RANDOM = "weights", "optimizer", "mean", "random"
FREE = {"checkpoint", "log_every", "validate_every", "validation_frames", "checkpoint_every", "release", "licence"}
FREE_OF_DATA = {"workers", "validation"}
"""Settings that may differ when a run goes on: they change neither its weights nor its order."""


def settled(config: TrainConfig, stage: str) -> dict[str, Any]:
    """What must be the same when a run goes on.

    Args:
        config: of the run.
        stage: "stage1" or "stage2".

    Returns:
        Plain values.
    """
    values: dict[str, Any] = json.loads(to_json(config))
    kept = {name: value for name, value in values.items() if name not in FREE}
    kept["data"] = {name: value for name, value in values["data"].items() if name not in FREE_OF_DATA}
    return kept | {"stage": stage}


def check_settled(saved: Mapping[str, Any], config: TrainConfig, stage: str, folder: Path) -> None:
    """Refuses to go on with another configuration.

    Args:
        saved: of the checkpoint.
        config: of this call.
        stage: of this call.
        folder: of the checkpoint.

    Raises:
        ConfigurationError: naming what differs.
    """
    now = settled(config, stage)
    if saved == now:
        return
    names = sorted(_differences(saved, now))
    raise ConfigurationError(
        f"{folder} was written with another configuration (differing: {', '.join(names[:6])}); give the old one, or "
        "name a new run folder."
    )


def _differences(one: Any, other: Any, where: str = "") -> list[str]:
    """Dotted names of values that differ."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        names = {*one, *other}
        return [
            found
            for name in names
            for found in _differences(one.get(name), other.get(name), f"{where}.{name}" if where else str(name))
        ]
    return [] if one == other else [where or "all"]


# ----------------------------------------------------------------------------------------------------------- tensors


def trained_tensors(model: nn.Module, *, sharded: bool) -> dict[str, Tensor]:
    """The weights that are trained, by name, whole and on the CPU where they are divided among processes.

    Args:
        model: as it is trained.
        sharded: whether its weights are divided; every process must call then.

    Returns:
        Tensors; empty on other processes than the first where they are divided.
    """
    if sharded:
        from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

        options = StateDictOptions(full_state_dict=True, cpu_offload=True, ignore_frozen_params=True)
        return dict(get_model_state_dict(model, options=options))
    return {name: parameter.detach() for name, parameter in model.named_parameters() if parameter.requires_grad}


def load_trained(model: nn.Module, tensors: Mapping[str, Tensor], folder: Path, *, sharded: bool) -> None:
    """Puts weights back.

    Args:
        model: as it was saved.
        tensors: of ``trained_tensors``.
        folder: for messages.
        sharded: whether the weights are divided among processes.

    Raises:
        ConfigurationError: names or shapes differ.
    """
    if sharded:
        from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict

        options = StateDictOptions(full_state_dict=True, cpu_offload=True, strict=False, broadcast_from_rank0=True)
        set_model_state_dict(model, dict(tensors) if is_first() else {}, options=options)
        return
    own = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    if own.keys() != tensors.keys() or any(own[name].shape != tensors[name].shape for name in own):
        raise ConfigurationError(f"{folder}: the checkpoint is of another model; name a new run folder.")
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(tensors[name])


def moments(model: nn.Module, optimizer: torch.optim.Optimizer, *, sharded: bool) -> dict[str, Tensor]:
    """The optimizer's state of every parameter under "moment/parameter".

    Args:
        model: as it is trained.
        optimizer: AdamW.
        sharded: as for ``trained_tensors``.

    Returns:
        Tensors by name.
    """
    if sharded:
        from torch.distributed.checkpoint.state_dict import StateDictOptions, get_optimizer_state_dict

        options = StateDictOptions(full_state_dict=True, cpu_offload=True)
        state = get_optimizer_state_dict(model, optimizer, options=options).get("state", {})  # on the first alone
        return {f"{key}/{name}": torch.as_tensor(value) for name, each in state.items() for key, value in each.items()}
    return checkpoints.optimizer_tensors(optimizer, _names(model))


def load_moments(
    model: nn.Module, optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], *, sharded: bool
) -> None:
    """Puts the optimizer's state back.

    Args:
        model: as it is trained.
        optimizer: AdamW, made as the saved one was.
        tensors: of ``moments``.
        sharded: as for ``trained_tensors``.
    """
    if not sharded:
        checkpoints.load_optimizer(optimizer, tensors, _names(model))
        return
    from torch.distributed.checkpoint.state_dict import (
        StateDictOptions,
        get_optimizer_state_dict,
        set_optimizer_state_dict,
    )

    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    whole = get_optimizer_state_dict(model, optimizer, options=options)
    if is_first():
        state: dict[str, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            key, parameter = name.split("/", 1)
            state.setdefault(parameter, {})[key] = value
        whole["state"] = state
    options = StateDictOptions(full_state_dict=True, cpu_offload=True, broadcast_from_rank0=True)
    set_optimizer_state_dict(model, optimizer, whole, options=options)


def is_first() -> bool:
    """Whether this process is the first of its run, which holds what is whole."""
    return not torch.distributed.is_initialized() or torch.distributed.get_rank() == 0


def compacted(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The optimizer's state without what it finds again soonest: second moments in half the bytes.

    Args:
        tensors: of ``moments``.

    Returns:
        Second moments as bfloat16, and step counts.
    """
    kept = {name: value for name, value in tensors.items() if not name.startswith(f"{FIRST_MOMENT}/")}
    return {n: v.to(torch.bfloat16) if n.startswith(f"{SECOND_MOMENT}/") else v for n, v in kept.items()}


def expanded(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The optimizer's state as it takes it back, first moments of 0 where there are none.

    Args:
        tensors: of ``moments`` or ``compacted``.

    Returns:
        The whole state.
    """
    whole = dict(tensors)
    for name, value in tensors.items():
        key, parameter = name.split("/", 1)
        if key == SECOND_MOMENT:
            whole[name] = value.float()
            whole.setdefault(f"{FIRST_MOMENT}/{parameter}", torch.zeros_like(whole[name]))
    return whole


def _names(model: nn.Module) -> dict[int, str]:
    return {id(parameter): name for name, parameter in model.named_parameters()}


# ----------------------------------------------------------------------------------------------------------- chance


def random_tensors(device: torch.device) -> dict[str, Tensor]:
    """States of torch's sources of chance.

    Args:
        device: of the training.

    Returns:
        By name.
    """
    states = {"torch": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def random_values() -> dict[str, Any]:
    """States of Python's and numpy's own sources of chance, as plain values.

    Returns:
        By name.
    """
    version, numbers, gauss = random.getstate()
    kind, keys, place, has_gauss, cached = np.random.get_state(legacy=True)  # noqa: NPY002 - what others may draw from
    return {
        "python": [version, list(numbers), gauss],
        "numpy": [str(kind), [int(key) for key in keys], int(place), int(has_gauss), float(cached)],
    }


def restore_random(tensors: Mapping[str, Tensor], values: Mapping[str, Any], device: torch.device) -> None:
    """Puts the sources of chance back.

    Args:
        tensors: of ``random_tensors``.
        values: of ``random_values``.
        device: of the training.
    """
    torch.set_rng_state(tensors["torch"])
    if device.type == "cuda" and "cuda" in tensors:
        torch.cuda.set_rng_state(tensors["cuda"], device)
    version, numbers, gauss = values["python"]
    random.setstate((version, tuple(numbers), gauss))
    kind, keys, place, has_gauss, cached = values["numpy"]
    np.random.set_state((kind, np.array(keys, np.uint32), place, has_gauss, cached))  # noqa: NPY002


def mean_tensors(mean: WeightMean | None) -> dict[str, Tensor]:
    """The running mean of the weights.

    Args:
        mean: None without.

    Returns:
        By name.
    """
    return {} if mean is None else dict(mean.values)
