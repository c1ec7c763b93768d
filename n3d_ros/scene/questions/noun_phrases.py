"""What a run of naming words means, and what stands for it later: "it", "the blue one", "the other"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from n3d_ros.scene.phrases import COLORS, QUALIFIERS, Phrase
from n3d_ros.scene.questions.lexicon import expression_at, table
from n3d_ros.scene.questions.patterns import Lexeme
from n3d_ros.scene.questions.question import Thing
from n3d_ros.scene.questions.words import Word

DETERMINERS = frozenset(
    ("a", "an", "the", "this", "that", "these", "those", "my", "your", "his", "her", "its", "our", "their", "some",
     "any", "every", "each", "all", "both", "no", "another")
)  # fmt: skip
VIEWERS = frozenset(("camera", "viewer", "observer", "robot", "viewpoint", "sensor", "photographer"))


@dataclass(frozen=True, slots=True, kw_only=True)
class NounPhrase:
    """A run of words that names.

    Args:
        thing: as far as told without what follows it.
        number: how many were said: "two boxes"; None: not said.
        is_indefinite: behind "a", "some", "any" or nothing.
        determiner: the word before, if any.
        is_bare_extreme: only a superlative was said: "the largest".
        rank: of "the second box", which needs "from the left" or the like behind it.
    """

    thing: Thing
    number: int | None = None
    is_indefinite: bool = False
    determiner: str = ""
    is_bare_extreme: bool = False
    rank: int | None = None


def anything(text: str = "object") -> Thing:
    """The thing that may be anything at all.

    Args:
        text: what answers call it.

    Returns:
        A thing without a noun.
    """
    return Thing(phrase=Phrase.parse("object") or Phrase(words=(), is_plural=False, text=text), text=text)


def earlier_phrase(before: Sequence[Lexeme]) -> NounPhrase | None:
    """The newest noun phrase.

    Args:
        before: what was read so far.

    Returns:
        None when nothing was named.
    """
    return next((lexeme.value for lexeme in reversed(before) if lexeme.kind == "np"), None)


def without_own(before: Sequence[Lexeme]) -> Sequence[Lexeme]:
    """What was read before a pronoun, without the noun phrase that it is part of: "the cylinder next to it".

    Args:
        before: what was read so far.

    Returns:
        The same where no noun phrase goes on in what stands before the pronoun.
    """
    at = len(before)
    while at and (before[at - 1].kind == "rel" or before[at - 1].word in ("that", "which")):
        at -= 1
    is_asked = at >= 2 and before[at - 2].word in ("be", "do", "can", "have")
    return before[: at - 1] if 0 < at < len(before) and before[at - 1].kind == "np" and not is_asked else before


def meant_by_one(before: Sequence[Lexeme], *, has_color: bool = False, has_extreme: bool = False) -> NounPhrase | None:
    """The phrase whose noun "one" stands for: the newest of the same make, else the newest that places nothing.

    Args:
        before: what was read so far.
        has_color: "the blue one".
        has_extreme: "the largest one".

    Returns:
        None when nothing was named.
    """
    found = [
        (lexeme.value, k > 0 and before[k - 1].kind == "rel") for k, lexeme in enumerate(before) if lexeme.kind == "np"
    ]
    for phrase, _ in reversed(found):
        if (has_color and phrase.thing.phrase.colors) or (has_extreme and phrase.thing.extreme is not None):
            return phrase  # type: ignore[no-any-return]
    if before and before[-1].word == "and":
        return earlier_phrase(before)
    free = [phrase for phrase, places in found if not places]
    return free[-1] if free else earlier_phrase(before)


def naming_words(text: str) -> list[str]:
    """The words of a name without the colours and qualities before them.

    Args:
        text: the name.

    Returns:
        At least its last word.
    """
    names = text.split()
    while len(names) > 1 and (names[0].lower() in COLORS or names[0].lower() in QUALIFIERS or names[0] == "and"):
        names = names[1:]
    return names


def names_something(words: Sequence[Word], at: int) -> bool:
    """Whether the word at a place has no part in asking, so that it names something.

    Args:
        words: of the question.
        at: the place.

    Returns:
        False behind the last word, too.
    """
    if at >= len(words) or words[at].kind != "word" or words[at].plain in ("please", "now", "currently"):
        return False
    return (words[at].plain,) not in table()


def plain_at(words: Sequence[Word], at: int) -> str:
    """The word at a place.

    Args:
        words: of the question.
        at: the place.

    Returns:
        Evened out; empty behind the last word.
    """
    return words[at].plain if at < len(words) else ""


def is_of_kind(words: Sequence[Word], at: int, *kinds: str) -> bool:
    """Whether a known expression of one of these kinds begins at a place.

    Args:
        words: of the question.
        at: the place.
        kinds: such as "sup".

    Returns:
        False where no known expression begins.
    """
    known = expression_at(words, at) if at < len(words) else None
    return known is not None and known[1].kind in kinds
