"""``n3d eval`` from the command line, on a data set, real-frame files and a benchmark made by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("pyarrow", reason="data sets are Parquet files")

from model_training.cli import evaluate as command
from model_training.data.folder import DatasetFolder
from model_training.evaluation.contents import contents_digest
from model_training.evaluation.report import JSON_FILE, REPORT_FILE
from n3d_ros.cli.main import command_parser
from n3d_ros.errors import BackendError, ConfigurationError
from training.evaluation.frames_for_evaluation import cube, frame_record, question, thing
from training.evaluation.test_osd import write_frame

MUG, BOX = thing(1, "mug", cube(-0.5, 0, 1.0)), thing(2, "box", cube(0.5, 0, 2.0, 0.3), color="red")


def run(*arguments: str | Path) -> int:
    return command.run(command_parser("eval", command).parse_args([str(one) for one in arguments]))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two frames and three questions in one shard."""
    folder = DatasetFolder.create(tmp_path / "data", "scenes", {"seed": 1}, 1)
    records = [frame_record(MUG, BOX, name=f"frame-{k}") for k in (1, 2)]
    folder.write_frames(0, records)
    asked = folder.begin_questions({"seed": 2})
    questions = [
        question(1, "Is the mug to the left of the red box?", "yes", question_class="left_right"),
        question(2, "How wide is the red box?", "0.3", question_class="width_height", value_type="number"),
        question(1, "Is the mug behind the red box?", "no", question_class="front_behind", frame_id="frame-2"),
    ]
    asked.write_questions(0, questions)
    return tmp_path / "data"


def test_a_data_set_given_its_true_boxes(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--data", data, "--boxes", "true", "--out", tmp_path / "r") == 0
    shown = capsys.readouterr().out
    assert "| visible, class-aware | 100.0 |" in shown
    assert "| **all open** | open | 100.0 | 2 |" in shown
    content = json.loads((tmp_path / "r" / JSON_FILE).read_text())
    assert content["figures"]["answers"]["code"]["all"] == {
        "asked": 3, "judged": 3, "right": 3, "accuracy": 1.0, "wrong_because": {}, "not_judged_because": {},
    }  # fmt: skip
    assert (tmp_path / "r" / REPORT_FILE).read_text().startswith("# Evaluation")


def test_the_geometric_grounder_and_the_guess_are_compared(data: Path, tmp_path: Path) -> None:
    assert run("--data", data, "--out", tmp_path / "geometric", "--limit", "1") == 0
    guess = ["--grounder", "priors", "--priors", data, "--against", tmp_path / "geometric"]
    assert run("--data", data, *guess, "--out", tmp_path / "guess") == 0
    text = (tmp_path / "guess" / REPORT_FILE).read_text()
    assert "## Compared" in text
    assert "A guess from 2 frames: 2.0 objects a frame, 2 classes" in text
    found = json.loads((tmp_path / "guess" / JSON_FILE).read_text())["figures"]["boxes"]["visible"]
    assert found["counts"]["class-aware"]["0.5"]["f1"] == 1.0  # both frames are the mean frame


def test_what_was_found_with_other_priors_in_the_same_place_is_not_taken_over(data: Path, tmp_path: Path) -> None:
    priors = DatasetFolder.create(tmp_path / "priors", "scenes", {"seed": 3}, 1)
    guess = ("--data", data, "--grounder", "priors", "--priors", tmp_path / "priors", "--out", tmp_path / "r")
    priors.write_frames(0, [frame_record(MUG)])
    assert run(*guess) == 0
    priors.shard_path("frames", 0).unlink()
    priors.write_frames(0, [frame_record(BOX)])
    with pytest.raises(ConfigurationError, match="priors contents"):
        run(*guess)
    assert run(*guess, "--force") == 0


def test_a_folder_of_another_run_is_refused_before_a_model_is_loaded(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("--data", data, "--boxes", "true", "--out", tmp_path / "r") == 0
    assert run("--data", data, "--boxes", "true", "--out", tmp_path / "r") == 0  # the same run goes on
    monkeypatch.setattr("n3d_ros.inference.grounder.create_grounder", lambda *_, **__: pytest.fail("was loaded"))
    with pytest.raises(ConfigurationError, match="something else.*model None and now"):
        run("--data", data, "--model", tmp_path / "model", "--out", tmp_path / "r")


def test_files_of_one_size_that_differ_anywhere_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "model.safetensors"
    digests = []
    for content in (bytes(100_000), bytes(99_999) + b"1", b"1" + bytes(99_999)):
        file.write_bytes(content)
        digests.append(contents_digest([file, tmp_path / "none"]))
    monkeypatch.setattr("model_training.evaluation.contents.WHOLE_BYTES", 1000)
    for content in (bytes(200_000), bytes(199_999) + b"1", b"1" + bytes(199_999)):
        file.write_bytes(content)
        digests.append(contents_digest([file]))
    assert len(set(digests)) == len(digests)


def test_real_frames(tmp_path: Path) -> None:
    (tmp_path / "osd").mkdir()
    write_frame(tmp_path / "osd", "learn1")
    assert run("--osd", tmp_path / "osd", "--boxes", "true", "--out", tmp_path / "r") == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "m", "--grounder", "geometric"], "give one of them"),
        (["--boxes", "true", "--grounder", "geometric"], "the boxes are given"),
        (["--grounder", "priors"], "--priors DATA"),
        (["--priors", "d"], "--priors DATA"),
        (["--answer-mode", "model"], "takes --model"),
        (["--min-visible", "2"], "min_visible"),
        (["--limit", "-3"], "limit"),
        (["--against", "nowhere"], "evaluation.json"),
    ],
)
def test_options_that_do_not_go_together_are_named(
    data: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        run("--data", data, "--out", tmp_path / "r", *arguments)
    assert not (tmp_path / "r").exists()


def test_an_unknown_grounder_is_named(data: Path, tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="geometric"):
        run("--data", data, "--grounder", "magic", "--out", tmp_path / "r")


def test_a_data_set_without_frames_or_none_at_all_is_named(tmp_path: Path) -> None:
    DatasetFolder.create(tmp_path / "begun", "scenes", {}, 2)
    with pytest.raises(ConfigurationError, match="2 shards are missing"):
        run("--data", tmp_path / "begun", "--out", tmp_path / "r")
    with pytest.raises(ConfigurationError, match="expected a data set"):
        run("--data", tmp_path, "--out", tmp_path / "r")


def test_the_help_shows_examples_that_parse(capsys: pytest.CaptureFixture[str]) -> None:
    for line in command.EXAMPLES.splitlines():
        if line.strip().startswith("n3d eval"):
            words = line.partition("#")[0].split()[2:]
            command_parser("eval", command).parse_args(words)
