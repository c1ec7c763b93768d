"""Questions for an order: from nearest to farthest, by height, from left to right."""

from __future__ import annotations

from n3d_ros.scene.questions.clauses import Kept, Rows, group
from n3d_ros.scene.questions.noun_phrases import anything
from n3d_ros.scene.questions.patterns import Grammar
from n3d_ros.scene.questions.question import (
    Order,
    Quantity,
    Relation,
)

_Q = Quantity
_LONG = (_Q.HEIGHT, _Q.WIDTH, _Q.LENGTH, _Q.DEPTH, _Q.THICKNESS)


def _order(kept: Kept) -> Order:
    quantity, ascending, reference = kept["by"]
    things = kept["things"] if "things" in kept else (group(kept["a"]),)
    return Order(things=things, quantity=quantity, ascending=ascending, reference=reference)


def _side_scale(relation: Relation) -> tuple[Quantity, bool] | None:
    return {
        Relation.LEFT: (_Q.LATERAL, False), Relation.RIGHT: (_Q.LATERAL, True), Relation.FRONT: (_Q.DISTANCE, False),
        Relation.BEHIND: (_Q.DISTANCE, True), Relation.ABOVE: (_Q.ELEVATION, True), Relation.BELOW: (_Q.ELEVATION,
            False),
    }.get(relation)  # fmt: skip


def _from_to(first: tuple[Quantity, bool], last: tuple[Quantity, bool] | None) -> tuple[Quantity, bool] | None:
    if last is None:
        return first[0], not first[1]
    if first[0] is _Q.VOLUME and last[0] in _LONG:
        first = (last[0], first[1])  # "from biggest to shortest"
    is_same = last[0] is first[0] or (last[0] is _Q.VOLUME and first[0] in _LONG)  # "from tallest to smallest"
    return (first[0], not first[1]) if is_same and last[1] is not first[1] else None


def add_orders(grammar: Grammar) -> None:
    """Adds the rules that these rows use: ``by_what``, ``direction_of_order``.

    Args:
        grammar: what they are added to.
    """
    grammar.add("direction_of_order", [
        ("from (the|left)? {a:sup_or_side} to (the)? {b:sup_or_side}", lambda k: _from_to(k["a"], k["b"])),
        ("from? the? {a:near_you} to (the)? {b:sup_or_side} (away)?", lambda k: _from_to(k["a"], k["b"])),
        ("from by {b:sup_or_side}", lambda k: _from_to((_Q.DISTANCE, False), k["b"])),
        ("by {b:far_}", lambda k: _from_to((_Q.DISTANCE, False), k["b"])),
        ("from (the|left)? {a:sup_or_side} {b:sup_or_side}", lambda k: _from_to(k["a"], k["b"])),
        ("{a:sup_or_side} {b:sup_or_side}", lambda k: _from_to(k["a"], k["b"])),
        ("{a:sup_or_side} to the? {b:sup_or_side}", lambda k: _from_to(k["a"], k["b"])),
        ("{a:sup_or_side} first", lambda k: _from_to(k["a"], None)),
    ])  # fmt: skip
    grammar.add("near_you", [
        ("{a:sup_or_side} (away)? (to|from|away-from) {you}", lambda k: k["a"] if k["a"][0] is _Q.DISTANCE else None),
    ])  # fmt: skip
    grammar.add("far_", [("{s:scale}", lambda k: k["s"] if k["s"] == (_Q.DISTANCE, True) else None)])
    grammar.add("sup_or_side", [
        ("the? {p:extreme} (object|one)?", lambda k: (k["p"].thing.extreme.quantity, k["p"].thing.extreme.most)),
        ("{s:scale}", lambda k: k["s"]), ("near/by", lambda _: (_Q.DISTANCE, False)),
        ("left", lambda _: (_Q.LATERAL, False)), ("right", lambda _: (_Q.LATERAL,
            True)),
        ("front", lambda _: (_Q.DISTANCE, False)), ("back", lambda _: (_Q.DISTANCE, True)), ("top",
            lambda _: (_Q.ELEVATION, True)),
        ("bottom", lambda _: (_Q.ELEVATION, False)), ("{r:lateral}", lambda k: _side_scale(k["r"])), ("to the? left",
            lambda _: (_Q.LATERAL, False)), ("to the? right", lambda _: (_Q.LATERAL, True)),
    ])  # fmt: skip
    grammar.add("by_what", [
        (
            "(by|according to|based on|in-order of|in order of|in terms of|in-terms-of|in) (the|their)? "
            "{q:ordered}",
            lambda k: (k["q"], True, None),
        ),
        (
            "(by|in-order of|according to|based on) (the|their)? {q:ordered} (to|from) {you}",
            lambda k: (k["q"], True, None),
        ),
        (
            "(by|in-order of|according to) (the|their)? {q:ordered} (to|from) {r:thing}",
            lambda k: (k["q"], True, k["r"]),
        ),
        ("(by|according to|based on|in-terms-of) {w:how_much_each}", lambda k: (*k["w"], None)),
        (
            "(by|according to|based on|in-terms-of) {w:how_much_each} (away)? (from|to|away-from) {you}",
            lambda k: (*k["w"], None),
        ),
        (
            "(by|according to|based on|in-terms-of) {w:how_much_each} (away)? (from|to|away-from) {r:thing}",
            lambda k: (*k["w"], k["r"]) if k["w"][0] is _Q.DISTANCE else None,
        ),
        ("(in-order)? ,? {d:direction_of_order}", lambda k: (*k["d"], None)),
        (
            "(by|in-order of|according to) (the|their)? {q:ordered} ,? {d:direction_of_order}",
            lambda k: (k["q"], k["d"][1], None),
        ),
        ("(in-order)? ,? {d:direction_of_order} (to|from) {you}", lambda k: (*k["d"], None)),
        ("(in-order)? ,? {d:direction_of_order} (to|from) {r:thing}", lambda k: (*k["d"], k["r"])),
    ])  # fmt: skip
    grammar.add("how_much_each", [
        ("(how-far|how-close) {they}?", lambda _: (_Q.DISTANCE, True)),
        ("how {s:scale} {they}?", lambda k: (_Q.HEIGHT if k["s"][0] is _Q.ELEVATION else k["s"][0], True)),
    ])  # fmt: skip
    grammar.add("they", [("(they|it|these|{t:bare}) (each|all)? (be|lie|located)", lambda _: True)])
    grammar.add("following", [("{t:bare}", lambda k: True if k["t"].text.lower().startswith("following") else None)])
    grammar.add("ordered", [("depth", lambda _: _Q.DISTANCE), ("how-far", lambda _: _Q.DISTANCE),
                            ("{q:quantity}", lambda k: _Q.VOLUME if k["q"] is _Q.SIZE else _Q.LATERAL if k["q"
                                ] is _Q.POSITION else k["q"])])  # fmt: skip


_SORT = (
    "(how (can|do) (you|we|i|one) sort|sort|list|give|what be|tell|show|which be|name|measure|find|located|put)? "
    "(me|us)? "
)
ORDER: Rows = [
    (_SORT + "{things:things} ,? (sort|sorted)? {by:by_what}", _order),
    (_SORT + "{a:thing} ,? (sort|sorted)? {by:by_what}", _order),
    (_SORT + "depth-order of {things:things}", lambda k: _order({**k, "by": (_Q.DISTANCE, True, None)})),
    (_SORT + "depth-order of {a:thing}", lambda k: _order({**k, "by": (_Q.DISTANCE, True, None)})),
    (_SORT + "(the)? sort of {things:things} ,? {by:by_what}", _order),
    (_SORT + "(the)? sort {by:by_what} (of|for) {things:things}", _order),
    (_SORT + "(the)? sort {by:by_what} (of|for) {a:thing}", _order),
    ("(in)? (which|what) sort (be|do) {things:things} (lie|come|located|appear)? {by:by_what}", _order),
    ("(in)? (which|what) sort (be|do) {a:thing} (lie|come|located|appear)? {by:by_what}", _order),
    ("{d:direction_of_order} ,? " + _SORT + "{things:things}", lambda k: _order({**k, "by": (*k["d"], None)})),
    ("{d:direction_of_order} ,? " + _SORT + "{a:thing}", lambda k: _order({**k, "by": (*k["d"], None)})),
    (_SORT + "(the)? sort of {a:thing} ,? {by:by_what}", _order),
    (_SORT + "(the)? {q:ordered} sort of {things:things}", lambda k: _order({**k, "by": (k["q"], True, None)})),
    (_SORT + "(these|them|this|it|everything|all)? {by:by_what} (,|:)? {things:things}", _order),
    (_SORT + "the? {f:following} {by:by_what} (,|:)? {things:things}", _order),
    (_SORT + "(these|them|everything|all)? {by:by_what} (,|:)? {a:thing}", _order),
    (_SORT + "(these|them|everything|all) {by:by_what}", lambda k: _order({**k, "a": anything()})),
    (_SORT + "{by:by_what} ,? {things:things}", _order),
    (
        "(from) {by:direction_of_order} ,? (sort|list|what be|how be)? (the sort of)? {things:things} (sort)?",
        lambda _: None,
    ),
]  # fmt: skip
