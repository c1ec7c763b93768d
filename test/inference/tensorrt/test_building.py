"""Building in a child process: it may crash, hang or be stopped, and the parent goes on."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("onnxruntime", reason="the extra [model] is not installed")
pytest.importorskip("onnx", reason="the extra [model] is not installed")

from n3d_ros.errors import BackendError, CancelledError
from n3d_ros.inference.tensorrt.building import WORKER, build_in_child, visible_gpu
from n3d_ros.inference.tensorrt.job import BuildJob
from tensorrt_standin import FOLDER, RANGES, load_standin, write_graph

MARK = "N3D_TEST_OF_BUILDING"
BUILD = """
import sys
from n3d_ros.inference.tensorrt.building import build_in_child
from n3d_ros.inference.tensorrt.job import BuildJob
build_in_child(BuildJob.from_json(sys.argv[1]), lambda *_: None)
"""


@pytest.fixture(autouse=True)
def _marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the environment this test's builders are told from another's."""
    monkeypatch.setenv(MARK, str(tmp_path))


def job_of(folder: Path, operator: str = "MatMul") -> BuildJob:
    return BuildJob(
        graph=str(write_graph(folder / "g.onnx", operator)), plan=str(folder / "g.plan"), profiles=(RANGES,)
    )


def builders(mark: Path) -> list[int]:
    """Processes that build for a test."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words, environment = ((entry / name).read_bytes().split(b"\0") for name in ("cmdline", "environ"))
            except OSError:
                continue
            if WORKER.encode() in words and f"{MARK}={mark}".encode() in environment:
                found.append(int(entry.name))
    return found


def test_a_plan_is_built_while_progress_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load_standin(monkeypatch)
    told: list[tuple[str, float]] = []
    facts = build_in_child(job_of(tmp_path), lambda text, share: told.append((text, share)))
    assert (tmp_path / "g.plan").stat().st_size == facts["bytes"]
    shares = [share for _, share in told]
    assert shares == sorted(shares) and told[0] == ("Reading g.onnx", 0.0) and told[-1][0] == "Writing the engine"
    assert len({text for text, _ in told}) == 3


@pytest.mark.parametrize(
    ("number", "visible", "expected"),
    [(0, "", "0"), (1, "", "1"), (0, "2,3", "2"), (1, "2, GPU-5f", "GPU-5f"), (3, "2", "3")],
)
def test_a_builder_sees_the_one_gpu_that_is_built_for(number: int, visible: str, expected: str) -> None:
    assert visible_gpu(number, visible) == expected


def test_an_error_of_the_builder_comes_back_in_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load_standin(monkeypatch)
    with pytest.raises(BackendError, match="operator Attention"):
        build_in_child(job_of(tmp_path, "Attention"), lambda *_: None)


def test_a_builder_that_crashes_ends_only_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load_standin(monkeypatch, mode="crash")
    with pytest.raises(BackendError, match="ended by SIGSEGV"):
        build_in_child(job_of(tmp_path), lambda *_: None)
    assert not (tmp_path / "g.plan").exists()


def test_a_builder_that_cannot_begin_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tmp_path / "tensorrt.py"
    module.write_text("print('on its way')\nimport os, sys\nsys.stderr.write('libnvinfer is broken')\nos._exit(3)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(BackendError, match="ended with 3 and no answer: on its way libnvinfer is broken"):
        build_in_child(job_of(tmp_path), lambda *_: None)


def test_stopping_ends_the_builder_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load_standin(monkeypatch, mode="hang")
    beats = 0

    def stop_at_the_third_beat(_text: str, _share: float) -> None:
        nonlocal beats
        beats += 1
        if beats >= 4:
            assert builders(tmp_path)
            raise CancelledError("enough")

    with pytest.raises(CancelledError, match="enough"):
        build_in_child(job_of(tmp_path), stop_at_the_third_beat)
    assert not builders(tmp_path)


def test_a_builder_ends_when_its_parent_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load_standin(monkeypatch, mode="hang")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(FOLDER), *filter(None, sys.path)])}
    parent = subprocess.Popen([sys.executable, "-c", BUILD, job_of(tmp_path).to_json()], env=environment)
    deadline = time.monotonic() + 30
    while not builders(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert builders(tmp_path)
    parent.kill()
    parent.wait()
    while builders(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not builders(tmp_path)
