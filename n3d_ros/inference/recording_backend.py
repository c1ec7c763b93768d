"""A runtime that records what another one is asked and answers; ``ReplayBackend`` plays the records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from n3d_ros.codec.model_input import ImageInput
from n3d_ros.codec.token_set import TokenSet
from n3d_ros.codec.tokenizer import Tokenizer
from n3d_ros.errors import BackendError
from n3d_ros.inference.backend import Choices, Chunk, InferenceBackend, KvCache, VisualTokens
from n3d_ros.inference.replay_backend import TokenCache
from n3d_ros.inference.replay_records import ReplayRecord, exchange, image_digest


@dataclass(frozen=True, slots=True)
class _NamedImage:
    """A real backend's image with its name."""

    inner: VisualTokens
    digest: str

    @property
    def count(self) -> int:
        return self.inner.count


class _RecordingCache:
    """A real backend's cache that remembers its tokens."""

    def __init__(self, inner: KvCache, owner: RecordingBackend, tokens: TokenCache) -> None:
        self.inner = inner
        self.tokens = tokens
        self._owner = owner

    @property
    def length(self) -> int:
        return self.inner.length

    @property
    def capacity(self) -> int:
        return self.inner.capacity

    def truncate(self, length: int) -> None:
        self._owner.keep(self.tokens, length)
        self.inner.truncate(length)
        self.tokens.truncate(length)

    def fork(self) -> _RecordingCache:
        return self._owner.remembered(self.inner.fork(), self.tokens.fork())


class RecordingBackend:
    """Records what a runtime is asked and answers, and changes nothing.

    Args:
        backend: the runtime.
        tokenizer: of its model.
    """

    def __init__(self, backend: InferenceBackend, tokenizer: Tokenizer) -> None:
        self.name, self.device, self.dtype = backend.name, backend.device, backend.dtype
        self.vocab_size, self.capacity = backend.vocab_size, backend.capacity
        self._backend = backend
        self._tokenizer = tokenizer
        self._open: list[TokenCache] = []
        self._records: dict[tuple[str, str | None], ReplayRecord] = {}

    @property
    def records(self) -> tuple[ReplayRecord, ...]:
        """What was answered so far; of several answers to one prompt and image the last."""
        for tokens in self._open:
            self.keep(tokens, 0)
        return tuple(self._records.values())

    def encode_image(self, image: ImageInput) -> VisualTokens:
        """The image through the runtime.

        Args:
            image: patches and points.

        Returns:
            Its visual tokens.
        """
        return _NamedImage(self._backend.encode_image(image), image_digest(image))

    def new_cache(self) -> KvCache:
        """An empty cache of the runtime.

        Returns:
            The cache.
        """
        return self.remembered(self._backend.new_cache(), TokenCache(self.capacity))

    def forward(
        self, cache: KvCache, chunk: Chunk, *, choose: Sequence[TokenSet | None] = (), top_k: int = 1
    ) -> Choices | None:
        """What the runtime says.

        Args:
            cache: made by this backend.
            chunk: tokens to append.
            choose: see ``InferenceBackend.forward``.
            top_k: see there.

        Returns:
            The runtime's choices.

        Raises:
            BackendError: the cache is not of this backend, or the runtime failed.
        """
        if not isinstance(cache, _RecordingCache):
            raise BackendError("recording: expected a cache that this backend made.")
        images = [image for image in chunk.visual if isinstance(image, _NamedImage)]
        plain = Chunk(
            token_ids=chunk.token_ids, position_ids=chunk.position_ids, visual=tuple(image.inner for image in images)
        )
        choices = self._backend.forward(cache.inner, plain, choose=choose, top_k=top_k)
        cache.tokens.token_ids.extend(chunk.token_ids.tolist())
        if images:
            cache.tokens.image = images[-1].digest
        return choices

    def close(self) -> None:
        """Frees the runtime; the records stay."""
        self._backend.close()

    def remembered(self, inner: KvCache, tokens: TokenCache) -> _RecordingCache:
        """A cache whose tokens are looked at when records are asked for.

        Args:
            inner: of the runtime.
            tokens: what it holds.

        Returns:
            The cache.
        """
        self._open.append(tokens)
        return _RecordingCache(inner, self, tokens)

    def keep(self, tokens: TokenCache, length: int) -> None:
        """Keeps an answer that is about to be forgotten.

        Args:
            tokens: of a cache.
            length: to which it will be cut; a cut within the answer is a rejected guess and forgets nothing.
        """
        found = exchange(self._tokenizer, tokens.token_ids)
        if found is None or exchange(self._tokenizer, tokens.token_ids[:length]) is not None:
            return
        answer = found.answer.decode("utf-8", "replace")
        key = (found.prompt, tokens.image)
        self._records[key] = ReplayRecord(answer=answer, prompt=found.prompt, image=tokens.image)
