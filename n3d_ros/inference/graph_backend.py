"""What runtimes of exported graphs share behind the boundary of ``n3d_ros.inference.backend``.

Around the graphs stand the embedding, the tables of an image's size, the rotations of a token's place, a cache that is
one block of memory (layer by layer, rows in the order of the tokens), and the choice of the next token. A runtime adds
how a graph is loaded, and how the language model's graph is given the rows of a cache.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from n3d_ros.codec.model_input import ImageInput
from n3d_ros.codec.token_set import TokenSet
from n3d_ros.errors import BackendError, ConfigurationError, InputError
from n3d_ros.inference.backend import Choices, Chunk, KvCache
from n3d_ros.inference.graphs import EMBEDDING_FILE, NOT_MADE_FOR, LanguageModelGraphs
from n3d_ros.inference.torch_choices import Chooser
from n3d_ros.inference.torch_devices import device_in_words, failures_told
from n3d_ros.inference.torch_inputs import (
    CountedRows,
    EncodedImage,
    ImageTables,
    ThreadCount,
    check_call,
    code_of,
    points_of,
    visual_of,
)
from n3d_ros.model.fused import signed
from n3d_ros.model.tables import TextRotary, VisionGeometry
from n3d_ros.model.vision_graph import VisionInputs

SMALLEST_CAPACITY = 16  # tokens
LONGEST_KEPT_MASK = 64  # new tokens; steps and drafts have fewer, a prompt's mask is made once


class GraphSession(Protocol):
    """One graph that is loaded."""

    @property
    def output_names(self) -> tuple[str, ...]:
        """Of the graph."""
        ...

    def run(self, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> None:
        """Computes.

        Args:
            inputs: every input of the graph, on the session's device.
            outputs: every output of the graph, contiguous, of the right shape, to be written.
        """
        ...


class GraphCache(CountedRows):
    """A sequence's keys and values.

    Args:
        backend: which it belongs to.
    """

    def __init__(self, backend: GraphBackend) -> None:
        super().__init__()
        self.backend = backend
        self.memory = backend.new_rows(self)

    @property
    def capacity(self) -> int:
        """Tokens it can hold."""
        return int(self.memory.shape[1])

    def fork(self) -> GraphCache:
        """A second cache that begins with the same tokens.

        Returns:
            The copy.
        """
        copy = GraphCache(self.backend)
        with self.backend.at_work("a copy of the cache"):
            copy.memory[:, : self.length] = self.memory[:, : self.length]
        copy.length = self.length
        return copy


class GraphBackend(ABC):
    """Runs exported graphs.

    Args:
        folder: of the graphs.
        graphs: what they are; the caller has checked the files.
        capacity: longest sequence, tokens.
        device: where it computes.
        threads: of the CPU; None: as torch is set.

    Raises:
        BackendError: a capacity that is too small.
        ConfigurationError: the embedding cannot be read.
    """

    name: str

    def __init__(
        self,
        folder: Path,
        graphs: LanguageModelGraphs,
        *,
        capacity: int,
        device: torch.device,
        threads: int | None = None,
    ) -> None:
        if capacity < SMALLEST_CAPACITY:
            raise BackendError(
                f"{type(self).__name__}: expected a capacity of {SMALLEST_CAPACITY} tokens or more, got {capacity}."
            )
        self._graphs, self.capacity, self.vocab_size = graphs, capacity, graphs.vocab_size
        self._place, self.dtype = device, graphs.dtype
        self._number: torch.dtype = getattr(torch, graphs.dtype)
        self._thread_count = ThreadCount(threads)
        # A runtime takes the default stream for none, and would make one that does not wait for torch's.
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._sessions: dict[str, GraphSession] = {}
        with failures_told("the embedding", device):
            self._embedding = _read_embedding(folder / EMBEDDING_FILE).to(device, self._number)
        self._rotary = TextRotary(head_dim=graphs.head_dim, theta=graphs.rope_theta, sections=graphs.rope_sections)
        self._geometry = VisionGeometry(
            window=graphs.vision_window,
            merge=graphs.vision_merge,
            head_dim=graphs.vision_head_dim,
            theta=graphs.vision_theta,
        )
        self._tables = ImageTables(self._geometry, device=device, dtype=self._number)
        self._hidden_row = torch.zeros(1, graphs.cache_width, dtype=self._number, device=device)
        self._chooser = Chooser(vocab_size=self.vocab_size, device=device, synchronize=self._synchronize)
        self.device = device_in_words(device)
        if self._stream is not None:
            self._stream.wait_stream(torch.cuda.current_stream(device))  # on which the embedding was copied

    @abstractmethod
    def _vision(self) -> GraphSession:
        """The vision tower, as long as it is there."""

    @abstractmethod
    def _append(self, cache: GraphCache, chunk: Chunk, wanted: int) -> tuple[Tensor, Tensor]:
        """Appends the chunk's rows to the cache's memory.

        Args:
            cache: with room for them.
            chunk: the tokens.
            wanted: how many of its last tokens' logits are wanted, one or more.

        Returns:
            (L, V) float32 logits after these tokens, and (L,) float32 their log-sum-exp.
        """

    def encode_image(self, image: ImageInput) -> EncodedImage:
        """The image through the vision tower.

        Args:
            image: patches and points.

        Returns:
            Its visual tokens.

        Raises:
            InputError: an image of another size than the graph is made for.
            BackendError: the device failed.
        """
        graphs = self._graphs
        if graphs.grid not in (None, image.grid):
            raise InputError(
                f"Image: the vision graph is made for {graphs.grid[1]}x{graphs.grid[0]} patches, this one has "
                f"{image.grid[1]}x{image.grid[0]}; export for this camera (`n3d export --image WIDTHxHEIGHT`), or for "
                "any size.",
                reason=NOT_MADE_FOR,
            )
        session = self._vision()
        with self.at_work("the vision tower"):
            encoded = EncodedImage(self._encoded(session, image))
            self._synchronize()  # its time is this call's, and others may read it on their own stream; once per frame
            return encoded

    def _encoded(self, session: GraphSession, image: ImageInput) -> Tensor:
        """(M, h) visual tokens."""
        graphs, device = self._graphs, self._place
        inputs = {
            "pixels": torch.tensor(image.pixel_values, device=device),
            "code": code_of(
                image,
                mode=graphs.position_code,
                width=graphs.vision_width,
                geometry=self._geometry,
                device=device,
            ),
        }
        if graphs.point_channels:
            inputs["point_values"] = points_of(image, merge=graphs.vision_merge, device=device)
        if graphs.grid is None:
            tables = self._tables.of(image.grid)
            inputs |= {name: getattr(tables, name) for name in VisionInputs.__slots__}
        embeds = torch.empty(image.token_count, self._embedding.shape[1], dtype=self._number, device=device)
        session.run(inputs, {"embeds": embeds})
        return embeds

    def new_cache(self) -> GraphCache:
        """An empty cache of ``capacity`` tokens.

        Returns:
            The cache.

        Raises:
            BackendError: too little memory.
        """
        return GraphCache(self)

    def new_rows(self, owner: GraphCache) -> Tensor:
        """Memory for a cache.

        Args:
            owner: the cache, for runtimes that take its memory back when it is gone.

        Returns:
            (layers, capacity, width); what it holds is finite, since a masked row still enters a product.

        Raises:
            BackendError: too little memory, or the runtime is closed.
        """
        del owner
        self._vision()
        graphs = self._graphs
        with self.at_work("a cache"):
            return torch.zeros(graphs.layers, self.capacity, graphs.cache_width, dtype=self._number, device=self._place)

    def slot_bytes(self) -> int:
        """Memory of one cache.

        Returns:
            Bytes.
        """
        return self._graphs.layers * self.capacity * self._graphs.cache_width * int(self._number.itemsize)

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
            InputError: a cache of another backend, or a call that cannot be done.
            BackendError: the cache is full, or the device failed.
        """
        kind = type(self).__name__
        self._vision()
        if not isinstance(cache, GraphCache) or cache.backend is not self:
            raise InputError(f"{kind}.forward: expected a cache made by this backend.")
        check_call(cache, chunk, choose, top_k, vocab_size=self.vocab_size, name=kind)
        with self.at_work("the language model"):
            logits, log_all = self._append(cache, chunk, max(len(choose), 1))
            choices = self._chooser.choices(logits, log_all, choose, top_k) if choose else None
            if choices is None:
                self._synchronize()  # as after an image: a prefix, once per frame
        cache.length += len(chunk.token_ids)
        return choices

    def close(self) -> None:
        """Frees weights and buffers; nothing but ``close`` may be called afterwards."""
        self._sessions.clear()
        self._tables.clear()
        self._embedding = torch.empty(0)
        self._chooser = Chooser(vocab_size=self.vocab_size, device=self._place, synchronize=self._synchronize)

    @contextmanager
    def at_work(self, what: str) -> Iterator[None]:
        """The context in which the graphs run and caches are copied.

        Args:
            what: is done there, for errors.

        Yields:
            Nothing.
        """
        self._thread_count.set()
        with failures_told(what, self._place, self), torch.inference_mode():
            if self._stream is None:
                yield
                return
            with torch.cuda.stream(self._stream):
                yield

    def _closed(self) -> BackendError:
        """The error about a runtime that was closed."""
        return BackendError(
            f"{type(self).__name__}: expected a runtime that is open, this one was closed; load it again."
        )

    def _token_inputs(self, chunk: Chunk) -> dict[str, Tensor]:
        """Inputs of the language model's graph that come from the tokens alone: embeds, cos, signed_sin."""
        cos, sin = self._rotary.tables(chunk.position_ids)
        return {
            "embeds": self._embeds(chunk),
            "cos": torch.tensor(cos, device=self._place),
            "signed_sin": signed(torch.tensor(sin, device=self._place))[:, 0],
        }

    def _embeds(self, chunk: Chunk) -> Tensor:
        """(S, h) embeddings of the tokens, visual ones in their places."""
        embeds = functional.embedding(torch.tensor(chunk.token_ids, device=self._place), self._embedding)
        visual = visual_of(chunk, self._graphs.image_token)
        if visual is not None:
            embeds[torch.tensor(visual[0], device=self._place)] = visual[1].to(embeds.dtype)
        return embeds

    def _synchronize(self) -> None:
        """Waits until everything queued is done."""
        if self._stream is not None:
            self._stream.synchronize()


def causal(tokens: int) -> NDArray[np.float32]:
    """What each of some tokens may see of the others.

    Args:
        tokens: S.

    Returns:
        (S, S) float32, not to be changed: 0, and -inf for those behind it.
    """
    return _short_causal(tokens) if tokens <= LONGEST_KEPT_MASK else _causal_mask(tokens)


def _causal_mask(tokens: int) -> NDArray[np.float32]:
    """A new mask of ``causal``."""
    mask: NDArray[np.float32] = np.where(np.tri(tokens, dtype=np.bool_), np.float32(0.0), np.float32("-inf"))
    return mask


_short_causal = lru_cache(maxsize=None)(_causal_mask)


def _read_embedding(file: Path) -> Tensor:
    """(V, h) of the file."""
    try:
        return load_file(file)["embedding"]
    except (OSError, SafetensorError, KeyError) as error:
        raise ConfigurationError(f"{file}: cannot be read ({error}); export the model again.") from error
