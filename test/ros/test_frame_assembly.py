"""From messages to a frame: each rule of the module, and each refusal with its reason and its way out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from builders import make_intrinsics
from n3d_ros.errors import ConfigurationError, GroundingError, InputError, N3dError, StatusCode, TransformError
from n3d_ros.geometry import CameraIntrinsics, RigidTransform
from n3d_ros.ros.frame_assembly import FrameAssembler, FrameConfig

CAMERA = make_intrinsics()  # 64 x 48, f = 60
LENS = [-0.25, 0.08, 0.001, -0.002, 0.0]
COLOR_FRAME, DEPTH_FRAME = "camera_color_optical_frame", "camera_depth_optical_frame"


def header(frame_id: str = COLOR_FRAME, sec: int = 5) -> SimpleNamespace:
    return SimpleNamespace(frame_id=frame_id, stamp=SimpleNamespace(sec=sec, nanosec=7))


def image(pixels: np.ndarray, encoding: str, **changes: object) -> SimpleNamespace:
    values: dict[str, object] = {
        "header": header(),
        "height": pixels.shape[0],
        "width": pixels.shape[1],
        "encoding": encoding,
        "is_bigendian": 0,
        "step": pixels.strides[0],
        "data": np.ascontiguousarray(pixels).tobytes(),
    }
    return SimpleNamespace(**(values | changes))


def color(width: int = 64, height: int = 48, **changes: object) -> SimpleNamespace:
    rows, columns = np.mgrid[0:height, 0:width]
    pixels = np.stack([columns % 256, rows % 256, np.full_like(rows, 9)], axis=-1).astype(np.uint8)
    return image(pixels, "rgb8", **changes)


def depth(metres: float | np.ndarray = 1.0, width: int = 64, height: int = 48, **changes: object) -> SimpleNamespace:
    values = np.broadcast_to(np.asarray(metres, np.float64), (height, width))
    return image(np.rint(np.nan_to_num(values) * 1000).astype(np.uint16), "16UC1", **changes)


def info(camera: CameraIntrinsics = CAMERA, d: list[float] | None = None, **changes: object) -> SimpleNamespace:
    k = camera.matrix.reshape(-1).tolist()
    values: dict[str, object] = {
        "width": camera.width,
        "height": camera.height,
        "distortion_model": "plumb_bob",
        "d": d or [0.0] * 5,
        "k": k,
        "r": np.eye(3).reshape(-1).tolist(),
        "p": [*k[:3], 0.0, *k[3:6], 0.0, *k[6:], 0.0],
        "binning_x": 0,
        "binning_y": 0,
        "roi": SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0),
    }
    return SimpleNamespace(**(values | changes))


def no_tf(target: str, source: str, stamp_ns: int) -> RigidTransform:
    raise TransformError(f"no way from {source} to {target}")


def tf_to_the_side(target: str, source: str, stamp_ns: int) -> RigidTransform:
    assert (target, source, stamp_ns) == (COLOR_FRAME, DEPTH_FRAME, 5_000_000_007)
    return RigidTransform(rotation=np.eye(3), translation=np.array([0.1, 0.0, 0.0]))


def refusal(call: Callable[[], object]) -> N3dError:
    with pytest.raises(N3dError) as raised:
        call()
    return raised.value


# ----------------------------------------------------------------------------------------------------- the simple case


def test_registered_images_become_a_frame_with_the_colour_stamp() -> None:
    frame = FrameAssembler().assemble(color(), depth(1.234), info(), None, no_tf)
    assert (frame.stamp_ns, frame.frame_id) == (5_000_000_007, COLOR_FRAME)
    assert frame.intrinsics == CAMERA
    assert frame.rgb[3, 5].tolist() == [5, 3, 9]
    assert np.allclose(frame.depth_m, 1.234)


def test_compressed_images_are_told_apart_by_their_fields() -> None:
    pixels = np.full((48, 64, 3), (0, 0, 200), np.uint8)
    millimetres = np.full((48, 64), 1500, np.uint16)
    jpeg = SimpleNamespace(header=header(), format="jpeg", data=cv2.imencode(".jpg", pixels)[1].tobytes())
    png = SimpleNamespace(
        header=header(),
        format="16UC1; compressedDepth png",
        data=b"\0" * 12 + cv2.imencode(".png", millimetres)[1].tobytes(),
    )
    frame = FrameAssembler().assemble(jpeg, png, info(), None, no_tf)
    assert np.abs(frame.rgb[10, 10].astype(int) - [200, 0, 0]).max() <= 3
    assert np.allclose(frame.depth_m, 1.5)


def test_depth_outside_the_range_counts_as_none() -> None:
    metres = np.full((48, 64), 1.0)
    metres[0, :4] = 0.09, 0.11, 4.9, 5.1
    frame = FrameAssembler(FrameConfig(depth_max_m=5.0)).assemble(color(), depth(metres), info(), None, no_tf)
    assert np.isnan(frame.depth_m[0, :5]).tolist() == [True, False, False, True, False]


def test_a_unit_set_by_the_user_is_used() -> None:
    config = FrameConfig(depth_unit_m=0.00025)
    frame = FrameAssembler(config).assemble(color(), depth(4.0), info(), None, no_tf)
    assert np.allclose(frame.depth_m, 1.0)


# ----------------------------------------------------------------------------------------------------------- refusals


def test_a_zero_stamp_is_refused() -> None:
    message = color(header=SimpleNamespace(frame_id="cam", stamp=SimpleNamespace(sec=0, nanosec=0)))
    error = refusal(lambda: FrameAssembler().assemble(message, depth(), info(), None, no_tf))
    assert isinstance(error, InputError) and error.reason == "zero_stamp" and "use_sim_time" in error.message


def test_an_empty_frame_is_refused() -> None:
    error = refusal(lambda: FrameAssembler().assemble(color(header=header("")), depth(), info(), None, no_tf))
    assert error.reason == "empty_frame_id"


def test_a_missing_calibration_is_refused() -> None:
    error = refusal(lambda: FrameAssembler().assemble(color(), depth(), None, None, no_tf))
    assert error.reason == "missing_camera_info" and "rgb/camera_info" in error.message


def test_a_zero_calibration_is_refused() -> None:
    error = refusal(lambda: FrameAssembler().assemble(color(), depth(), info(k=[0.0] * 9), None, no_tf))
    assert error.reason == "bad_calibration"


def test_millimetres_called_metres_are_refused_and_the_parameter_named() -> None:
    message = image(np.full((48, 64), 1500, np.float32), "32FC1")
    error = refusal(lambda: FrameAssembler().assemble(color(), message, info(), None, no_tf))
    assert error.reason == "implausible_depth_unit"
    assert "depth.unit_m to 0.001" in error.message and "1500 m" in error.message
    frame = FrameAssembler(FrameConfig(depth_unit_m=0.001)).assemble(color(), message, info(), None, no_tf)
    assert np.allclose(frame.depth_m, 1.5)


def test_metres_called_millimetres_are_refused() -> None:
    error = refusal(lambda: FrameAssembler().assemble(color(), depth(0.002), info(), None, no_tf))
    assert error.reason == "implausible_depth_unit"


def test_a_few_wild_values_do_not_make_the_unit_implausible() -> None:
    metres = np.full((48, 64), 2.0, np.float32)
    metres[:20] = 5000
    frame = FrameAssembler().assemble(color(), image(metres, "32FC1"), info(), None, no_tf)
    assert np.isnan(frame.depth_m[:20]).all() and np.allclose(frame.depth_m[20:], 2.0)


@pytest.mark.parametrize("pixels", [np.zeros((48, 64), np.uint16), np.full((48, 64), np.nan, np.float32)])
def test_depth_that_holds_nothing_is_a_grounding_error(pixels: np.ndarray) -> None:
    message = image(pixels, "16UC1" if pixels.dtype == np.uint16 else "32FC1")
    error = refusal(lambda: FrameAssembler().assemble(color(), message, info(), None, no_tf))
    assert isinstance(error, GroundingError)
    assert (error.reason, error.code) == ("no_depth", StatusCode.NO_DEPTH)


def test_depth_wholly_out_of_range_names_the_range() -> None:
    error = refusal(lambda: FrameAssembler().assemble(color(), depth(12.0), info(), None, no_tf))
    assert error.reason == "no_depth" and "depth.max_m = 10.0" in error.message


def test_images_above_the_limit_are_refused() -> None:
    config = FrameConfig(max_image_pixels=64 * 48 - 1)
    error = refusal(lambda: FrameAssembler(config).assemble(color(), depth(), info(), None, no_tf))
    assert error.reason == "image_too_large"


def test_a_calibration_of_another_shape_is_refused() -> None:
    error = refusal(lambda: FrameAssembler().assemble(color(), depth(), info(make_intrinsics(64, 36)), None, no_tf))
    assert error.reason == "calibration_size_mismatch"
    assert "64x36" in error.message and "64x48" in error.message


def test_an_evenly_resized_image_keeps_its_calibration() -> None:
    frame = FrameAssembler().assemble(color(), depth(), info(CAMERA.resized(128, 96)), None, no_tf)
    assert frame.intrinsics.fx == pytest.approx(CAMERA.fx) and frame.intrinsics.cx == pytest.approx(CAMERA.cx)


# -------------------------------------------------------------------------------------------------------- registration


def test_depth_of_another_size_without_calibration_says_what_was_seen_and_what_to_change() -> None:
    error = refusal(lambda: FrameAssembler().assemble(color(), depth(width=32, height=24), info(), None, no_tf))
    assert error.reason == "unregistered_depth" and error.code == StatusCode.BAD_INPUT
    for word in ("32x24", "64x48", COLOR_FRAME, "align_depth", "depth/camera_info", "tf"):
        assert word in error.message


def test_depth_of_another_frame_without_calibration_is_refused() -> None:
    message = depth(header=header(DEPTH_FRAME))
    error = refusal(lambda: FrameAssembler().assemble(color(), message, info(), None, tf_to_the_side))
    assert error.reason == "unregistered_depth" and DEPTH_FRAME in error.message


def test_depth_of_another_frame_without_tf_is_refused_for_want_of_tf() -> None:
    message = depth(header=header(DEPTH_FRAME))
    other = make_intrinsics(focal_px=50)
    error = refusal(lambda: FrameAssembler().assemble(color(), message, info(), info(other), no_tf))
    assert (error.reason, error.code) == ("unregistered_depth", StatusCode.NO_TRANSFORM)
    assert "no way from" in error.message


def test_depth_of_another_frame_is_moved_by_tf_at_the_image_stamp() -> None:
    metres = np.full((48, 64), 2.0)
    metres[20, 30] = 1.0
    message = depth(metres, header=header(DEPTH_FRAME))
    frame = FrameAssembler().assemble(color(), message, info(), info(), tf_to_the_side)
    assert frame.depth_m[20, 36] == pytest.approx(1.0)  # 0.1 m at f = 60 px and 1 m: 6 px
    assert np.isnan(frame.depth_m[:, :3]).all()


def test_smaller_depth_of_the_same_frame_needs_no_tf() -> None:
    small = CAMERA.resized(32, 24)
    frame = FrameAssembler().assemble(color(), depth(1.5, 32, 24), info(), info(small), no_tf)
    assert frame.depth_m.shape == (48, 64) and np.allclose(frame.depth_m, 1.5)


def test_equal_calibrations_in_unconnected_frames_count_as_registered(caplog: pytest.LogCaptureFixture) -> None:
    assembler = FrameAssembler()
    message = depth(1.5, header=header(DEPTH_FRAME))
    for _ in range(3):
        frame = assembler.assemble(color(), message, info(), info(), no_tf)
    assert np.allclose(frame.depth_m, 1.5)
    assert sum("taken as registered" in record.message for record in caplog.records) == 1


def test_depth_that_tf_moves_out_of_the_picture_is_no_depth() -> None:
    def far_away(target: str, source: str, stamp_ns: int) -> RigidTransform:
        return RigidTransform(rotation=np.eye(3), translation=np.array([100.0, 0.0, 0.0]))

    message = depth(1.5, header=header(DEPTH_FRAME))
    error = refusal(lambda: FrameAssembler().assemble(color(), message, info(), info(), far_away))
    assert error.reason == "no_depth" and "tf" in error.message


# ------------------------------------------------------------------------------------------------------- rectification


def step_depth() -> np.ndarray:
    return np.where(np.arange(64)[None, :] < 52, 1.0, 3.0) * np.ones((48, 1))


def test_raw_images_are_straightened_together() -> None:
    frame = FrameAssembler().assemble(color(), depth(step_depth()), info(d=LENS), None, no_tf)
    edge = int(np.flatnonzero(frame.depth_m[24] > 2)[0])
    # Barrel distortion pulls points inwards, so the straight image shows the edge further out.
    assert edge > 52
    assert abs(int(frame.rgb[24, edge, 0]) - 52) <= 1
    assert frame.intrinsics == CAMERA


@pytest.mark.parametrize(
    ("choice", "topic", "straightened"),
    [
        ("auto", "/camera/color/image_raw", True),
        ("auto", "/camera/color/image_rect", False),
        ("auto", "/zed/rgb/color/rect/image", False),
        ("auto", "/camera/rgb/image_rect_color", False),
        ("auto", "/camera/direct/rectangle/image", True),
        ("auto", "", True),
        ("true", "/camera/color/image_raw", False),
        ("false", "/camera/color/image_rect", True),
    ],
)
def test_the_topic_or_the_parameter_says_what_is_rectified(choice: str, topic: str, straightened: bool) -> None:
    assembler = FrameAssembler(FrameConfig(color_rectified=choice), color_topic=topic)
    frame = assembler.assemble(color(), depth(step_depth()), info(d=LENS), None, no_tf)
    raw = np.frombuffer(color().data, np.uint8).reshape(48, 64, 3)
    assert np.array_equal(frame.rgb, raw) is not straightened
    # Depth on the colour camera's pixels shares its state.
    assert (int(np.flatnonzero(frame.depth_m[24] > 2)[0]) == 52) is not straightened


def test_rectified_images_use_the_rectified_matrix() -> None:
    p = [50.0, 0, 30.0, 0, 0, 51.0, 20.0, 0, 0, 0, 1, 0]
    assembler = FrameAssembler(FrameConfig(color_rectified="true"))
    frame = assembler.assemble(color(), depth(), info(d=LENS, p=p), None, no_tf)
    assert (frame.intrinsics.fx, frame.intrinsics.fy, frame.intrinsics.cx, frame.intrinsics.cy) == (50, 51, 30, 20)


def test_rectified_depth_beside_raw_colour_is_left_alone() -> None:
    assembler = FrameAssembler(color_topic="/color/image_raw", depth_topic="/depth_registered/image_rect")
    frame = assembler.assemble(color(), depth(step_depth()), info(d=LENS), info(d=LENS), no_tf)
    assert int(np.flatnonzero(frame.depth_m[24] > 2)[0]) == 52


def test_a_depth_camera_with_a_lens_of_its_own_is_straightened_by_that() -> None:
    message = depth(step_depth(), header=header())
    other = make_intrinsics(focal_px=60.2)
    frame = FrameAssembler().assemble(color(), message, info(), info(other, d=LENS), no_tf)
    assert int(np.flatnonzero(frame.depth_m[24] > 2)[0]) > 52


# -------------------------------------------------------------------------------------------------------- large images


def test_large_images_are_subsampled_with_their_calibration() -> None:
    big = make_intrinsics(192, 144, 180.0)
    metres = np.full((144, 192), 1.0)
    metres[60:, 90:] = 2.0
    config = FrameConfig(max_processing_pixels=4096)
    frame = FrameAssembler(config).assemble(color(192, 144), depth(metres, 192, 144), info(big), None, no_tf)
    assert frame.depth_m.shape == (48, 64)
    assert frame.depth_m[20, 30] == 2.0 and frame.depth_m[19, 30] == 1.0  # every third row and column
    assert frame.intrinsics == big.subsampled(3)
    assert frame.rgb[10, 20].tolist() == [60, 30, 9]  # the average around (60, 30) of a linear ramp is its centre


def test_colour_and_depth_of_different_sizes_are_subsampled_each() -> None:
    big = make_intrinsics(192, 144, 180.0)
    config = FrameConfig(max_processing_pixels=4096)
    frame = FrameAssembler(config).assemble(color(192, 144), depth(1.5), info(big), info(), no_tf)
    assert frame.rgb.shape == (48, 64, 3)
    assert np.nanmin(frame.depth_m) == np.nanmax(frame.depth_m) == pytest.approx(1.5)
    assert np.isfinite(frame.depth_m[1:, 1:]).all()


def test_a_4k_pair_fits_the_default_limits() -> None:
    big = make_intrinsics(3840, 2160, 3000.0)
    frame = FrameAssembler().assemble(color(3840, 2160), depth(1.5, 3840, 2160), info(big), None, no_tf)
    assert frame.rgb.shape == (720, 1280, 3)


# ---------------------------------------------------------------------------------------------------------- everything


def test_random_changes_of_the_messages_raise_nothing_but_our_own_errors() -> None:
    rng = np.random.default_rng(5)
    assembler = FrameAssembler()
    wrong: dict[str, list[object]] = {
        "width": [0, 1, 63, 65, 10**6],
        "height": [0, 1, 47, 49, 10**6],
        "step": [0, 1, 10**6],
        "encoding": ["", "rgb8", "16UC1", "32FC1", "mono8", "bayer_rggb8", "yuyv"],
        "data": [b"", b"\0", b"\xff" * 6144, b"\xff" * 9216],
        "is_bigendian": [0, 1],
        "header": [header(""), header("x"), header(sec=0)],
        "d": [[], [np.nan] * 5, [1e9] * 5, [1e300] * 8],
        "k": [[0.0] * 9, [np.inf] * 9, [1e-300] * 9, [1e300] * 9],
        "p": [[np.nan] * 12, [1e300] * 12],
        "binning_x": [2, 7, 10**9],
    }
    reasons: set[str] = set()
    for _ in range(400):
        messages = [color(), depth(), info(), info() if rng.random() < 0.5 else None]
        for _ in range(rng.integers(1, 4)):
            target = messages[rng.integers(0, 4)]
            names = [name for name in wrong if target is not None and hasattr(target, name)]
            if names:
                name = names[rng.integers(0, len(names))]
                setattr(target, name, wrong[name][rng.integers(0, len(wrong[name]))])
        try:
            frame = assembler.assemble(*messages, no_tf)
            assert frame.rgb.shape[:2] == frame.depth_m.shape
        except N3dError as error:
            reasons.add(error.reason)
    assert "internal_error" not in reasons
    assert len(reasons) >= 8


@pytest.mark.parametrize(
    "wrong",
    [
        {"color_rectified": "yes"},
        {"depth_rectified": ""},
        {"depth_unit_m": -1.0},
        {"depth_unit_m": float("nan")},
        {"depth_min_m": 5.0, "depth_max_m": 5.0},
        {"depth_max_m": float("inf")},
        {"max_image_pixels": 0},
        {"max_processing_pixels": 5},
    ],
)
def test_settings_out_of_range_are_refused_by_their_parameter_name(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError) as raised:
        replace(FrameConfig(), **wrong)  # type: ignore[arg-type]
    names = {field.name: field.metadata["name"] for field in fields(FrameConfig)}
    assert any(names[name] in raised.value.message for name in wrong)


def test_a_colour_image_alone_becomes_a_view_with_its_rectified_calibration() -> None:
    view = FrameAssembler().color_view(color(), info())
    assert (view.rgb.shape[:2], view.sensor_depth_m, view.valid) == ((48, 64), None, None)
    assert view.intrinsics == CAMERA
    bent = FrameAssembler().color_view(color(), info(d=[0.5, 0.2, 0.0, 0.0, 0.0]))
    assert bent.valid is not None and 0.5 < bent.valid.mean() < 1.0


def test_a_view_beside_a_depth_camera_has_what_it_measured_or_nothing() -> None:
    frames = FrameAssembler()
    seen = frames.color_view(color(), info(), depth_msg=depth(1.5), depth_info=None, lookup=no_tf)
    assert seen.sensor_depth_m is not None and seen.sensor_depth_m[5, 5] == pytest.approx(1.5)
    blind = frames.color_view(color(), info(), depth_msg=depth(99.0), depth_info=None, lookup=no_tf)
    assert blind.sensor_depth_m is None, "99 m is beyond depth.max_m"
    unregistered = depth(width=32, height=24)
    assert (
        refusal(
            lambda: frames.color_view(color(), info(), depth_msg=unregistered, depth_info=None, lookup=no_tf)
        ).reason
        == "unregistered_depth"
    )
