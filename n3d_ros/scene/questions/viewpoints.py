"""From where a question is meant: "from my side", "for someone facing the camera", "standing at the mug"."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from n3d_ros.scene.questions.budget import Budget
from n3d_ros.scene.questions.patterns import Grammar, Lexeme, Source
from n3d_ros.scene.questions.question import Thing, View, Viewpoint

_SEEN = "(as|when|if|while)? (you|i|we|it|one)? (be)? (see|view|look|looking|observe)? "
_IF = "(if|when|while|suppose|assuming|imagine)"
_STAND = (
    _IF + "? (that)? (i|you|we|someone|one|they|the {viewer}|he)? (be|can|do)? (lie|located|be)? (to)? (lie|located)? "
)
_HERE = (
    f"({_IF}? (that|you|i)? (located|lie) | {_IF} (that)? (i|you|we|someone|one) (be|can|do|have)? (be|lie|located)"
    " | (i|you|we) (be|lie) (lie|located)? ) (to|back)? "
)
_ONE = "(for|to|as|by|from|of) (someone|anyone|one|{p:person}|those|me|you)? (who|that)? (be)? "
_OTHER = (
    f"{_SEEN} (for|to|as|by|from|of)? (the)? ({{s:vantage}} of)? (a|the|some)? ({{p:person}}|{{v:asker_}}) "
    "(who|that)? (be)? (lie|located|see|look)? (down)? (on|at|from)? "
)
"""Somebody else who looks from the other side: "as seen by someone facing you"."""
_CAMERAS = frozenset(("camera", "robot", "sensor", "photographer"))


_ALL_AROUND = frozenset(("room", "scene", "picture", "image", "view", "space", "workspace", "kitchen", "place", "area"))


def _across(kept: dict[str, Any]) -> Viewpoint:
    """From the other side of a thing; of the room is opposite to the asker."""
    thing: Thing = kept["a"]
    around = thing.phrase.noun in _ALL_AROUND and len(thing.phrase.words) == 1
    return Viewpoint(view=View.OPPOSITE, at=None if around else thing)


def add_viewpoints(grammar: Grammar) -> None:
    """Adds the rules ``view`` (told by words that mean nothing else) and ``loose_view`` ("from the mug").

    Args:
        grammar: what they are added to.
    """
    opposite, camera, asker = Viewpoint(view=View.OPPOSITE), Viewpoint(view=View.CAMERA), Viewpoint()
    grammar.add("seen", [("see|view|look|looking", lambda _: True)])
    grammar.add("robot", [("{v:viewer}", lambda k: True if k["v"] in _CAMERAS else None), ("your", lambda _: True)])
    grammar.add("asker", [("{v:viewer}", lambda k: True if k["v"] in ("viewer", "observer", "viewpoint") else None),
                          ("my/this/the", lambda _: True)])  # fmt: skip
    grammar.add(
        "person",
        [
            (
                "{t:bare}",
                lambda k: (
                    True
                    if k["t"].phrase.noun
                    in ("person", "someone", "somebody", "anyone", "anybody", "observer", "man", "human", "viewer")
                    else None
                ),
            )
        ],
    )
    grammar.add("asker_", [("{v:viewer}", lambda k: True if k["v"] in ("viewer", "observer") else None)])
    grammar.add("vantage", [("side/view/point-of-view/perspective/position/angle", lambda _: True)])
    grammar.add("view", [
        (_SEEN + "(from|in|relative|of) (the)? {r:robot} 's? own? {s:vantage}", lambda _: camera),
        (_SEEN + "(from|relative) (the)? {s:vantage} of (the)? {r:robot}", lambda _: camera),
        (
            _SEEN + "(by|to|for|relative|from) {r:viewer}",
            lambda k: camera if k["r"] in _CAMERAS else asker,
        ),
        (_SEEN + "(from|in|relative) {r:asker} 's? own? {s:vantage}", lambda _: asker),
        (_SEEN + "(from|relative) (the)? {s:vantage} of (the)? {r:asker}", lambda _: asker),
        ("(from|as) (where)? (i|we) (be|lie|look|see) (it|this|them|now|here|at)?", lambda _: asker),
        ("from where you (be|lie|look|see) (located|lie|looking)? (now|here|at)?", lambda _: camera),
        ("from here", lambda _: asker),
        ("(from|for|to) me", lambda _: asker),
        ("as i see (it|this|them)", lambda _: asker),
        (_ONE + "(facing|looking|look-at|look at) (at|to|toward|by)? {c:you}", lambda _: opposite),
        (_ONE + "(look-at|facing|looking) {c:you}", lambda _: opposite),
        (_STAND + "(facing|look-at) {c:viewer}", lambda _: opposite),
        (_SEEN + "(from|on)? (opposite-side of|other-side-of) the? room/space", lambda _: opposite),
        (_OTHER + "(opposite-side of|other-side-of) the? room/space", lambda _: opposite),
        (_STAND + "(on|from|at)? (opposite-side of|other-side-of) the? room/space", lambda _: opposite),
        (_OTHER + "(facing|look-at|looking|look) (at|toward)? {c:you}", lambda _: opposite),
        (_OTHER + "(opposite|across) ((from|of|to)? {c:you})?", lambda _: opposite),
        (_OTHER + "(the)? (opposite-side|opposite side)", lambda _: opposite),
        (_OTHER + "(the)? (opposite-side of|other-side-of|behind|opposite|across) (from)? {a:bare}", _across),
        (_STAND + "opposite {c:you}", lambda _: opposite),
        (_STAND + "(on|from|at|to) (the)? (opposite-side|opposite side)", lambda _: opposite),
        (
            _STAND + "(on|at)? (other-side-of|opposite-side of|across) {a:bare}",
            _across,
        ),
        (_HERE + "(behind) {a:bare}", lambda k: Viewpoint(view=View.OPPOSITE, at=k["a"])),
        (
            _ONE + "(lie|located)? (across|behind|other-side-of|opposite) (from|to)? {a:bare}",
            lambda k: Viewpoint(view=View.OPPOSITE, at=k["a"]),
        ),
        (_ONE + "(lie|located)? (across|opposite) (from|to)? {c:you}", lambda _: opposite),
        (_SEEN + "facing {f:bare} from {a:bare}", lambda k: _at(k)),
        ("(if|when|while)? (i|you|we)? (be)? facing {f:bare}", lambda k: Viewpoint(view=View.AT_THING, facing=k["f"])),
        (_STAND + "across from {c:you}", lambda _: opposite),
        (_SEEN + "(from|on) (the)? opposite-side", lambda _: opposite),
        (
            _SEEN + "(from|on) (the)? (opposite-side of|other-side-of) {a:bare}",
            _across,
        ),
        (_SEEN + "from (behind) {a:bare}", lambda k: Viewpoint(view=View.OPPOSITE, at=k["a"])),
        (_SEEN + "from (behind|in the back)", lambda _: opposite),
        (
            _STAND + "(behind) {a:bare} (facing|look-at) (the)? {c:you}",
            lambda k: Viewpoint(view=View.OPPOSITE, at=k["a"]),
        ),
        (_SEEN + "from (the)? {s:vantage} of someone (facing|look-at) {c:you}", lambda _: opposite),
        ("(if|when) (the|my|your)? {s:vantage} (be)? (reverse|opposite)", lambda _: opposite),
        ("(with|from|in) (the|a)? (reverse|opposite) {s:vantage}", lambda _: opposite),
        # at a thing
        (
            _SEEN + "from (the)? {s:vantage} of {a:bare} (facing|look-at|looking|toward|to|towards) {f:bare}",
            lambda k: _at(k),
        ),
        (_SEEN + "from (the)? {s:vantage} of {a:bare} {w:straight}?", lambda k: _at(k)),
        (_SEEN + "from {a:bare} 's {s:vantage} (facing|look-at) {f:bare}", lambda k: _at(k)),
        (_SEEN + "from {a:bare} 's {s:vantage} {w:straight}?", lambda k: _at(k)),
        (_SEEN + "from {a:bare} (facing|look-at|toward|to) {f:bare}", lambda k: _at(k)),
        (
            _HERE + "{n:standing_at} {a:bare} ,? (and|while)? (i|you|we)? (be)? (facing|look-at|turned to|look to|"
            "looking toward) {f:bare}",
            lambda k: _at(k),
        ),
        (_HERE + "{n:standing_at} {a:bare} (and)? (i|you|we)? (be)? {w:straight}?", lambda k: _at(k)),
        ("(if|when|suppose) (i|you|we|someone) be {a:bare} (facing|look-at) {f:bare}", lambda k: _at(k)),
        ("(if|when|suppose) (i|you|we|someone) be {a:bare}", lambda k: _at(k)),
        (_ONE + "{n:standing_at} {a:bare} ,? (and)? (facing|look-at) {f:bare}", lambda k: _at(k)),
        (_ONE + "{n:standing_at} {a:bare} {w:straight}?", lambda k: _at(k)),
        (_HERE + "{n:standing_at} {c:you} ", lambda _: asker),
    ])  # fmt: skip
    grammar.add("straight", [
        ("(facing-away-from|facing away from|look away from) {c:you}", lambda _: True),
        ("(facing|looking|look) (the)? same direction as {c:you}", lambda _: True),
    ])  # fmt: skip
    grammar.add("standing_at", [("(at|by|near|next to|on|in|beside)", lambda _: True)])
    grammar.add("loose_view", [
        ("from {a:bare}", lambda k: _at(k)),
        ("for {a:bare}", lambda k: _at(k)),
        ("from {a:bare} (to|toward) {f:bare}", lambda k: _at(k)),
    ])  # fmt: skip


def _at(kept: dict[str, Any]) -> Viewpoint:
    return Viewpoint(view=View.AT_THING, at=kept["a"], facing=kept.get("f"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A question without the words that say from where it is meant, and the viewpoint they say."""

    lexemes: tuple[Lexeme, ...]
    viewpoint: Viewpoint


def viewpoints(grammar: Grammar, lexemes: tuple[Lexeme, ...], rule: str, budget: Budget) -> Iterator[Seen]:
    """Each way of taking one viewpoint out of a question, the longest words for it first.

    Args:
        grammar: with the rules of ``add_viewpoints``.
        lexemes: of the question.
        rule: "view", or "loose_view" for words that may also mean something else.
        budget: the work that may be done.

    Yields:
        The rests with their viewpoints.
    """
    source = Source(lexemes=lexemes, grammar=grammar, budget=budget)
    found = [
        (start - end, start, end, view)
        for start in range(len(lexemes))
        for end, view in source.read(rule, start)
        if end - start > 1
    ]
    for _, start, end, view in sorted(found, key=lambda row: row[:3]):
        left, right = lexemes[:start], lexemes[end:]
        while left and left[-1].word in (",", "("):
            left = left[:-1]
        while right and right[0].word in (",", ")", "and", ":", ".", "then", ";", "-", "!"):
            right = right[1:]
        if left or right:
            yield Seen(lexemes=(*left, *right), viewpoint=view)


__all__ = ["Seen", "Thing", "add_viewpoints", "replace", "viewpoints"]
