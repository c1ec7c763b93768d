"""Gaps of oriented boxes, footprints, outlines, surfaces as boxes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from builders import make_box
from n3d_ros.geometry import Box3D
from n3d_ros.scene.answers.body import surface_bodies
from n3d_ros.scene.answers.spacing import gap_between, shared_footprint, within_outline
from scene.answers.asking import level_table

UP = np.array([0.0, -1.0, 0.0])


def random_box(rng: np.random.Generator) -> Box3D:
    center, size = rng.uniform(-0.6, 0.6, 3), rng.uniform(0.05, 0.5, 3)
    return make_box(center, size, axis=rng.normal(size=3), angle_rad=rng.uniform(0, 3))


def test_the_shortest_way_between_turned_boxes_is_the_shortest() -> None:
    """Two points of convex bodies are nearest when no corner of either lies beyond the plane at its own point."""
    rng = np.random.default_rng(5)
    apart = 0
    for _ in range(300):
        a, b = (random_box(rng) for _ in range(2))
        gap = gap_between(a, b)
        if gap.length_m == 0:
            continue
        apart += 1
        way = gap.end - gap.start
        assert gap.length_m == pytest.approx(np.linalg.norm(way))
        assert a.contains(gap.start, margin_m=1e-9)
        assert b.contains(gap.end, margin_m=1e-9)
        assert ((a.corners - gap.start) @ way).max() < 1e-9
        assert ((b.corners - gap.end) @ way).min() > -1e-9
    assert apart > 100


def test_boxes_that_overlap_or_touch_have_no_gap() -> None:
    rng = np.random.default_rng(6)
    for _ in range(100):
        a = make_box(rng.uniform(-1, 1, 3), rng.uniform(0.1, 0.5, 3), axis=rng.normal(size=3), angle_rad=1.0)
        inside = a.center + a.rotation @ (rng.uniform(-0.5, 0.5, 3) * a.size)
        b = make_box(inside, rng.uniform(0.01, 0.5, 3), axis=rng.normal(size=3), angle_rad=2.0)
        assert gap_between(a, b).length_m == 0.0
    assert gap_between(make_box((0, 0, 0), (1, 1, 1)), make_box((1, 0, 0), (1, 1, 1))).length_m == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("x", "angle", "share"),
    [(0.0, 0.0, 1.0), (0.1, 0.0, 0.5), (0.2, 0.0, 0.0), (0.15, 0.0, 0.25), (0.0, math.pi / 4, 1.0)],
)
def test_the_shared_footprint_is_seen_from_above(x: float, angle: float, share: float) -> None:
    small = make_box((x, 3.0, 0.0), (0.2, 0.1, 0.1), axis=(0, 1, 0), angle_rad=0.0)
    large = make_box((0.0, 0.0, 0.0), (0.2, 0.1, 0.5), axis=(0, 1, 0), angle_rad=0.0)
    if angle:
        large = make_box((0.0, 0.0, 0.0), (0.5, 0.1, 0.5), axis=(0, 1, 0), angle_rad=angle)
    assert shared_footprint(small, large, UP) == pytest.approx(share)


def test_an_octagon_is_what_two_turned_squares_share() -> None:
    """Of two equal squares turned by 45 degrees: 2 (sqrt 2 - 1) of the area."""
    straight, turned = (make_box((0, 0, 0), (1.0, 1.0, 1.0), axis=(0, 1, 0), angle_rad=a) for a in (0.0, math.pi / 4))
    assert shared_footprint(straight, turned, UP) == pytest.approx(2 * (math.sqrt(2) - 1))


@pytest.mark.parametrize(
    ("point", "inside"),
    [((0, 0, 1), True), ((0.99, 0, 1), True), ((1.04, 0, 1), True), ((1.06, 0, 1), False), ((0, 0, 0.4), False)],
)
def test_a_point_over_a_surface_is_within_its_outline(point: tuple[float, float, float], inside: bool) -> None:
    assert within_outline(level_table(), np.array(point, dtype=float), margin_m=0.05) is inside


def test_a_surface_is_a_flat_box_with_its_top_in_the_surface() -> None:
    table, other = surface_bodies((level_table(), level_table(0.8)))
    assert sorted(table.box.size.tolist()) == pytest.approx([0.001, 1.5, 2.0])
    assert table.box.center == pytest.approx([0.0, 0.3005, 1.25])
    assert (table.name, other.name) == ("table 1 (surface)", "table 2 (surface)")
    assert surface_bodies((level_table(),))[0].name == "table"
