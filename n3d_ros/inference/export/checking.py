"""A graph on ONNX Runtime's CPU beside the network it was made of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from n3d_ros.errors import BackendError
from n3d_ros.inference.export.tracing import Tracing
from n3d_ros.inference.onnx_session import OnnxSession

KEPT = frozenset({"past_mask", "window_mask", "w2c", "intrinsics"})
"""Inputs that are no data: drawn numbers would be no masks and no cameras."""


def largest_difference(tracing: Tracing, file: Path, *, seed: int = 0) -> tuple[float, str]:
    """How far a graph is from the network it was made of, on numbers that no training chose.

    Args:
        tracing: of the network; inputs of the traced shapes are drawn, and of other ones where it takes them.
        file: of the graph.
        seed: of the numbers.

    Returns:
        The largest difference as a share of the output's largest number, and the name of that output.

    Raises:
        BackendError: the graph or the network cannot be run here.
    """
    session = OnnxSession(file, device=torch.device("cpu"), exact=True)
    traced = {**tracing.inputs, **tracing.listed}
    found = [_compared(tracing, session, given, seed) for given in (traced, tracing.others) if given]
    shares = {name: max(each[name] for each in found) for name in tracing.outputs}
    worst = max(shares, key=lambda name: shares[name])
    return shares[worst], worst


def _compared(tracing: Tracing, session: OnnxSession, given: Mapping[str, Tensor], seed: int) -> dict[str, float]:
    """The largest difference of every output, as a share of its largest number."""
    random = torch.Generator().manual_seed(seed)
    drawn = {name: _drawn(name, value, random) for name, value in given.items()}
    listed = [[drawn[name] for name in tracing.listed]] if tracing.listed else []
    try:
        with torch.no_grad():
            result = tracing.module(*(drawn[name] for name in tracing.inputs), *listed)
    except RuntimeError as error:
        raise BackendError(f"Export: the network cannot be run here: {' '.join(str(error).split())[:300]}") from error
    expected = dict(zip(tracing.outputs, result if isinstance(result, tuple) else (result,), strict=True))
    found = {name: torch.empty_like(value) for name, value in expected.items()}
    session.run(drawn, found)
    return {name: _difference(found[name], value) for name, value in expected.items()}


def _drawn(name: str, value: Tensor, random: torch.Generator) -> Tensor:
    """Normal numbers for what carries data; masks, tables, indices and cameras stay what they must be."""
    if name == "new_mask":
        return torch.full_like(value, float("-inf")).triu(1)
    if name in KEPT or not value.is_floating_point():
        return value
    return torch.randn(value.shape, generator=random).to(value.dtype)


def _difference(found: Tensor, expected: Tensor) -> float:
    """The largest difference as a share of the largest number; infinite where there are others than numbers."""
    difference = (found.float() - expected.float()).abs().max()
    scale = max(float(expected.float().abs().max()), 1e-6)
    return float(difference) / scale if bool(difference.isfinite()) else float("inf")
