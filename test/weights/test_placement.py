"""Devices and precisions by their names."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch", reason="the extra [model] is not installed")

from n3d_ros.errors import ConfigurationError  # noqa: E402
from n3d_ros.weights import placement  # noqa: E402


def test_devices_are_chosen_by_what_torch_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement.torch, "cuda", SimpleNamespace(is_available=lambda: True, device_count=lambda: 2))
    assert str(placement.choose_device("auto")) == "cuda:0"
    assert str(placement.choose_device("cuda:1")) == "cuda:1"
    assert str(placement.choose_device("cpu")) == "cpu"
    with pytest.raises(ConfigurationError, match="cuda:2 was asked for and 2 GPUs are visible"):
        placement.choose_device("cuda:2")


@pytest.mark.parametrize(
    ("stored", "fits", "chosen"),
    [
        (torch.float32, True, torch.float32),
        (torch.float64, True, torch.float32),
        (torch.bfloat16, True, torch.float32),
        (torch.bfloat16, False, torch.bfloat16),
    ],
)
def test_the_cpu_takes_float32_where_it_fits(stored: torch.dtype, fits: bool, chosen: torch.dtype) -> None:
    assert placement.choose_dtype("auto", torch.device("cpu"), stored, lambda _dtype: fits) == chosen


def test_a_named_dtype_is_taken_and_an_unknown_one_refused() -> None:
    assert placement.choose_dtype("float16", torch.device("cpu"), torch.float32, lambda _d: True) == torch.float16
    with pytest.raises(ConfigurationError, match="dtype: expected auto, bfloat16, float16, float32, got 'int4'"):
        placement.choose_dtype("int4", torch.device("cpu"), torch.float32, lambda _d: True)  # type: ignore[arg-type]
