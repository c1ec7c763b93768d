"""From the network's pixels back to the camera's: depth, confidence and sky at camera resolution.

Inverse depth is interpolated, not depth: on a plane it is an affine function of the pixel, so that bilinear values lie
on the plane exactly, where interpolated depth would bulge towards the camera. Across an edge nothing is interpolated,
because a mean of near and far is a point in the air: there, and beside pixels without depth, the nearest pixel is
taken. Half a network pixel outside the outermost centres values are continued in a straight line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from n3d_ros.depth.preprocess import ImageMap
from n3d_ros.geometry.arrays import BoolArray, Float32Array, FloatArray

EDGE_STEP = 0.05  # of the inverse depth, between neighbours; a floor seen from 1 m at 87 degrees steps that far
EDGE_BEND = 2.0  # an edge steps more than this times the lesser step beside it; planes step evenly however steep
MOST_CONFIDENT = np.float32(1e30)  # half precision may overflow; sums of such numbers must not
Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Axis:
    """Where each camera row (or column) lies among the network's.

    Args:
        lower: (N,) int, the first of the two network rows around it.
        fraction: (N,) float32, how far it is towards the second; outside 0 to 1 beyond the outermost centres.
        nearest: (N,) int, the network row it falls in.
        seen: (N,) bool, whether the network saw it at all.
    """

    lower: NDArray[np.intp]
    fraction: Float32Array
    nearest: NDArray[np.intp]
    seen: BoolArray


def depth_at_camera(depth: NDArray[np.float32], image_map: ImageMap) -> Float32Array:
    """Depth in the camera's pixels.

    Args:
        depth: (H, W) float32 of the network's size, any unit, NaN where there is none.
        image_map: where that image lies in the camera's.

    Returns:
        The camera's (H, W) float32, NaN where the nearest network pixel has none or the network saw nothing.
    """
    rows, columns = _axes(image_map)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        inverse = (np.float32(1) / depth).astype(np.float32)
    nearest = _picked(inverse, rows.nearest, columns.nearest)
    smooth = _interpolated(inverse, rows, columns)
    # Four corners weigh at least a quarter on the nearest; a line continued over the border must not run off.
    np.maximum(smooth, nearest * np.float32(0.25), out=smooth)
    cells = _picked(_cells_with_edges(inverse), rows.lower, columns.lower)
    np.copyto(smooth, nearest, where=cells)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        result: Float32Array = np.reciprocal(smooth, out=smooth)
    result[~(np.isfinite(result) & (result > 0))] = np.nan  # scaling may have made a depth too small to invert
    _hide_unseen(result, rows, columns, np.float32(np.nan))
    return result


def confidence_at_camera(confidence: NDArray[np.float32], image_map: ImageMap) -> Float32Array:
    """Confidence in the camera's pixels, bilinear.

    Args:
        confidence: (H, W) float32 of the network's size, 1 and more.
        image_map: where that image lies in the camera's.

    Returns:
        The camera's (H, W) float32; 1, the least, where the network saw nothing.
    """
    rows, columns = _axes(image_map)
    known = np.clip(np.nan_to_num(confidence, nan=1.0), np.float32(1), MOST_CONFIDENT)
    result = _interpolated(known, _inside(rows), _inside(columns))
    _hide_unseen(result, rows, columns, np.float32(1))
    return result


def mask_at_camera(mask: BoolArray, image_map: ImageMap) -> BoolArray:
    """A mask in the camera's pixels, of the nearest network pixel: exactly where ``depth_at_camera`` takes its own.

    Args:
        mask: (H, W) bool of the network's size.
        image_map: where that image lies in the camera's.

    Returns:
        The camera's (H, W) bool; False where the network saw nothing.
    """
    rows, columns = _axes(image_map)
    result = _picked(mask, rows.nearest, columns.nearest)
    _hide_unseen(result, rows, columns, np.bool_(0))
    return result


def _axes(image_map: ImageMap) -> tuple[_Axis, _Axis]:
    """The rows and the columns of the camera's image."""
    sizes = zip(
        image_map.camera_hw, image_map.factors_yx, image_map.crop_yx, image_map.network_hw, strict=True
    )  # down, then across
    rows, columns = (_axis(*numbers) for numbers in sizes)
    return rows, columns


def _axis(camera: int, factor: float, crop: int, network: int) -> _Axis:
    corner: FloatArray = (np.arange(camera, dtype=np.float64) + 0.5) * factor - crop  # of the camera's pixel centres
    centre = corner - 0.5
    lower = np.clip(np.floor(centre), 0, network - 2).astype(np.intp)
    return _Axis(
        lower=lower,
        fraction=(centre - lower).astype(np.float32),
        nearest=np.clip(np.floor(corner), 0, network - 1).astype(np.intp),
        seen=(corner >= 0) & (corner <= network),
    )


def _inside(axis: _Axis) -> _Axis:
    """The axis with values beyond the outermost centres held."""
    return _Axis(lower=axis.lower, fraction=np.clip(axis.fraction, 0, 1), nearest=axis.nearest, seen=axis.seen)


def _picked(image: NDArray[Scalar], rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[Scalar]:
    """The rows and columns of those numbers."""
    picked: NDArray[Scalar] = np.take(np.take(image, rows, axis=0), columns, axis=1)
    return picked


def _interpolated(image: NDArray[np.float32], rows: _Axis, columns: _Axis) -> Float32Array:
    """Bilinear values, continued in a straight line where fractions leave 0 to 1; NaN beside NaN."""
    above = np.take(image, rows.lower, axis=0)
    tall = np.take(image, rows.lower + 1, axis=0)
    with np.errstate(invalid="ignore"):
        tall -= above
        tall *= rows.fraction[:, None]
        tall += above
        left = np.take(tall, columns.lower, axis=1)
        wide: Float32Array = np.take(tall, columns.lower + 1, axis=1)
        wide -= left
        wide *= columns.fraction[None]
        wide += left
    return wide


def _cells_with_edges(inverse: Float32Array) -> BoolArray:
    """(H - 1, W - 1) bool: whether an edge runs between any two neighbours among a cell's four corners."""
    across, down = _edges(inverse), _edges(inverse.T).T
    cells: BoolArray = across[:-1] | across[1:] | down[:, :-1] | down[:, 1:]
    return cells


def _edges(inverse: NDArray[np.float32]) -> BoolArray:
    """(H, W - 1) bool: whether an edge runs between a pixel and the next one in its row."""
    with np.errstate(invalid="ignore"):
        step = np.abs(np.diff(inverse, axis=1))
        padded = np.pad(step, ((0, 0), (1, 1)), constant_values=np.nan)
        beside = np.nan_to_num(np.fmin(padded[:, :-2], padded[:, 2:]), nan=0.0, posinf=np.inf)
        large = step > EDGE_STEP * np.maximum(inverse[:, :-1], inverse[:, 1:])
        edges: BoolArray = ~(np.isfinite(step) & ~(large & (step > EDGE_BEND * beside)))
    return edges


def _hide_unseen(image: NDArray[Scalar], rows: _Axis, columns: _Axis, value: Scalar) -> None:
    """Writes ``value`` where the network saw nothing."""
    image[~rows.seen] = value
    image[:, ~columns.seen] = value
