"""Phrases such as "the red boxes": which words name which objects.

An object is described by its label, its colour word and its shape word together; a phrase fits when each of its words
is among them, after plurals and synonyms are evened out on both sides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_PHRASE_WORDS = 16  # longer phrases describe more than one object

SYNONYMS = {
    # colours
    "grey": "gray", "silver": "gray", "violet": "purple", "magenta": "pink", "cyan": "blue", "turquoise": "blue",
    "crimson": "red", "scarlet": "red", "golden": "yellow", "beige": "brown", "tan": "brown",
    # shapes
    "cube": "box", "block": "box", "carton": "box", "package": "box", "parcel": "box", "cuboid": "box", "brick": "box",
    "can": "cylinder", "tin": "cylinder", "tube": "cylinder", "roll": "cylinder", "cylindrical": "cylinder",
    "sphere": "ball", "orb": "ball", "globe": "ball",
}  # fmt: skip
"""Word -> the word that stands for it; grounders give the words on the right."""

FILLERS = frozenset((
    "a", "an", "the", "this", "that", "these", "those", "my", "your", "our", "its", "some", "any", "all", "every",
    "each", "both", "and", "of", "kind", "one", "ones", "colored", "coloured", "shaped", "please",
))  # fmt: skip
ANYTHING = frozenset({"object", "thing", "item", "stuff", "everything", "anything", "something"})
IRREGULAR = {
    "knives": "knife",
    "shelves": "shelf",
    "leaves": "leaf",
    "loaves": "loaf",
    "people": "person",
    "dice": "die",
}


def words_of(text: str) -> tuple[str, ...]:
    """The words of a text, lower case, without punctuation.

    Args:
        text: any text.

    Returns:
        Words of letters (of any script) and digits, apostrophes dropped.
    """
    return tuple(re.findall(r"[^\W_]+", text.lower().replace("'", "").replace("\u2019", "")))


def singular(word: str) -> str:
    """The singular of an English noun, by its ending; words that are no plural stay.

    Args:
        word: lower case.

    Returns:
        The singular; for rare words not always the dictionary's, yet always the same for both numbers.
    """
    if word in IRREGULAR:
        return IRREGULAR[word]
    if len(word) <= 3 or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies"):
        return word[:-3] + "y"
    if word.endswith(("xes", "shes", "ches", "sses", "zes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") else word


def _plain(word: str) -> str:
    """The word that stands for this one."""
    one = singular(word)
    return SYNONYMS.get(one, one)


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrase:
    """Words that name objects.

    Args:
        words: what an object must be called, evened out; empty: anything.
        is_plural: whether several are meant ("the red boxes").
        text: as it was said, without articles.
    """

    words: tuple[str, ...]
    is_plural: bool
    text: str

    @classmethod
    def parse(cls, text: str) -> Phrase | None:
        """The phrase of a text.

        Args:
            text: such as "the red boxes".

        Returns:
            The phrase; None when the text has no word that names anything, or too many.
        """
        said = [word for word in words_of(text) if word not in FILLERS]
        if not 0 < len(said) <= MAX_PHRASE_WORDS:
            return None
        wanted = tuple(dict.fromkeys(_plain(word) for word in said if singular(word) not in ANYTHING))
        is_plural = singular(said[-1]) != said[-1] or said[-1] == "everything"
        return cls(words=wanted, is_plural=is_plural, text=" ".join(said))

    def matches(self, label: str, color: str | None = None, shape: str | None = None) -> bool:
        """Whether an object so described is meant.

        Args:
            label: its label.
            color: its colour word, if known.
            shape: its shape word, if known.

        Returns:
            True when every word of the phrase is among the object's words.
        """
        known = {_plain(word) for said in (label, color, shape) if said for word in words_of(said)}
        return known.issuperset(self.words)
