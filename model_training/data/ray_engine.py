"""Shards made by Ray Data: the same command on two cores and on a cluster."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from model_training.data.reports import ShardReport
from n3d_ros.errors import BackendError, ConfigurationError

QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS": "1", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
OBJECT_STORE_BYTES = 96 << 20  # numbers and reports go through it, no images
TEMPORARY_PREFIX = "n3d_ray_"  # under /tmp: names of sockets may have 107 bytes in all
KILLED = (
    "Ray gave up on a shard after its workers were killed several times ({reason}). Finished shards are kept: the same "
    "command makes the rest; with fewer --workers if memory was short."
)


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
        BackendError: workers were killed again and again.
    """
    import ray

    with _session(workers, address):
        try:
            for row in _tasks(work, tasks, workers).iter_rows():
                yield ShardReport.from_json(row["report"])
        except ray.exceptions.RayTaskError as error:
            cause = error.cause
            if isinstance(cause, ConfigurationError):
                raise cause from None
            raise
        except ray.exceptions.RayError as error:
            raise BackendError(KILLED.format(reason=type(error).__name__)) from error


def _tasks(work: Callable[[int], ShardReport], tasks: Sequence[int], workers: int) -> Any:
    """The lazy data set of reports."""
    import ray

    def make(row: dict[str, Any]) -> dict[str, str]:
        return {"report": work(int(row["task"])).to_json()}

    numbers = ray.data.from_items([{"task": number} for number in tasks], override_num_blocks=len(tasks))
    return numbers.map(make, concurrency=min(workers, len(tasks)), num_cpus=1)


@contextlib.contextmanager
def _session(workers: int, address: str | None) -> Iterator[None]:
    """A Ray that says nothing, and is gone afterwards."""
    os.environ |= {name: value for name, value in QUIET.items() if name not in os.environ}
    import ray

    folder = None if address else tempfile.mkdtemp(prefix=TEMPORARY_PREFIX, dir="/tmp")
    own = {"num_cpus": workers, "object_store_memory": OBJECT_STORE_BYTES, "_temp_dir": folder}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ray.init(
                address=address or "local",
                include_dashboard=None if address else False,
                logging_level=logging.ERROR,
                log_to_driver=False,
                **({} if address else own),
            )
        _silence()
        yield
    finally:
        ray.shutdown()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def _silence() -> None:
    """Progress is told by shards, not by Ray's own bars and lines."""
    from ray.data import DataContext

    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
