"""Objects keep their ids, settle, and leave when they are gone."""

from __future__ import annotations

import dataclasses
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import make_detection, make_frame
from n3d_ros.detection import Detection3D
from n3d_ros.errors import ConfigurationError, InputError
from n3d_ros.geometry import RigidTransform, project
from n3d_ros.geometry.transforms import rotation_about_axis
from n3d_ros.scene.config import SceneConfig
from n3d_ros.scene.objects import Ballot, SceneObject
from n3d_ros.scene.scene import Scene
from scene.worlds import FRONT, INTRINSICS, Robot, Thing, depth_of, detect, look_from

LEFT = Thing("left", (-0.2, 0.0, 0.05), color="red")
RIGHT = Thing("right", (0.2, 0.0, 0.05), color="blue")


def ids(scene: Scene) -> list[int]:
    return [one.id for one in scene.objects]


def test_an_object_seen_twice_keeps_its_id_and_counts_its_looks() -> None:
    robot = Robot()
    first = robot.look([LEFT, RIGHT])
    second = robot.look([LEFT, RIGHT])
    assert ids(first) == ids(second) == [1, 2]
    assert [one.observations for one in second.objects] == [2, 2]
    assert second.objects[0].first_seen_ns == 100_000_000
    assert second.objects[0].last_seen_ns == second.stamp_ns == 200_000_000


def test_the_same_picture_looked_at_again_counts_once() -> None:
    robot = Robot()
    for _ in range(5):
        before = robot.look([LEFT, RIGHT])
    frame = make_frame(depth_m=9.0, intrinsics=INTRINSICS, stamp_ns=before.stamp_ns)
    after = before
    for _ in range(6):
        after = after.updated([detect(LEFT, FRONT)], scene_T_camera=FRONT, frame=frame, config=SceneConfig())
        after = after.updated([], scene_T_camera=FRONT, frame=frame, config=SceneConfig())
    assert ids(after) == ids(before)
    for one, known in zip(after.objects, before.objects, strict=True):
        assert (one.observations, one.missed, one.undetected) == (known.observations, 0, 0)
        np.testing.assert_array_equal(one.uncertainty.center_covariance_m2, known.uncertainty.center_covariance_m2)


def test_the_same_picture_looked_at_again_adds_what_was_overlooked_in_it() -> None:
    robot = Robot()
    robot.look([LEFT, RIGHT])
    before = robot.look([LEFT, RIGHT], found=[LEFT])
    frame = make_frame(depth_m=9.0, intrinsics=INTRINSICS, stamp_ns=before.stamp_ns)
    after = before.updated(
        [detect(RIGHT, FRONT)], scene_T_camera=FRONT, frame=frame, config=SceneConfig(), complete=False
    )
    assert [one.observations for one in after.objects] == [2, 2]


def test_ids_survive_any_order_of_detections() -> None:
    things = [LEFT, RIGHT, Thing("middle", (0.0, 0.1, 0.05), color="green")]
    results = []
    for order in permutations(range(3)):
        robot = Robot()
        for _ in range(3):
            robot.look(things, found=[things[i] for i in order])
        results.append([(one.id, one.label, one.box.center.tolist()) for one in robot.scene.objects])
    assert all(result == results[0] for result in results)


def test_two_alike_neighbours_five_centimetres_apart_keep_their_ids_while_boxes_flicker() -> None:
    rng = np.random.default_rng(5)
    a = Thing("a", (-0.025, 0.0, 0.04), size=(0.04, 0.04, 0.08))
    b = a.moved(dx=0.05)
    robot = Robot()
    robot.look([a, b])
    known = (robot.id_of(a), robot.id_of(b))
    assert known[0] != known[1]
    for _ in range(40):
        found = [thing for thing in (a, b) if rng.random() < 0.7]
        robot.look([a, b], found=found, rng=rng)
        assert ids(robot.scene) == [1, 2]
        assert (robot.id_of(a), robot.id_of(b)) == known


def test_a_neighbour_that_is_taken_away_takes_its_own_id_with_it() -> None:
    a = Thing("a", (-0.025, 0.0, 0.04), size=(0.04, 0.04, 0.08))
    b = a.moved(dx=0.05)
    robot = Robot()
    robot.look([a, b])
    id_b = robot.id_of(b)
    for _ in range(robot.config.max_missed_visible):
        robot.look([b])
    assert ids(robot.scene) == [id_b]


def test_ids_survive_a_camera_that_moves_around_the_table() -> None:
    rng = np.random.default_rng(1)
    things = [LEFT, RIGHT, Thing("tall", (0.0, 0.15, 0.1), size=(0.06, 0.06, 0.2), color="red", yaw_rad=0.4)]
    robot = Robot()
    for angle in np.linspace(0, np.pi, 25):
        camera = look_from((np.sin(angle), -np.cos(angle), 0.6))
        robot.look(things, camera=camera, rng=rng)
    assert ids(robot.scene) == [1, 2, 3]
    for thing in things:
        robot.id_of(thing)


def test_an_object_that_is_pushed_aside_keeps_its_id_and_is_followed_at_once() -> None:
    robot = Robot()
    for _ in range(10):
        robot.look([LEFT])
    pushed = LEFT.moved(dx=0.12)
    robot.look([pushed])
    assert ids(robot.scene) == [1]
    assert robot.id_of(pushed) == 1


def test_a_like_object_that_appears_beside_is_new_while_the_old_place_is_occupied() -> None:
    robot = Robot()
    robot.look([LEFT])
    beside = LEFT.moved(dx=0.12)
    robot.look([LEFT, beside], found=[beside])  # the old one is overlooked this time
    assert len(robot.scene.objects) == 2


def test_a_moved_object_is_not_mistaken_for_one_of_another_colour() -> None:
    robot = Robot()
    robot.look([LEFT])
    other = dataclasses.replace(LEFT.moved(dx=0.12), color="green")
    robot.look([other])
    assert {one.color for one in robot.scene.objects} == {"red", "green"}


def test_one_object_found_in_two_pieces_stays_one() -> None:
    whole = Thing("whole", (0.0, 0.0, 0.05), size=(0.24, 0.1, 0.1))
    halves = [
        dataclasses.replace(whole, size=(0.14, 0.1, 0.1), center=(-0.05, 0.0, 0.05)),
        dataclasses.replace(whole, size=(0.09, 0.1, 0.1), center=(0.07, 0.0, 0.05)),
    ]
    robot = Robot()
    for _ in range(5):
        robot.look([whole])
    for _ in range(2):
        robot.look([whole], found=halves)
    assert ids(robot.scene) == [1]
    assert robot.scene.objects[0].box.size[0] > 0.2, "a brief split does not shrink a settled box"


def test_an_object_that_falls_apart_for_good_becomes_two() -> None:
    whole = Thing("whole", (0.0, 0.0, 0.05), size=(0.24, 0.1, 0.1))
    halves = [
        dataclasses.replace(whole, size=(0.11, 0.1, 0.1), center=(-0.065, 0.0, 0.05)),
        dataclasses.replace(whole, size=(0.11, 0.1, 0.1), center=(0.065, 0.0, 0.05)),
    ]
    robot = Robot()
    robot.look([whole])
    for _ in range(60):
        robot.look(halves)
    assert len(robot.scene.objects) == 2
    assert {robot.id_of(half) for half in halves} == set(ids(robot.scene))


def test_two_objects_merged_for_a_moment_keep_both_ids() -> None:
    a, b = Thing("a", (-0.06, 0.0, 0.05)), Thing("b", (0.06, 0.0, 0.05))
    merged = Thing("both", (0.0, 0.0, 0.05), size=(0.22, 0.1, 0.1))
    robot = Robot()
    for _ in range(5):
        robot.look([a, b])
    for _ in range(robot.config.max_missed_visible - 1):
        robot.look([a, b], found=[merged])
    assert ids(robot.scene) == [1, 2]
    robot.look([a, b])
    assert ids(robot.scene) == [1, 2]
    assert {robot.id_of(a), robot.id_of(b)} == {1, 2}


def test_fruit_put_into_a_bowl_is_new_and_the_bowl_stays() -> None:
    bowl = Thing("bowl", (0.0, 0.0, 0.05), size=(0.2, 0.2, 0.1), color="white", shape="bowl")
    fruit = Thing("fruit", (0.03, 0.0, 0.05), size=(0.06, 0.06, 0.06), color="orange", shape="ball")
    robot = Robot()
    robot.look([bowl])
    for _ in range(5):
        robot.look([bowl, fruit])
    assert [one.label for one in robot.scene.objects] == ["white bowl", "orange ball"]


def test_pictures_of_different_scenes_one_after_another_leave_nothing_behind() -> None:
    robot = Robot()
    robot.look([LEFT])
    bigger = dataclasses.replace(LEFT, size=(0.2, 0.2, 0.2), center=(-0.2, 0.0, 0.1), color="green")
    for _ in range(robot.config.max_missed_visible):
        robot.look([bigger])
    assert [(one.id, one.color) for one in robot.scene.objects] == [(2, "green")]


# --- forgetting


def test_an_object_whose_place_is_seen_empty_is_gone_after_the_set_number_of_looks() -> None:
    robot = Robot(config=SceneConfig(max_missed_visible=3))
    robot.look([LEFT, RIGHT])
    for expected in ([1, 2], [1, 2], [1]):
        robot.look([LEFT])
        assert ids(robot.scene) == expected
    assert robot.look([LEFT, RIGHT]).objects[-1].id == 3, "an id is never given twice"


def test_an_object_behind_another_is_kept_until_it_is_forgotten() -> None:
    occluder = Thing("wall", (0.2, -0.4, 0.2), size=(0.4, 0.02, 0.4), color="gray")
    robot = Robot(config=SceneConfig(forget_after_s=5.0))
    for _ in range(10):
        robot.look([RIGHT])
    for _ in range(4):
        robot.look([RIGHT, occluder], found=[occluder], wait_s=1.0)
        assert robot.scene.by_id(1) is not None
    robot.look([RIGHT, occluder], found=[occluder], wait_s=1.5)
    assert robot.scene.by_id(1) is None


def test_an_object_out_of_view_is_kept_until_it_is_forgotten() -> None:
    away = look_from((0.0, -1.0, 0.6), at=(0.0, -3.0, 0.0))
    robot = Robot(config=SceneConfig(forget_after_s=5.0))
    for _ in range(10):
        robot.look([LEFT])
    for _ in range(4):
        assert ids(robot.look([], camera=away, wait_s=1.0)) == [1]
    assert ids(robot.look([], camera=away, wait_s=2.0)) == []


def test_an_object_found_only_twice_is_forgotten_sooner() -> None:
    away = look_from((0.0, -1.0, 0.6), at=(0.0, -3.0, 0.0))
    robot = Robot(config=SceneConfig(forget_after_s=5.0))
    for _ in range(2):
        robot.look([LEFT])
    assert ids(robot.look([], camera=away, wait_s=0.9)) == [1]
    assert ids(robot.look([], camera=away, wait_s=0.2)) == []


def test_no_depth_at_its_place_says_nothing_about_an_object() -> None:
    robot = Robot()
    robot.look([LEFT])
    scene = robot.scene
    for i in range(10):
        blind = make_frame(intrinsics=INTRINSICS, depth_m=np.nan, stamp_ns=robot.stamp_ns + (i + 1) * 10**8)
        scene = scene.updated([], scene_T_camera=FRONT, frame=blind, config=robot.config)
    assert ids(scene) == [1]
    assert scene.objects[0].missed == scene.objects[0].undetected == 0


def test_a_settled_object_that_is_overlooked_but_still_there_stays() -> None:
    robot = Robot()
    for _ in range(20):
        robot.look([LEFT])
    for _ in range(15):
        robot.look([LEFT], found=[])
    assert ids(robot.scene) == [1]


def test_a_box_found_only_once_is_dropped_when_later_looks_do_not_find_it() -> None:
    robot = Robot()
    ghost = Thing("ghost", (0.2, 0.0, 0.05))
    robot.look([LEFT, RIGHT], found=[LEFT, ghost])
    for _ in range(robot.config.max_missed_visible + 1):
        robot.look([LEFT, RIGHT], found=[LEFT])
    assert ids(robot.scene) == [robot.id_of(LEFT)]


def test_a_search_for_one_phrase_does_not_count_against_other_objects() -> None:
    robot = Robot()
    robot.look([LEFT, RIGHT])
    for _ in range(20):
        robot.look([LEFT, RIGHT], found=[RIGHT], complete=False)
    assert len(robot.scene.objects) == 2


def test_objects_beyond_the_limit_go_longest_unseen_first() -> None:
    robot = Robot(config=SceneConfig(max_objects=2))
    far_away = look_from((0.0, -1.0, 0.6), at=(0.0, -3.0, 0.0))
    robot.look([LEFT])
    robot.look([], camera=far_away)
    robot.look([RIGHT, Thing("middle", (0.0, 0.1, 0.05), color="green")], camera=FRONT)
    assert [one.color for one in robot.scene.objects] != []
    assert 1 not in ids(robot.scene)


# --- reporting


def test_an_object_is_reported_from_the_set_number_of_looks_on() -> None:
    robot = Robot(config=SceneConfig(min_observations=3))
    for _ in range(2):
        scene = robot.look([LEFT])
        assert scene.objects == ()
        assert len(scene.candidates) == 1
    assert ids(robot.look([LEFT])) == [1]


def test_labels_are_voted_and_a_mistaken_start_is_outvoted() -> None:
    robot = Robot()
    for label in ("orange box", "red box", "red box"):
        robot.look([LEFT], found=[dataclasses.replace(detect(LEFT, FRONT), label=label)])
    assert robot.scene.objects[0].label == "red box"


def test_a_tie_of_votes_keeps_the_present_word_and_ballots_stay_small() -> None:
    ballot = Ballot().cast("a", 0.95).cast("b", 0.95 * 0.95)
    assert ballot.winner == "a"
    for i in range(100):
        ballot = ballot.cast(f"word {i}")
    assert len(ballot.votes) <= 8
    assert Ballot().cast(None).winner is None


def test_the_same_picture_grounded_twice_adds_words_but_no_measurement() -> None:
    robot = Robot()
    robot.look([LEFT])
    before = robot.scene.objects[0]
    robot.look([LEFT], found=[dataclasses.replace(detect(LEFT.moved(dx=0.01), FRONT), label="mug")], wait_s=0.0)
    after = robot.scene.objects[0]
    assert after.observations == 1
    np.testing.assert_array_equal(after.box.center, before.box.center)
    assert dict(after.labels.votes).keys() == {"red box", "mug"}


def test_time_that_jumps_back_is_refused_with_its_reason() -> None:
    robot = Robot()
    robot.look([LEFT])
    with pytest.raises(InputError, match="start a new scene") as caught:
        robot.look([LEFT], wait_s=-0.05)
    assert caught.value.reason == "time_jump"


@pytest.mark.parametrize(("name", "value"), [("min_iou", 0.0), ("smoothing", 1.0), ("forget_after_s", float("nan"))])
def test_settings_out_of_range_are_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(ConfigurationError, match=name):
        SceneConfig(**{name: value})


# --- properties


numbers = st.floats(-0.4, 0.4)
detections = st.lists(
    st.builds(
        lambda x, y, z, side, color: make_detection(
            f"{color} box", center=(x, y, 1.2 + z), size=(side, side * 1.3, side * 0.8), color=color
        ),
        numbers, numbers, numbers, st.floats(0.03, 0.3), st.sampled_from(["red", "blue"]),
    ),
    max_size=6,
)  # fmt: skip
looks = st.lists(detections, min_size=1, max_size=4)


def run(looks: list[list[Detection3D]], scene_T_camera: RigidTransform) -> list[Scene]:
    scenes, scene = [], Scene.empty("map")
    for i, found in enumerate(looks):
        frame = make_frame(intrinsics=INTRINSICS, depth_m=2.5, stamp_ns=(i + 1) * 10**8)
        scene = scene.updated(found, scene_T_camera=scene_T_camera, frame=frame, config=SceneConfig())
        scenes.append(scene)
    return scenes


def described(one: SceneObject) -> tuple[object, ...]:
    return (one.id, one.label, one.color, one.observations, one.missed, one.undetected)


@settings(max_examples=25, deadline=None)
@given(looks, st.randoms(use_true_random=False))
def test_the_scene_does_not_depend_on_the_order_of_detections(looks: list[list[Detection3D]], random: object) -> None:
    shuffled = [list(found) for found in looks]
    for found in shuffled:
        random.shuffle(found)  # type: ignore[attr-defined]
    for a, b in zip(run(looks, FRONT), run(shuffled, FRONT), strict=True):
        assert [described(one) for one in a.objects] == [described(one) for one in b.objects]
        for one, other in zip(a.objects, b.objects, strict=True):
            np.testing.assert_array_equal(one.box.corners, other.box.corners)


@settings(max_examples=25, deadline=None)
@given(looks, numbers, st.floats(-3, 3))
def test_the_scene_moves_with_its_frame(looks: list[list[Detection3D]], shift: float, angle: float) -> None:
    other_T_map = RigidTransform(rotation=rotation_about_axis([1, 2, 3], angle), translation=np.array([shift, 5, -1]))
    for here, there in zip(run(looks, FRONT), run(looks, other_T_map @ FRONT), strict=True):
        moved = here.transformed("other", other_T_map)
        assert [described(one) for one in moved.objects] == [described(one) for one in there.objects]
        for one, other in zip(moved.objects, there.objects, strict=True):
            np.testing.assert_allclose(one.box.corners, other.box.corners, atol=1e-6)
            np.testing.assert_allclose(
                one.uncertainty.center_covariance_m2, other.uncertainty.center_covariance_m2, atol=1e-9
            )


@settings(max_examples=25, deadline=None)
@given(looks)
def test_ids_are_unique_ascending_and_never_reused(looks: list[list[Detection3D]]) -> None:
    used: set[int] = set()
    previous: set[int] = set()
    for scene in run(looks, FRONT):
        present = [one.id for one in scene.objects]
        assert present == sorted(set(present))
        assert not (set(present) - previous) & used, "an id came back"
        previous, used = set(present), used | set(present)


@settings(max_examples=25, deadline=None)
@given(looks)
def test_a_snapshot_is_never_changed_by_later_looks(looks: list[list[Detection3D]]) -> None:
    scenes = run(looks, FRONT)
    first = scenes[0]
    frozen = [(described(one), one.box.corners.copy()) for one in first.objects]
    first.updated(
        [], scene_T_camera=FRONT, frame=make_frame(intrinsics=INTRINSICS, stamp_ns=10**10), config=SceneConfig()
    )
    for one, (words, corners) in zip(first.objects, frozen, strict=True):
        assert described(one) == words
        np.testing.assert_array_equal(one.box.corners, corners)
    with pytest.raises(dataclasses.FrozenInstanceError):
        first.stamp_ns = 0  # type: ignore[misc]


def test_a_scene_refuses_an_id_used_twice() -> None:
    one = SceneObject.first(1, make_detection(), 0)
    with pytest.raises(InputError, match="unique ids"):
        Scene(frame_id="map", stamp_ns=0, objects=(one, one))


def test_the_world_of_these_tests_has_its_box_where_it_says() -> None:
    depth = depth_of([LEFT], FRONT)
    pixel = np.array([LEFT.center]) @ FRONT.rotation - FRONT.translation @ FRONT.rotation
    u, v = project(pixel, INTRINSICS)[0]
    assert 0 < pixel[0, 2] - depth[round(v), round(u)] < 0.1
