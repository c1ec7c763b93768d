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
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from n3d_ros.scene.questions.budget import Budget

MAX_SAME_END = 3  # readings of one stretch by one rule that are kept


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
    budget: Budget = field(default_factory=Budget)
    furthest: int = 0
    words: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        """Keeps the words for a quick look."""
        self.words = frozenset(lexeme.word for lexeme in self.lexemes)

    def at(self, place: int) -> Lexeme | None:
        """The lexeme at a place; None behind the last one."""
        self.budget.spend()
        return self.lexemes[place] if place < len(self.lexemes) else None

    def passed(self, place: int) -> None:
        """Notes that everything before a place fits some pattern."""
        self.furthest = max(self.furthest, place)

    def has_all(self, needs: tuple[frozenset[str], ...]) -> bool:
        """Whether of each set of words one is there."""
        return not any(words.isdisjoint(self.words) for words in needs)

    def read(self, rule: str, place: int) -> list[Reading]:
        """All readings of a rule at a place: ends and values."""
        key = (rule, place)
        if key not in self.remembered:
            self.remembered[key] = []  # a rule that comes back to itself without a step finds nothing
            self.remembered[key] = _few(self.grammar.readings(self, rule, place), self.budget)
        found = self.remembered[key]
        self.budget.spend(len(found))
        return found


def _few(readings: Iterable[Reading], budget: Budget) -> list[Reading]:
    """Readings without repeats, at most ``MAX_SAME_END`` per end, so that their number stays in proportion."""
    kept, count = list[Reading](), dict[int, int]()
    for end, value in readings:
        budget.spend()
        if count.get(end, 0) < MAX_SAME_END and (end, value) not in kept:
            count[end] = count.get(end, 0) + 1
            kept.append((end, value))
    return kept


# --- elements ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Start:
    """What a reading can begin with: words and kinds of lexemes; ``is_open``: also with nothing, or with anything."""

    words: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()
    is_open: bool = False

    def __or__(self, other: Start) -> Start:
        """Either of two."""
        return Start(self.words | other.words, self.kinds | other.kinds, self.is_open or other.is_open)

    def allows(self, lexeme: Lexeme | None) -> bool:
        """Whether a reading can begin with a lexeme."""
        return self.is_open or (lexeme is not None and (lexeme.word in self.words or lexeme.kind in self.kinds))


_OPEN = Start(is_open=True)


@dataclass(frozen=True, slots=True)
class _Literal:
    words: frozenset[str]

    def match(self, source: Source, place: int) -> Iterator[tuple[int, Kept]]:
        lexeme = source.at(place)
        if lexeme is not None and lexeme.word in self.words:
            source.passed(place + 1)
            yield place + 1, ()

    def start(self, _grammar: Grammar) -> Start:
        return Start(words=self.words)


@dataclass(frozen=True, slots=True)
class _Rule:
    rule: str
    name: str | None

    def match(self, source: Source, place: int) -> Iterator[tuple[int, Kept]]:
        for end, value in source.read(self.rule, place):
            source.passed(end)
            yield end, () if self.name is None else ((self.name, value),)

    def start(self, grammar: Grammar) -> Start:
        return grammar.start(self.rule)


@dataclass(slots=True)
class _Row:
    elements: tuple[_Element, ...]
    starts: tuple[Start, ...] = ()

    def match(self, source: Source, place: int, first: int = 0) -> Iterator[tuple[int, Kept]]:
        if first == len(self.elements):
            yield place, ()
            return
        if not self.starts:
            self._find_starts(source.grammar)
        if not self.starts[first].allows(source.at(place)):
            return
        if first == len(self.elements) - 1:
            yield from self.elements[first].match(source, place)
            return
        for middle, kept in self.elements[first].match(source, place):
            for end, more in self.match(source, middle, first + 1):
                yield end, kept + more

    def _find_starts(self, grammar: Grammar) -> None:
        starts, following = list[Start](), _OPEN
        for element in reversed(self.elements):
            own = element.start(grammar)
            following = (
                Start(own.words | following.words, own.kinds | following.kinds, following.is_open)
                if own.is_open
                else own
            )
            starts.append(following)
        self.starts = tuple(reversed(starts))

    def start(self, grammar: Grammar) -> Start:
        if not self.starts and self.elements:
            self._find_starts(grammar)
        return self.starts[0] if self.elements else _OPEN


@dataclass(slots=True)
class _Either:
    ways: tuple[_Row, ...]

    def match(self, source: Source, place: int) -> Iterator[tuple[int, Kept]]:
        for way in self.ways:
            yield from way.match(source, place)

    def start(self, grammar: Grammar) -> Start:
        whole = Start()
        for way in self.ways:
            whole = whole | way.start(grammar)
        return whole

    def needs(self) -> tuple[frozenset[str], ...]:
        """Sets of words of each of which one must be there for the only way to match."""
        if len(self.ways) != 1:
            return ()
        return tuple(words for element in self.ways[0].elements if (words := _needed(element)))


def _needed(element: _Element) -> frozenset[str]:
    if isinstance(element, _Literal):
        return element.words
    if isinstance(element, _Either):
        each = [next((words for one in way.elements if (words := _needed(one))), frozenset()) for way in element.ways]
        return frozenset().union(*each) if all(each) else frozenset()
    return frozenset()


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


@dataclass(frozen=True, slots=True)
class _Pattern:
    either: _Either
    make: Maker
    needs: tuple[frozenset[str], ...]


@dataclass(slots=True)
class Grammar:
    """Rules by name; the kinds of lexemes are rules of their own, which read one lexeme and give its value."""

    rules: dict[str, list[_Pattern]] = field(default_factory=dict)
    readers: dict[str, tuple[Reader, Start]] = field(default_factory=dict)
    starts: dict[str, Start] = field(default_factory=dict)

    def add(self, rule: str, patterns: Iterable[tuple[str, Maker]]) -> None:
        """Adds a rule.

        Args:
            rule: its name, which no rule has yet: two that share one would read each other's texts.
            patterns: in order of preference, each with the function that makes the value.

        Raises:
            ValueError: there is a rule of that name.
        """
        self._check_free(rule)
        rows = self.rules[rule] = []
        for pattern, make in patterns:
            either = compiled(pattern)
            rows.append(_Pattern(either, make, either.needs()))

    def add_reader(self, rule: str, reader: Reader, *kinds: str) -> None:
        """Adds a rule that reads by itself.

        Args:
            rule: its name.
            reader: gives ends and values for a place.
            kinds: of the lexemes it can begin with; none: of any.

        Raises:
            ValueError: there is a rule of that name.
        """
        self._check_free(rule)
        self.readers[rule] = (reader, Start(kinds=frozenset(kinds), is_open=not kinds))

    def _check_free(self, rule: str) -> None:
        """Refuses a name that is taken."""
        if rule in self.rules or rule in self.readers:
            raise ValueError(f"Grammar: there is a rule {rule!r} already; give this one a name of its own.")

    def start(self, rule: str) -> Start:
        """What a rule can begin with."""
        if rule not in self.starts:
            self.starts[rule] = _OPEN  # while it is found, for rules that come back to themselves
            if rule in self.readers:
                self.starts[rule] = self.readers[rule][1]
            elif rule in self.rules:
                whole = Start()
                for pattern in self.rules[rule]:
                    whole = whole | pattern.either.start(self)
                self.starts[rule] = whole
            else:
                self.starts[rule] = Start(kinds=frozenset({rule}))
        return self.starts[rule]

    def readings(self, source: Source, rule: str, place: int) -> Iterator[Reading]:
        """Everything that a rule reads at a place."""
        lexeme = source.at(place)
        if not self.start(rule).allows(lexeme):
            return
        if rule in self.readers:
            yield from self.readers[rule][0](source, place)
        elif rule in self.rules:
            for pattern in self.rules[rule]:
                if not source.has_all(pattern.needs):
                    continue
                for end, kept in pattern.either.match(source, place):
                    value = pattern.make(dict(kept))
                    if value is not None:
                        yield end, value
        elif lexeme is not None:
            yield place + 1, lexeme.value

    def whole(self, source: Source, rule: str) -> Iterator[list[Any]]:
        """Readings of a rule that take all lexemes: one list per pattern that has any."""
        for pattern in self.rules[rule]:
            if source.has_all(pattern.needs):
                found = [
                    value
                    for end, kept in pattern.either.match(source, 0)
                    if end == len(source.lexemes) and (value := pattern.make(dict(kept))) is not None
                ]
                if found:
                    yield found
