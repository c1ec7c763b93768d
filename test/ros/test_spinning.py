"""What the spinning thread makes of errors: bugs are logged and the node goes on; a node that closes is no bug."""

from __future__ import annotations

import logging
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from rclpy._rclpy_pybind11 import InvalidHandle

from n3d_ros.ros.spinning import Spinner


class FailingExecutor:
    """Fails once in each spin with the next error, then ends the thread."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.spinner: Spinner | None = None

    def add_node(self, node: Any) -> None:
        """Takes any."""

    def shutdown(self, timeout_sec: float) -> None:
        """Nothing to do."""

    def spin(self) -> None:
        if self.errors:
            raise self.errors.pop(0)
        assert self.spinner is not None
        self.spinner._stopping = True


def spin_through(*errors: Exception, ending: bool = False) -> FailingExecutor:
    executor = FailingExecutor(*errors)
    spinner = executor.spinner = Spinner(object(), executor)  # type: ignore[arg-type]
    if ending:
        spinner.expect_end()
    spinner.start()
    spinner._thread.join(5.0)
    assert not spinner._thread.is_alive() and not executor.errors
    return executor


def test_the_bug_of_a_callback_is_logged_and_the_node_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        spin_through(ValueError("a bug"), InvalidHandle("destroyed"))
    assert [str(record.exc_info[1]) for record in caplog.records if record.exc_info] == ["a bug", "destroyed"]


def test_what_a_closing_node_destroys_meanwhile_is_no_bug(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        spin_through(InvalidHandle("destroyed"), ValueError("a bug"), ending=True)
    assert [str(record.exc_info[1]) for record in caplog.records if record.exc_info] == ["a bug"]
