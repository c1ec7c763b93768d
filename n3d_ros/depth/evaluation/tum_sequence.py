"""Sequences in the layout of the TUM RGB-D benchmark: rgb.txt, depth.txt, groundtruth.txt, paired by time.

Sturm et al., A Benchmark for the Evaluation of RGB-D SLAM Systems, IROS 2012. Images are taken as recorded: those of
the first two cameras keep their lens distortion.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np

from n3d_ros.depth.evaluation.sequence import FrameFiles, Sequence, image_size
from n3d_ros.errors import InputError
from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.geometry.camera import CameraIntrinsics
from n3d_ros.geometry.transforms import RigidTransform, interpolate

DEPTH_UNITS_PER_M = 5000.0
MAX_APART_S = 0.02  # between an image and its depth or pose, as in the benchmark's own association

TUM_CAMERAS: Mapping[str, tuple[float, float, float, float]] = MappingProxyType(
    {
        "freiburg1": (517.3, 516.5, 318.6, 255.3),
        "freiburg2": (520.9, 521.0, 325.1, 249.7),
        "freiburg3": (535.4, 539.2, 320.1, 247.6),
        "ros_default": (525.0, 525.0, 319.5, 239.5),
    }
)
"""fx fy cx cy in pixels at 640x480, as the benchmark publishes them."""


def read_tum_sequence(
    folder: Path,
    *,
    intrinsics: tuple[float, float, float, float] | None = None,
    depth_units_per_m: float = DEPTH_UNITS_PER_M,
    max_apart_s: float = MAX_APART_S,
) -> Sequence:
    """The frames of a sequence that have colour, depth and pose.

    A pose is interpolated between the two around the image where both are near in time, else the nearest one is taken.

    Args:
        folder: with the three lists.
        intrinsics: fx, fy, cx, cy in pixels; None: those of the camera that the folder's name tells of.
        depth_units_per_m: of the depth images.
        max_apart_s: largest difference of stamps, seconds.

    Returns:
        The sequence.

    Raises:
        InputError: a list is missing or damaged, no stamps meet, or the camera is not known.
    """
    colors, depths = _read_list(folder / "rgb.txt"), _read_list(folder / "depth.txt")
    pose_stamps, poses = _read_poses(folder / "groundtruth.txt")
    _refuse_no_overlap(folder.name, [s for s, _ in colors], pose_stamps)
    fx, fy, cx, cy = intrinsics or _camera_of(folder.name)
    width, height = image_size(folder / colors[0][1])
    camera = CameraIntrinsics(fx=fx, fy=fy, cx=cx, cy=cy, width=width, height=height)
    depth_stamps = np.array([stamp for stamp, _ in depths])
    frames = []
    for stamp, color in colors:
        depth = _nearest(depth_stamps, stamp, max_apart_s)
        pose = _pose_at(pose_stamps, poses, stamp, max_apart_s)
        if depth is not None and pose is not None:
            frames.append(
                FrameFiles(
                    name=Path(color).stem,
                    color=folder / color,
                    depth=folder / depths[depth][1],
                    depth_units_per_m=depth_units_per_m,
                    intrinsics=camera,
                    world_T_camera=pose,
                    stamp_s=stamp,
                )
            )
    if not frames:
        raise InputError(
            f"{folder.name}: expected images with depth and pose within {max_apart_s:g} s, found none among "
            f"{len(colors)} images, {len(depths)} depth images and {len(poses)} poses; are their clocks the same?"
        )
    lost = len(colors) - len(frames)
    notes = (f"{lost} of {len(colors)} images have no depth or pose within {max_apart_s:g} s",) if lost else ()
    return Sequence(name=folder.name, frames=tuple(frames), notes=notes)


def _lines(path: Path) -> list[tuple[int, list[str]]]:
    """Numbered lines in words, without comments."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected a list of the TUM layout, it cannot be read ({error}).") from error
    rows = [(number, line.split()) for number, line in enumerate(text.splitlines(), start=1)]
    return [(number, words) for number, words in rows if words and not words[0].startswith("#")]


def _read_list(path: Path) -> list[tuple[float, str]]:
    """Stamps in seconds and file names, in order of time."""
    entries = []
    for number, words in _lines(path):
        try:
            stamp, name = float(words[0]), words[1]
        except (ValueError, IndexError) as error:
            raise InputError(f"{path}, line {number}: expected a stamp and a file name.") from error
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise InputError(f"{path}, line {number}: expected a file below {path.parent}, got {name}.")
        entries.append((stamp, name))
    if not entries:
        raise InputError(f"{path}: expected stamps and file names, the list is empty.")
    return sorted(entries)


def _read_poses(path: Path) -> tuple[FloatArray, list[RigidTransform]]:
    """Stamps in seconds, and ``world_T_camera``, in order of time."""
    rows = []
    for number, words in _lines(path):
        try:
            values = [float(word) for word in words]
        except ValueError:
            values = []
        if len(values) != 8 or not all(map(math.isfinite, values)):
            raise InputError(
                f"{path}, line {number}: expected a stamp and seven finite numbers tx ty tz qx qy qz qw, got "
                f"'{' '.join(words)}'."
            )
        rows.append(values)
    if not rows:
        raise InputError(f"{path}: expected poses, the list is empty.")
    rows.sort(key=lambda row: row[0])
    poses = [RigidTransform.from_quaternion(row[4:], row[1:4]) for row in rows]
    return np.array([row[0] for row in rows]), poses


def _refuse_no_overlap(name: str, image_stamps: list[float], pose_stamps: FloatArray) -> None:
    first, last = min(image_stamps), max(image_stamps)
    if last < pose_stamps[0] or first > pose_stamps[-1]:
        raise InputError(
            f"{name}: images and poses do not overlap in time: images from {first:.3f} to {last:.3f} s, poses from "
            f"{pose_stamps[0]:.3f} to {pose_stamps[-1]:.3f} s."
        )


def _camera_of(name: str) -> tuple[float, float, float, float]:
    for key, camera in TUM_CAMERAS.items():
        if key in name:
            return camera
    raise InputError(
        f"{name}: its camera is not known. Say --intrinsics FX,FY,CX,CY, or one of {', '.join(TUM_CAMERAS)}."
    )


def _nearest(stamps: FloatArray, stamp: float, max_apart_s: float) -> int | None:
    nearest = int(np.abs(stamps - stamp).argmin())
    return nearest if abs(float(stamps[nearest]) - stamp) <= max_apart_s else None


def _pose_at(
    stamps: FloatArray, poses: list[RigidTransform], stamp: float, max_apart_s: float
) -> RigidTransform | None:
    after = int(np.searchsorted(stamps, stamp))
    if 0 < after < len(stamps) and max(stamp - stamps[after - 1], stamps[after] - stamp) <= max_apart_s:
        span = float(stamps[after] - stamps[after - 1])
        fraction = (stamp - float(stamps[after - 1])) / span if span > 0 else 0.0
        return interpolate(poses[after - 1], poses[after], fraction)
    nearest = _nearest(stamps, stamp, max_apart_s)
    return None if nearest is None else poses[nearest]
