"""Milliseconds per named step, and a place to stop between steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Stages:
    """Measures steps.

    Args:
        checkpoint: called before each step; it may raise to stop.
    """

    def __init__(self, checkpoint: Callable[[], None]) -> None:
        self._checkpoint = checkpoint
        self.milliseconds: dict[str, float] = {}

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Adds the time spent inside to the step of that name.

        Args:
            name: the step's.

        Yields:
            Nothing.
        """
        self._checkpoint()
        started = time.perf_counter()
        try:
            yield
        finally:
            self.milliseconds[name] = self.milliseconds.get(name, 0.0) + 1e3 * (time.perf_counter() - started)
