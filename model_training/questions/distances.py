"""Templates on distances and directions: how far, which is nearer, in which order, at what o'clock."""

from __future__ import annotations

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
WORDS = ("closer", "farther")


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
    word = drawing.one_of(WORDS)
    ordered = sorted(things, key=lambda one: _apart_m(one, reference), reverse=word == "farther")
    _check_ratio(_apart_m(ordered[0], reference), _apart_m(ordered[1], reference), drawing)
    found = [steps.distance(one, reference) for one in things]
    said = {one.letter: value for one, (_, value) in zip(things, found, strict=True)}
    first, rest, sign = ordered[0], ordered[1:], "<" if word == "closer" else ">"
    if any((said[first.letter] < said[one.letter]) != (sign == "<") for one in rest):
        raise NotAskedError("two decimals do not tell the difference")
    r = reference.letter
    facts = ", ".join(
        f"distance_{first.letter}{r} = {steps.figure(said[first.letter])} {sign} "
        f"distance_{one.letter}{r} = {steps.figure(said[one.letter])}"
        for one in rest
    )
    to = "to" if word == "closer" else "from"
    head = (
        f"1. {steps.centers((*things, reference))} 2. We can calculate the distances as follows: "
        f"Step 1: {', '.join(equation for equation, _ in found)}. Step 2: Since {facts}, "
    )
    most = "closest" if word == "closer" else "farthest"
    than = f"{word} {to} {reference.tag} than {rest[0].tag}" if count == 2 else f"{most} {to} {reference.tag}"
    text = f"{head}{first.tag} is {than}."
    if count == 2 and drawing.happens(YES_NO_SHARE):
        a, b = things
        is_so = a is first
        true_word = word if is_so else WORDS[1 - WORDS.index(word)]
        true_to = "to" if true_word == "closer" else "from"
        return Draft(
            question=drawing.one_of(wording.IS_NEARER[word]).format(a=a.the, b=b.the, r=reference.the),
            things=(*things, reference),
            steps=text,
            answer=f"{'Yes' if is_so else 'No'}, {a.the} is {true_word} {true_to} {reference.the} than {b.the} is.",
            value_type="boolean",
            value="yes" if is_so else "no",
        )
    if count == 2:
        words = drawing.one_of(wording.NEARER[word])
        question = words.format(a=things[0].the, b=things[1].the, r=reference.the)
    else:
        names = wording.listed(tuple(one.the for one in things))
        question = drawing.one_of(wording.NEAREST[word]).format(things=names, r=reference.the)
    return Draft(
        question=question,
        things=(*things, reference),
        steps=text,
        answer=f"The {first.name} is {word if count == 2 else most} {to} {reference.the}.",
        value_type="text",
        value=first.name,
        chosen=(first.object.id,),
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
    word = drawing.one_of(WORDS)
    ordered = sorted(things, key=_depth_m, reverse=word == "farther")
    for one, other in pairwise(ordered):
        drawing.check_apart(_depth_m(one) - _depth_m(other), one, other)
    for one in ordered:
        drawing.check_free(one, *ordered)
    span = "From closest to farthest" if word == "closer" else "From farthest to closest"
    names = wording.listed(tuple(one.the for one in things))
    return Draft(
        question=drawing.one_of(wording.ORDER[word]).format(things=names),
        things=things,
        steps=(
            f"{_depths(things)} Step 2: Sort them: {steps.chain('Z', ordered, '<' if word == 'closer' else '>')}. "
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
    word = drawing.one_of(WORDS)
    of_all = drawing.happens(OF_ALL_SHARE)
    if of_all:
        things = drawing.every()
        if not 3 <= len(things) <= MOST_OF_ALL:
            raise NotAskedError("too few or too many objects to ask about all")
        question = drawing.one_of(wording.FURTHEST_OF_ALL[word])
    else:
        things = drawing.things(int(drawing.rng.integers(3, MOST_ORDERED + 1)))
        names = wording.listed(tuple(one.the for one in things))
        question = drawing.one_of(wording.FURTHEST[word]).format(things=names)
    ordered = sorted(things, key=_depth_m, reverse=word == "farther")
    first = ordered[0]
    drawing.check_apart(_depth_m(first) - _depth_m(ordered[1]), first, ordered[1])
    if not of_all:
        drawing.check_free(*ordered)
    elif any(first.object.id in drawing.frame.carriers(one.object.id) for one in things):
        raise NotAskedError("one carries the other")  # of a laid table, the nearest thing is what stands in front
    if not first.name:
        raise NotAskedError("not enough objects that can be told apart")
    sign = "<" if word == "closer" else ">"
    facts = ", ".join(steps.chain("Z", (first, other), sign) for other in ordered[1:2])
    most = "the closest to the camera" if word == "closer" else "the farthest from the camera"
    extreme = "smallest" if word == "closer" else "largest"
    return Draft(
        question=question,
        things=things,
        steps=(f"{_depths(things)} Step 2: Find the {extreme}: {facts}, which is next. So {first.tag} is {most}."),
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
