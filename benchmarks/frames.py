"""The frames that the live measurements publish: real ones where they are at hand, else generated ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from n3d_ros.geometry.camera import CameraIntrinsics

REAL_FRAMES = Path(__file__).resolve().parents[2] / "shared" / "realdata" / "osd"
KINECT = CameraIntrinsics(fx=525.0, fy=525.0, cx=319.5, cy=239.5, width=640, height=480)  # of the real frames
MAX_FRAMES = 24
GENERATED_SEED = 11


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


def bench_frames() -> BenchFrames:
    """Frames to publish.

    Returns:
        Real Kinect frames when they lie beside the checkout, else generated ones.
    """
    return _real_frames() if REAL_FRAMES.is_dir() else _generated_frames()


def _real_frames() -> BenchFrames:
    """Every second real frame."""
    from n3d_ros.ros.rgbd_bag import read_color, read_depth

    colors = sorted(REAL_FRAMES.glob("*_color.png"), key=lambda path: int(path.name.strip("learn").split("_")[0]))
    chosen = colors[:: max(1, len(colors) // MAX_FRAMES)][:MAX_FRAMES]
    depths = [path.with_name(path.name.replace("_color", "_depth")) for path in chosen]
    return BenchFrames(
        rgb=np.stack([read_color(str(path)) for path in chosen]),
        depth_mm=np.stack([read_depth(str(path), 0.001) for path in depths]).astype(np.uint16),
        intrinsics=KINECT,
        source=f"{len(chosen)} real Kinect frames",
    )


def _generated_frames() -> BenchFrames:
    """A camera moving around a generated tabletop."""
    from model_training.scenes import CAMERAS, SceneSpec, generate_sequence

    spec = SceneSpec(kind="tabletop", seed=GENERATED_SEED, camera=CAMERAS["kinect"])
    frames = [item.frame for item in generate_sequence(spec, MAX_FRAMES / 10, 10.0)]
    depths = [np.rint(np.nan_to_num(frame.depth_m) * 1000).astype(np.uint16) for frame in frames]
    return BenchFrames(
        rgb=np.stack([frame.rgb for frame in frames]),
        depth_mm=np.stack(depths),
        intrinsics=frames[0].intrinsics,
        source=f"{len(frames)} generated frames (no real ones beside this checkout)",
    )
