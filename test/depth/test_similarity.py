"""Similarities between matched points: exact, weighted, robust, and none where points fix none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file

from n3d_ros.depth.poses import camera_centers, world_T_camera_of
from n3d_ros.depth.similarity import Freedom, Similarity, huber_similarity, umeyama
from n3d_ros.errors import InputError
from n3d_ros.geometry.transforms import RigidTransform, rotation_about_axis

KNOWN = Similarity(scale=2.5, rotation=rotation_about_axis([1, 2, -1], 2.0), translation=np.array([3.0, -1, 0.5]))


def cloud(count: int = 40, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(size=(count, 3))


def difference(one: Similarity | None, other: Similarity) -> float:
    assert one is not None
    return float(np.abs(one.matrix - other.matrix).max())


def test_umeyama_is_the_references(shared_data: Path) -> None:
    golden = load_file(shared_data / "golden/da3/case_units/run.safetensors")
    ours = umeyama(camera_centers(golden["umeyama.est_w2c"]), camera_centers(golden["umeyama.ref_w2c"]))
    assert ours is not None
    assert ours.scale == pytest.approx(float(golden["umeyama.s"][0]), rel=1e-6)  # kept as float32 there
    assert np.abs(ours.rotation - golden["umeyama.r"]).max() < 1e-12
    assert np.abs(ours.translation - golden["umeyama.t"]).max() < 1e-12
    for est, aligned in zip(golden["umeyama.est_w2c"], golden["umeyama.aligned_w2c"], strict=True):
        pose = ours.apply_to_pose(world_T_camera_of(est))
        assert pose.is_close(world_T_camera_of(aligned), translation_m=1e-6, rotation_rad=1e-6)


def test_exact_matches_give_the_exact_similarity() -> None:
    assert difference(umeyama(cloud(), KNOWN.apply(cloud())), KNOWN) < 1e-13
    assert difference(huber_similarity(cloud(), KNOWN.apply(cloud())), KNOWN) < 1e-13


def test_three_points_suffice() -> None:
    assert difference(umeyama(cloud(3), KNOWN.apply(cloud(3))), KNOWN) < 1e-12


def test_a_flat_cloud_gives_a_rotation_and_no_reflection() -> None:
    flat = cloud() * [1, 1, 0]
    fit = umeyama(flat, KNOWN.apply(flat))
    assert difference(fit, KNOWN) < 1e-12


def test_a_mirrored_cloud_still_gives_a_rotation() -> None:
    fit = umeyama(cloud(), cloud() * [1, 1, -1])
    assert fit is not None and np.linalg.det(fit.rotation) == pytest.approx(1)


def test_se3_keeps_the_scale_at_one() -> None:
    rigid = Similarity(scale=1, rotation=KNOWN.rotation, translation=KNOWN.translation)
    assert difference(umeyama(cloud(), rigid.apply(cloud()), freedom=Freedom.SE3), rigid) < 1e-13
    fit = umeyama(cloud(), KNOWN.apply(cloud()), freedom=Freedom.SE3)
    assert fit is not None and fit.scale == 1


def test_scale_then_se3_is_exact_on_exact_matches() -> None:
    assert difference(huber_similarity(cloud(), KNOWN.apply(cloud()), freedom=Freedom.SCALE_THEN_SE3), KNOWN) < 1e-12


def test_an_integer_weight_counts_a_match_that_often() -> None:
    x, y = cloud(12), KNOWN.apply(cloud(12)) + cloud(12, seed=1) * 0.1
    weights = np.array([3, 1, 0, 2] * 3)
    repeated = umeyama(np.repeat(x, weights, axis=0), np.repeat(y, weights, axis=0))
    assert repeated is not None
    assert difference(umeyama(x, y, weights), repeated) < 1e-12


def test_matches_without_weight_do_not_count() -> None:
    x, y = cloud(), KNOWN.apply(cloud())
    y[:10] += 100
    assert difference(umeyama(x, y, np.arange(40) >= 10), KNOWN) < 1e-12


def test_huber_loss_holds_a_fifth_of_outliers_off() -> None:
    x, y = cloud(500), KNOWN.apply(cloud(500))
    y[::5] += np.random.default_rng(1).uniform(0, 5, (100, 3))
    plain, robust = difference(umeyama(x, y), KNOWN), difference(huber_similarity(x, y), KNOWN)
    assert plain > 0.5
    assert robust < 0.02  # measured 0.013 after the usual five steps


def test_more_steps_never_raise_the_huber_loss() -> None:
    x, y = cloud(300), KNOWN.apply(cloud(300)) + cloud(300, seed=2) * 0.05
    y[::4] += 1.0

    def loss(fit: Similarity | None) -> float:
        assert fit is not None
        r = np.linalg.norm(fit.apply(x) - y, axis=1)
        return float(np.where(r < 0.1, r**2 / 2, 0.1 * (r - 0.05)).sum())

    losses = [loss(huber_similarity(x, y, steps=steps)) for steps in (0, 1, 2, 5, 20)]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(
    "points",
    [
        np.zeros((0, 3)),
        cloud(2),
        np.ones((9, 3)),
        np.outer(np.linspace(0, 5, 9), [1, 2, 3]),
        np.outer(np.linspace(0, 5, 9), [1, 2, 3]) + np.array([1e4, -1e4, 1e4]),
    ],
    ids=["none", "two", "one place", "a line", "a line far from the origin"],
)
@pytest.mark.parametrize("freedom", list(Freedom))
def test_points_that_fix_no_similarity_give_none(points: NDArray[np.float64], freedom: Freedom) -> None:
    assert umeyama(points, KNOWN.apply(points), freedom=freedom) is None
    assert huber_similarity(points, KNOWN.apply(points), freedom=freedom) is None


def test_weights_that_leave_a_line_give_none() -> None:
    x = np.concatenate([np.outer(np.arange(5.0), [1, 0, 0]), cloud()])
    assert umeyama(x, KNOWN.apply(x), np.arange(45) < 5) is None


@pytest.mark.parametrize(
    ("x", "y", "w"),
    [
        (cloud(), cloud(39), None),
        (cloud()[:, :2], cloud()[:, :2], None),
        (cloud(), cloud(), np.ones(3)),
        (cloud(), cloud(), -np.ones(40)),
        (np.full((40, 3), np.nan), cloud(), None),
    ],
)
def test_what_is_no_set_of_matches_is_refused(x: object, y: object, w: object) -> None:
    with pytest.raises(InputError):
        umeyama(x, y, w)  # type: ignore[arg-type]


def test_similarities_compose_and_invert() -> None:
    other = Similarity(scale=0.3, rotation=rotation_about_axis([0, 1, 0], -1), translation=np.array([1.0, 2, 3]))
    x = cloud()
    assert np.abs((KNOWN @ other).apply(x) - KNOWN.apply(other.apply(x))).max() < 1e-12
    assert np.abs(KNOWN.inverse().apply(KNOWN.apply(x)) - x).max() < 1e-12
    assert difference(KNOWN @ KNOWN.inverse(), Similarity.identity()) < 1e-12


def test_a_camera_moves_with_what_it_sees() -> None:
    pose = RigidTransform(rotation=rotation_about_axis([0, 1, 0], 0.5), translation=np.array([1.0, 0, 2]))
    in_camera = cloud() + np.array([0, 0, 5])
    moved = KNOWN.apply_to_pose(pose).apply(KNOWN.scale * in_camera)
    assert np.abs(moved - KNOWN.apply(pose.apply(in_camera))).max() < 1e-12


def test_a_scale_of_zero_is_no_similarity() -> None:
    with pytest.raises(InputError, match=r"Similarity\.scale"):
        Similarity(scale=0, rotation=np.eye(3), translation=np.zeros(3))
