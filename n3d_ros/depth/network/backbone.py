"""DINOv2 with attention over views: images in, four features and a camera feature each out.

::

    images ─► patches + class token + positions ─► blocks below alt_start: inside each view
                                                     at alt_start - 1: the reference view goes first
                                                     at alt_start: class token becomes camera token
                                                 ─► then odd blocks over all views, even ones inside each
    after an out layer: [last local output | normalised current output], views in input order

Shapes: B scenes, S views, P patches of a view, N = 1 + P tokens, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from n3d_ros.depth.config import OFF, PATCH, NetworkConfig
from n3d_ros.depth.network.layers import BLOCK_EPS, EPS, Block
from n3d_ros.depth.network.reference_view import (
    LEAST_VIEWS,
    ReferenceView,
    choose_reference,
    input_order,
    reference_first,
    take_views,
)
from n3d_ros.depth.network.rotary import Rotation, class_token_rotation, view_rotation
from n3d_ros.depth.network.tables import TableCache, positional_table


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BackboneOutput:
    """What the head and the camera decoder take.

    Args:
        levels: four of (B, S, P, C or 2C) float32, views in input order.
        camera: (B, S, C or 2C) float32, of the last out layer, before the norm.
        kept: (B, S, P, C) float32 for each layer asked for, normalised, views in input order.
    """

    levels: tuple[torch.Tensor, ...]
    camera: torch.Tensor
    kept: tuple[torch.Tensor, ...]


class PatchEmbedding(nn.Module):
    """Patches of an image to tokens.

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, channels, kernel_size=PATCH, stride=PATCH)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """The tokens, row by row.

        Args:
            images: (n, 3, H, W).

        Returns:
            (n, P, C).
        """
        return self.proj(images).flatten(2).transpose(1, 2)


class VisionTransformer(nn.Module):
    """The backbone of one network.

    Args:
        config: its shape.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        width = config.embed_dim
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        if config.alt_start != OFF:
            self.camera_token = nn.Parameter(torch.zeros(1, 2, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + config.grid**2, width))
        self.patch_embed = PatchEmbedding(width)
        self.blocks = nn.ModuleList(
            Block(
                width,
                config.heads,
                eps=BLOCK_EPS,
                qk_norm=_has_begun(config.qknorm_start, index),
                ffn=config.ffn,
                hidden=4 * width if config.ffn == "mlp" else config.swiglu_hidden,
            )
            for index in range(config.depth)
        )
        self.norm = nn.LayerNorm(width, eps=EPS)
        self.tables = TableCache()

    def forward(
        self,
        images: torch.Tensor,
        *,
        camera_tokens: torch.Tensor | None = None,
        reference_view: ReferenceView = "saddle_balanced",
        keep: Sequence[int] = (),
    ) -> BackboneOutput:
        """The features of some views.

        Args:
            images: (B, S, 3, H, W) float32, normalised, sides multiples of 14.
            camera_tokens: (B, S, C) of given poses; None: poses are not given.
            reference_view: rule for choosing it, where poses are not given and there are three views or more.
            keep: blocks whose output is wanted besides.

        Returns:
            The features.
        """
        config, views = self.config, images.shape[1]
        chooses = config.alt_start != OFF and camera_tokens is None and views >= LEAST_VIEWS
        back: torch.Tensor | None = None
        image_hw = (images.shape[-2], images.shape[-1])
        inside, across = self._rotations(image_hw, images.device)
        stream = self._embed(images)  # (B * S, N, C)
        local = stream
        outputs, kept = {}, {}
        for index, block in enumerate(self.blocks):
            if chooses and index == config.alt_start - 1:
                stream, back = _reference_first(stream, views, reference_view)
            if index == config.alt_start:
                stream = local = self._with_camera_tokens(stream, views, camera_tokens)
            rotates = _has_begun(config.rope_start, index)
            if _has_begun(config.alt_start, index) and index % 2:
                stream = block(stream, rotation=across if rotates else None, joined=views)
            else:
                stream = local = block(stream, rotation=inside if rotates else None)
            if index in config.out_layers:
                outputs[index] = self._feature(local, stream, views, back)
            if index in keep:
                kept[index] = _restored(self.norm(stream[:, 1:]).unflatten(0, (-1, views)), back)
            if index >= max(*config.out_layers, *keep):
                break
        return BackboneOutput(
            levels=tuple(outputs[index][0] for index in config.out_layers),
            camera=outputs[config.out_layers[-1]][1],
            kept=tuple(kept[index] for index in keep),
        )

    def _embed(self, images: torch.Tensor) -> torch.Tensor:
        """(B * S, N, C): class token and patches of each view, with their positions."""
        patches = self.patch_embed(images.flatten(0, 1))
        tokens = torch.cat([self.cls_token.expand(len(patches), -1, -1), patches], dim=1)
        return tokens + self._positions((images.shape[-2], images.shape[-1]))

    def _positions(self, image_hw: tuple[int, int]) -> torch.Tensor:
        """The positional table of a size; kept only where nothing learns from it and changes are counted."""
        learns = torch.is_grad_enabled() and self.pos_embed.requires_grad
        if learns or self.pos_embed.is_inference():
            return positional_table(self.pos_embed, image_hw)
        if torch.compiler.is_compiling():  # parameters are not real then; a table made before becomes a constant
            return self.tables.get(("positions", image_hw), lambda: (None, positional_table(self.pos_embed, image_hw)))[
                1
            ]
        state = (self.pos_embed.data_ptr(), self.pos_embed._version)
        kept, table = self.tables.get(
            ("positions", image_hw), lambda: (state, positional_table(self.pos_embed, image_hw))
        )
        if kept == state:
            return table
        self.tables.clear()  # other weights by now
        return self._positions(image_hw)

    def _rotations(self, image_hw: tuple[int, int], device: torch.device) -> tuple[Rotation, Rotation]:
        """Of blocks inside a view, and of those over all views."""
        grid = (image_hw[0] // PATCH, image_hw[1] // PATCH)
        channels = self.config.embed_dim // self.config.heads
        return self.tables.get(
            ("rotation", grid, device),
            lambda: (view_rotation(grid, channels, device), class_token_rotation(channels, device)),
        )

    def _with_camera_tokens(self, stream: torch.Tensor, views: int, camera_tokens: torch.Tensor | None) -> torch.Tensor:
        """The stream with each view's class token exchanged for its camera token."""
        if camera_tokens is None:
            first, others = self.camera_token[:, :1], self.camera_token[:, 1:]
            camera_tokens = torch.cat([first, others.expand(-1, views - 1, -1)], dim=1)
            camera_tokens = camera_tokens.expand(len(stream) // views, -1, -1)
        return torch.cat([camera_tokens.flatten(0, 1)[:, None], stream[:, 1:]], dim=1)

    def _feature(
        self, local: torch.Tensor, stream: torch.Tensor, views: int, back: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Patch feature (B, S, P, C or 2C) and camera feature (B, S, C or 2C) of an out layer."""
        patches, camera = self.norm(stream[:, 1:]), stream[:, 0]
        if self.config.cat_token:
            patches = torch.cat([local[:, 1:], patches], dim=-1)
            camera = torch.cat([local[:, 0], camera], dim=-1)
        patches, camera = patches.unflatten(0, (-1, views)), camera.unflatten(0, (-1, views))
        return _restored(patches, back), _restored(camera, back)


class Backbone(nn.Module):
    """The transformer under the name that the released files give it.

    Args:
        config: its shape.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.pretrained = VisionTransformer(config)

    def forward(
        self,
        images: torch.Tensor,
        *,
        camera_tokens: torch.Tensor | None = None,
        reference_view: ReferenceView = "saddle_balanced",
        keep: Sequence[int] = (),
    ) -> BackboneOutput:
        """The features of some views.

        Args:
            images: of ``VisionTransformer``, as are the others.
            camera_tokens: of given poses.
            reference_view: rule for choosing it.
            keep: blocks whose output is wanted besides.

        Returns:
            The features.
        """
        return self.pretrained(images, camera_tokens=camera_tokens, reference_view=reference_view, keep=keep)


def _has_begun(start: int, index: int) -> bool:
    """Whether what begins with a block holds for another; -1 never begins."""
    return start != OFF and index >= start


def _reference_first(stream: torch.Tensor, views: int, how: ReferenceView) -> tuple[torch.Tensor, torch.Tensor]:
    """The stream with the reference view in front, and the order that undoes it."""
    tokens = stream.unflatten(0, (-1, views))
    reference = choose_reference(tokens[:, :, 0], how)
    return take_views(tokens, reference_first(reference, views)).flatten(0, 1), input_order(reference, views)


def _restored(values: torch.Tensor, back: torch.Tensor | None) -> torch.Tensor:
    """The views in input order."""
    return values if back is None else take_views(values, back)
