"""Curves over the steps of a run, as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

PANEL = (240, 380)  # height and width of one diagram, px
MARGIN = (28, 14, 26, 52)  # top, right, bottom, left
COLUMNS = 3
SMOOTHED_SHARE = 40  # a curve of training is a mean over one of so many parts of the run
INK, GRID, CURVE = (40, 40, 40), (225, 225, 225), (180, 90, 20)  # BGR
FONT = cv2.FONT_HERSHEY_SIMPLEX


def curves(lines: Sequence[Mapping[str, Any]], names: Mapping[str, Sequence[str]]) -> Picture:
    """One diagram for each value of a log.

    Args:
        lines: of ``read_log``.
        names: values to draw by the kind of their lines; "train" is smoothed.

    Returns:
        BGR picture.
    """
    panels = []
    for kind, wanted in names.items():
        rows = [line for line in lines if line["kind"] == kind]
        for name in wanted:
            found = [(line["step"], line[name]) for line in rows if np.isfinite(line.get(name, np.nan))]
            if not found:
                continue
            steps, values = [step for step, _ in found], np.array([value for _, value in found])
            window = max(len(values) // SMOOTHED_SHARE, 1) if kind == "train" else 1
            panels.append(diagram(f"{kind}: {name}", steps, list(smoothed(values, window))))
    blank = np.full((*PANEL, 3), 255, np.uint8)
    panels = panels or [blank]
    while len(panels) % COLUMNS:
        panels.append(blank)
    rows_ = [np.hstack(panels[k : k + COLUMNS]) for k in range(0, len(panels), COLUMNS)]
    return np.asarray(np.vstack(rows_), np.uint8)


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
