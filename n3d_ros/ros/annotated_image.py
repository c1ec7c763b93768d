"""The colour image with the boxes projected on it, each with a label."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from n3d_ros.frame import RgbdFrame
from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.geometry.boxes import BOX_EDGES, CORNER_SIGNS, Box3D
from n3d_ros.geometry.camera import CameraIntrinsics, project
from n3d_ros.ros.overlay import NEAR_M, visible_edges
from n3d_ros.ros.picture_labels import Rect, chip_size, draw_chip, draw_leader, place_labels
from n3d_ros.ros.pictures import PictureObject

IMAGE_WIDTH = 1280  # of the annotated image, pixels
FACES = tuple((axis, sign) for axis in range(3) for sign in (-1.0, 1.0))


def annotated_image(frame: RgbdFrame, objects: Iterable[PictureObject]) -> NDArray[np.uint8]:
    """The colour image with the boxes projected on it.

    Args:
        frame: colour and intrinsics.
        objects: what to draw.

    Returns:
        (H, W, 3) uint8, ``IMAGE_WIDTH`` wide.
    """
    return with_boxes(*resized(frame, IMAGE_WIDTH), objects)


def resized(frame: RgbdFrame, width: int) -> tuple[NDArray[np.uint8], CameraIntrinsics]:
    """The colour image of a frame in another size.

    Args:
        frame: colour and intrinsics.
        width: wanted, pixels.

    Returns:
        (H, width, 3) uint8 and its intrinsics.
    """
    height = max(1, round(frame.intrinsics.height * width / frame.intrinsics.width))
    how = cv2.INTER_CUBIC if width >= frame.intrinsics.width else cv2.INTER_AREA
    image = cv2.resize(frame.rgb, (width, height), interpolation=how)
    return np.asarray(image, dtype=np.uint8), frame.intrinsics.resized(width, height)


def with_boxes(
    rgb: NDArray[np.uint8], intrinsics: CameraIntrinsics, objects: Iterable[PictureObject]
) -> NDArray[np.uint8]:
    """A colour image with boxes and labels drawn on it.

    Args:
        rgb: (H, W, 3) uint8.
        intrinsics: of the image.
        objects: what to draw.

    Returns:
        (H, W, 3) uint8.
    """
    shown = [item for item in objects if visible_edges(item.box, intrinsics)]
    shown.sort(key=lambda item: -item.distance_m)
    canvas = rgb
    for item in shown:
        canvas = _draw_box(canvas, item, intrinsics)
    return _with_image_labels(canvas, shown, intrinsics)


def _draw_box(canvas: NDArray[np.uint8], item: PictureObject, intrinsics: CameraIntrinsics) -> NDArray[np.uint8]:
    """The canvas with one box: its visible faces tinted, its visible edges strong, the hidden ones faint."""
    corners = item.box.corners
    tinted = canvas.copy()
    for axis, sign in _visible_faces(item.box):
        polygon = corners[CORNER_SIGNS[:, axis] == sign]
        if (polygon[:, 2] > NEAR_M).all():
            hull = cv2.convexHull(project(polygon, intrinsics).astype(np.float32))
            cv2.fillConvexPoly(tinted, np.round(hull * 16).astype(np.int32), item.color, cv2.LINE_AA, 4)
    canvas = np.asarray(cv2.addWeighted(tinted, 0.22, canvas, 0.78, 0), dtype=np.uint8)
    faint = canvas.copy()
    facing = _visible_faces(item.box)
    strong: list[NDArray[np.int32]] = []
    for (start, end), (i, j) in zip(_edge_pixels(item.box, intrinsics), BOX_EDGES, strict=True):
        if start is None or end is None:
            continue
        ends = np.round(np.stack([start, end]) * 16).astype(np.int32)
        if any(CORNER_SIGNS[i, axis] == sign == CORNER_SIGNS[j, axis] for axis, sign in facing):
            strong.append(ends)
        else:
            cv2.line(faint, ends[0], ends[1], item.color, 1, cv2.LINE_AA, 4)
    canvas = np.asarray(cv2.addWeighted(faint, 0.55, canvas, 0.45, 0), dtype=np.uint8)
    for ends in strong:
        cv2.line(canvas, ends[0], ends[1], (20, 20, 20), 5, cv2.LINE_AA, 4)
    for ends in strong:
        cv2.line(canvas, ends[0], ends[1], item.color, 3, cv2.LINE_AA, 4)
    return canvas


def _edge_pixels(box: Box3D, intrinsics: CameraIntrinsics) -> list[tuple[FloatArray | None, FloatArray | None]]:
    """Pixel ends of each edge, in the order of ``BOX_EDGES``; None where an edge passes behind the camera."""
    corners = box.corners
    before = corners[:, 2] > NEAR_M
    pixels = np.clip(project(np.where(before[:, None], corners, np.nan), intrinsics), -1e4, 1e4)
    return [(pixels[i], pixels[j]) if before[i] and before[j] else (None, None) for i, j in BOX_EDGES]


def _visible_faces(box: Box3D) -> list[tuple[int, float]]:
    """Faces turned towards the camera, as (axis, sign)."""
    rotation = box.rotation
    return [
        (axis, sign)
        for axis, sign in FACES
        if sign * rotation[:, axis] @ (box.center + sign * rotation[:, axis] * box.size[axis] / 2) < 0
    ]


def _with_image_labels(
    canvas: NDArray[np.uint8], items: Sequence[PictureObject], intrinsics: CameraIntrinsics
) -> NDArray[np.uint8]:
    """The canvas with a label for every box."""
    if not items:
        return canvas
    height, width = canvas.shape[:2]
    texts = [
        (
            (f"{item.number}  {item.label}", 19, (255, 255, 255)),
            (f"{item.size_text}   {item.distance_m:.2f} m", 15, (205, 210, 218)),
        )
        for item in items
    ]
    anchors = [_pixel_rect(item.box, intrinsics, width, height) for item in items]
    rects = place_labels(anchors, [chip_size(lines) for lines in texts], (6.0, 6.0, width - 6.0, height - 6.0))
    image = Image.fromarray(canvas).convert("RGBA")
    layer = Image.new("RGBA", image.size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    for item, anchor, rect in zip(items, anchors, rects, strict=True):
        draw_leader(draw, anchor, rect, item.color)
    for item, lines, rect in zip(items, texts, rects, strict=True):
        draw_chip(draw, rect, lines, item.color)
    return np.asarray(Image.alpha_composite(image, layer).convert("RGB"), dtype=np.uint8)


def _pixel_rect(box: Box3D, intrinsics: CameraIntrinsics, width: int, height: int) -> Rect:
    """The part of the image that a box covers."""
    points = np.asarray([point for edge in visible_edges(box, intrinsics) for point in edge], dtype=np.float64)
    low, high = points.min(axis=0), points.max(axis=0)
    x0, x1 = np.clip([low[0], high[0]], 0, width)
    y0, y1 = np.clip([low[1], high[1]], 0, height)
    return float(x0), float(y0), float(x1), float(y1)
