"""From evidence for a box to the probability that it is right: a logistic curve over a few numbers.

``DEFAULT_CALIBRATION`` is not calibrated: it takes the tokens' probability nearly as it is, moves it by what the depth
image says, and promises an order, not a frequency. ``fit_calibration`` learns the weights from boxes of which it is
known whether they were right; a file ``calibration.json`` beside the weights carries them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from n3d_ros.errors import ConfigurationError, InputError
from n3d_ros.geometry.arrays import FloatArray, finite_float, frozen_array
from n3d_ros.whole_files import write_json

FEATURES: tuple[str, ...] = ("tokens", "existence", "label", "digits", "place", "form", "support", "agreement")
"""What is known about a box, see ``scores.ScoreFeatures``; more of each is better, so no weight is below zero."""

CALIBRATION_FILE = "calibration.json"
FORMAT = "n3d_calibration"
VERSION = 1
_MAX_FILE_BYTES = 65_536
_MAX_WEIGHT = 1e3
_MIN_BOXES = 20  # fewer say nothing about frequencies
_MAX_BOXES = 10_000_000
_MAX_STEPS = 100
_TOLERANCE = 1e-9
_MAX_EXPONENT = 500.0  # of e, within what float64 holds


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """How far stated probabilities and observed frequencies agree.

    Args:
        boxes: how many were looked at.
        correct: how many of them were right.
        ece: expected calibration error, 0 to 1: mean gap between probability and frequency over ten bins (Guo et al.,
            ICML 2017).
        brier: mean squared difference between probability and truth, 0 to 1.
    """

    boxes: int
    correct: int
    ece: float
    brier: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Calibration:
    """Weights that turn evidence into a probability: ``1 / (1 + exp(-(bias + weights . features)))``.

    Args:
        weights: (8,) float64, one per name in ``FEATURES``, none below zero.
        bias: of the sum.
        is_fitted: False for the default, whose scores order boxes but are no frequencies.
        reliability: on the boxes it was fitted to; None when not fitted.
        about: what it was fitted to and what counted as right, in words.
    """

    weights: FloatArray
    bias: float = 0.0
    is_fitted: bool = False
    reliability: Reliability | None = None
    about: str = ""

    def __post_init__(self) -> None:
        """Checks ranges.

        Raises:
            InputError: a weight that is missing, not finite, below zero or absurdly large.
        """
        weights = frozen_array(self.weights, shape=(len(FEATURES),), dtype=np.float64, name="Calibration.weights")
        if not ((weights >= 0) & (weights <= _MAX_WEIGHT)).all():
            raise InputError(f"Calibration.weights: expected 0 to {_MAX_WEIGHT:g} each, got {weights.tolist()}.")
        object.__setattr__(self, "weights", weights)
        finite_float(self.bias, name="Calibration.bias")

    def probability(self, features: ArrayLike) -> NDArray[np.float64]:
        """How likely boxes are right.

        Args:
            features: (..., 8) in the order of ``FEATURES``.

        Returns:
            (...) float64, 0 to 1.
        """
        return _logistic(np.asarray(features, dtype=np.float64) @ self.weights + self.bias)

    def to_dict(self) -> dict[str, Any]:
        """What the file holds."""
        found = self.reliability
        return {
            "format": FORMAT,
            "version": VERSION,
            "weights": dict(zip(FEATURES, self.weights.tolist(), strict=True)),
            "bias": self.bias,
            "about": self.about,
            "reliability": None if found is None else {name: getattr(found, name) for name in Reliability.__slots__},
        }


DEFAULT_CALIBRATION = Calibration(
    weights=np.array([1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0, 1.0]),
    about="not calibrated: the tokens' log-odds as they are, moved by what the depth image says",
)


def fit_calibration(features: ArrayLike, correct: ArrayLike, *, ridge: float = 1.0, about: str = "") -> Calibration:
    """The weights under which stated probabilities come closest to what was right.

    Logistic regression by Newton's method on standardised features, with a quadratic penalty. A feature whose weight
    comes out negative, against its meaning, is left out and the rest fitted again: more evidence never lowers a score.

    Args:
        features: (N, 8) evidence per box, in the order of ``FEATURES``.
        correct: (N,) whether the box was right.
        ridge: weight of the penalty, above 0; more keeps weights smaller.
        about: what the boxes were and what counted as right.

    Returns:
        The calibration, with its reliability on these boxes.

    Raises:
        InputError: other shapes, numbers that are not finite, fewer than 20 boxes, or all right or all wrong.
    """
    evidence = np.asarray(features, dtype=np.float64)
    truth = np.asarray(correct, dtype=np.float64)
    _check_examples(evidence, truth, ridge)
    mean, spread = evidence.mean(axis=0), evidence.std(axis=0)
    active = spread > 1e-9  # what never changes tells nothing
    scaled = (evidence - mean) / np.where(active, spread, 1.0)
    while True:
        weights, bias = _newton(scaled[:, active], truth, ridge)
        if not (weights < 0).any():
            break
        active[np.flatnonzero(active)[weights.argmin()]] = False
    full = np.zeros(len(FEATURES))
    full[active] = weights / spread[active]
    bias -= float(full @ mean)
    return Calibration(
        weights=np.minimum(full, _MAX_WEIGHT),
        bias=bias,
        is_fitted=True,
        reliability=reliability(_logistic(evidence @ full + bias), truth),
        about=about,
    )


def reliability(probability: ArrayLike, correct: ArrayLike, *, bins: int = 10) -> Reliability:
    """How far probabilities and frequencies agree.

    Args:
        probability: (N,) 0 to 1.
        correct: (N,) whether each was right.
        bins: of equal width, over which gaps are averaged.

    Returns:
        The figures.

    Raises:
        InputError: no boxes, or other lengths.
    """
    stated, truth = np.asarray(probability, dtype=np.float64), np.asarray(correct, dtype=np.float64)
    if stated.ndim != 1 or stated.shape != truth.shape or not len(stated):
        raise InputError(f"reliability: expected two lists of one length, got shapes {stated.shape}, {truth.shape}.")
    index = np.clip((stated * bins).astype(np.intp), 0, bins - 1)
    gaps = np.bincount(index, weights=stated, minlength=bins) - np.bincount(index, weights=truth, minlength=bins)
    return Reliability(
        boxes=len(truth),
        correct=int(truth.sum()),
        ece=float(np.abs(gaps).sum() / len(truth)),
        brier=float(np.square(stated - truth).mean()),
    )


def read_calibration(folder: Path) -> Calibration:
    """The calibration beside a model's weights, or the default when there is none.

    Args:
        folder: of the model.

    Returns:
        The calibration.

    Raises:
        ConfigurationError: the file is there and is not one.
    """
    path = folder / CALIBRATION_FILE
    if not path.is_file():
        return DEFAULT_CALIBRATION
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise InputError(f"expected at most {_MAX_FILE_BYTES} bytes, got {path.stat().st_size}")
        return _from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, ArithmeticError, RecursionError) as error:  # InputError is a ValueError, as json's
        raise ConfigurationError(
            f"Calibration {path}: {error}. Delete the file; `n3d calibrate` makes another one."
        ) from error


def write_calibration(calibration: Calibration, folder: Path) -> Path:
    """The file that keeps a calibration beside a model's weights.

    Args:
        calibration: to keep.
        folder: of the model; must exist.

    Returns:
        Path of the file.
    """
    path = folder / CALIBRATION_FILE
    write_json(path, calibration.to_dict())
    return path


def _check_examples(evidence: FloatArray, truth: FloatArray, ridge: float) -> None:
    count = len(truth) if truth.ndim == 1 else -1
    if evidence.shape != (count, len(FEATURES)) or not np.isfinite(evidence).all():
        raise InputError(
            f"fit_calibration: expected finite features (N, {len(FEATURES)}) and (N,) answers, got "
            f"{evidence.shape} and {truth.shape}."
        )
    if not _MIN_BOXES <= count <= _MAX_BOXES or not 0 < truth.sum() < count:
        raise InputError(
            f"fit_calibration: expected at least {_MIN_BOXES} boxes, right ones and wrong ones, got {count} with "
            f"{int(truth.sum())} right."
        )
    if not (math.isfinite(ridge) and ridge > 0):
        raise InputError(f"fit_calibration: expected a ridge above 0, got {ridge}.")


def _newton(scaled: FloatArray, truth: FloatArray, ridge: float) -> tuple[FloatArray, float]:
    """Weights and bias of least penalised log loss; the bias carries no penalty."""
    design = np.column_stack([scaled, np.ones(len(scaled))])
    penalty = np.append(np.full(scaled.shape[1], ridge), 1e-9)
    share = float(truth.mean())
    solution = np.append(np.zeros(scaled.shape[1]), math.log(share / (1 - share)))
    for _ in range(_MAX_STEPS):
        stated = _logistic(design @ solution)
        gradient = design.T @ (stated - truth) + penalty * solution
        curvature = (design * (stated * (1 - stated))[:, None]).T @ design + np.diag(penalty)
        step = _shortened(np.linalg.solve(curvature, gradient))
        solution = solution - step
        if np.abs(step).max() < _TOLERANCE:
            break
    return solution[:-1], float(solution[-1])


def _shortened(step: FloatArray) -> FloatArray:
    """A step of length 4 at most: the logistic curve is flat far out, and a full step there would overshoot."""
    length = float(np.linalg.norm(step))
    return step * min(1.0, 4.0 / max(length, 1e-12))


def _logistic(value: ArrayLike) -> NDArray[np.float64]:
    exponent = np.clip(np.asarray(value, dtype=np.float64), -_MAX_EXPONENT, _MAX_EXPONENT)
    probability: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-exponent))
    return probability


def _finite(source: Mapping[str, Any], name: str) -> float:
    """A finite number of a parsed file."""
    value = source.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise InputError(f"expected a finite number for {name!r}, got {value!r}")
    return float(value)


def _from_dict(content: Any) -> Calibration:
    """The calibration of a parsed file."""
    if not isinstance(content, dict) or content.get("format") != FORMAT or content.get("version") != VERSION:
        raise InputError(f'expected "format": "{FORMAT}" and "version": {VERSION}')
    weights, about, found = content.get("weights"), content.get("about", ""), content.get("reliability")
    if not isinstance(weights, dict) or set(weights) != set(FEATURES):
        raise InputError(f"expected weights named {', '.join(FEATURES)}")
    if not isinstance(about, str) or not (found is None or isinstance(found, dict)):
        raise InputError("expected words under about, and figures or null under reliability")
    figures = None
    if found is not None:
        boxes, correct = int(_finite(found, "boxes")), int(_finite(found, "correct"))
        figures = Reliability(boxes=boxes, correct=correct, ece=_finite(found, "ece"), brier=_finite(found, "brier"))
    return Calibration(
        weights=np.array([_finite(weights, name) for name in FEATURES]),
        bias=_finite(content, "bias"),
        is_fitted=found is not None,
        reliability=figures,
        about=about,
    )
