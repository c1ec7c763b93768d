"""What scale and shift leave over: a smooth field of log ratios, carried into holes but not across depth edges.

A network's depth bends slowly over the image, differently on surfaces at different depths. The ratio measured to
aligned depth is known around a hole; inside it is taken from there by normalised convolution (Knutsson and Westin, CVPR
1993) in a bilateral grid (Chen, Paris and Durand, SIGGRAPH 2007): cells are a piece of the image *and* a piece of log
depth, so what was seen on the wall behind an object does not bend the object. Blurs of growing width with falling
weight make near evidence count first, and far evidence where there is no nearer one; without any the field is 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from n3d_ros.geometry.arrays import BoolArray, Float32Array, FloatArray

CELLS_ACROSS = 40  # along the longer side: 16 px at 640; a network's bias is smoother than that
DEPTH_STEP = 0.05  # of log depth per cell: surfaces that differ by a tenth share little
BLURS = ((0.8, 1.0), (1.6, 0.1), (3.2, 0.01), (6.4, 0.001))  # deviation in cells along the image, weight
DEPTH_BLUR = 0.7  # cells
NO_EVIDENCE = 1e-4  # pixels per cell at which measured and "no correction" count alike: next to nothing
TINY = 1e-12  # keeps 0 / 0 at 0
MAX_DEPTH_CELLS = 120  # e^(120 / 20) = a factor of 400 between nearest and farthest, beyond which cells get longer;
# an image of OpenCV 5 has at most 128 channels
MAX_COUNTED = 40_000  # of the compared pixels at least so many are counted, evenly: about 40 of the 256 of a cell


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CorrectionField:
    """Log ratio of measured to aligned depth, over image and log depth.

    Args:
        ratio: (rows, columns, depths) float64 log ratio.
        spread: (rows, columns, depths) float64 standard deviation of the ratios around each cell.
        disagreeing: (rows, columns, depths) float64 share of the pixels around each cell that show another surface.
        cell_px: pixels per cell along the image.
        depth_origin: log depth of the first cell's centre.
        depth_step: log depth per cell.
    """

    ratio: FloatArray
    spread: FloatArray
    disagreeing: FloatArray
    cell_px: float
    depth_origin: float
    depth_step: float

    def at(self, depth_m: Float32Array, pixels: BoolArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Log ratio, its spread, and the share that disagrees, at some pixels.

        Args:
            depth_m: (H, W) aligned model depth, metres.
            pixels: (H, W) which ones, n of them, all with depth.

        Returns:
            Three (n,) arrays in the order of ``numpy.nonzero``; the ratio is interpolated, the others are their cell's.
        """
        rows, columns = np.nonzero(pixels)
        depths = (np.log(depth_m[pixels]) - self.depth_origin) / self.depth_step
        where = np.stack([(rows + 0.5) / self.cell_px - 0.5, (columns + 0.5) / self.cell_px - 0.5, depths])
        where = np.clip(where, 0, np.array(self.ratio.shape)[:, None] - 1)
        cell = tuple((where + 0.5).astype(np.intp))
        return _interpolated(self.ratio, where), self.spread[cell], self.disagreeing[cell]


def correction_field(
    sensor_m: Float32Array, aligned_m: Float32Array, compared: BoolArray, *, largest: float
) -> CorrectionField:
    """The field that the compared pixels show.

    Args:
        sensor_m: (H, W) measured depth, metres.
        aligned_m: (H, W) model depth after scale and shift, metres.
        compared: (H, W) where both are comparable; at least one pixel.
        largest: relative difference beyond which a pixel shows another surface and is left out.

    Returns:
        The field.
    """
    known = np.flatnonzero(compared)
    rows, columns = np.divmod(known[:: max(1, len(known) // MAX_COUNTED)], compared.shape[1])
    log_depth = np.log(aligned_m[rows, columns])
    ratio = np.log(sensor_m[rows, columns]) - log_depth
    height, width = compared.shape
    cell_px = max(height, width) / CELLS_ACROSS
    origin, reach = float(log_depth.min()), float(np.ptp(log_depth))
    step = max(DEPTH_STEP, reach / (MAX_DEPTH_CELLS - 2))
    shape = (max(int(np.ceil(height / cell_px)), 2), max(int(np.ceil(width / cell_px)), 2), int(reach / step) + 2)
    where = (rows / cell_px, columns / cell_px, (log_depth - origin) / step + 0.5)
    cell = np.ravel_multi_index(tuple(each.astype(np.intp) for each in where), shape)
    follows = (np.abs(ratio) <= np.log1p(largest)).astype(np.float32)
    ratio *= follows
    count, total, square, strangers = _spread_out(cell, (follows, ratio, ratio * ratio, 1 - follows), shape)
    variance = square / (count + TINY) - np.square(total / (count + TINY))
    return CorrectionField(
        ratio=total / (count + NO_EVIDENCE),
        spread=np.sqrt(np.maximum(variance, 0)),
        disagreeing=strangers / (count + strangers + TINY),
        cell_px=cell_px,
        depth_origin=origin,
        depth_step=step,
    )


def _interpolated(values: FloatArray, where: FloatArray) -> FloatArray:
    """(n,) values between the cells around (3, n) coordinates, all within the grid."""
    cell = np.minimum(where.astype(np.intp), np.array(values.shape)[:, None] - 2)
    rest = where - cell
    strides = np.array(values.strides) // values.itemsize
    flat, first = values.ravel(), strides @ cell
    result = np.zeros(where.shape[1])
    for corner in np.ndindex(2, 2, 2):
        row, column, depth = (part if one else 1 - part for one, part in zip(corner, rest, strict=True))
        result += row * column * depth * flat[first + int(strides @ corner)]
    return result


def _spread_out(
    cell: NDArray[np.intp], values: Sequence[Float32Array], shape: tuple[int, int, int]
) -> tuple[FloatArray, ...]:
    """Sums of each kind of value per cell, carried to other cells by blurs of growing width and falling weight.

    Depth cells are blurred along the image as the channels of a picture, and along depth as the rows of another.
    """
    cells = int(np.prod(shape))
    spread = []
    for each in values:
        sums = np.bincount(cell, each, minlength=cells).astype(np.float32).reshape(-1, shape[2])
        along_depth = cv2.GaussianBlur(sums, (5, 1), DEPTH_BLUR, sigmaY=DEPTH_BLUR, borderType=cv2.BORDER_CONSTANT)
        picture = along_depth.reshape(shape)
        total = np.zeros(shape, np.float64)
        for deviation, weight in BLURS:
            blurred = cv2.GaussianBlur(picture, (0, 0), deviation, borderType=cv2.BORDER_CONSTANT)
            total += weight * blurred.reshape(shape)
        spread.append(total)
    return tuple(spread)
