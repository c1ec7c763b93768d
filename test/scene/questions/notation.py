"""A question in one short line, so that a table of readings can be read: ``Compare(red bottle, HEIGHT, MORE, ball)``.

A thing: ``~`` several, ``?`` any one, ``every``, ``other``, ``2`` a number said, then its name, ``#3`` its id, then
what is said of it: ``[LEFT of mug]`` a place, ``{HEIGHT > 0.2}`` a bound, ``<most HEIGHT>`` an extreme, ``@`` a view.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from enum import Enum

from n3d_ros.scene.questions.question import (
    Extreme,
    Moment,
    Place,
    Question,
    Relation,
    SizeBound,
    Thing,
    View,
    Viewpoint,
)

PLAIN_FIELDS = frozenset((
    "thing", "subject", "quantity", "sense", "options", "candidates", "things", "extreme", "references", "relation",
    "target",
))  # fmt: skip
"""What is told without its field's name."""


def notation(question: Question) -> str:
    """The line of a question."""
    said = [_told(question.intent)]
    if question.viewpoint != Viewpoint():
        said.append(_viewpoint(question.viewpoint))
    if question.moment is not None:
        said.append(_moment(question.moment))
    return " ".join(said)


def _told(value: object) -> str:
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, Thing):
        return _thing(value)
    if isinstance(value, Extreme):
        return _extreme(value)
    if isinstance(value, tuple):
        return " | ".join(_told(one) for one in value)
    if isinstance(value, float):
        return f"{value:g}"
    if is_dataclass(value):
        said = [
            told if field.name in PLAIN_FIELDS else f"{field.name}={told}"
            for field in fields(value)
            if getattr(value, field.name) != field.default
            for told in [_told(getattr(value, field.name))]
        ]  # fmt: skip
        return f"{type(value).__name__}({', '.join(said)})"
    return str(value)


def _thing(thing: Thing) -> str:
    before = ["~" * thing.phrase.is_plural + "?" * thing.is_any, "every " * thing.is_each, "other " * thing.is_other]
    before.append("" if thing.count is None else f"{thing.count} ")
    after = ["" if thing.id is None else f" #{thing.id}"]
    after += [f" [{_place(place)}]" for place in thing.places]
    after += [f" {{{_bound(bound)}}}" for bound in thing.bounds]
    after += [] if thing.extreme is None else [f" {_extreme(thing.extreme)}"]
    after += [] if thing.stands_out is None else [f" ({_extreme(thing.stands_out)[1:-1]} of several)"]
    after += [] if thing.others_of is None else [f" (but {_thing(thing.others_of)})"]
    return "".join([*before, thing.text, *after])


def _place(place: Place) -> str:
    references = " and ".join(map(_thing, place.references)) or "me"
    within = "" if place.within_m is None else f" within {place.within_m:g}"
    joint = "" if place.relation in (Relation.BETWEEN, Relation.NEXT_TO, Relation.ON, Relation.INSIDE) else " of"
    return f"{place.relation.name}{joint} {references}{within}"


def _bound(bound: SizeBound) -> str:
    limit = f"{bound.bound:g}" if bound.reference is None else _thing(bound.reference)
    return f"{bound.quantity.name} {'>' if bound.more else '<'}{'=' * bound.inclusive} {limit}"


def _extreme(extreme: Extreme) -> str:
    rank = f" #{extreme.rank}" if extreme.rank > 1 else ""
    count = f" x{extreme.count}" if extreme.count > 1 else ""
    reference = "" if extreme.reference is None else f" from {_thing(extreme.reference)}"
    return f"<{'most' if extreme.most else 'least'} {extreme.quantity.name}{rank}{count}{reference}>"


def _viewpoint(viewpoint: Viewpoint) -> str:
    at = "" if viewpoint.at is None else f" {_thing(viewpoint.at)}"
    facing = "" if viewpoint.facing is None else f" facing {_thing(viewpoint.facing)}"
    return f"@{'at' if viewpoint.view is View.AT_THING else viewpoint.view.value}{at}{facing}"


def _moment(moment: Moment) -> str:
    if moment.ago_s is not None:
        return f"{moment.ago_s:g} s ago"
    return f"stamp {moment.stamp_ns}" if moment.stamp_ns is not None else f"clock {moment.clock_s:g}"
