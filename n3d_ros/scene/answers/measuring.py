"""What is measured or known of one thing: Measure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from n3d_ros.errors import StatusCode
from n3d_ros.scene.answers.absence import departed
from n3d_ros.scene.answers.amounts import age_of, amount, ground_of
from n3d_ros.scene.answers.body import Body
from n3d_ros.scene.answers.comparatives import MEASURED_AS
from n3d_ros.scene.answers.context import Context, UnansweredError
from n3d_ros.scene.answers.describing import measured_step, place_of, size_of
from n3d_ros.scene.answers.finding import Finding, a_number, as_answer, as_triple, in_words, settled
from n3d_ros.scene.answers.locating import where
from n3d_ros.scene.answers.measures import SIGMAS, Measured, edges_of, straight
from n3d_ros.scene.answers.movement import MOVED_M, earlier_scene, has_moved, moved_since
from n3d_ros.scene.answers.resolve import Meaning, id_of
from n3d_ros.scene.answers.wording import MAX_STEPS, duration, echo, length
from n3d_ros.scene.questions.question import Measure, Quantity, Where
from n3d_ros.scene.spatial_answer import SpatialAnswer, ValueType

UNKNOWN = "unknown"
NANOSECONDS = 1e-9
BETWEEN_TWO = frozenset((
    Quantity.DISTANCE, Quantity.HORIZONTAL_DISTANCE, Quantity.VERTICAL_DISTANCE, Quantity.GAP,
))  # fmt: skip


def measured(intent: Measure, context: Context) -> SpatialAnswer:
    """A quantity of a thing.

    Args:
        intent: what is asked.
        context: what is known.

    Returns:
        NUMBER in metres (or m^2, m^3, s), SIZE (full lengths along the object's own axes), POSITION or TEXT.
    """
    if intent.quantity is Quantity.POSITION:
        return where(Where(thing=intent.thing, relative_to=intent.reference), context)
    if intent.quantity is Quantity.AGE:
        return _age(intent, context)
    things = [intent.thing, *([intent.reference] if intent.reference is not None else [])]

    def compute(subject: Meaning, reference: Meaning | None = None) -> Finding:
        pair = _pair(intent, subject, reference)
        if pair is not None:
            return _one(intent, pair[0], pair[1], context)
        if intent.quantity in BETWEEN_TWO and reference is not None and _same(subject, reference):
            return _all_pairs(intent, subject.bodies, context)
        found = [_one(intent, body, None if reference is None else reference.one, context) for body in subject.bodies]
        return found[0] if len(found) == 1 else _several(found)

    return settled(things, context, compute)


def _pair(intent: Measure, subject: Meaning, reference: Meaning | None) -> tuple[Body, Body] | None:
    """The two ends, where a plural names both: "how far apart are the two boxes"."""
    if intent.quantity not in BETWEEN_TWO or len(subject.bodies) != 2:
        return None
    if (reference is not None and _same(subject, reference)) or (reference is None and intent.quantity is Quantity.GAP):
        return subject.bodies[0], subject.bodies[1]
    return None


def _same(a: Meaning, b: Meaning) -> bool:
    """Whether two things mean the same bodies."""
    return len(a.bodies) > 1 and [id_of(one) for one in a.bodies] == [id_of(one) for one in b.bodies]


def _all_pairs(intent: Measure, bodies: Sequence[Body], context: Context) -> Finding:
    """How far more than two things are apart: the nearest and the farthest pair."""
    context.spend(len(bodies) ** 2 // 2)
    pairs = [(amount(intent.quantity, a, context, b), a, b) for a, b in combinations(bodies, 2)]
    pairs.sort(key=lambda pair: pair[0].value)
    (least, a, b), (most, c, d) = pairs[0], pairs[-1]
    sentence = (
        f"Nearest to each other are {a.the} and {b.the}, {least.words(intent.unit)} apart; farthest apart are {c.the} "
        f"and {d.the}, {most.words(intent.unit)}."
    )
    steps = tuple(
        f"{intent.quantity.value} of {one.name} and {other.name}: {way.figures()}."
        for way, one, other in pairs[:MAX_STEPS]
    )
    return Finding(sentences=(sentence,), bodies=tuple(bodies), steps=steps)


def _several(found: Sequence[Finding]) -> Finding:
    """Several measures have no single value; each is told."""
    return Finding(
        sentences=tuple(sentence for one in found for sentence in one.sentences),
        bodies=tuple(body for one in found for body in one.bodies),
        steps=tuple(step for one in found for step in one.steps),
    )


def _one(intent: Measure, body: Body, reference: Body | None, context: Context) -> Finding:
    """The finding for one body."""
    quantity = intent.quantity
    if quantity in (Quantity.COLOR, Quantity.SHAPE, Quantity.NAME):
        return _trait(quantity, body, context)
    if quantity is Quantity.SIZE:
        return _size(body, context)
    if quantity is Quantity.MOVED:
        return _moved(body, intent.unit, context)
    if quantity is Quantity.ELEVATION and reference is None:
        reference = ground_of(context)
    value = amount(quantity, body, context, reference)
    words = Measured(value=abs(value.value), stddev=0.0, unit=value.unit).words(intent.unit)
    bodies = [body, *([reference] if reference is not None else [])]
    sentence = f"The {body.name} {_said(quantity, value, words, body, reference, intent.unit, context)}."
    source = "" if reference is None else f" and {reference.name}"
    steps = [f"{quantity.value[:1].upper()}{quantity.value[1:]} of {body.name}{source}: {value.figures()}."]
    steps += _coordinates(body, reference, context) if quantity in BETWEEN_TWO or reference is not None else []
    return a_number(value, value.words(intent.unit), (sentence,), bodies=bodies, steps=steps)


def _moved(body: Body, unit: str | None, context: Context) -> Finding:
    """How far a body went since the earlier scene."""
    way, before = moved_since(body, context), earlier_scene(context)
    since = duration((context.scene.stamp_ns - before.stamp_ns) * NANOSECONDS)
    words = way.words(unit)
    said = f"has moved by {words}" if has_moved(way) else f"has hardly moved, by {words},"
    step = f"{body.name} moved {way.figures()} (bound {MOVED_M:.3f} m and {SIGMAS:g} standard deviations)."
    return a_number(way, words, (f"The {body.name} {said} in {since}.",), bodies=(body,), steps=(step,))


def _said(
    quantity: Quantity,
    value: Measured,
    words: str,
    body: Body,
    reference: Body | None,
    unit: str | None,
    context: Context,
) -> str:
    """What is said of the body: "is 42 cm tall"."""
    if body.surface is not None and quantity is Quantity.HEIGHT:
        return f"top is {words} above the floor"
    if body.surface is not None and quantity in MEASURED_AS:
        return f"is {MEASURED_AS[quantity].format(words)} as far as I see it"
    if quantity in MEASURED_AS:
        return f"is {MEASURED_AS[quantity].format(words)}"
    if quantity is Quantity.VOLUME:
        return f"takes up {words}"
    if quantity is Quantity.FOOTPRINT:
        return f"covers {words} seen from above"
    whom = reference.the if reference is not None else f"the {context.axes.viewer}"
    if quantity is Quantity.ELEVATION:
        return f"is {words} {'above' if value.value >= 0 else 'below'} {whom}, measured at its centre"
    if quantity is Quantity.LATERAL:
        return f"is {words} to the {'right' if value.value >= 0 else 'left'} of {whom}"
    if quantity is Quantity.GAP:
        return f"and {whom} have {words} of free space between them" if value.value else f"and {whom} touch or overlap"
    how = {Quantity.HORIZONTAL_DISTANCE: " horizontally", Quantity.VERTICAL_DISTANCE: " vertically"}.get(quantity, "")
    text = f"is {words} from {whom}{how}"
    if quantity is Quantity.DISTANCE and reference is None and context.view.measures_along:
        text += f" along the view, {length(straight(body, context.view.origin).value, unit)} in a straight line"
    elif quantity is Quantity.DISTANCE and reference is None:
        text += " in a straight line"
    elif quantity is Quantity.DISTANCE and reference is not None:
        surfaces = [one for one in (body, reference) if one.surface is not None]
        text += ", the shortest way from its centre" if surfaces else ", centre to centre"
    return text


def _coordinates(body: Body, reference: Body | None, context: Context) -> list[str]:
    """The two ends of a distance in numbers."""
    frame = echo(context.scene.frame_id)
    ends = [(body.name, body.center)]
    ends += [(reference.name, reference.center)] if reference is not None else []
    ends += [] if reference is not None or context.sight is None else [(context.sight.viewer, context.sight.origin)]
    shown = [f"{name} ({', '.join(f'{v + 0.0:.3f}' for v in point.round(3))})" for name, point in ends]
    return [f"Centres in {frame}, metres: {'; '.join(shown)}."]


def _size(body: Body, context: Context) -> Finding:
    """The three edges, each with what it is; the value has them along the box's own axes."""
    edges = edges_of(body, context.axes)
    if body.surface is not None:
        return _seen_size(body)
    named = ((edges.width, "wide"), (edges.height, "tall"), (edges.depth, "deep"))
    said = [f"{length(float(body.box.size[k]))} {word}" for k, word in named]
    stddev = ", ".join(f"{value:.3f}" for value in body.uncertainty.size_stddev_m)
    figures = ", ".join(f"{value:.3f}" for value in body.box.size)
    return Finding(
        sentences=(f"The {body.name} is {said[0]}, {said[1]} and {said[2]}.",),
        value=as_triple(body.box.size),
        kind=ValueType.SIZE,
        words=size_of(body),
        unit="m",
        bodies=(body,),
        steps=(f"Edges of {body.name} along its own axes x, y, z: {figures} m, give or take {stddev} m.",),
    )


def _seen_size(body: Body) -> Finding:
    """The two edges of what is seen of a surface; the value has 0 for the third, which is not known."""
    long, short = sorted((float(body.box.size[0]), float(body.box.size[1])), reverse=True)
    words = f"{length(long)} by {length(short)}"
    return Finding(
        sentences=(f"What I see of {body.the} is {words}.",),
        value=(float(body.box.size[0]), float(body.box.size[1]), 0.0),
        kind=ValueType.SIZE,
        words=words,
        unit="m",
        bodies=(body,),
        steps=(f"The rectangle around the seen outline of {body.the} is {long:.3f} m by {short:.3f} m.",),
    )


def _trait(quantity: Quantity, body: Body, context: Context) -> Finding:
    """A colour, a shape, a name."""
    step = measured_step(body, context)
    if quantity is Quantity.NAME:
        sentence = f"It is the {body.name}, {place_of(body, context)}."
        return in_words(echo(body.label), (sentence,), bodies=(body,), steps=(step,))
    word = body.color if quantity is Quantity.COLOR else body.shape
    if not word:
        sentence = f"I cannot tell the {quantity.value} of {body.the}."
        return in_words(UNKNOWN, (sentence,), bodies=(body,), steps=(step,))
    verb = "is" if quantity is Quantity.COLOR else "has the shape:"
    return in_words(echo(word), (f"The {body.name} {verb} {echo(word)}.",), bodies=(body,), steps=(step,))


def _age(intent: Measure, context: Context) -> SpatialAnswer:
    """When a thing was last seen; also one that left the scene."""
    try:
        return settled([intent.thing], context, lambda one: _seen(one.one, context, is_here=True))
    except UnansweredError as unanswered:
        gone = departed(intent.thing, context)
        if unanswered.answer.status is not StatusCode.NOT_FOUND or not gone:
            raise
        return as_answer(_seen(gone[0], context, is_here=False), context)


def _seen(body: Body, context: Context, *, is_here: bool) -> Finding:
    age = age_of(body, context)
    when = f"{duration(age.value)} ago" if age.value > 0 else "in this image"
    left = "" if is_here else "; it is no longer there"
    sentence = f"I last saw {body.the} {when}, {place_of(body, context)}{left}."
    stamp_ns = context.scene.stamp_ns if body.known is None else body.known.last_seen_ns
    now_ns = context.query.now_ns or context.scene.stamp_ns
    step = f"{body.name} was last seen at {stamp_ns} ns; now is {now_ns} ns: {age.figures()}."
    return a_number(age, duration(age.value), (sentence,), bodies=(body,), steps=(step,))
