"""Which bodies the words of a question mean: by name, number, place, bounds and extremes, in that order.

A definite singular ("the box") that fits several bodies has several meanings; each is followed up. Whatever is tied
within the measuring error is told in a note.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from n3d_ros.errors import StatusCode
from n3d_ros.scene.answers.absence import none_there, nothing
from n3d_ros.scene.answers.amounts import amount, ranked, unit_of
from n3d_ros.scene.answers.body import Body
from n3d_ros.scene.answers.context import TOO_MUCH, Context
from n3d_ros.scene.answers.meaning import Meaning as Meaning
from n3d_ros.scene.answers.meaning import called_so
from n3d_ros.scene.answers.meaning import id_of as id_of
from n3d_ros.scene.answers.measures import Measured
from n3d_ros.scene.answers.places import place_words, stands_at
from n3d_ros.scene.answers.relations import Holds
from n3d_ros.scene.answers.wording import MAX_NAMED, listed
from n3d_ros.scene.questions.question import Extreme, Place, Relation, SizeBound, Thing

MAX_MEANINGS = 16  # combinations of meanings that are followed up
STANDS_OUT = {"m": 1.1, "m^2": 1.2, "m^3": 1.3}  # so many times the next one: "the big box" means it
MAX_SHOWN = 6  # candidates whose numbers a step gives one by one


def meanings(thing: Thing, context: Context, *, named: Sequence[Body] = (), together: bool = False) -> list[Meaning]:
    """What a thing may mean.

    Args:
        thing: the words.
        context: what is known.
        named: bodies that the question named before, for "the other one".
        together: whether all that fit are wanted at once, none among them ("how many", "is there").

    Returns:
        At least one meaning; without ``together`` each has a body.

    Raises:
        UnansweredError: NOT_FOUND or NOT_UNDERSTOOD, with what there is instead.
    """
    whom = tuple(id_of(body) for body in named) if _tells_others(thing) else ()
    key = (id(thing), together, whom, id(context.sight), id(context.bodies))
    if key not in context.work.known:
        found = _meanings(thing, context, named, together=together)
        context.work.known[key] = (found, thing, context.sight, context.bodies)
    known: list[Meaning] = context.work.known[key][0]
    return known


def _tells_others(thing: Thing) -> bool:
    """Whether what was named before matters to a thing, or to one within it."""
    inner = [*(one for place in thing.places for one in place.references)]
    inner += [bound.reference for bound in thing.bounds if bound.reference is not None]
    inner += [thing.extreme.reference] if thing.extreme is not None and thing.extreme.reference is not None else []
    return thing.is_other or any(map(_tells_others, inner))


def _meanings(thing: Thing, context: Context, named: Sequence[Body], *, together: bool) -> list[Meaning]:
    """What a thing may mean, computed anew."""
    left_out = _others(thing, context, named) if thing.is_other else ()
    start = called_so(thing, context, left_out, is_there=not (together or thing.is_any or thing.is_each))
    if not start.bodies and not together:
        raise nothing(thing, context, start.notes, start.steps)
    found = [start]
    for place in thing.places:
        found = _cut((after for one in found for after in _placed(one, place, context, named)), context)
    for bound in thing.bounds:
        found = _cut((after for one in found for after in _bounded(one, bound, context)), context)
    if thing.stands_out is not None and not (together or is_together(thing)):
        found = [_outstanding(one, thing.stands_out, context) for one in found]
    if thing.extreme is not None:
        extreme = thing.extreme
        found = _cut((after for one in found for after in _most(one, extreme, context)), context)
    if together:
        return found
    filled = [one for one in found if one.bodies]
    if not filled and context.work.is_cut:
        raise context.refusal(StatusCode.AMBIGUOUS, TOO_MUCH)
    if not filled:
        raise none_there(thing, context, start.bodies, found[0].notes, found[0].steps)
    if is_together(thing):
        return filled
    return _cut((alone for one in filled for alone in _split(one, thing)), context)


def _cut(found: Iterable[Meaning], context: Context) -> list[Meaning]:
    """At most ``MAX_MEANINGS``, computed one by one; that there are more is remembered."""
    each = iter(found)
    kept = list(islice(each, MAX_MEANINGS))
    if len(kept) == MAX_MEANINGS and next(each, None) is not None:
        context.work.is_cut = True
    return kept


def is_together(thing: Thing) -> bool:
    """Whether a thing means all that fit at once, rather than one of them.

    Args:
        thing: the words.

    Returns:
        True for plurals, "every box" and "any box".
    """
    if thing.extreme is not None:
        return thing.extreme.count > 1
    return thing.phrase.is_plural or thing.is_any or thing.is_each


def _others(thing: Thing, context: Context, named: Sequence[Body]) -> Sequence[Body]:
    """The bodies that "the other one" leaves out."""
    if thing.others_of is None:
        return named
    return [body for one in meanings(thing.others_of, context)[:1] for body in one.bodies]


# --- by place, bound and extreme --------------------------------------------------------------------------------------


def _placed(before: Meaning, place: Place, context: Context, named: Sequence[Body]) -> Iterator[Meaning]:
    """The bodies that stand as asked, for each meaning of the references."""
    carriers = _carriers(before, place, context)
    candidates = (*before.bodies, *carriers)
    if not place.references:
        yield _kept(before, candidates, place, (), context)
        return
    combinations = combined(place.references, context, named=[*named, *_outside(before, place)])
    for refs in combinations:
        found = _kept(before, candidates, place, [body for one in refs for body in one.bodies], context)
        is_sure = len(combinations) == 1  # what is meant by the place need not be told
        yield replace(found, condition=before.condition, assumed=before.assumed) if is_sure else found


def _outside(before: Meaning, place: Place) -> Sequence[Body]:
    """What "the other one" inside a place leaves out: the bodies it is said of, when it is one."""
    return before.bodies if len(before.bodies) == 1 and any(one.is_other for one in place.references) else ()


def _carriers(before: Meaning, place: Place, context: Context) -> tuple[Body, ...]:
    """The surfaces, where what lies under something was asked of anything."""
    asks_carrier = place.relation is Relation.UNDER and before.fitting == len(context.bodies) and place.references
    return context.surfaces if asks_carrier else ()


def _kept(
    before: Meaning, candidates: Sequence[Body], place: Place, references: Sequence[Body], context: Context
) -> Meaning:
    """The candidates that stand so to these references."""
    any_will_do = any(one.is_any for one in place.references)  # "next to a box": each box but itself
    left_out = set() if any_will_do and len(references) > 1 else {id_of(reference) for reference in references}
    tried = [body for body in candidates if id_of(body) not in left_out]
    stands = [
        (body, stands_at(place, body, _without(references, body), context, any_will_do=any_will_do)) for body in tried
    ]
    kept = tuple(body for body, (holds, _) in stands if holds is Holds.YES)
    level = [body.name for body, (holds, _) in stands if holds is Holds.LEVEL]
    how = place_words(place, references, context)
    notes = (f"Left out, at about the same place: {listed(level)}.",) if level and len(level) <= MAX_NAMED else ()
    shown = [step for body, (holds, step) in stands if holds is Holds.YES or len(stands) <= MAX_SHOWN][:MAX_SHOWN]
    names = listed([body.name for body in kept]) or "none"
    return replace(
        before,
        bodies=kept,
        steps=(*before.steps, *shown, f"{how[:1].upper()}{how[1:]}: {names}."),
        notes=(*before.notes, *notes),
        condition=", ".join(filter(None, [before.condition, how])),
        assumed=(*before.assumed, *references),
    )


def _without(bodies: Sequence[Body], body: Body) -> Sequence[Body]:
    """The bodies but one; a lone one stays."""
    return [one for one in bodies if id_of(one) != id_of(body)] if len(bodies) > 1 else bodies


def _bounded(before: Meaning, bound: SizeBound, context: Context) -> Iterator[Meaning]:
    """The bodies within a bound, for each meaning of what it compares with."""
    if bound.reference is None:
        limits = [(Measured(value=bound.bound or 0.0, stddev=0.0, unit=unit_of(bound.quantity)), set[int | str](), "")]
    else:
        limits = [
            (amount(bound.quantity, one.one, context), {id_of(one.one)}, f" of {one.one.name}")
            for one in meanings(bound.reference, context)
        ]
    for limit, left_out, whose in limits:
        measured = [
            (body, amount(bound.quantity, body, context)) for body in before.bodies if id_of(body) not in left_out
        ]
        wanted = 1 if bound.more else -1
        kept = tuple(body for body, value in measured if value.minus(limit).sign == wanted)
        shown = "; ".join(f"{body.name} {value.figures()}" for body, value in measured[:MAX_SHOWN])
        step = f"{bound.quantity.value} {'over' if bound.more else 'under'} {limit.figures()}{whose}: {shown}."
        yield replace(before, bodies=kept, steps=(*before.steps, step[:1].upper() + step[1:]))


def _most(before: Meaning, extreme: Extreme, context: Context) -> Iterator[Meaning]:
    """The bodies with most or least of a quantity, for each meaning of the reference."""
    references: list[Body | None] = [None]
    if extreme.reference is not None:
        references = [one.one for one in meanings(extreme.reference, context)]
    for reference in references:
        yield _extreme(before, extreme, reference, context)


def _extreme(before: Meaning, extreme: Extreme, reference: Body | None, context: Context) -> Meaning:
    """The bodies at the wanted rank, with those that are tied with them."""
    candidates = [body for body in before.bodies if reference is None or id_of(body) != id_of(reference)]
    order = ranked(candidates, extreme.quantity, context, reference, most=extreme.most)
    chosen = order[extreme.rank - 1 : extreme.rank - 1 + extreme.count]
    rest = [pair for pair in order if pair not in chosen]
    tied = tuple(body for body, value in rest if chosen and any(value.minus(own).sign == 0 for _, own in chosen))
    whose = "" if reference is None else f" from {reference.name}"
    shown = "; ".join(f"{body.name} {value.figures()}" for body, value in order[:MAX_NAMED])
    step = f"{extreme.quantity.value}{whose}, {'most' if extreme.most else 'least'} first: {shown}."
    names = listed([body.the for body in tied])
    tie = f"Within the measuring error {names} cannot be told from it." if tied else before.tie
    bodies = tuple(body for body, _ in chosen)
    steps = (*before.steps, step[:1].upper() + step[1:])
    return replace(before, bodies=bodies, steps=steps, tie=tie, tied=tied, reference=reference)


def _outstanding(before: Meaning, stands_out: Extreme, context: Context) -> Meaning:
    """The one of several that an adjective of size means, where it clearly has most or least; else all of them."""
    if len(before.bodies) < 2:
        return before
    order = ranked(before.bodies, stands_out.quantity, context, most=stands_out.most)
    (first, value), (_, next_value) = order[:2]
    low, high = sorted((value, next_value), key=lambda one: one.value)
    clearly = STANDS_OUT.get(value.unit, 1.0)
    shown = "; ".join(f"{body.name} {one.figures()}" for body, one in order[:MAX_NAMED])
    step = f"{stands_out.quantity.value}, {'most' if stands_out.most else 'least'} first: {shown}."
    steps = (*before.steps, step[:1].upper() + step[1:])
    if high.minus(low, clearly).sign <= 0:
        return replace(before, steps=steps)
    return replace(before, bodies=(first,), steps=steps)


# --- several meanings, none -------------------------------------------------------------------------------------------


def _split(meaning: Meaning, thing: Thing) -> Iterator[Meaning]:
    """One meaning for each body that "the box" may be; surfaces of a kind count as one."""
    if meaning.one.surface is not None or thing.extreme is not None:
        yield meaning
        return
    for body in meaning.bodies:
        yield replace(meaning, bodies=(body,), among=len(meaning.bodies))


def combined(
    things: Sequence[Thing], context: Context, *, named: Sequence[Body] = (), together: frozenset[int] = frozenset()
) -> list[tuple[Meaning, ...]]:
    """What several things of a question may mean together; later ones know the earlier ones.

    Args:
        things: in the order they are named.
        context: what is known.
        named: bodies named before.
        together: places in ``things`` of those that are wanted all at once.

    Returns:
        At most ``MAX_MEANINGS`` combinations; two definite things mean two bodies where that is possible.
    """
    found: list[tuple[Meaning, ...]] = [()]
    for k, thing in enumerate(things):
        found = _continued(found, thing, context, named, together=k in together)
    return found


def _continued(
    found: Sequence[tuple[Meaning, ...]], thing: Thing, context: Context, named: Sequence[Body], *, together: bool
) -> list[tuple[Meaning, ...]]:
    """Combinations with one thing more; those that mean a body twice only where there are no others.

    What is a shade of the colour that was said is not another thing that the question names as well.
    """
    apart, repeating = list[tuple[Meaning, ...]](), list[tuple[Meaning, ...]]()
    misnamed: Thing | None = None
    for before in found:
        said = [*named, *(body for meaning in before for body in meaning.bodies)]
        for one in meanings(thing, context, named=said, together=together):
            combination = (*before, one)
            if len(apart) == MAX_MEANINGS and not _repeats(combination):
                context.work.is_cut = True
                return apart
            by_shade = next((each.by_shade_of for each in combination if each.by_shade_of is not None), None)
            if _repeats(combination) and by_shade is not None:
                misnamed = by_shade
            else:
                (repeating if _repeats(combination) else apart).append(combination)
    if misnamed is not None and not (apart or repeating):
        raise nothing(misnamed, context, (), ())
    return apart or repeating[:MAX_MEANINGS]


def _repeats(combination: Sequence[Meaning]) -> bool:
    """Whether one body is meant twice by things that each mean one."""
    single = [id_of(meaning.one) for meaning in combination if len(meaning.bodies) == 1]
    return len(set(single)) < len(single)
