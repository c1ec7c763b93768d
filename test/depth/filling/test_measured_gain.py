"""The measurement of filled holes: errors with known answers, holes as promised, a stand-in that is stated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.depth_fill_methods import METHODS, laplace, nearest
from benchmarks.depth_fusion import Errors, figures_of
from benchmarks.depth_holes import HOLES, StandIn, edge_bands, objects
from depth.filling.scenes_for_filling import BOX, HEIGHT, WIDTH, true_depth

IDS = np.zeros((HEIGHT, WIDTH), np.int32)
IDS[BOX] = 1
HOLE = (slice(80, 110), slice(110, 150))


def test_errors_are_those_of_filled_hole_pixels_alone() -> None:
    true = np.full((4, 4), 2.0, np.float32)
    hole = np.zeros((4, 4), np.bool_)
    hole[0] = True
    filled = np.array([[2.2, 1.8, np.nan, np.nan], *[[9.0] * 4] * 3], np.float32)
    errors = Errors()
    errors.add(filled, true, hole)
    assert errors.row() == pytest.approx({"coverage": 0.5, "abs_rel": 0.1, "rmse_mm": 200.0, "wrong": 1.0}, rel=1e-5)


def test_nothing_filled_has_no_error_and_no_coverage() -> None:
    errors = Errors()
    errors.add(np.full((2, 2), np.nan, np.float32), np.ones((2, 2), np.float32), np.ones((2, 2), np.bool_))
    assert errors.row() == {"coverage": 0.0, "abs_rel": None, "rmse_mm": None, "wrong": None}


@pytest.mark.parametrize("kind", HOLES)
def test_holes_are_cut_where_depth_is_known_and_the_same_every_time(kind: str) -> None:
    depth = true_depth()
    depth[:5] = np.nan
    first, second = (HOLES[kind](depth, IDS, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert first.any() and not first[:5].any()


def test_an_object_is_cut_out_whole() -> None:
    assert objects(true_depth(), IDS, np.random.default_rng(0))[BOX].all()


def test_the_band_lies_beside_the_left_edge_of_a_thing() -> None:
    band = edge_bands(true_depth(), IDS, np.random.default_rng(0))
    assert band[60, 53:59].all()
    assert not band[60, 62:98].any() and not band[60, 102:].any()


def test_the_stand_in_without_errors_is_the_truth() -> None:
    perfect = StandIn(log_scale=0, shift_m=0, bias=0, surface_bias=0, blur_px=0.01, noise=0)
    np.testing.assert_allclose(perfect.of(true_depth(), IDS, np.random.default_rng(0)), true_depth(), rtol=1e-5)


def test_the_stand_ins_scale_and_shift_are_unknown_but_affine() -> None:
    alone = replace(StandIn(), bias=0, surface_bias=0, blur_px=0.01, noise=0)
    depth = alone.of(true_depth(), IDS, np.random.default_rng(5))
    line = np.polyfit(true_depth().ravel(), depth.ravel(), 1)
    np.testing.assert_allclose(np.polyval(line, true_depth()), depth, rtol=1e-4)
    assert abs(line[0] - 1) > 0.02


def test_laplace_fills_a_hole_in_a_plane_with_the_plane() -> None:
    """So that the baseline is a fair one."""
    sensor = true_depth()
    sensor[HOLE] = np.nan
    np.testing.assert_allclose(laplace(sensor, sensor)[HOLE], true_depth()[HOLE], rtol=0.01)
    assert np.abs(nearest(sensor, sensor)[HOLE] / true_depth()[HOLE] - 1).max() > 0.05


@pytest.mark.parametrize("name", METHODS)
def test_every_method_keeps_what_was_measured(name: str) -> None:
    sensor = true_depth()
    sensor[HOLE] = np.nan
    filled = METHODS[name](sensor, (true_depth() * 0.5).astype(np.float32))
    measured = np.isfinite(sensor)
    np.testing.assert_array_equal(filled[measured], sensor[measured])


def test_a_gain_that_is_lost_breaks_its_promise() -> None:
    good, bad = {"abs_rel": 0.01, "rmse_mm": 1.0, "coverage": 1.0}, {"abs_rel": 0.1, "rmse_mm": 1.0, "coverage": 1.0}
    row = {name: bad for name in METHODS if name != "nothing"}
    document = {"errors": {"generated scenes": {"blobs": {**row, "ours": good}}}, "boxes": {}, "fill_ms": 30.0}
    assert [figure.is_kept for figure in figures_of(document)] == [None, True, None]
    document["errors"] = {"generated scenes": {"blobs": {**row, "ours": bad}}}
    assert [figure.is_kept for figure in figures_of(document)] == [None, False, None]
