"""Ways to fill the holes of a depth image: the textbook's, and ours with and without each of its steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import cv2
import numpy as np
from scipy import ndimage, sparse
from scipy.sparse.linalg import cg

from benchmarks.depth_holes import Depth
from n3d_ros.depth.filling import FillingConfig, align, fill

LAPLACE_TOLERANCE = 1e-4  # relative residual: millimetres
NO_REFUSALS = FillingConfig(
    max_local_error=1.0, max_reach=2.0, max_extrapolation=1000.0, edge_jump=1.0, min_confidence=0.0
)


def nothing(sensor_m: Depth, model_m: Depth) -> Depth:  # noqa: ARG001
    """The sensor's depth as it is."""
    return sensor_m


def nearest(sensor_m: Depth, model_m: Depth) -> Depth:  # noqa: ARG001
    """Each hole pixel takes the nearest reading."""
    rows, columns = ndimage.distance_transform_edt(np.isnan(sensor_m), return_distances=False, return_indices=True)
    return np.asarray(sensor_m[rows, columns], np.float32)


def inpainted(sensor_m: Depth, model_m: Depth) -> Depth:  # noqa: ARG001
    """OpenCV's inpainting (Telea 2004, radius 5 px) of millimetres."""
    holes = np.isnan(sensor_m)
    millimetres = np.nan_to_num(sensor_m * 1000).astype(np.uint16)
    painted = cv2.inpaint(millimetres, holes.astype(np.uint8), 5, cv2.INPAINT_TELEA)
    return np.where(holes, painted.astype(np.float32) / 1000, sensor_m).astype(np.float32)


def laplace(sensor_m: Depth, model_m: Depth) -> Depth:
    """The smoothest surface through the readings around each hole: Laplace's equation of inverse depth.

    Planes are linear in inverse depth, so a hole in a table is filled with table.
    """
    holes = np.isnan(sensor_m)
    number = np.full(holes.shape, -1)
    number[holes] = np.arange(np.count_nonzero(holes))
    count = int(number.max()) + 1
    if count == 0:
        return sensor_m
    inverse = 1 / sensor_m
    right = np.zeros(count)
    rows, columns, neighbours = [], [], np.zeros(count)
    for axis, step in ((0, 1), (0, -1), (1, 1), (1, -1)):
        beside = np.roll(number, -step, axis)
        value = np.roll(inverse, -step, axis)
        inside = np.ones(holes.shape, np.bool_)
        np.moveaxis(inside, axis, 0)[-1 if step == 1 else 0] = False
        here = holes & inside
        neighbours += np.bincount(number[here], minlength=count)
        linked = here & (beside >= 0)
        rows.append(number[linked])
        columns.append(beside[linked])
        fixed = here & (beside < 0)
        right += np.bincount(number[fixed], value[fixed], minlength=count)
    row, column = np.concatenate(rows), np.concatenate(columns)
    system = sparse.diags(neighbours) - sparse.coo_matrix((np.ones(len(row)), (row, column)), (count, count))
    start = 1 / nearest(sensor_m, model_m)[holes].astype(np.float64)
    solution, _ = cg(system.tocsr(), right, x0=start, rtol=LAPLACE_TOLERANCE, maxiter=3000)
    filled = sensor_m.copy()
    filled[holes] = 1 / np.maximum(solution, 1e-3)
    return filled


def unaligned(sensor_m: Depth, model_m: Depth) -> Depth:
    """The model's depth as it is."""
    return np.where(np.isnan(sensor_m), model_m, sensor_m)


def median_scale(sensor_m: Depth, model_m: Depth) -> Depth:
    """The model's depth times the median ratio."""
    return np.where(np.isnan(sensor_m), model_m * np.nanmedian(sensor_m / model_m), sensor_m)


def scale_and_shift(sensor_m: Depth, model_m: Depth) -> Depth:
    """Our robust scale and shift alone, everywhere."""
    alignment = align(sensor_m, model_m, np.isfinite(sensor_m) & np.isfinite(model_m))
    if alignment is None:
        return sensor_m
    return np.where(np.isnan(sensor_m), alignment.apply(model_m), sensor_m)


def ours_everywhere(sensor_m: Depth, model_m: Depth) -> Depth:
    """Ours without refusing anything."""
    return fill(sensor_m, model_m, config=NO_REFUSALS).depth_m


def ours(sensor_m: Depth, model_m: Depth) -> Depth:
    """Ours as the node runs it."""
    return fill(sensor_m, model_m).depth_m


METHODS: Mapping[str, Callable[[Depth, Depth], Depth]] = MappingProxyType(
    {
        "nothing": nothing,
        "nearest reading": nearest,
        "inpainting": inpainted,
        "Laplace": laplace,
        "model, unaligned": unaligned,
        "model, median scale": median_scale,
        "model, scale and shift": scale_and_shift,
        "ours, nothing refused": ours_everywhere,
        "ours": ours,
    }
)
"""By the name they have in tables."""
