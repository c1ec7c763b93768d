"""Similarities of many chunks that agree best with all that was measured between pairs of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.sparse import csr_matrix
from scipy.spatial.transform import Rotation

from n3d_ros.depth.similarity import Similarity
from n3d_ros.geometry.arrays import FloatArray

MAX_STEPS = 100
ROBUST_FROM = 0.1  # radians, shares of the depth, or log scale, from which a measurement counts less
TOLERANCE = 1e-6
FALSE_FROM = 0.5  # difference that remains: a measurement that the others contradict
DIFFERENCE = 1e-7  # of a step's numbers, for slopes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measured:
    """One chunk as seen from another.

    Args:
        first: number of the chunk that is looked from.
        second: number of the chunk that is looked at.
        first_S_second: measured.
        is_certain: whether it is kept even where others contradict it.
    """

    first: int
    second: int
    first_S_second: Similarity
    is_certain: bool = False


def optimized(
    places: Sequence[Similarity],
    measured: Sequence[Measured],
    depths: Sequence[float],
    *,
    fixed: Sequence[int],
    rigid: bool,
) -> tuple[Similarity, ...]:
    """The places of all chunks for which measured and computed relations differ least.

    A difference is its turn in radians, its shift over the typical depth of the first chunk and its log scale; large
    ones count ever less (Cauchy loss), so that a false revisit is left aside.

    Args:
        places: world_S_chunk to begin with.
        measured: between pairs of chunks.
        depths: typical depth of each chunk in its own unit.
        fixed: chunks that stay where they are.
        rigid: whether scales stay what they are, for metric estimates.

    Returns:
        world_S_chunk of each.
    """
    free = np.array([i for i in range(len(places)) if i not in set(fixed)], dtype=np.intp)
    if not len(free) or not measured:
        return tuple(places)
    graph = _graph(places, measured, depths, free, 6 if rigid else 7)
    steps = _solved(graph, MAX_STEPS // 2)
    left = np.linalg.norm(graph.residuals(steps).reshape(len(measured), -1), axis=1)
    if (left > FALSE_FROM).any():  # one that the others do not bear out still pulls a little
        kept = [m for m, difference in zip(measured, left, strict=True) if m.is_certain or difference <= FALSE_FROM]
        graph = _graph(places, kept, depths, free, graph.size)
        steps = _solved(graph, MAX_STEPS)
    nodes = graph.moved(steps)
    return tuple(
        Similarity(scale=float(s), rotation=r, translation=t)
        for s, r, t in zip(nodes.scale, nodes.rotation, nodes.translation, strict=True)
    )


def _graph(
    places: Sequence[Similarity],
    measured: Sequence[Measured],
    depths: Sequence[float],
    free: NDArray[np.intp],
    size: int,
) -> _Graph:
    return _Graph(
        start=_stacked(places),
        free=free,
        first=np.array([m.first for m in measured]),
        second=np.array([m.second for m in measured]),
        relation=_stacked([m.first_S_second for m in measured]),
        depths=np.asarray(depths, dtype=np.float64),
        size=size,
    )


def _solved(graph: _Graph, most_steps: int) -> FloatArray:
    found = least_squares(
        graph.residuals,
        np.zeros(len(graph.free) * graph.size),
        jac=graph.jacobian,
        loss="cauchy",
        f_scale=ROBUST_FROM,
        max_nfev=most_steps,
        ftol=TOLERANCE,
        xtol=TOLERANCE,
        gtol=TOLERANCE,
    )
    return np.asarray(found.x)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Stack:
    """Similarities as arrays: (N,), (N, 3, 3), (N, 3)."""

    scale: FloatArray
    rotation: FloatArray
    translation: FloatArray

    def take(self, which: NDArray[np.intp]) -> _Stack:
        """The similarities of those numbers."""
        return _Stack(scale=self.scale[which], rotation=self.rotation[which], translation=self.translation[which])


def _stacked(similarities: Sequence[Similarity]) -> _Stack:
    return _Stack(
        scale=np.array([s.scale for s in similarities]),
        rotation=np.stack([s.rotation for s in similarities]),
        translation=np.stack([s.translation for s in similarities]),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Graph:
    """Chunks and what was measured between them, as functions of one step per free chunk.

    A step turns a chunk about its own axes (3), shifts it in typical depths (3) and multiplies its scale (1, as a
    logarithm), so that all numbers of a step are alike in size.
    """

    start: _Stack
    free: NDArray[np.intp]
    first: NDArray[np.intp]
    second: NDArray[np.intp]
    relation: _Stack
    depths: FloatArray
    size: int

    def moved(self, steps: FloatArray) -> _Stack:
        """Places of all chunks after a step (free chunks * size,)."""
        every = np.zeros((len(self.depths), 7))
        every[self.free, : self.size] = steps.reshape(-1, self.size)
        return _stepped(self.start, every, self.depths)

    def residuals(self, steps: FloatArray) -> FloatArray:
        """(measurements * size,) differences after a step."""
        nodes = self.moved(steps)
        return _differences(nodes.take(self.first), nodes.take(self.second), self)

    def jacobian(self, steps: FloatArray) -> csr_matrix:
        """How differences change with the step: for all measurements at once, one number of the step after another."""
        column = np.full(len(self.depths), -1)
        column[self.free] = np.arange(len(self.free)) * self.size
        every = np.zeros((len(self.depths), 7))
        every[self.free, : self.size] = steps.reshape(-1, self.size)
        nodes = self.moved(steps)
        base = [nodes.take(side) for side in (self.first, self.second)]
        unmoved = _differences(base[0], base[1], self)
        rows = np.arange(len(unmoved)).reshape(len(self.first), self.size)
        values, where = [], []
        for number, side in enumerate((self.first, self.second)):
            known = column[side] >= 0
            for axis in range(self.size):
                ahead = every[side].copy()
                ahead[:, axis] += DIFFERENCE
                ends = list(base)
                ends[number] = _stepped(self.start.take(side), ahead, self.depths[side])
                slope = (_differences(ends[0], ends[1], self) - unmoved).reshape(rows.shape) / DIFFERENCE
                values.append(slope[known].ravel())
                where.append((rows[known].ravel(), np.repeat(column[side][known] + axis, self.size)))
        index = (np.concatenate([w[0] for w in where]), np.concatenate([w[1] for w in where]))
        slopes: csr_matrix = csr_matrix((np.concatenate(values), index), shape=(len(unmoved), len(steps)))
        return slopes


def _stepped(places: _Stack, steps: FloatArray, depths: FloatArray) -> _Stack:
    shift = (places.scale * depths)[:, None] * steps[:, 3:6]
    return _Stack(
        scale=places.scale * np.exp(np.clip(steps[:, 6], -20, 20)),
        rotation=places.rotation @ Rotation.from_rotvec(steps[:, :3]).as_matrix(),
        translation=places.translation + np.einsum("nij,nj->ni", places.rotation, shift),
    )


def _differences(first: _Stack, second: _Stack, graph: _Graph) -> FloatArray:
    """Of measured and computed first_S_second: turn, shift over depth, and log scale where scales are free."""
    back, relation = first.rotation.transpose(0, 2, 1), graph.relation
    shift = np.einsum("nij,nj->ni", back, second.translation - first.translation) / first.scale[:, None]
    turn = relation.rotation.transpose(0, 2, 1) @ back @ second.rotation
    parts = [
        Rotation.from_matrix(turn).as_rotvec(),
        (shift - relation.translation) / graph.depths[graph.first, None],
        np.log(second.scale / first.scale / relation.scale)[:, None],
    ]
    return np.concatenate(parts, axis=1)[:, : graph.size].ravel()
