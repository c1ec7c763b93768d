"""Where things are: Where, Side, Direction, Describe."""

from __future__ import annotations

from math import atan2, degrees

import numpy as np

from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.scene.answers.amounts import age_of
from n3d_ros.scene.answers.body import Body
from n3d_ros.scene.answers.context import Context
from n3d_ros.scene.answers.describing import measured_step, place_of, size_of
from n3d_ros.scene.answers.finding import Finding, as_triple, in_words, settled
from n3d_ros.scene.answers.measures import Measured, edges_of, side_by_side, straight
from n3d_ros.scene.answers.naming import called
from n3d_ros.scene.answers.relations import OPPOSITES, SIDES, Holds, side_direction, standing
from n3d_ros.scene.answers.resolve import Meaning
from n3d_ros.scene.answers.sight import Sight
from n3d_ros.scene.answers.wording import LEVEL_M, MAX_NAMED, counted, duration, echo, length, listed, numbers
from n3d_ros.scene.questions.question import Describe, Direction, Relation, Side, Thing, Where
from n3d_ros.scene.spatial_answer import SpatialAnswer, ValueType

HOUR_DEG = 30.0
SIDE_NAMES = {
    Relation.LEFT: "left",
    Relation.RIGHT: "right",
    Relation.FRONT: "front",
    Relation.BEHIND: "behind",
    Relation.ABOVE: "above",
    Relation.BELOW: "below",
}
OFFSET_WORDS = {
    Relation.LEFT: "to the left",
    Relation.RIGHT: "to the right",
    Relation.FRONT: "in front",
    Relation.BEHIND: "behind",
    Relation.ABOVE: "higher",
    Relation.BELOW: "lower",
}


def where(intent: Where, context: Context) -> SpatialAnswer:
    """The place of a thing; told from another one when asked so. The value is its centre in the scene's frame.

    Args:
        intent: what is asked.
        context: what is known.

    Returns:
        The answer.
    """
    if intent.relative_to is not None:
        things = [intent.thing, intent.relative_to]
        return settled(things, context, lambda one, other: _where_from(one.one, other.one, context))
    return settled([intent.thing], context, lambda one: _where(intent.thing, one, context))


def _where(thing: Thing, meaning: Meaning, context: Context) -> Finding:
    """Where the one body is; all of them when several were asked for."""
    bodies = meaning.bodies
    steps = tuple(measured_step(body, context) for body in bodies[:MAX_NAMED])
    places = [f"The {body.name} is {place_of(body, context, briefly=len(bodies) > 1)}." for body in bodies]
    if len(bodies) > 1:
        head = f"{counted(len(bodies), 'object')} match {called(thing)}."
        return Finding(sentences=(head, *places), bodies=bodies, steps=steps)
    one = meaning.one
    measures = "It measures" if one.surface is None else "What is seen of it measures"
    return _position(one, (f"{places[0]} {measures} {size_of(one)}.",), context, steps=steps)


def _where_from(body: Body, reference: Body, context: Context) -> Finding:
    """Where a body is, told from another one."""
    offsets = side_offsets(body, reference, context)
    sentence = f"The {body.name} is {offset_words(offsets, reference)}."
    for relation in (Relation.ON, Relation.INSIDE):
        stands = standing(relation, body, (reference,), context)
        if stands.holds is Holds.YES:
            return _position(body, (f"The {body.name} is {relation.value} {reference.the}.",), context, (stands.step,))
    if context.sight is None:
        height = f"The {body.name} is {numbers(body.center - reference.center)} m from {reference.the}"
        sentence = f"{height} in the axes of {echo(context.scene.frame_id)}."
    return _position(body, (sentence,), context, _offset_steps(body, reference, offsets))


def _position(body: Body, sentences: tuple[str, ...], context: Context, steps: tuple[str, ...]) -> Finding:
    """The centre of a body as the value."""
    return Finding(
        sentences=sentences,
        value=as_triple(body.center),
        kind=ValueType.POSITION,
        words=f"{numbers(body.center)} m in {echo(context.scene.frame_id)}",
        unit="m",
        bodies=(body,),
        steps=steps,
    )


# --- sides ------------------------------------------------------------------------------------------------------------


def side(intent: Side, context: Context) -> SpatialAnswer:
    """On which side of another a thing is. The value is the side with the largest offset, or "on" or "inside".

    Args:
        intent: what is asked.
        context: what is known.

    Returns:
        The answer.
    """
    return settled([intent.subject, intent.reference], context, lambda one, other: _side(one.one, other.one, context))


def _side(body: Body, reference: Body, context: Context) -> Finding:
    for relation in (Relation.INSIDE, Relation.ON):
        stands = standing(relation, body, (reference,), context)
        if stands.holds is Holds.YES:
            sentence = f"The {body.name} is {relation.value} {reference.the}."
            return in_words(relation.value, (sentence,), bodies=(body, reference), steps=(stands.step,))
    offsets = side_offsets(body, reference, context)
    if context.sight is None:
        context.view  # noqa: B018 - says that nobody looks
    clear = [(relation, margin) for relation, margin in offsets if margin.sign > 0]
    steps = _offset_steps(body, reference, offsets)
    if not clear:
        sentence = f"The {body.name} and {reference.the} are at about the same place, within the measuring error."
        return in_words("about the same place", (sentence,), bodies=(body, reference), steps=steps)
    main = max(clear, key=lambda one: one[1].value)[0]
    sentence = f"The {body.name} is {offset_words(offsets, reference)}."
    return in_words(SIDE_NAMES[main], (sentence,), bodies=(body, reference), steps=steps)


def side_offsets(body: Body, reference: Body, context: Context) -> list[tuple[Relation, Measured]]:
    """How far a body lies to one side, nearer or farther, higher or lower than another.

    Args:
        body: the body.
        reference: the other one.
        context: who looks; without a viewer only heights are told.

    Returns:
        For each pair of sides the one it lies on, with metres of at least 0.
    """
    relations = SIDES[::2] if context.sight is not None else SIDES[4::2]
    found = []
    for relation in relations:
        margin = side_by_side(body, reference, side_direction(relation, context.axes))
        if margin.value < 0:
            relation = OPPOSITES[relation]
            margin = Measured(value=-margin.value, stddev=margin.stddev)
        found.append((relation, margin))
    return found


def offset_words(offsets: list[tuple[Relation, Measured]], reference: Body) -> str:
    """Such as "30 cm to the left, 10 cm in front and 5.0 cm higher, seen from the mug 7".

    Args:
        offsets: as ``side_offsets`` gives them.
        reference: from where.

    Returns:
        The words; offsets within the measuring error are left out.
    """
    said = [
        f"{length(margin.value)} {OFFSET_WORDS[relation]}"
        for relation, margin in offsets
        if margin.sign > 0 and margin.value >= LEVEL_M
    ]
    return (
        f"{listed(said)} of {reference.the}".replace("higher of", "higher than")
        .replace("lower of", "lower than")
        .replace("behind of", "behind")
        if said
        else f"about where {reference.the} is"
    )


def _offset_steps(body: Body, reference: Body, offsets: list[tuple[Relation, Measured]]) -> tuple[str, ...]:
    figures = "; ".join(f"{margin.figures()} {OFFSET_WORDS[relation]}" for relation, margin in offsets)
    return (f"{body.name} as seen from {reference.name}, centre to centre: {figures}.",)


# --- directions -------------------------------------------------------------------------------------------------------


def direction(intent: Direction, context: Context) -> SpatialAnswer:
    """In which direction a thing is from another or from the viewer, as unit vector and clock hour.

    Args:
        intent: what is asked.
        context: what is known; its sight says where 12 o'clock is.

    Returns:
        The answer.
    """
    if intent.origin is None:
        return settled([intent.target], context, lambda one: _direction(one.one, None, context))
    things = [intent.origin, intent.target]
    return settled(things, context, lambda origin, one: _direction(one.one, origin.one, context))


def _direction(target: Body, origin: Body | None, context: Context) -> Finding:
    sight = context.view
    start = sight.origin if origin is None else origin.center
    way = target.center - start
    distance_m = float(np.linalg.norm(way))
    hour, angle_deg = clock_hour(way, sight)
    whence = f"the {sight.viewer}" if origin is None else origin.the
    ahead, left = float(way @ sight.level_forward), float(way @ sight.left)
    step = (
        f"From {whence} to {target.the}: {left:.3f} m to the left, {ahead:.3f} m ahead; "
        f"atan2({left:.3f}, {ahead:.3f}) = {angle_deg:.1f} degrees; 12 - floor({angle_deg:.1f} / 30) = {hour} o'clock."
    )
    if distance_m < 1e-9:
        return Finding(sentences=(f"The {target.name} is right at {whence}.",), bodies=(target,), steps=(step,))
    distance = straight(target, start)
    sentence = f"The {target.name} is at {hour} o'clock from {whence}, {length(distance.value)} away"
    height = float(way @ sight.up)
    sentence += f", {length(abs(height))} {'higher' if height > 0 else 'lower'}." if abs(height) >= LEVEL_M else "."
    return Finding(
        sentences=(sentence,),
        value=as_triple(way / distance_m),
        kind=ValueType.DIRECTION,
        words=f"{hour} o'clock",
        clock_hour=hour,
        bodies=(target,) if origin is None else (origin, target),
        steps=(step,),
    )


def clock_hour(way: FloatArray, sight: Sight) -> tuple[int, float]:
    """The hour on a clock face, 12 where the viewer looks (spec n3d_vlm c).

    The face lies level where the vertical is known, so that a camera that looks down tells the same hour as a level
    one; else it lies along the view, as in the N3D-VLM paper.

    Args:
        way: (3,) from the middle of the clock to the target.
        sight: who looks.

    Returns:
        1 to 12, and the angle to the left in degrees, [0, 360).
    """
    angle_deg = degrees(atan2(float(way @ sight.left), float(way @ sight.level_forward))) % 360.0
    angle_deg = round(angle_deg, 9) % 360.0  # rounding must not make 30 degrees 29.999...
    hour = 12 - int(angle_deg // HOUR_DEG)
    return (hour if hour >= 1 else hour + 12), angle_deg


# --- everything that is known -----------------------------------------------------------------------------------------


def describe(intent: Describe, context: Context) -> SpatialAnswer:
    """What is known of a thing; the value is its name.

    Args:
        intent: what is asked.
        context: what is known.

    Returns:
        The answer.
    """
    return settled([intent.thing], context, lambda one: _described(one.bodies, context))


def _described(bodies: tuple[Body, ...], context: Context) -> Finding:
    sentences = [sentence for body in bodies for sentence in _description(body, context)]
    steps = tuple(measured_step(body, context) for body in bodies[:MAX_NAMED])
    return in_words(listed([body.name for body in bodies]), sentences, bodies=bodies, steps=steps)


def _description(body: Body, context: Context) -> list[str]:
    """Sentences on what, where, how large, since when."""
    edges = edges_of(body, context.axes)
    width, height, depth = (length(float(body.box.size[k])) for k in (edges.width, edges.height, edges.depth))
    sentences = [f"The {body.name} is {place_of(body, context)}."]
    if body.known is None:
        return [*sentences, f"What is seen of it measures {width} by {depth}."]
    sentences.append(f"It is {width} wide, {height} tall and {depth} deep.")
    traits = [word for word in (body.color, body.shape) if word]
    sentences += [f"Colour and shape: {echo(', '.join(traits))}."] if traits else []
    age_s = age_of(body, context).value
    seen = "in this image" if age_s <= 0 else f"{duration(age_s)} ago"
    sentences.append(f"It was found in {counted(body.known.observations, 'image')}, last {seen}.")
    return sentences
