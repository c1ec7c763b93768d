"""Errors of a depth image against a true one: delta1, AbsRel and RMSE, after no, a median or an affine alignment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from n3d_ros.errors import InputError
from n3d_ros.geometry.arrays import BoolArray, FloatArray

DELTA1_RATIO = 1.25  # Eigen et al. 2014: right when max(p/t, t/p) is below
LEAST_ALIGNED_M = 1e-3  # an affine fit may send small depths below zero; they count as this


class DepthAlignment(str, Enum):
    """What is taken out of a predicted depth image before it is compared, one fit per image."""

    NONE = "none"  # metric depth is judged as it is
    MEDIAN = "median"  # one factor: median of the true depths over median of the predicted ones
    AFFINE = "affine"  # a factor and an offset of depth by least squares, as affine-invariant models are judged


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthError:
    """How far one depth image, or many together, is from the truth.

    Args:
        delta1: share of the pixels whose predicted and true depth differ by less than a factor of 1.25, 0 to 1.
        abs_rel: mean of |predicted - true| / true.
        rmse_m: root of the mean squared difference, metres.
        pixels: number compared.
        coverage: share of the pixels with true depth that have a predicted one; the others are not in the other
            numbers.
        scale: factor that the alignment applied.
        shift_m: offset that it applied, metres.
    """

    delta1: float
    abs_rel: float
    rmse_m: float
    pixels: int
    coverage: float
    scale: float = 1.0
    shift_m: float = 0.0


def compared_pixels(predicted: ArrayLike, true: ArrayLike, *, max_depth_m: float | None = None) -> BoolArray:
    """Where both images have a depth.

    Args:
        predicted: (H, W), NaN or not above 0 where there is none.
        true: (H, W) metres, NaN or not above 0 where there is none.
        max_depth_m: true depth beyond it is left out.

    Returns:
        (H, W) bool.

    Raises:
        InputError: images of different size.
    """
    guess, truth = np.asarray(predicted), np.asarray(true)
    if guess.shape != truth.shape:
        raise InputError(
            f"Depth errors: expected two images of one size, got {guess.shape} and {truth.shape}; bring the "
            "prediction to the size of the truth first."
        )
    return np.asarray(_has_depth(guess) & _true_pixels(truth, max_depth_m))


def aligned_depth(
    predicted: ArrayLike, true: ArrayLike, alignment: DepthAlignment, *, max_depth_m: float | None = None
) -> tuple[NDArray[np.float64], float, float]:
    """The predicted depth after an alignment to the true one.

    Args:
        predicted: (H, W) depth in any unit, NaN for none.
        true: (H, W) metres, NaN for none.
        alignment: what is fitted over the pixels that both have.
        max_depth_m: true depth beyond it is left out of the fit.

    Returns:
        (H, W) float64 metres, NaN where there was none; the factor; the offset in metres.

    Raises:
        InputError: images of different size, or no pixel that both have.
    """
    guess, truth = np.asarray(predicted, dtype=np.float64), np.asarray(true, dtype=np.float64)
    both = compared_pixels(guess, truth, max_depth_m=max_depth_m)
    if not both.any():
        raise InputError("Depth errors: expected at least one pixel with predicted and true depth, got none.")
    p, t = guess[both], truth[both]
    scale, shift = 1.0, 0.0
    if alignment is DepthAlignment.MEDIAN:
        scale = float(np.median(t) / np.median(p))
    elif alignment is DepthAlignment.AFFINE:
        scale, shift = _affine_fit(p, t)
    aligned = np.where(_has_depth(guess), scale * guess + shift, np.nan)
    if alignment is DepthAlignment.AFFINE:
        aligned = np.fmax(aligned, np.where(np.isnan(aligned), np.nan, LEAST_ALIGNED_M))
    return aligned, scale, shift


def depth_error(
    predicted: ArrayLike,
    true: ArrayLike,
    *,
    alignment: DepthAlignment = DepthAlignment.NONE,
    max_depth_m: float | None = None,
) -> DepthError:
    """The errors of one depth image.

    Args:
        predicted: (H, W) depth, NaN for none; metres unless an alignment makes it so.
        true: (H, W) metres, NaN for none.
        alignment: what is taken out before.
        max_depth_m: true depth beyond it is not compared.

    Returns:
        The errors.

    Raises:
        InputError: images of different size, or no pixel that both have.
    """
    aligned, scale, shift = aligned_depth(predicted, true, alignment, max_depth_m=max_depth_m)
    truth = np.asarray(true, dtype=np.float64)
    both = compared_pixels(predicted, truth, max_depth_m=max_depth_m)
    p, t = aligned[both], truth[both]
    return DepthError(
        delta1=float((np.maximum(p / t, t / p) < DELTA1_RATIO).mean()),
        abs_rel=float((np.abs(p - t) / t).mean()),
        rmse_m=float(np.sqrt(((p - t) ** 2).mean())),
        pixels=int(both.sum()),
        coverage=float(both.sum() / _true_pixels(truth, max_depth_m).sum()),
        scale=scale,
        shift_m=shift,
    )


def mean_error(errors: Sequence[DepthError]) -> DepthError:
    """The mean of images, each counting alike, as depth benchmarks average them.

    Args:
        errors: one or more.

    Returns:
        Means, RMSE too; the scale is the median one, the pixels are the sum.

    Raises:
        InputError: no errors.
    """
    if not errors:
        raise InputError("Depth errors: expected one image or more to average, got none.")
    return DepthError(
        delta1=float(np.mean([e.delta1 for e in errors])),
        abs_rel=float(np.mean([e.abs_rel for e in errors])),
        rmse_m=float(np.mean([e.rmse_m for e in errors])),
        pixels=sum(e.pixels for e in errors),
        coverage=float(np.mean([e.coverage for e in errors])),
        scale=float(np.median([e.scale for e in errors])),
        shift_m=float(np.median([e.shift_m for e in errors])),
    )


def _has_depth(depth: NDArray[np.floating]) -> BoolArray:
    with np.errstate(invalid="ignore"):
        return np.asarray(np.isfinite(depth) & (depth > 0))


def _true_pixels(true: NDArray[np.floating], max_depth_m: float | None) -> BoolArray:
    valid = _has_depth(true)
    return valid if max_depth_m is None else np.asarray(valid & (np.nan_to_num(true, nan=np.inf) <= max_depth_m))


def _affine_fit(p: FloatArray, t: FloatArray) -> tuple[float, float]:
    """Scale and shift of p with the least squared distance to t; a scale alone where p is one value."""
    spread = p - p.mean()
    square = float(spread @ spread)
    if square <= 1e-12 * float(p @ p):
        return float(np.median(t) / np.median(p)), 0.0
    scale = float(spread @ (t - t.mean())) / square
    return scale, float(t.mean() - scale * p.mean())
