from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from model_training.data.records import FrameRecord, QuestionRecord
from model_training.questions.answered import answered
from model_training.questions.asked_frame import asked_frame
from model_training.questions.checked_text import fault_of
from model_training.questions.config import REASONING_CLASSES, QuestionConfig
from model_training.questions.draft import Named, lettered
from model_training.questions.make import made_questions, questions_about
from n3d_ros.codec.reasoning import first_sentence
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.geometry.transforms import matrix_to_quaternion, rotation_about_axis
from n3d_ros.scene.comparison import Agreement, agreement
from n3d_ros.scene.spatial_answer import SpatialAnswer, ValueType
from training.questions.frames import frame, kitchen, random_frame, thing

THINK = QuestionConfig(detection=0, category=0, referring=0, reasoning=26, attempts=6)
NUMBER = re.compile(r"\d+(?:\.\d+)?")


def named(record: FrameRecord, question: QuestionRecord, config: QuestionConfig = THINK) -> tuple[Named, ...]:
    """The question's objects as its reasoning calls them; names in the question play no part there."""
    asked = asked_frame(record, config)
    return lettered([(asked.by_id(i), "") for i in question.object_ids])


def says(question: QuestionRecord, found: SpatialAnswer, record: FrameRecord) -> bool:
    """Whether the node's answer is the record's value, read here in its own way."""
    if found.value_type.name.lower() != question.value_type:
        return False
    if found.value_type is ValueType.NUMBER:
        return found.unit == question.unit and abs(float(found.value) - float(question.value)) < 1e-3  # type: ignore[arg-type]
    if found.value_type is ValueType.DIRECTION:
        return found.clock_hour == int(question.value)
    if found.value_type is ValueType.BOOLEAN:
        return (question.value == "yes") is found.value
    names = [one.strip() for one in question.value.split(";")]
    if names[0] in ("left", "right", "front", "behind", "above", "below"):
        return found.value == names[0]
    labels = [record.by_id(i).label for i in found.object_ids[: len(names)]]  # type: ignore[union-attr]
    return all(name.endswith(label) for name, label in zip(names, labels, strict=True))


@pytest.fixture(scope="module")
def many() -> list[tuple[FrameRecord, QuestionRecord]]:
    """Questions of all classes about frames without rhyme."""
    rng = np.random.default_rng(5)
    records = [random_frame(rng, f"frame-{k}") for k in range(16)]
    return [(record, one) for record in records for one in questions_about(record, THINK)]


def test_every_class_is_asked_about_as_often(many: list[tuple[FrameRecord, QuestionRecord]]) -> None:
    counts = {name: sum(one.question_class == name for _, one in many) for name in REASONING_CLASSES}
    assert min(counts.values()) > 0.3 * max(counts.values()), counts


def test_the_node_answers_every_question_as_recorded(many: list[tuple[FrameRecord, QuestionRecord]]) -> None:
    wrong = [one.question for record, one in many if not says(one, answered(record, one), record)]
    assert wrong == []


def test_every_final_sentence_says_the_value(many: list[tuple[FrameRecord, QuestionRecord]]) -> None:
    for record, one in many:
        found = answered(record, one)
        assert agreement(found.value, found.value_type, one.answer, words=found.value_text) is Agreement.AGREE


def test_every_number_of_every_reasoning_is_read_again(many: list[tuple[FrameRecord, QuestionRecord]]) -> None:
    assert {fault_of(one.reasoning, named(record, one)) for record, one in many} == {""}


def test_any_number_changed_in_a_reasoning_is_caught(many: list[tuple[FrameRecord, QuestionRecord]]) -> None:
    rng, tried = np.random.default_rng(1), set[str]()
    for record, one in many:
        things = named(record, one)
        if rng.random() > 0.25 and one.question_class in tried:
            continue
        tried.add(one.question_class)
        tags = [match.span() for thing in things for match in re.finditer(re.escape(thing.tag), one.reasoning)]
        for match in NUMBER.finditer(one.reasoning):
            if any(start <= match.start() < end for start, end in tags):
                continue  # a number in a name
            other = str(float(match[0]) + 0.01) if "." in match[0] else str(int(match[0]) + 1)
            wrong = one.reasoning[: match.start()] + other + one.reasoning[match.end() :]
            assert fault_of(wrong, things), f"{match[0]} -> {other} at {match.start()} of {one.reasoning}"
    assert tried == set(REASONING_CLASSES)


def test_a_number_in_a_form_that_is_not_known_is_a_fault() -> None:
    record = kitchen()
    (one,) = (one for one in asked_frame(record, THINK).objects if one.label == "bottle")
    things = lettered([(one, "bottle")])
    assert fault_of("So the height of bottle is 0.3 meters.", things) == ""
    assert "0.31" in fault_of("So the height of bottle is 0.31 meters.", things)
    assert "42" in fault_of("So the height of bottle is 0.3 meters, 42 times that of a pea.", things)


def test_two_numbers_in_the_wrong_order_are_a_fault() -> None:
    record = frame(thing(1, "mug", (0.5, 0.0, 1.0)), thing(2, "book", (-0.5, 0.0, 2.0)))
    by_label = {one.label: one for one in asked_frame(record, THINK).objects}
    things = lettered([(by_label["mug"], "mug"), (by_label["book"], "book")])
    assert fault_of("Since Z_A = 1.0 < Z_B = 2.0, mug is in front.", things) == ""
    assert fault_of("Since Z_A = 1.0 > Z_B = 2.0, mug is behind.", things)
    assert fault_of("Since Z_A = 2.0 > Z_B = 1.0, mug is behind.", things)


def test_a_cross_product_is_written_as_one() -> None:
    record = frame(
        thing(1, "mug", (0.0, 0.0, 1.0)), thing(2, "book", (0.3, 0.0, 2.0)), thing(3, "bowl", (0.2, 0.0, 1.5))
    )
    by_label = {one.label: one for one in asked_frame(record, THINK).objects}
    things = lettered([(by_label[label], label) for label in ("mug", "book", "bowl")])
    assert fault_of("cross_ABC = 0.2 * 1.0 - 0.5 * 0.3 = 0.05", things) == ""
    assert fault_of("cross_ABC = 0.2 - 1.0 * 0.5 - 0.3 = 0.05", things)
    assert fault_of("cross_ABC = 0.2 * 1.0 * 0.5 * 0.3 = 0.05", things)
    assert fault_of("cross_ABC = 0.2 * 1.0 - 0.5 * 0.3 = 0.06", things)


def test_digits_in_names_are_no_numbers() -> None:
    record = frame(thing(1, "7up can", (0.5, 0.0, 1.0), (0.06, 0.12, 0.06)))
    things = lettered([(asked_frame(record, THINK).objects[0], "7up can")])
    assert fault_of("So the height of 7up can is 0.12 meters.", things) == ""


KNOWN = {
    "Is the bottle to the left of the bowl?": "yes",
    "Is the bottle to the right of the bowl?": "no",
    "Is the bowl left or right of the bottle?": "right",
    "Is the red mug in front of the bowl?": "yes",
    "Is the red mug behind the bowl?": "no",
    "From the opposite side, is the bottle to the left of the bowl?": "no",
    "Which is taller, the bottle or the book?": "bottle",
    "Which is shorter, the bottle or the book?": "book",
    "Is the book wider than the bottle?": "yes",
    "How tall is the bottle?": 0.3,
    "What is the height of the bottle?": 0.3,
    "How wide is the bowl?": 0.25,
    "What is the width of the book?": 0.2,
    "How far is the bottle from the camera?": 1.0,
    "How far away is the book?": 0.9,
    "How far is the bottle from the bowl?": float(np.sqrt(0.6**2 + 0.11**2 + 0.1**2)),
    "What is the distance between the bottle and the bowl?": float(np.sqrt(0.6**2 + 0.11**2 + 0.1**2)),
    "What is the horizontal distance between the bottle and the book?": float(np.hypot(1.15, 0.1)),
    "What is the vertical distance between the bottle and the book?": 0.135,
    "At what o'clock is the bowl from the bottle?": 3,  # 0.6 m right, 0.1 m ahead: 81 degrees right of ahead
    "If you are at the bowl, at what o'clock is the bottle?": 9,  # the way back, 99 degrees left of ahead
    "Which is closer to the bottle, the red mug or the bowl?": "red mug",
    "Which is closer to the bottle, the bowl or the red mug?": "red mug",
    "Sort the red mug, the bottle and the blue mug from nearest to farthest.": "red mug; bottle; blue mug",
}
"""What can be seen from the numbers in ``kitchen``."""


@pytest.mark.parametrize("text", KNOWN)
def test_answers_in_the_kitchen_are_those_worked_out_by_hand(text: str) -> None:
    asked = QuestionRecord(id="q", frame_id="kitchen-0", kind="reasoning", question=text)
    found, wanted = answered(kitchen(), asked), KNOWN[text]
    if isinstance(wanted, float):
        assert found.value == pytest.approx(wanted, abs=1e-6)
        assert found.unit == "m"
    elif isinstance(wanted, int):
        assert found.clock_hour == wanted
    elif ";" in wanted:
        assert found.object_ids == (3, 2, 6)
    else:
        assert re.sub(r" \d+$", "", found.value_text) in (wanted, wanted.split()[-1])


def worked_out(record: FrameRecord, one: QuestionRecord) -> object:
    """The answer by a few lines of numpy, from the words of the question and the objects in the order it names them."""
    objects = [record.by_id(i) for i in one.object_ids]
    centers = np.array([thing.visible_box.center * [-1, -1, 1] for thing in objects])  # type: ignore[union-attr]
    sizes = np.array([thing.visible_box.size for thing in objects])  # type: ignore[union-attr]
    words, kind = one.question.lower(), one.question_class
    flip = -1.0 if one.viewpoint == "opposite" else 1.0
    if kind in ("distance", "width_height", "horizontal_vertical_distance"):
        if kind == "width_height":
            return sizes[0, 1] if "tall" in words or "height" in words else sizes[0, 0]
        if len(objects) == 1:
            return centers[0, 2]
        axes = [0, 2] if "horizontal" in words else [1] if "vertical" in words else [0, 1, 2]
        return float(np.linalg.norm((centers[0] - centers[1])[axes]))
    if kind == "direction":
        way = centers[-1] - centers[0]
        ahead = centers[1] - centers[0] if len(objects) == 3 else np.array([0.0, 0.0, 1.0])
        turned = np.degrees(np.arctan2(way[0], way[2]) - np.arctan2(ahead[0], ahead[2])) % 360
        return int(12 - turned // 30) or 12
    if kind == "left_right" and one.viewpoint.startswith("object"):
        way, ahead = centers[2] - centers[0], centers[1] - centers[0]
        side = "left" if way[0] * ahead[2] > way[2] * ahead[0] else "right"
        return side if "left" in words and "right" in words else "yes" if side in words else "no"
    amount, more, less = {
        "left_right": (flip * centers[:, 0], ("left",), ("right",)),
        "front_behind": (flip * centers[:, 2], ("behind", "back", "farther"), ("front", "closer")),
        "above_below": (centers[:, 1], ("above", "higher", "highest"), ("below", "lower", "lowest")),
        "wide_thin": (sizes[:, 0], ("wider", "widest", "greater"), ("thinner", "narrower", "narrowest", "smaller")),
        "tall_short": (sizes[:, 1], ("taller", "tallest", "greater"), ("shorter", "shortest", "smaller")),
        "big_small": (sizes.prod(axis=1), ("bigger", "larger", "biggest"), ("smaller", "smallest")),
        "relative_distance": (
            np.linalg.norm(centers - centers[-1], axis=1)[:-1], ("farther", "farthest"),
            ("closer", "nearer", "closest", "nearest"),
        ),
        "furthest": (centers[:, 2], ("farthest", "furthest"), ("closest", "nearest")),
        "depth_order": (centers[:, 2], ("farthest to",), ("to farthest", "depth order")),
    }[kind]  # fmt: skip
    says_more = any(re.search(rf"\b{word}\b", words) for word in more)
    says_less = any(re.search(rf"\b{word}\b", words) for word in less)
    if one.value_type == "boolean":
        assert says_more != says_less, one.question
        return "yes" if (amount[0] > amount[1]) == says_more else "no"
    if says_more and says_less:
        return one.value if one.value in (more if amount[0] > amount[1] else less) else None
    order = np.argsort(-amount if says_more else amount)
    labels = [objects[k].label for k in order]  # type: ignore[union-attr]
    return labels if kind == "depth_order" else labels[0]


def test_answers_are_those_that_a_few_lines_of_numpy_give(many: list[tuple[FrameRecord, QuestionRecord]]) -> None:
    for record, one in many:
        wanted = worked_out(record, one)
        if isinstance(wanted, float):
            assert float(one.value) == pytest.approx(wanted, abs=1e-4), one.question
        elif isinstance(wanted, list):
            said = one.value.split("; ")
            assert all(name.endswith(label) for name, label in zip(said, wanted, strict=True)), one.question
        else:
            assert one.value.endswith(str(wanted)), (one.question, one.value, wanted)


def test_viewpoints_are_recorded_and_change_the_answer(many: list[tuple[FrameRecord, QuestionRecord]]) -> None:
    seen = {one.viewpoint.partition(":")[0] for _, one in many if one.question_class == "left_right"}
    assert seen == {"camera", "opposite", "object"}
    for record, one in many:
        if one.viewpoint == "opposite" and one.value_type == "text":
            plain = re.sub(r"^.*?, (is|on) ", r"\1 ", one.question)
            found = answered(record, replace(one, question=plain))
            assert found.value in ("left", "right", "front", "behind")
            assert found.value != one.value
        if one.viewpoint.startswith("object:"):
            assert int(one.viewpoint.partition(":")[2]) == one.object_ids[0]


def test_one_two_three_and_more_objects_are_asked_about(many: list[tuple[FrameRecord, QuestionRecord]]) -> None:
    assert {1, 2, 3, 4} <= {len(one.object_ids) for _, one in many}


def test_more_than_three_objects_are_called_by_their_place_in_the_list(
    many: list[tuple[FrameRecord, QuestionRecord]],
) -> None:
    longer = [(record, one) for record, one in many if len(one.object_ids) > 3]
    assert longer
    for record, one in longer:
        for k, object_id in enumerate(one.object_ids):
            assert f"{k}_{record.by_id(object_id).label}" in one.reasoning  # type: ignore[union-attr]


def test_few_objects_never_share_the_label_that_the_reasoning_calls_them(
    many: list[tuple[FrameRecord, QuestionRecord]],
) -> None:
    for record, one in many:
        labels = [record.by_id(i).label for i in one.object_ids]  # type: ignore[union-attr]
        assert len(labels) > 3 or len(set(labels)) == len(labels)


def test_the_second_step_repeats_the_whole_question(many: list[tuple[FrameRecord, QuestionRecord]]) -> None:
    assert all(first_sentence(one.question) == one.question for _, one in many)


def test_what_is_nearly_equal_is_not_compared() -> None:
    record = frame(
        thing(1, "mug", (0.20, 0.0, 1.0), (0.1, 0.1, 0.1)), thing(2, "book", (0.19, 0.01, 1.02), (0.1, 0.1, 0.1))
    )
    made = made_questions(record, THINK)
    assert {one.question_class for one in made.questions} <= {
        "distance",
        "width_height",
        "horizontal_vertical_distance",
    }
    assert made.drops["left_right: too close to call"] > 0
    assert made.drops["tall_short: too close to call"] > 0


def test_sizes_that_the_names_alone_would_tell_are_not_compared() -> None:
    record = frame(thing(1, "mug", (0.5, 0.0, 1.0)), thing(2, "sofa", (-0.8, 0.1, 2.0), (1.8, 0.9, 0.8)))
    made = made_questions(record, replace(THINK, classes=("tall_short", "wide_thin", "big_small", "distance")))
    assert {one.question_class for one in made.questions} == {"distance"}
    assert made.drops["big_small: the names alone would tell"] > 0


def test_one_object_alone_is_asked_about_itself_only() -> None:
    asked = questions_about(frame(thing(1, "mug", (0.2, 0.0, 1.0))), THINK)
    assert {one.question_class for one in asked} == {"distance", "width_height"}
    assert all(one.object_ids == (1,) for one in asked)


def test_cut_objects_are_not_measured_by_what_is_seen_of_them() -> None:
    cut = thing(1, "mug", (0.2, 0.0, 1.0), touches_border=True)
    hidden = thing(2, "book", (-0.2, 0.0, 1.5), (0.3, 0.2, 0.1), visible_fraction=0.3)
    asked = questions_about(frame(cut, hidden), THINK)
    assert asked
    assert {one.question_class for one in asked} <= {"left_right", "front_behind", "above_below", "direction"}


def test_full_boxes_are_stated_with_their_own_edges() -> None:
    turn = matrix_to_quaternion(rotation_about_axis([0.0, 1.0, 0.0], 0.5))
    full = Box3D(center=np.array([-0.2, 0.1, 1.5]), size=np.array([0.4, 0.2, 0.3]), orientation_xyzw=turn)
    seen = thing(1, "book", (0.21, -0.1, 1.4), (0.5, 0.2, 0.2), full=full)
    other = thing(2, "mug", (-0.3, 0.2, 1.1), full=Box3D.axis_aligned(np.array([0.3, -0.2, 1.1]), np.full(3, 0.1)))
    config = replace(THINK, target_box="full")
    asked = [one for k in range(6) for one in questions_about(frame(seen, other, name=f"full-{k}"), config)]
    assert {one.target_box for one in asked} == {"full"}
    assert any("The 3D bbox of book is [0.2, -0.1, 1.5, 0.4, 0.2, 0.3]" in one.reasoning for one in asked)
    record = frame(seen, other)
    assert all(says(one, answered(record, one), record) for one in asked)
    assert {fault_of(one.reasoning, named(record, one, config)) for one in asked} == {""}


def test_a_tilted_camera_does_not_teach_that_farther_is_above() -> None:
    """Looking down by 45 degrees: the farther of two things on one table is higher in the image, not in the world."""
    up = (0.0, -(0.5**0.5), -(0.5**0.5))
    near, far = thing(1, "mug", (0.2, -0.2, 1.0)), thing(2, "book", (-0.2, 0.2, 1.4))
    config = replace(THINK, classes=("above_below",))
    assert questions_about(frame(near, far), config)
    made = made_questions(frame(near, far, up=up), config)
    assert made.questions == ()


def test_an_incomplete_frame_is_asked_neither_for_everything_nor_for_all_of_a_kind() -> None:
    record = replace(kitchen(), provenance=json.dumps({"complete": False}))
    config = QuestionConfig(vocabulary=("giraffe",), reasoning=26)
    made = made_questions(record, config)
    assert {one.kind for one in made.questions} == {"reasoning"}
    assert not any("object" in one.question for one in made.questions)
    assert made.drops["grounding: the frame is not annotated completely"] == 1


def test_classes_left_out_are_not_asked(many: list[tuple[FrameRecord, QuestionRecord]]) -> None:
    config = replace(THINK, classes=("distance", "direction"))
    asked = questions_about(many[0][0], config)
    assert {one.question_class for one in asked} == {"distance", "direction"}


def test_no_question_is_asked_twice_of_a_frame(many: list[tuple[FrameRecord, QuestionRecord]]) -> None:
    texts = [(record.id, one.question) for record, one in many]
    assert len(set(texts)) == len(texts)
    assert len({one.id for _, one in many}) == len(many)


def test_a_clock_has_a_clock_direction_too() -> None:
    record = frame(thing(1, "clock", (0.5, 0.0, 1.0)), thing(2, "book", (-0.2, 0.0, 1.7)))
    asked = [
        one
        for k in range(8)
        for one in questions_about(replace(record, id=f"c-{k}"), replace(THINK, classes=("direction",)))
    ]
    assert asked
    assert {fault_of(one.reasoning, named(record, one)) for one in asked} == {""}
