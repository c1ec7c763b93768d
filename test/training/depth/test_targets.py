"""Batches and targets: world frame, scale, rays, canonical focal length, and changes that keep the truth true."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch (make setup MODEL=1) is not installed")

import torch

from model_training.color_jitter import jittered
from model_training.depth.augment import quarter_turned, resized_to_cover
from model_training.depth.batches import batch_of
from model_training.depth.stages import given_extrinsics
from model_training.depth.targets import (
    canonical_depth,
    cell_centers,
    pixel_directions,
    scene_scale,
    targets_of,
    world_points,
)
from model_training.depth.view_set import ViewSet, millimetres
from n3d_ros.geometry.transforms import RigidTransform, rotation_about_axis

HEIGHT, WIDTH = 28, 42


def wall_views(*, poses: list[RigidTransform] | None = None, height: int = HEIGHT, width: int = WIDTH) -> ViewSet:
    """Cameras that look at the plane z = 2 of the world, each with the exact depth of it."""
    poses = poses or [
        RigidTransform.identity(),
        RigidTransform(rotation=rotation_about_axis((0, 1, 0), 0.2), translation=np.array([-0.5, 0.1, 0.2])),
    ]
    intrinsics = np.array([40.0, 42.0, 19.5, 14.5])
    v, u = np.mgrid[:height, :width]
    rays = np.stack([(u - intrinsics[2]) / intrinsics[0], (v - intrinsics[3]) / intrinsics[1], np.ones_like(u)], -1)
    depth = [(2 - p.translation[2]) / (rays @ p.rotation[2]) for p in poses]
    rng = np.random.default_rng(0)
    none = np.zeros((len(poses), height, width), bool)
    return ViewSet(
        name="wall",
        rgb=rng.integers(0, 256, (len(poses), height, width, 3)).astype(np.uint8),
        depth_mm=millimetres(np.stack(depth).astype(np.float32)),
        sky=none,
        objects=none,
        intrinsics=np.tile(intrinsics, (len(poses), 1)),
        world_T_camera=np.stack([p.matrix for p in poses]),
    )


def test_the_first_view_is_the_world_whatever_frame_the_scene_came_in() -> None:
    elsewhere = RigidTransform(rotation=rotation_about_axis((1, 2, 3), 1.0), translation=np.array([5.0, -3, 2]))
    views = wall_views()
    moved = wall_views()
    object.__setattr__(moved, "world_T_camera", elsewhere.matrix @ views.world_T_camera)
    batch = batch_of([views, moved])
    assert torch.allclose(batch.c2w[:, 0], torch.eye(4), atol=1e-6)
    assert torch.allclose(batch.c2w[0], batch.c2w[1], atol=1e-5)


def test_the_scale_is_the_mean_distance_of_valid_points_from_the_first_camera() -> None:
    batch = batch_of([wall_views(poses=[RigidTransform.identity()])])
    batch.valid[:] = False
    batch.valid[0, 0, 3, 5] = batch.valid[0, 0, 20, 30] = True
    points = world_points(batch.depth, batch.intrinsics, batch.c2w)[0, 0]
    expected = (points[3, 5].norm() + points[20, 30].norm()) / 2
    assert scene_scale(batch).item() == pytest.approx(expected.item())
    # By hand: the pixel (u, v) = (5, 3) of a wall 2 m away.
    assert points[3, 5].tolist() == pytest.approx([2 * (5 - 19.5) / 40, 2 * (3 - 14.5) / 42, 2.0], rel=1e-5)


def test_a_sample_without_depth_gets_a_finite_scale() -> None:
    batch = batch_of([wall_views()])
    batch.valid[:] = False
    assert torch.isfinite(scene_scale(batch)).all() and scene_scale(batch).item() > 0


def test_true_depth_along_true_rays_gives_the_points_of_the_plane_at_every_view() -> None:
    targets = targets_of(batch_of([wall_views()]))
    points = targets.cell_depth[..., None] * targets.rays[..., :3] + targets.rays[..., 3:]
    # A cell's centre lies up to half a pixel beside that of the pixel whose depth it takes.
    assert torch.allclose(points[..., 2] * targets.scale_m, torch.tensor(2.0), atol=0.02)


def test_ray_cells_are_eight_to_a_patch_and_centred_in_the_image() -> None:
    centers = cell_centers(28)
    assert len(centers) == 16
    assert centers[0].item() == pytest.approx(28 / 16 / 2) and (centers + centers.flip(0)).unique().tolist() == [28.0]


def test_a_scene_twice_as_large_gives_the_same_targets() -> None:
    small, large = wall_views(), wall_views()
    object.__setattr__(large, "depth_mm", small.depth_mm * 2)
    poses = small.world_T_camera.copy()
    poses[:, :3, 3] *= 2
    object.__setattr__(large, "world_T_camera", poses)
    a, b = targets_of(batch_of([small])), targets_of(batch_of([large]))
    assert b.scale_m.item() == pytest.approx(2 * a.scale_m.item(), rel=1e-5)
    assert torch.allclose(a.depth, b.depth, atol=1e-5) and torch.allclose(a.rays, b.rays, atol=1e-5)
    assert torch.allclose(a.w2c, b.w2c, atol=1e-5)


def test_poses_are_given_as_at_run_time_over_the_median_distance() -> None:
    c2w = torch.eye(4).repeat(1, 3, 1, 1)
    c2w[0, 1, 0, 3], c2w[0, 2, 0, 3] = 0.5, 4.0
    given = given_extrinsics(c2w)  # distances 0, 0.5, 4: median 0.5
    assert (-given[0, :, 0, 3]).tolist() == pytest.approx([0.0, 1.0, 8.0])
    still = torch.eye(4).repeat(1, 2, 1, 1)
    assert torch.isfinite(given_extrinsics(still)).all()


def test_canonical_depth_is_that_of_a_300_px_camera() -> None:
    intrinsics = torch.diag(torch.tensor([140.0, 160.0, 1.0]))[None]
    assert canonical_depth(torch.full((1, 1, 1), 1.5), intrinsics).item() == pytest.approx(1.5 * 300 / 150)


def points_of(views: ViewSet, view: int) -> np.ndarray:
    """World points of all pixels of a view."""
    batch = batch_of([views])
    directions = pixel_directions(batch.intrinsics, *views.rgb.shape[1:3])[0, view].double().numpy()
    pose = views.world_T_camera[view]
    return (directions * views.depth_m[view][..., None]) @ pose[:3, :3].T + pose[:3, 3]


@pytest.mark.parametrize("turns", [1, 3])
def test_a_quarter_turn_moves_no_point_of_the_world(turns: int) -> None:
    views = wall_views()
    turned = quarter_turned(views, turns)
    assert turned.rgb.shape[1:3] == (WIDTH, HEIGHT)
    for view in range(2):
        expected = np.rot90(points_of(views, view), turns)
        assert np.allclose(points_of(turned, view), expected, atol=1e-4)


def test_resizing_and_cropping_keep_points_on_the_plane() -> None:
    views = wall_views(height=56, width=84)
    small = resized_to_cover(views, 28, 28, np.random.default_rng(3))
    assert small.rgb.shape == (2, 28, 28, 3)
    for view in range(2):
        assert np.abs(points_of(small, view)[..., 2] - 2).max() < 0.03


def test_colour_changes_are_seeded_and_strength_zero_changes_nothing() -> None:
    rgb = wall_views().rgb
    assert jittered(rgb, 0.0, np.random.default_rng(0)) is rgb
    a, b = (jittered(rgb, 0.7, np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(a, b) and not np.array_equal(a, rgb) and a.dtype == np.uint8
