"""DepthModel with networks that see a known room exactly: every metre that comes out is known beforehand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from depth_scene import CAMERA, ExactAnyView, ExactMetric, Room, camera_at
from n3d_ros.depth.model import DepthModel
from n3d_ros.depth.options import DepthOptions
from n3d_ros.depth.runner import NetworkViews
from n3d_ros.depth.views import DepthEstimate, PoseSource, ScaleSource, View
from n3d_ros.errors import (
    BackendError,
    CalibrationError,
    CancelledError,
    ConfigurationError,
    GroundingError,
    InputError,
)
from n3d_ros.geometry.camera import CameraIntrinsics
from n3d_ros.geometry.transforms import RigidTransform

STRAIGHT = [camera_at(0), camera_at(0.2), camera_at(0.4), camera_at(0.6)]
TURNING = [camera_at(0), camera_at(0.4, 0.1, 0.2, yaw_rad=0.1), camera_at(-0.3, 0, 0.5, yaw_rad=-0.2)]
WIDE = CameraIntrinsics(fx=118.0, fy=121.0, cx=105.0, cy=58.0, width=210, height=120)


def any_view(room: Room, **changes: Any) -> DepthModel:
    return DepthModel(name="any", device="cpu", any_view=ExactAnyView(room, **changes), options=room.options)


def nested(room: Room, *, options: DepthOptions | None = None, **metric: Any) -> DepthModel:
    network = ExactMetric(room, **metric)
    return DepthModel(
        name="pair", device="cpu", any_view=ExactAnyView(room), single=network, single_is_metric=True,
        options=options or room.options,
    )  # fmt: skip


def metric_model(room: Room, **changes: Any) -> DepthModel:
    network = ExactMetric(room, **changes)
    return DepthModel(name="metric", device="cpu", single=network, single_is_metric=True, options=room.options)


def assert_depth_is_true(estimate: DepthEstimate, room: Room, *, views: Sequence[int] | None = None) -> None:
    for number, view in zip(views or range(len(room.poses)), estimate.views, strict=True):
        true = room.true_depth(number)
        error = np.abs(view.depth_m - true) / true
        assert np.isfinite(view.depth_m).all()
        # Beside the fold between wall and floor two planes are interpolated as one.
        assert np.quantile(error, 0.95) < 1e-4
        assert error.max() < 0.05


def said(estimate: DepthEstimate) -> str:
    return " ".join(estimate.notes)


# ---- metres by given poses


def test_two_posed_views_give_metres() -> None:
    room = Room(STRAIGHT[::2])
    estimate = any_view(room).estimate(room.views(posed=True))
    assert estimate.scale_source is ScaleSource.POSES
    assert estimate.scale == pytest.approx(1 / 0.37)
    assert_depth_is_true(estimate, room)
    assert estimate.notes == ()


def test_posed_views_on_a_straight_line_give_metres() -> None:
    room = Room(STRAIGHT)
    estimate = any_view(room).estimate(room.views(posed=True))
    assert estimate.scale_source is ScaleSource.POSES
    assert_depth_is_true(estimate, room)


def test_given_poses_come_back_as_they_were_given() -> None:
    room = Room(TURNING)
    for view, pose in zip(any_view(room).estimate(room.views(posed=True)).views, TURNING, strict=True):
        assert view.pose_source is PoseSource.GIVEN
        assert view.world_T_camera is pose


def test_the_network_gets_poses_of_its_own_form() -> None:
    room = Room(TURNING)
    model = any_view(room)
    model.estimate(room.views(posed=True))
    w2c: Any = model._runners[0].calls[0]["w2c"]  # type: ignore[attr-defined]
    assert np.allclose(w2c[0], np.eye(4))
    assert w2c.shape == (3, 4, 4)


@pytest.mark.parametrize("metres", [0.3, 7.0])
def test_two_posed_views_are_one_unit_apart_for_the_network(metres: float) -> None:
    room = Room([camera_at(0.2), camera_at(0.2 + metres, yaw_rad=0.1)])
    model = any_view(room)
    model.estimate(room.views(posed=True))
    w2c: Any = model._runners[0].calls[0]["w2c"]  # type: ignore[attr-defined]
    assert np.linalg.norm(w2c[1, :3, 3]) == pytest.approx(1)


def test_the_released_distance_of_two_posed_views_is_a_choice() -> None:
    room = Room([camera_at(0.2), camera_at(0.7)], options=DepthOptions(process_res=112, posed_pair="reference"))
    model = any_view(room)
    assert_depth_is_true(model.estimate(room.views(posed=True)), room)
    w2c: Any = model._runners[0].calls[0]["w2c"]  # type: ignore[attr-defined]
    assert np.linalg.norm(w2c[1, :3, 3]) == pytest.approx(5)


@pytest.mark.parametrize("factor", [3.0, 0.5])
def test_depth_grows_with_the_given_distances(factor: float) -> None:
    room = Room(TURNING)
    apart = [
        replace(view, world_T_camera=replace(view.world_T_camera, translation=view.world_T_camera.translation * factor))
        for view in room.views(posed=True)
        if view.world_T_camera is not None
    ]
    once, scaled = any_view(room).estimate(room.views(posed=True)), any_view(room).estimate(apart)
    for a, b in zip(once.views, scaled.views, strict=True):
        assert np.allclose(b.depth_m, factor * a.depth_m, rtol=1e-5)


@pytest.mark.parametrize("poses", [[camera_at(0)], [camera_at(0), camera_at(0, yaw_rad=0.2)]])
def test_one_view_or_a_static_rig_has_no_metres_and_says_so(poses: list[RigidTransform]) -> None:
    room = Room(poses)
    estimate = any_view(room).estimate(room.views(posed=True))
    assert estimate.scale_source is ScaleSource.RELATIVE
    assert not estimate.is_metric
    assert "No scale from the given poses" in said(estimate)
    assert "relative" in said(estimate)
    assert [view.world_T_camera for view in estimate.views] == poses


@pytest.mark.parametrize("poses", [[camera_at(0)], [camera_at(0), camera_at(0, yaw_rad=0.2)]])
def test_where_poses_tell_no_scale_the_metric_network_does(poses: list[RigidTransform]) -> None:
    room = Room(poses)
    estimate = nested(room).estimate(room.views(posed=True))
    assert estimate.scale_source is ScaleSource.METRIC_MODEL
    assert_depth_is_true(estimate, room)


def test_poses_that_contradict_the_images_give_no_scale_in_silence() -> None:
    room = Room(TURNING)
    views = room.views(posed=True)
    views[2] = replace(views[2], world_T_camera=camera_at(0.0, 0.0, 9.0))
    estimate = any_view(room).estimate(views)
    assert estimate.scale_source is ScaleSource.RELATIVE
    assert "disagree" in said(estimate)


def lengthened(room: Room, factor: float) -> list[View]:
    return [
        replace(v, world_T_camera=replace(v.world_T_camera, translation=v.world_T_camera.translation * factor))
        for v in room.views(posed=True)
        if v.world_T_camera is not None
    ]


def test_poses_that_are_somewhat_too_long_are_named_by_the_metric_network() -> None:
    room = Room(TURNING)
    estimate = nested(room).estimate(lengthened(room, 3))
    assert estimate.scale_source is ScaleSource.POSES
    assert "0.333 times as far as by the given poses; the poses are believed" in said(estimate)
    assert all(view.agreement == 0 for view in estimate.views)


@pytest.mark.parametrize(("factor", "words"), [(1000, "0.001"), (0.01, "100")])
def test_poses_of_another_unit_give_no_metres_beside_a_metric_network(factor: float, words: str) -> None:
    room = Room([camera_at(0), camera_at(6, yaw_rad=-0.2)])
    estimate = nested(room).estimate(lengthened(room, factor))
    assert estimate.scale_source is ScaleSource.RELATIVE
    assert f"{words} times as far as by the given poses; no metres are taken from either" in said(estimate)


CLOSE = [camera_at(0), camera_at(0.2)]  # a thirtieth of the depth
TOO_CLOSE = [camera_at(0), camera_at(0.1)]
CLOSE_TOGETHER = [CLOSE, [camera_at(0.05 * i) for i in range(5)]]


@pytest.mark.parametrize("poses", CLOSE_TOGETHER, ids=["two views", "five views"])
@pytest.mark.parametrize(("factor", "conflicts"), [(1.2, False), (1.5, True)])
def test_cameras_close_together_give_way_to_the_metric_network(
    poses: list[RigidTransform], factor: float, conflicts: bool
) -> None:
    room = Room(poses)
    estimate = nested(room, factors=dict.fromkeys(range(len(poses)), factor)).estimate(room.views(posed=True))
    assert estimate.scale_source is ScaleSource.METRIC_MODEL
    assert estimate.scale == pytest.approx(factor / 0.37, rel=1e-4)
    assert "so the metric model gives it" in said(estimate)
    assert ("1.5 times as far as by the given poses; the metric model is believed" in said(estimate)) is conflicts


@pytest.mark.parametrize("poses", CLOSE_TOGETHER, ids=["two views", "five views"])
def test_cameras_close_together_alone_give_metres_with_the_error_to_expect(poses: list[RigidTransform]) -> None:
    room = Room(poses)
    estimate = any_view(room).estimate(room.views(posed=True))
    assert estimate.scale_source is ScaleSource.POSES
    assert "0.033 of the depth apart (given: 0.2 m): a scale by their poses may be 30% off" in said(estimate)
    assert "metric model" in said(estimate)


@pytest.mark.parametrize("poses", [TOO_CLOSE, [camera_at(0.02 * i) for i in range(6)]], ids=["two views", "six views"])
def test_cameras_too_close_for_what_they_see_give_no_metres(poses: list[RigidTransform]) -> None:
    room = Room(poses)
    estimate = any_view(room).estimate(room.views(posed=True))
    assert estimate.scale_source is ScaleSource.RELATIVE
    assert "0.017 of the depth, less than 0.03" in said(estimate)
    assert_depth_is_true(nested(room).estimate(room.views(posed=True)), room)


def test_metres_by_poses_are_as_far_off_as_the_note_says() -> None:
    """A network whose second camera is off by a hundredth of the depth, in any direction: what is taken of networks."""
    for seed in range(30):
        room = Room(CLOSE)
        generator = np.random.default_rng(seed)
        direction = generator.normal(size=3)

        class Unsteady(ExactAnyView):
            def run(self, *arguments: Any, direction: Any = direction, **options: Any) -> NetworkViews:
                seen = super().run(*arguments, **options)
                assert seen.w2c is not None
                seen.w2c[1, :3, 3] += 0.01 * np.median(seen.depth) * direction / np.linalg.norm(direction)
                return seen

        model = DepthModel(name="any", device="cpu", any_view=Unsteady(room), options=room.options)
        estimate = model.estimate(room.views(posed=True))
        if not estimate.is_metric:
            continue
        promised = next(int(part.split("%")[0].split()[-1]) for part in estimate.notes if "% off" in part) / 100
        assert abs(1 / (0.37 * estimate.scale) - 1) < 1.5 * promised


def test_the_released_scale_needs_positions_off_a_line_and_is_a_choice() -> None:
    for poses, source in ((TURNING, ScaleSource.POSES), (STRAIGHT, ScaleSource.RELATIVE)):
        room = Room(poses, options=DepthOptions(process_res=112, scale_method="sim3"))
        assert any_view(room).estimate(room.views(posed=True)).scale_source is source


def test_a_turned_pose_is_named() -> None:
    room = Room(STRAIGHT)
    views = room.views(posed=True)
    views[1] = replace(views[1], world_T_camera=camera_at(0.2, yaw_rad=0.8))
    estimate = any_view(room).estimate(views)
    assert "View 1: its given orientation" in said(estimate)
    assert "View 2" not in said(estimate)


def test_the_calibration_of_another_resolution_is_named() -> None:
    room = Room(TURNING)
    views = room.views()
    views[2] = replace(views[2], intrinsics=replace(CAMERA, fx=2 * CAMERA.fx, fy=2 * CAMERA.fy))
    estimate = nested(room).estimate(views)
    assert "View 2: its calibration has fx 236 px, its image looks like 118 px" in said(estimate)
    assert "View 1" not in said(estimate)


def test_a_guessed_focal_length_overrules_no_measured_distance() -> None:
    room = Room(CLOSE)
    estimate = nested(room, factors={0: 1.5, 1: 1.5}).estimate(room.views(posed=True, calibrated=False))
    assert estimate.scale_source is ScaleSource.POSES
    assert "the poses are believed" in said(estimate)
    assert "may be 30% off" in said(estimate)
    assert_depth_is_true(estimate, room)


# ---- some poses, or poses without calibration


def test_poses_of_some_views_scale_all_and_place_the_others() -> None:
    room = Room(TURNING)
    views = room.views(posed=True)
    views[1] = replace(views[1], world_T_camera=None)
    estimate = any_view(room).estimate(views)
    assert_depth_is_true(estimate, room)
    assert estimate.scale_source is ScaleSource.POSES
    assert [view.pose_source for view in estimate.views] == [PoseSource.GIVEN, PoseSource.ESTIMATED, PoseSource.GIVEN]
    placed = estimate.views[1].world_T_camera
    assert placed is not None
    assert placed.is_close(TURNING[1], translation_m=1e-6, rotation_rad=1e-6)
    assert "view 1 without a pose" in said(estimate)


def test_one_given_pose_places_all_views_where_metres_are_known() -> None:
    room = Room(TURNING)
    views = [
        replace(v, world_T_camera=v.world_T_camera if i == 2 else None) for i, v in enumerate(room.views(posed=True))
    ]
    estimate = nested(room).estimate(views)
    assert estimate.scale_source is ScaleSource.METRIC_MODEL
    for view, pose in zip(estimate.views, TURNING, strict=True):
        assert view.world_T_camera is not None
        assert view.world_T_camera.is_close(pose, translation_m=1e-5, rotation_rad=1e-6)


def test_without_metres_estimated_poses_are_not_mixed_with_given_ones() -> None:
    room = Room(TURNING)
    views = [
        replace(v, world_T_camera=v.world_T_camera if i == 0 else None) for i, v in enumerate(room.views(posed=True))
    ]
    estimate = any_view(room).estimate(views)
    assert estimate.scale_source is ScaleSource.RELATIVE
    assert [view.pose_source for view in estimate.views] == [PoseSource.GIVEN, PoseSource.NONE, PoseSource.NONE]


def test_posed_views_without_a_calibration_are_estimated_and_laid_over_the_poses() -> None:
    room = Room(TURNING)
    model = any_view(room)
    estimate = model.estimate(room.views(posed=True, calibrated=False))
    assert estimate.scale_source is ScaleSource.POSES
    assert_depth_is_true(estimate, room)
    assert model._runners[0].calls[0]["w2c"] is None  # type: ignore[attr-defined]
    assert "without a calibration" in said(estimate)


def test_a_network_that_takes_no_poses_is_laid_over_them() -> None:
    room = Room(TURNING)
    estimate = any_view(room, takes_poses=False).estimate(room.views(posed=True))
    assert_depth_is_true(estimate, room)


# ---- no poses


def test_unposed_views_are_relative_and_say_so() -> None:
    room = Room(TURNING)
    estimate = any_view(room).estimate(room.views())
    assert estimate.scale_source is ScaleSource.RELATIVE
    assert estimate.scale == 1
    assert "relative" in said(estimate)
    assert np.allclose(estimate.views[1].depth_m, 0.37 * room.true_depth(1), rtol=0.05)


def test_estimated_poses_are_in_the_first_cameras_frame_and_in_the_depths_unit() -> None:
    room = Room(TURNING)
    for model, unit in ((any_view(room), 0.37), (nested(room), 1.0)):
        estimate = model.estimate(room.views())
        for view, pose in zip(estimate.views, TURNING, strict=True):
            expected = TURNING[0].inverse() @ pose
            assert view.pose_source is PoseSource.ESTIMATED
            assert view.world_T_camera is not None
            assert np.allclose(view.world_T_camera.rotation, expected.rotation, atol=1e-6)
            assert np.allclose(view.world_T_camera.translation, unit * expected.translation, atol=1e-5)


def test_without_a_calibration_the_models_own_comes_back_at_camera_resolution() -> None:
    room = Room(TURNING)
    estimate = any_view(room).estimate(room.views(calibrated=False))
    camera = estimate.views[0].intrinsics
    assert estimate.views[0].intrinsics_estimated
    assert camera is not None
    assert np.allclose(camera.matrix, CAMERA.matrix, atol=1e-6)  # the scripted network sees the true one
    assert "No calibration for views 0, 1, 2" in said(estimate)


def test_a_given_calibration_comes_back_as_given() -> None:
    room = Room(TURNING)
    view = any_view(room).estimate(room.views()).views[0]
    assert view.intrinsics is CAMERA or view.intrinsics == CAMERA
    assert not view.intrinsics_estimated


def test_a_pair_gives_metres_without_poses() -> None:
    room = Room(TURNING)
    estimate = nested(room).estimate(room.views())
    assert estimate.scale_source is ScaleSource.METRIC_MODEL
    assert estimate.scale == pytest.approx(1 / 0.37, rel=1e-4)
    assert_depth_is_true(estimate, room)
    assert all(view.agreement == 1 for view in estimate.views)
    assert estimate.notes == ()


def test_a_pair_uses_the_given_focal_length_and_not_the_estimated_one() -> None:
    room = Room(TURNING[:1])
    doubled = replace(CAMERA, fx=2 * CAMERA.fx, fy=2 * CAMERA.fy)
    once = nested(room).estimate(room.views())
    twice = nested(room).estimate([replace(view, intrinsics=doubled) for view in room.views()])
    assert twice.scale == pytest.approx(2 * once.scale)


def test_a_guessed_focal_length_is_said() -> None:
    room = Room(TURNING)
    estimate = nested(room).estimate(room.views(calibrated=False))
    assert estimate.scale_source is ScaleSource.METRIC_MODEL
    assert "rests on the model's estimate of the focal length for views 0, 1, 2" in said(estimate)
    assert_depth_is_true(estimate, room)


def test_without_any_focal_length_nothing_is_metric() -> None:
    room = Room(TURNING)
    model = DepthModel(
        name="pair", device="cpu", any_view=ExactAnyView(room, gives_cameras=False), single=ExactMetric(room),
        single_is_metric=True, options=room.options,
    )  # fmt: skip
    estimate = model.estimate(room.views(calibrated=False))
    assert estimate.scale_source is ScaleSource.RELATIVE
    assert "No focal length for views 0, 1, 2" in said(estimate)
    assert "No calibration for views 0, 1, 2, and the model estimates none." in said(estimate)
    assert "is used" not in said(estimate)


class Spoilt(ExactAnyView):
    """A network one of whose numbers is spoilt, by ``spoil``."""

    spoil: Callable[[NetworkViews], None]

    def run(self, *arguments: Any, **options: Any) -> NetworkViews:
        seen = super().run(*arguments, **options)
        self.spoil(seen)
        return seen


def spoilt_pair(room: Room, spoil: Callable[[NetworkViews], None], **metric: Any) -> DepthModel:
    network = Spoilt(room)
    network.spoil = spoil
    return DepthModel(
        name="pair", device="cpu", any_view=network, single=ExactMetric(room, **metric), single_is_metric=True,
        options=room.options,
    )  # fmt: skip


def test_one_confidence_that_is_no_number_leaves_the_released_alignment_as_it_is() -> None:
    room = Room(TURNING, options=DepthOptions(process_res=112, alignment="reference"))

    def spoil(seen: NetworkViews) -> None:
        assert seen.confidence is not None
        seen.confidence[0, 3, 3] = np.nan

    estimate = spoilt_pair(room, spoil).estimate(room.views())
    assert estimate.scale == pytest.approx(1 / 0.37, rel=1e-4)
    assert estimate.notes == ()


def test_where_the_released_alignment_has_no_cameras_the_robust_one_stands_in_and_says_so() -> None:
    room = Room(TURNING, options=DepthOptions(process_res=112, alignment="reference"))

    def spoil(seen: NetworkViews) -> None:
        assert seen.matrices is not None
        seen.matrices[1] = np.nan

    estimate = spoilt_pair(room, spoil).estimate(room.views())
    assert estimate.scale == pytest.approx(1 / 0.37, rel=1e-4)
    assert "The released alignment cannot be computed here" in said(estimate)


def test_a_depth_too_small_to_invert_is_no_depth() -> None:
    room = Room(TURNING)

    def spoil(seen: NetworkViews) -> None:
        seen.depth[0, 5, 5] = 1e-40

    depth = spoilt_pair(room, spoil).estimate(room.views()).views[0].depth_m
    assert 0 < np.isnan(depth).mean() < 0.001


def test_networks_that_share_no_pixel_say_so() -> None:
    room = Room(TURNING)

    def spoil(seen: NetworkViews) -> None:
        seen.depth[:, 20:] = np.nan

    estimate = spoilt_pair(room, spoil, sky_rows=20).estimate(room.views())
    assert "The any-view network gives no depth to scale in views 0, 1, 2" in said(estimate)
    blind = DepthModel(
        name="pair", device="cpu", any_view=ExactAnyView(room), single=NothingBelow(room, sky_rows=20),
        single_is_metric=True, options=room.options,
    )  # fmt: skip
    estimate = blind.estimate(room.views())
    assert estimate.scale_source is ScaleSource.RELATIVE
    assert "the metric model gives no metres outside the sky" in said(estimate)
    assert "metric model beside" not in said(estimate)


class NothingBelow(ExactMetric):
    """A metric network that gives a number in the sky alone."""

    def run(self, *arguments: Any, **options: Any) -> NetworkViews:
        seen = super().run(*arguments, **options)
        seen.depth[:, self.sky_rows :] = np.nan
        return seen


def test_a_scale_between_two_views_that_fits_neither_is_not_taken() -> None:
    room = Room(STRAIGHT[:2])
    model = DepthModel(
        name="pair", device="cpu", any_view=ExactAnyView(room, wrong_unit={1: 3 * 0.37}), single=ExactMetric(room),
        single_is_metric=True, options=room.options,
    )  # fmt: skip
    estimate = model.estimate(room.views())
    assert sorted(view.agreement or 0 for view in estimate.views) == [0, 1]
    assert "disagrees on the scale" in said(estimate)


def test_a_view_that_disagrees_on_the_scale_is_named() -> None:
    room = Room(STRAIGHT)
    model = DepthModel(
        name="pair", device="cpu", any_view=ExactAnyView(room, wrong_unit={2: 0.74}), single=ExactMetric(room),
        single_is_metric=True, options=room.options,
    )  # fmt: skip
    estimate = model.estimate(room.views())
    assert estimate.scale == pytest.approx(1 / 0.37, rel=1e-4)
    assert "View 2 disagrees" in said(estimate)
    assert "View 1" not in said(estimate)
    assert [view.agreement for view in estimate.views] == [1, 1, 0, 1]


def test_the_released_alignment_is_a_choice() -> None:
    room = Room(TURNING[:1])
    options = replace(room.options, alignment="reference")
    doubled = [replace(view, intrinsics=replace(CAMERA, fx=2 * CAMERA.fx, fy=2 * CAMERA.fy)) for view in room.views()]
    estimate = nested(room, options=options).estimate(doubled)
    assert estimate.scale == pytest.approx(1 / 0.37, rel=1e-4)  # by the estimated focal length, which is the true one


# ---- sky


def test_sky_has_no_depth_and_the_least_confidence() -> None:
    room = Room(TURNING)
    view = nested(room, sky_rows=28).estimate(room.views()).views[0]
    assert view.sky is not None
    assert view.confidence is not None
    assert view.sky[:39].all()  # 28 of 84 rows are 40 of 120
    assert not view.sky[41:].any()
    assert np.array_equal(np.isnan(view.depth_m), view.sky)
    assert view.confidence[:39].max() == 1
    assert view.confidence[45:].min() == 2


def test_sky_can_be_filled_with_the_far_end() -> None:
    room = Room(TURNING)
    options = replace(room.options, sky_fill="far")
    view = nested(room, options=options, sky_rows=28).estimate(room.views()).views[0]
    assert view.sky is not None
    assert np.isfinite(view.depth_m).all()
    far = float(np.quantile([room.true_depth(i)[40:] for i in range(3)], 0.99))
    assert np.allclose(view.depth_m[:35], far, rtol=0.01)


def test_a_view_of_sky_alone_is_named_and_the_others_have_depth() -> None:
    room = Room(TURNING)
    for model in (nested(room, sky_views=[1]), metric_model(room, sky_views=[1])):
        estimate = model.estimate(room.views())
        assert "View 1 shows nothing but sky." in estimate.notes
        assert np.isnan(estimate.views[1].depth_m).all()
        assert np.allclose(estimate.views[2].depth_m, room.true_depth(2), rtol=0.05)


def test_nothing_but_sky_is_said_and_not_measured() -> None:
    room = Room(TURNING)
    for model in (nested(room, sky_views=[0, 1, 2]), metric_model(room, sky_views=[0, 1, 2])):
        with pytest.raises(GroundingError, match="nothing but sky"):
            model.estimate(room.views())


def test_where_the_any_view_network_gives_nothing_the_metric_one_does() -> None:
    class Blind(ExactAnyView):
        def run(self, *arguments: Any, **options: Any) -> NetworkViews:
            seen = super().run(*arguments, **options)
            depth = np.full_like(seen.depth, 1e-4)
            depth[:, 0] = np.nan
            return replace(seen, depth=depth)

    room = Room(TURNING)
    model = DepthModel(
        name="pair", device="cpu", any_view=Blind(room), single=ExactMetric(room), single_is_metric=True,
        options=room.options,
    )  # fmt: skip
    estimate = model.estimate(room.views())
    assert estimate.scale_source is ScaleSource.METRIC_MODEL
    assert_depth_is_true(estimate, room)
    assert "the metric model's own is used" in said(estimate)
    assert all(view.world_T_camera is None for view in estimate.views)  # in no known unit


# ---- single views


def test_a_metric_network_gives_metres_by_the_focal_length_as_processed() -> None:
    room = Room(TURNING)
    estimate = metric_model(room).estimate(room.views())
    assert estimate.scale_source is ScaleSource.METRIC_MODEL
    assert_depth_is_true(estimate, room)
    assert all(view.world_T_camera is None and view.pose_source is PoseSource.NONE for view in estimate.views)


def test_single_views_keep_the_poses_they_are_given() -> None:
    room = Room(TURNING)
    views = metric_model(room).estimate(room.views(posed=True)).views
    assert [view.world_T_camera for view in views] == TURNING
    assert all(view.pose_source is PoseSource.GIVEN for view in views)


def test_metric_depth_grows_with_the_given_focal_length() -> None:
    room = Room(TURNING[:1])
    tripled = replace(CAMERA, fx=3 * CAMERA.fx, fy=3 * CAMERA.fy)
    once = metric_model(room).estimate(room.views()).views[0]
    thrice = metric_model(room).estimate([replace(view, intrinsics=tripled) for view in room.views()]).views[0]
    assert np.allclose(thrice.depth_m, 3 * once.depth_m, rtol=1e-5)


def test_a_metric_network_without_a_calibration_is_relative_and_says_so() -> None:
    room = Room(TURNING)
    estimate = metric_model(room).estimate(room.views(calibrated=False))
    assert estimate.scale_source is ScaleSource.RELATIVE
    assert "focal length" in said(estimate)


def test_a_metric_network_refuses_calibrations_of_some_views_only() -> None:
    room = Room(TURNING)
    views = room.views()
    views[1] = replace(views[1], intrinsics=None)
    with pytest.raises(InputError, match="view 1 of 3 have no calibration"):
        metric_model(room).estimate(views)


def test_a_monocular_network_is_relative() -> None:
    room = Room(TURNING)
    model = DepthModel(name="mono", device="cpu", single=ExactMetric(room), options=room.options)
    estimate = model.estimate(room.views())
    assert estimate.scale_source is ScaleSource.RELATIVE
    assert "monocular" in said(estimate)


def test_single_views_of_different_sizes_are_not_cropped() -> None:
    room = Room(TURNING, camera=[CAMERA, WIDE, CAMERA])
    model = metric_model(room)
    estimate = model.estimate(room.views())
    assert_depth_is_true(estimate, room)
    assert estimate.notes == ()
    assert model._runners[0].batches == [1, 1, 1]  # type: ignore[attr-defined]


def test_single_views_of_one_size_go_through_together() -> None:
    room = Room([camera_at(0.1 * i) for i in range(6)])
    model = metric_model(room)
    assert_depth_is_true(model.estimate(room.views()), room)
    assert model._runners[0].batches == [4, 2]  # type: ignore[attr-defined]


# ---- sizes, order, refusals


def test_views_of_different_sizes_are_cropped_to_one_and_what_is_lost_is_said() -> None:
    room = Room(TURNING, camera=[CAMERA, WIDE, CAMERA])
    estimate = any_view(room).estimate(room.views(posed=True))
    first, wide = estimate.views[0], estimate.views[1]
    assert first.depth_m.shape == (120, 160)
    assert wide.depth_m.shape == (120, 210)
    true = room.true_depth(0)
    seen = np.isfinite(first.depth_m)
    assert np.quantile(np.abs(first.depth_m - true)[seen] / true[seen], 0.95) < 1e-4
    assert 0.6 < seen.mean() < 0.9  # 84 rows, cropped to the 70 or fewer of the wide view
    assert first.confidence is not None
    assert (first.confidence[~seen] == 1).all()
    assert "cropped around the centre to one size for the network (views 0, 2)" in said(estimate)
    assert "the rest has no depth" in said(estimate)


@pytest.mark.parametrize("factor", [1.0, 1.1])
def test_beside_a_metric_network_nothing_is_lost_of_views_of_different_sizes(factor: float) -> None:
    room = Room(TURNING, camera=[CAMERA, WIDE, CAMERA])
    estimate = nested(room, factors={0: factor}).estimate(room.views())
    assert_depth_is_true(estimate, room)  # what the metric network adds fits what the other one says of that view
    confidence = estimate.views[0].confidence
    assert confidence is not None
    assert (confidence[0] == 1).all()
    assert (confidence[60] == 2).all()
    assert "the metric model's alone" in said(estimate)
    assert "no depth" not in said(estimate)


def test_sky_beyond_the_common_size_is_sky() -> None:
    room = Room(TURNING, camera=[CAMERA, WIDE, CAMERA])
    view = nested(room, sky_rows=20).estimate(room.views()).views[0]
    assert view.sky is not None
    assert view.sky[:27].all()  # 20 of 84 rows are 28 of 120; the common part begins below row 10
    assert not view.sky[30:].any()
    assert np.array_equal(np.isnan(view.depth_m), view.sky)


def test_the_order_of_views_is_kept() -> None:
    room = Room(TURNING)
    views = room.views()
    forth, back = nested(room).estimate(views), nested(room).estimate(views[::-1])
    for a, b in zip(forth.views, back.views[::-1], strict=True):
        assert np.allclose(a.depth_m, b.depth_m, rtol=1e-6)


def test_the_same_views_give_the_same_bits() -> None:
    room = Room(TURNING)
    a, b = nested(room, sky_rows=9).estimate(room.views()), nested(room, sky_rows=9).estimate(room.views())
    for one, other in zip(a.views, b.views, strict=True):
        assert np.array_equal(one.depth_m, other.depth_m, equal_nan=True)


def test_portrait_and_landscape_come_back_at_their_size() -> None:
    for hw in ((120, 160), (160, 120), (37, 301), (301, 37)):
        camera = CameraIntrinsics(fx=90, fy=90, cx=hw[1] / 2, cy=hw[0] / 2, width=hw[1], height=hw[0])
        room = Room([camera_at(0)], camera=camera)
        view = metric_model(room).estimate(room.views()).views[0]
        assert view.depth_m.shape == hw
        assert view.sky is not None
        assert view.sky.shape == hw


@pytest.mark.parametrize("hw", [(1, 1), (3, 5), (13, 13), (14, 140)])
def test_tiny_images_are_looked_at(hw: tuple[int, int]) -> None:
    camera = CameraIntrinsics(fx=max(hw), fy=max(hw), cx=0, cy=0, width=hw[1], height=hw[0])
    room = Room([camera_at(0)], camera=camera)
    assert metric_model(room).estimate(room.views()).views[0].depth_m.shape == hw


@pytest.mark.parametrize("hw", [(1, 400), (9000, 2), (5, 90)])
def test_images_too_thin_for_a_patch_are_refused(hw: tuple[int, int]) -> None:
    camera = CameraIntrinsics(fx=max(hw), fy=max(hw), cx=0, cy=0, width=hw[1], height=hw[0])
    room = Room([camera_at(0)], camera=camera)
    with pytest.raises(InputError, match=r"stretched .* times along one axis.*too thin for metres"):
        metric_model(room).estimate(room.views())


def test_a_stretched_image_is_named_with_the_error_to_expect() -> None:
    camera = CameraIntrinsics(fx=120, fy=120, cx=59.5, cy=9, width=120, height=20)  # 112x19 px, so 112x14
    room = Room([camera_at(0)], camera=camera)
    assert "View 0 is seen stretched 1.33 times along one axis, and metres may be 17% off" in said(
        metric_model(room).estimate(room.views())
    )


@pytest.mark.parametrize("kind", [any_view, nested, metric_model])
@pytest.mark.parametrize(("fx", "fy"), [(5.0, 5.0), (1e6, 1e6), (600.0, 60.0), (118.0, 300.0)])
def test_a_calibration_that_no_camera_has_is_refused(kind: Callable[[Room], DepthModel], fx: float, fy: float) -> None:
    room = Room([camera_at(0)])
    views = [replace(view, intrinsics=replace(CAMERA, fx=fx, fy=fy)) for view in room.views()]
    with pytest.raises(CalibrationError, match=r"View 0: expected focal lengths of 0.1 to 20 times"):
        kind(room).estimate(views)


def test_pixels_far_from_square_are_named() -> None:
    room = Room([camera_at(0)], camera=replace(CAMERA, fx=118.0, fy=170.0))
    assert "fx 118, fy 170 px for 160x120 px; few cameras" in said(metric_model(room).estimate(room.views()))


def test_an_image_of_one_colour_is_named() -> None:
    room = Room(TURNING)
    views = room.views()
    views[1] = replace(views[1], rgb=np.full_like(views[1].rgb, 3))
    estimate = nested(room).estimate(views)
    assert [note for note in estimate.notes if "one colour" in note] == [
        "View 1 shows one colour (a covered lens, a wall, darkness): its depth is a guess."
    ]


@pytest.mark.parametrize("views", [None, [np.zeros((4, 5, 3), np.uint8)], [None], 3])
def test_what_is_no_view_is_refused(views: Any) -> None:
    room = Room([camera_at(0)])
    with pytest.raises(InputError, match="expected .*view"):
        metric_model(room).estimate(views)


def test_too_many_views_are_refused_with_a_way_out() -> None:
    room = Room([camera_at(0.1 * i) for i in range(3)], options=DepthOptions(process_res=112, max_views=2))
    with pytest.raises(InputError, match="expected 1 to 2 views.*overlapping chunks"):
        any_view(room).estimate(room.views())


def test_no_views_are_refused() -> None:
    with pytest.raises(InputError, match="got 0"):
        any_view(Room(TURNING)).estimate([])


def test_a_network_that_gives_no_number_is_a_failure() -> None:
    class Overflowed(ExactMetric):
        def run(self, *arguments: Any, **options: Any) -> NetworkViews:
            seen = super().run(*arguments, **options)
            return replace(seen, depth=np.full_like(seen.depth, np.inf))

    room = Room(TURNING)
    model = DepthModel(name="m", device="cpu", single=Overflowed(room), single_is_metric=True, options=room.options)
    with pytest.raises(BackendError, match="bfloat16 or float32"):
        model.estimate(room.views())


def test_poses_that_are_not_finite_cannot_be_given() -> None:
    with pytest.raises(InputError, match="finite"):
        RigidTransform(rotation=np.eye(3), translation=np.array([0, np.nan, 0]))


def test_it_stops_when_asked_between_steps() -> None:
    room = Room(TURNING)
    for allowed in range(4):
        asked: list[int] = []

        def is_cancelled(allowed: int = allowed, asked: list[int] = asked) -> bool:
            asked.append(1)
            return len(asked) > allowed

        model = nested(room)
        with pytest.raises(CancelledError):
            model.estimate(room.views(), is_cancelled=is_cancelled)
        assert len(asked) == allowed + 1


def test_steps_are_timed() -> None:
    room = Room(TURNING)
    names = [name for name, _ in nested(room).estimate(room.views()).stage_ms]
    assert names == ["prepare", "network", "metric_network", "scale", "output"]


def test_a_closed_model_says_so() -> None:
    room = Room(TURNING)
    model = nested(room)
    networks: list[Any] = list(model._runners)
    model.close()
    model.close()
    assert all(network.closed for network in networks)
    with pytest.raises(BackendError, match="closed"):
        model.estimate(room.views())


def test_what_a_model_can_do_is_known_beforehand() -> None:
    room = Room(TURNING)
    assert (nested(room).gives_poses, nested(room).gives_metres) == (True, True)
    assert (any_view(room).gives_poses, any_view(room).gives_metres) == (True, False)
    assert (metric_model(room).gives_poses, metric_model(room).gives_metres) == (False, True)


def test_pairs_that_make_no_sense_are_refused() -> None:
    room = Room(TURNING)
    with pytest.raises(ConfigurationError, match="expected a network"):
        DepthModel(name="none", device="cpu")
    with pytest.raises(ConfigurationError, match="only a metric one is of use"):
        DepthModel(name="odd", device="cpu", any_view=ExactAnyView(room), single=ExactMetric(room))


def test_a_view_is_a_colour_image() -> None:
    view = View(rgb=np.zeros((4, 5, 3), np.uint8))
    assert view.rgb.shape == (4, 5, 3)
