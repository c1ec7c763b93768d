"""Boxes drawn on the colour image: for ``~/debug/image``, the demo and reports. numpy and OpenCV only."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from n3d_ros.detection import Detection3D
from n3d_ros.geometry.boxes import BOX_EDGES, Box3D
from n3d_ros.geometry.camera import CameraIntrinsics, project

NEAR_M = 0.02  # metres before the camera at which an edge is cut, so that nothing behind it is drawn

DASH_PX = 6  # length of the dashes of raw boxes, and of the gaps between them

# One colour per basic colour word, RGB 0 to 1, bright enough to be seen on dark and light images.
WORD_COLORS: dict[str, tuple[float, float, float]] = {
    "red": (0.90, 0.16, 0.16),
    "orange": (1.00, 0.55, 0.10),
    "yellow": (0.95, 0.85, 0.15),
    "green": (0.18, 0.75, 0.25),
    "cyan": (0.10, 0.80, 0.85),
    "blue": (0.20, 0.40, 0.95),
    "purple": (0.60, 0.30, 0.85),
    "pink": (1.00, 0.50, 0.70),
    "brown": (0.60, 0.38, 0.20),
    "white": (0.95, 0.95, 0.95),
    "gray": (0.60, 0.60, 0.60),
    "grey": (0.60, 0.60, 0.60),
    "black": (0.22, 0.22, 0.22),
}
PALETTE: tuple[tuple[float, float, float], ...] = (
    (0.12, 0.47, 0.71),
    (1.00, 0.50, 0.05),
    (0.17, 0.63, 0.17),
    (0.84, 0.15, 0.16),
    (0.58, 0.40, 0.74),
    (0.55, 0.34, 0.29),
    (0.89, 0.47, 0.76),
    (0.74, 0.74, 0.13),
    (0.09, 0.75, 0.81),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlayItem:
    """One box to draw.

    Args:
        box: in the camera optical frame.
        text: written beside it; empty: nothing.
        color_rgb: (red, green, blue), 0 to 1.
        is_raw: drawn thin and dashed: a box as it was before it was fitted to the measured points.
    """

    box: Box3D
    text: str
    color_rgb: tuple[float, float, float]
    is_raw: bool = False


def display_color(color_word: str | None, key: int | str) -> tuple[float, float, float]:
    """The colour an object is shown in: that of its colour word, else one that its key always gets.

    Args:
        color_word: such as "red" or "red and white", whose first known word counts; None: unknown.
        key: the object's id, or its label.

    Returns:
        (red, green, blue), 0 to 1.
    """
    for word in (color_word or "").split():
        if word in WORD_COLORS:
            return WORD_COLORS[word]
    # crc32 and not hash(): the same colour in every run
    index = key if isinstance(key, int) else zlib.crc32(key.encode())
    return PALETTE[index % len(PALETTE)]


def raw_items(detections: Iterable[Detection3D]) -> list[OverlayItem]:
    """What to draw of boxes that were not yet fitted to the measured points.

    Args:
        detections: camera optical frame.

    Returns:
        Dashed boxes in the colour of their name, without text: the fitted ones have it.
    """
    return [
        OverlayItem(box=one.box, text="", color_rgb=display_color(one.color, one.label), is_raw=True)
        for one in detections
    ]


def draw_boxes(rgb: NDArray[np.uint8], intrinsics: CameraIntrinsics, items: Iterable[OverlayItem]) -> NDArray[np.uint8]:
    """A copy of the image with the edges and texts of the boxes drawn on it, far ones first.

    Args:
        rgb: (H, W, 3) uint8.
        intrinsics: of the image.
        items: what to draw.

    Returns:
        (H, W, 3) uint8, new memory.
    """
    import cv2  # here, since it takes 0.1 s to load and most frames are never drawn

    canvas = np.array(rgb, dtype=np.uint8, order="C", copy=True)
    thickness = max(1, round(canvas.shape[1] / 400))
    for item in sorted(items, key=lambda item: -float(item.box.center[2])):
        color = tuple(round(255 * channel) for channel in item.color_rgb)
        for start, end in visible_edges(item.box, intrinsics):
            for begin, stop in _dashes(start, end, canvas.shape) if item.is_raw else ((start, end),):
                cv2.line(canvas, begin, stop, color, 1 if item.is_raw else thickness, cv2.LINE_AA)
        if item.text:
            _write(canvas, item, intrinsics, color, thickness)
    return canvas


def visible_edges(box: Box3D, intrinsics: CameraIntrinsics) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """The box's edges in pixels, cut where they pass behind the camera.

    Args:
        box: in the camera optical frame.
        intrinsics: of the image.

    Returns:
        Pairs of (u, v); an edge wholly behind the camera is left out.
    """
    corners = box.corners
    edges = []
    for i, j in BOX_EDGES:
        segment = _clipped(corners[i], corners[j])
        if segment is not None:
            # OpenCV takes 32-bit integers; a corner just before the camera can project much further out
            pixels = np.clip(project(segment, intrinsics), -1e5, 1e5).round().astype(int)
            edges.append(((int(pixels[0, 0]), int(pixels[0, 1])), (int(pixels[1, 0]), int(pixels[1, 1]))))
    return edges


def _dashes(
    start: tuple[int, int], end: tuple[int, int], shape: tuple[int, ...]
) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """The dashes of an edge, as far as it lies in the image."""
    import cv2

    is_inside, begin, stop = cv2.clipLine((0, 0, shape[1], shape[0]), start, end)
    if not is_inside:
        return []
    count = max(1, round(float(np.hypot(stop[0] - begin[0], stop[1] - begin[1])) / (2 * DASH_PX)))
    ends = np.linspace(begin, stop, 2 * count + 1).round().astype(int)
    return [((int(a[0]), int(a[1])), (int(b[0]), int(b[1]))) for a, b in zip(ends[:-1:2], ends[1::2], strict=True)]


def _clipped(start: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """The part of a segment at least ``NEAR_M`` before the camera; None when there is none."""
    if start[2] < NEAR_M and end[2] < NEAR_M:
        return None
    if start[2] >= NEAR_M and end[2] >= NEAR_M:
        return np.stack([start, end])
    fraction = (NEAR_M - start[2]) / (end[2] - start[2])
    cut = start + fraction * (end - start)
    return np.stack([cut, end]) if start[2] < NEAR_M else np.stack([start, cut])


def _write(
    canvas: NDArray[np.uint8], item: OverlayItem, intrinsics: CameraIntrinsics, color: tuple[int, ...], thickness: int
) -> None:
    """Writes the item's text above its box, on a dark ground, inside the image."""
    import cv2

    points = [point for edge in visible_edges(item.box, intrinsics) for point in edge]
    if not points:
        return
    height, width = canvas.shape[:2]
    scale = max(0.4, width / 1600)
    (text_width, text_height), baseline = cv2.getTextSize(item.text, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
    u = int(np.clip(min(point[0] for point in points), 0, max(width - text_width, 0)))
    v = int(np.clip(min(point[1] for point in points) - baseline, text_height, height - baseline))
    corner = (u + text_width, v + baseline)
    cv2.rectangle(canvas, (u, v - text_height), corner, (20, 20, 20), -1)
    ink = color if sum(color) > 150 else (220, 220, 220)
    cv2.putText(canvas, item.text, (u, v), cv2.FONT_HERSHEY_SIMPLEX, scale, ink, thickness, cv2.LINE_AA)
