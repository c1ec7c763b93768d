"""Point maps and the normalisation a scale-free model sees."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import make_intrinsics
from n3d_ros.errors import InputError
from n3d_ros.geometry import PointMap, PointNormalization


def test_points_are_valid_exactly_where_depth_is() -> None:
    depth = np.full((48, 64), 2.0, dtype=np.float32)
    depth[:10] = np.nan
    point_map = PointMap.from_depth(depth, make_intrinsics())
    assert not point_map.valid[:10].any() and point_map.valid[10:].all()
    assert point_map.points.shape == (38 * 64, 3)


def test_a_point_marked_valid_must_be_finite() -> None:
    with pytest.raises(InputError, match="finite"):
        PointMap(xyz=np.full((2, 2, 3), np.nan), valid=np.ones((2, 2), dtype=bool))


@given(st.lists(st.floats(-50, 50), min_size=3, max_size=3), st.floats(1e-3, 1e3))
def test_denormalize_inverts_normalize(offset: list[float], scale: float) -> None:
    normalization = PointNormalization(offset_m=np.array(offset), scale_per_m=scale)
    points = np.random.default_rng(0).normal(size=(20, 3)) * 10
    np.testing.assert_allclose(normalization.denormalize(normalization.normalize(points)), points, atol=1e-9)


def test_the_corner_is_the_origin_and_the_mean_distance_the_unit() -> None:
    points = np.array([[1.0, 1, 1], [4, 5, 1]])  # distances 0 and 5 from the corner: mean 2.5
    normalization = PointNormalization.corner_and_mean_distance(points)
    np.testing.assert_allclose(normalization.normalize(points), [[0, 0, 0], [1.2, 1.6, 0]])


@pytest.mark.parametrize("points", [np.zeros((0, 3)), np.ones((5, 3))], ids=["none", "all in one place"])
def test_points_without_extent_have_no_scale(points: np.ndarray) -> None:
    with pytest.raises(InputError):
        PointNormalization.corner_and_mean_distance(points)
