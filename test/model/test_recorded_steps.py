"""Recorded steps without a GPU: what they keep."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("torch", reason="the extra [model] is not installed")

from n3d_ros.model.recorded_steps import CudaRecorder


class Memory:
    """What a step reads and writes."""


class Stream:
    def synchronize(self) -> None:
        pass


def recorded_with_memory(recorder: CudaRecorder) -> tuple[Callable[[], None], weakref.ref[Memory]]:
    """A recorded step, and what it uses; nobody else holds either."""
    memory = Memory()

    def step() -> None:
        assert memory is not None

    return recorder(step), weakref.ref(memory)


def test_a_recorded_step_keeps_the_memory_that_was_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A replay writes to the same addresses: nobody else may get them meanwhile."""
    replayed: list[str] = []

    def capture(_self: Any, step: Callable[[], None]) -> Callable[[], None]:
        step()
        return lambda: replayed.append("again")

    monkeypatch.setattr(CudaRecorder, "_capture", capture)
    stream: Any = Stream()
    replay, held = recorded_with_memory(CudaRecorder(stream))
    gc.collect()
    assert held() is not None
    replay()
    assert replayed == ["again"]
    del replay
    gc.collect()
    assert held() is None


def test_a_recording_that_failed_is_tried_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[int] = []

    def capture(_self: Any, _step: Callable[[], None]) -> Callable[[], None]:
        tries.append(1)
        if len(tries) == 1:
            raise RuntimeError("")
        return lambda: None

    monkeypatch.setattr(CudaRecorder, "_capture", capture)
    stream: Any = Stream()
    CudaRecorder(stream)(lambda: None)
    assert len(tries) == 2
