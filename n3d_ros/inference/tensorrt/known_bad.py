"""Versions of TensorRT that are known to go wrong with transformers, by the issues of its own tracker.

A warning, not a refusal: every engine is held against the network's own numbers before it is used (``self_test``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from n3d_ros.inference.tensorrt.api import numbers
from n3d_ros.inference.tensorrt.machine import Machine

Version = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known to go wrong.

    Args:
        since: first version.
        before: first version of which it is not known.
        where: which machines and dtypes.
        text: what goes wrong, and what helps.
    """

    since: Version
    before: Version
    where: Callable[[Machine, str], bool]
    text: str


def _is_half(_machine: Machine, dtype: str) -> bool:
    return dtype != "float32"


def _is_blackwell(machine: Machine) -> bool:
    return machine.compute_capability.startswith("12.")


_KNOWN = (
    _Known(
        (10, 0),
        (10, 16, 2),
        lambda machine, dtype: _is_blackwell(machine) and _is_half(machine, dtype),
        "fused attention in half precision is wrong on GPUs of compute capability 12 (TensorRT issue 4837)",
    ),
    _Known(
        (11, 0),
        (11, 2, 2),
        lambda machine, dtype: _is_blackwell(machine) and dtype == "bfloat16",
        "building in bfloat16 ends the builder on GPUs of compute capability 12 (TensorRT issue 4842)",
    ),
    _Known(
        (11, 1),
        (11, 2),
        lambda machine, _dtype: _is_blackwell(machine),
        "a float32 transformer is wrong on GPUs of compute capability 12 (TensorRT issue 4813)",
    ),
    _Known(
        (11, 2),
        (11, 3),
        _is_half,
        "fused attention reads transposed inputs wrongly in half precision (TensorRT issue 4826)",
    ),
    _Known(
        (10, 4),
        (10, 16),
        lambda machine, _dtype: machine.compute_capability == "8.7" and machine.jetpack.startswith("R39"),
        "versions before 10.16 have no code for Orin under JetPack 7.2 (Isaac ROS 4.5 brings 10.13.3)",
    ),
    _Known(
        (11, 0),
        (11, 4, 1),
        lambda machine, _dtype: bool(machine.jetpack),
        "TensorRT 11.0 to 11.4.0 do not support JetPack; take the version that JetPack brings",
    ),
)


def warnings_about(machine: Machine, dtype: str) -> tuple[str, ...]:
    """What is known to go wrong here.

    Args:
        machine: on which an engine is built.
        dtype: of the graphs.

    Returns:
        Sentences; empty where nothing is known.
    """
    version = numbers(machine.tensorrt)
    return tuple(
        f"TensorRT {machine.tensorrt}: {known.text}."
        for known in _KNOWN
        if known.since <= version < known.before and known.where(machine, dtype)
    )
