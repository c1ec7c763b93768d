"""Questions on places: where, on which side, in which direction, what is there, how many, is there one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from n3d_ros.scene.questions.clauses import STANDS, SUBJECT, Kept, Rows, group
from n3d_ros.scene.questions.noun_phrases import NounPhrase, anything
from n3d_ros.scene.questions.patterns import Grammar
from n3d_ros.scene.questions.question import (
    ChoosePlaced,
    Count,
    Direction,
    Exists,
    Extreme,
    IsPlaced,
    Place,
    Quantity,
    Relation,
    Side,
    Thing,
    Where,
    Which,
)
from n3d_ros.scene.questions.things import colored

_TO = "(relative|from|than|to|away-from|rel:NEXT_TO|compared (to|with))"
_YOU = "(you|we|i|one)"


def add_places(grammar: Grammar) -> None:
    """Adds the rules ``where_position`` and ``counted``.

    Args:
        grammar: what they are added to.
    """
    grammar.add("where_position", [("{q:quantity}", lambda k: True if k["q"] is Quantity.POSITION else None)])
    grammar.add("counted", [
        ("(more-than|more than) {s:numbered}", lambda k: _counted(k["s"][1], k["s"][0] + 1)),
        ("(less-than|less than) {s:numbered}", lambda k: _counted(k["s"][1], 0, k["s"][0] - 1)),
        ("at-least {s:numbered}", lambda k: _counted(k["s"][1], k["s"][0])),
        ("at-most {s:numbered}", lambda k: _counted(k["s"][1], 0, k["s"][0])),
        ("(only|exactly) {s:some_thing}", lambda k: _exactly(k["s"])),
        ("{s:some_thing}", lambda k: _one_or_more(k["s"])),
        ("{a:thing}", lambda k: _counted(k["a"])),
    ])  # fmt: skip


def _counted(thing: Thing, at_least: int | None = None, at_most: int | None = None) -> Exists:
    return Exists(thing=thing, at_least=at_least, at_most=at_most)


def _numbered(kept: Kept) -> tuple[int, Thing] | None:
    phrase, thing = kept["s"]
    return None if phrase.number is None else (phrase.number, replace(thing, count=None))


def _exactly(some: tuple[NounPhrase, Thing]) -> Exists:
    number = some[0].number or 1
    return _counted(some[1], number, number)


def _one_or_more(some: tuple[NounPhrase, Thing]) -> Exists:
    phrase, thing = some
    return Exists(thing=thing, negated=phrase.determiner == "no")


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


def _there(kept: Kept) -> Exists:
    """ "Is a mug on the table?" asks whether there is one."""
    phrase, thing = kept["s"]
    thing = replace(thing, places=(*thing.places, kept["p"]))
    return _one_or_more((phrase, thing))


def _empty(kept: Kept) -> Exists:
    place = Place(relation=Relation.ON, references=(kept["a"],))
    return Exists(thing=replace(anything(), places=(place,)), negated=True)


def _with_all(kept: Kept) -> Thing | None:
    thing: Thing = kept["a"] if "a" in kept else anything()
    if "p" in kept:
        thing = replace(thing, places=(*thing.places, kept["p"]))
    if "p2" in kept:
        thing = replace(thing, places=(*thing.places, kept["p2"]))
    if "b" in kept:
        thing = replace(thing, bounds=(*thing.bounds, kept["b"]))
    if "x" in kept:
        if thing.extreme is not None:
            return None
        thing = replace(thing, extreme=kept["x"])
    return thing


def _which(kept: Kept) -> Which | None:
    thing = _with_all(kept)
    return (
        None if thing is None else Which(thing=thing, is_single=thing.extreme is not None and thing.extreme.count == 1)
    )


def _which_one(kept: Kept) -> Which | None:
    """ "Which box is on the table" asks for one, "which boxes are" for all."""
    which = _which(kept)
    if which is None or "w" not in kept:
        return which
    return replace(which, is_single=which.is_single or not which.thing.phrase.is_plural)


_INVERSE = {
    Relation.ON: Relation.UNDER, Relation.NEXT_TO: Relation.NEXT_TO, Relation.LEFT: Relation.RIGHT,
    Relation.RIGHT: Relation.LEFT, Relation.FRONT: Relation.BEHIND, Relation.BEHIND: Relation.FRONT,
    Relation.ABOVE: Relation.BELOW, Relation.BELOW: Relation.ABOVE, Relation.UNDER: Relation.ABOVE,
}  # fmt: skip


def _each_other(kept: Kept) -> IsPlaced | None:
    thing: Thing = kept["a"]
    if not thing.phrase.is_plural:
        return None
    return IsPlaced(subject=thing, options=kept["o"], references=(replace(thing, is_other=True),))


def _none_colored(kept: Kept) -> Exists | None:
    thing = colored(kept["z"], kept["c"])
    return None if thing is None else Exists(thing=thing, negated=True)


def _inverse(kept: Kept) -> Which | None:
    """ "What is the mug standing on" is what is under it."""
    relation = _INVERSE.get(kept["r"])
    if relation is None:
        return None
    thing: Thing = kept.get("t") or anything()
    thing = anything() if thing.phrase.noun == "surface" else thing
    return Which(thing=replace(thing, places=(Place(relation=relation, references=(kept["a"],)),)))


def _which_colored(kept: Kept) -> Which | None:
    thing: Thing = kept.get("a") or anything()
    red = colored(thing, kept["c"])
    return None if red is None else Which(thing=red, is_single=not red.phrase.is_plural)


def _what_is(kept: Kept) -> Which | None:
    """ "What is the thing on the table": what it is called; "what is the mug" asks for a description."""
    thing: Thing = kept["a"]
    if (
        thing.id is not None
        or thing.phrase.noun is not None
        and not thing.phrase.is_plural
        or not (thing.places or thing.bounds)
    ):
        return None
    return Which(thing=thing, is_single=not thing.phrase.is_plural)


def _listed(kept: Kept) -> Which | None:
    thing: Thing = kept["a"]
    if thing.id is not None:
        return None
    return Which(thing=group(thing)) if thing.phrase.is_plural or thing.phrase.noun is None else None


def _count(kept: Kept) -> Count | None:
    thing = _with_all(kept)
    return None if thing is None else Count(thing=group(thing))


def _where(kept: Kept) -> Where | None:
    extreme = kept["a"].extreme
    if "b" in kept and extreme is not None and extreme.quantity is Quantity.DISTANCE and extreme.reference is None:
        return None  # "the nearest mug to the plate"
    return Where(thing=kept["a"], relative_to=kept.get("b"))


def _side(kept: Kept) -> Side:
    return Side(subject=kept["a"], reference=kept["b"])


def _direction(kept: Kept) -> Direction:
    return Direction(target=kept["a"], origin=kept.get("b"), as_clock=kept["d"])


def _choose(kept: Kept) -> ChoosePlaced | None:
    things: tuple[Thing, ...] = kept["things"]
    place: Place | None = kept.get("p")
    relation = kept["r"] if place is None else place.relation
    if place is not None and len(place.references) > 1:
        return None
    reference = place.references[0] if place is not None and place.references else None
    return ChoosePlaced(candidates=things, relation=relation, reference=reference)


WHERE: Rows = [
    ("where (be|do|can|have) {a:thing} " + STANDS + _TO + " {b:thing}", _where),
    ("where {a:thing} (be|lie|appear)? located? (relative|compared (to|with)|than) {b:thing}", _where),
    ("(what be|give|tell|find)? the? {where_position} of {a:thing} " + _TO + " {b:thing}", _where),
    ("where be {a:thing} (last-seen|see last?|last located)?", _where),
    ("where (rel:INSIDE|in|on|at)? (be|do|can|have) {a:thing} " + STANDS, _where),
    ("where {a:thing} (be|lie|appear|come)? located?", _where),
    ("where (can|do|have|be)? not? " + _YOU + " can? (last|last-see|see|find|located|look|looking)? (see|find|for|rel:INSIDE)? {a:thing} last?", _where),
    ("where be {a:thing} be? (see|last|last-seen)", _where),
    ("(can|do) (you|we|i) find {a:thing} (for me)?", lambda k: _where(k) if not k["a"].is_any and not (k["a"].phrase.is_plural and not k["a"].count) else None),
    ("(find|show|look|looking|search) (me|to|at|for|rel:NEXT_TO|out)? (for|to)? {a:thing} (for me)?", _where),
    ("(find|show|tell) (me|us|out)? where {a:thing} be? located?", _where),
    ("(find|show|tell) (me|us|out)? where be {a:thing} located?", _where),
    ("(what be|what|find|give me?|tell me?|show me?)? the? {where_position} of {a:thing} (be)?", _where),
    ("what be {a:thing} 's {where_position}", _where),
    ("(what|which) {where_position} (do|be) {a:thing} (have|use|rel:INSIDE|lie|located|at|in)?", _where),
    ("(i|we) be (looking|search) for {a:thing}", _where),
    ("(i|we) (can|do) not? (find|see) {a:thing} ,? where be {b:thing}", lambda k: Where(thing=k["a"]) if k["a"] == k["b"] else None),
    ("where (do|have|can) (i|we|you) (leave|located|lie) {a:thing}", _where),
]  # fmt: skip

PLACED: Rows = [
    ("(be|do|have|can) not? {s:some_thing} " + STANDS + "{p:place}", _there),
    ("(be|do|have) not? {a:thing} {e:bare_}", _empty),
    (SUBJECT + "either? {o:options_of} {b:thing}", _is_placed),
    (SUBJECT + "either? {o:options_of} {you}", _is_placed),
    ("be {p:pair} located? {o:options_of} each-other", lambda k: IsPlaced(subject=k["p"][0], options=k["o"], references=(k["p"][1],))),
    ("be {a:thing} located? {o:options_of} each-other", _each_other),
    (SUBJECT + "{p:place}", _is_placed),
    (SUBJECT + "{o:options} (than|of|from|compared (to|with)) {b:thing}", _is_placed),
    (SUBJECT + "either? {o:options}", _is_placed),
]  # fmt: skip

CHOOSE_PLACED: Rows = [
    ("{w:which_one} " + STANDS + "{p:stood} ,? (of|between|among|:)? {things:things}", _choose),
    ("(of|between|among|from)? {things:things} ,? {w:which_one} " + STANDS + "{p:stood}", _choose),
]  # fmt: skip

WHICH: Rows = [
    ("(what|whats|who) (be|lie|can|have|do)? (there|lie|located)? " + STANDS + "{p:place} (and {p2:place})?", _which),
    ("(what|whats) (be|lie|appear) (there|located|here)?", _which),
    ("{w:asked} " + STANDS + "{p:place}", _which_one),
    ("(what|which) be {a:thing} (be|located|lie)? {r:rel}", _inverse),
    ("(what|which) do {a:thing} (lie|be) {r:rel}", _inverse),
    ("(of|between|rel:BETWEEN|among) {a:thing} ,? {w:asked} (be|have|appear|lie|located)? located? {x:superlative}", _which),
    ("(on|rel:ON) (what|which) {t:bare}? (be|do) {b:thing} (located|lie)?", lambda k: _inverse({"r": Relation.ON, "a": k["b"], "t": k.get("t")})),
    ("(what|which) {t:bare} (be|do) {a:thing} (located|lie)? {r:rel}", _inverse),
    ("{w:asked} {a:thing} be (the)? {n:ordinal} (one)? {f:counted_from}", lambda k: _which({"a": k["a"], "x": Extreme(quantity=k["f"][0], most=k["f"][1], rank=k["n"])})),
    ("{w:asked} {a:thing} be {c:hue}", _which_colored),
    ("(what|which) be {c:hue}", _which_colored),
    ("{w:asked}? {a:thing} (be|lie|appear|do|have) there? " + STANDS + "{p:place}", _which_one),
    ("{w:asked} (of|among)? {a:thing} (be|appear|have) {b:bound}", _which_one),
    ("(what|whats|which) be {b:bound}", _which),
    ("{w:asked} (of|among|:)? {a:thing} (be|have|appear|lie|come|located)? located? {x:superlative}", _which),
    ("(what|which|who) (be|have|appear|lie|come|located) located? {x:superlative} (of all|among them)?", _which),
    ("(what|whats|which) {a:thing} (be|lie) (there|here|located)?", _which),
    ("(what|which|whats) (be)? the? {a:thing} (there be|be there)", _which),
    ("(what|whats|which) {a:thing} (do|can|have) not? " + _YOU + " can? (see|find|have|know) {p:place}?", _which),
    ("(what|whats) (do|can|have) " + _YOU + " can? (see|find|have|located) (there|here)? {p:place}?", _which),
    ("(what|whats) (do|can|have)? " + _YOU + " can? (see|find)", _which),
    ("(what|which|who|give|tell|name) (be|me)? {e:extreme_thing}", lambda k: Which(thing=k["e"], is_single=k["e"].extreme.count == 1)),
    ("(list|describe|name|count|find|show) (me|us|to me)? {a:thing}", _listed),
    ("(what|who|which) be {a:thing}", _what_is),
    ("what {a:thing} hold", lambda k: Which(thing=replace(anything(), places=(Place(relation=Relation.INSIDE, references=(k["a"],)),)))),
    ("what do {a:thing} hold", lambda k: Which(thing=replace(anything(), places=(Place(relation=Relation.INSIDE, references=(k["a"],)),)))),
    ("(list|describe|tell|show) (me|us)? what (you|we|i)? can? (see|be there|there be|find) {p:place}?", _which),
    ("(list|tell|show) (me|us)? what be {p:place}", _which),
]  # fmt: skip

COUNT: Rows = [
    ("how-many of? {a:thing} (be|lie|appear|do|can|have)? (there|you|we|i|be)? (be|lie|see|find|have|located)? located? {p:place}?", _count),
    ("how-many of? {a:thing} there be {p:place}?", _count),
    ("how-many of? {a:thing} (be|lie|appear) {b:bound}", _count),
    ("how-many of? {a:thing} can? (you|we|i) can? (see|find|have|located) {p:place}?", _count),
    ("(what be|count|give|tell|find)? (me|us)? number-of {a:thing} (there be|be there)? {p:place}?", _count),
    ("count up? (me|of)? {a:thing}", _count),
    ("how-many of? {a:thing} (be|appear) {h:hue}", lambda k: _count({"a": colored(k["a"], k["h"])})),
    ("what number-of {a:thing} (be|lie) (there|located)? {p:place}?", _count),
    ("how-many (be|lie|do|can) (there|you|we|located|i)? (see|find|located)? {p:place}", _count),
]  # fmt: skip

EXISTS: Rows = [
    ("(be|appear|do|can|have) not? there (be|appear|lie|exist)? {e:counted}", lambda k: k["e"]),
    ("there (be|appear|lie) {e:counted}", lambda k: k["e"]),
    ("(be|do|have) {z:none} " + STANDS + "{p:place}", lambda k: Exists(thing=replace(k["z"], places=(k["p"],)), negated=True)),
    ("be {z:none} {c:hue}", _none_colored),
    ("there be {n:neg} {e:counted}", lambda k: replace(k["e"], negated=not k["e"].negated)),
    ("(do|can|have|be)? not? " + _YOU + " (can|do|have)? (see|find|have|located) {e:counted}", lambda k: k["e"]),
    ("(do|can|have|be) {a:thing} (be)? (there|here|located|see)", lambda k: Exists(thing=k["a"])),
    ("(do|can|have|be) {s:some_thing} (be|lie|appear)? (exist|there|here|located|see)", lambda k: _one_or_more(k["s"])),
    ("(do|can|be) not? {b:thing} hold {s:some_thing}", lambda k: _one_or_more((k["s"][0], replace(k["s"][1], places=(*k["s"][1].places, Place(relation=Relation.INSIDE, references=(k["b"],))))))),
    ("have? {s:only_some}", lambda k: _one_or_more(k["s"])),
]  # fmt: skip

SIDE: Rows = [
    ("(on|rel:ON|in|at|to)? (which|what) side (of|from|relative) {b:thing} (be|do|can|lie) {a:thing} " + STANDS + "on?", _side),
    ("(on|in|at|to)? (which|what) side (be|do|can|lie) {a:thing} " + STANDS + "(on|rel:ON)? (of|from|relative) {b:thing}", _side),
    ("how (be|do) {a:thing} " + STANDS + "(relative|to|from|compared (to|with)|than|with) {b:thing}", _side),
    ("how be {p:pair} (located|compared|relative)? each-other?", lambda k: Side(subject=k["p"][0], reference=k["p"][1])),
    ("what be the spatial? (relation|relationship) (of|between|rel:BETWEEN) {p:pair}", lambda k: Side(subject=k["p"][0], reference=k["p"][1])),
]  # fmt: skip

_HEADING = "(at|in|to|from|on|toward)? (what|which|the)? {d:heading}"
DIRECTION: Rows = [
    ("in-terms-of (the|a)? {d:heading} ,? where be {a:thing} ((relative|from|to) {b:thing})?", _direction),
    (_HEADING + " (be|do|can|lie|have) {a:thing} " + STANDS + "(at|in|on)? " + _TO + " {b:thing}", _direction),
    (_HEADING + " (be|do|can|lie|have) {a:thing} " + STANDS + "(at|in|on)?", _direction),
    (_HEADING + " (of|from|to|toward) {a:thing} " + _TO + " {b:thing}", _direction),
    (_HEADING + " from {b:thing} to {a:thing}", _direction),
    ("what be " + _HEADING + " (of|to|toward) {a:thing} " + _TO + " {b:thing}", _direction),
    ("what be " + _HEADING + " from {b:thing} to {a:thing}", _direction),
    ("what be " + _HEADING + " (of|to|toward) {a:thing}", _direction),
    (_HEADING + " (can|do|be|must|have) " + _YOU + " (have to)? (find|see|look|appear|fit|turn|move|looking) (for|to)? (see|find|reach)? {a:thing} (from {b:thing})?", _direction),
    ("{a:thing} (be|lie) (located|at|in|on)? (at|in|on)? (which|what) {d:heading} " + _TO + " {b:thing}", _direction),
    ("{a:thing} (be|lie) (located|at|in|on)? (at|in|on)? (which|what) {d:heading}", _direction),
    ("from {b:thing} ,? " + _HEADING + " be {a:thing}", _direction),
]  # fmt: skip


def add_headings(grammar: Grammar) -> None:
    """Adds the rules ``heading``, ``which``, ``which_one``, ``stood``, ``some_thing`` and the like.

    Args:
        grammar: what they are added to.
    """
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
    grammar.add("stood", [
        ("{p:place}", lambda k: k["p"]),
        ("{o:option}", lambda k: Place(relation=k["o"]) if k["o"] is not Relation.BETWEEN else None),
        ("the? {x:sided}", lambda k: k["x"]),
    ])  # fmt: skip
    grammar.add("asked", [("(which|what|whats|who) (one|of)?", lambda _: True)])
    grammar.add_reader("some_thing", _some_thing, "np")
    grammar.add_reader(
        "number_",
        lambda source, place: [(end, int(value)) for end, value in source.read("number", place) if value == int(value)],
        "number",
    )
    grammar.add("sided", [("{x:extreme_of}", _sided)])
    grammar.add("numbered", [("{s:some_thing}", _numbered)])
    grammar.add(
        "bare_",
        [
            (
                "{t:bare}",
                lambda k: (
                    True
                    if k["t"].text.lower() in ("empty", "free", "bare", "clear", "vacant", "clean", "unoccupied")
                    else None
                ),
            ),
            ("empty", lambda _: True),
        ],
    )
    grammar.add("only_extreme", [("{p:extreme}", lambda k: k["p"].thing)])
    grammar.add(
        "only_some",
        [
            (
                "{s:some_thing}",
                lambda k: (
                    k["s"]
                    if k["s"][0].determiner in ("any", "some") or k["s"][1].is_any and k["s"][1].phrase.noun is None
                    else None
                ),
            )
        ],
    )


def _sided(kept: Kept) -> Place | None:
    """ "The leftmost" of two is the one further left."""
    extreme = kept["x"]
    if extreme.quantity is not Quantity.LATERAL or extreme.rank != 1:
        return None
    return Place(relation=Relation.RIGHT if extreme.most else Relation.LEFT)


def _some_thing(source: Any, place: int) -> Any:
    """An indefinite noun phrase with all that is said of it, and the phrase as such."""
    lexeme = source.at(place)
    if lexeme is not None and lexeme.kind == "np" and lexeme.value.is_indefinite:
        for end, thing in source.read("thing", place):
            yield end, (lexeme.value, thing)
