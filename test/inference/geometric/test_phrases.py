"""What phrases ask of objects known by colour and shape."""

from __future__ import annotations

import pytest

from n3d_ros.errors import QueryError
from n3d_ros.inference.geometric.phrases import SHAPES, understand
from n3d_ros.refine.attributes import SHAPE_WORDS


@pytest.mark.parametrize(
    ("phrase", "color", "shape", "meant"),
    [
        (None, None, None, True),
        ("everything", "red", "box", True),
        ("the red one", "red", "ball", True),
        ("red and white boxes", "red and white", "box", True),
        ("red and white boxes", "red", "box", False),
        ("gray cups", "grey", "bowl", True),
        ("glass", "white", "cylinder", True),
        ("boxes", "red", "object", False),
        ("books", "blue", "flat", True),
    ],
)
def test_phrase(phrase: str | None, color: str | None, shape: str | None, meant: bool) -> None:
    assert understand(phrase).matches(color, shape) is meant


@pytest.mark.parametrize("phrase", ["screwdriver", "box cutter", "!?", "the person"])
def test_things_that_it_cannot_know_are_refused(phrase: str) -> None:
    with pytest.raises(QueryError, match="Known things"):
        understand(phrase)


def test_every_noun_stands_for_shapes_that_attributes_give() -> None:
    assert set().union(*SHAPES.values()) <= set(SHAPE_WORDS)


def test_every_noun_and_its_plural_are_understood() -> None:
    for noun in SHAPES:
        plural = noun + ("es" if noun.endswith(("x", "s", "sh", "ch")) else "s")
        assert understand(noun).shapes == SHAPES[noun], noun
        assert understand(plural).shapes == SHAPES[noun], plural
