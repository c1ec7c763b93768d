"""Milliseconds per named step, and a place to stop between steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Stages:
    """Collects how long each named step took; steps of the same name add up.

    Args:
        checkpoint: called before each timed step; it may raise to stop.
    """

    def __init__(self, checkpoint: Callable[[], None] = lambda: None) -> None:
        self._checkpoint = checkpoint
        self.stage_ms: dict[str, float] = {}

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Times the body as one step.

        Args:
            name: of the step.

        Yields:
            Nothing.
        """
        self._checkpoint()
        start = time.perf_counter()
        try:
            yield
        finally:
            self.add(name, (time.perf_counter() - start) * 1e3)

    def add(self, name: str, duration_ms: float) -> None:
        """Adds time to a step.

        Args:
            name: of the step.
            duration_ms: milliseconds.
        """
        self.stage_ms[name] = self.stage_ms.get(name, 0.0) + duration_ms
