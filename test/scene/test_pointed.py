"""Which object a point means."""

from __future__ import annotations

import math

import numpy as np
import pytest

from builders import make_detection
from n3d_ros.scene.objects import SceneObject
from n3d_ros.scene.pointed import MARGIN_M, pointed_at

BOWL = SceneObject.first(1, make_detection("bowl", center=(0, 0, 1), size=(0.3, 0.3, 0.2)), 1)
APPLE = SceneObject.first(2, make_detection("apple", center=(0, 0, 1.02), size=(0.08, 0.08, 0.08)), 1)
BOX = SceneObject.first(3, make_detection("box", center=(1, 0, 1), size=(0.2, 0.2, 0.2)), 1)


@pytest.mark.parametrize(
    ("point", "expected"),
    [((0.1, 0, 1), 1), ((0, 0, 1.03), 2), ((1, 0.1 + 0.9 * MARGIN_M, 1), 3), ((1, 0.1 + 1.1 * MARGIN_M, 1), None)],
    ids=["inside the bowl", "inside the apple in the bowl", "a little beside the box", "too far beside it"],
)
def test_a_point_means_the_smallest_box_that_holds_it_or_the_nearest_within_the_margin(
    point: tuple[float, float, float], expected: int | None
) -> None:
    pointed = pointed_at(point, [BOWL, APPLE, BOX])
    assert (None if pointed.object is None else pointed.object.id) == expected


@pytest.mark.parametrize("beside_m", [0.001, 0.005, 0.009])
def test_a_point_on_the_measured_surface_of_an_apple_means_the_apple_and_not_its_bowl(beside_m: float) -> None:
    pointed = pointed_at((0, 0.04 + beside_m, 1.02), [BOWL, APPLE, BOX])
    assert pointed.object is APPLE
    assert pointed.distance_m == pytest.approx(beside_m)


def test_a_point_that_means_nothing_says_what_is_nearest_and_how_far() -> None:
    pointed = pointed_at((1, 0.5, 1), [BOWL, APPLE, BOX])
    assert pointed.nearest is BOX
    assert pointed.distance_m == pytest.approx(0.4)


def test_without_objects_or_with_a_broken_point_nothing_is_meant() -> None:
    for pointed in (pointed_at((0, 0, 1), []), pointed_at((0, np.nan, 1), [BOWL])):
        assert pointed.object is pointed.nearest is None
        assert math.isnan(pointed.distance_m)
