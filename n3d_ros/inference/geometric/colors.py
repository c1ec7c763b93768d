"""Flat faces of two colours: where two plain colours meet along a line, two objects may lie flush."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from n3d_ros.inference.geometric.grid import Grid
from n3d_ros.inference.geometric.samples import SampleRelations

FloatArray = NDArray[np.float64]
_MIN_FACE_PX = 200
_MIN_PART = 0.12  # share of the face
_LIGHTNESS_WEIGHT = 0.3  # shadows change lightness more than hue
_COLORS_APART = 18.0  # of 8-bit Lab, lightness weighted: a shadow stays below
_EXPLAINED = 0.85  # share of the face's colour variance between its parts: prints have many colours, plain things one
_MISPLACED = 0.04  # share of pixels on the wrong side of the best straight line


def split_two_colored(
    labels: NDArray[np.int32], relations: SampleRelations, rgb: NDArray[np.uint8], grid: Grid
) -> dict[int, int]:
    """Cuts flat patches of two plain colours along the line between them. Changes ``labels``.

    One object with a two-coloured face is no harm: its other faces meet both parts and join them again.

    Args:
        labels: (h, w) patches 1 .. n.
        relations: of the patches.
        rgb: (H, W, 3) uint8, the image.
        grid: the working grid.

    Returns:
        New label -> the label that it was cut from.
    """
    h, w = labels.shape
    large = np.flatnonzero(relations.is_flat & (relations.sizes >= _MIN_FACE_PX))
    if not large.size:
        return {}
    middle = grid.stride // 2
    thinned = rgb[middle :: grid.stride, middle :: grid.stride][:h, :w]
    lab = cv2.cvtColor(cv2.blur(np.ascontiguousarray(thinned), (3, 3)), cv2.COLOR_RGB2Lab).reshape(-1, 3)
    cut_from: dict[int, int] = {}
    following = int(labels.max()) + 1
    for patch in large:
        pixels = relations.ordered[relations.starts[patch] : relations.starts[patch] + relations.sizes[patch]]
        colors = lab[pixels].astype(np.float64) * (_LIGHTNESS_WEIGHT, 1.0, 1.0)
        second = _second_color(colors)
        if second is not None and _parted_by_line(np.stack([pixels % w, pixels // w], axis=1), second):
            labels.ravel()[pixels[second]] = following
            cut_from[following] = int(patch) + 1
            following += 1
    return cut_from


def _second_color(colors: FloatArray) -> NDArray[np.bool_] | None:
    """(n,) pixels of the second of two plain colours; None when there are not just two."""
    centered = colors - colors.mean(axis=0)
    total = float((centered * centered).sum())
    _, axes = np.linalg.eigh(centered.T @ centered)
    along = centered @ axes[:, -1]
    second: NDArray[np.bool_] = along > (along.min() + along.max()) / 2
    for _ in range(4):  # two means along the main direction of colour
        if second.mean() < _MIN_PART or second.mean() > 1 - _MIN_PART:
            return None
        second = along > (along[second].mean() + along[~second].mean()) / 2
    share = float(second.mean())
    if not _MIN_PART < share < 1 - _MIN_PART:
        return None
    apart = colors[second].mean(axis=0) - colors[~second].mean(axis=0)
    between = len(colors) * share * (1 - share) * float(apart @ apart)
    if float(apart @ apart) < _COLORS_APART**2 or between < _EXPLAINED * total:
        return None
    return second


def _parted_by_line(places: NDArray[np.int64], second: NDArray[np.bool_]) -> bool:
    """Whether a straight line parts two sets of pixels (Fisher's discriminant)."""
    a, b = places[second].astype(np.float64), places[~second].astype(np.float64)
    scatter = np.cov(a.T) * len(a) + np.cov(b.T) * len(b) + 1e-6 * np.eye(2)
    direction = np.linalg.solve(scatter, a.mean(axis=0) - b.mean(axis=0))
    along_a, along_b = np.sort(a @ direction), np.sort(b @ direction)
    # The best threshold lies at one of the pixels.
    thresholds = np.quantile(np.concatenate([along_a, along_b]), np.linspace(0.05, 0.95, 91))
    wrong = np.searchsorted(along_a, thresholds) + len(b) - np.searchsorted(along_b, thresholds)
    return bool(wrong.min() < _MISPLACED * len(places))
