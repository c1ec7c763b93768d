"""The boundary every runtime of the language model stands behind: an image encoder, a cache, one forward verb.

::

    visual = backend.encode_image(image)                     once per frame
    cache = backend.new_cache()
    backend.forward(cache, prefix chunk with visual)         prefill
    choices = backend.forward(cache, chunk, choose=(...))    extend (some tokens) or decode (one)
    cache.truncate(length)                                   back to the prefix, or past a rejected draft

Torch, ONNX and TensorRT differ below this line only. A backend is made, used and closed by one thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from n3d_ros.codec.model_input import ImageInput
from n3d_ros.codec.token_set import TokenSet
from n3d_ros.errors import InputError
from n3d_ros.geometry.arrays import Float32Array, frozen_array

MAX_TOP_K = 64  # most candidates per place that come back to the host


class VisualTokens(Protocol):
    """An encoded image, kept where the backend computes."""

    @property
    def count(self) -> int:
        """How many visual tokens it is."""
        ...


class KvCache(Protocol):
    """Keys and values of one token sequence, in buffers of fixed size."""

    @property
    def length(self) -> int:
        """Tokens held."""
        ...

    @property
    def capacity(self) -> int:
        """Tokens it can hold."""
        ...

    def truncate(self, length: int) -> None:
        """Forgets all tokens from ``length`` on; costs nothing.

        Args:
            length: 0 to the present length.
        """
        ...

    def fork(self) -> KvCache:
        """A second cache that begins with the same tokens; neither changes the other.

        Returns:
            The copy.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chunk:
    """Tokens to append to a cache.

    Args:
        token_ids: (S,) int64, at least one.
        position_ids: (3, S) int64 temporal, height and width positions (mRoPE), made by the host.
        visual: encoded images whose tokens stand, in order, where ``token_ids`` holds the image token.
    """

    token_ids: NDArray[np.int64]
    position_ids: NDArray[np.int64]
    visual: tuple[VisualTokens, ...] = ()

    def __post_init__(self) -> None:
        """Checks shapes.

        Raises:
            InputError: no token, or positions of another length.
        """
        ids = frozen_array(self.token_ids, shape=(None,), dtype=np.int64, name="Chunk.token_ids")
        if len(ids) == 0:
            raise InputError("Chunk: expected at least one token, got none.")
        positions = frozen_array(self.position_ids, shape=(3, len(ids)), dtype=np.int64, name="Chunk.position_ids")
        object.__setattr__(self, "token_ids", ids)
        object.__setattr__(self, "position_ids", positions)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Choices:
    """What may come next after each of the last L tokens of a chunk, the likeliest first.

    Args:
        token_ids: (L, K) int64; the lowest id first among equal logits.
        logits: (L, K) float32 of these tokens; -inf where fewer than K are allowed.
        log_allowed: (L,) float32 log-sum-exp of the logits of all allowed tokens.
        log_all: (L,) float32 the same over the whole vocabulary: how much the model wanted to leave the grammar.
    """

    token_ids: NDArray[np.int64]
    logits: Float32Array
    log_allowed: Float32Array
    log_all: Float32Array


class InferenceBackend(Protocol):
    """Runs the networks. Weights are loaded on construction."""

    name: str
    """Such as "torch"."""
    device: str
    """Such as "cuda:0 (NVIDIA ...)" or "cpu (2 threads)"."""
    dtype: str
    """Of the weights: "bfloat16", "float16" or "float32"."""
    vocab_size: int
    capacity: int
    """Longest sequence in tokens, prompt and answer together."""

    def encode_image(self, image: ImageInput) -> VisualTokens:
        """The image through the vision tower.

        Args:
            image: patches and points.

        Returns:
            Its visual tokens.
        """
        ...

    def new_cache(self) -> KvCache:
        """An empty cache of ``capacity`` tokens.

        Returns:
            The cache.
        """
        ...

    def forward(
        self, cache: KvCache, chunk: Chunk, *, choose: Sequence[TokenSet | None] = (), top_k: int = 1
    ) -> Choices | None:
        """Appends the chunk to the cache, and says what may follow its last tokens.

        Args:
            cache: made by this backend.
            chunk: at most ``cache.capacity - cache.length`` tokens.
            choose: for each of the last L <= S tokens of the chunk, what is allowed after it; None: everything.
            top_k: candidates per place, 1 to ``MAX_TOP_K``; 1 is greedy.

        Returns:
            L rows of choices; None when ``choose`` is empty.

        Raises:
            BackendError: the cache is full, or the device failed (out of memory).
        """
        ...

    def close(self) -> None:
        """Frees weights and buffers."""
        ...
