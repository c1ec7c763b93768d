"""LabelBytes: which tokens may stand in a label of an open vocabulary, by a machine on their bytes.

A label begins with "(" and ends with the comma that a digit follows. Between them stand characters of valid UTF-8, at
least one that can be seen, none of them "=", a control or bidirectional character, or one that is never seen, and no
white space other than single blanks between words. A comma within a label follows a character and is followed by a
letter, with or without a blank before it ("man, in red"): neither can begin a number, so that every line can be read
while it is written. ``writable_label`` makes such a label of any words.

The machine follows Unicode 15, table 3-7 (well-formed UTF-8).
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from n3d_ros.codec.token_set import TokenSet
from n3d_ros.errors import InputError

MAX_PIECE_BYTES = 32  # longer tokens are no part of a label (Qwen2's longest are runs of blanks and of punctuation)
MAX_LABEL_BYTES = 256  # of UTF-8; a label this long has to end, with what its last token brings beyond

_START, _EMPTY, _TEXT, _BLANK, _COMMA, _COMMA_BLANK, _DONE, _REJECT = range(8)
_ENDS_BY_COMMA = (_TEXT, _BLANK, _COMMA_BLANK)  # where a label that has to end takes a comma
_LETTERS = string.ascii_letters.encode()
_DIGITS = string.digits.encode()
_COMMA_WITHOUT_WORD = re.compile(r"\s*,(?!\s?(?:[A-Za-z]|[^\x00-\x7f\s]))")
_BLANK_BEFORE_COMMA = re.compile(r"\s+,")

_UNSEEN = (
    (0x00, 0x20), (0x7F, 0xA0),  # controls, blanks
    (0xAD, 0xAD), (0x034F, 0x034F), (0x061C, 0x061C), (0x115F, 0x1160), (0x1680, 0x1680), (0x17B4, 0x17B5),
    (0x180E, 0x180E), (0x2000, 0x200B), (0x200E, 0x200F), (0x2028, 0x202F), (0x205F, 0x206F), (0x3000, 0x3000),
    (0x3164, 0x3164), (0xD800, 0xDFFF), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFFB), (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
)  # fmt: skip
"""Controls, white space, surrogates, bidirectional controls and what Unicode 15 has as default ignorable."""
_JOINING = ((0x180B, 0x180D), (0x180F, 0x180F), (0x200C, 0x200D), (0xFE00, 0xFE0F))
"""Joiners and variation selectors: unseen too, but they change how the character before them is written."""


class LabelBytes:
    """The machine over the tokens of one vocabulary.

    Args:
        pieces: the bytes of each token; empty for tokens that are no text.
        comma: the token of the comma alone.
        digits: the tokens of the digits alone; none where numbers are whole tokens.
        numbers: tokens of a comma with a whole number, each of which ends a label; none where digits stand alone.
    """

    start = _START
    """State before the parenthesis."""
    comma = _COMMA
    """State behind a comma: a digit ends the label, a letter or a blank goes on with it."""
    done = _DONE
    """State after the token that begins the first number, or is it."""
    budget = MAX_LABEL_BYTES + 1
    """What a label may cost with its parenthesis; from there on it has to end."""

    def __init__(
        self, pieces: Sequence[bytes], *, comma: int, digits: Sequence[int], numbers: Sequence[int] = ()
    ) -> None:
        self._comma = comma
        self._digits = np.array(sorted(digits), dtype=np.int64)
        self._numbers = np.array(sorted(numbers), dtype=np.int64)
        self._lengths = np.array([len(piece) for piece in pieces], dtype=np.int64)
        usable = np.flatnonzero((self._lengths > 0) & (self._lengths <= MAX_PIECE_BYTES))
        self._usable = usable[np.argsort(-self._lengths[usable], kind="stable")]
        width = int(self._lengths[self._usable].max(initial=1))
        joined = b"".join(pieces[token].ljust(width, b"\0") for token in self._usable.tolist())
        self._bytes = np.frombuffer(joined, dtype=np.uint8).reshape(-1, width)
        self._after: dict[int, NDArray[np.uint8]] = {}
        self._allowed: dict[tuple[int, bool], TokenSet] = {}

    def cost(self, token_id: int) -> int:
        """What a token takes of the budget.

        Args:
            token_id: the token.

        Returns:
            Its bytes.
        """
        return int(self._lengths[token_id])

    def after(self, state: int, token_id: int) -> int:
        """The state after a token's bytes.

        Args:
            state: before it.
            token_id: an allowed token.

        Returns:
            The state.
        """
        return int(self._states_after(state)[token_id])

    def allowed(self, state: int, spent: int) -> TokenSet:
        """The tokens that may follow.

        Args:
            state: where the label stands.
            spent: of the budget. When it is used up, a character is completed and then the label ends.

        Returns:
            The one set of these tokens.
        """
        is_short = spent >= self.budget
        key = (state, is_short)
        found = self._allowed.get(key)
        if found is None:
            found = self._allowed[key] = TokenSet(self._tokens(state, is_short).tolist())
        return found

    def _tokens(self, state: int, is_short: bool) -> NDArray[np.int64]:
        """(K,) int64: the tokens that may follow."""
        if is_short and state in _ENDS_BY_COMMA:
            return self._numbers if len(self._numbers) else np.array([self._comma])
        if is_short and state == _COMMA and len(self._digits):
            return self._digits
        is_allowed = self._states_after(state) != _REJECT
        if state in (_BLANK, _COMMA_BLANK):
            is_allowed[[self._comma, *self._numbers]] = False  # only a label that has to end may end with a blank
        if is_short:  # only the missing bytes: every byte is a token of its own, so there is always a way
            is_allowed &= self._lengths <= _MISSING.get(state, 1)
        return np.flatnonzero(is_allowed)

    def _states_after(self, state: int) -> NDArray[np.uint8]:
        """(V,) uint8: the state after each token."""
        found = self._after.get(state)
        if found is None:
            found = np.full(len(self._lengths), _REJECT, dtype=np.uint8)
            states = np.full(len(self._usable), state, dtype=np.uint8)
            for column in range(self._bytes.shape[1]):
                # Longest first: the tokens that have this byte are a head of the list.
                count = int(np.searchsorted(-self._lengths[self._usable], -column, side="left"))
                states[:count] = _TABLE[states[:count], self._bytes[:count, column]]
            states[states == _DONE] = _REJECT  # what ends a label is known: see below
            found[self._usable] = states
            found[self._numbers] = _DONE if state in _ENDS_BY_COMMA else _REJECT
            if state == _COMMA:
                found[self._digits] = _DONE
            if state in (_BLANK, _COMMA_BLANK):
                found[self._comma] = _COMMA
            self._after[state] = found
        return found


def writable_label(label: str) -> str:
    """The words of a label as an answer in an open vocabulary can hold them, for text to learn from.

    Commas that no word follows ("cup,5"), "=" and unseen characters become blanks; blanks are tidied. A label that can
    be written already comes back as it is.

    Args:
        label: words.

    Returns:
        The words.

    Raises:
        InputError: nothing is left, or more than ``MAX_LABEL_BYTES``.
    """
    words, before = " ".join(label.split()), None
    while words != before:  # what was left out may have parted two commas
        before = words
        words = _COMMA_WITHOUT_WORD.sub(" ", _BLANK_BEFORE_COMMA.sub(",", words)).removeprefix(",")
        words = " ".join(_seen(words).split())
    if not 0 < len(words.encode()) <= MAX_LABEL_BYTES:
        raise InputError(
            f"Label of a box: expected 1 to {MAX_LABEL_BYTES} bytes of UTF-8 that can be seen, got "
            f"{len(words.encode())} from {label[:40]!r}. Shorten the label."
        )
    return words


def _seen(words: str) -> str:
    """The characters of a text that may stand where they stand, the others as blanks."""
    kept: list[str] = []
    state = _EMPTY
    for character in words:
        after = state
        for byte in character.encode("utf-8", "surrogatepass"):
            after = int(_TABLE[after, byte])
        if after in (_REJECT, _DONE):
            character, after = " ", _BLANK if state == _TEXT else state
        kept.append(character)
        state = after
    return "".join(kept)


def _tables() -> tuple[NDArray[np.uint8], dict[int, int]]:
    """(S, 256) uint8: the state after a byte; and of each state within a character how many bytes are missing."""
    rows = [np.full(256, _REJECT, dtype=np.uint8) for _ in range(_REJECT + 1)]
    missing: dict[int, int] = {}
    made: dict[tuple[int, ...], int] = {}

    def state_of(targets: list[int], rest: int) -> int:
        """The state whose continuation bytes lead to these states; one for all that are alike."""
        if all(target == _REJECT for target in targets):
            return _REJECT
        if tuple(targets) not in made:
            row = np.full(256, _REJECT, dtype=np.uint8)
            row[0x80:0xC0] = targets
            made[tuple(targets)] = len(rows)
            missing[len(rows)] = rest
            rows.append(row)
        return made[tuple(targets)]

    def reached(low: int, rest: int, refused: tuple[tuple[int, int], ...]) -> int:
        """The state when the code points from ``low`` on are still possible and ``rest`` bytes are missing."""
        high = low + 64**rest - 1
        near = tuple(span for span in refused if span[0] <= high and span[1] >= low)
        if any(first <= low and high <= last for first, last in near):
            return _REJECT
        if rest == 0:
            return _TEXT
        if not near:
            return state_of([reached(low, rest - 1, ())] * 64, rest)
        return state_of([reached(low + k * 64 ** (rest - 1), rest - 1, near) for k in range(64)], rest)

    for row in (_EMPTY, _TEXT, _BLANK, _COMMA, _COMMA_BLANK):
        refused = _UNSEEN if row == _TEXT else _UNSEEN + _JOINING
        for lead, least, rest in ((0xC0, 0x80, 1), (0xE0, 0x800, 2), (0xF0, 0x10000, 3)):
            bounds = ((0, least - 1), (0x110000, 0x200000))  # longer than need be, beyond Unicode
            for byte in range(lead, {1: 0xE0, 2: 0xF0, 3: 0xF5}[rest]):
                rows[row][byte] = reached((byte - lead) << 6 * rest, rest, refused + bounds)
        rows[row][list(_LETTERS) if row in (_COMMA, _COMMA_BLANK) else range(0x21, 0x7F)] = _TEXT
        rows[row][[ord(","), ord("=")]] = _REJECT
    rows[_START][ord("(")] = _EMPTY
    rows[_TEXT][[ord(" "), ord(",")]] = _BLANK, _COMMA
    rows[_COMMA][list(_DIGITS)] = _DONE
    rows[_COMMA][ord(" ")] = _COMMA_BLANK
    return np.stack(rows), missing


_TABLE, _MISSING = _tables()
