"""The command, from a configuration to a folder that the node finds objects with."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("pyarrow", reason="pyarrow comes with the extra [train]")

import yaml

from model_training.cli import train
from model_training.data.folder import DatasetFolder
from model_training.run_log import read_log
from model_training.training.config import LossConfig, OptimizerConfig
from model_training.training.release import Facts, card_text, licence_of
from model_training.training.run import Run, begin_folder, chosen_device, with_folders
from model_training.training.starting import start_of
from n3d_ros.codec.input_options import read_input_options
from n3d_ros.depth.files.run_lock import only_run_in
from n3d_ros.errors import ConfigurationError
from n3d_ros.geometry.iou import iou_3d
from n3d_ros.inference.grounder import GroundingRequest
from n3d_ros.inference.language_model.config import LanguageModelConfig
from n3d_ros.inference.language_model.grounder import LanguageModelGrounder
from n3d_ros.model.card import OwnCard
from n3d_ros.whole_files import write_json
from training.examples.known_records import Known
from training.training.harness import RECORDS, config_of, write_dataset

YAML = {
    "name": "tiny",
    "licence": "Apache-2.0",
    "examples": {"long_side": 112, "questions_per_frame": 2},
    "data": {"frames_per_batch": 1, "streams": 2},
    "optimizer": {"steps": 3, "warmup_steps": 1},
    "log_every": 1,
    "checkpoint_every": 2,
    "validation_frames": 2,
}
AVERAGED = {"steps": 3, "warmup_steps": 1, "average": 0.9}


def written(folder: Path, values: dict[str, object]) -> Path:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


def arguments(*given: object) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    return parser.parse_args([str(each) for each in given])


def released(run: Path) -> bytes:
    return (run / "model" / "model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data") / "set")


def test_one_command_trains_reports_and_releases(
    start: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, out = written(tmp_path, YAML), tmp_path / "run"
    given = ("stage2", "--config", config, "--data", data, "--validation", data, "--out", out, "--start", start)
    assert train.run(arguments(*given, "--dry-run")) == 0
    told = capsys.readouterr().out
    assert "stage2, 3 steps" in told and "433,856 weights" in told and not out.exists()

    assert train.run(arguments(*given, "--device", "cpu")) == 0
    assert f"{out / 'model'}: the model after 3 steps" in capsys.readouterr().out
    kinds = [line["kind"] for line in read_log(out)]
    assert kinds == ["validation", "train", "train", "train", "validation"]
    report = (out / "report.md").read_text(encoding="utf-8")
    assert "Complete after 3 of 3 steps" in report and "| u_error |" in report and "tokens_per_s" in report
    assert (out / "curves.png").is_file() and (out / "samples.png").is_file()
    assert list((out / "tensorboard").glob("events.out.tfevents.*"))

    model = out / "model"
    card = (model / "README.md").read_text(encoding="utf-8")
    assert "license: apache-2.0" in card and "set (scenes, 2 of 2 shards)" in card and "stage2: 3 steps" in card
    for line in (model / "SHA256SUMS").read_text(encoding="utf-8").splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((model / name).read_bytes()).hexdigest() == digest
    assert read_input_options(model).long_side == 112
    assert train.run(arguments(*given)) == 0  # complete already: written anew, nothing trained
    with pytest.raises(ConfigurationError, match="holds a run already"):
        train.run(arguments(*given, "--resume", "never"))


@pytest.mark.slow
def test_a_model_that_was_taught_two_frames_finds_their_objects_through_the_node(start: Path, tmp_path: Path) -> None:
    frames = DatasetFolder.create(tmp_path / "frames", "scenes", {"test": 2}, 1)  # without questions: all is asked for
    frames.write_frames(0, RECORDS, Counter())
    config = config_of(
        start,
        name="taught",
        optimizer=OptimizerConfig(steps=240, warmup_steps=10, learning_rate=4e-3, weight_decay=0.0, final_share=0.05),
        loss=LossConfig(dense=0.2, dense_width=32),
        log_every=50,
        checkpoint_every=1000,
    )
    made = Run(with_folders(config, [str(tmp_path / "frames")], []), "stage1", tmp_path / "run", device="cpu")
    assert made.train()
    grounder = LanguageModelGrounder(LanguageModelConfig(model=str(tmp_path / "run" / "model"), device="cpu"))
    try:
        for record in RECORDS:
            result = grounder.ground(record.frame(), GroundingRequest(up=record.up))
            assert sorted(one.label for one in result.raw_detections) == sorted(one.label for one in record.objects)
            for true in record.objects:
                raw = next(one for one in result.raw_detections if one.label == true.label)
                assert true.visible_box is not None and iou_3d(raw.box, true.visible_box) > 0.8
    finally:
        grounder.close()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_writes_a_checkpoint_and_the_same_command_goes_on(
    start: Path, data: Path, tmp_path: Path, number: signal.Signals
) -> None:
    steps = YAML | {"start_from": str(start), "optimizer": {"steps": 100_000}, "checkpoint_every": 100_000}
    steps |= {"data": {"frames_per_batch": 1, "streams": 2, "workers": 1}}
    out = tmp_path / "run"
    command = [sys.executable, "-m", "n3d_ros.cli", "train", "stage1", "--config", written(tmp_path, steps),
               "--data", data, "--out", out, "--threads", "1", "--device", "cpu"]  # fmt: skip
    process = subprocess.Popen(
        [str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True, env=os.environ | {"PYTHONPATH": str(Path.cwd())},
    )  # fmt: skip
    until = time.monotonic() + 90
    while time.monotonic() < until and len(read_log(out)) < 2:
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    os.killpg(process.pid, number)  # to all its processes, as a terminal or timeout(1) does
    told, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    (checkpoint,) = out.glob("checkpoint-*")
    step = json.loads((checkpoint / "state.json").read_text())["step"]
    assert f"Stopped at step {step}; the same command goes on from there" in told
    assert "Traceback" not in errors and not (out / "model").exists()
    assert f"Stopped after {step} of 100000 steps" in (out / "report.md").read_text()


def test_a_stopped_run_gives_a_model_when_asked_and_can_still_go_on(
    start: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    given = ("stage1", "--config", written(tmp_path, YAML | {"optimizer": AVERAGED, "validate_every": 1}),
             "--data", data, "--validation", data, "--out", out, "--start", start)  # fmt: skip
    assert train.run(arguments(*given, "--device", "cpu")) == 0
    whole = released(out)
    shutil.rmtree(out / "checkpoint-00000003")  # as if it had been stopped at step 2
    shutil.rmtree(out / "model")
    capsys.readouterr()

    assert train.run(arguments(*given, "--device", "cpu", "--release-now")) == 0
    assert f"{out / 'model'}: the model after 2 steps" in capsys.readouterr().out
    assert "Stopped after 2 of 3 steps" in (out / "report.md").read_text()
    assert (out / "model" / "SHA256SUMS").is_file() and released(out) != whole
    card = (out / "model" / "README.md").read_text()
    assert "step 2" in card and "step 3" not in card  # which other weights had

    assert train.run(arguments(*given, "--device", "cpu")) == 0
    assert released(out) == whole
    other = [tmp_path / "other" if word == out else word for word in given]
    with pytest.raises(ConfigurationError, match="with a checkpoint, got none"):
        train.run(arguments(*other, "--release-now"))
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("kind", ["exact", "compact"])
def test_a_run_ends_at_the_step_that_is_named_and_goes_on_from_there(
    start: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    out, whole = tmp_path / "run", tmp_path / "whole"
    config = written(tmp_path, YAML | {"optimizer": AVERAGED, "checkpoint_every": 100, "checkpoint": kind})
    given = ("stage1", "--config", config, "--data", data, "--start", start, "--device", "cpu", "--out")
    assert train.run(arguments(*given, out, "--until", 2)) == 0
    assert "the model after 2 steps" in capsys.readouterr().out
    assert [path.name for path in out.glob("checkpoint-*")] == ["checkpoint-00000002"]
    early = released(out)
    assert train.run(arguments(*given, out, "--until", 2)) == 0
    assert released(out) == early
    with pytest.raises(ConfigurationError, match="the run stands at step 2 already"):
        train.run(arguments(*given, out, "--until", 1))
    with pytest.raises(ConfigurationError, match="--until: expected 1 to 3"):
        train.run(arguments(*given, out, "--until", 4))
    assert train.run(arguments(*given, out)) == 0
    assert released(out) != early
    if kind == "exact":
        assert train.run(arguments(*given, whole)) == 0
        assert released(out) == released(whole)


def test_mistakes_are_told_in_a_sentence(start: Path, tmp_path: Path) -> None:
    misspelt = written(tmp_path, YAML | {"start_from": str(start), "optimiser": {}})
    with pytest.raises(ConfigurationError, match="unknown key 'optimiser'; known: name, start_from"):
        train.run(arguments("stage1", "--config", misspelt, "--out", tmp_path / "run"))
    without = written(tmp_path, YAML | {"start_from": str(start)})
    with pytest.raises(ConfigurationError, match="give --data FOLDER"):
        train.run(arguments("stage1", "--config", without, "--out", tmp_path / "run"))
    out_of_range = written(tmp_path, YAML | {"start_from": str(start), "optimizer": {"steps": 0}})
    with pytest.raises(ConfigurationError, match="steps: expected 1 to"):
        train.run(arguments("stage1", "--config", out_of_range, "--out", tmp_path / "run"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    with pytest.raises(ConfigurationError, match="expected a new folder or one of a run, got one with thesis.tex"):
        begin_folder(tmp_path / "mine", "auto")
    text = (start / "config.json").read_bytes()
    with pytest.raises(ConfigurationError, match="expected a new folder or one of a run"):
        begin_folder(start, "auto")  # a model's own config.json makes no run of its folder
    assert (start / "config.json").read_bytes() == text
    assert chosen_device("cpu") == "cpu"


def test_a_model_has_the_licence_of_the_weights_it_began_with(start: Path, tmp_path: Path) -> None:
    config, vlm = config_of(start), start_of(config_of(start)).model.vlm
    write_json(
        tmp_path / "n3d_model_card.json", {"name": "x", "licence": "Qwen Research License", "licence_note": "No."}
    )
    assert licence_of(config, tmp_path, vlm) == ("Qwen Research License", "No.")
    assert licence_of(replace(config, licence="MIT"), tmp_path, vlm) == ("MIT", "")
    (tmp_path / "n3d_model_card.json").unlink()
    assert licence_of(config, tmp_path, vlm)[0] == "unknown"  # of no published shape
    facts = Facts(stage="stage1", steps=1, data="x", skipped="nothing", figures={})
    text = card_text(vlm, config, facts, OwnCard(licence="Qwen Research License", licence_note="No."))
    assert "license: qwen-research-license\n" in text and "| Qwen Research License. No. |" in text


def test_a_card_tells_whether_the_model_was_taught_to_answer_in_words(start: Path) -> None:
    config, vlm = config_of(start), start_of(config_of(start)).model.vlm
    boxes_alone = replace(config, examples=replace(config.examples, learn_answers=False))
    said = []
    for stage, one in (("stage1", config), ("stage2", config), ("stage2", boxes_alone)):
        facts = Facts(stage=stage, steps=1, data="x", skipped="nothing", figures={})
        said.append(card_text(vlm, one, facts, OwnCard(licence="MIT", licence_note="")))
    assert ["and answers about them" in text for text in said] == [False, True, False]
    assert "where objects are, also those of a question" in said[2]


def test_a_refused_run_leaves_its_folder_as_it_was(start: Path, data: Path, tmp_path: Path) -> None:
    config = with_folders(config_of(start, optimizer=OptimizerConfig(steps=1)), [str(data)], [])
    assert Run(config, "stage1", tmp_path, device="cpu").train()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    other = replace(config, seed=5)
    with pytest.raises(ConfigurationError, match="differing: seed"):
        Run(other, "stage1", tmp_path, device="cpu").train()
    with only_run_in(tmp_path), pytest.raises(ConfigurationError, match="another run is writing there"):
        Run(config, "stage1", tmp_path, device="cpu").train()
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    state = tmp_path / "checkpoint-00000001" / "state.json"
    values = json.loads(state.read_text())
    state.write_text(json.dumps(values | {"cursors": values["cursors"] * 2}))
    before[state] = state.stat().st_mtime_ns
    with pytest.raises(ConfigurationError, match="written by 2 processes"):
        Run(config, "stage1", tmp_path, device="cpu").train()
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_run_whose_validation_gives_nothing_says_so_once_and_trains_on(
    start: Path, data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = config_of(start, optimizer=OptimizerConfig(steps=2), validate_every=1)
    made = Run(with_folders(config, [str(data)], [str(data)]), "stage1", tmp_path, device="cpu")
    made.validation = (Known(records=(replace(RECORDS[0], image=b"no picture"),), shards=(0,)),)
    assert made.train()
    told = [record.message for record in caplog.records if "Nothing is validated" in record.message]
    assert len(told) == 1 and "1 frame that cannot be read" in told[0] and "n3d dataset check" in told[0]
    assert {line["kind"] for line in read_log(tmp_path)} == {"train"}
    assert (tmp_path / "model" / "SHA256SUMS").is_file() and caplog.text.count("Validation frame") == 1


def test_what_a_killed_run_left_half_written_goes_when_the_run_goes_on(start: Path, data: Path, tmp_path: Path) -> None:
    config = with_folders(config_of(start, optimizer=OptimizerConfig(steps=1)), [str(data)], [])
    gone = subprocess.Popen(["true"])
    gone.wait()
    names = [f".checkpoint-00000005.part-{number}" for number in (gone.pid, os.getpid(), os.getppid())]
    kept = [names[2], f".checkpoint-00000005.part-{gone.pid}.mine", f"checkpoint.part-{gone.pid}", ".checkpoint-part"]
    for name in (*names, *kept):
        (tmp_path / "run" / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / "run" / name / "weights.safetensors").write_bytes(b"x")
    (tmp_path / "run" / "config.json").write_text('{"examples": {}, "optimizer": {}}')
    assert Run(config, "stage1", tmp_path / "run", device="cpu").train()
    there = {path.name for path in (tmp_path / "run").iterdir()}
    assert set(kept) <= there and not set(names[:2]) & there


def test_a_compact_run_that_is_over_releases_the_same_model_again(start: Path, data: Path, tmp_path: Path) -> None:
    settings = OptimizerConfig(steps=3, warmup_steps=1, learning_rate=4e-3, average=0.9)
    config = with_folders(config_of(start, optimizer=settings, checkpoint="compact"), [str(data)], [])
    released = []
    for _ in range(2):
        assert Run(config, "stage1", tmp_path, device="cpu").train()
        released.append([path.read_bytes() for path in sorted((tmp_path / "model").glob("*.safetensors"))])
    assert released[0] and released[0] == released[1]


@pytest.mark.parametrize(
    "path", sorted(Path(train.__file__).parents[1].glob("training/configs/*.yaml")), ids=lambda p: p.stem
)
def test_every_configuration_that_is_shipped_can_be_read(path: Path) -> None:
    from model_training.training.config import TrainConfig
    from model_training.yaml_config import read_yaml

    assert read_yaml(path, TrainConfig).name
