"""Numbers of a data set, against counts by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("pyarrow", reason="needs the packages of the extra [train]")
from dataset_builders import frame_record, object_record, question_record
from model_training.data.folder import DatasetFolder
from model_training.data.records import QuestionRecord
from model_training.data.statistics import Statistics, answer_kind, interval, lines_of, question_rows, statistics_of


@pytest.mark.parametrize(
    ("value", "name"), [(0.0, "< 0.5 m"), (0.5, "0.5-1 m"), (0.999, "0.5-1 m"), (1.0, ">= 1 m"), (9.0, ">= 1 m")]
)
def test_intervals_hold_their_lower_border(value: float, name: str) -> None:
    assert interval(value, (0.5, 1.0), "m") == name


def test_objects_are_counted_by_class_distance_and_size() -> None:
    found = Statistics()
    found.add_frame(frame_record("a"))
    found.add_frame(frame_record("b", objects=1, split="held_out", source="coco"))
    numbers = found.to_dict()
    assert numbers["frames"] == 2 and numbers["objects"] == 4
    assert numbers["objects_by_class"] == {"mug": 2, "bowl": 1, "book": 1}
    assert numbers["frames_by_split"] == {"train": 1, "held_out": 1}
    assert numbers["frames_by_source"] == {"generated": 1, "coco": 1}
    assert numbers["image_sizes"] == {"64x48": 2} and numbers["objects_per_frame"] == {"1": 1, "3": 1}
    # Mug and book are 0.3 m beside the axis, 1.04 m away; the bowl is on it, 1 m away.
    assert numbers["objects_by_distance"]["1-1.5 m"] == 4 and sum(numbers["objects_by_distance"].values()) == 4
    assert numbers["objects_by_longest_side"]["0.2-0.4 m"] == 4
    assert numbers["objects_by_visible_fraction"]["0.75-0.95"] == 4


def test_objects_without_3d_boxes_have_no_distance() -> None:
    bare = object_record(1, box=None, visible_box=None, visible_fraction=None)
    found = Statistics()
    found.add_frame(replace(frame_record("a", objects=1), objects=(bare, object_record(2))))
    assert found.labels == {"mug": 1, "bowl": 1}
    assert sum(found.distances.values()) == sum(found.longest_sides.values()) == 1


def test_depth_coverage_is_the_share_of_pixels_with_depth() -> None:
    found = Statistics()
    found.add_depth(frame_record("half"))
    found.add_depth(frame_record("none", depth_png=b""))
    cover = found.to_dict()["depth_coverage"]
    assert cover == {
        "sampled_frames": 2,
        "mean": 0.25,
        "quantile_0.1": 0.05,
        "quantile_0.5": 0.25,
        "quantile_0.9": 0.45,
    }


def test_answers_are_counted_so_that_an_imbalance_shows() -> None:
    found = Statistics()
    for value in ("yes", "yes", "yes", "no"):
        found.add_question(question_record("a", value=value))
    for value in ("0.31", "0.4", "1.7"):
        found.add_question(question_record("a", value=value, value_type="number", unit="m", question_class="distance"))
    found.add_question(QuestionRecord(id="a/d", frame_id="a", kind="detection", object_ids=(1,)))
    numbers = found.to_dict()
    assert numbers["answers_by_class"]["left_right"] == {"yes": 3, "no": 1}
    assert numbers["answers_by_class"]["distance"] == {"0.2-0.5 m": 2, "1-2 m": 1}
    assert numbers["commonest_answer_share"] == {"distance": 0.667, "left_right": 0.75}, "grounding has no answer"
    assert numbers["questions_by_class"] == {"left_right": 4, "distance": 3, "detection": 1}


def test_a_number_that_is_none_counts_as_its_text() -> None:
    assert answer_kind(question_record("a", value="far", value_type="number")) == "far"


def test_numbers_of_a_folder_are_those_of_its_records_and_fit_json(tmp_path: Path) -> None:
    folder = DatasetFolder.create(tmp_path, "test", {}, 2)
    for number in range(2):
        folder.write_frames(number, [frame_record(f"{number}/{k}") for k in range(3)])
    folder = folder.begin_questions({})
    folder.write_questions(0, [question_record("0/0", viewpoint="object:2")])
    numbers = json.loads(json.dumps(statistics_of(folder).to_dict(), allow_nan=False))
    assert numbers["frames"] == 6 and numbers["objects"] == 18 and numbers["questions"] == 1
    assert numbers["depth_coverage"]["sampled_frames"] == 6 and numbers["depth_coverage"]["mean"] == 0.5
    assert numbers["questions_by_viewpoint"] == {"object": 1}
    lines = dict(lines_of(numbers))
    assert lines["objects"] == "18 of 3 classes, 3.0 per frame" and lines["depth"].startswith("on 50% of the pixels")


def test_an_empty_folder_has_numbers_too(tmp_path: Path) -> None:
    folder = DatasetFolder.create(tmp_path, "test", {}, 2)
    numbers = statistics_of(folder).to_dict()
    assert numbers["frames"] == 0 and numbers["depth_coverage"] == {} and dict(lines_of(numbers))["questions"] == "0"


def test_questions_are_told_with_how_many_there_are_and_the_best_blind_guess() -> None:
    found = Statistics()
    for value in ("yes", "yes", "yes", "no"):
        found.add_question(question_record("a", value=value))
    found.add_question(QuestionRecord(id="a/d", frame_id="a", kind="detection", object_ids=(1,)))
    assert question_rows(found.to_dict()) == [["left_right", "4", "yes", "75%"], ["detection", "1", "-", "-"]]
