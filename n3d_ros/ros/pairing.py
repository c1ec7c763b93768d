"""Colour and depth images that belong together, by their stamps.

What message_filters' approximate synchroniser does, without its lock around the user's callback, with a cost linear in
the queue, and with a reason for every image that finds no partner.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from n3d_ros.errors import ConfigurationError, InputError

NANOSECONDS = 1_000_000_000
EXPLAIN_AFTER = 5  # images of one stream without a pair before silence is explained

DropReport = Callable[[str, str], None]
"""Called with a reason (a key to count by) and a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairingConfig:
    """How colour and depth are paired.

    Args:
        slop_s: largest difference of the stamps of a pair, seconds; below half a frame period pairs are unambiguous.
        queue_size: images of each stream that wait for a partner, the newest ones.
        jump_tolerance_s: a stamp older than the newest by more than this means that time jumped back (a bag that
            loops, a camera that restarts) and empties the queues; seconds.
    """

    slop_s: float = field(default=0.02, metadata={"minimum": 0.0, "maximum": 1.0, "unit": "s"})
    queue_size: int = field(default=10, metadata={"minimum": 1, "maximum": 100})
    jump_tolerance_s: float = field(default=0.5, metadata={"minimum": 0.0, "maximum": 60.0, "unit": "s"})

    def __post_init__(self) -> None:
        """Checks the ranges.

        Raises:
            ConfigurationError: a value out of its range.
        """
        if not 0 <= self.slop_s <= 1:
            raise ConfigurationError(f"slop_s: expected 0 to 1 s, got {self.slop_s}.")
        if not 1 <= self.queue_size <= 100:
            raise ConfigurationError(f"queue_size: expected 1 to 100, got {self.queue_size}.")
        if not 0 <= self.jump_tolerance_s <= 60:
            raise ConfigurationError(f"jump_tolerance_s: expected 0 to 60 s, got {self.jump_tolerance_s}.")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RgbdPair:
    """A colour and a depth image that belong together.

    Args:
        color: what was given to ``add_color``.
        depth: what was given to ``add_depth``.
        color_stamp_ns: nanoseconds.
        depth_stamp_ns: nanoseconds.
        color_info: for whoever adds the calibration.
        depth_info: for whoever adds the calibration.
    """

    color: Any
    depth: Any
    color_stamp_ns: int
    depth_stamp_ns: int
    color_info: Any = None
    depth_info: Any = None

    @property
    def stamp_ns(self) -> int:
        """The colour image's stamp, which results carry."""
        return self.color_stamp_ns

    @property
    def skew_ns(self) -> int:
        """Colour stamp minus depth stamp, nanoseconds."""
        return self.color_stamp_ns - self.depth_stamp_ns


@dataclass(slots=True)
class _Stream:
    """The images of one kind that wait, oldest first, and what came last."""

    name: str
    waiting: list[tuple[int, Any]] = field(default_factory=list)
    newest_ns: int | None = None
    paired_ns: int | None = None
    since_pair: int = 0

    def reset(self) -> None:
        self.waiting.clear()
        self.newest_ns = self.paired_ns = None
        self.since_pair = 0


class RgbdPairer:
    """Pairs images by stamp: nearest within the slop, each used once, the newest pair wins. Safe from several threads.

    A pair is made at once when an image arrives whose best partner is already there; what is older than a pair never
    comes out after it.

    Args:
        config: slop, queue and tolerance.
        on_drop: told of every drop, outside the lock, on the thread that added the image.
    """

    def __init__(self, config: PairingConfig | None = None, *, on_drop: DropReport | None = None) -> None:
        self._config = config or PairingConfig()
        self._slop_ns = round(self._config.slop_s * NANOSECONDS)
        self._tolerance_ns = round(self._config.jump_tolerance_s * NANOSECONDS)
        self._on_drop = on_drop
        self._lock = threading.Lock()
        self._color, self._depth = _Stream("color"), _Stream("depth")
        self._counts: Counter[str] = Counter()
        self._skew_ns: int | None = None

    @property
    def counters(self) -> dict[str, int]:
        """Drops so far, by reason.

        unpaired_color, unpaired_depth: left the queue without a partner; late_color, late_depth: older than a pair
        already made; duplicate_color, duplicate_depth: the same stamp again; time_jumped_back: jumps, not images.
        """
        with self._lock:
            return dict(self._counts)

    @property
    def newest_ns(self) -> int | None:
        """The latest stamp since the last jump; None when none has come."""
        with self._lock:
            known = [stream.newest_ns for stream in (self._color, self._depth) if stream.newest_ns is not None]
        return max(known, default=None)

    def add_color(self, stamp_ns: int, item: Any) -> RgbdPair | None:
        """The pair that a colour image completes.

        Args:
            stamp_ns: its stamp, nanoseconds.
            item: the image, handed back in the pair.

        Returns:
            The pair, or None while it has no partner.

        Raises:
            InputError: the stamp is zero or negative.
        """
        return self._add(self._color, self._depth, stamp_ns, item)

    def add_depth(self, stamp_ns: int, item: Any) -> RgbdPair | None:
        """The pair that a depth image completes.

        Args:
            stamp_ns: its stamp, nanoseconds.
            item: the image, handed back in the pair.

        Returns:
            The pair, or None while it has no partner.

        Raises:
            InputError: the stamp is zero or negative.
        """
        return self._add(self._depth, self._color, stamp_ns, item)

    def clear(self) -> None:
        """Forgets what waits and what came before, for instance when the node is deactivated; counters stay."""
        with self._lock:
            self._color.reset()
            self._depth.reset()
            self._skew_ns = None

    def explain(self) -> str | None:
        """Why images arrive but no pairs are made.

        Returns:
            A sentence with the skew seen and what to change; None while pairs are made or hardly anything came.
        """
        with self._lock:
            color, depth = self._color, self._depth
            if max(color.since_pair, depth.since_pair) < EXPLAIN_AFTER:
                return None
            for silent, other in ((color, depth), (depth, color)):
                if silent.since_pair == 0:
                    return (
                        f"{other.since_pair} {_word(other)} images came without any {_word(silent)} image; is the "
                        f"{_word(silent)} topic remapped to what the camera publishes, with a QoS that fits?"
                    )
            skew_ms = abs(self._skew_ns or 0) / 1e6
            return (
                f"Colour and depth do not pair: their newest stamps are {skew_ms:.0f} ms apart, expected at most "
                f"sync.slop_s = {self._slop_ns / 1e6:.0f} ms. Synchronise the camera's streams, give both the same "
                "clock, or raise sync.slop_s if the scene stands still."
            )

    def _add(self, own: _Stream, other: _Stream, stamp_ns: int, item: Any) -> RgbdPair | None:
        """The steps of one arrival; reports after the lock is released."""
        if stamp_ns <= 0:
            raise InputError(
                f"The {_word(own)} image has stamp {stamp_ns}: expected the time it was taken. Its driver must fill "
                "header.stamp.",
                reason="zero_stamp",
            )
        reports: list[tuple[str, str]] = []
        with self._lock:
            self._handle_jump(own, other, stamp_ns, reports)
            pair = self._insert_and_match(own, other, stamp_ns, item, reports)
            self._counts.update(reason for reason, _ in reports)
        if self._on_drop is not None:
            for reason, sentence in reports:
                self._on_drop(reason, sentence)
        return pair

    def _handle_jump(self, own: _Stream, other: _Stream, stamp_ns: int, reports: list[tuple[str, str]]) -> None:
        """Empties the queues when time runs back; the second stream to jump is part of the same event."""
        if own.newest_ns is None or stamp_ns >= own.newest_ns - self._tolerance_ns:
            return
        back_s = (own.newest_ns - stamp_ns) / 1e9
        other_jumped_first = other.newest_ns is not None and abs(other.newest_ns - stamp_ns) <= max(
            self._tolerance_ns, self._slop_ns
        )
        own.reset()
        if other_jumped_first:
            other.waiting = [entry for entry in other.waiting if abs(entry[0] - stamp_ns) <= self._tolerance_ns]
            return
        other.reset()
        reports.append(
            (
                "time_jumped_back",
                f"Stamps of {_word(own)} images went back by {back_s:.1f} s (a bag that starts again, or a camera that "
                "restarted): waiting images are forgotten.",
            )
        )

    def _insert_and_match(
        self, own: _Stream, other: _Stream, stamp_ns: int, item: Any, reports: list[tuple[str, str]]
    ) -> RgbdPair | None:
        own.newest_ns = stamp_ns if own.newest_ns is None else max(own.newest_ns, stamp_ns)
        own.since_pair += 1
        if self._color.newest_ns is not None and self._depth.newest_ns is not None:
            self._skew_ns = self._color.newest_ns - self._depth.newest_ns
        if own.paired_ns is not None and stamp_ns <= own.paired_ns:
            reason = "duplicate" if stamp_ns == own.paired_ns else "late"
            reports.append((f"{reason}_{own.name}", f"{_word(own)} image: not newer than the one last paired."))
            return None
        self._enqueue(own, other, stamp_ns, item, reports)
        match = min(other.waiting, key=lambda entry: abs(entry[0] - stamp_ns), default=None)
        if match is None or abs(match[0] - stamp_ns) > self._slop_ns:
            return None
        self._finish(own, stamp_ns, reports)
        self._finish(other, match[0], reports)
        if own is self._color:
            return RgbdPair(color=item, depth=match[1], color_stamp_ns=stamp_ns, depth_stamp_ns=match[0])
        return RgbdPair(color=match[1], depth=item, color_stamp_ns=match[0], depth_stamp_ns=stamp_ns)

    def _enqueue(self, own: _Stream, other: _Stream, stamp_ns: int, item: Any, reports: list[tuple[str, str]]) -> None:
        """Keeps the queue sorted and bounded."""
        index = len(own.waiting)
        while index and own.waiting[index - 1][0] >= stamp_ns:
            index -= 1
        if index < len(own.waiting) and own.waiting[index][0] == stamp_ns:
            reports.append((f"duplicate_{own.name}", f"{_word(own)} image: its stamp came twice; the later stays."))
            own.waiting[index] = (stamp_ns, item)
            return
        own.waiting.insert(index, (stamp_ns, item))
        if len(own.waiting) > self._config.queue_size:
            lost_ns, _ = own.waiting.pop(0)
            reports.append((f"unpaired_{own.name}", self._why_unpaired(own, other, lost_ns)))

    def _finish(self, stream: _Stream, stamp_ns: int, reports: list[tuple[str, str]]) -> None:
        """Takes the paired image and everything older out of the queue."""
        older = sum(1 for entry in stream.waiting if entry[0] < stamp_ns)
        sentence = (
            f"{_word(stream)} image: no partner within {self._slop_ns / 1e6:.0f} ms before a newer pair was made."
        )
        reports.extend([(f"unpaired_{stream.name}", sentence)] * older)
        stream.waiting = [entry for entry in stream.waiting if entry[0] > stamp_ns]
        stream.paired_ns, stream.since_pair = stamp_ns, 0

    def _why_unpaired(self, own: _Stream, other: _Stream, stamp_ns: int) -> str:
        if other.newest_ns is None:
            return f"{_word(own)} image: no {_word(other)} image has come at all."
        return (
            f"{_word(own)} image: no {_word(other)} image within {self._slop_ns / 1e6:.0f} ms of it; the newest one's "
            f"stamp is {(other.newest_ns - stamp_ns) / 1e6:+.0f} ms away."
        )


def _word(stream: _Stream) -> str:
    return "colour" if stream.name == "color" else "depth"
