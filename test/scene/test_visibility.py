"""Empty, hidden, occupied, out of view: each from synthetic depth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from builders import make_frame
from n3d_ros.geometry import RigidTransform
from n3d_ros.scene.visibility import Visibility, visibility
from scene.worlds import FRONT, INTRINSICS, Thing, depth_of, look_from

THING = Thing("thing", (0.05, 0.0, 0.05))


def judged(things: Sequence[Thing], *, of: Thing = THING, camera: RigidTransform = FRONT) -> Visibility:
    frame = make_frame(intrinsics=INTRINSICS, depth_m=depth_of(things, camera))
    return visibility(of.box, scene_T_camera=camera, frame=frame, visible_share=0.5)


def test_a_place_where_the_thing_stands_is_occupied() -> None:
    assert judged([THING]) is Visibility.OCCUPIED


def test_a_place_behind_which_the_floor_is_measured_is_empty() -> None:
    assert judged([]) is Visibility.EMPTY


def test_a_place_behind_something_nearer_is_hidden() -> None:
    assert judged([THING, Thing("wall", (0.0, -0.5, 0.2), size=(0.5, 0.02, 0.4))]) is Visibility.HIDDEN


def test_a_place_outside_the_picture_or_behind_the_camera_is_out_of_view() -> None:
    assert judged([THING], camera=look_from((0, -1, 0.6), at=(2.0, -1.0, 0.0))) is Visibility.OUT_OF_VIEW
    assert judged([THING], camera=look_from((0, -1, 0.6), at=(0.0, -3.0, 0.0))) is Visibility.OUT_OF_VIEW


def test_a_place_without_depth_is_hidden() -> None:
    frame = make_frame(intrinsics=INTRINSICS, depth_m=np.nan)
    assert visibility(THING.box, scene_T_camera=FRONT, frame=frame, visible_share=0.5) is Visibility.HIDDEN


def test_a_ball_occupies_its_box_although_it_does_not_fill_it() -> None:
    camera = FRONT
    depth = depth_of([], camera)
    from n3d_ros.geometry.camera import pixel_rays

    rays = pixel_rays(INTRINSICS) @ camera.rotation.T
    offset = camera.translation - np.array(THING.center)
    a, b, c = (rays**2).sum(-1), (rays @ offset), offset @ offset - 0.05**2
    with np.errstate(invalid="ignore"):
        hit = (-b - np.sqrt(b**2 - a * c)) / a
    frame = make_frame(intrinsics=INTRINSICS, depth_m=np.where(np.isfinite(hit), hit, depth))
    assert visibility(THING.box, scene_T_camera=camera, frame=frame, visible_share=0.5) is Visibility.OCCUPIED


def test_a_flat_thing_within_depth_noise_of_its_support_is_not_called_gone() -> None:
    sheet = Thing("sheet", (0.0, 0.0, 0.002), size=(0.2, 0.2, 0.004))
    assert judged([], of=sheet) is Visibility.OCCUPIED


@pytest.mark.parametrize("side", [0.004, 0.01])
def test_a_thing_smaller_than_a_pixel_is_judged_too(side: float) -> None:
    crumb = Thing("crumb", (0.0, 0.0, 0.3), size=(side, side, side))
    assert judged([], of=crumb) is Visibility.EMPTY
