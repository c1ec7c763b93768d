"""Whether stated scores are frequencies: bins of scores, and how often the boxes in them were right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from n3d_ros.errors import InputError
from n3d_ros.inference.language_model.calibration import reliability

BINS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreBin:
    """Boxes whose scores lie near one another.

    Args:
        low: lower end of the bin, which belongs to it.
        high: upper end; 1 belongs to the last bin.
        count: boxes in it.
        stated: their mean score; None: there are none.
        observed: the share that was right; None: there are none.
    """

    low: float
    high: float
    count: int
    stated: float | None
    observed: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreCalibration:
    """How far scores and frequencies agree.

    Args:
        boxes: how many boxes have a score.
        correct: how many of them were right.
        ece: expected calibration error, 0 to 1; None without boxes.
        brier: mean squared difference of score and truth; None without boxes.
        bins: ``BINS`` of equal width; empty without boxes.
    """

    boxes: int
    correct: int
    ece: float | None
    brier: float | None
    bins: tuple[ScoreBin, ...]

    def to_dict(self) -> dict[str, Any]:
        """The figures, JSON-ready."""
        names = ("low", "high", "count", "stated", "observed")
        return {
            "boxes": self.boxes,
            "correct": self.correct,
            "ece": self.ece,
            "brier": self.brier,
            "bins": [{name: getattr(one, name) for name in names} for one in self.bins],
        }


def score_calibration(scores: ArrayLike, correct: Sequence[bool]) -> ScoreCalibration:
    """The agreement of scores with what was right.

    Args:
        scores: (N,) 0 to 1.
        correct: (N,) whether each box was right.

    Returns:
        The figures; without boxes they are None.

    Raises:
        InputError: other lengths, or a score that is no number from 0 to 1.
    """
    stated, truth = np.asarray(scores, dtype=np.float64).reshape(-1), np.asarray(correct, dtype=np.float64)
    if stated.shape != truth.shape or not ((stated >= 0) & (stated <= 1)).all():
        raise InputError(f"score_calibration: expected scores from 0 to 1 and as many truths, got {stated.shape}.")
    if not len(stated):
        return ScoreCalibration(boxes=0, correct=0, ece=None, brier=None, bins=())
    figures = reliability(stated, truth, bins=BINS)
    index = np.clip((stated * BINS).astype(int), 0, BINS - 1)
    bins = []
    for k in range(BINS):
        inside = index == k
        count = int(inside.sum())
        bins.append(
            ScoreBin(
                low=k / BINS,
                high=(k + 1) / BINS,
                count=count,
                stated=float(stated[inside].mean()) if count else None,
                observed=float(truth[inside].mean()) if count else None,
            )
        )
    return ScoreCalibration(
        boxes=figures.boxes, correct=figures.correct, ece=figures.ece, brier=figures.brier, bins=tuple(bins)
    )
