"""Questions that compare: is it taller, which is nearest, are they alike, is it red, is the gap wider than a number."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from n3d_ros.scene.phrases import ANYTHING, COLORS, singular, words_of
from n3d_ros.scene.questions.clauses import SUBJECT, Kept, Rows, group, sense
from n3d_ros.scene.questions.patterns import Grammar
from n3d_ros.scene.questions.question import (
    Choose,
    Compare,
    Extreme,
    IsColored,
    Quantity,
    Sense,
    SizeBound,
    Thing,
)

_Q = Quantity
_WITH_COLORS = frozenset(("and", "ones", "one", "light", "dark", "bright", "pale", "deep"))
_PAIRWISE = frozenset((_Q.DISTANCE, _Q.HORIZONTAL_DISTANCE, _Q.VERTICAL_DISTANCE, _Q.GAP))


def _compare(kept: Kept) -> Compare | None:
    quantity, much = kept["c"]
    if "r" in kept and quantity is not _Q.DISTANCE:
        return None
    return Compare(
        subject=kept["a"], quantity=quantity, sense=sense(much), other=kept.get("b"), reference=kept.get("r"),
        negated=bool(kept.get("n")), factor=kept.get("f", 1.0),
    )  # fmt: skip


def _compare_bound(kept: Kept) -> Compare | None:
    bound: SizeBound = kept["bound"]
    if bound.bound is None:
        return None
    return Compare(
        subject=kept["a"], quantity=bound.quantity, sense=sense(bound.more), bound=bound.bound,
        reference=kept.get("r"), negated=bool(kept.get("n")), inclusive=bound.inclusive,
    )  # fmt: skip


def _compare_extreme(kept: Kept) -> Compare | None:
    """Is A the largest? Is A the largest box?"""
    extreme: Extreme | None = kept["x"] if "x" in kept else kept["e"].extreme
    if extreme is None or extreme.rank != 1 or extreme.count != 1:
        return None
    among = None
    if "e" in kept:
        among = group(replace(kept["e"], extreme=None))
        among = among if among.phrase.words or among.places or among.bounds else None
    if "b" in kept:
        among = group(kept["b"])
    return Compare(
        subject=kept["a"], quantity=extreme.quantity, sense=sense(extreme.most), other=among,
        reference=extreme.reference, negated=bool(kept.get("n")),
    )  # fmt: skip


def _as_much(kept: Kept) -> Compare | None:
    """As tall as; twice as tall as; not as tall as."""
    quantity, much = kept["s"]
    if quantity is _Q.ELEVATION and kept.get("f", 1.0) != 1.0:
        quantity = _Q.HEIGHT
    factor = kept.get("f", 1.0)
    way = kept.get("way")
    if way is not None:
        told = sense(way == much) if way in (True, False) else Sense.EQUAL
    else:
        told = Sense.EQUAL
    return Compare(
        subject=kept["a"], quantity=quantity, sense=told, other=kept["b"], factor=factor if much else 1 / factor,
        negated=bool(kept.get("n")), inclusive=way is not None and bool(kept.get("i")),
    )  # fmt: skip


def _equal(kept: Kept) -> Compare | None:
    quantity = kept["q"]
    if quantity in (_Q.POSITION,):
        return None
    first, second = kept["p"] if "p" in kept else (kept["a"], kept["b"])
    if quantity is _Q.SIZE:
        quantity = _Q.VOLUME
    if quantity is _Q.GAP:
        return None
    return Compare(
        subject=first, quantity=quantity, sense=Sense.EQUAL, other=second, reference=kept.get("r"),
        negated=bool(kept.get("n")),
    )  # fmt: skip


def _all_equal(kept: Kept) -> Compare | None:
    """Are the two mugs equally tall: a plural thing compared with itself."""
    thing: Thing = kept["a"]
    return _equal({**kept, "b": thing}) if thing.phrase.is_plural else None


def _nearer_of(kept: Kept) -> Compare | None:
    """Is the pen closer to the mouse than to the lamp: the mouse is closer to the pen than the lamp is."""
    quantity, much = kept["c"]
    if quantity is not _Q.DISTANCE:
        return None
    return Compare(
        subject=kept["r"], quantity=quantity, sense=sense(much), other=kept["b"], reference=kept["a"],
        negated=bool(kept.get("n")),
    )  # fmt: skip


def _choose(kept: Kept) -> Choose | None:
    extreme: Extreme = kept["x"]
    return Choose(candidates=kept["things"], extreme=extreme)


def _colored(kept: Kept) -> IsColored:
    return IsColored(subject=kept["a"], colors=kept["colors"], negated=bool(kept.get("n")))


def _compare_gap(kept: Kept) -> Compare | None:
    """Is the gap between A and B more than 10 cm?"""
    if kept["q"] not in _PAIRWISE:
        return None
    more, metres, inclusive = kept["b"]
    return Compare(
        subject=kept["p"][0], quantity=kept["q"], sense=sense(more), bound=metres, reference=kept["p"][1],
        inclusive=inclusive,
    )  # fmt: skip


def _compare_away(kept: Kept) -> Compare | None:
    """Is A more than 30 cm from B? Less is "next to", within that distance."""
    more, metres, inclusive = kept["b"]
    if not more:
        return None
    return Compare(
        subject=kept["a"], quantity=_Q.DISTANCE, sense=Sense.MORE, bound=metres, reference=kept.get("r"),
        negated=bool(kept.get("n")), inclusive=inclusive,
    )  # fmt: skip


def _compare_limit(kept: Kept) -> Compare | None:
    """Is the height of A more than 10 cm?"""
    if kept["q"] in (_Q.POSITION, _Q.COLOR, _Q.SHAPE, _Q.NAME, _Q.SIZE, _Q.VOLUME, _Q.FOOTPRINT, _Q.GAP):
        return None
    more, metres, inclusive = kept["b"]
    return Compare(subject=kept["a"], quantity=kept["q"], sense=sense(more), bound=metres, inclusive=inclusive)


def _compare_pairs(kept: Kept) -> Compare | None:
    """Is the distance between R and A greater than that between R and B?"""
    (first, second), (third, fourth) = kept["p"], kept["p2"]
    if kept["q"] is not _Q.DISTANCE:
        return None
    for reference, subject, again, other in (
        (first, second, third, fourth), (second, first, third, fourth), (first, second, fourth, third), (second,
            first, fourth, third),
    ):  # fmt: skip
        if reference == again:
            return Compare(
                subject=subject, quantity=_Q.DISTANCE, sense=sense(kept["m"]), other=other, reference=reference
            )  # fmt: skip
    return None


def _is_color(word: str) -> bool:
    return word in COLORS or singular(word) in ANYTHING or word in _WITH_COLORS


def _hue(source: Any, place: int) -> Any:
    """A noun phrase that is a colour and nothing more: the end of "is the mug red"."""
    lexeme = source.at(place)
    if lexeme is not None and lexeme.kind == "np":
        phrase = lexeme.value.thing.phrase
        is_bare = lexeme.value.thing.extreme is None and lexeme.value.thing.id is None
        if is_bare and phrase.colors and phrase.noun is None and all(map(_is_color, words_of(phrase.text))):
            yield place + 1, phrase.colors


def add_comparisons(grammar: Grammar) -> None:
    """Adds the rules that these rows use: ``factor``, ``hues``, ``limit``, ``extreme_thing`` and the like.

    Args:
        grammar: what they are added to.
    """
    grammar.add(
        "factor", [("twice", lambda _: 2.0), ("half", lambda _: 0.5), ("{n:number} times", lambda k: k["n"] or None)]
    )
    grammar.add("hues", [("{a:hue} or {b:hue} or {c:hue}", lambda k: (*k["a"], *k["b"], *k["c"])),
                         ("{a:hue} or {b:hue}", lambda k: (*k["a"], *k["b"])), ("{a:hue}", lambda k: k["a"
                             ])])  # fmt: skip
    grammar.add_reader("hue", _hue, "np")
    grammar.add("either", [
        ("either? {a:thing} ,? or {b:thing}", lambda k: (k["a"], k["b"])),
        ("{a:thing} , {b:thing} ,? or {c:thing}", lambda k: (k["a"], k["b"], k["c"])),
        ("{a:thing} or {b:thing} or {c:thing}", lambda k: (k["a"], k["b"], k["c"])),
    ])  # fmt: skip
    grammar.add("more_or_less", [("{c:cmp} than", lambda k: k["c"][1]), ("{s:sense}", lambda k: k["s"])])
    grammar.add("limit", [
        ("{s:limited} {l:length}", lambda k: (k["s"][0], k["l"].metres, k["s"][1]) if k["l"].power == 1 else None),
        ("{c:cmp} than {l:length}", lambda k: (k["c"][1], k["l"].metres, False) if k["l"].power == 1 else None),
    ])  # fmt: skip
    grammar.add("extreme_thing", [("(the)? {t:thing}", lambda k: k["t"] if k["t"].extreme is not None else None)])


COMPARE: Rows = [
    ("(be|do) the? {q:quantity} between {p:pair} {b:limit}", _compare_gap),
    (
        "(be|do) the? {q:quantity} (from|of) {a:thing} (to|from) {r:thing} {b:limit}",
        lambda k: _compare_gap({**k, "p": (k["a"], k["r"])}),
    ),
    ("(be|do) the? {q:quantity} of {a:thing} {b:limit}", _compare_limit),
    ("(be|do) {a:bare} 's {q:quantity} {b:limit}", _compare_limit),
    (
        "(be|do) the? {q:quantity} (between|from) {p:pair} {m:more_or_less} (the|that)? {q2:quantity}? "
        "(between|from) {p2:pair}",
        _compare_pairs,
    ),
    (
        "be {a:bare} 's {q:quantity} {m:more_or_less} {b:bare} (be|('s {q2:quantity}?))?",
        lambda k: _compare({**k, "c": (k["q"], k["m"])}),
    ),
    ("be the? {q:quantity} of {a:thing} {colors:hues}", lambda k: _colored(k) if k["q"] is _Q.COLOR else None),
    (SUBJECT + "any? {c:comparative} (than|as) {b:thing}", _compare),
    (SUBJECT + "any? {c:comparative} {r:bare} than {b:thing}", _compare),
    (SUBJECT + "any? {c:comparative} (to|from|away-from) {you} (than|as) {b:thing}", _compare),
    (SUBJECT + "any? {c:comparative} (to|from|away-from) {r:thing} than {b:thing}", _compare),
    (SUBJECT + "any? {c:comparative} (to|from|away-from) {r:thing} than {b:thing} be", _compare),
    (SUBJECT + "any? {c:comparative} (to|from|away-from) {r:thing} than (it|they)? (be)? (to|from|away-from) {b:thing}",
        _nearer_of),
    (SUBJECT + "{f:factor} {c:comparative} than {b:thing}", lambda k: _compare({**k, "f": k["f"]})),
    (SUBJECT + "(have|any)? {bound:bound}", _compare_bound),
    (
        SUBJECT + "any? {bound:bound} (from|to|away-from)? {r:thing}",
        lambda k: _compare_bound(k) if k["bound"].quantity is _Q.DISTANCE else None,
    ),
    (
        SUBJECT + "any? {bound:bound} (from|to|away-from)? {you}",
        lambda k: _compare_bound(k) if k["bound"].quantity is _Q.DISTANCE else None,
    ),
    (SUBJECT + "{b:limit} (away)? (away-from|from) {r:thing}", _compare_away),
    (SUBJECT + "{b:limit} (away)? (away-from|from) {you}", _compare_away),
    (SUBJECT + "about? as {s:scale} as {b:thing} be?", _as_much),
    (SUBJECT + "at-least {f:factor} as {s:scale} as {b:thing}", lambda k: _as_much({**k, "way": True, "i": True})),
    (SUBJECT + "at-most {f:factor} as {s:scale} as {b:thing}", lambda k: _as_much({**k, "way": False, "i": True})),
    (SUBJECT + "at-least as {s:scale} as {b:thing}", lambda k: _as_much({**k, "way": True, "i": True})),
    (SUBJECT + "at-most as {s:scale} as {b:thing}", lambda k: _as_much({**k, "way": False, "i": True})),
    (SUBJECT + "{f:factor} as {s:scale} as {b:thing}", _as_much),
    (SUBJECT + "(more-than|more than) {f:factor} as {s:scale} as {b:thing}", lambda k: _as_much({**k, "way": True})),
    (SUBJECT + "(less-than|less than) {f:factor} as {s:scale} as {b:thing}", lambda k: _as_much({**k, "way": False})),
    (SUBJECT + "{f:factor} the? {q:quantity} of {b:thing}", lambda k: Compare(subject=k["a"], quantity=_Q.VOLUME if k[
        "q"] is _Q.SIZE else k["q"], sense=Sense.EQUAL, other=k["b"], factor=k["f"], negated=bool(k.get("n")))),
    (
        SUBJECT
        + "(in|at)? (the-same|the? same|equal) {q:quantity} (from|to|away-from) {r:bare} (as|than) {b:thing} be?",
        _equal,
    ),
    (SUBJECT + "as {s:scale} (from|to|away-from) {r:bare} as {b:thing} be?", lambda k: _equal({**k, "q": k["s"][0]})),
    (SUBJECT + "about? of? (the-same|the? same|equal) {q:quantity} as {b:thing}", _equal),
    ("(be|do|have) {p:pair} (be|have|of)? (both)? (the-same|the? same|equal) (in)? {q:quantity}", _equal),
    ("(be|do) {p:pair} (equally|the-same|as) {s:scale}", lambda k: _equal({**k, "q": k["s"][0]})),
    (
        "(be|do) {p:pair} (equally|the-same|as) {s:scale} (to|from|away-from) {you}",
        lambda k: _equal({**k, "q": k["s"][0]}),
    ),
    (
        "(be|do) {p:pair} (equally|the-same|as) {s:scale} (to|from|away-from) {r:thing}",
        lambda k: _equal({**k, "q": k["s"][0]}),
    ),
    ("(be|do) {p:pair} (in|at)? (the-same|the? same|equal) {q:quantity} (to|from|away-from) {you}", _equal),
    ("(be|do) {p:pair} (in|at)? (the-same|the? same|equal) {q:quantity} (to|from|away-from) {r:thing}", _equal),
    ("(be|do|have) {a:thing} (be|have|of)? (both|all)? (the-same|the? same|equal) (in)? {q:quantity}", _all_equal),
    ("(be|do) {a:thing} (both|all)? (equally|the-same|as) {s:scale}", lambda k: _all_equal({**k, "q": k["s"][0]})),
    (
        "be the {q:quantity} of {a:thing} (the-same|the? same|equal) (as|to) (the {q2:quantity} of|that of)? "
        "{b:thing}",
        _equal,
    ),
    (
        "be the {q:quantity} of {a:thing} {m:more_or_less} (the {q2:quantity} of|that of)? {b:thing}",
        lambda k: _compare({**k, "c": (k["q"], k["m"])}),
    ),
    (SUBJECT + "{e:extreme_thing}", _compare_extreme),
    (SUBJECT + "have? {x:extreme_of}", _compare_extreme),
    (SUBJECT + "have? {x:extreme_of} (of|among) {b:thing}", _compare_extreme),
    (SUBJECT + "{colors:hues} (in colour|colour)?", _colored),
]  # fmt: skip
_WHICH_OF = "(have|be|appear|lie|come|located|do)? located? (have|appear|be)? "
_CHOICE = ",? (:|-|of|between|among)? {things:things}"
CHOOSE: Rows = [
    ("{w:which_one} (be|have|appear|lie|come|located|do)? located? (have|appear|be)? {x:superlative} " + _CHOICE,
        _choose),
    (
        "(of|between|among|from|out of|comparing|compare|compared)? {things:things} (,|:|-)? {w:which_one} "
        "(be|have|appear|lie|come|located|do) located? {x:superlative}",
        _choose,
    ),
    ("{w:which_one} ,? (of|:)? {things:things} ,? " + _WHICH_OF + "{x:superlative}", _choose),
    ("which (of|between|among) {things:things} (be|have|appear|lie|come|located) located? {x:superlative}", _choose),
    ("(be|do|have|can) {things:either} (be|lie|appear|located)? {x:superlative}", _choose),
    ("{things:either} (be|do|have|lie|appear) {x:superlative}", _choose),
    (
        "(of|between|among|from|out of|comparing|compare|compared)? {things:things} (,|:|-)? {w:which_one} "
        "(be|have|appear|lie|come|located|do) located? {e:extreme_thing}",
        lambda k: Choose(candidates=k["things"], extreme=k["e"].extreme),
    ),
    ("{w:which_one} (be|have) {e:extreme_thing} " + _CHOICE, lambda k: Choose(candidates=k["things"], extreme=k["e"
        ].extreme)),
    ("(what|who|which) be {e:only_extreme} " + _CHOICE, lambda k: Choose(candidates=k["things"], extreme=k["e"
        ].extreme)),
    ("(what|who|which) be {e:extreme_thing} " + _CHOICE, lambda k: Choose(candidates=k["things"], extreme=k["e"
        ].extreme)),
]  # fmt: skip
