"""The tree of frames over time."""

from __future__ import annotations

import numpy as np
import pytest

from n3d_ros.errors import TransformError
from n3d_ros.geometry import RigidTransform, TransformBuffer
from n3d_ros.geometry.transforms import rotation_about_axis

SECOND = 1_000_000_000


def shift(x: float, y: float = 0.0, z: float = 0.0) -> RigidTransform:
    return RigidTransform(rotation=np.eye(3), translation=np.array([x, y, z]))


@pytest.fixture
def buffer() -> TransformBuffer:
    """map -> base moves 1 m/s along x for ten seconds; base -> camera is fixed, turned; map -> dock is fixed."""
    buffer = TransformBuffer()
    for second in range(11):
        buffer.set_transform("map", "base", second * SECOND, shift(float(second)))
    camera = RigidTransform(rotation=rotation_about_axis([0, 0, 1], np.pi / 2), translation=np.array([0.0, 0, 1]))
    buffer.set_transform("base", "camera", 0, camera, static=True)
    buffer.set_transform("map", "dock", 0, shift(0, 5), static=True)
    return buffer


def test_a_point_is_taken_through_the_chain_as_computed_by_hand(buffer: TransformBuffer) -> None:
    # camera (1, 0, 0) -> base (0, 1, 1) -> map at 2.5 s: (2.5, 1, 1)
    point = buffer.lookup("map", "camera", int(2.5 * SECOND)).apply([1, 0, 0])
    np.testing.assert_allclose(point, [2.5, 1, 1], atol=1e-12)


def test_frames_on_two_branches_meet_at_their_common_ancestor(buffer: TransformBuffer) -> None:
    np.testing.assert_allclose(buffer.lookup("dock", "base", 3 * SECOND).translation, [3, -5, 0])


def test_the_lookup_back_is_the_inverse(buffer: TransformBuffer) -> None:
    there, back = buffer.lookup("map", "camera", SECOND), buffer.lookup("camera", "map", SECOND)
    assert (there @ back).is_close(RigidTransform.identity())


def test_the_newest_common_time_is_taken_when_no_stamp_is_given(buffer: TransformBuffer) -> None:
    np.testing.assert_allclose(buffer.lookup("map", "base").translation, [10, 0, 0])


@pytest.mark.parametrize(("seconds", "word"), [(10.5, "future"), (-1.0, "past")])
def test_nothing_is_extrapolated(buffer: TransformBuffer, seconds: float, word: str) -> None:
    with pytest.raises(TransformError, match=word):
        buffer.lookup("map", "base", int(seconds * SECOND))


def test_an_unknown_frame_is_named_with_those_known(buffer: TransformBuffer) -> None:
    with pytest.raises(TransformError, match=r"'base_link' does not exist.*base, camera"):
        buffer.lookup("base_link", "camera", 0)


def test_unconnected_trees_are_told_apart(buffer: TransformBuffer) -> None:
    buffer.set_transform("odom", "wheel", 0, shift(1), static=True)
    with pytest.raises(TransformError, match="unconnected"):
        buffer.lookup("map", "wheel", 0)


def test_a_loop_of_frames_is_an_error_and_not_an_endless_search() -> None:
    buffer = TransformBuffer()
    buffer.set_transform("a", "b", 0, shift(1), static=True)
    buffer.set_transform("b", "a", 0, shift(1), static=True)
    buffer.set_transform("x", "y", 0, shift(1), static=True)
    with pytest.raises(TransformError, match="loop"):
        buffer.lookup("x", "a", 0)


def test_old_transforms_are_forgotten() -> None:
    buffer = TransformBuffer(cache_ns=2 * SECOND)
    for second in range(6):
        buffer.set_transform("map", "base", second * SECOND, shift(float(second)))
    with pytest.raises(TransformError, match="past"):
        buffer.lookup("map", "base", 2 * SECOND)
    assert buffer.can_transform("map", "base", 3 * SECOND)


def test_samples_that_arrive_late_are_sorted_in() -> None:
    buffer = TransformBuffer()
    for second in (0, 2, 1):
        buffer.set_transform("map", "base", second * SECOND, shift(float(second**2)))
    np.testing.assert_allclose(buffer.lookup("map", "base", int(1.5 * SECOND)).translation, [2.5, 0, 0])


def test_clearing_keeps_what_is_latched(buffer: TransformBuffer) -> None:
    buffer.clear()
    assert buffer.can_transform("base", "camera", 0) and not buffer.can_transform("map", "base", 0)


@pytest.mark.parametrize(("parent", "child"), [("", "a"), ("a", ""), ("a", "a")])
def test_nameless_and_equal_frames_are_refused(parent: str, child: str) -> None:
    with pytest.raises(TransformError):
        TransformBuffer().set_transform(parent, child, 0, shift(1))


def test_a_frame_is_always_itself(buffer: TransformBuffer) -> None:
    assert buffer.lookup("anything", "anything", 0).is_close(RigidTransform.identity())


def test_a_jump_back_forgets_what_is_later_and_keeps_what_came_ahead_of_it(buffer: TransformBuffer) -> None:
    buffer.clear(after_ns=4 * SECOND)
    assert buffer.can_transform("map", "base", 4 * SECOND)
    assert not buffer.can_transform("map", "base", 5 * SECOND)
    assert buffer.can_transform("base", "camera", 9 * SECOND), "static ones hold for all times"


def test_transforms_from_before_the_cache_count_once_time_has_jumped_back_to_them() -> None:
    buffer = TransformBuffer(cache_ns=10 * SECOND)
    for second in (100, 101):
        buffer.set_transform("map", "base", second * SECOND, shift(float(second)))
    for second in (1, 2):  # the recording begins anew: tf first, the first image a little later
        buffer.set_transform("map", "base", second * SECOND, shift(float(second)))
    assert not buffer.can_transform("map", "base", SECOND), "as long as nobody tells of a jump, they are too old"
    buffer.clear(after_ns=SECOND)
    np.testing.assert_allclose(buffer.lookup("map", "base", round(1.5 * SECOND)).translation, [1.5, 0, 0])
    assert not buffer.can_transform("map", "base", 100 * SECOND)


def test_late_transforms_are_kept_in_bounds() -> None:
    buffer = TransformBuffer(cache_ns=SECOND)
    buffer.set_transform("map", "base", 10_000 * SECOND, shift(0.0))
    for second in range(1, 1001):
        buffer.set_transform("map", "base", second * SECOND, shift(float(second)))
    buffer.clear(after_ns=5000 * SECOND)
    assert buffer.can_transform("map", "base", 1000 * SECOND)
    assert not buffer.can_transform("map", "base", 500 * SECOND)


def test_without_a_moment_everything_but_static_transforms_is_forgotten(buffer: TransformBuffer) -> None:
    buffer.clear()
    assert not buffer.can_transform("map", "base")
    assert buffer.can_transform("map", "dock")
