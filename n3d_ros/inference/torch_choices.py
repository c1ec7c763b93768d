"""What may come next, from logits on a device: one transfer to the host per step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from n3d_ros.codec.token_set import TokenSet
from n3d_ros.errors import BackendError, InputError
from n3d_ros.inference.backend import Choices

SMALL_SET = 1024  # token sets up to this size: their logits alone travel to the host; larger ones become a mask


class Chooser:
    """Picks the likeliest allowed tokens. Keeps each token set on the device for as long as the set lives.

    Args:
        vocab_size: of the model.
        device: where logits are.
        synchronize: waits for what is queued on the device.
    """

    def __init__(self, *, vocab_size: int, device: torch.device, synchronize: Callable[[], None]) -> None:
        self._vocab_size, self._device, self._synchronize = vocab_size, device, synchronize
        self._sets: WeakKeyDictionary[TokenSet, Tensor] = WeakKeyDictionary()
        self._host: Tensor | None = None

    def choices(self, logits: Tensor, choose: Sequence[TokenSet | None], top_k: int) -> Choices:
        """The choices after some places.

        Args:
            logits: (L, V) float32.
            choose: what is allowed after each place; None: everything.
            top_k: candidates per place.

        Returns:
            L rows.

        Raises:
            BackendError: logits that are not finite.
        """
        log_all = torch.logsumexp(logits, dim=-1)
        asked = [
            _asked(row, allowed, self._on_device(allowed), top_k) for row, allowed in zip(logits, choose, strict=True)
        ]
        lengths = [len(log_all), *(len(part) for part in asked)]
        values = np.split(self._to_host(torch.cat([log_all, *asked])), np.cumsum(lengths)[:-1])
        if not np.isfinite(values[0]).all():
            raise BackendError(
                "The language model's output is not finite ; load it in bfloat16 or float32 "
                "(`language_model.dtype`), or check the weights."
            )
        token_ids = np.empty((len(choose), top_k), dtype=np.int64)
        chosen = np.full((len(choose), top_k), -np.inf, dtype=np.float32)
        log_allowed = values[0].copy()
        for number, (allowed, answer) in enumerate(zip(choose, values[1:], strict=True)):
            ids, row_logits, log_sum = _answered(answer, allowed)
            order = np.lexsort((ids, -row_logits))[:top_k]
            token_ids[number] = ids[order[0]]  # places without a candidate repeat the best one, with a logit of -inf
            token_ids[number, : len(order)], chosen[number, : len(order)] = ids[order], row_logits[order]
            log_allowed[number] = log_allowed[number] if log_sum is None else log_sum
        return Choices(token_ids=token_ids, logits=chosen, log_allowed=log_allowed, log_all=values[0].copy())

    def _on_device(self, allowed: TokenSet | None) -> Tensor | None:
        """For a small set its ids, for a large one 0 or -inf per token of the vocabulary, on the device."""
        if allowed is None:
            return None
        if allowed not in self._sets:
            if allowed.ids[-1] >= self._vocab_size:
                raise InputError(f"TokenSet: expected ids below {self._vocab_size}, got {allowed.ids[-1]}.")
            ids = torch.tensor(allowed.ids, device=self._device)
            if len(allowed) > SMALL_SET:
                mask = torch.full((self._vocab_size,), float("-inf"), device=self._device)
                ids = mask.index_fill_(0, ids, 0.0)
            self._sets[allowed] = ids
        return self._sets[allowed]

    def _to_host(self, values: Tensor) -> NDArray[np.float32]:
        """(N,) float32 on the host, through pinned memory where there is a GPU."""
        if values.device.type == "cpu":
            result: NDArray[np.float32] = values.numpy()
            return result
        if self._host is None or len(self._host) < len(values):
            self._host = torch.empty(2 * len(values), dtype=torch.float32, pin_memory=True)
        host = self._host[: len(values)]
        host.copy_(values, non_blocking=True)
        self._synchronize()
        copied: NDArray[np.float32] = host.numpy().copy()
        return copied


def _asked(logits: Tensor, allowed: TokenSet | None, mask: Tensor | None, top_k: int) -> Tensor:
    """What the host must know to choose after one place, as one row of float32, which holds ids below 2^24 exactly.

    For a small set its logits; else the candidates' ids, their logits and, with a mask, the log-sum-exp it allows.
    """
    if allowed is not None and mask is not None and len(allowed) <= SMALL_SET:
        return logits.index_select(0, mask)
    masked = logits if mask is None else logits + mask
    if top_k == 1:
        best, ids = masked.max(dim=0, keepdim=True)  # the first of equals, as torch promises
    else:
        least = masked.topk(min(top_k, len(masked))).values[-1]
        ids = torch.nonzero(masked >= least)[:, 0]  # with all that equal the last one: topk takes any of these
        best = masked[ids]
    parts = [ids.to(torch.float32), best]
    if mask is not None:
        parts.append(torch.logsumexp(masked, dim=0, keepdim=True))
    return torch.cat(parts)


def _answered(
    answer: NDArray[np.float32], allowed: TokenSet | None
) -> tuple[NDArray[np.int64], NDArray[np.float32], float | None]:
    """Candidate ids, their logits, and the log-sum-exp over all that are allowed (None: over the vocabulary)."""
    if allowed is not None and len(allowed) <= SMALL_SET:
        top = float(answer.max())
        return allowed.ids, answer, top + float(np.log(np.exp(answer - top).sum()))
    count = len(answer) // 2
    ids, logits = answer[:count].astype(np.int64), answer[count : 2 * count]
    return ids, logits, None if allowed is None else float(answer[-1])
