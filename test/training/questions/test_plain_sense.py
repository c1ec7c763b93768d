"""What a person would say of the things themselves, whatever boxes and templates allow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from model_training.questions.config import QuestionConfig
from model_training.questions.make import made_questions, questions_about
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.geometry.transforms import matrix_to_quaternion, rotation_about_axis
from training.questions.frames import frame, kitchen, thing

THINK = QuestionConfig(detection=0, category=0, referring=0, reasoning=26, attempts=6)


def test_sizes_that_only_hold_for_a_box_around_what_is_seen_are_not_asked() -> None:
    """A flat crate, seen from above by 45 degrees: along the camera's axes its box is more than twice as high."""
    down = rotation_about_axis([1.0, 0.0, 0.0], 0.25 * np.pi)
    turn = matrix_to_quaternion(down)
    crate = Box3D(center=np.array([-0.2, 0.0, 1.2]), size=np.array([0.3, 0.12, 0.3]), orientation_xyzw=turn)
    seen = thing(1, "crate", (0.2, 0.0, 1.2), (0.3, 0.3, 0.3), full=crate)
    cup = thing(2, "cup", (-0.2, 0.0, 1.2), (0.15, 0.19, 0.15), full=replace(crate, size=np.array([0.15, 0.19, 0.15])))
    config = replace(THINK, classes=("width_height", "tall_short"), attempts=40)
    up = tuple((down @ [0.0, -1.0, 0.0]).tolist())
    made = made_questions(frame(seen, cup, up=up), config)
    said = {one.answer for one in made.questions}
    assert {"The crate is 0.3 meters in width.", "The cup is 0.19 meters in height."} <= said
    assert not [answer for answer in said if "crate" in answer and ("height" in answer or "tall" in answer)]
    assert made.drops["tall_short: not so of the whole objects"] > 0


def test_nothing_is_measured_against_what_carries_it() -> None:
    classes = ("direction", "distance", "horizontal_vertical_distance", "depth_order", "front_behind", "left_right")
    asked = [one for k in range(6) for one in questions_about(kitchen(f"c-{k}"), replace(THINK, classes=classes))]
    assert asked
    # the bowl holds the apple, and the table carries all: it is asked about by its distance from the camera alone
    assert not [one.question for one in asked if 1 in one.object_ids and len(one.object_ids) > 1]
    near = replace(THINK, classes=("relative_distance",))
    asked = [one for k in range(6) for one in questions_about(kitchen(f"c-{k}"), near)]
    assert asked
    assert not [one.question for one in asked if 1 in one.object_ids]


def test_the_nearest_of_all_is_called_by_its_label_where_that_is_enough() -> None:
    record = replace(kitchen(), objects=tuple(one for one in kitchen().objects if one.id != 6))
    config = replace(THINK, classes=("furthest",))
    asked = [one for k in range(30) for one in questions_about(replace(record, id=f"all-{k}"), config)]
    answers = {one.value for one in asked if "object" in one.question}
    assert answers
    assert answers <= {"mug", "book", "bowl", "apple", "bottle"}


def test_what_is_closer_than_what_cannot_be_misread() -> None:
    config = replace(THINK, classes=("relative_distance",))
    asked = [one for k in range(6) for one in questions_about(kitchen(f"c-{k}"), config)]
    said = [text for one in asked if one.value_type == "boolean" for text in (one.question, one.answer)]
    assert said
    assert [text for text in said if not text.endswith((" is?", " is."))] == []
