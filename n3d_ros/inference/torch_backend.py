"""The language model in PyTorch, behind the boundary of ``n3d_ros.inference.backend``."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from n3d_ros.codec.model_input import ImageInput
from n3d_ros.codec.token_set import TokenSet
from n3d_ros.errors import BackendError, InputError
from n3d_ros.inference.backend import Choices, Chunk, KvCache
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
from n3d_ros.model.decoder_graph import DecoderGraph
from n3d_ros.model.static_decoder import CacheSlot, StaticDecoder
from n3d_ros.model.vision_graph import VisionGraph

logger = logging.getLogger(__name__)

SMALLEST_CAPACITY = 16  # tokens


class HasModel(Protocol):
    """What of a loaded model is needed here."""

    @property
    def model(self) -> Any:
        """N3dVlm."""
        ...

    @property
    def position_code(self) -> str:
        """Which code is added to the vision tower: "reference", "aligned" or "none"."""
        ...


class TorchCache(CountedRows):
    """A sequence's keys and values.

    Args:
        decoder: which owns the buffers.
    """

    def __init__(self, decoder: StaticDecoder) -> None:
        super().__init__()
        self._decoder = decoder
        self.slot: CacheSlot = decoder.take_slot(self)

    @property
    def capacity(self) -> int:
        """Tokens it can hold."""
        return self._decoder.capacity

    def fork(self) -> TorchCache:
        """A second cache that begins with the same tokens.

        Returns:
            The copy.
        """
        with (
            failures_told("a copy of the cache", self._decoder.device, self._decoder),
            torch.inference_mode(),
            self._decoder.on_stream(),
        ):
            copy = TorchCache(self._decoder)
            copy.slot.copy_rows(self.slot, self.length)
        copy.length = self.length
        return copy


class TorchBackend:
    """Runs the networks with torch, on the device and in the dtype in which the model was loaded.

    The model's projections become views of fused storage; the model itself stays usable.

    Args:
        loaded: a loaded model.
        capacity: longest sequence, tokens.
        cuda_graphs: "auto" or "on": short steps are recorded on a GPU; "off": never.
        compile: whether the step of one token goes through ``torch.compile``.
        threads: of the CPU; None: as torch is set.

    Raises:
        BackendError: a capacity that is too small, a model of a shape that is not supported, or too little memory.
    """

    name = "torch"

    def __init__(
        self,
        loaded: HasModel,
        *,
        capacity: int = 2048,
        cuda_graphs: Literal["auto", "on", "off"] = "auto",
        compile: bool = False,  # noqa: A002 - the parameter's name in the node
        threads: int | None = None,
    ) -> None:
        if capacity < SMALLEST_CAPACITY:
            raise BackendError(
                f"TorchBackend: expected a capacity of {SMALLEST_CAPACITY} tokens or more, got {capacity}."
            )
        model = loaded.model
        self._thread_count = ThreadCount(threads)
        self._thread_count.set()
        self.capacity = capacity
        self._mode: Any = loaded.position_code
        self._image_token = int(model.config.image_token_id)
        device = model.lm_head.weight.device
        with failures_told("the runtime's view of the model", device):
            vision, graph = VisionGraph(model.model.visual), DecoderGraph(model.model.language_model, model.lm_head)
            decoder = StaticDecoder(graph, capacity=capacity, cuda_graphs=cuda_graphs != "off", compiles=compile)
        self._networks: _Networks | None = _Networks(vision, decoder)
        self.vocab_size = graph.vocab_size
        self.dtype = str(graph.dtype).removeprefix("torch.")
        self.device = device_in_words(device)
        self._tables = ImageTables(vision.geometry, device=decoder.device, dtype=vision.dtype)
        self._chooser = Chooser(vocab_size=self.vocab_size, device=device, synchronize=decoder.synchronize)

    @property
    def notes(self) -> tuple[str, ...]:
        """What makes it slower than it was meant to be, such as CUDA graphs that failed; empty when nothing does."""
        return tuple(self._decoder.notes)

    @property
    def _decoder(self) -> StaticDecoder:
        return self._open().decoder

    @property
    def _vision(self) -> VisionGraph:
        return self._open().vision

    def _open(self) -> _Networks:
        """The networks, as long as they are there."""
        if self._networks is None:
            raise BackendError(
                "TorchBackend: expected a runtime that is open, this one was closed; load the model again."
            )
        return self._networks

    @contextmanager
    def _at_work(self, what: str) -> Iterator[None]:
        """The context in which the networks run."""
        decoder = self._decoder
        with failures_told(what, decoder.device, decoder), torch.inference_mode(), decoder.on_stream():
            yield

    def encode_image(self, image: ImageInput) -> EncodedImage:
        """The image through the vision tower.

        Args:
            image: patches and points.

        Returns:
            Its visual tokens.
        """
        geometry, device = self._vision.geometry, self._decoder.device
        return self._encoded(
            image, lambda: code_of(image, mode=self._mode, width=self._vision.width, geometry=geometry, device=device)
        )

    def encode_with_code(self, image: ImageInput, code: NDArray[np.float32]) -> EncodedImage:
        """The image through the vision tower with a position code that was made elsewhere.

        Args:
            image: patches; its points are looked at only where they are channels of the patches too.
            code: (P, width of the tower) float32, in the order in which it is added.

        Returns:
            Its visual tokens.
        """
        return self._encoded(image, lambda: torch.tensor(code, device=self._decoder.device))

    def _encoded(self, image: ImageInput, make_code: Callable[[], Tensor]) -> EncodedImage:
        """The image through the vision tower with the code that is made there, where its errors are told."""
        self._thread_count.set()
        with self._at_work("the vision tower"):
            pixels = torch.tensor(image.pixel_values, device=self._decoder.device)
            further = None
            if self._vision.point_embed is not None:
                further = points_of(image, merge=self._vision.merge, device=self._decoder.device)
            embeds = self._vision.encode(pixels, make_code(), self._tables.of(image.grid), further)
            self._decoder.synchronize()  # its time is this call's, not the next one's; once per frame
            return EncodedImage(embeds)

    def new_cache(self) -> TorchCache:
        """An empty cache of ``capacity`` tokens.

        Returns:
            The cache.
        """
        with self._at_work("a cache"):
            return TorchCache(self._decoder)

    def warm_up(self, length: int, *, caches: int = 1) -> None:
        """Records the short steps of sequences from some length on, where they are recorded, and compiles them.

        Args:
            length: tokens, such as an image's and a prompt's.
            caches: how many caches are going to be used at a time; what is recorded belongs to one cache.
        """
        if not self._decoder.records and not self._decoder.compiles:
            return
        with self._at_work("the warm-up"):
            held = [TorchCache(self._decoder) for _ in range(caches)]
            self._decoder.warm_up([cache.slot for cache in held], length)

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
        """
        self._thread_count.set()
        cache = self._checked(cache, chunk, choose, top_k)
        with self._at_work("the language model"):
            following = self._decoder.run(
                cache.slot,
                cache.length,
                chunk.token_ids,
                chunk.position_ids,
                last=len(choose),
                visual=visual_of(chunk, self._image_token),
            )
            if following is None:
                self._decoder.synchronize()  # as after an image: a prefix, once per frame
                choices = None
            else:
                choices = self._chooser.choices(*following, choose, top_k)
        cache.length += len(chunk.token_ids)
        return choices

    def close(self) -> None:
        """Frees weights and buffers; nothing but ``close`` may be called afterwards."""
        if self._networks is None:
            return
        try:
            self._decoder.synchronize()
        except RuntimeError as error:  # a device that failed is closed all the same
            logger.warning("Closing after a failure of %s: %s", self.device, str(error).splitlines()[0])
        self._networks = None
        self._tables.clear()
        del self._chooser
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _checked(self, cache: KvCache, chunk: Chunk, choose: Sequence[TokenSet | None], top_k: int) -> TorchCache:
        """The cache, when the call is allowed."""
        self._open()
        if not isinstance(cache, TorchCache) or cache.capacity != self.capacity:
            raise InputError("TorchBackend.forward: expected a cache made by this backend.")
        check_call(cache, chunk, choose, top_k, vocab_size=self.vocab_size, name="TorchBackend")
        return cache


@dataclass(frozen=True, slots=True, eq=False)
class _Networks:
    """What holds the weights."""

    vision: VisionGraph
    decoder: StaticDecoder
