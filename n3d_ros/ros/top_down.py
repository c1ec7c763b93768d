"""The scene from above: metric grid, camera and the ground it sees, supports, boxes with labels, legend."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from n3d_ros.detection import SupportSurface
from n3d_ros.frame import RgbdFrame
from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.geometry.camera import CameraIntrinsics
from n3d_ros.ros.picture_labels import (
    Rect,
    chip_size,
    draw_chip,
    draw_leader,
    font,
    place_labels,
    shortened,
)
from n3d_ros.ros.pictures import Color, PictureObject
from n3d_ros.ros.top_down_ground import (
    HEADER,
    MARGIN,
    PLOT_SIZE,
    Ground,
    Window,
    grid_step,
    grid_values,
    ground_frame,
    paint_ground,
    window_of,
)

SUPERSAMPLING = 3  # lines are drawn at this multiple and averaged down
INK: Color = (38, 42, 50)
SOFT_INK: Color = (110, 117, 128)
PAPER: Color = (250, 250, 247)
GRID: Color = (226, 228, 232)
GRID_MAJOR: Color = (200, 204, 210)
SUPPORT: Color = (176, 138, 92)
CAMERA: Color = (40, 98, 190)
LEGEND_WIDTH = 430
MAX_LEGEND_ROWS = 22


def top_down_picture(
    objects: Sequence[PictureObject],
    *,
    up: FloatArray,
    intrinsics: CameraIntrinsics,
    surfaces: Sequence[SupportSurface] = (),
    frame: RgbdFrame | None = None,
    title: str = "The scene from above",
    subtitle: str = "",
) -> NDArray[np.uint8]:
    """The scene seen from above: metric grid, camera and the ground it sees, supports, boxes with labels, legend.

    Args:
        objects: what to draw.
        up: (3,) against gravity.
        intrinsics: of the camera, for the ground it sees.
        surfaces: supports whose outline is drawn.
        frame: measured points to draw under everything; None: none.
        title: first line.
        subtitle: second line, small.

    Returns:
        (H, W, 3) uint8.
    """
    ground = ground_frame(up)
    window = window_of(ground, objects, surfaces)
    size = (MARGIN + PLOT_SIZE[0] + LEGEND_WIDTH, HEADER + PLOT_SIZE[1] + MARGIN)
    canvas = np.full((size[1], size[0], 3), PAPER, dtype=np.uint8)
    paint_ground(canvas, window, ground, frame)
    step = grid_step(window)
    canvas = _draw_lines(canvas, window, ground, objects, surfaces, intrinsics, step)
    return _draw_texts(canvas, window, ground, objects, surfaces, step, title, subtitle)


def _draw_lines(
    canvas: NDArray[np.uint8],
    window: Window,
    ground: Ground,
    objects: Sequence[PictureObject],
    surfaces: Sequence[SupportSurface],
    intrinsics: CameraIntrinsics,
    step: float,
) -> NDArray[np.uint8]:
    """Everything but text, drawn large and averaged down."""
    n = SUPERSAMPLING
    left, top, width, height = window.left, window.top, window.width, window.height
    plot = np.ascontiguousarray(canvas[top : top + height, left : left + width])
    big = cv2.resize(plot, (width * n, height * n), interpolation=cv2.INTER_NEAREST)
    painter = _Painter(np.asarray(big, dtype=np.uint8), window, n)
    _draw_grid(painter, window, step)
    for surface in surfaces:
        if len(surface.outline) >= 3 and surface.kind != "wall":
            fill = 0.0 if surface.kind == "floor" else 0.10
            painter.polygon(ground.of(surface.outline), SUPPORT, fill=fill, width=2.2)
    reach = float(np.hypot(window.width, window.height) / window.scale)
    _draw_view(painter, _seen_ground(ground, objects, intrinsics, reach), window)
    # Low boxes first, so that what stands on them is drawn over them.
    for item in sorted(objects, key=lambda item: float(ground.of(item.box.corners)[:, 2].max())):
        footprint = ground.of(item.box.corners)
        hull = cv2.convexHull(footprint[:, :2].astype(np.float32)).reshape(-1, 2)
        painter.polygon(hull.astype(np.float64), item.color, fill=0.45, width=2.4, edge=_darker(item.color))
    small = cv2.resize(painter.image, (width, height), interpolation=cv2.INTER_AREA)
    canvas = canvas.copy()
    canvas[top : top + height, left : left + width] = small
    cv2.rectangle(canvas, (left - 1, top - 1), (left + width, top + height), GRID_MAJOR, 1)
    return canvas


class _Painter:
    """Draws shapes given in ground metres on the enlarged plot."""

    def __init__(self, image: NDArray[np.uint8], window: Window, factor: int) -> None:
        self.image, self._window, self._factor = image, window, factor

    def pixels(self, points: FloatArray) -> NDArray[np.int32]:
        """Pixels of the enlarged plot with four fractional bits, as OpenCV takes them."""
        relative = self._window.pixels(points) - (self._window.left, self._window.top)
        return np.round(np.clip(relative * self._factor, -1e5, 1e5) * 16).astype(np.int32)

    def polygon(
        self, points: FloatArray, color: Color, *, fill: float, width: float, edge: Color | None = None
    ) -> None:
        """A polygon, filled with some opacity, with an edge."""
        pixels = self.pixels(points)[:, None, :]
        if fill:
            tinted = self.image.copy()
            cv2.fillPoly(tinted, [pixels], color, cv2.LINE_AA, 4)
            self.image = np.asarray(cv2.addWeighted(tinted, fill, self.image, 1 - fill, 0), dtype=np.uint8)
        self.polyline(points, edge or color, width=width, closed=True)

    def polyline(self, points: FloatArray, color: Color, *, width: float, closed: bool = False) -> None:
        """Straight lines."""
        thickness = max(1, round(width * self._factor))
        cv2.polylines(self.image, [self.pixels(points)[:, None, :]], closed, color, thickness, cv2.LINE_AA, 4)


def _draw_grid(painter: _Painter, window: Window, step: float) -> None:
    """Grid lines, the axes through the camera a little stronger."""
    width_m, height_m = window.width / window.scale, window.height / window.scale
    for x in grid_values(window.x0, width_m, step):
        ends = np.array([[x, window.y0], [x, window.y0 + height_m]])
        painter.polyline(ends, GRID_MAJOR if x == 0 else GRID, width=1.0)
    for y in grid_values(window.y0, height_m, step):
        ends = np.array([[window.x0, y], [window.x0 + width_m, y]])
        painter.polyline(ends, GRID_MAJOR if y == 0 else GRID, width=1.0)


def _draw_view(painter: _Painter, view: FloatArray, window: Window) -> None:
    """The camera, and the ground it can see."""
    painter.polygon(view, CAMERA, fill=0.05, width=1.3)
    body = 16 / window.scale  # sixteen pixels, whatever the scale
    triangle = np.array([[0.0, -0.35], [0.75, 0.85], [-0.75, 0.85]]) * body
    painter.polygon(triangle, CAMERA, fill=1.0, width=1.5, edge=_darker(CAMERA))


def _seen_ground(
    ground: Ground, objects: Sequence[PictureObject], intrinsics: CameraIntrinsics, reach_m: float
) -> FloatArray:
    """(4, 2) corners of what the camera sees of the level its objects stand on, metres; far corners are cut."""
    bottoms = [float(ground.of(item.box.corners)[:, 2].min()) for item in objects]
    depth = max(0.05, -float(np.median(bottoms))) if bottoms else 1.0
    right, bottom = intrinsics.width - 0.5, intrinsics.height - 0.5
    pixels = np.array([[-0.5, bottom], [right, bottom], [right, -0.5], [-0.5, -0.5]])
    rays = ground.of(
        np.column_stack(
            [
                (pixels[:, 0] - intrinsics.cx) / intrinsics.fx,
                (pixels[:, 1] - intrinsics.cy) / intrinsics.fy,
                np.ones(4),
            ]
        )
    )
    lengths = np.linalg.norm(rays[:, :2], axis=1)
    # A ray that does not go down meets the ground nowhere; it is drawn as far as the picture reaches.
    steps = np.where(rays[:, 2] < -1e-3, depth / np.maximum(-rays[:, 2], 1e-3), np.inf)
    steps = np.minimum(steps, reach_m / np.maximum(lengths, 1e-9))
    seen: FloatArray = rays[:, :2] * steps[:, None]
    return seen


def _darker(color: Color) -> Color:
    """The colour for an edge."""
    red, green, blue = (round(0.62 * channel) for channel in color)
    return red, green, blue


def _draw_texts(
    canvas: NDArray[np.uint8],
    window: Window,
    ground: Ground,
    objects: Sequence[PictureObject],
    surfaces: Sequence[SupportSurface],
    step: float,
    title: str,
    subtitle: str,
) -> NDArray[np.uint8]:
    """Titles, numbers of the grid, labels, scale bar and legend."""
    image = Image.fromarray(canvas).convert("RGBA")
    layer = Image.new("RGBA", image.size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    draw.text((MARGIN, 18), title, font=font(28), fill=INK)
    draw.text((MARGIN, 53), subtitle, font=font(16), fill=SOFT_INK)
    _write_grid_numbers(draw, window, step)
    bar = _draw_scale_bar(draw, window, step)
    _write_labels(draw, window, ground, objects, bar)
    _write_legend(draw, window, objects, surfaces)
    return np.asarray(Image.alpha_composite(image, layer).convert("RGB"), dtype=np.uint8)


def _write_grid_numbers(draw: ImageDraw.ImageDraw, window: Window, step: float) -> None:
    """Metres at the grid lines and what they mean."""
    digits = 2 if step < 0.1 else 1 if step < 1 else 0
    bottom = window.top + window.height
    for x in grid_values(window.x0, window.width / window.scale, step):
        u = window.left + (x - window.x0) * window.scale
        draw.text((u, bottom + 7), f"{x:.{digits}f}", font=font(14), fill=SOFT_INK, anchor="ma")
    for y in grid_values(window.y0, window.height / window.scale, step):
        v = bottom - (y - window.y0) * window.scale
        draw.text((window.left - 9, v), f"{y:.{digits}f}", font=font(14), fill=SOFT_INK, anchor="rm")
    middle = window.left + window.width / 2
    draw.text((middle, bottom + 32), "metres to the right of the camera", font=font(15), fill=INK, anchor="ma")
    tip = Image.new("RGBA", (260, 22), (0, 0, 0, 0))
    ImageDraw.Draw(tip).text((130, 2), "metres ahead of the camera", font=font(15), fill=INK, anchor="ma")
    turned = tip.rotate(90, expand=True)
    draw.bitmap((4, window.top + window.height // 2 - 130), turned.getchannel("A"), fill=INK)


def _draw_scale_bar(draw: ImageDraw.ImageDraw, window: Window, step: float) -> Rect:
    """A bar of one grid step in the corner; returns the place it takes."""
    length = step * window.scale
    x1, y = window.left + window.width - 20, window.top + window.height - 20
    x0 = x1 - length
    text = f"{step:g} m" if step >= 1 else f"{100 * step:.0f} cm"
    ground: Rect = (x0 - 12, y - 34, x1 + 12, y + 12)
    draw.rounded_rectangle(ground, radius=5, fill=(255, 255, 255, 225))
    draw.line([(x0, y), (x1, y)], fill=INK, width=4)
    for x in (x0, x1):
        draw.line([(x, y - 6), (x, y + 6)], fill=INK, width=3)
    draw.text(((x0 + x1) / 2, y - 8), text, font=font(15), fill=INK, anchor="ms")
    return ground


def _write_labels(
    draw: ImageDraw.ImageDraw, window: Window, ground: Ground, objects: Sequence[PictureObject], bar: Rect
) -> None:
    """Number and words beside every footprint, and "camera" beside the camera."""
    camera = window.pixels(np.zeros((1, 3)))[0]
    anchors: list[Rect] = [bar, (camera[0] - 14, camera[1] - 18, camera[0] + 14, camera[1] + 8)]
    texts: list[tuple[tuple[str, int, Color], ...]] = [(("", 1, INK),), (("camera", 16, (255, 255, 255)),)]
    colors: list[Color] = [INK, CAMERA]
    for item in objects:
        pixels = window.pixels(ground.of(item.box.corners))
        low, high = pixels.min(axis=0), pixels.max(axis=0)
        anchors.append((float(low[0]), float(low[1]), float(high[0]), float(high[1])))
        texts.append(((f"{item.number}  {item.label}", 16, (255, 255, 255)),))
        colors.append(item.color)
    sizes = [(1, 1), *(chip_size(lines) for lines in texts[1:])]
    bounds = (window.rect[0] + 5, window.rect[1] + 5, window.rect[2] - 5, window.rect[3] - 5)
    rects = place_labels(anchors, sizes, bounds)
    shown = list(zip(anchors, rects, texts, colors, strict=True))[1:]
    for anchor, rect, _, color in shown:
        draw_leader(draw, anchor, rect, color)
    for _, rect, lines, color in shown:
        draw_chip(draw, rect, lines, color)


def _write_legend(
    draw: ImageDraw.ImageDraw, window: Window, objects: Sequence[PictureObject], surfaces: Sequence[SupportSurface]
) -> None:
    """The list of objects with size and distance, and what the other colours mean."""
    x, y = window.left + window.width + 24, window.top
    draw.text((x, y), "Object", font=font(16), fill=SOFT_INK)
    draw.text((x + 228, y), "size", font=font(16), fill=SOFT_INK, anchor="la")
    draw.text((x + 388, y), "away", font=font(16), fill=SOFT_INK, anchor="ra")
    y += 28
    for item in objects[:MAX_LEGEND_ROWS]:
        draw.rounded_rectangle(
            (x, y + 1, x + 26, y + 21), radius=4, fill=(*item.color, 255), outline=_darker(item.color)
        )
        ink: Color = (255, 255, 255) if sum(item.color) < 450 else INK
        draw.text((x + 13, y + 11), str(item.number), font=font(14), fill=ink, anchor="mm")
        draw.text((x + 36, y + 1), shortened(item.label, 184, 16), font=font(16), fill=INK)
        draw.text((x + 228, y + 2), item.size_text.removesuffix(" cm"), font=font(15), fill=INK)
        draw.text((x + 388, y + 2), f"{item.distance_m:.2f} m", font=font(15), fill=INK, anchor="ra")
        y += 31
    if len(objects) > MAX_LEGEND_ROWS:
        draw.text((x, y), f"and {len(objects) - MAX_LEGEND_ROWS} more", font=font(16), fill=SOFT_INK)
        y += 31
    y += 14
    draw.text((x, y), "sizes in cm, along the box's own axes", font=font(14), fill=SOFT_INK)
    keys = [("camera, and the ground it sees", CAMERA)]
    keys += [(f"support: {kind}", SUPPORT) for kind in sorted({s.kind for s in surfaces if s.kind != "wall"})]
    for text, color in keys:
        y += 28
        draw.rounded_rectangle((x, y + 3, x + 26, y + 17), radius=3, fill=(*color, 70), outline=color, width=2)
        draw.text((x + 36, y), text, font=font(15), fill=INK)
