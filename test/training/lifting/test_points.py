"""The object's own points: what a mask swallowed besides the object is left out, what noise frays is put back."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lifting_builders import BOTTOM, CX, CY, FOCAL, FRONT_M, HEIGHT, LEFT, RIGHT, TOP, WALL_M, WIDTH
from lifting_builders import depth_of_box_before_wall as scene_depth
from model_training.lifting.config import PointConfig
from model_training.lifting.points import own_points, seen_box
from n3d_ros.geometry.camera import CameraIntrinsics

CAMERA = CameraIntrinsics(fx=FOCAL, fy=FOCAL, cx=CX, cy=CY, width=WIDTH, height=HEIGHT)
CONFIG = PointConfig()


def face_mask(grow: int = 0) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[TOP - grow : BOTTOM + grow, LEFT - grow : RIGHT + grow] = True
    return mask


def test_the_box_of_a_face_is_the_one_computed_by_hand() -> None:
    found = own_points(scene_depth(0.0), face_mask(), CAMERA, CONFIG)
    assert found is not None
    box = seen_box(found.points, CONFIG)
    # Pixel centres 80 to 119 at 2 m and f = 200 px: from (80 - 99.5) / 200 * 2 to (119 - 99.5) / 200 * 2.
    assert box.size == pytest.approx([0.39, 0.39, 0.001], abs=1e-6)
    assert box.center == pytest.approx([0.0, 0.05, 2.0], abs=1e-6)
    assert (found.own_share, found.depth_share) == (1.0, 1.0)


def test_a_mask_that_swallows_the_wall_gives_the_same_box() -> None:
    exact = own_points(scene_depth(), face_mask(), CAMERA, CONFIG)
    loose = own_points(scene_depth(), face_mask(grow=5), CAMERA, CONFIG)
    assert exact is not None
    assert loose is not None
    assert loose.own_share == pytest.approx(1600 / 2500)
    difference = seen_box(loose.points, CONFIG).size - seen_box(exact.points, CONFIG).size
    # The mask's error of 5 px may be filled by two, at 10 to 12 mm a pixel; nothing of the wall 2 m behind comes along.
    assert np.abs(difference).max() < 0.05
    assert seen_box(loose.points, CONFIG).size[2] == pytest.approx(0.3, abs=0.02)


def test_a_wall_seen_through_a_hole_does_not_count() -> None:
    depth = scene_depth(0.0)
    depth[70:90, 90:110] = WALL_M
    found = own_points(depth, face_mask(), CAMERA, CONFIG)
    assert found is not None
    assert found.own == 1600 - 400
    assert seen_box(found.points, CONFIG).size[2] == pytest.approx(0.001)


def test_the_nearer_part_is_meant_even_where_it_is_the_smaller_one() -> None:
    depth = scene_depth(0.0)
    depth[TOP:BOTTOM, LEFT : LEFT + 24] = WALL_M  # 24 of 40 columns show the wall
    found = own_points(depth, face_mask(), CAMERA, CONFIG)
    assert found is not None
    assert found.median_m == FRONT_M
    tiny = own_points(depth, face_mask(), CAMERA, PointConfig(nearer_share=0.9))
    assert tiny is not None
    assert tiny.median_m == WALL_M


def test_flying_pixels_between_object_and_wall_are_left_out() -> None:
    depth = scene_depth(0.0)
    depth[TOP:BOTTOM, RIGHT - 1] = (FRONT_M + WALL_M) / 2
    found = own_points(depth, face_mask(), CAMERA, CONFIG)
    assert found is not None
    box = seen_box(found.points, CONFIG)
    assert box.size[2] == pytest.approx(0.001)
    assert box.size[0] == pytest.approx(0.39, abs=1e-6)  # the column's width is kept, at its neighbour's depth


def test_a_further_part_belongs_to_the_object_when_the_gap_is_small_for_its_size() -> None:
    near, far = np.full((HEIGHT, WIDTH), np.nan, np.float32), np.full((HEIGHT, WIDTH), np.nan, np.float32)
    for depth, gap in ((near, 0.3), (far, 1.2)):
        depth[TOP:BOTTOM, LEFT : LEFT + 25] = FRONT_M
        depth[TOP:BOTTOM, RIGHT - 10 : RIGHT] = FRONT_M + gap
    both = own_points(near, face_mask(), CAMERA, CONFIG)
    one = own_points(far, face_mask(), CAMERA, CONFIG)
    assert both is not None
    assert one is not None
    assert both.own == 40 * 35
    assert one.own == 40 * 25


def test_noise_of_depth_does_not_make_the_box_deeper() -> None:
    rng = np.random.default_rng(1)
    depth = scene_depth(0.0) + rng.normal(0, 0.004, (HEIGHT, WIDTH)).astype(np.float32)
    found = own_points(depth, face_mask(), CAMERA, CONFIG)
    raw = own_points(depth, face_mask(), CAMERA, PointConfig(smooth_px=1, trim_share=0.0))
    assert found is not None
    assert raw is not None
    assert seen_box(found.points, CONFIG).size[2] < 0.5 * np.ptp(raw.points[:, 2])


def test_a_mask_without_depth_has_no_points() -> None:
    nothing = np.full((HEIGHT, WIDTH), np.nan, np.float32)
    assert own_points(nothing, face_mask(), CAMERA, CONFIG) is None
    assert own_points(scene_depth(), np.zeros((HEIGHT, WIDTH), bool), CAMERA, CONFIG) is None


def test_a_steep_surface_stays_one_and_a_step_does_not() -> None:
    depth = scene_depth(1.2)  # 31 mm a pixel at about 2.6 m: 67 degrees off the line of sight
    steep = own_points(depth, face_mask(), CAMERA, CONFIG)
    assert steep is not None
    assert steep.own_share == 1.0
    step = scene_depth(0.0)
    step[TOP:BOTTOM, 100:RIGHT] = FRONT_M + 0.6
    cut = own_points(step, face_mask(), CAMERA, CONFIG)
    assert cut is not None
    assert cut.own_share == 0.5


def test_a_mask_cut_by_the_images_border_keeps_what_is_there() -> None:
    depth = np.tile(np.linspace(1.0, 1.5, WIDTH, dtype=np.float32), (HEIGHT, 1))
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[20:60, :30] = True
    found = own_points(depth, mask, CAMERA, CONFIG)
    assert found is not None
    assert found.own == mask.sum()
    assert cv2.countNonZero(found.pixels.astype(np.uint8)) == mask.sum()


def test_without_smoothing_a_loose_mask_is_cut_as_with_it() -> None:
    # Background 0.3 m behind, near enough to count as a further part: only the border's rule leaves it out.
    depth = np.where(face_mask(), np.float32(FRONT_M), np.float32(FRONT_M + 0.3))
    for side in (1, 3, 5):
        found = own_points(depth, face_mask(grow=2), CAMERA, PointConfig(smooth_px=side))
        assert found is not None
        assert seen_box(found.points, CONFIG).size[2] == pytest.approx(0.001)


def test_a_thin_thing_without_an_inside_keeps_its_points() -> None:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[TOP:BOTTOM, LEFT : LEFT + 4] = True
    found = own_points(scene_depth(0.0), mask, CAMERA, PointConfig(min_inner_share=0.0))
    assert found is not None
    assert found.own == mask.sum()
