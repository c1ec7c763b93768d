"""Colour images of a recording, with calibration and place, without looking at depth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytest.importorskip("n3d_msgs", reason="the interface package is not built")

from bags_for_tests import CAMERA, FRAME_ID, START_NS, map_T_camera, write_camera_bag
from n3d_ros.errors import BagError, InputError, TransformError
from n3d_ros.geometry.camera import CameraIntrinsics
from n3d_ros.ros.bag import BagWriter
from n3d_ros.ros.color_bag import ColorBag
from n3d_ros.ros.image_codec import rgb_to_image_msg
from n3d_ros.ros.rgbd_bag import camera_info_msg

pytestmark = pytest.mark.ros

COLOR, INFO = "/camera/color/image_raw", "/camera/color/camera_info"
RGB = np.full((CAMERA.height, CAMERA.width, 3), 90, dtype=np.uint8)


def write_color_bag(path: Path, *, infos: bool = True, frames: int = 3, distortion: float = 0.0) -> Path:
    """A bag without depth and without tf."""
    lens = ("plumb_bob", (distortion, 0.0, 0.0, 0.0, 0.0))
    with BagWriter(path) as writer:
        for i in range(frames):
            stamp_ns = START_NS + i * 100_000_000
            where = {"stamp_ns": stamp_ns, "frame_id": FRAME_ID}
            writer.write(COLOR, stamp_ns, rgb_to_image_msg(RGB, **where))
            if infos:
                writer.write(INFO, stamp_ns, camera_info_msg(CAMERA, distortion=lens, **where))
    return path


@pytest.mark.parametrize("compressed", [False, True])
def test_images_come_with_calibration_and_place(tmp_path: Path, compressed: bool) -> None:
    bag = ColorBag(write_camera_bag(tmp_path / "bag", frames=4, compressed=compressed))
    views = list(bag.views())
    assert bag.still_frame == "map" and bag.image_count == len(views) == 4
    assert all(view.intrinsics == CAMERA and view.sensor_depth_m is None for view in views)
    assert views[2].reference_T_camera is not None
    assert views[2].reference_T_camera.is_close(map_T_camera(0.01), translation_m=1e-6, rotation_rad=1e-6)
    assert [view.stamp_ns - START_NS for view in views] == [0, 100_000_000, 200_000_000, 300_000_000]


def test_images_are_thinned(tmp_path: Path) -> None:
    bag = ColorBag(write_camera_bag(tmp_path / "bag", frames=6))
    assert [view.stamp_ns - START_NS for view in bag.views(every=2, max_frames=2)] == [0, 200_000_000]
    assert len(list(bag.views())) == 6, "a second pass begins anew"


def test_without_tf_there_is_no_place(tmp_path: Path) -> None:
    bag = ColorBag(write_color_bag(tmp_path / "bag"))
    assert bag.still_frame is None and all(view.reference_T_camera is None for view in bag.views())


def test_a_frame_that_tf_does_not_know_is_refused_by_name(tmp_path: Path) -> None:
    bag = write_camera_bag(tmp_path / "bag", frames=2)
    with pytest.raises(TransformError, match="'odom'"):
        ColorBag(bag, still_frame="odom")
    assert ColorBag(bag, still_frame="none").still_frame is None


def test_without_calibration_the_way_out_is_named(tmp_path: Path) -> None:
    bag = write_color_bag(tmp_path / "bag", infos=False)
    with pytest.raises(BagError, match="--intrinsics FX,FY,CX,CY"):
        ColorBag(bag)


def test_a_given_calibration_goes_before_the_recorded_one(tmp_path: Path) -> None:
    given = CameraIntrinsics(fx=99, fy=99, cx=80, cy=60, width=CAMERA.width, height=CAMERA.height)
    for infos in (True, False):
        path = write_color_bag(tmp_path / f"bag{infos}", infos=infos)
        views = list(ColorBag(path, camera=lambda rgb: (rgb, given, None)).views())
        assert [view.intrinsics for view in views] == [given] * 3


def test_a_lens_is_rectified_and_its_rim_marked(tmp_path: Path) -> None:
    (view,) = ColorBag(write_color_bag(tmp_path / "bag", frames=1, distortion=0.3)).views()
    assert view.valid is not None and not view.valid.all() and view.valid[60, 80]


def test_an_image_that_cannot_be_used_is_left_out_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "bag"
    with BagWriter(path) as writer:
        for i in range(3):
            where = {"stamp_ns": START_NS + i, "frame_id": FRAME_ID}
            image = rgb_to_image_msg(RGB, **where)
            if i == 1:
                image.data = image.data[:100]
            writer.write(COLOR, START_NS + i, image)
            writer.write(INFO, START_NS + i, camera_info_msg(CAMERA, **where))
    bag = ColorBag(path)
    assert len(list(bag.views())) == 2 and bag.left_out == 1 and "left out" in bag.notes[0]


def test_a_bag_none_of_whose_images_can_be_used_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "bag"
    with BagWriter(path) as writer:
        image = rgb_to_image_msg(RGB, stamp_ns=START_NS, frame_id=FRAME_ID)
        image.data = image.data[:100]
        writer.write(COLOR, START_NS, image)
        writer.write(INFO, START_NS, camera_info_msg(CAMERA, stamp_ns=START_NS, frame_id=FRAME_ID))
    with pytest.raises(InputError, match="not one image"):
        list(ColorBag(path).views())
