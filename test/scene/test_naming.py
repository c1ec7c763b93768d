"""What an object is called when looks call it differently."""

from __future__ import annotations

from dataclasses import replace

import pytest

from n3d_ros.scene.naming import asked_refinement, refines, same_thing, settled_name
from scene.worlds import FRONT, Robot, Thing, detect

MUG = Thing("mug", (0.0, 0.0, 0.05), shape="cylinder")


@pytest.mark.parametrize(
    ("name", "label", "expected"),
    [
        ("coffee mug", "mug", True),
        ("mug", "coffee mug", False),
        ("mug", "mug", False),
        ("mug", "red cylinder", True),
        ("red mug", "red cylinder", True),
        ("blue mug", "red cylinder", False),
        ("mug", "red box", False),
        ("laptop", "gray object", True),
        ("laptop", "gray box", True),
        ("coffee mug", "cup/mug", True),
        ("laptop", "mug", False),
        ("red cylinder", "mug", False),
        ("mug handle", "mug", False),
        ("cup of coffee", "cup", True),
    ],
)
def test_a_name_refines_a_label_that_says_the_same_and_less(name: str, label: str, expected: bool) -> None:
    assert refines(name, label) is expected


def test_names_are_of_one_thing_when_one_calls_it_what_the_other_does() -> None:
    assert same_thing("coffee mug", "mug")
    assert same_thing("coffee mug", "beer mugs")
    assert not same_thing("mug", "laptop")


@pytest.mark.parametrize(
    ("votes", "expected"),
    [
        ([("red box", 9.0), ("orange box", 2.0)], "red box"),
        ([("red cylinder", 9.0), ("mug", 0.4)], "mug"),
        ([("mug", 9.0), ("red cylinder", 3.0), ("coffee mug", 0.3)], "coffee mug"),
        ([("mug", 9.0), ("laptop", 2.0)], "mug"),
        ([("laptop", 5.0), ("mug", 4.0), ("coffee mug", 3.0)], "coffee mug"),
        ([("red box", 9.0), ("mug", 0.4)], "red box"),
        ([("mug", 9.0), ("red box", 2.0)], "mug"),
        ([("mug", 5.0), ("coffee mug", 2.0), ("beer mug", 1.0)], "coffee mug"),
        ([], None),
    ],
    ids=[
        "colours and shapes are voted",
        "a name goes before shape words",
        "the more precise name holds",
        "contradicting names are voted",
        "names of one thing stand together",
        "a name that contradicts the shape needs votes",
        "and has them",
        "of two precise names the heavier",
        "no votes",
    ],
)
def test_votes_come_to_a_name(votes: list[tuple[str, float]], expected: str | None) -> None:
    assert settled_name(votes) == expected


@pytest.mark.parametrize(
    ("label", "text", "expected"),
    [
        ("mug", "the coffee mug", "coffee mug"),
        ("mug", "coffee mugs", "coffee mug"),
        ("mug", "the big red coffee mug left of the laptop", "coffee mug"),
        ("mug", "the mug", "mug"),
        ("mug", "the red mug", "mug"),
        ("mug", "the laptop", "mug"),
        ("cup/mug", "coffee mug", "coffee mug"),
        ("mug", "coffee mug / beer mug", "mug"),
        ("mug", "everything", "mug"),
    ],
)
def test_what_was_asked_for_makes_a_label_more_precise(label: str, text: str, expected: str) -> None:
    assert asked_refinement(label, text.split(" / ")) == expected


def test_an_object_takes_the_more_precise_name_at_once_and_another_one_by_votes() -> None:
    robot = Robot()
    for label, expected in [
        *[("red cylinder", "red cylinder")] * 5,
        ("mug", "mug"),
        ("red cylinder", "mug"),
        ("coffee mug", "coffee mug"),
        *[("mug", "coffee mug")] * 5,
        ("laptop", "coffee mug"),
    ]:
        robot.look([MUG], found=[replace(detect(MUG, FRONT), label=label)])
        assert robot.scene.objects[0].label == expected
    for _ in range(30):
        robot.look([MUG], found=[replace(detect(MUG, FRONT), label="laptop")])
    assert robot.scene.objects[0].label == "laptop"
    assert len(robot.scene.objects) == 1


@pytest.mark.parametrize(
    "labels", [("coffee mug/mug",), ("<script>alert(1)</script>",), ("a b/c", "c d/b", "b a/d c"), ("/", "//", "mug/")]
)
def test_labels_of_synonyms_come_to_one_of_them_whatever_they_are(labels: tuple[str, ...]) -> None:
    votes = [(label, 1.0) for label in labels]
    assert settled_name(votes) in labels
    assert not any(refines(label, label) for label in labels)
