"""Recorded sequences to evaluate on: frames as files, read one at a time, and the choice of some of them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from n3d_ros.depth.evaluation.benchmark_settings import SAMPLE_SEED, BenchmarkSettings
from n3d_ros.errors import InputError
from n3d_ros.geometry.arrays import Float32Array
from n3d_ros.geometry.camera import CameraIntrinsics
from n3d_ros.geometry.transforms import RigidTransform

LEAST_FRAMES = 2  # of a sequence: one pair
NEAREST_M, FARTHEST_M = 0.05, 100.0  # of the median true depth of an image; beyond it the unit of depth is wrong


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrameFiles:
    """One frame of a sequence, not read yet.

    Args:
        name: of the frame, unique in its sequence.
        color: image file.
        depth: file of a one-channel image of 16 bits, registered to the colour image.
        depth_units_per_m: what a depth of one metre is in that image.
        no_depth: pixel values that mean "none".
        intrinsics: of both images; the size in it is checked when they are read.
        world_T_camera: true pose, metres.
        stamp_s: seconds.
    """

    name: str
    color: Path
    depth: Path
    depth_units_per_m: float
    intrinsics: CameraIntrinsics
    world_T_camera: RigidTransform
    no_depth: tuple[int, ...] = (0,)
    stamp_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrueFrame:
    """A frame that was read.

    Args:
        name: as in its files.
        rgb: (H, W, 3) uint8.
        depth_m: (H, W) float32 z-depth, NaN for none.
        intrinsics: of both.
        world_T_camera: true pose, metres.
    """

    name: str
    rgb: NDArray[np.uint8]
    depth_m: Float32Array
    intrinsics: CameraIntrinsics
    world_T_camera: RigidTransform


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sequence:
    """Frames of one scene, all in one world frame.

    Args:
        name: for tables and files.
        frames: in order of time.
        notes: what a reader of the results should know of the data.
    """

    name: str
    frames: tuple[FrameFiles, ...]
    notes: tuple[str, ...] = ()

    def read(self) -> Iterator[TrueFrame]:
        """Reads the frames one after the other.

        Yields:
            Frames in order.
        """
        for files in self.frames:
            yield read_frame(files)


def read_frame(files: FrameFiles) -> TrueFrame:
    """Reads one frame.

    Args:
        files: where it is.

    Returns:
        The frame.

    Raises:
        InputError: a file that is no such image, or images and calibration of different size.
    """
    bgr = cv2.imread(str(files.color), cv2.IMREAD_COLOR)
    if bgr is None:
        raise InputError(f"{files.color}: expected a colour image, it cannot be read as one.")
    depth_m = read_depth(files)
    camera = files.intrinsics
    if bgr.shape[:2] != depth_m.shape or depth_m.shape != (camera.height, camera.width):
        raise InputError(
            f"{files.color.name}: expected colour, depth and calibration of one size, got "
            f"{bgr.shape[1]}x{bgr.shape[0]}, {depth_m.shape[1]}x{depth_m.shape[0]} and {camera.width}x{camera.height}."
        )
    return TrueFrame(
        name=files.name,
        rgb=np.ascontiguousarray(bgr[..., ::-1]),
        depth_m=depth_m,
        intrinsics=camera,
        world_T_camera=files.world_T_camera,
    )


def read_depth(files: FrameFiles) -> Float32Array:
    """Reads the depth of one frame.

    Args:
        files: where it is.

    Returns:
        (H, W) float32 metres, NaN for none.

    Raises:
        InputError: no 16-bit image of one channel, or depth in another unit than said.
    """
    raw = cv2.imread(str(files.depth), cv2.IMREAD_UNCHANGED)
    if raw is None or raw.ndim != 2 or raw.dtype != np.uint16:
        found = "nothing that can be read" if raw is None else f"{raw.dtype} of shape {raw.shape}"
        raise InputError(f"{files.depth}: expected a depth image of one channel and 16 bits, got {found}.")
    known = ~np.isin(raw, files.no_depth)
    depth = np.where(known, raw / files.depth_units_per_m, np.nan).astype(np.float32)
    if known.any() and not NEAREST_M <= float(np.nanmedian(depth)) <= FARTHEST_M:
        raise InputError(
            f"{files.depth.name}: its median depth is {float(np.nanmedian(depth)):.3g} m. Is one metre really "
            f"{files.depth_units_per_m:g} units in this image? --depth-factor says how many (5000 in the TUM "
            "benchmark, 1000 in millimetres)."
        )
    return depth


def chosen_frames(sequence: Sequence, settings: BenchmarkSettings) -> Sequence:
    """The frames of a sequence that are evaluated: every n-th, and of those at most so many, the same every time.

    The draw is the released benchmark's: positions are shuffled with seed 42, the first are kept and put in order.

    Args:
        sequence: all frames.
        settings: say how many.

    Returns:
        The sequence with those frames, and a note when some were left out.

    Raises:
        InputError: fewer than two frames.
    """
    frames = sequence.frames[:: settings.every]
    if len(frames) > settings.max_images:
        positions = list(range(len(frames)))
        random.Random(SAMPLE_SEED).shuffle(positions)
        frames = tuple(frames[k] for k in sorted(positions[: settings.max_images]))
    if len(frames) < LEAST_FRAMES:
        raise InputError(
            f"Sequence {sequence.name}: expected at least {LEAST_FRAMES} frames with colour, depth and pose, got "
            f"{len(frames)} (of {len(sequence.frames)}, every {settings.every}); lower --every or record more."
        )
    notes = sequence.notes
    if len(frames) < len(sequence.frames):
        notes = (*notes, f"{len(frames)} of {len(sequence.frames)} frames")
    return replace(sequence, frames=frames, notes=notes)


def image_size(path: Path) -> tuple[int, int]:
    """Width and height of an image file, pixels.

    Args:
        path: of the file.

    Returns:
        Width, height.

    Raises:
        InputError: no image.
    """
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise InputError(f"{path}: expected an image, it cannot be read as one.")
    return int(image.shape[1]), int(image.shape[0])
