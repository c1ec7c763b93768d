"""What is said to TensorRT, in each of its versions; the module is a stand-in (test/standins)."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="the extra [model] is not installed")
pytest.importorskip("onnx", reason="the extra [model] is not installed")

from n3d_ros.errors import BackendError
from n3d_ros.inference.tensorrt import api
from n3d_ros.inference.tensorrt.job import BuildJob
from tensorrt_standin import NEWEST, OLDEST, RANGES, load_standin, write_graph

VERSIONS = (OLDEST, "10.7.0.23", "10.13.0.35", "10.16.0.72", "11.0.0.114", NEWEST)


def built(trt: Any, folder: Path, **more: Any) -> Path:
    """The plan of a small graph."""
    job = BuildJob(
        graph=str(write_graph(folder / "graph.onnx")),
        plan=str(folder / "graph.plan"),
        **{"profiles": (RANGES, {"rows": (8, 8, 8)}), **more},
    )
    api.build(trt, job, tell=lambda _share, _text: None, log=lambda _text: None)
    return Path(job.plan)


def aligned(array: np.ndarray) -> np.ndarray:
    """The array at an address that is a multiple of 256."""
    block = np.zeros(array.nbytes + 256, np.uint8)
    first = -block.ctypes.data % 256
    view = block[first : first + array.nbytes].view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


@pytest.fixture
def scratch() -> int:
    """Address of memory for what is computed in between."""
    return aligned(np.zeros(8192, np.uint8)).ctypes.data


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_builds_loads_and_runs(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scratch: int
) -> None:
    trt = load_standin(monkeypatch, version)
    assert api.import_tensorrt() is trt
    shares: list[float] = []
    job = BuildJob(
        graph=str(write_graph(tmp_path / "graph.onnx")),
        plan=str(tmp_path / "graph.plan"),
        profiles=(RANGES, {"rows": (8, 8, 8)}),
        workspace_bytes=1 << 20,
        level=1,
    )
    facts = api.build(trt, BuildJob.from_json(job.to_json()), tell=lambda share, _: shares.append(share), log=print)
    assert facts["tensorrt"] == version and facts["profiles"] == 2
    assert shares == sorted(shares) and shares[-1] == pytest.approx(0.97)
    assert api.plan_version(tmp_path / "graph.plan") == version
    engine = api.Engine(trt, tmp_path / "graph.plan")
    assert engine.profiles == 2 and engine.ranges("x", 0) == ((1, 2), (8, 2))
    assert engine.tensors["x"] == api.TensorFacts(is_input=True, dtype="float32", shape=(-1, 2))
    assert not engine.tensors["y"].is_input
    x, y = aligned(np.ones((5, 2), np.float32)), aligned(np.zeros((5, 3), np.float32))
    context = engine.context(0, 7, scratch)
    context.bind({"x": x.shape}, {"x": x.ctypes.data, "y": y.ctypes.data})
    context.queue(7)
    np.testing.assert_array_equal(y, np.tile([3, 5, 7], (5, 1)))


def test_a_context_of_another_profile_takes_its_sizes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scratch: int
) -> None:
    trt = load_standin(monkeypatch)
    engine = api.Engine(trt, built(trt, tmp_path))
    x, y = aligned(np.ones((8, 2), np.float32)), aligned(np.zeros((8, 3), np.float32))
    fixed = engine.context(1, 7, scratch)
    addresses = {"x": x.ctypes.data, "y": y.ctypes.data}
    fixed.bind({"x": (8, 2)}, addresses)
    fixed.queue(7)
    assert ("profile", 1) in trt.calls and y.any()
    with pytest.raises(BackendError, match=r"x: the engine is built for \(8, 2\) to \(8, 2\), got \(7, 2\)"):
        fixed.bind({"x": (7, 2)}, addresses)
    with pytest.raises(BackendError, match=r"expected a profile below 2, got 2"):
        engine.context(2, 7, scratch)  # which would end the process in versions up to 10.7


def test_a_shape_is_told_once_and_an_address_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scratch: int
) -> None:
    trt = load_standin(monkeypatch)
    context = api.Engine(trt, built(trt, tmp_path)).context(0, 7, scratch)
    outputs = [aligned(np.zeros((2, 3), np.float32)) for _ in range(2)]
    x = aligned(np.ones((2, 2), np.float32))
    for y in outputs:
        context.bind({"x": (2, 2)}, {"x": x.ctypes.data, "y": y.ctypes.data})
        context.queue(7)
    assert [call for call in trt.calls if call[0] == "shape"] == [("shape", "x", (2, 2))]
    np.testing.assert_array_equal(*outputs)


def test_wrong_bindings_are_refused_before_tensorrt_sees_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scratch: int
) -> None:
    trt = load_standin(monkeypatch)
    context = api.Engine(trt, built(trt, tmp_path)).context(0, 7, scratch)
    with pytest.raises(BackendError, match="expected the tensor y too"):
        context.bind({"x": (1, 2)}, {"x": 256})
    with pytest.raises(BackendError, match="a multiple of 256, got 0x101"):
        context.bind({"x": (1, 2)}, {"x": 257, "y": 512})
    with pytest.raises(BackendError, match=r"built for \(1, 2\) to \(8, 2\), got \(9, 2\)"):
        context.bind({"x": (9, 2)}, {"x": 256, "y": 512})
    with pytest.raises(BackendError, match="got \\(1, 2, 1\\)"):
        context.bind({"x": (1, 2, 1)}, {"x": 256, "y": 512})
    with pytest.raises(BackendError, match="an address is not set"):
        context.queue(7)


def test_a_plan_of_another_version_names_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = built(load_standin(monkeypatch, "10.7.0.23"), tmp_path)
    with pytest.raises(BackendError, match=r"TensorRT 10.3.0.26 cannot load.*10\.7\.0\.23 built.*Version tag") as told:
        api.Engine(load_standin(monkeypatch), plan)
    assert told.value.reason == "engine"


def test_a_damaged_plan_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = tmp_path / "graph.plan"
    plan.write_bytes(b"nothing of the kind, but long enough")
    assert api.plan_version(plan) == ""
    with pytest.raises(BackendError, match="magicTag"):
        api.Engine(load_standin(monkeypatch, "10.16.0.72"), plan)


def test_a_graph_that_cannot_be_read_names_the_operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trt = load_standin(monkeypatch)
    job = BuildJob(graph=str(write_graph(tmp_path / "g.onnx", "Attention")), plan=str(tmp_path / "g.plan"))
    with pytest.raises(BackendError, match=r"cannot read g.onnx: No importer.*operator Attention.*n3d export --tensor"):
        api.build(trt, job, tell=lambda *_: None, log=print)
    assert not (tmp_path / "g.plan").exists()


def test_a_gpu_without_code_is_told_with_what_helps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[str] = []
    trt = load_standin(monkeypatch, "10.13.3.9", "refuse")
    job = BuildJob(graph=str(write_graph(tmp_path / "g.onnx")), plan=str(tmp_path / "g.plan"), profiles=(RANGES,))
    with pytest.raises(BackendError, match="SM 87 is not supported.*Isaac ROS 4.5"):
        api.build(trt, job, tell=lambda *_: None, log=logged.append)
    assert "SM 87" in logged[0]


def test_a_profile_must_name_every_size_that_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BackendError, match="x: expected sizes of rows too"):
        built(load_standin(monkeypatch), tmp_path, profiles=({"columns": (1, 2, 3)},))
    with pytest.raises(BackendError, match="x: dynamic input without a profile"):
        built(load_standin(monkeypatch), tmp_path, profiles=())


@pytest.mark.parametrize("known", [None, b"what was measured", b"damaged"])
def test_what_is_known_of_kernels_is_used_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: bytes | None
) -> None:
    cache = tmp_path / "timing.cache"
    if known is not None:
        cache.write_bytes(known)
    built(load_standin(monkeypatch), tmp_path, timing_cache=str(cache))
    assert cache.read_bytes() == (b"" if known in (None, b"damaged") else known) + b"+"


@pytest.mark.parametrize(
    ("version", "message"),
    [("8.6.1", "10.3 .JetPack 6.2. to 11.x"), ("10.0.1.6", "expected 10.3"), ("12.0.0.1", "to 11.x")],
)
def test_versions_that_are_too_old_or_too_new_are_refused(
    version: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_standin(monkeypatch, version)
    with pytest.raises(BackendError, match=message) as told:
        api.import_tensorrt()
    assert told.value.reason == "no_tensorrt"


def test_a_tensorrt_without_parser_or_at_all_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    lean = ModuleType("tensorrt")
    lean.__version__ = "11.1.0.106"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tensorrt", lean)
    with pytest.raises(BackendError, match="without builder and parser"):
        api.import_tensorrt()
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(BackendError, match="does not import .* JetPack"):
        api.import_tensorrt()


@pytest.mark.parametrize(
    ("text", "expected"),
    [("10.3.0.26", (10, 3, 0, 26)), ("11.1.0+cuda13", (11, 1, 0)), ("10.7.0.post1", (10, 7, 0)), ("", ())],
)
def test_the_leading_numbers_of_a_version_count(text: str, expected: tuple[int, ...]) -> None:
    assert api.numbers(text) == expected
