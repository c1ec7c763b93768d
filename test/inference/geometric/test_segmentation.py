"""The segmentation tells things apart that are two, and keeps those together that are one."""

from __future__ import annotations

import numpy as np
import pytest

from inference.geometric.raycasting import CAMERA, Box, Cylinder, View, look_at, owners
from n3d_ros.detection import SupportSurface
from n3d_ros.geometry.camera import CameraIntrinsics
from n3d_ros.inference.geometric import GeometricConfig, Segmentation, segment


def run(view: View, *, up: bool = False, config: GeometricConfig | None = None) -> Segmentation:
    frame = view.frame
    return segment(frame.depth_m, frame.rgb, frame.intrinsics, view.up if up else None, config)


def assert_one_label_each(view: View, found: Segmentation, *, least_share: float = 0.75) -> None:
    labels = owners(view, found.labels)
    assert all(len(shares) == 1 for shares in labels), labels
    names = [next(iter(shares)) for shares in labels]
    assert len(set(names)) == len(names), labels
    assert all(next(iter(shares.values())) > least_share for shares in labels), labels
    assert len(found.objects) == len(labels)


def test_things_on_a_table_are_one_object_each() -> None:
    view = look_at([
        Box(at=(0, 0.2, 0), size=(0.08, 0.12, 0.15), yaw=0.4),
        Box(at=(0.1, -0.15, 0), size=(0.1, 0.16, 0.06), yaw=1.1),
        Cylinder(at=(-0.12, 0.0, 0), radius=0.04, height=0.12),
    ])  # fmt: skip
    assert_one_label_each(view, run(view))


def test_a_box_on_a_box_is_two_objects() -> None:
    view = look_at([
        Box(at=(0, 0, 0), size=(0.2, 0.26, 0.08), yaw=0.2),
        Box(at=(0.01, 0.01, 0.08), size=(0.1, 0.12, 0.1), yaw=0.7),
    ])  # fmt: skip
    assert_one_label_each(view, run(view))


def test_touching_boxes_turned_against_each_other_are_two_objects() -> None:
    view = look_at([
        Box(at=(0, 0.062, 0), size=(0.12, 0.12, 0.16)),
        Box(at=(0, -0.085, 0), size=(0.12, 0.12, 0.08), yaw=0.6, rgb=(30, 160, 30)),
    ], pitch_deg=38)  # fmt: skip
    assert_one_label_each(view, run(view))


def test_parts_on_both_sides_of_an_occluder_are_one_object() -> None:
    view = look_at([
        Box(at=(0.12, 0, 0), size=(0.08, 0.3, 0.1)),
        Box(at=(-0.12, 0, 0), size=(0.06, 0.07, 0.26), rgb=(240, 240, 240)),
    ])  # fmt: skip
    assert_one_label_each(view, run(view))


def test_boxes_in_a_row_with_a_gap_that_is_seen_are_two_objects() -> None:
    view = look_at([
        Box(at=(0.1, 0.11, 0), size=(0.08, 0.12, 0.1)),
        Box(at=(0.1, -0.11, 0), size=(0.08, 0.12, 0.1)),
    ])  # fmt: skip
    assert_one_label_each(view, run(view))


def test_inside_and_outside_of_a_bowl_are_one_object() -> None:
    view = look_at([Cylinder(at=(0, 0, 0), radius=0.1, height=0.09, wall=0.006)], pitch_deg=35)
    # The floor of the bowl is so low that it may count as table.
    assert_one_label_each(view, run(view), least_share=0.6)


def test_a_box_behind_another_of_equal_height_is_not_its_inside() -> None:
    view = look_at([
        Box(at=(-0.05, 0, 0), size=(0.06, 0.14, 0.1)),
        Box(at=(0.07, 0.02, 0), size=(0.06, 0.16, 0.1), rgb=(20, 180, 60)),
    ], pitch_deg=40)  # fmt: skip
    assert_one_label_each(view, run(view))


def test_floor_and_shelf_both_carry() -> None:
    view = look_at(
        [
            Box(at=(0.72, 0, 0.3), size=(0.3, 0.9, 0.02), rgb=(90, 60, 40)),
            Box(at=(0.65, 0.1, 0.32), size=(0.1, 0.12, 0.15)),
            Box(at=(0.0, -0.1, 0.0), size=(0.15, 0.2, 0.2), rgb=(30, 160, 30)),
        ],
        distance=1.6,
        pitch_deg=35,
        height=0.25,
        ground_m=1.5,
    )
    found = run(view, up=True)
    board, floor = (min(found.surfaces, key=lambda s, z=z: abs(_mean_elevation(view, s) - z)) for z in (0.32, 0.0))
    assert _mean_elevation(view, board) == pytest.approx(0.32, abs=0.01)
    assert _mean_elevation(view, floor) == pytest.approx(0.0, abs=0.01)
    _, on_board, on_floor = owners(view, found.labels)
    assert len(on_board) == len(on_floor) == 1
    assert set(on_board) != set(on_floor)


def _mean_elevation(view: View, surface: SupportSurface) -> float:
    return float((surface.outline @ view.up).mean() + view.eye[2])


def test_up_is_found_from_the_table() -> None:
    view = look_at([Box(at=(0, 0, 0), size=(0.1, 0.1, 0.1))], pitch_deg=50)
    found = run(view)
    assert np.degrees(np.arccos(found.up @ view.up)) < 1.0
    assert found.up_is_known


def test_an_empty_table_has_a_surface_and_no_objects() -> None:
    found = run(look_at([]))
    assert [s.kind for s in found.surfaces] == ["table"]
    assert found.objects == ()
    assert not found.labels.any()


def test_a_close_wall_that_fills_the_view_is_no_object() -> None:
    found = segment(np.full((480, 640), 0.5, np.float32), None, CAMERA, np.array([0.0, -1.0, 0.0]))
    assert found.objects == ()


def test_a_wall_alone_carries_nothing() -> None:
    depth = np.full((480, 640), 2.0, np.float32)
    found = segment(depth, None, CAMERA, np.array([0.0, -1.0, 0.0]))
    assert [s.kind for s in found.surfaces] == ["wall"]
    assert found.objects == ()


@pytest.mark.parametrize("valid", [0, 1, 30])
def test_hardly_any_depth_is_an_empty_segmentation(valid: int) -> None:
    depth = np.full((480, 640), np.nan, np.float32)
    depth[100, :valid] = 1.0
    found = segment(depth, None, CAMERA)
    assert found.objects == ()
    assert not found.up_is_known


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (64, 48)])
def test_tiny_images_do_not_break_it(size: tuple[int, int]) -> None:
    camera = CameraIntrinsics(fx=60, fy=60, cx=size[0] / 2, cy=size[1] / 2, width=size[0], height=size[1])
    found = segment(np.full((size[1], size[0]), 1.0, np.float32), None, camera)
    assert found.labels.shape == (size[1], size[0])


def test_noise_alone_is_survived() -> None:
    depth = np.random.default_rng(1).uniform(0.4, 4.0, (480, 640)).astype(np.float32)
    found = segment(depth, None, CAMERA)
    assert found.labels.shape == (480, 640)


def test_equal_frames_give_equal_results() -> None:
    view = look_at([Box(at=(0, 0, 0), size=(0.1, 0.2, 0.1)), Cylinder(at=(0, 0.2, 0), radius=0.05, height=0.1)])
    first, second = run(view), run(view)
    assert np.array_equal(first.labels, second.labels)
    assert all(np.array_equal(a.points, b.points) for a, b in zip(first.objects, second.objects, strict=True))


@pytest.mark.parametrize(("width", "height", "focal"), [(320, 240, 262.0), (1280, 720, 920.0), (3840, 2160, 2700.0)])
def test_other_resolutions_find_the_same(width: int, height: int, focal: float) -> None:
    camera = CameraIntrinsics(fx=focal, fy=focal, cx=(width - 1) / 2, cy=(height - 1) / 2, width=width, height=height)
    view = look_at(
        [
            Box(at=(0, 0.1, 0), size=(0.1, 0.12, 0.15)),
            Box(at=(0, -0.1, 0), size=(0.1, 0.1, 0.1), rgb=(1, 200, 1)),
        ],
        camera=camera,
    )
    assert_one_label_each(view, run(view))


def test_without_a_surface_what_is_near_is_still_found() -> None:
    view = look_at([Box(at=(0, 0, 0), size=(0.1, 0.12, 0.15))], ground_m=None)
    found = run(view, up=True)
    assert len(found.objects) >= 1 or len(found.surfaces) >= 1


def test_flush_boxes_of_two_colors_are_two_objects() -> None:
    view = look_at([
        Box(at=(0, 0.07, 0), size=(0.12, 0.14, 0.12), rgb=(190, 30, 30)),
        Box(at=(0, -0.07, 0), size=(0.12, 0.14, 0.12), rgb=(30, 60, 190)),
    ])  # fmt: skip
    assert_one_label_each(view, run(view))


def test_a_box_with_one_face_of_two_colors_stays_one_object() -> None:
    view = look_at([Box(at=(0, 0, 0), size=(0.12, 0.28, 0.12), rgb=(190, 30, 30))], pitch_deg=48)
    rgb = view.frame.rgb.copy()
    points = view.frame.point_map().xyz @ view.up + view.eye[2]
    top = (view.owner == 0) & (points > 0.115)
    rgb[top & (np.arange(640) < 320)] = (30, 60, 190)
    found = segment(view.frame.depth_m, rgb, view.frame.intrinsics)
    assert len(found.objects) == 1


def test_equally_high_cylinders_that_touch_are_two_objects() -> None:
    view = look_at([
        Cylinder(at=(0, 0.1, 0), radius=0.1, height=0.08),
        Cylinder(at=(0, -0.1, 0), radius=0.1, height=0.08),
    ], pitch_deg=48)  # fmt: skip
    assert_one_label_each(view, run(view))
