"""What another process sees of the running node: when objects, markers and reports of each image arrive."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from n3d_msgs.msg import FrameReport, Object3DArray
from rclpy.executors import SingleThreadedExecutor
from visualization_msgs.msg import MarkerArray

from n3d_ros.ros.conversions import stamp_to_ns

QUEUE = 50


@dataclass(slots=True, kw_only=True)
class Seen:
    """What arrived of one image.

    Args:
        stamp_ns: of the image.
        objects_ms: image stamp to received objects; None: none came.
        markers_ms: image stamp to received markers; None: none came, as of an image without objects.
        age_at_start_ms: image stamp to the beginning of its processing, as the node says; None: it did not.
        stage_ms: of each step, as the node says.
        backend: the grounder's name; empty: no report came.
    """

    stamp_ns: int
    objects_ms: float | None = None
    markers_ms: float | None = None
    age_at_start_ms: float | None = None
    stage_ms: dict[str, float] = field(default_factory=dict)
    backend: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """The node's own account so far.

    Args:
        received: pairs of images.
        used: of them, looked at.
        dropped: by reason.
    """

    received: int = 0
    used: int = 0
    dropped: dict[str, int] = field(default_factory=dict)

    def since(self, before: Counts) -> Counts:
        """What was added.

        Args:
            before: an earlier account.

        Returns:
            The difference; reasons that nothing was added to are left out.
        """
        dropped = {name: count - before.dropped.get(name, 0) for name, count in self.dropped.items()}
        return Counts(
            received=self.received - before.received,
            used=self.used - before.used,
            dropped={name: count for name, count in dropped.items() if count},
        )


class Observer:
    """Listens to one node.

    Args:
        node: an rclpy node that nobody else spins.
        namespace: of the node that is observed.
        name: of the node that is observed.
    """

    def __init__(self, node: Any, namespace: str, name: str = "n3d") -> None:
        self._node = node
        self.seen: dict[int, Seen] = {}
        self.counts = Counts()
        prefix = f"/{namespace}/{name}"
        self._subscriptions = [
            node.create_subscription(Object3DArray, f"{prefix}/objects", self._on_objects, QUEUE),
            node.create_subscription(MarkerArray, f"{prefix}/markers", self._on_markers, QUEUE),
            node.create_subscription(FrameReport, f"{prefix}/frame_report", self._on_report, QUEUE),
        ]
        self._executor = SingleThreadedExecutor(context=node.context)
        self._executor.add_node(node)

    def forget(self) -> None:
        """Begins anew; the node's counts stay."""
        self.seen.clear()

    def spin_while(self, is_wanted: Callable[[], bool]) -> None:
        """Receives.

        Args:
            is_wanted: asked twenty times a second or more.
        """
        while is_wanted():
            self._executor.spin_once(timeout_sec=0.05)

    def close(self) -> None:
        """Listens no more."""
        self._executor.shutdown()
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)

    def _of(self, stamp_ns: int) -> Seen:
        return self.seen.setdefault(stamp_ns, Seen(stamp_ns=stamp_ns))

    def _on_objects(self, message: Any) -> None:
        stamp_ns = stamp_to_ns(message.header.stamp)
        self._of(stamp_ns).objects_ms = (time.time_ns() - stamp_ns) / 1e6

    def _on_markers(self, message: Any) -> None:
        now_ns = time.time_ns()
        stamps = {stamp_to_ns(marker.header.stamp) for marker in message.markers} - {0}
        if stamps:
            self._of(max(stamps)).markers_ms = (now_ns - max(stamps)) / 1e6

    def _on_report(self, message: Any) -> None:
        seen = self._of(stamp_to_ns(message.header.stamp))
        seen.age_at_start_ms, seen.backend = float(message.age_at_start_ms), str(message.backend)
        for stage in message.stages:
            seen.stage_ms[stage.name] = float(stage.duration_ms)
        dropped = {item.name: int(item.count) for item in message.frames_dropped}
        self.counts = Counts(received=int(message.frames_received), used=int(message.frames_used), dropped=dropped)


@contextmanager
def observing(node: Any, namespace: str, name: str = "n3d") -> Iterator[Observer]:
    """Listens to a node during the body.

    Args:
        node: an rclpy node that nobody else spins.
        namespace: of the node that is observed.
        name: of the node that is observed.

    Yields:
        The observer.
    """
    observer = Observer(node, namespace, name)
    try:
        yield observer
    finally:
        observer.close()
