"""PrefixStore: caches that hold the beginning of prompts about an image, so that it is computed once per frame."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from n3d_ros.codec.model_input import ImageInput, Prompt
from n3d_ros.errors import InputError
from n3d_ros.geometry.arrays import Float32Array
from n3d_ros.inference.backend import Chunk, InferenceBackend, KvCache, VisualTokens
from n3d_ros.inference.positions import next_position, prompt_positions

SAMPLE_STEP = 4099  # every so many values are compared before all are; a prime, so that no row or column is missed


@dataclass(slots=True, kw_only=True, eq=False)
class Prefix:
    """A prompt's beginning in a cache.

    Args:
        cache: holds the prefix, and during an answer what follows it.
        length: tokens of the prefix.
        position: at which text goes on behind it.
        pending: the prefix itself while it is not in the cache yet: it goes with the first question, since one long
            forward is faster than two.
        is_reused: it was there already.
        is_sound: whether the cache can be trusted; not while a forward runs, nor after one that failed.
        vision_ms: what encoding the image took this time.
        prefill_ms: what computing the prefix took this time.
    """

    cache: KvCache
    length: int
    position: int
    pending: Chunk | None = None
    is_reused: bool = False
    is_sound: bool = True
    vision_ms: float = 0.0
    prefill_ms: float = 0.0

    def rewind(self, cache: KvCache | None = None) -> None:
        """Forgets everything behind the prefix.

        Args:
            cache: one that began as a fork of the prefix's; None: the prefix's own.
        """
        if self.pending is None:
            (cache or self.cache).truncate(self.length)

    def with_question(self, chunk: Chunk) -> Chunk:
        """The chunk to append for a question: with the prefix before it while that is pending.

        Args:
            chunk: the question.

        Returns:
            What to hand to the backend. The prefix counts as computed from then on.
        """
        prefix, self.pending = self.pending, None
        if prefix is None:
            return chunk
        return Chunk(
            token_ids=np.concatenate([prefix.token_ids, chunk.token_ids]),
            position_ids=np.concatenate([prefix.position_ids, chunk.position_ids], axis=1),
            visual=prefix.visual,
        )

    def complete(self, backend: InferenceBackend) -> None:
        """Computes the prefix alone where it is pending, so that it can be forked.

        Args:
            backend: which made the cache.
        """
        if self.pending is None:
            return
        start = time.perf_counter()
        prefix, self.pending, self.is_sound = self.pending, None, False
        backend.forward(self.cache, prefix)
        self.is_sound = True
        self.prefill_ms = (time.perf_counter() - start) * 1e3


@dataclass(frozen=True, slots=True, eq=False)
class _Kept:
    """A prefix and what it is about."""

    image: ImageInput | None
    ids: NDArray[np.int64]
    prefix: Prefix


class PrefixStore:
    """Keeps the newest prefixes.

    Args:
        backend: computes them.
        image_token: the id that stands for visual tokens.
        kept: how many are kept, each in a cache of its own; at least one.

    Raises:
        InputError: a count below one.
    """

    def __init__(self, backend: InferenceBackend, *, image_token: int, kept: int = 1) -> None:
        if kept < 1:
            raise InputError(f"Kept prefixes: expected at least 1, got {kept}.")
        self._backend = backend
        self._image_token = image_token
        self._kept = kept
        self._entries: list[_Kept] = []  # the oldest first

    def get(self, prompt: Prompt, image: ImageInput | None, *, checkpoint: Callable[[], None] | None = None) -> Prefix:
        """The prompt's prefix, in a cache that holds nothing else or still to be computed.

        Args:
            prompt: whose prefix it is.
            image: its image; None when it has none.
            checkpoint: called before each long step; it may raise to stop.

        Returns:
            The prefix; pending where it was not kept, with its image encoded.

        Raises:
            InputError: the prefix is empty, or its image tokens do not match the image.
            BackendError: the device failed.
        """
        found = self._take(prompt.prefix_ids, image)
        if found is None or not found.is_sound:
            found = self._compute(prompt.prefix_ids, image, checkpoint or _go_on)
        else:
            found.rewind()
            found.is_reused, found.vision_ms, found.prefill_ms = found.pending is None, 0.0, 0.0
        self._entries.append(_Kept(image, prompt.prefix_ids, found))
        return found

    def forget(self) -> None:
        """Drops all prefixes, for instance after the device failed."""
        self._entries.clear()

    def _compute(self, ids: NDArray[np.int64], image: ImageInput | None, checkpoint: Callable[[], None]) -> Prefix:
        grids = () if image is None else (image.grid,)
        positions = prompt_positions(ids, grids=grids, image_token=self._image_token)
        if len(ids) == 0:
            raise InputError("Prompt.prefix_ids: expected at least one token, got none.")
        checkpoint()
        start = time.perf_counter()
        visual: tuple[VisualTokens, ...] = () if image is None else (self._backend.encode_image(image),)
        encoded = time.perf_counter()
        checkpoint()
        return Prefix(
            cache=self._free_cache(),
            length=len(ids),
            position=next_position(positions),
            pending=Chunk(token_ids=ids, position_ids=positions, visual=visual),
            vision_ms=(encoded - start) * 1e3,
        )

    def _free_cache(self) -> KvCache:
        """An empty cache: the oldest prefix's when as many as allowed are kept."""
        if len(self._entries) < self._kept:
            return self._backend.new_cache()
        oldest = self._entries.pop(0).prefix
        oldest.cache.truncate(0)
        return oldest.cache

    def _take(self, ids: NDArray[np.int64], image: ImageInput | None) -> Prefix | None:
        """The prefix of an image and ids, which is kept no longer; None when it was not."""
        for number, entry in enumerate(self._entries):
            if np.array_equal(entry.ids, ids) and _is_same_image(entry.image, image):
                return self._entries.pop(number).prefix
        return None


def _is_same_image(one: ImageInput | None, other: ImageInput | None) -> bool:
    """Whether two images are one object, or equal bit for bit. Frames of a camera differ within the first sample."""
    if one is other or one is None or other is None:
        return one is other
    pairs = [(one.pixel_values, other.pixel_values), (one.points, other.points)]
    if one.grid != other.grid or any(a.shape != b.shape for a, b in pairs):
        return False
    bits = [(_bits(a), _bits(b)) for a, b in pairs]  # as integers: what is not a number equals itself
    return all(np.array_equal(a[::SAMPLE_STEP], b[::SAMPLE_STEP]) for a, b in bits) and all(
        np.array_equal(a, b) for a, b in bits
    )


def _bits(values: Float32Array) -> NDArray[np.uint32]:
    """(N,) the values' bits."""
    return np.ascontiguousarray(values).reshape(-1).view(np.uint32)


def _go_on() -> None:
    """Nothing stops."""
