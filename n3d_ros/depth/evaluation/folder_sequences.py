"""Sequences in folders of frames: those that ``python -m model_training.scenes`` writes, and 7-Scenes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from n3d_ros.depth.evaluation.sequence import FrameFiles, Sequence, image_size
from n3d_ros.errors import InputError
from n3d_ros.geometry.camera import CameraIntrinsics
from n3d_ros.geometry.transforms import RigidTransform

TRUTH = "_truth.json"  # NAME_truth.json beside NAME_color.png and NAME_depth.png; NAME is SCENE_NUMBER
SEVEN_SCENES_CAMERA = (585.0, 585.0, 320.0, 240.0)  # fx fy cx cy, for all its sequences
SEVEN_SCENES_NO_DEPTH = (0, 65535)
POSE_FILE = re.compile(r"frame-(\d{6})\.pose\.txt")
ROTATION_SLACK = 1e-2  # on R^T R - 1: poses of 7-Scenes are written with few digits


def read_scene_sequences(folder: Path) -> tuple[Sequence, ...]:
    """The sequences of a folder of generated scenes, one per scene.

    Args:
        folder: with NAME_color.png, NAME_depth.png and NAME_truth.json.

    Returns:
        Sequences in order of their names.

    Raises:
        InputError: no frames, or a damaged one.
    """
    scenes: dict[str, list[FrameFiles]] = {}
    for path in sorted(folder.glob(f"*{TRUTH}")):
        name = path.name[: -len(TRUTH)]
        scenes.setdefault(name.rpartition("_")[0], []).append(_scene_frame(folder, name, path))
    if not scenes:
        raise InputError(
            f"{folder}: expected frames NAME_color.png, NAME_depth.png and NAME{TRUTH}, found none; "
            "`python -m model_training.scenes --seconds 4 --noise none --out FOLDER` writes them."
        )
    return tuple(Sequence(name=name, frames=tuple(frames)) for name, frames in scenes.items())


def _scene_frame(folder: Path, name: str, path: Path) -> FrameFiles:
    try:
        truth: Any = json.loads(path.read_text(encoding="utf-8"))
        camera = CameraIntrinsics(**{key: truth["camera"][key] for key in ("fx", "fy", "cx", "cy", "width", "height")})
        pose = truth["world_T_camera"]
        return FrameFiles(
            name=name,
            color=folder / f"{name}_color.png",
            depth=folder / f"{name}_depth.png",
            depth_units_per_m=float(truth["depth_units_per_m"]),
            intrinsics=camera,
            world_T_camera=RigidTransform.from_quaternion(pose["orientation_xyzw"], pose["translation"]),
            stamp_s=float(truth["stamp_ns"]) * 1e-9,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: expected the truth of a frame, with its camera and pose ({error}).") from error


def read_seven_scenes_sequence(
    folder: Path, *, intrinsics: tuple[float, float, float, float] | None = None, depth_units_per_m: float = 1000.0
) -> Sequence:
    """A sequence of 7-Scenes (Shotton et al., CVPR 2013): frame-NNNNNN with color.png, depth.png and pose.txt.

    Args:
        folder: of one sequence, such as chess/seq-01.
        intrinsics: fx, fy, cx, cy in pixels; None: 585, 585, 320, 240, as the Visual Geometry Benchmark takes them.
        depth_units_per_m: of the depth images.

    Returns:
        The sequence; frames whose pose is not finite (lost tracking) are left out, and a note says how many.

    Raises:
        InputError: no frames, or a damaged pose.
    """
    paths = sorted(path for path in folder.glob("frame-*.pose.txt") if POSE_FILE.fullmatch(path.name))
    if not paths:
        raise InputError(f"{folder}: expected frame-NNNNNN.color.png, .depth.png and .pose.txt, found none.")
    fx, fy, cx, cy = intrinsics or SEVEN_SCENES_CAMERA
    width, height = image_size(paths[0].with_name(paths[0].name.replace("pose.txt", "color.png")))
    camera = CameraIntrinsics(fx=fx, fy=fy, cx=cx, cy=cy, width=width, height=height)
    found = [(path, _matrix_pose(path)) for path in paths]
    frames = tuple(_seven_scenes_frames(found, camera, depth_units_per_m))
    if not frames:
        raise InputError(f"{folder}: none of its {len(paths)} poses is finite.")
    lost = len(paths) - len(frames)
    name = f"{folder.parent.name}/{folder.name}" if folder.name.startswith("seq-") else folder.name
    return Sequence(
        name=name, frames=frames, notes=(f"{lost} of {len(paths)} frames have no finite pose",) if lost else ()
    )


def _seven_scenes_frames(
    found: Iterable[tuple[Path, RigidTransform | None]], camera: CameraIntrinsics, depth_units_per_m: float
) -> Iterable[FrameFiles]:
    for number, (path, pose) in enumerate(found):
        if pose is not None:
            stem = path.name[: -len(".pose.txt")]
            yield FrameFiles(
                name=stem,
                color=path.with_name(f"{stem}.color.png"),
                depth=path.with_name(f"{stem}.depth.png"),
                depth_units_per_m=depth_units_per_m,
                no_depth=SEVEN_SCENES_NO_DEPTH,
                intrinsics=camera,
                world_T_camera=pose,
                stamp_s=number / 30,
            )


def _matrix_pose(path: Path) -> RigidTransform | None:
    """The camera-to-world matrix of a file; None where it is not finite."""
    try:
        matrix = np.array(path.read_text(encoding="utf-8").split(), dtype=np.float64)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected a pose of 16 numbers, it cannot be read ({error}).") from error
    if matrix.size != 16:
        raise InputError(f"{path}: expected a pose of 16 numbers, got {matrix.size}.")
    if not np.isfinite(matrix).all():
        return None
    matrix = matrix.reshape(4, 4)
    left, sizes, right = np.linalg.svd(matrix[:3, :3])
    if np.abs(sizes - 1).max() > ROTATION_SLACK or np.linalg.det(left @ right) < 0:
        raise InputError(f"{path}: expected a rotation, got one that stretches by {np.round(sizes, 3).tolist()}.")
    return RigidTransform(rotation=left @ right, translation=matrix[:3, 3])
