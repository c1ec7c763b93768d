"""Where metres and intrinsics come from: files, archives, a model; and what is refused instead of guessed."""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from lifting_builders import CAMERA, HEIGHT, WIDTH, colour_image, depth_of_box_before_wall
from model_training.lifting.annotations import AnnotatedImage, GivenCamera
from model_training.lifting.cameras import KnownCamera, known_camera
from model_training.lifting.config import CameraConfig, DepthConfig, FilterConfig, LiftConfig
from model_training.lifting.depths import FileDepth, ModelDepth, check_files_apart, depth_source
from n3d_ros.errors import ConfigurationError, InputError

K = np.array([[200.0, 0, 99.5], [0, 200.0, 74.5], [0, 0, 1]])
GIVEN = KnownCamera(intrinsics=GivenCamera(**CAMERA).intrinsics(), source="given")


def image(**changes: Any) -> AnnotatedImage:
    fields: dict[str, Any] = {"id": "1", "file_name": "room.png", "width": WIDTH, "height": HEIGHT, "annotations": ()}
    return AnnotatedImage(**fields | changes)


def png(path: Path, metres: np.ndarray, units: float = 1000.0) -> None:
    cv2.imwrite(str(path), np.nan_to_num(metres * units).round().astype(np.uint16))


def npz(path: Path, **arrays: Any) -> None:
    np.savez(path, **arrays)


def test_sixteen_bits_are_metres_by_their_unit_and_zero_is_none(tmp_path: Path) -> None:
    metres = depth_of_box_before_wall()
    metres[0, 0] = np.nan
    png(tmp_path / "room.png", metres, units=5000.0)
    found = FileDepth(tmp_path, units_per_m=5000.0).depth("room.png", colour_image(), GIVEN)
    assert found.depth_m == pytest.approx(metres, abs=2e-4, nan_ok=True)
    assert np.isnan(found.depth_m[0, 0])
    assert (found.camera, found.source) == (GIVEN, "room.png")


def test_an_archive_tells_depth_sky_and_camera(tmp_path: Path) -> None:
    sky = np.zeros((HEIGHT, WIDTH), bool)
    sky[:10] = True
    npz(tmp_path / "room.npz", depth_m=depth_of_box_before_wall(), sky=sky, K=K, intrinsics_estimated=False)
    found = FileDepth(tmp_path).depth("room.png", colour_image(), None)
    assert found.camera.source == "depth file"
    assert found.camera.intrinsics.fx == 200.0
    assert np.isnan(found.depth_m[:10]).all()
    assert found.sky is not None
    assert found.sky.sum() == sky.sum()


def test_an_estimated_camera_is_used_only_where_that_is_allowed(tmp_path: Path) -> None:
    npz(tmp_path / "room.npz", depth_m=depth_of_box_before_wall(), K=K, intrinsics_estimated=True)
    assert FileDepth(tmp_path).depth("room.png", colour_image(), None).camera.source == "estimated"
    with pytest.raises(InputError) as refused:
        FileDepth(tmp_path, may_estimate_camera=False).depth("room.png", colour_image(), None)
    assert refused.value.reason == "no_camera"
    assert FileDepth(tmp_path, may_estimate_camera=False).depth("room.png", colour_image(), GIVEN).camera == GIVEN


@pytest.mark.parametrize("name", ["0001_color.png", "rooms/0001_color.png", "rooms/0001_rgb.jpg"])
def test_depth_is_found_beside_colour_and_the_colour_image_is_not_taken_for_it(tmp_path: Path, name: str) -> None:
    folder = (tmp_path / name).parent
    folder.mkdir(exist_ok=True)
    cv2.imwrite(str(folder / "0001_color.png"), colour_image())
    png(folder / "0001_depth.png", depth_of_box_before_wall())
    assert FileDepth(tmp_path).depth(name, colour_image(), GIVEN).source == "0001_depth.png"


def write_text(path: Path) -> None:
    path.with_suffix(".png").write_text("no image")


def write_colour(path: Path) -> None:
    cv2.imwrite(str(path.with_suffix(".png")), colour_image())


def write_wrong_size(path: Path) -> None:
    np.save(path.with_suffix(".npy"), np.ones((3, 4), np.float32))


def write_objects(path: Path) -> None:
    np.save(path.with_suffix(".npy"), np.array([{"a": 1}], dtype=object), allow_pickle=True)


def write_relative(path: Path) -> None:
    npz(path.with_suffix(".npz"), depth_relative=depth_of_box_before_wall())


def write_cut_off(path: Path) -> None:
    npz(path.with_suffix(".npz"), depth_m=depth_of_box_before_wall())
    path.with_suffix(".npz").write_bytes(path.with_suffix(".npz").read_bytes()[:500])


def write_millimetres_as_metres(path: Path) -> None:
    np.save(path.with_suffix(".npy"), depth_of_box_before_wall() * 1000)


def write_promise_of_more(path: Path) -> None:
    np.save(path.with_suffix(".npy"), depth_of_box_before_wall())
    data = path.with_suffix(".npy").read_bytes()
    path.with_suffix(".npy").write_bytes(data.replace(b"(150, 200)", b"(9999999, 200)", 1)[: len(data)])


def write_nothing(path: Path) -> None:
    path.with_suffix(".png").write_bytes(b"")


def write_more_pixels_than_opencv_takes(path: Path) -> None:
    cv2.imwrite(str(path.with_suffix(".png")), np.ones((2, 2), np.uint16))
    header = bytearray(path.with_suffix(".png").read_bytes())
    header[16:24] = struct.pack(">II", 60_000, 60_000)
    header[29:33] = struct.pack(">I", zlib.crc32(header[12:29]))
    path.with_suffix(".png").write_bytes(header)


def write_damaged_stream(path: Path) -> None:
    np.savez_compressed(path.with_suffix(".npz"), depth_m=depth_of_box_before_wall())
    data = bytearray(path.with_suffix(".npz").read_bytes())
    data[80:120] = b"\xff" * 40
    path.with_suffix(".npz").write_bytes(data)


def write_header_without_end(path: Path) -> None:
    write_millimetres_as_metres(path)
    data = path.with_suffix(".npy").read_bytes()
    path.with_suffix(".npy").write_bytes(data.replace(b"}", b" ", 1))


@pytest.mark.parametrize(
    "write",
    [
        write_nothing,
        write_more_pixels_than_opencv_takes,
        write_damaged_stream,
        write_header_without_end,
        write_text,
        write_colour,
        write_wrong_size,
        write_objects,
        write_relative,
        write_cut_off,
        write_millimetres_as_metres,
        write_promise_of_more,
    ],
)
def test_depth_that_is_none_is_refused_as_broken(tmp_path: Path, write: Callable[[Path], None]) -> None:
    write(tmp_path / "room")
    with pytest.raises(InputError) as refused:
        FileDepth(tmp_path).depth("room.jpg", colour_image(), GIVEN)
    assert refused.value.reason == "depth_broken"
    assert "room" in refused.value.message


def test_missing_depth_and_names_that_lead_elsewhere_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        FileDepth(tmp_path).depth("room.jpg", colour_image(), GIVEN)
    assert refused.value.reason == "depth_missing"
    with pytest.raises(InputError):
        FileDepth(tmp_path).depth("../room.jpg", colour_image(), GIVEN)
    with pytest.raises(ConfigurationError, match="no source"):
        depth_source(DepthConfig())
    with pytest.raises(ConfigurationError, match="there is no folder"):
        depth_source(DepthConfig(folder=str(tmp_path / "nothing")))


def test_no_camera_is_a_refusal_not_a_guess(tmp_path: Path) -> None:
    png(tmp_path / "room.png", depth_of_box_before_wall())
    assert known_camera(image(), WIDTH, HEIGHT, CameraConfig()) is None
    with pytest.raises(InputError) as refused:
        FileDepth(tmp_path).depth("room.png", colour_image(), None)
    assert refused.value.reason == "no_camera"


def test_a_camera_given_for_a_larger_image_is_scaled_and_one_of_another_shape_refused() -> None:
    config = CameraConfig(intrinsics=(400.0, 400.0, 199.5, 149.5, 400.0, 300.0))
    found = known_camera(image(), WIDTH, HEIGHT, config)
    assert found is not None
    assert (found.intrinsics.fx, found.intrinsics.cx, found.source) == (200.0, 99.5, "given")
    with pytest.raises(InputError) as refused:
        known_camera(image(), WIDTH, WIDTH, config)
    assert refused.value.reason == "no_camera"


def test_a_field_of_view_gives_the_focal_length() -> None:
    found = known_camera(image(), WIDTH, HEIGHT, CameraConfig(horizontal_fov_deg=90.0))
    assert found is not None
    assert found.intrinsics.fx == pytest.approx(100.0)  # half the width over tan 45 degrees


def test_the_annotations_own_camera_goes_before_the_file_and_that_before_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "cameras.json"
    path.write_text(json.dumps({"room.png": CAMERA | {"fx": 300.0}}))
    config = CameraConfig(file=str(path), horizontal_fov_deg=90.0)
    own = GivenCamera(**CAMERA | {"fx": 250.0}, up=(0.0, -1.0, 0.0))
    first = known_camera(image(camera=own), WIDTH, HEIGHT, config)
    second = known_camera(image(), WIDTH, HEIGHT, config)
    third = known_camera(image(file_name="other.png"), WIDTH, HEIGHT, config)
    assert [found.intrinsics.fx for found in (first, second, third) if found] == [250.0, 300.0, pytest.approx(100.0)]
    assert first is not None
    assert first.up == (0.0, -1.0, 0.0)


@pytest.mark.parametrize(
    "text", ["[]", "{", '{"a": {"fx": 1}}', '{"a": {"fx": -1, "fy": 1, "cx": 1, "cy": 1, "width": 2, "height": 2}}']
)
def test_a_damaged_file_of_cameras_ends_the_run_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "cameras.json"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=r"cameras\.json"):
        known_camera(image(), WIDTH, HEIGHT, CameraConfig(file=str(path)))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Depth models of random weights: a pair that knows metres, and its any-view half alone."""
    torch = pytest.importorskip("torch")
    from model_training.models.random_depth_model import write_random_depth_model

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("models")
    write_random_depth_model(folder / "pair", "tiny-nested")
    write_random_depth_model(folder / "relative", "tiny")
    return folder


def loaded(folder: Path) -> Any:
    from n3d_ros.depth.loading import load_depth_model
    from n3d_ros.depth.options import DepthOptions

    return load_depth_model(folder, device="cpu", options=DepthOptions(process_res=70))


def test_a_models_depth_is_metric_with_a_given_or_an_estimated_camera(models: Path) -> None:
    model = loaded(models / "pair")
    given = ModelDepth(model).depth("room.png", colour_image(), GIVEN)
    assert given.depth_m.shape == (HEIGHT, WIDTH)
    assert given.camera == GIVEN
    estimated = ModelDepth(model).depth("room.png", colour_image(), None)
    assert estimated.camera.source == "estimated"
    assert (estimated.camera.intrinsics.width, estimated.camera.intrinsics.height) == (WIDTH, HEIGHT)
    with pytest.raises(InputError) as refused:
        ModelDepth(model, may_estimate_camera=False).depth("room.png", colour_image(), None)
    assert refused.value.reason == "no_camera"


def test_a_model_without_metres_ends_the_run(models: Path) -> None:
    source = depth_source(DepthConfig(model=str(models / "relative"), device="cpu", resolution=70))
    with pytest.raises(ConfigurationError, match="--metric-model"):
        source.depth("room.png", colour_image(), GIVEN)


def test_depth_of_little_confidence_counts_as_none(models: Path) -> None:
    model = loaded(models / "pair")
    sure = ModelDepth(model).depth("room.png", colour_image(), GIVEN)
    doubting = ModelDepth(model, min_confidence=900.0).depth("room.png", colour_image(), GIVEN)
    assert np.isfinite(sure.depth_m).mean() > 0.5
    assert np.isnan(doubting.depth_m).all()


@pytest.mark.parametrize("size", [(math.inf, 150.0), (1e9, 150.0), (0.5, 150.0)])
def test_intrinsics_that_no_camera_has_are_refused_before_any_image(size: tuple[float, float]) -> None:
    with pytest.raises(ConfigurationError, match="intrinsics"):
        CameraConfig(intrinsics=(200.0, 200.0, 99.5, 74.5, *size))


@pytest.mark.parametrize("label", ["Coffee_Cup", "coffee_cup", "TV", " tv"])
def test_labels_that_none_is_compared_with_are_refused(label: str) -> None:
    with pytest.raises(ConfigurationError, match="lower case"):
        LiftConfig(rename={label: "mug"})
    with pytest.raises(ConfigurationError, match="lower case"):
        FilterConfig(class_sizes={label: (0.1, 1.0)})
    with pytest.raises(ConfigurationError, match="1 or more"):
        FilterConfig(class_aspects={"tv": math.nan})


def test_images_of_two_folders_with_one_name_never_share_a_depth_file(tmp_path: Path) -> None:
    config, names = DepthConfig(folder=str(tmp_path)), ["a/0001.jpg", "b/0001_color.jpg", "b/0002.jpg"]
    png(tmp_path / "0002.png", depth_of_box_before_wall())
    check_files_apart(names, config)  # of 0001 there is none, which each image tells for itself
    png(tmp_path / "0001_depth.png", depth_of_box_before_wall())
    with pytest.raises(ConfigurationError, match=r"a/0001.jpg and b/0001_color.jpg would both take .*0001_depth.png"):
        check_files_apart(names, config)
    (tmp_path / "b").mkdir()
    png(tmp_path / "b" / "0001_depth.png", depth_of_box_before_wall())
    check_files_apart(names, config)
    check_files_apart(["a/0001_rgb.png", "a/0001.png"], config)  # two files of one picture
