"""One estimate laid on another by the pixels both have: what counts, what does not, and what cannot be laid."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from depth_walk import CAMERA, depth_of, walk
from n3d_ros.depth.similarity import Freedom, Similarity
from n3d_ros.depth.streaming.alignment import fit_overlap, point_map, scale_overlap
from n3d_ros.depth.streaming.options import StreamOptions
from n3d_ros.depth.views import PoseSource, ViewDepth
from n3d_ros.geometry.arrays import Float32Array
from n3d_ros.geometry.transforms import rotation_about_axis

POSES = walk(40, laps=0.3)[:6]
KNOWN = Similarity(scale=0.4, rotation=rotation_about_axis([1, 2, 0], 0.8), translation=np.array([2.0, -1, 0.5]))
OPTIONS = StreamOptions()


def estimate(of: Similarity, *, confidence: Float32Array | None = None) -> list[ViewDepth]:
    """The six views in the frame and unit that ``of`` takes the room's to."""
    return [
        ViewDepth(
            depth_m=depth_of(pose) * np.float32(of.scale),
            confidence=confidence,
            intrinsics=CAMERA,
            world_T_camera=of.apply_to_pose(pose),
            pose_source=PoseSource.ESTIMATED,
        )
        for pose in POSES
    ]


EARLIER = estimate(Similarity.identity())


def off_by(found: Similarity | None, true: Similarity = KNOWN) -> float:
    assert found is not None
    return float(np.abs((found @ true).matrix - np.eye(4)).max())


def fitted(
    later: list[ViewDepth], *, earlier: list[ViewDepth] = EARLIER, freedom: Freedom = Freedom.SIM3
) -> Similarity:
    fit = fit_overlap(earlier, later, is_metric=False, freedom=freedom, options=OPTIONS)
    assert fit.earlier_S_later is not None, fit.why_not
    return fit.earlier_S_later


@pytest.mark.parametrize("freedom", [Freedom.SIM3, Freedom.SCALE_THEN_SE3])
def test_exact_estimates_give_the_exact_similarity(freedom: Freedom) -> None:
    assert off_by(fitted(estimate(KNOWN), freedom=freedom)) < 1e-5  # depth is float32


def test_points_are_where_the_room_is() -> None:
    points = point_map(EARLIER[0], slice(None), slice(None))
    assert np.abs(points[..., 1]).max() < 1.5 + 1e-5  # floor and ceiling
    assert np.isclose(np.abs(points[..., 1]), 1.5, atol=1e-5).mean() > 0.1


def test_what_is_hardly_believed_does_not_count_however_wrong() -> None:
    confidence = np.full((CAMERA.height, CAMERA.width), 5, dtype=np.float32)
    confidence[:20] = 1.1  # a fortieth of what the rest has above 1
    later = [
        replace(view, depth_m=np.where(confidence < 2, view.depth_m * 3, view.depth_m).astype(np.float32))
        for view in estimate(KNOWN, confidence=confidence)
    ]
    assert off_by(fitted(later)) < 1e-5


def test_a_tenth_of_wrong_depth_that_is_believed_moves_the_fit_little() -> None:
    later = estimate(KNOWN)
    for i, view in enumerate(later):
        depth = view.depth_m.copy()
        depth[:, i * 8 : i * 8 + 6] *= 2
        later[i] = replace(view, depth_m=depth)
    assert off_by(fitted(later)) < 0.08  # measured 0.073: Huber weights lessen outliers and forget none
    plain = StreamOptions(huber_delta=1000)
    squares = fit_overlap(EARLIER, later, is_metric=False, freedom=Freedom.SIM3, options=plain)
    assert off_by(squares.earlier_S_later) > 2 * off_by(fitted(later))


def test_far_points_of_metric_estimates_are_left_out() -> None:
    rigid = Similarity(scale=1, rotation=KNOWN.rotation, translation=KNOWN.translation)
    later = [
        replace(view, depth_m=np.where(view.depth_m > 2.5, view.depth_m * 1.5, view.depth_m).astype(np.float32))
        for view in estimate(rigid)
    ]
    near = fit_overlap(EARLIER, later, is_metric=True, freedom=Freedom.SE3, options=StreamOptions(max_depth_m=2.5))
    every = fit_overlap(EARLIER, later, is_metric=True, freedom=Freedom.SE3, options=StreamOptions())
    assert off_by(near.earlier_S_later, rigid) < 1e-5
    assert every.points > near.points
    assert every.earlier_S_later is None or off_by(every.earlier_S_later, rigid) > 0.01


def test_where_everything_is_far_it_counts_after_all() -> None:
    rigid = Similarity(scale=1, rotation=KNOWN.rotation, translation=KNOWN.translation)
    options = StreamOptions(max_depth_m=0.5)
    fit = fit_overlap(EARLIER, estimate(rigid), is_metric=True, freedom=Freedom.SE3, options=options)
    assert off_by(fit.earlier_S_later, rigid) < 1e-5


@pytest.mark.parametrize("what", ["sky", "no confidence", "no poses", "nothing shared"])
def test_what_has_nothing_in_common_is_not_laid_and_says_why(what: str) -> None:
    later = estimate(KNOWN)
    earlier = EARLIER
    if what == "sky":
        later = [replace(view, depth_m=np.full_like(view.depth_m, np.nan)) for view in later]
    elif what == "no confidence":
        later = estimate(KNOWN, confidence=np.ones((CAMERA.height, CAMERA.width), dtype=np.float32))
    elif what == "no poses":
        later = [replace(view, world_T_camera=None, pose_source=PoseSource.NONE) for view in later]
    else:
        earlier, later = [], []
    fit = fit_overlap(earlier, later, is_metric=False, freedom=Freedom.SIM3, options=OPTIONS)
    assert fit.earlier_S_later is None
    assert "fewer than 100 common pixels" in fit.why_not


def test_estimates_that_show_different_things_are_not_laid() -> None:
    later = [replace(view, depth_m=view.depth_m[::-1, ::-1].copy()) for view in estimate(KNOWN)]
    generator = np.random.default_rng(0)
    later = [replace(view, depth_m=generator.uniform(0.1, 9, view.depth_m.shape).astype(np.float32)) for view in later]
    fit = fit_overlap(EARLIER, later, is_metric=False, freedom=Freedom.SIM3, options=OPTIONS)
    assert fit.earlier_S_later is None and "differ by" in fit.why_not and fit.residual > 0.2


def test_many_large_views_are_thinned_to_a_bounded_number_of_points() -> None:
    big = [
        ViewDepth(
            depth_m=np.kron(view.depth_m, np.ones((20, 20), dtype=np.float32)),
            intrinsics=CAMERA.resized(CAMERA.width * 20, CAMERA.height * 20),
            world_T_camera=view.world_T_camera,
        )
        for view in EARLIER
    ]
    fit = fit_overlap(big, big, is_metric=False, freedom=Freedom.SIM3, options=OPTIONS)
    assert 100_000 < fit.points <= 210_000
    assert off_by(fit.earlier_S_later, Similarity.identity()) < 1e-9


def test_beside_given_poses_the_unit_is_the_median_ratio_of_depths() -> None:
    assert scale_overlap(EARLIER, estimate(KNOWN)) == pytest.approx(1 / 0.4, rel=1e-6)
    sky = [replace(view, depth_m=np.full_like(view.depth_m, np.nan)) for view in EARLIER]
    assert scale_overlap(EARLIER, sky) is None
