"""Pairs found by hand on small tables of overlaps."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from model_training.evaluation.matching import WAYS, match
from n3d_ros.errors import ConfigurationError


@pytest.mark.parametrize("way", WAYS)
def test_what_overlaps_too_little_makes_no_pair(way: str) -> None:
    assert match(np.array([[0.24, 0.0], [0.0, 0.25]]), level=0.25, way=way) == [(1, 1)]


@pytest.mark.parametrize("way", WAYS)
def test_each_box_and_each_object_is_used_once(way: str) -> None:
    assert match(np.array([[0.9], [0.8]]), level=0.25, scores=[0.5, 0.4], way=way) == [(0, 0)]


@pytest.mark.parametrize("way", WAYS)
def test_other_classes_make_no_pair(way: str) -> None:
    assert match(np.array([[0.9]]), level=0.25, allowed=np.array([[False]]), way=way) == []


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
def test_without_boxes_or_objects_there_are_no_pairs(way: str, shape: tuple[int, int]) -> None:
    assert match(np.zeros(shape), level=0.25, way=way) == []


def test_the_surest_box_chooses_first() -> None:
    overlap = np.array([[0.9, 0.0], [0.8, 0.3]])
    assert match(overlap, level=0.25, scores=[0.2, 0.9]) == [(1, 0)]
    assert match(overlap, level=0.25, scores=[0.9, 0.2]) == [(0, 0), (1, 1)]


def test_boxes_without_a_score_come_last_in_their_order() -> None:
    overlap = np.array([[0.9], [0.8], [0.7]])
    assert match(overlap, level=0.25, scores=[None, 0.1, None]) == [(1, 0)]
    assert match(overlap, level=0.25, scores=[None, None, None]) == [(0, 0)]


def test_the_largest_overlap_goes_first() -> None:
    overlap = np.array([[0.6, 0.5], [0.7, 0.0]])
    assert match(overlap, level=0.25, way="overlap") == [(0, 1), (1, 0)]
    assert match(np.array([[0.9, 0.5], [0.7, 0.0]]), level=0.25, way="overlap") == [(0, 0)]


def test_the_optimum_has_most_pairs() -> None:
    assert match(np.array([[0.9, 0.5], [0.7, 0.0]]), level=0.25, way="optimal") == [(0, 1), (1, 0)]


def test_the_optimum_is_that_of_trying_all() -> None:
    rng = np.random.default_rng(5)
    for _ in range(40):
        overlap = rng.random((4, 5)) * (rng.random((4, 5)) < 0.6)
        padded = np.concatenate([overlap, np.zeros((4, 4))], axis=1)  # a column each to stay alone
        best = max(
            (sum(padded[row, column] >= 0.25 for row, column in enumerate(columns)),
             sum(padded[row, column] for row, column in enumerate(columns) if padded[row, column] >= 0.25))
            for columns in permutations(range(9), 4)
        )  # fmt: skip
        pairs = match(overlap, level=0.25, way="optimal")
        assert (len(pairs), sum(overlap[pair] for pair in pairs)) == (best[0], pytest.approx(best[1]))


def test_an_unknown_way_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="optimal"):
        match(np.zeros((1, 1)), level=0.25, way="best")
    with pytest.raises(ConfigurationError, match="above 0"):
        match(np.zeros((1, 1)), level=0.0)
