"""A runtime that plays recorded answers: the whole product without weights or a network.

``ReplayBackend`` knows nothing about images. It looks at the words it is asked, takes the record made for them, and
gives each token of the recorded answer all probability, so far as the grammar allows it. Confidence from tokens is
therefore always full.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from n3d_ros.codec.model_input import ImageInput
from n3d_ros.codec.token_set import TokenSet
from n3d_ros.codec.tokenizer import Tokenizer
from n3d_ros.errors import BackendError, InputError
from n3d_ros.inference.backend import Choices, Chunk, KvCache, VisualTokens
from n3d_ros.inference.replay_records import ReplayRecord, exchange, image_digest


@dataclass(frozen=True, slots=True)
class _ReplayImage:
    """An image of which only its size and name are known."""

    count: int
    digest: str


class TokenCache:
    """The tokens of a sequence themselves.

    Args:
        capacity: tokens it can hold.
        token_ids: it begins with.
        image: name of the image among them; None: there is none.
    """

    def __init__(self, capacity: int, token_ids: Sequence[int] = (), image: str | None = None) -> None:
        self.capacity = capacity
        self.token_ids = list(token_ids)
        self.image = image

    @property
    def length(self) -> int:
        """Tokens held."""
        return len(self.token_ids)

    def truncate(self, length: int) -> None:
        """Forgets all tokens from ``length`` on.

        Args:
            length: 0 to the present length.

        Raises:
            InputError: another length.
        """
        if not 0 <= length <= self.length:
            raise InputError(f"truncate: expected 0 to {self.length} tokens, got {length}.")
        del self.token_ids[length:]

    def fork(self) -> TokenCache:
        """A second sequence that begins with the same tokens.

        Returns:
            The copy.
        """
        return TokenCache(self.capacity, self.token_ids, self.image)


class ReplayBackend:
    """Plays recorded answers.

    Args:
        tokenizer: in whose tokens the answers are given.
        records: what to answer; the first that fits is played, without one the answer is empty.
        capacity: longest sequence in tokens.
    """

    name = "replay"
    device = "none (recorded answers)"
    dtype = "none"

    def __init__(self, tokenizer: Tokenizer, records: Sequence[ReplayRecord], *, capacity: int = 8192) -> None:
        self.capacity = capacity
        self.vocab_size = tokenizer.vocab_size
        self._tokenizer = tokenizer
        self._records = tuple(records)
        self._ids: dict[bytes, int] = {}
        for token in range(tokenizer.vocab_size):
            if token not in tokenizer.special_ids:
                self._ids.setdefault(tokenizer.piece(token), token)
        self._ids.pop(b"", None)
        self._longest = max(map(len, self._ids), default=0)

    def encode_image(self, image: ImageInput) -> VisualTokens:
        """The image's name.

        Args:
            image: patches and points.

        Returns:
            As many visual tokens as the image would become.
        """
        return _ReplayImage(image.token_count, image_digest(image))

    def new_cache(self) -> KvCache:
        """An empty sequence.

        Returns:
            The cache.
        """
        return TokenCache(self.capacity)

    def forward(
        self, cache: KvCache, chunk: Chunk, *, choose: Sequence[TokenSet | None] = (), top_k: int = 1
    ) -> Choices | None:
        """Appends the chunk and says what the record holds next.

        Args:
            cache: made by this backend.
            chunk: tokens to append.
            choose: for each of the last tokens, what is allowed after it.
            top_k: columns of the answer; all but the first are empty.

        Returns:
            The recorded token with all probability, per place.

        Raises:
            BackendError: the cache is full or not of this backend.
        """
        if not isinstance(cache, TokenCache):
            raise BackendError("replay: expected a cache that this backend made.")
        if cache.length + len(chunk.token_ids) > cache.capacity:
            raise BackendError(
                f"replay: expected at most {cache.capacity} tokens, got {cache.length + len(chunk.token_ids)}; raise "
                "language_model.capacity.",
                reason="capacity",
            )
        for visual in chunk.visual:
            if isinstance(visual, _ReplayImage):
                cache.image = visual.digest
        cache.token_ids.extend(chunk.token_ids.tolist())
        if not choose:
            return None
        first = cache.length - len(choose) + 1
        chosen = [
            self._next(cache.token_ids[: first + place], cache.image, allowed) for place, allowed in enumerate(choose)
        ]
        return _certain(chosen, top_k)

    def close(self) -> None:
        """Nothing to free."""

    def _next(self, token_ids: Sequence[int], image: str | None, allowed: TokenSet | None) -> int:
        """The token that brings the sequence nearest to its record: the longest allowed piece of what is left."""
        left = self._left(token_ids, image)
        for size in range(min(len(left), self._longest), 0, -1):
            token = self._ids.get(left[:size])
            if token is not None and (allowed is None or token in allowed):
                return token
        end = self._tokenizer.im_end
        return end if allowed is None or end in allowed else int(allowed.ids[0])

    def _left(self, token_ids: Sequence[int], image: str | None) -> bytes:
        """What the record has beyond the sequence; nothing when they differ or there is none."""
        found = exchange(self._tokenizer, token_ids)
        if found is None:
            return b""
        for record in self._records:
            if record.prompt in (None, found.prompt) and record.image in (None, image):
                whole = record.answer.encode()
                return whole[len(found.answer) :] if whole.startswith(found.answer) else b""
        return b""


def _certain(token_ids: Sequence[int], top_k: int) -> Choices:
    """Choices that leave no doubt."""
    rows = len(token_ids)
    ids: NDArray[np.int64] = np.zeros((rows, top_k), dtype=np.int64)
    logits = np.full((rows, top_k), -np.inf, dtype=np.float32)
    ids[:, 0], logits[:, 0] = token_ids, 0.0
    zeros = np.zeros(rows, dtype=np.float32)
    return Choices(token_ids=ids, logits=logits, log_allowed=zeros, log_all=zeros)
