"""What phrases ask of objects known by colour and shape."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import pytest

from n3d_ros.errors import QueryError
from n3d_ros.inference.geometric.phrases import understand
from n3d_ros.refine.attributes import COLOR_WORDS, SHAPE_WORDS
from n3d_ros.scene.phrases import COLORS, SHAPE_NOUNS, SHAPES, Phrase, names_a_thing, select


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


def test_the_vocabulary_is_that_of_the_attributes() -> None:
    assert set(COLORS.values()) == set(COLOR_WORDS)
    assert set(SHAPE_NOUNS.values()) | {"object"} == set(SHAPE_WORDS)
    colors = (*COLOR_WORDS, "red and white")
    assert not any(names_a_thing(f"{color} {shape}") for color in colors for shape in SHAPE_WORDS)


@dataclass(frozen=True)
class Thing:
    """An object as the geometric grounder describes it, and as the scene keeps it."""

    color: str | None
    word: str

    @property
    def label(self) -> str:
        return f"{self.color} {self.word}" if self.color else self.word

    @property
    def shape(self) -> str | None:
        return None if self.word == "object" else self.word


THINGS = {
    "red box": Thing("red", "box"), "cyan box": Thing("cyan", "box"), "blue box": Thing("blue", "box"),
    "two-colour box": Thing("red and white", "box"), "blue ball": Thing("blue", "ball"),
    "grey cylinder": Thing("grey", "cylinder"), "white bowl": Thing("white", "bowl"),
    "purple flat": Thing("purple", "flat"), "cylinder": Thing(None, "cylinder"),
    "brown object": Thing("brown", "object"),
}  # fmt: skip
BOXES = "red box, cyan box, blue box, two-colour box"


@pytest.mark.parametrize(
    ("phrase", "meant"),
    [
        ("box", BOXES), ("the boxes", BOXES), ("a Cube!", BOXES), ("cardboard boxes", BOXES), ("crates", BOXES),
        ("red box", "red box, two-colour box"), ("red shiny box", "red box, two-colour box"),
        ("box, red", "red box, two-colour box"), ("crimson package", "red box, two-colour box"),
        ("red and white box", "two-colour box"), ("white boxes", "two-colour box"),
        ("blue box", "blue box"), ("navy carton", "blue box"), ("cyan box", "cyan box"), ("turquoise cube", "cyan box"),
        ("teal things", "cyan box"), ("blue", "blue box, blue ball"), ("the blue ones", "blue box, blue ball"),
        ("light blue sphere", "blue ball"), ("balls", "blue ball"), ("blue apple", "blue ball"),
        ("grey cylinder", "grey cylinder"), ("gray can", "grey cylinder"), ("silver tins", "grey cylinder"),
        ("bottle", "grey cylinder, cylinder"), ("cup", "grey cylinder, white bowl, cylinder"),
        ("mugs", "grey cylinder, white bowl, cylinder"), ("glasses", "grey cylinder, white bowl, cylinder"),
        ("white cup", "white bowl"), ("the dishes", "white bowl"), ("bowl", "white bowl"),
        ("plate", "purple flat"), ("violet tray", "purple flat"), ("lilac object", "purple flat"),
        ("book", f"{BOXES}, purple flat"), ("flat book", "purple flat"), ("flat box", BOXES),
        ("round things", "blue ball, grey cylinder, white bowl, cylinder"), ("box shaped object", BOXES),
        ("brown thing", "brown object"), ("tan box", ""), ("green ball", ""), ("dark red", "red box, two-colour box"),
        ("everything", ", ".join(THINGS)), ("all of those", ", ".join(THINGS)), ("small objects", ", ".join(THINGS)),
    ],
)  # fmt: skip
def test_a_phrase_means_the_same_to_the_grounder_and_to_the_scene(phrase: str, meant: str) -> None:
    wanted, parsed = understand(phrase), Phrase.parse(phrase)
    assert parsed is not None
    by_grounder = [name for name, one in THINGS.items() if wanted.matches(one.color, one.word)]
    selection = select(parsed, list(THINGS.values()))
    by_scene = [name for name, one in THINGS.items() if one in selection.objects]
    assert by_grounder == by_scene == (meant.split(", ") if meant else [])
    assert wanted.notes == selection.notes


def test_whatever_words_are_put_together_both_find_the_same() -> None:
    describing = ["red", "flat", "shiny", "round", "cube", "tin", "screwdriver"]
    for first, second, noun in product(describing, ["", "blue", "bowl", "cup"], [*SHAPES, "thing", "grey", "wrench"]):
        parsed = Phrase.parse(f"{first} {second} {noun}")
        assert parsed is not None
        selection = select(parsed, list(THINGS.values()))
        if not selection.is_understood:
            with pytest.raises(QueryError):
                understand(parsed.text)
            continue
        wanted = understand(parsed.text)
        found = tuple(one for one in THINGS.values() if wanted.matches(one.color, one.word))
        assert (found, wanted.notes) == (selection.objects, selection.notes), parsed.text


def test_left_out_words_and_told_by_shape_are_noted() -> None:
    assert "shiny" in " ".join(understand("red shiny box").notes)
    assert "cylinder" in " ".join(understand("cup").notes)
    assert understand("red box").notes == ()
