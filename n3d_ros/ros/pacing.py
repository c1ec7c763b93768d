"""Which images are looked at without being asked for, when not all of them are to be: by their stamps."""

from __future__ import annotations

NANOSECONDS = 1_000_000_000
EARLY_SHARE = 0.05  # of a period: cameras jitter, and every second image of a 30 Hz camera is meant by 15 Hz


class Pacer:
    """Chooses images so that not more than so many per second are looked at."""

    def __init__(self) -> None:
        self._last_ns: int | None = None

    def is_due(self, stamp_ns: int, rate_hz: float) -> bool:
        """Whether an image is to be looked at; it then counts as looked at.

        Args:
            stamp_ns: of the image.
            rate_hz: most images per second; 0: all.

        Returns:
            True for the first image, for one that is a period younger than the last, and after a jump back in time.
        """
        if rate_hz > 0 and self._last_ns is not None:
            passed_ns = stamp_ns - self._last_ns
            if 0 <= passed_ns < (1 - EARLY_SHARE) * NANOSECONDS / rate_hz:
                return False
        self._last_ns = stamp_ns
        return True

    def reset(self) -> None:
        """Makes the next image due, for instance when the look at the last one was given up."""
        self._last_ns = None
