"""N3dVlm: Qwen2.5-VL with the 3-D position code, written as its difference from transformers' class.

The vision tower makes the code of each image from its points and hands it to its blocks; the last one adds it to what
it returns, just before the patch merger. Nothing else changes: no weight is added, and the language model never sees
the points. A call carries all it needs in its arguments, so calls of several threads cannot meet.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import (
    Qwen2_5_VisionPatchEmbed,
    Qwen2_5_VisionTransformerPretrainedModel,
    Qwen2_5_VLModel,
    Qwen2_5_VLTextModel,
    Qwen2_5_VLVisionAttention,
    Qwen2_5_VLVisionBlock,
    apply_rotary_pos_emb_vision,
)

from n3d_ros.errors import ConfigurationError, InputError
from n3d_ros.model.point_channels import POINT_VALUES, add_point_values, point_values
from n3d_ros.model.position_code import POSITION_CODES, PositionCode, position_code, position_codes

Grids = list[tuple[int, int, int]]
"""Frames, rows and columns of patches of each image."""


class N3dVisionAttention(Qwen2_5_VLVisionAttention):
    """Attention of the vision tower; where all sequences are of one length, as one batch instead of one by one."""

    def forward(self, hidden_states: torch.Tensor, cu_seqlens: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        """What the parent returns.

        Args:
            hidden_states: (P, D) of all images.
            cu_seqlens: (sequences + 1,) where each begins; patches see those of their own.
            *args: as the parent's.
            **kwargs: as the parent's.

        Returns:
            (P, D).
        """
        count = len(cu_seqlens) - 1
        position = kwargs.get("position_embeddings", args[0] if args else None)
        if count < 2 or position is None or self.config._attn_implementation not in ("sdpa", "eager"):
            return super().forward(hidden_states, cu_seqlens, *args, **kwargs)
        lengths = set((cu_seqlens[1:] - cu_seqlens[:-1]).tolist())
        if len(lengths) > 1:
            return super().forward(hidden_states, cu_seqlens, *args, **kwargs)
        query, key, value = self.qkv(hidden_states).unflatten(-1, (3, self.num_heads, -1)).unbind(1)
        query, key = apply_rotary_pos_emb_vision(query, key, *position)
        # (sequences, heads, patches, channels)
        query, key, value = (part.unflatten(0, (count, -1)).transpose(1, 2) for part in (query, key, value))
        attended = functional.scaled_dot_product_attention(query, key, value, scale=self.scaling)
        return self.proj(attended.transpose(1, 2).flatten(0, 1).flatten(1))


class N3dPatchEmbed(Qwen2_5_VisionPatchEmbed):
    """Patch embedding of a model with point channels, which come behind the colours."""

    points: torch.nn.Linear

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """The patches' embeddings.

        Args:
            hidden_states: (P, 1176 + POINT_VALUES) float32.

        Returns:
            (P, D).
        """
        colors, values = hidden_states.split([hidden_states.shape[1] - POINT_VALUES, POINT_VALUES], dim=1)
        return add_point_values(super().forward(colors), values, self.points)


class N3dVisionBlock(Qwen2_5_VLVisionBlock):
    """A block of the vision tower; the last one adds the position code."""

    is_last = False

    def forward(
        self, hidden_states: torch.Tensor, *args: Any, position_code: torch.Tensor | None = None, **kwargs: Any
    ) -> torch.Tensor:
        """The block's states, with the code added if it is the last.

        Args:
            hidden_states: (P, D) in window order.
            *args: as the parent's.
            position_code: (P, D) float32, to be added row for row; None: nothing is added.
            **kwargs: as the parent's.

        Returns:
            (P, D) in the dtype of the states; the sum is made in float32.
        """
        states = super().forward(hidden_states, *args, **kwargs)
        if position_code is None or not self.is_last:
            return states
        return (states + position_code).to(states.dtype)


class N3dVisionTower(Qwen2_5_VisionTransformerPretrainedModel):
    """The vision tower; makes the position code of its images."""

    position_code: PositionCode = "reference"
    point_channels = False
    _no_split_modules = ["N3dVisionBlock"]  # noqa: RUF012 - as in the parent

    def forward(self, hidden_states: torch.Tensor, grid_thw: torch.Tensor, **kwargs: Any) -> Any:
        """What the parent returns; its ``last_hidden_state`` includes the code.

        Args:
            hidden_states: (P, 1176) patches of all images, one after the other.
            grid_thw: (images, 3) frames, rows and columns of patches.
            **kwargs: as the parent's, and ``point_clouds``: one (H, W, 4) per image.

        Returns:
            The parent's output.
        """
        clouds = kwargs.pop("point_clouds", None)
        if self.position_code == "none" and not self.point_channels:
            return super().forward(hidden_states, grid_thw, position_code=None, **kwargs)
        grids = [(int(frames), int(rows), int(columns)) for frames, rows, columns in grid_thw.tolist()]
        images = self._checked(clouds, grids)
        if self.point_channels:
            merge = self.spatial_merge_size
            values = torch.cat([point_values(points, grid, merge=merge).flatten(0, 1) for points, grid in images])
            hidden_states = torch.cat([hidden_states.float(), values.to(hidden_states.device)], dim=1)
        return super().forward(hidden_states, grid_thw, position_code=self._codes(images), **kwargs)

    def _checked(
        self, point_clouds: torch.Tensor | Sequence[torch.Tensor] | None, grids: Grids
    ) -> list[tuple[torch.Tensor, tuple[int, int]]]:
        """Points (B, H, W, 4) and grid of images in their order, those of one size together; or of each by itself."""
        if point_clouds is None:
            needs = f"the position code {self.position_code!r}" if self.position_code != "none" else "point_channels"
            raise InputError(
                f"N3dVlm: images came without point_clouds, which {needs} needs; "
                "pass one (H, W, 4) of normalised points per image, or load the model with position_code='none'."
            )
        if len(point_clouds) != len(grids) or any(frames != 1 for frames, _, _ in grids):
            raise InputError(
                f"N3dVlm: expected a list with one (H, W, 4) of points per image, got {len(point_clouds)} for the "
                f"grids (frames, rows, columns) {grids}; videos have no 3-D code."
            )
        if len(grids) > 1 and len(set(grids)) == 1 and len({tuple(points.shape) for points in point_clouds}) == 1:
            return [(torch.stack(list(point_clouds)), grids[0][1:])]
        if self.point_channels and any(points.ndim == 2 for points in point_clouds):
            raise InputError("N3dVlm: point channels need points as (H, W, 4) per image, got a flat list.")
        # A flat list, out of the reference's (1, N, 4), stays what it is: its shape tells.
        return [
            (points[None, None] if points.ndim == 2 else points[None], grid[1:])
            for points, grid in zip(point_clouds, grids, strict=True)
        ]

    def _codes(self, images: Sequence[tuple[torch.Tensor, tuple[int, int]]]) -> torch.Tensor | None:
        """(P, D) float32 code of all images, or None in the mode without one."""
        if self.position_code == "none":
            return None
        window_blocks = self.window_size // self.spatial_merge_size // self.patch_size
        shape = {"window_blocks": window_blocks, "merge": self.spatial_merge_size}
        codes: list[torch.Tensor] = []
        for batch, grid in images:
            if self.position_code == "aligned" and len(batch) > 1:
                codes += [position_codes(batch, grid, self.config.hidden_size, **shape).flatten(0, 1)]
            else:
                codes += [
                    position_code(points, grid, self.config.hidden_size, self.position_code, **shape)
                    for points in batch
                ]
        return torch.cat(codes).to(self.patch_embed.proj.weight.device)


class N3dModel(Qwen2_5_VLModel):
    """Vision tower and language model together; names the points among what an image is encoded from."""

    def get_image_features(
        self,
        pixel_values: torch.Tensor,
        image_grid_thw: torch.Tensor | None = None,
        point_clouds: Any = None,
        **kwargs: Any,
    ) -> Any:
        """What the parent returns. ``generate`` reads the arguments' names to know what images need.

        Args:
            pixel_values: (P, 1176) patches of all images.
            image_grid_thw: (images, 3) frames, rows and columns of patches.
            point_clouds: one (H, W, 4) per image.
            **kwargs: as the parent's.

        Returns:
            The parent's output.
        """
        return super().get_image_features(pixel_values, image_grid_thw, point_clouds=point_clouds, **kwargs)


class N3dTextModel(Qwen2_5_VLTextModel):
    """The language model; it is handed all that the vision tower was, and leaves the points aside."""

    def forward(self, *args: Any, point_clouds: Any = None, **kwargs: Any) -> Any:
        """What the parent returns.

        Args:
            *args: as the parent's.
            point_clouds: not used.
            **kwargs: as the parent's.

        Returns:
            The parent's output.
        """
        del point_clouds
        return super().forward(*args, **kwargs)


class N3dVlm(Qwen2_5_VLForConditionalGeneration):
    """N3D-VLM: 3-D grounding and spatial reasoning on Qwen2.5-VL, 3B or 7B or any other size.

    ``forward`` and ``generate`` take what the parent's take, and ``point_clouds``: one (H, W, 4) tensor per image, in
    the order of ``image_grid_thw`` (x left, y up, z forward in units of the normalised scene, and validity), or the
    reference's (1, N, 4) for a single image. ``mm_token_type_ids`` is made from ``input_ids`` where it is not given:
    without it the parent would silently number image tokens like text.

    Args:
        config: a Qwen2.5-VL configuration; its ``position_code`` is one of ``POSITION_CODES``, "reference" when absent.
            With its ``point_channels`` true the points are channels of the patches too.
    """

    def __init__(self, config: Qwen2_5_VLConfig) -> None:
        super().__init__(config)
        # The parents have built and initialised every module; ours differ in behaviour alone: classes are exchanged.
        self.model.__class__ = N3dModel
        self.model.visual.__class__ = N3dVisionTower
        self.model.language_model.__class__ = N3dTextModel
        for block in self.model.visual.blocks:
            block.__class__ = N3dVisionBlock
            block.attn.__class__ = N3dVisionAttention
        self.model.visual.blocks[-1].is_last = True
        self.set_position_code(getattr(config, "position_code", "reference"))
        if getattr(config, "point_channels", False):
            self._add_point_channels()

    @property
    def position_code(self) -> PositionCode:
        """Which code is added to the images' states."""
        return self.model.visual.position_code

    def set_position_code(self, mode: PositionCode) -> None:
        """Chooses the code, here and in the configuration that is saved.

        Args:
            mode: one of ``POSITION_CODES``.

        Raises:
            ConfigurationError: another word.
        """
        if mode not in POSITION_CODES:
            raise ConfigurationError(f"position_code: expected one of {', '.join(POSITION_CODES)}, got {mode!r}.")
        self.config.position_code = mode
        self.model.visual.position_code = mode

    @property
    def point_channels(self) -> bool:
        """Whether the points are channels of the patches."""
        return self.model.visual.point_channels

    def _add_point_channels(self) -> None:
        """Adds the layer of the points; at zero, so that nothing changes before it is trained or loaded."""
        embed = self.model.visual.patch_embed
        embed.__class__ = N3dPatchEmbed
        weight = embed.proj.weight
        embed.points = torch.nn.Linear(
            POINT_VALUES, weight.shape[0], bias=False, dtype=weight.dtype, device=weight.device
        )
        torch.nn.init.zeros_(embed.points.weight)
        self.model.visual.point_channels = True

    def forward(self, input_ids: torch.Tensor | None = None, *args: Any, **kwargs: Any) -> Any:
        """What the parent returns.

        Args:
            input_ids: (batch, S) int64.
            *args: as the parent's.
            **kwargs: as the parent's, and ``point_clouds``.

        Returns:
            The parent's output.
        """
        return super().forward(input_ids, *args, **self._with_token_types(input_ids, kwargs))

    def generate(self, inputs: torch.Tensor | None = None, *args: Any, **kwargs: Any) -> Any:
        """What the parent returns.

        Args:
            inputs: (batch, S) int64; or ``input_ids`` by name.
            *args: as the parent's.
            **kwargs: as the parent's, and ``point_clouds``.

        Returns:
            The parent's output.
        """
        ids = inputs if inputs is not None else kwargs.get("input_ids")
        return super().generate(inputs, *args, **self._with_token_types(ids, kwargs))

    def _with_token_types(self, input_ids: torch.Tensor | None, kwargs: dict[str, Any]) -> dict[str, Any]:
        """The arguments, with each token's kind (1: image, 2: video, 0: text) where there are images."""
        has_vision = kwargs.get("image_grid_thw") is not None or kwargs.get("video_grid_thw") is not None
        if input_ids is None or not has_vision or kwargs.get("mm_token_type_ids") is not None:
            return kwargs
        kinds = (input_ids == self.config.image_token_id).int() + 2 * (input_ids == self.config.video_token_id).int()
        return {**kwargs, "mm_token_type_ids": kinds}


def _with_points(signature: inspect.Signature) -> inspect.Signature:
    """The parent's signature and one argument more; ``generate`` reads it to tell arguments from typing errors."""
    points = inspect.Parameter("point_clouds", inspect.Parameter.KEYWORD_ONLY, default=None)
    parameters = [*signature.parameters.values()]
    return signature.replace(parameters=[*parameters[:-1], points, parameters[-1]])


N3dVlm.forward.__signature__ = _with_points(  # type: ignore[attr-defined]
    inspect.signature(Qwen2_5_VLForConditionalGeneration.forward)
)
