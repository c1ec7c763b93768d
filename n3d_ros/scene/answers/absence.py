"""What is said where nothing fits the words: what there is instead, and what left the scene."""

from __future__ import annotations

from collections.abc import Sequence

from n3d_ros.errors import StatusCode
from n3d_ros.scene.answers.amounts import age_of
from n3d_ros.scene.answers.body import Body, body_of
from n3d_ros.scene.answers.context import Context
from n3d_ros.scene.answers.describing import place_of
from n3d_ros.scene.answers.naming import bound_told, called, place_told
from n3d_ros.scene.answers.wording import counted, duration, echo, limited, listed
from n3d_ros.scene.phrases import select, vocabulary
from n3d_ros.scene.questions.question import Thing


def known_words(context: Context) -> str:
    """What there is instead.

    Args:
        context: what is known.

    Returns:
        One sentence.
    """
    names = [body.name for body in context.bodies]
    return f"I see: {listed(names)}." if names else "I see no objects at all."


def unknown(thing: Thing, context: Context) -> Exception:
    """What can be asked for, since nothing here is ever called by the noun: that none is found would say nothing.

    Args:
        thing: the words.
        context: what is known.

    Returns:
        The refusal, to be raised.
    """
    noun = echo(thing.phrase.noun or thing.phrase.text)
    text = limited([
        f'I cannot tell whether something is "{noun}": the objects here are known by colour and shape only.',
        vocabulary(),
    ])  # fmt: skip
    return context.refusal(StatusCode.NOT_UNDERSTOOD, text)


def nothing(thing: Thing, context: Context, notes: Sequence[str], steps: Sequence[str]) -> Exception:
    """Nothing is called so; what left the scene is told of.

    Args:
        thing: the words.
        context: what is known.
        notes: sentences on how the words were taken.
        steps: how they were looked for.

    Returns:
        The refusal, to be raised.
    """
    sentences = [f"I see no {called(thing)}."]
    if thing.id is not None:
        known = next((body for body in context.bodies if body.id == thing.id), None)
        sentences += [] if known is None else [f"Number {thing.id} is {known.the}."]
    if thing.is_other:
        sentences = [f"I see no other {called(thing)}."]
    text = limited([*sentences, *notes, departed_words(thing, context), known_words(context)])
    return context.refusal(StatusCode.NOT_FOUND, text, *steps)


def departed_words(thing: Thing, context: Context) -> str:
    """When and where such a thing was last seen, if it left the scene.

    Args:
        thing: the words.
        context: what is known.

    Returns:
        One sentence; empty when none is remembered.
    """
    gone = departed(thing, context)
    if not gone:
        return ""
    when = duration(age_of(gone[0], context).value)
    return f"I last saw {gone[0].the} {when} ago, {place_of(gone[0], context)}."


def departed(thing: Thing, context: Context) -> tuple[Body, ...]:
    """The bodies that left the scene and fit the words, newest first.

    Args:
        thing: the words.
        context: what is known.

    Returns:
        The bodies.
    """
    if not thing.phrase.words and thing.id is None:
        return ()  # anything: what left says nothing of what was asked
    bodies = [body_of(known) for known in context.query.departed]
    fitting = select(thing.phrase, bodies).objects
    return tuple(body for body in fitting if thing.id is None or body.id == thing.id)


def none_there(
    thing: Thing, context: Context, fitting: Sequence[Body], notes: Sequence[str], steps: Sequence[str]
) -> Exception:
    """Things are called so, yet none is where it was said to be.

    Args:
        thing: the words.
        context: what is known.
        fitting: those that the name alone fits.
        notes: sentences on how the words were taken.
        steps: how the places were looked at.

    Returns:
        The refusal, to be raised.
    """
    place = "; ".join([*(place_told(one) for one in thing.places), *(bound_told(one) for one in thing.bounds)])
    names = listed([body.the for body in fitting])
    text = f"None of the objects that fit {called(thing)} is {place}: I know {names}."
    if not place:
        text = f"Only {counted(len(fitting), 'object')} would fit {called(thing)}: {names}."
    return context.refusal(StatusCode.NOT_FOUND, limited([text, *notes]), *steps)
