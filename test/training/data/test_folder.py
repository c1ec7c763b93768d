"""The folder of a data set: what is in it, what is missing, and that nothing is mixed."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("pyarrow", reason="needs the packages of the extra [train]")
from dataset_builders import MakeFrames, frame_record, question_record
from model_training.data.folder import DatasetFolder
from model_training.data.shards import write_frames
from n3d_ros.errors import ConfigurationError, InputError


@dataclass(frozen=True, kw_only=True)
class Settings:
    rows: int = 2
    sizes: tuple[int, ...] = (1, 2)


def made(path: Path, shards: int = 3) -> DatasetFolder:
    folder = DatasetFolder.create(path / "set", "test", Settings(), shards)
    for number in range(shards):
        folder.write_frames(number, [frame_record(f"{number}/{k}", seed=number) for k in range(2)])
    return folder


def test_a_data_set_is_found_again_with_all_that_was_said_of_it(tmp_path: Path) -> None:
    folder = made(tmp_path)
    again = DatasetFolder.open(folder.path)
    assert again == folder and again.is_complete and again.frame_shards == (0, 1, 2)
    assert again.config == {"rows": 2, "sizes": [1, 2]}
    assert [frame.id for frame in again.frames()] == ["0/0", "0/1", "1/0", "1/1", "2/0", "2/1"]


def test_what_is_missing_is_listed(tmp_path: Path) -> None:
    folder = made(tmp_path)
    folder.shard_path("frames", 1).unlink()
    assert folder.missing("frames") == (1,) and not folder.is_complete
    assert [frame.id for frame in folder.frames()] == ["0/0", "0/1", "2/0", "2/1"]
    assert folder.missing("questions") == (0, 1, 2)


@pytest.mark.parametrize(
    ("kind", "config", "shards", "named"),
    [
        ("test", Settings(rows=5), 3, "config.rows: 2 there, 5 now"),
        ("other", Settings(), 3, "kind: 'test' there, 'other' now"),
        ("test", Settings(), 4, "shards: 3 there, 4 now"),
    ],
)
def test_a_folder_of_another_configuration_is_refused_and_the_difference_named(
    tmp_path: Path, kind: str, config: Settings, shards: int, named: str
) -> None:
    folder = made(tmp_path)
    with pytest.raises(ConfigurationError, match=f"{named}.*never mixed"):
        DatasetFolder.create(folder.path, kind, config, shards)
    assert DatasetFolder.create(folder.path, "test", Settings(), 3) == folder


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(ConfigurationError, match="expected a new or an empty folder"):
        DatasetFolder.create(tmp_path, "test", Settings(), 1)


@pytest.mark.parametrize("shards", [0, 100_001])
def test_absurd_numbers_of_shards_are_refused(tmp_path: Path, shards: int) -> None:
    with pytest.raises(ConfigurationError, match="Shards: expected 1 to 100000"):
        DatasetFolder.create(tmp_path, "test", Settings(), shards)


def test_a_shard_of_another_data_set_is_not_taken(tmp_path: Path) -> None:
    folder = made(tmp_path)
    other = DatasetFolder.create(tmp_path / "other", "test", Settings(rows=9), 3)
    other.write_frames(1, [frame_record("other")])
    shutil.copy(other.shard_path("frames", 1), folder.shard_path("frames", 1))
    with pytest.raises(InputError, match=r"00001\.parquet: expected shard 1 of this data set"):
        folder.missing("frames")


def test_a_shard_in_another_ones_place_is_not_taken(tmp_path: Path) -> None:
    folder = made(tmp_path)
    shutil.copy(folder.shard_path("frames", 0), folder.shard_path("frames", 2))
    with pytest.raises(InputError, match=r"00002\.parquet: expected shard 2"):
        list(folder.frames())
    write_frames(folder.shard_path("frames", 2), [frame_record("a")])
    with pytest.raises(InputError, match=r"00002\.parquet: expected shard 2"):
        list(folder.frames())


def test_a_damaged_shard_is_neither_there_nor_missing(tmp_path: Path) -> None:
    folder = made(tmp_path)
    path = folder.shard_path("frames", 1)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"00001\.parquet: expected a whole shard"):
        _ = folder.is_complete


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 99}, "version 1, got 'n3d_dataset', version 99"),
        ({"format": "coco"}, "expected format"),
        ({"config": {"rows": 3}}, "its configuration was changed"),
        ({"shards": "many"}, "wrong or missing"),
        ({"shards": 10**12}, "Shards: expected 1 to 100000"),
    ],
)
def test_a_file_that_says_something_else_is_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    path = made(tmp_path).path / "dataset.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ConfigurationError, match=message):
        DatasetFolder.open(path.parent)


@pytest.mark.parametrize("content", [None, "", "{", "[]"])
def test_a_folder_without_a_data_set_is_told(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "dataset.json").write_text(content)
    with pytest.raises(ConfigurationError, match=r"expected a data set with a file dataset\.json"):
        DatasetFolder.open(tmp_path)


def test_the_report_of_a_shard_lies_in_the_shard(tmp_path: Path) -> None:
    folder = made(tmp_path)
    rejects = {"too small": 3}
    written = folder.write_frames(1, [frame_record("x")], rejects)
    assert written.rows == 1 and written.rejects == rejects
    assert written.bytes == folder.shard_path("frames", 1).stat().st_size
    assert DatasetFolder.open(folder.path).report("frames", 1) == written


def test_frames_come_with_their_questions(tmp_path: Path) -> None:
    folder = made(tmp_path).begin_questions({"per_frame": 2})
    folder.write_questions(0, [question_record("0/1"), question_record("0/1", 1)])
    pairs = {frame.id: [one.id for one in questions] for frame, questions in folder.pairs(0)}
    assert pairs == {"0/0": [], "0/1": ["0/1/q0", "0/1/q1"]}
    assert [questions for _, questions in folder.pairs(1)] == [(), ()]
    assert folder.missing("questions") == (1, 2) and len(list(folder.questions())) == 2


def test_questions_about_frames_that_are_not_there_are_told(tmp_path: Path) -> None:
    folder = made(tmp_path).begin_questions({})
    folder.write_questions(0, [question_record("1/1")])
    with pytest.raises(InputError, match="about the frame '1/1', which is not in the shard"):
        list(folder.pairs(0))


def test_questions_of_another_configuration_are_refused(tmp_path: Path) -> None:
    folder = made(tmp_path)
    with pytest.raises(ConfigurationError, match="after begin_questions"):
        folder.write_questions(0, [])
    begun = folder.begin_questions({"per_frame": 2})
    assert folder.begin_questions({"per_frame": 2}) == begun
    changed = folder.begin_questions({"per_frame": 3})  # nothing is written yet, so nothing can be mixed
    changed.write_questions(0, [])
    questions = changed.shard_path("questions", 0).parent
    sentence = f"per_frame: 3 there, 4 now.*To ask anew, delete {questions} and {folder.path / 'questions.json'}, or"
    with pytest.raises(ConfigurationError, match=sentence) as told:
        changed.begin_questions({"per_frame": 4, "vocabulary": ["mug"] * 1000})
    assert len(told.value.message) < 600
    shutil.rmtree(questions)
    (folder.path / "questions.json").unlink()
    folder.begin_questions({"per_frame": 4}).write_questions(0, [])


def test_questions_of_other_frames_are_not_taken(tmp_path: Path) -> None:
    folder = made(tmp_path).begin_questions({})
    other = DatasetFolder.create(tmp_path / "other", "test", Settings(rows=9), 3).begin_questions({})
    other.write_questions(0, [])
    (folder.path / "questions").mkdir()
    shutil.copy(other.shard_path("questions", 0), folder.shard_path("questions", 0))
    with pytest.raises(InputError, match="expected shard 0 of this data set"):
        folder.missing("questions")


def test_a_stage_writes_the_same_shard_wherever_and_however_often_it_runs(tmp_path: Path) -> None:
    contents = []
    for name in "ab":
        folder = DatasetFolder.create(tmp_path / name, "test", Settings(), 2)
        MakeFrames(folder=folder).run(1)
        contents.append([(frame.id, frame.image) for frame in folder.frames()])
    assert contents[0] == contents[1] and contents[0]
