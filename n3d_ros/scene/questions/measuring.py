"""Questions on quantities: how tall, how far, how much taller, how many times wider."""

from __future__ import annotations

from n3d_ros.scene.questions.clauses import Kept, Rows
from n3d_ros.scene.questions.patterns import Grammar, Source
from n3d_ros.scene.questions.question import (
    Difference,
    Measure,
    Quantity,
    Relation,
    Thing,
)

_Q = Quantity
_EDGES = frozenset((_Q.WIDTH, _Q.HEIGHT, _Q.DEPTH, _Q.LENGTH))
_WITHOUT_PLACE = (
    "(what be|what|give|tell|find|measure|know|of|how-much be|show|describe)? (me|us|for me)? (the|a|an|its|their)? "
)
_SHIFTS = {
    Relation.LEFT: _Q.LATERAL, Relation.RIGHT: _Q.LATERAL, Relation.FRONT: _Q.DISTANCE, Relation.BEHIND: _Q.DISTANCE,
}  # fmt: skip
_SHIFTED = ("left", "right", "to ", "in front", "behind")
_PAIRWISE = frozenset((_Q.DISTANCE, _Q.HORIZONTAL_DISTANCE, _Q.VERTICAL_DISTANCE, _Q.GAP))


def measured(kept: Kept) -> Measure | None:
    """One quantity of a thing, or between two."""
    quantity: Quantity = kept["q"]
    if quantity is _Q.POSITION:
        return None
    return Measure(quantity=quantity, thing=kept["a"], reference=kept.get("b"), unit=kept.get("u"))


def measured_one(kept: Kept) -> Measure | None:
    """One quantity of one thing."""
    if kept["q"] in (_Q.GAP, _Q.HORIZONTAL_DISTANCE) and "b" not in kept:
        return None
    return measured(kept)


def measured_pair(kept: Kept) -> Measure | Difference | None:
    """What lies between two things."""
    quantity: Quantity = kept["q"]
    if quantity not in _PAIRWISE:
        return None
    first, second = kept["p"]
    return Measure(quantity=quantity, thing=first, reference=second, unit=kept.get("u"))


def measured_among(kept: Kept) -> Measure | None:
    """Between one plural thing: "how far apart are the two boxes"."""
    thing: Thing = kept["a"]
    if kept["q"] not in _PAIRWISE or not thing.phrase.is_plural:
        return None
    return Measure(quantity=kept["q"], thing=thing, reference=thing, unit=kept.get("u"))


def _extent(kept: Kept) -> Measure:
    """How much room a thing takes "horizontally" is its width."""
    quantity = _Q.WIDTH if kept["h"] is _Q.HORIZONTAL_DISTANCE else _Q.HEIGHT
    return Measure(quantity=quantity, thing=kept["a"], unit=kept.get("u"))


def _edges(kept: Kept) -> Measure | None:
    """Such as "how wide and tall": all edges."""
    asked = {size_asked(kept[name]) for name in ("s", "s2", "s3") if name in kept}
    return Measure(quantity=_Q.SIZE, thing=kept["a"]) if asked <= _EDGES and len(asked) > 1 else None


def _edge(source: Source, place: int) -> list[tuple[int, Quantity]]:
    lexeme = source.at(place)
    return [(place + 1, lexeme.value)] if lexeme is not None and lexeme.value in _EDGES else []


def _edges_named(kept: Kept) -> bool | None:
    asked = {kept[name] for name in ("a", "b", "c") if name in kept}
    return True if asked <= _EDGES and len(asked) > 1 else None


def difference(kept: Kept) -> Difference | None:
    """By how much one has more of a quantity than the other."""
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


def _shifted(source: Source, place: int) -> list[tuple[int, Quantity]]:
    """By how far to a side; "on the left of" says which one is meant instead."""
    lexeme = source.at(place)
    if lexeme is None or lexeme.value not in _SHIFTS or not lexeme.said.lower().startswith(_SHIFTED):
        return []
    return [(place + 1, _SHIFTS[lexeme.value])]


def size_asked(scale: tuple[Quantity, bool]) -> Quantity:
    """What "how big" asks: all edges; "how high": how tall."""
    quantity = scale[0]
    return {_Q.VOLUME: _Q.SIZE, _Q.ELEVATION: _Q.HEIGHT}.get(quantity, quantity)


def add_measures(grammar: Grammar) -> None:
    """Adds the rules that these rows use: ``how``, ``aside``, ``how_distant`` and the like.

    Args:
        grammar: what they are added to.
    """
    grammar.add("how", [
        ("how {s:scale}", lambda k: size_asked(k["s"])),
        ("how-much {q:quantity}", lambda k: k["q"]),
    ])  # fmt: skip
    grammar.add("aside", [
        ("horizontally", lambda _: _Q.HORIZONTAL_DISTANCE),
        ("vertically", lambda _: _Q.VERTICAL_DISTANCE),
    ])  # fmt: skip
    grammar.add(
        "how_distant",
        [
            ("(how-far|how-far-apart|how-close)", lambda _: True),
            ("how {s:scale}", lambda k: True if k["s"][0] is _Q.DISTANCE else None),
        ],
    )
    grammar.add("sideways", [("{r:rel}", lambda k: True if k["r"] in (Relation.LEFT, Relation.RIGHT) else None)])
    grammar.add("ahead", [("{r:rel}", lambda k: True if k["r"] in (Relation.FRONT, Relation.BEHIND) else None)])
    grammar.add_reader("shifted_by", _shifted, "rel")
    grammar.add("apart_", [("how-far-apart", lambda _: True)])
    grammar.add("bw", [("between", lambda _: True)])
    grammar.add("remains", [("(be|lie|have) (there|lie|located)? (left|over|free)?", lambda _: True),
                            ("there (be|lie) (left)?", lambda _: True)])  # fmt: skip
    grammar.add("edges", [
        ("{a:edge} and (the|its)? {b:edge}", _edges_named),
        ("{a:edge} ,? (the)? {b:edge} ,? and (the)? {c:edge}", _edges_named),
    ])  # fmt: skip
    grammar.add_reader("edge", _edge, "quantity")
    grammar.add("ratio_", [("how-many-times", lambda _: True)])
    grammar.add(
        "compared_pair",
        [
            ("{p:pair}", lambda k: k["p"]),
            ("{a:thing} (with|to|and|than|against|by) {b:thing}", lambda k: (k["a"], k["b"])),
        ],
    )


MEASURE: Rows = [
    # how tall
    ("{q:how} (be|do|can|lie) {a:thing} (be|located)?", measured_one),
    ("{q:how} {a:thing} (be|lie)", measured_one),
    ("how {s:scale} and {s2:scale} (be|do|can|lie) {a:thing} (be|located)?", _edges),
    ("how {s:scale} , {s2:scale} ,? and {s3:scale} (be|do|can|lie) {a:thing} (be|located)?", _edges),
    (_WITHOUT_PLACE + "{q:edges} of {a:thing}", lambda k: Measure(quantity=_Q.SIZE, thing=k["a"])),
    (_WITHOUT_PLACE + "{a:thing} 's {q:edges}", lambda k: Measure(quantity=_Q.SIZE, thing=k["a"])),
    ("how-much {q2:quantity} (do|be) {a:thing} (use|have|need) {h:aside}", _extent),
    (
        "how-much {q:quantity} (do|be) {a:thing} (have|use|need)? up?",
        lambda k: measured_one({**k, "q": _Q.SIZE if k["q"] is _Q.GAP else k["q"]}),
    ),
    ("how-much {q:quantity} {r:remains}? {r:bw} {p:pair}", measured_pair),
    ("how-much {q:quantity} {r:remains}? {r:bw} {a:thing}", measured_among),
    ("how-much {q:quantity} (do|have) {p:pair} have (between|left)?", measured_pair),
    # what is the height of
    (_WITHOUT_PLACE + "{q:quantity} {r:bw} {p:pair}", measured_pair),
    (_WITHOUT_PLACE + "{q:quantity} {r:bw} {a:thing}", measured_among),
    (_WITHOUT_PLACE + "{q:quantity} (that)? (be|lie)? (there|lie|separating)? {r:bw}? {p:pair}", measured_pair),
    (
        _WITHOUT_PLACE + "{q:quantity} (of|to|for|from|in)? {a:thing} (from|to|and|away-from) {b:thing}",
        lambda k: measured(k) if k["q"] in _PAIRWISE else None,
    ),
    (_WITHOUT_PLACE + "{q:quantity} (of|to|for|from|away-from) {a:thing} ((from|to|away-from) {you})?", measured_one),
    (
        _WITHOUT_PLACE + "{q:quantity} (from|to|between) {you} (and|to) {a:thing}",
        lambda k: Measure(quantity=k["q"], thing=k["a"]) if k["q"] is _Q.DISTANCE else None,
    ),
    (
        _WITHOUT_PLACE + "{q:quantity} {r:bw} {a:thing} (and|to) {you}",
        lambda k: Measure(quantity=k["q"], thing=k["a"]) if k["q"] is _Q.DISTANCE else None,
    ),
    (
        _WITHOUT_PLACE + "{q:quantity} {a:thing} be?",
        lambda k: measured_one(k) if k["q"] in (_Q.COLOR, _Q.SHAPE, _Q.SIZE) else None,
    ),
    (_WITHOUT_PLACE + "{a:thing} 's {q:quantity} ((from|to) {you})?", measured_one),
    ("(what|which|in what) {q:quantity} (be|do|have|can) {a:thing} (have|be|located)?", measured_one),
    ("(what|which) be {a:thing} {q:quantity}", measured_one),
    ("measure {a:thing} (for me)?", lambda k: Measure(quantity=_Q.SIZE, thing=k["a"])),
    (
        _WITHOUT_PLACE + "{q2:quantity} of {a:thing} (in-terms-of|in) (the|its)? {q:quantity}",
        lambda k: measured_one(k) if k["q2"] is _Q.SIZE else None,
    ),
    ("(what|which) (be|do)? {a:thing} (be|measure) (in|in-terms-of) {q:quantity}", measured_one),
    ("what be {a:thing} (called|name)", lambda k: Measure(quantity=_Q.NAME, thing=k["a"])),
    ("{a:thing} (be|have) (what|which) {q:quantity}", measured_one),
]  # fmt: skip
DIFFERENCE: Rows = [
    ("how-much {c:comparative} (be|do|lie) {a:thing} (than|compared (to|with)) {b:thing}", difference),
    ("how-much {c:comparative} (to|from|away-from) {you} (be|do|lie) {a:thing} than {b:thing}", difference),
    ("how-much {c:comparative} (to|from|away-from) {r:thing} (be|do|lie) {a:thing} than {b:thing}", difference),
    ("how-much {c:comparative} (be|do|lie) {a:thing} (to|from|away-from) {r:thing} than {b:thing}", difference),
    ("how-much (be|do|lie) {a:thing} {c:comparative} than {b:thing}", difference),
    ("how-much (do|be) {a:thing} {c:comparative} than {b:thing}", difference),
    ("{q:how} be {a:thing} (than|compared (to|with)) {b:thing}", difference),
    ("how-much {c:comparative} {a:thing} be than {b:thing}", difference),
    ("how-much {c:comparative} than {b:thing} be {a:thing}", difference),
    ("{u:units} {c:comparative} than {b:thing} be {a:thing}", difference),
    (
        "{t:ratio_} {c:comparative} be {a:thing} (than|compared (to|with)) {b:thing}",
        lambda k: difference({**k, "ratio": True}),
    ),
    ("{t:ratio_} as {s:scale} as {b:thing} be {a:thing}", lambda k: difference({**k, "c": k["s"], "ratio": True})),
    ("{t:ratio_} {c:comparative} than {b:thing} be {a:thing}", lambda k: difference({**k, "ratio": True})),
    ("{t:ratio_} be {a:thing} as {s:scale} as {b:thing}", lambda k: difference({**k, "c": k["s"], "ratio": True})),
    ("{t:ratio_} the? {q:quantity} of {b:thing} be (that of)? {a:thing}", lambda k: difference({**k, "ratio": True})),
    ("{t:ratio_} as {s:scale} be {a:thing} as {b:thing}", lambda k: difference({**k, "c": k["s"], "ratio": True})),
    ("{t:ratio_} be {a:thing} {c:comparative} than {b:thing}", lambda k: difference({**k, "ratio": True})),
    ("(what be)? (the|a)? difference (in|of) (the|their)? {q:quantity} (between|of) {p:pair}", difference),
    ("(what be)? (the|a)? {q:quantity} difference (between|of) {p:pair}", difference),
    ("(what be)? (the|a)? difference (between|of) (the)? {q:quantity} of {p:pair}", difference),
    ("(what be)? (the|a)? difference between {p:pair} (in|in-terms-of) {q:quantity}", difference),
    ("compare (the)? {q:quantity} of {p:compared_pair}", difference),
    ("how do the? {q:quantity} of {p:pair} (compare|differ|change)", difference),
    ("compare {p:compared_pair} (in|by|in-terms-of) {q:quantity}", difference),
    (
        "(what be)? the? ratio of (the)? {q:quantity} of {a:thing} (to|and) (the {q2:quantity} of|that of)? "
        "{b:thing}",
        lambda k: difference({**k, "ratio": True}),
    ),
]  # fmt: skip
