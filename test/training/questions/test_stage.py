from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest

from model_training.cli import dataset_questions
from model_training.data.folder import DatasetFolder
from model_training.data.records import FrameRecord
from model_training.questions.config import QuestionConfig
from model_training.questions.stage import AskQuestions, with_vocabulary
from n3d_ros.errors import ConfigurationError
from training.questions.frames import frame, random_frame, thing


def records(count: int = 6) -> list[FrameRecord]:
    rng = np.random.default_rng(2)
    return [random_frame(rng, f"frame-{k}") for k in range(count)]


def dataset(path: Path, shards: list[list[FrameRecord]], *, made: int | None = None) -> DatasetFolder:
    folder = DatasetFolder.create(path, "scenes", {"seed": len(shards)}, len(shards))
    for number, part in enumerate(shards[:made]):
        folder.write_frames(number, part)
    return folder


def ask(path: Path, *more: str) -> int:
    parser = argparse.ArgumentParser()
    dataset_questions.add_arguments(parser)
    return dataset_questions.run(parser.parse_args([str(path), "--workers", "1", "--engine", "inline", *more]))


def rows(path: Path) -> list[str]:
    return sorted(repr(one) for one in DatasetFolder.open(path).questions())


def test_questions_lie_beside_their_frames(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset(tmp_path / "d", [records()[:4], records()[4:]])
    assert ask(tmp_path / "d") == 0
    folder = DatasetFolder.open(tmp_path / "d")
    pairs = [pair for number in range(2) for pair in folder.pairs(number, images=False)]
    assert [record.id for record, _ in pairs] == [f"frame-{k}" for k in range(6)]
    assert all(asked and {one.frame_id for one in asked} == {record.id} for record, asked in pairs)
    told = capsys.readouterr().out
    assert "left_right" in told
    assert "too close to call" in told


def test_the_cut_into_shards_changes_no_question(tmp_path: Path) -> None:
    every = records()
    dataset(tmp_path / "one", [every])
    dataset(tmp_path / "three", [[every[5], every[2]], [every[0], every[1]], [every[4], every[3]]])
    for name in ("one", "three"):
        ask(tmp_path / name)
    assert rows(tmp_path / "one") == rows(tmp_path / "three")


def test_the_command_given_again_makes_only_what_is_missing(tmp_path: Path) -> None:
    dataset(tmp_path / "d", [records()[:3], records()[3:]])
    ask(tmp_path / "d")
    before = rows(tmp_path / "d")
    kept, gone = (DatasetFolder.open(tmp_path / "d").shard_path("questions", k) for k in (0, 1))
    stamp = kept.stat().st_mtime_ns
    gone.unlink()
    assert ask(tmp_path / "d") == 0
    assert kept.stat().st_mtime_ns == stamp
    assert rows(tmp_path / "d") == before


def test_other_questions_do_not_go_into_the_same_folder(tmp_path: Path) -> None:
    dataset(tmp_path / "d", [records(2)])
    ask(tmp_path / "d")
    (tmp_path / "other.yaml").write_text("seed: 3\n")
    with pytest.raises(ConfigurationError, match="seed"):
        ask(tmp_path / "d", "--config", str(tmp_path / "other.yaml"))


def test_a_vocabulary_needs_all_frames(tmp_path: Path) -> None:
    dataset(tmp_path / "d", [records()[:3], records()[3:]], made=1)
    with pytest.raises(ConfigurationError, match="1 of 2 are missing"):
        ask(tmp_path / "d")


def test_with_a_vocabulary_the_shards_that_are_there_are_asked_about(tmp_path: Path) -> None:
    dataset(tmp_path / "d", [records()[:3], records()[3:]], made=1)
    (tmp_path / "asked.yaml").write_text("vocabulary: [giraffe]\nreasoning: 2\nmargins: {clock_deg: 3}\n")
    assert ask(tmp_path / "d", "--config", str(tmp_path / "asked.yaml")) == 0
    assert DatasetFolder.open(tmp_path / "d").missing("questions") == (1,)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("reasonning: 3\n", "reasonning"),
        ("margins: {clock: 3}\n", "clock"),
        ("absent_share: 7\n", "absent_share"),
        ("vocabulary: [mug, 3]\n", "vocabulary"),
    ],
)
def test_a_wrong_setting_in_the_file_is_named(tmp_path: Path, text: str, said: str) -> None:
    dataset(tmp_path / "d", [records(1)])
    (tmp_path / "wrong.yaml").write_text(text)
    with pytest.raises(ConfigurationError, match=said):
        ask(tmp_path / "d", "--config", str(tmp_path / "wrong.yaml"))


def test_shards_that_are_not_there_are_named_before_anything_is_begun(tmp_path: Path) -> None:
    dataset(tmp_path / "d", [records(1)])
    with pytest.raises(ConfigurationError, match="--shards"):
        ask(tmp_path / "d", "--shards", "4-5")
    (tmp_path / "other.yaml").write_text("reasoning: 1\n")
    assert ask(tmp_path / "d", "--config", str(tmp_path / "other.yaml")) == 0


def test_the_vocabulary_has_labels_in_their_frequency(tmp_path: Path) -> None:
    mugs = [frame(*(thing(k, "mug", (0.2 * k, 0.0, 1.0)) for k in (1, 2, 3)), name=f"f-{n}") for n in range(3)]
    folder = dataset(tmp_path / "d", [[*mugs, frame(thing(1, "book", (0.0, 0.0, 1.0)), name="book")]])
    assert with_vocabulary(QuestionConfig(), folder).vocabulary == ("book", *["mug"] * 9)
    assert with_vocabulary(QuestionConfig(vocabulary=("cat",)), folder).vocabulary == ("cat",)


def test_frames_without_objects_fill_a_shard_too(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "d", [[frame(name="empty-0"), frame(name="empty-1")]])
    folder = folder.begin_questions(QuestionConfig())
    report = AskQuestions(config=QuestionConfig(), folder=folder).run(0)
    assert report.rows == 2  # each is asked for everything
    assert [one.object_ids for one in folder.questions()] == [(), ()]
