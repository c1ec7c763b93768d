"""Settings of cuDNN while a network runs: what holds within, and that the process has its own again afterwards."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the extra [model] is not installed")

from n3d_ros.depth.network.repeating import repeating  # noqa: E402

GPU, CPU = torch.device("cuda"), torch.device("cpu")
cudnn = torch.backends.cudnn


def settings() -> tuple[Any, ...]:
    return cudnn.enabled, cudnn.benchmark, cudnn.deterministic, cudnn.conv.fp32_precision


@pytest.fixture(autouse=True)
def as_they_were() -> Iterator[None]:
    found = (cudnn.benchmark, cudnn.deterministic, cudnn.conv.fp32_precision, cudnn.allow_tf32)
    yield
    cudnn.conv.fp32_precision = found[2]
    cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32 = found[0], found[1], found[3]


def test_on_a_gpu_one_input_has_one_result_and_the_process_its_settings_again() -> None:
    cudnn.benchmark = True
    before = settings()
    with repeating(GPU, torch.float32):
        assert (cudnn.benchmark, cudnn.deterministic) == (False, True)
    assert settings() == before


def test_float32_convolutions_are_not_rounded_to_tf32() -> None:
    cudnn.allow_tf32 = True  # torch's default
    with repeating(GPU, torch.float32):
        assert not cudnn.allow_tf32
    assert cudnn.allow_tf32


@pytest.mark.parametrize("allowed", [True, False])
def test_with_half_precision_the_process_decides_on_tf32(allowed: bool) -> None:
    cudnn.allow_tf32 = allowed
    with repeating(GPU, torch.bfloat16):
        assert cudnn.allow_tf32 is allowed
    assert cudnn.allow_tf32 is allowed


def test_tf32_that_was_switched_off_stays_off() -> None:
    cudnn.allow_tf32 = False
    with repeating(GPU, torch.float32):
        assert not cudnn.allow_tf32
    assert not cudnn.allow_tf32


@pytest.mark.parametrize("precision", ["ieee", "none"])
def test_the_newer_switch_may_be_used_too(precision: str) -> None:
    cudnn.conv.fp32_precision = precision  # torch then refuses to read the older switch
    with repeating(GPU, torch.float32):
        assert cudnn.conv.fp32_precision == "ieee"
    assert cudnn.conv.fp32_precision == precision


def test_a_failure_leaves_nothing_behind() -> None:
    before = settings()
    with pytest.raises(RuntimeError, match="failed"), repeating(GPU, torch.float32):
        raise RuntimeError("failed")
    assert settings() == before


def test_two_at_once_take_turns_and_do_not_keep_each_others_settings() -> None:
    before, entered, leave = settings(), threading.Event(), threading.Event()

    def second() -> None:
        with repeating(GPU, torch.float32):
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=second)
    with repeating(GPU, torch.float32):
        thread.start()
        assert not entered.wait(0.2)
    assert entered.wait(10)
    leave.set()
    thread.join(10)
    assert settings() == before


def test_on_the_cpu_nothing_is_touched() -> None:
    before = settings()
    with repeating(CPU, torch.float32):
        assert settings() == before
