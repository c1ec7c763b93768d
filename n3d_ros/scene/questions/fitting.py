"""Questions on fitting: through a gap, into a box of given size, between two things, on a surface."""

from __future__ import annotations

from n3d_ros.scene.questions.clauses import Kept, Rows
from n3d_ros.scene.questions.patterns import Grammar
from n3d_ros.scene.questions.question import (
    Fits,
    Quantity,
)

_Q = Quantity


def _fits(kept: Kept) -> Fits | None:
    opening = tuple(kept["o"]) if "o" in kept else ()
    return Fits(
        thing=kept["a"], opening_m=opening, between=kept.get("p") or (), inside=kept.get("b"), on_top_of=kept.get("t")
    )


def add_openings(grammar: Grammar) -> None:
    """Adds the rules that these rows use: ``opening``, ``sizes``, ``into``.

    Args:
        grammar: what they are added to.
    """
    grammar.add("opening", [
        ("(a|the|this|that)? {l:sizes} {c:container}", lambda k: k["l"]),
        ("{c:container} (of|with|that be|which be|measuring)? (a|the)? ({q:quantity} of)? {l:sizes}", lambda k: k["l"]),
        ("{l:sizes}", lambda k: k["l"]),
    ])  # fmt: skip
    grammar.add(
        "container",
        [("{t:bare}", lambda _: True), ("(a|the|an)? {q:quantity}", lambda k: True if k["q"] is _Q.GAP else None)],
    )
    grammar.add("sizes", [
        ("{l:lengths}", lambda k: k["l"]),
        ("{a:size_} (,|and|by|x)? {b:size_} (,? and|,|by|x)? {c:size_}", lambda k: (k["a"], k["b"], k["c"])),
        ("{a:size_} (,|and|by|x)? {b:size_}", lambda k: (k["a"], k["b"])),
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
    grammar.add(
        "into",
        [
            (
                "(in|inside|into|within|through|under|between|on|onto|down) (of)?",
                lambda _: True,
            )
        ],
    )


_CAN = (
    "((do|can|be) not? {a:thing} (be|to)? (fit|able to fit|small enough to fit)|{a:thing} can? fit"
    "|(can|do) (i|we|you) (fit|put|place|located) {a:thing}|(can|do) {a:thing} be (located|fit)) "
)
FITS: Rows = [
    ("can {a:thing} lie (on) {t:thing}", _fits),
    ("be (a|the)? {o:opening} {c:scale}? enough (for|to fit) {a:thing}", _fits),
    (_CAN + "{in_:into} {o:opening}", _fits),
    (_CAN + "(in|inside|into|within|through|down) (of)? {b:thing}", _fits),
    (
        _CAN + "(between|between|in-between|in the gap between|in the {q:quantity} between|in the {q:quantity} "
        "between|in the {q:quantity} between) {p:pair}",
        _fits,
    ),
    (_CAN + "(through|in|into|inside) the? {q:quantity} between {p:pair}", _fits),
    (_CAN + "(on|onto) {t:thing}", _fits),
    ("be there (enough)? {q:quantity} (for {a:thing})? between {p:pair} for {a:thing}", _fits),
    ("be there (enough)? {q:quantity} for {a:thing} between {p:pair}", _fits),
    ("be there (enough)? {q:quantity} between {p:pair} (for|to fit|to put) {a:thing}", _fits),
    ("be there (enough)? {q:quantity} (for|to fit|to put) {a:thing} (in|inside|into) {b:thing}", _fits),
    ("be there (enough)? {q:quantity} (for|to fit|to put) {a:thing} (on|onto) {t:thing}", _fits),
    (
        "be the {q:quantity} between {pl:thing} ({c:scale} enough|enough) (for|to fit) {a:thing}",
        lambda k: Fits(thing=k["a"], between=(k["pl"],)) if k["pl"].phrase.is_plural else None,
    ),
    ("be the {q:quantity} between {p:pair} ({c:scale} enough|enough) (for|to fit) {a:thing}", _fits),
    ("be {a:thing} {s:scale} enough (for|to fit|to go) {in_:into}? {o:opening}", _fits),
    ("be {a:thing} {s:scale} enough (for|to fit|to go) (in|inside|into|through)? {b:thing}", _fits),
    ("be {a:thing} {s:scale} enough (for|to fit|to go) between {p:pair}", _fits),
]  # fmt: skip
