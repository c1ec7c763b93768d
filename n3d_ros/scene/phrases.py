"""Phrases such as "the red boxes": which words name which objects; the one vocabulary of requests and questions.

An object is described by its label, its colour word and its shape word. A label of colours and shapes only ("red box")
does not say what the thing is: such an object fits a noun by its shape, and a note says so. A label that names the
thing ("coffee mug") fits by its own words alone: a laptop is no box, whatever its shape. Where a label and what was
measured contradict each other ("yellow cylinder" of shape box), the label counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from types import MappingProxyType
from typing import Generic, Protocol, TypeVar

from n3d_ros.detection import SHADES
from n3d_ros.scene.nouns_alike import SAME_NAMES
from n3d_ros.scene.nouns_alike import singular as singular
from n3d_ros.scene.nouns_alike import words_of as words_of

MAX_PHRASE_WORDS = 16  # longer phrases describe more than one object
MAX_SHOWN_CHARS = 24  # of a word of the asker's that is repeated in a note


def _words_to_word(groups: Mapping[str, str]) -> Mapping[str, str]:
    """Each word on the right, and the left one itself, -> the left one."""
    return MappingProxyType({word: one for one, words in groups.items() for word in (one, *words.split())})


COLORS = _words_to_word({
    "red": "crimson scarlet maroon", "orange": "", "yellow": "golden", "green": "",
    "cyan": "turquoise teal aqua", "blue": "navy", "purple": "violet lilac", "pink": "magenta rose",
    "brown": "beige tan", "black": "", "grey": "gray silver", "white": "",
})  # fmt: skip
"""Colour word -> the word that attributes use. Cyan is measured apart from blue, so it is asked for apart."""

SHAPE_NOUNS = _words_to_word({
    "box": "cube cuboid block brick carton package packet parcel", "cylinder": "", "ball": "sphere orb globe",
    "bowl": "", "flat": "",
})  # fmt: skip
"""Noun that says no more than a shape -> the word that attributes use."""

SHAPE_ADJECTIVES: Mapping[str, frozenset[str]] = MappingProxyType({
    word: frozenset(shapes.split())
    for word, shapes in {
        "round": "cylinder ball bowl", "spherical": "ball", "cylindrical": "cylinder", "cubic": "box",
        "rectangular": "box flat",
    }.items()
} | {word: frozenset({shape}) for word, shape in SHAPE_NOUNS.items()})  # fmt: skip
"""Describing word -> shapes it can mean."""

SHAPES: Mapping[str, frozenset[str]] = MappingProxyType({
    noun: frozenset(shapes.split())
    for shapes, nouns in {
        "box": "case container crate",
        "box flat": "book magazine notebook tablet phone",
        "flat": "plate tray lid board disc sheet coaster",
        "cylinder": "can tin tube roll bottle jar canister candle flask",
        "cylinder bowl": "cup mug glass tumbler beaker bucket pot pan vase bin",
        "ball": "apple peach tomato marble",
        "bowl": "basin dish",
    }.items()
    for noun in nouns.split()
} | {word: frozenset({shape}) for word, shape in SHAPE_NOUNS.items()})  # fmt: skip
"""Noun -> shapes that such a thing may show to a depth camera."""

QUALIFIERS = frozenset((
    "light", "dark", "bright", "pale", "deep", "small", "big", "large", "little", "tiny", "huge", "tall", "short",
    "long", "wide", "thin", "thick", "heavy", "shiny", "matte", "metal", "metallic", "wooden", "plastic", "new", "old",
    "empty", "full", "open", "closed", "other", *SHAPE_ADJECTIVES.keys() - SHAPE_NOUNS.keys(),
))  # fmt: skip
"""Words that describe and never name, so that "dark red" is not taken for a thing called dark."""

FILLERS = frozenset((
    "a", "an", "the", "this", "that", "these", "those", "my", "your", "our", "its", "some", "any", "all", "every",
    "each", "both", "and", "of", "kind", "one", "ones", "colored", "coloured", "shaped", "please",
))  # fmt: skip
POINTING = frozenset({"one", "ones", "these", "those", "all", "both"})
"""Fillers that mean anything when no noun is there."""
SEVERAL = frozenset({"ones", "these", "those", "all", "both", "everything"})
ANYTHING = frozenset({"object", "thing", "item", "stuff", "everything", "anything", "something"})


def vocabulary() -> str:
    """The words that are known without a label that names things: two sentences for the user."""
    return (
        f"Known colours: {', '.join(dict.fromkeys(COLORS.values()))}. "
        f"Known things: object, {', '.join(sorted(SHAPES))}."
    )


def _plain(word: str) -> str:
    """The word that stands for this one."""
    one = singular(word)
    return COLORS.get(one) or SHAPE_NOUNS.get(one) or one


def _plain_words(text: str | None) -> frozenset[str]:
    return frozenset(_plain(word) for word in words_of(text or ""))


def _described(label: str, color: str | None, shape: str | None) -> frozenset[str]:
    """The evened-out words of an object; a measured colour or shape that its label contradicts is not among them."""
    known = _plain_words(label)
    for measured, kind in ((_plain_words(color), COLORS), (_plain_words(shape), SHAPE_NOUNS)):
        said = known & kind.keys()
        known |= measured if not said or said & measured else frozenset()
    return known


def _kind_of(words: Sequence[str]) -> str | None:
    """What the words name by their end: "flat screen TV" is a television; None: nothing that has other names."""
    plain = tuple(_plain(word) for word in words)
    return SAME_NAMES.get(plain[-2:]) or SAME_NAMES.get(plain[-1:])


def names_a_thing(label: str) -> bool:
    """Whether a label says what the thing is, beyond colour and shape.

    Args:
        label: such as "red box" (no) or "coffee mug" (yes).

    Returns:
        True when one of its words is neither colour nor shape nor filler.
    """
    plain = (_plain(word) for word in words_of(label) if word not in FILLERS)
    return any(word not in COLORS and word not in SHAPE_NOUNS and word not in ANYTHING for word in plain)


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrase:
    """Words that name objects.

    Args:
        words: every word that names or describes, evened out, in the order said; empty: anything.
        is_plural: whether several are meant ("the red boxes").
        text: as it was said, without articles.
        noun: the thing, evened out; None: anything.
        colors: all of these must be among the object's.
        shapes: what shapes it may have where no label names it; None: any, or the noun stands for none.
        adjectives: describing words other than colours, evened out.
        ignored: those of the adjectives that say nothing of shape, either.
    """

    words: tuple[str, ...]
    is_plural: bool
    text: str
    noun: str | None = None
    colors: tuple[str, ...] = ()
    shapes: frozenset[str] | None = None
    adjectives: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Phrase | None:
        """The phrase of a text.

        The thing is the last word that is no colour and no mere quality; words around it describe it.

        Args:
            text: such as "the red boxes".

        Returns:
            The phrase; None when the text has no word that names anything, or too many.
        """
        every = words_of(text)
        said = [word for word in every if word not in FILLERS]
        means_anything = bool(POINTING.intersection(every))
        if len(said) > MAX_PHRASE_WORDS or not (said or means_anything):
            return None
        at = _place_of_noun(said, means_anything)
        plain = [_plain(word) for word in said]
        noun = None if at is None or plain[at] in ANYTHING else plain[at]
        adjectives = _unique(
            word for k, word in enumerate(plain) if k != at and word not in COLORS and word not in ANYTHING
        )
        shapes, ignored = _shapes_of(noun, adjectives)
        number = said[-1 if at is None else at] if said else ""
        return cls(
            words=_unique(word for word in plain if word not in ANYTHING),
            is_plural=singular(number) != number or bool(SEVERAL.intersection(every)),
            text=" ".join(said or every),
            noun=noun,
            colors=_unique(word for k, word in enumerate(plain) if k != at and word in COLORS),
            shapes=shapes,
            adjectives=adjectives,
            ignored=ignored,
        )

    @property
    def is_known(self) -> bool:
        """Whether the thing can be told by its shape (or is anything at all)."""
        return self.noun is None or self.noun in SHAPES

    @property
    def is_more_than_shape(self) -> bool:
        """Whether the thing is known and more than its shape tells: a cup, not a cylinder."""
        return self.noun is not None and self.noun in SHAPES and self.noun not in SHAPE_NOUNS

    def matches(self, label: str, color: str | None = None, shape: str | None = None) -> bool:
        """Whether an object so described may be meant; ``select`` says more of a set of objects.

        Args:
            label: its label.
            color: its colour word, if known.
            shape: its shape word, if known.

        Returns:
            True when it has all the colours, and is called the noun or, where no label names it, has one of its shapes.
        """
        known = _described(label, color, shape)
        if not known.issuperset(self.colors):
            return False
        if self.noun is not None:
            if self.is_named_by(label) or self.is_named_alike_by(label):
                return True
            if not self.is_known or names_a_thing(label):
                return False
        return self.shapes is None or not self.shapes.isdisjoint(known)

    def is_named_by(self, label: str) -> bool:
        """Whether a label has the very noun.

        Args:
            label: of an object.

        Returns:
            True for "coffee mug" and the noun "mug".
        """
        return self.noun in _plain_words(label)

    def is_named_alike_by(self, label: str) -> bool:
        """Whether a label has another name for the noun.

        Args:
            label: of an object.

        Returns:
            True for "leather sofa" and the noun "couch".
        """
        kind = None if self.noun is None else _kind_of((*self.adjectives, self.noun))
        return kind is not None and kind == _kind_of(words_of(label))

    def shape_note(self) -> str:
        """The sentence that says by which shapes the noun is told."""
        shapes = " or ".join(sorted(self.shapes or ()))
        return f'"{self.noun}" is told by its shape only ({shapes}), so other things of that shape are taken for it.'


def ignored_note(words: Sequence[str]) -> str:
    """The sentence that says which words of a phrase were left out.

    Args:
        words: at least one.

    Returns:
        The sentence.
    """
    shown = ", ".join(word[:MAX_SHOWN_CHARS] for word in words)
    return f"Left out of the phrase, since they say nothing of colour or shape: {shown}."


class Described(Protocol):
    """What has a label, a colour word and a shape word."""

    @property
    def label(self) -> str:
        """What it is, in words."""

    @property
    def color(self) -> str | None:
        """Its colour word, if known."""

    @property
    def shape(self) -> str | None:
        """Its shape word, if known."""


DescribedT = TypeVar("DescribedT", bound=Described)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection(Generic[DescribedT]):
    """The objects that a phrase means.

    Args:
        objects: in the order given.
        notes: sentences on how the words were taken.
        is_understood: False when the noun is unknown and no label here names things, so that its absence says nothing.
    """

    objects: tuple[DescribedT, ...]
    notes: tuple[str, ...] = ()
    is_understood: bool = True


def select(phrase: Phrase, objects: Sequence[DescribedT]) -> Selection[DescribedT]:
    """The objects that a phrase means.

    Objects called so go before objects that only have the shape. A describing word chooses among them where a label
    has it; where none has, it is left out and noted.

    Args:
        phrase: what is looked for.
        objects: all there are.

    Returns:
        Those meant, with notes.
    """
    found = [one for one in objects if phrase.matches(one.label, one.color, one.shape)]
    named = [one for one in found if phrase.is_named_by(one.label)]
    alike = [] if named else [one for one in found if phrase.is_named_alike_by(one.label)]
    if named:  # the very word goes before another name
        found = [one for one in found if one in named or not phrase.is_named_alike_by(one.label)]
    named = named or alike
    found = named if named and phrase.is_more_than_shape else found
    ignored = list[str]()
    for word in phrase.adjectives:
        narrower = [one for one in found if word in _described(one.label, one.color, one.shape)]
        if narrower:
            found = narrower
        elif word in phrase.ignored:
            ignored.append(word)
    labels_name_things = any(names_a_thing(one.label) for one in objects)
    notes = [ignored_note(ignored)] if ignored else []
    if phrase.is_more_than_shape and not named and (found or (objects and not labels_name_things)):
        notes.append(phrase.shape_note())
    is_understood = phrase.is_known or bool(found) or labels_name_things or not objects
    return Selection(objects=tuple(found), notes=tuple(notes), is_understood=is_understood)


def select_by_shade(phrase: Phrase, objects: Sequence[DescribedT]) -> Selection[DescribedT]:
    """The objects that a phrase with colours means where none measures those colours.

    Measured colours are words for what the camera saw under that light: a brown table may measure orange.

    Args:
        phrase: what is looked for.
        objects: all there are.

    Returns:
        Those that are called the noun and whose measured colour is unknown, or a shade of what was said; with a note.
        None without colours, and none whose label itself says a colour.
    """
    if not phrase.colors or phrase.noun is None:
        return Selection(objects=())
    named = [one for one in objects if phrase.is_named_by(one.label) or phrase.is_named_alike_by(one.label)]
    chosen = select(replace(phrase, colors=()), [one for one in named if _may_look(one, phrase.colors)])
    if not chosen.objects:
        return Selection(objects=())
    looks = " or ".join(dict.fromkeys(one.color for one in chosen.objects if one.color)) or "of no clear colour"
    note = f"Colours vary with the light: what looks {looks} is taken for {' and '.join(phrase.colors)}."
    return replace(chosen, notes=(*chosen.notes, note))


def _may_look(one: Described, colors: Sequence[str]) -> bool:
    """Whether an object may be of these colours, each of another one that was measured, seen in another light."""
    if _plain_words(one.label) & COLORS.keys():
        return False
    seen = _plain_words(one.color) & COLORS.keys()
    return not seen or any(
        all(said == word or frozenset((said, word)) in SHADES for said, word in zip(colors, measured, strict=True))
        for measured in permutations(sorted(seen), len(colors))
    )


def _unique(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(words))


def _place_of_noun(said: Sequence[str], means_anything: bool) -> int | None:
    """Where the noun stands; None when only colours and qualities were said of anything."""
    one = [singular(word) for word in said]
    for k in reversed(range(len(one))):
        if one[k] not in COLORS and one[k] not in QUALIFIERS:
            return k
    has_color = any(word in COLORS for word in one)
    return None if means_anything or has_color else len(one) - 1


def _shapes_of(noun: str | None, adjectives: Sequence[str]) -> tuple[frozenset[str] | None, tuple[str, ...]]:
    """The shapes that noun and adjectives leave possible, and the adjectives that had no say in it."""
    shapes, ignored = (None if noun is None else SHAPES.get(noun)), list[str]()
    for word in adjectives:
        meant = SHAPE_ADJECTIVES.get(word)
        if meant is not None and shapes is not None:
            meant = meant & shapes
        if meant and (noun is None or noun in SHAPES):
            shapes = meant
        else:
            ignored.append(word)
    return shapes, tuple(ignored)
