"""A run as pictures: curves over its steps, and what the model says beside what is true."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from model_training.depth.metrics import SceneGuess, SceneTruth

Picture = NDArray[np.uint8]

PANEL = (240, 380)  # height and width of one diagram, px
MARGIN = (28, 14, 26, 52)  # top, right, bottom, left
COLUMNS = 3
INK, GRID, CURVE = (40, 40, 40), (225, 225, 225), (180, 90, 20)  # BGR
FONT = cv2.FONT_HERSHEY_SIMPLEX
ERROR_FULL = 0.25  # relative error that is drawn in the strongest colour
TILE_WIDTH = 224


def smoothed(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Running mean over at most ``window`` values up to each.

    Args:
        values: (N,).
        window: 1 or more.

    Returns:
        (N,).
    """
    total = np.cumsum(np.concatenate([[0.0], values]))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - window, 0)
    means: NDArray[np.float64] = (total[ends] - total[starts]) / (ends - starts)
    return means


def diagram(title: str, steps: Sequence[float], values: Sequence[float]) -> Picture:
    """(240, 380, 3) uint8: one curve with its range.

    Args:
        title: above it.
        steps: x.
        values: y; those that are no numbers are left out.

    Returns:
        BGR picture.
    """
    height, width = PANEL
    top, right, bottom, left = MARGIN
    picture = np.full((height, width, 3), 255, np.uint8)
    x, y = np.asarray(steps, np.float64), np.asarray(values, np.float64)
    x, y = x[np.isfinite(y)], y[np.isfinite(y)]
    cv2.putText(picture, title, (left, 18), FONT, 0.45, INK, 1, cv2.LINE_AA)
    if not len(x):
        return picture
    low, high = float(y.min()), float(y.max())
    span = high - low if high > low else 1.0
    reach = max(float(x.max() - x.min()), 1.0)
    for share in (0.0, 0.5, 1.0):
        row = round(height - bottom - share * (height - top - bottom))
        cv2.line(picture, (left, row), (width - right, row), GRID, 1)
        cv2.putText(picture, f"{low + share * span:.3g}", (4, row + 4), FONT, 0.36, INK, 1, cv2.LINE_AA)
    for share in (0.0, 1.0):
        column = round(left + share * (width - left - right))
        cv2.putText(picture, f"{x.min() + share * reach:.0f}", (column - 14, height - 8), FONT, 0.36, INK, 1)
    columns = left + (x - x.min()) / reach * (width - left - right)
    rows = height - bottom - (y - low) / span * (height - top - bottom)
    points = np.stack([columns, rows], axis=1).round().astype(np.int32)
    if len(points) == 1:
        cv2.circle(picture, (int(points[0, 0]), int(points[0, 1])), 3, CURVE, -1)
    cv2.polylines(picture, [points], isClosed=False, color=CURVE, thickness=1, lineType=cv2.LINE_AA)
    return picture


def curves(lines: Sequence[Mapping[str, Any]]) -> Picture:
    """One diagram for each loss and each score of a log.

    Args:
        lines: of ``read_log``.

    Returns:
        BGR picture.
    """
    panels = []
    for kind, names in (
        ("train", ("total", "depth", "local_depth", "gradient", "normal", "ray", "point", "camera", "sky", "objects")),
        (
            "validation",
            ("delta1", "abs_rel", "delta1_affine", "delta1_raw", "rotation_deg", "translation_deg", "auc30"),
        ),
    ):
        rows = [line for line in lines if line["kind"] == kind]
        for name in names:
            found = [(line["step"], line[name]) for line in rows if np.isfinite(line.get(name, np.nan))]
            if not found:
                continue
            steps, values = [step for step, _ in found], np.array([value for _, value in found])
            window = max(len(values) // 40, 1) if kind == "train" else 1
            panels.append(diagram(f"{kind}: {name}", steps, list(smoothed(values, window))))
    blank = np.full((*PANEL, 3), 255, np.uint8)
    panels = panels or [blank]
    while len(panels) % COLUMNS:
        panels.append(blank)
    rows_ = [np.hstack(panels[k : k + COLUMNS]) for k in range(0, len(panels), COLUMNS)]
    return np.asarray(np.vstack(rows_), np.uint8)


def depth_colors(depth_m: NDArray[np.float32], low: float, high: float) -> Picture:
    """(H, W, 3) BGR, near is warm, none is black.

    Args:
        depth_m: (H, W), NaN for none.
        low: depth of the warmest colour.
        high: depth of the coldest.

    Returns:
        The picture.
    """
    share = np.clip((depth_m - low) / max(high - low, 1e-6), 0, 1)
    picture = cv2.applyColorMap(np.nan_to_num(255 * (1 - share)).astype(np.uint8), cv2.COLORMAP_TURBO)
    picture[~np.isfinite(depth_m)] = 0
    return np.asarray(picture, np.uint8)


def sample_sheet(
    images: Sequence[NDArray[np.uint8]], guesses: Sequence[SceneGuess], truths: Sequence[SceneTruth]
) -> Picture:
    """For every view a row: colour, true depth, predicted depth after one scale for the scene, relative error.

    Args:
        images: (V, H, W, 3) uint8 RGB for each scene.
        guesses: of a model.
        truths: in the same order.

    Returns:
        BGR picture; red is an error of a quarter or more.
    """
    rows = []
    for rgb, guess, truth in zip(images, guesses, truths, strict=True):
        known = np.isfinite(truth.depth_m)
        scale = float(np.median(truth.depth_m[known]) / np.median(guess.depth[known]))
        low, high = np.percentile(truth.depth_m[known], [1, 99])
        for k in range(len(rgb)):
            error = np.abs(guess.depth[k] * scale - truth.depth_m[k]) / truth.depth_m[k]
            tiles = [
                np.ascontiguousarray(rgb[k, ..., ::-1]),
                depth_colors(truth.depth_m[k], low, high),
                depth_colors((guess.depth[k] * scale).astype(np.float32), low, high),
                depth_colors((ERROR_FULL - error).astype(np.float32), 0.0, ERROR_FULL),
            ]
            size = (TILE_WIDTH, round(rgb.shape[1] * TILE_WIDTH / rgb.shape[2]))
            rows.append(np.hstack([cv2.resize(t, size, interpolation=cv2.INTER_NEAREST) for t in tiles]))
    return np.asarray(np.vstack(rows), np.uint8)
