"""Objects asked for, boxes found and pairs of both, counted over frames; precision, recall and F1 of the counts.

What cannot be said is None, never 0: there is no precision without boxes and no recall without objects.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many objects there were, how many boxes, and how many of them belong together.

    Args:
        truths: objects asked for.
        found: boxes that count: those in pairs, and false alarms.
        hits: pairs.
    """

    truths: int = 0
    found: int = 0
    hits: int = 0

    def __add__(self, other: Counts) -> Counts:
        """Both together."""
        return Counts(truths=self.truths + other.truths, found=self.found + other.found, hits=self.hits + other.hits)

    @property
    def precision(self) -> float | None:
        """Share of the boxes that are right; None without boxes."""
        return self.hits / self.found if self.found else None

    @property
    def recall(self) -> float | None:
        """Share of the objects that were found; None without objects."""
        return self.hits / self.truths if self.truths else None

    @property
    def f1(self) -> float | None:
        """Harmonic mean of both; None where there was nothing to find and nothing was found."""
        total = self.truths + self.found
        return 2 * self.hits / total if total else None

    def to_dict(self) -> dict[str, Any]:
        """Counts and shares, JSON-ready."""
        return {
            "truths": self.truths,
            "found": self.found,
            "hits": self.hits,
            "precision": self.precision,
            "recall": self.recall,
            "f1": self.f1,
        }


@dataclass(slots=True, kw_only=True)
class GroupedCounts:
    """Counts in all and by group: a class of objects, a band of distances or of sizes.

    Args:
        total: everything.
        groups: by the group's name.
    """

    total: Counts = field(default_factory=Counts)
    groups: defaultdict[str, Counts] = field(default_factory=lambda: defaultdict(Counts))

    def add(
        self, truth_groups: Sequence[str], found_groups: Mapping[int, str], pairs: Sequence[tuple[int, int]]
    ) -> None:
        """Counts one frame.

        A box in a pair counts in its object's group, a false alarm in its own.

        Args:
            truth_groups: group of each object asked for.
            found_groups: group of each box that counts, by its index; boxes that count neither way are left out.
            pairs: (found, true).
        """
        paired = dict(pairs)
        for group in truth_groups:
            self._count(group, Counts(truths=1))
        for index, group in found_groups.items():
            hit = index in paired
            self._count(truth_groups[paired[index]] if hit else group, Counts(found=1, hits=int(hit)))

    def _count(self, group: str, more: Counts) -> None:
        self.total = self.total + more
        self.groups[group] = self.groups[group] + more


def mean(values: Sequence[float]) -> float | None:
    """The mean.

    Args:
        values: what was measured.

    Returns:
        Their mean; None without any.
    """
    return float(np.mean(values)) if values else None
