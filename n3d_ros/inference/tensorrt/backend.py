"""The language model's engines in TensorRT, behind the boundary of ``n3d_ros.inference.backend``.

A cache's first R rows are read where they lie, for R of few sizes (``profiles``); a mask hides those that are not
filled yet. New rows are written beside the cache and copied behind its last one: TensorRT promises nothing for memory
that is read and written at once. Short chunks behind earlier rows are padded to few sizes and recorded as CUDA graphs,
each with a context of its own: embedding, mask, engine and copy are one launch. All else is queued call by call.

Never run by us with TensorRT. The tests run this file with a stand-in that computes each call in ONNX Runtime from the
same shapes and addresses.
"""

from __future__ import annotations

import logging
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from n3d_ros.errors import BackendError
from n3d_ros.inference.backend import Chunk
from n3d_ros.inference.graph_backend import GraphBackend, GraphCache, GraphSession, causal
from n3d_ros.inference.graphs import DECODER, VISION, LanguageModelGraphs
from n3d_ros.inference.tensorrt.api import ALIGNMENT, Engine
from n3d_ros.inference.tensorrt.profiles import (
    LONGEST_EXTEND,
    LONGEST_PREFILL,
    PREFILL,
    buckets,
    decode_profile,
    decoder_profiles,
    extend_profile,
)
from n3d_ros.inference.tensorrt.session import Arena, EngineSession, aligned_empty, current_gpu
from n3d_ros.model.recorded_steps import CudaRecorder, Recorder, Replay, StagedSteps, StepBuffers

logger = logging.getLogger(__name__)

RECORDED_SIZES = (1, 2, 4, 8, 16)  # tokens per recorded step
MOST_RECORDED = 40  # steps that are kept: sizes x buckets x caches; each has a context


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Piece:
    """Some tokens of a chunk that one run appends.

    Args:
        begin: first token.
        end: behind the last one.
        size: to which they are padded for a recorded step; 0: they are not.
    """

    begin: int
    end: int
    size: int = 0


class TensorRtBackend(GraphBackend):
    """Runs a language model's engines.

    Args:
        folder: of the exported graphs, for the embedding.
        plans: folder of the engines built of them.
        graphs: what they are; the caller has checked the files.
        trt: the module.
        capacity: longest sequence, tokens; the engine is built for it.
        device: the GPU.
        cuda_graphs: whether short steps are recorded.
        record: records steps in place of CUDA graphs, on any device.

    Raises:
        BackendError: engines that cannot be loaded here, or are built for another capacity.
        ConfigurationError: the embedding cannot be read.
    """

    name = "tensorrt"

    def __init__(
        self,
        folder: Path,
        plans: Path,
        graphs: LanguageModelGraphs,
        trt: Any,
        *,
        capacity: int,
        device: torch.device,
        cuda_graphs: bool = True,
        record: Recorder | None = None,
    ) -> None:
        super().__init__(folder, graphs, capacity=capacity, device=device)
        with current_gpu(device):
            engines = {name: Engine(trt, plans / f"{name}.plan") for name in (VISION, DECODER)}
        arena = Arena(engines, device)
        self._engines = {
            name: EngineSession(engine, arena, device=device, stream=self._handle) for name, engine in engines.items()
        }
        self._profiles = {profile.name: number for number, profile in enumerate(decoder_profiles(capacity))}
        if engines[DECODER].profiles != len(self._profiles):
            raise BackendError(
                f"{plans}: expected {len(self._profiles)} profiles for {capacity} tokens, got "
                f"{engines[DECODER].profiles}; build the engine for this language_model.capacity."
            )
        self._buckets = buckets(capacity)
        self.least_rows = 1
        """Of a bucket: a self-test runs short sequences through every bucket that way."""
        self._free: list[Tensor] = []
        self.notes: list[str] = []
        if record is None and cuda_graphs and self._stream is not None:
            record = CudaRecorder(self._stream)
        self._record = record
        self._recorded: OrderedDict[tuple[int, int, int], Replay] = OrderedDict()
        self._steps = StagedSteps(graphs.head_dim, device, self._stream)
        self._static: dict[int, _StepTensors] = {}
        self._places = torch.arange(capacity, device=device)
        if self._stream is not None:
            self._stream.wait_stream(torch.cuda.current_stream(device))  # on which the places were made

    def _vision(self) -> GraphSession:
        return self._session(VISION)

    def _session(self, name: str) -> EngineSession:
        """An engine, as long as it is there."""
        if not self._engines:
            raise self._closed()
        return self._engines[name]

    def new_rows(self, owner: GraphCache) -> Tensor:
        """Memory for a cache, which comes back when its owner is gone: what is recorded belongs to addresses.

        Args:
            owner: the cache.

        Returns:
            (layers, capacity, width), finite.

        Raises:
            BackendError: too little memory, or the runtime is closed.
        """
        self._vision()
        graphs = self._graphs
        if not self._free:
            row_bytes = graphs.cache_width * self._number.itemsize
            rows = next(rows for rows in range(self.capacity, 2 * self.capacity) if rows * row_bytes % ALIGNMENT == 0)
            with self.at_work("a cache"):
                block = aligned_empty(graphs.layers, rows, graphs.cache_width, dtype=self._number, device=self._place)
                self._free.append(block[:, : self.capacity])  # of which every layer begins at an aligned address
        memory = self._free.pop()
        with self.at_work("a cache"):
            memory.zero_()  # whatever a sequence before it left: what is no number stays none behind a mask
        weakref.finalize(owner, self._free.append, memory).atexit = False
        return memory

    def warm_up(self, length: int, *, caches: int = 1) -> None:
        """Records the short steps of sequences from some length on, so that no answer waits for it.

        Args:
            length: tokens, such as an image's and a prompt's.
            caches: how many are going to be used at a time; what is recorded belongs to one cache.
        """
        if self._record is None:
            return
        held = [self.new_cache() for _ in range(caches)]
        used = [rows for rows in self._buckets if rows >= length]
        # The smallest buckets first: as many as are kept.
        wanted = [(cache, size, rows) for rows in used for cache in held for size in RECORDED_SIZES if size < rows]
        with self.at_work("the warm-up"):
            for cache, size, rows in wanted[:MOST_RECORDED]:
                self._replay(cache.memory, size, rows)

    def _append(self, cache: GraphCache, chunk: Chunk, wanted: int) -> tuple[Tensor, Tensor]:
        """Appends the chunk's rows piece by piece; see ``GraphBackend``."""
        count, start = len(chunk.token_ids), cache.length
        # Embeddings of all tokens are only needed where a piece is not recorded, or there are visual ones among them.
        inputs: dict[str, Tensor] = {}
        parts = []
        for piece in self._pieces(start, count, wanted, is_text=not chunk.visual):
            asked = piece.end - max(piece.begin, count - wanted)
            if piece.size:
                logits, log_all = self._step(cache, chunk, start, piece)
                rows = slice(piece.end - piece.begin - asked, piece.end - piece.begin) if asked > 0 else slice(0, 0)
                parts.append((logits[rows], log_all[rows]))
                continue
            inputs = inputs or self._token_inputs(chunk)
            found = self._run(cache, inputs, start, piece, max(asked, 1))
            parts.append(found if asked > 0 else (found[0][:0], found[1][:0]))
        if len(parts) == 1:
            return parts[0]
        return torch.cat([logits for logits, _ in parts]), torch.cat([log_all for _, log_all in parts])

    def _pieces(self, start: int, count: int, wanted: int, *, is_text: bool) -> Iterator[Piece]:
        """How a chunk is cut: what an engine's profiles and the recorded steps take."""
        begin = 0
        if start == 0:
            begin = min(count - max(wanted - LONGEST_EXTEND, 0), LONGEST_PREFILL)
            yield Piece(begin=0, end=begin)
        while begin < count:
            left, room = count - begin, self.capacity - start - begin
            size = next((size for size in RECORDED_SIZES if size >= left), 0)
            is_recorded = self._record is not None and is_text and 0 < size <= room
            end = begin + (left if is_recorded else min(left, LONGEST_EXTEND))
            yield Piece(begin=begin, end=end, size=size if is_recorded else 0)
            begin = end

    def _run(
        self, cache: GraphCache, tokens: Mapping[str, Tensor], start: int, piece: Piece, asked: int
    ) -> tuple[Tensor, Tensor]:
        """Appends a piece, call by call; logits after the last of its tokens."""
        row, count, device = start + piece.begin, piece.end - piece.begin, self._place
        if row == 0:
            profile, past = PREFILL, [self._hidden_row] * len(cache.memory)
            mask = torch.full((1, 1), float("-inf"), device=device)
        else:
            bucket = self._bucket(row)
            profile = decode_profile(bucket) if count == 1 else extend_profile(bucket)
            past = list(cache.memory[:, :bucket])
            mask = torch.zeros(1, bucket, device=device)
            mask[:, row:] = float("-inf")
        new = aligned_empty(len(cache.memory), count, self._graphs.cache_width, dtype=self._number, device=device)
        logits = torch.empty(asked, self.vocab_size, device=device)
        log_all = torch.empty(asked, device=device)
        self._session(DECODER).run(
            {
                **{name: tensor[piece.begin : piece.end] for name, tensor in tokens.items()},
                "past_mask": mask,
                "new_mask": torch.from_numpy(causal(count)).to(device),
                "wanted": torch.arange(count - asked, count, device=device),
                **{f"past.{layer}": rows for layer, rows in enumerate(past)},
            },
            {"logits": logits, "log_all": log_all, **{f"new.{layer}": rows for layer, rows in enumerate(new)}},
            profile=self._profiles[profile],
        )
        cache.memory[:, row : row + count] = new
        return logits, log_all

    def _step(self, cache: GraphCache, chunk: Chunk, start: int, piece: Piece) -> tuple[Tensor, Tensor]:
        """Appends a piece by a recorded step; logits after all of its tokens, padding behind them, till the next."""
        row, part = start + piece.begin, slice(piece.begin, piece.end)
        cos, sin = self._rotary.tables(chunk.position_ids[:, part])
        self._steps.staged(piece.size, chunk.token_ids[part], row, cos, sin)
        replay = self._replay(cache.memory, piece.size, self._bucket(row))
        replay()
        tensors = self._static[piece.size]
        return tensors.logits, tensors.log_all

    def _bucket(self, rows: int) -> int:
        """The smallest bucket that holds some rows."""
        return next(bucket for bucket in self._buckets if bucket >= max(rows, self.least_rows))

    def _replay(self, memory: Tensor, size: int, bucket: int) -> Replay:
        """The recorded step of a cache, a size and a bucket; plain calls where recording fails."""
        key = (memory.data_ptr(), size, bucket)
        if key in self._recorded:
            self._recorded.move_to_end(key)
            return self._recorded[key]
        step = self._make_step(memory, size, bucket)
        if self._record is not None:
            try:
                step = self._record(step)
            except torch.cuda.OutOfMemoryError:
                raise
            except (RuntimeError, BackendError) as error:
                self.notes.append(f"CUDA graphs failed; steps run without them: {_first_line(error)}")
                logger.warning(self.notes[-1])
                self._record = None
        while len(self._recorded) >= MOST_RECORDED:
            self._recorded.popitem(last=False)
        self._recorded[key] = step
        return step

    def _make_step(self, memory: Tensor, size: int, bucket: int) -> Callable[[], None]:
        """A step on fixed memory, from staged inputs to the rows of a cache."""
        buffers, tensors = self._steps.buffers(size), self._step_tensors(size)
        profile = decode_profile(bucket) if size == 1 else extend_profile(bucket)
        mask = aligned_empty(1, bucket, dtype=torch.float32, device=self._place)
        run = self._session(DECODER).bound(
            {
                "embeds": tensors.embeds,
                "cos": tensors.cos,
                "signed_sin": tensors.signed_sin,
                "past_mask": mask,
                "new_mask": tensors.new_mask,
                "wanted": tensors.wanted,
                **{f"past.{layer}": rows for layer, rows in enumerate(memory[:, :bucket])},
            },
            {
                "logits": tensors.logits,
                "log_all": tensors.log_all,
                **{f"new.{layer}": rows for layer, rows in enumerate(tensors.new)},
            },
            profile=self._profiles[profile],
        )
        embedding, places = self._embedding, self._places[:bucket]

        def step() -> None:
            tensors.fill(buffers, embedding)
            mask.zero_().masked_fill_((places >= buffers.rows[0])[None], float("-inf"))
            run.queue(self._handle())
            memory.index_copy_(1, buffers.rows, torch.stack(tensors.new))

        return step

    def _step_tensors(self, size: int) -> _StepTensors:
        """What the engine reads and writes in steps of a size; every cache and bucket uses the same."""
        if size not in self._static:
            graphs, device = self._graphs, self._place
            number = {"dtype": self._number, "device": device}
            real: dict[str, Any] = {"dtype": torch.float32, "device": device}
            mask = aligned_empty(size, size, **real)
            mask.copy_(torch.from_numpy(causal(size)))
            wanted = aligned_empty(size, dtype=torch.int64, device=device)
            wanted.copy_(torch.arange(size))
            new = [aligned_empty(size, graphs.cache_width, **number) for _ in range(graphs.layers)]
            self._static[size] = _StepTensors(
                embeds=aligned_empty(size, self._embedding.shape[1], **number),
                cos=aligned_empty(size, graphs.head_dim, **real),
                signed_sin=aligned_empty(size, graphs.head_dim, **real),
                new_mask=mask,
                wanted=wanted,
                logits=aligned_empty(size, self.vocab_size, **real),
                log_all=aligned_empty(size, **real),
                new=new,
            )
        return self._static[size]

    def _handle(self) -> int:
        """The stream on which engines are queued; 0 without a GPU."""
        return 0 if self._stream is None else int(self._stream.cuda_stream)

    def close(self) -> None:
        """Frees weights and buffers; nothing but ``close`` may be called afterwards."""
        if not self._engines:
            return
        try:
            self._synchronize()
        except RuntimeError as error:  # a device that failed is closed all the same
            logger.warning("Closing after a failure of %s: %s", self.device, _first_line(error))
        for session in self._engines.values():
            session.close()
        self._engines = {}
        self._recorded.clear()
        self._static.clear()
        self._free.clear()
        super().close()


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _StepTensors:
    """Fixed memory of a step of S tokens; shapes as in ``SplitDecoder``."""

    embeds: Tensor
    cos: Tensor
    signed_sin: Tensor
    new_mask: Tensor
    wanted: Tensor
    logits: Tensor
    log_all: Tensor
    new: list[Tensor]

    def fill(self, buffers: StepBuffers, embedding: Tensor) -> None:
        """Takes over what was staged."""
        self.embeds.copy_(functional.embedding(buffers.token_ids, embedding))
        self.cos.copy_(buffers.cos[:, 0])
        self.signed_sin.copy_(buffers.signed_sin[:, 0])
