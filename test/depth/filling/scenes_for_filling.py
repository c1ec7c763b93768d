"""A small scene whose depth is known: a wall, a floor and a box on it, and ways to spoil it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

HEIGHT, WIDTH = 120, 160
BOX = (slice(50, 90), slice(60, 100))
CAMERA_HEIGHT_M, FOCAL_PX, WALL_M, BOX_M = 0.5, 131.0, 3.0, 1.0


def true_depth() -> NDArray[np.float32]:
    """(120, 160) float32 metres: floor below, a wall at 3 m behind it, a box at 1 m."""
    rows = np.arange(HEIGHT, dtype=np.float64)[:, None]
    with np.errstate(divide="ignore"):
        floor = np.where(rows > 40, CAMERA_HEIGHT_M * FOCAL_PX / (rows - 40), np.inf)
    depth = np.broadcast_to(np.minimum(floor, WALL_M), (HEIGHT, WIDTH)).copy()
    depth[BOX] = np.minimum(depth[BOX], BOX_M)
    return depth.astype(np.float32)


def bias(amount: float) -> NDArray[np.float64]:
    """(120, 160) factors that change slowly over the image, within ``1 - amount`` to ``1 + amount``."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return 1 + amount * np.sin(columns / 45.0) * np.cos(rows / 50.0)


def with_hole(depth_m: NDArray[np.float32], hole: tuple[slice, slice]) -> NDArray[np.float32]:
    """The depth without a rectangle."""
    cut = depth_m.copy()
    cut[hole] = np.nan
    return cut


def blurred(depth_m: NDArray[np.float32]) -> NDArray[np.float32]:
    """Depth with edges as a network blurs them."""
    return np.asarray(cv2.GaussianBlur(depth_m, (0, 0), 1.2), np.float32)
