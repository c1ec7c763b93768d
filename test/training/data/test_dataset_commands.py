"""``n3d dataset generate``, ``check`` and ``show``, called as a user calls them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import cv2
import pytest

pytest.importorskip("pyarrow", reason="needs the packages of the extra [train]")
from dataset_builders import MakeFrames, frame_record, question_record
from model_training.cli.stage_options import add_engine_arguments, config_file, finish, shard_numbers, shipped_configs
from model_training.data.folder import DatasetFolder
from model_training.data.stages import run_stage
from model_training.questions.config import QuestionConfig
from model_training.yaml_config import read_yaml
from n3d_ros.cli import main as cli
from n3d_ros.errors import ConfigurationError

CONFIG = """
scenes: 3
scenes_per_shard: 1
views: 1
view:
  sizes: [[96, 72]]
"""


@pytest.fixture(autouse=True)
def _commands_are_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """As an installation of this tree registers them, whatever is installed here."""
    group = cli.ENTRY_POINT_GROUP
    entries = [
        EntryPoint(f"dataset {name}", f"model_training.cli.dataset_{name}", group)
        for name in ("generate", "check", "show")
    ]
    monkeypatch.setattr(cli, "entry_points", lambda **_: entries)


@pytest.fixture
def folder(tmp_path: Path) -> DatasetFolder:
    """A whole data set with questions about some frames."""
    found = DatasetFolder.create(tmp_path / "set", "test", {"rows": 4}, 3)
    run_stage(MakeFrames(folder=found), found, "frames", engine="inline")
    found = found.begin_questions({})
    for number in range(3):
        found.write_questions(number, [question_record(f"s{number:03d}/001")])
    return found


@pytest.fixture
def config(tmp_path: Path) -> Path:
    pytest.importorskip("mujoco", reason="needs the packages of the extra [scenes]")
    path = tmp_path / "scenes.yaml"
    path.write_text(CONFIG)
    return path


def test_scenes_are_generated_told_and_not_made_twice(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = ["dataset", "generate", "--config", str(config), "--out", str(out), "--engine", "inline"]
    assert cli.main([*command, "--shards", "0,2"]) == 0
    said = capsys.readouterr().out
    assert "2 frames in 2 shards made now" in said and "1 of 3 shards are missing" in said
    first = {path.name: path.read_bytes() for path in (out / "frames").iterdir()}
    assert cli.main(command) == 0
    said = capsys.readouterr().out
    assert "1 frames in 1 shards made now" in said and "2 were there" in said and "missing" not in said
    assert all((out / "frames" / name).read_bytes() == data for name, data in first.items())
    report = json.loads((out / "reports" / "frames.json").read_text())
    assert report["rows"] == 3 and report["shards_there"] == 3 and len(report["shards"]) == 3
    statistics = json.loads((out / "reports" / "statistics.json").read_text())
    assert statistics["frames"] == 3 and statistics["image_sizes"] == {"96x72": 3}
    assert cv2.imread(str(out / "reports" / "contact_sheet_frames.jpg")) is not None
    assert cli.main(["dataset", "check", str(out)]) == 0
    assert "3 frames in 3 shards read: nothing wrong." in capsys.readouterr().out


def test_the_first_scenes_of_a_recipe_are_a_whole_data_set(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    every, few = tmp_path / "every", tmp_path / "few"
    command = ["dataset", "generate", "--config", str(config), "--engine", "inline"]
    assert cli.main([*command, "--out", str(every)]) == 0
    assert cli.main([*command, "--out", str(few), "--scenes", "2"]) == 0
    assert "2 frames in 2 shards made now" in capsys.readouterr().out
    frames = [next(DatasetFolder.open(folder).frames()) for folder in (every, few)]
    assert frames[0].id == frames[1].id and frames[0].image == frames[1].image
    assert not DatasetFolder.open(few).missing("frames")  # so questions can be made of it, which need every shard


@pytest.mark.parametrize("scenes", ["0", "-3", "1000000000"])
def test_a_number_of_scenes_that_there_cannot_be_is_refused(
    scenes: str, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = ["dataset", "generate", "--config", str(config), "--out", str(out), "--scenes", scenes]
    assert cli.main(command) == cli.EXIT_FAILED
    assert "scenes" in capsys.readouterr().err and not out.exists()


def test_another_configuration_is_not_mixed_in(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["dataset", "generate", "--config", str(config), "--out", str(tmp_path / "out"), "--engine", "inline"]
    assert cli.main([*command, "--shards", "0"]) == 0
    config.write_text(CONFIG + "clutter: [0.0, 0.1]\n")
    assert cli.main(command) == cli.EXIT_FAILED
    assert "config.clutter: [0.2, 1.0] there, [0.0, 0.1] now" in capsys.readouterr().err
    config.write_text(CONFIG + "scens: 4\n")
    assert cli.main(command) == cli.EXIT_FAILED
    assert "unknown key 'scens'" in capsys.readouterr().err


def test_a_good_data_set_is_told_to_be_good(folder: DatasetFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["dataset", "check", str(folder.path)]) == 0
    assert "12 frames in 3 shards read: nothing wrong." in capsys.readouterr().out
    assert json.loads((folder.path / "reports" / "check.json").read_text())["problems"] == {}


def test_what_is_wrong_is_told_with_its_place_and_an_exit_code(
    folder: DatasetFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.write_frames(1, [frame_record("s001/001", image=b"x"), frame_record("s000/002")])
    path = folder.shard_path("frames", 2)
    path.write_bytes(path.read_bytes()[:200])
    assert cli.main(["dataset", "check", str(folder.path), "--engine", "processes", "--workers", "2"]) == 1
    said = capsys.readouterr().out
    for words in (
        "Frame s001/001, image: expected an image of 64x48 px",
        "00002.parquet: expected a whole shard",
        "id 's000/002' in shard 0 and in shard 1",
    ):
        assert words in said, said
    problems = json.loads((folder.path / "reports" / "check.json").read_text())["problems"]
    assert problems["broken image (rgb)"] == 1 and problems["doubled frame id"] == 1


def test_a_missing_shard_makes_a_data_set_not_whole(folder: DatasetFolder, capsys: pytest.CaptureFixture[str]) -> None:
    folder.shard_path("frames", 1).unlink()
    assert cli.main(["dataset", "check", str(folder.path)]) == 1
    assert "00001.parquet: is not there" in capsys.readouterr().out


def test_a_sheet_and_numbers_are_shown(folder: DatasetFolder, capsys: pytest.CaptureFixture[str]) -> None:
    sheet = folder.path.parent / "look.jpg"
    assert cli.main(["dataset", "show", str(folder.path), "--out", str(sheet), "--count", "4"]) == 0
    said = capsys.readouterr()
    assert "36 of 3 classes, 3.0 per frame" in said.out and f"4 frames in {sheet}" in said.err
    assert cv2.imread(str(sheet)) is not None
    assert cli.main(["dataset", "show", str(folder.path), "--json", "--count", "0"]) == 0
    assert json.loads(capsys.readouterr().out)["questions_by_class"] == {"left_right": 3}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--out", "look.gif"], "expected a name that ends in .jpg"),
        (["--count", "-1"], "--count: expected 0 to 120"),
        (["--count", "121"], "--count: expected 0 to 120"),
    ],
)
def test_sheets_that_cannot_be_made_are_refused(
    folder: DatasetFolder, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["dataset", "show", str(folder.path), *options]) == cli.EXIT_FAILED
    assert message in capsys.readouterr().err


def test_a_data_set_without_frames_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    DatasetFolder.create(tmp_path / "set", "test", {}, 1)
    assert cli.main(["dataset", "show", str(tmp_path / "set")]) == cli.EXIT_NOTHING_FOUND
    assert "has no frames yet" in capsys.readouterr().err
    for name in ("show", "check"):
        assert cli.main(["dataset", name, str(tmp_path)]) == cli.EXIT_FAILED
        assert "expected a data set with a file dataset.json" in capsys.readouterr().err


@pytest.mark.parametrize(("text", "numbers"), [(None, None), ("3", [3]), ("0-2", [0, 1, 2]), ("7,1-2,2", [1, 2, 7])])
def test_shards_are_named_by_numbers(text: str | None, numbers: list[int] | None) -> None:
    assert shard_numbers(text, 10) == numbers


@pytest.mark.parametrize("text", ["", "a", "1-", "-1", "3-2", "10", "0-10", "1.5"])
def test_numbers_of_another_form_are_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="--shards: expected"):
        shard_numbers(text, 10)


def test_shards_that_could_not_be_made_are_told_and_give_an_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = DatasetFolder.create(tmp_path / "set", "test", {"rows": 4}, 3)
    stage = MakeFrames(folder=folder, failing=(1,), rejecting=(0, 2))
    made = run_stage(stage, folder, "frames", engine="inline")
    assert finish(folder, "frames", made) == 1
    said = capsys.readouterr().out
    assert "Shard 1 could not be made: shard 1 has no readable input" in said
    assert "3  bad_input" in said and "1 of 3 shards are missing" in said
    report: dict[str, Any] = json.loads((folder.path / "reports" / "frames.json").read_text())
    assert report["failures"] == {"1": "shard 1 has no readable input"} and report["rejects"] == {"bad_input": 2}


def test_engines_are_options_of_every_command_that_makes_shards() -> None:
    import argparse

    parser = argparse.ArgumentParser()
    add_engine_arguments(parser, workers=3)
    assert vars(parser.parse_args([])) == {"workers": 3, "engine": "auto", "ray_address": None, "shards": None}
    assert "processes (default 3)" in parser.format_help()


def test_ctrl_c_ends_in_sentences_and_the_same_command_goes_on(config: Path, tmp_path: Path) -> None:
    config.write_text(CONFIG.replace("scenes: 3", "scenes: 400"))
    command = [sys.executable, "-m", "n3d_ros.cli", "dataset", "generate", "--config", str(config)]
    command += ["--out", str(tmp_path / "out"), "--engine", "inline"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list((tmp_path / "out" / "frames").glob("*.parquet")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == cli.EXIT_INTERRUPTED, errors
    assert "Stopped. Finished shards are kept; the same command makes the rest." in errors and "Traceback" not in errors
    folder = DatasetFolder.open(tmp_path / "out")
    assert folder.frame_shards and len(folder.missing("frames")) > 300
    assert len(list(folder.frames())) == len(folder.frame_shards)


def test_without_the_packages_of_the_extra_help_is_there_and_the_rest_says_what_to_install(
    tmp_path: Path, repository: Path
) -> None:
    (tmp_path / "pyarrow.py").write_text("raise ModuleNotFoundError('no pyarrow', name='pyarrow')\n")
    environ = os.environ | {"PYTHONPATH": f"{tmp_path}:{repository}"}
    command = [sys.executable, "-m", "n3d_ros.cli", "dataset"]
    for name in ("check", "show"):
        told = subprocess.run([*command, name, "--help"], env=environ, capture_output=True, text=True, timeout=60)
        assert told.returncode == 0 and "examples:" in told.stdout, told.stderr
        failed = subprocess.run([*command, name, "x"], env=environ, capture_output=True, text=True, timeout=60)
        assert failed.returncode == 1 and "pyarrow is not installed: `make setup TRAIN=1`" in failed.stderr


@pytest.mark.parametrize("name", shipped_configs("questions"))
def test_every_configuration_of_questions_that_is_shipped_can_be_read(name: str) -> None:
    config = read_yaml(config_file(name, "questions"), QuestionConfig)
    assert config.detection == 1 and (config.reasoning > 0) == (name == "few")


def test_shipped_configurations_are_named_without_their_path_and_a_file_of_the_user_goes_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = shipped_configs("scenes")
    assert shipped and all(path.is_file() for path in shipped.values())
    name, path = next(iter(shipped.items()))
    monkeypatch.chdir(tmp_path)
    assert config_file(name, "scenes") == path and config_file("mine.yaml", "scenes") == Path("mine.yaml")
    Path(name).touch()
    assert config_file(name, "scenes") == Path(name)
