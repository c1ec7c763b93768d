"""LabelBytes: which tokens may stand in a label of an open vocabulary, by a machine on their bytes.

A label begins with "(" and ends with ",". Between them stand characters of valid UTF-8, at least one, none of them a
comma, "=", a control character, white space other than single blanks between words, or a bidirectional control. The
machine follows Unicode 15, table 3-7 (well-formed UTF-8).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from n3d_ros.codec.token_set import TokenSet

MAX_PIECE_BYTES = 32  # longer tokens are no part of a label (Qwen2's longest are runs of blanks and of punctuation)
BUDGET = 32  # of a label: each token takes one per BYTES_PER_UNIT bytes begun, so at most 32 tokens
BYTES_PER_UNIT = 2  # so that a label has at most 64 bytes, and what its last token has more

(
    _START, _EMPTY, _TEXT, _BLANK, _ONE, _TWO, _THREE, _C2, _E0, _E1, _E1_9A, _E2, _E2_80, _E2_81, _E3, _E3_80, _ED,
    _F0, _F4, _DONE, _REJECT,
) = range(21)  # fmt: skip
_MISSING = {_TWO: 2, _E0: 2, _E1: 2, _E2: 2, _E3: 2, _ED: 2, _THREE: 3, _F0: 3, _F4: 3}  # bytes of a character; else 1
_FIRST_BYTES = {0xE0: _E0, 0xE1: _E1, 0xE2: _E2, 0xE3: _E3, 0xED: _ED, 0xF0: _F0, 0xF4: _F4}  # with rules of their own
_CONTINUATION = range(0x80, 0xC0)


class LabelBytes:
    """The machine over the tokens of one vocabulary.

    Args:
        pieces: the bytes of each token; empty for tokens that are no text.
        comma: the token of the comma alone.
    """

    start = _START
    """State before the parenthesis."""
    done = _DONE
    """State after the comma."""
    budget = BUDGET
    """What a label may cost; from there on it has to end."""

    def __init__(self, pieces: Sequence[bytes], *, comma: int) -> None:
        self._comma = comma
        self._lengths = np.array([len(piece) for piece in pieces], dtype=np.int64)
        usable = np.flatnonzero((self._lengths > 0) & (self._lengths <= MAX_PIECE_BYTES))
        self._usable = usable[np.argsort(-self._lengths[usable], kind="stable")]
        width = int(self._lengths[self._usable].max(initial=1))
        joined = b"".join(pieces[token].ljust(width, b"\0") for token in self._usable.tolist())
        self._bytes = np.frombuffer(joined, dtype=np.uint8).reshape(-1, width)
        self._costs = (-(-self._lengths // BYTES_PER_UNIT)).tolist()
        self._after: dict[int, NDArray[np.uint8]] = {}
        self._allowed: dict[tuple[int, bool], TokenSet] = {}

    def cost(self, token_id: int) -> int:
        """What a token takes of the budget.

        Args:
            token_id: the token.

        Returns:
            1 or more.
        """
        return int(self._costs[token_id])

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
        is_short = spent >= BUDGET
        key = (state, is_short)
        found = self._allowed.get(key)
        if found is None:
            found = self._allowed[key] = TokenSet(self._tokens(state, is_short).tolist())
        return found

    def _tokens(self, state: int, is_short: bool) -> NDArray[np.int64]:
        """(K,) int64: the tokens that may follow."""
        if is_short and state in (_TEXT, _BLANK):
            return np.array([self._comma])
        is_allowed = self._states_after(state) != _REJECT
        if state == _BLANK:
            is_allowed[self._comma] = False  # only a label that has to end may end with a blank
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
            found[self._usable] = states
            if state == _BLANK:
                found[self._comma] = _DONE
            self._after[state] = found
        return found


def _table() -> NDArray[np.uint8]:
    """(21, 256) uint8: the state after a byte."""
    table = np.full((21, 256), _REJECT, dtype=np.uint8)

    def lead(row: int, values: Iterable[int], state: int) -> None:
        table[row, list(values)] = state

    lead(_START, [ord("(")], _EMPTY)
    for row in (_EMPTY, _TEXT, _BLANK):
        lead(row, range(0x21, 0x7F), _TEXT)
        lead(row, [ord(","), ord("=")], _REJECT)
        lead(row, [0xC2], _C2)
        lead(row, range(0xC3, 0xE0), _ONE)
        lead(row, range(0xE1, 0xF0), _TWO)
        for first, state in _FIRST_BYTES.items():
            lead(row, [first], state)
        lead(row, range(0xF1, 0xF4), _THREE)
    lead(_TEXT, [ord(" ")], _BLANK)
    lead(_TEXT, [ord(",")], _DONE)
    for row, state in ((_ONE, _TEXT), (_TWO, _ONE), (_THREE, _TWO), (_E1, _ONE), (_E2, _ONE), (_E3, _ONE)):
        lead(row, _CONTINUATION, state)
    for row in (_E1_9A, _E2_80, _E2_81, _E3_80):
        lead(row, _CONTINUATION, _TEXT)
    lead(_C2, range(0xA1, 0xC0), _TEXT)  # below: C1 control characters, the no-break space
    lead(_E0, range(0xA0, 0xC0), _ONE)
    lead(_ED, range(0x80, 0xA0), _ONE)  # above: surrogates
    lead(_F0, range(0x90, 0xC0), _TWO)
    lead(_F4, range(0x80, 0x90), _TWO)
    for row, byte, state in ((_E1, 0x9A, _E1_9A), (_E2, 0x80, _E2_80), (_E2, 0x81, _E2_81), (_E3, 0x80, _E3_80)):
        lead(row, [byte], state)
    lead(_E1_9A, [0x80], _REJECT)  # U+1680, ogham space
    lead(_E2_80, [*range(0x80, 0x8B), *range(0xA8, 0xB0)], _REJECT)  # spaces, separators, bidirectional embeddings
    lead(_E2_81, [0x9F, *range(0xA6, 0xAA)], _REJECT)  # mathematical space, bidirectional isolates
    lead(_E3_80, [0x80], _REJECT)  # U+3000, ideographic space
    return table


_TABLE = _table()
