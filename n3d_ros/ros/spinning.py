"""Running a node's executor in a thread of its own, and sending Python's log records to ROS."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from rclpy._rclpy_pybind11 import InvalidHandle  # has no other place in all releases
from rclpy.executors import Executor, ExternalShutdownException, SingleThreadedExecutor
from rclpy.impl.rcutils_logger import RcutilsLogger
from rclpy.logging import get_logger

from n3d_ros.ros.plain_text import plain_lines

if TYPE_CHECKING:
    from rclpy.node import Node

logger = logging.getLogger(__name__)


class Spinner:
    """Spins a node in a thread, so that the main thread is free to hear signals at once.

    Args:
        node: the node to spin.
        executor: runs its callbacks; None: a single-threaded one.
    """

    def __init__(self, node: Node, executor: Executor | None = None) -> None:
        self._executor = executor or SingleThreadedExecutor()
        self._executor.add_node(node)
        self._stopping = self._ending = False
        self._thread = threading.Thread(target=self._run, name="n3d_executor", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def expect_end(self) -> None:
        """Says that the node is about to be closed: what it destroys while the executor waits is no error."""
        self._ending = True

    def stop(self, timeout_s: float = 2.0) -> None:
        """Ends the thread; python aborts when it still spins while ROS goes down.

        Args:
            timeout_s: longest wait for the callback that runs.
        """
        self._stopping = self._ending = True
        self._executor.shutdown(timeout_sec=timeout_s)
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._executor.spin()
            except ExternalShutdownException:  # noqa: PERF203 -- a loop of whole spins, not of small steps
                return
            except InvalidHandle:
                # Closed in another thread between two looks of the executor; it leaves it out at the next one.
                if not self._ending:
                    logger.exception("Internal error in a callback; the node goes on.")
            except Exception:
                # One callback's bug must not silence the others; spin() ends with it, so spin again.
                if not self._stopping:
                    logger.exception("Internal error in a callback; the node goes on.")


class _RosLogHandler(logging.Handler):
    """Passes Python's log records on to the ROS logger of the same name."""

    def __init__(self) -> None:
        super().__init__()
        self._loggers: dict[str, RcutilsLogger] = {}

    def emit(self, record: logging.LogRecord) -> None:
        target = self._loggers.setdefault(record.name, get_logger(record.name))
        text = plain_lines(self.format(record))
        # rclpy insists on one severity per line of code
        if record.levelno >= logging.ERROR:
            target.error(text)
        elif record.levelno >= logging.WARNING:
            target.warning(text)
        else:
            target.info(text)


def ros_log_handler() -> logging.Handler:
    """A handler that sends the records of Python loggers to ROS.

    Returns:
        The handler, for ``logging.getLogger("n3d_ros").addHandler``.
    """
    return _RosLogHandler()
