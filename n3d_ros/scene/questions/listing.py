"""Questions on what there is: how many, is there one, which are where, what is the largest."""

from __future__ import annotations

from dataclasses import replace

from n3d_ros.scene.questions.clauses import STANDS, Kept, Rows, group
from n3d_ros.scene.questions.noun_phrases import NounPhrase, anything
from n3d_ros.scene.questions.patterns import Grammar, Source
from n3d_ros.scene.questions.question import (
    Count,
    Exists,
    Extreme,
    Place,
    Quantity,
    Relation,
    Thing,
    Which,
)
from n3d_ros.scene.questions.things import colored, some_thing

_YOU = "(you|we|i|one)"
ALL_THERE_IS = frozenset(
    (
        "scene",
        "room",
        "picture",
        "image",
        "view",
        "surrounding",
        "environment",
        "world",
        "situation",
        "photo",
        "kitchen",
    )
)
"""Names of everything that is seen."""


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


def _there(kept: Kept) -> Exists:
    """As in "Is a mug on the table?" asks whether there is one."""
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


def _which_other(kept: Kept) -> Which:
    """What is on the table besides the bowl?"""
    thing: Thing = kept["a"] if "a" in kept else anything()
    return Which(thing=replace(thing, places=(kept["p"],), is_other=True, others_of=kept["o"]))


def _which_same(kept: Kept) -> Which | None:
    """Which mug is the red one?"""
    asked, told = kept["a"], kept["e"]
    is_smaller = told.extreme is not None and told.extreme.reference is None and told.phrase == asked.phrase
    if is_smaller and not asked.extreme and not asked.places:
        return Which(thing=told, is_single=True)
    is_color = len(told.text.split()) == len(told.phrase.colors)
    if (
        is_color
        or told.extreme is not None
        or not told.phrase.colors
        or asked.phrase.noun != told.phrase.noun
        or asked.extreme
        or asked.places
        or told == asked
    ):
        return None
    return Which(thing=told, is_single=not told.phrase.is_plural)


def _which_extreme(kept: Kept) -> Which | None:
    """Which of the mugs is the bigger one?"""
    told: Thing = kept["e"]
    is_same = not told.phrase.words or told.phrase.noun == kept["a"].phrase.noun
    return _which({"a": kept["a"], "x": told.extreme}) if is_same else None


def _which_shifted(kept: Kept) -> Which | None:
    """Which of the two mugs is more to the right?"""
    scale = {Relation.LEFT: (Quantity.LATERAL, False), Relation.RIGHT: (Quantity.LATERAL, True)}.get(kept["s"])
    if scale is None or kept["a"].extreme is not None:
        return None
    return Which(thing=replace(kept["a"], extreme=Extreme(quantity=scale[0], most=scale[1])), is_single=True)


def _which_end(kept: Kept) -> Which | None:
    """As in "Which box is in front" of several is the nearest one."""
    thing: Thing = kept["a"]
    if thing.phrase.is_plural or thing.extreme is not None or thing.id is not None:
        return None
    return Which(thing=replace(thing, extreme=Extreme(quantity=Quantity.DISTANCE, most=kept["e"])), is_single=True)


def _end(source: Source, place: int) -> list[tuple[int, bool]]:
    """In front (False) or at the back (True), as said of one among several."""
    lexeme = source.at(place)
    ends = {Relation.FRONT: False, Relation.BEHIND: True}
    if lexeme is None or lexeme.value not in ends or "ahead" in lexeme.said.lower():
        return []
    return [(place + 1, ends[lexeme.value])]


def _which_one(kept: Kept) -> Which | None:
    """As in "Which box is on the table" asks for one, "which boxes are" for all."""
    which = _which(kept)
    if which is None or "w" not in kept:
        return which
    return replace(which, is_single=which.is_single or not which.thing.phrase.is_plural)


_INVERSE = {
    Relation.ON: Relation.UNDER, Relation.NEXT_TO: Relation.NEXT_TO, Relation.LEFT: Relation.RIGHT,
    Relation.RIGHT: Relation.LEFT, Relation.FRONT: Relation.BEHIND, Relation.BEHIND: Relation.FRONT,
    Relation.ABOVE: Relation.BELOW, Relation.BELOW: Relation.ABOVE, Relation.UNDER: Relation.ABOVE,
}  # fmt: skip


def _none_colored(kept: Kept) -> Exists | None:
    thing = colored(kept["z"], kept["c"])
    return None if thing is None else Exists(thing=thing, negated=True)


def _inverse(kept: Kept) -> Which | None:
    """As in "What is the mug standing on" is what is under it."""
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
    """As in "What is the thing on the table": what it is called; "what is the mug" asks for a description."""
    thing: Thing = kept["a"]
    if (
        thing.id is not None
        or (thing.phrase.noun is not None and not thing.phrase.is_plural)
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


def add_lists(grammar: Grammar) -> None:
    """Adds the rules that these rows use: ``asked``, ``some_thing``, ``counted`` and the like.

    Args:
        grammar: what they are added to.
    """
    grammar.add("counted", [
        ("(more-than|more than) {s:numbered}", lambda k: _counted(k["s"][1], k["s"][0] + 1)),
        ("(less-than|less than) {s:numbered}", lambda k: _counted(k["s"][1], 0, k["s"][0] - 1)),
        ("at-least {s:numbered}", lambda k: _counted(k["s"][1], k["s"][0])),
        ("at-most {s:numbered}", lambda k: _counted(k["s"][1], 0, k["s"][0])),
        ("(only|exactly) {s:some_thing}", lambda k: _exactly(k["s"])),
        ("{s:some_thing}", lambda k: _one_or_more(k["s"])),
        ("{a:thing}", lambda k: _counted(k["a"])),
    ])  # fmt: skip
    grammar.add("asked", [("(which|what|whats|who) (one|of)?", lambda _: True)])
    grammar.add_reader("some_thing", some_thing, "np")
    grammar.add("same_kind", [("{t:bare}", lambda k: k["t"])])
    grammar.add_reader("end_", _end, "lateral")
    grammar.add("shifted", [("{r:shift}", lambda k: k["r"])])
    grammar.add("all_there_is", [("{t:bare}", lambda k: True if k["t"].phrase.noun in ALL_THERE_IS else None),
                                 ("the? room/space", lambda _: True),
                                 (_YOU, lambda _: True)])  # fmt: skip
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
    grammar.add(
        "only_some",
        [
            (
                "{s:some_thing}",
                lambda k: (
                    k["s"]
                    if k["s"][0].determiner in ("any", "some") or (k["s"][1].is_any and k["s"][1].phrase.noun is None)
                    else None
                ),
            )
        ],
    )


WHICH: Rows = [
    ("(what|whats|who) " + STANDS + "{p:place} ,? except {o:thing}", _which_other),
    (
        "(what|whats) (do|can|have) " + _YOU + " can? (see|find|have|located) {p:place} ,? except {o:thing}",
        _which_other,
    ),
    ("(which|what) {a:thing} be {e:same_kind}", _which_same),
    ("and {e:extreme_thing}", lambda k: Which(thing=k["e"], is_single=k["e"].extreme.count == 1)),
    ("which of? {a:thing} (be|lie|appear|have)? located? {s:shifted}", _which_shifted),
    ("which of? {a:bare} (be|lie) located? {e:end_}", _which_end),
    ("which of {a:thing} (be|have|appear|lie|located)? located? {x:superlative}", _which),
    ("which of? {a:thing} be {e:extreme_thing}", _which_extreme),
    ("which be {e:same_kind}", lambda k: Which(thing=k["e"], is_single=True) if k["e"].phrase.colors else None),
    ("which of {a:thing} " + STANDS + "{p:place}", _which_one),
    ("(what|which) (do|can|have) (you|we|i) (see|find)", _which),
    ("(what|whats|who) (be|lie|can|have|do)? (there|lie|located)? " + STANDS + "{p:place} (and {p2:place})?", _which),
    ("(what|whats) (be|lie|appear) (there|located|here)?", _which),
    ("{w:asked} " + STANDS + "{p:place}", _which_one),
    ("(what|which) be {a:thing} (be|located|lie)? {r:rel}", _inverse),
    ("(what|which) do {a:thing} (lie|be) {r:rel}", _inverse),
    ("(what|which) {t:bare}? be? carry {a:thing}", lambda k: _inverse({**k, "r": Relation.ON})),
    ("(of|between|among) {a:thing} ,? {w:asked} (be|have|appear|lie|located)? located? {x:superlative}", _which),
    (
        "(on) (what|which) {t:bare}? (be|do) {b:thing} (located|lie)?",
        lambda k: _inverse({"r": Relation.ON, "a": k["b"], "t": k.get("t")}),
    ),
    ("(what|which) {t:bare} (be|do) {a:thing} (located|lie)? {r:rel}", _inverse),
    (
        "{w:asked} {a:thing} be (the)? {n:ordinal} (one)? {f:counted_from}",
        lambda k: _which({"a": k["a"], "x": Extreme(quantity=k["f"][0], most=k["f"][1], rank=k["n"])}),
    ),
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
    (
        "(what|which|who|give|tell|name) (be|me)? {e:extreme_thing}",
        lambda k: Which(thing=k["e"], is_single=k["e"].extreme.count == 1),
    ),
    ("(list|describe|name|count|find|show) (me|us|to me)? {a:thing}", _listed),
    ("(what|who|which) be {a:thing}", _what_is),
    (
        "what {a:thing} hold",
        lambda k: Which(thing=replace(anything(), places=(Place(relation=Relation.INSIDE, references=(k["a"],)),))),
    ),
    (
        "what do {a:thing} hold",
        lambda k: Which(thing=replace(anything(), places=(Place(relation=Relation.INSIDE, references=(k["a"],)),))),
    ),
    ("(list|describe|tell|show) (me|us)? what (you|we|i)? can? (see|be there|there be|find) {p:place}?", _which),
    ("(list|tell|show) (me|us)? what be {p:place}", _which),
]  # fmt: skip
COUNT: Rows = [
    ("how-many of? {a:thing} (do|be|have) {s:all_there_is} (have|hold|see|find)? (in it)?", _count),
    (
        "how-many of? {a:thing} (be|lie|appear|do|can|have)? (there|you|we|i|be)? "
        "(be|lie|see|find|have|located)? located? {p:place}?",
        _count,
    ),
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
    (
        "(be|do|have) {z:none} " + STANDS + "{p:place}",
        lambda k: Exists(thing=replace(k["z"], places=(k["p"],)), negated=True),
    ),
    ("be {z:none} {c:hue}", _none_colored),
    ("there be {n:neg} {e:counted}", lambda k: replace(k["e"], negated=not k["e"].negated)),
    ("(do|can|have|be)? not? " + _YOU + " (can|do|have)? (see|find|have|located) {e:counted}", lambda k: k["e"]),
    ("(do|can|have|be) {a:thing} (be)? (there|here|located|see)", lambda k: Exists(thing=k["a"])),
    ("(do|can|have|be) {s:some_thing} (be|lie|appear)? (exist|there|here|located|see)", lambda k: _one_or_more(k["s"])),
    ("(do|can|be) not? {b:thing} hold {s:some_thing}", lambda k: _one_or_more((k["s"][0], replace(k["s"][1],
        places=(*k["s"][1].places, Place(relation=Relation.INSIDE, references=(k["b"],))))))),
    ("have? {s:only_some}", lambda k: _one_or_more(k["s"])),
]  # fmt: skip

THERE: Rows = [
    ("(be|do|have|can) not? {s:some_thing} " + STANDS + "{p:place}", _there),
    ("(be|do|have) not? {a:thing} {e:bare_}", _empty),
]  # fmt: skip
"""Read before places: with "a" or "any", whether there is one."""
