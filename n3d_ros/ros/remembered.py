"""The images of the last seconds, so that a request may name a moment and have its very image looked at again.

They are kept as they came: by reference, so that keeping one costs no time; exact, so that a second look finds what the
first one found; and small where the camera compresses them. 16UC1 depth has half the bytes of metres in float32 anyway.
Transforms are not copied: tf itself is kept at least as long.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable

from n3d_ros.errors import QueryError, StatusCode
from n3d_ros.ros.config import MemoryConfig
from n3d_ros.ros.pairing import RgbdPair

NANOSECONDS = 1_000_000_000
MAX_GAP_S = 1.0  # between the moment asked for and the image: farther off, it does not show that moment
STAMP_JITTER = 0.1  # share of the period by which an image may come early and still be the next one to keep


class FrameMemory:
    """Pairs of images, oldest first, bounded in age, rate and bytes. Safe to use from several threads.

    Args:
        config: gives the present bounds.
    """

    def __init__(self, config: Callable[[], MemoryConfig]) -> None:
        self._config = config
        self._lock = threading.Lock()
        self._pairs: list[RgbdPair] = []
        self._sizes: list[int] = []

    def add(self, pair: RgbdPair) -> None:
        """Keeps a pair if it is time for one, and lets go of what is too old or too much.

        Args:
            pair: the newest images.
        """
        config = self._config()
        with self._lock:
            newest_ns = self._pairs[-1].stamp_ns if self._pairs else None
            period_ns = NANOSECONDS / config.rate_hz * (1 - STAMP_JITTER)
            if newest_ns is None or pair.stamp_ns - newest_ns >= period_ns:
                self._pairs.append(pair)
                self._sizes.append(_bytes_of(pair))
            oldest_ns = pair.stamp_ns - round(config.frames_s * NANOSECONDS)
            while self._pairs and (self._pairs[0].stamp_ns < oldest_ns or config.frames_s == 0):
                self._forget(0)
            while self._pairs and sum(self._sizes) > config.max_mb * 1e6:
                self._forget(self._least_missed())

    def clear(self) -> None:
        """Forgets everything, for instance when time jumps back."""
        with self._lock:
            self._pairs, self._sizes = [], []

    def has(self, stamp_ns: int) -> bool:
        """Whether an image of that moment is kept.

        Args:
            stamp_ns: nanoseconds.

        Returns:
            True when ``at`` would find one.
        """
        return self._nearest(stamp_ns) is not None

    def at(self, stamp_ns: int) -> RgbdPair:
        """The images nearest to a moment.

        Args:
            stamp_ns: nanoseconds.

        Returns:
            The pair.

        Raises:
            QueryError: no image near that moment is kept (code ``NO_SUCH_MOMENT``); says which are.
        """
        nearest = self._nearest(stamp_ns)
        if nearest is None:
            raise QueryError(self.refusal(stamp_ns), code=StatusCode.NO_SUCH_MOMENT, reason="no_such_moment")
        return nearest

    def refusal(self, stamp_ns: int) -> str:
        """The sentence that says that no image of a moment is kept, and which are.

        Args:
            stamp_ns: nanoseconds.

        Returns:
            The sentence.
        """
        with self._lock:
            pairs = list(self._pairs)
        if not pairs:
            return "No images are kept (memory.frames_s, memory.max_mb), or none came since the start."
        first_s, last_s = pairs[0].stamp_ns / NANOSECONDS, pairs[-1].stamp_ns / NANOSECONDS
        return (
            f"No image within {MAX_GAP_S:g} s of {stamp_ns / NANOSECONDS:.3f} s is kept; {len(pairs)} are, from "
            f"{first_s:.3f} s to {last_s:.3f} s (memory.frames_s, memory.max_mb)."
        )

    @property
    def stamps_ns(self) -> tuple[int, ...]:
        """Of the images kept, ascending."""
        with self._lock:
            return tuple(pair.stamp_ns for pair in self._pairs)

    @property
    def total_bytes(self) -> int:
        """What the images kept take."""
        with self._lock:
            return sum(self._sizes)

    def _nearest(self, stamp_ns: int) -> RgbdPair | None:
        with self._lock:
            at = bisect_left(self._pairs, stamp_ns, key=lambda pair: pair.stamp_ns)
            around = self._pairs[max(at - 1, 0) : at + 1]
        nearest = min(around, key=lambda pair: abs(pair.stamp_ns - stamp_ns), default=None)
        is_near = nearest is not None and abs(nearest.stamp_ns - stamp_ns) <= MAX_GAP_S * NANOSECONDS
        return nearest if is_near else None

    def _forget(self, index: int) -> None:
        del self._pairs[index], self._sizes[index]

    def _least_missed(self) -> int:
        """The image between the two nearest to each other, the oldest of equals; the ends stay as long as they can."""
        if len(self._pairs) < 3:
            return 0
        gaps = [after.stamp_ns - before.stamp_ns for before, after in zip(self._pairs, self._pairs[2:], strict=False)]
        return 1 + gaps.index(min(gaps))


def _bytes_of(pair: RgbdPair) -> int:
    """What the pixels of a pair take."""
    return sum(len(getattr(image, "data", b"")) for image in (pair.color, pair.depth))
