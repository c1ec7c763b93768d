"""More, less, as much: Compare, Difference.

Two measures differ when their difference is more than two standard deviations of it; else they are about the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from n3d_ros.scene.answers.amounts import amount, unit_of
from n3d_ros.scene.answers.body import Body
from n3d_ros.scene.answers.comparatives import COMPARED_WITH
from n3d_ros.scene.answers.context import Context
from n3d_ros.scene.answers.finding import Finding, a_number, settled, yes_or_no
from n3d_ros.scene.answers.measures import SIGMAS, Measured
from n3d_ros.scene.answers.resolve import Meaning, id_of
from n3d_ros.scene.answers.wording import counted, listed
from n3d_ros.scene.questions.question import Compare, Difference, Quantity, Sense
from n3d_ros.scene.spatial_answer import SpatialAnswer

SIGNED = frozenset({Quantity.LATERAL, Quantity.ELEVATION})  # only differences of these mean something to people
MAX_TOLD = 3  # comparisons that are told one by one
_WANTED = {Sense.MORE: 1, Sense.LESS: -1, Sense.EQUAL: 0}


def compare(intent: Compare, context: Context) -> SpatialAnswer:
    """Whether a thing has more, less or as much of a quantity than another, than a bound, than all others.

    Args:
        intent: what is asked.
        context: what is known.

    Returns:
        Yes or no; no when a difference is asked for and is within the measuring error.
    """
    things = [thing for thing in (intent.subject, intent.other, intent.reference) if thing is not None]

    def compute(*meanings: Meaning) -> Finding:
        subject, rest = meanings[0], list(meanings[1:])
        other = rest.pop(0) if intent.other is not None else None
        reference = rest.pop(0).one if intent.reference is not None else None
        return _compared(intent, subject, other, reference, context)

    return settled(things, context, compute)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Row:
    """One body of the subject compared with each of the others."""

    holds: bool
    pairs: tuple[tuple[bool, str], ...]  # whether the comparison holds, and the sentence that says so


def _compared(
    intent: Compare, subject: Meaning, other: Meaning | None, reference: Body | None, context: Context
) -> Finding:
    """Compares every body of the subject with every one of the others; a body is not compared with itself."""
    steps, rows = list[str](), list[_Row]()
    told = set[tuple[int | str, int | str]]()  # "are they equally tall" compares each pair once
    rivals = _rivals(subject, other, reference, context) if intent.bound is None else []
    context.spend(len(subject.bodies) * len(rivals))
    for body in subject.bodies:
        mine = amount(intent.quantity, body, context, reference)
        limits: list[tuple[Body | None, Measured]] = [
            (rival, amount(intent.quantity, rival, context, reference)) for rival in rivals
        ]
        if intent.bound is not None:
            limits = [(None, Measured(value=intent.bound, stddev=0.0, unit=unit_of(intent.quantity)))]
        pairs = list[tuple[bool, str]]()
        for rival, limit in limits:
            if rival is not None and (id_of(rival) == id_of(body) or (id_of(rival), id_of(body)) in told):
                continue
            told |= {(id_of(body), id_of(rival))} if rival is not None and intent.sense is Sense.EQUAL else set()
            holds = _holds(intent, mine.minus(limit, intent.factor).sign)
            pairs.append((holds, _compared_words(intent, body, mine, rival, limit, reference)))
            steps.append(_compared_step(intent, body, mine, rival, limit, reference))
        if pairs:
            held = [holds for holds, _ in pairs]
            rows.append(_Row(holds=any(held) if _any_rival(intent) else all(held), pairs=tuple(pairs)))
    every = [row.holds for row in rows]
    holds = bool(every) and (any(every) if intent.subject.is_any else all(every))
    bodies = [*subject.bodies, *(rivals if other is not None else []), *([reference] if reference else [])]
    sentences = _told(intent, subject, rivals, rows, holds=holds)
    return yes_or_no(holds != intent.negated, sentences, bodies=bodies, steps=steps)


def _any_rival(intent: Compare) -> bool:
    """Whether one of the others suffices: "taller than any box"."""
    return intent.other is not None and intent.other.is_any


def _holds(intent: Compare, sign: int) -> bool:
    """Whether a difference of this sign is what is asked for; "at least" and "at most" hold for equality too."""
    return sign == _WANTED[intent.sense] or (intent.inclusive and sign == 0)


def _told(intent: Compare, subject: Meaning, rivals: Sequence[Body], rows: Sequence[_Row], *, holds: bool) -> list[str]:
    """The comparisons that decide, few of them; many that all go one way are summed up."""
    if not rows:
        return [f"there is nothing to compare {subject.one.the} with."]
    deciding = [row for row in rows if row.holds == holds]
    pairs = [pair for row in deciding for pair in row.pairs if pair[0] == row.holds] or list(rows[0].pairs)
    count, sign = len(pairs), _WANTED[intent.sense]
    if count > MAX_TOLD and holds and len(subject.bodies) == 1 and not _any_rival(intent):
        word = compared_word(intent.quantity, sign)
        names = listed([rival.the for rival in rivals if id_of(rival) != id_of(subject.one)])
        return [f"{subject.one.the} is {word} {'than' if sign else 'as'} {names}."]
    sentences = [sentence for _, sentence in pairs]
    if intent.subject.is_any and not holds and len(subject.bodies) > 1:
        sentences = [f"none of {counted(len(rows), 'object')} is.", *sentences]
    more = [] if len(sentences) <= MAX_TOLD + 1 else [f"{len(sentences) - MAX_TOLD} more likewise."]
    return _unique_sentences([*sentences[: MAX_TOLD if more else None], *more])


def _rivals(subject: Meaning, other: Meaning | None, reference: Body | None, context: Context) -> list[Body]:
    """What the subject is compared with: the other thing, or all other objects."""
    if other is not None:
        return list(other.bodies)
    left_out = {id_of(body) for body in subject.bodies} | ({id_of(reference)} if reference else set())
    return [body for body in context.bodies if id_of(body) not in left_out]


def _unique_sentences(sentences: Sequence[str]) -> list[str]:
    """Sentences once each; all but the first begin with a capital."""
    once = list(dict.fromkeys(sentences))
    return [once[0], *(f"{one[:1].upper()}{one[1:]}" for one in once[1:])]


def _compared_words(
    intent: Compare, body: Body, mine: Measured, rival: Body | None, limit: Measured, reference: Body | None
) -> str:
    """Such as "the red box 3 is taller than the mug 7: 20 cm against 12 cm."."""
    bound = Measured(value=limit.value * intent.factor, stddev=0.0, unit=limit.unit)
    times = "" if intent.factor == 1.0 else f"{intent.factor:g} times "
    sign = mine.minus(limit, intent.factor).sign
    if rival is None:
        at = {1: "more than", -1: "less than", 0: "about"}[sign]
        if reference is not None:
            way = "the free space" if intent.quantity is Quantity.GAP else f"the {intent.quantity.value}"
            return f"{way} between {body.the} and {reference.the} is {mine.words()}, {at} {bound.words()}."
        return f"the {intent.quantity.value} of {body.the} is {mine.words()}, {at} {bound.words()}."
    word = compared_word(intent.quantity, sign, reference)
    if times:
        how = {1: "more than", -1: "less than", 0: "about"}[sign]
        return f"{_of(intent.quantity, body)} is {mine.words()}, {how} {times}that of {rival.the}, {limit.words()}."
    if intent.quantity in SIGNED and sign:
        gap = Measured(value=abs(mine.minus(limit).value), stddev=0.0)
        return f"{body.the} is {gap.words()} {word} than {rival.the}."
    figures = "" if intent.quantity in SIGNED else f": {mine.words()} against {limit.words()}"
    if sign == 0:
        return (
            f"{body.the} and {rival.the} {same_words(intent.quantity, reference)}{figures}{_error_note(mine, limit)}."
        )
    return f"{body.the} is {word} than {rival.the}{figures}."


def _of(quantity: Quantity, body: Body) -> str:
    return f"the {quantity.value} of {body.the}"


def _error_note(a: Measured, b: Measured) -> str:
    return "" if a.stddev == 0 and b.stddev == 0 else "; the difference is within the measuring error"


def same_words(quantity: Quantity, reference: Body | None = None) -> str:
    """What is said of things that do not differ.

    Args:
        quantity: compared.
        reference: of a distance; None: the viewer.

    Returns:
        Such as "have about the same height".
    """
    source = "" if reference is None else f" from {reference.the}"
    return f"have about the same {quantity.value}{source}"


def compared_word(quantity: Quantity, sign: int, reference: Body | None = None) -> str:
    """The comparing word, with what a distance is measured from.

    Args:
        quantity: compared.
        sign: 1 more, -1 less, 0 the same.
        reference: of a distance; None: the viewer.

    Returns:
        Such as "taller", "about as tall", "closer to the mug 7".
    """
    word = COMPARED_WITH[quantity][{1: 0, -1: 1, 0: 2}[sign]]
    word = f"about {word}" if sign == 0 else word
    return word if reference is None else f"{word} {'to' if word.endswith('closer') else 'from'} {reference.the}"


def _compared_step(
    intent: Compare, body: Body, mine: Measured, rival: Body | None, limit: Measured, reference: Body | None
) -> str:
    """The two numbers, their difference and the bound of its error."""
    difference = mine.minus(limit, intent.factor)
    source = "" if reference is None else f" from {reference.name}"
    whose = "bound" if rival is None else rival.name
    times = "" if intent.factor == 1.0 else f"{intent.factor:g} x "
    return (
        f"{intent.quantity.value}{source}: {body.name} {mine.figures()}, {times}{whose} {limit.figures()}; difference "
        f"{Measured(value=difference.value, stddev=0.0, unit=difference.unit).figures()}{error_words(difference)}."
    )


def error_words(difference: Measured) -> str:
    """The bound within which a difference counts as none.

    Args:
        difference: with its error.

    Returns:
        Such as ", 2 standard deviations are 0.011 m"; empty without error.
    """
    if difference.stddev == 0:
        return ""
    bound = Measured(value=SIGMAS * difference.stddev, stddev=0.0, unit=difference.unit)
    return f", {SIGMAS:g} standard deviations are {bound.figures()}"


def difference(intent: Difference, context: Context) -> SpatialAnswer:
    """By how much, or how many times, two things differ.

    Args:
        intent: what is asked.
        context: what is known.

    Returns:
        A number of at least 0; the sentence says which way.
    """
    things = [thing for thing in (intent.subject, intent.other, intent.reference) if thing is not None]

    def compute(subject: Meaning, other: Meaning, reference: Meaning | None = None) -> Finding:
        return _difference(intent, subject.one, other.one, None if reference is None else reference.one, context)

    return settled(things, context, compute)


def _difference(intent: Difference, body: Body, other: Body, reference: Body | None, context: Context) -> Finding:
    mine = amount(intent.quantity, body, context, reference)
    theirs = amount(intent.quantity, other, context, reference)
    by = mine.minus(theirs)
    step = (
        f"{intent.quantity.value}: {body.name} {mine.figures()}, {other.name} {theirs.figures()}; difference "
        f"{by.figures()}{error_words(by)}."
    )
    bodies = [body, other, *([reference] if reference else [])]
    if intent.as_ratio and theirs.value > 0:
        ratio = Measured(value=mine.value / theirs.value, stddev=0.0, unit="1")
        words = f"{ratio.value:.2f}"
        equal = COMPARED_WITH[intent.quantity][2]
        sentence = f"The {body.name} is {words} times {equal} as {other.the}: {mine.words()} against {theirs.words()}."
        return a_number(ratio, words, (sentence,), bodies=bodies, steps=(step,))
    size = Measured(value=abs(by.value), stddev=by.stddev, unit=by.unit)
    words = size.words(intent.unit)
    word = compared_word(intent.quantity, by.sign, reference)
    if by.sign == 0:
        same = same_words(intent.quantity, reference)
        sentence = f"The {body.name} and {other.the} {same}{_error_note(mine, theirs) or ': no difference'}."
    else:
        figures = (
            "" if intent.quantity in SIGNED else f": {mine.words(intent.unit)} against {theirs.words(intent.unit)}"
        )
        sentence = f"The {body.name} is {words} {word} than {other.the}{figures}."
    return a_number(size, words, (sentence,), bodies=bodies, steps=(step,))
