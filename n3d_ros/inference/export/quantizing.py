"""The decoder's projections in 8 or 4 bits: rounded to nearest, symmetric, put back into numbers by the graph itself.

Only weights are rounded, and only those of attention and MLP, which are nearly all that a step reads. A code times its
scale is the weight; there is no zero point. The network is given the same numbers, so that what a graph computes and
what its network computes can be compared as ever.

N outputs, K inputs, B inputs that share a scale.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor, nn

from n3d_ros.errors import BackendError
from n3d_ros.model.decoder_graph import DecoderGraph, DecoderLayer

WeightKind = Literal["float", "int8", "int4", "fp8"]
"""What the decoder's projections are written as; "float": as they are."""

LARGEST_CODE: Mapping[str, float] = MappingProxyType({"int8": 127.0, "int4": 7.0, "fp8": 448.0})
"""Magnitude of the code of a scale's largest weight. Integers go as far down as up, so that 0 stays 0."""

BLOCK = 128  # inputs that share a scale in int4, as TensorRT and ModelOpt have it
SMALLEST_BLOCK = 16  # the least that ONNX Runtime's product of 4-bit weights takes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class QuantizedWeight:
    """A projection in few bits.

    Args:
        kind: "int8", "int4" or "fp8".
        codes: (N, K) int8, for int4 from -7 to 7; float8_e4m3fn for fp8.
        scale: (N, K / B) above 0, of the dtype of the weights; one column where a whole row shares its scale.
    """

    kind: WeightKind
    codes: Tensor
    scale: Tensor

    @property
    def block(self) -> int:
        """B, inputs that share a scale."""
        return int(self.codes.shape[1] // self.scale.shape[1])

    def dequantized(self) -> Tensor:
        """The weight that runtimes compute with.

        Returns:
            (N, K) of the dtype of the scales.
        """
        blocks = self.codes.float().unflatten(1, (-1, self.block))
        return (blocks * self.scale.float()[..., None]).flatten(1).to(self.scale.dtype)


def quantize(weight: Tensor, kind: WeightKind) -> QuantizedWeight:
    """A weight rounded to the nearest code, a scale per output (int8, fp8) or per block of inputs (int4).

    Args:
        weight: (N, K), finite.
        kind: not "float".

    Returns:
        Its codes and scales.

    Raises:
        BackendError: a weight that is no number, or a width that no block divides.
    """
    if not bool(weight.isfinite().all()):
        raise BackendError(f"Quantising to {kind}: expected finite weights; the checkpoint holds others.")
    block = block_size(weight.shape[1]) if kind == "int4" else weight.shape[1]
    blocks = weight.float().unflatten(1, (-1, block))
    scale = _scale(blocks.abs().amax(-1), LARGEST_CODE[kind], weight.dtype)
    shares = (blocks / scale.float()[..., None]).clamp(-LARGEST_CODE[kind], LARGEST_CODE[kind])
    codes = shares.to(torch.float8_e4m3fn) if kind == "fp8" else shares.round().to(torch.int8)
    return QuantizedWeight(kind=kind, codes=codes.flatten(1), scale=scale)


def block_size(width: int) -> int:
    """How many inputs share a scale in int4.

    Args:
        width: K.

    Returns:
        The largest power of two that divides it, 128 at most.

    Raises:
        BackendError: less than 16.
    """
    block = min(BLOCK, width & -width)
    if block < SMALLEST_BLOCK:
        raise BackendError(
            f"Quantising to int4: expected layers whose width is a multiple of {SMALLEST_BLOCK}, got {width}; export "
            "with --weights int8."
        )
    return block


def _scale(largest: Tensor, code: float, dtype: torch.dtype) -> Tensor:
    """Scales of ``dtype`` under which no weight lies beyond the largest code; 1 where all weights are 0."""
    exact = largest / code
    scale = exact.to(dtype)
    up = torch.where(scale.float() < exact, scale.float() * (1 + torch.finfo(dtype).eps), scale.float()).to(dtype)
    least = torch.finfo(dtype).tiny
    return torch.where(largest == 0, torch.ones_like(up), up.clamp(min=least))


def projections(decoder: DecoderGraph) -> dict[str, Tensor]:
    """The weights of attention and MLP.

    Args:
        decoder: the language model.

    Returns:
        (N, K) weights by the names that they have in ``SplitDecoder``, and so in its graph.
    """
    found: dict[str, Tensor] = {}
    for number, layer in enumerate(decoder.layers):
        assert isinstance(layer, DecoderLayer)
        found |= {
            f"decoder.layers.{number}.qkv_weight": layer.qkv_weight,
            f"decoder.layers.{number}.output.weight": layer.output.weight,
            f"decoder.layers.{number}.mlp.gate_up_weight": layer.mlp.gate_up_weight,
            f"decoder.layers.{number}.mlp.down.weight": layer.mlp.down.weight,
        }
    return found


def quantize_decoder(decoder: DecoderGraph, kind: WeightKind) -> dict[str, QuantizedWeight]:
    """Rounds the projections of a decoder, whose network computes with the rounded numbers from then on.

    Args:
        decoder: changed in place.
        kind: of the codes; "float" changes nothing.

    Returns:
        The codes by name, see ``projections``.

    Raises:
        BackendError: weights that cannot be rounded so.
    """
    if kind == "float":
        return {}
    made = {name: quantize(weight.detach(), kind) for name, weight in projections(decoder).items()}
    with torch.no_grad():
        for name, weight in projections(decoder).items():
            target = weight.data if isinstance(weight, nn.Parameter) else weight
            target.copy_(made[name].dequantized())
    return made
