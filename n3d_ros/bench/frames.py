"""Colour and depth of some frames of one camera, to be looked at, published, or handed to another process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from n3d_ros.errors import InputError
from n3d_ros.frame import RgbdFrame
from n3d_ros.geometry.camera import CameraIntrinsics

MAX_DEPTH_M = 65.0  # that 16 bits of millimetres hold


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BenchFrames:
    """Colour and depth of some frames.

    Args:
        rgb: (N, H, W, 3) uint8.
        depth_mm: (N, H, W) uint16, 0 for none.
        intrinsics: of all of them.
        source: where they come from, in words.
    """

    rgb: NDArray[np.uint8]
    depth_mm: NDArray[np.uint16]
    intrinsics: CameraIntrinsics
    source: str

    def __len__(self) -> int:
        """How many."""
        return len(self.rgb)

    @property
    def depth_m(self) -> NDArray[np.float32]:
        """(N, H, W) float32 metres, NaN for none."""
        metres = self.depth_mm.astype(np.float32) / 1000
        return np.where(self.depth_mm > 0, metres, np.float32(np.nan))

    def rgbd_frames(self) -> list[RgbdFrame]:
        """The frames as grounders take them.

        Returns:
            Stamped one after the other.
        """
        return [
            RgbdFrame(rgb=rgb, depth_m=depth, intrinsics=self.intrinsics, stamp_ns=number, frame_id="camera")
            for number, (rgb, depth) in enumerate(zip(self.rgb, self.depth_m, strict=True), start=1)
        ]

    @classmethod
    def of_frames(cls, frames: Sequence[RgbdFrame], source: str) -> BenchFrames:
        """Frames of one camera.

        Args:
            frames: at least one.
            source: where they come from, in words.

        Returns:
            Those of the first one's camera and size.

        Raises:
            InputError: there is none.
        """
        same = [frame for frame in frames if frame.intrinsics == frames[0].intrinsics]
        if not same:
            raise InputError(f"{source}: expected at least one image with depth, got none.")
        depths = [np.clip(np.nan_to_num(frame.depth_m), 0, MAX_DEPTH_M) for frame in same]
        return cls(
            rgb=np.stack([frame.rgb for frame in same]),
            depth_mm=np.stack([np.rint(depth * 1000).astype(np.uint16) for depth in depths]),
            intrinsics=same[0].intrinsics,
            source=source,
        )

    def save(self, path: Path) -> None:
        """Writes them for another process.

        Args:
            path: ``.npz`` file.
        """
        camera = self.intrinsics
        numbers = np.array([camera.fx, camera.fy, camera.cx, camera.cy])
        np.savez(path, rgb=self.rgb, depth_mm=self.depth_mm, camera=numbers, source=np.array(self.source))

    @classmethod
    def load(cls, path: Path) -> BenchFrames:
        """Reads what ``save`` wrote.

        Args:
            path: ``.npz`` file.

        Returns:
            The frames.
        """
        with np.load(path, allow_pickle=False) as data:
            rgb, depth = data["rgb"], data["depth_mm"]
            fx, fy, cx, cy = (float(value) for value in data["camera"])
            camera = CameraIntrinsics(fx=fx, fy=fy, cx=cx, cy=cy, width=rgb.shape[2], height=rgb.shape[1])
            return cls(rgb=rgb, depth_mm=depth, intrinsics=camera, source=str(data["source"]))
