"""The frame a scene is shown in: up is up, and it keeps still."""

from __future__ import annotations

import numpy as np
import pytest

from builders import make_box
from n3d_ros.errors import TransformError
from n3d_ros.geometry.transforms import RigidTransform, rotation_about_axis
from n3d_ros.ros.viewer.upright import PATIENCE_S, ShownFrame, levelled, up_of_boxes

OPTICAL = "camera_color_optical_frame"


def pitched_up(angle_rad: float) -> np.ndarray:
    """Up in the optical frame of a camera that looks down by this angle."""
    return np.asarray(rotation_about_axis((1.0, 0.0, 0.0), angle_rad) @ np.array([0.0, -1.0, 0.0]))


def nothing(target: str, source: str, stamp_ns: int) -> RigidTransform:
    """Tf of a robot without tf."""
    raise TransformError(f"{target} {source} {stamp_ns}")


def test_up_is_where_the_upright_axes_of_the_boxes_point() -> None:
    boxes = [make_box(axis=(1.0, 0.0, 0.0), angle_rad=angle) for angle in (0.38, 0.40, 0.42)]
    assert np.allclose(up_of_boxes(boxes), pitched_up(0.4), atol=1e-3)


def test_without_boxes_a_camera_is_taken_as_level() -> None:
    assert np.allclose(up_of_boxes([]), (0.0, -1.0, 0.0))


def test_a_box_that_lies_on_its_edge_does_not_turn_the_room() -> None:
    upright = [make_box() for _ in range(4)]
    tilted = make_box(axis=(0.0, 0.0, 1.0), angle_rad=np.deg2rad(45.0))
    angle = np.arccos(up_of_boxes([*upright, tilted]) @ np.array([0.0, -1.0, 0.0]))
    assert angle < np.deg2rad(12.0)


@pytest.mark.parametrize("angle_rad", [-1.2, 0.0, 0.4, 1.2, np.pi / 2])
def test_a_levelled_camera_frame_has_z_up_and_a_person_s_hands(angle_rad: float) -> None:
    up = pitched_up(angle_rad)
    level = levelled(up)
    assert np.allclose(level.rotate(up), (0.0, 0.0, 1.0))
    assert np.linalg.det(level.rotation) == pytest.approx(1.0)
    # what is right in the picture is right, that is -y, for somebody who looks along x
    assert level.rotate(np.array([1.0, 0.0, 0.0]))[1] == pytest.approx(-1.0)


def test_the_first_fixed_frame_that_tf_knows_is_shown() -> None:
    odom_T_camera = RigidTransform(rotation=np.eye(3), translation=np.array([1.0, 2.0, 3.0]))

    def lookup(target: str, source: str, stamp_ns: int) -> RigidTransform:
        if target == "odom":
            return odom_T_camera
        raise TransformError(f"{target} {source} {stamp_ns}")

    placing = ShownFrame().place(OPTICAL, 5, lookup, [], 0.0)
    assert (placing.name, placing.fixed_frame) == ("odom", "odom")
    assert placing.shown_T_frame.is_close(odom_T_camera)


def test_a_frame_that_was_shown_is_kept_while_tf_lags_and_given_up_when_it_is_gone() -> None:
    chosen = ShownFrame()
    chosen.place(OPTICAL, 5, lambda *_: RigidTransform.identity(), [], 0.0)
    with pytest.raises(TransformError):
        chosen.place(OPTICAL, 6, nothing, [], PATIENCE_S / 2)
    placing = chosen.place(OPTICAL, 7, nothing, [], PATIENCE_S * 2)
    assert placing.fixed_frame is None
    assert "levelled" in placing.name


def test_without_tf_a_frame_that_is_not_optical_is_shown_as_it_is() -> None:
    placing = ShownFrame().place("robot_base", 5, nothing, [], 0.0)
    assert placing.name == "robot_base"
    assert placing.shown_T_frame.is_close(RigidTransform.identity())


def test_the_vertical_of_a_camera_without_tf_does_not_tremble() -> None:
    chosen = ShownFrame()
    first = chosen.place(OPTICAL, 1, nothing, [make_box()], 0.0)
    wobbling = make_box(axis=(1.0, 0.0, 0.0), angle_rad=np.deg2rad(4.0))
    second = chosen.place(OPTICAL, 2, nothing, [wobbling], 0.1)
    turn = first.shown_T_frame.inverse() @ second.shown_T_frame
    assert turn.is_close(RigidTransform.identity(), rotation_rad=np.deg2rad(0.5))
