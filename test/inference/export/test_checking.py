"""A graph that computes something else than its network is refused, in the traced sizes and in others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the extra [model] is not installed")
pytest.importorskip("onnxscript", reason="the extra [model] is not installed")

from n3d_ros.errors import BackendError  # noqa: E402
from n3d_ros.inference.export import folders  # noqa: E402
from n3d_ros.inference.export.folders import write_checked  # noqa: E402
from n3d_ros.inference.export.tracing import Tracing  # noqa: E402


class Mean(torch.nn.Module):
    """A layer and the mean over rows; or the sum divided by the number of rows that there were when it was traced."""

    def __init__(self, *, bakes: bool = False) -> None:
        super().__init__()
        self.layer, self.bakes = torch.nn.Linear(8, 4), bakes

    def forward(self, rows: Any) -> Any:
        y = self.layer(rows)
        return y.sum(0) / 5 if self.bakes and torch.compiler.is_exporting() else y.mean(0)


def tracing_of(module: torch.nn.Module, **more: Any) -> Tracing:
    named = {"rows": {0: "rows"}}
    return Tracing(module=module.eval(), inputs={"rows": torch.zeros(5, 8)}, outputs=("mean",), named=named, **more)


def test_what_computes_the_same_is_written(tmp_path: Path) -> None:
    tracing = tracing_of(Mean(), others={"rows": torch.zeros(3, 8)})
    difference = write_checked(tracing, tmp_path / "a.onnx", dtype="float32", tensorrt="10.3")
    assert difference is not None and difference < 1e-6
    assert write_checked(tracing, tmp_path / "b.onnx", dtype="bfloat16", tensorrt="10.3") is None


def test_weights_that_are_not_the_networks_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module, write = Mean(), folders.write_graph

    def write_and_change(*args: Any, **more: Any) -> Any:
        written = write(*args, **more)
        with torch.no_grad():
            module.layer.weight[2, 3] += 0.5
        return written

    monkeypatch.setattr(folders, "write_graph", write_and_change)
    with pytest.raises(BackendError, match="computes something else than the network: mean differs by"):
        write_checked(tracing_of(module), tmp_path / "a.onnx", dtype="float32", tensorrt="10.3")


def test_a_size_that_was_traced_in_is_found_by_another_size(tmp_path: Path) -> None:
    arguments: dict[str, Any] = {"dtype": "float32", "tensorrt": "10.3"}
    assert write_checked(tracing_of(Mean(bakes=True)), tmp_path / "a.onnx", **arguments) is not None
    with pytest.raises(BackendError, match="computes something else"):
        write_checked(
            tracing_of(Mean(bakes=True), others={"rows": torch.zeros(3, 8)}), tmp_path / "b.onnx", **arguments
        )


def test_what_is_no_number_is_found(tmp_path: Path) -> None:
    module = Mean()
    with torch.no_grad():
        module.layer.weight[0, 0] = float("nan")
    with pytest.raises(BackendError, match="differs by inf"):
        write_checked(tracing_of(module), tmp_path / "a.onnx", dtype="float32", tensorrt="10.3")
