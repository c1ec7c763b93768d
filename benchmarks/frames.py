"""The frames that the live measurements publish: real ones where they are at hand, else generated ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from n3d_ros.bench.frames import BenchFrames as BenchFrames
from n3d_ros.geometry.camera import CameraIntrinsics

REAL_FRAMES = Path(__file__).resolve().parents[2] / "shared" / "realdata" / "osd"
KINECT = CameraIntrinsics(fx=525.0, fy=525.0, cx=319.5, cy=239.5, width=640, height=480)  # of the real frames
MAX_FRAMES = 24
GENERATED_SEED = 11


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
    return BenchFrames.of_frames(frames, f"{len(frames)} generated frames (no real ones beside this checkout)")
