"""Which bodies the words of a question mean: by name, number, place, bounds and extremes, in that order.

A definite singular ("the box") that fits several bodies has several meanings; each is followed up. Whatever is tied
within the measuring error is told in a note.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from n3d_ros.errors import StatusCode
from n3d_ros.scene.answers.amounts import age_of, amount, ranked, unit_of
from n3d_ros.scene.answers.body import ANY_SURFACE, SURFACE_NOUNS, Body, body_of
from n3d_ros.scene.answers.comparatives import COMPARED_WITH
from n3d_ros.scene.answers.context import Context
from n3d_ros.scene.answers.describing import place_of
from n3d_ros.scene.answers.measures import Measured, measure, straight
from n3d_ros.scene.answers.relations import SIDE_WORDS, Holds, Standing, standing
from n3d_ros.scene.answers.wording import MAX_NAMED, counted, duration, echo, length, limited, listed
from n3d_ros.scene.phrases import select, vocabulary
from n3d_ros.scene.questions.question import Extreme, Place, Quantity, Relation, SizeBound, Thing

MAX_MEANINGS = 16  # combinations of meanings that are followed up
MAX_SHOWN = 6  # candidates whose numbers a step gives one by one


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Meaning:
    """What a thing may mean.

    Args:
        bodies: meant together, in the scene's order or that of the extreme.
        steps: how they were chosen.
        notes: sentences on how words were taken.
        tied: bodies that are as extreme as those chosen, within the measuring error.
        fitting: how many bodies the name alone fits.
        reference: from what an extreme distance was measured, if a thing was named.
    """

    bodies: tuple[Body, ...]
    steps: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    tied: tuple[Body, ...] = ()
    fitting: int = 0
    reference: Body | None = None

    @property
    def one(self) -> Body:
        """The body; of several the first."""
        return self.bodies[0]


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
    start = _called(thing, context, named)
    if not start.bodies and not together:
        raise _nothing(thing, context, start)
    found = [start]
    for place in thing.places:
        found = [after for one in found for after in _placed(one, place, context, named)]
    for bound in thing.bounds:
        found = [after for one in found for after in _bounded(one, bound, context)]
    if thing.extreme is not None:
        found = [after for one in found for after in _most(one, thing.extreme, context)]
    if together:
        return found
    filled = [one for one in found if one.bodies]
    if not filled:
        raise _none_there(thing, context, start, found)
    return filled if is_together(thing) else [alone for one in filled for alone in _split(one, thing)]


def is_together(thing: Thing) -> bool:
    """Whether a thing means all that fit at once, rather than one of them.

    Args:
        thing: the words.

    Returns:
        True for plurals, "every box" and "any box".
    """
    return (
        thing.phrase.is_plural
        or thing.is_any
        or thing.is_each
        or (thing.extreme is not None and thing.extreme.count > 1)
    )


def called(thing: Thing) -> str:
    """How an answer calls a thing that it cannot point at.

    Args:
        thing: the words.

    Returns:
        The words in quotes, with the number if one was said.
    """
    number = f" {thing.id}" if thing.id is not None and str(thing.id) not in thing.text.split() else ""
    return f'"{echo(thing.text or thing.phrase.text)}{number}"'


def told(thing: Thing) -> str:
    """A thing with everything said of it: "box left of the mug".

    Args:
        thing: the words.

    Returns:
        The words without quotes, one line.
    """
    places = [place_told(place) for place in thing.places]
    bounds = [bound_told(bound) for bound in thing.bounds]
    return " ".join([echo(thing.text or thing.phrase.text), *places, *bounds])


def place_told(place: Place) -> str:
    """A place in words: "left of the mug", "within 30 cm of the box".

    Args:
        place: where.

    Returns:
        The words.
    """
    references = listed([f"the {told(one)}" for one in place.references]) or "the viewer"
    if place.within_m is not None and place.relation is Relation.NEXT_TO:
        return f"within {length(place.within_m)} of {references}"
    near = "" if place.within_m is None else f" within {length(place.within_m)}"
    return f"{SIDE_WORDS[place.relation]} {references}{near}"


def bound_told(bound: SizeBound) -> str:
    """A bound in words: "taller than 20 cm".

    Args:
        bound: the bound.

    Returns:
        The words.
    """
    than = (
        Measured(value=bound.bound, stddev=0, unit=unit_of(bound.quantity)).words() if bound.bound is not None else ""
    )
    than = f"the {told(bound.reference)}" if bound.reference is not None else than
    return f"{COMPARED_WITH[bound.quantity][0 if bound.more else 1]} than {than}"


def known_words(context: Context) -> str:
    """What there is instead.

    Args:
        context: what is known.

    Returns:
        One sentence.
    """
    names = [body.name for body in context.bodies]
    return f"I see: {listed(names)}." if names else "I see no objects at all."


# --- by name ----------------------------------------------------------------------------------------------------------


def _called(thing: Thing, context: Context, named: Sequence[Body]) -> Meaning:
    """The bodies that number and phrase fit, without those that "other" leaves out."""
    chosen = select(thing.phrase, context.bodies)
    bodies, notes = chosen.objects, chosen.notes
    if thing.id is not None:
        bodies = tuple(body for body in bodies if body.id == thing.id)
    surfaces = _surfaces(thing, context)
    if not bodies and surfaces:
        bodies, notes = surfaces, ()
    elif not chosen.is_understood and not context.query.open_vocabulary and not _means_surface(thing):
        raise _unknown(thing, context)
    if thing.is_other:
        left_out = {id_of(body) for body in _others(thing, context, named)}
        bodies = tuple(body for body in bodies if id_of(body) not in left_out)
    words = " and ".join(f'"{echo(word)}"' for word in thing.phrase.words) or "anything"
    number = "" if thing.id is None else f" with number {thing.id}"
    names = f": {', '.join(body.name for body in bodies[:MAX_NAMED])}" if bodies else ""
    more = f" and {len(bodies) - MAX_NAMED} more" if len(bodies) > MAX_NAMED else ""
    step = f"{len(bodies)} of {len(context.bodies)} objects fit {words}{number}{names}{more}."
    if bodies and bodies[0].surface is not None:
        step = f"{counted(len(bodies), 'surface')} of the kind {bodies[0].label}{names}."
    return Meaning(bodies=bodies, steps=(" ".join([step, *notes]),), notes=notes, fitting=len(bodies))


def id_of(body: Body) -> int | str:
    """What tells bodies apart.

    Args:
        body: an object or a surface.

    Returns:
        An object's id, a surface's name.
    """
    return body.name if body.id is None else body.id


def _means_surface(thing: Thing) -> bool:
    return thing.phrase.noun == ANY_SURFACE or thing.phrase.noun in SURFACE_NOUNS


def _surfaces(thing: Thing, context: Context) -> tuple[Body, ...]:
    """The surfaces that a noun means, largest first; also what may carry something, when that is asked for."""
    noun = thing.phrase.noun
    carries = noun is None and any(place.relation is Relation.UNDER and place.references for place in thing.places)
    if thing.id is not None or not (carries or _means_surface(thing)):
        return ()
    kind = SURFACE_NOUNS.get(noun or "")
    fitting = [body for body in context.surfaces if kind is None or body.label == kind]
    return tuple(sorted(fitting, key=lambda body: -body.box.volume))


def _others(thing: Thing, context: Context, named: Sequence[Body]) -> Sequence[Body]:
    """The bodies that "the other one" leaves out."""
    if thing.others_of is None:
        return named
    return [body for one in meanings(thing.others_of, context)[:1] for body in one.bodies]


# --- by place, bound and extreme --------------------------------------------------------------------------------------


def _placed(before: Meaning, place: Place, context: Context, named: Sequence[Body]) -> list[Meaning]:
    """The bodies that stand as asked, for each meaning of the references."""
    carriers = _carriers(before, place, context)
    candidates = (*before.bodies, *carriers)
    if not place.references:
        return [_kept(before, candidates, place, (), context)]
    combinations = combined(place.references, context, named=[*named, *_outside(before, place)])
    return [
        _kept(before, candidates, place, [body for one in refs for body in one.bodies], context)
        for refs in combinations
    ]


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
    left_out = {id_of(reference) for reference in references}
    tried = [body for body in candidates if id_of(body) not in left_out]
    stands = [(body, stands_at(place, body, references, context)) for body in tried]
    kept = tuple(body for body, (holds, _) in stands if holds is Holds.YES)
    level = [body.name for body, (holds, _) in stands if holds is Holds.LEVEL]
    how = place_words(place, references, context)
    notes = (f"Left out, within the measuring error: {listed(level)}.",) if level and len(level) <= MAX_NAMED else ()
    shown = [step for body, (holds, step) in stands if holds is Holds.YES or len(stands) <= MAX_SHOWN][:MAX_SHOWN]
    names = listed([body.name for body in kept]) or "none"
    return replace(
        before,
        bodies=kept,
        steps=(*before.steps, *shown, f"{how[:1].upper()}{how[1:]}: {names}."),
        notes=(*before.notes, *notes),
    )


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
    place: Place, body: Body, references: Sequence[Body], context: Context, *, any_will_do: bool = False
) -> tuple[Holds, str]:
    """Whether a body is at a place.

    Args:
        place: relation and largest distance.
        body: the subject.
        references: to each of them; for on, in, under and next to one of them suffices.
        context: what is known.
        any_will_do: whether one reference suffices for sides, too.

    Returns:
        Whether it holds, and a sentence with the numbers.
    """
    found = all_standings(place.relation, body, references, context)
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


def all_standings(relation: Relation, body: Body, references: Sequence[Body], context: Context) -> list[Standing]:
    """How a body stands to each reference; for ``BETWEEN`` to each pair.

    Args:
        relation: asked for.
        body: the subject.
        references: empty: the viewer.
        context: what is known.

    Returns:
        At least one standing.
    """
    if not references:
        return [standing(relation, body, (), context)]
    if relation is Relation.BETWEEN:
        pairs = [(a, b) for k, a in enumerate(references) for b in references[k + 1 :]]
        return [standing(relation, body, pair, context) for pair in islice(pairs, MAX_MEANINGS)] or [
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


def _bounded(before: Meaning, bound: SizeBound, context: Context) -> list[Meaning]:
    """The bodies within a bound, for each meaning of what it compares with."""
    if bound.reference is None:
        limits = [(Measured(value=bound.bound or 0.0, stddev=0.0, unit=unit_of(bound.quantity)), set[int | str](), "")]
    else:
        limits = [
            (amount(bound.quantity, one.one, context), {id_of(one.one)}, f" of {one.one.name}")
            for one in meanings(bound.reference, context)
        ]
    found = list[Meaning]()
    for limit, left_out, whose in limits:
        measured = [
            (body, amount(bound.quantity, body, context)) for body in before.bodies if id_of(body) not in left_out
        ]
        wanted = 1 if bound.more else -1
        kept = tuple(body for body, value in measured if value.minus(limit).sign == wanted)
        shown = "; ".join(f"{body.name} {value.figures()}" for body, value in measured[:MAX_SHOWN])
        step = f"{bound.quantity.value} {'over' if bound.more else 'under'} {limit.figures()}{whose}: {shown}."
        found.append(replace(before, bodies=kept, steps=(*before.steps, step[:1].upper() + step[1:])))
    return found


def _most(before: Meaning, extreme: Extreme, context: Context) -> list[Meaning]:
    """The bodies with most or least of a quantity, for each meaning of the reference."""
    references: list[Body | None] = [None]
    if extreme.reference is not None:
        references = [one.one for one in meanings(extreme.reference, context)]
    return [_extreme(before, extreme, reference, context) for reference in references]


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
    notes = before.notes
    if tied:
        names = listed([body.the for body in tied])
        notes = (*notes, f"Within the measuring error {names} cannot be told from it.")
    bodies = tuple(body for body, _ in chosen)
    steps = (*before.steps, step[:1].upper() + step[1:])
    return replace(before, bodies=bodies, steps=steps, notes=notes, tied=tied, reference=reference)


# --- several meanings, none -------------------------------------------------------------------------------------------


def _split(meaning: Meaning, thing: Thing) -> Iterator[Meaning]:
    """One meaning for each body that "the box" may be; surfaces of a kind count as one."""
    if meaning.one.surface is not None or thing.extreme is not None:
        yield meaning
        return
    for body in meaning.bodies[:MAX_MEANINGS]:
        yield replace(meaning, bodies=(body,))


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
        found = [
            (*before, one)
            for before in found
            for one in meanings(
                thing,
                context,
                named=[*named, *(body for meaning in before for body in meaning.bodies)],
                together=k in together,
            )
        ]
    apart = [one for one in found if not _repeats(one)]
    return (apart or found)[:MAX_MEANINGS]


def _repeats(combination: Sequence[Meaning]) -> bool:
    """Whether one body is meant twice by things that each mean one."""
    single = [id_of(meaning.one) for meaning in combination if len(meaning.bodies) == 1]
    return len(set(single)) < len(single)


def _unknown(thing: Thing, context: Context) -> Exception:
    """What can be asked for, since nothing here is ever called by the noun: that none is found would say nothing."""
    noun = echo(thing.phrase.noun or thing.phrase.text)
    text = limited([
        f'I cannot tell whether something is "{noun}": the objects here are known by colour and shape only.',
        vocabulary(),
    ])  # fmt: skip
    return context.refusal(StatusCode.NOT_UNDERSTOOD, text)


def _nothing(thing: Thing, context: Context, start: Meaning) -> Exception:
    """Nothing is called so; what left the scene is told of."""
    sentences = [f"I see no {called(thing)}."]
    if thing.id is not None:
        known = next((body for body in context.bodies if body.id == thing.id), None)
        sentences += [] if known is None else [f"Number {thing.id} is {known.the}."]
    if thing.is_other:
        sentences = [f"I see no other {called(thing)}."]
    text = limited([*sentences, *start.notes, departed_words(thing, context), known_words(context)])
    return context.refusal(StatusCode.NOT_FOUND, text, *start.steps)


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
    bodies = [body_of(known) for known in context.query.departed]
    fitting = select(thing.phrase, bodies).objects
    return tuple(body for body in fitting if thing.id is None or body.id == thing.id)


def _none_there(thing: Thing, context: Context, start: Meaning, found: Sequence[Meaning]) -> Exception:
    """Things are called so, yet none is where it was said to be."""
    place = "; ".join([*(place_told(one) for one in thing.places), *(bound_told(one) for one in thing.bounds)])
    names = listed([body.the for body in start.bodies])
    text = f"None of the objects that fit {called(thing)} is {place}: I know {names}."
    if not place:
        text = f"There are only {len(start.bodies)} objects that fit {called(thing)}: {names}."
    return context.refusal(StatusCode.NOT_FOUND, limited([text, *found[0].notes]), *found[0].steps)
