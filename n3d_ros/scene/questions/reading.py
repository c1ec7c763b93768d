"""From words to a question: ``read`` says what a text asks, or which words of it were not understood.

Words are evened out, known expressions and noun phrases become one lexeme each, the words that say from where and when
are taken out, and what is left must be a pattern as a whole: no word that means anything is passed over.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache
from typing import Any, cast

from n3d_ros.scene.questions import comparing, distancing, fitting, listing, measuring, ordering, placing, remembering
from n3d_ros.scene.questions.budget import Budget, TooMuchWork
from n3d_ros.scene.questions.clauses import add_clauses
from n3d_ros.scene.questions.courtesy import beginnings, without_choices, without_end, without_hedges
from n3d_ros.scene.questions.lengths import unit_of
from n3d_ros.scene.questions.lexemes import lexemes_of
from n3d_ros.scene.questions.moments import add_moments, without_moment
from n3d_ros.scene.questions.patterns import Grammar, Lexeme, Source
from n3d_ros.scene.questions.question import (
    Changed,
    Count,
    Difference,
    Direction,
    Exists,
    Fits,
    Intent,
    IsPlaced,
    Measure,
    Order,
    Place,
    Quantity,
    Question,
    Relation,
    Thing,
    View,
    Viewpoint,
    Where,
)
from n3d_ros.scene.questions.rephrasing import rephrased
from n3d_ros.scene.questions.things import add_said, add_things
from n3d_ros.scene.questions.viewpoints import add_viewpoints, viewpoints
from n3d_ros.scene.questions.words import Word, words_in

MAX_CHARS = 1024  # of a question; the bound of the interfaces
MAX_WORDS = 120  # beyond it a text is a story

UNDERSTOOD = (
    "where is the red box?",
    "how many boxes are on the table?",
    "is there a blue ball?",
    "what do you see?",
    "is the mug left of the box?",
    "which is taller, the mug or the box?",
    "how far is the mug from the box?",
    "at what o'clock is the mug from the box?",
    "what is the largest object?",
    "does the mug fit in a gap of 10 cm?",
    "what changed in the last minute?",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What came of reading a text.

    Args:
        question: None when it was not understood.
        unread: the words that could not be read; empty when all were.
    """

    question: Question | None
    unread: str = ""


def read(text: str) -> Reading:
    """What a text asks.

    Args:
        text: anything; of a question, at most ``MAX_CHARS`` characters.

    Returns:
        The question; without one, the words that were not understood.
    """
    words, offered = without_choices(words_in(text[: MAX_CHARS + 1]))
    if len(text) > MAX_CHARS or len(words) > MAX_WORDS or not words:
        return Reading(question=None, unread=text[:MAX_CHARS].strip())
    budget = Budget()
    try:
        found = _read_any(text, words, offered, budget)
        if found.question is None:
            for other in dict.fromkeys(way for rest in beginnings(words) for way in rephrased(rest)):
                if (again := _read_any(text, other, offered, budget)).question is not None:
                    return again
        if found.question is not None:
            return found
        return Reading(question=None, unread=_second(text, words, budget) or found.unread or text.strip())
    except TooMuchWork:
        return Reading(question=None, unread=text.strip())


def _read_any(text: str, words: tuple[Word, ...], offered: tuple[Word, ...], budget: Budget) -> Reading:
    """The question of these words, with as little as can be of what stands around it left out."""
    unread: str | None = None
    for rest in beginnings(words):
        said = without_end(rest)
        for kept in dict.fromkeys((without_hedges(said), said)):
            found = _read(text, kept, budget)
            if found.question is None and offered:
                found = _read(text, (*kept, *offered), budget)
            if found.question is not None:
                return found
            unread = found.unread if unread is None or len(found.unread) < len(unread) else unread
    return Reading(question=None, unread=unread or "")


_ASKING = frozenset(("what", "where", "which", "who", "how", "when", "is", "are", "does", "do", "did", "was", "can"))


def _second(text: str, words: Sequence[Word], budget: Budget) -> str | None:
    """The second question of a text that asks two, of which the first alone is understood."""
    for at in range(2, len(words) - 1):
        if words[at].plain in ("and", "?", ".", ";", ",") and words[at + 1].plain in _ASKING:
            if _read(text, without_hedges(without_end(words[:at])), budget).question is not None:
                said = " ".join(word.said for word in words[at:] if word.said)
                return f"{said.lstrip('?.;, ')} (one question at a time)"
            return None
    return None


def _read(text: str, words: tuple[Word, ...], budget: Budget) -> Reading:
    """The question of these words, with viewpoint, moment and unit."""
    lexemes, moment = without_moment(_grammar(), lexemes_of(words), budget)
    furthest, best = 0, lexemes
    for rest, viewpoint, unit in _cores(lexemes, budget):
        source = Source(lexemes=rest, grammar=_grammar(), budget=budget)
        intent = _intent(source)
        if intent is not None and (view := _settled(intent, viewpoint)) is None:
            intent = None
        elif intent is not None:
            intent = _with_unit(_from_there(intent, viewpoint := view or viewpoint), unit)
        if intent is not None:
            return Reading(question=Question(text=text, intent=intent, viewpoint=viewpoint, moment=moment))
        if source.furthest > furthest:
            furthest, best = source.furthest, rest
    return Reading(question=None, unread=" ".join(lexeme.said for lexeme in best[furthest:] if lexeme.said))


def _settled(intent: Intent, viewpoint: Viewpoint) -> Viewpoint | None:
    """The viewpoint of a question; None when the words taken for one cannot mean that here."""
    if viewpoint.view is not View.AT_THING:
        return viewpoint
    if isinstance(intent, (Changed, Order, Count, Fits, Exists)) and not _needs_view(intent):
        return None
    if any(bound.quantity is Quantity.DISTANCE for thing in _things(intent) for bound in thing.bounds):
        return None  # "farther than 30 cm from the bowl" is no viewpoint
    if viewpoint.at is not None:
        return viewpoint
    if isinstance(intent, Direction) and intent.origin is not None:
        return replace(viewpoint, at=intent.origin)
    return None


def _needs_view(intent: Intent) -> bool:
    """Whether a question speaks of sides, which depend on who looks."""
    sides = (Relation.LEFT, Relation.RIGHT, Relation.FRONT, Relation.BEHIND)
    return any(place.relation in sides for thing in _things(intent) for place in thing.places)


def _from_there(intent: Intent, viewpoint: Viewpoint) -> Intent:
    """As in "Where is it" asked of someone who stands at a thing is a direction from there."""
    if viewpoint.view is not View.AT_THING:
        return intent
    if isinstance(intent, Where) and intent.relative_to is None:
        return Direction(target=intent.thing, origin=viewpoint.at, as_clock=True)
    if isinstance(intent, Direction) and intent.origin is None:
        return replace(intent, origin=viewpoint.at)
    return intent


def _cores(lexemes: tuple[Lexeme, ...], budget: Budget) -> Iterator[tuple[tuple[Lexeme, ...], Viewpoint, str | None]]:
    """The question as it stands, then without what may be said of viewpoint and unit."""
    rest, unit = _without_unit(lexemes)
    yield rest, Viewpoint(), unit
    for rule in ("view", "loose_view"):
        for seen in viewpoints(_grammar(), rest, rule, budget):
            yield _without_comma(seen.lexemes), seen.viewpoint, unit


def _without_comma(lexemes: tuple[Lexeme, ...]) -> tuple[Lexeme, ...]:
    while lexemes and lexemes[-1].kind == "mark":
        lexemes = lexemes[:-1]
    return lexemes


def _without_unit(lexemes: tuple[Lexeme, ...]) -> tuple[tuple[Lexeme, ...], str | None]:
    """Without "in centimetres"."""
    for at, lexeme in enumerate(lexemes[:-1]):
        following = lexemes[at + 1].said.lower()
        unit = unit_of(
            {"meters": "metres", "centimeters": "centimetres", "millimeters": "millimetres"}.get(following, following)
        )
        if lexeme.word == "in" and unit is not None:
            return (*_without_comma(lexemes[:at]), *lexemes[at + 2 :]), unit
    return lexemes, None


def _with_unit(intent: Intent, unit: str | None) -> Intent | None:
    """The same question with its answer wanted in a unit; None when it asks for no length."""
    if unit is None:
        return intent
    return replace(intent, unit=unit) if isinstance(intent, (Measure, Difference)) else None


def _intent(source: Source) -> Intent | None:
    """What the lexemes ask, by the first kind of question that takes all of them."""
    for rule in _KINDS:
        for readings in source.grammar.whole(source, rule):
            return cast(Intent, min(readings, key=_strain))
    return None


def _strain(intent: Intent) -> int:
    """How much is hung on the things of a reading where it could be said of the sentence; the least is meant."""
    nested = sum(1 for thing in _things(intent) for place in thing.places for one in place.references if one.is_other)
    if not isinstance(intent, IsPlaced):
        return nested
    firm = (Relation.ON, Relation.INSIDE, Relation.UNDER)
    subject = sum(1 if place.relation in firm else 2 for place in intent.subject.places)
    return (
        nested
        + subject
        + sum(2 for reference in intent.references for place in reference.places if place.relation not in firm)
    )


_KINDS = (
    "changed", "age", "shortest", "choose_placed", "choose", "order", "difference", "fits", "direction", "side",
    "count", "measure", "where", "compare", "exists", "there", "placed", "which", "describe",
)  # fmt: skip


@cache
def _grammar() -> Grammar:
    grammar = Grammar()
    add_things(grammar)
    add_said(grammar)
    add_clauses(grammar)
    placing.add_places(grammar)
    listing.add_lists(grammar)
    measuring.add_measures(grammar)
    comparing.add_comparisons(grammar)
    ordering.add_orders(grammar)
    fitting.add_openings(grammar)
    remembering.add_changes(grammar)
    add_viewpoints(grammar)
    add_moments(grammar)
    for rule, rows in (
        ("changed", remembering.CHANGED), ("age", remembering.AGE), ("describe", remembering.DESCRIBE),
        ("shortest", distancing.SHORTEST),
        ("choose_placed", placing.CHOOSE_PLACED), ("direction", placing.DIRECTION), ("side", placing.SIDE),
        ("count", listing.COUNT), ("where", placing.WHERE), ("exists", listing.EXISTS), ("there", listing.THERE), (
            "placed", placing.PLACED),
        ("which", listing.WHICH), ("choose", comparing.CHOOSE), ("order", ordering.ORDER),
        ("difference", measuring.DIFFERENCE), ("fits", fitting.FITS),
        ("measure", [*distancing.HOW_FAR, *measuring.MEASURE]),
        ("compare", comparing.COMPARE),
    ):  # fmt: skip
        grammar.add(rule, rows)
    for rule in tuple(grammar.rules):
        grammar.start(rule)
    return grammar


def named_things(question: Question) -> tuple[str, ...]:
    """The names of things in a question, for those who look for things by name.

    Args:
        question: that was read.

    Returns:
        Each name once, in the question's order; none for "anything".
    """
    names: dict[str, str] = {}
    for thing in _things(question):
        if thing.phrase.noun is not None or thing.phrase.words:
            names.setdefault(thing.text.casefold(), thing.text)
    return tuple(names.values())


def _things(value: Any) -> Iterator[Thing]:
    """All things in a value, the outer before those it is placed by."""
    if isinstance(value, Thing):
        yield value
    if isinstance(value, tuple):
        for one in value:
            yield from _things(one)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from _things(getattr(value, field.name))


__all__ = ["UNDERSTOOD", "Place", "Reading", "named_things", "read"]
