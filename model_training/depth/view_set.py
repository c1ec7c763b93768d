"""One scene seen by several cameras with everything training needs to know about it. numpy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from n3d_ros.errors import InputError

DEPTH_UNITS_PER_M = 1000.0  # 16-bit millimetres, 0: none
MAX_DEPTH_M = 65.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ViewSet:
    """Views of one scene, all of one size.

    Args:
        name: where it comes from, for reports.
        rgb: (V, H, W, 3) uint8.
        depth_mm: (V, H, W) uint16 z-depth in millimetres, 0 where it is not known or there is nothing.
        sky: (V, H, W) bool, true where it is known that there is nothing; false in recordings.
        objects: (V, H, W) bool, true on loose things; false in recordings.
        intrinsics: (V, 4) float64 fx fy cx cy, pixels, the centre of the first pixel at (0, 0).
        world_T_camera: (V, 4, 4) float64 camera optical frame to world, metres; NaN where poses are unknown.
    """

    name: str
    rgb: NDArray[np.uint8]
    depth_mm: NDArray[np.uint16]
    sky: NDArray[np.bool_]
    objects: NDArray[np.bool_]
    intrinsics: NDArray[np.float64]
    world_T_camera: NDArray[np.float64]

    def __post_init__(self) -> None:
        """Checks that everything is of one size.

        Raises:
            InputError: shapes do not fit together.
        """
        views, height, width = self.depth_mm.shape
        wanted = {
            "rgb": (views, height, width, 3),
            "sky": (views, height, width),
            "objects": (views, height, width),
            "intrinsics": (views, 4),
            "world_T_camera": (views, 4, 4),
        }
        for name, shape in wanted.items():
            if getattr(self, name).shape != shape:
                raise InputError(f"ViewSet.{name}: expected shape {shape}, got {getattr(self, name).shape}.")

    @property
    def count(self) -> int:
        """Number of views."""
        return int(self.rgb.shape[0])

    @property
    def has_poses(self) -> bool:
        """Whether every camera's pose is known."""
        return bool(np.isfinite(self.world_T_camera).all())

    @property
    def depth_m(self) -> NDArray[np.float32]:
        """(V, H, W) float32 metres, NaN where there is none."""
        depth: NDArray[np.float32] = self.depth_mm.astype(np.float32) / np.float32(DEPTH_UNITS_PER_M)
        depth[self.depth_mm == 0] = np.nan
        return depth

    def chosen(self, views: NDArray[np.int64]) -> ViewSet:
        """The set with only these views, in this order.

        Args:
            views: indices.

        Returns:
            A new set.
        """
        return ViewSet(
            name=self.name,
            rgb=self.rgb[views],
            depth_mm=self.depth_mm[views],
            sky=self.sky[views],
            objects=self.objects[views],
            intrinsics=self.intrinsics[views],
            world_T_camera=self.world_T_camera[views],
        )


def millimetres(depth_m: NDArray[np.float32]) -> NDArray[np.uint16]:
    """uint16 millimetres of metres; NaN, infinite, negative and depth beyond 65 m become 0.

    Args:
        depth_m: any shape, metres.

    Returns:
        The same shape.
    """
    known = np.nan_to_num(depth_m, nan=0.0, posinf=0.0, neginf=0.0)
    known = np.where((known < 0) | (known > MAX_DEPTH_M), 0.0, known)
    return np.asarray(np.round(known * DEPTH_UNITS_PER_M), np.uint16)
