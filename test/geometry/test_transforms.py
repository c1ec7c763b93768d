"""Rotations, transforms and the exchange of axes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from n3d_ros.errors import InputError
from n3d_ros.geometry.transforms import (
    RigidTransform,
    interpolate,
    matrix_to_quaternion,
    model_to_optical,
    optical_to_model,
    quaternion_to_matrix,
    rotation_about_axis,
    slerp,
)

angles = st.floats(-np.pi, np.pi)
numbers = st.floats(-5, 5)


@st.composite
def rotations(draw: st.DrawFn) -> np.ndarray:
    axis = np.array([draw(numbers), draw(numbers), draw(numbers)])
    if np.linalg.norm(axis) < 1e-3:
        axis = np.array([0.0, 0.0, 1.0])
    return rotation_about_axis(axis, draw(angles))


@st.composite
def transforms(draw: st.DrawFn) -> RigidTransform:
    translation = np.array([draw(numbers), draw(numbers), draw(numbers)])
    return RigidTransform(rotation=draw(rotations()), translation=translation)


def test_a_quarter_turn_about_z_takes_x_to_y() -> None:
    half = np.sqrt(0.5)
    np.testing.assert_allclose(quaternion_to_matrix([0, 0, half, half]) @ [1, 0, 0], [0, 1, 0], atol=1e-15)
    np.testing.assert_allclose(rotation_about_axis([0, 0, 2], np.pi / 2) @ [1, 0, 0], [0, 1, 0], atol=1e-15)


@given(rotations())
def test_a_rotation_survives_the_way_through_a_quaternion(rotation: np.ndarray) -> None:
    quaternion = matrix_to_quaternion(rotation)
    assert quaternion[3] >= 0
    np.testing.assert_allclose(quaternion_to_matrix(quaternion), rotation, atol=1e-12)


@pytest.mark.parametrize("axis", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, -1, 1)])
def test_half_turns_keep_their_axis_through_a_quaternion(axis: tuple[float, ...]) -> None:
    rotation = rotation_about_axis(axis, np.pi)
    np.testing.assert_allclose(quaternion_to_matrix(matrix_to_quaternion(rotation)), rotation, atol=1e-12)


@given(transforms(), transforms(), transforms())
def test_composition_is_associative_and_matches_application(
    a: RigidTransform, b: RigidTransform, c: RigidTransform
) -> None:
    point = np.array([0.3, -1.0, 2.0])
    np.testing.assert_allclose(((a @ b) @ c).apply(point), (a @ (b @ c)).apply(point), atol=1e-9)
    np.testing.assert_allclose((a @ b).apply(point), a.apply(b.apply(point)), atol=1e-9)


@given(transforms())
def test_the_inverse_undoes(transform: RigidTransform) -> None:
    assert (transform @ transform.inverse()).is_close(RigidTransform.identity(), translation_m=1e-9, rotation_rad=1e-9)


def test_the_homogeneous_matrix_does_what_apply_does() -> None:
    transform = RigidTransform(rotation=rotation_about_axis([1, 2, 3], 0.7), translation=np.array([1.0, 2, 3]))
    point = np.array([0.5, -0.25, 2.0])
    np.testing.assert_allclose((transform.matrix @ [*point, 1])[:3], transform.apply(point))


def test_rotating_a_direction_ignores_the_translation() -> None:
    transform = RigidTransform(rotation=rotation_about_axis([0, 0, 1], np.pi / 2), translation=np.array([9.0, 9, 9]))
    np.testing.assert_allclose(transform.rotate([1, 0, 0]), [0, 1, 0], atol=1e-15)


@pytest.mark.parametrize(
    "rotation", [np.eye(3) * 1.01, np.diag([1.0, 1, -1]), np.full((3, 3), np.nan), np.eye(2)], ids=str
)
def test_matrices_that_are_no_rotation_are_refused(rotation: np.ndarray) -> None:
    with pytest.raises(InputError):
        RigidTransform(rotation=rotation, translation=np.zeros(3))


@pytest.mark.parametrize("quaternion", [(0, 0, 0, 0), (np.nan, 0, 0, 1), (1, 0, 0)])
def test_unset_and_broken_quaternions_are_refused(quaternion: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="Quaternion"):
        quaternion_to_matrix(quaternion)


def test_halfway_between_two_turns_is_half_the_turn() -> None:
    end = RigidTransform(rotation=rotation_about_axis([0, 1, 0], 1.0), translation=np.array([2.0, 0, 0]))
    middle = interpolate(RigidTransform.identity(), end, 0.5)
    np.testing.assert_allclose(middle.rotation, rotation_about_axis([0, 1, 0], 0.5), atol=1e-12)
    np.testing.assert_allclose(middle.translation, [1, 0, 0])


def test_slerp_takes_the_shorter_way() -> None:
    start, end = np.array([0, 0, 0, 1.0]), -matrix_to_quaternion(rotation_about_axis([1, 0, 0], 0.2))
    expected = matrix_to_quaternion(rotation_about_axis([1, 0, 0], 0.1))
    np.testing.assert_allclose(np.abs(slerp(start, end, 0.5) @ expected), 1, atol=1e-12)


def test_model_axes_are_left_up_forward() -> None:
    # 1 m to the right, 2 m down, 3 m ahead: to the left -1, up -2, ahead 3
    np.testing.assert_allclose(optical_to_model([1.0, 2.0, 3.0]), [-1.0, -2.0, 3.0])


@given(numbers, numbers, numbers)
def test_model_to_optical_inverts_optical_to_model(x: float, y: float, z: float) -> None:
    np.testing.assert_allclose(model_to_optical(optical_to_model([x, y, z])), [x, y, z])


def test_a_transform_cannot_be_changed_and_leaves_its_input_alone() -> None:
    translation = np.zeros(3)
    transform = RigidTransform(rotation=np.eye(3), translation=translation)
    with pytest.raises(ValueError, match="read-only"):
        transform.translation[0] = 1.0
    translation[0] = 1.0
    assert transform.translation[0] == 0.0
