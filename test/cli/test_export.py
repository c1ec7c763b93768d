"""``n3d export`` from the command line, and its folder where a model is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra [model] is not installed")
pytest.importorskip("onnxscript", reason="the extra [model] is not installed")

from inference.language_model.scenes import tabletop
from model_training.models.random_depth_model import write_random_depth_model
from n3d_ros.cli import main as cli
from n3d_ros.errors import BackendError, InputError
from n3d_ros.inference.graphs import LanguageModelGraphs, read_graphs
from n3d_ros.inference.grounder import GroundingRequest
from n3d_ros.inference.language_model import ladder
from n3d_ros.inference.language_model.config import LanguageModelConfig
from n3d_ros.inference.language_model.grounder import LanguageModelGrounder
from n3d_ros.inference.language_model.loading import load_runtime
from n3d_ros.inference.torch_backend import TorchBackend
from n3d_ros.model.packaged import PACKAGED_NAME

pytestmark = pytest.mark.timeout(300)

FRAME = tabletop(seed=3).frame
CAMERA = f"{FRAME.intrinsics.width}x{FRAME.intrinsics.height}"
MOST_MM = 0.1  # a box may move by so much from torch to ONNX Runtime


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("exported") / "nano"
    assert cli.main(["export", PACKAGED_NAME, "--out", str(out), "--image", CAMERA]) == 0
    return out


def test_the_packaged_model_finds_the_same_boxes_as_graphs(exported: Path) -> None:
    found = {}
    for model in (PACKAGED_NAME, str(exported)):
        grounder = LanguageModelGrounder(LanguageModelConfig(model=model, device="cpu"))
        found[model] = grounder.ground(FRAME, GroundingRequest(up=None))
        grounder.close()
    expected, got = found.values()
    assert len(expected.raw_detections) > 1
    assert [one.label for one in got.raw_detections] == [one.label for one in expected.raw_detections]
    for one, other in zip(got.raw_detections, expected.raw_detections, strict=True):
        assert np.abs(one.box.corners - other.box.corners).max() * 1e3 < MOST_MM


def test_what_was_made_is_told_and_made_anew_when_asked_again(
    exported: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = read_graphs(exported, LanguageModelGraphs)
    assert cli.main(["export", PACKAGED_NAME, "--out", str(exported), "--image", CAMERA]) == 0
    told = capsys.readouterr().out
    assert "22x18 patches" in told and "checked   decoder: at most" in told and str(exported) in told
    assert read_graphs(exported, LanguageModelGraphs) == before  # to the last bit, so that engines are not built again
    assert [path.name for path in exported.parent.iterdir()] == [exported.name]
    grounder = LanguageModelGrounder(LanguageModelConfig(model=str(exported), device="cpu", long_side=224))
    with pytest.raises(InputError, match="22x18 patches"):
        grounder.ground(FRAME, GroundingRequest(up=None))


def test_half_precision_for_a_gpu_says_that_it_was_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "half"
    assert cli.main(["export", PACKAGED_NAME, "--out", str(out), "--dtype", "bfloat16", "--image", "320x240"]) == 0
    assert "structure alone: bfloat16 cannot be run on a CPU" in capsys.readouterr().out
    with pytest.raises(BackendError, match="computes no bfloat16 on a CPU"):
        load_runtime(LanguageModelConfig(model=str(out), device="cpu", backend="onnx"))
    runtime = load_runtime(LanguageModelConfig(model=str(out), device="cpu"))  # falls to the weights it was made of
    assert isinstance(runtime.backend, TorchBackend)
    assert any("not ONNX Runtime:" in fact and "computes no bfloat16 on a CPU" in fact for fact in runtime.facts)
    runtime.backend.close()


def test_quantised_weights_are_judged_told_kept_in_the_folder_and_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "int8"
    command = ["export", PACKAGED_NAME, "--out", str(out), "--weights", "int8", "--frames", "2", "--max-loss", "1"]
    assert cli.main([*command, "--image", CAMERA]) == 0
    told = capsys.readouterr().out
    assert "boxes (F1 at IoU 0.25)" in told and "int8 weights in the language model" in told
    graphs = read_graphs(out, LanguageModelGraphs)
    assert graphs.weights == "int8" and {"boxes", "corners_mm"} <= set(graphs.losses)
    grounder = LanguageModelGrounder(LanguageModelConfig(model=str(out), device="cpu"))
    assert grounder.ground(FRAME, GroundingRequest(up=None)).raw_detections
    grounder.close()
    monkeypatch.setattr(ladder, "load_onnx", _fails)
    with pytest.raises(BackendError, match="not installed here"):  # rather than other boxes, of the unrounded weights
        load_runtime(LanguageModelConfig(model=str(out), device="cpu"))


def _fails(*_: Any) -> Any:
    raise BackendError("onnxruntime is not installed here")


def test_a_recording_is_read_by_the_command_and_what_the_model_finds_in_it_is_the_truth(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("sensor_msgs", reason="needs ROS 2's messages")
    from n3d_ros.ros.bag import BagWriter
    from n3d_ros.ros.rgbd_bag import RgbdBagWriter

    with BagWriter(tmp_path / "bag") as writer:
        camera = RgbdBagWriter(writer, FRAME.intrinsics, frame_id="camera")
        for number in range(3):
            camera.write_frame(FRAME.rgb, FRAME.depth_m, 10**9 + number * 10**8)
    command = ["export", PACKAGED_NAME, "--out", str(tmp_path / "int8"), "--weights", "int8", "--image", CAMERA]
    assert cli.main([*command, "--data", str(tmp_path / "bag"), "--frames", "1", "--max-loss", "1"]) == 0
    assert "boxes (F1 at IoU 0.25)                   1.000" in capsys.readouterr().out


def test_weights_that_lose_what_the_model_knew_are_refused_and_leave_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from n3d_ros.inference.export import quantizing

    monkeypatch.setattr(quantizing, "LARGEST_CODE", {"int8": 1.0})  # -1, 0 and 1 are all that is left
    command = ["export", PACKAGED_NAME, "--out", str(tmp_path / "bad"), "--weights", "int8", "--frames", "2"]
    assert cli.main([*command, "--image", CAMERA]) == cli.EXIT_FAILED
    assert "at most 0.05 may be lost" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_help_says_which_options_go_with_weights(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["export", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    for option in ("--quantizer {auto,round,modelopt}", "--data DATA", "--frames N", "--max-loss SHARE"):
        assert f"{option} with --weights" in told
    assert "later" not in told


def test_a_depth_model_is_known_by_its_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = write_random_depth_model(tmp_path / "model", "tiny", seed=1)
    command = ["export", str(model), "--out", str(tmp_path / "graphs")]
    assert cli.main(command) == cli.EXIT_FAILED
    assert "--image 640x480" in capsys.readouterr().err
    assert cli.main([*command, "--image", "160x120", "--weights", "int8"]) == cli.EXIT_FAILED
    assert "--attention and --weights are not for it" in capsys.readouterr().err
    assert cli.main([*command, "--image", "160x120", "--resolution", "112"]) == 0
    assert "112x84 px" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--image", "640"], "640x480"),
        (["--image", "0x480"], "640x480"),
        (["--dtype", "int8"], "invalid choice"),
        (["--weights", "int3"], "invalid choice"),
    ],
)
def test_an_option_that_cannot_be_is_a_usage_error(
    arguments: list[str], named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["export", PACKAGED_NAME, "--out", str(tmp_path / "out"), *arguments])
    assert ended.value.code == cli.EXIT_USAGE
    assert named in capsys.readouterr().err


@pytest.mark.parametrize(
    ("model", "arguments", "named"),
    [
        (PACKAGED_NAME, ["--tensorrt", "8.6"], "expected 10.3"),
        (PACKAGED_NAME, ["--tensorrt", "newest"], "expected two numbers"),
        (PACKAGED_NAME, ["--views", "0"], "not for it"),
        (PACKAGED_NAME, ["--attention", "safe"], "float32 graphs compute it so already"),
        (PACKAGED_NAME, ["--max-loss", "0.1"], "--max-loss: only for quantised weights"),
        (PACKAGED_NAME, ["--weights", "int8", "--max-loss", "7"], "expected a share from 0 to 1"),
        (PACKAGED_NAME, ["--weights", "int8", "--frames", "0"], "expected 1 or more"),
        (PACKAGED_NAME, ["--weights", "int8", "--data", "no/such/place"], "nothing is there"),
        (PACKAGED_NAME, ["--weights", "int8", "--quantizer", "modelopt"], "for --weights int4"),
        ("nobody/nothing-of-this-name/here", [], "here"),
    ],
)
def test_what_cannot_be_exported_ends_in_a_sentence_and_leaves_no_folder(
    model: str, arguments: list[str], named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert cli.main(["export", model, "--out", str(out), *arguments]) == cli.EXIT_FAILED
    assert named in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_what_else_lies_in_a_folder_of_graphs_is_not_lost(exported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["export", PACKAGED_NAME, "--out", str(exported), "--image", CAMERA]
    (exported / "notes.txt").write_text("mine")
    assert cli.main(command) == cli.EXIT_FAILED
    assert "it holds notes.txt" in capsys.readouterr().err
    (exported / "notes.txt").unlink()
    own = (exported / "calibration.json").read_bytes()
    (exported / "calibration.json").write_text("fitted here")
    assert cli.main(["export", str(exported), "--out", str(exported)]) == cli.EXIT_FAILED
    assert "exported graphs already" in capsys.readouterr().err
    assert cli.main(command) == 0
    assert (exported / "calibration.former.json").read_text() == "fitted here"
    assert (exported / "calibration.json").read_bytes() == own


def test_the_node_warms_up_with_graphs_of_another_camera(exported: Path) -> None:
    loading = pytest.importorskip("n3d_ros.ros.loading", reason="needs ROS 2")
    wide = LanguageModelConfig(model=str(exported), device="cpu", long_side=224)  # no image has the graph's size then
    grounder = loading.warmed_up(LanguageModelGrounder(wide))
    with pytest.raises(InputError, match="22x18 patches"):
        grounder.ground(FRAME, GroundingRequest(up=None))
    grounder.close()


def test_a_folder_of_something_else_is_not_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert cli.main(["export", PACKAGED_NAME, "--out", str(tmp_path)]) == cli.EXIT_FAILED
    assert "one of graphs exported before" in capsys.readouterr().err
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_without_the_packages_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import sys

    hidden: dict[str, Any] = {"onnx_ir": None, "n3d_ros.inference.export.writing": None}
    for name, module in hidden.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delattr("n3d_ros.inference.export.writing", raising=False)
    assert cli.main(["export", PACKAGED_NAME, "--out", str(tmp_path / "out")]) == cli.EXIT_FAILED
    assert "pip install 'n3d_ros[model]'" in capsys.readouterr().err
