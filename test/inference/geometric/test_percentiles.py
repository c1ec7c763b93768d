"""Percentiles agree with numpy's to the last bit, whatever the length, and pass unknown values on."""

from __future__ import annotations

import math

import numpy as np
import pytest

from n3d_ros.inference.geometric.percentiles import percentile, percentiles


@pytest.mark.parametrize("count", [1, 2, 3, 7, 50, 51, 1000])
def test_percentiles_are_those_of_numpy(count: int) -> None:
    values = np.random.default_rng(count).normal(size=(3, count))
    found = percentiles(values, 2, 3, 50, 97, 100)
    np.testing.assert_array_equal(found, np.percentile(values, [2, 3, 50, 97, 100], axis=-1))


def test_an_unknown_value_makes_only_its_own_row_unknown() -> None:
    found = percentiles(np.array([[1.0, np.nan, 3.0], [1.0, 2.0, 3.0]]), 0)
    assert math.isnan(found[0, 0])
    assert found[0, 1] == 1.0


def test_nothing_has_no_percentile() -> None:
    assert math.isnan(percentile(np.zeros(0), 50))


def test_the_values_stay_in_their_order() -> None:
    values = np.array([3.0, 1.0, 2.0])
    percentile(values, 50)
    np.testing.assert_array_equal(values, [3.0, 1.0, 2.0])
