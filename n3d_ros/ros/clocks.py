"""Clocks for timers."""

from __future__ import annotations

from typing import Any


def steady_clock() -> Any:
    """A clock for timers that must run also while simulated time stands still.

    Returns:
        ``rclpy.clock.Clock`` of steady time.
    """
    from rclpy.clock import Clock
    from rclpy.clock_type import ClockType

    return Clock(clock_type=ClockType.STEADY_TIME)
