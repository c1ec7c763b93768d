"""Which found box stands for which true object: one to one, at an overlap of at least a level.

Three ways are in use, and they differ only where objects crowd:

* ``score``: the surest box first, each takes the free object that it overlaps most (PASCAL VOC, COCO);
* ``overlap``: the pair that overlaps most first;
* ``optimal``: as many pairs as possible, of those the ones that overlap most.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from n3d_ros.errors import ConfigurationError
from n3d_ros.geometry.arrays import BoolArray, FloatArray
from n3d_ros.scene.assignment import assign

WAYS = ("score", "overlap", "optimal")


def match(
    overlap: FloatArray,
    *,
    level: float,
    allowed: BoolArray | None = None,
    scores: Sequence[float | None] = (),
    way: str = "score",
) -> list[tuple[int, int]]:
    """The pairs of found boxes and true objects.

    Args:
        overlap: (N, M) 0 to 1, of found boxes with true objects.
        level: least overlap of a pair, above 0.
        allowed: (N, M) bool: pairs that may be made (same class); None: all.
        scores: certainty per found box, for "score"; None and missing ones come last, in their order.
        way: one of ``WAYS``.

    Returns:
        Pairs (found, true), ascending; each index at most once.

    Raises:
        ConfigurationError: an unknown way, or a level that is not above 0.
    """
    if way not in WAYS or not level > 0:
        raise ConfigurationError(f"Matching: expected {', '.join(WAYS)} and a level above 0, got {way!r} and {level}.")
    reached = overlap >= level
    possible: BoolArray = reached if allowed is None else reached & allowed
    if not possible.any():
        return []
    if way == "optimal":
        # One more pair is always worth more than what all others together could gain by another choice.
        return assign(-1.0 - min(overlap.shape) - overlap, possible)
    return _by_score(overlap, possible, scores) if way == "score" else _by_overlap(overlap, possible)


def _by_score(overlap: FloatArray, possible: BoolArray, scores: Sequence[float | None]) -> list[tuple[int, int]]:
    stated = [scores[k] if k < len(scores) else None for k in range(len(overlap))]
    order = sorted(range(len(overlap)), key=lambda k: -np.inf if (score := stated[k]) is None else score, reverse=True)
    # Python's sort is stable also in reverse: boxes of one score keep their order.
    free = np.ones(overlap.shape[1], dtype=bool)
    pairs = []
    for row in order:
        candidates = np.where(possible[row] & free, overlap[row], -1.0)
        column = int(candidates.argmax())
        if candidates[column] >= 0:
            free[column] = False
            pairs.append((row, column))
    return sorted(pairs)


def _by_overlap(overlap: FloatArray, possible: BoolArray) -> list[tuple[int, int]]:
    left = np.where(possible, overlap, -1.0)
    pairs = []
    while left.size and left.max() >= 0:
        row, column = (int(k) for k in np.unravel_index(int(left.argmax()), left.shape))
        pairs.append((row, column))
        left[row], left[:, column] = -1.0, -1.0
    return sorted(pairs)
