"""The steps of one estimate: timed, and the places where it can be stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from n3d_ros.errors import CancelledError


class Stages:
    """Times steps by name, and asks before each whether to go on.

    Args:
        is_cancelled: True to stop; None: never.
    """

    def __init__(self, is_cancelled: Callable[[], bool] | None = None) -> None:
        self._is_cancelled = is_cancelled or (lambda: False)
        self._spent_ms: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """A step; several of one name add up.

        Args:
            name: of the step.

        Yields:
            Nothing.

        Raises:
            CancelledError: asked to stop.
        """
        if self._is_cancelled():
            raise CancelledError(f"Depth: stopped before the step {name!r}, as asked.")
        start = time.perf_counter()
        try:
            yield
        finally:
            self._spent_ms[name] = self._spent_ms.get(name, 0.0) + (time.perf_counter() - start) * 1e3

    @property
    def milliseconds(self) -> tuple[tuple[str, float], ...]:
        """Time per step, in the order in which they began."""
        return tuple(self._spent_ms.items())
