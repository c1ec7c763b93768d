"""What an object is called, when looks call it differently.

A word that says what a thing is goes before words of colour and shape. Of names that say the same thing the more
precise one holds ("coffee mug" before "mug"), however rarely it was said; names that contradict each other are voted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from n3d_ros.scene.nouns import nouns_of
from n3d_ros.scene.phrases import (
    ANYTHING,
    COLORS,
    FILLERS,
    QUALIFIERS,
    SHAPE_NOUNS,
    SHAPES,
    Phrase,
    names_a_thing,
    singular,
    words_of,
)

SYNONYMS = "/"  # between words of one label that mean the same: "cup/mug"
JOINED = re.compile(r"\s(?:of|with)\s", re.IGNORECASE)  # what comes after says more of what came before
KEPT_NAMES = 1024  # whose words are not taken apart again; labels recur with every look


def settled_name(votes: Sequence[tuple[str, float]]) -> str | None:
    """The name that votes come to.

    Args:
        votes: labels and their weights, heaviest first.

    Returns:
        One of the labels; None without votes.
    """
    names = [(label, weight) for label, weight in votes if names_a_thing(label)]
    if not names:
        return votes[0][0] if votes else None
    support = {label: sum(w for other, w in names if same_thing(label, other)) for label, _ in names}
    best = max(names, key=lambda vote: support[vote[0]])[0]
    plain, weight = next(((one, w) for one, w in votes if not names_a_thing(one)), ("", 0.0))
    if plain and weight > support[best] and not refines(best, plain):
        return plain
    passed = {best}  # labels of several synonyms may refine each other in a ring
    while (finer := next((one for one, _ in names if one not in passed and refines(one, best)), None)) is not None:
        best = finer
        passed.add(best)
    return best


def refines(name: str, label: str) -> bool:
    """Whether a name says the same thing as a label, and more of it.

    Args:
        name: such as "coffee mug".
        label: such as "mug" or "red cylinder".

    Returns:
        True when it names a thing, and nothing in the label contradicts it.
    """
    if name == label or not names_a_thing(name):
        return False
    said = _words(name)
    if names_a_thing(label):
        return same_thing(name, label) and any(said > _words(one) for one in _synonyms(label))
    colors, shapes = _words(label) & COLORS.keys(), _words(label) & SHAPE_NOUNS.keys()
    own_colors, own_shapes = said & COLORS.keys(), _shapes(name)
    fits_color = not colors or not own_colors or bool(colors & own_colors)
    return fits_color and (not shapes or own_shapes is None or bool(shapes & own_shapes))


def same_thing(first: str, second: str) -> bool:
    """Whether two names may be of one thing: one calls it what the other does.

    Args:
        first: a name.
        second: another.

    Returns:
        True when they have a head word in common: "coffee mug" and "cup/mug", but not "mug" and "mug handle".
    """
    return first == second or not _heads(first).isdisjoint(_heads(second))


def asked_refinement(label: str, texts: Sequence[str]) -> str:
    """A label made more precise by what was asked for when the object was found.

    Args:
        label: the grounder's own word.
        texts: the phrase, or the names, that it was told.

    Returns:
        The name among them that refines the label; the label itself when none does, or several do.
    """
    names = {_lasting(noun) for text in texts for noun in nouns_of(text) or (text,)}
    finer = [name for name in names if name and refines(name, label)]
    return finer[0] if len(finer) == 1 else label


def _lasting(noun: str) -> str:
    """A name without what holds for the moment or is measured anyway: number, size, colour."""
    words = [word for word in words_of(noun) if word not in FILLERS]
    kept = [
        one for word in words if (one := singular(word)) not in QUALIFIERS and one not in COLORS and one not in ANYTHING
    ]
    return " ".join(kept)


@lru_cache(maxsize=KEPT_NAMES)
def _words(label: str) -> frozenset[str]:
    """The words of a label, evened out."""
    plain = (singular(word) for word in words_of(label) if word not in FILLERS)
    return frozenset(COLORS.get(word) or SHAPE_NOUNS.get(word) or word for word in plain)


@lru_cache(maxsize=KEPT_NAMES)
def _heads(label: str) -> frozenset[str]:
    """What a label calls the thing, in each of its synonyms: "mug" of "coffee mug", "cup" of "cup of tea"."""
    named = (JOINED.split(one, maxsplit=1)[0] for one in _synonyms(label))
    phrases = (Phrase.parse(one) for one in named)
    return frozenset(phrase.noun for phrase in phrases if phrase is not None and phrase.noun is not None)


def _synonyms(label: str) -> list[str]:
    """The alternatives that a label gives."""
    return [one for one in label.split(SYNONYMS) if one.strip()]


def _shapes(name: str) -> frozenset[str] | None:
    """The shapes that such a thing may show; None when that is not known."""
    known = [shapes for head in _heads(name) if (shapes := SHAPES.get(head)) is not None]
    return frozenset().union(*known) if known else None
