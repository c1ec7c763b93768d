"""The ground of the picture from above: which piece of it is shown, its grid, and the measured points on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from n3d_ros.detection import SupportSurface
from n3d_ros.errors import InputError
from n3d_ros.frame import RgbdFrame
from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.ros.picture_labels import Rect
from n3d_ros.ros.pictures import Color, PictureObject

PLOT_GROUND: Color = (255, 255, 255)
PLOT_SIZE = (980, 900)  # width, height of the plot of the top-down picture, pixels
MARGIN = 64  # around the plot: room for the numbers of the grid
HEADER = 84
PLOT_MARGIN_M = 0.15  # shown around everything of interest
MAX_EXTENT_M = 12.0  # of the plot; walls further away do not shrink the objects
CLOUD_OPACITY = 0.55  # of the measured points under the boxes


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """The plane of the top-down picture: x right of the camera, y ahead of it, z up; the camera is at x = y = 0."""

    ground_R_camera: FloatArray

    def of(self, points: FloatArray) -> FloatArray:
        """Points of the camera frame."""
        turned: FloatArray = np.asarray(points, dtype=np.float64) @ self.ground_R_camera.T
        return turned


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
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


def ground_frame(up: FloatArray) -> Ground:
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
    return Ground(ground_R_camera=np.stack([np.cross(y, z), y, z]))


def window_of(ground: Ground, objects: Sequence[PictureObject], surfaces: Sequence[SupportSurface]) -> Window:
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
    return Window(
        x0=float(x0), y0=float(y0), scale=scale, left=MARGIN, top=HEADER, width=PLOT_SIZE[0], height=PLOT_SIZE[1]
    )


def paint_ground(canvas: NDArray[np.uint8], window: Window, ground: Ground, frame: RgbdFrame | None) -> None:
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


def grid_step(window: Window) -> float:
    """Metres between grid lines: a round length that gives five to twelve of them."""
    extent = window.width / window.scale
    return next(step for step in (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0) if extent / step <= 12 or step == 5.0)


def grid_values(low: float, extent: float, step: float) -> list[float]:
    """Multiples of the step within the window."""
    first = int(np.ceil(low / step))
    return [i * step for i in range(first, int(np.floor((low + extent) / step)) + 1)]
