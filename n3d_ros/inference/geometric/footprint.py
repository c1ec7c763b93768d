"""The area a surface covers, seen from above."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
_CELL_M = 0.02
_MARGIN_M = 0.06  # things may overhang an edge, and edges are seen late where depth is missing
_MOST_CELLS = 1000  # a side; a raster of 20 m


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Footprint:
    """A convex outline on the ground, and a raster of it, widened a little.

    Args:
        hull: (n, 2) metres along the ground axes.
        area_m2: of the hull.
        width_m: shorter side of its least rectangle.
        length_m: longer side.
        origin: (2,) metres, the raster's first cell.
        cells: raster of what is inside.
    """

    hull: NDArray[np.float32]
    area_m2: float
    width_m: float
    length_m: float
    origin: FloatArray
    cells: BoolArray

    @classmethod
    def of(cls, ground: FloatArray) -> Footprint:
        """The footprint of points.

        Args:
            ground: (n, 2) metres along the ground axes, n at least 1.

        Returns:
            Their convex hull.
        """
        hull = cv2.convexHull(ground.astype(np.float32)).astype(np.float32)[:, 0]
        origin = hull.astype(np.float64).min(axis=0) - _MARGIN_M - _CELL_M
        size = np.ceil((hull.astype(np.float64).max(axis=0) + _MARGIN_M + _CELL_M - origin) / _CELL_M).astype(int) + 1
        size = np.clip(size, 3, _MOST_CELLS)
        raster = np.zeros((size[1], size[0]), np.uint8)
        corners = np.rint((hull.astype(np.float64) - origin) / _CELL_M).astype(np.int32)
        cv2.fillConvexPoly(raster, corners, 1)
        reach = round(_MARGIN_M / _CELL_M)
        cells = cv2.dilate(raster, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)).astype(np.bool_)
        sides = cv2.minAreaRect(hull)[1]
        return cls(
            hull=hull,
            area_m2=float(cv2.contourArea(hull)),
            width_m=float(min(sides)),
            length_m=float(max(sides)),
            origin=origin,
            cells=cells,
        )

    def contains(self, ground: FloatArray) -> BoolArray:
        """Which points lie in the widened footprint.

        Args:
            ground: (..., 2) metres along the ground axes.

        Returns:
            (...) bool.
        """
        place = np.floor((ground - self.origin) / _CELL_M + 0.5).astype(np.int32)
        x, y = place[..., 0], place[..., 1]
        inside = (x >= 0) & (y >= 0) & (x < self.cells.shape[1]) & (y < self.cells.shape[0])
        found: BoolArray = inside & self.cells[np.where(inside, y, 0), np.where(inside, x, 0)]
        return found

    def shared_m2(self, other: Footprint) -> float:
        """Ground that two outlines share, square metres."""
        return float(cv2.intersectConvexConvex(self.hull, other.hull)[0])
