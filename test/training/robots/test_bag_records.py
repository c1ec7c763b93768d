"""Frames of a recording for what needs its pictures alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from bags_for_tests import CAMERA, START_NS, write_camera_bag
from model_training.robots.bag_records import bag_records
from n3d_ros.errors import BagError
from n3d_ros.ros.bag import BagWriter


def test_frames_lie_evenly_over_the_recording_and_have_no_objects(bag: Path) -> None:
    records = bag_records(bag, 3)
    assert [round((one.stamp_ns - START_NS) / 1e8) for one in records] == [0, 2, 5]
    assert [one.id for one in records] == [str(one.stamp_ns) for one in records]
    for one in records:
        assert one.source == "bag" and not one.objects and one.image and one.depth_png
        assert (one.intrinsics.width, one.intrinsics.height) == (CAMERA.width, CAMERA.height)
        assert sum(value**2 for value in one.up) == pytest.approx(1.0)


def test_a_short_recording_gives_what_it_has(tmp_path: Path) -> None:
    assert len(bag_records(write_camera_bag(tmp_path / "short", frames=2), 24)) == 2


def test_a_recording_without_a_camera_is_refused(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "empty"):
        pass
    with pytest.raises(BagError):
        bag_records(tmp_path / "empty", 3)
