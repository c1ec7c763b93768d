"""Our rotations are those of tf_transformations, where it imports."""

from __future__ import annotations

import numpy as np
import pytest

from n3d_ros.geometry.transforms import matrix_to_quaternion, quaternion_to_matrix, rotation_about_axis, slerp


def test_rotations_agree_with_tf_transformations() -> None:
    reason = "tf_transformations is not installed: nothing to compare with"
    theirs = pytest.importorskip("tf_transformations", reason=reason)
    rng = np.random.default_rng(0)
    for axis, angle in zip(rng.normal(size=(50, 3)), rng.uniform(-np.pi, np.pi, 50), strict=True):
        rotation = rotation_about_axis(axis, angle)
        quaternion = theirs.quaternion_about_axis(angle, axis)
        np.testing.assert_allclose(quaternion_to_matrix(quaternion), rotation, atol=1e-9)
        np.testing.assert_allclose(
            theirs.quaternion_matrix(matrix_to_quaternion(rotation))[:3, :3], rotation, atol=1e-9
        )
        start = np.array([0.0, 0, 0, 1])
        between = theirs.quaternion_slerp(start, quaternion, 0.3)
        np.testing.assert_allclose(np.abs(slerp(start, quaternion, 0.3) @ between), 1, atol=1e-9)
