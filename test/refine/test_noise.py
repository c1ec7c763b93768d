"""Depth noise models."""

from __future__ import annotations

import numpy as np
import pytest

from n3d_ros.errors import ConfigurationError, InputError
from n3d_ros.refine import DEPTH_NOISE, KINECT_V1, DepthNoise, depth_noise


def test_kinect_noise_grows_with_the_square_of_the_distance() -> None:
    assert KINECT_V1.at(1.0) == pytest.approx(1.425e-3)
    assert KINECT_V1.at(2.0) == pytest.approx(4 * 1.425e-3)


def test_arrays_and_single_depths_agree() -> None:
    for noise in DEPTH_NOISE.values():
        np.testing.assert_allclose(noise.stddev_m([0.5, 1.5]), [noise.at(0.5), noise.at(1.5)])


def test_an_unknown_preset_names_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="kinect_v1"):
        depth_noise("lidar")


@pytest.mark.parametrize("wrong", [{}, {"constant_m": -1.0}, {"linear": float("nan")}])
def test_impossible_noise_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError):
        DepthNoise(**wrong)
