"""A grounder on its way: interrupted while it loads, it is closed all the same, in the thread that made it."""

from __future__ import annotations

import threading
from typing import Any

import pytest

pytest.importorskip("sensor_msgs", reason="needs ROS 2 messages")

from n3d_ros.errors import N3dError, StatusCode
from n3d_ros.ros.loading import load_grounder
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
