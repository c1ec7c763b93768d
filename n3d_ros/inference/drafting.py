"""Drafter: guesses at the next tokens, which the model verifies in one pass instead of writing them one by one.

A wrong guess costs a little time and changes nothing: what stands in the answer is always the model's own choice.
Three sources, the surest first:

* the grammar: what must follow, and what it expects (a full last number ends its line, another box follows, a box is
  not turned, a class is one token);
* the box before: its class again, until one was another; by option also those of its numbers that were the same in the
  two boxes before;
* the text so far, question included (by option): the tokens that followed the last few tokens the time before.
"""

from __future__ import annotations

from collections.abc import Sequence

from n3d_ros.codec.grammar import GrammarState

CLASS = 0  # the part of a line, see codec/grammar.py
NGRAM_LENGTHS = (4, 3, 2)  # tokens looked up in the text so far, the longest match first


class Drafter:
    """Guesses for one answer.

    Args:
        prompt: the tokens before it.
        expected: whether the grammar's expectations and the class of the last box are guesses.
        repeats: whether the numbers of the last box and the text so far are.
    """

    def __init__(self, prompt: Sequence[int], *, expected: bool = True, repeats: bool = False) -> None:
        self._expected = expected
        self._repeats = repeats
        self._text: list[int] = []
        self._ends: dict[tuple[int, ...], int] = {}
        self._parts: dict[int, tuple[int, ...]] = {}  # of the last box, by part of the line
        self._is_usual: dict[int, bool] = {}  # whether a part may be guessed to be as in the last box
        self._present: int | None = None  # the part of the line that is being written
        self._written: list[int] = []  # of it
        if repeats:
            for token in prompt:
                self._remember(token)

    def accept(self, state: GrammarState, token: int) -> None:
        """Takes note of a token of the answer.

        Args:
            state: before it.
            token: the token.
        """
        if self._repeats:
            self._remember(token)
        here = state.part_of(token)
        if here is None or here[0] != self._present:
            self._end_part()
        if here is None or not (self._repeats or (self._expected and here[0] == CLASS)):
            return
        self._present = here[0]
        self._written.append(token)
        after = state.after(token).part
        if after is None or after[0] != self._present:
            self._end_part()

    def _end_part(self) -> None:
        """Takes note of the part of a line that was written, if there is one."""
        if self._present is None:
            return
        part, written = self._present, tuple(self._written)
        before = self._parts.get(part)
        self._is_usual[part] = part == CLASS if before is None else before == written
        self._parts[part] = written
        self._present, self._written = None, []

    def draft(self, state: GrammarState, limit: int) -> list[int]:
        """Tokens that may follow; each is allowed after those before it.

        Args:
            state: where the answer stands.
            limit: at most so many.

        Returns:
            The guess; empty when there is none.
        """
        guess: list[int] = []
        while len(guess) < limit and not state.is_end:
            token = state.only
            if token is None:
                token = self._next(state, guess)
            if token is None:
                break
            guess.append(token)
            state = state.after(token)
        return guess

    def _next(self, state: GrammarState, guess: list[int]) -> int | None:
        """The likeliest next token; None when nothing speaks for one."""
        candidates = [self._from_last_box(state, guess)]
        if self._repeats:
            candidates.append(self._from_text(state, guess))
        if self._expected:
            candidates.append(state.expected)
        for token in candidates:
            if token is not None and (state.allowed is None or token in state.allowed):
                return token
        return None

    def _from_last_box(self, state: GrammarState, guess: list[int]) -> int | None:
        if state.part is None:
            return None
        part, place = state.part
        last = self._parts.get(part, ())
        begun = [*self._written, *guess][-place:] if place else []
        fits = place < len(last) and tuple(begun) == last[:place]
        return last[place] if fits and self._is_usual[part] else None

    def _from_text(self, state: GrammarState, guess: list[int]) -> int | None:
        """What followed the last tokens the time before; digits of boxes are left to their own part of the line."""
        if state.part is not None:
            return None
        longest = NGRAM_LENGTHS[0]
        recent = [*self._text[-longest:], *guess][-longest:]
        for length in NGRAM_LENGTHS:
            end = self._ends.get(tuple(recent[-length:])) if len(recent) >= length else None
            if end is not None and end < len(self._text):
                return self._text[end]
        return None

    def _remember(self, token: int) -> None:
        """Appends a token; the n-grams that end just before it become findable."""
        for length in NGRAM_LENGTHS:
            if len(self._text) >= length:
                self._ends[tuple(self._text[-length:])] = len(self._text)
        self._text.append(token)
