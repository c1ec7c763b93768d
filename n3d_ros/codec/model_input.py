"""What goes into the language model for one frame, and what brings its numbers back to metres."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from n3d_ros.errors import InputError
from n3d_ros.geometry.arrays import Float32Array, frozen_array
from n3d_ros.geometry.camera import CameraIntrinsics
from n3d_ros.geometry.point_map import PointNormalization


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageInput:
    """One image and its points, as the vision tower takes them.

    Args:
        pixel_values: (P, 1176) float32 patches of 3 x 2 x 14 x 14 normalised colours, in 2x2-block-major order.
        grid: rows and columns of patches (gh, gw), both even; P = gh gw.
        points: (H, W, 4) float32 normalised x left, y up, z forward, and validity (1 or 0); xyz NaN where invalid. The
            longer of H and W is 640 as the reference makes it; others are allowed.
    """

    pixel_values: Float32Array
    grid: tuple[int, int]
    points: Float32Array

    def __post_init__(self) -> None:
        """Checks that shapes agree.

        Raises:
            InputError: a grid that is odd or does not match the patches, or wrong shapes.
        """
        rows, columns = self.grid
        if rows <= 0 or columns <= 0 or rows % 2 or columns % 2:
            raise InputError(f"ImageInput.grid: expected even numbers above 0, got {self.grid}.")
        pixels = frozen_array(
            self.pixel_values, shape=(rows * columns, None), dtype=np.float32, name="ImageInput.pixel_values"
        )
        points = frozen_array(
            self.points, shape=(None, None, 4), dtype=np.float32, name="ImageInput.points", finite=False
        )
        object.__setattr__(self, "pixel_values", pixels)
        object.__setattr__(self, "points", points)

    @property
    def token_count(self) -> int:
        """How many visual tokens the image becomes: one per 2x2 patches."""
        return self.grid[0] * self.grid[1] // 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DecodeContext:
    """What turns the model's integers into metres in the camera optical frame.

    Args:
        intrinsics: of the frame, at its own size; u and v are fractions of that size.
        normalization: of the points in the model's axes (x left, y up, z forward), metres to model units.
    """

    intrinsics: CameraIntrinsics
    normalization: PointNormalization

    @property
    def max_depth_m(self) -> float:
        """Largest depth the model can express, metres (bin 999)."""
        return float(self.normalization.offset_m[2] + 1.998 / self.normalization.scale_per_m)

    @property
    def max_size_m(self) -> float:
        """Largest side of a box the model can express, metres (bin 999)."""
        return float(0.624375 / self.normalization.scale_per_m)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prompt:
    """A prompt in two parts, so that the image's part is computed once per frame.

    Args:
        prefix_ids: (S,) int64 system text and image up to and including ``<|vision_end|>``, with one image token per
            visual token; for a prompt without image, everything before the user's words.
        suffix_ids: (T,) int64 the user's words and the head of the assistant's turn.
    """

    prefix_ids: NDArray[np.int64]
    suffix_ids: NDArray[np.int64]

    def __post_init__(self) -> None:
        """Checks shapes."""
        for name in ("prefix_ids", "suffix_ids"):
            array = frozen_array(getattr(self, name), shape=(None,), dtype=np.int64, name=f"Prompt.{name}")
            object.__setattr__(self, name, array)

    @property
    def token_ids(self) -> NDArray[np.int64]:
        """(S + T,) int64: the whole prompt."""
        return np.concatenate([self.prefix_ids, self.suffix_ids])
