"""Frames with true and found boxes drawn, and the picture of how scores and frequencies agree."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from model_training.curves import FONT, GRID, INK
from model_training.data.records import FrameRecord, ObjectRecord
from model_training.evaluation.detection import LEVELS, true_box
from model_training.evaluation.found import FoundObject
from model_training.evaluation.matching import match
from model_training.evaluation.overlap import aligned_iou, projected_rectangle
from model_training.evaluation.reliability import BINS
from model_training.scenes.export import box_lines
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.geometry.camera import CameraIntrinsics

Picture = NDArray[np.uint8]

TRUE, HIT, FALSE, IGNORED = (90, 220, 90), (255, 170, 60), (70, 70, 255), (170, 170, 170)  # BGR
WIDTH_PX = 640
_BAR_PX = 22
_PANEL_PX = 300


def case_picture(
    record: FrameRecord,
    found: Sequence[FoundObject],
    asked: Sequence[ObjectRecord],
    ignored: Sequence[ObjectRecord],
    title: str,
    measure: str = "visible",
) -> Picture:
    """A frame with its boxes: true ones green, found ones blue where they meet one, red where they do not.

    Args:
        record: the frame.
        found: in it.
        asked: objects to be found.
        ignored: objects that count neither way, gray.
        title: written above.
        measure: which boxes are drawn: "visible", or whole ones.

    Returns:
        (H, W, 3) BGR, ``WIDTH_PX`` wide.
    """
    scale = WIDTH_PX / record.intrinsics.width
    camera = record.intrinsics.resized(WIDTH_PX, round(record.intrinsics.height * scale))
    resized = cv2.resize(record.rgb[..., ::-1], (camera.width, camera.height), interpolation=cv2.INTER_AREA)
    picture: Picture = np.ascontiguousarray(resized, np.uint8)
    kind = "visible" if measure in ("visible", "points") else "oriented"
    boxes = [one.visible_box if kind == "visible" else one.box for one in found]
    true = [(one, box) for one in asked if (box := true_box(one, kind)) is not None]
    hits = {i for i, _ in match(aligned_iou(boxes, [box for _, box in true]), level=LEVELS[0], way="optimal")}
    for one in ignored:
        if (box := true_box(one, kind)) is not None:
            _draw(picture, box, camera, IGNORED, "")
    for one, box in true:
        _draw(picture, box, camera, TRUE, one.label)
    for index, (object_found, box) in enumerate(zip(found, boxes, strict=True)):
        score = "" if object_found.score is None else f" {object_found.score:.2f}"
        _draw(picture, box, camera, HIT if index in hits else FALSE, f"{object_found.label}{score}", below=True)
    return np.vstack([_title(title, camera.width), picture]).astype(np.uint8)


def reliability_picture(bins: Sequence[dict[str, float | None]], title: str) -> Picture:
    """Bars of how often boxes of a score were right; on the diagonal, scores are frequencies.

    Args:
        bins: as ``ScoreCalibration.to_dict`` has them.
        title: which boxes.

    Returns:
        BGR picture.
    """
    margin, side = 40, _PANEL_PX
    canvas = np.full((side + 2 * margin, side + 2 * margin, 3), 255, np.uint8)

    def place(x: float, y: float) -> tuple[int, int]:
        return margin + round(x * side), margin + round((1 - y) * side)

    most = max((one["count"] or 0 for one in bins), default=0) or 1
    for number, one in enumerate(bins):
        observed, count = one["observed"], one["count"] or 0
        if observed is None:
            continue
        depth = 0.35 + 0.65 * count / most  # paler bars rest on fewer boxes
        color = tuple(int(255 - depth * (255 - value)) for value in (200, 130, 60))
        cv2.rectangle(canvas, place(number / BINS, observed), place((number + 1) / BINS, 0), color, -1)
        left, top = place(number / BINS, observed)
        cv2.putText(canvas, str(int(count)), (left + 3, max(top - 4, 12)), FONT, 0.35, INK, 1, cv2.LINE_AA)
    cv2.rectangle(canvas, place(0, 1), place(1, 0), GRID, 1)
    cv2.line(canvas, place(0, 0), place(1, 1), INK, 1, cv2.LINE_AA)
    for share in (0.0, 0.5, 1.0):
        x, y = place(share, 0)
        cv2.putText(canvas, f"{share:g}", (x - 8, y + 16), FONT, 0.4, INK, 1, cv2.LINE_AA)
        x, y = place(0, share)
        cv2.putText(canvas, f"{share:g}", (x - 30, y + 4), FONT, 0.4, INK, 1, cv2.LINE_AA)
    cv2.putText(canvas, "score", place(0.44, -0.12), FONT, 0.45, INK, 1, cv2.LINE_AA)
    cv2.putText(canvas, f"share that is right, {title}", place(0, 1.05), FONT, 0.45, INK, 1, cv2.LINE_AA)
    return canvas


def _draw(
    picture: Picture,
    box: Box3D,
    camera: CameraIntrinsics,
    color: tuple[int, int, int],
    name: str,
    *,
    below: bool = False,
) -> None:
    """One box with its name above it, or below."""
    for start, end in box_lines(box.corners, camera):
        cv2.line(picture, start, end, (0, 0, 0), 2, cv2.LINE_AA)
        cv2.line(picture, start, end, color, 1, cv2.LINE_AA)
    if not name:
        return
    text, extent = name.encode("ascii", "replace").decode(), projected_rectangle(box, camera)
    if extent is None:
        return
    left, top, _, bottom = (round(value) for value in extent)
    where = (left + 2, min(bottom + 11, camera.height - 3) if below else max(top - 4, 10))
    cv2.putText(picture, text, where, FONT, 0.4, (0, 0, 0), 3, cv2.LINE_AA)
    cv2.putText(picture, text, where, FONT, 0.4, color, 1, cv2.LINE_AA)


def _title(text: str, width: int) -> Picture:
    bar = np.full((_BAR_PX, width, 3), 255, np.uint8)
    cv2.putText(bar, text.encode("ascii", "replace").decode(), (5, 15), FONT, 0.42, INK, 1, cv2.LINE_AA)
    return bar
