"""``n3d depth`` as people type it, with a model that sees a ramp; and once with a real network of random weights."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from n3d_ros.cli import depth
from n3d_ros.cli import main as cli
from n3d_ros.cli.depth_telling import scale_sentence
from n3d_ros.depth.files.cameras import FrameCamera
from n3d_ros.depth.files.clouds import Cloud
from n3d_ros.depth.files.records import FrameRecord
from n3d_ros.depth.files.run_lock import only_run_in
from n3d_ros.depth.options import DepthOptions
from n3d_ros.errors import ConfigurationError
from n3d_ros.geometry.camera import CameraIntrinsics
from n3d_ros.inference import depth_loading
from ramp_model import RampModel

W, H = 64, 48
INTRINSICS = ["--intrinsics", "60,60,31.5,23.5"]


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> list[RampModel]:
    """The models that commands load, each a ramp."""
    made: list[RampModel] = []

    def load(_source: str, *, options: DepthOptions, **_: Any) -> RampModel:
        made.append(RampModel(options=options, gives_poses="mono" not in _source))
        return made[-1]

    monkeypatch.setattr(depth_loading, "load_depth", load)
    return made


def write_images(folder: Path, count: int, size: tuple[int, int] = (W, H)) -> Path:
    folder.mkdir(exist_ok=True)
    for i in range(count):
        Image.new("RGB", size, (8 * i, 90, 20)).save(folder / f"image{i}.png")
    return folder


def run(*words: object) -> int:
    return cli.main(["depth", *map(str, words)])


def summary(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((path / "summary.json").read_text())
    return document


def test_without_a_model_the_commercial_pair_is_named_and_nothing_is_loaded(
    tmp_path: Path, models: list[RampModel], capsys: pytest.CaptureFixture[str]
) -> None:
    images = write_images(tmp_path / "in", 1)
    assert run(images, "-o", tmp_path / "out") == 1
    error = capsys.readouterr().err
    assert all(one in error for one in ("DA3-SMALL", "DA3-BASE", "DA3METRIC-LARGE", "Apache-2.0", "downloaded"))
    assert not models and not (tmp_path / "out").exists()


def test_one_photo_with_a_focal_length_is_metric(
    tmp_path: Path, models: list[RampModel], capsys: pytest.CaptureFixture[str]
) -> None:
    image = write_images(tmp_path / "in", 1) / "image0.png"
    assert run(image, "-o", tmp_path / "out", "--model", "m", *INTRINSICS) == 0
    said = capsys.readouterr()
    assert "Scale: metres from the metric model, 1.0" in said.out and "1 frame in" in said.out
    assert (tmp_path / "out/depth/image0.png").is_file() and summary(tmp_path / "out")["is_metric"] is True
    assert models[0].asked == [1] and models[0].is_closed


def test_without_a_focal_length_nothing_is_called_metres(
    tmp_path: Path, models: list[RampModel], capsys: pytest.CaptureFixture[str]
) -> None:
    image = write_images(tmp_path / "in", 1) / "image0.png"
    assert run(image, "-o", tmp_path / "out", "--model", "m") == 0
    assert "Scale: RELATIVE, not metres" in capsys.readouterr().out
    document = summary(tmp_path / "out")
    assert document["is_metric"] is False and document["png_unit_relative"] > 0
    assert all("relative" in name for name in document["frames"][0]["files"] if not name.startswith("preview"))


@pytest.mark.parametrize(
    ("count", "options", "mode", "asked"),
    [
        (1, [], "together", [1]),
        (5, [], "together", [5]),
        (5, ["--views", "single"], "single", [1] * 5),
        (12, ["--views", "together"], "together", [12]),
        (12, ["--chunk", "8"], "stream", [8, 8]),
        (9, ["--every", "2"], "together", [5]),
        (9, ["--max-frames", "2"], "together", [2]),
    ],
)
def test_few_images_are_seen_together_and_many_as_a_sequence(
    tmp_path: Path, models: list[RampModel], count: int, options: list[str], mode: str, asked: list[int]
) -> None:
    images = write_images(tmp_path / "in", count)
    assert run(images, "-o", tmp_path / "out", "--model", "m", "--format", "png", *INTRINSICS, *options) == 0
    assert summary(tmp_path / "out")["views"] == mode and models[0].asked == asked


def test_a_model_of_single_images_sees_them_one_by_one(
    tmp_path: Path, models: list[RampModel], capsys: pytest.CaptureFixture[str]
) -> None:
    images = write_images(tmp_path / "in", 3)
    assert run(images, "-o", tmp_path / "out", "--model", "mono", "--format", "glb", *INTRINSICS) == 0
    assert models[0].asked == [1, 1, 1] and (tmp_path / "out/clouds/image2.glb").is_file()
    assert run(images, "-o", tmp_path / "o", "--model", "mono", "--views", "together") == 1
    assert "sees single images only" in capsys.readouterr().err


def test_a_video_is_a_sequence_with_a_contact_sheet(tmp_path: Path, models: list[RampModel]) -> None:
    writer = cv2.VideoWriter(str(tmp_path / "film.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10.0, (W, H))
    for i in range(20):
        writer.write(np.full((H, W, 3), 5 * i, np.uint8))
    writer.release()
    out = tmp_path / "out"
    assert run(tmp_path / "film.avi", "-o", out, "--model", "m", *INTRINSICS, "--format", "preview,colmap") == 0
    document = summary(out)
    assert document["views"] == "stream" and document["frames_done"] == 20 and models[0].asked == [12, 12, 8]
    assert (out / "contact_sheet.png").is_file() and (out / "colmap/images.txt").is_file()
    assert len((out / "trajectory.tum").read_text().splitlines()) == 21
    assert not (out / ".work").exists()


def test_closing_loops_writes_every_frame_once_all_are_seen(tmp_path: Path, models: list[RampModel]) -> None:
    images, out = write_images(tmp_path / "in", 14), tmp_path / "out"
    command = [images, "-o", out, "--model", "m", "--format", "png", "--chunk", "8", "--close-loops", *INTRINSICS]
    assert run(*command) == 0
    document = summary(out)
    assert document["frames_done"] == 14 and [one["name"] for one in document["frames"]][13] == "image13"


def test_the_same_command_again_computes_nothing(
    tmp_path: Path, models: list[RampModel], capsys: pytest.CaptureFixture[str]
) -> None:
    command = [write_images(tmp_path / "in", 2), "-o", tmp_path / "out", "--model", "m", "--format", "png"]
    assert run(*command) == 0 and run(*command) == 0
    assert len(models) == 1 and "is complete" in capsys.readouterr().out
    assert run(*command, "--force") == 0 and len(models) == 2


def test_other_settings_compute_anew_and_say_so(
    tmp_path: Path, models: list[RampModel], capsys: pytest.CaptureFixture[str]
) -> None:
    command = [write_images(tmp_path / "in", 2), "-o", tmp_path / "out", "--model", "m"]
    assert run(*command, "--format", "png,preview") == 0
    assert run(*command, "--format", "png", "--resolution", "252") == 0
    assert "other settings" in capsys.readouterr().err and models[1].options.process_res == 252
    assert not (tmp_path / "out/preview").exists()


def test_an_input_that_has_changed_is_computed_anew(
    tmp_path: Path, models: list[RampModel], capsys: pytest.CaptureFixture[str]
) -> None:
    command = [write_images(tmp_path / "in", 2), "-o", tmp_path / "out", "--model", "m", "--format", "png"]
    assert run(*command) == 0
    Image.new("RGB", (W, H)).save(tmp_path / "in/image7.png")
    assert run(*command) == 0 and summary(tmp_path / "out")["frames_computed"] == 3
    assert run(*command, "--every", "2") == 0 and summary(tmp_path / "out")["frames_done"] == 2
    assert len(models) == 3 and capsys.readouterr().err.count("computed anew") == 2


def test_another_input_does_not_replace_results(
    tmp_path: Path, models: list[RampModel], capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = write_images(tmp_path / "a", 1), write_images(tmp_path / "b", 2)
    assert run(first, "-o", tmp_path / "out", "--model", "m", "--format", "png") == 0
    assert run(second, "-o", tmp_path / "out", "--model", "m", "--format", "png") == 1
    assert "another input" in capsys.readouterr().err and len(models) == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--format", "png,exr"], "exr"),
        (["--range", "3"], "NEAR,FAR"),
        (["--range", "5,1"], "NEAR < FAR"),
        (["--every", "0"], "--every"),
        (["--intrinsics", "500,500"], "four numbers"),
        (["--intrinsics", "500,500,32,24", "--camera-info", "x.yaml"], "got both"),
        (["--camera-info", "nowhere.yaml"], "calibration file"),
        (["--color", "/camera"], "of a recording"),
        (["--close-loops", "--no-resume"], "leave --no-resume out"),
        (["--resolution", "500"], "--resolution: expected a multiple of 14"),
        (["--resolution", "0"], "from 14 to 2016 px"),
        (["--chunk", "1"], "--chunk: expected 2 and more"),
        (["--chunk", "3", "--overlap", "5"], "--overlap: expected fewer images than a chunk has (--chunk 3)"),
        (["--dtype", "int8"], "--dtype: expected one of auto, float32"),
        (["--intrinsics", "900,900,640,360"], "another image size"),
        (["--intrinsics", "a,b,c,d"], "a,b,c,d"),
    ],
)
def test_options_that_do_not_go_are_refused_before_a_model_is_loaded(
    tmp_path: Path, models: list[RampModel], capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    images = write_images(tmp_path / "in", 1)
    assert run(images, "-o", tmp_path / "out", "--model", "m", *words) == 1
    assert sentence in capsys.readouterr().err and not models


def test_a_calibration_of_another_image_size_is_refused_not_used(
    tmp_path: Path, models: list[RampModel], capsys: pytest.CaptureFixture[str]
) -> None:
    images = write_images(tmp_path / "in", 1)
    assert run(images, "-o", tmp_path / "out", "--model", "m", "--intrinsics", "900,900,640,360") == 1
    assert "another image size" in capsys.readouterr().err


def test_one_calibration_does_not_fit_images_of_two_sizes(
    tmp_path: Path, models: list[RampModel], capsys: pytest.CaptureFixture[str]
) -> None:
    images = write_images(tmp_path / "in", 1)
    Image.new("RGB", (80, 60)).save(images / "other.png")
    assert run(images, "-o", tmp_path / "out", "--model", "m", *INTRINSICS) == 1
    assert "images of one size" in capsys.readouterr().err


def test_a_calibration_file_rectifies_the_lens(tmp_path: Path, models: list[RampModel]) -> None:
    (tmp_path / "camera.yaml").write_text(
        f"image_width: {W}\nimage_height: {H}\ndistortion_model: plumb_bob\n"
        "camera_matrix: {rows: 3, cols: 3, data: [60, 0, 31.5, 0, 60, 23.5, 0, 0, 1]}\n"
        "distortion_coefficients: {rows: 1, cols: 5, data: [0.4, 0, 0, 0, 0]}\n"
    )
    image = write_images(tmp_path / "in", 1) / "image0.png"
    command = [image, "-o", tmp_path / "out", "--model", "m", "--camera-info", tmp_path / "camera.yaml"]
    assert run(*command, "--format", "npz") == 0
    with np.load(tmp_path / "out/arrays/image0.npz") as arrays:
        assert np.isnan(arrays["depth_m"][-1, 0]) and np.isfinite(arrays["depth_m"][-4, 32]), "the rim has no picture"


@pytest.mark.parametrize("place", ["in", "in/out"])
def test_results_do_not_go_into_the_folder_that_is_read(
    tmp_path: Path, models: list[RampModel], capsys: pytest.CaptureFixture[str], place: str
) -> None:
    images = write_images(tmp_path / "in", 1)
    assert run(images, "-o", tmp_path / place, "--model", "m") == 1
    assert "lies in the input" in capsys.readouterr().err


def test_results_do_not_go_into_a_recording(
    tmp_path: Path, models: list[RampModel], capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("rosbags")
    images = write_images(tmp_path / "in", 1)
    (tmp_path / "bag").mkdir()
    (tmp_path / "bag/metadata.yaml").write_text("rosbag2_bagfile_information: {}\n")
    assert run(images, "-o", tmp_path / "bag/out", "--model", "m") == 1
    assert "is a recording" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("none.jpg", "nothing of that name"),
        ("empty.mp4", "is empty"),
        ("notes.txt", "OpenCV cannot open"),
        ("words.png", "cannot identify image file"),
        ("dir", "holds no images"),
    ],
)
def test_inputs_that_cannot_be_used_are_told_in_one_sentence(
    tmp_path: Path, models: list[RampModel], capsys: pytest.CaptureFixture[str], name: str, sentence: str
) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "notes.txt").write_text("words")
    (tmp_path / "words.png").write_text("words")
    (tmp_path / "dir").mkdir()
    assert run(tmp_path / name, "-o", tmp_path / "out", "--model", "m") == 1
    error = capsys.readouterr().err
    assert sentence in error and "Traceback" not in error and not models


def test_an_input_of_nothing_but_sky_ends_with_1_and_says_why(
    tmp_path: Path, models: list[RampModel], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    Image.new("RGB", (W, H), (0, 0, 255)).save(tmp_path / "in/sky.png")
    command = [tmp_path / "in", "-o", tmp_path / "out", "--model", "mono"]
    assert run(*command) == 1
    assert "Nothing but sky." in capsys.readouterr().out
    assert summary(tmp_path / "out")["frames_without_depth"] == {"sky": "Nothing but sky."}


def test_depth_beyond_sixteen_bits_is_counted_and_said(
    tmp_path: Path, models: list[RampModel], capsys: pytest.CaptureFixture[str]
) -> None:
    images = write_images(tmp_path / "in", 1)
    command = [images, "-o", tmp_path / "out", "--model", "m", *INTRINSICS, "--format", "png", "--png-unit", "0.00005"]
    assert run(*command) == 0
    assert summary(tmp_path / "out")["png_pixels_too_far"] > 0
    assert "lie beyond their range" in capsys.readouterr().out


def test_ctrl_c_leaves_whole_files_and_the_same_command_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made: list[RampModel] = []

    def load(_source: str, *, options: DepthOptions, **_: Any) -> RampModel:
        model = RampModel(options=options)
        if not made:  # the first run is interrupted while its fourth frame is looked at
            model.before = lambda calls: signal.raise_signal(signal.SIGINT) if calls == 3 else None
        made.append(model)
        return model

    monkeypatch.setattr(depth_loading, "load_depth", load)
    assert threading.current_thread() is threading.main_thread()
    images, out = write_images(tmp_path / "in", 6), tmp_path / "out"
    command = [images, "-o", out, "--model", "m", "--views", "single", "--format", "png,preview", *INTRINSICS]
    assert run(*command) == cli.EXIT_INTERRUPTED
    assert "4 of 6 frames are done. The same command goes on from here." in capsys.readouterr().err
    assert not list(out.rglob("*.part")) and not (out / "summary.json").exists()
    assert run(*command) == 0
    document = summary(out)
    assert (document["frames_of_earlier_run"], document["frames_computed"]) == (4, 2) and made[1].asked == [1, 1]
    assert len(list((out / "depth").iterdir())) == 6


def test_two_runs_do_not_write_into_one_folder(
    tmp_path: Path, models: list[RampModel], capsys: pytest.CaptureFixture[str]
) -> None:
    images = write_images(tmp_path / "in", 1)
    with only_run_in(tmp_path / "out"):
        assert run(images, "-o", tmp_path / "out", "--model", "m") == 1
    assert "another run is writing there" in capsys.readouterr().err and not models


def test_ctrl_c_while_the_model_loads_is_an_interruption_and_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def load(_source: str, *, on_progress: Any, **_: Any) -> RampModel:
        signal.raise_signal(signal.SIGINT)
        on_progress("Reading weights", 0.5)
        raise AssertionError("loading goes on")

    monkeypatch.setattr(depth_loading, "load_depth", load)
    images = write_images(tmp_path / "in", 2)
    assert run(images, "-o", tmp_path / "out", "--model", "m") == cli.EXIT_INTERRUPTED
    error = capsys.readouterr().err
    assert "interrupted while the model was loaded; the same command goes on from here." in error
    assert "no longer wanted" not in error


def record_of(*, estimated: bool = False, scale_source: str = "metric_model", pose_source: str = "none") -> FrameRecord:
    """A frame that is done."""
    camera = FrameCamera(
        index=0,
        name="f",
        stamp_ns=None,
        intrinsics=CameraIntrinsics(fx=60, fy=60, cx=31.5, cy=23.5, width=W, height=H),
        intrinsics_estimated=estimated,
        world_T_camera=None,
        pose_source=pose_source,
        scale_source=scale_source,
    )
    return FrameRecord(
        camera=camera,
        size=(W, H),
        scale=1.0,
        files=(),
        depth_quantiles=(1.0, 2.0, 3.0),
        known_share=1.0,
        sky_share=None,
        too_far=None,
        too_near=None,
        agreement=None,
        seconds=0.1,
        notes=(),
        cloud=Cloud.joined([]),
    )


@pytest.mark.parametrize("estimated", [False, True])
def test_a_scale_that_rests_on_an_estimated_focal_length_says_so(estimated: bool) -> None:
    sentence = scale_sentence([record_of(estimated=estimated)], gives_metres=True, gives_poses=True)
    assert "1.00 to 3.00 m" in sentence and ("focal length is the model's estimate" in sentence) is estimated


@pytest.mark.parametrize(
    ("gives_metres", "gives_poses", "estimated", "pose_source", "advice"),
    [
        (False, True, True, "none", "(--metric MODEL and --intrinsics, or a recording with tf, give them)"),
        (False, True, False, "none", "(--metric MODEL, or a recording with tf, give them)"),
        (False, True, False, "given", "the given poses tell none, as the notes say (--metric MODEL would)"),
        (False, False, True, "none", "DA3METRIC-LARGE, with --intrinsics"),
        (True, False, True, "none", "needs a calibration (--intrinsics)"),
        (True, True, False, "given", "the notes say why"),
    ],
)
def test_relative_depth_is_told_with_what_is_missing_and_not_with_what_is_there(
    gives_metres: bool, gives_poses: bool, estimated: bool, pose_source: str, advice: str
) -> None:
    record = record_of(estimated=estimated, scale_source="relative", pose_source=pose_source)
    sentence = scale_sentence([record], gives_metres=gives_metres, gives_poses=gives_poses)
    assert sentence.startswith("Scale: RELATIVE, not metres: ") and advice in sentence


def test_a_run_without_a_result_says_so() -> None:
    assert scale_sentence([], gives_metres=True, gives_poses=True) == "No frame gave a result."


def test_the_name_of_a_hub_model_and_the_files_of_a_folder_tell_models_apart(tmp_path: Path) -> None:
    assert depth.model_identity("depth-anything/DA3-SMALL") == "depth-anything/DA3-SMALL"
    (tmp_path / "model.safetensors").write_bytes(b"a")
    first = depth.model_identity(str(tmp_path))
    (tmp_path / "model.safetensors").write_bytes(b"bb")
    assert depth.model_identity(str(tmp_path)) != first


def test_a_chunk_is_shorter_on_a_processor_and_never_longer_than_the_model_takes() -> None:
    parser = cli.command_parser("depth", cli.COMMANDS["depth"].load())
    args = parser.parse_args(["in", "-o", "out"])
    assert depth.stream_options(args, device="cpu", max_views=64).chunk_views == 12
    assert depth.stream_options(args, device="cuda:0", max_views=64).chunk_views == 60
    assert depth.stream_options(args, device="cuda:0", max_views=20).chunk_views == 20
    args = parser.parse_args(["in", "-o", "out", "--chunk", "6", "--overlap", "6"])
    with pytest.raises(ConfigurationError, match="overlap"):
        depth.stream_options(args, device="cpu", max_views=64)


@pytest.mark.ros
def test_a_recording_gives_depth_in_the_frame_of_its_tf(tmp_path: Path, models: list[RampModel]) -> None:
    pytest.importorskip("rclpy", reason="needs ROS 2")
    from bags_for_tests import START_NS, map_T_camera, write_camera_bag

    bag, out = write_camera_bag(tmp_path / "bag", frames=5), tmp_path / "out"
    assert run(bag, "-o", out, "--model", "m", "--format", "png,ply,glb") == 0
    lines = (out / "trajectory.tum").read_text().splitlines()[1:]
    first = [float(word) for word in lines[0].split()]
    assert len(lines) == 5 and np.isclose(first[0], START_NS / 1e9)
    assert np.allclose(first[1:4], map_T_camera().translation, atol=1e-6)
    assert b"frame map" in (out / "scene.ply").read_bytes()[:300]


@pytest.fixture
def random_model(tmp_path: Path) -> Path:
    pytest.importorskip("torch", reason="needs the packages of the extra [model]")
    from model_training.models.random_depth_model import write_random_depth_model

    write_random_depth_model(tmp_path / "tiny", "tiny", seed=0)
    return tmp_path / "tiny"


def test_a_real_network_goes_all_the_way_and_repeats_itself(
    tmp_path: Path, random_model: Path, repository: Path
) -> None:
    images = write_images(tmp_path / "in", 3, size=(112, 84))
    documents = []
    for name in ("a", "b"):
        command = [sys.executable, "-m", "n3d_ros.cli", "depth", str(images), "-o", str(tmp_path / name)]
        result = subprocess.run(
            [*command, "--model", str(random_model), "--resolution", "112", "--device", "cpu"],
            env={**os.environ, "PYTHONPATH": str(repository), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert result.returncode == 0, result.stderr
        assert "RELATIVE" in result.stdout and "licence" in result.stdout
        documents.append({path.name: path.read_bytes() for path in (tmp_path / name).rglob("*.png")})
    assert documents[0] == documents[1] and len(documents[0]) == 4
