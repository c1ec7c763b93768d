"""Does a thing fit: through an opening, between two things, into a container, onto a surface.

Edges are compared sorted by length, so the thing may be turned. It fits when every edge that must pass is shorter than
the room by more than the measuring error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from n3d_ros.scene.answers.body import Body
from n3d_ros.scene.answers.context import Context
from n3d_ros.scene.answers.finding import Finding, deciding, settled, yes_or_no
from n3d_ros.scene.answers.measures import Measured, edges_of, measure
from n3d_ros.scene.answers.relations import Holds, standing
from n3d_ros.scene.answers.resolve import Meaning, id_of
from n3d_ros.scene.answers.wording import length
from n3d_ros.scene.questions.question import Fits, Quantity, Relation
from n3d_ros.scene.spatial_answer import SpatialAnswer


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Room:
    """What a thing must fit: lengths in rising order, which of its edges they meet, and what is not known."""

    name: str
    lengths: tuple[Measured, ...]
    edges: tuple[Measured, ...]
    rule: str
    bodies: tuple[Body, ...] = ()


def fits(intent: Fits, context: Context) -> SpatialAnswer:
    """Whether a thing fits.

    Args:
        intent: what is asked.
        context: what is known.

    Returns:
        Yes or no; no when it is within the measuring error.
    """
    things = [intent.thing, *intent.between]
    things += [thing for thing in (intent.inside, intent.on_top_of) if thing is not None]

    def compute(subject: Meaning, *rest: Meaning) -> Finding:
        others = [body for meaning in rest for body in meaning.bodies]
        found = [
            _already(intent, body, others, context) or _fits(body, _room(intent, body, others, context))
            for body in subject.bodies
        ]
        if len(found) == 1:
            return found[0]
        holds = [one.value is True for one in found]
        value = any(holds) if intent.thing.is_any else all(holds)
        sentences = deciding([one.sentences[0].split(", ", 1)[1] for one in found], holds, value=value)
        bodies = [body for one in found for body in one.bodies]
        return yes_or_no(value, sentences, bodies=bodies, steps=[step for one in found for step in one.steps])

    return settled(things, context, compute)


def _already(intent: Fits, body: Body, others: Sequence[Body], context: Context) -> Finding | None:
    """A thing that is there already fits, however close the measures; one thing has no room in or on itself."""
    if not others or intent.between:
        return None
    relation = Relation.INSIDE if intent.inside is not None else Relation.ON
    if id_of(body) == id_of(others[0]):
        sentence = f"{body.the} has no room {'in' if relation is Relation.INSIDE else 'on'} itself."
        return yes_or_no(value=False, sentences=[sentence], bodies=[body])
    stands = standing(relation, body, others[:1], context)
    if stands.holds is not Holds.YES:
        return None
    sentence = f"{body.the} is {relation.value} {others[0].the} already."
    return yes_or_no(value=True, sentences=[sentence], bodies=[body, others[0]], steps=[stands.step])


def _room(intent: Fits, body: Body, others: Sequence[Body], context: Context) -> _Room:
    """The room that an intent speaks of."""
    if intent.between:
        return _between(body, [other for other in others if id_of(other) != id_of(body)], context)
    if intent.inside is not None:
        rule = "its sorted edges against those of the box around it; how thick its walls are is not known"
        lengths = _sorted_edges(others[0], (0, 1, 2))
        return _Room(name=f"in {others[0].the}", lengths=lengths, edges=_sorted_edges(body, (0, 1, 2)), rule=rule, bodies=(others[0],))  # fmt: skip # noqa: E501
    if intent.on_top_of is not None:
        rule = "its two level edges against those of the top; what else stands there is not considered"
        return _Room(name=f"on {others[0].the}", lengths=_level_edges(others[0], context), edges=_level_edges(body, context), rule=rule, bodies=(others[0],))  # fmt: skip # noqa: E501
    sides = sorted(intent.opening_m)[:3]
    edges = _sorted_edges(body, (0, 1, 2))
    words = " by ".join(length(side) for side in sides)
    kind = {1: "its shortest edge against the gap", 2: "its two shorter edges against the opening"}
    return _Room(
        name=f"{'through a gap of' if len(sides) == 1 else 'through an opening of' if len(sides) == 2 else 'in a box of'} {words}",  # noqa: E501
        lengths=tuple(Measured(value=side, stddev=0.0) for side in sides),
        edges=edges[: len(sides)],
        rule=f"{kind.get(len(sides), 'its sorted edges against the three lengths')}, turned as needed",
    )


def _between(body: Body, others: Sequence[Body], context: Context) -> _Room:
    """The free space between two things; the thing keeps standing upright."""
    rule = "its shorter level edge against the free space, standing upright"
    edges = _level_edges(body, context)[:1]
    if len(others) < 2:
        return _Room(name="there: nothing to stand between is known", lengths=(), edges=edges, rule=rule)
    gap = measure(Quantity.GAP, others[0], context.axes, others[1])
    name = f"between {others[0].the} and {others[1].the}"
    return _Room(name=name, lengths=(gap,), edges=edges, rule=rule, bodies=tuple(others[:2]))


def _sorted_edges(body: Body, which: Sequence[int]) -> tuple[Measured, ...]:
    """Edges of a box with their errors, shortest first."""
    size, stddev = body.box.size, body.uncertainty.size_stddev_m
    order = sorted(which, key=lambda k: float(size[k]))
    return tuple(Measured(value=float(size[k]), stddev=float(stddev[k])) for k in order)


def _level_edges(body: Body, context: Context) -> tuple[Measured, ...]:
    """The two level edges, shortest first."""
    edges = edges_of(body, context.axes)
    return _sorted_edges(body, (edges.width, edges.depth))


def _fits(body: Body, room: _Room) -> Finding:
    """Compares the edges that must pass with the room."""
    spare = [space.minus(edge) for space, edge in zip(room.lengths, room.edges, strict=False)]
    pairs = zip(room.edges, room.lengths, strict=False)
    shown = "; ".join(f"{edge.figures()} into {space.figures()}" for edge, space in pairs)
    steps = [f"{body.name}: {room.rule}: {shown or 'no room known'}."]
    bodies = [body, *room.bodies]
    tightest = spare[int(np.argmin([one.value for one in spare]))] if spare else Measured(value=-np.inf, stddev=0.0)
    if not spare:
        return yes_or_no(value=False, sentences=[f"{body.the} does not fit {room.name}."], bodies=bodies, steps=steps)
    if min(one.sign for one in spare) > 0:
        sentence = f"{body.the} fits {room.name}, with {length(tightest.value)} to spare."
        return yes_or_no(value=True, sentences=[sentence], bodies=bodies, steps=steps)
    if min(one.sign for one in spare) == 0:
        sentence = (
            f"not for sure: {body.the} may just fit {room.name}, but the difference is within the measuring error."
        )
        return yes_or_no(value=False, sentences=[sentence], bodies=bodies, steps=steps)
    sentence = f"{body.the} does not fit {room.name}: {length(-tightest.value)} are missing."
    return yes_or_no(value=False, sentences=[sentence], bodies=bodies, steps=steps)
