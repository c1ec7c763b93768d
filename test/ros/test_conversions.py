"""Messages to types and back: hand-computed values first, since a round trip shares its own mistakes."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from builders import make_box, make_detection
from n3d_ros.detection import BoxUncertainty
from n3d_ros.errors import CalibrationError, InputError, StatusCode, TransformError
from n3d_ros.geometry import CameraIntrinsics, CameraModel, Distortion, RigidTransform, TransformBuffer
from n3d_ros.geometry.transforms import rotation_about_axis
from n3d_ros.ros import conversions
from n3d_ros.ros.conversions import camera_info_to_model, lens_to_distortion, pose_covariance, stamp_to_ns

K = [600.0, 0.0, 319.5, 0.0, 610.0, 239.5, 0.0, 0.0, 1.0]
IDENTITY = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]


def camera_info(**changes: object) -> SimpleNamespace:
    fields: dict[str, object] = {
        "width": 640,
        "height": 480,
        "distortion_model": "plumb_bob",
        "d": [0.0] * 5,
        "k": K,
        "r": IDENTITY,
        "p": [*K[:3], 0.0, *K[3:6], 0.0, *K[6:], 0.0],
        "binning_x": 0,
        "binning_y": 0,
        "roi": SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0, do_rectify=False),
    }
    return SimpleNamespace(**(fields | changes))


def roi(x: int, y: int, width: int, height: int) -> SimpleNamespace:
    return SimpleNamespace(x_offset=x, y_offset=y, width=width, height=height, do_rectify=False)


def transform_message(parent: str, child: str, xyz: tuple[float, float, float], w: float = 1.0) -> SimpleNamespace:
    return SimpleNamespace(
        header=SimpleNamespace(frame_id=parent, stamp=SimpleNamespace(sec=5, nanosec=0)),
        child_frame_id=child,
        transform=SimpleNamespace(
            translation=SimpleNamespace(x=xyz[0], y=xyz[1], z=xyz[2]),
            rotation=SimpleNamespace(x=0.0, y=0.0, z=0.0, w=w),
        ),
    )


# --------------------------------------------------------------------------------------------------------------- stamps


def test_a_stamp_is_seconds_times_a_billion_plus_nanoseconds() -> None:
    assert stamp_to_ns(SimpleNamespace(sec=1_700_000_000, nanosec=123_456_789)) == 1_700_000_000_123_456_789


@pytest.mark.ros
@given(st.integers(0, conversions.MAX_STAMP_NS))
def test_stamps_survive_the_message(stamp_ns: int) -> None:
    assert stamp_to_ns(conversions.ns_to_stamp(stamp_ns)) == stamp_ns


@pytest.mark.ros
@pytest.mark.parametrize("stamp_ns", [-1, conversions.MAX_STAMP_NS + 1])
def test_stamps_that_no_message_can_hold_are_refused(stamp_ns: int) -> None:
    with pytest.raises(InputError, match="Stamp"):
        conversions.ns_to_stamp(stamp_ns)


def test_leading_slashes_of_old_frame_names_are_dropped() -> None:
    assert conversions.clean_frame_id("/camera_link") == "camera_link"


# -------------------------------------------------------------------------------------------------------------- cameras


def test_a_plain_camera_has_k_as_both_matrices() -> None:
    model = camera_info_to_model(camera_info())
    assert model.intrinsics == CameraIntrinsics(fx=600, fy=610, cx=319.5, cy=239.5, width=640, height=480)
    assert model.rectified_intrinsics == model.intrinsics
    assert not model.needs_rectification


def test_p_is_the_rectified_camera_and_its_baseline_is_ignored() -> None:
    p = [500.0, 0, 300.0, -60.0, 0, 505.0, 200.0, 0, 0, 0, 1, 0]
    model = camera_info_to_model(camera_info(p=p, d=[0.1, 0, 0, 0, 0]))
    assert model.rectified_intrinsics == CameraIntrinsics(fx=500, fy=505, cx=300, cy=200, width=640, height=480)
    assert model.intrinsics.fx == 600
    assert model.needs_rectification


def test_missing_r_and_p_default_to_identity_and_k() -> None:
    model = camera_info_to_model(camera_info(r=[0.0] * 9, p=[0.0] * 12))
    assert np.array_equal(model.rectification, np.eye(3))
    assert model.rectified_intrinsics == model.intrinsics


@pytest.mark.parametrize(
    "changes",
    [
        {"k": [0.0] * 9},
        {"k": [np.nan, *K[1:]]},
        {"k": [np.inf, *K[1:]]},
        {"k": [-600.0, *K[1:]]},
        {"k": K[:6]},
        {"width": 0},
        {"height": 2**31},
        {"d": [np.nan] * 5},
        {"r": [2.0] * 9},
        {"p": [np.nan] * 12},
        {"binning_x": 5000},
        {"roi": roi(600, 0, 100, 480)},
    ],
)
def test_calibrations_no_camera_can_have_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(CalibrationError) as raised:
        camera_info_to_model(camera_info(**changes))
    assert raised.value.code == StatusCode.BAD_INPUT


def test_an_uncalibrated_camera_is_told_to_calibrate() -> None:
    with pytest.raises(CalibrationError, match="calibrate it or fill CameraInfo.k"):
        camera_info_to_model(camera_info(k=[0.0] * 9))


def test_binning_keeps_the_borders_of_the_image_in_place() -> None:
    model = camera_info_to_model(camera_info(binning_x=2, binning_y=2))
    # The centre of the view stays the centre: (319.5 + 0.5) / 2 - 0.5.
    assert model.intrinsics == CameraIntrinsics(fx=300, fy=305, cx=159.5, cy=119.5, width=320, height=240)
    assert model.rectified_intrinsics == model.intrinsics


def test_a_region_of_interest_moves_the_principal_point() -> None:
    model = camera_info_to_model(camera_info(roi=roi(100, 50, 320, 240)))
    assert model.intrinsics == CameraIntrinsics(fx=600, fy=610, cx=219.5, cy=189.5, width=320, height=240)


def test_a_region_is_cut_out_before_binning() -> None:
    model = camera_info_to_model(camera_info(roi=roi(100, 50, 320, 241), binning_x=2, binning_y=2))
    assert model.intrinsics == CameraIntrinsics(fx=300, fy=305, cx=109.5, cy=94.5, width=160, height=120)


@pytest.mark.parametrize(
    ("name", "d", "model", "coefficients"),
    [
        ("plumb_bob", [0.0] * 5, "none", ()),
        ("plumb_bob", [], "none", ()),
        ("", [], "none", ()),
        ("none", [], "none", ()),
        ("", [0.1, 0.2], "plumb_bob", (0.1, 0.2, 0, 0, 0)),
        ("plumb_bob", [0.1, 0.2, 0.3, 0.4, 0.5], "plumb_bob", (0.1, 0.2, 0.3, 0.4, 0.5)),
        ("plumb_bob", [0.1, 0.2, 0.3, 0.4], "plumb_bob", (0.1, 0.2, 0.3, 0.4, 0)),
        ("Brown Conrady", [0.1, 0, 0, 0, 0], "plumb_bob", (0.1, 0, 0, 0, 0)),
        ("plumb_bob", [0.1, 0, 0, 0, 0, 0, 0, 0], "plumb_bob", (0.1, 0, 0, 0, 0)),
        ("rational_polynomial", [1, 2, 3, 4, 5, 6, 7, 8], "rational_polynomial", (1, 2, 3, 4, 5, 6, 7, 8)),
        ("rational_polynomial", [1, 2, 3, 4, 5, 6, 7, 8] + [0] * 6, "rational_polynomial", (1, 2, 3, 4, 5, 6, 7, 8)),
        ("rational_polynomial", [0.0] * 14, "none", ()),
        ("equidistant", [0.0] * 4, "equidistant", (0, 0, 0, 0)),
        ("fisheye", [0.1, 0.2, 0.3, 0.4], "equidistant", (0.1, 0.2, 0.3, 0.4)),
        ("kannala_brandt4", [0.1, 0.2, 0.3, 0.4], "equidistant", (0.1, 0.2, 0.3, 0.4)),
        ("equidistant", [0.1, 0.2, 0.3, 0.4, 0, 0, 0, 0], "equidistant", (0.1, 0.2, 0.3, 0.4)),
    ],
)
def test_every_lens_name_means_its_model(
    name: str, d: list[float], model: str, coefficients: tuple[float, ...]
) -> None:
    lens = lens_to_distortion(name, d)
    assert lens.model == model
    assert lens.coefficients == coefficients


@pytest.mark.parametrize(
    ("name", "d", "reason"),
    [
        ("rational_polynomial", [1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 0, 0], "unknown_distortion"),
        ("equidistant", [1, 2, 3, 4, 5], "unknown_distortion"),
        ("equidistant", [], "bad_distortion"),
        ("double_sphere", [1, 2], "unknown_distortion"),
        ("plumb_bob", [np.inf], "bad_distortion"),
    ],
)
def test_lenses_that_are_not_known_are_refused_not_ignored(name: str, d: list[float], reason: str) -> None:
    with pytest.raises(CalibrationError) as raised:
        lens_to_distortion(name, d)
    assert raised.value.reason == reason


@pytest.mark.ros
@pytest.mark.parametrize(
    "lens",
    [
        Distortion(),
        Distortion(model="plumb_bob", coefficients=(0.1, -0.2, 0.001, 0.002, 0.03)),
        Distortion(model="rational_polynomial", coefficients=(0.1, -0.2, 0.001, 0.002, 0.03, 0.1, 0.2, 0.3)),
        Distortion(model="equidistant", coefficients=(0.1, 0.2, 0.3, 0.4)),
    ],
)
def test_a_camera_survives_its_message(lens: Distortion) -> None:
    k = CameraIntrinsics(fx=600, fy=610, cx=319.5, cy=239.5, width=640, height=480)
    p = CameraIntrinsics(fx=500, fy=500, cx=310, cy=230, width=640, height=480)
    model = CameraModel(intrinsics=k, distortion=lens, rectification=rotation_about_axis([0, 1, 0], 0.01), rectified=p)
    back = camera_info_to_model(conversions.model_to_camera_info(model, stamp_ns=7, frame_id="cam"))
    assert (back.intrinsics, back.distortion, back.rectified_intrinsics) == (k, lens, p)
    assert np.allclose(back.rectification, model.rectification, atol=1e-15)


# ------------------------------------------------------------------------------------------------------------------- tf


def test_a_transform_message_takes_the_child_to_its_parent() -> None:
    message = transform_message("map", "camera", (1.0, 2.0, 3.0))
    message.transform.rotation = SimpleNamespace(x=0.0, y=0.0, z=np.sqrt(0.5), w=np.sqrt(0.5))  # 90 degrees about z
    map_T_camera = conversions.msg_to_transform(message)
    assert np.allclose(map_T_camera.apply([1.0, 0.0, 0.0]), [1.0, 3.0, 3.0])


def test_a_broken_transform_does_not_keep_the_others_out() -> None:
    buffer = TransformBuffer()
    message = SimpleNamespace(
        transforms=[
            transform_message("map", "broken", (0, 0, 0), w=0.0),
            transform_message("map", "map", (0, 0, 0)),
            transform_message("map", "nan", (np.nan, 0, 0)),
            transform_message("/map", "/camera", (1.0, 0, 0)),
        ]
    )
    refused = conversions.store_tf_message(message, buffer)
    assert len(refused) == 3
    assert "'broken'" in refused[0] and "quaternion" in refused[0].lower()
    assert buffer.lookup("map", "camera", 5_000_000_000).translation.tolist() == [1.0, 0.0, 0.0]
    with pytest.raises(TransformError):
        buffer.lookup("map", "camera", 6_000_000_000)


def test_static_transforms_hold_at_all_times() -> None:
    buffer = TransformBuffer()
    conversions.store_tf_message(
        SimpleNamespace(transforms=[transform_message("a", "b", (1, 0, 0))]), buffer, static=True
    )
    assert buffer.lookup("a", "b", 99).translation[0] == 1


@pytest.mark.ros
def test_transforms_and_poses_survive_their_messages() -> None:
    transform = RigidTransform(rotation=rotation_about_axis([1, 2, 3], 0.7), translation=np.array([1.0, -2.0, 0.5]))
    message = conversions.transform_to_msg(transform, parent="a", child="b", stamp_ns=1_000_000_001)
    assert (message.header.frame_id, message.child_frame_id, message.header.stamp.nanosec) == ("a", "b", 1)
    assert conversions.msg_to_transform(message).is_close(transform)
    assert conversions.pose_to_transform(conversions.transform_to_pose(transform)).is_close(transform)


# -------------------------------------------------------------------------------------------------------------- objects


def uncertainty(**changes: object) -> BoxUncertainty:
    fields: dict[str, object] = {
        "center_covariance_m2": np.diag([1e-4, 4e-4, 9e-4]),
        "size_stddev_m": np.array([0.01, 0.02, 0.03]),
        "yaw_stddev_rad": 0.1,
    }
    return BoxUncertainty(**(fields | changes))  # type: ignore[arg-type]


def test_yaw_is_uncertain_about_the_vertical_and_tilt_hardly() -> None:
    covariance = pose_covariance(uncertainty(), up=[0.0, 0.0, 2.0])
    assert np.allclose(np.diag(covariance), [1e-4, 4e-4, 9e-4, 4e-4, 4e-4, 0.01])
    assert np.allclose(covariance, np.diag(np.diag(covariance)))


def test_the_vertical_may_point_anywhere() -> None:
    up = np.array([0.0, -np.sqrt(0.5), -np.sqrt(0.5)])  # a camera that looks down by 45 degrees
    rotation = pose_covariance(uncertainty(), up=up)[3:, 3:]
    assert up @ rotation @ up == pytest.approx(0.01)
    assert rotation[0, 0] == pytest.approx(conversions.TILT_STDDEV_RAD**2)
    assert np.linalg.eigvalsh(pose_covariance(uncertainty(), up=up)).min() > 0


def test_without_a_vertical_every_axis_gets_the_yaw() -> None:
    assert np.allclose(pose_covariance(uncertainty())[3:, 3:], 0.01 * np.eye(3))


@pytest.mark.ros
def test_a_detection_fills_its_message() -> None:
    found = make_detection(
        "red box", score=0.75, support_ratio=0.5, color="red", shape="box", uncertainty=uncertainty()
    )
    message = conversions.object_to_msg(found, up=[0, 0, 1])
    assert (message.id, message.label, message.score, message.support_ratio) == (0, "red box", 0.75, 0.5)
    assert {(a.key, a.value) for a in message.attributes} == {("color", "red"), ("shape", "box")}
    assert (message.pose.pose.position.z, message.size.x, message.size_stddev.y) == (1.0, 0.1, 0.02)
    assert message.pose.covariance[35] == pytest.approx(0.01)
    assert (message.observations, message.first_seen.sec, message.last_seen.nanosec) == (0, 0, 0)


@pytest.mark.ros
def test_what_is_unknown_looks_unknown() -> None:
    message = conversions.object_to_msg(make_detection())
    assert np.isnan([message.score, message.support_ratio, message.size_stddev.x]).all()
    assert not np.any(message.pose.covariance)
    assert len(message.attributes) == 0
    back = conversions.msg_to_detection(message)
    assert (back.score, back.support_ratio, back.color, back.uncertainty) == (None, None, None, None)


@pytest.mark.ros
def test_a_tracked_object_brings_id_and_history() -> None:
    found = make_detection(uncertainty=uncertainty())
    tracked = SimpleNamespace(
        id=7,
        observations=3,
        first_seen_ns=1_000_000_001,
        last_seen_ns=2_000_000_002,
        **{
            name: getattr(found, name)
            for name in ("label", "box", "score", "support_ratio", "color", "shape", "uncertainty")
        },
    )
    message = conversions.object_to_msg(tracked)
    assert (message.id, message.observations) == (7, 3)
    assert (stamp_to_ns(message.first_seen), stamp_to_ns(message.last_seen)) == (1_000_000_001, 2_000_000_002)


@pytest.mark.ros
@given(
    center=arrays(np.float64, 3, elements=st.floats(-50, 50)),
    size=arrays(np.float64, 3, elements=st.floats(0.001, 20)),
    axis=arrays(np.float64, 3, elements=st.floats(-1, 1)).filter(lambda a: np.linalg.norm(a) > 0.1),
    angle=st.floats(-3, 3),
    score=st.none() | st.floats(0, 1),
    yaw=st.floats(conversions.TILT_STDDEV_RAD, 1.8),
)
def test_detections_survive_their_message(
    center: np.ndarray, size: np.ndarray, axis: np.ndarray, angle: float, score: float | None, yaw: float
) -> None:
    box = make_box(center, size, axis=axis, angle_rad=angle)
    found = make_detection("cup", score=score, color="blue", uncertainty=uncertainty(yaw_stddev_rad=yaw))
    found = type(found)(label=found.label, box=box, score=score, color=found.color, uncertainty=found.uncertainty)
    back = conversions.msg_to_detection(conversions.object_to_msg(found, up=axis))
    assert np.array_equal(back.box.center, box.center) and np.array_equal(back.box.size, box.size)
    assert np.allclose(back.box.rotation, box.rotation, atol=1e-12)
    assert back.label == "cup" and back.color == "blue"
    assert back.score is None if score is None else back.score == pytest.approx(score, abs=1e-6)
    assert back.uncertainty is not None
    assert back.uncertainty.yaw_stddev_rad == pytest.approx(yaw, rel=1e-6)
    assert np.allclose(back.uncertainty.center_covariance_m2, uncertainty().center_covariance_m2)


@pytest.mark.ros
def test_an_array_carries_stamp_and_frame_of_the_image() -> None:
    message = conversions.objects_to_msg(
        [make_detection(), make_detection("cup")], stamp_ns=5_000_000_006, frame_id="map"
    )
    assert (message.header.stamp.sec, message.header.stamp.nanosec, message.header.frame_id) == (5, 6, "map")
    assert [item.label for item in message.objects] == ["red box", "cup"]


@pytest.mark.ros
def test_status_codes_are_those_of_the_interface() -> None:
    from n3d_msgs.msg import Status

    for code in StatusCode:
        assert getattr(Status, code.name) == code
        assert conversions.status_to_msg(code, "why").code == code


@pytest.mark.ros
def test_a_frame_report_tells_stages_drops_and_ages() -> None:
    message = conversions.frame_report_to_msg(
        stamp_ns=3_000_000_000,
        frame_id="cam",
        code=StatusCode.NO_DEPTH,
        message="nothing",
        stage_ms={"convert": 1.5, "ground": 20.0},
        age_at_start_ms=12.0,
        frames_received=9,
        frames_used=4,
        frames_dropped={"no_depth": 5, "never": 0},
        backend="geometric",
        device="cpu",
    )
    assert [(stage.name, stage.duration_ms) for stage in message.stages] == [("convert", 1.5), ("ground", 20.0)]
    assert [(count.name, count.count) for count in message.frames_dropped] == [("no_depth", 5)]
    assert (message.status.code, message.status.message) == (StatusCode.NO_DEPTH, "nothing")
    assert message.age_at_start_ms == 12.0 and np.isnan(message.total_ms) and np.isnan(message.age_at_publish_ms)
    assert (message.frames_received, message.frames_used, message.backend, message.device) == (9, 4, "geometric", "cpu")


@pytest.mark.ros
@pytest.mark.filterwarnings("ignore:module 'sre_:DeprecationWarning")  # lark, which rosidl loads
def test_messages_made_here_can_be_serialised() -> None:
    from rclpy.serialization import deserialize_message, serialize_message

    found = make_detection(score=0.5, support_ratio=0.25, color="red", uncertainty=uncertainty())
    message = conversions.objects_to_msg([found], stamp_ns=1, frame_id="map", up=[0, 0, 1])
    back = deserialize_message(serialize_message(message), type(message))
    assert (back.header, back.objects[0].attributes) == (message.header, message.objects[0].attributes)
    assert (back.objects[0].score, back.objects[0].support_ratio, back.objects[0].pose.covariance[35]) == (
        0.5,
        0.25,
        pytest.approx(0.01),
    )
    report = conversions.frame_report_to_msg(stamp_ns=1, frame_id="c", stage_ms={"a": 1}, frames_dropped={"b": 1})
    assert deserialize_message(serialize_message(report), type(report)).stages[0].name == "a"
