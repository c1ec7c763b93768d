"""What changed between an earlier scene and this one: Changed. Objects are the same by their ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from n3d_ros.scene.answers.body import Body, body_of
from n3d_ros.scene.answers.context import Context, UnansweredError
from n3d_ros.scene.answers.describing import place_of
from n3d_ros.scene.answers.finding import Finding, as_answer, in_words, settled, yes_or_no
from n3d_ros.scene.answers.measures import SIGMAS, Measured
from n3d_ros.scene.answers.movement import MOVED_M, earlier_scene, has_moved, way_between
from n3d_ros.scene.answers.places import place_words, stands_at
from n3d_ros.scene.answers.relations import Holds
from n3d_ros.scene.answers.resolve import Meaning, meanings
from n3d_ros.scene.answers.wording import counted, duration, length, listed
from n3d_ros.scene.questions.question import Changed
from n3d_ros.scene.scene import Scene
from n3d_ros.scene.spatial_answer import SpatialAnswer

NOTHING = "nothing"
NANOSECONDS = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Changes:
    """What is new, gone, not seen again and moved."""

    new: tuple[Body, ...]
    gone: tuple[Body, ...]
    unseen: tuple[Body, ...]
    moved: tuple[tuple[Body, Measured], ...]
    since_s: float


def changed(intent: Changed, context: Context) -> SpatialAnswer:
    """What appeared, went or moved, or whether one thing did.

    Args:
        intent: what is asked.
        context: what is known.

    Returns:
        Words for the whole scene, yes or no for one thing.

    Raises:
        UnansweredError: no earlier scene is remembered, or the thing is in neither scene.
    """
    before = earlier_scene(context)
    changes = _changes(before, context)
    if intent.thing is None and intent.place is None:
        return as_answer(_all(intent, changes, context), context)
    if intent.thing is None:
        return _there(intent, changes, context)
    return _of_thing(intent, changes, before, context)


def _changes(before: Scene, context: Context) -> _Changes:
    """Compares the scenes id by id; what was a candidate before is not new."""
    then = {known.id: body_of(known) for known in before.objects}
    known_then = {*then, *(known.id for known in before.candidates)}
    now = {body.id: body for body in context.bodies if body.id is not None}
    still = {*now, *(known.id for known in context.scene.candidates)}
    ways = [(body, way_between(then[i], body)) for i, body in now.items() if i in then]
    unseen = {one.object.id for one in context.scene.departed if not one.was_looked_for}
    missing = [body for i, body in then.items() if i not in still]
    return _Changes(
        new=tuple(body for i, body in now.items() if i not in known_then),
        gone=tuple(body for body in missing if body.id not in unseen),
        unseen=tuple(body for body in missing if body.id in unseen),
        moved=tuple((body, way) for body, way in ways if has_moved(way)),
        since_s=(context.scene.stamp_ns - before.stamp_ns) * NANOSECONDS,
    )


def _there(intent: Changed, changes: _Changes, context: Context) -> SpatialAnswer:
    """Only what changed at a place."""
    place = intent.place
    assert place is not None

    def compute(*references: Meaning) -> Finding:
        others = [body for meaning in references for body in meaning.bodies]

        def is_there(body: Body) -> bool:
            return body not in others and stands_at(place, body, others, context)[0] is Holds.YES

        kept = replace(
            changes,
            new=tuple(filter(is_there, changes.new)),
            gone=tuple(filter(is_there, changes.gone)),
            unseen=tuple(filter(is_there, changes.unseen)),
            moved=tuple(one for one in changes.moved if is_there(one[0])),
        )
        return _all(intent, kept, context, where=f" {place_words(place, others, context)}")

    return settled(place.references, context, compute)


def _all(intent: Changed, changes: _Changes, context: Context, *, where: str = "") -> Finding:
    """Everything that changed, or only what is new, gone or moved."""
    only = "new" if intent.is_new else "gone" if intent.is_gone else "moved" if intent.is_moved else ""
    new = changes.new if only in ("", "new") else ()
    gone = changes.gone if only in ("", "gone") else ()
    moved = changes.moved if only in ("", "moved") else ()
    words = [
        f"{what}: {listed([body.name for body in bodies])}"
        for what, bodies in (("new", new), ("gone", gone), ("moved", [body for body, _ in moved]))
        if bodies
    ]
    sentences = [f"The {body.name} is new, {place_of(body, context)}." for body in new]
    sentences += [f"The {body.name} is gone; it was {place_of(body, context)}." for body in gone]
    sentences += [
        f"The {body.name} moved by {length(way.value)}, and is {place_of(body, context)}." for body, way in moved
    ]
    unseen = changes.unseen if only in ("", "gone") else ()
    count, since = len(sentences), f"in {duration(changes.since_s)}"
    things = counted(count, "thing") if count else "Nothing"
    verb = {"new": "is new" if count < 2 else "are new", "gone": "is gone" if count < 2 else "are gone"}
    head = f"{things} {verb.get(only, only or 'changed')}{where} {since}."
    sentences += [f"I have not seen {body.the} again: its place was out of view." for body in unseen]
    return in_words(
        "; ".join(words) or NOTHING,
        (head, *sentences),
        bodies=[*new, *gone, *(body for body, _ in moved)],
        steps=_steps(changes, context),
    )


def _steps(changes: _Changes, context: Context) -> list[str]:
    bound = f"moved means by more than {MOVED_M:.3f} m and {SIGMAS:g} standard deviations"
    head = f"{counted(len(context.bodies), 'object')} now, compared with {duration(changes.since_s)} before; {bound}."
    return [head, *(f"{body.name} moved {way.figures()}." for body, way in changes.moved)]


def _of_thing(intent: Changed, changes: _Changes, before: Scene, context: Context) -> SpatialAnswer:
    """Whether one thing moved, is new, or is gone; one that is gone is looked up in the earlier scene."""
    assert intent.thing is not None
    missing = {body.id for body in (*changes.gone, *changes.unseen)}
    then = replace(context, scene=before, bodies=tuple(body_of(known) for known in before.objects))
    try:
        earlier = meanings(intent.thing, then)
    except UnansweredError:
        earlier = []
    left = [body for meaning in earlier for body in meaning.bodies if body.id in missing]
    try:
        return settled([intent.thing], context, lambda one: _one(intent, one, left, changes))
    except UnansweredError:
        if not left:
            raise
        meaning = Meaning(bodies=tuple(left))
        return as_answer(_one(intent, meaning, left, changes), context)


def _one(intent: Changed, meaning: Meaning, left: Sequence[Body], changes: _Changes) -> Finding:
    """What became of each body."""
    moved, since = {body.id: way for body, way in changes.moved}, duration(changes.since_s)
    new, unseen = {body.id for body in changes.new}, {body.id for body in changes.unseen}
    gone = {body.id for body in left} - unseen
    holds, sentences = list[bool](), list[str]()
    bodies = [*meaning.bodies, *(body for body in left if intent.is_gone and body not in meaning.bodies)]
    for body in bodies:
        is_moved, is_new, is_gone = body.id in moved, body.id in new, body.id in gone
        holds.append(
            is_new if intent.is_new else is_gone if intent.is_gone else is_moved or (is_gone and not intent.is_moved)
        )
        if is_gone:
            sentences.append(f"{body.the} is gone since {since} before.")
        elif body.id in unseen:
            sentences.append(f"I have not seen {body.the} again: its place was out of view.")
        elif is_new:
            sentences.append(f"{body.the} is new: it was not there {since} before.")
        elif is_moved:
            sentences.append(f"{body.the} moved by {length(moved[body.id].value)} in {since}.")
        else:
            sentences.append(f"{body.the} is where it was {since} before.")
    value = any(holds) if intent.thing is None or not intent.thing.is_each else all(holds)
    steps = [f"{body.name} moved {way.figures()} (bound {MOVED_M:.3f} m)." for body, way in changes.moved]
    return yes_or_no(value, sentences, bodies=bodies, steps=steps)
