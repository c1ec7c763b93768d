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
from n3d_ros.inference.export.quantizing import QuantizedWeight
from n3d_ros.model.decoder_graph import DecoderGraph
from n3d_ros.model.point_channels import POINT_VALUES
from n3d_ros.model.split_decoder import AttentionForm, SplitDecoder
from n3d_ros.model.tables import vision_tables
from n3d_ros.model.vision_graph import VisionGraph, VisionInputs

TRACED_GRID = (12, 20)
"""Patches of the image that a graph for any size is traced with: windows of several sizes, no side equal to another."""
OTHER_GRID = (4, 6)  # of the image that such a graph is run with besides: smaller than a window
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
        others: names and tensors of other sizes that the graph must take too, to be run with; empty: there are none.
        quantized: weights that stand in the graph as codes, by the name of the parameter; its numbers are theirs.
    """

    module: nn.Module
    inputs: Mapping[str, Tensor]
    outputs: Sequence[str]
    listed: Mapping[str, Tensor] = field(default_factory=dict)
    named: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    others: Mapping[str, Tensor] = field(default_factory=dict)
    quantized: Mapping[str, QuantizedWeight] = field(default_factory=dict)

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
    layers = len(decoder.layers)
    inputs = _decoder_inputs(decoder, TRACED_TOKENS, TRACED_PAST, TRACED_WANTED)
    # The first step of a sequence: one token, and the one earlier row that is always there is hidden.
    first = {**_decoder_inputs(decoder, 1, 1, 1), "past_mask": torch.full((1, 1), float("-inf"))}
    return Tracing(
        module=SplitDecoder(decoder, form=form).eval(),
        inputs={name: value for name, value in inputs.items() if not name.startswith("past.")},
        listed={name: value for name, value in inputs.items() if name.startswith("past.")},
        others=first,
        outputs=("logits", "log_all", *(f"new.{layer}" for layer in range(layers))),
        named={
            **{name: {0: "tokens"} for name in ("embeds", "cos", "signed_sin")},
            "past_mask": {1: "past"},
            "new_mask": {0: "tokens", 1: "tokens"},
            "wanted": {0: "wanted"},
            **{f"past.{layer}": {0: "past"} for layer in range(layers)},
        },
    )


def _decoder_inputs(decoder: DecoderGraph, tokens: int, past: int, wanted: int) -> dict[str, Tensor]:
    """Inputs of the language model in some sizes, earlier rows last."""
    return {
        "embeds": torch.zeros(tokens, decoder.hidden_size, dtype=decoder.dtype),
        "cos": torch.zeros(tokens, decoder.head_dim),
        "signed_sin": torch.zeros(tokens, decoder.head_dim),
        "past_mask": torch.zeros(1, past),
        "new_mask": torch.zeros(tokens, tokens),
        "wanted": torch.arange(wanted),
        **{
            f"past.{layer}": torch.zeros(past, decoder.cache_width, dtype=decoder.dtype)
            for layer in range(len(decoder.layers))
        },
    }


def trace_of_vision(tower: VisionGraph, grid: tuple[int, int] | None = None, form: AttentionForm = "fused") -> Tracing:
    """The vision tower, for one size of image or for any.

    Args:
        tower: of a loaded model; its attention takes the form.
        grid: rows and columns of patches, whose tables become constants; None: tables are inputs.
        form: of attention.

    Returns:
        Its tracing: inputs pixels, code, point_values where the tower takes them, and without a grid the tables of
        ``VisionInputs``; output embeds.
    """
    for block in tower.blocks:
        block.exact_attention = form == "safe"
    inputs = _vision_inputs(tower, grid or TRACED_GRID)
    data = {name: value for name, value in inputs.items() if name not in _TABLE_AXES}
    if grid is not None:
        tables = VisionInputs(**{name: inputs[name] for name in _TABLE_AXES})
        return Tracing(module=_OfOneSize(tower, tables).eval(), inputs=data, outputs=("embeds",))
    points = [name for name in data if name not in ("pixels", "code")]
    return Tracing(
        module=_OfAnySize(tower).eval(),
        inputs={name: data[name] for name in ("pixels", "code")},
        listed={name: inputs[name] for name in (*_TABLE_AXES, *points)},
        outputs=("embeds",),
        named={**{name: {0: "patches"} for name in data}, **_TABLE_AXES},
        others=_vision_inputs(tower, OTHER_GRID),
    )


def _vision_inputs(tower: VisionGraph, grid: tuple[int, int]) -> dict[str, Tensor]:
    """Inputs of the vision tower for an image of some size, tables among them."""
    patches = grid[0] * grid[1]
    tables = VisionInputs.from_tables(
        vision_tables(grid, tower.geometry), device=torch.device("cpu"), dtype=tower.dtype
    )
    points = {} if tower.point_embed is None else {"point_values": torch.zeros(patches, POINT_VALUES)}
    return {
        "pixels": torch.zeros(patches, tower.patch_embed.weight[0].numel()),
        "code": torch.zeros(patches, tower.width),
        **{name: getattr(tables, name) for name in _TABLE_AXES},
        **points,
    }


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
