"""Boxes that were recorded with the bag, taken as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bags_for_tests import CAMERA, FRAME_ID, START_NS, block, map_T_camera, render
from model_training.robots.label_reading import read_labels
from model_training.robots.recorded_boxes import RecordedBoxes, boxes_topic
from n3d_ros.errors import BagError
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.ros.bag import BagReader, BagWriter
from n3d_ros.ros.conversions import fill_pose_of_box, fill_xyz, make_header
from n3d_ros.ros.rgbd_bag import RgbdBagWriter, write_transform

TOPIC = "/n3d/objects"


def write_bag(path: Path, topics: tuple[str, ...] = (TOPIC,), *, size_m: float | None = None) -> Path:
    """Three images; boxes in the frame map of the first and the third."""
    from n3d_msgs.msg import Object3D, Object3DArray

    with BagWriter(path) as writer:
        camera = RgbdBagWriter(writer, CAMERA, frame_id=FRAME_ID)
        for k in range(3):
            stamp_ns, pose = START_NS + k * 100_000_000, map_T_camera(0.005 * k)
            write_transform(writer, "map", FRAME_ID, pose, stamp_ns)
            camera.write_frame(*render(pose), stamp_ns)
            for topic in topics if k != 1 else ():
                message = Object3DArray(header=make_header(stamp_ns, "map"))
                for number, box in ((42, block()), (43, Box3D.axis_aligned([1.3, 0.1, 0.1], [0.1, 0.2, 0.2]))):
                    one = Object3D(id=number, label=f"thing {number}", score=0.5)
                    fill_pose_of_box(one.pose.pose, box)
                    fill_xyz(one.size, [size_m or 1.0] * 3 if number == 43 and size_m is not None else box.size)
                    message.objects.append(one)
                writer.write(topic, stamp_ns + 1, message)
    return path


def recorded(reader: BagReader) -> RecordedBoxes:
    return RecordedBoxes(reader, boxes_topic(reader, "auto"))


def test_recorded_boxes_come_with_their_own_numbers_in_the_camera_s_frame(look: Any, tmp_path: Path) -> None:
    work = look(write_bag(tmp_path / "bag"), tmp_path / "labels", recorded=recorded).work
    assert work.names() == ("0000.000", "0000.200")  # no boxes were recorded of the second image
    frame = work.get("0000.200")
    assert [one.number for one in frame.objects] == [42, 43]
    expected = block().transformed(map_T_camera(0.010).inverse())
    np.testing.assert_allclose(frame.objects[0].box.center, expected.center, atol=1e-9)
    assert frame.objects[0].label == "thing 42" and frame.objects[0].score == 0.5
    assert "Boxes in the recording bag, found by a node while it was recorded" in (work.path / "labels.txt").read_text()
    assert not read_labels(work.labels)[1]


def test_a_recorded_box_that_is_none_is_left_out_and_told(tmp_path: Path) -> None:
    with BagReader(write_bag(tmp_path / "bag", size_m=-1.0)) as reader:
        boxes = recorded(reader)
    assert boxes.numbers[START_NS] == (42,)
    assert len(boxes.refused) == 2 and "above 0 m" in boxes.refused[0]


def test_the_topic_is_found_or_named(tmp_path: Path) -> None:
    with BagReader(write_bag(tmp_path / "one")) as reader:
        assert boxes_topic(reader, "auto") == TOPIC and boxes_topic(reader, TOPIC) == TOPIC
        with pytest.raises(BagError, match="no such topic"):
            boxes_topic(reader, "/n3d/objekts")
    with BagReader(write_bag(tmp_path / "two", (TOPIC, "/n3d/debug/raw_objects"))) as reader:
        assert boxes_topic(reader, "auto") == TOPIC
    with (
        BagReader(write_bag(tmp_path / "several", (TOPIC, "/other/objects"))) as reader,
        pytest.raises(BagError, match="name one of"),
    ):
        boxes_topic(reader, "auto")
    with (
        BagReader(write_bag(tmp_path / "none", ())) as reader,
        pytest.raises(BagError, match="has no topic of n3d_msgs"),
    ):
        boxes_topic(reader, "auto")
