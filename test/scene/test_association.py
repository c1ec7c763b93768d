"""Assignment against brute force, overlaps against the exact ones, and who is who."""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from builders import make_box, make_detection
from n3d_ros.geometry import iou_3d
from n3d_ros.scene.assignment import assign
from n3d_ros.scene.association import associate, explained_by_others, overlaps
from n3d_ros.scene.config import SceneConfig
from n3d_ros.scene.objects import SceneObject


def least_cost(cost: NDArray[np.float64], allowed: NDArray[np.bool_]) -> float:
    """The least sum over all ways to pair, by trying them."""
    rows, columns = cost.shape
    best = 0.0
    for count in range(1, min(rows, columns) + 1):
        for chosen in combinations(range(rows), count):
            for partners in permutations(range(columns), count):
                if all(allowed[i, j] for i, j in zip(chosen, partners, strict=True)):
                    best = min(best, sum(float(cost[i, j]) for i, j in zip(chosen, partners, strict=True)))
    return best


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 4), st.integers(0, 4), st.integers(0, 2**32 - 1))
def test_the_assignment_is_the_cheapest_of_all(rows: int, columns: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    cost, allowed = rng.normal(-0.5, 1.0, (rows, columns)), rng.random((rows, columns)) < 0.8
    pairs = assign(cost, allowed)
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
    assert all(allowed[i, j] for i, j in pairs)
    assert sum(cost[i, j] for i, j in pairs) == pytest.approx(least_cost(cost, allowed), abs=1e-9)


def test_a_large_chain_of_neighbours_is_assigned_to_itself() -> None:
    count = 60
    index = np.arange(count)
    distance = np.abs(index[:, None] - index[None, :]).astype(float)
    assert assign(distance - 2.0, distance < 2) == [(i, i) for i in range(count)]


def test_overlaps_by_points_are_near_the_exact_ones() -> None:
    rng = np.random.default_rng(2)
    first = [
        make_box(rng.normal(0, 0.1, 3), rng.uniform(0.1, 0.4, 3), axis=rng.normal(size=3), angle_rad=rng.uniform(-3, 3))
        for _ in range(12)
    ]
    second = [
        make_box(rng.normal(0, 0.1, 3), rng.uniform(0.1, 0.4, 3), axis=rng.normal(size=3), angle_rad=rng.uniform(-3, 3))
        for _ in range(12)
    ]
    got = overlaps(first, second).iou
    exact = np.array([[iou_3d(a, b) for b in second] for a in first])
    assert np.abs(got - exact).max() < 0.05


@pytest.mark.parametrize("shift", [0.004, 0.011, 0.02, 0.037, 0.05, 0.08])
def test_overlaps_of_parallel_boxes_do_not_come_in_steps(shift: float) -> None:
    a, b = make_box((0, 0, 1), (0.1, 0.1, 0.1)), make_box((shift, 0, 1), (0.1, 0.1, 0.1))
    assert overlaps([a], [b]).iou[0, 0] == pytest.approx(iou_3d(a, b), abs=0.02)


def test_overlaps_of_nothing_are_empty() -> None:
    assert overlaps([], [make_box()]).iou.shape == (0, 1)
    assert overlaps([make_box()], []).iou.shape == (1, 0)


def test_an_inner_box_lies_wholly_inside_and_covers_its_share() -> None:
    outer, inner = make_box(size=(0.4, 0.4, 0.4)), make_box(size=(0.2, 0.2, 0.2))
    result = overlaps([inner], [outer])
    assert result.first_inside[0, 0] == 1.0
    assert result.second_inside[0, 0] == pytest.approx(1 / 8, abs=0.03)


def known(i: int, **changes: object) -> SceneObject:
    return SceneObject.first(i, make_detection(**changes), 0)


def test_words_tip_the_scales_between_two_overlapping_candidates() -> None:
    objects = [known(1, color="red"), known(2, color="blue", center=(0.02, 0, 1))]
    seen = [make_detection(color="blue", center=(0.01, 0, 1)), make_detection(color="red", center=(0.01, 0, 1))]
    result = associate(objects, seen, may_have_left=lambda _: False, config=SceneConfig())
    assert result.pairs == {0: 1, 1: 0}


def test_a_changed_label_does_not_hide_that_the_box_is_the_same() -> None:
    result = associate(
        [known(1, label="red box", color="red")],
        [make_detection("orange cylinder", color="orange", shape="cylinder")],
        may_have_left=lambda _: False,
        config=SceneConfig(),
    )
    assert result.pairs == {0: 0}


def test_only_an_object_that_left_its_place_is_looked_for_elsewhere() -> None:
    objects, seen = [known(1, size=(0.05, 0.05, 0.05))], [make_detection(center=(0.1, 0, 1), size=(0.05, 0.05, 0.05))]
    stayed = associate(objects, seen, may_have_left=lambda _: False, config=SceneConfig())
    moved = associate(objects, seen, may_have_left=lambda _: True, config=SceneConfig())
    assert (stayed.pairs, stayed.new) == ({}, (0,))
    assert (moved.pairs, moved.new) == ({0: 0}, ())


def test_a_thing_of_another_size_elsewhere_is_another_thing() -> None:
    objects, seen = [known(1, size=(0.05, 0.05, 0.05))], [make_detection(center=(0.1, 0, 1), size=(0.05, 0.05, 0.1))]
    assert associate(objects, seen, may_have_left=lambda _: True, config=SceneConfig()).new == (0,)


def test_another_size_in_another_colour_at_the_same_place_is_another_object() -> None:
    objects = [known(1, label="red box", color="red", size=(0.1, 0.1, 0.1))]
    grown = make_detection("blue box", color="blue", size=(0.2, 0.2, 0.1))
    result = associate(objects, [grown], may_have_left=lambda _: True, config=SceneConfig())
    assert (result.pairs, result.new) == ({}, (0,))
    assert explained_by_others(objects, [grown], result).tolist() == [True]


@pytest.mark.parametrize(("color", "size"), [("red and white", (0.2, 0.2, 0.1)), ("blue", (0.11, 0.1, 0.1))])
def test_a_shared_colour_word_or_a_like_size_at_the_same_place_is_the_same_object(
    color: str, size: tuple[float, float, float]
) -> None:
    objects = [known(1, color="red", size=(0.1, 0.1, 0.1))]
    result = associate(
        objects, [make_detection(color=color, size=size)], may_have_left=lambda _: False, config=SceneConfig()
    )
    assert result.pairs == {0: 0}
