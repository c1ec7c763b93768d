"""The language model's exported graphs in ONNX Runtime, behind the boundary of ``n3d_ros.inference.backend``.

The cache is one block of memory, layer by layer, rows in the order of the tokens. A forward binds the rows that are
there as inputs and the rows behind them as outputs: ONNX Runtime writes new keys and values where they belong, and no
row is ever copied. The same code serves the CPU and, where ONNX Runtime's CUDA build and a torch with CUDA are there, a
GPU; that has never been run by us.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

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
from n3d_ros.inference.graphs import DECODER, EMBEDDING_FILE, NOT_MADE_FOR, VISION, LanguageModelGraphs
from n3d_ros.inference.onnx_session import OnnxSession, import_runtime
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


class OnnxCache(CountedRows):
    """A sequence's keys and values.

    Args:
        backend: which it belongs to.
    """

    def __init__(self, backend: OnnxBackend) -> None:
        super().__init__()
        self._backend = backend
        self.memory = backend.new_rows()

    @property
    def capacity(self) -> int:
        """Tokens it can hold."""
        return int(self.memory.shape[1])

    def fork(self) -> OnnxCache:
        """A second cache that begins with the same tokens.

        Returns:
            The copy.
        """
        copy = OnnxCache(self._backend)
        with self._backend.at_work("a copy of the cache"):
            copy.memory[:, : self.length] = self.memory[:, : self.length]
        copy.length = self.length
        return copy


class OnnxBackend:
    """Runs exported graphs with ONNX Runtime.

    Args:
        folder: of the graphs.
        graphs: what they are; the caller has checked the files.
        capacity: longest sequence, tokens.
        device: where it computes.
        threads: of the CPU; None: as torch is set.

    Raises:
        BackendError: ONNX Runtime is missing or cannot load the graphs, or a capacity that is too small.
        ConfigurationError: the embedding cannot be read.
    """

    name = "onnx"

    def __init__(
        self,
        folder: Path,
        graphs: LanguageModelGraphs,
        *,
        capacity: int = 2048,
        device: torch.device | None = None,
        threads: int | None = None,
    ) -> None:
        if capacity < SMALLEST_CAPACITY:
            raise BackendError(
                f"OnnxBackend: expected a capacity of {SMALLEST_CAPACITY} tokens or more, got {capacity}."
            )
        self._graphs, self.capacity, self.vocab_size = graphs, capacity, graphs.vocab_size
        self._place = torch.device("cpu") if device is None else device
        self.dtype = graphs.dtype
        self._number: torch.dtype = getattr(torch, graphs.dtype)
        check_device(graphs, self._place)
        self._thread_count = ThreadCount(threads)
        # ONNX Runtime takes the default stream for none, and would make one that does not wait for torch's.
        self._stream = torch.cuda.Stream(self._place) if self._place.type == "cuda" else None
        self._sessions = {
            name: OnnxSession(folder / f"{name}.onnx", device=self._place, threads=threads, stream=self._stream)
            for name in (VISION, DECODER)
        }
        self._embedding = _read_embedding(folder / EMBEDDING_FILE).to(self._place, self._number)
        self._rotary = TextRotary(head_dim=graphs.head_dim, theta=graphs.rope_theta, sections=graphs.rope_sections)
        self._geometry = VisionGeometry(
            window=graphs.vision_window,
            merge=graphs.vision_merge,
            head_dim=graphs.vision_head_dim,
            theta=graphs.vision_theta,
        )
        self._tables = ImageTables(self._geometry, device=self._place, dtype=self._number)
        self._hidden_row = torch.zeros(1, graphs.cache_width, dtype=self._number, device=self._place)
        self._chooser = Chooser(vocab_size=self.vocab_size, device=self._place, synchronize=self._synchronize)
        self.device = device_in_words(self._place)

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
        with self.at_work("the vision tower"):
            return EncodedImage(self._encoded(image))

    def _encoded(self, image: ImageInput) -> Tensor:
        """(M, h) visual tokens."""
        graphs, device, session = self._graphs, self._place, self._session(VISION)
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

    def new_cache(self) -> OnnxCache:
        """An empty cache of ``capacity`` tokens.

        Returns:
            The cache.

        Raises:
            BackendError: too little memory.
        """
        return OnnxCache(self)

    def new_rows(self) -> Tensor:
        """Memory for a cache.

        Returns:
            (layers, capacity, width) of zeros: a masked row still enters a product.

        Raises:
            BackendError: too little memory.
        """
        graphs = self._graphs
        self._session(DECODER)
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
        session = self._session(DECODER)
        if not isinstance(cache, OnnxCache) or cache.capacity != self.capacity:
            raise InputError("OnnxBackend.forward: expected a cache made by this backend.")
        check_call(cache, chunk, choose, top_k, vocab_size=self.vocab_size, name="OnnxBackend")
        with self.at_work("the language model"):
            logits, log_all = self._run(session, cache, chunk, max(len(choose), 1))
            choices = self._chooser.choices(logits, log_all, choose, top_k) if choose else None
        cache.length += len(chunk.token_ids)
        return choices

    def _run(self, session: OnnxSession, cache: OnnxCache, chunk: Chunk, wanted: int) -> tuple[Tensor, Tensor]:
        """Appends the chunk's rows to the cache; logits after its last tokens, and their log-sum-exp.

        A graph always reads an earlier row and gives a row of logits: a sequence's first chunk hides a row of zeros,
        and a prefix ignores the logits.
        """
        count, start, device = len(chunk.token_ids), cache.length, self._place
        past = cache.memory[:, :start] if start else [self._hidden_row] * len(cache.memory)
        cos, sin = self._rotary.tables(chunk.position_ids)
        inputs = {
            "embeds": self._embeds(chunk),
            "cos": torch.tensor(cos, device=device),
            "signed_sin": signed(torch.tensor(sin, device=device))[:, 0],
            "past_mask": torch.full((1, max(start, 1)), 0.0 if start else float("-inf"), device=device),
            "new_mask": torch.from_numpy(_causal(count)).to(device),
            "wanted": torch.arange(count - wanted, count, device=device),
            **{f"past.{layer}": rows for layer, rows in enumerate(past)},
        }
        logits = torch.empty(wanted, self.vocab_size, device=device)
        log_all = torch.empty(wanted, device=device)
        new = cache.memory[:, start : start + count]
        session.run(
            inputs, {"logits": logits, "log_all": log_all, **{f"new.{layer}": rows for layer, rows in enumerate(new)}}
        )
        return logits, log_all

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

    def _session(self, name: str) -> OnnxSession:
        """A graph, as long as it is there."""
        if not self._sessions:
            raise BackendError("OnnxBackend: expected a runtime that is open, this one was closed; load it again.")
        return self._sessions[name]

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


def check_device(graphs: LanguageModelGraphs, device: torch.device) -> None:
    """Refuses graphs that cannot be computed on a device.

    Args:
        graphs: what they are.
        device: where.

    Raises:
        BackendError: bfloat16 on a CPU, or ONNX Runtime is not installed.
    """
    import_runtime()
    if device.type == "cpu" and graphs.dtype == "bfloat16":
        raise BackendError(
            f"Graphs of {graphs.name}: ONNX Runtime computes no bfloat16 on a CPU; export with --dtype float32 (or "
            "float16, which is slower here), or use a GPU."
        )


def _causal(tokens: int) -> NDArray[np.float32]:
    """(S, S), not to be changed: what each of some tokens may see of the others, -inf for those behind it."""
    return _short_causal(tokens) if tokens <= LONGEST_KEPT_MASK else _causal_mask(tokens)


def _causal_mask(tokens: int) -> NDArray[np.float32]:
    """A new mask of ``_causal``."""
    mask: NDArray[np.float32] = np.where(np.tri(tokens, dtype=np.bool_), np.float32(0.0), np.float32("-inf"))
    return mask


_short_causal = lru_cache(maxsize=None)(_causal_mask)


def _read_embedding(file: Path) -> Tensor:
    """(V, h) of the file."""
    try:
        return load_file(file)["embedding"]
    except (OSError, SafetensorError, KeyError) as error:
        raise ConfigurationError(f"{file}: cannot be read ({error}); export the model again.") from error
