"""Fusing exact depth of a room gives the room."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from n3d_ros.depth.evaluation.fusion import DepthView, fuse, require_open3d
from n3d_ros.errors import ConfigurationError, InputError
from n3d_ros.geometry.transforms import RigidTransform
from room_sequences import BOX_M, CAMERA, ROOM_M, render_room


def views_of_the_room(count: int) -> list[DepthView]:
    return [
        DepthView(depth_m=view.depth_m, intrinsics=CAMERA, world_T_camera=view.world_T_camera)
        for view in render_room(count)
    ]


def distance_from_room(points: np.ndarray) -> np.ndarray:
    """Distance of points from the walls or from the box's faces."""
    to_walls = np.minimum(np.abs(points - ROOM_M[0]), np.abs(ROOM_M[1] - points)).min(axis=1)
    center, half = BOX_M.mean(axis=0), (BOX_M[1] - BOX_M[0]) / 2
    outside = np.abs(points - center) - half
    to_box = np.linalg.norm(np.maximum(outside, 0), axis=1) + np.minimum(outside.max(axis=1), 0)
    return np.minimum(to_walls, np.abs(to_box))


def test_without_open3d_the_command_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "open3d", None)
    with pytest.raises(ConfigurationError, match="make setup EVAL=1"):
        require_open3d()


def test_a_wall_is_found_where_it_is() -> None:
    pytest.importorskip("open3d", reason="needs the extra [eval]")
    view = DepthView(
        depth_m=np.full((96, 128), 1.234, np.float32), intrinsics=CAMERA, world_T_camera=RigidTransform.identity()
    )
    surface = fuse([view], voxel_m=0.01, truncation_m=0.04)
    np.testing.assert_allclose(surface.vertices[:, 2], 1.234, atol=1e-4)
    # The pixels' centres span (width - 1) px at this distance.
    assert np.ptp(surface.vertices[:, 0]) == pytest.approx(1.234 * 127 / CAMERA.fx, abs=0.025)


def test_the_room_is_found_within_a_fraction_of_a_voxel() -> None:
    pytest.importorskip("open3d", reason="needs the extra [eval]")
    surface = fuse(views_of_the_room(8), voxel_m=0.03, truncation_m=0.12)
    distances = distance_from_room(surface.vertices)
    assert np.median(distances) < 0.002 and np.percentile(distances, 90) < 0.01


def test_walls_are_not_shifted_by_half_a_pixel() -> None:
    # Open3D's own convention, with pixel corners at whole numbers, puts these walls 1 to 2 cm off to one side.
    pytest.importorskip("open3d", reason="needs the extra [eval]")
    vertices = fuse(views_of_the_room(8), voxel_m=0.03, truncation_m=0.12).vertices
    for axis, wall in ((0, ROOM_M[0, 0]), (0, ROOM_M[1, 0]), (1, ROOM_M[1, 1]), (2, ROOM_M[1, 2])):
        near = vertices[np.abs(vertices[:, axis] - wall) < 0.03, axis]
        assert len(near) > 1000 and abs(np.median(near - wall)) < 0.003, (axis, wall)


def test_depth_beyond_the_limit_is_left_out() -> None:
    pytest.importorskip("open3d", reason="needs the extra [eval]")
    views = views_of_the_room(3)
    near = fuse(views, voxel_m=0.03, truncation_m=0.12, max_depth_m=2.5)
    first = views[1].world_T_camera.inverse().apply(near.vertices)
    assert first[:, 2].max() < 2.5 + 0.5 < views[1].depth_m.max()


def test_no_depth_gives_no_surface() -> None:
    pytest.importorskip("open3d", reason="needs the extra [eval]")
    view = DepthView(
        depth_m=np.full((96, 128), np.nan, np.float32), intrinsics=CAMERA, world_T_camera=RigidTransform.identity()
    )
    assert fuse([view], voxel_m=0.01, truncation_m=0.04).is_empty
    assert fuse([], voxel_m=0.01, truncation_m=0.04).is_empty


def test_a_wild_depth_is_refused_before_it_takes_the_memory() -> None:
    pytest.importorskip("open3d", reason="needs the extra [eval]")
    view = DepthView(
        depth_m=np.random.default_rng(0).uniform(1, 5000, (96, 128)).astype(np.float32),
        intrinsics=CAMERA,
        world_T_camera=RigidTransform.identity(),
    )
    with pytest.raises(InputError, match=r"up to [45]\d*(\.\d+)?(e\+03)? m fills more than 500 blocks"):
        fuse([view], voxel_m=0.01, truncation_m=0.04, max_blocks=500)
