"""A tree of frames over time: what tf2's buffer does, in numpy, for bags and for machines without tf2.

Semantics follow tf2 (``tf2/src/buffer_core.cpp``): each frame has one parent at a time, transforms between two samples
are interpolated, nothing is extrapolated, static transforms hold for all times.
"""

from __future__ import annotations

import bisect
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from n3d_ros.errors import TransformError
from n3d_ros.geometry.transforms import RigidTransform, interpolate

DEFAULT_CACHE_NS = 10_000_000_000  # ten seconds, tf2's default
MAX_TREE_DEPTH = 1000  # a longer chain is a loop, as in tf2
MAX_FRAMES = 10_000  # a bound on what a broken publisher can make us keep
MAX_LATE = 100  # transforms of one frame behind the cache that are kept aside: they are the first after a jump back


@dataclass(slots=True)
class _Edge:
    """The transforms of one frame to its parent: sorted stamps and as many transforms."""

    parent: str
    static: bool
    stamps_ns: list[int] = field(default_factory=list)
    transforms: list[RigidTransform] = field(default_factory=list)
    late: list[tuple[int, RigidTransform]] = field(default_factory=list)

    def insert(self, stamp_ns: int, transform: RigidTransform, cache_ns: int) -> None:
        if self.stamps_ns and stamp_ns < self.stamps_ns[-1] - cache_ns:
            self.late = [*self.late[1 - MAX_LATE :], (stamp_ns, transform)]
            return
        index = bisect.bisect_left(self.stamps_ns, stamp_ns)
        if index < len(self.stamps_ns) and self.stamps_ns[index] == stamp_ns:
            self.transforms[index] = transform
            return
        self.stamps_ns.insert(index, stamp_ns)
        self.transforms.insert(index, transform)
        stale = bisect.bisect_left(self.stamps_ns, self.stamps_ns[-1] - cache_ns)
        del self.stamps_ns[:stale], self.transforms[:stale]

    def until(self, stamp_ns: int, cache_ns: int) -> _Edge:
        """What is left when time jumps back to a stamp: earlier transforms, and those that came ahead of the jump."""
        left = _Edge(self.parent, self.static)
        index = bisect.bisect_right(self.stamps_ns, stamp_ns)
        known = zip(self.stamps_ns[:index], self.transforms[:index], strict=True)
        for known_ns, transform in sorted((*self.late, *known), key=lambda entry: entry[0]):
            left.insert(known_ns, transform, cache_ns)
        return left

    def at(self, stamp_ns: int) -> RigidTransform | None:
        if self.static:
            return self.transforms[-1]
        index = bisect.bisect_left(self.stamps_ns, stamp_ns)
        if index < len(self.stamps_ns) and self.stamps_ns[index] == stamp_ns:
            return self.transforms[index]
        if index in (0, len(self.stamps_ns)):
            return None
        before, after = self.stamps_ns[index - 1], self.stamps_ns[index]
        fraction = (stamp_ns - before) / (after - before)
        return interpolate(self.transforms[index - 1], self.transforms[index], fraction)


class TransformBuffer:
    """Transforms between frames, kept for a while and looked up at a stamp. Safe to use from several threads.

    Args:
        cache_ns: how long transforms that change are kept, nanoseconds behind the newest of the same frame.
    """

    def __init__(self, cache_ns: int = DEFAULT_CACHE_NS) -> None:
        self._cache_ns = cache_ns
        self._edges: dict[str, _Edge] = {}
        self._lock = threading.Lock()

    def set_transform(
        self, parent: str, child: str, stamp_ns: int, parent_T_child: RigidTransform, *, static: bool = False
    ) -> None:
        """Stores one transform.

        Args:
            parent: the target frame's name, without a leading slash.
            child: the source frame's name.
            stamp_ns: when it holds, nanoseconds; ignored for static ones.
            parent_T_child: takes points of child to parent.
            static: whether it holds for all times.

        Raises:
            TransformError: empty or equal names, or more frames than ``MAX_FRAMES``.
        """
        if not parent or not child or parent == child:
            raise TransformError(f"Transform: expected two different frame names, got {parent!r} and {child!r}.")
        with self._lock:
            edge = self._edges.get(child)
            if edge is None or edge.parent != parent or edge.static != static:
                if len(self._edges) >= MAX_FRAMES:
                    raise TransformError(f"Transform tree: more than {MAX_FRAMES} frames; is a publisher broken?")
                edge = self._edges[child] = _Edge(parent, static)
            if static:
                edge.stamps_ns, edge.transforms = [stamp_ns], [parent_T_child]
            else:
                edge.insert(stamp_ns, parent_T_child, self._cache_ns)

    def lookup(self, target: str, source: str, stamp_ns: int | None = None) -> RigidTransform:
        """``target_T_source`` at a stamp.

        Args:
            target: frame to express points in.
            source: frame the points are given in.
            stamp_ns: nanoseconds; None: the newest time at which the whole way is known.

        Returns:
            The transform that takes points of source to target.

        Raises:
            TransformError: a frame is unknown, the two are not connected, or the stamp lies outside what is kept.
        """
        if target == source:
            return RigidTransform.identity()
        with self._lock:
            up_source, up_target = self._ways(target, source)
            if stamp_ns is None:
                stamp_ns = self._latest_common(up_source + up_target)
            root_T_source = self._chain(up_source, stamp_ns, target, source)
            root_T_target = self._chain(up_target, stamp_ns, target, source)
        return root_T_target.inverse() @ root_T_source

    def can_transform(self, target: str, source: str, stamp_ns: int | None = None) -> bool:
        """Whether ``lookup`` would succeed.

        Args:
            target: as in ``lookup``.
            source: as in ``lookup``.
            stamp_ns: as in ``lookup``.

        Returns:
            True when it would.
        """
        try:
            self.lookup(target, source, stamp_ns)
        except TransformError:
            return False
        return True

    def frames(self) -> tuple[str, ...]:
        """All frame names known, sorted.

        Returns:
            Names of children and parents.
        """
        with self._lock:
            return tuple(sorted({*self._edges, *(edge.parent for edge in self._edges.values())}))

    def clear(self, *, keep_static: bool = True, after_ns: int | None = None) -> None:
        """Forgets transforms, for instance when a bag starts again and time jumps back.

        Args:
            keep_static: whether static transforms stay: they are latched, and are not sent again.
            after_ns: forget only what is later than this stamp; None: all. After a jump back, the first transforms are
                often here before the first image tells of the jump.
        """
        with self._lock:
            known, self._edges = self._edges, {}
            for name, edge in known.items():
                if edge.static:
                    self._edges.update({name: edge} if keep_static else {})
                elif after_ns is not None and (left := edge.until(after_ns, self._cache_ns)).stamps_ns:
                    self._edges[name] = left

    def _ways(self, target: str, source: str) -> tuple[list[str], list[str]]:
        """The frames from source, and from target, up to (not including) their nearest common ancestor."""
        known = {*self._edges, *(edge.parent for edge in self._edges.values())}
        if unknown := [frame for frame in (target, source) if frame not in known]:
            names = ", ".join(sorted(known)[:8]) or "none yet"
            these = " and ".join(map(repr, unknown))
            verb = "does" if len(unknown) == 1 else "do"
            raise TransformError(f"tf: frame {these} {verb} not exist; known frames: {names}.")
        line_source, line_target = self._ancestors(source), self._ancestors(target)
        common = next((frame for frame in line_source if frame in set(line_target)), None)
        if common is None:
            raise TransformError(
                f"tf: {target!r} and {source!r} are in two unconnected trees (roots {line_target[-1]!r} and "
                f"{line_source[-1]!r}); is a static_transform_publisher or robot_state_publisher missing?"
            )
        return line_source[: line_source.index(common)], line_target[: line_target.index(common)]

    def _ancestors(self, frame: str) -> list[str]:
        line = [frame]
        while (edge := self._edges.get(line[-1])) is not None:
            line.append(edge.parent)
            if len(line) > MAX_TREE_DEPTH:
                raise TransformError(f"tf: the frames above {frame!r} form a loop.")
        return line

    def _latest_common(self, frames: Sequence[str]) -> int:
        newest = [self._edges[frame].stamps_ns[-1] for frame in frames if not self._edges[frame].static]
        return min(newest, default=0)

    def _chain(self, frames: Sequence[str], stamp_ns: int, target: str, source: str) -> RigidTransform:
        """Product of the edges from the first frame up; names the edge that lacks the stamp."""
        chain = RigidTransform.identity()
        for frame in frames:
            edge = self._edges[frame]
            step = edge.at(stamp_ns)
            if step is None:
                first, last = edge.stamps_ns[0] / 1e9, edge.stamps_ns[-1] / 1e9
                where = "future" if stamp_ns / 1e9 > last else "past"
                raise TransformError(
                    f"tf: {target!r} from {source!r} at {stamp_ns / 1e9:.3f} s needs {edge.parent!r} from {frame!r}, "
                    f"known from {first:.3f} to {last:.3f} s only (extrapolation into the {where}); is its publisher "
                    "alive, and do camera and tf use the same clock (use_sim_time)?"
                )
            chain = step @ chain
        return chain
