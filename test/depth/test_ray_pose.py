"""Cameras from ray maps: the reference's tensors, cameras that look any way, wrong rays, and maps of no camera."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file

from n3d_ros.depth.poses import w2c_of
from n3d_ros.depth.ray_pose import RayCamera, camera_from_rays
from n3d_ros.errors import GroundingError, InputError
from n3d_ros.geometry.transforms import RigidTransform, rotation_about_axis

Array = NDArray[np.float64]
VIEWS = (0, 1, 2)
HW = (280, 504)
K = np.array([[400.0, 0, 252], [0, 420, 140], [0, 0, 1]])
OFF_CENTER = np.array([[400.0, 0, 290], [0, 420, 110], [0, 0, 1]])


def golden_run(shared_data: Path, name: str) -> dict[str, NDArray[np.float32]]:
    return load_file(shared_data / f"golden/da3/case_raypose/run_{name}.safetensors")


def golden_camera(run: dict[str, NDArray[np.float32]], view: int, **choices: object) -> RayCamera:
    hw = tuple(int(n) for n in run["input.image_hw"])
    return camera_from_rays(run["input.ray"][0, view], run["input.ray_conf"][0, view], hw, **choices)  # type: ignore[arg-type]


def rays_of(pose: RigidTransform, matrix: Array = K, shape: tuple[int, int] = (40, 72)) -> Array:
    """The ray map (h, w, 6) of a camera, its directions of many lengths."""
    v, u = ((np.arange(n) + 0.5) / n * side for n, side in zip(shape, HW, strict=True))
    pixels = np.stack([*np.meshgrid(u, v), np.ones(shape)], axis=2)
    directions = pose.rotate(pixels @ np.linalg.inv(matrix).T)
    lengths = np.random.default_rng(0).uniform(0.5, 2, (*shape, 1))
    return np.concatenate([directions * lengths, np.broadcast_to(pose.translation, directions.shape)], axis=2)


def looking(axis: tuple[float, float, float], degrees: float) -> RigidTransform:
    return RigidTransform(
        rotation=rotation_about_axis(axis, np.radians(degrees)), translation=np.array([0.5, -0.2, 1.0])
    )


def errors(camera: RayCamera, pose: RigidTransform, matrix: Array) -> tuple[float, float]:
    """Largest error in the world-to-camera matrix, and in the camera matrix in pixels."""
    return float(np.abs(camera.w2c - w2c_of(pose)).max()), float(np.abs(camera.intrinsics - matrix).max())


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", ["centred_clean", "centred_noisy", "offcentre_clean"])
def test_the_ql_option_gives_the_references_camera_from_its_samples(shared_data: Path, name: str, view: int) -> None:
    run = golden_run(shared_data, name)
    ours = golden_camera(run, view, method="ql", sample_table=run["inter.ransac_sample_idx"])
    assert np.abs(ours.w2c[:3] - run["out.extrinsics"][0, view]).max() < 2e-6  # measured 7e-7; the reference is float32
    assert np.abs(ours.intrinsics - run["out.intrinsics"][0, view]).max() < 1e-4  # pixels; measured 6e-5


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", ["centred_clean", "offcentre_clean"])
def test_the_exact_factorisation_recovers_the_true_camera(shared_data: Path, name: str, view: int) -> None:
    run = golden_run(shared_data, name)
    ours = golden_camera(run, view)
    assert np.abs(ours.w2c - run["gt.w2c"][0, view]).max() < 1e-6  # measured 2e-7
    assert np.abs(ours.intrinsics - run["gt.intrinsics"][0, view]).max() < 1e-5  # pixels; measured 6e-6
    assert ours.inlier_share == 1 and ours.residual_rad < 1e-7


@pytest.mark.parametrize("view", VIEWS)
def test_the_references_factorisation_is_wrong_off_centre(shared_data: Path, view: int) -> None:
    run = golden_run(shared_data, "offcentre_clean")
    reference = golden_camera(run, view, method="ql")
    assert np.abs(reference.w2c - run["gt.w2c"][0, view]).max() > 0.019
    assert np.abs(reference.intrinsics - run["gt.intrinsics"][0, view]).max() > 2.0


@pytest.mark.parametrize("view", VIEWS)
def test_noise_leaves_a_small_error_and_less_where_the_principal_point_is_known(shared_data: Path, view: int) -> None:
    run = golden_run(shared_data, "centred_noisy")
    free = golden_camera(run, view)
    held = golden_camera(run, view, principal_point="centered")
    assert np.abs(free.w2c - run["gt.w2c"][0, view]).max() < 0.004  # measured 0.0035, 0.0035 at most for the reference
    assert np.abs(held.w2c - run["gt.w2c"][0, view]).max() < 0.001  # measured 0.0009
    assert np.abs(free.intrinsics - run["gt.intrinsics"][0, view]).max() < 0.35  # pixels of 98; measured 0.30
    assert np.abs(held.intrinsics - run["gt.intrinsics"][0, view]).max() < 0.15  # measured 0.14
    assert tuple(held.intrinsics[:2, 2]) == (49, 35)


@pytest.mark.parametrize("matrix", [K, OFF_CENTER], ids=["centred", "off centre"])
@pytest.mark.parametrize("degrees", [0, 30, 90, 135, 180])
@pytest.mark.parametrize("axis", [(0, 1, 0), (1, 0, 0), (1, 1, 1)])
def test_a_camera_that_looks_any_way_is_found(axis: tuple[float, float, float], degrees: float, matrix: Array) -> None:
    pose = looking(axis, degrees)
    camera = camera_from_rays(rays_of(pose, matrix), np.ones((40, 72)), HW)
    in_pose, in_pixels = errors(camera, pose, matrix)
    assert in_pose < 1e-9
    assert in_pixels < 1e-6


def test_noise_costs_no_more_where_the_camera_looks_sideways_unlike_in_the_references_way() -> None:
    pose = looking((0, 1, 0), 90)
    noise = [np.random.default_rng(seed).normal(size=(40, 72, 6)) * 0.01 for seed in range(3)]

    def mean_error(method: str) -> float:
        cameras = [camera_from_rays(rays_of(pose) + n, np.ones((40, 72)), HW, method=method) for n in noise]
        return float(np.mean([errors(camera, pose, K)[0] for camera in cameras]))

    assert mean_error("qr") < 0.004  # measured 0.0026
    assert mean_error("ql") > 0.006  # measured 0.0085


@pytest.mark.parametrize("share", [0.2, 0.4])
def test_wrong_rays_do_not_move_the_camera(share: float) -> None:
    generator = np.random.default_rng(1)
    rays = rays_of(looking((1, 2, 0), 40), OFF_CENTER)
    wrong = generator.random((40, 72)) < share
    rays[wrong, :3] = generator.normal(size=(int(wrong.sum()), 3))
    camera = camera_from_rays(rays, np.ones((40, 72)), HW)
    in_pose, in_pixels = errors(camera, looking((1, 2, 0), 40), OFF_CENTER)
    assert in_pose < 1e-3  # measured 1e-5: wrong rays that happen to lie within the inlier angle
    assert in_pixels < 0.1
    assert camera.inlier_share == pytest.approx(1 - share, abs=0.03)


def test_confidence_decides_which_half_is_believed() -> None:
    rays = rays_of(looking((0, 1, 0), 10))
    other = rays_of(looking((0, 1, 0), -40))
    rays[:, ::2] = other[:, ::2]
    confidence = np.ones((40, 72))
    confidence[:, ::2] = 3
    camera = camera_from_rays(rays, confidence, HW)
    assert np.abs(camera.w2c[:3, :3] - w2c_of(looking((0, 1, 0), -40))[:3, :3]).max() < 1e-6
    assert camera.inlier_share == pytest.approx(0.75, abs=0.02)


def test_the_center_is_the_mean_of_origins_by_confidence() -> None:
    pose = RigidTransform.identity()
    rays, confidence = rays_of(pose), np.ones((40, 72))
    rays[0, :, 3:], confidence[0] = [0, 0, 40], 3
    camera = camera_from_rays(rays, confidence, HW)
    assert -camera.w2c[2, 3] == pytest.approx(40 * 3 * 72 / (39 * 72 + 3 * 72))


@pytest.mark.parametrize("degrees", [5, 120])
def test_narrow_and_wide_lenses_are_found(degrees: float) -> None:
    focal = 252 / np.tan(np.radians(degrees / 2))
    matrix = np.array([[focal, 0, 252], [0, focal, 140], [0, 0, 1]])
    camera = camera_from_rays(rays_of(looking((1, 0, 0), 20), matrix), np.ones((40, 72)), HW)
    in_pose, in_pixels = errors(camera, looking((1, 0, 0), 20), matrix)
    assert in_pose < 1e-6
    assert in_pixels < 1e-4 * focal


def test_the_same_map_gives_the_same_camera() -> None:
    rays = rays_of(looking((1, 1, 0), 15)) + np.random.default_rng(3).normal(size=(40, 72, 6)) * 0.01
    confidence = np.random.default_rng(4).uniform(1, 9, (40, 72))
    one, other = (camera_from_rays(rays.copy(), confidence.copy(), HW) for _ in range(2))
    assert (one.w2c == other.w2c).all() and (one.intrinsics == other.intrinsics).all()


@pytest.mark.parametrize("method", ["qr", "ql"])
def test_a_map_without_confidence_has_no_camera(method: str) -> None:
    with pytest.raises(GroundingError, match="8 cells or more"):
        camera_from_rays(rays_of(looking((0, 1, 0), 0)), np.zeros((40, 72)), HW, method=method)


def test_rays_without_direction_have_no_camera() -> None:
    with pytest.raises(GroundingError, match="got 0"):
        camera_from_rays(np.zeros((40, 72, 6)), np.ones((40, 72)), HW)


def test_rays_that_all_point_backwards_have_no_camera() -> None:
    with pytest.raises(GroundingError, match="backwards"):
        camera_from_rays(rays_of(looking((0, 1, 0), 30)) * -1, np.ones((40, 72)), HW)


def test_a_mirrored_map_has_no_camera() -> None:
    with pytest.raises(GroundingError, match="mirrored"):
        camera_from_rays(rays_of(looking((0, 1, 0), 30))[:, ::-1], np.ones((40, 72)), HW)


def test_one_direction_everywhere_has_no_camera() -> None:
    with pytest.raises(GroundingError):
        camera_from_rays(np.tile([0.0, 0, 1, 0, 0, 0], (40, 72, 1)), np.ones((40, 72)), HW)


def test_random_rays_have_no_camera() -> None:
    rays = np.random.default_rng(0).normal(size=(40, 72, 6))
    with pytest.raises(GroundingError, match="camera head"):
        camera_from_rays(rays, np.ones((40, 72)), HW)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda r, c: (np.where(np.arange(6) == 2, np.nan, r), c), "finite"),
        (lambda r, c: (r, c * np.inf), "finite"),
        (lambda r, c: (r, -c), "0 or more"),
        (lambda r, c: (r[None], c[None]), "one view at a time"),
        (lambda r, c: (r[..., :3], c), "rows, columns, 6"),
        (lambda r, c: (r, c[1:]), "rows, columns, 6"),
    ],
)
def test_what_is_no_ray_map_is_refused(spoil: object, words: str) -> None:
    rays, confidence = spoil(rays_of(looking((0, 1, 0), 0)), np.ones((40, 72)))  # type: ignore[operator]
    with pytest.raises(InputError, match=words):
        camera_from_rays(rays, confidence, HW)


def test_unknown_and_impossible_choices_are_refused() -> None:
    rays, confidence = rays_of(looking((0, 1, 0), 0)), np.ones((40, 72))
    with pytest.raises(InputError, match="qr or ql"):
        camera_from_rays(rays, confidence, HW, method="rq")
    with pytest.raises(InputError, match="use qr"):
        camera_from_rays(rays, confidence, HW, method="ql", principal_point="centered")
    with pytest.raises(InputError, match="Sample table"):
        camera_from_rays(rays, confidence, HW, sample_table=np.full((10, 8), 40 * 72))
