"""Does A stand so to B, and which of these does: IsPlaced, ChoosePlaced."""

from __future__ import annotations

from collections.abc import Sequence

from n3d_ros.scene.answers.body import Body
from n3d_ros.scene.answers.context import Context
from n3d_ros.scene.answers.finding import SAME, Finding, deciding, in_words, settled, yes_or_no
from n3d_ros.scene.answers.locating import SIDE_NAMES
from n3d_ros.scene.answers.measures import Measured
from n3d_ros.scene.answers.places import all_standings, place_words, stands_at, verdict
from n3d_ros.scene.answers.relations import (
    HEIGHT_WORDS,
    HEIGHTS,
    LEVEL_WORDS,
    OPPOSITES,
    SIDE_WORDS,
    Holds,
    Standing,
    is_over_or_under,
)
from n3d_ros.scene.answers.resolve import Meaning, id_of
from n3d_ros.scene.answers.wording import LEVEL_M, length, listed
from n3d_ros.scene.questions.question import ChoosePlaced, IsPlaced, Place, Relation
from n3d_ros.scene.spatial_answer import SpatialAnswer


def is_placed(intent: IsPlaced, context: Context) -> SpatialAnswer:
    """Whether a thing stands so to others, or which of several relations holds.

    Args:
        intent: what is asked.
        context: what is known.

    Returns:
        Yes or no; with several options the one that holds. No when only the measuring error speaks for it.
    """

    def compute(subject: Meaning, *references: Meaning) -> Finding:
        others = [body for meaning in references for body in meaning.bodies]
        others = _without(others, subject.bodies)
        if references and not others:
            text = f"there is nothing else to compare {subject.one.the} with."
            return yes_or_no(intent.negated, [text], bodies=subject.bodies)
        if len(intent.options) > 1:
            return _option(intent, subject.one, others, context)
        return _placed(intent, subject, others, context)

    return settled([intent.subject, *intent.references], context, compute)


def _without(bodies: Sequence[Body], left_out: Sequence[Body]) -> list[Body]:
    """The bodies that are not left out; all of them when nothing else remains of a single one."""
    ids = {id_of(body) for body in left_out}
    return [body for body in bodies if len(left_out) > 1 or id_of(body) not in ids]


def _placed(intent: IsPlaced, subject: Meaning, others: list[Body], context: Context) -> Finding:
    """Whether one relation holds for all of the subject, or for any where any will do."""
    relation, any_will_do = intent.options[0], any(one.is_any for one in intent.references)
    by_height = not intent.subject.is_any  # "is anything above the bowl" means what "what is above the bowl" lists
    place = Place(relation=relation, within_m=intent.within_m)
    sentences, steps, holds = list[str](), list[str](), list[bool]()
    for body in subject.bodies:
        refs = [other for other in others if id_of(other) != id_of(body)]
        if others and not refs:
            continue  # "is everything left of the bowl": the bowl itself is not asked about
        found, step = stands_at(place, body, refs, context, any_will_do=any_will_do, by_height=by_height)
        holds.append(found is Holds.YES)
        steps.append(step)
        sentences.append(_placed_words(place, body, refs, found, context))
    value = any(holds) if intent.subject.is_any else all(holds)
    sentences = deciding(sentences, holds, value=value)
    return yes_or_no(value != intent.negated, sentences, bodies=[*subject.bodies, *others], steps=steps)


def _placed_words(place: Place, body: Body, others: Sequence[Body], found: Holds, context: Context) -> str:
    """Such as "the mug 7 is 30 cm to the right of the red box 1."."""
    standings = all_standings(place.relation, body, others, context)
    margin = standings[0].margin
    if len(standings) == 1 and place.within_m is None and margin is not None:
        return f"{body.the} is {_side_words(place.relation, margin, body, others, context)}."
    if len(others) == 1 and place.within_m is None and found is Holds.NO:
        but = _instead(place.relation, body, others[0], context)
        if but:
            return f"{body.the} is {but}."
    where = place_words(place, others, context)
    if place.relation in HEIGHTS and not all(is_over_or_under(body, other, context) for other in others):
        where = f"{HEIGHT_WORDS[place.relation]} {listed([other.the for other in others])}"
    if place.within_m is not None and place.relation is not Relation.NEXT_TO:
        where = f"{where} within {length(place.within_m)}"
    if found is Holds.LEVEL:
        return f"{body.the} is not clearly {where}: the difference is within the measuring error."
    return f"{body.the} is {'' if found is Holds.YES else 'not '}{where}."


def _instead(relation: Relation, body: Body, reference: Body, context: Context) -> str:
    """Where a body is that is not under or in a thing as asked; empty where no more can be said."""
    if relation is Relation.INSIDE and reference.surface is not None:
        is_on = all_standings(Relation.ON, body, (reference,), context)[0].holds is Holds.YES
        return f"on {reference.the}, not inside it" if is_on else ""
    lower = all_standings(Relation.BELOW, body, (reference,), context)[0].margin
    if relation is not Relation.UNDER or lower is None or lower.sign <= 0:
        return ""
    distance = f"{length(lower.value)} " if lower.value >= LEVEL_M else ""
    return f"{distance}lower than {reference.the}, but not under it"


def _side_words(relation: Relation, margin: Measured, body: Body, others: Sequence[Body], context: Context) -> str:
    """The side something really lies on, with metres; higher rather than above what it does not overlap."""
    whom = others[0].the if others else f"the {context.view.viewer}"
    if margin.sign == 0:
        error = f", {length(abs(margin.value))} is within the measuring error" if margin.stddev > 0 else ""
        return LEVEL_WORDS[relation].format(whom) + error
    is_so, relation = margin.value > 0, relation if margin.value > 0 else OPPOSITES[relation]
    words, beside = SIDE_WORDS[relation], ""
    if others and relation in HEIGHTS and not is_over_or_under(body, others[0], context):
        over = "over" if relation is Relation.ABOVE else "under"
        words, beside = HEIGHT_WORDS[relation], f", but not {over} it" if is_so else ""
    if not others:
        words = {Relation.FRONT: "ahead of", Relation.BEHIND: "at the back of"}.get(relation, words)
    distance = f"{length(abs(margin.value))} " if abs(margin.value) >= LEVEL_M else ""
    return f"{distance}{words} {whom}{beside}"


def _option(intent: IsPlaced, body: Body, others: list[Body], context: Context) -> Finding:
    """Which of several relations holds."""
    steps, level = list[str](), list[Relation]()
    for relation in intent.options:
        place = Place(relation=relation, within_m=intent.within_m)
        found, step = stands_at(place, body, others, context, by_height=True)
        steps.append(step)
        if found is Holds.YES:
            sentence = f"The {_placed_words(place, body, others, found, context).removeprefix('the ')}"
            return in_words(option_name(relation), (sentence,), bodies=[body, *others], steps=steps)
        level += [relation] if found is Holds.LEVEL else []
    if level and others:
        words = _placed_words(Place(relation=level[0]), body, others, Holds.LEVEL, context).removeprefix("the ")
        return in_words(SAME, (f"The {words}",), bodies=[body, *others], steps=steps)
    options = listed([place_words(Place(relation=one), others, context) for one in intent.options], joiner="or")
    return in_words("neither", (f"The {body.name} is not {options}.",), bodies=[body, *others], steps=steps)


def option_name(relation: Relation) -> str:
    """A relation as the value of an answer: "left", "front", "on".

    Args:
        relation: the relation.

    Returns:
        One or two words.
    """
    return SIDE_NAMES.get(relation, relation.value)


# --- which of these ---------------------------------------------------------------------------------------------------


def choose_placed(intent: ChoosePlaced, context: Context) -> SpatialAnswer:
    """Which of several stands so, compared with each other or with a reference.

    Args:
        intent: what is asked.
        context: what is known.

    Returns:
        The name of the one; "about the same" when the measuring error does not tell.
    """
    things = [*intent.candidates, *([intent.reference] if intent.reference is not None else [])]

    def compute(*meanings: Meaning) -> Finding:
        count = len(intent.candidates)
        bodies = list({id_of(body): body for meaning in meanings[:count] for body in meaning.bodies}.values())
        reference = meanings[-1].one if intent.reference is not None else None
        if reference is None:
            return _foremost(intent.relation, bodies, context)
        return _those(intent.relation, _without(bodies, [reference]), reference, context)

    return settled(things, context, compute)


def _foremost(relation: Relation, bodies: list[Body], context: Context) -> Finding:
    """The one that stands so to all the others."""
    steps, level, best = list[str](), list[Body](), None
    for body in bodies:
        others = [other for other in bodies if other is not body]
        found = all_standings(relation, body, others, context) if others else []
        steps += [one.step for one in found[:2]]
        holds = verdict(relation, found) if found else Holds.NO
        best = body if holds is Holds.YES and best is None else best
        level += [body] if holds is Holds.LEVEL else []
    if best is not None:
        others = [other for other in bodies if other is not best]
        words = place_words(Place(relation=relation), others, context)
        if relation in HEIGHTS:  # "which is higher"
            words = _height_words(relation, best, others, context)
        return in_words(best.name, (f"The {best.name} is {words}.",), bodies=[best], steps=steps)
    if level:
        row = listed([body.the for body in level])
        sentence = f"{row[:1].upper()}{row[1:]} are at about the same place, within the measuring error."
        return in_words(SAME, (sentence,), bodies=level, steps=steps)
    row = listed([body.the for body in bodies], joiner="nor")
    sentence = f"Neither {row} is {HEIGHT_WORDS.get(relation, SIDE_WORDS[relation])} the other."
    if len(bodies) == 1:
        sentence = f"I know only {row}, and nothing to compare it with."
    return in_words("neither", (sentence,), bodies=bodies, steps=steps)


def _height_words(relation: Relation, body: Body, others: Sequence[Body], context: Context) -> str:
    """Such as "1.5 cm higher than the blue box 4"."""
    margin = all_standings(relation, body, others, context)[0].margin
    is_told = len(others) == 1 and margin is not None and margin.value >= LEVEL_M
    distance = f"{length(margin.value)} " if is_told and margin is not None else ""
    return f"{distance}{HEIGHT_WORDS[relation]} {listed([other.the for other in others])}"


def _those(relation: Relation, bodies: list[Body], reference: Body, context: Context) -> Finding:
    """Those that stand so to the reference."""
    found: list[tuple[Body, Standing]] = [
        (body, all_standings(relation, body, (reference,), context, by_height=False)[0]) for body in bodies
    ]
    steps = [stands.step for _, stands in found]
    where = place_words(Place(relation=relation), (reference,), context)
    kept = [body for body, stands in found if stands.holds is Holds.YES]
    if not kept:
        row = listed([body.the for body in bodies], joiner="nor")
        sentence = f"Neither {row} is {where}." if len(bodies) > 1 else f"{row[:1].upper()}{row[1:]} is not {where}."
        return in_words("neither", (sentence,), bodies=[*bodies, reference], steps=steps)
    row = listed([body.the for body in kept])
    sentence = f"{row[:1].upper()}{row[1:]} {'is' if len(kept) == 1 else 'are'} {where}."
    return in_words(listed([body.name for body in kept]), (sentence,), bodies=kept, steps=steps)
