"""Grammar: which tokens may come next, so that what a language model writes can always be read.

::

    line    : "bbox_" index "=Bbox(" class "," u "," v "," z "," angle "," sx "," sy "," sz ")" newline
    text    : line* <|im_end|>              the last line's newline may be missing
    index   : 0, 1, 2, ...                  counted, so always forced
    number  : 0 | 1..9 | 10..99 | 100..999  without leading zeros

It works on token ids, never on strings: each part (the head of a line, a class, a comma, the end of a line) is the
token sequence the tokenizer itself makes of it where it stands, and Qwen's pre-tokenisation always cuts between the
parts, so their concatenation is what the tokenizer makes of the whole text. With a closed vocabulary what is allowed is
exactly the canonical tokenisation of every text of the grammar. With an open vocabulary the same holds for everything
but the class: there every canonical tokenisation of an allowed label is accepted, and beside it other token sequences
of the same label (``(ch`` ``air`` for ``(chair``), since which pieces merge depends on the whole label. Either can be
read: labels are valid UTF-8, of bounded length, without ``=``, line breaks or control characters, and with a comma only
where a word follows ("man, in red"); a digit behind a comma begins the numbers. ``label_bytes.writable_label`` brings
any words into this form, so that text to learn from holds nothing that could not be written.

A tokenizer of the split "fields" (``tokenizer_splits``) has one token per number, comma included. There a number is one
choice among 1000, and a line always ends with its newline: released checkpoints leave out the last one, ours never do.

States are immutable and shared. What is allowed in many places is one ``TokenSet``, so that backends can keep its mask.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple

from n3d_ros.codec.box_code import checked_label
from n3d_ros.codec.label_bytes import LabelBytes
from n3d_ros.codec.token_set import TokenSet
from n3d_ros.errors import ConfigurationError, InputError

if TYPE_CHECKING:
    from n3d_ros.codec.tokenizer import Tokenizer

MAX_BOXES = 256  # as many as a frame may hold, see inference/grounder.py
MAX_CLASSES = 2048
NUMBERS = 7  # u, v, z, angle, sx, sy, sz
ANGLE = 3  # which of them is the angle
MAX_DIGITS = 3  # bins are 0 to 999
ZERO_ANGLE = "500"  # bin of no turn; all boxes published with N3D-VLM have it
KEPT_TOKENIZERS = 8  # whose parts and sets are kept; a process has one, tests have some
KEPT_GRAMMARS = 16  # box grammars kept for the next question of the same kind
SMALL_SET = 64  # states with at most so many ways on remember each of them

_WRONG_CUTS = (
    "expected box text to be cut as Qwen2 cuts it, each digit alone and each class apart, or by fields; this one does "
    "not. "
    "Give the folder of a Qwen2.5-VL or N3D-VLM checkpoint."
)
_LINE = -2  # places before a line's numbers
_CLASS = -1

Yaw = Literal["free", "zero"]
Part = tuple[int, int]
"""Part of a line (0 the class, 1 to 7 the numbers) and how many tokens of it are written."""


class GrammarState:
    """What may follow at one place of a text.

    Args:
        allowed: the tokens; None: any.
        follow: the state after an allowed token.
        is_end: the text is complete, the token before was the last.
        expected: the token that most likely follows, where the grammar has reason to think so; a hint for drafting.
        part: where in a line this is; None: nowhere. Within a class it is the class, though the first number may follow
            too: ``part_of`` tells for a token.
        first_number: tokens that end the class and are the first number.
    """

    __slots__ = ("_after", "_first_number", "_follow", "_forced", "allowed", "expected", "is_end", "only", "part")

    only: int | None
    """The one token that may follow; None when there are several, or none because the text is complete."""

    def __init__(
        self,
        *,
        allowed: TokenSet | None,
        follow: Callable[[int], GrammarState],
        is_end: bool = False,
        expected: int | None = None,
        part: Part | None = None,
        first_number: frozenset[int] = frozenset(),
    ) -> None:
        self.allowed = allowed
        self.is_end = is_end
        self.expected = expected
        self.part = part
        self.only = int(allowed.ids[0]) if not is_end and allowed is not None and len(allowed) == 1 else None
        self._follow = follow
        self._first_number = first_number
        self._after: dict[int, GrammarState] = {}
        self._forced: tuple[int, ...] | None = None

    @property
    def forced(self) -> tuple[int, ...]:
        """The tokens that must follow, up to the next choice or the end."""
        if self._forced is None:
            run: list[int] = []
            state = self
            while (token := state.only) is not None:
                run.append(token)
                state = state.after(token)
            self._forced = tuple(run)
        return self._forced

    def part_of(self, token_id: int) -> Part | None:
        """Where in a line a token stands that is written here.

        Args:
            token_id: an allowed token.

        Returns:
            The part and the place in it; None: in none.
        """
        return (1, 0) if token_id in self._first_number else self.part

    def after(self, token_id: int) -> GrammarState:
        """The state after one more token.

        Args:
            token_id: an allowed token.

        Returns:
            The state.

        Raises:
            InputError: the token is not allowed here.
        """
        state = self._after.get(token_id)
        if state is None:
            if self.is_end or (self.allowed is not None and token_id not in self.allowed):
                wanted = "nothing, the text is complete" if self.is_end else repr(self.allowed)
                raise InputError(f"Grammar: expected {wanted}, got token {token_id}.")
            state = self._follow(token_id)
            if self.allowed is not None and len(self.allowed) <= SMALL_SET:
                self._after[token_id] = state
        return state

    def __repr__(self) -> str:
        return f"GrammarState({'end' if self.is_end else self.allowed}, part={self.part})"


def box_grammar(
    tokenizer: Tokenizer, *, classes: Sequence[str] | None = None, max_boxes: int = 64, yaw: Yaw = "free"
) -> GrammarState:
    """The beginning of a list of boxes; no box at all is one too.

    Args:
        tokenizer: of the model.
        classes: the labels that may stand, exactly as given; None: any.
        max_boxes: after so many the text ends.
        yaw: "zero" leaves no angle but 0.

    Returns:
        The first state.

    Raises:
        InputError: a class that cannot stand in a line, or a value out of its range.
        ConfigurationError: the tokenizer does not cut box text as Qwen2's does.
    """
    if not 1 <= max_boxes <= MAX_BOXES:
        raise InputError(f"max_boxes: expected 1 to {MAX_BOXES}, got {max_boxes}.")
    if yaw not in ("free", "zero"):
        raise InputError(f"yaw: expected free or zero, got {yaw!r}.")
    names = None if classes is None else _clean_names(tuple(classes))
    return _box_start(tokenizer, names, max_boxes, yaw)


@lru_cache(maxsize=KEPT_TOKENIZERS)
def free_text(tokenizer: Tokenizer) -> GrammarState:
    """The beginning of a text of any words: all that the tokenizer can write, until the end of the turn.

    Args:
        tokenizer: of the model.

    Returns:
        The first state.
    """
    ends = frozenset(tokenizer.eos_ids)
    words = (token for token in range(tokenizer.vocab_size) if token not in tokenizer.special_ids)
    allowed = TokenSet([*(token for token in words if tokenizer.piece(token)), *ends])
    state = GrammarState(allowed=allowed, follow=lambda token: _END if token in ends else state)
    return state


def _no_way_on(token_id: int) -> GrammarState:
    raise InputError(f"Grammar: expected nothing, the text is complete, got token {token_id}.")


_END = GrammarState(allowed=TokenSet([0]), follow=_no_way_on, is_end=True)


def _clean_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names once each, blanks tidied; an InputError names one that cannot stand in a line."""
    if not 1 <= len(names) <= MAX_CLASSES:
        raise InputError(f"classes: expected 1 to {MAX_CLASSES} names, got {len(names)}; None stands for any.")
    return tuple(dict.fromkeys(checked_label(name) for name in names))


@lru_cache(maxsize=KEPT_GRAMMARS)
def _box_start(tokenizer: Tokenizer, names: tuple[str, ...] | None, max_boxes: int, yaw: Yaw) -> GrammarState:
    return _BoxGrammar(_parts(tokenizer), names, max_boxes, yaw).start


@lru_cache(maxsize=KEPT_TOKENIZERS)
def _parts(tokenizer: Tokenizer) -> _Parts:
    return _Parts(tokenizer)


class _Parts:
    """The token sequences of a line's parts, as the tokenizer makes them where they stand; shared by all grammars."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        encode = tokenizer.encode
        self._tokenizer = tokenizer
        self._sets: dict[frozenset[int], TokenSet] = {}
        self._names: dict[str, tuple[int, ...]] = {}
        self._heads: dict[int, tuple[int, ...]] = {}
        self._label_bytes: LabelBytes | None = None
        self.eos = tokenizer.im_end
        self.bins = tokenizer.bin_ids
        """Tokens of the numbers with their commas; None where digits stand alone."""
        self.first_number = frozenset(self.bins or ())
        self.digits = tuple(self._single(digit) for digit in "0123456789")
        self.comma = self._single(",")
        self.close = tuple(encode(")"))
        self.close_line = tuple(encode(")\n"))
        numbers = "0,10,200,500,7,8,9"
        line = f"bbox_12=Bbox(a,{numbers}"
        whole = [token for number in numbers.split(",") for token in encode(f",{number}")]
        written = whole if self.bins else [token for sign in numbers for token in encode(sign)]
        parts = [*self.head(12), *self.name("a"), *written]
        if encode(line + ")\n") != [*parts, *self.close_line] or encode(line + ")") != [*parts, *self.close]:
            raise ConfigurationError(f"Tokenizer: {_WRONG_CUTS}")

    @property
    def label_bytes(self) -> LabelBytes:
        if self._label_bytes is None:
            tokenizer = self._tokenizer
            pieces = [
                b"" if token in tokenizer.special_ids else tokenizer.piece(token)
                for token in range(tokenizer.vocab_size)
            ]
            digits = () if self.bins else self.digits
            self._label_bytes = LabelBytes(pieces, comma=self.comma, digits=digits, numbers=self.bins or ())
        return self._label_bytes

    def token_set(self, ids: Sequence[int]) -> TokenSet:
        """The one set of these tokens."""
        key = frozenset(ids)
        found = self._sets.get(key)
        if found is None:
            found = self._sets[key] = TokenSet(key)
        return found

    def head(self, index: int) -> tuple[int, ...]:
        """The tokens of ``bbox_<index>=Bbox``; the parenthesis belongs to the class, with which it merges."""
        found = self._heads.get(index)
        if found is None:
            found = self._heads[index] = tuple(self._tokenizer.encode(f"bbox_{index}=Bbox"))
        return found

    def name(self, name: str) -> tuple[int, ...]:
        """The tokens of ``(<name>,``, whose comma may merge with what stands before it; of ``(<name>`` by fields."""
        found = self._names.get(name)
        if found is None:
            before, after = self._tokenizer.encode("bbox_0=Bbox"), self._tokenizer.encode(",0" if self.bins else "0")
            ids = self._tokenizer.encode(f"bbox_0=Bbox({name},0")
            if ids[: len(before)] != before or ids[-len(after) :] != after:
                raise ConfigurationError(f"Tokenizer: {_WRONG_CUTS} Class: {name!r}.")
            if len(self._names) >= 2 * MAX_CLASSES:  # names come from users: bounded
                self._names.clear()
            found = self._names[name] = tuple(ids[len(before) : -len(after)])
        return found

    def _single(self, text: str) -> int:
        ids = self._tokenizer.encode(text)
        if len(ids) != 1:
            raise ConfigurationError(f"Tokenizer: expected one token for {text!r}, got {len(ids)}.")
        return ids[0]


class _Place(NamedTuple):
    """Where a text stands between two tokens.

    Args:
        box: index of the line.
        number: which of its numbers, from 0; behind the last ``NUMBERS``, before the class ``_CLASS``, before the line
            ``_LINE``.
        digits: how many digits of the number are written.
        is_zero: the number is 0, so it takes no further digit.
        is_usual: it is an angle that began like ``ZERO_ANGLE``.
    """

    box: int
    number: int
    digits: int = 0
    is_zero: bool = False
    is_usual: bool = False


class _Way(NamedTuple):
    """Tokens still to come until a place is reached.

    Args:
        tokens: at least one.
        to: the place; None: the end of the text.
        is_expected: the way most likely taken.
    """

    tokens: tuple[int, ...]
    to: _Place | None
    is_expected: bool = False


class _BoxGrammar:
    """The states of one box grammar, made as they are met: sets of ways, as in a subset construction."""

    def __init__(self, parts: _Parts, names: tuple[str, ...] | None, max_boxes: int, yaw: Yaw) -> None:
        self._parts = parts
        self._names = None if names is None else tuple(parts.name(name) for name in names)
        self._max_boxes = max_boxes
        self._yaw = yaw
        self._states: dict[tuple[frozenset[_Way], Part | None], GrammarState] = {}
        self._places: dict[_Place, GrammarState] = {}
        self._label_states: dict[tuple[int, int, int, int], GrammarState] = {}
        self.start = self._at(_Place(0, _LINE))

    def _at(self, place: _Place | None) -> GrammarState:
        """The state at a place."""
        if place is None:
            return _END
        if place.number == _CLASS and self._names is None:
            return self._in_label(place.box, self._parts.label_bytes.start, 0, 0)
        state = self._places.get(place)
        if state is None:
            if place.number >= 0 and self._parts.bins is not None:
                state = self._before_field(place, self._parts.bins)
            elif 0 <= place.number < NUMBERS - 1:
                state = self._in_number(place)
            else:
                state = self._state(self._ways(place), self._part(place))
            self._places[place] = state
        return state

    def _before_field(self, place: _Place, bins: tuple[int, ...]) -> GrammarState:
        """The state before a number that is one token, or behind the last one."""
        if place.number == NUMBERS:
            return self._state(frozenset({_Way(self._parts.close_line, _Place(place.box + 1, _LINE))}), None)
        after = _Place(place.box, place.number + 1)
        is_angle = place.number == ANGLE
        usual = bins[int(ZERO_ANGLE)]
        return GrammarState(
            allowed=self._parts.token_set([usual] if is_angle and self._yaw == "zero" else bins),
            follow=lambda _token: self._at(after),
            expected=usual if is_angle else None,
            part=self._part(place),
        )

    def _in_number(self, place: _Place) -> GrammarState:
        """The state at a place in a number before the last, where each way on is one token: most states are such."""
        parts = self._parts
        ids = [parts.digits[value] for value in self._digits(place)]
        is_usual = bool(ids) and self._after_digit(place, int(ZERO_ANGLE[place.digits])).is_usual

        def follow(token: int) -> GrammarState:
            if token == parts.comma:
                return self._at(_Place(place.box, place.number + 1))
            return self._at(self._after_digit(place, parts.digits.index(token)))

        return GrammarState(
            allowed=parts.token_set([*ids, parts.comma] if self._may_end(place) else ids),
            follow=follow,
            expected=parts.digits[int(ZERO_ANGLE[place.digits])] if is_usual else None,
            part=self._part(place),
        )

    @staticmethod
    def _part(place: _Place) -> Part | None:
        return None if place.number == _LINE else (place.number + 1, place.digits)

    def _ways(self, place: _Place) -> frozenset[_Way]:
        """All ways on from a place."""
        parts = self._parts
        if place.number == _LINE:
            end = _Way((parts.eos,), None)
            if place.box >= self._max_boxes:
                return frozenset({end})
            return frozenset({end, _Way(parts.head(place.box), _Place(place.box, _CLASS), is_expected=True)})
        if place.number == _CLASS:
            assert self._names is not None
            return frozenset(_Way(tokens, _Place(place.box, 0)) for tokens in self._names)
        return frozenset(self._digit_ways(place) + self._number_end_ways(place))

    def _digits(self, place: _Place) -> range:
        """The digits that may follow in a number."""
        if place.digits >= MAX_DIGITS or place.is_zero:
            return range(0)
        if self._yaw == "zero" and place.number == ANGLE:
            return range(int(ZERO_ANGLE[place.digits]), int(ZERO_ANGLE[place.digits]) + 1)
        return range(10)

    @staticmethod
    def _after_digit(place: _Place, value: int) -> _Place:
        """The place behind one more digit."""
        first = place.digits == 0
        is_usual = place.number == ANGLE and (first or place.is_usual) and value == int(ZERO_ANGLE[place.digits])
        return _Place(place.box, place.number, place.digits + 1, first and value == 0, is_usual)

    def _digit_ways(self, place: _Place) -> list[_Way]:
        """One more digit."""
        reached = [(value, self._after_digit(place, value)) for value in self._digits(place)]
        return [_Way((self._parts.digits[value],), to, is_expected=to.is_usual) for value, to in reached]

    def _may_end(self, place: _Place) -> bool:
        """Whether a number may be complete."""
        is_fixed = self._yaw == "zero" and place.number == ANGLE
        return place.digits == MAX_DIGITS if is_fixed else place.digits > 0

    def _number_end_ways(self, place: _Place) -> list[_Way]:
        """The comma to the next number, or the end of the line."""
        parts = self._parts
        if not self._may_end(place):
            return []
        if place.number < NUMBERS - 1:
            return [_Way((parts.comma,), _Place(place.box, place.number + 1))]
        is_full = place.digits == MAX_DIGITS or place.is_zero
        line_end = _Way(parts.close_line, _Place(place.box + 1, _LINE), is_expected=is_full)
        return [line_end, _Way((*parts.close, parts.eos), None)]

    def _state(self, ways: frozenset[_Way], part: Part | None) -> GrammarState:
        """The state before some ways."""
        state = self._states.get((ways, part))
        if state is None:
            expected = [way.tokens[0] for way in ways if way.is_expected]
            state = self._states[ways, part] = GrammarState(
                allowed=self._parts.token_set([way.tokens[0] for way in ways]),
                follow=lambda token: self._follow(ways, part, token),
                expected=expected[0] if expected else None,
                part=part,
            )
        return state

    def _follow(self, ways: frozenset[_Way], part: Part | None, token: int) -> GrammarState:
        """The state after a token: the ways that begin with it, and where one is done, all ways on from there."""
        taken = [way for way in ways if way.tokens[0] == token]
        open_ways = [_Way(way.tokens[1:], way.to, way.is_expected) for way in taken if len(way.tokens) > 1]
        done = [way.to for way in taken if len(way.tokens) == 1]
        if not open_ways and len(done) == 1:
            return self._at(done[0])
        part = None if part is None else (part[0], part[1] + 1)
        reached = [self._ways(place) for place in done if place is not None]
        return self._state(frozenset(open_ways).union(*reached), part)

    def _in_label(self, box: int, byte_state: int, spent: int, tokens: int) -> GrammarState:
        """The state inside a class of an open vocabulary."""
        labels = self._parts.label_bytes
        spent = min(spent, labels.budget)
        fields = self._parts.bins is not None
        if byte_state == labels.comma and spent == labels.budget and not fields:  # nothing but a number may follow
            return self._at(_Place(box, 0))
        key = (box, byte_state, spent, tokens)
        state = self._label_states.get(key)
        if state is None:
            allowed = labels.allowed(byte_state, spent)
            state = self._label_states[key] = GrammarState(
                allowed=allowed,
                follow=lambda token: self._follow_label(box, byte_state, spent, tokens, token),
                expected=self._parts.comma if tokens and self._parts.comma in allowed and not fields else None,
                part=(1, 0) if byte_state == labels.comma and not fields else (0, tokens),  # most likely it is over
                first_number=self._parts.first_number,
            )
        return state

    def _follow_label(self, box: int, byte_state: int, spent: int, tokens: int, token: int) -> GrammarState:
        labels = self._parts.label_bytes
        after = labels.after(byte_state, token)
        if after == labels.done and self._parts.bins is not None:
            return self._at(_Place(box, 1))
        if after == labels.done:
            return self._at(self._after_digit(_Place(box, 0), self._parts.digits.index(token)))
        return self._in_label(box, after, spent + labels.cost(token), tokens + 1)
