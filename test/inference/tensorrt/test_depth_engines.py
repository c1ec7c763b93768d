"""Engines of depth models: built, tested against the network, and taken where a depth model is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra [model] is not installed")
for name in ("onnxscript", "onnxruntime"):
    pytest.importorskip(name, reason="the extra [model] is not installed")

from safetensors.numpy import load_file, save_file  # noqa: E402

from model_training.models.random_depth_model import write_random_depth_model  # noqa: E402
from n3d_ros.depth.options import DepthOptions  # noqa: E402
from n3d_ros.depth.views import View  # noqa: E402
from n3d_ros.errors import BackendError, ConfigurationError  # noqa: E402
from n3d_ros.inference.depth_self_test import depth_failures, measure_depth  # noqa: E402
from n3d_ros.inference.export.depth import DepthExportOptions, export_depth_model  # noqa: E402
from n3d_ros.inference.golden_scene import golden_frame  # noqa: E402
from n3d_ros.inference.graph_depth import load_depth_graphs  # noqa: E402
from n3d_ros.inference.graphs import GOLDENS_FILE, DepthGraphs, read_graphs  # noqa: E402
from n3d_ros.inference.onnx_session import OnnxSession  # noqa: E402
from n3d_ros.inference.tensorrt.engines import build_engine  # noqa: E402
from n3d_ros.inference.tensorrt.store import EngineStore  # noqa: E402
from n3d_ros.inference.tensorrt.targets import EngineOptions, find_target  # noqa: E402

pytestmark = pytest.mark.timeout(300)

Put = Callable[..., Any]
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def nested_graphs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny any-view network for two views, and a metric one."""
    weights = write_random_depth_model(tmp_path_factory.mktemp("weights") / "nested", "tiny-nested", seed=7)
    out = tmp_path_factory.mktemp("graphs") / "nested"
    export_depth_model(str(weights), out, DepthExportOptions(image=(160, 120), resolution=112, views=2))
    return out


@pytest.mark.parametrize("part", ["any_view", "single"])
def test_onnx_runtime_says_what_the_network_said(nested_graphs: Path, part: str) -> None:
    graphs = read_graphs(nested_graphs, DepthGraphs)
    session = OnnxSession(nested_graphs / f"{part}.onnx", device=CPU)
    found = measure_depth(session, graphs, part, nested_graphs / GOLDENS_FILE, device=CPU)
    assert depth_failures(found, "float32") == []
    assert found[f"{part}_depth_error"] < 1e-3 and set(session.output_names) < {
        name.removeprefix(f"{part}_").removesuffix("_cosine") for name in found
    }


def test_depth_that_is_another_is_found_out(nested_graphs: Path, tmp_path: Path) -> None:
    graphs = read_graphs(nested_graphs, DepthGraphs)
    session = OnnxSession(nested_graphs / "single.onnx", device=CPU)
    changed = load_file(nested_graphs / GOLDENS_FILE)
    for factor, expected in ((1.2, "single_depth_error"), (np.nan, "single_depth_cosine")):
        save_file({**changed, "single.depth": changed["single.depth"] * np.float16(factor)}, tmp_path / "other")
        found = measure_depth(session, graphs, "single", tmp_path / "other", device=CPU)
        assert any(each.startswith(expected) for each in depth_failures(found, "bfloat16"))
    save_file({"any_view.depth": changed["any_view.depth"]}, tmp_path / "other")
    with pytest.raises(ConfigurationError, match="expected depth, sky of single, got nothing; export the model again"):
        measure_depth(session, graphs, "single", tmp_path / "other", device=CPU)


def test_an_engine_is_built_and_taken_where_the_model_is_named(
    nested_graphs: Path, tmp_path: Path, with_standin: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GPU is pretended where a runtime is chosen; the stand-in computes on the CPU."""
    trt = with_standin()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("n3d_ros.inference.graph_depth.choose_device", lambda _device: torch.device("cuda", 0))
    monkeypatch.setattr("n3d_ros.inference.tensorrt.targets.choose_device", lambda _device: CPU)
    camera = golden_frame(160, 120)
    views = [
        View(rgb=camera.rgb, intrinsics=camera.intrinsics),
        View(rgb=camera.rgb[:, ::-1], intrinsics=camera.intrinsics),
    ]
    options = DepthOptions(process_res=112)
    plain = load_depth_graphs(nested_graphs, options=options)
    assert any("not TensorRT: No engine is built" in fact for fact in plain.facts())
    entry = build_engine(find_target(nested_graphs, EngineOptions()), EngineStore())
    assert entry.record is not None and set(entry.record.files) == {"any_view.plan", "single.plan"}
    assert entry.record.self_test["any_view_depth_error"] < 1e-3
    before = len(trt.calls)
    model = load_depth_graphs(nested_graphs, options=options)
    assert any("TensorRT 10.3.0.26" in fact for fact in model.facts())
    found, expected = model.estimate(views), plain.estimate(views)
    assert len([call for call in trt.calls[before:] if call[0] == "run"]) == 3  # both views, and each by itself
    for one, other in zip(found.views, expected.views, strict=True):
        np.testing.assert_allclose(one.depth_m, other.depth_m, rtol=1e-4)
    model.close()
    plain.close()


def test_a_depth_engine_that_computes_wrongly_is_refused(
    nested_graphs: Path, tmp_path: Path, with_standin: Put
) -> None:
    with_standin(mode="wrong")
    store = EngineStore(tmp_path)
    with pytest.raises(BackendError, match="as exported form computes something else"):
        build_engine(find_target(nested_graphs, EngineOptions()), store)
    assert store.entries() == []
