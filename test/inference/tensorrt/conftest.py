"""Exported graphs of the packaged model, made once, and a machine that engines can be built for with the stand-in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tensorrt_standin import load_standin


@pytest.fixture(scope="session")
def nano_graphs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """n3d-nano in float32, for any image size."""
    return _exported(tmp_path_factory, "float32")


@pytest.fixture(scope="session")
def half_graphs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights in float16, in both forms; of two layers, since a CPU computes half precision slowly."""
    pytest.importorskip("torch", reason="the extra [model] is not installed")
    from model_training.models.random_model import write_random_model

    folder = tmp_path_factory.mktemp("random") / "model"
    write_random_model(folder, size="tiny", dtype="float16", position_code="aligned")
    return _exported(tmp_path_factory, "float16", str(folder))


def _exported(factory: pytest.TempPathFactory, dtype: Any, source: str = "n3d-nano") -> Path:
    for name in ("torch", "transformers", "onnxscript", "onnxruntime"):
        pytest.importorskip(name, reason="the extra [model] is not installed")
    from n3d_ros.inference.export.language_model import ExportOptions, export_language_model

    out = factory.mktemp("graphs") / dtype
    export_language_model(source, out, ExportOptions(dtype=dtype))
    return out


@pytest.fixture
def with_standin(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Puts the stand-in, on a machine of its own, in place of TensorRT and a GPU; gives what changes either."""
    torch = pytest.importorskip("torch", reason="the extra [model] is not installed")
    from n3d_ros.inference.tensorrt import targets
    from n3d_ros.inference.tensorrt.machine import Machine

    def put(version: str = "10.3.0.26", mode: str = "", **facts: Any) -> Any:
        trt = load_standin(monkeypatch, version, mode)
        usual = {
            "driver": "540.4.0",
            "gpu": "Orin",
            "compute_capability": "8.7",
            "multiprocessors": 16,
            "jetpack": "R36.4.3",
        }
        monkeypatch.setattr(targets, "choose_gpu", lambda _device: torch.device("cpu"))
        monkeypatch.setattr(
            targets, "this_machine", lambda tensorrt, _device: Machine(tensorrt=tensorrt, **{**usual, **facts})
        )
        return trt

    return put
