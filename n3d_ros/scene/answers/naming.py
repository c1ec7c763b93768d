"""How answers call things that they cannot point at: by the words of the question."""

from __future__ import annotations

from n3d_ros.scene.answers.amounts import unit_of
from n3d_ros.scene.answers.comparatives import COMPARED_WITH
from n3d_ros.scene.answers.contact import HOLLOW
from n3d_ros.scene.answers.measures import Measured
from n3d_ros.scene.answers.relations import SIDE_WORDS
from n3d_ros.scene.answers.wording import echo, length, listed
from n3d_ros.scene.questions.question import Place, Relation, SizeBound, Thing

ANYTHING = frozenset({"anything", "something", "everything", "nothing"})
"""Words for any object, which name nothing where they are told back."""


def called(thing: Thing) -> str:
    """How an answer calls a thing that it cannot point at.

    Args:
        thing: the words.

    Returns:
        The words in quotes, with the number if one was said.
    """
    return f'"{echo(thing.text or thing.phrase.text)}{_number(thing)}"'


def _number(thing: Thing) -> str:
    """The number of a thing that was named by it, unless its words have it."""
    return f" {thing.id}" if thing.id is not None and str(thing.id) not in thing.text.split() else ""


def told(thing: Thing) -> str:
    """A thing with everything said of it: "box left of the mug".

    Args:
        thing: the words.

    Returns:
        The words without quotes, one line.
    """
    said = [*(place_told(place) for place in thing.places), *(bound_told(bound) for bound in thing.bounds)]
    name = echo(thing.text or thing.phrase.text)
    if thing.phrase.text in ANYTHING:
        name = "object"
    return " ".join([name + _number(thing), " and ".join(said)]).strip()


def place_told(place: Place) -> str:
    """A place in words: "left of the mug", "within 30 cm of the box".

    Args:
        place: where.

    Returns:
        The words.
    """
    references = listed([f"the {told(one)}" for one in place.references]) or "the viewer"
    if place.within_m is not None and place.relation is Relation.NEXT_TO:
        return f"within {length(place.within_m)} of {references}"
    if place.relation is Relation.ON and any(HOLLOW & (one.phrase.shapes or set()) for one in place.references):
        return f"in {references}"  # what a bowl or a tray carries lies in it
    near = "" if place.within_m is None else f" within {length(place.within_m)}"
    return f"{SIDE_WORDS[place.relation]} {references}{near}"


def bound_told(bound: SizeBound) -> str:
    """A bound in words: "taller than 20 cm".

    Args:
        bound: the bound.

    Returns:
        The words.
    """
    than = (
        Measured(value=bound.bound, stddev=0, unit=unit_of(bound.quantity)).words() if bound.bound is not None else ""
    )
    than = f"the {told(bound.reference)}" if bound.reference is not None else than
    return f"{COMPARED_WITH[bound.quantity][0 if bound.more else 1]} than {than}"
