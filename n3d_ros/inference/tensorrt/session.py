"""One engine with tensors at its ends: contexts that share one block of memory for what is computed in between."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from n3d_ros.errors import BackendError
from n3d_ros.inference.tensorrt.api import ALIGNMENT, Context, Engine
from n3d_ros.inference.torch_devices import failures_told


class Arena:
    """Memory for what engines compute in between. Engines that never run at the same time share one.

    Args:
        engines: that share it.
        device: the GPU.
    """

    def __init__(self, engines: Mapping[str, Engine], device: torch.device) -> None:
        needed = max((engine.memory_bytes for engine in engines.values()), default=0)
        with failures_told(f"what engines compute in between ({needed / 2**20:.0f} MiB)", device):
            self._block = torch.empty(needed + ALIGNMENT, dtype=torch.uint8, device=device)
        self.bytes = needed

    @property
    def address(self) -> int:
        """Its first aligned byte."""
        start = int(self._block.data_ptr())
        return start + -start % ALIGNMENT


def current_gpu(device: torch.device) -> AbstractContextManager[Any]:
    """The context in which engines are loaded and contexts made: TensorRT takes the GPU that is current.

    Args:
        device: the GPU.

    Returns:
        A context that does nothing without a GPU.
    """
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


@dataclass(frozen=True, slots=True, eq=False)
class BoundRun:
    """A context with its sizes and addresses set.

    Args:
        context: of the engine.
        tensors: at these addresses, kept as long as they may be read and written.
    """

    context: Context
    tensors: tuple[Tensor, ...]

    def queue(self, stream: int) -> None:
        """Runs once, behind what was queued before.

        Args:
            stream: handle of a stream that is not the default one.
        """
        self.context.queue(stream)


class EngineSession:
    """Runs an engine. Used by one thread.

    Args:
        engine: that is loaded.
        arena: memory for what it computes in between.
        device: the GPU.
        stream: gives the handle of the stream on which it is queued.
    """

    def __init__(self, engine: Engine, arena: Arena, *, device: torch.device, stream: Callable[[], int]) -> None:
        self._engine, self._arena, self._device, self._stream = engine, arena, device, stream
        self._contexts: dict[int, Context] = {}
        self.output_names = tuple(name for name, facts in engine.tensors.items() if not facts.is_input)

    @property
    def engine(self) -> Engine:
        """The engine."""
        return self._engine

    def run(self, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor], *, profile: int = 0) -> None:
        """Queues one run.

        Args:
            inputs: every input of the graph, on the device; copied where they are not contiguous or not aligned.
            outputs: every output of the graph, contiguous, of the right shape, to be written.
            profile: number of the profile whose sizes these are.

        Raises:
            BackendError: a tensor is missing or of another kind, a size is outside of the profile, or TensorRT failed.
        """
        if profile not in self._contexts:
            self._contexts[profile] = self._new_context(profile)
        context = self._contexts[profile]
        targets = {name: _aligned_target(tensor) for name, tensor in outputs.items()}
        self._bind(context, inputs, targets)
        context.queue(self._stream())
        for name, target in targets.items():
            if target is not outputs[name]:
                outputs[name].copy_(target)

    def bound(self, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor], *, profile: int) -> BoundRun:
        """A context of its own for tensors that stay where they are, to be queued again and again, or recorded.

        A recorded run keeps shapes, addresses and the context's state, so no two share a context.

        Args:
            inputs: every input of the graph, contiguous and aligned.
            outputs: every output of the graph, contiguous and aligned.
            profile: number of the profile whose sizes these are.

        Returns:
            What runs it.

        Raises:
            BackendError: as ``run``.
        """
        context = self._new_context(profile)
        self._bind(context, inputs, outputs, moves=False)
        return BoundRun(context, (*inputs.values(), *outputs.values()))

    def close(self) -> None:
        """Frees the contexts; the engine is freed with the last of them."""
        self._contexts.clear()

    def _new_context(self, profile: int) -> Context:
        with current_gpu(self._device):
            return self._engine.context(profile, self._stream(), self._arena.address)

    def _bind(
        self, context: Context, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor], *, moves: bool = True
    ) -> None:
        """Sets shapes and addresses."""
        given = {**inputs, **outputs}
        bound: dict[str, Tensor] = {}
        for name, facts in self._engine.tensors.items():
            if name not in given:
                raise BackendError(f"{self._engine.plan.name}: expected the tensor {name} too.")
            tensor = given[name]
            if tensor.dtype != getattr(torch, facts.dtype) or tensor.device != self._device:
                raise BackendError(
                    f"{self._engine.plan.name}: {name}: expected {facts.dtype} on {self._device}, got {tensor.dtype} "
                    f"on {tensor.device}."
                )
            bound[name] = _aligned_source(tensor) if facts.is_input and moves else tensor
            if not bound[name].is_contiguous():
                raise BackendError(f"{self._engine.plan.name}: {name}: expected contiguous memory.")
        context.bind(
            {name: tuple(tensor.shape) for name, tensor in bound.items() if self._engine.tensors[name].is_input},
            {name: tensor.data_ptr() for name, tensor in bound.items()},
        )
        self._read = bound  # kept until the next run is queued behind this one


class OwnStream:
    """An engine that is run beside others: on a stream of its own, and done when ``run`` comes back.

    Args:
        engine: that is loaded.
        arena: memory for what it computes in between, which no other engine uses.
        device: the GPU.
    """

    def __init__(self, engine: Engine, arena: Arena, *, device: torch.device) -> None:
        self._cuda = torch.cuda.Stream(device) if device.type == "cuda" else None
        handle = 0 if self._cuda is None else int(self._cuda.cuda_stream)
        self._session = EngineSession(engine, arena, device=device, stream=lambda: handle)
        self.output_names = self._session.output_names

    def run(self, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> None:
        """Computes.

        Args:
            inputs: every input of the graph, on the device.
            outputs: every output of the graph, contiguous, of the right shape, to be written.

        Raises:
            BackendError: a tensor is missing or of another kind, or TensorRT failed.
        """
        if self._cuda is None:
            self._session.run(inputs, outputs)
            return
        with failures_told("the depth engine", self._cuda.device):
            self._cuda.wait_stream(torch.cuda.current_stream(self._cuda.device))  # on which the tensors were made
            with torch.cuda.stream(self._cuda):
                self._session.run(inputs, outputs)
            self._cuda.synchronize()


def _is_aligned(tensor: Tensor) -> bool:
    address = int(tensor.data_ptr())
    return address != 0 and address % ALIGNMENT == 0


def aligned_empty(*shape: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Memory that TensorRT takes, on any device.

    Args:
        *shape: of it.
        dtype: of it.
        device: where.

    Returns:
        A tensor whose address is a multiple of ``ALIGNMENT``; what it holds is 0.
    """
    count = 1
    for size in shape:
        count *= size
    block = torch.zeros(count * dtype.itemsize + ALIGNMENT, dtype=torch.uint8, device=device)
    first = -block.data_ptr() % ALIGNMENT
    return block[first : first + count * dtype.itemsize].view(dtype).view(shape)


def _aligned_source(tensor: Tensor) -> Tensor:
    """The tensor, or a copy that is contiguous and aligned."""
    if tensor.is_contiguous() and _is_aligned(tensor):
        return tensor
    copy = aligned_empty(*tensor.shape, dtype=tensor.dtype, device=tensor.device)
    copy.copy_(tensor)
    return copy


def _aligned_target(tensor: Tensor) -> Tensor:
    """The tensor, or memory to write in its place."""
    if tensor.is_contiguous() and _is_aligned(tensor):
        return tensor
    return aligned_empty(*tensor.shape, dtype=tensor.dtype, device=tensor.device)
