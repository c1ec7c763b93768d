"""Scale and shift between two depths, robustly: by weighted L1 for losses, by RANSAC for a teacher's labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

LEAST_DIFFERENCE = 1e-6  # of predictions: pairs nearer than this say nothing about the scale
LEAST_POINTS = 8  # fewer known pixels are not aligned
RANSAC_DRAWS = 200
LEAST_TOLERANCE_M = 1e-3  # measured depth is stored in whole millimetres


def l1_scale_shift(predicted: Tensor, true: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Scale s and shift t that minimise sum w |s p + t - y|, each row for itself.

    The ROE solver of MoGe (arXiv 2410.19115). At the optimum the line passes through a point. Each is tried: the shift
    follows from it, and the scale that is best then is a weighted median of slopes. Quadratic in N: give it a subset
    of the pixels. No gradient.

    Args:
        predicted: (R, N).
        true: (R, N).
        weight: (R, N), 0 for points that do not count.

    Returns:
        scale (R,), shift (R,), and whether a positive scale was found (R,) bool; where not, scale 1 and shift 0.
    """
    with torch.no_grad():
        counts = weight > 0
        p, y, w = torch.where(counts, predicted, 0.0), torch.where(counts, true, 0.0), weight
        run, rise = p[:, None, :] - p[:, :, None], y[:, None, :] - y[:, :, None]
        usable = (run.abs() > LEAST_DIFFERENCE) & counts[:, None, :] & counts[:, :, None]
        slope = torch.where(usable, rise / torch.where(usable, run, 1.0), 0.0)
        share = torch.where(usable, w[:, None, :] * run.abs(), 0.0)
        slope, order = slope.sort(dim=-1)
        total = share.gather(-1, order).cumsum(dim=-1)
        middle = (total >= total[..., -1:] / 2).to(torch.uint8).argmax(dim=-1, keepdim=True)
        scales = slope.gather(-1, middle).squeeze(-1)
        cost = (w[:, None, :] * (scales[..., None] * run - rise).abs()).sum(dim=-1)
        enough = (total[..., -1] > 0) & (scales > 0) & (counts.sum(dim=-1, keepdim=True) >= 2)
        cost = torch.where(enough, cost, torch.inf)
        best = cost.argmin(dim=-1, keepdim=True)
        found = torch.isfinite(cost.gather(-1, best)).squeeze(-1)
        scale = scales.gather(-1, best).squeeze(-1)
        shift = (y.gather(-1, best) - scales.gather(-1, best) * p.gather(-1, best)).squeeze(-1)
        return torch.where(found, scale, 1.0), torch.where(found, shift, 0.0), found


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelAlignment:
    """The line from a teacher's depth to measured metres.

    Args:
        scale: above 0.
        shift_m: metres.
        inliers: pixels that agree.
        pixels: pixels looked at.
        tolerance_m: what counted as agreeing.
    """

    scale: float
    shift_m: float
    inliers: int
    pixels: int
    tolerance_m: float


def _least_squares(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float]:
    """Slope and intercept."""
    x_mean, y_mean = x.mean(), y.mean()
    spread = float(((x - x_mean) ** 2).sum())
    slope = float(((x - x_mean) * (y - y_mean)).sum()) / spread if spread > 0 else 0.0
    return slope, float(y_mean - slope * x_mean)


def align_labels(
    teacher: NDArray[np.floating],
    measured_m: NDArray[np.floating],
    rng: np.random.Generator,
    *,
    draws: int = RANSAC_DRAWS,
    most_pixels: int = 20_000,
) -> LabelAlignment | None:
    """RANSAC least squares of scale and shift, scale above 0, from a teacher's depth to sparse or noisy metric depth.

    The tolerance is the mean absolute deviation of the plain least-squares residuals from their median, at least 1 mm.

    Args:
        teacher: (H, W) relative depth, NaN where it says nothing.
        measured_m: (H, W) metres, NaN or 0 where nothing was measured.
        rng: source of chance.
        draws: pairs of pixels tried.
        most_pixels: of more, this many are drawn.

    Returns:
        The alignment; None where fewer than 8 pixels have both depths or no positive scale fits.
    """
    valid = np.isfinite(teacher) & np.isfinite(measured_m) & (measured_m > 0)
    x, y = teacher[valid].astype(np.float64), measured_m[valid].astype(np.float64)
    if len(x) > most_pixels:
        some = rng.choice(len(x), most_pixels, replace=False)
        x, y = x[some], y[some]
    if len(x) < LEAST_POINTS:
        return None
    slope, intercept = _least_squares(x, y)
    residual = slope * x + intercept - y
    tolerance = max(float(np.abs(residual - np.median(residual)).mean()), LEAST_TOLERANCE_M)
    best: NDArray[np.bool_] | None = None
    for first, second in rng.integers(0, len(x), (draws, 2)):
        if abs(x[first] - x[second]) < LEAST_DIFFERENCE:
            continue
        scale = (y[first] - y[second]) / (x[first] - x[second])
        if scale <= 0:
            continue
        agrees = np.abs(scale * (x - x[first]) + y[first] - y) <= tolerance
        if best is None or agrees.sum() > best.sum():
            best = agrees
    if best is None or best.sum() < 2:
        return None
    scale, shift = _least_squares(x[best], y[best])
    if scale <= 0:
        return None
    return LabelAlignment(scale=scale, shift_m=shift, inliers=int(best.sum()), pixels=len(x), tolerance_m=tolerance)
