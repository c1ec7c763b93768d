"""What happened to the frames so far: counts, rates, times per stage; for frame reports and /diagnostics."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

WINDOW = 300  # frames over which percentiles are taken: ten seconds at 30 Hz
RATE_WINDOW_S = 5.0  # time over which rates are taken
RECENT_S = 10.0  # a drop younger than this is worth a warning

# What to do about drops, by reason. The sentence of the latest drop comes before it and says what came.
MENDS: Mapping[str, str] = {
    "overload": "Normal when the camera is faster than the grounder: the newest frame wins.",
    "unpaired_color": "Check that both topics are remapped to the same camera; raise sync.slop_s if its stamps differ.",
    "unpaired_depth": "Check that both topics are remapped to the same camera; raise sync.slop_s if its stamps differ.",
    "late_color": "Images arrive out of order: a network or driver that reorders.",
    "late_depth": "Images arrive out of order: a network or driver that reorders.",
    "duplicate_color": "Two publishers on one topic, or a driver that sends images twice.",
    "duplicate_depth": "Two publishers on one topic, or a driver that sends images twice.",
    "time_jumped_back": "A bag that loops or a camera that restarted: scene and transforms start anew.",
    "before_time_jump": "Nothing to mend: the image waited to be looked at when time jumped back.",
    "on_request": "Nothing to mend: continuous is false, so images are looked at when a request comes.",
    "deactivated": "Nothing to mend: the node was told to stop.",
    "zero_stamp": "The driver must fill header.stamp.",
    "missing_camera_info": "Remap rgb/camera_info (and depth/camera_info) to the camera's topics.",
    "unregistered_depth": "Turn on the driver's depth alignment, or publish depth/camera_info and the frames' tf.",
    "no_transform": "Start the missing frame's publisher, raise tf.wait_s where tf is late, or do without it "
    "(output_frame, scene.frame).",
    "no_depth": "Check the depth stream (range, exposure, lens cover), or depth.min_m and depth.max_m.",
    "backend_failed": "The grounder itself failed: see the log.",
    "depth_failed": "Take a smaller depth model (depth_model.model) or lower depth_model.resolution; see the log.",
    "camera_left_out": "Check that the cameras of depth_model.cameras run; raise depth_model.cameras_slop_s if "
    "their stamps differ.",
    "out_of_memory": "Take a smaller model, or lower language_model.capacity or kept_images.",
    "preempted": "Normal while requests come: they go before images nobody asked for.",
    "paced": "Nothing to mend: continuous_rate_hz asks for fewer looks than there are images.",
}
NORMAL = ("overload", "preempted", "paced", "on_request")  # drops that tell of no fault
DEFAULT_MEND = "See the sentence before this one."


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """The latest drop of one reason.

    Args:
        count: how many so far.
        sentence: what was expected and what came, of the latest one.
        at_s: time.monotonic() of the latest one.
    """

    count: int
    sentence: str
    at_s: float

    @property
    def is_recent(self) -> bool:
        """Whether it happened in the last ``RECENT_S``."""
        return time.monotonic() - self.at_s < RECENT_S


class Ledger:
    """Counts and times, written by the executor's and the worker's thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Starts from zero, as when the node is configured."""
        with self._lock:
            self._received = self._used = 0
            self._drops: dict[str, Drop] = {}
            self._stages: dict[str, deque[float]] = {}
            self._arrivals: deque[float] = deque(maxlen=1000)
            self._departures: deque[float] = deque(maxlen=1000)

    def count_received(self) -> None:
        """One more pair of images came."""
        with self._lock:
            self._received += 1
            self._arrivals.append(time.monotonic())

    def count_used(self, stage_ms: Mapping[str, float]) -> None:
        """One more pair was processed.

        Args:
            stage_ms: milliseconds per stage.
        """
        with self._lock:
            self._used += 1
            self._departures.append(time.monotonic())
            for name, duration_ms in stage_ms.items():
                self._stages.setdefault(name, deque(maxlen=WINDOW)).append(duration_ms)

    def count_drop(self, reason: str, sentence: str) -> int:
        """One more image or pair was dropped.

        Args:
            reason: short key.
            sentence: what was expected and what came.

        Returns:
            How many of this reason so far.
        """
        with self._lock:
            known = self._drops.get(reason)
            count = 1 if known is None else known.count + 1
            self._drops[reason] = Drop(count=count, sentence=sentence, at_s=time.monotonic())
            return count

    @property
    def received(self) -> int:
        """Pairs that came so far."""
        return self._received

    @property
    def used(self) -> int:
        """Pairs processed so far."""
        return self._used

    def drops(self) -> dict[str, Drop]:
        """The drops so far.

        Returns:
            Reason to drop.
        """
        with self._lock:
            return dict(self._drops)

    def drop_counts(self) -> Counter[str]:
        """How many drops so far.

        Returns:
            Reason to count.
        """
        return Counter({reason: drop.count for reason, drop in self.drops().items()})

    def rates_hz(self) -> tuple[float, float]:
        """Pairs per second that came, and that were processed, lately.

        Returns:
            (received, used) in Hz.
        """
        since = time.monotonic() - RATE_WINDOW_S
        with self._lock:
            counts = [sum(at > since for at in times) for times in (self._arrivals, self._departures)]
        return counts[0] / RATE_WINDOW_S, counts[1] / RATE_WINDOW_S

    def percentiles_ms(self) -> dict[str, tuple[float, float]]:
        """Median and 95th percentile of each stage over the latest frames.

        Returns:
            Stage to (p50, p95) in milliseconds.
        """
        with self._lock:
            stages = {name: list(values) for name, values in self._stages.items()}
        return {name: tuple(np.percentile(values, [50, 95]).tolist()) for name, values in stages.items()}

    def newest_mend(self) -> str:
        """The latest recent drop that tells of a fault, with what to do about it.

        Returns:
            Sentences; empty when nothing was dropped lately.
        """
        recent = [item for item in self.drops().items() if item[1].is_recent and item[0] not in NORMAL]
        if not recent:
            return ""
        reason, drop = max(recent, key=lambda item: item[1].at_s)
        return f"{reason}: {drop.sentence} {MENDS.get(reason, DEFAULT_MEND)}"
