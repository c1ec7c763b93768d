"""RgbdFrame: one synchronised look at the world, the input of every grounder."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from n3d_ros.errors import InputError
from n3d_ros.geometry.arrays import Float32Array, frozen_array
from n3d_ros.geometry.camera import CameraIntrinsics
from n3d_ros.geometry.point_map import PointMap


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RgbdFrame:
    """A rectified colour image with depth registered to it.

    Args:
        rgb: (H, W, 3) uint8, red green blue.
        depth_m: (H, W) float32 z-depth in metres (not ray length), NaN where there is none.
        intrinsics: of both images.
        stamp_ns: when the image was taken, nanoseconds.
        frame_id: the camera's optical frame (x right, y down, z forward).
    """

    rgb: NDArray[np.uint8]
    depth_m: Float32Array
    intrinsics: CameraIntrinsics
    stamp_ns: int
    frame_id: str

    def __post_init__(self) -> None:
        """Checks sizes, and that invalid depth looks invalid.

        Raises:
            InputError: sizes differ, the frame has no name, or depth holds infinity, zero or negative numbers.
        """
        size = (self.intrinsics.height, self.intrinsics.width)
        rgb = frozen_array(self.rgb, shape=(*size, 3), dtype=np.uint8, name="RgbdFrame.rgb")
        depth = frozen_array(self.depth_m, shape=size, dtype=np.float32, name="RgbdFrame.depth_m", finite=False)
        # NaN fails every comparison, so two reductions suffice; an all-NaN image has no minimum and is allowed.
        smallest, largest = np.fmin.reduce(depth, axis=None), np.fmax.reduce(depth, axis=None)
        if smallest <= 0 or np.isinf(largest):
            raise InputError(
                f"RgbdFrame.depth_m: expected metres above 0 or NaN for none, got {smallest} to {largest}; "
                "turn zeros, negatives and infinities into NaN first."
            )
        if not self.frame_id:
            raise InputError(
                "RgbdFrame.frame_id: expected the name of the camera's optical frame, got an empty string."
            )
        object.__setattr__(self, "rgb", rgb)
        object.__setattr__(self, "depth_m", depth)

    def point_map(self) -> PointMap:
        """The points of all pixels, in the camera optical frame.

        Returns:
            A new point map (not cached).
        """
        return PointMap.from_depth(self.depth_m, self.intrinsics)

    @property
    def valid_depth_share(self) -> float:
        """Share of the pixels that have depth, 0 to 1."""
        return float(np.isfinite(self.depth_m).mean())
