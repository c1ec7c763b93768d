"""Shards made by several processes of this machine, where Ray is not wanted or not installed."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool

import cv2

from model_training.data.reports import ShardReport
from n3d_ros.errors import BackendError

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
KILLED = (
    "A worker process ended unexpectedly (out of memory, or killed). Finished shards are kept: the same command makes "
    "the rest; with fewer --workers if it happens again."
)


def run_in_processes(work: Callable[[int], ShardReport], tasks: Sequence[int], workers: int) -> Iterator[ShardReport]:
    """Reports of tasks as they are done.

    Args:
        work: makes the shard of a number; picklable.
        tasks: numbers.
        workers: processes, each of which makes whole shards.

    Yields:
        A report per task.

    Raises:
        BackendError: a worker was killed.
    """
    context = multiprocessing.get_context("spawn")  # neither an OpenGL context nor threads survive a fork
    before = set(multiprocessing.active_children())
    with _one_thread_each():
        pool = ProcessPoolExecutor(min(workers, len(tasks)), mp_context=context, initializer=_begin_worker)
        try:
            with _without_interrupts():
                jobs = [pool.submit(work, number) for number in tasks]  # starts the processes
            for job in as_completed(jobs):
                yield job.result()
        except BrokenProcessPool as error:
            raise BackendError(KILLED) from error
        except BaseException:  # Ctrl-C above all: a shard may take minutes, and what is half-written is not missed
            for child in set(multiprocessing.active_children()) - before:
                child.terminate()
            raise
        finally:
            pool.shutdown(cancel_futures=True)


def _begin_worker() -> None:
    """One thread per process, and none left behind: a parent that was killed cannot end its workers."""
    cv2.setNumThreads(1)
    threading.Thread(target=_end_with_parent, name="end_with_parent", daemon=True).start()


def _end_with_parent() -> None:
    """Ends this process when the one that began it is gone."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextlib.contextmanager
def _without_interrupts() -> Iterator[None]:
    """Processes that are started meanwhile never see Ctrl-C: the parent alone decides what it means."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes that are started meanwhile compute in one thread; read when their libraries load, not later."""
    added = [name for name in THREAD_VARIABLES if name not in os.environ]
    os.environ |= dict.fromkeys(added, "1")
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)
