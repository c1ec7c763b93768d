"""``n3d dataset from-bag`` as people type it, with the node's own grounder."""

from __future__ import annotations

import argparse
import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pyarrow", reason="needs the packages of the extra [train]")

from bags_for_tests import write_camera_bag
from model_training.cli import train
from model_training.cli.stage_options import config_file
from model_training.data.folder import DatasetFolder
from model_training.robots.label_reading import read_labels
from model_training.robots.work_folder import WorkFolder
from n3d_ros.cli import main as cli
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.geometry.iou import iou_3d
from n3d_ros.geometry.transforms import RigidTransform


def run(*words: object) -> int:
    return cli.main(["dataset", "from-bag", *map(str, words)])


def test_the_demo_recording_goes_all_the_way(
    repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag, labels, out = repository / "demo" / "tabletop", tmp_path / "labels", tmp_path / "dataset"
    assert run(bag, "--out", labels, "--frames", 3) == 0
    told = capsys.readouterr().out
    assert "Added: 3 frames with" in told and f"n3d dataset from-bag {labels} --finish --out" in told
    path = labels / "labels.txt"
    path.write_text(path.read_text().replace("rename:\n", "rename:\n  orange box -> parcel\n", 1))
    assert run(labels, "--finish", "--out", out) == 0
    told = capsys.readouterr().out
    assert (
        "3 parcel" in told
        and "3 renamed" in told
        and f"n3d dataset questions {out}/train" in told
        and f"--data {out}/train" in told
    )
    records = list(DatasetFolder.open(out / "train").frames())
    assert len(records) == 3 and all(one.visible_box is not None for record in records for one in record.objects)
    truth = json.loads((bag / "truth.json").read_text())
    assert _best_overlap(labels, truth) > 0.7


def _best_overlap(labels: Path, truth: dict[str, Any]) -> float:
    """Median over the true objects that stand free of the overlap with the best box of the first frame."""
    work = WorkFolder.open(labels)
    frame = work.get(work.names()[0])
    assert frame.fixed_frame == truth["frame_id"] and isinstance(frame.fixed_T_camera, RigidTransform)
    found = [one.box.transformed(frame.fixed_T_camera) for one in frame.objects]
    free = [one for one in truth["objects"] if one["role"] == "object" and one["frames_unoccluded"] > 25]
    boxes = [
        Box3D(
            center=np.array(one["center_m"]),
            size=np.array(one["size_m"]),
            orientation_xyzw=np.array(one["orientation_xyzw"]),
        )
        for one in free
    ]
    assert len(boxes) >= 3
    return float(np.median([max(iou_3d(box, other) for other in found) for box in boxes]))


@pytest.mark.parametrize(
    ("mark", "stage", "told"),
    [
        ("complete", "stage1", "marked complete: 1 frame; these alone teach to find things (stage1); the others give"),
        ("checked", "stage2", "No frame to train on is marked complete"),
    ],
)
def test_the_training_that_is_proposed_lacks_the_model_alone(
    mark: str, stage: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = tmp_path / "labels"
    assert run(write_camera_bag(tmp_path / "desk", frames=2), "--out", labels, "--every", 0.1, "--change", 0) == 0
    path = labels / "labels.txt"
    path.write_text(path.read_text().replace("\nframe 0000.000: unchecked", f"\nframe 0000.000: {mark}", 1))
    capsys.readouterr()
    assert run(labels, "--finish", "--out", tmp_path / "my data") == 0
    printed = capsys.readouterr().out
    assert told in printed
    (line,) = (line for line in printed.splitlines() if line.startswith("  n3d train"))
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    given = parser.parse_args(shlex.split(line)[2:])
    assert (given.stage, given.start, given.data) == (stage, "MODEL", [str(tmp_path / "my data" / "train")])
    assert config_file(given.config, "training").is_file()


def test_faults_are_told_on_standard_error_and_the_exit_code_is_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = tmp_path / "labels"
    assert run(write_camera_bag(tmp_path / "desk", frames=2), "--out", labels, "--every", 0.1, "--change", 0) == 0
    with (labels / "labels.txt").open("a") as file:
        file.write("new | yse | cup | 0 100 -55 | 8 8 8 | 0\n")
    line = len((labels / "labels.txt").read_text().splitlines())
    assert run(labels, "--finish", "--out", tmp_path / "dataset") == 1
    assert f"line {line}: keep: expected 'yes' or 'no', got 'yse'" in capsys.readouterr().err
    assert not (tmp_path / "dataset").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nothing_here", "--out", "labels"], "there is nothing of that name"),
        (["nothing_here", "--finish", "--out", "dataset"], "n3d dataset from-bag BAG"),
        (["a", "b", "--out", "labels"], "Expected one recording"),
        (["a", "--out", "labels", "--every", "0"], "every_s: expected 0.02"),
        (["a", "--out", "labels", "--finish", "--validation", "0.9"], "validation: expected 0 to 0.5"),
        (
            ["a", "--out", "labels", "--finish", "--every", "2", "-p", "a:=1"],
            "--every, --param: only for the first step",
        ),
        (["a", "--out", "labels", "--force", "--gap", "3"], "--gap, --force: only for the second step"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_sentence(
    words: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*words) == 1
    assert told in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_folder_of_labels_is_not_taken_for_a_recording(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = tmp_path / "labels"
    run(write_camera_bag(tmp_path / "desk", frames=2), "--out", labels)
    assert run(labels, "--out", tmp_path / "more") == 1
    assert "add --finish" in capsys.readouterr().err


def test_labels_do_not_go_into_the_recording(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bag = write_camera_bag(tmp_path / "desk", frames=2)
    assert run(bag, "--out", bag / "labels") == 1
    assert "is a recording" in capsys.readouterr().err and not (bag / "labels").exists()


def test_an_empty_recording_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from n3d_ros.ros.bag import BagWriter

    with BagWriter(tmp_path / "empty"):
        pass
    assert run(tmp_path / "empty", "--out", tmp_path / "labels") == 1
    assert "colour" in capsys.readouterr().err.lower() and not (tmp_path / "labels").exists()


def test_the_file_can_be_read_by_the_program_that_wrote_it(repository: Path, tmp_path: Path) -> None:
    assert run(repository / "demo" / "tabletop", "--out", tmp_path / "labels", "--frames", 1) == 0
    file, faults = read_labels(tmp_path / "labels" / "labels.txt")
    assert not faults and len(file.frames) == 1 and len(file.frames[0].objects) > 4
