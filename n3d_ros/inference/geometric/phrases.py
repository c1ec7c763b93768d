"""What a phrase asks of an object that is known by colour and shape only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from n3d_ros.errors import QueryError
from n3d_ros.refine.attributes import COLOR_WORDS
from n3d_ros.scene.phrases import ANYTHING, FILLERS, singular, words_of

COLORS: Mapping[str, str] = MappingProxyType(
    {word: word for word in COLOR_WORDS}
    | {
        "gray": "grey", "silver": "grey", "violet": "purple", "lilac": "purple", "magenta": "pink", "rose": "pink",
        "turquoise": "cyan", "teal": "cyan", "navy": "blue", "crimson": "red", "scarlet": "red", "golden": "yellow",
        "beige": "brown", "tan": "brown",
    }
)  # fmt: skip
"""Colour word in a phrase -> the word that attributes use."""

SHAPES: Mapping[str, frozenset[str]] = MappingProxyType({
    noun: frozenset(shapes.split())
    for shapes, nouns in {
        "box": "box cube block carton package packet parcel cuboid brick case container crate",
        "box flat": "book magazine notebook tablet",
        "flat": "plate tray lid board disc sheet coaster",
        "cylinder": "cylinder can tin tube roll bottle jar canister candle flask",
        "cylinder bowl": "cup mug glass tumbler beaker bucket pot pan vase bin",
        "ball": "ball sphere orb globe apple peach tomato marble",
        "bowl": "bowl basin dish",
    }.items()
    for noun in nouns.split()
})  # fmt: skip
"""Noun in a phrase -> shapes that such a thing may show to a depth camera."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What an object must be.

    Args:
        colors: all of these must be among its colours.
        shapes: one of these must be its shape; None: any.
        ignored: words that say nothing about colour and shape.
    """

    colors: tuple[str, ...] = ()
    shapes: frozenset[str] | None = None
    ignored: tuple[str, ...] = ()

    def matches(self, color: str | None, shape: str | None) -> bool:
        """Whether an object so described is meant.

        Args:
            color: such as "red" or "red and white"; None: unknown.
            shape: a shape word; None: unknown.

        Returns:
            True when it has all the colours and one of the shapes asked for.
        """
        seen = set(words_of(color or ""))
        return seen.issuperset(self.colors) and (self.shapes is None or shape in self.shapes)


def understand(phrase: str | None) -> Wanted:
    """What a phrase asks for.

    The last word is the thing; words before it describe it. A thing that is not known is refused, since everything else
    would be a guess; a describing word that is not known is left out and reported.

    Args:
        phrase: such as "the red cups"; None: everything.

    Returns:
        Colours and shapes asked for.

    Raises:
        QueryError: the thing is not known, or there is none.
    """
    if phrase is None:
        return Wanted()
    said = [word for word in words_of(phrase) if word not in FILLERS]
    words = [word if word in COLORS or word in SHAPES else singular(word) for word in said]
    if not words:
        if words_of(phrase):  # "all of those"
            return Wanted()
        raise QueryError(f"Phrase {phrase!r}: expected words that name an object. {_vocabulary()}")
    thing = words[-1]
    if thing not in SHAPES and thing not in COLORS and thing not in ANYTHING:
        raise QueryError(
            f"Phrase {phrase!r}: {thing!r} is not known to the geometric grounder, which tells objects by colour and "
            f"shape only. {_vocabulary()}"
        )
    colors = tuple(dict.fromkeys(COLORS[word] for word in words if word in COLORS))
    ignored = tuple(word for word in words[:-1] if word not in COLORS and word not in ANYTHING)
    return Wanted(colors=colors, shapes=SHAPES.get(thing), ignored=ignored)


def _vocabulary() -> str:
    return f"Known colours: {', '.join(COLOR_WORDS)}. Known things: object, {', '.join(sorted(SHAPES))}."
