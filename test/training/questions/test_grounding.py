from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from model_training.data.records import FrameRecord, ObjectRecord, QuestionRecord
from model_training.questions.asked_frame import asked_frame
from model_training.questions.config import Margins, QuestionConfig
from model_training.questions.make import made_questions, questions_about
from model_training.questions.names import Names
from n3d_ros.codec.prompts import grounding_text, question_text, referring_text
from n3d_ros.errors import ConfigurationError
from n3d_ros.geometry.boxes import Box3D
from training.questions.frames import frame, kitchen, random_frame, thing

PLAIN = QuestionConfig(category=0, referring=0, reasoning=0)
MANY = QuestionConfig(category=12, referring=12, reasoning=0, vocabulary=("giraffe", "mug", "piano", "apple"))


def of_kind(record: FrameRecord, kind: str, config: QuestionConfig) -> list[QuestionRecord]:
    return [one for one in questions_about(record, config) if one.kind == kind]


def test_detection_lists_objects_from_left_to_right() -> None:
    (asked,) = questions_about(kitchen(), PLAIN)
    assert asked.kind == "detection"
    assert [i for i in asked.object_ids if i not in (4, 5)] == [2, 3, 1, 6, 7]  # bowl and apple share the table's place


def test_detection_lists_objects_from_near_to_far_when_told_so() -> None:
    (asked,) = questions_about(kitchen(), replace(PLAIN, order="near_to_far"))
    assert [i for i in asked.object_ids if i != 5] == [3, 7, 2, 4, 1, 6]  # the apple is as far as its bowl


def test_a_frame_without_objects_is_asked_for_everything_and_nothing_is_the_answer() -> None:
    record = frame()
    asked = questions_about(record, replace(MANY, reasoning=6))
    assert {one.kind for one in asked} == {"detection", "category"}
    assert all(one.object_ids == () for one in asked)


def test_a_frame_without_objects_is_not_asked_for_categories_without_a_vocabulary() -> None:
    assert [one.kind for one in questions_about(frame(), replace(MANY, vocabulary=()))] == ["detection"]


def test_a_category_means_all_its_objects_and_one_that_is_not_there_none() -> None:
    truth = {"mug": {3, 6}, "table": {1}, "bottle": {2}, "bowl": {4}, "apple": {5}, "book": {7}}
    truth |= {"giraffe": set(), "piano": set()}
    asked = [one for k in range(12) for one in of_kind(kitchen(f"kitchen-{k}"), "category", replace(MANY, referring=0))]
    plain = [one for one in asked if set(one.names) <= truth.keys()]
    assert len(plain) > 20
    assert all(set(one.object_ids) == set().union(*(truth[name] for name in one.names)) for one in plain)
    assert {"giraffe", "piano"} & {name for one in plain for name in one.names}


def test_a_colour_in_a_category_leaves_the_other_colours_out() -> None:
    config = replace(MANY, referring=0)
    asked = [one for k in range(60) for one in of_kind(kitchen(f"kitchen-{k}"), "category", config)]
    alone = {one.names[0]: one.object_ids for one in asked if len(one.names) == 1}
    truth = {"red mug": (3,), "blue mug": (6,), "green mug": (), "white mug": (), "blue book": (7,), "red apple": (5,)}
    known = truth.keys() & alone.keys()
    assert {"red mug", "blue mug"} <= known
    assert {alone[name] for name in known & {"green mug", "white mug"}} == {()}
    assert {name: alone[name] for name in known} == {name: truth[name] for name in known}


def test_boxes_of_several_categories_are_written_in_the_frames_order() -> None:
    asked = [one for k in range(20) for one in of_kind(kitchen(f"kitchen-{k}"), "category", replace(MANY, referring=0))]
    order = questions_about(kitchen(), PLAIN)[0].object_ids
    several = [one for one in asked if len(one.object_ids) > 1]
    assert several
    assert all(list(one.object_ids) == [i for i in order if i in one.object_ids] for one in several)


@pytest.mark.parametrize("seed", range(4))
def test_expressions_mean_what_a_person_sees_in_the_kitchen(seed: int) -> None:
    truth = {
        "the red mug": 3, "the blue mug": 6, "the metal mug": 3, "the ceramic mug": 6, "the rightmost mug": 6,
        "the mug closest to the bottle": 3, "the mug farthest from the camera": 6, "the leftmost mug": 3,
        "the mug behind the bowl": 6,
        "the mug in front of the bowl": 3, "the mug to the left of the bowl": 3, "the mug right of the bowl": 6,
        "the apple in the bowl": 5, "the object in the bowl": 5, "the mug nearest to the book": 6,
    }  # fmt: skip
    config = replace(MANY, seed=seed, referring=40)
    asked = [one for k in range(5) for one in of_kind(kitchen(f"kitchen-{k}"), "referring", config)]
    said = {name: i for one in asked for name, i in zip(one.names, one.object_ids, strict=True)}
    known = said.keys() & truth.keys()
    assert len(known) >= 5
    assert {name: said[name] for name in known} == {name: truth[name] for name in known}
    assert "the mug" not in said


def test_equal_objects_in_one_place_are_never_referred_to() -> None:
    record = frame(*(thing(k, "mug", (0.0, 0.0, 1.0), color="red") for k in (1, 2)))
    asked = questions_about(record, replace(MANY, reasoning=8))
    assert {one.kind for one in asked} == {"detection", "category"}


def test_what_has_no_box_makes_its_name_unfit() -> None:
    record = frame(
        thing(1, "mug", (0.1, 0.0, 1.0), color="red"), thing(2, "mug", None), thing(3, "book", (0.3, 0, 1.2))
    )
    asked = questions_about(record, MANY)
    assert not any("mug" in name for one in asked for name in one.names)


def test_an_object_of_which_hardly_anything_is_seen_is_neither_listed_nor_ignored() -> None:
    faint = thing(2, "mug", (-0.2, 0.0, 1.5), color="blue", visible_pixels=5)
    record = frame(thing(1, "mug", (0.1, 0.0, 1.0), color="red"), faint, thing(3, "book", (0.3, 0.0, 1.2)))
    made = made_questions(record, MANY)
    assert made.questions[0].object_ids == (3, 1)
    assert not any(2 in one.object_ids for one in made.questions)
    categories = [one for one in made.questions if one.kind == "category"]
    assert categories
    assert not any("mug" in one.names for one in categories)


def test_a_hidden_object_is_as_if_it_were_not_there() -> None:
    hidden = thing(2, "mug", (-0.2, 0.0, 1.5), visible_pixels=0, visible_fraction=0.0)
    record = frame(thing(1, "mug", (0.1, 0.0, 1.0)), hidden)
    asked = of_kind(record, "category", MANY)
    assert any(one.names == ("mug",) and one.object_ids == (1,) for one in asked)


def test_the_other_box_is_used_where_the_one_wanted_is_unknown() -> None:
    full = thing(1, "mug", (0.1, 0.0, 1.0)).visible_box
    lone = replace(thing(1, "mug", (0.1, 0.0, 1.0)), visible_box=None, box=full)
    assert questions_about(frame(lone), PLAIN)[0].target_box == "full"
    assert questions_about(frame(lone), replace(PLAIN, target_box="full"))[0].object_ids == (1,)


def test_too_many_objects_are_counted_and_not_asked_for() -> None:
    record = frame(*(thing(k, "book", (0.3 - 0.1 * k, 0.0, 1.0)) for k in range(1, 6)))
    made = made_questions(record, replace(PLAIN, max_objects=4))
    assert made.questions == ()
    assert made.drops == {"detection: too many objects": 1}


def test_the_prompts_take_the_names_as_they_are() -> None:
    asked = [one for k in range(4) for one in questions_about(kitchen(f"kitchen-{k}"), MANY)]
    for one in asked:
        if one.kind in ("category", "referring"):
            text = grounding_text(one.names) if one.kind == "category" else referring_text(one.names)
            assert all(f"'{name}'" in text for name in one.names)


def test_questions_follow_from_seed_and_frame_alone() -> None:
    def rows(record: FrameRecord, config: QuestionConfig) -> list[str]:
        return [repr(one) for one in questions_about(record, config)]

    records = [random_frame(np.random.default_rng(k), f"frame-{k}") for k in range(3)]
    first = {one.id: rows(one, MANY) for one in records}
    again = {one.id: rows(one, MANY) for one in reversed(records)}
    assert first == again
    assert rows(records[0], replace(MANY, seed=1)) != first["frame-0"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"target_box": "whole"}, "target_box"),
        ({"order": "random"}, "order"),
        ({"classes": ("colours",)}, "classes"),
        ({"reasoning": -1}, "reasoning"),
        ({"category": 1.5}, "category"),
        ({"absent_share": 1.2}, "absent_share"),
        ({"vocabulary": ("mug", " ")}, "vocabulary"),
    ],
)
def test_a_setting_out_of_range_is_named(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        QuestionConfig(**changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes", [{"size_ratio": 0.9}, {"side_m": float("nan")}, {"clock_deg": 15.0}, {"most_size_ratio": 1.2}]
)
def test_a_margin_out_of_range_is_named(changes: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(changes))):
        Margins(**changes)


ODD = (
    "Cup/Mug", "T-shirt", "Dr. Pepper can", "dog's bone", "left shoe", "front door", '12" ruler', "a, b", "???",
    "2_mug", "Step 1", "meters", "x" * 600, "B\u00e4r", "the", "camera", "box (open)", "M & M", "mug\nbowl",
    "is it", "\\d+",
)  # fmt: skip


def test_odd_labels_make_no_wrong_question_and_no_error() -> None:
    config = QuestionConfig(category=6, referring=6, reasoning=13, attempts=3, vocabulary=ODD)
    for k in range(0, len(ODD), 3):
        labels = [*ODD[k : k + 3], "bowl", "lamp"]
        spots = [(0.8 - 0.4 * n, 0.1 * n, 1.0 + 0.4 * n) for n in range(len(labels))]
        things = (thing(n + 1, label, spots[n], (0.1 + 0.1 * n,) * 3) for n, label in enumerate(labels))
        record = frame(*things, name=f"odd-{k}")
        for one in questions_about(record, config):
            if one.kind == "category":
                assert grounding_text(one.names)
                named = {n + 1 for n, label in enumerate(labels) if label in one.names}
                assert named <= set(one.object_ids)
            elif one.kind == "referring":
                assert referring_text(one.names)
            elif one.kind == "reasoning":
                assert question_text(one.question)


def test_a_vertical_of_any_length_is_taken_as_a_direction() -> None:
    def asked(up: tuple[float, float, float]) -> list[str]:
        return [repr(one) for one in questions_about(replace(kitchen(), up=up), QuestionConfig())]

    assert asked((0.0, -2.0, 0.0)) == asked((0.0, -1.0, 0.0))
    assert asked((0.0, 0.0, 0.0))


def test_what_carries_a_thing_is_no_landmark_beside_it() -> None:
    config = replace(MANY, category=0, referring=30, seed=4)
    asked = [one for k in range(3) for one in of_kind(kitchen(f"kitchen-{k}"), "referring", config)]
    said = {name for one in asked for name in one.names}
    sides = ("left of", "right of", "in front of", "behind", "closest to", "nearest to", "between")
    assert not [name for name in said if name.endswith("the table") and any(side in name for side in sides)]


def test_what_stands_on_a_thing_is_told_by_whole_boxes() -> None:
    """Seen from above, the visible top of a table reaches higher than the feet of what stands on its near edge."""
    table = Box3D.axis_aligned(np.array([0.0, 0.5, 1.5]), np.array([1.0, 0.4, 1.0]))
    mug = Box3D.axis_aligned(np.array([0.1, 0.25, 1.4]), np.array([0.1, 0.1, 0.1]))
    seen = {"visible_pixels": 900, "visible_fraction": 1.0}
    record = frame(
        ObjectRecord(
            id=1, label="table", box=table, visible_box=Box3D.axis_aligned((0, 0.42, 1.5), (1, 0.3, 1)), **seen
        ),
        ObjectRecord(id=2, label="mug", box=mug, visible_box=mug, supported_by=1, **seen),
        ObjectRecord(
            id=3, label="mug", box=Box3D.axis_aligned((-0.9, 0.5, 1.4), (0.1, 0.1, 0.1)), visible_box=mug, **seen
        ),
        up=(0.0, -1.0, 0.0),
    )
    config = replace(MANY, category=0, referring=40)
    said = {
        n: i for one in of_kind(record, "referring", config) for n, i in zip(one.names, one.object_ids, strict=True)
    }
    assert said.get("the mug on the table", said.get("the mug on top of the table")) == 2


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("tissue box", None),
        ("carton", None),
        ("orange", None),
        ("box", (1,)),
        ("lamp", (3,)),
        ("desk lamp", None),
        ("sofa", (4,)),
        ("clock", ()),
    ],
)
def test_a_name_is_not_taken_for_what_the_node_finds_nearest(name: str, found: tuple[int, ...] | None) -> None:
    record = frame(
        thing(1, "cereal box", (0.6, 0.0, 2.0), color="red", shape="box"),
        thing(2, "bowl", (0.3, 0.0, 2.0), color="orange", shape="bowl"),
        thing(3, "floor lamp", (0.0, 0.0, 2.0), color="white"),
        thing(4, "couch", (-0.6, 0.0, 2.0), color="grey"),
    )
    assert Names(asked_frame(record, MANY)).all_called(name) == found


def test_an_orange_is_called_so_beside_things_of_another_colour() -> None:
    record = frame(thing(1, "orange", (0.3, 0.0, 2.0), color="orange"), thing(2, "bowl", (0.0, 0.0, 2.0), color="red"))
    assert Names(asked_frame(record, MANY)).all_called("orange") == (1,)


def test_the_only_one_of_its_kind_is_not_called_the_most_of_several() -> None:
    config = replace(MANY, category=0, referring=30)
    asked = [one for k in range(4) for one in of_kind(kitchen(f"lone-{k}"), "referring", config)]
    most = [name for one in asked for name in one.names if re.search(r"(st|farthest|furthest)\b", name)]
    assert any("object" in name for name in most)
    assert not [name for name in most if re.match(r"the (\w+est |\w+most )?(table|bottle|bowl|apple|book)\b", name)]


def test_what_stands_on_a_board_is_not_in_the_shelf() -> None:
    shelf = Box3D.axis_aligned((0.0, 0.0, 2.0), (1.0, 1.6, 0.5))
    bear = Box3D.axis_aligned((0.1, 0.1, 2.0), (0.2, 0.2, 0.2))
    other = Box3D.axis_aligned((1.2, 0.1, 2.0), (0.2, 0.2, 0.2))
    seen = {"visible_pixels": 900, "visible_fraction": 1.0}

    def said(**held: int) -> str:
        record = frame(
            ObjectRecord(id=1, label="shelf", box=shelf, visible_box=shelf, **seen),
            ObjectRecord(id=2, label="teddy bear", box=bear, visible_box=bear, **seen, **held),
            ObjectRecord(id=3, label="teddy bear", box=other, visible_box=other, **seen),
            up=(0.0, -1.0, 0.0),
        )
        asked = of_kind(record, "referring", replace(MANY, category=0, referring=60))
        return "; ".join(name for one in asked for name in one.names)

    assert "in the shelf" in said(inside_of=1) or "inside the shelf" in said(inside_of=1)
    assert "in the shelf" not in said(supported_by=1)
    assert "inside the shelf" not in said(supported_by=1)
