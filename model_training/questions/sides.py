"""Templates on sides: left and right, in front and behind, above and below; also from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from model_training.questions import steps, wording
from model_training.questions.draft import Draft, Drawing, Named, NotAskedError

THREE_SHARE = 0.2  # of questions that ask which one: of three
FORMS = ("yes_no", "yes_no", "either", "which")  # half ask for yes or no


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One of the three pairs of sides.

    Args:
        letter: of the coordinate.
        more: the side on which it is larger.
        less: the other one.
        title: as the reasoning calls the pair.
        points: where the coordinate grows.
        turns: whether the opposite view exchanges the sides.
    """

    letter: str
    more: str
    less: str
    title: str
    points: str
    turns: bool


AXES: Mapping[str, Axis] = {
    "left_right": Axis(letter="X", more="left", less="right", title="left-right", points="to the left", turns=True),
    "front_behind": Axis(
        letter="Z", more="behind", less="front", title="front-behind", points="away from the camera", turns=True
    ),
    "above_below": Axis(letter="Y", more="above", less="below", title="above-below", points="up", turns=False),
}
WORDS = {
    "left": "to the left of", "right": "to the right of", "front": "in front of", "behind": "behind",
    "above": "above", "below": "below",
}  # fmt: skip
MOST = {
    "left": "the leftmost", "right": "the rightmost", "front": "the closest to the camera",
    "behind": "the farthest from the camera", "above": "the highest", "below": "the lowest",
}  # fmt: skip


def side_question(question_class: str, drawing: Drawing) -> Draft:
    """A question on a pair of sides.

    Args:
        question_class: one of ``AXES``.
        drawing: what it is drawn from.

    Returns:
        The draft.

    Raises:
        NotAskedError: nothing clear could be drawn.
    """
    axis = AXES[question_class]
    is_elsewhere = axis.turns and drawing.happens(drawing.config.viewpoint_share)
    if is_elsewhere and question_class == "left_right" and drawing.happens(0.5):
        return _facing(drawing)
    form = drawing.one_of(FORMS)
    if form == "which":
        return _which(axis, drawing)
    a, b = drawing.things(2)
    if axis.letter != "Y":  # a mug is above its table
        drawing.check_free(a, b)
    drawing.check_apart(_exact(axis, a) - _exact(axis, b), a, b)
    is_more = _exact(axis, a) > _exact(axis, b)
    side = axis.more if is_more != is_elsewhere else axis.less
    asked = side if drawing.happens(0.5) else axis.less if side == axis.more else axis.more
    forms = wording.SIDES[asked] if form == "yes_no" else wording.EITHER[question_class]
    # behind "From the opposite side," no courtesy is understood
    words = drawing.one_of([one for one in forms if one.startswith(("Is", "Does")) or not is_elsewhere])
    question = words.format(a=a.the, b=b.the)
    if is_elsewhere:
        question = drawing.one_of(wording.OPPOSITE).format(q=wording.lowered(question))
    sentence = f"{a.the} is {WORDS[side]} {b.the}"
    where = "seen from the opposite side, " if is_elsewhere else ""
    is_so = "Yes" if asked == side else "No"
    answer = (
        f"{is_so}, {where}{sentence}."
        if form == "yes_no"
        else f"{(where + sentence)[:1].upper()}{(where + sentence)[1:]}."
    )
    return Draft(
        question=question,
        things=(a, b),
        steps=_steps(axis, a, b, side, is_opposite=is_elsewhere),
        answer=answer,
        value_type="boolean" if form == "yes_no" else "text",
        value=is_so.lower() if form == "yes_no" else side,
        viewpoint="opposite" if is_elsewhere else "camera",
    )


def _which(axis: Axis, drawing: Drawing) -> Draft:
    """Which of two, or of three, is furthest on a side."""
    count = 3 if axis.letter != "Z" and drawing.happens(THREE_SHARE) else 2
    things = drawing.things(count)
    wanted = drawing.one_of((axis.more, axis.less))
    ordered = sorted(things, key=lambda one: _exact(axis, one), reverse=wanted == axis.more)
    if axis.letter != "Y":
        drawing.check_free(*ordered)
    first, second = ordered[:2]
    drawing.check_apart(_exact(axis, first) - _exact(axis, second), first, second)
    if count == 2:
        question = drawing.one_of(wording.WHICH_SIDE[wanted]).format(a=things[0].the, b=things[1].the)
        conclusion = f"{first.tag} is {WORDS[wanted]} {second.tag}"
        answer = f"The {first.name} is {WORDS[wanted]} {second.the}."
    else:
        names = wording.listed(tuple(one.the for one in things))
        question = drawing.one_of(wording.WHICH_SIDE_OF_THREE[wanted]).format(things=names)
        conclusion = f"{first.tag} is {MOST[wanted]}"
        answer = f"The {first.name} is {MOST[wanted]}."
    sign = ">" if wanted == axis.more else "<"
    # only the first one's lead was made sure of: the others are told against it one by one
    facts = ", ".join(steps.chain(axis.letter, (first, other), sign) for other in ordered[1:])
    text = f"{_compared(axis, things)} Step 2: Since {facts}, {conclusion}."
    return Draft(
        question=question, things=things, steps=text, answer=answer, value_type="text", value=first.name,
        chosen=(first.object.id,),
    )  # fmt: skip


def _facing(drawing: Drawing) -> Draft:
    """Left or right for one who stands at a thing and faces another."""
    a, b, c = drawing.things(3)
    drawing.check_free(a, b, c)
    sine = _sine(a, b, c)
    drawing.check_apart(sine * _level(a, c), a, c)
    if abs(sine) < LEAST_SINE:
        raise NotAskedError("too close to call")
    side = "left" if sine > 0 else "right"
    asked = drawing.one_of(("", "left", "right")) if drawing.happens(0.7) else ""
    inner = drawing.one_of(wording.FACING_SIDES[asked]).format(c=c.the)
    question = drawing.one_of(wording.FACING).format(a=a.the, b=b.the, q=inner)
    equation, cross = steps.turned(a, b, c)
    if (cross > 0) != (side == "left") or cross == 0:
        raise NotAskedError("two decimals do not tell the difference")
    sign = ">" if cross > 0 else "<"
    text = (
        f"1. {steps.centers((a, b, c))} 2. We can determine the left-right relationship as follows: "
        f"Step 1: Calculate the vectors from A to B and from A to C on the ground plane (X, Z): "
        f"{steps.difference(a, b, 'XZ')}, {steps.difference(a, c, 'XZ')}. "
        f"Step 2: Calculate their cross product: {equation}. "
        f"Step 3: Since cross_ABC {sign} 0, standing at {a.tag} and facing {b.tag}, {c.tag} is on the {side}."
    )
    is_so = "Yes" if asked == side else "No"
    sentence = f"{c.the} is on your {side}"
    return Draft(
        question=question,
        things=(a, b, c),
        steps=text,
        answer=f"{is_so}, {sentence}." if asked else f"{sentence[:1].upper()}{sentence[1:]}.",
        value_type="boolean" if asked else "text",
        value=is_so.lower() if asked else side,
        viewpoint=f"object:{a.object.id}",
    )


LEAST_SINE = 0.17  # 10 degrees off the line of sight: nearer to it, left and right hang on centimetres


def _sine(a: Named, b: Named, c: Named) -> float:
    """Of the angle from the way a-b to the way a-c, seen from above; above 0 to the left."""
    (face_x, _, face_z), (to_x, _, to_z) = b.center - a.center, c.center - a.center
    lengths = _level(a, b) * _level(a, c)
    if lengths < 1e-6:
        raise NotAskedError("too close to call")
    return float(to_x * face_z - to_z * face_x) / lengths


def _level(a: Named, b: Named) -> float:
    """How far apart two centres are, seen from above, metres."""
    x, _, z = b.center - a.center
    return float((x**2 + z**2) ** 0.5)


def _exact(axis: Axis, one: Named) -> float:
    return float(one.center[steps.AXES[axis.letter]])


def _compared(axis: Axis, things: tuple[Named, ...]) -> str:
    """The recall and the first step."""
    return (
        f"1. {steps.centers(things)} 2. We can determine the {axis.title} relationship as follows: "
        f"Step 1: Compare the {axis.letter} coordinates of the centers, which grow {axis.points}: "
        f"{steps.values(axis.letter, things)}."
    )


def _steps(axis: Axis, a: Named, b: Named, side: str, *, is_opposite: bool) -> str:
    sign = ">" if _exact(axis, a) > _exact(axis, b) else "<"
    view = ", and we are considering the opposite view" if is_opposite else ""
    return (
        f"{_compared(axis, (a, b))} Step 2: Determine if {a.tag} is {WORDS[axis.more]} or {WORDS[axis.less]} {b.tag}. "
        f"Since {steps.chain(axis.letter, (a, b), sign)}{view}, {a.tag} is {WORDS[side]} {b.tag}."
    )
