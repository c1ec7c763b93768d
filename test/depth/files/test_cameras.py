"""Cameras as files that other tools read."""

from __future__ import annotations

import json

import numpy as np

from n3d_ros.depth.files.cameras import FrameCamera, cameras_document, colmap_texts, tum_text
from n3d_ros.geometry.camera import CameraIntrinsics
from n3d_ros.geometry.transforms import RigidTransform, quaternion_to_matrix, rotation_about_axis

CAMERA = CameraIntrinsics(fx=500, fy=510, cx=319.5, cy=239.5, width=640, height=480)
POSE = RigidTransform(rotation=rotation_about_axis([1.0, 2.0, 3.0], 0.7), translation=np.array([1.0, -2.0, 0.5]))


def camera(index: int, pose: RigidTransform | None = POSE, stamp_ns: int | None = None) -> FrameCamera:
    return FrameCamera(
        index=index,
        name=f"frame{index}",
        stamp_ns=stamp_ns,
        intrinsics=CAMERA,
        intrinsics_estimated=True,
        world_T_camera=pose,
        pose_source="estimated",
        scale_source="relative",
    )


def test_a_tum_line_is_stamp_position_and_quaternion_xyzw() -> None:
    lines = tum_text([camera(0, stamp_ns=1_700_000_000_123_456_789), camera(1, None)]).splitlines()
    assert len(lines) == 2 and lines[0].startswith("#"), "a frame without a pose has no line"
    words = lines[1].split()
    assert words[0] == "1700000000.123456789", "all nanoseconds are kept"
    numbers = np.array([float(word) for word in words[1:]])
    assert np.allclose(numbers[:3], POSE.translation)
    assert np.allclose(quaternion_to_matrix(numbers[3:]), POSE.rotation, atol=1e-8)


def test_images_without_a_clock_are_counted() -> None:
    assert tum_text([camera(3)]).splitlines()[1].startswith("3.000000000 ")


def test_the_json_says_where_everything_comes_from() -> None:
    document = json.loads(json.dumps(cameras_document([camera(0), camera(1, None)], unit="relative")))
    first, second = document["frames"]
    assert document["unit"] == "relative" and first["intrinsics_estimated"] and first["scale_source"] == "relative"
    assert first["intrinsics"] == {"fx": 500, "fy": 510, "cx": 319.5, "cy": 239.5, "width": 640, "height": 480}
    assert np.allclose(first["world_T_camera"]["translation"], POSE.translation)
    assert second["world_T_camera"] is None


def test_colmap_gets_world_to_camera_and_corner_pixels() -> None:
    texts = colmap_texts([camera(0), camera(1)])
    rows = [line for line in texts["images.txt"].splitlines() if line and not line.startswith("#")]
    words = rows[0].split()
    w, x, y, z, *translation = (float(word) for word in words[1:8])
    back = RigidTransform(rotation=quaternion_to_matrix([x, y, z, w]), translation=np.array(translation))
    assert back.is_close(POSE.inverse(), translation_m=1e-6, rotation_rad=1e-6)
    assert len(rows) == 2 and words[9] == "frame0"
    cameras = [line for line in texts["cameras.txt"].splitlines() if not line.startswith("#")]
    assert cameras == ["1 PINHOLE 640 480 500.000000 510.000000 320.000000 240.000000"], "one camera for all frames"
