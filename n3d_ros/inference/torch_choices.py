"""What may come next, from logits on a device: one transfer to the host per step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
    """Picks the likeliest allowed tokens. Keeps a large token set's mask on the device for as long as the set lives.

    Args:
        vocab_size: of the model.
        device: where logits are.
        synchronize: waits for what is queued on the device.
    """

    def __init__(self, *, vocab_size: int, device: torch.device, synchronize: Callable[[], None]) -> None:
        self._vocab_size, self._device, self._synchronize = vocab_size, device, synchronize
        self._masks: WeakKeyDictionary[TokenSet, Tensor] = WeakKeyDictionary()
        self._host: Tensor | None = None
        self._host_ids: Tensor | None = None

    def choices(self, logits: Tensor, log_all: Tensor, choose: Sequence[TokenSet | None], top_k: int) -> Choices:
        """The choices after some places.

        Args:
            logits: (L, V) float32.
            log_all: (L,) float32, their log-sum-exp.
            choose: what is allowed after each place; None: everything.
            top_k: candidates per place.

        Returns:
            L rows.

        Raises:
            BackendError: logits that are not finite.
        """
        small = {
            row: allowed for row, allowed in enumerate(choose) if allowed is not None and len(allowed) <= SMALL_SET
        }
        large = {
            row: _of_large_set(logits[row], self._mask(allowed), top_k)
            for row, allowed in enumerate(choose)
            if row not in small
        }
        gathered = [self._of_small_sets(logits, small)] if small else []
        lengths = {row: len(part) for row, part in [*small.items(), *large.items()]}
        host = self._to_host(torch.cat([log_all, *gathered, *large.values()]))
        log_sums, rest = host[: len(log_all)].copy(), host[len(log_all) :]
        if not np.isfinite(log_sums).all():
            raise BackendError(
                "The language model's output is not finite; load it in bfloat16 or float32 "
                "(`language_model.dtype`), or check the weights."
            )
        answers = dict(zip(lengths, np.split(rest, np.cumsum(list(lengths.values()))), strict=False))
        token_ids = np.empty((len(choose), top_k), dtype=np.int64)
        chosen = np.full((len(choose), top_k), -np.inf, dtype=np.float32)
        log_allowed = log_sums.copy()
        for row, allowed in enumerate(choose):
            ids, row_logits, log_sum = _answered(answers[row], allowed)
            order = np.lexsort((ids, -row_logits))[:top_k]
            token_ids[row] = ids[order[0]]  # places without a candidate repeat the best one, with a logit of -inf
            token_ids[row, : len(order)], chosen[row, : len(order)] = ids[order], row_logits[order]
            log_allowed[row] = log_allowed[row] if log_sum is None else log_sum
        return Choices(token_ids=token_ids, logits=chosen, log_allowed=log_allowed, log_all=log_sums)

    def _of_small_sets(self, logits: Tensor, sets: Mapping[int, TokenSet]) -> Tensor:
        """The logits of all that is allowed in some rows, one row after the other, read in one go."""
        width = logits.shape[1]
        ids = np.concatenate([self._checked(allowed).ids + row * width for row, allowed in sets.items()])
        if logits.device.type != "cpu":
            if self._host_ids is None or len(self._host_ids) < len(ids):
                self._host_ids = torch.empty(2 * len(ids), dtype=torch.int64, pin_memory=True)
            staged = self._host_ids[: len(ids)]  # read by the device before the last call came back
            staged.numpy()[:] = ids
            return logits.reshape(-1).index_select(0, staged.to(self._device, non_blocking=True))
        return logits.reshape(-1).index_select(0, torch.from_numpy(ids))

    def _checked(self, allowed: TokenSet) -> TokenSet:
        """A set of tokens that the model has."""
        if allowed.ids[-1] >= self._vocab_size:
            raise InputError(f"TokenSet: expected ids below {self._vocab_size}, got {allowed.ids[-1]}.")
        return allowed

    def _mask(self, allowed: TokenSet | None) -> Tensor | None:
        """0 or -inf per token of the vocabulary, on the device; None where everything is allowed."""
        if allowed is None:
            return None
        if allowed not in self._masks:
            ids = torch.tensor(self._checked(allowed).ids, device=self._device)
            mask = torch.full((self._vocab_size,), float("-inf"), device=self._device)
            self._masks[allowed] = mask.index_fill_(0, ids, 0.0)
        return self._masks[allowed]

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


def _of_large_set(logits: Tensor, mask: Tensor | None, top_k: int) -> Tensor:
    """The candidates' ids after one place, their logits and, with a mask, the log-sum-exp it allows.

    One row of float32, which holds ids below 2^24 exactly.
    """
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
