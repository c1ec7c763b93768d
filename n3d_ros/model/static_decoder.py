"""The language model's graph over caches of fixed size, replayed as CUDA graphs where there is a GPU.

On a GPU a short step is launched as one recorded graph: its shapes and addresses are fixed, so the number of tokens is
rounded up to ``GRAPH_SIZES`` and the rows of the cache that are read to a bucket; what a padded token writes lies past
the sequence's end, where the next step overwrites it. What changes from step to step travels in one transfer. On the
CPU, for long chunks, and where recording fails, the same operations run one by one.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from n3d_ros.model.decoder_graph import AttentionKind, DecoderGraph
from n3d_ros.model.fused import signed
from n3d_ros.model.recorded_steps import CudaRecorder, Recorder, Replay, StagedSteps, StepBuffers

logger = logging.getLogger(__name__)

GRAPH_SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24)  # tokens per recorded step
SMALLEST_BUCKET = 1024
"""Rows; each further bucket has twice as many. A 640x480 image, a question and ten boxes stay in the first. Reading 512
rows that need not be read costs 19 MB a step of the 3B model, a third of a percent of its weights."""
WIDEST_PRODUCTS = 24  # tokens up to which a GPU attends with two products (sdpa fills few of its units then)


class NextLogits(NamedTuple):
    """What may follow some tokens.

    Args:
        logits: (L, V) float32.
        log_all: (L,) float32, their log-sum-exp.
    """

    logits: Tensor
    log_all: Tensor


class CacheSlot:
    """Keys and values of one sequence in a buffer that keeps its address.

    Args:
        layers: of the model.
        capacity: rows.
        width: channels of a row, keys and values.
        dtype: of the weights.
        device: of the weights.
    """

    def __init__(self, *, layers: int, capacity: int, width: int, dtype: torch.dtype, device: torch.device) -> None:
        # Zeros, because a masked row still enters a product, and what memory holds by chance may be NaN.
        self.memory = torch.zeros(layers, capacity, width, dtype=dtype, device=device)
        self.recorded: dict[tuple[int, int], Replay] = {}

    def copy_rows(self, source: CacheSlot, length: int) -> None:
        """Takes the first rows of another slot over.

        Args:
            source: of the same shape.
            length: rows.
        """
        self.memory[:, :length].copy_(source.memory[:, :length])

    def rows(self, length: int) -> list[Tensor]:
        """The first rows per layer.

        Args:
            length: rows.

        Returns:
            (length, width) each.
        """
        return list(self.memory[:, :length])


class StaticDecoder:
    """Runs chunks of tokens over cache slots. Used by one thread.

    Args:
        graph: the language model.
        capacity: rows per cache.
        cuda_graphs: whether short steps are recorded; ignored on the CPU.
        compiles: whether the step of one token is compiled with ``torch.compile``; all buckets are then of the
            capacity, so that nothing is compiled within an answer.
        record: records steps in place of CUDA graphs, on any device.
    """

    def __init__(
        self,
        graph: DecoderGraph,
        *,
        capacity: int,
        cuda_graphs: bool = True,
        compiles: bool = False,
        record: Recorder | None = None,
    ) -> None:
        self.graph, self.capacity = graph, capacity
        self.device = graph.embedding.weight.device
        self.notes: list[str] = []
        self.widest_products = WIDEST_PRODUCTS
        self.compiles = compiles
        self.stream = torch.cuda.Stream(self.device) if self.device.type == "cuda" else None
        if self.stream is not None:
            self.stream.wait_stream(torch.cuda.current_stream(self.device))  # on which the weights were made
        if record is None and cuda_graphs and self.stream is not None:
            record = CudaRecorder(self.stream)
        self._record = record
        self._free: list[CacheSlot] = []
        self._steps = StagedSteps(graph.head_dim, self.device, self.stream)
        self._outputs: NextLogits | None = None
        self._compiled: Callable[..., Tensor] | None = None

    @property
    def records(self) -> bool:
        """Whether short steps are recorded."""
        return self._record is not None

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
        return len(self.graph.layers) * self.capacity * self.graph.cache_width * self.graph.dtype.itemsize

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
    ) -> NextLogits | None:
        """Appends tokens to a slot.

        Args:
            slot: whose first ``start`` rows are filled.
            start: row of the first new token.
            token_ids: (S,).
            position_ids: (3, S).
            last: how many of the last tokens' logits are wanted, at most S.
            visual: places (N,) in the chunk and the (N, h) embeddings that stand there.

        Returns:
            What may follow the last tokens, valid until the next call; None when ``last`` is 0.
        """
        cos, sin = self.graph.rotary.tables(position_ids)
        size = next((size for size in GRAPH_SIZES if size >= len(token_ids)), 0)
        if self.records and size and visual is None and start + size <= self.capacity:
            buffers = self._steps.staged(size, token_ids, start, cos, sin)
            step = self._recorded(slot, size, self.bucket(start + size), buffers)
            if step is not None:
                step()
                wanted = slice(len(token_ids) - last, len(token_ids))
                logits, log_all = self._static_outputs()
                return NextLogits(logits[wanted], log_all[wanted]) if last else None
        return self._run_eagerly(slot, start, token_ids, cos, sin, last, visual)

    def bucket(self, length: int) -> int:
        """How many rows are read for a sequence.

        Args:
            length: of the sequence.

        Returns:
            ``SMALLEST_BUCKET`` doubled until it holds the sequence, at most the capacity.
        """
        rows = self.capacity if self.compiles else SMALLEST_BUCKET
        while rows < length:
            rows *= 2
        return min(rows, self.capacity)

    def warm_up(self, slots: Sequence[CacheSlot], length: int) -> None:
        """Records and compiles the steps of sequences from some length on, so that no answer waits for it.

        Args:
            slots: empty ones; their rows are overwritten.
            length: of the shortest sequence.
        """
        sizes = GRAPH_SIZES if self.records else GRAPH_SIZES[: int(self.compiles)]
        buckets = [self.bucket(min(length, self.capacity))]
        while buckets[-1] < self.capacity:
            buckets.append(self.bucket(buckets[-1] + 1))
        for slot in slots:
            for bucket in buckets:
                for size in (size for size in sizes if size <= bucket):
                    positions = np.tile(np.arange(bucket - size, bucket, dtype=np.int64), (3, 1))
                    self.run(slot, bucket - size, np.zeros(size, np.int64), positions, last=1)
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
    ) -> NextLogits | None:
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
        angles = self._tensor(cos)[:, None], signed(self._tensor(sin))
        forward = compiled or graph
        hidden = forward(embeds, *angles, rows, slot.rows(length), mask, kind)
        if last == 0:
            return None
        logits = graph.logits(hidden[count - last :])
        return NextLogits(logits, torch.logsumexp(logits, dim=-1))

    def _kind(self, tokens: int) -> AttentionKind:
        """Which operations attend."""
        if self.device.type != "cuda" and not self.records:
            return "sdpa"
        return "products" if tokens <= self.widest_products else "sdpa"

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
                self._note("torch.compile failed; steps run without it", error)
                self.compiles = False
                return self.graph(*args)

        return step

    def _static_outputs(self) -> NextLogits:
        """What recorded steps write: rows for the largest of them."""
        if self._outputs is None:
            logits = torch.zeros(GRAPH_SIZES[-1], self.graph.vocab_size, dtype=torch.float32, device=self.device)
            self._outputs = NextLogits(logits, torch.zeros_like(logits[:, 0]))
        return self._outputs

    def _recorded(self, slot: CacheSlot, size: int, bucket: int, buffers: StepBuffers) -> Replay | None:
        """The recorded step of a slot, size and bucket; None when this device cannot record it."""
        if (size, bucket) not in slot.recorded and self._record is not None:
            try:
                slot.recorded[size, bucket] = self._record(self._step(slot, size, bucket, buffers))
            except torch.cuda.OutOfMemoryError:
                raise
            except RuntimeError as error:
                self._note("CUDA graphs failed; steps run without them", error)
                self._record = None
                return None
        return slot.recorded[size, bucket]

    def _note(self, what: str, error: Exception) -> None:
        """Keeps and logs what makes steps slower than they were meant to be."""
        self.notes.append(f"{what}: {(str(error).splitlines() or [type(error).__name__])[0]}")
        logger.warning(self.notes[-1])

    def _step(self, slot: CacheSlot, size: int, bucket: int, buffers: StepBuffers) -> Callable[[], None]:
        """A step on fixed memory, from staged inputs to static outputs."""
        graph, (logits, log_all) = self.graph, self._static_outputs()
        caches, kind = slot.rows(bucket), self._kind(size)
        logits, log_all = logits[:size], log_all[:size]
        compiled = self._compiled_step() if size == 1 else None

        def step() -> None:
            mask = graph.mask(buffers.rows, bucket, kind)
            embeds = graph.embed(buffers.token_ids)
            forward = compiled or graph
            hidden = forward(embeds, buffers.cos, buffers.signed_sin, buffers.rows, caches, mask, kind)
            logits.copy_(graph.logits(hidden))
            log_all.copy_(torch.logsumexp(logits, dim=-1))

        return step
