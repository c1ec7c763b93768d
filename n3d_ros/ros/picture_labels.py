"""Labels in pictures: text, and places for it where no label covers another."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from PIL import ImageDraw, ImageFont

from n3d_ros.ros.pictures import Color

Rect = tuple[float, float, float, float]  # x0, y0, x1, y1 in pixels

FALLBACK_FONTS = ("DejaVuSans.ttf", "LiberationSans-Regular.ttf", "Arial.ttf")  # for Pillow before 10.1


@cache
def font(size: int) -> Any:
    """A scalable font: Pillow's own, else one of the system, else Pillow's bitmap."""
    try:
        return ImageFont.load_default(size=size)
    except TypeError:  # Pillow before 10.1 takes no size
        fonts = (_system_font(name, size) for name in FALLBACK_FONTS)
        return next(filter(None, fonts), None) or ImageFont.load_default()


def _system_font(name: str, size: int) -> Any:
    """A font of the system, None when it has no such font."""
    try:
        return ImageFont.truetype(name, size)
    except OSError:
        return None


def text_size(text: str, size: int) -> tuple[int, int]:
    """Width and height of a line of text in pixels; the height is that of the font, so that lines align."""
    left, _, right, _ = font(size).getbbox(text)
    return int(right - left), round(size * 1.2)


def _overlap(a: Rect, b: Rect) -> float:
    """Area two rectangles share, square pixels."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return max(0.0, width) * max(0.0, height)


def place_labels(
    anchors: Sequence[Rect], sizes: Sequence[tuple[int, int]], bounds: Rect, *, gap: float = 8.0
) -> list[Rect]:
    """Places for labels near what they name, none on another and as little as possible on what is shown.

    Args:
        anchors: the rectangle each label belongs to, pixels.
        sizes: width and height of each label, pixels.
        bounds: the rectangle all labels stay in.
        gap: pixels between a label and its anchor.

    Returns:
        One rectangle per label, in the given order.
    """
    placed: list[Rect] = [(0.0, 0.0, 0.0, 0.0)] * len(anchors)
    taken: list[Rect] = []
    # Small things first: they have the fewest good places.
    order = sorted(range(len(anchors)), key=lambda i: (anchors[i][2] - anchors[i][0]) * (anchors[i][3] - anchors[i][1]))
    for i in order:
        candidates = _candidates(anchors[i], sizes[i], bounds, gap)
        best = min(candidates, key=lambda item: _cost(item, anchors[i], taken, anchors))
        placed[i] = best[1]
        taken.append(best[1])
    return placed


def _candidates(anchor: Rect, size: tuple[int, int], bounds: Rect, gap: float) -> list[tuple[float, Rect]]:
    """Places around an anchor with the effort each costs: above first, then the sides, then further away."""
    width, height = size
    middle_x, middle_y = (anchor[0] + anchor[2]) / 2, (anchor[1] + anchor[3]) / 2
    half_w, half_h = (anchor[2] - anchor[0]) / 2, (anchor[3] - anchor[1]) / 2
    found = []
    for ring in range(7):
        reach = gap + ring * 0.8 * height
        for step in range(16):
            angle = -np.pi / 2 + step * np.pi / 8
            dx, dy = np.cos(angle), np.sin(angle)
            x = middle_x + dx * (half_w + reach + width / 2) - width / 2
            y = middle_y + dy * (half_h + reach + height / 2) - height / 2
            x = float(np.clip(x, bounds[0], max(bounds[0], bounds[2] - width)))
            y = float(np.clip(y, bounds[1], max(bounds[1], bounds[3] - height)))
            effort = ring * 40.0 + min(step, 16 - step) * 6.0
            found.append((effort, (x, y, x + width, y + height)))
    return found


def _cost(item: tuple[float, Rect], own: Rect, taken: Sequence[Rect], anchors: Sequence[Rect]) -> float:
    """How bad a place is: labels must not touch, what is shown should stay visible."""
    effort, rect = item
    area = (rect[2] - rect[0]) * (rect[3] - rect[1])
    grown = (rect[0] - 3, rect[1] - 3, rect[2] + 3, rect[3] + 3)
    on_labels = sum(_overlap(grown, other) for other in taken) / area
    on_objects = sum(_overlap(rect, other) for other in anchors if other is not own) / area
    return effort + 3000.0 * on_labels + 180.0 * on_objects + 120.0 * _overlap(rect, own) / area


def draw_chip(draw: ImageDraw.ImageDraw, rect: Rect, lines: Sequence[tuple[str, int, Color]], color: Color) -> None:
    """A label: dark rounded ground, a bar in the object's colour, lines of text."""
    x0, y0, _, y1 = rect
    draw.rounded_rectangle(rect, radius=5, fill=(24, 27, 33, 220))
    draw.rounded_rectangle((x0, y0, x0 + 6, y1), radius=3, fill=(*color, 255))
    y = y0 + 4
    for text, size, ink in lines:
        draw.text((x0 + 12, y), text, font=font(size), fill=(*ink, 255))
        y += text_size(text, size)[1]


def chip_size(lines: Sequence[tuple[str, int, Color]]) -> tuple[int, int]:
    """Width and height of a label."""
    sizes = [text_size(text, size) for text, size, _ in lines]
    return max(width for width, _ in sizes) + 22, sum(height for _, height in sizes) + 9


def draw_leader(draw: ImageDraw.ImageDraw, anchor: Rect, rect: Rect, color: Color) -> None:
    """A line from a label to what it names, where the two are apart."""
    start = ((rect[0] + rect[2]) / 2, (rect[1] + rect[3]) / 2)
    end = (float(np.clip(start[0], anchor[0], anchor[2])), float(np.clip(start[1], anchor[1], anchor[3])))
    inner = ((anchor[0] + anchor[2]) / 2, (anchor[1] + anchor[3]) / 2)
    end = (end[0] + 0.15 * (inner[0] - end[0]), end[1] + 0.15 * (inner[1] - end[1]))
    draw.line([start, end], fill=(24, 27, 33, 200), width=4)
    draw.line([start, end], fill=(*color, 255), width=2)


def shortened(text: str, width: int, size: int) -> str:
    """The text, cut with dots where it is wider than its column."""
    if text_size(text, size)[0] <= width:
        return text
    while text and text_size(text + "...", size)[0] > width:
        text = text[:-1]
    return text.rstrip() + "..."
