"""A pair of images looked at and told of: what the worker does with the newest one, and how each is counted."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from n3d_ros.errors import StatusCode
from n3d_ros.ros.config import NodeConfig
from n3d_ros.ros.ledger import Ledger
from n3d_ros.ros.outcomes import FrameOutcome
from n3d_ros.ros.pairing import RgbdPair
from n3d_ros.ros.pipeline import FramePipeline
from n3d_ros.ros.results import Results
from n3d_ros.ros.worker import Worker

STOPPED = ("deactivated", "The node was deactivated while it looked at a pair of images.")
PREEMPTED = ("preempted", "A request came while a pair of images was looked at; it goes first.")


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
