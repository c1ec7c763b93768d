"""The calibration that belongs to an image; the node and ``n3d run`` share it."""

from __future__ import annotations

from collections import deque
from typing import Any

from n3d_ros.ros.conversions import stamp_to_ns

KEPT = 10  # calibrations of the latest images; more than wait for a partner at any time


class Calibrations:
    """The latest calibrations of one camera."""

    def __init__(self) -> None:
        self._latest: deque[Any] = deque(maxlen=KEPT)

    def add(self, message: Any) -> None:
        """Keeps one more.

        Args:
            message: ``sensor_msgs/CameraInfo``.
        """
        self._latest.append(message)

    def at(self, stamp_ns: int) -> Any:
        """The calibration that came with an image.

        Args:
            stamp_ns: of the image.

        Returns:
            The one with that stamp, else the newest: some drivers send it once, with another stamp. None: none came.
        """
        newest = None
        for newest in self._latest:
            if stamp_to_ns(newest.header.stamp) == stamp_ns:
                return newest
        return newest
