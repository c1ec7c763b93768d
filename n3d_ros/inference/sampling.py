"""Which of the allowed tokens is taken: the likeliest, or one drawn by a seeded generator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from n3d_ros.errors import BackendError, InputError
from n3d_ros.inference.backend import MAX_TOP_K, Choices


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """One token and how sure the model was of it.

    Args:
        token_id: the token.
        log_prob: log of its share among the allowed tokens, at temperature 1.
        log_mass: log of the allowed tokens' share of the whole vocabulary: how little the model wanted to leave the
            grammar (0: not at all).
    """

    token_id: int
    log_prob: float
    log_mass: float


class Sampler:
    """Takes one token per place. Greedy at temperature 0, otherwise drawn: one random number per token taken.

    Args:
        temperature: 0 takes the likeliest; above, logits are divided by it.
        top_p: the likeliest tokens are kept until they hold this share, above 0 to 1.
        top_k: at most so many are kept, 1 to 64; 0 means 64.
        seed: of the random numbers.

    Raises:
        InputError: a value out of its range.
    """

    def __init__(self, *, temperature: float = 0.0, top_p: float = 1.0, top_k: int = 0, seed: int = 0) -> None:
        if not (np.isfinite(temperature) and temperature >= 0.0):
            raise InputError(f"temperature: expected 0 or more, got {temperature}.")
        if not 0.0 < top_p <= 1.0:
            raise InputError(f"top_p: expected above 0 to 1, got {top_p}.")
        if not 0 <= top_k <= MAX_TOP_K:
            raise InputError(f"top_k: expected 0 to {MAX_TOP_K}, got {top_k}.")
        self._temperature, self._top_p = temperature, top_p
        self._random = np.random.default_rng(seed) if temperature > 0.0 else None
        self.candidates = 1 if self._random is None else top_k or MAX_TOP_K

    def pick(self, choices: Choices, row: int) -> Pick:
        """The token taken at one place.

        Args:
            choices: what the backend says may follow.
            row: which place.

        Returns:
            The token and its log probabilities.

        Raises:
            BackendError: the logits are not numbers, or nothing is allowed.
        """
        logits = choices.logits[row]
        if not np.isfinite(logits[0]):
            raise BackendError(
                f"Logits: expected finite numbers, got {float(logits[0])}. With float16 weights, try bfloat16 or "
                "float32; otherwise the weights are damaged."
            )
        column = 0 if self._random is None else self._draw(logits)
        log_allowed = float(choices.log_allowed[row])
        return Pick(
            token_id=int(choices.token_ids[row, column]),
            log_prob=min(0.0, float(logits[column]) - log_allowed),
            log_mass=min(0.0, log_allowed - float(choices.log_all[row])),
        )

    def _draw(self, logits: np.ndarray) -> int:
        """The column drawn: temperature first, then top-k (by the backend), then top-p, as transformers orders them."""
        assert self._random is not None
        scaled = logits[: self.candidates].astype(np.float64) / self._temperature
        weights = np.exp(scaled - scaled[0])  # the likeliest stands first; -inf becomes 0
        weights /= weights.sum()
        before = np.cumsum(weights) - weights
        weights[before >= self._top_p] = 0.0
        edges = np.cumsum(weights)
        column = int(np.searchsorted(edges, self._random.random() * edges[-1], side="right"))
        return min(column, int(np.flatnonzero(weights)[-1]))
