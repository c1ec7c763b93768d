"""Questions on quantities: how tall, how far, how much taller, how many times wider."""

from __future__ import annotations

from typing import Any

from n3d_ros.scene.questions.clauses import STANDS, Kept, Rows
from n3d_ros.scene.questions.patterns import Grammar
from n3d_ros.scene.questions.question import (
    Difference,
    Measure,
    Quantity,
    Relation,
    Thing,
)

_Q = Quantity
_WITHOUT_PLACE = (
    "(what be|what|give|tell|find|measure|know|of|how-much be|show|describe)? (me|us|for me)? (the|a|an|its|their)? "
)
_PAIRWISE = frozenset((_Q.DISTANCE, _Q.HORIZONTAL_DISTANCE, _Q.VERTICAL_DISTANCE, _Q.GAP))


def _measure(kept: Kept) -> Measure | None:
    quantity: Quantity = kept["q"]
    if quantity is _Q.POSITION:
        return None
    return Measure(quantity=quantity, thing=kept["a"], reference=kept.get("b"), unit=kept.get("u"))


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
        Relation.ABOVE: _Q.VERTICAL_DISTANCE, Relation.BELOW: _Q.VERTICAL_DISTANCE,
        Relation.UNDER: _Q.VERTICAL_DISTANCE,
    }  # fmt: skip
    quantity = kinds.get(relation)
    return (
        None
        if quantity is None
        else Measure(quantity=quantity, thing=kept["a"], reference=kept["b"], unit=kept.get("u"))
    )


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


def _how(scale: tuple[Quantity, bool]) -> Quantity:
    """What "how big" asks: all edges; "how high": how tall."""
    quantity = scale[0]
    return {_Q.VOLUME: _Q.SIZE, _Q.ELEVATION: _Q.HEIGHT}.get(quantity, quantity)


def add_measures(grammar: Grammar) -> None:
    """Adds the rules that these rows use: ``how``, ``aside``, ``how_distant`` and the like.

    Args:
        grammar: what they are added to.
    """
    grammar.add("how", [
        ("how {s:scale}", lambda k: _how(k["s"])),
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
    grammar.add("apart_", [("how-far-apart", lambda _: True)])
    grammar.add("bw", [("between", lambda _: True)])
    grammar.add("ratio_", [("how-many-times", lambda _: True)])
    grammar.add(
        "compared_pair",
        [
            ("{p:pair}", lambda k: k["p"]),
            ("{a:thing} (with|to|and|than|against|by) {b:thing}", lambda k: (k["a"], k["b"])),
        ],
    )


MEASURE: Rows = [
    # how far
    (
        "(how-far|how-far-apart|how-close) (be|do|can|lie) {p:pair} (away|apart|located)? each-other?"
        + " {h:aside}",
        _aside,
    ),
    (
        "(how-far|how-far-apart|how-close) (be|do|can|lie) {a:thing} (away|apart|located|lie)? "
        "(from|to|away-from|relative) {b:thing} {h:aside}",
        _aside,
    ),
    (
        "(how-far|how-far-apart|how-close) {h:aside} (be|do|can|lie) {a:thing} (away|apart|located|lie)? "
        "(from|to|away-from|relative) {b:thing}",
        _aside,
    ),
    (
        "(how-far|how-far-apart|how-close) (away|apart)? {h:aside} (be|do|can|lie) {p:pair} (away|apart)? "
        "each-other?",
        _aside,
    ),
    ("how-much {q:quantity} be there? between {p:pair} {h:aside}", _aside),
    ("(what be)? the? {q:quantity} {h:aside}? between {p:pair} {h:aside}", _aside),
    ("(what be)? the? {q:quantity} {h:aside} between {p:pair}", _aside),
    (
        "{f:how_distant} (be|do|can|lie) {a:thing} " + STANDS
        + "(away|apart|off)? (from|to|away-from|relative) {b:thing}",
        lambda k: Measure(quantity=_Q.DISTANCE, thing=k["a"], reference=k["b"]),
    ),
    (
        "{f:how_distant} {a:thing} (be|lie) (away|apart|off|located)? (from|to|away-from|relative) {b:thing}",
        lambda k: Measure(quantity=_Q.DISTANCE, thing=k["a"], reference=k["b"]),
    ),
    (
        "{f:how_distant} (be|do|can|lie)? {p:pair} (be|lie)? " + STANDS + "(away|apart|located)? each-other?",
        lambda k: Measure(quantity=_Q.DISTANCE, thing=k["p"][0], reference=k["p"][1]),
    ),
    (
        "{p:pair} (be|lie) {f:how_distant} (away|apart)? each-other?",
        lambda k: Measure(quantity=_Q.DISTANCE, thing=k["p"][0], reference=k["p"][1]),
    ),
    (
        "{a:thing} (be|lie) {f:how_distant} (away|apart)? (from|to|away-from) {b:thing}",
        lambda k: Measure(quantity=_Q.DISTANCE, thing=k["a"], reference=k["b"]),
    ),
    (
        "{f:how_distant} (be|do|can|lie)? {a:thing} (be|lie)? (away|apart|located)? each-other",
        lambda k: _measure_all_between({**k, "q": _Q.DISTANCE}),
    ),
    ("{f:apart_} (be|do|can|lie) {a:thing}", lambda k: _measure_all_between({**k, "q": _Q.DISTANCE})),
    ("{f:how_distant} (be|do|can|lie) {a:thing} apart", lambda k: _measure_all_between({**k, "q": _Q.DISTANCE})),
    (
        "{f:how_distant} (be|do|can|lie) {a:thing} " + STANDS + "(away|apart|off)? ((from|to|away-from) {you})?",
        lambda k: Measure(quantity=_Q.DISTANCE, thing=k["a"]),
    ),
    (
        "{f:how_distant} {a:thing} (be|lie) (away|off)? ((from|to|away-from) {you})?",
        lambda k: Measure(quantity=_Q.DISTANCE, thing=k["a"]),
    ),
    (
        "{f:how_distant} (be|do|can|lie) {you} (away|off)? (from|to|away-from) {a:thing}",
        lambda k: Measure(quantity=_Q.DISTANCE, thing=k["a"]),
    ),
    (
        "{f:how_distant} (be|do|can|lie) (you|we|i) (away|off)? (from|to|away-from) {a:thing}",
        lambda k: Measure(quantity=_Q.DISTANCE, thing=k["a"]),
    ),
    (
        "{f:how_distant} (from|to|away-from) {b:thing} (be|lie) {a:thing}",
        lambda k: Measure(quantity=_Q.DISTANCE, thing=k["a"], reference=k["b"]),
    ),
    ("{f:how_distant} {r:rel} {b:thing} be {a:thing}", _above_by),
    ("{f:how_distant} (be|do|lie) {a:thing} " + STANDS + "{r:rel} {b:thing}", _above_by),
    (
        "{f:how_distant} be it (from|between) {a:thing} (to|and) {b:thing}",
        lambda k: Measure(quantity=_Q.DISTANCE, thing=k["a"], reference=k["b"]),
    ),
    ("{f:how_distant} be it (to|from) {a:thing}", lambda k: Measure(quantity=_Q.DISTANCE, thing=k["a"])),
    (
        "{f:how_distant} (do|can|be) (i|we|you) (have)? to? (fit|move|travel|walk|drive) (to|toward)? reach? "
        "{a:thing}",
        lambda k: Measure(quantity=_Q.DISTANCE, thing=k["a"]),
    ),
    (
        "{f:how_distant} {r:sideways} {b:thing} be {a:thing}",
        lambda k: Difference(quantity=_Q.LATERAL, subject=k["a"], other=k["b"]),
    ),
    (
        "{f:how_distant} be {a:thing} {r:sideways} {b:thing}",
        lambda k: Difference(quantity=_Q.LATERAL, subject=k["a"], other=k["b"]),
    ),
    ("{q:how} {r:rel} {b:thing} be {a:thing}", lambda k: _above_by(k) if k["q"] is _Q.HEIGHT else None),
    ("{q:how} be {a:thing} {r:rel} {b:thing}", lambda k: _above_by(k) if k["q"] is _Q.HEIGHT else None),
    ("{a:thing} to {b:thing} {q:quantity}", lambda k: _measure(k) if k["q"] in _PAIRWISE else None),
    (
        "{q:how} be (the|a)? {g:quantity} between {p:pair}",
        lambda k: Measure(quantity=_Q.GAP, thing=k["p"][0], reference=k["p"][1]) if k["g"] is _Q.GAP else None,
    ),
    (
        "{q:how} be (the|a)? {g:quantity} between {a:thing}",
        lambda k: _measure_all_between({**k, "q": _Q.GAP}) if k["g"] is _Q.GAP else None,
    ),
    # how many centimetres
    (
        "{u:units} (away|apart|off)? be {a:thing} (away|off|located)? (from|to|away-from) {b:thing}",
        lambda k: _measure({**k, "q": _Q.DISTANCE}),
    ),
    (
        "{u:units} (away|apart|off)? be {p:pair} (away|apart)? each-other?",
        lambda k: _measure_pair({**k, "q": _Q.DISTANCE}),
    ),
    (
        "{u:units} (away|apart|off)? be {a:thing} (away|apart)? each-other?",
        lambda k: _measure_all_between({**k, "q": _Q.DISTANCE}),
    ),
    (
        "{f:how_distant} {r:ahead} {b:thing} be {a:thing}",
        lambda k: Difference(quantity=_Q.DISTANCE, subject=k["a"], other=k["b"]),
    ),
    (
        "{f:how_distant} be {a:thing} {r:ahead} {b:thing}",
        lambda k: Difference(quantity=_Q.DISTANCE, subject=k["a"], other=k["b"]),
    ),
    ("{u:units} (be there|there be|lie)? between {p:pair}", lambda k: _measure_pair({**k, "q": _Q.DISTANCE})),
    (
        "{u:units} (away|off)? be {a:thing} (away|off)? ((from|to|away-from) {you})?",
        lambda k: _measure({**k, "q": _Q.DISTANCE}),
    ),
    ("{u:units} {s:scale} be {a:thing}", lambda k: _measure({**k, "q": _how(k["s"])})),
    ("{u:units} (in|of)? {q:quantity} (be|do|have) {a:thing}", _measure_one),
    ("{u:units} {c:comparative} be {a:thing} than {b:thing}", _difference),
    # how tall
    ("{q:how} (be|do|can|lie) {a:thing} (be|located)?", _measure_one),
    ("{q:how} {a:thing} (be|lie)", _measure_one),
    ("how-much {q2:quantity} (do|be) {a:thing} (use|have|need) {h:aside}", _extent),
    (
        "how-much {q:quantity} (do|be) {a:thing} (have|use|need)? up?",
        lambda k: _measure_one({**k, "q": _Q.SIZE if k["q"] is _Q.GAP else k["q"]}),
    ),
    ("how-much {q:quantity} be there? {r:bw} {p:pair}", _measure_pair),
    ("how-much {q:quantity} be there? {r:bw} {a:thing}", _measure_all_between),
    ("how-much {q:quantity} there be? {r:bw} {p:pair}", _measure_pair),
    # what is the height of
    (_WITHOUT_PLACE + "{q:quantity} {r:bw} {p:pair}", _measure_pair),
    (_WITHOUT_PLACE + "{q:quantity} {r:bw} {a:thing}", _measure_all_between),
    (_WITHOUT_PLACE + "{q:quantity} (that)? (be|lie)? (there|lie|separating)? {r:bw}? {p:pair}", _measure_pair),
    (
        _WITHOUT_PLACE + "{q:quantity} (of|to|for|from|in)? {a:thing} (from|to|and|away-from) {b:thing}",
        lambda k: _measure(k) if k["q"] in _PAIRWISE else None,
    ),
    (_WITHOUT_PLACE + "{q:quantity} (of|to|for|from|away-from) {a:thing} ((from|to|away-from) {you})?", _measure_one),
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
        lambda k: _measure_one(k) if k["q"] in (_Q.COLOR, _Q.SHAPE, _Q.SIZE) else None,
    ),
    (_WITHOUT_PLACE + "{a:thing} 's {q:quantity} ((from|to) {you})?", _measure_one),
    ("(what|which|in what) {q:quantity} (be|do|have|can) {a:thing} (have|be|located)?", _measure_one),
    ("(what|which) be {a:thing} {q:quantity}", _measure_one),
    ("measure {a:thing} (for me)?", lambda k: Measure(quantity=_Q.SIZE, thing=k["a"])),
    (
        _WITHOUT_PLACE + "{q2:quantity} of {a:thing} (in-terms-of|in) (the|its)? {q:quantity}",
        lambda k: _measure_one(k) if k["q2"] is _Q.SIZE else None,
    ),
    ("(what|which) (be|do)? {a:thing} (be|measure) (in|in-terms-of) {q:quantity}", _measure_one),
    ("what be {a:thing} (called|name)", lambda k: Measure(quantity=_Q.NAME, thing=k["a"])),
    ("{a:thing} (be|have) (what|which) {q:quantity}", _measure_one),
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
    (
        "{t:ratio_} {c:comparative} be {a:thing} (than|compared (to|with)) {b:thing}",
        lambda k: _difference({**k, "ratio": True}),
    ),
    ("{t:ratio_} as {s:scale} be {a:thing} as {b:thing}", lambda k: _difference({**k, "c": k["s"], "ratio": True})),
    ("{t:ratio_} be {a:thing} {c:comparative} than {b:thing}", lambda k: _difference({**k, "ratio": True})),
    ("(what be)? (the|a)? difference (in|of) (the|their)? {q:quantity} (between|of) {p:pair}", _difference),
    ("(what be)? (the|a)? {q:quantity} difference (between|of) {p:pair}", _difference),
    ("(what be)? (the|a)? difference (between|of) (the)? {q:quantity} of {p:pair}", _difference),
    ("(what be)? (the|a)? difference between {p:pair} (in|in-terms-of) {q:quantity}", _difference),
    ("compare (the)? {q:quantity} of {p:compared_pair}", _difference),
    ("how do the? {q:quantity} of {p:pair} (compare|differ|change)", _difference),
    ("compare {p:compared_pair} (in|by|in-terms-of) {q:quantity}", _difference),
    (
        "(what be)? the? ratio of (the)? {q:quantity} of {a:thing} (to|and) (the {q2:quantity} of|that of)? "
        "{b:thing}",
        lambda k: _difference({**k, "ratio": True}),
    ),
]  # fmt: skip
