"""Runs held against what was expected: every kind of change is caught, rounding of another machine is not."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from n3d_ros.errors import InputError
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.geometry.transforms import RigidTransform, rotation_about_axis
from n3d_ros.ros.bag_questions import BagQuestion
from n3d_ros.ros.golden.comparing import compare, pair_objects
from n3d_ros.ros.golden.expected import (
    ExpectedAnswer,
    ExpectedImage,
    ExpectedObject,
    Golden,
    RecordingIdentity,
    Tolerances,
)
from n3d_ros.ros.golden.telling import one_line, rows_of, verdict

NOTHING_MAY_DIFFER = Tolerances(min_iou=1, center_m=0, size_m=0, yaw_deg=0, score=0, value_share=0)
RECORDING = RecordingIdentity(name="desk", duration_s=1.0, topics={}, messages={}, digest="sha256:0")


def thing(label: str, x: float, size: tuple[float, float, float] = (0.2, 0.1, 0.3)) -> ExpectedObject:
    return ExpectedObject(label=label, box=Box3D.axis_aligned([x, 0.1, 0.8], size), score=0.9)


def answer(text: str, value: object, unit: str | None = "m", **more: object) -> ExpectedAnswer:
    fields = {"status": "OK", "objects": ("red box",), **more}
    return ExpectedAnswer(question=BagQuestion(text=text), value=value, unit=unit, **fields)  # type: ignore[arg-type]


def golden(*objects: ExpectedObject, answers: tuple[ExpectedAnswer, ...] = ()) -> Golden:
    things = objects or (thing("red box", 0.0), thing("blue box", 0.5))
    images = tuple(ExpectedImage(stamp_ns=i * 10**8, frame_id="map", objects=things) for i in range(3))
    return Golden(package_version="1", recording=RECORDING, backend="geometric", images=images, answers=answers)


def changed(saved: Golden, change: Callable[[ExpectedObject], ExpectedObject]) -> Golden:
    """The second image's first object changed."""
    image = saved.images[1]
    other = replace(image, objects=(change(image.objects[0]), *image.objects[1:]))
    return replace(saved, images=(saved.images[0], other, saved.images[2]))


def turned(one: ExpectedObject, degrees: float) -> ExpectedObject:
    rotation = rotation_about_axis([0.0, 0.0, 1.0], math.radians(degrees))
    pose = RigidTransform(rotation=rotation @ one.box.rotation, translation=one.box.center)
    box = Box3D(center=one.box.center, size=one.box.size, orientation_xyzw=pose.orientation_xyzw)
    return replace(one, box=box)


def moved(one: ExpectedObject, by_m: float) -> ExpectedObject:
    return replace(one, box=replace(one.box, center=one.box.center + np.array([0.0, 0.0, by_m])))


def grown(one: ExpectedObject, by_m: float) -> ExpectedObject:
    return replace(one, box=replace(one.box, size=one.box.size + np.array([by_m, 0.0, 0.0])))


def test_a_run_is_the_same_as_itself_when_nothing_may_differ() -> None:
    saved = golden(answers=(answer("how far?", 1.25), answer("what?", None, None), answer("is it?", value=True)))
    comparison = compare(saved, saved, NOTHING_MAY_DIFFER)
    assert comparison.is_same and rows_of(comparison) == []
    assert verdict(comparison) == "Same: 3 images with 6 objects and 3 answers as expected."


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("centre", lambda one: moved(one, 0.03)),
        ("size", lambda one: grown(one, 0.03)),
        ("yaw", lambda one: turned(one, 8.0)),
        ("label", lambda one: replace(one, label="red bowl")),
        ("score", lambda one: replace(one, score=0.5)),
        ("overlap", lambda one: moved(one, 0.2)),
        ("missing", lambda one: moved(one, 0.9)),
        ("extra", lambda one: moved(one, 0.9)),
    ],
)
def test_each_kind_of_change_is_caught_and_named(kind: str, change: Callable[[ExpectedObject], ExpectedObject]) -> None:
    saved = golden()
    comparison = compare(saved, changed(saved, change), Tolerances())
    assert not comparison.is_same
    assert [bool(case.differences) for case in comparison.cases] == [False, True, False]
    kinds = {one.kind for one in comparison.cases[1].differences}
    assert kind in kinds
    assert kinds <= {kind, "centre", "missing", "extra"}, "one change is told as one thing"


@pytest.mark.parametrize("change", [lambda one: moved(one, 1e-4), lambda one: turned(one, 0.1)])
def test_what_another_processor_makes_of_the_same_images_is_no_difference(
    change: Callable[[ExpectedObject], ExpectedObject],
) -> None:
    saved = golden()
    other = changed(saved, change)
    assert compare(saved, other, Tolerances()).is_same
    assert not compare(saved, other, NOTHING_MAY_DIFFER).is_same


def test_a_tolerance_is_the_largest_difference_that_passes() -> None:
    saved = golden()
    other = changed(saved, lambda one: moved(one, 0.05))
    assert compare(saved, other, Tolerances(center_m=0.05)).is_same
    assert not compare(saved, other, Tolerances(center_m=0.0499)).is_same


def test_objects_that_swapped_places_are_told_by_their_labels() -> None:
    saved = golden(thing("red box", 0.0), thing("blue box", 0.5))
    other = golden(thing("blue box", 0.0), thing("red box", 0.5))
    comparison = compare(saved, other, Tolerances())
    assert {one.kind for case in comparison.cases for one in case.differences} == {"label"}


def test_objects_are_paired_so_that_all_overlap_most() -> None:
    # greedy pairing would give the middle one to the first and leave the second alone
    expected = [thing("box", 0.0), thing("box", 0.12)]
    found = [thing("box", 0.07), thing("box", 0.19)]
    assert pair_objects(expected, found) == [(0, 0), (1, 1)]
    assert pair_objects(expected, []) == [] and pair_objects([], found) == []


def test_a_round_thing_may_be_turned() -> None:
    can = replace(thing("can", 0.0, (0.1, 0.1, 0.2)), any_yaw=True)
    saved = golden(can)
    assert compare(saved, changed(saved, lambda one: turned(one, 40)), Tolerances()).is_same


def test_an_image_that_is_missing_or_ended_otherwise_is_a_difference() -> None:
    saved = golden()
    first, second, third = saved.images
    without = replace(saved, images=(first, third))
    assert [one.kind for one in compare(saved, without, Tolerances()).cases[1].differences] == ["image"]
    failed = replace(saved, images=(first, replace(second, status="NO_DEPTH", objects=()), third))
    assert "NO_DEPTH" in compare(saved, failed, Tolerances()).cases[1].differences[0].sentence
    elsewhere = replace(saved, images=(first, replace(second, frame_id="odom"), third))
    assert [one.kind for one in compare(saved, elsewhere, Tolerances()).cases[1].differences] == ["frame"]


def test_a_file_from_which_images_were_deleted_compares_the_others_and_says_so() -> None:
    whole = golden()
    comparison = compare(replace(whole, images=whole.images[:1]), whole, Tolerances())
    assert comparison.is_same and len(comparison.cases) == 1
    assert "2 images of the recording are not in the golden file" in comparison.notes[0]


def test_another_recording_cannot_be_compared() -> None:
    saved = golden()
    other = replace(saved, images=tuple(replace(one, stamp_ns=one.stamp_ns + 1) for one in saved.images))
    with pytest.raises(InputError, match="None of the 3 expected images"):
        compare(saved, other, Tolerances())
    with pytest.raises(InputError, match="expects nothing"):
        compare(replace(saved, images=()), saved, Tolerances())


@pytest.mark.parametrize(
    ("wanted", "found", "unit", "is_same"),
    [
        (2.0, 2.0, "1", True),
        (2.0, 3.0, "1", False),
        (100.0, 101.0, "1", False),
        (1.5, 1.51, "1", True),  # a ratio, not a count
        (True, False, "", False),
        (True, 1.0, "", False),
        ("the red box", "the red box", "", True),
        ("the red box", "the blue box", "", False),
        (1.000, 1.025, "m", True),  # two hundredths and a centimetre
        (1.000, 1.035, "m", False),
        ([0.1, 0.2, 0.3], [0.1, 0.2, 0.309], "m", True),
        ([0.1, 0.2, 0.3], [0.1, 0.2, 0.32], "m", False),
        ([0.0, 1.0, 0.0], [0.05, 0.99, 0.0], "", True),
        ([0.0, 1.0, 0.0], [0.0, -1.0, 0.0], "", False),
        (1.0, None, "m", False),
        (1.0, [1.0, 0.0, 0.0], "m", False),
        (None, 4.0, "m", True),
    ],
)
def test_each_kind_of_answer_is_compared_in_its_own_way(
    wanted: object, found: object, unit: str, is_same: bool
) -> None:
    saved, other = golden(answers=(answer("q?", wanted, unit),)), golden(answers=(answer("q?", found, unit),))
    assert compare(saved, other, Tolerances()).is_same is is_same


def test_a_length_in_another_unit_or_about_another_object_is_a_difference() -> None:
    saved = golden(answers=(answer("q?", 1.0, "m"),))
    for other in (
        answer("q?", 1.0, "m^2"),
        answer("q?", 1.0, objects=("blue box",)),
        answer("q?", 1.0, status="TIMEOUT"),
    ):
        assert not compare(saved, golden(answers=(other,)), Tolerances()).is_same
    assert not compare(saved, golden(), Tolerances()).is_same
    free = replace(saved.answers[0], status=None, value=None, unit=None, objects=None)
    assert compare(golden(answers=(free,)), golden(answers=(answer("q?", 7.0, "rad"),)), Tolerances()).is_same


def test_the_worst_difference_comes_first_and_the_same_in_many_images_is_one_row() -> None:
    saved = golden()
    images = tuple(
        replace(one, objects=(moved(one.objects[0], 0.012 + 0.004 * i), turned(one.objects[1], 15)))
        for i, one in enumerate(saved.images)
    )
    comparison = compare(saved, replace(saved, images=images), Tolerances())
    rows = rows_of(comparison)
    assert [row[:2] for row in rows] == [["yaw", "blue box"], ["centre", "red box"]]
    assert rows[1][3:] == ["0.0200 m", "3", "0.200 s"]
    assert verdict(comparison).startswith("Differs: 6 differences in 3 of 3 images")


def test_settings_and_versions_that_changed_are_noted() -> None:
    saved = replace(golden(), settings={"output_frame": "map"}, package_version="0.9", backend="model")
    notes = " ".join(compare(saved, golden(), Tolerances()).notes)
    assert "output_frame: saved with map, run with its default" in notes
    assert "0.9" in notes and "'model'" in notes


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
def test_a_tolerance_out_of_its_range_is_refused(value: float) -> None:
    with pytest.raises(InputError, match="Tolerance center_m"):
        Tolerances(center_m=value)
    with pytest.raises(InputError, match="from 0 to 1"):
        Tolerances(min_iou=1.5)


def test_words_from_outside_reach_the_terminal_on_one_line() -> None:
    assert one_line("red\n\x1b[31mbox\u202e" + "x" * 100).startswith("red  [31mbox x")
    assert len(one_line("x" * 1000)) == 60


def test_many_images_are_compared_without_much_ado() -> None:
    saved = golden(*(thing(f"box {i}", 0.4 * i) for i in range(40)))
    assert np.prod([len(saved.images), len(saved.images[0].objects)]) == 120
    assert compare(saved, saved, NOTHING_MAY_DIFFER).is_same
