"""Finding: what one reading of a question comes to; several readings settled into one answer.

Where a question may mean several objects, the answer for each is computed. The same for all is the answer; different
ones are told one by one, with the status AMBIGUOUS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from n3d_ros.errors import StatusCode
from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.scene.answers.body import Body
from n3d_ros.scene.answers.context import Context
from n3d_ros.scene.answers.measures import Measured
from n3d_ros.scene.answers.naming import called
from n3d_ros.scene.answers.resolve import Meaning, combined, id_of, is_together
from n3d_ros.scene.answers.wording import MAX_STEPS, limited
from n3d_ros.scene.questions.question import Thing
from n3d_ros.scene.spatial_answer import SpatialAnswer, ValueType

SAME = "about the same"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Finding:
    """What one reading of a question comes to.

    Args:
        sentences: the answer, most important first.
        value: as in ``SpatialAnswer``.
        kind: of the value.
        words: the value in words.
        unit: of the value.
        clock_hour: for directions.
        bodies: what it rests on, in the order the steps name them.
        steps: how it was reached.
        status: OK, or why there is no value.
    """

    sentences: tuple[str, ...]
    value: bool | float | str | tuple[float, float, float] | None = None
    kind: ValueType = ValueType.NONE
    words: str = ""
    unit: str = ""
    clock_hour: int | None = None
    bodies: tuple[Body, ...] = ()
    steps: tuple[str, ...] = ()
    status: StatusCode = StatusCode.OK


def yes_or_no(
    value: bool, sentences: Sequence[str], *, bodies: Sequence[Body] = (), steps: Sequence[str] = ()
) -> Finding:
    """A finding that is yes or no.

    Args:
        value: which.
        sentences: the answer without "Yes" and "No"; the first one is joined to it.
        bodies: what it rests on.
        steps: how it was reached.

    Returns:
        The finding.
    """
    word = "Yes" if value else "No"
    first = f"{word}, {sentences[0]}" if sentences else f"{word}."
    return Finding(
        sentences=(first, *sentences[1:]),
        value=value,
        kind=ValueType.BOOLEAN,
        words=word.lower(),
        bodies=tuple(bodies),
        steps=tuple(steps),
    )


def deciding(sentences: Sequence[str], holds: Sequence[bool], *, value: bool) -> list[str]:
    """Of what was found of several bodies what decides: what fails where all are asked for, what holds where any is.

    Args:
        sentences: one of each body.
        holds: whether it holds for it.
        value: whether it holds as a whole.

    Returns:
        The sentences that go with the whole, all of them where none does; all but the first begin with a capital.
    """
    kept = [sentence for sentence, one in zip(sentences, holds, strict=True) if one == value] or list(sentences)
    return [*kept[:1], *(f"{one[:1].upper()}{one[1:]}" for one in kept[1:])]


def a_number(
    measured: Measured, words: str, sentences: Sequence[str], *, bodies: Sequence[Body] = (), steps: Sequence[str] = ()
) -> Finding:
    """A finding that is a number.

    Args:
        measured: the number with its unit.
        words: the number in words.
        sentences: the answer.
        bodies: what it rests on.
        steps: how it was reached.

    Returns:
        The finding.
    """
    return Finding(
        sentences=tuple(sentences),
        value=measured.value,
        kind=ValueType.NUMBER,
        words=words,
        unit=measured.unit,
        bodies=tuple(bodies),
        steps=tuple(steps),
    )


def in_words(
    words: str, sentences: Sequence[str], *, bodies: Sequence[Body] = (), steps: Sequence[str] = ()
) -> Finding:
    """A finding that is a name, a side, a colour.

    Args:
        words: the value.
        sentences: the answer.
        bodies: what it rests on.
        steps: how it was reached.

    Returns:
        The finding.
    """
    return Finding(
        sentences=tuple(sentences),
        value=words,
        kind=ValueType.TEXT,
        words=words,
        bodies=tuple(bodies),
        steps=tuple(steps),
    )


def as_triple(vector: FloatArray) -> tuple[float, float, float]:
    """A vector as the value of an answer.

    Args:
        vector: (3,).

    Returns:
        Three floats, no negative zero.
    """
    x, y, z = (float(v) + 0.0 for v in vector)
    return x, y, z


def settled(
    things: Sequence[Thing],
    context: Context,
    compute: Callable[..., Finding],
    *,
    together: frozenset[int] = frozenset(),
    drops_empty: bool = False,
) -> SpatialAnswer:
    """The answer to a question about these things.

    Args:
        things: in the order the question names them.
        context: what is known.
        compute: called with one ``Meaning`` per thing, for each combination of meanings.
        together: places in ``things`` of those that are wanted all at once, even none.
        drops_empty: whether a meaning that fits nothing yields to those that fit something.

    Returns:
        The answer; AMBIGUOUS when combinations differ.

    Raises:
        UnansweredError: a thing is not there or not known.
    """
    combinations = combined(things, context, together=together)
    filled = [one for one in combinations if all(meaning.bodies for meaning in one)]
    combinations = filled if drops_empty and filled else combinations
    findings = [_with_steps(compute(*meanings), meanings) for meanings in combinations]
    if len(findings) > 1:
        findings = [_conditional(one, meanings) for one, meanings in zip(findings, combinations, strict=True)]
    notes = _unique(note for meanings in combinations for meaning in meanings for note in meaning.notes)
    if any(one.value != SAME for one in findings):
        notes = (*notes, *_unique(one.tie for meanings in combinations for one in meanings if one.tie))
    if context.sight is not None and context.sight.note:
        notes = (context.sight.note, *notes)
    if context.work.is_cut:
        notes = (f"There are more meanings than the {len(findings)} that I followed up; name things by number.", *notes)
    elif len(findings) == 1:
        return as_answer(findings[0], context, notes)
    doubtful = [k for k in range(len(things)) if len(_meant(combinations, k)) > 1]
    heads = [
        f"{_possible(combinations, k)} objects match {called(things[k])}."
        for k in doubtful
        if not is_together(things[k]) and not any(one[k].assumed for one in combinations)
    ]
    candidates = [body for one in combinations for k in doubtful for body in one[k].assumed or one[k].bodies]
    return merged(findings, context, notes=notes, heads=_unique(heads), candidates=candidates)


def _meant(combinations: Sequence[Sequence[Meaning]], k: int) -> set[tuple[int | str, ...]]:
    """What a thing means in the combinations, with what was assumed for it."""
    return {tuple(id_of(body) for body in (*one[k].assumed, *one[k].bodies)) for one in combinations}


def _possible(combinations: Sequence[Sequence[Meaning]], k: int) -> int:
    """How many bodies a thing may mean, those included that were not followed up."""
    return max(len(_meant(combinations, k)), *(one[k].among for one in combinations))


def merged(
    findings: Sequence[Finding],
    context: Context,
    *,
    notes: Sequence[str] = (),
    heads: Sequence[str] = (),
    candidates: Sequence[Body] = (),
) -> SpatialAnswer:
    """One answer of several findings: the common one, or all of them as ambiguous.

    Args:
        findings: at least one.
        context: what is known.
        notes: sentences on how words were taken.
        heads: sentences that say what has several meanings.
        candidates: the bodies that could be meant.

    Returns:
        The answer.
    """
    bodies = _unique_bodies(body for one in findings for body in one.bodies)
    steps = _unique(step for one in findings for step in one.steps)
    each = _unique(one.sentences[0] for one in findings)
    if len({(one.status, one.kind, one.words) for one in findings}) == 1 and not context.work.is_cut:
        same = f"The answer is the same for each: {findings[0].words}." if findings[0].words else ""
        whole = replace(findings[0], sentences=(*heads, same, *each), bodies=bodies, steps=steps)
        return as_answer(whole, context, notes)
    head = heads or ["It depends on which one is meant."]
    meant = _unique_bodies(candidates) or bodies
    ambiguous = Finding(status=StatusCode.AMBIGUOUS, sentences=(*head, *each), bodies=meant, steps=steps)
    return as_answer(ambiguous, context, notes)


def as_answer(finding: Finding, context: Context, notes: Sequence[str] = ()) -> SpatialAnswer:
    """The answer that a finding makes.

    Args:
        finding: what was found out.
        context: what is known.
        notes: sentences on how words were taken, told after the first sentence.

    Returns:
        The answer, bounded in length.
    """
    first, rest = finding.sentences[:1], finding.sentences[1:]
    return SpatialAnswer(
        status=finding.status,
        text=limited([*first, *notes, *rest]),
        value=finding.value,
        value_type=finding.kind,
        value_text=finding.words,
        unit=finding.unit,
        clock_hour=finding.clock_hour,
        object_ids=tuple(body.id for body in _unique_bodies(finding.bodies) if body.id is not None),
        steps=finding.steps[:MAX_STEPS],
        stamp_ns=context.scene.stamp_ns,
    )


def _with_steps(finding: Finding, meanings: Sequence[Meaning]) -> Finding:
    """The finding with the steps by which its things were found before its own."""
    steps = _unique(step for meaning in meanings for step in meaning.steps)
    return replace(finding, steps=_unique((*steps, *finding.steps)))


def _conditional(finding: Finding, meanings: Sequence[Meaning]) -> Finding:
    """The finding with what was taken to be meant before its first sentence, where a place has several meanings."""
    condition = "; ".join(meaning.condition for meaning in meanings if meaning.condition)
    if not condition:
        return finding
    head = f"{condition[:1].upper()}{condition[1:]}: {finding.sentences[0]}"
    return replace(finding, sentences=(head, *finding.sentences[1:]))


def _unique(sentences: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(sentences))


def _unique_bodies(bodies: Iterable[Body]) -> tuple[Body, ...]:
    return tuple({id_of(body): body for body in bodies}.values())
