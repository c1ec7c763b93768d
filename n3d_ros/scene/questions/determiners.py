"""What stands before and behind a name: article, number, superlative, the number of "box 3"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from n3d_ros.scene.questions.lengths import measure_at, number_at
from n3d_ros.scene.questions.lexicon import expression_at
from n3d_ros.scene.questions.noun_phrases import (
    DETERMINERS,
    is_of_kind,
    names_something,
    plain_at,
)
from n3d_ros.scene.questions.question import Extreme, Quantity
from n3d_ros.scene.questions.words import Word

_PARTS = frozenset(("all", "any", "some", "each", "one", "both", "none", "every", "either", "most"))
PICK = {
    "left": (Quantity.LATERAL, False), "right": (Quantity.LATERAL, True), "front": (Quantity.DISTANCE, False),
    "back": (Quantity.DISTANCE, True), "rear": (Quantity.DISTANCE, True), "top": (Quantity.ELEVATION, True),
    "bottom": (Quantity.ELEVATION, False), "upper": (Quantity.ELEVATION, True), "far": (Quantity.DISTANCE, True),
    "lower": (Quantity.ELEVATION, False), "left-hand": (Quantity.LATERAL, False),
    "right-hand": (Quantity.LATERAL, True),
}  # fmt: skip
"""Adjectives of place that choose among things: "the left box", "the top book"."""


@dataclass(slots=True, kw_only=True)
class Chunk:
    """A noun phrase while it is read."""

    at: int
    determiner: str = ""
    number: int | None = None
    extreme: tuple[Quantity, bool] | None = None
    rank: int = 1
    count: int = 1
    id: int | None = None
    is_other: bool = False
    is_ranked: bool = False


def read_determiner(words: Sequence[Word], chunk: Chunk) -> None:
    """Reads article, possessive and "other" into a chunk.

    Args:
        words: of the question.
        chunk: as far as read; what is read is put there.
    """
    first, following = plain_at(words, chunk.at), plain_at(words, chunk.at + 1)
    is_part = first in _PARTS and following == "of"
    if is_part and (plain_at(words, chunk.at + 2) in DETERMINERS or names_something(words, chunk.at + 2)):
        chunk.determiner, chunk.at = first, chunk.at + 2
    if plain_at(words, chunk.at) in DETERMINERS:
        chunk.determiner = chunk.determiner or plain_at(words, chunk.at)
        chunk.at += 1
        if plain_at(words, chunk.at) in DETERMINERS and plain_at(words, chunk.at - 1) in ("all", "both"):
            chunk.at += 1
    while plain_at(words, chunk.at) in ("same", "very", "only", "exact", "single"):
        if not names_something(words, chunk.at + 1) or (chunk.determiner == "" and plain_at(words, chunk.at) == "only"):
            break
        chunk.at += 1
    if plain_at(words, chunk.at) in ("other", "another", "remaining", "else"):
        chunk.is_other = True
        chunk.at += 1
    elif chunk.determiner == "another":
        chunk.is_other = True


def read_number(words: Sequence[Word], chunk: Chunk) -> None:
    """Reads a number said of the things into a chunk: "two boxes".

    Args:
        words: of the question.
        chunk: as far as read; what is read is put there.
    """
    if plain_at(words, chunk.at) == "one" and not names_something(words, chunk.at + 1):
        return
    number = number_at(words, chunk.at)
    if number is None or number[1] != int(number[1]):
        return
    end, value = number
    starts = names_something(words, end) or plain_at(words, end) in ("other", "of")
    starts = starts or is_of_kind(words, end, "sup", "scale")
    starts = starts or (chunk.determiner != "" and plain_at(words, end) in ("one", "ones"))
    if starts and 0 <= value <= 1000:
        chunk.number, chunk.at = int(value), end
        if plain_at(words, end) == "of":
            chunk.at += 1
            chunk.at += plain_at(words, chunk.at) in DETERMINERS
        elif plain_at(words, end) == "other":
            chunk.is_other, chunk.at = True, end + 1


def read_extreme(words: Sequence[Word], chunk: Chunk) -> None:
    """Reads a superlative with rank and count: "second largest", "two nearest", "leftmost three".

    Args:
        words: of the question.
        chunk: as far as read; what is read is put there.
    """
    at = chunk.at
    rank = 1
    known = expression_at(words, at)
    if known is not None and known[1].kind == "ordinal":
        rank, at = int(known[1].value), at + known[0]
        at += plain_at(words, at) in ("most",) and is_of_kind(words, at + 1, "scale")
        known = expression_at(words, at)
    elif plain_at(words, at) == "last" and chunk.determiner == "the" and is_of_kind(words, at + 1, "sup"):
        return
    elif plain_at(words, at) in ("most", "least") and is_of_kind(words, at + 1, "scale"):
        scale = expression_at(words, at + 1)
        if scale is not None:
            quantity, much = scale[1].value
            chunk.extreme = (quantity, much is (plain_at(words, at) == "most"))
            chunk.at = at + 1 + scale[0]
        return
    is_better = known is not None and known[1].kind == "cmp" and chunk.determiner not in ("", "a", "an", "any", "no")
    if is_better and known is not None:  # "the larger box", of two
        end = at + known[0]
        is_better = plain_at(words, end) in ("one", "of") or is_of_kind(words, end, "scale")
        is_better = is_better or names_something(words, end)
    if known is not None and (known[1].kind == "sup" or is_better):
        chunk.extreme, chunk.rank, chunk.at = known[1].value, rank, at + known[0]
        number = number_at(words, chunk.at)
        if chunk.number is not None:
            chunk.count = chunk.number
        elif number is not None and (names_something(words, number[0])) and plain_at(words, chunk.at) != "one":
            chunk.count, chunk.number, chunk.at = int(number[1]), int(number[1]), number[0]
        return
    if at > chunk.at and (names_something(words, at) or plain_at(words, at) in ("one", "ones")):
        chunk.rank, chunk.at, chunk.is_ranked = rank, at, True
        return
    pick = PICK.get(plain_at(words, at))
    names_follow = names_something(words, at + 1) or plain_at(words, at + 1) in ("one", "ones")
    if pick is not None and chunk.determiner not in ("", "a", "an") and names_follow:
        chunk.extreme, chunk.rank, chunk.at = pick, rank, at + 1


def read_id(words: Sequence[Word], chunk: Chunk, names: list[Word]) -> None:
    """Reads the number behind a name: "box 3", "object number 7", "object #7".

    Args:
        words: of the question.
        chunk: as far as read; what is read is put there.
        names: the naming words before.
    """
    at = chunk.at
    while at < len(words) and words[at].plain in ("number", "#", "no", "no.", "nr", "id", "."):
        at += 1
    known = words[at] if at < len(words) else None
    if measure_at(words, at) is not None:
        return
    if known is None or known.kind != "number" or not known.plain.isdigit() or len(known.plain) > 9:
        return
    if (names or at > chunk.at) and plain_at(words, at + 1) not in ("times", "%"):
        chunk.id, chunk.at = int(known.plain), at + 1


def extreme_of(chunk: Chunk) -> Extreme | None:
    """The extreme that a chunk tells.

    Args:
        chunk: as far as read; what is read is put there.

    Returns:
        None when no superlative was said.
    """
    if chunk.extreme is None:
        return None
    quantity, most = chunk.extreme
    return Extreme(quantity=quantity, most=most, rank=chunk.rank, count=chunk.count)
