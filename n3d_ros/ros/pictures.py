"""Pictures for people: boxes on the colour image, and the scene from above with a metric grid.

Both take everything in the camera optical frame. Lines are drawn at a multiple of the final size and averaged down;
text is set at the final size, where no two labels may cover each other. numpy, OpenCV and Pillow, no ROS.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from n3d_ros.detection import SupportSurface
from n3d_ros.errors import InputError
from n3d_ros.frame import RgbdFrame
from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.geometry.boxes import BOX_EDGES, CORNER_SIGNS, Box3D
from n3d_ros.geometry.camera import CameraIntrinsics, project
from n3d_ros.ros.overlay import NEAR_M, visible_edges

Color = tuple[int, int, int]
Rect = tuple[float, float, float, float]  # x0, y0, x1, y1 in pixels

SUPERSAMPLING = 3  # lines are drawn at this multiple and averaged down
INK: Color = (38, 42, 50)
SOFT_INK: Color = (110, 117, 128)
PAPER: Color = (250, 250, 247)
PLOT_GROUND: Color = (255, 255, 255)
GRID: Color = (226, 228, 232)
GRID_MAJOR: Color = (200, 204, 210)
SUPPORT: Color = (176, 138, 92)
CAMERA: Color = (40, 98, 190)
FALLBACK_FONTS = ("DejaVuSans.ttf", "LiberationSans-Regular.ttf", "Arial.ttf")  # for Pillow before 10.1

IMAGE_WIDTH = 1280  # of the annotated image, pixels
PLOT_SIZE = (980, 900)  # width, height of the plot of the top-down picture, pixels
LEGEND_WIDTH = 430
MARGIN = 64  # around the plot: room for the numbers of the grid
HEADER = 84
MAX_LEGEND_ROWS = 22
PLOT_MARGIN_M = 0.15  # shown around everything of interest
MAX_EXTENT_M = 12.0  # of the plot; walls further away do not shrink the objects
CLOUD_OPACITY = 0.55  # of the measured points under the boxes
FACES = tuple((axis, sign) for axis in range(3) for sign in (-1.0, 1.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureObject:
    """One object to show.

    Args:
        number: shown with it in both pictures; its id, or its place in a list.
        label: words.
        box: camera optical frame.
        color_rgb: (red, green, blue), 0 to 1.
    """

    number: int
    label: str
    box: Box3D
    color_rgb: tuple[float, float, float]

    @property
    def color(self) -> Color:
        """(red, green, blue), 0 to 255."""
        red, green, blue = (round(255 * channel) for channel in self.color_rgb)
        return red, green, blue

    @property
    def size_text(self) -> str:
        """Its lengths, the two horizontal-most first as the box gives them, in centimetres."""
        return " x ".join(f"{100 * length:.0f}" for length in self.box.size) + " cm"

    @property
    def distance_m(self) -> float:
        """Metres from the camera to the centre."""
        return float(np.linalg.norm(self.box.center))


# ------------------------------------------------------------------------------------------------- text and labels


@cache
def _font(size: int) -> Any:
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


def _text_size(text: str, size: int) -> tuple[int, int]:
    """Width and height of a line of text in pixels; the height is that of the font, so that lines align."""
    left, _, right, _ = _font(size).getbbox(text)
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


def _draw_chip(draw: ImageDraw.ImageDraw, rect: Rect, lines: Sequence[tuple[str, int, Color]], color: Color) -> None:
    """A label: dark rounded ground, a bar in the object's colour, lines of text."""
    x0, y0, _, y1 = rect
    draw.rounded_rectangle(rect, radius=5, fill=(24, 27, 33, 220))
    draw.rounded_rectangle((x0, y0, x0 + 6, y1), radius=3, fill=(*color, 255))
    y = y0 + 4
    for text, size, ink in lines:
        draw.text((x0 + 12, y), text, font=_font(size), fill=(*ink, 255))
        y += _text_size(text, size)[1]


def _chip_size(lines: Sequence[tuple[str, int, Color]]) -> tuple[int, int]:
    """Width and height of a label."""
    sizes = [_text_size(text, size) for text, size, _ in lines]
    return max(width for width, _ in sizes) + 22, sum(height for _, height in sizes) + 9


# ------------------------------------------------------------------------------------------------- annotated image


def annotated_image(frame: RgbdFrame, objects: Iterable[PictureObject]) -> NDArray[np.uint8]:
    """The colour image with the boxes projected on it.

    Args:
        frame: colour and intrinsics.
        objects: what to draw.

    Returns:
        (H, W, 3) uint8, ``IMAGE_WIDTH`` wide.
    """
    height = round(frame.intrinsics.height * IMAGE_WIDTH / frame.intrinsics.width)
    intrinsics = frame.intrinsics.resized(IMAGE_WIDTH, height)
    canvas = cv2.resize(frame.rgb, (IMAGE_WIDTH, height), interpolation=cv2.INTER_CUBIC)
    shown = [item for item in objects if visible_edges(item.box, intrinsics)]
    shown.sort(key=lambda item: -item.distance_m)
    for item in shown:
        canvas = _draw_box(np.asarray(canvas, dtype=np.uint8), item, intrinsics)
    return _with_image_labels(np.asarray(canvas, dtype=np.uint8), shown, intrinsics)


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
    rects = place_labels(anchors, [_chip_size(lines) for lines in texts], (6.0, 6.0, width - 6.0, height - 6.0))
    image = Image.fromarray(canvas).convert("RGBA")
    layer = Image.new("RGBA", image.size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    for item, anchor, rect in zip(items, anchors, rects, strict=True):
        _draw_leader(draw, anchor, rect, item.color)
    for item, lines, rect in zip(items, texts, rects, strict=True):
        _draw_chip(draw, rect, lines, item.color)
    return np.asarray(Image.alpha_composite(image, layer).convert("RGB"), dtype=np.uint8)


def _pixel_rect(box: Box3D, intrinsics: CameraIntrinsics, width: int, height: int) -> Rect:
    """The part of the image that a box covers."""
    points = np.asarray([point for edge in visible_edges(box, intrinsics) for point in edge], dtype=np.float64)
    low, high = points.min(axis=0), points.max(axis=0)
    x0, x1 = np.clip([low[0], high[0]], 0, width)
    y0, y1 = np.clip([low[1], high[1]], 0, height)
    return float(x0), float(y0), float(x1), float(y1)


def _draw_leader(draw: ImageDraw.ImageDraw, anchor: Rect, rect: Rect, color: Color) -> None:
    """A line from a label to what it names, where the two are apart."""
    start = ((rect[0] + rect[2]) / 2, (rect[1] + rect[3]) / 2)
    end = (float(np.clip(start[0], anchor[0], anchor[2])), float(np.clip(start[1], anchor[1], anchor[3])))
    inner = ((anchor[0] + anchor[2]) / 2, (anchor[1] + anchor[3]) / 2)
    end = (end[0] + 0.15 * (inner[0] - end[0]), end[1] + 0.15 * (inner[1] - end[1]))
    draw.line([start, end], fill=(24, 27, 33, 200), width=4)
    draw.line([start, end], fill=(*color, 255), width=2)


# ------------------------------------------------------------------------------------------------- from above


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ground:
    """The plane of the top-down picture: x right of the camera, y ahead of it, z up; the camera is at x = y = 0."""

    ground_R_camera: FloatArray

    def of(self, points: FloatArray) -> FloatArray:
        """Points of the camera frame."""
        turned: FloatArray = np.asarray(points, dtype=np.float64) @ self.ground_R_camera.T
        return turned


@dataclass(frozen=True, slots=True, kw_only=True)
class _Window:
    """The piece of ground that is shown, and where."""

    x0: float
    y0: float
    scale: float  # pixels per metre
    left: int
    top: int
    width: int
    height: int

    def pixels(self, points: FloatArray) -> FloatArray:
        """Pixels of ground points: x right, y up."""
        x = self.left + (points[..., 0] - self.x0) * self.scale
        y = self.top + self.height - (points[..., 1] - self.y0) * self.scale
        return np.stack([x, y], axis=-1)

    @property
    def rect(self) -> Rect:
        """The plot's rectangle."""
        return float(self.left), float(self.top), float(self.left + self.width), float(self.top + self.height)


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
    ground = _ground_frame(up)
    window = _window(ground, objects, surfaces)
    size = (MARGIN + PLOT_SIZE[0] + LEGEND_WIDTH, HEADER + PLOT_SIZE[1] + MARGIN)
    canvas = np.full((size[1], size[0], 3), PAPER, dtype=np.uint8)
    _paint_ground(canvas, window, ground, frame)
    step = _grid_step(window)
    canvas = _draw_lines(canvas, window, ground, objects, surfaces, intrinsics, step)
    return _draw_texts(canvas, window, ground, objects, surfaces, step, title, subtitle)


def _ground_frame(up: FloatArray) -> _Ground:
    """Axes of the picture: z up, y where the camera looks."""
    z = np.asarray(up, dtype=np.float64)
    if z.shape != (3,) or not np.linalg.norm(z) > 0:
        raise InputError(f"up: expected three numbers of length above 0, got {up!r}.")
    z = z / np.linalg.norm(z)
    ahead = np.array([0.0, 0.0, 1.0])
    if abs(ahead @ z) > 0.98:  # the camera looks straight down: the top of its image is ahead
        ahead = np.array([0.0, -1.0, 0.0])
    y = ahead - (ahead @ z) * z
    y /= np.linalg.norm(y)
    return _Ground(ground_R_camera=np.stack([np.cross(y, z), y, z]))


def _window(ground: _Ground, objects: Sequence[PictureObject], surfaces: Sequence[SupportSurface]) -> _Window:
    """The window that shows the camera and every object, and supports as far as they fit."""
    points = [np.zeros((1, 3)), *(ground.of(item.box.corners) for item in objects)]
    if not objects:
        points.append(np.array([[-1.0, 0.0, 0.0], [1.0, 2.0, 0.0]]))
    everything = np.concatenate(points)[:, :2]
    low, high = everything.min(axis=0) - PLOT_MARGIN_M, everything.max(axis=0) + PLOT_MARGIN_M
    outlines = [ground.of(surface.outline)[:, :2] for surface in surfaces if len(surface.outline)]
    if outlines:  # supports widen the view by at most half of what the objects need
        reach = 0.5 * float((high - low).max())
        flat = np.concatenate(outlines)
        low = np.maximum(np.minimum(low, flat.min(axis=0) - PLOT_MARGIN_M / 2), low - reach)
        high = np.minimum(np.maximum(high, flat.max(axis=0) + PLOT_MARGIN_M / 2), high + reach)
    extent = np.minimum(high - low, MAX_EXTENT_M)
    scale = float(min(PLOT_SIZE[0] / extent[0], PLOT_SIZE[1] / extent[1]))
    middle = (low + high) / 2
    x0, y0 = middle - np.array(PLOT_SIZE) / scale / 2
    return _Window(
        x0=float(x0), y0=float(y0), scale=scale, left=MARGIN, top=HEADER, width=PLOT_SIZE[0], height=PLOT_SIZE[1]
    )


def _paint_ground(canvas: NDArray[np.uint8], window: _Window, ground: _Ground, frame: RgbdFrame | None) -> None:
    """The plot's ground, with the measured points in their colours, the highest on top."""
    plot = canvas[window.top : window.top + window.height, window.left : window.left + window.width]
    plot[:] = PLOT_GROUND
    if frame is None:
        return
    points = frame.point_map()
    xyz = ground.of(points.xyz[points.valid].astype(np.float64))
    order = np.argsort(xyz[:, 2], kind="stable")
    pixels = np.floor(window.pixels(xyz[order])).astype(int) - (window.left, window.top)
    rgb = frame.rgb[points.valid][order]
    inside = (pixels >= 0).all(axis=1) & (pixels[:, 0] < window.width) & (pixels[:, 1] < window.height)
    pixels, rgb = pixels[inside], rgb[inside]
    cloud = np.zeros_like(plot)
    known = np.zeros(plot.shape[:2], dtype=np.uint8)
    cloud[pixels[:, 1], pixels[:, 0]], known[pixels[:, 1], pixels[:, 0]] = rgb, 255
    cloud, known = _without_pinholes(cloud, known)
    share = (CLOUD_OPACITY * (known / 255.0))[..., None]
    plot[:] = np.round(share * cloud + (1 - share) * np.asarray(PLOT_GROUND)).astype(np.uint8)


def _without_pinholes(
    cloud: NDArray[np.uint8], known: NDArray[np.uint8]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The points with the gaps between them filled from their neighbours: far surfaces are sampled thinly."""
    weight = known.astype(np.float32) / 255
    color = cloud.astype(np.float32)
    for radius in (3, 7):
        blurred = cv2.GaussianBlur(weight, (0, 0), radius / 2)
        spread = cv2.GaussianBlur(color * weight[..., None], (0, 0), radius / 2)
        gap = (weight == 0) & (blurred > 0.12)
        color[gap] = spread[gap] / blurred[gap][:, None]
        weight = np.maximum(weight, gap.astype(np.float32))
    return np.clip(color, 0, 255).astype(np.uint8), (weight * 255).astype(np.uint8)


def _grid_step(window: _Window) -> float:
    """Metres between grid lines: a round length that gives five to twelve of them."""
    extent = window.width / window.scale
    return next(step for step in (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0) if extent / step <= 12 or step == 5.0)


def _grid_values(low: float, extent: float, step: float) -> list[float]:
    """Multiples of the step within the window."""
    first = int(np.ceil(low / step))
    return [i * step for i in range(first, int(np.floor((low + extent) / step)) + 1)]


def _draw_lines(
    canvas: NDArray[np.uint8],
    window: _Window,
    ground: _Ground,
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

    def __init__(self, image: NDArray[np.uint8], window: _Window, factor: int) -> None:
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


def _draw_grid(painter: _Painter, window: _Window, step: float) -> None:
    """Grid lines, the axes through the camera a little stronger."""
    width_m, height_m = window.width / window.scale, window.height / window.scale
    for x in _grid_values(window.x0, width_m, step):
        ends = np.array([[x, window.y0], [x, window.y0 + height_m]])
        painter.polyline(ends, GRID_MAJOR if x == 0 else GRID, width=1.0)
    for y in _grid_values(window.y0, height_m, step):
        ends = np.array([[window.x0, y], [window.x0 + width_m, y]])
        painter.polyline(ends, GRID_MAJOR if y == 0 else GRID, width=1.0)


def _draw_view(painter: _Painter, view: FloatArray, window: _Window) -> None:
    """The camera, and the ground it can see."""
    painter.polygon(view, CAMERA, fill=0.05, width=1.3)
    body = 16 / window.scale  # sixteen pixels, whatever the scale
    triangle = np.array([[0.0, -0.35], [0.75, 0.85], [-0.75, 0.85]]) * body
    painter.polygon(triangle, CAMERA, fill=1.0, width=1.5, edge=_darker(CAMERA))


def _seen_ground(
    ground: _Ground, objects: Sequence[PictureObject], intrinsics: CameraIntrinsics, reach_m: float
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
    window: _Window,
    ground: _Ground,
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
    draw.text((MARGIN, 18), title, font=_font(28), fill=INK)
    draw.text((MARGIN, 53), subtitle, font=_font(16), fill=SOFT_INK)
    _write_grid_numbers(draw, window, step)
    bar = _draw_scale_bar(draw, window, step)
    _write_labels(draw, window, ground, objects, bar)
    _write_legend(draw, window, objects, surfaces)
    return np.asarray(Image.alpha_composite(image, layer).convert("RGB"), dtype=np.uint8)


def _write_grid_numbers(draw: ImageDraw.ImageDraw, window: _Window, step: float) -> None:
    """Metres at the grid lines and what they mean."""
    digits = 2 if step < 0.1 else 1 if step < 1 else 0
    bottom = window.top + window.height
    for x in _grid_values(window.x0, window.width / window.scale, step):
        u = window.left + (x - window.x0) * window.scale
        draw.text((u, bottom + 7), f"{x:.{digits}f}", font=_font(14), fill=SOFT_INK, anchor="ma")
    for y in _grid_values(window.y0, window.height / window.scale, step):
        v = bottom - (y - window.y0) * window.scale
        draw.text((window.left - 9, v), f"{y:.{digits}f}", font=_font(14), fill=SOFT_INK, anchor="rm")
    middle = window.left + window.width / 2
    draw.text((middle, bottom + 32), "metres to the right of the camera", font=_font(15), fill=INK, anchor="ma")
    tip = Image.new("RGBA", (260, 22), (0, 0, 0, 0))
    ImageDraw.Draw(tip).text((130, 2), "metres ahead of the camera", font=_font(15), fill=INK, anchor="ma")
    turned = tip.rotate(90, expand=True)
    draw.bitmap((4, window.top + window.height // 2 - 130), turned.getchannel("A"), fill=INK)


def _draw_scale_bar(draw: ImageDraw.ImageDraw, window: _Window, step: float) -> Rect:
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
    draw.text(((x0 + x1) / 2, y - 8), text, font=_font(15), fill=INK, anchor="ms")
    return ground


def _write_labels(
    draw: ImageDraw.ImageDraw, window: _Window, ground: _Ground, objects: Sequence[PictureObject], bar: Rect
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
    sizes = [(1, 1), *(_chip_size(lines) for lines in texts[1:])]
    bounds = (window.rect[0] + 5, window.rect[1] + 5, window.rect[2] - 5, window.rect[3] - 5)
    rects = place_labels(anchors, sizes, bounds)
    shown = list(zip(anchors, rects, texts, colors, strict=True))[1:]
    for anchor, rect, _, color in shown:
        _draw_leader(draw, anchor, rect, color)
    for _, rect, lines, color in shown:
        _draw_chip(draw, rect, lines, color)


def _write_legend(
    draw: ImageDraw.ImageDraw, window: _Window, objects: Sequence[PictureObject], surfaces: Sequence[SupportSurface]
) -> None:
    """The list of objects with size and distance, and what the other colours mean."""
    x, y = window.left + window.width + 24, window.top
    draw.text((x, y), "Object", font=_font(16), fill=SOFT_INK)
    draw.text((x + 228, y), "size", font=_font(16), fill=SOFT_INK, anchor="la")
    draw.text((x + 388, y), "away", font=_font(16), fill=SOFT_INK, anchor="ra")
    y += 28
    for item in objects[:MAX_LEGEND_ROWS]:
        draw.rounded_rectangle(
            (x, y + 1, x + 26, y + 21), radius=4, fill=(*item.color, 255), outline=_darker(item.color)
        )
        ink: Color = (255, 255, 255) if sum(item.color) < 450 else INK
        draw.text((x + 13, y + 11), str(item.number), font=_font(14), fill=ink, anchor="mm")
        draw.text((x + 36, y + 1), _shortened(item.label, 184, 16), font=_font(16), fill=INK)
        draw.text((x + 228, y + 2), item.size_text.removesuffix(" cm"), font=_font(15), fill=INK)
        draw.text((x + 388, y + 2), f"{item.distance_m:.2f} m", font=_font(15), fill=INK, anchor="ra")
        y += 31
    if len(objects) > MAX_LEGEND_ROWS:
        draw.text((x, y), f"and {len(objects) - MAX_LEGEND_ROWS} more", font=_font(16), fill=SOFT_INK)
        y += 31
    y += 14
    draw.text((x, y), "sizes in cm, along the box's own axes", font=_font(14), fill=SOFT_INK)
    keys = [("camera, and the ground it sees", CAMERA)]
    keys += [(f"support: {kind}", SUPPORT) for kind in sorted({s.kind for s in surfaces if s.kind != "wall"})]
    for text, color in keys:
        y += 28
        draw.rounded_rectangle((x, y + 3, x + 26, y + 17), radius=3, fill=(*color, 70), outline=color, width=2)
        draw.text((x + 36, y), text, font=_font(15), fill=INK)


def _shortened(text: str, width: int, size: int) -> str:
    """The text, cut with dots where it is wider than its column."""
    if _text_size(text, size)[0] <= width:
        return text
    while text and _text_size(text + "...", size)[0] > width:
        text = text[:-1]
    return text.rstrip() + "..."


def write_png(path: str | Path, rgb: NDArray[np.uint8]) -> None:
    """Writes a picture.

    Args:
        path: to write.
        rgb: (H, W, 3) uint8.

    Raises:
        InputError: it cannot be written there.
    """
    try:
        Image.fromarray(rgb).save(path, format="PNG", compress_level=6)
    except OSError as error:
        raise InputError(f"{path}: the picture cannot be written ({error.strerror or error}).") from error
