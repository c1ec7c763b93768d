"""The language model's graph over caches of fixed size, replayed as CUDA graphs where there is a GPU.

On a GPU a short step is launched as one recorded graph: its shapes and addresses are fixed, so the number of tokens is
rounded up to ``GRAPH_SIZES`` and the rows of the cache that are read to a bucket; what a padded token writes lies past
the sequence's end, where the next step overwrites it. What changes from step to step travels in one transfer. On the
CPU, for long chunks, and where recording fails, the same operations run one by one.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from n3d_ros.model.decoder_graph import AttentionKind, DecoderGraph
from n3d_ros.model.fused import signed

logger = logging.getLogger(__name__)

GRAPH_SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24)  # tokens per recorded step
SMALLEST_BUCKET = 256  # rows; each further bucket has twice as many
WIDEST_PRODUCTS = 24  # tokens up to which a GPU attends with two products (sdpa fills few of its units then)


class CacheSlot:
    """Keys and values of one sequence in buffers that keep their address.

    Args:
        layers: of the model.
        capacity: rows.
        width: channels of a row.
        dtype: of the weights.
        device: of the weights.
    """

    def __init__(self, *, layers: int, capacity: int, width: int, dtype: torch.dtype, device: torch.device) -> None:
        # Zeros, because a masked row still enters a product, and what memory holds by chance may be NaN.
        self.keys = torch.zeros(layers, capacity, width, dtype=dtype, device=device)
        self.values = torch.zeros_like(self.keys)
        self.recorded: dict[tuple[int, int], Any] = {}

    def copy_rows(self, source: CacheSlot, length: int) -> None:
        """Takes the first rows of another slot over.

        Args:
            source: of the same shape.
            length: rows.
        """
        self.keys[:, :length].copy_(source.keys[:, :length])
        self.values[:, :length].copy_(source.values[:, :length])

    def rows(self, length: int) -> tuple[list[Tensor], list[Tensor]]:
        """The first rows per layer.

        Args:
            length: rows.

        Returns:
            Keys and values, each (length, width).
        """
        return list(self.keys[:, :length]), list(self.values[:, :length])


class StepBuffers:
    """What a recorded step of S tokens reads, in one block of memory that is filled by one transfer.

    Args:
        tokens: S.
        head_dim: channels per head.
        device: of the model.
    """

    def __init__(self, tokens: int, head_dim: int, device: torch.device) -> None:
        integers, floats = 2 * tokens, 2 * tokens * head_dim
        total = 8 * integers + 4 * floats
        self.device_block = torch.zeros(total, dtype=torch.uint8, device=device)
        self.host_block = torch.zeros(total, dtype=torch.uint8, pin_memory=device.type == "cuda")
        host_ids, host_angles = self._views(self.host_block, tokens, head_dim)
        self._host_ids, self._host_angles = host_ids.numpy(), host_angles.numpy()
        ids, angles = self._views(self.device_block, tokens, head_dim)
        self.token_ids, self.rows = ids[0], ids[1]
        self.cos, self.signed_sin = angles[0][:, None], angles[1][:, None]

    @staticmethod
    def _views(block: Tensor, tokens: int, head_dim: int) -> tuple[Tensor, Tensor]:
        """(2, S) int64 and (2, S, D) float32 over a block of bytes."""
        split = 16 * tokens
        return (
            block[:split].view(torch.int64).view(2, tokens),
            block[split:].view(torch.float32).view(2, tokens, head_dim),
        )

    def fill(
        self, token_ids: NDArray[np.int64], start: int, cos: NDArray[np.float32], sin: NDArray[np.float32]
    ) -> None:
        """Sends the inputs of a step; tokens that are missing repeat the last one.

        Args:
            token_ids: (T,) with T <= S.
            start: row of the first one.
            cos: (T, D).
            sin: (T, D).
        """
        tokens, half = len(token_ids), cos.shape[1] // 2
        size = self._host_ids.shape[1]
        self._host_ids[0, :tokens], self._host_ids[0, tokens:] = token_ids, token_ids[-1]
        self._host_ids[1] = np.arange(start, start + size)
        self._host_angles[0, :tokens], self._host_angles[0, tokens:] = cos, cos[-1]
        self._host_angles[1, :tokens], self._host_angles[1, tokens:] = sin, sin[-1]
        self._host_angles[1, :, :half] *= -1
        self.device_block.copy_(self.host_block, non_blocking=True)


class StaticDecoder:
    """Runs chunks of tokens over cache slots. Used by one thread.

    Args:
        graph: the language model.
        capacity: rows per cache.
        cuda_graphs: whether short steps are recorded; ignored on the CPU.
        compiles: whether the step of one token is compiled with ``torch.compile``.
    """

    def __init__(self, graph: DecoderGraph, *, capacity: int, cuda_graphs: bool = True, compiles: bool = False) -> None:
        self.graph, self.capacity = graph, capacity
        self.device = graph.embedding.weight.device
        self.records = cuda_graphs and self.device.type == "cuda"
        self.widest_products = WIDEST_PRODUCTS
        self.compiles = compiles
        self.stream = torch.cuda.Stream(self.device) if self.device.type == "cuda" else None
        if self.stream is not None:
            self.stream.wait_stream(torch.cuda.current_stream(self.device))  # on which the weights were made
        self._free: list[CacheSlot] = []
        self._buffers: dict[int, StepBuffers] = {}
        self._logits: Tensor | None = None
        self._pool: Any = None
        self._compiled: Callable[..., Tensor] | None = None
        self._sent: Any = None

    def on_stream(self) -> AbstractContextManager[Any]:
        """The context in which all work of this decoder is queued.

        Returns:
            The decoder's own stream on a GPU.
        """
        return nullcontext() if self.stream is None else torch.cuda.stream(self.stream)

    def synchronize(self) -> None:
        """Waits until everything queued is done."""
        if self.stream is not None:
            self.stream.synchronize()

    def slot_bytes(self) -> int:
        """Memory of one cache.

        Returns:
            Bytes.
        """
        return 2 * len(self.graph.layers) * self.capacity * self.graph.cache_width * self.graph.dtype.itemsize

    def take_slot(self, owner: object) -> CacheSlot:
        """Buffers for a sequence, which come back when their owner is gone.

        Args:
            owner: what holds the slot.

        Returns:
            The slot.
        """
        if self._free:
            slot = self._free.pop()
        else:
            graph = self.graph
            slot = CacheSlot(
                layers=len(graph.layers),
                capacity=self.capacity,
                width=graph.cache_width,
                dtype=graph.dtype,
                device=self.device,
            )
        weakref.finalize(owner, self._free.append, slot).atexit = False
        return slot

    def run(
        self,
        slot: CacheSlot,
        start: int,
        token_ids: NDArray[np.int64],
        position_ids: NDArray[np.int64],
        *,
        last: int,
        visual: tuple[NDArray[np.int64], Tensor] | None = None,
    ) -> Tensor | None:
        """Appends tokens to a slot.

        Args:
            slot: whose first ``start`` rows are filled.
            start: row of the first new token.
            token_ids: (S,).
            position_ids: (3, S).
            last: how many of the last tokens' logits are wanted, at most S.
            visual: places (N,) in the chunk and the (N, h) embeddings that stand there.

        Returns:
            (last, V) float32, valid until the next call; None when ``last`` is 0.
        """
        cos, sin = self.graph.rotary.tables(position_ids)
        size = next((size for size in GRAPH_SIZES if size >= len(token_ids)), 0)
        if self.records and size and visual is None and start + size <= self.capacity:
            buffers = self._staged(size, token_ids, start, cos, sin)
            step = self._recorded(slot, size, self.bucket(start + size), buffers)
            if step is not None:
                step.replay()
                return None if last == 0 else self._all_logits()[len(token_ids) - last : len(token_ids)]
        return self._run_eagerly(slot, start, token_ids, cos, sin, last, visual)

    def bucket(self, length: int) -> int:
        """How many rows are read for a sequence.

        Args:
            length: of the sequence.

        Returns:
            ``SMALLEST_BUCKET`` doubled until it holds the sequence, at most the capacity.
        """
        rows = SMALLEST_BUCKET
        while rows < length:
            rows *= 2
        return min(rows, self.capacity)

    def warm_up(self, slot: CacheSlot, length: int) -> None:
        """Records the steps of a sequence of some length, so that the first answer does not wait for it.

        Args:
            slot: an empty slot; its rows are overwritten.
            length: of the sequence.
        """
        for size in GRAPH_SIZES:
            start = max(0, min(length, self.capacity) - size)
            positions = np.tile(np.arange(start, start + size, dtype=np.int64), (3, 1))
            self.run(slot, start, np.zeros(size, np.int64), positions, last=1)
        self.synchronize()

    def _run_eagerly(
        self,
        slot: CacheSlot,
        start: int,
        token_ids: NDArray[np.int64],
        cos: NDArray[np.float32],
        sin: NDArray[np.float32],
        last: int,
        visual: tuple[NDArray[np.int64], Tensor] | None,
    ) -> Tensor | None:
        """``run`` operation by operation."""
        graph, count = self.graph, len(token_ids)
        embeds = graph.embed(self._tensor(token_ids))
        if visual is not None:
            embeds = embeds.index_copy(0, self._tensor(visual[0]), visual[1].to(embeds.dtype))
        compiled = count == 1 and self._compiled_step()
        length = self.bucket(start + count) if compiled else start + count
        rows = torch.arange(start, start + count, device=self.device)
        kind = self._kind(count)
        mask = None if start == 0 and length == count else graph.mask(rows, length, kind)
        keys, values = slot.rows(length)
        angles = self._tensor(cos)[:, None], signed(self._tensor(sin))
        forward = compiled or graph
        hidden = forward(embeds, *angles, rows, keys, values, mask, kind)
        return graph.logits(hidden[count - last :]) if last else None

    def _kind(self, tokens: int) -> AttentionKind:
        """Which operations attend."""
        return "products" if self.device.type == "cuda" and tokens <= self.widest_products else "sdpa"

    def _tensor(self, array: NDArray[Any]) -> Tensor:
        """A copy on the device."""
        return torch.tensor(array, device=self.device)

    def _compiled_step(self) -> Callable[..., Tensor] | None:
        """The compiled step of one token; None where it is not wanted or does not compile."""
        if self.compiles and self._compiled is None:
            compiled = torch.compile(self.graph.forward, dynamic=False)
            self._compiled = self._falling_back(compiled)
        return self._compiled if self.compiles else None

    def _falling_back(self, compiled: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """The compiled function, replaced for good by the plain one when the compiler fails."""

        def step(*args: Any) -> Tensor:
            try:
                return compiled(*args)
            except torch.cuda.OutOfMemoryError:
                raise
            except Exception as error:  # whatever a compiler or its tools raise
                logger.warning("torch.compile failed; steps run without it: %s", str(error).splitlines()[0])
                self.compiles = False
                return self.graph(*args)

        return step

    def _staged(
        self,
        size: int,
        token_ids: NDArray[np.int64],
        start: int,
        cos: NDArray[np.float32],
        sin: NDArray[np.float32],
    ) -> StepBuffers:
        """The buffers of a step, filled. Waits until the transfer before has left the host's memory."""
        if size not in self._buffers:
            self._buffers[size] = StepBuffers(size, self.graph.head_dim, self.device)
        if self._sent is None:
            self._sent = torch.cuda.Event()
        self._sent.synchronize()
        self._buffers[size].fill(token_ids, start, cos, sin)
        self._sent.record(self.stream)
        return self._buffers[size]

    def _all_logits(self) -> Tensor:
        """(largest step, V) float32 that recorded steps write."""
        if self._logits is None:
            self._logits = torch.zeros(GRAPH_SIZES[-1], self.graph.vocab_size, dtype=torch.float32, device=self.device)
        return self._logits

    def _recorded(self, slot: CacheSlot, size: int, bucket: int, buffers: StepBuffers) -> Any:
        """The recorded step of a slot, size and bucket; None when this device cannot record it."""
        if (size, bucket) not in slot.recorded:
            try:
                slot.recorded[size, bucket] = self._record(slot, size, bucket, buffers)
            except torch.cuda.OutOfMemoryError:
                raise
            except RuntimeError as error:
                logger.warning("CUDA graphs failed; steps run without them: %s", str(error).splitlines()[0])
                self.records = False
                return None
        return slot.recorded[size, bucket]

    def _record(self, slot: CacheSlot, size: int, bucket: int, buffers: StepBuffers) -> Any:
        """Runs a step once, so that libraries have made their plans, and records it."""
        graph, logits = self.graph, self._all_logits()
        keys, values = slot.rows(bucket)
        kind = self._kind(size)
        forward = (self._compiled_step() if size == 1 else None) or graph

        def step() -> None:
            mask = graph.mask(buffers.rows, bucket, kind)
            embeds = graph.embed(buffers.token_ids)
            hidden = forward(embeds, buffers.cos, buffers.signed_sin, buffers.rows, keys, values, mask, kind)
            logits[:size].copy_(graph.logits(hidden))

        step()
        self.synchronize()
        recorded = torch.cuda.CUDAGraph()
        if self._pool is None:
            self._pool = torch.cuda.graph_pool_handle()
        # Only this thread's calls are watched: others may use the device meanwhile.
        recorded.capture_begin(pool=self._pool, capture_error_mode="thread_local")
        try:
            step()
        finally:
            recorded.capture_end()
        return recorded
