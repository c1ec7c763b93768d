"""Questions on places: where is it, is it left of that, on which side, in which direction."""

from __future__ import annotations

from dataclasses import replace

from n3d_ros.scene.questions.clauses import STANDS, SUBJECT, Kept, Rows
from n3d_ros.scene.questions.patterns import Grammar, Source
from n3d_ros.scene.questions.question import (
    ChoosePlaced,
    Direction,
    IsPlaced,
    Place,
    Quantity,
    Relation,
    Side,
    Thing,
    Where,
)

_TO = "(relative|from|than|to|away-from|by|compared (to|with))"
_YOU = "(you|we|i|one)"


def _is_placed(kept: Kept) -> IsPlaced | None:
    place: Place | None = kept.get("p")
    if place is not None:
        options, references, within_m = (place.relation,), place.references, place.within_m
    else:
        options, within_m = tuple(kept["o"]), None
        references = (kept["b"],) if "b" in kept else ()
    negated = bool(kept.get("n"))
    if Relation.BETWEEN in options and len(references) < 2 and not (references and references[0].phrase.is_plural):
        return None
    return IsPlaced(
        subject=kept["a"], options=options, references=references, within_m=within_m, negated=negated
    )  # fmt: skip


def _it(source: Source, place: int) -> list[tuple[int, None]]:
    """The pronoun, whatever it stands for."""
    lexeme = source.at(place)
    is_pronoun = lexeme is not None and lexeme.kind == "np" and lexeme.said.lower() == "it"
    return [(place + 1, None)] if is_pronoun else []


def _either_way(kept: Kept) -> IsPlaced | None:
    """In front of the box or behind it: both ways are meant of the same thing."""
    if kept.get("again") not in (None, kept["b"]) or Relation.BETWEEN in (kept["o"], kept["o2"]):
        return None
    return _is_placed({**kept, "o": (kept["o"], kept["o2"])})


def _each_other(kept: Kept) -> IsPlaced | None:
    thing: Thing = kept["a"]
    if not thing.phrase.is_plural:
        return None
    return IsPlaced(subject=thing, options=kept["o"], references=(replace(thing, is_other=True),))


def _where(kept: Kept) -> Where | None:
    extreme = kept["a"].extreme
    if "b" in kept and extreme is not None and extreme.quantity is Quantity.DISTANCE and extreme.reference is None:
        return None  # "the nearest mug to the plate"
    return Where(thing=kept["a"], relative_to=kept.get("b"))


def _side(kept: Kept) -> Side:
    return Side(subject=kept["a"], reference=kept["b"])


def _direction(kept: Kept) -> Direction:
    return Direction(target=kept["a"], origin=kept.get("b"), as_clock=kept["d"])


def _at_hour(kept: Kept) -> Direction | None:
    """Is A at 3 o'clock from B?"""
    hour = kept["h"]
    if hour != int(hour) or not 1 <= hour <= 12 or kept.get("n"):
        return None
    return Direction(target=kept["a"], origin=kept.get("b"), as_clock=True, hour=int(hour))


def _choose(kept: Kept) -> ChoosePlaced | None:
    things: tuple[Thing, ...] = kept["things"]
    place: Place | None = kept.get("p")
    relation = kept["r"] if place is None else place.relation
    if (place is not None and len(place.references) > 1) or any(one.others_of for one in things):
        return None
    reference = place.references[0] if place is not None and place.references else None
    return ChoosePlaced(candidates=things, relation=relation, reference=reference)


def _sided(kept: Kept) -> Place | None:
    """As in "The leftmost" of two is the one further left."""
    extreme = kept["x"]
    if extreme.quantity is not Quantity.LATERAL or extreme.rank != 1:
        return None
    return Place(relation=Relation.RIGHT if extreme.most else Relation.LEFT)


def add_places(grammar: Grammar) -> None:
    """Adds the rules that these rows use: ``where_position``, ``heading``, ``stood`` and the like.

    Args:
        grammar: what they are added to.
    """
    grammar.add("where_position", [("{q:quantity}", lambda k: True if k["q"] is Quantity.POSITION else None)])
    grammar.add("heading", [
        ("(approximate)? clock-direction (hand)? (on the clock)?", lambda _: True),
        ("hour", lambda _: True),
        ("direction", lambda _: False),
    ])  # fmt: skip
    grammar.add("which_one", [
        ("which (one|of)?", lambda _: True),
        ("(what|who)", lambda _: True),
        ("which {t:thing}", lambda _: True),
    ])  # fmt: skip
    grammar.add_reader("it_", _it, "np")
    grammar.add("stood", [
        ("{p:place}", lambda k: k["p"]),
        ("{o:option}", lambda k: Place(relation=k["o"]) if k["o"] is not Relation.BETWEEN else None),
        ("the? {x:sided}", lambda k: k["x"]),
    ])  # fmt: skip
    grammar.add("shifted_", [("{r:shift}", lambda k: Place(relation=k["r"])), ("the? {x:sided}", lambda k: k["x"])])
    grammar.add("sided", [("{x:extreme_of}", _sided)])


WHERE: Rows = [
    ("where (be|do|can|have) {a:thing} " + STANDS + _TO + " {b:thing}", _where),
    ("where {a:thing} (be|lie|appear)? located? (relative|compared (to|with)|than) {b:thing}", _where),
    ("(what be|give|tell|find)? the? {where_position} of {a:thing} " + _TO + " {b:thing}", _where),
    ("where be {a:thing} (last-seen|see last?|last located)?", _where),
    ("where (in|on|at)? (be|do|can|have) {a:thing} " + STANDS, _where),
    ("where {a:thing} (be|lie|appear|come)? located?", _where),
    (
        "where (can|do|have|be)? not? " + _YOU
        + " can? (last|last-see|see|find|located|look|looking)? (see|find|for|in)? {a:thing} last?",
        _where,
    ),
    ("where be {a:thing} be? (see|last|last-seen)", _where),
    (
        "(can|do) (you|we|i) find {a:thing} (for me)?",
        lambda k: _where(k) if not k["a"].is_any and not (k["a"].phrase.is_plural and not k["a"].count) else None,
    ),
    ("(find|show|look|looking|search) (me|to|at|for|by|out)? (for|to)? {a:thing} (for me)?", _where),
    ("(find|show|tell) (me|us|out)? where {a:thing} be? located?", _where),
    ("(find|show|tell) (me|us|out)? where be {a:thing} located?", _where),
    ("(what be|what|find|give me?|tell me?|show me?)? the? {where_position} of {a:thing} (be)?", _where),
    ("what be {a:thing} 's {where_position}", _where),
    ("(what|which) {where_position} (do|be) {a:thing} (have|use|in|lie|located|at)?", _where),
    ("(i|we) be (looking|search) for {a:thing}", _where),
    (
        "(i|we) (can|do) not? (find|see) {a:thing} ,? where be {b:thing}",
        lambda k: Where(thing=k["a"]) if k["a"] == k["b"] else None,
    ),
    ("where (do|have|can) (i|we|you) (leave|located|lie) {a:thing}", _where),
    ("where (do|have|be) {a:thing} (end up|move to?|gone)", _where),
]  # fmt: skip
PLACED: Rows = [
    (SUBJECT + "either? {o:relation} {b:bare} ,? or {o2:relation} {it_}", _either_way),
    (SUBJECT + "either? {o:relation} {b:bare} ,? or {o2:relation} {again:bare}", _either_way),
    (SUBJECT + "either? {o:options_of} {b:thing}", _is_placed),
    (SUBJECT + "either? {o:options_of} {you}", _is_placed),
    (
        "be {p:pair} located? {o:options_of} each-other",
        lambda k: IsPlaced(subject=k["p"][0], options=k["o"], references=(k["p"][1],)),
    ),
    ("be {a:thing} located? {o:options_of} each-other", _each_other),
    (SUBJECT + "{p:place}", _is_placed),
    (SUBJECT + "{o:options} (than|of|from|compared (to|with)) {b:thing}", _is_placed),
    (SUBJECT + "either? {o:options}", _is_placed),
]  # fmt: skip
CHOOSE_PLACED: Rows = [
    ("{w:which_one} " + STANDS + "{p:stood} (,|:|-|of|between|among) (of|between|among)? {things:things}", _choose),
    ("{w:which_one} " + STANDS + "{p:shifted_} {things:things}", _choose),
    ("(of|between|among|from)? {things:things} ,? {w:which_one} " + STANDS + "{p:stood}", _choose),
    ("(be|do|can) {things:either} " + STANDS + "{p:stood}", _choose),
]  # fmt: skip
SIDE: Rows = [
    (
        "(on|in|at|to)? (which|what) side (of|from|relative) {b:thing} (be|do|can|lie) {a:thing} " + STANDS + "on?",
        _side,
    ),
    (
        "(on|in|at|to)? (which|what) side (be|do|can|lie) {a:thing} " + STANDS
        + "(on)? (of|from|relative) {b:thing}",
        _side,
    ),
    ("how (be|do) {a:thing} " + STANDS + "(relative|to|from|compared (to|with)|than|with) {b:thing}", _side),
    (
        "how be {p:pair} (located|compared|relative)? each-other?",
        lambda k: Side(subject=k["p"][0], reference=k["p"][1]),
    ),
    (
        "what be the spatial? (relation|relationship) (of|between) {p:pair}",
        lambda k: Side(subject=k["p"][0], reference=k["p"][1]),
    ),
]  # fmt: skip
_HEADING = "(at|in|to|from|on|toward)? (what|which|the)? {d:heading}"
_AT_HOUR = SUBJECT + "(at|in|on|toward)? (the)? about? {h:number} (clock-direction|oclock) (direction|position|hour)? "
DIRECTION: Rows = [
    ("in-terms-of (the|a)? {d:heading} ,? where be {a:thing} ((relative|from|to) {b:thing})?", _direction),
    (_HEADING + " (be|do|can|lie|have) {a:thing} " + STANDS + "(at|in|on)? " + _TO + " {b:thing}", _direction),
    (_HEADING + " (be|do|can|lie|have) {a:thing} " + STANDS + "(at|in|on)?", _direction),
    (_HEADING + " (of|from|to|toward) {a:thing} " + _TO + " {b:thing}", _direction),
    (_HEADING + " from {b:thing} to {a:thing}", _direction),
    ("what be " + _HEADING + " (of|to|toward) {a:thing} " + _TO + " {b:thing}", _direction),
    ("what be " + _HEADING + " from {b:thing} to {a:thing}", _direction),
    ("what be " + _HEADING + " (of|to|toward) {a:thing}", _direction),
    (
        _HEADING + " (can|do|be|must|have) " + _YOU
        + " (have to)? (find|see|look|appear|fit|turn|move|looking) (for|to)? (see|find|reach)? {a:thing} (from "
        "{b:thing})?",
        _direction,
    ),
    ("{a:thing} (be|lie) (located|at|in|on)? (at|in|on)? (which|what) {d:heading} " + _TO + " {b:thing}", _direction),
    ("{a:thing} (be|lie) (located|at|in|on)? (at|in|on)? (which|what) {d:heading}", _direction),
    ("from {b:thing} ,? " + _HEADING + " be {a:thing}", _direction),
    ("from {b:thing} ,? " + _HEADING + " (be|do|can|lie) {a:thing} (be|lie)? (at|in|on)?", _direction),
    ("what be? " + _HEADING + " (be|do|can|lie) {a:thing} (at|in|on)?", _direction),
    (_AT_HOUR + _TO + " {b:thing}", _at_hour),
    (_AT_HOUR, _at_hour),
]  # fmt: skip
