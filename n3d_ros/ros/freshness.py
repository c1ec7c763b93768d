"""The newest images: how old they are, on whichever clock, and what to say when they are too old."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from n3d_ros.errors import StatusCode
from n3d_ros.ros.asks import Reply
from n3d_ros.ros.config import RequestConfig
from n3d_ros.ros.pairing import RgbdPair

OTHER_CLOCK_S = 600.0  # an image older than this on arrival comes from another clock (a bag without use_sim_time)
NANOSECONDS = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Newest:
    """The newest pair of images and when it came."""

    pair: RgbdPair
    arrived_s: float
    same_clock: bool


class Freshness:
    """Knows the newest pair of images and tells ages.

    Args:
        clock_ns: the node's clock.
        config: gives the present settings.
        explain: says why no images come.
    """

    def __init__(
        self, *, clock_ns: Callable[[], int], config: Callable[[], RequestConfig], explain: Callable[[], str]
    ) -> None:
        self._clock_ns = clock_ns
        self._config = config
        self._explain = explain
        self._newest: _Newest | None = None

    @property
    def pair(self) -> RgbdPair | None:
        """The newest pair; None when none has come."""
        newest = self._newest
        return None if newest is None else newest.pair

    def saw(self, pair: RgbdPair) -> None:
        """Takes note of the newest pair of images.

        Args:
            pair: the images.
        """
        age_s = (self._clock_ns() - pair.stamp_ns) / NANOSECONDS
        self._newest = _Newest(pair=pair, arrived_s=time.monotonic(), same_clock=abs(age_s) < OTHER_CLOCK_S)

    def forget(self) -> None:
        """Forgets the newest pair, for instance when time jumps back."""
        self._newest = None

    def now_ns(self) -> int:
        """The present, on the clock of the images' stamps.

        Returns:
            Nanoseconds: the node's clock, or what the images' own clock shows by now when that is another one.
        """
        newest = self._newest
        if newest is None or newest.same_clock:
            return self._clock_ns()
        return newest.pair.stamp_ns + round((time.monotonic() - newest.arrived_s) * NANOSECONDS)

    @property
    def asked_ns(self) -> int:
        """``now_ns`` for a request that comes now; 0 while no image tells which clock is meant."""
        return 0 if self._newest is None else self.now_ns()

    def age_s(self, stamp_ns: int | None = None) -> float | None:
        """Age of an image: by its stamp, or since its arrival when its stamp is from another clock.

        Args:
            stamp_ns: of an image of the same camera; None: the newest pair's.

        Returns:
            Seconds; None when no pair has come.
        """
        newest = self._newest
        if newest is None:
            return None
        return (self.now_ns() - (newest.pair.stamp_ns if stamp_ns is None else stamp_ns)) / NANOSECONDS

    def is_fresh(self, stamp_ns: int | None = None) -> bool:
        """Whether an image is young enough to answer on.

        Args:
            stamp_ns: of an image of the same camera; None: the newest pair's.

        Returns:
            False as well when no pair has come, and for an image later than the newest: it is from before a jump.
        """
        newest = self.pair
        if newest is not None and stamp_ns is not None and stamp_ns > newest.stamp_ns:
            return False
        age_s = self.age_s(stamp_ns)
        return age_s is not None and age_s <= self._config().max_frame_age_s

    def why_not(self, timeout_s: float) -> Reply:
        """The refusal of a request that found no fresh image.

        Args:
            timeout_s: how long it waited.

        Returns:
            NO_FRAME or STALE_FRAME, with what to look at.
        """
        age_s = self.age_s()
        if age_s is None:
            text = f"No pair of images came within {timeout_s:.1f} s. {self._explain()}"
            return Reply(status=StatusCode.NO_FRAME, message=text)
        limit = self._config().max_frame_age_s
        text = (
            f"The newest pair of images is {age_s:.1f} s old, more than request.max_frame_age_s = {limit:g} s, and no "
            f"newer one came within {timeout_s:.1f} s. {self._explain()}"
        )
        return Reply(status=StatusCode.STALE_FRAME, message=text)
