"""What the node's reports come to: rate, ages, drops, each over the last moments."""

from __future__ import annotations

import itertools
import statistics
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from n3d_ros.ros.conversions import stamp_to_ns
from n3d_ros.ros.plain_values import status_name

WINDOW = 200  # reports that medians are taken over
RATE_WINDOW_S = 5.0
MAX_REASONS = 12  # drops that are listed


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSummary:
    """Figures of the node, as they are shown.

    Args:
        rate_hz: looks per second.
        age_ms: median and 95th percentile of image stamp to publication; None: unknown.
        total_ms: the same of the processing alone; None: unknown.
        received: image pairs so far.
        used: image pairs processed so far.
        drops: (reason, count), most frequent first.
        status: how the newest frame ended.
        message: why, in one sentence; may be empty.
        backend: what finds the objects, and where it runs.
    """

    rate_hz: float = 0.0
    age_ms: tuple[float, float] | None = None
    total_ms: tuple[float, float] | None = None
    received: int = 0
    used: int = 0
    drops: tuple[tuple[str, int], ...] = ()
    status: str = ""
    message: str = ""
    backend: str = ""


@dataclass(slots=True)
class ReportWindow:
    """Keeps the newest ``n3d_msgs/FrameReport``s."""

    _newest: Any = None
    _arrivals_s: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    _ages_ms: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    _totals_ms: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))

    def add(self, report: Any, now_s: float) -> None:
        """Takes a report in; one of a node that began anew, or of a time before, starts the window afresh.

        Args:
            report: ``n3d_msgs/FrameReport``.
            now_s: monotonic clock.
        """
        if self._newest is not None and report.frames_received < self._newest.frames_received:
            self.clear()
        self._newest = report
        if report.status.code == 0:
            self._arrivals_s.append(now_s)
        for value, kept in ((report.age_at_publish_ms, self._ages_ms), (report.total_ms, self._totals_ms)):
            if value == value and abs(value) < 600_000.0:  # NaN is unknown; more than ten minutes is another clock
                kept.append(float(value))

    def clear(self) -> None:
        """Forgets everything."""
        self._newest = None
        for kept in (self._arrivals_s, self._ages_ms, self._totals_ms):
            kept.clear()

    @property
    def stamp_ns(self) -> int:
        """Stamp of the newest report's image; 0: none."""
        return 0 if self._newest is None else stamp_to_ns(self._newest.header.stamp)

    def usual_gap_s(self) -> float:
        """Median time between two looks; 0: unknown."""
        times = list(self._arrivals_s)
        gaps = [after - before for before, after in itertools.pairwise(times)]
        return statistics.median(gaps) if gaps else 0.0

    def summary(self, now_s: float) -> ReportSummary:
        """The figures.

        Args:
            now_s: monotonic clock.

        Returns:
            What is shown.
        """
        newest = self._newest
        if newest is None:
            return ReportSummary()
        drops = sorted(((one.name, int(one.count)) for one in newest.frames_dropped), key=lambda one: -one[1])
        return ReportSummary(
            rate_hz=self._rate_hz(now_s),
            age_ms=_median_and_p95(self._ages_ms),
            total_ms=_median_and_p95(self._totals_ms),
            received=int(newest.frames_received),
            used=int(newest.frames_used),
            drops=tuple(drops[:MAX_REASONS]),
            status=status_name(newest.status.code),
            message=str(newest.status.message),
            backend=" on ".join(word for word in (newest.backend, newest.device) if word),
        )

    def _rate_hz(self, now_s: float) -> float:
        """Looks per second, by the time between the arrivals of the last seconds."""
        recent = [one for one in self._arrivals_s if one > now_s - RATE_WINDOW_S]
        if len(recent) < 2:
            return len(recent) / RATE_WINDOW_S
        return (len(recent) - 1) / max(recent[-1] - recent[0], 1e-3)


def _median_and_p95(values: deque[float]) -> tuple[float, float] | None:
    """Both percentiles; None without values."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
