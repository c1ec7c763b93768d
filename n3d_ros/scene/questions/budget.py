"""How much work reading one text may take: every way of reading it counts against one budget."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

MAX_STEPS = 16_000  # elements tried and readings handed on, per text; a long polite question takes up to 15,000
MAX_S = 1.0  # however slow the machine
STEPS_PER_LOOK = 512  # at the clock


class TooMuchWork(Exception):  # noqa: N818 - a signal, handled where reading starts
    """A text whose reading would take too long; no question does."""


@dataclass(slots=True)
class Budget:
    """The work that one text may take, whatever ways of reading it are tried."""

    steps: int = 0
    until_s: float = field(default_factory=lambda: time.monotonic() + MAX_S)

    def spend(self, steps: int = 1) -> None:
        """Counts steps.

        Args:
            steps: that were made.

        Raises:
            TooMuchWork: there were too many, or they took too long.
        """
        before = self.steps // STEPS_PER_LOOK
        self.steps += steps
        if self.steps > MAX_STEPS:
            raise TooMuchWork
        if self.steps // STEPS_PER_LOOK != before and time.monotonic() > self.until_s:
            raise TooMuchWork
