"""Holes of a depth camera filled from a model."""

from __future__ import annotations

import numpy as np
import pytest

from depth.filling.scenes_for_filling import bias, blurred, true_depth, with_hole
from n3d_ros.depth.filling import FillingConfig, fill
from n3d_ros.depth.pixel_source import PixelSource
from n3d_ros.errors import ConfigurationError, GroundingError, InputError

FLOOR_HOLE = (slice(80, 110), slice(110, 150))
BOX_HOLE = (slice(46, 94), slice(56, 104))


def _network(*, scale: float = 0.6, shift: float = 0.1, amount: float = 0.04) -> np.ndarray:
    """A model's depth: soft edges, a slow bias, a unit of its own."""
    return (blurred(true_depth()) * bias(amount) * scale + shift).astype(np.float32)


def test_the_sensors_own_depth_stays_bit_for_bit() -> None:
    sensor = with_hole(true_depth(), FLOOR_HOLE)
    filled = fill(sensor, _network())
    measured = np.isfinite(sensor)
    np.testing.assert_array_equal(filled.depth_m[measured], sensor[measured])
    assert filled.depth_m.dtype == np.float32
    assert (filled.source[measured] == PixelSource.SENSOR).all()
    assert not np.shares_memory(filled.depth_m, sensor)


def test_a_hole_is_filled_with_the_aligned_model_and_marked() -> None:
    filled = fill(with_hole(true_depth(), FLOOR_HOLE), _network())
    assert (filled.source[FLOOR_HOLE] == PixelSource.MODEL).mean() > 0.95
    error = filled.depth_m[FLOOR_HOLE] / true_depth()[FLOOR_HOLE] - 1
    assert np.nanmax(np.abs(error)) < 0.02


def test_following_the_models_bias_beats_scale_and_shift_alone() -> None:
    model = _network(amount=0.06)
    filled = fill(with_hole(true_depth(), FLOOR_HOLE), model)
    assert filled.alignment is not None
    alone, ours = (
        np.nanmean(np.abs(depth[FLOOR_HOLE] / true_depth()[FLOOR_HOLE] - 1))
        for depth in (filled.alignment.apply(model), filled.depth_m)
    )
    assert ours < 0.5 * alone


def test_there_is_no_seam_where_a_hole_begins() -> None:
    filled = fill(with_hole(true_depth(), FLOOR_HOLE), _network(amount=0.06)).depth_m
    row, column = 95, FLOOR_HOLE[1].start
    assert filled[row, column] == pytest.approx(filled[row, column - 1], rel=0.01)


def test_an_object_that_the_sensor_does_not_see_at_all_stands_where_it_is() -> None:
    filled = fill(with_hole(true_depth(), BOX_HOLE), _network(amount=0.02))
    inside = (slice(60, 80), slice(70, 90))
    assert (filled.source[inside] == PixelSource.MODEL).all()
    np.testing.assert_allclose(filled.depth_m[inside], true_depth()[inside], rtol=0.03)


def test_invented_depth_between_object_and_background_is_left_out() -> None:
    filled = fill(with_hole(true_depth(), BOX_HOLE), _network(amount=0.0))
    done = np.isfinite(filled.depth_m)
    error = np.abs(filled.depth_m[done] / true_depth()[done] - 1)
    assert (error > 0.1).sum() < 0.002 * done.sum()
    assert filled.facts["refused_edge"] > 0


def test_flying_pixels_of_the_sensor_do_not_bend_the_fit() -> None:
    clean = with_hole(true_depth(), FLOOR_HOLE)
    flying = clean.copy()
    soft = np.asarray(blurred(true_depth()))
    on_edge = np.abs(soft / true_depth() - 1) > 0.02
    flying[on_edge & np.isfinite(clean)] = soft[on_edge & np.isfinite(clean)]
    model = (true_depth() * 0.6).astype(np.float32)
    expected, found = fill(clean, model).alignment, fill(flying, model).alignment
    assert expected is not None and found is not None
    assert found.scale == pytest.approx(expected.scale, rel=0.01)


def test_sky_is_never_filled() -> None:
    sky = np.zeros(true_depth().shape, np.bool_)
    sky[:20] = True
    sensor = true_depth()
    sensor[:30] = np.nan
    filled = fill(sensor, _network(), sky=sky)
    assert np.isnan(filled.depth_m[:20]).all() and (filled.source[:20] == PixelSource.NONE).all()
    assert filled.facts["refused_sky"] == pytest.approx(20 / 120)
    assert np.isfinite(filled.depth_m[24:30]).mean() > 0.8


def test_pixels_of_little_confidence_stay_holes() -> None:
    confidence = np.full(true_depth().shape, 5.0, np.float32)
    unsure = (slice(85, 95), slice(115, 125))
    confidence[unsure] = 1.1
    filled = fill(with_hole(true_depth(), FLOOR_HOLE), _network(), confidence=confidence)
    assert np.isnan(filled.depth_m[unsure]).all()
    assert filled.facts["refused_confidence"] == pytest.approx(100 / true_depth().size)
    assert np.isfinite(filled.depth_m[100:108, 130:145]).all()


def test_far_from_any_measurement_a_hole_stays() -> None:
    sensor = true_depth()
    sensor[:, 60:] = np.nan
    filled = fill(sensor, _network(amount=0.0), config=FillingConfig(max_reach=0.25))
    assert np.isnan(filled.depth_m[:, 60 + 42 :]).all()
    assert np.isfinite(filled.depth_m[110, 60:90]).all()


def test_depth_far_outside_what_was_compared_is_refused() -> None:
    sensor = true_depth()
    model = (true_depth() * 0.5).astype(np.float32)
    window = (slice(5, 25), slice(60, 90))  # a window in the wall, and the street 12 m away
    sensor[window] = np.nan
    model[window] = 6.0
    filled = fill(sensor, model)
    assert np.isnan(filled.depth_m[window]).all()
    assert filled.facts["refused_extrapolation"] > 0


def test_a_model_that_shows_another_scene_fills_nothing() -> None:
    model = np.random.default_rng(0).uniform(0.5, 5, true_depth().shape)
    filled = fill(
        with_hole(true_depth(), FLOOR_HOLE), blurred(model.astype(np.float32)), config=FillingConfig(edge_jump=1)
    )
    assert (filled.source != PixelSource.MODEL).all()
    assert filled.notes and "does not show what the sensor measures" in filled.notes[0]
    assert filled.facts["refused_bad_fit"] > 0


def test_where_the_model_is_wrong_locally_the_hole_stays() -> None:
    """The model misses the table on the right: around that hole it is 40 % off, and right elsewhere."""
    model = (true_depth() * 0.5).astype(np.float32)
    model[60:, 100:] *= 1.4
    filled = fill(with_hole(true_depth(), FLOOR_HOLE), model)
    assert np.isnan(filled.depth_m[FLOOR_HOLE]).mean() > 0.9
    assert filled.facts["refused_disagreement"] > 0


def test_too_little_overlap_fills_nothing_and_says_so() -> None:
    sensor = np.full(true_depth().shape, np.nan, np.float32)
    sensor[100:108, 20:28] = true_depth()[100:108, 20:28]
    filled = fill(sensor, _network())
    np.testing.assert_array_equal(filled.depth_m, sensor)
    assert "pixels have both" in filled.notes[0]
    assert filled.facts["refused_little_overlap"] > 0.9


@pytest.mark.parametrize("sensor", [None, np.full(true_depth().shape, np.nan, np.float32)])
def test_without_any_sensor_depth_metric_depth_is_the_models(sensor: np.ndarray | None) -> None:
    filled = fill(sensor, true_depth())
    np.testing.assert_array_equal(filled.depth_m, true_depth())
    assert (filled.source == PixelSource.MODEL).all() and filled.notes


def test_without_any_sensor_depth_relative_depth_is_refused() -> None:
    with pytest.raises(GroundingError, match="no scale of its own"):
        fill(None, true_depth(), model_is_metric=False)


def test_readings_outside_the_sensors_range_are_holes() -> None:
    sensor = true_depth()
    sensor[FLOOR_HOLE] = 0.05  # some drivers report the least distance where they see nothing
    filled = fill(sensor, _network(), config=FillingConfig(min_sensor_m=0.3))
    assert np.nanmin(filled.depth_m) > 0.3
    assert (filled.source[FLOOR_HOLE] == PixelSource.MODEL).mean() > 0.9


def test_a_model_with_holes_of_its_own_leaves_them() -> None:
    model = _network()
    model[90:95, 120:130] = np.nan
    filled = fill(with_hole(true_depth(), FLOOR_HOLE), model)
    assert np.isnan(filled.depth_m[90:95, 120:130]).all()
    assert filled.facts["refused_no_model"] > 0


def test_depth_without_holes_comes_back_as_it_is() -> None:
    filled = fill(true_depth(), _network())
    np.testing.assert_array_equal(filled.depth_m, true_depth())
    assert filled.facts["holes"] == filled.facts["filled"] == 0


def test_the_same_images_give_the_same_depth() -> None:
    first, second = (fill(with_hole(true_depth(), BOX_HOLE), _network()) for _ in range(2))
    np.testing.assert_array_equal(first.depth_m, second.depth_m)


def test_facts_account_for_every_hole() -> None:
    facts = fill(with_hole(true_depth(), BOX_HOLE), _network()).facts
    refused = sum(value for name, value in facts.items() if name.startswith("refused_"))
    assert facts["filled"] + refused == pytest.approx(facts["holes"])


def test_images_of_different_sizes_are_refused() -> None:
    with pytest.raises(InputError, match="register both"):
        fill(true_depth()[:-1], true_depth())


@pytest.mark.parametrize(("field", "value"), [("min_overlap", 0.0), ("max_fit_error", float("nan")), ("domain", "log")])
def test_settings_outside_their_range_are_refused(field: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=field):
        FillingConfig(**{field: value})  # type: ignore[arg-type]


def test_one_row_of_pixels_is_an_image_too() -> None:
    row = np.linspace(1.0, 3.0, 400, dtype=np.float32)[None]
    sensor = row.copy()
    sensor[:, 200:220] = np.nan
    filled = fill(sensor, (row * 0.5).astype(np.float32))
    np.testing.assert_allclose(filled.depth_m, row, rtol=1e-3)


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("axis", [0, 1])
def test_depth_in_thin_bands_is_compared_wherever_they_begin(first: int, axis: int) -> None:
    """A lidar of few lines, registered to the image: of each band only the middle line is not beside a hole."""
    bands = np.moveaxis(true_depth(), axis, 0)
    for row in range(len(bands)):
        if (row - first) % 6 >= 3:
            bands[row] = np.nan
    filled = fill(np.moveaxis(bands, 0, axis), _network(amount=0.0))
    holes = np.moveaxis(np.isnan(bands), 0, axis)
    assert np.isfinite(filled.depth_m[holes]).mean() > 0.6
    np.testing.assert_allclose(filled.depth_m[100:, 100:], true_depth()[100:, 100:], rtol=0.02)
