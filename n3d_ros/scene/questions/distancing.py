"""Questions on distances: how far is it, how far apart are they, what space is between them, how far has it moved."""

from __future__ import annotations

from typing import Any

from n3d_ros.scene.questions.clauses import STANDS, Kept, Rows
from n3d_ros.scene.questions.measuring import (
    difference,
    measured,
    measured_among,
    measured_one,
    measured_pair,
    size_asked,
)
from n3d_ros.scene.questions.question import Difference, Measure, Quantity, Relation

_Q = Quantity
_PAIRWISE = frozenset((_Q.DISTANCE, _Q.HORIZONTAL_DISTANCE, _Q.VERTICAL_DISTANCE, _Q.GAP))


def _moved(kept: Kept) -> Measure | None:
    if kept.get("q", _Q.DISTANCE) is not _Q.DISTANCE:
        return None
    return Measure(quantity=_Q.MOVED, thing=kept["a"], unit=kept.get("u"))


def _aside(kept: Kept) -> Any:
    """Distance told to be horizontal or vertical by a word elsewhere."""
    quantity = kept["h"]
    if "p" in kept:
        return Measure(quantity=quantity, thing=kept["p"][0], reference=kept["p"][1], unit=kept.get("u"))
    if "b" in kept:
        return Measure(quantity=quantity, thing=kept["a"], reference=kept["b"], unit=kept.get("u"))
    return None


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


def _shortest(kept: Kept) -> Measure | None:
    """The shortest distance between two things is that of their surfaces."""
    extreme = kept["x"].thing.extreme
    if kept["q"] is not _Q.DISTANCE or extreme.most or extreme.rank > 1:
        return None
    return Measure(quantity=_Q.GAP, thing=kept["p"][0], reference=kept["p"][1])


SHORTEST: Rows = [
    ("(what be|give me?|tell me?)? the? {x:extreme} {q:quantity} (between|from) {p:pair}", _shortest),
]
"""Read before choices: "the shortest distance between A and B"."""
HOW_FAR: Rows = [
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
        lambda k: measured_among({**k, "q": _Q.DISTANCE}),
    ),
    ("{f:apart_} (be|do|can|lie) {a:thing}", lambda k: measured_among({**k, "q": _Q.DISTANCE})),
    ("{f:how_distant} (be|do|can|lie) {a:thing} apart", lambda k: measured_among({**k, "q": _Q.DISTANCE})),
    ("{f:how_distant} (be|do|lie) {a:bare} {r:shifted_by} {b:thing}",
     lambda k: Difference(quantity=k["r"], subject=k["a"], other=k["b"])),
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
    (
        "{f:how_distant} be it (from|between) {a:thing} (to|and) {you}",
        lambda k: Measure(quantity=_Q.DISTANCE, thing=k["a"]),
    ),
    (
        "{f:how_distant} be it (from|between) {you} (to|and) {a:thing}",
        lambda k: Measure(quantity=_Q.DISTANCE, thing=k["a"]),
    ),
    (
        "{f:how_distant} (from|to|away-from) {you} (be|lie|do) {a:thing} (be|lie)?",
        lambda k: Measure(quantity=_Q.DISTANCE, thing=k["a"]),
    ),
    (
        "{u:units} (from|to|away-from) {you} (be|lie|do) {a:thing} (be|lie)?",
        lambda k: measured({**k, "q": _Q.DISTANCE}),
    ),
    (
        "{u:units} (away|off)? (from|to|away-from) {b:thing} (be|lie|do) {a:thing} (be|lie)?",
        lambda k: measured({**k, "q": _Q.DISTANCE}),
    ),
    ("{u:units} be it (from|between) {a:thing} (to|and) {b:thing}", lambda k: measured({**k, "q": _Q.DISTANCE})),
    ("{u:units} be it (from|between) {you} (to|and) {a:thing}", lambda k: measured({**k, "q": _Q.DISTANCE})),
    ("{u:units} be it (from|between) {a:thing} (to|and) {you}", lambda k: measured({**k, "q": _Q.DISTANCE})),
    ("({f:how_distant}|{u:units}|how-much) (have|do|be) {a:thing} (be)? move", _moved),
    ("(what|which|what be the) {q:quantity} (that)? (have|do|be) {a:thing} (be)? move", _moved),
    ("(what|which|what be the) {q:quantity} (that)? {a:thing} (have|do|be)? (be)? move", _moved),
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
    ("{a:thing} to {b:thing} {q:quantity}", lambda k: measured(k) if k["q"] in _PAIRWISE else None),
    (
        "{q:how} be (the|a)? {g:quantity} between {p:pair}",
        lambda k: Measure(quantity=_Q.GAP, thing=k["p"][0], reference=k["p"][1]) if k["g"] is _Q.GAP else None,
    ),
    (
        "{q:how} be (the|a)? {g:quantity} between {a:thing}",
        lambda k: measured_among({**k, "q": _Q.GAP}) if k["g"] is _Q.GAP else None,
    ),
    # how many centimetres
    (
        "{u:units} (away|apart|off)? be {a:thing} (away|off|located)? (from|to|away-from) {b:thing}",
        lambda k: measured({**k, "q": _Q.DISTANCE}),
    ),
    (
        "{u:units} (away|apart|off)? be {p:pair} (away|apart)? each-other?",
        lambda k: measured_pair({**k, "q": _Q.DISTANCE}),
    ),
    (
        "{u:units} (away|apart|off)? be {a:thing} (away|apart)? each-other?",
        lambda k: measured_among({**k, "q": _Q.DISTANCE}),
    ),
    (
        "{f:how_distant} {r:ahead} {b:thing} be {a:thing}",
        lambda k: Difference(quantity=_Q.DISTANCE, subject=k["a"], other=k["b"]),
    ),
    (
        "{f:how_distant} be {a:thing} {r:ahead} {b:thing}",
        lambda k: Difference(quantity=_Q.DISTANCE, subject=k["a"], other=k["b"]),
    ),
    ("{u:units} (be there|there be|lie)? between {p:pair}", lambda k: measured_pair({**k, "q": _Q.DISTANCE})),
    (
        "{u:units} (away|off)? be {a:thing} (away|off)? ((from|to|away-from) {you})?",
        lambda k: measured({**k, "q": _Q.DISTANCE}),
    ),
    ("{u:units} {s:scale} be {a:thing}", lambda k: measured({**k, "q": size_asked(k["s"])})),
    ("{u:units} (in|of)? {q:quantity} (be|do|have) {a:thing}", measured_one),
    ("{u:units} {c:comparative} be {a:thing} than {b:thing}", difference),
]  # fmt: skip
