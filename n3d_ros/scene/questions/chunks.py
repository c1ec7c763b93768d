"""Noun phrases: article, number, superlative, describing words, name and its number: "the second largest red box 3"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from n3d_ros.scene.phrases import COLORS, QUALIFIERS, Phrase
from n3d_ros.scene.questions.determiners import (
    PICK,
    Chunk,
    extreme_of,
    read_determiner,
    read_extreme,
    read_id,
    read_number,
)
from n3d_ros.scene.questions.lengths import measure_at, number_at
from n3d_ros.scene.questions.lexicon import expression_at, table
from n3d_ros.scene.questions.noun_phrases import (
    VIEWERS,
    NounPhrase,
    anything,
    earlier_phrase,
    meant_by_one,
    names_something,
    naming_words,
    plain_at,
    without_own,
)
from n3d_ros.scene.questions.patterns import Lexeme
from n3d_ros.scene.questions.question import Extreme, Quantity, Thing
from n3d_ros.scene.questions.words import Word

_INDEFINITE = frozenset(("a", "an", "some", "any", "another", "no"))
_ANY = frozenset(("one", "a", "an", "some", "any", "another", "no", "either"))
_ANYTHING_AT_ALL = frozenset(("anything", "something", "stuff"))
_NO_PARTICIPLES = frozenset(("moped", "steed", "hundred", "toolshed", "seabed", "flatbed", "infrared"))
_ALSO_NAMES = frozenset(("light", "rose", "short", "other"))
_SOFT = frozenset((
    "can", "saw", "watch", "show", "order", "measure", "hand", "face", "back", "top", "bottom", "front",
    "support", "holder", "rest", "clock", "label", "print", "second", "stand", "cover", "sort", "mark", "spot", "cause",
    "light", "slip", "slide", "pass", "square", "room", "space", "list", "compact", "form", "plant", "low", "like",
    "hour", "offer", "shade", "compass", "ruler", "present", "range", "place", "name", "table-top", "end",
    "middle", "kind", "live", "rank", "note", "board", "object", "us", "double", "number", "count", "capacity", "bulk",
))  # fmt: skip
"""Words of asking that name a thing behind an article or a describing word: "the can", "a tin can"."""
_SIZES = frozenset((
    Quantity.HEIGHT, Quantity.WIDTH, Quantity.DEPTH, Quantity.LENGTH, Quantity.THICKNESS, Quantity.VOLUME,
))  # fmt: skip
_PRONOUNS = frozenset(("it", "they", "them"))
_PORTIONS = frozenset(
    ("pair", "set", "piece", "bunch", "group", "pieces", "sets", "pairs", "kind", "type", "couple", "bit")
)


def phrase_at(words: Sequence[Word], at: int, before: Sequence[Lexeme]) -> tuple[int, NounPhrase] | None:
    """The noun phrase at a place.

    Args:
        words: of the question.
        at: the place.
        before: what was read so far, for "it" and "the blue one".

    Returns:
        The place behind it and the phrase; None when nothing is named there.
    """
    if words[at].plain in ("nothing", "none") and words[at].kind == "word" and plain_at(words, at + 1) != "of":
        nothing = replace(anything(), is_any=True)
        return at + 1, NounPhrase(thing=nothing, is_indefinite=True, determiner="no")
    chunk = Chunk(at=at)
    read_determiner(words, chunk)
    if measure_at(words, chunk.at) is not None:
        return None  # "a 20 cm gap"
    read_number(words, chunk)
    read_extreme(words, chunk)
    if chunk.at < len(words) and words[chunk.at].kind == "id":
        chunk.id = int(words[chunk.at].plain)
        chunk.at += 1
    names = _read_names(words, chunk)
    read_id(words, chunk, names)
    if names and plain_at(words, chunk.at) in ("one", "ones") and all(map(_describes, names)):
        return _elliptic(words, chunk, names, before)
    if names:
        return chunk.at, _named(chunk, names)
    return _nameless(words, at, chunk, before)


def _read_names(words: Sequence[Word], chunk: Chunk) -> list[Word]:
    """The naming words at a place; "cup of coffee" and "man with the hat" are one name."""
    names = list[Word]()
    while chunk.at < len(words):
        word = words[chunk.at]
        if _is_naming(words, chunk, names) or (
            word.plain == "'s" and names and names_something(words, chunk.at + 1) and names[-1].plain not in VIEWERS
        ):
            names.append(word)
            chunk.at += 1
        elif word.plain in ("of", "with") and names and (step := _joined(words, chunk.at, names)):
            names += words[chunk.at : chunk.at + step]
            chunk.at += step
        elif word.plain == "and" and names and names[-1].plain in COLORS and plain_at(words, chunk.at + 1) in COLORS:
            names.append(word)
            chunk.at += 1
        elif word.plain == "," and names and _describes(names[-1]) and _describes_a_name(words, chunk.at + 1):
            chunk.at += 1
        else:
            break
    return names


def _describes(word: Word) -> bool:
    return word.plain in COLORS or word.plain in QUALIFIERS


def _describes_a_name(words: Sequence[Word], at: int) -> bool:
    """Whether a describing word stands there with a name behind it: the comma of "small, red box"."""
    return at < len(words) and _describes(words[at]) and names_something(words, at + 1)


def _is_naming(words: Sequence[Word], chunk: Chunk, names: Sequence[Word]) -> bool:
    word = words[chunk.at]
    if word.kind != "word":
        return False
    plain = word.plain
    follows_name = names_something(words, chunk.at + 1)
    if plain in ("one", "ones"):
        return False
    if number_at(words, chunk.at) and plain_at(words, chunk.at + 1) == "oclock":
        return False
    if names and (number_at(words, chunk.at) or measure_at(words, chunk.at)):
        return False  # "a block two hours ago"
    if names and _describes(word) and not follows_name and plain not in _ALSO_NAMES and not all(map(_describes, names)):
        return False  # "is the mug red"
    if names and plain.endswith("ed") and len(plain) > 4 and not follows_name and plain not in _NO_PARTICIPLES:
        return False  # "the mug owned by": what was done to it is no part of its name
    whole = expression_at(words, chunk.at)
    if whole is not None and whole[0] > 1:
        return False
    known = table().get((plain,))
    if known is None:
        return plain not in ("a", "an")
    if plain == "can":
        following = plain_at(words, chunk.at + 1)
        if names:
            return _follows_adjective(names) or following not in (
                "i",
                "you",
                "we",
                "it",
                "they",
                "be",
                "fit",
                "the",
                "see",
            )
        return bool(chunk.determiner) and following not in ("i", "you", "we", "it", "they")
    if known.kind == "scale":
        return follows_name or (_is_scale(words, chunk.at + 1) and names_something(words, chunk.at + 2)) or (
            bool(chunk.determiner or names) and plain_at(words, chunk.at + 1) in ("one", "ones")
        )  # fmt: skip
    if known.kind == "quantity" or plain in PICK:
        # "the colour printer", "the right shoe": part of a name where another naming word follows
        return follows_name and bool(chunk.determiner) and known.kind == "quantity"
    is_last = not follows_name
    return plain in _SOFT and is_last and ((bool(chunk.determiner) and not names) or _follows_adjective(names)) and (
        plain_at(words, chunk.at + 1) not in ("of", "to", "side", "view")
    )  # fmt: skip


def _is_scale(words: Sequence[Word], at: int) -> bool:
    known = table().get((plain_at(words, at),))
    return known is not None and known.kind == "scale"


def _follows_adjective(names: Sequence[Word]) -> bool:
    return bool(names) and all(_describes(word) for word in names)


def _joined(words: Sequence[Word], at: int, names: Sequence[Word]) -> int:
    """How many words the rest of a joined name takes: "of coffee", "with the hat"; 0: it is none."""
    end = at + 1
    article = plain_at(words, end) in ("a", "an", "the", "my", "your", "its", "his", "her", "their")
    end += article
    start = end
    if article and plain_at(words, at) == "of":
        return 0  # "the edge of the table": a part of a thing is no thing that is known
    if measure_at(words, end) is not None:
        return 0  # "a box of ten by ten by thirty centimetres"
    if names[-1].plain in ("object", "objects", "things", "thing", "items", "item") and plain_at(words, at) == "of":
        return 0
    while names_something(words, end) or (_is_scale(words, end) and names_something(words, end + 1)):
        end += 1
    return end - at if end > start else 0


def _text_of(names: Sequence[Word]) -> str:
    """Names as written; a possessive stays with its word."""
    return re.sub(r"\s+(['\u2019]s)\b", r"\1", " ".join(name.said for name in names if name.said))


def _named(chunk: Chunk, names: list[Word]) -> NounPhrase:
    if len(names) > 2 and names[0].plain in _PORTIONS and names[1].plain == "of":
        names = names[2:]
    text = _text_of(names)
    phrase = Phrase.parse(text) or Phrase(words=(), is_plural=False, text=text)
    if chunk.determiner in ("all", "these", "those", "both", "every", "each") or (chunk.number or 1) > 1:
        phrase = replace(phrase, is_plural=True)
    thing = Thing(
        phrase=phrase, text=text, extreme=extreme_of(chunk), is_other=chunk.is_other, id=chunk.id,
        is_any=_is_any(chunk, phrase, names),
        is_each=chunk.determiner in ("every", "each", "none") or names[-1].plain == "everything", count=chunk.number,
    )  # fmt: skip
    thing = replace(thing, stands_out=_standing_out(thing))
    return NounPhrase(
        thing=thing,
        number=chunk.number,
        is_indefinite=_is_indefinite(chunk, phrase),
        determiner=chunk.determiner,
        rank=chunk.rank if chunk.extreme is None and chunk.is_ranked else None,
    )


def _is_any(chunk: Chunk, phrase: Phrase, names: Sequence[Word]) -> bool:
    """Whether one suffices, whichever it is: "a box", "one box", "anything"."""
    is_one = chunk.number == 1 and not chunk.determiner
    return is_one or chunk.determiner in _ANY or (phrase.noun is None and names[-1].plain in _ANYTHING_AT_ALL)


def _standing_out(thing: Thing) -> Extreme | None:
    """What an adjective of size chooses by: "the big box", "the short one"."""
    if thing.is_any or thing.phrase.is_plural or thing.extreme is not None:
        return None
    for word in thing.phrase.adjectives:
        known = table().get((word,))
        if known is not None and known.kind == "scale" and known.value[0] in _SIZES:
            return Extreme(quantity=known.value[0], most=known.value[1])
    return None


def _is_indefinite(chunk: Chunk, phrase: Phrase) -> bool:
    if chunk.determiner or "everything" in phrase.text:
        return chunk.determiner in _INDEFINITE
    return chunk.id is None and (phrase.is_plural or phrase.noun is None or chunk.number is not None)


def _elliptic(
    words: Sequence[Word], chunk: Chunk, names: list[Word], before: Sequence[Lexeme]
) -> tuple[int, NounPhrase]:
    """As in "The blue one" with the noun of the thing named before; without one, anything blue."""
    one = words[chunk.at]
    chunk.at += 1
    said = Phrase.parse(" ".join(name.said for name in names))
    earlier = meant_by_one(
        before, has_color=said is not None and bool(said.colors), has_extreme=chunk.extreme is not None
    )
    nouns = [] if earlier is None else naming_words(earlier.thing.text)
    names = [*names, *([Word(plain=noun.lower(), said=noun) for noun in nouns] or [one])]
    phrase = _named(chunk, names)
    if one.plain == "ones":
        several = replace(phrase.thing.phrase, is_plural=True)
        phrase = replace(phrase, thing=replace(phrase.thing, phrase=several))
    return chunk.at, phrase


def _nameless(words: Sequence[Word], at: int, chunk: Chunk, before: Sequence[Lexeme]) -> tuple[int, NounPhrase] | None:
    """What stands for a name: "it", "the other one", "the largest", "object 3" without its noun ("#3")."""
    said_one = plain_at(words, chunk.at) in ("one", "ones")
    if said_one and (chunk.determiner or chunk.extreme or chunk.is_other or chunk.number):
        chunk.at += 1
        is_plural = words[chunk.at - 1].plain == "ones"
        return chunk.at, _substitute(chunk, before, is_plural=is_plural)
    if chunk.extreme is not None:
        return chunk.at, NounPhrase(
            thing=replace(anything(), extreme=extreme_of(chunk)), is_bare_extreme=True, determiner=chunk.determiner
        )
    if chunk.is_other and chunk.determiner in ("the", "another"):
        is_plural = plain_at(words, chunk.at - 1) == "others"
        return chunk.at, _substitute(chunk, before, is_plural=is_plural)
    if chunk.id is not None:
        return chunk.at, NounPhrase(thing=replace(anything(), id=chunk.id))
    if words[at].plain in _PRONOUNS and (earlier := earlier_phrase(without_own(before))) is not None:
        return at + 1, replace(earlier, is_indefinite=False, determiner="it")
    return None


def _substitute(chunk: Chunk, before: Sequence[Lexeme], *, is_plural: bool) -> NounPhrase:
    earlier = meant_by_one(before, has_extreme=chunk.extreme is not None)
    thing = anything() if earlier is None else Thing(phrase=earlier.thing.phrase, text=earlier.thing.text)
    phrase = replace(thing.phrase, is_plural=is_plural)
    thing = replace(thing, phrase=phrase, extreme=extreme_of(chunk), is_other=chunk.is_other, id=chunk.id)
    return NounPhrase(thing=thing, determiner=chunk.determiner, number=chunk.number)
