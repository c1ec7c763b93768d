"""Conversations as token ids, and what of each answer is learnt.

The node's own grammar walks along the answer: it says which part of a box each token belongs to and which tokens could
not be others. What the grammar forces is not asked of the model at run time, so it need not be learnt either.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_training.examples.answers import Conversation
from n3d_ros.codec.grammar import GrammarState, box_grammar
from n3d_ros.codec.prompts import build_prompt
from n3d_ros.codec.tokenizer import Tokenizer
from n3d_ros.errors import InputError

SLOTS = ("class", "u", "v", "depth", "angle", "size_x", "size_y", "size_z")
"""Parts of a box, numbered as ``GrammarState.part`` numbers them."""
NO_SLOT = -1
NO_BIN = -1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Turn:
    """A conversation behind an image, in token ids.

    Args:
        kind: of the conversation.
        prompt_ids: (Q,) int64 the user's words and the head of the answer; all behind the image.
        answer_ids: (A,) int64 the answer with the token that ends it.
        is_learnt: (A,) bool which of them count in the loss.
        slots: (A,) int8 part of a box (``SLOTS``), ``NO_SLOT`` for the rest; punctuation within a number has its slot.
        bins: (A,) int16 the whole number at its first token, ``NO_BIN`` elsewhere.
    """

    kind: str
    prompt_ids: NDArray[np.int64]
    answer_ids: NDArray[np.int64]
    is_learnt: NDArray[np.bool_]
    slots: NDArray[np.int8]
    bins: NDArray[np.int16]

    def __len__(self) -> int:
        return len(self.prompt_ids) + len(self.answer_ids)


def image_prefix(tokenizer: Tokenizer, image_tokens: int) -> NDArray[np.int64]:
    """(S,) int64: everything before the words of a question: system text and image.

    Args:
        tokenizer: of the model.
        image_tokens: of the image.

    Returns:
        Token ids.
    """
    return build_prompt(tokenizer, "", image_tokens).prefix_ids


def turn_of(conversation: Conversation, tokenizer: Tokenizer, *, learn_forced: bool, max_boxes: int) -> Turn:
    """A conversation in token ids.

    Args:
        conversation: words.
        tokenizer: of the model.
        learn_forced: whether forced tokens count.
        max_boxes: as the grammar has it.

    Returns:
        Ids and what is learnt of them.

    Raises:
        InputError: an answer that the grammar does not allow, or words that are too long.
    """
    prompt = build_prompt(tokenizer, conversation.user_text, 1).suffix_ids
    answer = np.array([*tokenizer.encode(conversation.answer), tokenizer.im_end], np.int64)
    learnt = np.ones(len(answer), bool)
    slots = np.full(len(answer), NO_SLOT, np.int8)
    bins = np.full(len(answer), NO_BIN, np.int16)
    if conversation.codes is not None:
        states = _states(tokenizer, answer, max_boxes)
        numbers = [number for code in conversation.codes for number in code.bins]
        begun = 0
        for place, (token, state) in enumerate(zip(answer.tolist(), states, strict=True)):
            learnt[place] = learn_forced or state.only is None
            slot, begins = _slot(tokenizer, token, state, begun)
            slots[place] = slot
            if begins:
                bins[place] = numbers[begun]
                begun += 1
    return Turn(kind=conversation.kind, prompt_ids=prompt, answer_ids=answer, is_learnt=learnt, slots=slots, bins=bins)


def allowed_tokens(tokenizer: Tokenizer, turn: Turn, max_boxes: int) -> list[NDArray[np.int64] | None]:
    """The tokens that the grammar allows at each place of an answer.

    Args:
        tokenizer: of the model.
        turn: its answer.
        max_boxes: as for ``turn_of``.

    Returns:
        Ids per token of the answer; None where any may stand, as in free text.
    """
    if (turn.slots == NO_SLOT).all() and len(turn.answer_ids) > 1:
        return [None] * len(turn.answer_ids)
    states = _states(tokenizer, turn.answer_ids, max_boxes)
    return [None if state.allowed is None else state.allowed.ids for state in states]


def number_of(tokenizer: Tokenizer, token: int) -> str | None:
    """The digits that a token adds to a number.

    Args:
        tokenizer: of the model.
        token: any.

    Returns:
        Digits; None for a token that is no part of a number.
    """
    piece = tokenizer.piece(token)
    if tokenizer.bin_ids is None:
        digits = piece
    else:  # a number brings its comma along; digits without it are of a label
        digits = piece[1:] if piece.startswith(b",") else b""
    return digits.decode("ascii") if digits.isdigit() else None


def _slot(tokenizer: Tokenizer, token: int, state: GrammarState, begun: int) -> tuple[int, bool]:
    """The part of a box that a token belongs to, and whether a number begins with it."""
    if tokenizer.bin_ids is not None and number_of(tokenizer, token) is not None and state.part is not None:
        return begun % (len(SLOTS) - 1) + 1, True  # a whole number, which ends the label before it
    slot, written = (NO_SLOT, 0) if state.part is None else state.part
    if slot > 0 and written == 0:
        # A label may go on behind a comma of its own.
        return (slot, True) if number_of(tokenizer, token) is not None else (0, False)
    return slot, False


def _states(tokenizer: Tokenizer, answer: NDArray[np.int64], max_boxes: int) -> list[GrammarState]:
    """The grammar's state before each token of an answer."""
    state = box_grammar(tokenizer, max_boxes=max_boxes)
    states = []
    for token in answer.tolist():
        states.append(state)
        state = state.after(token)
    if not state.is_end:
        raise InputError(
            f"Answer: expected a list of boxes that ends, got {tokenizer.decode(answer.tolist())[-80:]!r}."
        )
    return states
