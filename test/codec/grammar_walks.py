"""Ways through a grammar: along given tokens, and at random."""

from __future__ import annotations

import random
from collections.abc import Sequence

from n3d_ros.codec.grammar import GrammarState


def follow(state: GrammarState, token_ids: Sequence[int]) -> GrammarState:
    """The state after the tokens."""
    for token in token_ids:
        state = state.after(token)
    return state


def random_answer(state: GrammarState, choice: random.Random) -> list[int]:
    """Tokens to the end; what is expected follows nine times of ten, such as a box where the text might end."""
    answer: list[int] = []
    while not state.is_end:
        assert state.allowed is not None
        ids = state.allowed.ids
        token = int(ids[choice.randrange(len(ids))])
        if state.expected is not None and choice.random() < 0.9:
            token = state.expected
        answer.append(token)
        state = state.after(token)
    return answer
