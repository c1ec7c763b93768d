"""Shards made by Ray Data: the same command on two cores and on a cluster."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from model_training.data.reports import ShardReport
from n3d_ros.errors import BackendError, ConfigurationError

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".*",  # what its daemons would print between our own lines; read when Ray is imported
}
OBJECT_STORE_BYTES = 96 << 20  # numbers and reports go through it, no images
CONNECT_TIMEOUT_S = 10.0
TEMPORARY_PREFIX = "n3d_ray_"  # under /tmp: names of sockets may have 107 bytes in all


def run_on_ray(
    work: Callable[[int], ShardReport], tasks: Sequence[int], workers: int, address: str | None
) -> Iterator[ShardReport]:
    """Reports of tasks as they are done, each task one task of Ray, repeated when its worker dies.

    Args:
        work: makes the shard of a number, whole or not at all; picklable.
        tasks: numbers.
        workers: tasks at a time.
        address: of a running cluster; None: one is started here and ended after the run.

    Yields:
        A report per task.

    Raises:
        BackendError: Ray ended the run.
        ConfigurationError: what would end every task the same way.
    """
    os.environ |= {name: value for name, value in QUIET.items() if name not in os.environ}
    import ray

    _check_answers(address)
    with _session(workers, address):
        try:
            for row in _tasks(work, tasks, workers).iter_rows():
                if row["stop"]:
                    raise ConfigurationError(row["stop"])
                yield ShardReport.from_json(row["report"])
        except ray.exceptions.RayError as error:
            raise BackendError(_sentence(error)) from error


def _sentence(error: Exception) -> str:
    """What went wrong on Ray: its last line holds the cause, above it are the frames of its own code."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    cause = lines[-1] if lines else type(error).__name__
    advice = "Finished shards are kept: the same command makes the rest."
    if "No module named" in cause:
        advice = "Every machine of the cluster needs the same installation of this package."
    return f"Ray ended the run ({cause}). {advice}"


def _tasks(work: Callable[[int], ShardReport], tasks: Sequence[int], workers: int) -> Any:
    """The lazy data set of reports; what ends the whole run travels as a value, since Ray tells errors at length."""
    import ray.data

    def make(row: dict[str, Any]) -> dict[str, str]:
        try:
            return {"report": work(int(row["task"])).to_json(), "stop": ""}
        except ConfigurationError as error:
            return {"report": "", "stop": error.message}

    numbers = ray.data.from_items([{"task": number} for number in tasks], override_num_blocks=len(tasks))
    return numbers.map(make, concurrency=min(workers, len(tasks)), num_cpus=1)


def _check_answers(address: str | None) -> None:
    """Nothing; a BackendError where nobody listens: Ray itself would try for many minutes, and print meanwhile."""
    host, colon, port = (address or "").rpartition("://")[2].rpartition(":")
    if not colon:
        return
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_TIMEOUT_S).close()
    except (OSError, ValueError, OverflowError) as error:
        raise BackendError(
            f"--ray-address {address}: no Ray cluster answers there ({error}). Start one with `ray start --head`."
        ) from error


@contextlib.contextmanager
def _session(workers: int, address: str | None) -> Iterator[None]:
    """A Ray that says nothing, and is gone afterwards."""
    import ray

    folder = None if address else tempfile.mkdtemp(prefix=TEMPORARY_PREFIX, dir="/tmp")
    own = {"num_cpus": workers, "object_store_memory": OBJECT_STORE_BYTES, "_temp_dir": folder}
    try:
        ray.init(
            address=address or "local",
            include_dashboard=None if address else False,
            logging_level=logging.ERROR,
            log_to_driver=False,
            **({} if address else own),
        )
        _silence()
        yield
    except ConnectionError as error:
        raise BackendError(f"--ray-address {address}: no Ray cluster answers there ({error}).") from error
    finally:
        ray.shutdown()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def _silence() -> None:
    """Progress is told by shards, not by Ray's own bars and lines; errors come as exceptions."""
    from ray.data import DataContext

    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
