"""Movement: how far an object's centre went since an earlier scene. Objects are the same by their ids."""

from __future__ import annotations

from math import sqrt

import numpy as np

from n3d_ros.errors import StatusCode
from n3d_ros.scene.answers.body import Body, body_of
from n3d_ros.scene.answers.context import Context
from n3d_ros.scene.answers.measures import SIGMAS, Measured
from n3d_ros.scene.questions.question import Changed, Measure, Quantity, Question
from n3d_ros.scene.scene import Scene

MOVED_M = 0.02  # less is no move worth telling, however well the boxes are known


def is_about_change(question: Question) -> bool:
    """Whether a question's moment says since when, rather than which image to look at.

    Args:
        question: as it was read.

    Returns:
        True for "what changed" and "how far has it moved".
    """
    intent = question.intent
    return isinstance(intent, Changed) or (isinstance(intent, Measure) and intent.quantity is Quantity.MOVED)


def earlier_scene(context: Context) -> Scene:
    """The scene to compare with.

    Args:
        context: what is known.

    Returns:
        The scene.

    Raises:
        UnansweredError: none is remembered.
    """
    if context.query.before is None:
        raise context.refusal(StatusCode.NO_SUCH_MOMENT, "I remember no earlier scene to compare with.")
    return context.query.before


def moved_since(body: Body, context: Context) -> Measured:
    """How far a body went since the earlier scene.

    Args:
        body: as it is now; a surface stays where it is.
        context: knows the earlier scene.

    Returns:
        Metres, in a straight line.

    Raises:
        UnansweredError: no earlier scene is remembered, or the body is not in it.
    """
    before = earlier_scene(context)
    if body.known is None:
        return Measured(value=0.0, stddev=0.0)
    then = next((known for known in before.objects if known.id == body.id), None)
    if then is None:
        text = f"I do not know how far {body.the} has moved: it is new since then."
        raise context.refusal(StatusCode.NO_SUCH_MOMENT, text)
    return way_between(body_of(then), body)


def way_between(then: Body, now: Body) -> Measured:
    """How far a body's centre went.

    Args:
        then: earlier.
        now: later.

    Returns:
        Metres, the error along the way.
    """
    way = now.center - then.center
    size = float(np.linalg.norm(way))
    direction = way / size if size > 0 else np.array([1.0, 0.0, 0.0])
    return Measured(value=size, stddev=sqrt(then.center_variance(direction) + now.center_variance(direction)))


def has_moved(way: Measured) -> bool:
    """Whether a way is more than error and trembling.

    Args:
        way: as ``way_between`` gives it.

    Returns:
        True when it counts as a move.
    """
    return way.value > max(MOVED_M, SIGMAS * way.stddev)
