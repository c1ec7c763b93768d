"""From words to lexemes: known expressions, measures and noun phrases become one each.

No dictionary of things is needed: every word that has no part in asking names something.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from n3d_ros.scene.questions.chunks import phrase_at
from n3d_ros.scene.questions.lengths import measure_at, number_at, unit_of
from n3d_ros.scene.questions.lexicon import expression_at, table
from n3d_ros.scene.questions.noun_phrases import DETERMINERS, VIEWERS, NounPhrase, names_something, plain_at
from n3d_ros.scene.questions.patterns import Lexeme
from n3d_ros.scene.questions.words import Word


def lexemes_of(words: Sequence[Word]) -> tuple[Lexeme, ...]:
    """The lexemes of a question.

    Args:
        words: of the question.

    Returns:
        Expressions, measures, noun phrases, numbers and marks in order.
    """
    found = list[Lexeme]()
    at = 0
    while at < len(words):
        end, lexeme = _lexeme_at(words, at, found)
        if lexeme.word == "'s" and not _owns(words, end):
            lexeme = Lexeme(word="be")  # "the mug's on the table"
        found.append(replace(lexeme, said=" ".join(word.said for word in words[at:end] if word.said)))
        at = end
    return tuple(found)


def _owns(words: Sequence[Word], at: int) -> bool:
    """Whether what follows a possessive is what a thing can have: a quantity, a point of view."""
    known = expression_at(words, at) if at < len(words) else None
    return known is not None and (
        known[1].kind in ("quantity", "lateral") or known[1].word in ("point-of-view", "side", "position", "own",
            "view")
        or (known[1].kind in ("sup", "cmp") and _is_quantity(words, at + known[0]))
    )  # fmt: skip


def _is_quantity(words: Sequence[Word], at: int) -> bool:
    known = expression_at(words, at) if at < len(words) else None
    return known is not None and known[1].kind == "quantity"


def _lexeme_at(words: Sequence[Word], at: int, before: Sequence[Lexeme]) -> tuple[int, Lexeme]:
    word = words[at]
    if word.kind == "mark":
        return at + 1, Lexeme(word=word.plain, kind="mark")
    if word.kind == "time":
        return at + 1, Lexeme(word="time:", kind="time", value=word.plain)
    if (measured := measure_at(words, at)) is not None:
        return measured
    if [plain_at(words, at), plain_at(words, at + 1)] == ["how", "many"] and (unit := unit_of(plain_at(words, at + 2))):
        return at + 3, Lexeme(word="units:", kind="units", value=unit)
    known = expression_at(words, at)
    if known is not None and known[1].kind == "lateral" and names_something(words, at + known[0]):
        known = _shorter(words, at)  # "on the left box" is on a box
    if known is not None and known[0] > 1 and known[1].kind != "sup":
        return at + known[0], known[1]
    if (phrase := phrase_at(words, at, before)) is not None:
        end, value = phrase
        return end, _as_lexeme(value, words[at:end])
    if known is not None:
        return at + 1, known[1]
    if (number := number_at(words, at)) is not None:
        return number[0], Lexeme(word="number:", kind="number", value=number[1])
    return at + 1, Lexeme(word=word.plain, kind="unknown")


def _shorter(words: Sequence[Word], at: int) -> tuple[int, Lexeme] | None:
    known = table().get((words[at].plain,))
    return None if known is None else (1, known)


def _as_lexeme(phrase: NounPhrase, words: Sequence[Word]) -> Lexeme:
    said = [word.plain for word in words if word.plain not in DETERMINERS]
    if len(said) == 1 and said[0] in VIEWERS:
        return Lexeme(word="viewer:", kind="viewer", value=said[0])
    if phrase.is_bare_extreme:
        return Lexeme(word="extreme:", kind="extreme", value=phrase)
    return Lexeme(word="thing:", kind="np", value=phrase)
