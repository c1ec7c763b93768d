"""A small grammar machine: patterns over lexemes, written as text, every reading of them found in bounded work.

A pattern is a row of elements::

    word        a lexeme of that word; "in/on" either of two
    {x:rule}    what a rule reads, kept as x; {rule} reads and forgets
    ( a b | c ) alternatives
    e?          may be missing

A rule is a list of patterns with a function that makes a value from what was kept (None: not a reading after all), or a
function that reads by itself. Results are remembered per rule and place, so that the work stays bounded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

MAX_STEPS = 60_000  # elements tried per question; a long real one takes a few thousand
MAX_SAME_END = 3  # readings of one stretch by one rule that are kept


class TooMuchWork(Exception):  # noqa: N818 - a signal, handled where reading starts
    """A text whose reading would take too long; no question does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lexeme:
    """The smallest piece that the grammar knows.

    Args:
        word: what patterns name it by.
        kind: "word", or what ``value`` is: "rel", "np", "length", ...
        value: what it means, by kind.
        said: the asker's own words.
    """

    word: str
    kind: str = "word"
    value: Any = None
    said: str = ""


Kept = tuple[tuple[str, Any], ...]
Reading = tuple[int, Any]
Reader = Callable[["Source", int], Iterable[Reading]]
Maker = Callable[[dict[str, Any]], Any]


@dataclass(slots=True)
class Source:
    """Lexemes while they are read: what was found at each place, how far reading got, and the work so far."""

    lexemes: tuple[Lexeme, ...]
    grammar: Grammar
    remembered: dict[tuple[str, int], list[Reading]] = field(default_factory=dict)
    furthest: int = 0
    steps: int = 0

    def at(self, place: int) -> Lexeme | None:
        """The lexeme at a place; None behind the last one."""
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise TooMuchWork
        return self.lexemes[place] if place < len(self.lexemes) else None

    def passed(self, place: int) -> None:
        """Notes that everything before a place fits some pattern."""
        self.furthest = max(self.furthest, place)

    def read(self, rule: str, place: int) -> list[Reading]:
        """All readings of a rule at a place: ends and values."""
        key = (rule, place)
        if key not in self.remembered:
            self.remembered[key] = []  # a rule that comes back to itself without a step finds nothing
            self.remembered[key] = _few(self.grammar.readings(self, rule, place))
        return self.remembered[key]


def _few(readings: Iterable[Reading]) -> list[Reading]:
    """Readings without repeats, at most ``MAX_SAME_END`` per end, so that their number stays in proportion."""
    kept, count = list[Reading](), dict[int, int]()
    for end, value in readings:
        if count.get(end, 0) < MAX_SAME_END and (end, value) not in kept:
            count[end] = count.get(end, 0) + 1
            kept.append((end, value))
    return kept


# --- elements ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Literal:
    words: frozenset[str]

    def match(self, source: Source, place: int) -> Iterator[tuple[int, Kept]]:
        lexeme = source.at(place)
        if lexeme is not None and lexeme.word in self.words:
            source.passed(place + 1)
            yield place + 1, ()


@dataclass(frozen=True, slots=True)
class _Rule:
    rule: str
    name: str | None

    def match(self, source: Source, place: int) -> Iterator[tuple[int, Kept]]:
        for end, value in source.read(self.rule, place):
            source.passed(end)
            yield end, () if self.name is None else ((self.name, value),)


@dataclass(frozen=True, slots=True)
class _Row:
    elements: tuple[_Element, ...]

    def match(self, source: Source, place: int, first: int = 0) -> Iterator[tuple[int, Kept]]:
        if first == len(self.elements):
            yield place, ()
            return
        for middle, kept in self.elements[first].match(source, place):
            for end, more in self.match(source, middle, first + 1):
                yield end, kept + more


@dataclass(frozen=True, slots=True)
class _Either:
    ways: tuple[_Row, ...]

    def match(self, source: Source, place: int) -> Iterator[tuple[int, Kept]]:
        for way in self.ways:
            yield from way.match(source, place)


_Element = _Literal | _Rule | _Row | _Either
_PIECE = re.compile(r"\{(?:(\w+):)?(\w+)\}|([()|?])|([^\s(){}|?]+)")


def compiled(pattern: str) -> _Either:
    """A pattern, ready to match.

    Args:
        pattern: as the module's text explains.

    Returns:
        Its alternatives.
    """
    pieces = list(_PIECE.finditer(pattern))
    either, rest = _alternatives(pieces, 0)
    if rest != len(pieces):
        raise ValueError(f"Pattern {pattern!r}: unexpected {pieces[rest][0]!r}.")
    return either


def _alternatives(pieces: list[re.Match[str]], at: int) -> tuple[_Either, int]:
    ways, row = list[_Row](), list[_Element]()
    while at < len(pieces) and pieces[at][3] != ")":
        piece = pieces[at]
        at += 1
        if piece[3] == "|":
            ways.append(_Row(tuple(row)))
            row = []
        elif piece[3] == "?":
            row[-1] = _Either((_Row((row[-1],)), _Row(())))
        elif piece[3] == "(":
            inner, at = _alternatives(pieces, at)
            at += 1
            row.append(inner)
        elif piece[2]:
            row.append(_Rule(piece[2], piece[1]))
        else:
            row.append(_Literal(frozenset(piece[4].split("/"))))
    return _Either((*ways, _Row(tuple(row)))), at


# --- grammar ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Grammar:
    """Rules by name; the kinds of lexemes are rules of their own, which read one lexeme and give its value."""

    rules: dict[str, list[tuple[_Either, Maker]]] = field(default_factory=dict)
    readers: dict[str, Reader] = field(default_factory=dict)

    def add(self, rule: str, patterns: Mapping[str, Maker] | Iterable[tuple[str, Maker]]) -> None:
        """Adds patterns to a rule, in order of preference."""
        rows = patterns.items() if isinstance(patterns, Mapping) else patterns
        self.rules.setdefault(rule, []).extend((compiled(pattern), make) for pattern, make in rows)

    def readings(self, source: Source, rule: str, place: int) -> Iterator[Reading]:
        """Everything that a rule reads at a place."""
        if rule in self.readers:
            yield from self.readers[rule](source, place)
        elif rule in self.rules:
            for either, make in self.rules[rule]:
                for end, kept in either.match(source, place):
                    value = make(dict(kept))
                    if value is not None:
                        yield end, value
        else:
            lexeme = source.at(place)
            if lexeme is not None and lexeme.kind == rule:
                yield place + 1, lexeme.value

    def whole(self, source: Source, rule: str) -> Iterator[Any]:
        """Readings of a rule that take all lexemes, pattern by pattern."""
        for either, make in self.rules[rule]:
            for end, kept in either.match(source, 0):
                if end == len(source.lexemes) and (value := make(dict(kept))) is not None:
                    yield value
