"""Pictures of data sets show boxes where the objects are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("pyarrow", reason="needs the packages of the extra [train]")
from dataset_builders import frame_record, object_record, png, question_record
from model_training.data.drawing import captioned, chosen_frames, pictured, sheet, write_sheet
from model_training.data.folder import DatasetFolder
from model_training.data.records import FrameRecord, QuestionRecord


def gray(objects: int) -> FrameRecord:
    return frame_record("f", objects=objects, image=png(np.full((48, 64, 3), 127, np.uint8)))


def test_a_box_is_drawn_around_its_object_and_nowhere_else() -> None:
    plain, drawn = pictured(gray(0)), pictured(replace(gray(0), objects=(object_record(2),)))
    changed = (plain != drawn).any(axis=-1)
    # The bowl: 0.2 m wide, its front 0.9 m away: 40 px / 0.9 m * 0.1 m = 4.4 px to each side of the axis, times ten.
    box = changed[240 - 60 : 240 + 60, 320 - 60 : 320 + 60]
    assert box.any() and not changed[:, :180].any() and not changed[330:].any()
    edge_columns = np.nonzero(changed[240])[0]
    assert abs(edge_columns.min() - (320 - 44.4)) < 4 and abs(edge_columns.max() - (320 + 44.4)) < 4


def test_an_object_with_a_2d_box_only_gets_that() -> None:
    flat = object_record(2, box=None, visible_box=None, box_2d=(10.0, 10.0, 20.0, 30.0))
    changed = (pictured(gray(0)) != pictured(replace(gray(0), objects=(flat,)))).any(axis=-1)
    assert changed[100:300, 100].all() and changed[100:300, 200].all() and not changed[310:].any()


def test_questions_stand_under_their_picture() -> None:
    record = frame_record("f")
    bare, asked = captioned(record), captioned(record, [question_record("f")])
    found = captioned(record, [QuestionRecord(id="f/d", frame_id="f", kind="detection", object_ids=(1, 2))])
    assert bare.shape[1] == asked.shape[1] == 640 and asked.shape[0] > bare.shape[0] > 480
    np.testing.assert_array_equal(bare[:480], asked[:480])
    assert asked.shape != found.shape or (asked != found).any()


def test_pictures_of_several_heights_fit_on_one_sheet() -> None:
    pictures = [np.full((height, 100, 3), 200, np.uint8) for height in (50, 80, 60, 30)]
    found = sheet(pictures)
    assert found.shape == (80 + 8 + 30 + 8, 3 * 108 + 8, 3)
    assert (found[8:58, 8:108] == 200).all() and (found[96:126, 8:108] == 200).all()


def test_frames_are_chosen_from_all_over_the_data_set(tmp_path: Path) -> None:
    folder = DatasetFolder.create(tmp_path / "set", "test", {}, 3)
    for number in range(3):
        folder.write_frames(number, [frame_record(f"{number}/{k:02d}", objects=1) for k in range(40)])
    folder = folder.begin_questions({})
    folder.write_questions(2, [question_record("2/39")])
    chosen = list(chosen_frames(folder, 4))
    assert [record.id for record, _ in chosen] == ["0/00", "1/00", "1/39", "2/39"]
    assert [len(questions) for _, questions in chosen] == [0, 0, 0, 1]
    assert len(list(chosen_frames(folder, 500))) == 120


def test_a_sheet_is_a_picture_file_and_none_is_written_of_nothing(tmp_path: Path) -> None:
    folder = DatasetFolder.create(tmp_path / "set", "test", {}, 1)
    assert write_sheet(folder, tmp_path / "a.jpg", 9) == 0 and not (tmp_path / "a.jpg").exists()
    folder.write_frames(0, [frame_record(f"{k}") for k in range(4)])
    assert write_sheet(folder, tmp_path / "a.jpg", 9) == 4
    picture = cv2.imread(str(tmp_path / "a.jpg"))
    assert picture is not None and picture.shape[1] == 3 * 648 + 8
