"""A node and a camera as processes, for measurements from outside: names, command lines, and waiting for the node."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from n3d_ros.errors import BackendError

CAMERA_MODULE = "n3d_ros.ros.measuring.camera"
READY_TIMEOUT_S = 60.0
POLL_S = 0.01
LOG_TAIL = 2000  # characters of a node's log that an error tells
_NUMBERS = itertools.count()


def session_name(what: str) -> str:
    """A namespace of its own: a node of an earlier session that DDS still remembers must not be taken for this one.

    Args:
        what: is measured.

    Returns:
        Another one with each call.
    """
    return f"{what}_{os.getpid()}_{next(_NUMBERS)}"


def camera_command(frames: Path, *, seconds: float, rate_hz: float, namespace: str) -> list[str]:
    """The command line of a camera.

    Args:
        frames: file of ``BenchFrames``.
        seconds: for how long it publishes.
        rate_hz: pairs per second.
        namespace: of its topics.

    Returns:
        Arguments for ``started``.
    """
    options = ["--seconds", str(seconds), "--rate", str(rate_hz), "--namespace", namespace]
    return [sys.executable, "-m", CAMERA_MODULE, str(frames), *options]


def log_tail(log: Path) -> str:
    """The end of what a node wrote.

    Args:
        log: its file.

    Returns:
        Text.
    """
    return log.read_text(errors="replace")[-LOG_TAIL:]


def wait_until_ready(node: Any, namespace: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Waits until both images have a subscriber.

    Args:
        node: the observer.
        namespace: of the node that is waited for.
        process: of that node.
        log: what it wrote.

    Raises:
        BackendError: it ended, or did not come up in time.
    """
    from n3d_ros.ros.measuring.topics import TOPICS

    deadline = time.monotonic() + READY_TIMEOUT_S
    images = [f"/{namespace}/{topic}" for topic in (TOPICS[0], TOPICS[2])]
    while not all(node.count_subscribers(topic) for topic in images):
        if process.poll() is not None or time.monotonic() > deadline:
            raise BackendError(f"The node did not come up:\n{log_tail(log)}")
        time.sleep(POLL_S)
