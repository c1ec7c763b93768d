"""Templates on sizes: how wide, how tall; which is wider, taller, bigger."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from model_training.questions import steps, wording
from model_training.questions.draft import Draft, Drawing, Named, NotAskedError

SEVERAL_SHARE = 0.35  # of questions that ask which one: of three or more
MOST_COMPARED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """A pair of opposite words for sizes.

    Args:
        letter: of the number compared.
        more: the word for more of it.
        less: the word for less.
        quantity: what is compared.
    """

    letter: str
    more: str
    less: str
    quantity: str


SCALES: Mapping[str, Scale] = {
    "wide_thin": Scale(letter="W", more="wider", less="thinner", quantity="width"),
    "tall_short": Scale(letter="H", more="taller", less="shorter", quantity="height"),
    "big_small": Scale(letter="V", more="bigger", less="smaller", quantity="volume"),
}


def size_comparison(question_class: str, drawing: Drawing) -> Draft:
    """Is it taller, which one is tallest.

    Args:
        question_class: one of ``SCALES``.
        drawing: what it is drawn from.

    Returns:
        The draft.

    Raises:
        NotAskedError: nothing clear could be drawn.
    """
    scale = SCALES[question_class]
    if drawing.happens(0.5):
        return _whether(scale, drawing)
    many = int(drawing.rng.integers(3, MOST_COMPARED + 1)) if drawing.happens(SEVERAL_SHARE) else 2
    things = drawing.things(many, whole=True)
    word = drawing.one_of((scale.more, scale.less))
    ordered = sorted(things, key=lambda one: _exact(scale, one), reverse=word == scale.more)
    _check_apart(scale, ordered[0], ordered[1], drawing)
    first, sign = ordered[0], ">" if word == scale.more else "<"
    facts = ", ".join(steps.chain(scale.letter, (first, other), sign) for other in ordered[1:])
    if many == 2:
        question = drawing.one_of(wording.WHICH_COMPARED[word]).format(a=things[0].the, b=things[1].the)
        said = f"{word} than {ordered[1].tag}"
        answer = f"The {first.name} is {word} than {ordered[1].the}."
    else:
        most = wording.SUPERLATIVES[word]
        names = wording.listed(tuple(one.the for one in things))
        question = drawing.one_of(wording.WHICH_MOST).format(things=names, most=most)
        said, answer = f"the {most}", f"The {first.name} is the {most}."
    return Draft(
        question=question,
        things=things,
        steps=f"{_recalled(scale, things)} 3. Since {facts}, {first.tag} is {said}.",
        answer=answer,
        value_type="text",
        value=first.name,
        chosen=(first.object.id,),
    )


def _whether(scale: Scale, drawing: Drawing) -> Draft:
    """Is one more than the other: yes as often as no, and either word as often with either."""
    a, b = drawing.things(2, whole=True)
    _check_apart(scale, a, b, drawing)
    is_more = _exact(scale, a) > _exact(scale, b)
    true_word = scale.more if is_more else scale.less
    asked = drawing.one_of((scale.more, scale.less))
    is_so = "Yes" if asked == true_word else "No"
    fact = steps.chain(scale.letter, (a, b), ">" if is_more else "<")
    return Draft(
        question=drawing.one_of(wording.COMPARED[asked]).format(a=a.the, b=b.the),
        things=(a, b),
        steps=f"{_recalled(scale, (a, b))} 3. Since {fact}, {a.tag} is {true_word} than {b.tag}.",
        answer=f"{is_so}, {a.the} is {true_word} than {b.the}.",
        value_type="boolean",
        value=is_so.lower(),
    )


def size_question(drawing: Drawing) -> Draft:
    """How wide or how tall one thing is.

    Args:
        drawing: what it is drawn from.

    Returns:
        The draft.

    Raises:
        NotAskedError: nothing clear could be drawn.
    """
    (thing,) = drawing.things(1, whole=True)
    letter = drawing.one_of("WH")
    word = steps.SIZE_WORDS[letter]
    value = steps.figure(steps.stated(letter, thing))
    said = f"{value} meters"
    words = wording.WIDTH if letter == "W" else wording.HEIGHT
    return Draft(
        question=drawing.one_of(words).format(a=thing.the),
        things=(thing,),
        steps=f"{steps.boxes((thing,))} So the {word} of {thing.tag} is {said}.",
        answer=f"The {thing.name} is {said} in {word}.",
        value_type="number",
        value=value,
        unit="m",
    )


def _recalled(scale: Scale, things: tuple[Named, ...]) -> str:
    """The boxes and the numbers compared."""
    if scale.letter == "V":
        return f"1. {steps.boxes(things)} 2. The volume is width * height * depth: {steps.volumes(things)}"
    return f"1. {steps.boxes(things)} 2. Compare the {scale.quantity}s: {steps.values(scale.letter, things)}."


def _exact(scale: Scale, one: Named) -> float:
    """The number compared; of boxes along the camera's axes not rounded."""
    if scale.letter == "V":
        return float(math.prod(one.object.box.size.tolist()))
    return steps.stated(scale.letter, one)


def _check_apart(scale: Scale, a: Named, b: Named, drawing: Drawing) -> None:
    low, high = sorted((_exact(scale, a), _exact(scale, b)))
    margins, is_volume = drawing.margins, scale.letter == "V"
    if low <= 0 or high / low < (margins.volume_ratio if is_volume else margins.size_ratio):
        raise NotAskedError("too close to call")
    if high / low > (margins.most_volume_ratio if is_volume else margins.most_size_ratio):
        raise NotAskedError("the names alone would tell")
