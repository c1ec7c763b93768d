"""The one thread that owns the grounder: requests before frames, the newest frame before older ones.

Callbacks of the executor only store: ``offer`` a pair of images, ``submit`` a request. Everything that takes time runs
here, in one thread, so that a GPU context is never touched from two. Nothing that runs here can end the thread.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Generic, Protocol, TypeVar

from n3d_ros.errors import N3dError, StatusCode

logger = logging.getLogger(__name__)

PairT = TypeVar("PairT")
ResultT = TypeVar("ResultT")

REQUESTS_IN_A_ROW = 4  # then a pair of images has its turn, undisturbed: a stream of requests must not blind the node


class QueueFullError(N3dError):
    """More requests wait than the node is set to hold."""

    default_code = StatusCode.TIMEOUT
    default_reason = "queue_full"


class Job(Protocol):
    """A request on its way: waits until it is ready, then runs once, or ends in another way; always exactly one."""

    @property
    def deadline_s(self) -> float:
        """``time.monotonic()`` after which it expires; may change, and is asked while the worker's lock is held."""
        ...

    def ready(self) -> bool:
        """Whether it can run now; cheap, asked while the worker's lock is held.

        Returns:
            False while something it needs, such as an image, is still to come.
        """
        ...

    def run(self) -> None:
        """Does the work and answers the client. Called in the worker's thread."""
        ...

    def expire(self) -> None:
        """Answers that the time ran out, and what was waited for. Called in any thread, once."""
        ...

    def abandon(self, error: N3dError) -> None:
        """Answers with this error: it will not run.

        Args:
            error: why; cancelled, or the node goes down.
        """
        ...


class Worker(Generic[PairT]):
    """A thread with a slot for the newest pair of images and a bounded queue of requests.

    Args:
        on_pair: what to do with a pair of images; called in the thread.
        queue_size: most requests that may wait.
    """

    def __init__(self, on_pair: Callable[[PairT], None], *, queue_size: int = 16) -> None:
        self._on_pair = on_pair
        self._queue_size = queue_size
        self._changed = threading.Condition()
        self._calls: list[Callable[[], None]] = []
        self._jobs: list[Job] = []
        self._slot: PairT | None = None
        self._stopping = False
        self._requests_run = 0  # since a pair was last looked at to the end
        self._has_yielded = False
        self._thread: threading.Thread | None = None

    @property
    def stopping(self) -> bool:
        """Whether ``stop`` was called; a long job asks this between steps."""
        return self._stopping

    @property
    def waiting(self) -> int:
        """How many requests wait, not counting the one that runs."""
        return len(self._jobs)

    def should_yield(self) -> bool:
        """Whether the look at a pair is to be given up for a request; asked between its steps, in the thread.

        Returns:
            True when a request could run now, unless ``REQUESTS_IN_A_ROW`` have run since a pair was last looked at to
            the end. What asks and is told so must stop.
        """
        if not self._jobs or self._requests_run >= REQUESTS_IN_A_ROW:
            return False
        with self._changed:
            self._has_yielded = any(self._is_ready(job) for job in self._jobs)
        return self._has_yielded

    def start(self) -> None:
        """Starts the thread."""
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="n3d_worker", daemon=True)
        self._thread.start()

    def stop(self, error: N3dError, timeout_s: float = 5.0) -> bool:
        """Ends the thread after what it is doing and the calls that wait, and answers every request with ``error``.

        Args:
            error: what the waiting clients are told.
            timeout_s: longest wait for the running step.

        Returns:
            Whether the thread has ended.
        """
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self.abandon_all(error)
        thread = self._thread
        if thread is None or thread is threading.current_thread():
            return True
        thread.join(timeout_s)
        return not thread.is_alive()

    def offer(self, pair: PairT) -> PairT | None:
        """Stores the newest pair of images.

        Args:
            pair: the images.

        Returns:
            The pair that had not been looked at and is now dropped; None when there was none.
        """
        with self._changed:
            replaced, self._slot = self._slot, pair
            self._changed.notify_all()
        return replaced

    def renew(self, pair: PairT) -> PairT | None:
        """Puts a pair in the place of one that waits; does nothing when none does.

        Args:
            pair: newer images.

        Returns:
            The pair that waited and is now dropped; None when there was none.
        """
        with self._changed:
            waiting = self._slot
            self._slot = None if waiting is None else pair
        return waiting

    def clear_slot(self) -> PairT | None:
        """Takes the stored pair away unprocessed, for instance when time jumps back.

        Returns:
            The pair; None when there was none.
        """
        with self._changed:
            pair, self._slot = self._slot, None
        return pair

    def submit(self, job: Job) -> None:
        """Queues a request.

        Args:
            job: the request; answered by exactly one of its methods.

        Raises:
            QueueFullError: too many wait already.
            N3dError: the node goes down.
        """
        with self._changed:
            if self._stopping:
                raise N3dError("The node is going down; ask again when it is back.", code=StatusCode.SHUTTING_DOWN)
            if len(self._jobs) >= self._queue_size:
                raise QueueFullError(
                    f"{len(self._jobs)} requests are waiting already (request.queue_size); ask again later."
                )
            self._jobs.append(job)
            self._changed.notify_all()

    def cancel(self, job: Job, error: N3dError) -> bool:
        """Takes a waiting request out of the queue and answers it with ``error``.

        Args:
            job: the request.
            error: what its client is told.

        Returns:
            False when it was not waiting: it runs, or is answered already.
        """
        with self._changed:
            if job not in self._jobs:
                return False
            self._jobs.remove(job)
        self._guard(job, partial(job.abandon, error))
        return True

    def expire_overdue(self) -> None:
        """Answers the waiting requests whose time ran out while the thread was busy; called from outside it."""
        now = time.monotonic()
        with self._changed:
            overdue = [job for job in self._jobs if job.deadline_s <= now]
            self._jobs = [job for job in self._jobs if job not in overdue]
        for job in overdue:
            self._guard(job, job.expire)

    def abandon_all(self, error: N3dError) -> None:
        """Answers every waiting request with ``error`` and forgets the stored pair.

        Args:
            error: what the waiting clients are told.
        """
        with self._changed:
            jobs, self._jobs, self._slot = self._jobs, [], None
        for job in jobs:
            self._guard(job, partial(job.abandon, error))

    def call(self, function: Callable[[], ResultT]) -> Future[ResultT]:
        """Runs a function in the worker's thread, before anything that waits.

        Args:
            function: what to run.

        Returns:
            Its result to come.
        """
        future: Future[ResultT] = Future()

        def run() -> None:
            try:
                future.set_result(function())
            except BaseException as error:  # handed to the caller, whatever it is
                future.set_exception(error)

        with self._changed:
            if self._stopping or self._thread is None:
                future.set_exception(N3dError("The worker does not run.", code=StatusCode.SHUTTING_DOWN))
                return future
            self._calls.append(run)
            self._changed.notify_all()
        return future

    def recheck(self) -> None:
        """Makes the thread ask the waiting requests again whether they are ready."""
        with self._changed:
            self._changed.notify_all()

    def _run(self) -> None:
        while (work := self._next()) is not None:
            self._guard(work, work)

    def _next(self) -> Callable[[], None] | None:
        """The most urgent piece of work; waits for one; None when the thread is to end."""
        with self._changed:
            while True:
                if self._calls:  # also on the way down: what was made in this thread is freed in it
                    return self._calls.pop(0)
                if self._stopping:
                    return None
                now = time.monotonic()
                pairs_turn = self._slot is not None and self._requests_run >= REQUESTS_IN_A_ROW
                for job in self._jobs if not pairs_turn else ():
                    ready = self._is_ready(job)
                    if ready or job.deadline_s <= now:
                        self._jobs.remove(job)
                        self._requests_run += ready
                        return job.run if ready else job.expire
                if self._slot is not None:
                    pair, self._slot = self._slot, None
                    return partial(self._look, pair)
                deadline = min((job.deadline_s for job in self._jobs), default=None)
                self._changed.wait(None if deadline is None else max(deadline - now, 0.001))

    def _look(self, pair: PairT) -> None:
        """Looks at a pair; one that was given up for a request does not count as a turn."""
        self._has_yielded = False
        try:
            self._on_pair(pair)
        finally:
            if not self._has_yielded:
                self._requests_run = 0

    @staticmethod
    def _is_ready(job: Job) -> bool:
        """Whether a job can run; one that cannot tell runs, and answers its client with what is wrong."""
        try:
            return job.ready()
        except Exception:
            logger.exception("Internal error in the worker: %r does not say whether it is ready.", job)
            return True

    @staticmethod
    def _guard(owner: object, work: Callable[[], None]) -> None:
        """Runs ``work``; what it raises is logged, since each piece of work answers for itself."""
        try:
            work()
        except Exception:
            logger.exception("Internal error in the worker (%r); the next piece of work goes on.", owner)
