import numpy as np
import pytest

from model_training.scenes import CAMERAS, DEPTH_NOISE, ActiveStereo, StructuredLight, TimeOfFlight, depth_noise
from model_training.scenes.depth_noise import incidence_cosine, parallax_shadow
from n3d_ros.errors import InputError

CAMERA = CAMERAS["kinect"]
SENSORS = sorted(set(DEPTH_NOISE) - {"none"})


def flat(depth_m: float) -> np.ndarray:
    return np.full((CAMERA.height, CAMERA.width), depth_m, np.float32)


def spread(model, depth_m: float) -> float:
    noisy = model.apply(flat(depth_m), CAMERA, np.random.default_rng(1), np.full((480, 640, 3), 255, np.uint8))
    return float(np.nanstd(noisy - depth_m))


@pytest.mark.parametrize("name", SENSORS)
def test_noise_is_centred_keeps_most_pixels_and_leaves_the_input_alone(name):
    clean = flat(1.5)
    noisy = DEPTH_NOISE[name].apply(clean, CAMERA, np.random.default_rng(0), np.full((480, 640, 3), 200, np.uint8))
    assert noisy.dtype == np.float32 and (clean == 1.5).all()
    assert np.nanmedian(noisy) == pytest.approx(1.5, abs=0.012)
    assert np.isfinite(noisy).mean() > 0.95


@pytest.mark.parametrize("name", SENSORS)
def test_noise_is_repeatable_and_missing_depth_stays_missing(name):
    clean = flat(1.0)
    clean[100:200, 100:300] = np.nan
    first, again = (DEPTH_NOISE[name].apply(clean, CAMERA, np.random.default_rng(4)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert np.isnan(first[110:190, 120:280]).all()


def test_structured_light_reaches_the_published_deviation():
    # Khoshelham and Elberink: 1.425e-3 z^2; quantisation to an eighth of a pixel adds z^2 / (8 f b sqrt(12)).
    model = StructuredLight(hole_share=0)
    for depth_m in (1.0, 2.0, 3.0):
        step = depth_m**2 / (8 * 580 * 0.075)
        expected = np.hypot(1.425e-3 * depth_m**2, step / np.sqrt(12))
        assert spread(model, depth_m) == pytest.approx(expected, rel=0.2)


def test_structured_light_depths_are_multiples_of_an_eighth_of_disparity():
    noisy = StructuredLight(hole_share=0).apply(flat(2.0), CAMERA, np.random.default_rng(0))
    eighths = 8 * 580 * 0.075 / noisy[np.isfinite(noisy)].astype(np.float64)
    np.testing.assert_allclose(eighths, np.round(eighths), atol=1e-3)


def test_stereo_noise_grows_with_the_square_of_distance_and_time_of_flight_less():
    stereo = spread(ActiveStereo(hole_share=0), 3.0) / spread(ActiveStereo(hole_share=0), 1.0)
    flight = spread(TimeOfFlight(), 3.0) / spread(TimeOfFlight(), 1.0)
    assert stereo == pytest.approx(9.0, rel=0.25)
    assert flight < 7.0


def test_time_of_flight_is_noisier_on_dark_surfaces():
    clean, model = flat(1.0), TimeOfFlight()
    dark = model.apply(clean, CAMERA, np.random.default_rng(1), np.full((480, 640, 3), 10, np.uint8))
    light = model.apply(clean, CAMERA, np.random.default_rng(1), np.full((480, 640, 3), 250, np.uint8))
    assert np.nanstd(dark) > 1.5 * np.nanstd(light)


def test_the_projector_casts_its_shadow_beside_a_near_surface_as_wide_as_the_parallax():
    depth = flat(2.0)
    depth[:, 300:400] = 1.0
    width_px = round(525 * 0.075 / 1.0 - 525 * 0.075 / 2.0)
    right_eye = parallax_shadow(depth, 525.0, 0.075)
    left_eye = parallax_shadow(depth, 525.0, -0.075)
    # Background hidden beside the near side: 19.7 px wide, on the left for an eye at the right.
    assert right_eye[240].sum() == pytest.approx(width_px, abs=1) and right_eye[240, 300 - width_px + 1 : 300].all()
    assert left_eye[240].sum() == pytest.approx(width_px, abs=1) and left_eye[240, 400 : 400 + width_px - 1].all()


def test_incidence_of_a_slanted_plane_is_its_angle_and_edges_do_not_count():
    # The plane z = 2 + x tan(60 deg) has a normal 60 degrees from the optical axis.
    u = np.arange(640, dtype=np.float64) - CAMERA.cx
    ratio = u / CAMERA.fx
    depth = np.broadcast_to(2 / (1 - np.tan(np.radians(60)) * ratio), (480, 640)).astype(np.float32)
    cosine = incidence_cosine(np.where(depth > 0, depth, np.nan), CAMERA)
    middle = (240, 319)
    assert cosine[middle] == pytest.approx(0.5, abs=0.01)
    step = flat(2.0)
    step[:, 320:] = 1.0
    assert incidence_cosine(step, CAMERA)[240, 315:325].min() > 0.95


def test_an_unknown_sensor_is_refused_by_name():
    with pytest.raises(InputError, match="structured_light"):
        depth_noise("lidar")
