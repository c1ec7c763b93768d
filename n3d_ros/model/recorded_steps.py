"""Steps of fixed shape that are recorded once and replayed: as CUDA graphs, whose launch costs as much as one kernel.

A recorder takes a function without arguments and gives one that does the same again, on the same memory. Tests put a
recorder of their own in its place, so that padding, buckets and staging run without a GPU too.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

logger = logging.getLogger(__name__)

Replay: TypeAlias = Callable[[], None]
Recorder: TypeAlias = Callable[[Callable[[], None]], Replay]


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


class StagedSteps:
    """The buffers of steps of several sizes, filled without overtaking the transfer before.

    Args:
        head_dim: channels per head.
        device: of the model.
        stream: on which steps are queued; None without a GPU.
    """

    def __init__(self, head_dim: int, device: torch.device, stream: torch.cuda.Stream | None) -> None:
        self._head_dim, self._device, self._stream = head_dim, device, stream
        self._buffers: dict[int, StepBuffers] = {}
        self._sent: Any = None

    def buffers(self, size: int) -> StepBuffers:
        """The buffers of steps of a size, which stay where they are.

        Args:
            size: tokens.

        Returns:
            The same ones each time.
        """
        if size not in self._buffers:
            self._buffers[size] = StepBuffers(size, self._head_dim, self._device)
        return self._buffers[size]

    def staged(
        self, size: int, token_ids: NDArray[np.int64], start: int, cos: NDArray[np.float32], sin: NDArray[np.float32]
    ) -> StepBuffers:
        """The buffers of a step, filled. Waits until the transfer before has left the host's memory.

        Args:
            size: tokens, padding among them.
            token_ids: (T,) with T <= size.
            start: row of the first one.
            cos: (T, D).
            sin: (T, D).

        Returns:
            The buffers.
        """
        buffers = self.buffers(size)
        if self._stream is None:
            buffers.fill(token_ids, start, cos, sin)
            return buffers
        if self._sent is None:
            self._sent = torch.cuda.Event()
        self._sent.synchronize()
        buffers.fill(token_ids, start, cos, sin)
        self._sent.record(self._stream)
        return buffers


class CudaRecorder:
    """Records steps as CUDA graphs that share one pool of memory, and are replayed one after the other.

    Args:
        stream: on which steps are queued; current while this is called.
    """

    def __init__(self, stream: torch.cuda.Stream) -> None:
        self._stream = stream
        self._pool: Any = None

    def __call__(self, step: Callable[[], None]) -> Replay:
        """The recorded step.

        Args:
            step: is run once before, so that libraries have made their plans.

        Returns:
            What does it again. It keeps the step, and with it the memory and the contexts that were recorded.

        Raises:
            RuntimeError: it cannot be recorded.
        """
        step()
        self._stream.synchronize()
        replay = self._captured(step)

        def again(_kept: Callable[[], None] = step) -> None:
            replay()

        return again

    def _captured(self, step: Callable[[], None]) -> Replay:
        """The recorded step alone; a failed recording is tried once more."""
        try:
            return self._capture(step)
        except torch.cuda.OutOfMemoryError:
            raise
        except RuntimeError as error:
            logger.info("A CUDA graph failed and is recorded once more: %s", error)
            self._pool = None  # the allocator takes the one of a broken recording for busy
            self._stream.synchronize()
            return self._capture(step)

    def _capture(self, step: Callable[[], None]) -> Replay:
        graph = torch.cuda.CUDAGraph()
        if self._pool is None:
            self._pool = torch.cuda.graph_pool_handle()
        with garbage_kept():
            # Only this thread's calls are watched: others may use the device meanwhile.
            graph.capture_begin(pool=self._pool, capture_error_mode="thread_local")
            try:
                step()
            finally:
                graph.capture_end()
        replay: Replay = graph.replay
        return replay


@contextmanager
def garbage_kept() -> Iterator[None]:
    """A context without cyclic garbage collection: freeing another model's buffers would break a recording."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
