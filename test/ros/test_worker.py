"""The worker's thread: newest frame wins, requests first, nothing ends it, everything waiting is answered."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from n3d_ros.errors import CancelledError, N3dError, StatusCode
from n3d_ros.ros.worker import QueueFullError, Worker

SHUTDOWN = N3dError("going down", code=StatusCode.SHUTTING_DOWN)


class FakeJob:
    """A request that notes what became of it."""

    def __init__(self, log: list[str], name: str = "job", *, is_ready: bool = True, timeout_s: float = 10.0) -> None:
        self.log, self.name, self.is_ready = log, name, is_ready
        self.deadline_s = time.monotonic() + timeout_s
        self.ended = threading.Event()

    def ready(self) -> bool:
        return self.is_ready

    def _end(self, how: str) -> None:
        self.log.append(f"{self.name} {how}")
        self.ended.set()

    def run(self) -> None:
        self._end("ran")

    def expire(self) -> None:
        self._end("expired")

    def abandon(self, error: N3dError) -> None:
        self._end(error.code.name)


class Bench:
    """A worker whose first pair blocks until released, and the order in which things happened."""

    def __init__(self, queue_size: int = 16) -> None:
        self.log: list[str] = []
        self.entered, self.release = threading.Event(), threading.Event()
        self.worker: Worker[str] = Worker(self._on_pair, queue_size=queue_size)
        self.worker.start()

    def _on_pair(self, pair: str) -> None:
        self.log.append(pair)
        if pair == "blocking":
            self.entered.set()
            assert self.release.wait(20)
        if pair == "broken":
            raise RuntimeError("a bug")

    def block(self) -> None:
        self.worker.offer("blocking")
        assert self.entered.wait(20)

    def settle(self) -> list[str]:
        """The log after everything waiting has run."""
        self.release.set()
        deadline = time.monotonic() + 20
        while (self.worker.waiting or self.worker._slot is not None) and time.monotonic() < deadline:
            time.sleep(0.005)
        self.worker.call(lambda: None).result(20)  # runs after what was taken last
        return self.log


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.release.set()
    assert bench.worker.stop(SHUTDOWN)


def test_while_it_is_busy_only_the_newest_pair_is_kept_and_the_replaced_one_is_returned(bench: Bench) -> None:
    bench.block()
    assert bench.worker.offer("old") is None
    assert bench.worker.offer("new") == "old"
    assert bench.settle() == ["blocking", "new"]


def test_requests_run_before_a_pair_that_came_earlier(bench: Bench) -> None:
    bench.block()
    bench.worker.offer("pair")
    bench.worker.submit(FakeJob(bench.log))
    assert bench.settle() == ["blocking", "job ran", "pair"]


def test_requests_run_in_the_order_they_came(bench: Bench) -> None:
    bench.block()
    for name in "abc":
        bench.worker.submit(FakeJob(bench.log, name))
    assert bench.settle() == ["blocking", "a ran", "b ran", "c ran"]


def test_a_request_that_is_not_ready_waits_and_does_not_hold_up_others(bench: Bench) -> None:
    waiting = FakeJob(bench.log, "waiting", is_ready=False)
    bench.worker.submit(waiting)
    other = FakeJob(bench.log, "other")
    bench.worker.submit(other)
    assert other.ended.wait(20)
    assert not waiting.ended.is_set()
    waiting.is_ready = True
    bench.worker.recheck()
    assert waiting.ended.wait(20)
    assert bench.log == ["other ran", "waiting ran"]


def test_a_request_expires_at_its_deadline_without_anything_else_happening(bench: Bench) -> None:
    job = FakeJob(bench.log, is_ready=False, timeout_s=0.05)
    bench.worker.submit(job)
    assert job.ended.wait(20)
    assert bench.log == ["job expired"]


def test_more_requests_than_the_queue_holds_are_refused() -> None:
    bench = Bench(queue_size=2)
    bench.block()
    for _ in range(2):
        bench.worker.submit(FakeJob(bench.log))
    with pytest.raises(QueueFullError, match=r"request\.queue_size"):
        bench.worker.submit(FakeJob(bench.log))
    bench.release.set()
    assert bench.worker.stop(SHUTDOWN)


def test_a_waiting_request_can_be_cancelled_and_a_finished_one_not(bench: Bench) -> None:
    job = FakeJob(bench.log, is_ready=False)
    bench.worker.submit(job)
    assert bench.worker.cancel(job, CancelledError("no longer wanted"))
    assert bench.log == ["job CANCELLED"]
    assert not bench.worker.cancel(job, CancelledError("again"))


def test_an_error_in_a_pair_is_logged_and_the_next_is_processed(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.worker.offer("broken")
    while "broken" not in bench.log:
        time.sleep(0.005)
    bench.worker.offer("good")
    assert bench.settle() == ["broken", "good"]
    assert "a bug" in caplog.text


class UnsureJob(FakeJob):
    """A request that fails when asked whether it is ready."""

    def ready(self) -> bool:
        raise RuntimeError("no clock")


def test_a_request_that_cannot_say_whether_it_is_ready_runs_and_the_thread_lives_on(bench: Bench) -> None:
    unsure, other = UnsureJob(bench.log, "unsure"), FakeJob(bench.log, "other")
    for job in (unsure, other):
        bench.worker.submit(job)
        assert job.ended.wait(20)
    assert bench.log == ["unsure ran", "other ran"]


def test_stopping_answers_every_waiting_request_and_ends_the_thread() -> None:
    bench = Bench()
    jobs = [FakeJob(bench.log, name, is_ready=False) for name in "ab"]
    for job in jobs:
        bench.worker.submit(job)
    assert bench.worker.stop(SHUTDOWN)
    assert sorted(bench.log) == ["a SHUTTING_DOWN", "b SHUTTING_DOWN"]
    with pytest.raises(N3dError, match="going down"):
        bench.worker.submit(FakeJob(bench.log))
    assert isinstance(bench.worker.call(lambda: None).exception(1), N3dError)


@pytest.mark.parametrize("busy", [False, True])
def test_a_call_that_was_made_before_the_stop_still_runs(busy: bool) -> None:
    bench = Bench()
    if busy:
        bench.block()
    closing = bench.worker.call(lambda: bench.log.append("closed"))
    threading.Timer(0.05, bench.release.set).start()
    assert bench.worker.stop(SHUTDOWN)
    assert closing.done()
    assert bench.log[-1] == "closed"


def test_a_call_runs_in_the_workers_thread_and_hands_back_result_or_error(bench: Bench) -> None:
    assert bench.worker.call(lambda: threading.current_thread().name).result(20) == "n3d_worker"
    with pytest.raises(ZeroDivisionError):
        bench.worker.call(lambda: 1 // 0).result(20)


def test_a_look_yields_to_a_request_that_could_run_and_to_none_that_waits(bench: Bench) -> None:
    bench.block()
    assert not bench.worker.should_yield()
    bench.worker.submit(FakeJob(bench.log, "waiting", is_ready=False))
    assert not bench.worker.should_yield()
    bench.worker.submit(FakeJob(bench.log))
    assert bench.worker.should_yield()


class Yielding:
    """A worker whose looks give way to requests, as those of a language model do."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.worker: Worker[str] = Worker(self._on_pair, queue_size=100)
        self.worker.start()

    def _on_pair(self, pair: str) -> None:
        for _ in range(3):
            if self.worker.should_yield():
                self.log.append("given up")
                return
            time.sleep(0.002)
        self.log.append(pair)


def test_after_some_requests_in_a_row_a_pair_is_looked_at_to_the_end() -> None:
    bench = Yielding()
    entered, release = threading.Event(), threading.Event()

    def hold() -> None:
        entered.set()
        release.wait(20)

    bench.worker.call(hold)
    assert entered.wait(20)
    bench.worker.offer("pair")
    jobs = [FakeJob(bench.log, str(n)) for n in range(6)]
    for job in jobs:
        bench.worker.submit(job)
    release.set()
    assert all(job.ended.wait(20) for job in jobs)
    assert bench.worker.stop(SHUTDOWN)
    assert bench.log == ["0 ran", "1 ran", "2 ran", "3 ran", "pair", "4 ran", "5 ran"]


def test_looks_that_were_given_up_do_not_count_as_turns() -> None:
    bench = Yielding()
    for n in range(40):
        bench.worker.offer(f"pair {n}")
        time.sleep(0.003)
        bench.worker.submit(FakeJob(bench.log))
    bench.worker.call(lambda: None).result(20)
    assert bench.worker.stop(SHUTDOWN)
    ran = "".join("p" if entry.startswith("pair") else "r" if entry == "job ran" else "" for entry in bench.log)
    assert "rrrrr" not in ran[: ran.rfind("p")], bench.log


def test_a_newer_pair_takes_the_place_of_a_waiting_one_only(bench: Bench) -> None:
    bench.block()
    assert bench.worker.renew("nobody waits") is None
    bench.worker.offer("waits")
    assert bench.worker.renew("newer") == "waits"
    assert bench.settle() == ["blocking", "newer"]


def test_a_request_runs_out_of_time_also_while_the_thread_is_busy(bench: Bench) -> None:
    bench.block()
    late, patient = FakeJob(bench.log, "late", timeout_s=0.01), FakeJob(bench.log, "patient")
    bench.worker.submit(late)
    bench.worker.submit(patient)
    time.sleep(0.02)
    bench.worker.expire_overdue()
    assert bench.log == ["blocking", "late expired"]
    assert bench.settle() == ["blocking", "late expired", "patient ran"]
