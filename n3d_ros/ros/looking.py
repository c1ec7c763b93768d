"""A pair of images taken in, looked at, told of and counted: what the worker does with the newest one."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from n3d_ros.errors import StatusCode
from n3d_ros.ros.config import NodeConfig
from n3d_ros.ros.ledger import Ledger
from n3d_ros.ros.outcomes import FrameOutcome
from n3d_ros.ros.pacing import Pacer
from n3d_ros.ros.pairing import RgbdPair
from n3d_ros.ros.pipeline import FramePipeline
from n3d_ros.ros.results import Results
from n3d_ros.ros.worker import Worker

STOPPED = ("deactivated", "The node was deactivated while it looked at a pair of images.")
PREEMPTED = ("preempted", "A request came while a pair of images was looked at; it goes first.")


def take_in(pair: RgbdPair, worker: Worker[RgbdPair], ledger: Ledger, pacer: Pacer, config: NodeConfig) -> None:
    """Gives a pair to the worker, if one is due, and counts what is dropped for it. In the executor's thread.

    Args:
        pair: the images.
        worker: looks at the newest pair it was given.
        ledger: counts.
        pacer: says when a look is due.
        config: the settings of now.
    """
    ledger.count_received()
    if not config.continuous:
        ledger.count_drop("on_request", "Images are looked at when a request comes: continuous is false.")
        worker.recheck()
        return
    rate_hz = config.continuous_rate_hz
    if pacer.is_due(pair.stamp_ns, rate_hz):
        replaced = worker.offer(pair)
    else:
        worker.recheck()
        replaced = worker.renew(pair)  # never older than what a request has looked at in between
        if replaced is None:
            ledger.count_drop("paced", f"Not more than {rate_hz:g} pairs per second are looked at.")
    if replaced is not None:
        ledger.count_drop("overload", "The grounder was busy; a newer pair of images took its place.")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Look:
    """One look at a pair of images, in the worker's thread.

    Args:
        pipeline: finds the objects.
        results: publishes them.
        worker: runs the look; says when to give way.
        ledger: counts it.
        config: the settings of now.
        is_active: whether the node still wants it.
        clock_ns: the node's clock.
    """

    pipeline: FramePipeline
    results: Results
    worker: Worker[Any]
    ledger: Ledger
    config: NodeConfig
    is_active: Callable[[], bool]
    clock_ns: Callable[[], int]

    def at(self, pair: RgbdPair) -> FrameOutcome:
        """Looks, publishes and counts: each pair is used, or dropped for one reason.

        Args:
            pair: the images.

        Returns:
            What became of it; its reason says so when the look was broken off.
        """
        started_ns, started_s = self.clock_ns(), time.perf_counter()
        why = list[tuple[str, str]]()

        def is_cancelled() -> bool:
            if self.worker.stopping or not self.is_active():
                why[:] = [STOPPED]
            elif self.pipeline.is_open_vocabulary and self.worker.should_yield():
                why[:] = [PREEMPTED]
            return bool(why)

        outcome = self.pipeline.process(pair, nouns=self.config.language_model.nouns, is_cancelled=is_cancelled)
        if outcome.status is StatusCode.CANCELLED and why:
            outcome = replace(outcome, reason=why[0][0], message=why[0][1])
        if self.worker.stopping:  # publishers may be gone
            self.ledger.count_drop(*STOPPED)
            return outcome
        if not outcome.is_ok:
            self.ledger.count_drop(outcome.reason, outcome.message)
        stage_ms = self.results.publish(
            outcome,
            self.pipeline,
            started_ns=started_ns,
            started_s=started_s,
            markers=self.config.markers,
            debug=self.config.debug,
        )
        if outcome.is_ok:
            self.ledger.count_used(stage_ms)
        return outcome
