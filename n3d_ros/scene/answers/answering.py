"""The answer to a question that was read: each kind of intent goes to the module that computes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from n3d_ros.errors import StatusCode
from n3d_ros.scene.answers.body import Body
from n3d_ros.scene.answers.changes import changed
from n3d_ros.scene.answers.clock import toward
from n3d_ros.scene.answers.coloring import is_colored
from n3d_ros.scene.answers.comparing import compare, difference
from n3d_ros.scene.answers.context import Context, UnansweredError
from n3d_ros.scene.answers.counting import count, exists, which
from n3d_ros.scene.answers.fitting import fits
from n3d_ros.scene.answers.locating import describe, side, where
from n3d_ros.scene.answers.measuring import measured
from n3d_ros.scene.answers.movement import is_about_change
from n3d_ros.scene.answers.ordering import choose, in_order
from n3d_ros.scene.answers.placing import choose_placed, is_placed
from n3d_ros.scene.answers.resolve import combined
from n3d_ros.scene.answers.wording import duration, limited
from n3d_ros.scene.questions.question import (
    Changed,
    Choose,
    ChoosePlaced,
    Compare,
    Count,
    Describe,
    Difference,
    Direction,
    Exists,
    Fits,
    Intent,
    IsColored,
    IsPlaced,
    Measure,
    Order,
    Question,
    Side,
    View,
    Viewpoint,
    Where,
    Which,
)
from n3d_ros.scene.scene import Scene
from n3d_ros.scene.spatial_answer import SpatialAnswer, SpatialQuery, ValueType

NANOSECONDS = 1e-9

ANSWERERS: dict[type[Intent], Callable[[Any, Context], SpatialAnswer]] = {
    Where: where,
    Count: count,
    Exists: exists,
    Which: which,
    Choose: choose,
    ChoosePlaced: choose_placed,
    IsPlaced: is_placed,
    IsColored: is_colored,
    Side: side,
    Compare: compare,
    Measure: measured,
    Difference: difference,
    Direction: toward,
    Order: in_order,
    Fits: fits,
    Describe: describe,
    Changed: changed,
}
"""Every kind of intent, with what computes it."""


def answer_to(question: Question, scene: Scene, query: SpatialQuery) -> SpatialAnswer:
    """What a question comes to on a scene.

    Args:
        question: as it was read.
        scene: what is known, in the frame that positions are wanted in.
        query: who looks, which way is up, what else is known.

    Returns:
        The answer; ``status`` says when there is none and ``text`` why.
    """
    asker = Context.of(scene, query)
    try:
        answers = [ANSWERERS[type(question.intent)](question.intent, one) for one in _contexts(question, asker)]
    except UnansweredError as unanswered:
        return unanswered.answer
    return _dated(_with_loose_words(_agreed(answers), asker), question, query)


def _with_loose_words(answer: SpatialAnswer, context: Context) -> SpatialAnswer:
    """The answer with a step for words that were taken loosely and of which it does not tell yet."""
    told = (answer.text, *answer.steps)
    more = [note for note in dict.fromkeys(context.work.loosely) if not any(note in one for one in told)]
    return replace(answer, steps=(*answer.steps, *more)) if more else answer


def _contexts(question: Question, asker: Context) -> list[Context]:
    """Who looks, once for each thing that the viewpoint may mean."""
    viewpoint = question.viewpoint
    if viewpoint.view in (View.ASKER, View.CAMERA):
        return [asker]
    if viewpoint.view is View.AT_THING and viewpoint.at is not None:
        things = [thing for thing in (viewpoint.at, viewpoint.facing) if thing is not None]
        base = asker.axes if viewpoint.facing is not None else asker.view
        return [
            replace(asker, sight=base.at(stand.one, facing[0].one if facing else None))
            for stand, *facing in combined(things, asker)
        ]
    centers = [body.center for body in asker.bodies] or [asker.view.origin + asker.view.forward]
    middle = np.mean(centers, axis=0)
    return [replace(asker, sight=asker.view.opposite(_across(viewpoint, asker), middle))]


def _across(viewpoint: Viewpoint, context: Context) -> Body | None:
    """What the opposite viewer stands behind; which one of several makes no difference."""
    return None if viewpoint.at is None else combined([viewpoint.at], context)[0][0].one


def _agreed(answers: list[SpatialAnswer]) -> SpatialAnswer:
    """The common answer from several places to look from; different ones are told as ambiguous."""
    first = answers[0]
    if len({(one.status, one.value_type, one.value_text) for one in answers}) == 1:
        return first
    ids = tuple(dict.fromkeys(i for one in answers for i in one.object_ids))
    return SpatialAnswer(
        status=StatusCode.AMBIGUOUS,
        text=limited(["It depends on where one looks from.", *dict.fromkeys(one.text for one in answers)]),
        value_type=ValueType.NONE,
        object_ids=ids,
        steps=tuple(dict.fromkeys(step for one in answers for step in one.steps)),
        stamp_ns=first.stamp_ns,
    )


def _dated(answer: SpatialAnswer, question: Question, query: SpatialQuery) -> SpatialAnswer:
    """The answer with how long ago its image is, where the past was asked about."""
    if question.moment is None or is_about_change(question) or not query.now_ns or not answer.stamp_ns:
        return answer
    ago_s = max(0.0, (query.now_ns - answer.stamp_ns) * NANOSECONDS)
    return replace(answer, text=limited([f"{duration(ago_s)} ago:".capitalize(), answer.text]))
