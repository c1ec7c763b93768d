"""Point clouds: which pixels become points, and what other programs read."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("trimesh")
import trimesh

from n3d_ros.depth.files.clouds import Cloud, frame_cloud, glb_bytes, ply_bytes, solid_pixels
from n3d_ros.depth.views import ViewDepth
from n3d_ros.errors import InputError
from n3d_ros.geometry.camera import CameraIntrinsics, project
from n3d_ros.geometry.transforms import RigidTransform

CAMERA = CameraIntrinsics(fx=50, fy=50, cx=31.5, cy=23.5, width=64, height=48)
RGB = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)


def wall(depth: float = 2.0) -> ViewDepth:
    return ViewDepth(depth_m=np.full((48, 64), depth, np.float32), intrinsics=CAMERA)


def test_points_project_back_to_their_pixels_with_their_colours() -> None:
    cloud = frame_cloud(wall(), RGB, 10_000)
    pixels = project(cloud.xyz, CAMERA).round().astype(int)
    assert len(cloud.xyz) == 48 * 64 and (RGB[pixels[:, 1], pixels[:, 0]] == cloud.rgb).all()
    assert np.allclose(cloud.xyz[:, 2], 2.0)


def test_sky_missing_depth_and_steps_between_surfaces_give_no_points() -> None:
    depth = np.full((48, 64), 2.0, np.float32)
    depth[:, 32:] = 3.0
    depth[0] = np.nan
    sky = np.zeros((48, 64), bool)
    sky[1] = True
    solid = solid_pixels(ViewDepth(depth_m=depth, sky=sky, intrinsics=CAMERA))
    assert not solid[:2].any() and not solid[:, 31:33].any()
    assert solid[2:, :31].all() and solid[2:, 33:].all()


def test_the_least_sure_pixels_are_left_out() -> None:
    confidence = np.linspace(1, 5, 48 * 64, dtype=np.float32).reshape(48, 64)
    solid = solid_pixels(replace(wall(), confidence=confidence))
    assert abs(solid.mean() - 0.9) < 0.01 and not solid[0].any()


def test_a_limit_is_kept_and_the_choice_is_the_same_every_time() -> None:
    first, second = (frame_cloud(wall(), RGB, 500) for _ in range(2))
    assert len(first.xyz) == 500 and (first.xyz == second.xyz).all()
    assert len(Cloud.joined([first, second]).thinned(300).xyz) == 300


def test_without_calibration_there_are_no_points() -> None:
    assert len(frame_cloud(ViewDepth(depth_m=wall().depth_m), RGB, 100).xyz) == 0


def test_as_many_points_as_colours() -> None:
    with pytest.raises(InputError, match="as many points as colours"):
        Cloud(xyz=np.zeros((2, 3), np.float32), rgb=np.zeros((1, 3), np.uint8))


def test_the_ply_says_its_unit_and_is_read_back() -> None:
    cloud = frame_cloud(wall(), RGB, 1000)
    content = ply_bytes(cloud, comment="metres; frame map\nsecond line")
    assert b"\ncomment metres; frame map second line\n" in content.split(b"end_header")[0]
    back = trimesh.load(io.BytesIO(content), file_type="ply")
    assert np.allclose(back.vertices, cloud.xyz) and (back.colors[:, :3] == cloud.rgb).all()


@pytest.mark.parametrize(("z_is_up", "up"), [(False, [0.0, -1.0, 0.0]), (True, [0.0, 0.0, 1.0])])
def test_the_glb_stands_upright_in_a_viewer_and_holds_the_cameras(z_is_up: bool, up: list[float]) -> None:
    points = np.array([np.multiply(up, 2.0), np.multiply(up, -2.0)], dtype=np.float32)
    cloud = Cloud(xyz=points, rgb=np.array([[255, 0, 0], [0, 255, 0]], np.uint8))
    pose = RigidTransform(rotation=np.eye(3), translation=np.zeros(3))
    content = glb_bytes(cloud, [(CAMERA, pose)] * 3, z_is_up=z_is_up, comment="metres")
    scene = trimesh.load(io.BytesIO(content), file_type="glb")
    matrix, name = scene.graph["points"]
    placed = np.asarray(scene.geometry[name].vertices) @ matrix[:3, :3].T + matrix[:3, 3]
    assert np.allclose(placed, [[0, 2, 0], [0, -2, 0]]), "glTF: y is up"
    assert sum("camera" in name for name in scene.geometry) == 3 and scene.metadata["comment"] == "metres"
    assert content == glb_bytes(cloud, [(CAMERA, pose)] * 3, z_is_up=z_is_up, comment="metres")


def test_many_cameras_are_drawn_as_a_choice_of_them() -> None:
    cloud = frame_cloud(wall(), RGB, 10)
    poses = [(CAMERA, RigidTransform(rotation=np.eye(3), translation=np.array([float(i), 0, 0]))) for i in range(450)]
    scene = trimesh.load(io.BytesIO(glb_bytes(cloud, poses, z_is_up=False, comment="")), file_type="glb")
    assert len(scene.geometry) == 201


def test_a_glb_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="nothing to write"):
        glb_bytes(Cloud.joined([]), [], z_is_up=False, comment="")
