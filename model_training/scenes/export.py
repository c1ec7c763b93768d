"""Generated frames as files, and as a picture to look at."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from model_training.data.pictures import depth_to_millimetres
from model_training.data.records import DEPTH_UNITS_PER_M
from model_training.scenes.generate import OPTICAL_FRAME, SceneFrame
from model_training.scenes.truth import ObjectTruth
from n3d_ros.errors import InputError
from n3d_ros.geometry.boxes import BOX_EDGES
from n3d_ros.geometry.camera import CameraIntrinsics, project

Picture = NDArray[np.uint8]

NEAR_CLIP_M = 0.05  # edges are cut here before they are projected
SHEET_COLUMNS = 3
SHEET_WIDTH_PX = 480  # of one picture
DRAWN_FRACTION = 0.15  # objects seen less than this are not drawn
WORD_BGR: dict[str, tuple[int, int, int]] = {
    "red": (60, 60, 255), "orange": (30, 150, 255), "yellow": (40, 235, 255), "green": (70, 220, 70),
    "blue": (255, 140, 60), "purple": (230, 90, 190), "pink": (210, 160, 255), "brown": (80, 130, 190),
    "black": (120, 120, 120), "white": (255, 255, 255), "gray": (190, 190, 190),
}  # fmt: skip


def frame_to_dict(frame: SceneFrame) -> dict[str, Any]:
    """Everything known about a frame except its images, JSON-ready.

    Args:
        frame: the frame.

    Returns:
        Camera, pose, stamp, spec and truth.
    """
    camera = frame.frame.intrinsics
    pose = frame.world_T_camera
    return {
        "frame_id": OPTICAL_FRAME,
        "stamp_ns": frame.frame.stamp_ns,
        "camera": {k: getattr(camera, k) for k in ("fx", "fy", "cx", "cy", "width", "height")},
        "world_T_camera": {
            "translation": [round(float(v), 9) for v in pose.translation],
            "orientation_xyzw": [round(float(v), 12) for v in pose.orientation_xyzw],
        },
        "index": frame.index,
        "spec": json.loads(frame.spec.to_json()),
        "depth_units_per_m": DEPTH_UNITS_PER_M,
        "objects": [truth.to_dict() for truth in frame.truth],
    }


def write_image(path: Path, picture: NDArray[Any]) -> None:
    """Writes a PNG whole or not at all.

    Args:
        path: ends in .png.
        picture: as OpenCV takes it (BGR, or one channel of 8 or 16 bits).

    Raises:
        InputError: the picture cannot be encoded.
    """
    done, data = cv2.imencode(".png", picture)
    if not done:
        raise InputError(f"{path.name}: could not encode an image of shape {picture.shape} as PNG.")
    _write_bytes(path, data.tobytes())


def _write_bytes(path: Path, data: bytes) -> None:
    """Writes beside the path and renames, so that a file that exists is complete."""
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    part.replace(path)


def write_frame(folder: Path, name: str, frame: SceneFrame) -> None:
    """Writes NAME_color.png, NAME_depth.png, NAME_label.png, then NAME_truth.json.

    Depth is what the sensor reports (with its noise), 16-bit millimetres, 0 for none. Labels are object ids, 0 for
    floor and walls. The truth file comes last: a frame that has one is complete.

    Args:
        folder: exists.
        name: without ending.
        frame: what to write.
    """
    write_image(folder / f"{name}_color.png", frame.frame.rgb[..., ::-1])
    write_image(folder / f"{name}_depth.png", depth_to_millimetres(frame.frame.depth_m))
    write_image(folder / f"{name}_label.png", frame.object_ids.astype(np.uint16))
    text = json.dumps(frame_to_dict(frame), indent=1)
    _write_bytes(folder / f"{name}_truth.json", text.encode())


def box_lines(
    corners: NDArray[np.float64], intrinsics: CameraIntrinsics
) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """The box's edges in the image, each cut where it passes behind the camera.

    Args:
        corners: (8, 3) metres, camera optical frame, in the order of ``Box3D.corners``.
        intrinsics: the camera.

    Returns:
        Pairs of integer pixels.
    """
    lines = []
    for first, second in BOX_EDGES:
        a, b = corners[first], corners[second]
        if max(a[2], b[2]) <= NEAR_CLIP_M:
            continue
        if a[2] > b[2]:
            a, b = b, a
        if a[2] < NEAR_CLIP_M:
            a = a + (b - a) * ((NEAR_CLIP_M - a[2]) / (b[2] - a[2]))
        ends = np.clip(project(np.stack([a, b]), intrinsics), -1e4, 1e4).round().astype(int)
        lines.append(((int(ends[0, 0]), int(ends[0, 1])), (int(ends[1, 0]), int(ends[1, 1]))))
    return lines


def draw_truth(frame: SceneFrame) -> Picture:
    """(H, W, 3) uint8 BGR: the colour image with projected true boxes and names.

    Args:
        frame: the frame.

    Returns:
        A new picture.
    """
    picture = np.ascontiguousarray(frame.frame.rgb[..., ::-1])
    for truth in frame.truth:
        if truth.visible_fraction >= DRAWN_FRACTION:
            _draw_object(picture, truth, frame.frame.intrinsics)
    return picture


def _draw_object(picture: Picture, truth: ObjectTruth, intrinsics: CameraIntrinsics) -> None:
    """One box in its colour, dashed thin for furniture, with its name on a dark shadow."""
    color = WORD_BGR.get(truth.color, (255, 255, 255))
    for start, end in box_lines(truth.box_camera.corners, intrinsics):
        cv2.line(picture, start, end, (0, 0, 0), 2, cv2.LINE_AA)
        cv2.line(picture, start, end, color, 1, cv2.LINE_AA)
    if truth.box_camera.center[2] <= NEAR_CLIP_M or truth.role == "furniture":
        return
    u, v = (int(c) for c in project(truth.box_camera.center[None], intrinsics)[0].round())
    where = (u - 4 * len(truth.category), v)
    cv2.putText(picture, truth.category, where, cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 3, cv2.LINE_AA)
    cv2.putText(picture, truth.category, where, cv2.FONT_HERSHEY_SIMPLEX, 0.42, (255, 255, 255), 1, cv2.LINE_AA)


def contact_sheet(pictures: Sequence[Picture]) -> Picture:
    """One picture of many, in rows of ``SHEET_COLUMNS``.

    Args:
        pictures: (H, W, 3) uint8, one or more.

    Returns:
        (rows * H', columns * W', 3) uint8; empty places are black.
    """
    small = []
    for picture in pictures:
        height = round(picture.shape[0] * SHEET_WIDTH_PX / picture.shape[1])
        small.append(cv2.resize(picture, (SHEET_WIDTH_PX, height), interpolation=cv2.INTER_AREA))
    columns = min(SHEET_COLUMNS, len(small))
    while len(small) % columns:
        small.append(np.zeros_like(small[0]))
    rows = [np.hstack(small[k : k + columns]) for k in range(0, len(small), columns)]
    sheet: Picture = np.vstack(rows).astype(np.uint8)
    return sheet
