"""Questions on quantities: how tall, how far, which is taller, how-much, in which order, does it fit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from n3d_ros.scene.questions.clauses import STANDS, SUBJECT, Kept, Rows, group, sense
from n3d_ros.scene.questions.lengths import Length
from n3d_ros.scene.questions.noun_phrases import anything
from n3d_ros.scene.questions.patterns import Grammar
from n3d_ros.scene.questions.question import (
    Choose,
    Compare,
    Difference,
    Extreme,
    Fits,
    IsColored,
    Measure,
    Order,
    Quantity,
    Relation,
    Sense,
    SizeBound,
    Thing,
)

_Q = Quantity
_WITHOUT_PLACE = "(what be|what|give|tell|find|measure|know|of|how-much be|show|you-know|describe)? (me|us|for me)? (the|a|an|its|their)? "
_BETWEEN = "(between|rel:BETWEEN|of|among)"
_ASIDE = {"horizontally": _Q.HORIZONTAL_DISTANCE, "vertically": _Q.VERTICAL_DISTANCE}


def _measure(kept: Kept) -> Measure | None:
    quantity: Quantity = kept["q"]
    if quantity is _Q.POSITION:
        return None
    return Measure(quantity=quantity, thing=kept["a"], reference=kept.get("b"), unit=kept.get("u"))


_PAIRWISE = frozenset((_Q.DISTANCE, _Q.HORIZONTAL_DISTANCE, _Q.VERTICAL_DISTANCE, _Q.GAP))


def _measure_one(kept: Kept) -> Measure | None:
    if kept["q"] in (_Q.GAP, _Q.HORIZONTAL_DISTANCE) and "b" not in kept:
        return None
    return _measure(kept)


def _measure_pair(kept: Kept) -> Measure | Difference | None:
    quantity: Quantity = kept["q"]
    if quantity not in _PAIRWISE:
        return None
    first, second = kept["p"]
    return Measure(quantity=quantity, thing=first, reference=second, unit=kept.get("u"))


def _measure_all_between(kept: Kept) -> Measure | None:
    """Between one plural thing: "how far apart are the two boxes"."""
    thing: Thing = kept["a"]
    if kept["q"] not in _PAIRWISE or not thing.phrase.is_plural:
        return None
    return Measure(quantity=kept["q"], thing=thing, reference=thing, unit=kept.get("u"))


def _aside(kept: Kept) -> Any:
    """Distance told to be horizontal or vertical by a word elsewhere."""
    quantity = kept["h"]
    if "p" in kept:
        return Measure(quantity=quantity, thing=kept["p"][0], reference=kept["p"][1], unit=kept.get("u"))
    if "b" in kept:
        return Measure(quantity=quantity, thing=kept["a"], reference=kept["b"], unit=kept.get("u"))
    return None


def _extent(kept: Kept) -> Measure:
    """How much room a thing takes "horizontally" is its width."""
    quantity = _Q.WIDTH if kept["h"] is _Q.HORIZONTAL_DISTANCE else _Q.HEIGHT
    return Measure(quantity=quantity, thing=kept["a"], unit=kept.get("u"))


def _above_by(kept: Kept) -> Measure | None:
    relation: Relation = kept["r"]
    kinds = {
        Relation.ABOVE: _Q.VERTICAL_DISTANCE, Relation.BELOW: _Q.VERTICAL_DISTANCE, Relation.UNDER: _Q.VERTICAL_DISTANCE,
    }  # fmt: skip
    quantity = kinds.get(relation)
    return (
        None
        if quantity is None
        else Measure(quantity=quantity, thing=kept["a"], reference=kept["b"], unit=kept.get("u"))
    )


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
        reference=kept.get("r"), negated=bool(kept.get("n")),
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
        negated=bool(kept.get("n")),
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


def _choose(kept: Kept) -> Choose | None:
    extreme: Extreme = kept["x"]
    return Choose(candidates=kept["things"], extreme=extreme)


def _difference(kept: Kept) -> Difference | None:
    if "c" in kept:
        quantity = kept["c"][0]
    else:
        quantity = kept["q"]
    if quantity is _Q.SIZE:
        quantity = _Q.VOLUME
    if quantity in (_Q.POSITION, _Q.COLOR, _Q.SHAPE, _Q.NAME, _Q.GAP):
        return None
    first, second = kept["p"] if "p" in kept else (kept["a"], kept["b"])
    if "r" in kept and quantity is not _Q.DISTANCE:
        return None
    return Difference(
        quantity=quantity, subject=first, other=second, reference=kept.get("r"), as_ratio=bool(kept.get("ratio")),
        unit=kept.get("u"),
    )  # fmt: skip


def _order(kept: Kept) -> Order:
    quantity, ascending, reference = kept["by"]
    things = kept["things"] if "things" in kept else (group(kept["a"]),)
    return Order(things=things, quantity=quantity, ascending=ascending, reference=reference)


def _fits(kept: Kept) -> Fits | None:
    opening = tuple(kept["o"]) if "o" in kept else ()
    return Fits(
        thing=kept["a"], opening_m=opening, between=kept.get("p") or (), inside=kept.get("b"), on_top_of=kept.get("t")
    )


def _colored(kept: Kept) -> IsColored:
    return IsColored(subject=kept["a"], colors=kept["colors"], negated=bool(kept.get("n")))


def _compare_gap(kept: Kept) -> Compare | None:
    """Is the gap between A and B more than 10 cm?"""
    if kept["q"] not in _PAIRWISE:
        return None
    more, metres = kept["b"]
    return Compare(
        subject=kept["p"][0], quantity=kept["q"], sense=sense(more), bound=metres, reference=kept["p"][1]
    )  # fmt: skip


def _compare_limit(kept: Kept) -> Compare | None:
    """Is the height of A more than 10 cm?"""
    if kept["q"] in (_Q.POSITION, _Q.COLOR, _Q.SHAPE, _Q.NAME, _Q.SIZE, _Q.VOLUME, _Q.FOOTPRINT, _Q.GAP):
        return None
    more, metres = kept["b"]
    return Compare(subject=kept["a"], quantity=kept["q"], sense=sense(more), bound=metres)


def _compare_pairs(kept: Kept) -> Compare | None:
    """Is the distance between R and A greater than that between R and B?"""
    (first, second), (third, fourth) = kept["p"], kept["p2"]
    if kept["q"] is not _Q.DISTANCE:
        return None
    for reference, subject, again, other in (
        (first, second, third, fourth), (second, first, third, fourth), (first, second, fourth, third), (second, first, fourth, third),
    ):  # fmt: skip
        if reference == again:
            return Compare(
                subject=subject, quantity=_Q.DISTANCE, sense=sense(kept["m"]), other=other, reference=reference
            )  # fmt: skip
    return None


def add_measures(grammar: Grammar) -> None:
    """Adds the rules for quantities: ``how``, ``aside``, ``unit``, ``factor``, ``by_what``, ``opening``, ``hues``.

    Args:
        grammar: what they are added to.
    """
    grammar.add("how", [
        ("how {s:scale}", lambda k: _how(k["s"])),
        ("how-much {q:quantity}", lambda k: k["q"]),
    ])  # fmt: skip
    grammar.add("aside", [("horizontally", lambda _: _Q.HORIZONTAL_DISTANCE), ("vertically", lambda _: _Q.VERTICAL_DISTANCE),
                          ("(in|along) (the|a)? horizontal (direction|plane|axis)?", lambda _: _Q.HORIZONTAL_DISTANCE),
                          ("(in|along) (the|a)? vertical (direction|axis)?", lambda _: _Q.VERTICAL_DISTANCE)])  # fmt: skip
    grammar.add(
        "factor", [("twice", lambda _: 2.0), ("half", lambda _: 0.5), ("{n:number} times", lambda k: k["n"] or None)]
    )
    grammar.add("away", [("away/off/apart", lambda _: True)])
    grammar.add("hues", [("{a:hue} or {b:hue} or {c:hue}", lambda k: (*k["a"], *k["b"], *k["c"])),
                         ("{a:hue} or {b:hue}", lambda k: (*k["a"], *k["b"])), ("{a:hue}", lambda k: k["a"])])  # fmt: skip
    grammar.add_reader("hue", _hue, "np")
    grammar.add("direction_of_order", [
        ("from (the|left)? {a:sup_or_side} to (the)? {b:sup_or_side}", lambda k: _from_to(k["a"], k["b"])),
        ("from (the|left)? {a:sup_or_side} {b:sup_or_side}", lambda k: _from_to(k["a"], k["b"])),
        ("{a:sup_or_side} {b:sup_or_side}", lambda k: _from_to(k["a"], k["b"])),
        ("{a:sup_or_side} to the? {b:sup_or_side}", lambda k: _from_to(k["a"], k["b"])),
        ("{a:sup_or_side} first", lambda k: _from_to(k["a"], None)),
    ])  # fmt: skip
    grammar.add("sup_or_side", [
        ("the? {p:extreme} (object|one)?", lambda k: (k["p"].thing.extreme.quantity, k["p"].thing.extreme.most)),
        ("{s:scale}", lambda k: k["s"]), ("left", lambda _: (_Q.LATERAL, False)), ("right", lambda _: (_Q.LATERAL, True)),
        ("front", lambda _: (_Q.DISTANCE, False)), ("back", lambda _: (_Q.DISTANCE, True)), ("top", lambda _: (_Q.ELEVATION, True)),
        ("bottom", lambda _: (_Q.ELEVATION, False)), ("{r:lateral}", lambda k: _side_scale(k["r"])), ("to the? left", lambda _: (_Q.LATERAL, False)), ("to the? right", lambda _: (_Q.LATERAL, True)),
    ])  # fmt: skip
    grammar.add("by_what", [
        ("(by|rel:NEXT_TO|according to|based on|in-order of|in order of|in terms of|in-terms-of|rel:INSIDE) (the|their)? {q:ordered}", lambda k: (k["q"], True, None)),
        ("(by|rel:NEXT_TO|in-order of|according to|based rel:ON) (the|their)? {q:ordered} (to|from) {you}", lambda k: (k["q"], True, None)),
        ("(by|rel:NEXT_TO|in-order of|according to) (the|their)? {q:ordered} (to|from) {r:thing}", lambda k: (k["q"], True, k["r"])),
        ("(in-order)? ,? {d:direction_of_order}", lambda k: (*k["d"], None)),
        ("(by|rel:NEXT_TO|in-order of|according to) (the|their)? {q:ordered} ,? {d:direction_of_order}", lambda k: (k["q"], k["d"][1], None)),
        ("(in-order)? ,? {d:direction_of_order} (to|from) {you}", lambda k: (*k["d"], None)),
        ("(in-order)? ,? {d:direction_of_order} (to|from) {r:thing}", lambda k: (*k["d"], k["r"])),
    ])  # fmt: skip
    grammar.add("ordered", [("depth", lambda _: _Q.DISTANCE), ("how-far", lambda _: _Q.DISTANCE),
                            ("{q:quantity}", lambda k: _Q.VOLUME if k["q"] is _Q.SIZE else _Q.LATERAL if k["q"] is _Q.POSITION else k["q"])])  # fmt: skip
    grammar.add("opening", [
        ("(a|the|this|that)? {l:sizes} {c:container}", lambda k: k["l"]),
        ("{c:container} (of|with|that be|which be|measuring)? (a|the)? ({q:quantity} of)? {l:sizes}", lambda k: k["l"]),
        ("{l:sizes}", lambda k: k["l"]),
    ])  # fmt: skip
    grammar.add(
        "container",
        [("{t:bare}", lambda k: True), ("(a|the|an)? {q:quantity}", lambda k: True if k["q"] is _Q.GAP else None)],
    )
    grammar.add("sizes", [
        ("{l:lengths}", lambda k: k["l"]),
        ("{a:size_} (,|and|by|rel:NEXT_TO|x)? {b:size_} (,? and|,|by|rel:NEXT_TO|x)? {c:size_}", lambda k: (k["a"], k["b"], k["c"])),
        ("{a:size_} (,|and|by|rel:NEXT_TO|x)? {b:size_}", lambda k: (k["a"], k["b"])),
        ("{a:size_}", lambda k: (k["a"],)),
    ])  # fmt: skip
    grammar.add(
        "size_",
        [
            (
                "{l:length} (in {q:quantity}|{s:scale}|in-terms-of {q2:quantity})?",
                lambda k: k["l"].metres if k["l"].power == 1 else None,
            )
        ],
    )


def _how(scale: tuple[Quantity, bool]) -> Quantity:
    """What "how big" asks: all edges; "how high": how tall."""
    quantity = scale[0]
    return {_Q.VOLUME: _Q.SIZE, _Q.ELEVATION: _Q.HEIGHT}.get(quantity, quantity)


def _side_scale(relation: Relation) -> tuple[Quantity, bool] | None:
    return {
        Relation.LEFT: (_Q.LATERAL, False), Relation.RIGHT: (_Q.LATERAL, True), Relation.FRONT: (_Q.DISTANCE, False),
        Relation.BEHIND: (_Q.DISTANCE, True), Relation.ABOVE: (_Q.ELEVATION, True), Relation.BELOW: (_Q.ELEVATION, False),
    }.get(relation)  # fmt: skip


def _from_to(first: tuple[Quantity, bool], last: tuple[Quantity, bool] | None) -> tuple[Quantity, bool] | None:
    if last is not None and (last[0] is not first[0] or last[1] is first[1]):
        return None
    return first[0], not first[1]


def _hue(source: Any, place: int) -> Any:
    """A noun phrase that is a colour and nothing more: the end of "is the mug red"."""
    lexeme = source.at(place)
    if lexeme is not None and lexeme.kind == "np":
        phrase = lexeme.value.thing.phrase
        if phrase.colors and phrase.noun is None:
            yield place + 1, phrase.colors


def _difference_(kept: Kept) -> Difference | None:
    return _difference(kept)


_UNIT = " (in|rel:INSIDE)? {u:unit}?"
MEASURE: Rows = [
    # how far
    ("(how-far|how-far-apart|how-close) (be|do|can|lie) {p:pair} (away|apart|located)? each-other?" + " {h:aside}", _aside),
    ("(how-far|how-far-apart|how-close) (be|do|can|lie) {a:thing} (away|apart|located|lie)? (from|to|away-from|relative) {b:thing} {h:aside}", _aside),
    ("(how-far|how-far-apart|how-close) {h:aside} (be|do|can|lie) {a:thing} (away|apart|located|lie)? (from|to|away-from|relative) {b:thing}", _aside),
    ("(how-far|how-far-apart|how-close) (away|apart)? {h:aside} (be|do|can|lie) {p:pair} (away|apart)? each-other?", _aside),
    ("how-much {q:quantity} be there? (between|rel:BETWEEN) {p:pair} {h:aside}", _aside),
    ("(what be)? the? {q:quantity} {h:aside}? (between|rel:BETWEEN) {p:pair} {h:aside}", _aside),
    ("(what be)? the? {q:quantity} {h:aside} (between|rel:BETWEEN) {p:pair}", _aside),
    ("{f:how_distant} (be|do|can|lie) {a:thing} " + STANDS + "(away|apart|off)? (from|to|away-from|relative) {b:thing}", lambda k: Measure(quantity=_Q.DISTANCE, thing=k["a"], reference=k["b"])),
    ("{f:how_distant} {a:thing} (be|lie) (away|apart|off|located)? (from|to|away-from|relative) {b:thing}", lambda k: Measure(quantity=_Q.DISTANCE, thing=k["a"], reference=k["b"])),
    ("{f:how_distant} (be|do|can|lie)? {p:pair} (be|lie)? " + STANDS + "(away|apart|located)? each-other?", lambda k: Measure(quantity=_Q.DISTANCE, thing=k["p"][0], reference=k["p"][1])),
    ("{p:pair} (be|lie) {f:how_distant} (away|apart)? each-other?", lambda k: Measure(quantity=_Q.DISTANCE, thing=k["p"][0], reference=k["p"][1])),
    ("{a:thing} (be|lie) {f:how_distant} (away|apart)? (from|to|away-from) {b:thing}", lambda k: Measure(quantity=_Q.DISTANCE, thing=k["a"], reference=k["b"])),
    ("{f:how_distant} (be|do|can|lie)? {a:thing} (be|lie)? (away|apart|located)? each-other", lambda k: _measure_all_between({**k, "q": _Q.DISTANCE})),
    ("{f:apart_} (be|do|can|lie) {a:thing}", lambda k: _measure_all_between({**k, "q": _Q.DISTANCE})),
    ("{f:how_distant} (be|do|can|lie) {a:thing} apart", lambda k: _measure_all_between({**k, "q": _Q.DISTANCE})),
    ("{f:how_distant} (be|do|can|lie) {a:thing} " + STANDS + "(away|apart|off)? ((from|to|away-from) {you})?", lambda k: Measure(quantity=_Q.DISTANCE, thing=k["a"])),
    ("{f:how_distant} {a:thing} (be|lie) (away|off)? ((from|to|away-from) {you})?", lambda k: Measure(quantity=_Q.DISTANCE, thing=k["a"])),
    ("{f:how_distant} (be|do|can|lie) {you} (away|off)? (from|to|away-from) {a:thing}", lambda k: Measure(quantity=_Q.DISTANCE, thing=k["a"])),
    ("{f:how_distant} (be|do|can|lie) (you|we|i) (away|off)? (from|to|away-from) {a:thing}", lambda k: Measure(quantity=_Q.DISTANCE, thing=k["a"])),
    ("{f:how_distant} (from|to|away-from) {b:thing} (be|lie) {a:thing}", lambda k: Measure(quantity=_Q.DISTANCE, thing=k["a"], reference=k["b"])),
    ("{f:how_distant} {r:rel} {b:thing} be {a:thing}", _above_by),
    ("{f:how_distant} (be|do|lie) {a:thing} " + STANDS + "{r:rel} {b:thing}", _above_by),
    ("{f:how_distant} be it (from|between|rel:BETWEEN) {a:thing} (to|and) {b:thing}", lambda k: Measure(quantity=_Q.DISTANCE, thing=k["a"], reference=k["b"])),
    ("{f:how_distant} be it (to|from) {a:thing}", lambda k: Measure(quantity=_Q.DISTANCE, thing=k["a"])),
    ("{f:how_distant} (do|can|be) (i|we|you) (have)? to? (fit|move|travel|walk|drive) (to|toward)? reach? {a:thing}", lambda k: Measure(quantity=_Q.DISTANCE, thing=k["a"])),
    ("{f:how_distant} {r:sideways} {b:thing} be {a:thing}", lambda k: Difference(quantity=_Q.LATERAL, subject=k["a"], other=k["b"])),
    ("{f:how_distant} be {a:thing} {r:sideways} {b:thing}", lambda k: Difference(quantity=_Q.LATERAL, subject=k["a"], other=k["b"])),
    ("{q:how} {r:rel} {b:thing} be {a:thing}", lambda k: _above_by(k) if k["q"] is _Q.HEIGHT else None),
    ("{q:how} be {a:thing} {r:rel} {b:thing}", lambda k: _above_by(k) if k["q"] is _Q.HEIGHT else None),
    ("{a:thing} to {b:thing} {q:quantity}", lambda k: _measure(k) if k["q"] in _PAIRWISE else None),
    ("{q:how} be (the|a)? {g:quantity} (between|rel:BETWEEN) {p:pair}", lambda k: Measure(quantity=_Q.GAP, thing=k["p"][0], reference=k["p"][1]) if k["g"] is _Q.GAP else None),
    ("{q:how} be (the|a)? {g:quantity} (between|rel:BETWEEN) {a:thing}", lambda k: _measure_all_between({**k, "q": _Q.GAP}) if k["g"] is _Q.GAP else None),
    # how many centimetres
    ("{u:units} (away|apart|off)? be {a:thing} (away|off|located)? (from|to|away-from) {b:thing}", lambda k: _measure({**k, "q": _Q.DISTANCE})),
    ("{u:units} (away|apart|off)? be {p:pair} (away|apart)? each-other?", lambda k: _measure_pair({**k, "q": _Q.DISTANCE})),
    ("{u:units} (away|apart|off)? be {a:thing} (away|apart)? each-other?", lambda k: _measure_all_between({**k, "q": _Q.DISTANCE})),
    ("{f:how_distant} {r:ahead} {b:thing} be {a:thing}", lambda k: Difference(quantity=_Q.DISTANCE, subject=k["a"], other=k["b"])),
    ("{f:how_distant} be {a:thing} {r:ahead} {b:thing}", lambda k: Difference(quantity=_Q.DISTANCE, subject=k["a"], other=k["b"])),
    ("{u:units} (be there|there be|lie)? (between|rel:BETWEEN) {p:pair}", lambda k: _measure_pair({**k, "q": _Q.DISTANCE})),
    ("{u:units} (away|off)? be {a:thing} (away|off)? ((from|to|away-from) {you})?", lambda k: _measure({**k, "q": _Q.DISTANCE})),
    ("{u:units} {s:scale} be {a:thing}", lambda k: _measure({**k, "q": _how(k["s"])})),
    ("{u:units} (in|rel:INSIDE|of)? {q:quantity} (be|do|have) {a:thing}", _measure_one),
    ("{u:units} {c:comparative} be {a:thing} than {b:thing}", _difference_),
    # how tall
    ("{q:how} (be|do|can|lie) {a:thing} (be|located)?", _measure_one),
    ("{q:how} {a:thing} (be|lie)", _measure_one),
    ("how-much {q2:quantity} (do|be) {a:thing} (use|have|need) {h:aside}", _extent),
    ("how-much {q:quantity} (do|be) {a:thing} (have|use|need)? up?", lambda k: _measure_one({**k, "q": _Q.SIZE if k["q"] is _Q.GAP else k["q"]})),
    ("how-much {q:quantity} be there? {r:bw} {p:pair}", _measure_pair),
    ("how-much {q:quantity} be there? {r:bw} {a:thing}", _measure_all_between),
    ("how-much {q:quantity} there be? {r:bw} {p:pair}", _measure_pair),
    # what is the height of
    (_WITHOUT_PLACE + "{q:quantity} {r:bw} {p:pair}", _measure_pair),
    (_WITHOUT_PLACE + "{q:quantity} {r:bw} {a:thing}", _measure_all_between),
    (_WITHOUT_PLACE + "{q:quantity} (that)? (be|lie)? (there|lie|separating)? {r:bw}? {p:pair}", _measure_pair),
    (_WITHOUT_PLACE + "{q:quantity} (of|to|for|from|rel:INSIDE)? {a:thing} (from|to|and|away-from) {b:thing}", lambda k: _measure(k) if k["q"] in _PAIRWISE else None),
    (_WITHOUT_PLACE + "{q:quantity} (of|to|for|from|away-from) {a:thing} ((from|to|away-from) {you})?", _measure_one),
    (_WITHOUT_PLACE + "{q:quantity} (from|to|between|rel:BETWEEN) {you} (and|to) {a:thing}", lambda k: Measure(quantity=k["q"], thing=k["a"]) if k["q"] is _Q.DISTANCE else None),
    (_WITHOUT_PLACE + "{q:quantity} {r:bw} {a:thing} (and|to) {you}", lambda k: Measure(quantity=k["q"], thing=k["a"]) if k["q"] is _Q.DISTANCE else None),
    (_WITHOUT_PLACE + "{q:quantity} {a:thing} be?", lambda k: _measure_one(k) if k["q"] in (_Q.COLOR, _Q.SHAPE, _Q.SIZE) else None),
    (_WITHOUT_PLACE + "{a:thing} 's {q:quantity} ((from|to) {you})?", _measure_one),
    ("(what|which|rel:INSIDE what) {q:quantity} (be|do|have|can) {a:thing} (have|be|located)?", _measure_one),
    ("(what|which) be {a:thing} {q:quantity}", _measure_one),
    ("measure {a:thing} (for me)?", lambda k: Measure(quantity=_Q.SIZE, thing=k["a"])),
    (_WITHOUT_PLACE + "{q2:quantity} of {a:thing} (in-terms-of|in|rel:INSIDE) (the|its)? {q:quantity}", lambda k: _measure_one(k) if k["q2"] is _Q.SIZE else None),
    ("(what|which) (be|do)? {a:thing} (be|measure) (in|rel:INSIDE|in-terms-of) {q:quantity}", _measure_one),
    ("what be {a:thing} (called|name)", lambda k: Measure(quantity=_Q.NAME, thing=k["a"])),
    ("{a:thing} (be|have) (what|which) {q:quantity}", _measure_one),
]  # fmt: skip

COMPARE: Rows = [
    ("(be|do) the? {q:quantity} (between|rel:BETWEEN) {p:pair} {b:limit}", _compare_gap),
    ("(be|do) the? {q:quantity} (from|of) {a:thing} (to|from) {r:thing} {b:limit}", lambda k: _compare_gap({**k, "p": (k["a"], k["r"])})),
    ("(be|do) the? {q:quantity} of {a:thing} {b:limit}", _compare_limit),
    ("(be|do) {a:bare} 's {q:quantity} {b:limit}", _compare_limit),
    ("(be|do) the? {q:quantity} (between|rel:BETWEEN|from) {p:pair} {m:more_or_less} (the|that)? {q2:quantity}? (between|rel:BETWEEN|from) {p2:pair}", _compare_pairs),
    ("be {a:bare} 's {q:quantity} {m:more_or_less} {b:bare} (be|('s {q2:quantity}?))?", lambda k: _compare({**k, "c": (k["q"], k["m"])})),
    ("be the? {q:quantity} of {a:thing} {colors:hues}", lambda k: _colored(k) if k["q"] is _Q.COLOR else None),
    (SUBJECT + "{c:comparative} (than|as) {b:thing}", _compare),
    (SUBJECT + "{c:comparative} {r:bare} than {b:thing}", _compare),
    (SUBJECT + "{c:comparative} (to|from|away-from) {you} (than|as) {b:thing}", _compare),
    (SUBJECT + "{c:comparative} (to|from|away-from) {r:thing} than {b:thing}", _compare),
    (SUBJECT + "{c:comparative} (to|from|away-from) {r:thing} than to? {b:thing} be?", _compare),
    (SUBJECT + "{f:factor} {c:comparative} than {b:thing}", lambda k: _compare({**k, "f": k["f"]})),
    (SUBJECT + "have? {bound:bound}", _compare_bound),
    (SUBJECT + "{bound:bound} (from|to|away-from)? {r:thing}", lambda k: _compare_bound(k) if k["bound"].quantity is _Q.DISTANCE else None),
    (SUBJECT + "{bound:bound} (from|to|away-from)? {you}", lambda k: _compare_bound(k) if k["bound"].quantity is _Q.DISTANCE else None),
    (SUBJECT + "about? as {s:scale} as {b:thing} be?", _as_much),
    (SUBJECT + "at-least {f:factor} as {s:scale} as {b:thing}", lambda k: _as_much({**k, "way": True})),
    (SUBJECT + "at-most {f:factor} as {s:scale} as {b:thing}", lambda k: _as_much({**k, "way": False})),
    (SUBJECT + "at-least as {s:scale} as {b:thing}", lambda k: _as_much({**k, "way": True})),
    (SUBJECT + "at-most as {s:scale} as {b:thing}", lambda k: _as_much({**k, "way": False})),
    (SUBJECT + "{f:factor} as {s:scale} as {b:thing}", _as_much),
    (SUBJECT + "(more-than|more than) {f:factor} as {s:scale} as {b:thing}", lambda k: _as_much({**k, "way": True})),
    (SUBJECT + "(less-than|less than) {f:factor} as {s:scale} as {b:thing}", lambda k: _as_much({**k, "way": False})),
    (SUBJECT + "{f:factor} the? {q:quantity} of {b:thing}", lambda k: Compare(subject=k["a"], quantity=_Q.VOLUME if k["q"] is _Q.SIZE else k["q"], sense=Sense.EQUAL, other=k["b"], factor=k["f"], negated=bool(k.get("n")))),
    (SUBJECT + "(rel:INSIDE|at)? (the-same|the? same|equal) {q:quantity} (from|to|away-from) {r:bare} (as|than) {b:thing} be?", _equal),
    (SUBJECT + "as {s:scale} (from|to|away-from) {r:bare} as {b:thing} be?", lambda k: _equal({**k, "q": k["s"][0]})),
    (SUBJECT + "about? of? (the-same|the? same|equal) {q:quantity} as {b:thing}", _equal),
    ("(be|do|have) {p:pair} (be|have|of)? (both)? (the-same|the? same|equal) (rel:INSIDE|in)? {q:quantity}", _equal),
    ("(be|do) {p:pair} (equally|the-same|as) {s:scale}", lambda k: _equal({**k, "q": k["s"][0]})),
    ("(be|do) {p:pair} (equally|the-same|as) {s:scale} (to|from|away-from) {you}", lambda k: _equal({**k, "q": k["s"][0]})),
    ("(be|do) {p:pair} (equally|the-same|as) {s:scale} (to|from|away-from) {r:thing}", lambda k: _equal({**k, "q": k["s"][0]})),
    ("(be|do) {p:pair} (rel:INSIDE|in|at)? (the-same|the? same|equal) {q:quantity} (to|from|away-from) {you}", _equal),
    ("(be|do) {p:pair} (rel:INSIDE|in|at)? (the-same|the? same|equal) {q:quantity} (to|from|away-from) {r:thing}", _equal),
    ("(be|do|have) {a:thing} (be|have|of)? (both|all)? (the-same|the? same|equal) (rel:INSIDE|in)? {q:quantity}", _all_equal),
    ("(be|do) {a:thing} (both|all)? (equally|the-same|as) {s:scale}", lambda k: _all_equal({**k, "q": k["s"][0]})),
    ("be the {q:quantity} of {a:thing} (the-same|the? same|equal) (as|to) (the {q2:quantity} of|that of)? {b:thing}", _equal),
    ("be the {q:quantity} of {a:thing} {m:more_or_less} (the {q2:quantity} of|that of)? {b:thing}", lambda k: _compare({**k, "c": (k["q"], k["m"])})),
    (SUBJECT + "{e:extreme_thing}", _compare_extreme),
    (SUBJECT + "have? {x:extreme_of}", _compare_extreme),
    (SUBJECT + "have? {x:extreme_of} (of|among) {b:thing}", _compare_extreme),
    (SUBJECT + "{colors:hues} (rel:INSIDE colour|in colour|colour)?", _colored),
]  # fmt: skip

_WHICH_OF = "(have|be|appear|lie|come|located|do)? located? (have|appear|be)? "
_CHOICE = ",? (:|-|of|between|rel:BETWEEN|among)? {things:things}"
CHOOSE: Rows = [
    ("{w:which_one} (be|have|appear|lie|come|located|do)? located? (have|appear|be)? {x:superlative} " + _CHOICE, _choose),
    ("(of|between|rel:BETWEEN|among|from|out of|comparing|compare|compared)? {things:things} (,|:|-)? {w:which_one} (be|have|appear|lie|come|located|do) located? {x:superlative}", _choose),
    ("{w:which_one} ,? (of|:)? {things:things} ,? " + _WHICH_OF + "{x:superlative}", _choose),
    ("which (of|between|rel:BETWEEN|among) {things:things} (be|have|appear|lie|come|located) located? {x:superlative}", _choose),
    ("(be|do|have) {things:things} {x:superlative}", lambda k: None),
    ("(what|who|which) be {e:only_extreme} " + _CHOICE, lambda k: Choose(candidates=k["things"], extreme=k["e"].extreme)),
    ("(what|who|which) be {e:extreme_thing} " + _CHOICE, lambda k: Choose(candidates=k["things"], extreme=k["e"].extreme)),
]  # fmt: skip

DIFFERENCE: Rows = [
    ("how-much {c:comparative} (be|do|lie) {a:thing} (than|compared (to|with)) {b:thing}", _difference),
    ("how-much {c:comparative} (to|from|away-from) {you} (be|do|lie) {a:thing} than {b:thing}", _difference),
    ("how-much {c:comparative} (to|from|away-from) {r:thing} (be|do|lie) {a:thing} than {b:thing}", _difference),
    ("how-much {c:comparative} (be|do|lie) {a:thing} (to|from|away-from) {r:thing} than {b:thing}", _difference),
    ("how-much (be|do|lie) {a:thing} {c:comparative} than {b:thing}", _difference),
    ("how-much (do|be) {a:thing} {c:comparative} than {b:thing}", _difference),
    ("{q:how} be {a:thing} (than|compared (to|with)) {b:thing}", _difference),
    ("how-much {c:comparative} {a:thing} be than {b:thing}", _difference),
    ("{t:ratio_} {c:comparative} be {a:thing} (than|compared (to|with)) {b:thing}", lambda k: _difference({**k, "ratio": True})),
    ("{t:ratio_} as {s:scale} be {a:thing} as {b:thing}", lambda k: _difference({**k, "c": k["s"], "ratio": True})),
    ("{t:ratio_} be {a:thing} {c:comparative} than {b:thing}", lambda k: _difference({**k, "ratio": True})),
    ("(what be)? (the|a)? difference (rel:INSIDE|in|of) (the|their)? {q:quantity} (between|rel:BETWEEN|of) {p:pair}", _difference),
    ("(what be)? (the|a)? {q:quantity} difference (between|rel:BETWEEN|of) {p:pair}", _difference),
    ("(what be)? (the|a)? difference (between|rel:BETWEEN|of) (the)? {q:quantity} of {p:pair}", _difference),
    ("(what be)? (the|a)? difference (between|rel:BETWEEN) {p:pair} (in|rel:INSIDE|in-terms-of) {q:quantity}", _difference),
    ("compare (the)? {q:quantity} of {p:compared_pair}", _difference),
    ("how do the? {q:quantity} of {p:pair} (compare|differ|change)", _difference),
    ("compare {p:compared_pair} (in|rel:INSIDE|by|rel:NEXT_TO|in-terms-of) {q:quantity}", _difference),
    ("(what be)? the? ratio of (the)? {q:quantity} of {a:thing} (to|and) (the {q2:quantity} of|that of)? {b:thing}", lambda k: _difference({**k, "ratio": True})),
]  # fmt: skip

_SORT = "(sort|list|give|what be|tell|show|which be|name|measure|find|located|put)? (me|us)? "
ORDER: Rows = [
    (_SORT + "{things:things} ,? (sort|sorted)? {by:by_what}", _order),
    (_SORT + "{a:thing} ,? (sort|sorted)? {by:by_what}", _order),
    (_SORT + "depth-order of {things:things}", lambda k: _order({**k, "by": (_Q.DISTANCE, True, None)})),
    (_SORT + "depth-order of {a:thing}", lambda k: _order({**k, "by": (_Q.DISTANCE, True, None)})),
    (_SORT + "(the)? sort of {things:things} ,? {by:by_what}", _order),
    (_SORT + "(the)? sort {by:by_what} (of|for) {things:things}", _order),
    (_SORT + "(the)? sort {by:by_what} (of|for) {a:thing}", _order),
    ("(in|rel:INSIDE)? (which|what) sort (be|do) {things:things} (lie|come|located|appear)? {by:by_what}", _order),
    ("(in|rel:INSIDE)? (which|what) sort (be|do) {a:thing} (lie|come|located|appear)? {by:by_what}", _order),
    ("{d:direction_of_order} ,? " + _SORT + "{things:things}", lambda k: _order({**k, "by": (*k["d"], None)})),
    ("{d:direction_of_order} ,? " + _SORT + "{a:thing}", lambda k: _order({**k, "by": (*k["d"], None)})),
    (_SORT + "(the)? sort of {a:thing} ,? {by:by_what}", _order),
    (_SORT + "(the)? {q:ordered} sort of {things:things}", lambda k: _order({**k, "by": (k["q"], True, None)})),
    (_SORT + "(these|them|this|it|everything|all)? {by:by_what} (,|:)? {things:things}", _order),
    (_SORT + "(these|them|everything|all)? {by:by_what} (,|:)? {a:thing}", _order),
    (_SORT + "(these|them|everything|all) {by:by_what}", lambda k: _order({**k, "a": anything()})),
    (_SORT + "{by:by_what} ,? {things:things}", _order),
    ("(from) {by:direction_of_order} ,? (sort|list|what be|how be)? (the sort of)? {things:things} (sort)?", lambda k: None),
]  # fmt: skip

_CAN = "((do|can|be) not? {a:thing} (be|to)? (fit|able to fit|small enough to fit)|{a:thing} can? fit|(can|do) (i|we|you) (fit|put|place|located) {a:thing}|(can|do) {a:thing} be (located|fit)) "
FITS: Rows = [
    ("can {a:thing} lie (on|rel:ON) {t:thing}", _fits),
    ("be (a|the)? {o:opening} {c:scale}? enough (for|to fit) {a:thing}", _fits),
    (_CAN + "{in_:into} {o:opening}", _fits),
    (_CAN + "(rel:INSIDE|in|inside|into|within|through|down) (of)? {b:thing}", _fits),
    (_CAN + "(between|rel:BETWEEN|in-between|rel:INSIDE the gap between|in the {q:quantity} between|rel:INSIDE the {q:quantity} rel:BETWEEN|rel:INSIDE the {q:quantity} between) {p:pair}", _fits),
    (_CAN + "(through|rel:INSIDE|into|inside|in) the? {q:quantity} (between|rel:BETWEEN) {p:pair}", _fits),
    (_CAN + "(on|onto|rel:ON) {t:thing}", _fits),
    ("be there (enough)? {q:quantity} (for {a:thing})? (between|rel:BETWEEN) {p:pair} for {a:thing}", _fits),
    ("be there (enough)? {q:quantity} for {a:thing} (between|rel:BETWEEN) {p:pair}", _fits),
    ("be there (enough)? {q:quantity} (between|rel:BETWEEN) {p:pair} (for|to fit|to put) {a:thing}", _fits),
    ("be there (enough)? {q:quantity} (for|to fit|to put) {a:thing} (rel:INSIDE|in|inside|into) {b:thing}", _fits),
    ("be there (enough)? {q:quantity} (for|to fit|to put) {a:thing} (rel:ON|on|onto) {t:thing}", _fits),
    ("be the {q:quantity} (between|rel:BETWEEN) {pl:thing} ({c:scale} enough|enough) (for|to fit) {a:thing}", lambda k: Fits(thing=k["a"], between=(k["pl"],)) if k["pl"].phrase.is_plural else None),
    ("be the {q:quantity} (between|rel:BETWEEN) {p:pair} ({c:scale} enough|enough) (for|to fit) {a:thing}", _fits),
    ("be {a:thing} {s:scale} enough (for|to fit|to go) {in_:into}? {o:opening}", _fits),
    ("be {a:thing} {s:scale} enough (for|to fit|to go) (rel:INSIDE|in|inside|into|through)? {b:thing}", _fits),
    ("be {a:thing} {s:scale} enough (for|to fit|to go) (between|rel:BETWEEN) {p:pair}", _fits),
]  # fmt: skip


def add_choices(grammar: Grammar) -> None:
    """Adds the small rules that the rows above use.

    Args:
        grammar: what they are added to.
    """
    grammar.add(
        "how_distant",
        [
            ("(how-far|how-far-apart|how-close)", lambda _: True),
            ("how {s:scale}", lambda k: True if k["s"][0] is _Q.DISTANCE else None),
        ],
    )
    grammar.add("sideways", [("{r:rel}", lambda k: True if k["r"] in (Relation.LEFT, Relation.RIGHT) else None)])
    grammar.add("ahead", [("{r:rel}", lambda k: True if k["r"] in (Relation.FRONT, Relation.BEHIND) else None)])
    grammar.add("more_or_less", [("{c:cmp} than", lambda k: k["c"][1]), ("{s:sense}", lambda k: k["s"])])
    grammar.add("limit", [
        ("{s:sense} {l:length}", lambda k: (k["s"], k["l"].metres) if k["l"].power == 1 else None),
        ("{c:cmp} than {l:length}", lambda k: (k["c"][1], k["l"].metres) if k["l"].power == 1 else None),
    ])  # fmt: skip
    grammar.add("apart_", [("how-far-apart", lambda _: True)])
    grammar.add("bw", [("between/rel:BETWEEN", lambda _: True)])
    grammar.add("at_least", [("at-least", lambda _: True)])
    grammar.add("extreme_thing", [("(the)? {t:thing}", lambda k: k["t"] if k["t"].extreme is not None else None)])
    grammar.add("ratio_", [("how-many-times", lambda _: True)])
    grammar.add(
        "compared_pair",
        [
            ("{p:pair}", lambda k: k["p"]),
            ("{a:thing} (with|to|and|than|against|rel:NEXT_TO) {b:thing}", lambda k: (k["a"], k["b"])),
        ],
    )
    grammar.add(
        "into",
        [
            (
                "(rel:INSIDE|in|inside|into|within|through|under|between|rel:BETWEEN|on|onto|rel:ON|down) (of)?",
                lambda _: True,
            )
        ],
    )


__all__ = ["CHOOSE", "COMPARE", "DIFFERENCE", "FITS", "MEASURE", "ORDER", "Length", "add_choices", "add_measures"]
