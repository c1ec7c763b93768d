"""What is traced of each network: the module, arguments to trace it with, and the names that stand in the graph.

A dimension that has a name may differ from call to call; all others are fixed. A name that two inputs share means one
size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from n3d_ros.depth.network import DepthNetwork
from n3d_ros.model.decoder_graph import DecoderGraph
from n3d_ros.model.point_channels import POINT_VALUES
from n3d_ros.model.split_decoder import AttentionForm, SplitDecoder
from n3d_ros.model.tables import vision_tables
from n3d_ros.model.vision_graph import VisionGraph, VisionInputs

TRACED_GRID = (12, 20)
"""Patches of the image that a graph for any size is traced with: windows of several sizes, no side equal to another."""
TRACED_TOKENS, TRACED_PAST, TRACED_WANTED = 5, 7, 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tracing:
    """A module with all that tracing it needs.

    Args:
        module: in evaluation mode; its ``forward`` takes tensors, the last of which may be a list.
        inputs: names and tensors to trace with, in the order of the arguments.
        listed: names and tensors of the list that is the last argument; empty: there is none.
        outputs: names.
        named: of each input, axis and name of dimensions that may differ from call to call.
    """

    module: nn.Module
    inputs: Mapping[str, Tensor]
    outputs: Sequence[str]
    listed: Mapping[str, Tensor] = field(default_factory=dict)
    named: Mapping[str, Mapping[int, str]] = field(default_factory=dict)

    def arguments(self) -> tuple[Any, ...]:
        """The positional arguments of ``forward``.

        Returns:
            Tensors, and a list of them where there is one.
        """
        return (*self.inputs.values(), *([list(self.listed.values())] if self.listed else []))

    def dynamic_shapes(self) -> tuple[Any, ...]:
        """Named dimensions in the shape of ``arguments``.

        Returns:
            Axis to name, per tensor.
        """
        shapes = [dict(self.named.get(name, {})) for name in self.inputs]
        return (*shapes, *([[dict(self.named.get(name, {})) for name in self.listed]] if self.listed else []))


def trace_of_decoder(decoder: DecoderGraph, form: AttentionForm = "fused") -> Tracing:
    """The language model, for any number of new tokens, earlier rows and wanted places.

    Args:
        decoder: of a loaded model.
        form: of attention.

    Returns:
        Its tracing: inputs embeds, cos, signed_sin, past_mask, new_mask, wanted and past.0, past.1, ...; outputs
        logits, log_all and new.0, new.1, ...; see ``SplitDecoder``.
    """
    tokens, past, layers = TRACED_TOKENS, TRACED_PAST, len(decoder.layers)
    return Tracing(
        module=SplitDecoder(decoder, form=form).eval(),
        inputs={
            "embeds": torch.zeros(tokens, decoder.hidden_size, dtype=decoder.dtype),
            "cos": torch.zeros(tokens, decoder.head_dim),
            "signed_sin": torch.zeros(tokens, decoder.head_dim),
            "past_mask": torch.zeros(1, past),
            "new_mask": torch.zeros(tokens, tokens),
            "wanted": torch.arange(TRACED_WANTED),
        },
        listed={
            f"past.{layer}": torch.zeros(past, decoder.cache_width, dtype=decoder.dtype) for layer in range(layers)
        },
        outputs=("logits", "log_all", *(f"new.{layer}" for layer in range(layers))),
        named={
            **{name: {0: "tokens"} for name in ("embeds", "cos", "signed_sin")},
            "past_mask": {1: "past"},
            "new_mask": {0: "tokens", 1: "tokens"},
            "wanted": {0: "wanted"},
            **{f"past.{layer}": {0: "past"} for layer in range(layers)},
        },
    )


def trace_of_vision(tower: VisionGraph, grid: tuple[int, int] | None = None) -> Tracing:
    """The vision tower, for one size of image or for any.

    Args:
        tower: of a loaded model.
        grid: rows and columns of patches, whose tables become constants; None: tables are inputs.

    Returns:
        Its tracing: inputs pixels, code, point_values where the tower takes them, and without a grid the tables of
        ``VisionInputs``; output embeds.
    """
    shown = grid or TRACED_GRID
    patches = shown[0] * shown[1]
    tables = VisionInputs.from_tables(
        vision_tables(shown, tower.geometry), device=torch.device("cpu"), dtype=tower.dtype
    )
    inputs = {
        "pixels": torch.zeros(patches, tower.patch_embed.weight[0].numel()),
        "code": torch.zeros(patches, tower.width),
    }
    points = {} if tower.point_embed is None else {"point_values": torch.zeros(patches, POINT_VALUES)}
    if grid is not None:
        return Tracing(module=_OfOneSize(tower, tables).eval(), inputs={**inputs, **points}, outputs=("embeds",))
    return Tracing(
        module=_OfAnySize(tower).eval(),
        inputs=inputs,
        listed={**{name: getattr(tables, name) for name in _TABLE_AXES}, **points},
        outputs=("embeds",),
        named={**{name: {0: "patches"} for name in (*inputs, *points)}, **_TABLE_AXES},
    )


_TABLE_AXES: dict[str, Mapping[int, str]] = {
    "cos": {0: "patches"},
    "signed_sin": {0: "patches"},
    "window_index": {0: "merged"},
    "reverse_index": {0: "merged"},
    "gather": {0: "padded"},
    "scatter": {0: "patches"},
    "window_mask": {0: "windows", 3: "places"},
}
"""Fields of ``VisionInputs``, and which of their dimensions depend on the image's size."""


class _OfOneSize(nn.Module):
    """The tower with the tables of one size as constants.

    Args:
        tower: the network.
        tables: of the size.
    """

    def __init__(self, tower: VisionGraph, tables: VisionInputs) -> None:
        super().__init__()
        self.tower = tower
        for name in _TABLE_AXES:
            self.register_buffer(name, getattr(tables, name), persistent=False)

    def forward(self, pixels: Tensor, code: Tensor, point_values: Tensor | None = None) -> Tensor:
        """(M, h) visual tokens of (P, 1176) pixels, (P, E) code and, where the tower takes them, (P, V) points."""
        tables = VisionInputs(**{name: getattr(self, name) for name in _TABLE_AXES})
        return self.tower.encode(pixels, code, tables, point_values)


class _OfAnySize(nn.Module):
    """The tower with its tables as inputs.

    Args:
        tower: the network.
    """

    def __init__(self, tower: VisionGraph) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, pixels: Tensor, code: Tensor, further: list[Tensor]) -> Tensor:
        """(M, h) visual tokens; ``further`` are the tables and, where the tower takes them, the point values."""
        tables = dict(zip(_TABLE_AXES, further, strict=False))
        points = further[-1] if self.tower.point_embed is not None else None
        return self.tower.encode(pixels, code, VisionInputs(**tables), points)


def trace_of_depth(network: DepthNetwork, views: int, image_hw: tuple[int, int], *, poses: bool) -> Tracing:
    """A depth network, for one number of views of one size.

    Args:
        network: with its weights.
        views: seen together; 1 for a network of single views.
        image_hw: height and width of the images in it, multiples of 14.
        poses: whether the cameras' poses are inputs.

    Returns:
        Its tracing: inputs images and, with poses, w2c and intrinsics; outputs depth, and confidence and pose_encoding
        of an any-view network, or sky.
    """
    inputs = {"images": torch.zeros(views, 3, *image_hw)}
    if poses:
        apart = torch.eye(4).repeat(views, 1, 1)
        apart[:, 0, 3] = torch.arange(views)
        camera = torch.tensor([[image_hw[1], 0.0, image_hw[1] / 2], [0.0, image_hw[1], image_hw[0] / 2], [0, 0, 1.0]])
        inputs |= {"w2c": apart, "intrinsics": camera.repeat(views, 1, 1)}
    module = _DepthOfViews(network).eval()
    with torch.no_grad():
        module(*inputs.values())  # makes the tables of this size, which become constants
    outputs = ("depth", "confidence", "pose_encoding") if network.config.gives_poses else ("depth", "sky")
    return Tracing(module=module, inputs=inputs, outputs=outputs)


class _DepthOfViews(nn.Module):
    """A depth network with tensors in and out.

    Args:
        network: any-view, or of single views.
    """

    def __init__(self, network: DepthNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, images: Tensor, w2c: Tensor | None = None, intrinsics: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        """(S, H, W) depth and confidence and (S, 9) pose encodings, or depth and sky, of (S, 3, H, W) images."""
        output = self.network(
            images[None],
            extrinsics_w2c=None if w2c is None else w2c[None],
            intrinsics=None if intrinsics is None else intrinsics[None],
        )
        further = (output.confidence, output.pose_encoding) if self.network.config.gives_poses else (output.sky,)
        return (output.depth[0], *(each[0] for each in further if each is not None))
