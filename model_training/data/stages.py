"""Stages: work that makes one shard per task, in this process, in several, or on a Ray cluster.

Every task writes one whole shard under its own name. What a killed worker had begun is not there, and is made again;
what it had finished is there, and is not: so nothing is lost and nothing is doubled, whatever runs the tasks.
"""

from __future__ import annotations

import contextlib
import importlib.util
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any, Protocol

from model_training.data.folder import DatasetFolder
from model_training.data.reports import ShardReport, StageReport
from model_training.data.shards import attempts_at, remove_abandoned
from n3d_ros.errors import BackendError, ConfigurationError, N3dError

Work = Callable[[int], ShardReport]

CONTINUE = "Finished shards are kept; the same command makes the rest."
MAX_ATTEMPTS = 4  # at a shard whose workers die
CLOCK_SLACK_S = 1.0  # file systems keep coarse times


class Stage(Protocol):
    """What makes shards: a frozen dataclass that can be sent to other processes."""

    def run(self, number: int) -> ShardReport:
        """Makes one shard, whole.

        Args:
            number: of the shard.

        Returns:
            What became of it.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """Where tasks run.

    Args:
        workers: processes; on a cluster, tasks at a time.
        ray_address: of a running Ray cluster; None: one is started here for the time of the run.
    """

    workers: int = 1
    ray_address: str | None = None

    def __post_init__(self) -> None:
        """Checks the number.

        Raises:
            ConfigurationError: below one.
        """
        if self.workers < 1:
            raise ConfigurationError(f"--workers: expected 1 or more, got {self.workers}.")


Engine = Callable[[Work, Sequence[int], EngineOptions], Iterator[ShardReport]]


def run_inline(work: Work, tasks: Sequence[int], _options: EngineOptions) -> Iterator[ShardReport]:
    """Reports of tasks done one after the other in this process.

    Args:
        work: makes the shard of a number.
        tasks: numbers.
        _options: not needed.

    Yields:
        A report per task.
    """
    yield from map(work, tasks)


def _run_in_processes(work: Work, tasks: Sequence[int], options: EngineOptions) -> Iterator[ShardReport]:
    """Imported when it is used: spawned processes import this module too."""
    from model_training.data.process_engine import run_in_processes

    yield from run_in_processes(work, tasks, options.workers)


def _run_on_ray(work: Work, tasks: Sequence[int], options: EngineOptions) -> Iterator[ShardReport]:
    """Imported when it is used: Ray is part of an extra."""
    from model_training.data.ray_engine import run_on_ray

    yield from run_on_ray(work, tasks, options.workers, options.ray_address)


ENGINES: dict[str, Engine] = {"inline": run_inline, "processes": _run_in_processes, "ray": _run_on_ray}


def engine_named(name: str, options: EngineOptions) -> Engine:
    """The engine to use.

    Args:
        name: of ``ENGINES``, or "auto": Ray for several workers where it is installed, else processes; one worker
            needs no other process.
        options: how many workers, and which cluster.

    Returns:
        The engine.

    Raises:
        ConfigurationError: no such engine, or Ray is asked for and not installed.
    """
    has_ray = importlib.util.find_spec("ray") is not None
    if name == "auto":
        several = "ray" if has_ray else "processes"
        name = several if options.workers > 1 or options.ray_address else "inline"
    if name not in ENGINES:
        raise ConfigurationError(f"--engine: expected auto, {', '.join(ENGINES)}, got {name!r}.")
    if options.ray_address and name != "ray":
        raise ConfigurationError(f"--ray-address: goes with --engine ray, got {name!r}.")
    if name == "ray" and not has_ray:
        raise ConfigurationError("--engine ray: Ray is not installed; `make setup TRAIN=1`, or --engine processes.")
    return ENGINES[name]


@dataclass(frozen=True)
class _Guarded:
    """Work whose expected errors come back as values: one bad shard does not end the others.

    Args:
        work: makes the shard of a number.
    """

    work: Work

    def __call__(self, number: int) -> ShardReport:
        """Makes one shard, or says why there is none.

        Args:
            number: of the shard.

        Returns:
            Its report.

        Raises:
            ConfigurationError: it would end every other task the same way: no room, no permission, a wrong setting.
        """
        begun = time.perf_counter()
        try:
            return self.work(number)
        except ConfigurationError:
            raise
        except N3dError as error:
            seconds = round(time.perf_counter() - begun, 3)
            return ShardReport(number=number, rejects={error.reason: 1}, seconds=seconds, failure=error.message)


def run_shards(
    work: Work,
    tasks: Sequence[int],
    *,
    engine: str = "auto",
    workers: int = 1,
    ray_address: str | None = None,
) -> Iterator[ShardReport]:
    """Runs tasks and gives their reports as they are done; the caller names only those whose shard is not there.

    Args:
        work: makes the shard of a number, whole or not at all; picklable.
        tasks: numbers.
        engine: "auto", "ray", "processes" or "inline".
        workers: how many at a time.
        ray_address: of a running Ray cluster.

    Yields:
        One report per task, in order of completion; a task that raised an N3dError has one with ``failure``.

    Raises:
        BackendError: every task failed, or workers were killed again and again.
    """
    options = EngineOptions(workers=workers, ray_address=ray_address)
    run = engine_named(engine, options)
    failures: list[ShardReport] = []
    for report in run(_Guarded(work), tasks, options) if tasks else ():
        if report.failure:
            failures.append(report)
        yield report
    if failures and len(failures) == len(tasks):
        raise BackendError(
            f"None of {len(tasks)} shards could be made; shard {failures[0].number}: {failures[0].failure}"
        )


@dataclass(frozen=True)
class _OnlyMissing:
    """Work that leaves alone what another worker has finished in the meantime.

    Args:
        stage: makes shards.
        folder: where they go.
        content: "frames" or "questions".
        begun_s: when the run began, seconds of the clock.
    """

    stage: Stage
    folder: DatasetFolder
    content: str
    begun_s: float

    def __call__(self, number: int) -> ShardReport:
        """Makes one shard unless it is there.

        Args:
            number: of the shard.

        Returns:
            Its report.

        Raises:
            BackendError: worker after worker died of this shard; Ray would try for ever.
        """
        there = self.folder.report(self.content, number)
        if there is not None:
            return there
        attempts = attempts_at(self.folder.shard_path(self.content, number), self.begun_s)
        if attempts >= MAX_ATTEMPTS:
            raise BackendError(
                f"{attempts} workers ended unexpectedly while they made this shard (out of memory, or a crash in its "
                "inputs). Try fewer --workers.",
                reason="worker_died",
            )
        return self.stage.run(number)


def run_stage(
    stage: Stage,
    folder: DatasetFolder,
    content: str,
    *,
    engine: str = "auto",
    workers: int = 1,
    ray_address: str | None = None,
    only: Sequence[int] | None = None,
    description: str = "",
) -> StageReport:
    """Makes the shards that are missing, under a progress bar.

    Args:
        stage: makes a shard of a number.
        folder: where they go.
        content: "frames" or "questions": what the stage makes.
        engine: "auto", "ray", "processes" or "inline".
        workers: how many at a time.
        ray_address: of a running Ray cluster; all its machines must see the folder under the same path.
        only: numbers of the shards to make here; None: all.
        description: what the bar says; "": the content's name.

    Returns:
        What was made, and what was there before.
    """
    wanted = range(folder.shards) if only is None else only
    asked = frozenset(wanted)
    missing = [number for number in folder.missing(content) if number in asked]
    work = _OnlyMissing(stage, folder, content, time.time() - CLOCK_SLACK_S)
    made: list[ShardReport] = []
    with _bar(len(wanted), description or content) as bar, _interruptible(bar) as raise_if_interrupted:
        bar.update(len(wanted) - len(missing))
        for report in run_shards(work, missing, engine=engine, workers=workers, ray_address=ray_address):
            raise_if_interrupted()
            made.append(report)
            bar.set_postfix_str(f"{sum(one.rows for one in made)} {content}", refresh=False)
            bar.update()
        died = remove_abandoned(folder.path / content)
        if died:
            who = "1 worker" if died == 1 else f"{died} workers"
            bar.write(f"{who} ended unexpectedly; what was begun was made again.", file=sys.stderr)
    made.sort(key=lambda one: one.number)
    return StageReport(shards=tuple(made), there_before=len(wanted) - len(missing))


@contextlib.contextmanager
def _interruptible(bar: Any) -> Iterator[Callable[[], None]]:
    """Ctrl-C ends the run, and nothing is lost; what is given raises where a library swallowed it.

    Callbacks and destructors of compiled libraries drop exceptions or turn them into others of their own.
    """
    seen = False

    def note(_number: int, _frame: FrameType | None) -> None:
        nonlocal seen
        seen = True
        raise KeyboardInterrupt

    def raise_if_seen() -> None:
        if seen:
            raise KeyboardInterrupt

    is_main = threading.current_thread() is threading.main_thread()  # others get no signals
    before = signal.signal(signal.SIGINT, note) if is_main else None
    try:
        yield raise_if_seen
    except BaseException as error:
        if not seen and not isinstance(error, KeyboardInterrupt):
            raise
        bar.write(f"Stopped. {CONTINUE}", file=sys.stderr)
        raise KeyboardInterrupt from error
    finally:
        if is_main:
            signal.signal(signal.SIGINT, before)


def _bar(total: int, description: str) -> Any:
    """A progress bar on standard error."""
    from n3d_ros.cli.console import progress

    return progress(total, description, unit="shard")
