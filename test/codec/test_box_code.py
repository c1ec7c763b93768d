"""Bins, metres and axes, against numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import make_box
from n3d_ros.codec.box_code import (
    BOX_SYMMETRIES,
    CODE_FIELDS,
    BoxCode,
    MetricBox,
    code_to_metric,
    decode_box,
    encode_box,
    metric_to_code,
    nearest_upright,
)
from n3d_ros.codec.model_input import DecodeContext
from n3d_ros.errors import InputError
from n3d_ros.geometry import Box3D, CameraIntrinsics, PointNormalization, iou_3d

BINS = st.integers(0, 999)
CODES = st.builds(
    BoxCode,
    label=st.text(min_size=1, max_size=20).filter(lambda text: bool(text.strip())),
    **dict.fromkeys(CODE_FIELDS, BINS),
)


def make_context(
    *, mean_distance_m: float = 2.0, nearest_m: float = 1.0, cx: float = 49.5, cy: float = 39.5
) -> DecodeContext:
    camera = CameraIntrinsics(fx=100.0, fy=50.0, cx=cx, cy=cy, width=100, height=80)
    offset = np.array([-1.0, -0.5, nearest_m])
    return DecodeContext(
        intrinsics=camera, normalization=PointNormalization(offset_m=offset, scale_per_m=1 / mean_distance_m)
    )


def make_code(**changes: int) -> BoxCode:
    values = {"u": 500, "v": 500, "depth": 250, "angle": 500, "size_x": 160, "size_y": 320, "size_z": 80, **changes}
    return BoxCode(label="cup", **values)


def test_a_decoded_box_has_the_numbers_worked_out_by_hand() -> None:
    # depth 250 -> 250 * 2/1000 * 2 m + 1 m = 2 m. u 750 -> 75 px from the border = 74.5 px from the first centre, which
    # is 25 px right of cx: x = 25 / 100 * 2 m. v 250 -> 20 - 0.5 = 19.5, 20 px above cy: y = -20 / 50 * 2 m.
    # Sizes: 160 * 0.625/1000 * 2 m = 0.2 m, and so on.
    box = decode_box(make_code(u=750, v=250), make_context())
    np.testing.assert_allclose(box.center, [0.5, -0.8, 2.0], atol=1e-12)
    np.testing.assert_allclose(box.size, [0.2, 0.4, 0.1], atol=1e-12)
    np.testing.assert_allclose(box.rotation, np.eye(3), atol=1e-12)


def test_the_middle_of_the_image_is_between_the_middle_pixels() -> None:
    # 100 px wide: half of it is the border between pixels 49 and 50, at 49.5 from the first centre: the centred cx.
    assert decode_box(make_code(), make_context()).center[:2].tolist() == [0, 0]


def test_the_first_pixels_centre_is_half_a_pixel_from_the_border() -> None:
    box = decode_box(make_code(u=5), make_context(cx=0.0))  # 0.005 * 100 px = 0.5 px from the border
    assert box.center[0] == pytest.approx(0.0, abs=1e-12)


def test_an_off_centre_principal_point_shifts_the_ray() -> None:
    # cx 29.5: the middle of the image is 20 px right of it. x = 20 / 100 * 2 m; y likewise 10 / 50 * 2 m.
    box = decode_box(make_code(), make_context(cx=29.5, cy=29.5))
    np.testing.assert_allclose(box.center, [0.4, 0.4, 2.0], atol=1e-12)


def test_the_reference_formula_gives_the_same_centre() -> None:
    # xyz = z K^-1 [u, v, 1] with K in fractions of the image, counted from its corner; x and y of the model negated.
    context = make_context(cx=20.0, cy=33.0)
    camera = context.intrinsics
    fractions = np.array(
        [[camera.fx / 100, 0, (camera.cx + 0.5) / 100], [0, camera.fy / 80, (camera.cy + 0.5) / 80], [0, 0, 1]]
    )
    code = make_code(u=123, v=877)
    center = 2.0 * np.linalg.inv(fractions) @ [0.123, 0.877, 1]
    np.testing.assert_allclose(decode_box(code, context).center, center, atol=1e-12)


def test_a_model_angle_is_the_opposite_turn_about_optical_y() -> None:
    # 125 bins are pi/2 about up (model y). Up is -y in the optical frame, so x goes to where? In the model's axes x is
    # left, z forward; a right-handed quarter turn about up takes z (forward) to x (left), x (left) to -z (back).
    box = decode_box(make_code(angle=625), make_context())
    np.testing.assert_allclose(box.rotation @ [0, 0, 1], [-1, 0, 0], atol=1e-9)  # forward -> left
    np.testing.assert_allclose(box.rotation @ [1, 0, 0], [0, 0, 1], atol=1e-9)  # right -> forward
    np.testing.assert_allclose(box.rotation @ [0, 1, 0], [0, 1, 0], atol=1e-9)


@pytest.mark.parametrize(("code", "turn"), [(0, -2 * math.pi), (500, 0.0), (999, 2 * math.pi - 4 * math.pi / 1000)])
def test_angles_span_two_turns_either_way(code: int, turn: float) -> None:
    assert code_to_metric(make_code(angle=code), make_context().normalization).angle_rad == pytest.approx(turn)


@given(code=CODES)
def test_any_code_comes_back_from_metres(code: BoxCode) -> None:
    normalization = make_context(mean_distance_m=3.1137767567551538, nearest_m=2.59179688).normalization
    assert metric_to_code(code_to_metric(code, normalization), normalization) == code


@given(code=CODES.filter(lambda code: min(code.size_x, code.size_y, code.size_z) > 0))
def test_any_box_with_a_size_comes_back_through_the_optical_frame(code: BoxCode) -> None:
    # Angle 0 alone: others may be named by another of a box's equivalent turns.
    straight = BoxCode(label="man, in red", **{**dict(zip(CODE_FIELDS, code.bins, strict=True)), "angle": 500})
    context = make_context()
    assert encode_box(straight.label, decode_box(straight, context), context) == straight


@given(angle=st.integers(0, 999), sizes=st.tuples(*[st.integers(1, 999)] * 3))
def test_a_turned_box_is_encoded_as_the_same_solid(angle: int, sizes: tuple[int, int, int]) -> None:
    context = make_context()
    code = make_code(angle=angle, size_x=sizes[0], size_y=sizes[1], size_z=sizes[2])
    box = decode_box(code, context)
    again = encode_box("cup", box, context)
    assert abs(code_to_metric(again, context.normalization).angle_rad) <= math.pi / 4 + 0.02
    decoded = decode_box(again, context)
    assert sorted(decoded.size) == pytest.approx(sorted(box.size), rel=1e-9)
    # The angle loses less than a bin (0.72 degrees), which moves a corner by less than 1.3 % of the diagonal.
    distance = np.linalg.norm(decoded.corners[:, None] - box.corners[None], axis=-1).min(axis=1)
    assert distance.max() < 0.013 * np.linalg.norm(box.size)


def test_float_noise_does_not_move_a_bin() -> None:
    context = make_context(mean_distance_m=41.709476)
    metric = code_to_metric(make_code(), context.normalization)
    shaken = MetricBox(
        label=metric.label,
        u=metric.u,
        v=metric.v,
        depth_m=float(np.float32(metric.depth_m)) - 1e-6,
        angle_rad=metric.angle_rad - 1e-7,
        size_m=tuple(float(np.float32(size)) - 1e-7 for size in metric.size_m),  # type: ignore[arg-type]
    )
    assert metric_to_code(shaken, context.normalization) == make_code()


def test_numbers_between_bins_are_cut_off_and_places_rounded() -> None:
    normalization = make_context().normalization
    step = 4e-3  # metres per depth bin: 2 / 1000 of 2 m
    metric = MetricBox(label="cup", u=0.5007, v=0.4996, depth_m=1 + 9.9 * step, angle_rad=0, size_m=(0.00249, 1, 1))
    code = metric_to_code(metric, normalization)
    assert (code.u, code.v, code.depth, code.size_x) == (501, 500, 9, 1)
    cut = metric_to_code(metric, normalization, round_uv=False)
    assert (cut.u, cut.v, cut.depth, cut.size_x) == (500, 499, 9, 1)


def test_what_the_format_cannot_hold_is_clipped_and_reported() -> None:
    context = make_context()
    assert (context.max_depth_m, context.max_size_m) == (pytest.approx(1 + 1.998 * 2), pytest.approx(0.624375 * 2))
    far = encode_box("sofa", make_box(center=(0, 0, 9.0), size=(2.0, 0.5, 0.5)), context)
    assert (far.depth, far.size_x) == (999, 999)
    assert far.saturated == ("depth", "size_x")
    near = encode_box("cup", make_box(center=(0, 0, 0.5), size=(0.1, 0.1, 0.1)), context)
    assert near.saturated == ("depth",)
    beside = encode_box("cup", make_box(center=(9.0, 0, 3.0), size=(0.1, 0.1, 0.1)), context)
    assert beside.u == 999 and "u" in beside.saturated
    assert make_code(angle=999).saturated == make_code(angle=0, size_x=0).saturated == ()


def test_a_box_thinner_than_a_step_keeps_half_a_step() -> None:
    context = make_context()
    thin = encode_box("sheet", make_box(center=(0, 0, 2.0), size=(0.2, 0.2, 0.0005)), context)
    assert thin.size_z == 0
    assert decode_box(thin, context).size[2] == pytest.approx(0.5 * 0.625 / 1000 * 2)
    raised = encode_box("sheet", make_box(center=(0, 0, 2.0), size=(0.2, 0.2, 0.0005)), context, zero_sizes="raise")
    assert raised.size_z == 1


def test_an_upright_box_keeps_its_sizes_whatever_its_axes_are_called() -> None:
    box = make_box(center=(0, 0, 2), size=(0.2, 0.4, 0.1), axis=(0, 1, 0), angle_rad=0.3)
    for symmetry in BOX_SYMMETRIES:
        from n3d_ros.geometry.transforms import matrix_to_quaternion

        renamed = Box3D(
            center=box.center,
            size=np.abs(symmetry.T) @ box.size,
            orientation_xyzw=matrix_to_quaternion(box.rotation @ symmetry),
        )
        angle, size = nearest_upright(renamed)
        assert angle == pytest.approx(-0.3)  # the model's up is the optical -y
        np.testing.assert_allclose(size, [0.2, 0.4, 0.1], atol=1e-12)


def test_a_square_turned_by_most_of_a_quarter_is_a_small_turn_back() -> None:
    box = make_box(center=(0, 0, 2), size=(0.2, 0.4, 0.1), axis=(0, 1, 0), angle_rad=math.radians(80))
    angle, size = nearest_upright(box)
    assert math.degrees(angle) == pytest.approx(10)
    np.testing.assert_allclose(size, [0.1, 0.4, 0.2], atol=1e-12)


def test_a_tilted_box_loses_its_tilt_alone() -> None:
    # A camera that looks down by 30 degrees sees upright boxes tilted about its x axis.
    box = make_box(center=(0, 0, 2), size=(0.2, 0.4, 0.1), axis=(1, 0, 0), angle_rad=math.radians(30))
    angle, size = nearest_upright(box)
    assert angle == pytest.approx(0, abs=1e-9)
    np.testing.assert_allclose(size, [0.2, 0.4, 0.1], atol=1e-12)


def test_without_yaw_the_enclosing_box_along_the_cameras_axes_is_taken() -> None:
    context = make_context()
    box = make_box(center=(0.1, 0, 2), size=(0.2, 0.4, 0.1), axis=(0, 1, 0), angle_rad=math.radians(45))
    code = encode_box("cup", box, context, yaw="zero")
    assert code.angle == 500
    metric = code_to_metric(code, context.normalization)
    width = 0.3 / math.sqrt(2)  # (0.2 + 0.1) cos 45
    assert metric.size_m == pytest.approx((width, 0.4, width), abs=0.00126)
    aligned = make_box(center=(0.1, 0, 2), size=(0.2, 0.4, 0.1))
    assert encode_box("cup", aligned, context, yaw="zero") == encode_box("cup", aligned, context)


def test_a_code_is_close_to_the_box_it_was_made_of() -> None:
    context = make_context()
    box = make_box(center=(0.3, -0.2, 2.1), size=(0.31, 0.42, 0.53), axis=(0, 1, 0), angle_rad=0.4)
    assert iou_3d(decode_box(encode_box("box", box, context), context), box) > 0.96


@pytest.mark.parametrize("depth", [0.0, -1.0])
def test_a_box_behind_the_camera_cannot_be_encoded(depth: float) -> None:
    with pytest.raises(InputError, match="in front of the camera"):
        encode_box("cup", make_box(center=(0, 0, depth)), make_context())


@pytest.mark.parametrize("value", [-1, 1000, 1.5, True])
def test_bins_outside_the_alphabet_are_refused(value: float) -> None:
    with pytest.raises(InputError, match=r"BoxCode.size_y: expected an integer of 0 to 999"):
        make_code(size_y=value)  # type: ignore[arg-type]


@pytest.mark.parametrize("label", ["", "  ", "x" * 400, "a)\nbbox_1=Bbox(b"])
def test_labels_that_cannot_stand_in_a_line_are_refused(label: str) -> None:
    with pytest.raises(InputError, match="Label of a box"):
        BoxCode(label=label, **dict.fromkeys(CODE_FIELDS, 1))


def test_an_encoded_label_is_one_that_an_answer_can_hold() -> None:
    assert encode_box("cup,5 =\u200e x", make_box(center=(0, 0, 2.0)), make_context()).label == "cup 5 x"


def test_labels_lose_runs_of_blanks() -> None:
    assert BoxCode(label=" hotair   \n ballon ", **dict.fromkeys(CODE_FIELDS, 1)).label == "hotair ballon"


def test_huge_numbers_are_clipped_not_raised() -> None:
    metric = MetricBox(label="x", u=1e300, v=-1e300, depth_m=1e300, angle_rad=-1e300, size_m=(1e300, 0, 1e-300))
    assert metric_to_code(metric, make_context().normalization).bins == (999, 0, 999, 0, 999, 0, 0)
