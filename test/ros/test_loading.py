"""A grounder on its way: interrupted while it loads, it is closed all the same, in the thread that made it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sensor_msgs", reason="needs ROS 2 messages")

from n3d_ros.errors import N3dError, StatusCode
from n3d_ros.ros.loading import LoadingProgress, load_grounder
from n3d_ros.ros.worker import Worker
from node_under_test import BlockGrounder


class ClosingGrounder(BlockGrounder):
    """Notes in which thread it was closed."""

    def __init__(self) -> None:
        self.closed_in: list[str] = []

    def close(self) -> None:
        self.closed_in.append(threading.current_thread().name)


def test_a_grounder_that_is_loaded_when_nobody_waits_any_more_is_closed() -> None:
    grounder, stop, may_load = ClosingGrounder(), threading.Event(), threading.Event()
    worker: Worker[Any] = Worker(lambda _pair: None)
    worker.start()

    def make() -> ClosingGrounder:
        stop.set()
        assert may_load.wait(5)
        return grounder

    with pytest.raises(N3dError, match="going down while the grounder loads"):
        load_grounder(worker, make, stop)
    assert grounder.closed_in == []
    may_load.set()
    assert worker.stop(N3dError("going down", code=StatusCode.SHUTTING_DOWN))
    assert grounder.closed_in == ["n3d_worker"]


def test_a_grounder_that_was_waited_for_stays_open() -> None:
    grounder, worker = ClosingGrounder(), Worker[Any](lambda _pair: None)
    worker.start()
    assert load_grounder(worker, lambda: grounder, threading.Event()) is grounder
    assert worker.stop(N3dError("going down"))
    assert grounder.closed_in == []


@pytest.mark.parametrize("missing", [("torch",), ("torch", "transformers", "tokenizers", "safetensors")])
def test_packages_that_are_missing_are_named_with_the_way_to_install_them(
    missing: tuple[str, ...], repository: Path, tmp_path: Path
) -> None:
    code = (
        f"import sys\nsys.modules.update(dict.fromkeys({missing!r}))\n"  # None: as if it were not installed
        "from n3d_ros.errors import BackendError\nfrom n3d_ros.ros.config import NodeConfig\n"
        "from n3d_ros.ros.loading import model_from_config\nfrom n3d_ros.ros.parameters import build_config\n"
        f"config = build_config(NodeConfig(), {{'model': {str(tmp_path)!r}}})\n"
        "try:\n    model_from_config(config, print)\nexcept BackendError as error:\n    print(error.message)"
    )
    path = os.pathsep.join([str(repository), os.environ.get("PYTHONPATH", "")])
    result = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=60
    )
    said = result.stdout.splitlines()[-1]
    assert any(name in said for name in missing) and "make setup MODEL=1" in said, result.stderr


def test_progress_is_told_now_and_then_and_ends_the_loading_when_asked_to() -> None:
    lines, stopped = list[str](), threading.Event()
    progress = LoadingProgress(lines.append, stopped.is_set)
    for share in (0.1, 0.2, 0.454):
        progress("Loading the model: shard 2 of 4.", share)
    assert lines == ["Loading the model: shard 2 of 4, 10 %"], "not every step"
    assert progress.text == "Loading the model: shard 2 of 4, 45 %"
    progress("Reading weights", 0.5)
    assert progress.text == "loading the model: Reading weights, 50 %"
    stopped.set()
    with pytest.raises(N3dError, match="no longer wanted"):
        progress("Loading the model: shard 3 of 4", 0.7)
