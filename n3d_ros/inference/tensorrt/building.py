"""Building an engine in a process of its own, so that the node's heartbeat goes on and a crash ends only the build."""

from __future__ import annotations

import json
import logging
import os
import selectors
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from n3d_ros.errors import BackendError
from n3d_ros.inference.graphs import Progress
from n3d_ros.inference.tensorrt.job import BuildJob

logger = logging.getLogger(__name__)

WORKER = "n3d_ros.inference.tensorrt.build_worker"
HEARTBEAT_S = 0.5  # between two calls of ``on_progress``, which may ask to stop
_GRACE_S = 5.0  # for the child to end by itself
_TOLD_CHARACTERS = 600  # of the child's last words


def build_in_child(job: BuildJob, on_progress: Progress) -> dict[str, Any]:
    """Builds an engine.

    Args:
        job: what to build.
        on_progress: told how far it is, twice a second at least; what it raises ends the build.

    Returns:
        What TensorRT says of the engine.

    Raises:
        BackendError: TensorRT cannot build it, or the process ended without a word.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        child = subprocess.Popen(
            [sys.executable, "-m", WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            start_new_session=True,  # Ctrl-C is this process's to answer
            cwd="/",  # `-m` would put this one's first on the path
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(str(Path(path).absolute()) for path in sys.path if path),
                "CUDA_VISIBLE_DEVICES": visible_gpu(job.gpu, os.environ.get("CUDA_VISIBLE_DEVICES", "")),
            },
        )
        assert child.stdin is not None and child.stdout is not None
        try:
            with suppress(OSError):  # it ended at once; what it said is told below
                child.stdin.write((job.to_json() + "\n").encode())
                child.stdin.flush()
            for answer in _answers(child.stdout, on_progress):
                if "error" in answer:
                    raise BackendError(str(answer["error"]))
                if "done" in answer:
                    done: dict[str, Any] = answer["done"]
                    return done
            raise BackendError(_ended(child, said))
        finally:
            _end(child)


def visible_gpu(number: int, visible: str) -> str:
    """The one GPU that a child shall see, in the words of ``CUDA_VISIBLE_DEVICES``.

    Args:
        number: of the GPU among those that this process sees.
        visible: what this process was told to see; empty: all.

    Returns:
        Its name or number on the machine.
    """
    names = [name.strip() for name in visible.split(",") if name.strip()]
    return names[number] if number < len(names) else str(number)


def _answers(stream: IO[bytes], on_progress: Progress) -> Iterator[dict[str, Any]]:
    """The child's answers but progress, which is told, until it closes its output."""
    text, share, rest = "Building an engine", 0.0, b""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while True:
            if not selector.select(HEARTBEAT_S):
                on_progress(text, share)
                continue
            block = os.read(stream.fileno(), 65536)
            if not block:
                return
            *lines, rest = (rest + block).split(b"\n")
            for line in lines:
                answer = json.loads(line)
                if "log" in answer:
                    logger.warning("TensorRT: %s", answer["log"])
                elif "share" in answer:
                    text, share = str(answer["text"]), max(share, float(answer["share"]))
                    on_progress(text, share)
                else:
                    yield answer


def _ended(child: subprocess.Popen[bytes], said: IO[str]) -> str:
    """Why a child ended without an answer."""
    try:
        code = child.wait(timeout=_GRACE_S)
    except subprocess.TimeoutExpired:
        code = None
    said.seek(0)
    words = " ".join(said.read().split())[-_TOLD_CHARACTERS:]
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        hint = " (memory may have run out)" if -code == signal.SIGKILL else ""
        return f"The process that builds the engine was ended by {name}{hint}: {words or 'it said nothing'}"
    return f"The process that builds the engine ended with {code} and no answer: {words or 'it said nothing'}"


def _end(child: subprocess.Popen[bytes]) -> None:
    """Ends a child that is still there, and closes its pipes."""
    for stream in (child.stdin, child.stdout):
        if stream is not None:
            with suppress(OSError):
                stream.close()  # by which it ends
    try:
        child.wait(timeout=_GRACE_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
