"""Sky: which pixels show it, and what their depth is said to be."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from n3d_ros.geometry.arrays import BoolArray, Float32Array

SKY_SCORE = 0.3  # networks' score from which depth is not trusted; the score is near 1 in the sky, 0 elsewhere
SHOWN_SKY_SCORE = 0.5  # from which the released code's output calls a pixel sky
FAR_QUANTILE = 0.99
FAR_LIMIT = 200.0  # of aligned any-view depth, metres
MIN_PIXELS = 10  # with fewer on either side the released code fills nothing


def sky_mask(score: NDArray[np.float32], *, threshold: float = SKY_SCORE) -> BoolArray:
    """Which pixels show sky.

    Args:
        score: any shape, float32, of a network; NaN counts as sky, since nothing is known there.
        threshold: score from which a pixel is sky.

    Returns:
        The same shape, bool.
    """
    return ~(score < threshold)


def far_depth(depth: NDArray[np.float32], sky: BoolArray) -> float | None:
    """The far end of what is not sky: the 0.99 quantile, of all views together.

    It is computed from all pixels. The released code draws 100 000 of them at random where there are more, and so
    gives another number each time.

    Args:
        depth: (S, H, W) float32.
        sky: (S, H, W) bool.

    Returns:
        The depth in its own unit; None where nothing but sky is seen.
    """
    seen = depth[~sky]
    return float(np.quantile(seen, FAR_QUANTILE)) if seen.size else None


def filled_with_far(depth: NDArray[np.float32], sky: BoolArray) -> Float32Array:
    """Depth with sky at the far end of what is not, as the released code fills single-view depth.

    Args:
        depth: (S, H, W) float32.
        sky: (S, H, W) bool.

    Returns:
        (S, H, W) float32; unchanged where either side has too few pixels.
    """
    filled: Float32Array = depth.copy()
    if min(int(sky.sum()), int((~sky).sum())) > MIN_PIXELS:
        filled[sky] = far_depth(depth, sky)
    return filled
