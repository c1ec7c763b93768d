"""Templates on distances and directions: how far, which is nearer, in which order, at what o'clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from model_training.questions import steps, wording
from model_training.questions.draft import Draft, Drawing, Named, NotAskedError

CAMERA_SHARE = 0.3  # of distance questions: from the camera
YES_NO_SHARE = 0.4  # of relative distances
SEVERAL_SHARE = 0.35  # of relative distances among more than two
MOST_ORDERED = 5
MOST_OF_ALL = 12  # objects in a question about everything
OF_ALL_SHARE = 0.5
FACING_SHARE = 0.3  # of clock directions: from one who faces something


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """One of the two ends of an order by distance.

    Args:
        word: for what comes before another, seen from this end.
        most: for what comes first.
        to: the word before what distances are measured from.
        sign: from the first number to those behind it.
        extreme: the first number.
    """

    word: str
    most: str
    to: str
    sign: str
    extreme: str


CLOSER = End(word="closer", most="closest", to="to", sign="<", extreme="smallest")
FARTHER = End(word="farther", most="farthest", to="from", sign=">", extreme="largest")
ENDS = (CLOSER, FARTHER)


def distance_question(drawing: Drawing) -> Draft:
    """How far two things are apart, or one from the camera.

    Args:
        drawing: what it is drawn from.

    Returns:
        The draft.

    Raises:
        NotAskedError: nothing clear could be drawn.
    """
    if drawing.happens(CAMERA_SHARE):
        (thing,) = drawing.things(1, whole=True)
        value = steps.figure(steps.stated("Z", thing))
        return Draft(
            question=drawing.one_of(wording.CAMERA_DISTANCE).format(a=thing.the),
            things=(thing,),
            steps=(
                f"1. {steps.centers((thing,))} 2. The distance from the camera is the Z coordinate of the center: "
                f"{steps.values('Z', (thing,))}. So the distance from the camera to {thing.tag} is {value} meters."
            ),
            answer=f"The {thing.name} is {value} meters away from the camera.",
            value_type="number",
            value=value,
            unit="m",
        )
    return _between(drawing, "XYZ", "distance", wording.DISTANCE)


def aside_question(drawing: Drawing) -> Draft:
    """How far two things are apart horizontally or vertically.

    Args:
        drawing: what it is drawn from.

    Returns:
        The draft.

    Raises:
        NotAskedError: nothing clear could be drawn.
    """
    if drawing.happens(0.5):
        return _between(drawing, "XZ", "horizontal_distance", wording.HORIZONTAL)
    return _between(drawing, "Y", "vertical_distance", wording.VERTICAL)


def _between(drawing: Drawing, axes: str, name: str, words: tuple[str, ...]) -> Draft:
    a, b = drawing.things(2, whole=True)
    drawing.check_free(a, b)
    equation, said_m = steps.distance(a, b, axes, name)
    said, title = f"{steps.figure(said_m)} meters", name.replace("_", " ")
    return Draft(
        question=drawing.one_of(words).format(a=a.the, b=b.the),
        things=(a, b),
        steps=(
            f"1. {steps.centers((a, b))} 2. We can calculate the {title} as follows: Step 1: Calculate the vector from "
            f"A to B along {' and '.join(axes)}: {steps.difference(a, b, axes)}. Step 2: Calculate its length: "
            f"{equation}. So the {title} between {a.tag} and {b.tag} is {said}."
        ),
        answer=f"The {title} between {a.the} and {b.the} is {said}.",
        value_type="number",
        value=steps.figure(said_m),
        unit="m",
    )


def relative_distance(drawing: Drawing) -> Draft:
    """Which of two or more is closer to another.

    Args:
        drawing: what it is drawn from.

    Returns:
        The draft.

    Raises:
        NotAskedError: nothing clear could be drawn.
    """
    count = int(drawing.rng.integers(3, MOST_ORDERED)) if drawing.happens(SEVERAL_SHARE) else 2
    *things, reference = drawing.things(count + 1)
    drawing.check_free(reference, *things)
    end = drawing.one_of(ENDS)
    ordered = sorted(things, key=lambda one: _apart_m(one, reference), reverse=end is FARTHER)
    first, second = ordered[:2]
    _check_ratio(_apart_m(first, reference), _apart_m(second, reference), drawing)
    conclusion = f"{end.word if count == 2 else end.most} {end.to}"
    text = f"{_compared(end, things, ordered, reference)}{first.tag} is {conclusion} {reference.tag}"
    text = f"{text} than {second.tag}." if count == 2 else f"{text}."
    if count == 2 and drawing.happens(YES_NO_SHARE):
        return _whether_nearer(end, (*things, reference), first, text, drawing)
    if count == 2:
        words = drawing.one_of(wording.NEARER[end.word])
        question = words.format(a=things[0].the, b=things[1].the, r=reference.the)
    else:
        names = wording.listed(tuple(one.the for one in things))
        question = drawing.one_of(wording.NEAREST[end.word]).format(things=names, r=reference.the)
    return Draft(
        question=question,
        things=(*things, reference),
        steps=text,
        answer=f"The {first.name} is {conclusion} {reference.the}.",
        value_type="text",
        value=first.name,
        chosen=(first.object.id,),
    )


def _compared(end: End, things: Sequence[Named], ordered: Sequence[Named], reference: Named) -> str:
    """The distances to the reference and their order, up to the conclusion."""
    found = {one: steps.distance(one, reference) for one in things}
    first, *others = [(f"distance_{one.letter}{reference.letter}", found[one][1]) for one in ordered]
    facts = ", ".join(steps.chained((first, other), end.sign) for other in others)
    return (
        f"1. {steps.centers((*things, reference))} 2. We can calculate the distances as follows: "
        f"Step 1: {', '.join(equation for equation, _ in found.values())}. Step 2: Since {facts}, "
    )


def _whether_nearer(end: End, things: tuple[Named, ...], first: Named, text: str, drawing: Drawing) -> Draft:
    """Is one of two closer to another: ``first`` is, and ``text`` says so."""
    a, b, reference = things
    is_so = a is first
    true = end if is_so else ENDS[1 - ENDS.index(end)]
    return Draft(
        question=drawing.one_of(wording.IS_NEARER[end.word]).format(a=a.the, b=b.the, r=reference.the),
        things=things,
        steps=text,
        answer=f"{'Yes' if is_so else 'No'}, {a.the} is {true.word} {true.to} {reference.the} than {b.the} is.",
        value_type="boolean",
        value="yes" if is_so else "no",
    )


def depth_order(drawing: Drawing) -> Draft:
    """Three or more things from near to far, or from far to near.

    Args:
        drawing: what it is drawn from.

    Returns:
        The draft.

    Raises:
        NotAskedError: nothing clear could be drawn.
    """
    things = drawing.things(int(drawing.rng.integers(3, MOST_ORDERED + 1)))
    end = drawing.one_of(ENDS)
    ordered = sorted(things, key=_depth_m, reverse=end is FARTHER)
    for one, other in pairwise(ordered):
        drawing.check_apart(_depth_m(one) - _depth_m(other), one, other)
    for one in ordered:
        drawing.check_free(one, *ordered)
    span = "From closest to farthest" if end is CLOSER else "From farthest to closest"
    names = wording.listed(tuple(one.the for one in things))
    return Draft(
        question=drawing.one_of(wording.ORDER[end.word]).format(things=names),
        things=things,
        steps=(
            f"{_depths(things)} Step 2: Sort them: {steps.chain('Z', ordered, end.sign)}. "
            f"{span}: {', '.join(one.tag for one in ordered)}."
        ),
        answer=f"{span}: {', '.join(one.the for one in ordered)}.",
        value_type="text",
        value="; ".join(one.name for one in ordered),
        chosen=tuple(one.object.id for one in ordered),
    )


def furthest(drawing: Drawing) -> Draft:
    """The closest or farthest of some things, or of everything.

    Args:
        drawing: what it is drawn from.

    Returns:
        The draft.

    Raises:
        NotAskedError: nothing clear could be drawn.
    """
    end = drawing.one_of(ENDS)
    of_all = drawing.happens(OF_ALL_SHARE)
    if of_all:
        things = drawing.every()
        if not 3 <= len(things) <= MOST_OF_ALL:
            raise NotAskedError("too few or too many objects to ask about all")
        question = drawing.one_of(wording.FURTHEST_OF_ALL[end.word])
    else:
        things = drawing.things(int(drawing.rng.integers(3, MOST_ORDERED + 1)))
        names = wording.listed(tuple(one.the for one in things))
        question = drawing.one_of(wording.FURTHEST[end.word]).format(things=names)
    ordered = sorted(things, key=_depth_m, reverse=end is FARTHER)
    first, second = ordered[:2]
    drawing.check_apart(_depth_m(first) - _depth_m(second), first, second)
    if not of_all:
        drawing.check_free(*ordered)
    elif any(first.object.id in drawing.frame.carriers(one.object.id) for one in things):
        raise NotAskedError("one carries the other")  # of a laid table, the nearest thing is what stands in front
    if not first.name:
        raise NotAskedError("not enough objects that can be told apart")
    fact = steps.chain("Z", (first, second), end.sign)
    most = f"the {end.most} {end.to} the camera"
    return Draft(
        question=question,
        things=things,
        steps=f"{_depths(things)} Step 2: Find the {end.extreme}: {fact}, which is next. So {first.tag} is {most}.",
        answer=f"The {first.name} is {most}.",
        value_type="text",
        value=first.name,
        chosen=(first.object.id,),
    )


def clock_question(drawing: Drawing) -> Draft:
    """At what o'clock a thing is from another, for one who looks ahead or faces a third.

    Args:
        drawing: what it is drawn from.

    Returns:
        The draft.

    Raises:
        NotAskedError: nothing clear could be drawn.
    """
    if drawing.happens(FACING_SHARE):
        return _clock_facing(drawing)
    a, b = drawing.things(2)
    drawing.check_free(a, b)
    _check_hour(_angle_deg(a, b), drawing)
    equation, degrees = steps.angle(a, b)
    normalized, hour = steps.clock(degrees, "angle_deg")
    text = (
        f"1. {steps.boxes((a, b))} 2. {steps.centers((a, b))} 3. We can calculate the direction as follows: Step 1: "
        f"Calculate the vector from A to B on the ground plane (X, Z): {steps.difference(a, b, 'XZ')}. Step 2: "
        f"Calculate the angle between the vector and the forward direction (counterclockwise): {equation} {normalized}"
    )
    return _at_the_clock(drawing.one_of(wording.CLOCK).format(a=a.the, b=b.the), (a, b), text, b, hour)


def _clock_facing(drawing: Drawing) -> Draft:
    a, b, c = drawing.things(3)
    drawing.check_free(a, b, c)
    _check_hour(_angle_deg(a, c) - _angle_deg(a, b), drawing)
    facing, facing_deg = steps.angle(a, b, "facing")
    equation, degrees = steps.angle(a, c)
    relative = round(degrees - facing_deg, 2)
    normalized, hour = steps.clock(relative, "relative_deg")
    text = (
        f"1. {steps.boxes((a, b, c))} 2. {steps.centers((a, b, c))} 3. We can calculate the direction as follows: "
        f"Step 1: Calculate the vectors from A on the ground plane (X, Z): {steps.difference(a, b, 'XZ')}, "
        f"{steps.difference(a, c, 'XZ')}. Step 2: Calculate the angles between the vectors and the forward direction "
        f"(counterclockwise) and their difference: {facing} {equation} relative_deg = angle_deg - facing_deg = "
        f"{steps.figure(relative)}. {normalized}"
    )
    question = drawing.one_of(wording.CLOCK_FACING).format(a=a.the, b=b.the, c=c.the)
    return _at_the_clock(question, (a, b, c), text, c, hour)


def _at_the_clock(question: str, things: tuple[Named, ...], text: str, target: Named, hour: int) -> Draft:
    return Draft(
        question=question,
        things=things,
        steps=f"{text} So {target.tag} is around the {hour} o'clock direction.",
        answer=f"You will find {target.the} around the {hour} o'clock direction.",
        value_type="direction",
        value=str(hour),
        viewpoint=f"object:{things[0].object.id}",
    )


def _depths(things: tuple[Named, ...]) -> str:
    return (
        f"1. {steps.centers(things)} 2. We can determine the depth order as follows: Step 1: Compare the Z coordinates "
        f"of the centers, which grow away from the camera: {steps.values('Z', things)}."
    )


def _depth_m(one: Named) -> float:
    return float(one.center[steps.AXES["Z"]])


def _apart_m(a: Named, b: Named) -> float:
    return float(np.linalg.norm(a.center - b.center))


def _angle_deg(a: Named, b: Named) -> float:
    """Of the way between two centres, to the left of straight ahead, not rounded."""
    left, _, ahead = b.center - a.center
    if float(np.hypot(left, ahead)) < LEAST_WAY_M:
        raise NotAskedError("too close to call")
    return float(np.degrees(np.arctan2(left, ahead)))


LEAST_WAY_M = 0.05  # of two centres seen from above: nearer ones have no direction


def _check_hour(angle_deg: float, drawing: Drawing) -> None:
    into = angle_deg % 30
    if min(into, 30 - into) < drawing.margins.clock_deg:
        raise NotAskedError("too close to call")


def _check_ratio(a: float, b: float, drawing: Drawing) -> None:
    low, high = sorted((a, b))
    if low <= 0 or high / low < drawing.margins.distance_ratio or high - low < drawing.margins.side_m:
        raise NotAskedError("too close to call")
