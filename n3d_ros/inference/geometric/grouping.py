"""Patches grouped into regions: a union-find that keeps its members."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from n3d_ros.inference.geometric.samples import SampleRelations

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


class Grouping:
    """Which patches belong together. Patches are labels 1 .. n; a region is named by one of them.

    Args:
        relations: of the patches.
    """

    def __init__(self, relations: SampleRelations) -> None:
        count = len(relations.sizes)
        self.relations = relations
        self.region = np.arange(count + 1)
        self._members: dict[int, list[int]] = {label: [label] for label in range(1, count + 1)}

    def regions(self) -> list[int]:
        """Names of all regions, rising."""
        return sorted(self._members)

    def members(self, region: int) -> IntArray:
        """Patches of a region."""
        return np.asarray(self._members[region], dtype=np.int64)

    def size(self, region: int) -> int:
        """Pixels of a region."""
        return int(self.relations.sizes[self.members(region) - 1].sum())

    def pixels(self, region: int) -> IntArray:
        """Flat indices of a region's pixels, patch by patch."""
        known = self.relations
        parts = [known.ordered[known.starts[k] : known.starts[k] + known.sizes[k]] for k in self.members(region) - 1]
        return np.concatenate(parts)

    def join(self, first: int, second: int) -> int:
        """Makes one region of those that two patches belong to.

        Args:
            first: a patch.
            second: another.

        Returns:
            The name of the joint region, that of the first patch's.
        """
        a, b = int(self.region[first]), int(self.region[second])
        if a != b:
            moved = self._members.pop(b)
            self._members[a] += moved
            self.region[moved] = a
        return a

    def dent_share(self, first: int, second: int) -> float:
        """How far two regions are from forming one convex solid.

        Args:
            first: a region.
            second: another.

        Returns:
            Share of the smaller one that stands out before the other's faces or has them before its own; 0: convex.
        """
        a, b = self.members(first) - 1, self.members(second) - 1
        before = self.relations.clearly_before
        if len(a) == len(b) == 1:
            return float(max(before[a[0], b[0]], before[b[0], a[0]]))
        out = np.maximum(before[np.ix_(a, b)], before[np.ix_(b, a)].T)
        sizes = self.relations.sizes
        weight = np.minimum(sizes[a][:, None], sizes[b][None])
        return float((out * weight).sum() / min(sizes[a].sum(), sizes[b].sum()))

    def hollowness(self, region: int) -> float:
        """Share of pairs of a region's points of which one stands before the other's tangent plane."""
        a = self.members(region) - 1
        if len(a) == 1:
            return float(self.relations.before[a[0], a[0]])
        weight = self.relations.sizes[a].astype(np.float64)
        weight /= weight.sum()
        return float(weight @ self.relations.before[np.ix_(a, a)] @ weight)
