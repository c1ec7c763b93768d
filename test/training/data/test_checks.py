"""Every fault that is put into a data set is named, with its place."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pyarrow", reason="needs the packages of the extra [train]")
from dataset_builders import frame_record, object_record, png, question_record
from model_training.data.checks import CheckShards, doubled_ids, frame_problems, misplaced, question_problems
from model_training.data.folder import DatasetFolder
from model_training.data.records import FrameRecord
from n3d_ros.geometry.boxes import Box3D


def with_object(**changes: Any) -> FrameRecord:
    return replace(frame_record("f"), objects=(object_record(1, **changes), object_record(2), object_record(3)))


def box(center: tuple[float, float, float], size: tuple[float, float, float] = (0.1, 0.1, 0.1)) -> Box3D:
    return Box3D.axis_aligned(center, size)


def test_a_good_frame_has_no_problems() -> None:
    assert list(frame_problems(frame_record("f"))) == []
    assert list(frame_problems(frame_record("f", depth_png=b"", labels_png=b"", up=None, objects=0))) == []
    assert list(question_problems(question_record("f"), frame_record("f"))) == []


@pytest.mark.parametrize(
    ("record", "rule", "words"),
    [
        (frame_record("f", image=b"no image"), "broken image (rgb)", "Frame f, image: expected an image of 64x48"),
        (frame_record("f", image=png(np.zeros((4, 4, 3), np.uint8))), "broken image (rgb)", "got 4x4"),
        (frame_record("f", depth_png=b"x"), "broken image (depth_m)", "Frame f, depth_png"),
        (frame_record("f", depth_png=png(np.zeros((48, 64), np.uint8))), "broken image (depth_m)", "16 bits"),
        (frame_record("f", labels_png=b"x"), "broken image (labels)", "Frame f, labels_png"),
        (frame_record("f", labels_png=png(np.full((48, 64), 9, np.uint16))), "labels without object", "labels [9]"),
        (frame_record("f", up=(0.0, -2.0, 0.0)), "up is no unit vector", "(0.0, -2.0, 0.0)"),
        (with_object(box=box((0, 0, 1), (60, 1, 1))), "absurd size", "frame f, mug 1: box has sides of [60.0"),
        (with_object(visible_box=box((0, 0, 1), (1e-6, 1, 1))), "absurd size", "visible_box has sides of [0.0"),
        (with_object(box=box((0, 0, 900))), "absurdly far", "box is 900 m away"),
        (with_object(visible_box=box((0, 0, 0.01))), "behind the camera", "visible_box reaches from -0.04"),
        (with_object(box=box((0, 0, -1))), "behind the camera", "box reaches from -1.05 to -0.95"),
        (with_object(box_2d=(0.0, 0.0, 70.0, 20.0)), "2-D box outside the image", "image of 64x48 px"),
        (with_object(visible_fraction=1.5), "visible_fraction out of range", "visible_fraction is 1.5"),
        (with_object(score=-0.1), "score out of range", "score is -0.1"),
    ],
)
def test_a_fault_of_a_frame_is_named(record: FrameRecord, rule: str, words: str) -> None:
    ((found, what),) = frame_problems(record)
    assert found == rule and words in what and "f" in what


def test_a_whole_box_may_reach_behind_the_camera_in_part() -> None:
    assert list(frame_problems(with_object(box=box((0, 0, 0.4), (1, 1, 1))))) == []


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"object_ids": (1, 8)}, "question about no object"),
        ({"answer": ""}, "no answer"),
        ({"value_type": "number", "value": "far"}, "no number"),
        ({"value_type": "number", "value": "nan"}, "no number"),
        ({"viewpoint": "object:8"}, "unknown viewpoint"),
        ({"viewpoint": "object:x"}, "unknown viewpoint"),
    ],
)
def test_a_fault_of_a_question_is_named(changes: dict[str, Any], rule: str) -> None:
    ((found, what),) = question_problems(question_record("f", **changes), frame_record("f"))
    assert found == rule and "question f/q0" in what


def test_a_question_needs_the_box_it_rests_on() -> None:
    asked = question_record("f", target_box="full", object_ids=(1,))
    ((rule, what),) = question_problems(asked, with_object(box=None))
    assert rule == "no target box" and "mug 1 has no full box" in what


def whole(tmp_path: Path) -> DatasetFolder:
    folder = DatasetFolder.create(tmp_path / "set", "test", {}, 2)
    for number in range(2):
        folder.write_frames(number, [frame_record(f"{number}/{k}") for k in range(3)])
    return folder


def test_ids_are_unique_within_and_over_shards(tmp_path: Path) -> None:
    folder = whole(tmp_path)
    assert list(doubled_ids(folder, "frames")) == []
    folder.write_frames(1, [frame_record(name) for name in ("0/1", "1/0", "1/0")])
    problems = [what for _, what in doubled_ids(folder, "frames")]
    assert problems == ["id '0/1' in shard 0 and in shard 1", "id '1/0' in shard 1 and in shard 1"]


def test_missing_damaged_and_strange_files_are_named(tmp_path: Path) -> None:
    folder = whole(tmp_path)
    assert list(misplaced(folder)) == []
    folder.shard_path("frames", 0).unlink()
    path = folder.shard_path("frames", 1)
    shutil.copy(path, path.with_name("00007.parquet"))
    path.write_bytes(path.read_bytes()[:100])
    rules = [rule for rule, _ in misplaced(folder)]
    assert rules == ["missing shard (frames)", "damaged shard (frames)", "stranger"]
    assert [rule for rule, _ in misplaced(whole(tmp_path / "b").begin_questions({}))] == [
        "missing shard (questions)"
    ] * 2


def test_a_shard_that_breaks_off_is_told_with_the_frames_before_it(tmp_path: Path) -> None:
    folder = whole(tmp_path)
    path = folder.shard_path("frames", 1)
    data = bytearray(path.read_bytes())
    place = data.find(frame_record("1/2").image[200:260])
    data[place] ^= 0xFF
    path.write_bytes(data)
    report = CheckShards(folder=folder).run(1)
    assert report.rejects == {"damaged shard": 1} and "00001.parquet" in report.notes[0]
    assert CheckShards(folder=folder).run(0).rejects == {} and CheckShards(folder=folder).run(0).rows == 3


def test_questions_without_their_frame_are_told(tmp_path: Path) -> None:
    folder = whole(tmp_path).begin_questions({})
    folder.write_questions(0, [question_record("0/1"), question_record("1/1", 7)])
    report = CheckShards(folder=folder).run(0)
    assert report.rejects == {"question without its frame": 1}
    assert report.notes == ("question 1/1/q7: no frame '1/1' in shard 0",)
