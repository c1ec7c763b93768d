"""Percentiles of short arrays: numpy's own spend more on choosing among their methods than on the numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def percentiles(values: FloatArray, *wanted: float) -> FloatArray:
    """Percentiles along the last axis, interpolated linearly, as ``np.percentile`` gives them.

    Args:
        values: (..., n), n at least 1.
        wanted: percentiles from 0 to 100.

    Returns:
        (k, ...) one entry per wanted percentile; NaN where any value is.
    """
    last = values.shape[-1] - 1
    places = [last * (percent / 100) for percent in wanted]
    below = [int(place) for place in places]
    ranks = sorted({last, *below, *(min(rank + 1, last) for rank in below)})  # NaN sorts last
    ordered = np.partition(values, ranks, axis=-1)
    found = np.empty((len(wanted), *values.shape[:-1]))
    for k, (place, rank) in enumerate(zip(places, below, strict=True)):
        low, high, share = ordered[..., rank], ordered[..., min(rank + 1, last)], place - rank
        found[k] = low + (high - low) * share if share < 0.5 else high - (high - low) * (1 - share)
    found[:, np.isnan(ordered[..., last])] = np.nan
    return found


def percentile(values: FloatArray, wanted: float) -> float:
    """One percentile of (n,) values, NaN where any value is or there is none."""
    return float(percentiles(values, wanted)[0]) if values.size else float("nan")
