"""Pieces that several kinds of question share: the beginnings of yes-or-no questions, comparatives, negation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from n3d_ros.scene.questions.patterns import Grammar
from n3d_ros.scene.questions.question import Extreme, Quantity, Relation, Sense, Thing

Kept = dict[str, Any]
Rows = list[tuple[str, Callable[[Kept], Any]]]

STANDS = "(located|lie|appear|to|be|come|have)? (to? be|to? have)? located? "
SUBJECT = (
    "(be not? {a:thing} {n:neg}? | {a:thing} be {n:neg}? | (do|can|have) not? {a:thing} {n:neg}? | {a:thing} "
    "(do|can) {n:neg}? | {a:thing} {v:standing} | (be|do|can|have) {a:not_one} {n:always}) " + STANDS
)
"""Yes or no, asked or stated: "is the mug", "does the mug lie", "the mug is"; "isn't the mug" expects a yes, so only a
"not" behind the subject turns the answer round."""


def add_clauses(grammar: Grammar) -> None:
    """Adds the shared rules: ``neg``, ``comparative``, ``superlative``, ``equally``.

    Args:
        grammar: what they are added to.
    """
    grammar.add("neg", [("not", lambda _: True)])
    grammar.add("standing", [("lie/appear", lambda _: True)])
    grammar.add("comparative", [
        ("{c:cmp} (in|in-terms-of) (the|its|their)? {q:quantity}", lambda k: _by(k["c"], k["q"])),
        ("{c:cmp} (away|up|down|off)?", lambda k: k["c"]),
        ("more {s:scale}", lambda k: k["s"]),
        ("less {s:scale}", lambda k: (k["s"][0], not k["s"][1])),
        ("(of|with)? a? {c:cmp} {q:quantity}", lambda k: _by(k["c"], k["q"])),
        ("a? more {q:quantity}", lambda k: (k["q"], True)),
        ("a? less {q:quantity}", lambda k: (k["q"], False)),
        ("use more {q:quantity}", lambda k: _by((k["q"], True), Quantity.VOLUME)),
    ])  # fmt: skip
    grammar.add("superlative", [
        ("{x:extreme_of}", lambda k: k["x"]),
        ("{c:comparative}", lambda k: Extreme(quantity=k["c"][0], most=k["c"][1])),
        ("{c:comparative} (to|from|away-from) {you}", lambda k: _nearness(k["c"], None)),
        ("{c:comparative} (to|from|away-from) {r:thing}", lambda k: _nearness(k["c"], k["r"])),
        ("use up? the? most {q:quantity}", lambda k: Extreme(quantity=_as_compared(k["q"]), most=True)),
        ("use up? the? least {q:quantity}", lambda k: Extreme(quantity=_as_compared(k["q"]), most=False)),
        ("have? the? most {q:quantity}", lambda k: Extreme(quantity=_as_compared(k["q"]), most=True)),
        ("have? the? least {q:quantity}", lambda k: Extreme(quantity=_as_compared(k["q"]), most=False)),
        ("the {c:comparative} one?", lambda k: Extreme(quantity=k["c"][0], most=k["c"][1])),
    ])  # fmt: skip
    grammar.add("options_of", [
        ("{a:option} ,? {b:option} ,? or {c:relation}", lambda k: (k["a"], k["b"], k["c"])),
        ("{a:option} or (the)? {b:relation}", lambda k: (k["a"], k["b"])),
        ("{a:option} or (the)? {b:side_of}", lambda k: (k["a"], k["b"])),
        ("{a:relation}", lambda k: (k["a"],)),
    ])  # fmt: skip
    grammar.add("side_of", [("left (side|hand)? (of|from)", lambda _: Relation.LEFT),
                            ("right (side|hand)? (of|from)", lambda _: Relation.RIGHT)])  # fmt: skip
    grammar.add(
        "options",
        [
            ("{a:option} ,? {b:option} ,? or {c:option}", lambda k: (k["a"], k["b"], k["c"])),
            ("{a:option} or {b:option}", lambda k: (k["a"], k["b"])),
            ("{a:option}", lambda k: (k["a"],)),
        ],
    )
    grammar.add("option", [("{r:rel}", lambda k: k["r"]), ("{r:lateral}", lambda k: k["r"]), ("{r:shift}",
        lambda k: k["r"]),
                           ("(to|on)? the? left (side|hand)?", lambda _: Relation.LEFT),
                           ("(to|on)? the? right (side|hand)?", lambda _: Relation.RIGHT),
                           ("front", lambda _: Relation.FRONT), ("higher", lambda _: Relation.ABOVE),
                           ("lower", lambda _: Relation.BELOW)])  # fmt: skip


def _by(scale: tuple[Quantity, bool], quantity: Quantity) -> tuple[Quantity, bool] | None:
    """Such as "larger in height"; "bigger in size" is bigger, and space that is taken is volume."""
    general = scale[0] in (Quantity.VOLUME, Quantity.ELEVATION, Quantity.LENGTH) or scale[0] is quantity
    if quantity is Quantity.DISTANCE and scale[0] is Quantity.DISTANCE:
        return scale
    if not general and not (scale[0] is Quantity.HEIGHT and quantity is Quantity.DISTANCE):
        return None
    if quantity is Quantity.SIZE or quantity is Quantity.GAP:
        quantity = Quantity.VOLUME
    return quantity, scale[1]


def _as_compared(quantity: Quantity) -> Quantity:
    """The quantity that things compare by: space and size are volume."""
    return Quantity.VOLUME if quantity in (Quantity.GAP, Quantity.SIZE) else quantity


def _nearness(scale: tuple[Quantity, bool], reference: Thing | None) -> Extreme | None:
    quantity, much = scale
    return Extreme(quantity=quantity, most=much, reference=reference) if quantity is Quantity.DISTANCE else None


def group(thing: Thing) -> Thing:
    """The thing as several.

    Args:
        thing: as read.

    Returns:
        The same, plural.
    """
    return replace(thing, phrase=replace(thing.phrase, is_plural=True))


def sense(much: bool) -> Sense:
    """The sense of a comparative.

    Args:
        much: whether it means more.

    Returns:
        MORE or LESS.
    """
    return Sense.MORE if much else Sense.LESS
