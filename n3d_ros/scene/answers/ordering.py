"""Most and least: Choose, Order, and the extreme of all that fit."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from n3d_ros.scene.answers.amounts import ranked
from n3d_ros.scene.answers.body import Body
from n3d_ros.scene.answers.comparatives import SUPERLATIVES
from n3d_ros.scene.answers.comparing import SIGNED, compared_word, same_words
from n3d_ros.scene.answers.context import Context
from n3d_ros.scene.answers.finding import SAME, Finding, in_words, settled
from n3d_ros.scene.answers.measures import Measured
from n3d_ros.scene.answers.resolve import Meaning, id_of
from n3d_ros.scene.answers.wording import MAX_NAMED, listed
from n3d_ros.scene.questions.question import Choose, Order, Quantity, Thing
from n3d_ros.scene.spatial_answer import SpatialAnswer

ORDINALS = {2: "second", 3: "third", 4: "fourth", 5: "fifth"}


def choose(intent: Choose, context: Context) -> SpatialAnswer:
    """Which of several has most or least; "about the same" when the measuring error does not tell.

    Args:
        intent: what is asked.
        context: what is known.

    Returns:
        The name of the one.
    """
    extreme = intent.extreme
    things = [*intent.candidates, *([extreme.reference] if extreme.reference is not None else [])]

    def compute(*meanings: Meaning) -> Finding:
        reference = meanings[-1].one if extreme.reference is not None else None
        count = len(intent.candidates)
        bodies = list({id_of(body): body for meaning in meanings[:count] for body in meaning.bodies}.values())
        order = ranked(bodies, extreme.quantity, context, reference, most=extreme.most)
        return chosen(order, extreme.quantity, reference, most=extreme.most, rank=extreme.rank)

    return settled(things, context, compute)


def chosen(
    order: Sequence[tuple[Body, Measured]],
    quantity: Quantity,
    reference: Body | None,
    *,
    most: bool,
    rank: int = 1,
    ordinal: int = 1,
) -> Finding:
    """The body at a rank, or those that the measuring error does not tell apart.

    Args:
        order: bodies with their measures, in order.
        quantity: by what.
        reference: the other end of a distance.
        most: whether the largest comes first.
        rank: 1 for the first.
        ordinal: the rank as it is told, where only part of an order is given.

    Returns:
        The finding.
    """
    first, value = order[min(rank, len(order)) - 1]
    tied = [body for body, other in order if body is not first and other.minus(value).sign == 0]
    step = order_step(order, quantity, reference)
    names = [first.the, *(body.the for body in tied)]
    if tied:
        row = listed(names)
        values = listed(list(dict.fromkeys(other.words() for body, other in order if body is first or body in tied)))
        sentence = f"{row[:1].upper()}{row[1:]} {same_words(quantity, reference)}: {values}."
        return in_words(SAME, (sentence,), bodies=[first, *tied], steps=(step,))
    words = _chosen_words(order, quantity, reference, most=most, ordinal=max(rank, ordinal))
    figures = "" if quantity in SIGNED else f": {value.words()}"
    if len(order) == 2 and figures:
        figures += f" against {next(other.words() for body, other in order if body is not first)}"
    return in_words(first.name, (f"The {first.name} is {words}{figures}.",), bodies=[first], steps=(step,))


def _chosen_words(
    order: Sequence[tuple[Body, Measured]], quantity: Quantity, reference: Body | None, *, most: bool, ordinal: int
) -> str:
    """Such as "taller" of two, "the second largest", "closest to the mug 7"."""
    if len(order) == 2 and ordinal == 1:
        return compared_word(quantity, 1 if most else -1, reference)
    word = " ".join(filter(None, [ORDINALS.get(ordinal, ""), SUPERLATIVES[quantity][0 if most else 1]]))
    return superlative(word, reference, bare=reference is not None and ordinal == 1)


def superlative(word: str, reference: Body | None, *, bare: bool = False) -> str:
    """A superlative with what a distance is measured from.

    Args:
        word: such as "closest".
        reference: the other end of a distance; None: the viewer, unsaid.
        bare: whether to leave out the article.

    Returns:
        Such as "the tallest", "closest to the mug 7".
    """
    word = word if bare else f"the {word}"
    return word if reference is None else f"{word} {'to' if word.endswith('closest') else 'from'} {reference.the}"


def order_step(order: Sequence[tuple[Body, Measured]], quantity: Quantity, reference: Body | None) -> str:
    """The measures of bodies in their order.

    Args:
        order: bodies with their measures.
        quantity: what was measured.
        reference: the other end of a distance.

    Returns:
        One sentence.
    """
    source = "" if reference is None else f" from {reference.name}"
    shown = "; ".join(f"{body.name} {value.figures()}" for body, value in order[:MAX_NAMED])
    return f"{quantity.value[:1].upper()}{quantity.value[1:]}{source}: {shown}."


def in_order(intent: Order, context: Context) -> SpatialAnswer:
    """Things in the order of a quantity.

    Args:
        intent: what is asked.
        context: what is known.

    Returns:
        Their names in order.
    """
    things: list[Thing] = [*intent.things, *([intent.reference] if intent.reference is not None else [])]

    def compute(*meanings: Meaning) -> Finding:
        reference = meanings[-1].one if intent.reference is not None else None
        bodies = {id_of(b): b for meaning in meanings[: len(intent.things)] for b in meaning.bodies}
        if reference is not None:
            bodies.pop(id_of(reference), None)
        order = ranked(list(bodies.values()), intent.quantity, context, reference, most=not intent.ascending)
        return _ordered(order, intent, reference)

    return settled(things, context, compute)


def _ordered(order: list[tuple[Body, Measured]], intent: Order, reference: Body | None) -> Finding:
    names = [body.name for body, _ in order]
    least, most = SUPERLATIVES[intent.quantity][1], SUPERLATIVES[intent.quantity][0]
    span = f"From {least} to {most}" if intent.ascending else f"From {most} to {least}"
    shown = [f"{body.the} ({value.words()})" for body, value in order[:MAX_NAMED]]
    more = f" and {len(order) - MAX_NAMED} more" if len(order) > MAX_NAMED else ""
    sentences = [f"{span}: {', '.join(shown)}{more}."]
    for (a, first), (b, second) in pairwise(order):
        if second.minus(first).sign == 0:
            sentences.append(f"{a.the[:1].upper()}{a.the[1:]} and {b.the} are {SAME}.")
    words = ", ".join(names[:MAX_NAMED]) + more
    step = order_step(order, intent.quantity, reference)
    return in_words(words, sentences, bodies=[body for body, _ in order], steps=(step,))
