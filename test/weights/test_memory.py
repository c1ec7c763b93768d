"""How much memory there is, and how a plan tells what is needed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch", reason="the extra [model] is not installed")

from n3d_ros.errors import ConfigurationError  # noqa: E402
from n3d_ros.weights import memory  # noqa: E402
from n3d_ros.weights.memory import MemoryPlan  # noqa: E402


def test_a_containers_limit_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in (
        ("max", "1000000"),
        ("current", "700000"),
        ("stat", "inactive_file 50000\nactive_file 10000\nx"),
    ):
        (tmp_path / f"memory.{name}").write_text(text)
    monkeypatch.setattr(memory, "CGROUP_FILES", [(str(tmp_path / "memory.max"), str(tmp_path / "memory.current"))])
    assert memory.host_available_bytes() == 360_000
    (tmp_path / "memory.max").write_text("max")
    assert memory.host_available_bytes() > 1_000_000


def test_a_gpus_memory_counts_what_torch_holds_and_a_shared_memorys_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    device = torch.device("cuda", 0)
    integrated = SimpleNamespace(is_integrated=0)
    fake = SimpleNamespace(
        memory_reserved=lambda _device: 70, memory_allocated=lambda _device: 50,
        mem_get_info=lambda _device: (1000, 5000), get_device_properties=lambda _device: integrated,
    )  # fmt: skip
    monkeypatch.setattr(memory.torch, "cuda", fake)
    monkeypatch.setattr(memory, "host_available_bytes", lambda: 4000)
    assert memory.available_bytes(device) == 1020
    assert memory.available_bytes(device, limit_bytes=300) == 300
    integrated.is_integrated = 1
    assert memory.available_bytes(device) == 4000


def test_a_plan_that_does_not_fit_says_figures_and_what_else_helps() -> None:
    plan = MemoryPlan(
        parameters=8_290_000_000,
        weight_bytes=16_580_000_000,
        available_bytes=8_000_000_000,
        place="the host",
        working_bytes=533_700_000,
        advice="; fewer views do too",
    )
    assert plan.sentence() == (
        "8.29 billion parameters, 16.58 GB of weights, about 533.7 MB for computing; 8.00 GB are free on the host"
    )
    with pytest.raises(ConfigurationError, match="needs 18.11 GB .* or a smaller model; fewer views do too.") as caught:
        plan.check()
    assert caught.value.reason == "out_of_memory"
