"""Names of the frames whose places a depth model estimated."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from builders import make_intrinsics
from n3d_ros.inference.depth_source import ColorView, FoundDepth
from n3d_ros.ros.depth_step import NamedView, SeenDepth
from n3d_ros.ros.depth_topics import _estimated_frame


def seen(first: str, **cameras: str) -> SeenDepth:
    camera = make_intrinsics()
    size = (camera.height, camera.width)

    def view(frame_id: str) -> ColorView:
        return ColorView(rgb=np.zeros((*size, 3), np.uint8), intrinsics=camera, stamp_ns=1, frame_id=frame_id)

    found = FoundDepth(depth_m=np.ones(size, np.float32))
    beside = tuple((NamedView(name=name, view=view(frame)), found) for name, frame in cameras.items())
    return SeenDepth(view=view(first), found=found, beside=beside)


@pytest.mark.parametrize(
    ("first", "cameras", "expected"),
    [
        (
            "front",
            {"left": "left_optical", "rear": "rear_optical"},
            ["left_optical_estimated", "rear_optical_estimated"],
        ),
        ("camera", {"left": "camera", "rear": "camera"}, ["left_estimated", "rear_estimated"]),
        ("front", {"left": "camera", "rear": "camera"}, ["left_estimated", "rear_estimated"]),
    ],
)
def test_every_estimated_place_has_a_frame_of_its_own(first: str, cameras: dict[str, str], expected: list[str]) -> None:
    moment = seen(first, **cameras)
    assert [_estimated_frame(named, moment) for named, _ in moment.beside] == expected
