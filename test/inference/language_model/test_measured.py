"""Boxes of the model held against depth: better than they came, or left alone with little support."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from builders import make_box, make_frame, make_intrinsics
from inference.geometric.raycasting import View, look_at_box_and_cylinder
from n3d_ros.geometry import Box3D
from n3d_ros.geometry.iou import iou_3d
from n3d_ros.geometry.transforms import matrix_to_quaternion
from n3d_ros.inference.language_model.measured import MeasuredFrame, box_mask, measure_box, measure_frame
from n3d_ros.refine.refine import RefineConfig, refine_box


@pytest.fixture(scope="module")
def view() -> View:
    return look_at_box_and_cylinder()


@pytest.fixture(scope="module")
def measured(view: View) -> MeasuredFrame:
    return measure_frame(view.frame, None)


def true_box(view: View) -> Box3D:
    """The red box in the camera optical frame."""
    c, s = np.cos(0.5), np.sin(0.5)
    world = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
    return Box3D(
        center=view.rotation @ (np.array([0, 0.16, 0.06]) - view.eye),
        size=np.array([0.1, 0.14, 0.12]),
        orientation_xyzw=matrix_to_quaternion(view.rotation @ world),
    )


def rough(box: Box3D, shift_m: float = 0.01) -> Box3D:
    """What a model would say: along the camera's axes, a little off."""
    return Box3D.axis_aligned(box.center + shift_m, np.ptp(box.corners, axis=0) * 1.1)


def test_a_frame_tells_up_and_its_table(view: View, measured: MeasuredFrame) -> None:
    assert measured.up @ view.rotation[:, 2] > 0.999
    assert measured.up_is_known
    assert [surface.kind for surface in measured.surfaces] == ["table"]


def test_a_rough_box_is_fitted_to_the_object_it_means(view: View, measured: MeasuredFrame) -> None:
    truth = true_box(view)
    raw = rough(truth)
    found = measure_box(raw, measured, refine=True)
    assert found.is_fitted
    assert iou_3d(found.box, truth) > 0.85 > 0.5 > iou_3d(raw, truth)
    assert found.agreement == pytest.approx(iou_3d(found.box, raw))
    assert (found.color, found.shape) == ("red", "box")
    assert found.support_ratio is not None and found.support_ratio > 0.8
    assert found.mask.sum() == found.point_count > 1000
    assert found.uncertainty is not None


def test_a_box_of_nothing_stays_and_has_no_support(measured: MeasuredFrame) -> None:
    raw = make_box(center=measured.frame.point_map().points.mean(axis=0) + 0.3 * measured.up, size=(0.1, 0.1, 0.1))
    found = measure_box(raw, measured, refine=True)
    assert not found.is_fitted
    assert found.box is raw
    assert found.support_ratio == 0
    assert found.agreement == 0
    assert found.point_count == 0


def test_a_doubtful_box_without_points_is_taken_for_the_nearest_object_that_is_free(
    view: View, measured: MeasuredFrame
) -> None:
    truth = true_box(view)
    in_the_air = replace(rough(truth, 0.0), center=truth.center + 0.25 * measured.up)
    assert not measure_box(in_the_air, measured, refine=True).is_fitted
    sure = measure_box(in_the_air, measured, refine=True, doubt=0.1)
    assert sure.box is in_the_air and sure.seen is None
    found = measure_box(in_the_air, measured, refine=True, doubt=0.4)
    assert found.is_fitted and found.seen is not None and iou_3d(found.box, truth) > 0.85
    assert found.agreement == pytest.approx(iou_3d(in_the_air, found.box)) and found.color == "red"
    other = measure_box(in_the_air, measured, refine=True, doubt=0.4, taken=[found.seen])
    assert other.seen is not found.seen


def test_an_object_far_away_or_of_another_size_is_never_taken(view: View, measured: MeasuredFrame) -> None:
    truth = true_box(view)
    far = replace(rough(truth, 0.0), center=truth.center + 0.4 * measured.up)
    small = Box3D.axis_aligned(truth.center + 0.16 * measured.up, np.ptp(truth.corners, axis=0) / 5)
    for raw in (far, small):
        assert measure_box(raw, measured, refine=True, doubt=2.0).box is raw


def test_without_refinement_a_box_stays_as_the_model_said_it(view: View, measured: MeasuredFrame) -> None:
    raw = rough(true_box(view))
    found = measure_box(raw, measured, refine=False)
    assert found.box is raw
    assert (found.support_ratio, found.agreement, found.uncertainty) == (None, None, None)
    assert found.point_count > 1000


def test_measuring_twice_gives_the_same(view: View) -> None:
    raw = rough(true_box(view))
    first, second = (measure_box(raw, measure_frame(view.frame, None), refine=True) for _ in range(2))
    np.testing.assert_array_equal(first.box.corners, second.box.corners)
    np.testing.assert_array_equal(first.mask, second.mask)


def test_looking_only_near_a_box_changes_nothing(view: View, measured: MeasuredFrame) -> None:
    raw = rough(true_box(view))
    alone = replace(measured, objects=())
    config = RefineConfig(min_support_ratio=0.4)
    everywhere = refine_box(raw, measured.points.xyz.reshape(-1, 3), measured.up, config=config, noise=measured.noise)
    found = measure_box(raw, alone, refine=True)
    np.testing.assert_array_equal(found.box.corners, everywhere.box.corners)
    assert iou_3d(found.box, true_box(view)) > 0.85


@pytest.mark.parametrize("shift_m", [-0.02, 0.0, 0.01, 0.02])
def test_a_box_that_reaches_into_its_neighbour_still_means_its_object(
    view: View, measured: MeasuredFrame, shift_m: float
) -> None:
    found = measure_box(rough(true_box(view), shift_m), measured, refine=True)
    assert iou_3d(found.box, true_box(view)) > 0.85


def test_a_box_of_the_true_shape_means_its_object_too(view: View, measured: MeasuredFrame) -> None:
    found = measure_box(true_box(view), measured, refine=True)
    assert found.agreement is not None and found.agreement > 0.85


@pytest.mark.parametrize("center", [(0, 0, 0.02), (5.0, 0, 1.0), (0, 0, 1.0)], ids=["at the camera", "outside", "wall"])
def test_boxes_anywhere_do_no_harm(center: tuple[float, float, float]) -> None:
    frame = make_frame()
    found = measure_box(make_box(center=center), measure_frame(frame, None), refine=True)
    assert found.mask.shape == frame.depth_m.shape
    assert found.support_ratio is not None and 0 <= found.support_ratio <= 1


def test_a_mask_holds_the_pixels_of_the_box() -> None:
    frame = make_frame(depth_m=1.0)
    # 60 px of focal length: a box 0.2 m wide at 1 m is 12 px wide; the wall goes through its middle.
    mask = box_mask(make_box(size=(0.2, 0.1, 0.1)), frame.point_map(), make_intrinsics())
    assert mask.any(axis=0).sum() == 12
    assert mask.any(axis=1).sum() == 6
