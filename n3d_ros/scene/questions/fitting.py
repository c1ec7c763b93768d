"""Questions on fitting: through a gap, into a box of given size, between two things, on a surface."""

from __future__ import annotations

from n3d_ros.scene.questions.clauses import Kept, Rows
from n3d_ros.scene.questions.lengths import Length
from n3d_ros.scene.questions.patterns import Grammar, Source
from n3d_ros.scene.questions.question import Compare, Fits, Quantity, Sense, Thing

_Q = Quantity


def _fits(kept: Kept) -> Fits | None:
    opening = tuple(kept["o"]) if "o" in kept else ()
    return Fits(
        thing=kept["a"], opening_m=opening, between=kept.get("p") or (), inside=kept.get("b"), on_top_of=kept.get("t")
    )


def _is_cube(thing: Thing) -> bool:
    return thing.text.lower().split()[-1:] in (["cube"], ["cubes"]) or "cubic" in thing.phrase.adjectives


def _wide_thing(source: Source, place: int) -> list[tuple[int, Thing]]:
    """As in "A 60 cm wide robot", which need not be seen."""
    lexeme = source.at(place)
    if lexeme is None or lexeme.kind != "np" or not {"wide", "broad"} & set(lexeme.value.thing.phrase.adjectives[:1]):
        return []
    return [(place + 1, lexeme.value.thing)]


def _breadth_said(kept: Kept) -> float | None:
    length: Length = kept["l"]
    return length.metres if length.power == 1 and kept["s"][0] is _Q.WIDTH and kept["s"][1] else None


def _passes(kept: Kept) -> Compare:
    """Can a 60 cm wide robot pass between A and B: is their gap at least that wide?"""
    first, second = kept["p"]
    return Compare(
        subject=first, quantity=_Q.GAP, sense=Sense.MORE, bound=kept["w"], reference=second, inclusive=True
    )  # fmt: skip


def _between_several(kept: Kept) -> Fits | None:
    """Between one plural thing: "between the mugs"."""
    several: Thing = kept["pl"]
    return Fits(thing=kept["a"], between=(several,)) if several.phrase.is_plural else None


def add_openings(grammar: Grammar) -> None:
    """Adds the rules that these rows use: ``opening``, ``sizes``, ``into``.

    Args:
        grammar: what they are added to.
    """
    grammar.add("opening", [
        ("(a|the|this|that)? {l:sizes} {c:cube}", lambda k: k["l"] * 3 if len(k["l"]) == 1 else k["l"]),
        (
            "{c:cube} (of|with|that be|which be|measuring)? (a|the)? ({q:quantity} of)? {l:sizes}",
            lambda k: k["l"] * 3 if len(k["l"]) == 1 else k["l"],
        ),
        ("(a|the|this|that)? {l:sizes} {c:container}", lambda k: k["l"]),
        ("{c:container} (of|with|that be|which be|measuring)? (a|the)? ({q:quantity} of)? {l:sizes}", lambda k: k["l"]),
        ("{l:sizes}", lambda k: k["l"]),
    ])  # fmt: skip
    grammar.add_reader("wide_thing", _wide_thing, "np")
    grammar.add("cube", [("{t:bare}", lambda k: True if _is_cube(k["t"]) else None)])
    grammar.add("wide", [
        ("a? {l:length} {t:wide_thing}", lambda k: k["l"].metres if k["l"].power == 1 else None),
        ("({t:bare}|a? {v:viewer}) (,? (that|which) be)? {l:length} {s:scale} ,?", _breadth_said),
        (
            "({t:bare}|a? {v:viewer}) (of|with) (a)? {q:quantity} of? {l:length}",
            lambda k: k["l"].metres if k["q"] is _Q.WIDTH and k["l"].power == 1 else None,
        ),
        (
            "({t:bare}|a? {v:viewer}) of {l:length} (in)? {q:quantity}",
            lambda k: k["l"].metres if k["q"] is _Q.WIDTH and k["l"].power == 1 else None,
        ),
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
_THROUGH = "(get|drive|fit|move|travel|walk|come|be)? (through)? (the {g:quantity})? (in)? between "
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
    ("(can|do|will) {w:wide} " + _THROUGH + "{p:pair}", _passes),
    ("be {w:wide} able to " + _THROUGH + "{p:pair}", _passes),
    ("be there? (enough)? {q:quantity} (for) {w:wide} (to)? " + _THROUGH + "{p:pair}", _passes),
    ("be there? (enough)? {q:quantity} between {p:pair} (for) {w:wide}", _passes),
    ("be the {q:quantity} between {p:pair} ({c:scale} enough|enough) (for|to fit) {w:wide}", _passes),
    (_CAN + "between {pl:thing}", _between_several),
    ("be there (enough)? {q:quantity} (for|to fit|to put) {a:thing} between {pl:thing}", _between_several),
    ("be there (enough)? {q:quantity} between {pl:thing} (for|to fit|to put) {a:thing}", _between_several),
    ("be {a:thing} {s:scale} enough (for|to fit|to go) {in_:into}? {o:opening}", _fits),
    ("be {a:thing} {s:scale} enough (for|to fit|to go) (in|inside|into|through)? {b:thing}", _fits),
    ("be {a:thing} {s:scale} enough (for|to fit|to go) between {p:pair}", _fits),
]  # fmt: skip
