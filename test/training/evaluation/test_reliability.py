"""Scores and frequencies, by hand."""

from __future__ import annotations

import pytest

from model_training.evaluation.reliability import score_calibration
from n3d_ros.errors import InputError


def test_gaps_are_weighed_by_the_boxes_in_their_bins() -> None:
    found = score_calibration([0.9, 0.9, 0.9, 0.1], [True, True, False, False])
    assert (found.boxes, found.correct) == (4, 2)
    assert found.ece == pytest.approx(3 / 4 * (0.9 - 2 / 3) + 1 / 4 * 0.1)
    assert found.brier == pytest.approx((0.01 + 0.01 + 0.81 + 0.01) / 4)
    filled = {one.low: (one.count, one.stated, one.observed) for one in found.bins if one.count}
    assert filled[0.9] == pytest.approx((3, 0.9, 2 / 3))
    assert filled[0.1] == pytest.approx((1, 0.1, 0.0))


def test_an_empty_bin_states_nothing() -> None:
    found = score_calibration([1.0], [True])
    assert found.bins[-1].count == 1
    assert found.bins[0].observed is None


def test_without_boxes_nothing_is_said() -> None:
    found = score_calibration([], [])
    assert (found.boxes, found.ece, found.brier, found.bins) == (0, None, None, ())


def test_what_is_no_probability_is_refused() -> None:
    with pytest.raises(InputError, match="0 to 1"):
        score_calibration([float("nan")], [True])
    with pytest.raises(InputError, match="0 to 1"):
        score_calibration([0.5], [])
