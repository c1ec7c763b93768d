"""Confidence: weights that are learnt, kept in a file, and never turn more evidence into less belief."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from n3d_ros.errors import ConfigurationError, InputError
from n3d_ros.inference.language_model.calibration import (
    CALIBRATION_FILE,
    DEFAULT_CALIBRATION,
    FEATURES,
    Calibration,
    fit_calibration,
    read_calibration,
    reliability,
    write_calibration,
)

TRUE_WEIGHTS = np.array([0.5, 0.3, 0.2, 0.4, 1.5, 0.0, 3.0, 1.0])
TRUE_BIAS = -0.4


def made_up_boxes(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Evidence of overconfident tokens and what was right, by a known curve."""
    rng = np.random.default_rng(seed)
    features = np.column_stack(
        [
            rng.normal(2.0, 1.5, count),
            rng.normal(3.0, 1.0, count),
            -rng.exponential(0.5, count),
            -rng.exponential(0.3, count),
            -rng.exponential(0.3, count).clip(0, 2),
            -rng.exponential(0.1, count),
            rng.uniform(-0.5, 0.5, count),
            rng.uniform(-0.5, 0.5, count),
        ]
    )
    chance = 1 / (1 + np.exp(-(features @ TRUE_WEIGHTS + TRUE_BIAS)))
    return features, rng.uniform(size=count) < chance


def test_fitting_brings_stated_probabilities_to_observed_frequencies() -> None:
    features, correct = made_up_boxes(4000)
    fresh, fresh_correct = made_up_boxes(4000, seed=1)
    before = reliability(DEFAULT_CALIBRATION.probability(fresh), fresh_correct)
    after = reliability(fit_calibration(features, correct).probability(fresh), fresh_correct)
    assert before.ece > 0.08
    assert after.ece < 0.05
    assert after.brier < before.brier


def test_fitting_finds_the_curve_that_made_the_data() -> None:
    calibration = fit_calibration(*made_up_boxes(40_000), ridge=1e-3)
    np.testing.assert_allclose(calibration.weights[4:7:2], TRUE_WEIGHTS[4:7:2], atol=0.25)
    features, _ = made_up_boxes(1000, seed=2)
    truth = 1 / (1 + np.exp(-(features @ TRUE_WEIGHTS + TRUE_BIAS)))
    assert np.abs(calibration.probability(features) - truth).max() < 0.05


def test_fitting_twice_gives_the_same_numbers() -> None:
    first, second = fit_calibration(*made_up_boxes(500)), fit_calibration(*made_up_boxes(500))
    np.testing.assert_array_equal(first.weights, second.weights)
    assert first.bias == second.bias


def test_evidence_that_speaks_against_its_meaning_is_left_out() -> None:
    features, correct = made_up_boxes(2000)
    features[:, 6] = np.where(correct, -0.4, 0.4) + np.random.default_rng(3).normal(0, 0.3, len(correct))
    calibration = fit_calibration(features, correct)
    assert calibration.weights[6] == 0
    assert (calibration.weights >= 0).all()


@pytest.mark.parametrize("name", FEATURES)
def test_more_of_any_evidence_never_lowers_the_score(name: str) -> None:
    column = FEATURES.index(name)
    fitted = fit_calibration(*made_up_boxes(1000))
    features = np.repeat(made_up_boxes(1, seed=5)[0], 20, axis=0)
    features[:, column] = np.linspace(-0.5, 0.5, 20)
    for calibration in (DEFAULT_CALIBRATION, fitted):
        assert (np.diff(calibration.probability(features)) >= 0).all()


def test_support_by_depth_raises_the_default_score() -> None:
    features = np.zeros((2, len(FEATURES)))
    features[:, FEATURES.index("support")] = -0.4, 0.4
    low, high = DEFAULT_CALIBRATION.probability(features)
    assert high > low + 0.2
    assert not DEFAULT_CALIBRATION.is_fitted


def test_perfectly_separated_boxes_still_give_finite_weights() -> None:
    features, _ = made_up_boxes(200)
    calibration = fit_calibration(features, features[:, 0] > 2.0)
    assert np.isfinite(calibration.weights).all()
    assert np.isfinite(calibration.bias)


def test_the_calibration_error_of_a_known_case() -> None:
    # Ten boxes said to be right with 0.8, five of them are: gap 0.3; ten with 0.2, two of them are: no gap.
    figures = reliability([0.8] * 10 + [0.2] * 10, [1] * 5 + [0] * 5 + [1] * 2 + [0] * 8)
    assert figures.ece == pytest.approx(0.15)
    assert figures.brier == pytest.approx((5 * 0.04 + 5 * 0.64 + 2 * 0.64 + 8 * 0.04) / 20)
    assert (figures.boxes, figures.correct) == (20, 7)


@pytest.mark.parametrize(
    ("count", "right"), [(5, None), (100, True), (100, False)], ids=["too few", "all right", "all wrong"]
)
def test_boxes_that_cannot_calibrate_are_refused(count: int, right: bool | None) -> None:
    features, correct = made_up_boxes(count)
    with pytest.raises(InputError, match="expected at least 20 boxes"):
        fit_calibration(features, correct if right is None else np.full(count, right))


def test_features_that_are_not_finite_are_refused() -> None:
    features, correct = made_up_boxes(100)
    features[3, 2] = np.nan
    with pytest.raises(InputError, match="finite"):
        fit_calibration(features, correct)


def test_a_calibration_comes_back_from_its_file(tmp_path: Path) -> None:
    fitted = fit_calibration(*made_up_boxes(300), about="made-up boxes, right above IoU 0.25")
    write_calibration(fitted, tmp_path)
    found = read_calibration(tmp_path)
    np.testing.assert_array_equal(found.weights, fitted.weights)
    assert (found.bias, found.about, found.is_fitted) == (fitted.bias, fitted.about, True)
    assert found.reliability == fitted.reliability


def test_a_folder_without_the_file_gives_the_default(tmp_path: Path) -> None:
    assert read_calibration(tmp_path) is DEFAULT_CALIBRATION


@pytest.mark.parametrize(
    "change",
    [
        {"format": "other"},
        {"version": 2},
        {"bias": "zero"},
        {"bias": float("nan")},
        {"bias": True},
        {"weights": {}},
        {"weights": dict.fromkeys(FEATURES, -1.0)},
        {"weights": dict.fromkeys(FEATURES, 10**400)},
        {"weights": dict.fromkeys(FEATURES, 1e9)},
        {"about": 3},
        {"reliability": [1]},
        {"reliability": {"boxes": 3}},
    ],
    ids=str,
)
def test_a_file_that_is_no_calibration_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    content = fit_calibration(*made_up_boxes(300)).to_dict() | change
    (tmp_path / CALIBRATION_FILE).write_text(json.dumps(content))
    with pytest.raises(ConfigurationError, match=CALIBRATION_FILE):
        read_calibration(tmp_path)


@pytest.mark.parametrize("text", ["", "[", "3", "[" * 100_000, '"' + "x" * 70_000 + '"'], ids=lambda text: text[:8])
def test_a_file_of_something_else_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / CALIBRATION_FILE).write_text(text)
    with pytest.raises(ConfigurationError, match="Delete the file"):
        read_calibration(tmp_path)


def test_weights_below_zero_are_refused() -> None:
    with pytest.raises(InputError, match="weights"):
        Calibration(weights=np.full(len(FEATURES), -1.0))
