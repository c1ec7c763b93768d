"""``n3d bench speed``: what it refuses, and a small real run of the packaged model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from n3d_ros.cli import bench_speed, environment
from n3d_ros.cli import main as cli

NAMED = "n3d: "


def told(capsys: pytest.CaptureFixture[str]) -> str:
    """The one sentence of an error."""
    error = capsys.readouterr().err
    assert NAMED in error and "Traceback" not in error
    return error.partition(NAMED)[2]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--frames", "1"], "--frames: expected 2 to 64, got 1."),
        (["--repeats", "0"], "--repeats: expected 1 to 200, got 0."),
        (["--rate", "5", "--rate", "1000"], "--rate: expected 0.1 to 120, got 1000."),
        (["--rate", "nan"], "--rate: expected 0.1 to 120, got nan."),
        (["--seconds", "0"], "--seconds: expected 1 to 3600, got 0."),
        (["--model", "x"] * 9, "number of --model: expected 1 to 8, got 9."),
        (["--json", "/no/such/folder/speed.json"], "--json: the folder of /no/such/folder/speed.json is not there"),
    ],
)
def test_values_out_of_range_are_refused_before_anything_is_loaded(
    options: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["bench", "speed", *options]) == cli.EXIT_FAILED
    assert sentence in told(capsys)


def test_a_folder_is_no_file_for_the_json_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", "speed", "--json", str(tmp_path)]) == cli.EXIT_FAILED
    assert f"--json: expected a file, {tmp_path} is a folder." in told(capsys)


def test_the_help_names_the_runtimes_how_long_it_takes_and_what_the_json_line_holds(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        cli.main(["bench", "speed", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    for words in ("tensorrt, torch, onnx", "auto: the fastest that files and machine allow", "takes some minutes",
                  "The JSON line holds the command as it was typed, with the paths"):  # fmt: skip
        assert words in text


def test_without_ros_a_recording_is_refused_with_what_helps(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench_speed, "_enter_ros", lambda: "Source your ROS distribution.")
    assert cli.main(["bench", "speed", "--bag", "my_bag"]) == cli.EXIT_FAILED
    assert "--bag: a recording is read with ROS's messages. Source your ROS distribution." in told(capsys)


def test_why_there_is_no_ros_is_told_in_the_words_that_help(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "missing_modules", lambda: ("rclpy",))
    monkeypatch.setenv(environment.GUARD_VARIABLE, "1")
    assert "rclpy missing. Source your ROS distribution" in bench_speed._enter_ros()


class TestWithTheModel:
    """What needs the extra [model]."""

    @pytest.fixture(autouse=True)
    def extra(self) -> None:
        pytest.importorskip("torch", reason="the extra [model] is not installed")

    @pytest.mark.parametrize("name", ["tensorflow", "replay"])
    def test_an_unknown_backend_is_refused_with_those_there_are(
        self, name: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert cli.main(["bench", "speed", "--no-node", "--backend", name]) == cli.EXIT_FAILED
        sentence = told(capsys)
        from n3d_ros.inference.language_model.config import BACKENDS

        measured = ", ".join(backend for backend in BACKENDS if backend != "replay")
        assert f"--backend: expected one of {measured}, got '{name}'" in sentence

    def test_an_unknown_model_or_device_is_refused_in_the_loaders_own_words(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        command = ["bench", "speed", "--no-node", "--frames", "2"]
        assert cli.main([*command, "--model", str(tmp_path / "none")]) == cli.EXIT_FAILED
        assert "there is no folder" in told(capsys)
        assert cli.main([*command, "--device", "abacus"]) == cli.EXIT_FAILED
        assert "device: expected auto, cpu, cuda" in told(capsys)

    @pytest.mark.timeout(300)
    def test_a_small_run_gives_the_table_and_one_json_line(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        pytest.importorskip("onnxscript", reason="the extra [model] is not installed")
        file = tmp_path / "speed.json"
        command = ["bench", "speed", "--no-node", "--device", "cpu", "--frames", "2", "--repeats", "1"]
        backends = ["--backend", "torch", "--backend", "onnx", "--model", "n3d-nano", "--model", str(tmp_path / "none")]
        assert cli.main([*command, *backends, "--json", str(file)]) == cli.EXIT_OK
        lines = capsys.readouterr().out.splitlines()
        document = json.loads(lines[-1])
        assert json.loads(file.read_text()) == document
        assert len(lines) == len(document["rows"]) + 3 and all(line.startswith("| ") for line in lines[:-1])
        assert {"command", "machine", "versions", "frames", "rows"} == set(document)
        measured = {(row["figure"], row["of"]) for row in document["rows"] if row["p50"] is not None}
        torch, onnx, theirs = (
            f"n3d-nano, {name}" for name in ("torch float32", "onnx float32", "transformers' generate")
        )
        stages = [f"stage {name}" for name in ("input", "geometry", "vision", "prefill", "decode", "refine")]
        for figure in ("whole frame", *stages, "first box", "boxes per second", "tokens per second", "answer alone",
                       "decode, per token", "share of the bandwidth limit", "memory, loading"):  # fmt: skip
            assert {(figure, torch), (figure, onnx)} <= measured
        assert {("answer alone", theirs), ("tokens per second", theirs)} <= measured
        assert ("whole frame, times as fast", f"{torch} / {onnx}") in measured
        assert ("answer alone, times as fast", f"{theirs} / {torch}") in measured
        why = {(row["figure"], row["of"]): row["note"] for row in document["rows"] if row["p50"] is None}
        assert why["node", ""] == "left out"
        assert "there is no folder" in why["whole frame", "none, torch"]
