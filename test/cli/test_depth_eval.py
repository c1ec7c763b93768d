"""`n3d depth eval`: from folders to the table and the report."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from n3d_ros.cli.main import EXIT_FAILED, main
from room_sequences import CAMERA, RoomView, render_room, write_scenes, write_tum

K = ",".join(f"{getattr(CAMERA, name):g}" for name in ("fx", "fy", "cx", "cy"))


@pytest.fixture(scope="module")
def views() -> list[RoomView]:
    return render_room(6)


def write_estimates(folder: Path, names: list[str], views: list[RoomView], *, factor: float = 1.0) -> Path:
    """What `n3d depth --format npz` writes, made of the truth, with depth times a factor."""
    (folder / "arrays").mkdir(parents=True)
    frames = []
    for name, view in zip(names, views, strict=True):
        np.savez_compressed(folder / "arrays" / f"{name}.npz", depth_m=(factor * view.depth_m).astype(np.float32))
        pose = view.world_T_camera
        frames.append(
            {
                "name": name,
                "intrinsics": {key: getattr(CAMERA, key) for key in ("fx", "fy", "cx", "cy", "width", "height")},
                "intrinsics_estimated": False,
                "world_T_camera": {
                    "translation": pose.translation.tolist(),
                    "orientation_xyzw": pose.orientation_xyzw.tolist(),
                },
                "pose_source": "estimated",
                "scale_source": "metric_model",
            }
        )
    (folder / "cameras.json").write_text(json.dumps({"unit": "m", "frames": frames}))
    return folder


def scene_names(count: int) -> list[str]:
    return [f"room_000007_{k:04d}_color" for k in range(count)]


def evaluate(*arguments: str | Path) -> int:
    return main(["depth", "eval", *map(str, arguments)])


def table_rows(text: str) -> dict[str, dict[str, str]]:
    """Cells by row and column."""
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {line[0]: dict(zip(lines[0], line, strict=True)) for line in lines[2:]}


def test_a_true_estimate_gets_full_marks_in_table_json_and_pictures(
    views: list[RoomView], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("open3d", reason="needs the extra [eval]")
    data = write_scenes(tmp_path / "data", views)
    given = write_estimates(tmp_path / "estimates", scene_names(6), views)
    out = tmp_path / "out"
    assert evaluate(data, "--predictions", given, "--settings", "eth3d", "-o", out) == 0
    row = table_rows(capsys.readouterr().out)["room_000007"]
    assert (row["images"], row["AUC3"], row["AUC30"], row["delta1"]) == ("6", "1.000", "1.000", "1.000")
    assert float(row["F1"]) > 0.999 and float(row["AbsRel"]) < 0.001
    document = json.loads((out / "evaluation.json").read_text())
    (sequence,) = document["sequences"]
    assert document["settings"]["voxel_m"] == pytest.approx(0.0390625)
    assert sequence["poses"]["auc"] == sequence["poses"]["released_auc"] == {"3": 1.0, "30": 1.0}
    assert sequence["reconstruction"]["cameras"] == "estimated" and len(sequence["depth_by_frame"]) == 6
    report = (out / "report.md").read_text()
    for kind in ("depth", "trajectory", "surface"):
        assert f"(room_000007_{kind}.png)" in report
        picture = cv2.imread(str(out / f"room_000007_{kind}.png"))
        assert picture is not None and picture.std() > 10


def test_depth_a_tenth_too_large_is_an_abs_rel_of_a_tenth_and_gone_after_the_median(
    views: list[RoomView], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_tum(tmp_path / "data", views)
    names = [path.stem for path in sorted((data / "rgb").iterdir())]
    given = write_estimates(tmp_path / "estimates", names, views, factor=1.1)
    options = (data, "--predictions", given, "--intrinsics", K, "--no-reconstruction")
    assert evaluate(*options) == 0
    row = table_rows(capsys.readouterr().out)["data"]
    assert row["AbsRel"] == "0.1000" and row["F1"] == "-"
    assert evaluate(*options, "--align", "median") == 0
    assert table_rows(capsys.readouterr().out)["data"]["AbsRel"] == "0.0000"


def test_only_frames_with_an_estimate_are_evaluated_and_the_rest_is_told(
    views: list[RoomView], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_scenes(tmp_path / "data", views)
    given = write_estimates(tmp_path / "estimates", scene_names(4), views[:4])
    assert evaluate(data, "--predictions", given, "--no-reconstruction", "--every", "2") == 0
    text = capsys.readouterr().out
    assert table_rows(text)["room_000007"]["images"] == "2"
    assert "room_000007: 2 frames without estimate" in text


def test_estimates_of_another_sequence_are_refused_by_name(
    views: list[RoomView], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_scenes(tmp_path / "data", views)
    given = write_estimates(tmp_path / "estimates", ["elsewhere_0", "elsewhere_1"], views[:2])
    assert evaluate(data, "--predictions", given, "--no-reconstruction") == 1
    told = capsys.readouterr().err
    assert "no estimate of the 6 frames of room_000007" in told and "elsewhere_0" in told


def test_several_sequences_have_a_mean(
    views: list[RoomView], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, factor in ((1, 1.0), (2, 1.2)):
        write_scenes(tmp_path / "data", views[:3], scene=f"room_{number}")
        names = [f"room_{number}_{k:04d}_color" for k in range(3)]
        given = write_estimates(tmp_path / f"estimates{number}", names, views[:3], factor=factor)
    first, second = tmp_path / "estimates1", given
    document = json.loads((first / "cameras.json").read_text())
    document["frames"] += json.loads((second / "cameras.json").read_text())["frames"]
    (first / "cameras.json").write_text(json.dumps(document))
    for file in (second / "arrays").iterdir():
        file.rename(first / "arrays" / file.name)
    assert evaluate(tmp_path / "data", "--predictions", first, "--no-reconstruction") == 0
    rows = table_rows(capsys.readouterr().out)
    errors = [float(rows[name]["AbsRel"]) for name in ("room_1", "room_2", "mean")]
    assert errors == pytest.approx([0, 0.2, 0.1], abs=5e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "--model FOLDER .*or --predictions"),
        (("--model", "a", "--predictions", "b"), "--model FOLDER .*or --predictions"),
        (("--predictions", "{tmp}", "--poses", "given"), "no choice here"),
        (("--predictions", "{tmp}"), "cameras.json"),
        (("--predictions", "{given}", "--depth-factor", "1000"), "hold both"),
        (("--predictions", "{given}", "--every", "6"), "at least 2 frames"),
        (("--predictions", "{given}", "--max-images", "1"), "max_images: expected 2"),
        (("--predictions", "{given}", "-o", "{data}"), "another folder than that of the sequence"),
        (("--predictions", "{given}", "--format", "tum", "--intrinsics", "1,2,3"), "expected FX,FY,CX,CY"),
        (("--predictions", "{given}", "--format", "tum"), "rgb.txt"),
    ],
)
def test_what_cannot_be_done_ends_with_one_sentence(
    arguments: tuple[str, ...], message: str, views: list[RoomView], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_scenes(tmp_path / "data", views)
    given = write_estimates(tmp_path / "estimates", scene_names(6), views)
    words = [word.format(tmp=tmp_path, given=given, data=data) for word in arguments]
    assert evaluate(data, "--no-reconstruction", *words) == EXIT_FAILED
    error = capsys.readouterr().err
    assert error.startswith("n3d: ") and "Traceback" not in error
    assert re.search(message, error.replace("\n", " ")), error


def test_a_report_is_replaced_only_on_request(
    views: list[RoomView], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_scenes(tmp_path / "data", views[:3])
    given = write_estimates(tmp_path / "estimates", scene_names(3), views[:3])
    options = (data, "--predictions", given, "--no-reconstruction", "-o", tmp_path / "out")
    assert evaluate(*options) == 0
    assert evaluate(*options) == EXIT_FAILED
    assert "holds a report already" in capsys.readouterr().err
    assert evaluate(*options, "--force") == 0


def test_without_open3d_the_way_out_is_told_before_any_work(
    views: list[RoomView], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "open3d", None)
    data = write_scenes(tmp_path / "data", views[:3])
    assert evaluate(data, "--predictions", write_estimates(tmp_path / "e", scene_names(3), views[:3])) == EXIT_FAILED
    error = capsys.readouterr().err
    assert "make setup EVAL=1" in error and "--no-reconstruction" in error


@pytest.mark.parametrize("poses", ["predicted", "given"])
def test_a_model_is_run_over_the_images(
    poses: str, views: list[RoomView], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch", reason="needs the extra [model]")
    from model_training.models.random_depth_model import main as write_random_model

    assert write_random_model([str(tmp_path / "model"), "--size", "tiny"]) == 0
    data = write_scenes(tmp_path / "data", views[:3])
    options = ("--model", tmp_path / "model", "--poses", poses, "--no-reconstruction", "--resolution", "126")
    capsys.readouterr()
    assert evaluate(data, *options, "--device", "cpu", "--dtype", "float32", "-o", tmp_path / "out") == 0
    row = table_rows(capsys.readouterr().out)["room_000007"]
    assert row["images"] == "3" and 0 <= float(row["delta1"]) <= 1
    assert (row["AUC30"] == "-") is (poses == "given")
    assert "tiny" in json.loads((tmp_path / "out/evaluation.json").read_text())["model"]
