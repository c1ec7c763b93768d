"""What there is: Count, Exists, Which."""

from __future__ import annotations

from dataclasses import replace

from n3d_ros.errors import StatusCode
from n3d_ros.scene.answers.absence import departed_words, known_words
from n3d_ros.scene.answers.amounts import ranked
from n3d_ros.scene.answers.body import Body
from n3d_ros.scene.answers.comparatives import SUPERLATIVES
from n3d_ros.scene.answers.context import Context
from n3d_ros.scene.answers.describing import measured_step, place_of, size_of
from n3d_ros.scene.answers.finding import Finding, in_words, settled, yes_or_no
from n3d_ros.scene.answers.naming import told
from n3d_ros.scene.answers.ordering import chosen, order_step, superlative
from n3d_ros.scene.answers.resolve import Meaning
from n3d_ros.scene.answers.wording import MAX_NAMED, counted, listed
from n3d_ros.scene.questions.question import Count, Exists, Thing, Which
from n3d_ros.scene.spatial_answer import SpatialAnswer, ValueType

NONE = "none"
TOGETHER = frozenset({0})


def count(intent: Count, context: Context) -> SpatialAnswer:
    """How many there are; none is an answer too.

    Args:
        intent: what is asked.
        context: what is known.

    Returns:
        A count.
    """

    def compute(meaning: Meaning) -> Finding:
        bodies = _counted(intent.thing, meaning)
        match = "object matches" if len(bodies) == 1 else "objects match"
        named = f": {listed([body.name for body in bodies])}" if bodies else ""
        sentences = [f'{len(bodies)} {match} "{told(intent.thing)}"{named}.']
        return Finding(
            sentences=(*sentences, *(() if bodies else (departed_words(intent.thing, context), known_words(context)))),
            value=float(len(bodies)),
            kind=ValueType.COUNT,
            words=str(len(bodies)),
            unit="1",
            bodies=bodies,
        )

    return settled([intent.thing], context, compute, together=TOGETHER)


def exists(intent: Exists, context: Context) -> SpatialAnswer:
    """Whether there is one, or as many as were said.

    Args:
        intent: what is asked.
        context: what is known.

    Returns:
        Yes or no.
    """

    def compute(meaning: Meaning) -> Finding:
        bodies = _counted(intent.thing, meaning)
        holds = _is_number(len(bodies), intent) != intent.negated
        if not bodies:
            rest = (departed_words(intent.thing, context), known_words(context))
            return yes_or_no(holds, [f'I see no "{told(intent.thing)}".', *rest])
        said = f"{'Yes' if holds else 'No'}."
        if (intent.thing.count, intent.at_least, intent.at_most) != (None, None, None):
            said = f"{said[:-1]}, {counted(len(bodies), 'object')} match{'es' if len(bodies) == 1 else ''}."
        places = [f"The {body.name} is {place_of(body, context, briefly=len(bodies) > 1)}." for body in bodies]
        return replace(yes_or_no(holds, [], bodies=bodies), sentences=(said, *places))

    return settled([intent.thing], context, compute, together=TOGETHER)


def _counted(thing: Thing, meaning: Meaning) -> tuple[Body, ...]:
    """The bodies that count: a surface only where it was asked for by name."""
    return meaning.bodies if thing.phrase.noun else tuple(body for body in meaning.bodies if body.known is not None)


def _is_number(found: int, intent: Exists) -> bool:
    """Whether as many were found as asked for: at least one where no number was said."""
    if intent.at_least is None and intent.at_most is None:
        return found >= (intent.thing.count or 1)
    return (intent.at_least or 0) <= found <= (found if intent.at_most is None else intent.at_most)


def which(intent: Which, context: Context) -> SpatialAnswer:
    """Which ones there are, or which one it is.

    Args:
        intent: what is asked.
        context: what is known.

    Returns:
        Their names; "none" when nothing fits the place or bound, NOT_FOUND when nothing is called so.
    """
    is_bare = not (intent.thing.places or intent.thing.bounds or intent.thing.extreme or intent.thing.id)
    lists_scene = is_bare and not intent.thing.phrase.words and not intent.is_single

    def compute(meaning: Meaning) -> Finding:
        bodies = meaning.bodies
        if lists_scene:
            return _listed(bodies, context)
        if not bodies:
            return _none(intent.thing, meaning, context)
        if intent.thing.extreme is not None:
            return _extreme(intent.thing, meaning, context)
        steps = [measured_step(body, context) for body in bodies[:MAX_NAMED]]
        if len(bodies) == 1:
            sentence = f"The {bodies[0].name} is {place_of(bodies[0], context)}, {size_of(bodies[0])}."
            return in_words(bodies[0].name, (sentence,), bodies=bodies, steps=steps)
        names = listed([body.name for body in bodies])
        places = [f"The {body.name} is {place_of(body, context, briefly=True)}." for body in bodies]
        head = f'{counted(len(bodies), "object")} match "{told(intent.thing)}": {names}.'
        if intent.is_single:
            return Finding(status=StatusCode.AMBIGUOUS, sentences=(head, *places), bodies=bodies, steps=tuple(steps))
        return in_words(names, (head, *places), bodies=bodies, steps=steps)

    return settled([intent.thing], context, compute, together=TOGETHER, drops_empty=True)


def _listed(bodies: tuple[Body, ...], context: Context) -> Finding:
    """Everything, with place and size."""
    briefly = len(bodies) > 1
    lines = [f"The {body.name} is {place_of(body, context, briefly=briefly)}, {size_of(body)}." for body in bodies]
    head = f"I see {counted(len(bodies), 'object')}." if bodies else "I see no objects."
    steps = [measured_step(body, context) for body in bodies[:MAX_NAMED]]
    names = listed([body.name for body in bodies]) or NONE
    return in_words(names, (head, *lines), bodies=bodies, steps=steps)


def _none(thing: Thing, meaning: Meaning, context: Context) -> Finding:
    """Nothing there; nothing of that name at all is not found."""
    if not meaning.fitting and thing.phrase.words:
        sentences = (f'I see no "{told(thing)}".', departed_words(thing, context), known_words(context))
        return Finding(status=StatusCode.NOT_FOUND, sentences=sentences)
    return in_words(NONE, (f'I see no "{told(thing)}".', known_words(context)))


def _extreme(thing: Thing, meaning: Meaning, context: Context) -> Finding:
    """The one with most or least; those that cannot be told apart together."""
    extreme, bodies = thing.extreme, meaning.bodies
    assert extreme is not None
    if extreme.count > 1:
        names = listed([body.name for body in bodies])
        measured = ranked(bodies, extreme.quantity, context, meaning.reference, most=extreme.most)
        row = listed([f"the {body.name} ({value.words()})" for body, value in measured])
        word = SUPERLATIVES[extreme.quantity][0 if extreme.most else 1]
        verb = "is" if len(bodies) == 1 else "are"
        sentence = f"{row[:1].upper()}{row[1:]} {verb} {superlative(word, meaning.reference)}."
        step = order_step(measured, extreme.quantity, meaning.reference)
        return in_words(names, (sentence,), bodies=bodies, steps=(step,))
    order = ranked([*bodies, *meaning.tied], extreme.quantity, context, meaning.reference, most=extreme.most)
    if len(bodies) + len(meaning.tied) > 1:  # the one chosen goes first, however the tied ones lie around it
        order.sort(key=lambda pair: pair[0] is not meaning.one)
    return chosen(order, extreme.quantity, meaning.reference, most=extreme.most, ordinal=extreme.rank)
