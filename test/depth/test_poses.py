"""Poses as the networks take them, against tensors of the public reference code and by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file

from n3d_ros.depth.poses import (
    camera_centers,
    checked_w2c,
    normalized_extrinsics,
    stacked_w2c,
    w2c_of,
    world_T_camera_of,
)
from n3d_ros.errors import InputError
from n3d_ros.geometry.transforms import RigidTransform, rotation_about_axis

TOLERANCE = 2e-5  # of the golden tensors' README, relative to the largest number; measured: 2e-7


@pytest.fixture(scope="module")
def golden(shared_data: Path) -> dict[str, NDArray[np.float32]]:
    return load_file(shared_data / "golden/da3/case_units/run.safetensors")


def straight_ahead(*along_m: float) -> NDArray[np.float64]:
    """World-to-camera matrices of a camera that moves along its own z."""
    return stacked_w2c([RigidTransform(rotation=np.eye(3), translation=np.array([0, 0, z])) for z in along_m])


@pytest.mark.parametrize("views", [1, 3, 4, 5])
def test_poses_are_normalized_as_the_reference_does(golden: dict[str, NDArray[np.float32]], views: int) -> None:
    ours, distance = normalized_extrinsics(golden[f"normext.in_{views}"][0])
    reference = golden[f"normext.out_{views}"][0]
    assert distance == pytest.approx(float(golden[f"normext.median_{views}"][0]), rel=TOLERANCE)
    assert np.abs(ours - reference).max() <= TOLERANCE * np.abs(reference).max()


def test_the_lower_of_two_middle_distances_is_taken() -> None:
    assert normalized_extrinsics(straight_ahead(0, 1, 3, 7))[1] == pytest.approx(1.0)
    assert normalized_extrinsics(straight_ahead(0, 1, 3, 7, 9))[1] == pytest.approx(3.0)


def test_of_two_views_the_first_ones_zero_is_the_median_so_the_floor_holds() -> None:
    _, distance = normalized_extrinsics(straight_ahead(0, 5))
    assert distance == 0.1


def test_a_static_rig_keeps_its_zero_translations() -> None:
    normalized, distance = normalized_extrinsics(straight_ahead(2, 2, 2))
    assert distance == 0.1
    assert np.abs(normalized - np.eye(4)).max() == 0


def test_a_pose_comes_back_from_its_matrix() -> None:
    pose = RigidTransform(rotation=rotation_about_axis([1, 2, 3], 0.7), translation=np.array([1.0, -2, 3]))
    assert world_T_camera_of(w2c_of(pose)).is_close(pose, translation_m=1e-12, rotation_rad=1e-12)
    assert world_T_camera_of(w2c_of(pose)[:3]).is_close(pose, translation_m=1e-12, rotation_rad=1e-12)


def test_a_camera_one_metre_right_of_the_world_sees_its_origin_one_metre_left() -> None:
    w2c = w2c_of(RigidTransform(rotation=np.eye(3), translation=np.array([1.0, 0, 0])))
    assert (w2c[:3, 3] == [-1, 0, 0]).all()
    assert (camera_centers(w2c[None])[0] == [1, 0, 0]).all()


def test_a_rotation_rounded_to_half_precision_is_made_exact() -> None:
    pose = RigidTransform(rotation=rotation_about_axis([1, -1, 2], 1.1), translation=np.array([0.5, 0.25, 4]))
    rounded = w2c_of(pose).astype(np.float16)
    assert np.abs(rounded[:3, :3].T @ rounded[:3, :3] - np.eye(3)).max() > 1e-5
    assert world_T_camera_of(rounded).is_close(pose, translation_m=0.01, rotation_rad=1e-3)


def test_no_views_have_no_matrices_and_no_distance() -> None:
    assert stacked_w2c([]).shape == (0, 4, 4)
    with pytest.raises(InputError, match="one view or more"):
        normalized_extrinsics(np.empty((0, 4, 4)))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda m: m.__setitem__((1, 0, 3), np.nan), "view 1: expected finite"),
        (lambda m: m.__setitem__((1, 2, 1), np.inf), "view 1: expected finite"),
        (lambda m: m.__setitem__((2, slice(3), slice(3)), 2 * np.eye(3)), "view 2: expected a rotation"),
        (lambda m: m.__setitem__((0, slice(3), slice(3)), np.diag([1, 1, -1])), "view 0: expected a rotation"),
    ],
)
def test_matrices_that_are_no_poses_are_refused_by_view(spoil: object, words: str) -> None:
    matrices = straight_ahead(0, 1, 2)
    spoil(matrices)  # type: ignore[operator]
    with pytest.raises(InputError, match=words):
        checked_w2c(matrices)
    with pytest.raises(InputError, match=words):
        normalized_extrinsics(matrices)


def test_another_shape_is_refused() -> None:
    with pytest.raises(InputError, match=r"expected \(views, 3 or 4, 4\)"):
        checked_w2c(np.eye(4))
