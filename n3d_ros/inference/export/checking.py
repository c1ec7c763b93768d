"""A graph on ONNX Runtime's CPU beside the network it was made of."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from n3d_ros.inference.export.tracing import Tracing
from n3d_ros.inference.onnx_session import OnnxSession

KEPT = frozenset({"past_mask", "window_mask", "w2c", "intrinsics"})
"""Inputs that are no data: drawn numbers would be no masks and no cameras."""


def largest_difference(tracing: Tracing, file: Path, *, seed: int = 0) -> tuple[float, str]:
    """How far a graph is from the network it was made of, on numbers that no training chose.

    Args:
        tracing: of the network; inputs of the traced shapes are drawn.
        file: of the graph.
        seed: of the numbers.

    Returns:
        The largest difference as a share of the output's largest number, and the name of that output.
    """
    random = torch.Generator().manual_seed(seed)
    drawn = {name: _drawn(name, value, random) for name, value in {**tracing.inputs, **tracing.listed}.items()}
    arguments = [drawn[name] for name in tracing.inputs]
    with torch.no_grad():
        result = tracing.module(*arguments, *([[drawn[name] for name in tracing.listed]] if tracing.listed else []))
    expected = dict(zip(tracing.outputs, result if isinstance(result, tuple) else (result,), strict=True))
    found = {name: torch.empty_like(value) for name, value in expected.items()}
    session = OnnxSession(file, device=torch.device("cpu"))
    session.run(drawn, found)
    shares = {name: _difference(found[name], value) for name, value in expected.items()}
    worst = max(shares, key=lambda name: shares[name] if shares[name] == shares[name] else float("inf"))
    return shares[worst], worst


def _drawn(name: str, value: Tensor, random: torch.Generator) -> Tensor:
    """Normal numbers for what carries data; masks, tables, indices and cameras stay what they must be."""
    if name == "new_mask":
        return torch.full_like(value, float("-inf")).triu(1)
    if name in KEPT or not value.is_floating_point():
        return value
    return torch.randn(value.shape, generator=random).to(value.dtype)


def _difference(found: Tensor, expected: Tensor) -> float:
    """The largest difference as a share of the largest number."""
    scale = max(float(expected.float().abs().max()), 1e-6)
    return float((found.float() - expected.float()).abs().max()) / scale
