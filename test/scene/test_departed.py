"""Objects that left the scene get their old id back, and only where nothing speaks against it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from n3d_ros.geometry import RigidTransform
from n3d_ros.geometry.transforms import rotation_about_axis
from n3d_ros.scene.config import SceneConfig
from n3d_ros.scene.departed import Departure
from n3d_ros.scene.moving import moved
from scene.worlds import Robot, Thing, look_from

MUG = Thing("mug", (-0.2, 0.0, 0.05), color="red", shape="cylinder")
BOX = Thing("box", (0.2, 0.0, 0.04), size=(0.12, 0.08, 0.08), color="blue")
ELSEWHERE = MUG.moved(dx=0.3, dy=0.15)
AWAY = look_from((0.0, -1.0, 0.6), at=(0.0, -3.0, 0.0))


def settled(*things: Thing, looks: int = 10, **settings: float) -> Robot:
    robot = Robot(config=SceneConfig(**settings))  # type: ignore[arg-type]
    for _ in range(looks):
        robot.look(things)
    return robot


def ids(robot: Robot) -> list[int]:
    return [one.id for one in robot.scene.objects]


def gone(robot: Robot) -> list[tuple[int, Departure]]:
    return [(one.object.id, one.how) for one in robot.scene.departed]


def test_what_is_taken_away_is_remembered_with_its_words_and_how_it_left() -> None:
    robot = settled(MUG, BOX)
    left_ns = robot.stamp_ns + 3 * 100_000_000
    for _ in range(5):
        robot.look([BOX])
    assert gone(robot) == [(1, Departure.EMPTY)]
    one = robot.scene.departed[0]
    assert (one.object.label, one.object.color, one.left_ns) == ("red cylinder", "red", left_ns)
    assert one.object.last_seen_ns < one.left_ns


def test_what_is_put_back_in_its_place_gets_its_old_id() -> None:
    robot = settled(MUG, BOX)
    for _ in range(20):
        robot.look([BOX])
    robot.look([MUG, BOX])
    assert ids(robot) == [1, 2]
    assert robot.id_of(MUG) == 1
    assert robot.scene.departed == ()
    back = robot.scene.by_id(1)
    assert back is not None
    assert (back.first_seen_ns, back.observations) == (100_000_000, 11)


def test_what_is_put_down_elsewhere_gets_its_old_id_when_it_is_the_only_one_of_its_looks() -> None:
    robot = settled(MUG, BOX)
    for _ in range(20):
        robot.look([BOX])
    robot.look([ELSEWHERE, BOX])
    assert robot.id_of(ELSEWHERE) == 1


def test_what_jumps_between_two_looks_keeps_its_id() -> None:
    robot = settled(MUG, BOX)
    robot.look([ELSEWHERE, BOX])
    assert ids(robot) == [1, 2]
    assert robot.id_of(ELSEWHERE) == 1


def test_of_twins_the_one_that_comes_back_elsewhere_is_new_and_at_its_place_the_old_one() -> None:
    twin = MUG.moved(dx=0.2, dy=0.2)
    robot = settled(MUG, twin, BOX)
    known = robot.id_of(MUG), robot.id_of(twin)
    for _ in range(5):
        robot.look([twin, BOX])
    robot.look([twin, ELSEWHERE, BOX])
    assert robot.id_of(twin) == known[1]
    assert robot.id_of(ELSEWHERE) == 4, "nobody can tell that it is the one that left"
    robot.look([twin, ELSEWHERE, BOX, MUG])
    assert robot.id_of(MUG) == known[0]


def test_of_two_twins_that_both_left_none_is_told_apart_elsewhere() -> None:
    twin = MUG.moved(dx=0.2, dy=0.2)
    robot = settled(MUG, twin, BOX)
    for _ in range(5):
        robot.look([BOX])
    robot.look([ELSEWHERE, BOX])
    assert robot.id_of(ELSEWHERE) == 4


def test_two_new_ones_that_both_fit_are_both_new() -> None:
    robot = settled(MUG, BOX)
    for _ in range(5):
        robot.look([BOX])
    other = ELSEWHERE.moved(dx=0.15)
    robot.look([ELSEWHERE, other, BOX])
    assert ids(robot) == [2, 3, 4]


@pytest.mark.parametrize(
    "other",
    [
        replace(ELSEWHERE, color="green"),
        replace(ELSEWHERE, shape="box"),
        replace(ELSEWHERE, size=(0.1, 0.1, 0.16)),
    ],
    ids=["of another colour", "of another shape", "of another size"],
)
def test_a_thing_unlike_the_one_that_left_is_new(other: Thing) -> None:
    robot = settled(MUG, BOX)
    for _ in range(5):
        robot.look([BOX])
    robot.look([other, BOX])
    assert robot.id_of(other) == 3


def test_the_id_of_what_may_still_be_there_is_not_given_away() -> None:
    robot = settled(MUG, forget_after_s=5.0)
    for _ in range(8):
        robot.look([MUG], found=[], camera=AWAY, wait_s=1.0)
    assert gone(robot) == [(1, Departure.UNSEEN)]
    table = look_from((0.0, -4.0, 0.6), at=(0.0, -3.0, 0.0))
    alike = MUG.moved(dx=0.2, dy=-3.0)
    robot.look([MUG, alike], found=[alike], camera=table)
    assert robot.id_of(alike) == 2


def test_ids_survive_a_camera_that_pans_away_for_longer_than_objects_are_kept() -> None:
    robot = settled(MUG, BOX, forget_after_s=5.0)
    for _ in range(8):
        robot.look([MUG, BOX], found=[], camera=AWAY, wait_s=1.0)
    assert ids(robot) == []
    robot.look([MUG, BOX])
    assert (robot.id_of(MUG), robot.id_of(BOX)) == (1, 2)


def test_ids_survive_a_hand_that_passes_before_them() -> None:
    robot = settled(MUG, BOX)
    for x in np.linspace(-0.5, 0.5, 25):
        hand = Thing("hand", (float(x), -0.4, 0.3), size=(0.15, 0.02, 0.3), color="pink", shape="box")
        robot.look([MUG, BOX, hand], found=[one for one in (MUG, BOX) if abs(one.center[0] - x) > 0.2])
        assert ids(robot) == [1, 2]
    robot.look([MUG, BOX])
    assert (robot.id_of(MUG), robot.id_of(BOX)) == (1, 2)


def test_a_thing_found_once_or_twice_and_then_not_where_it_should_be_is_not_remembered() -> None:
    robot = settled(BOX)
    for _ in range(2):
        robot.look([BOX], found=[BOX, MUG])
    for _ in range(5):
        robot.look([BOX])
    assert gone(robot) == []


def test_memory_of_what_left_is_bounded_in_time_and_number() -> None:
    robot = settled(MUG, BOX, remember_departed_s=3.0)
    for _ in range(5):
        robot.look([BOX])
    robot.look([BOX], wait_s=4.0)
    assert gone(robot) == []
    robot = settled(MUG, BOX, max_departed=1)
    for _ in range(5):
        robot.look([])
    assert len(gone(robot)) == 1


def test_what_is_crowded_out_is_remembered_as_that() -> None:
    robot = settled(MUG, max_objects=1)
    robot.look([BOX], camera=look_from((0.4, -0.8, 0.5), at=(0.6, 0.0, 0.0)))
    assert gone(robot) == [(1, Departure.CROWDED_OUT)]


def test_many_objects_at_once_move_as_each_alone() -> None:
    robot = settled(MUG, replace(BOX, yaw_rad=0.7), looks=2)
    robot.look([], wait_s=40.0, camera=AWAY)
    other_T_map = RigidTransform(rotation=rotation_about_axis([1, 2, 3], 2.1), translation=np.array([1.0, 5.0, -1.0]))
    objects = [one.object for one in robot.scene.departed]
    assert len(objects) == 2
    for one, plain in zip(moved(objects, other_T_map), (one.transformed(other_T_map) for one in objects), strict=True):
        np.testing.assert_allclose(one.box.corners, plain.box.corners, atol=1e-12)
        np.testing.assert_allclose(
            one.uncertainty.center_covariance_m2, plain.uncertainty.center_covariance_m2, atol=1e-15
        )
        assert not one.box.center.flags.writeable
        assert (one.id, one.label, one.labels, one.last_seen_ns) == (
            plain.id,
            plain.label,
            plain.labels,
            plain.last_seen_ns,
        )
    seen = robot.scene.transformed("other", other_T_map)
    assert [one.object.id for one in seen.departed] == [one.id for one in objects]
    np.testing.assert_allclose(
        seen.departed[0].object.box.center, objects[0].transformed(other_T_map).box.center, atol=1e-12
    )
