"""Whether a body is at a place that words describe: a relation to several references, near enough."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from n3d_ros.scene.answers.body import Body
from n3d_ros.scene.answers.context import Context
from n3d_ros.scene.answers.measures import measure, straight
from n3d_ros.scene.answers.relations import HEIGHTS, SIDE_WORDS, Holds, Standing, standing, straight_over
from n3d_ros.scene.answers.wording import length, listed
from n3d_ros.scene.questions.question import Place, Quantity, Relation

MAX_PAIRS = 16  # of a plural that something may be between


def place_words(place: Place, references: Sequence[Body], context: Context) -> str:
    """A place in words, its references by name.

    Args:
        place: where.
        references: the bodies; empty: the viewer.
        context: knows the viewer.

    Returns:
        Such as "to the left of the mug 7".
    """
    names = listed([reference.the for reference in references])
    names = names or ("the viewer" if context.sight is None else f"the {context.sight.viewer}")
    if place.within_m is not None and place.relation is Relation.NEXT_TO:
        return f"within {length(place.within_m)} of {names}"
    return f"{SIDE_WORDS[place.relation]} {names}"


def stands_at(
    place: Place,
    body: Body,
    references: Sequence[Body],
    context: Context,
    *,
    any_will_do: bool = False,
    by_height: bool = False,
) -> tuple[Holds, str]:
    """Whether a body is at a place.

    Args:
        place: relation and largest distance.
        body: the subject.
        references: to each of them; for on, in, under and next to one of them suffices.
        context: what is known.
        any_will_do: whether one reference suffices for sides, too.
        by_height: whether above and below compare heights alone, as the benchmark of the N3D-VLM paper asks of two
            things; else the two must overlap seen from above, as what is "above the bowl" does.

    Returns:
        Whether it holds, and a sentence with the numbers.
    """
    found = all_standings(place.relation, body, references, context, by_height=by_height)
    steps = " ".join(one.step for one in found[:2])
    if place.within_m is not None:
        distances = [measure(Quantity.DISTANCE, body, context.axes, reference) for reference in references]
        distances = distances or [straight(body, context.view.origin)]
        nearest = min(distances, key=lambda one: one.value)
        steps = f"{body.name} is {nearest.figures()} away (bound {place.within_m:.3f} m)." + (
            "" if place.relation is Relation.NEXT_TO else f" {steps}"
        )
        if nearest.value > place.within_m:
            return Holds.NO, steps
        if place.relation is Relation.NEXT_TO:
            return Holds.YES, steps
    return verdict(place.relation, found, any_will_do=any_will_do), steps


def all_standings(
    relation: Relation, body: Body, references: Sequence[Body], context: Context, *, by_height: bool = True
) -> list[Standing]:
    """How a body stands to each reference; for ``BETWEEN`` to each pair.

    Args:
        relation: asked for.
        body: the subject.
        references: empty: the viewer.
        context: what is known.
        by_height: whether above and below compare heights alone.

    Returns:
        At least one standing.
    """
    context.spend(max(1, len(references)))
    if relation in HEIGHTS and not by_height:
        return [straight_over(relation, body, reference, context) for reference in references or (None,)]
    if not references:
        return [standing(relation, body, (), context)]
    if relation is Relation.BETWEEN:
        pairs = [(a, b) for k, a in enumerate(references) for b in references[k + 1 :]]
        return [standing(relation, body, pair, context) for pair in islice(pairs, MAX_PAIRS)] or [
            standing(relation, body, references, context)
        ]
    return [standing(relation, body, (reference,), context) for reference in references]


def verdict(relation: Relation, found: Sequence[Standing], *, any_will_do: bool = False) -> Holds:
    """Whether a relation holds to several references.

    Args:
        relation: asked for.
        found: how the body stands to each.
        any_will_do: whether one of them suffices; always so for relations of touch.

    Returns:
        YES, NO, or LEVEL when only the measuring error stands against YES.
    """
    holds = [one.holds for one in found]
    if any_will_do or relation in (Relation.ON, Relation.UNDER, Relation.INSIDE, Relation.NEXT_TO, Relation.BETWEEN):
        return Holds.YES if Holds.YES in holds else Holds.LEVEL if Holds.LEVEL in holds else Holds.NO
    return Holds.NO if Holds.NO in holds else Holds.LEVEL if Holds.LEVEL in holds else Holds.YES
