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
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import (
    Qwen2_5_VisionTransformerPretrainedModel,
    Qwen2_5_VLModel,
    Qwen2_5_VLTextModel,
    Qwen2_5_VLVisionBlock,
)

from n3d_ros.errors import ConfigurationError, InputError
from n3d_ros.model.position_code import POSITION_CODES, PositionCode, position_code


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
        code = self._codes(kwargs.pop("point_clouds", None), grid_thw)
        return super().forward(hidden_states, grid_thw, position_code=code, **kwargs)

    def _codes(self, point_clouds: torch.Tensor | Sequence[torch.Tensor] | None, grid_thw: torch.Tensor) -> Any:
        """(P, D) float32 code of all images, or None in the mode without one."""
        if self.position_code == "none":
            return None
        if point_clouds is None:
            raise InputError(
                f"N3dVlm: images came without point_clouds, which the position code {self.position_code!r} needs; "
                "pass one (H, W, 4) of normalised points per image, or load the model with position_code='none'."
            )
        grids = [tuple(int(count) for count in grid) for grid in grid_thw.tolist()]
        if len(point_clouds) != len(grids) or any(frames != 1 for frames, _, _ in grids):
            raise InputError(
                f"N3dVlm: expected a list with one (H, W, 4) of points per image, got {len(point_clouds)} for the "
                f"grids (frames, rows, columns) {grids}; videos have no 3-D code."
            )
        window_blocks = self.window_size // self.spatial_merge_size // self.patch_size
        codes = [
            position_code(
                points[None] if points.ndim == 2 else points,  # a flat list, out of the reference's (1, N, 4)
                (rows, columns),
                self.config.hidden_size,
                self.position_code,
                window_blocks=window_blocks,
                merge=self.spatial_merge_size,
            )
            for points, (_, rows, columns) in zip(point_clouds, grids, strict=True)
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
    """

    def __init__(self, config: Qwen2_5_VLConfig) -> None:
        super().__init__(config)
        # The parents have built and initialised every module; ours differ in behaviour alone: classes are exchanged.
        self.model.__class__ = N3dModel
        self.model.visual.__class__ = N3dVisionTower
        self.model.language_model.__class__ = N3dTextModel
        for block in self.model.visual.blocks:
            block.__class__ = N3dVisionBlock
        self.model.visual.blocks[-1].is_last = True
        self.set_position_code(getattr(config, "position_code", "reference"))

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
