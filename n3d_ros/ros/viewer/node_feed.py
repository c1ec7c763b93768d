"""Hears what the node publishes, but only while somebody looks: otherwise the robot pays nothing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from n3d_ros.errors import TransformError
from n3d_ros.frame import RgbdFrame
from n3d_ros.geometry.transforms import RigidTransform
from n3d_ros.ros.compat.tf2 import TransformSource, create_transform_listener
from n3d_ros.ros.conversions import stamp_to_ns
from n3d_ros.ros.viewer.camera_feed import CameraFeed, camera_topics_of, with_own_depth
from n3d_ros.ros.viewer.report_window import ReportWindow
from n3d_ros.ros.viewer.texts import NodeHealth

if TYPE_CHECKING:
    from rclpy.node import Node

LOOK_EVERY_S = 1.0  # for the node's state and the camera's topics
UNANSWERED_S = 3.0  # a state that was asked for so long ago will not come
STALE_S = 3.0  # nothing new for so long, or ...
STALE_GAPS = 4.0  # ... so many times as long as usual: what is shown is old
JUMP_NS = 500_000_000  # stamps this far back are another time


class NodeFeed:
    """Everything the page shows of one node. Used in the executor's thread.

    Args:
        node: that subscribes.
        target: full name of the n3d node.
        color: name of the colour topic; None: found by what the node subscribes to.
        depth: the same for depth.
    """

    def __init__(self, node: Node, target: str, *, color: str | None = None, depth: str | None = None) -> None:
        self._node = node
        self.target = target
        self._named = (color, depth)
        self.objects: Any = None
        self.window = ReportWindow()
        self.jumps = 0
        self._heard_s: float | None = None
        self._subscriptions: list[Any] = []
        self._tf: TransformSource | None = None
        self._camera: CameraFeed | None = None
        self._state, self._state_s = "", 0.0
        self._asked: tuple[Any, float] | None = None
        self._state_client: Any = None
        self._looked_s = 0.0
        self._diagnostics: dict[str, tuple[int, str]] = {}

    @property
    def is_listening(self) -> bool:
        """Whether there are subscriptions."""
        return bool(self._subscriptions)

    def listen(self) -> None:
        """Begins to subscribe; nothing when it does already."""
        from diagnostic_msgs.msg import DiagnosticArray
        from lifecycle_msgs.srv import GetState
        from n3d_msgs.msg import FrameReport, Object3DArray
        from rclpy.qos import QoSProfile, QoSReliabilityPolicy

        if self.is_listening:
            return
        newest_only = QoSProfile(depth=1, reliability=QoSReliabilityPolicy.BEST_EFFORT)
        wanted = [
            (Object3DArray, f"{self.target}/objects", self._on_objects, newest_only),
            (FrameReport, f"{self.target}/frame_report", self._on_report, newest_only),
            (DiagnosticArray, "/diagnostics", self._on_diagnostics, QoSProfile(depth=10)),
        ]
        self._subscriptions = [self._node.create_subscription(*one) for one in wanted]
        self._tf = create_transform_listener(self._node)
        self._state_client = self._node.create_client(GetState, f"{self.target}/get_state")

    def rest(self) -> None:
        """Ends all subscriptions and forgets what was heard, so that nobody is shown something old as new."""
        if not self.is_listening:
            return
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []
        if self._tf is not None:
            self._tf.close()
        self._close_camera()
        self._node.destroy_client(self._state_client)
        self._tf, self._state_client, self._asked, self._state = None, None, None, ""
        self.objects, self._heard_s = None, None
        self.window.clear()
        self._diagnostics.clear()

    def look(self, now_s: float) -> None:
        """Asks for the node's state and looks for its camera, once in a while.

        Args:
            now_s: monotonic clock.
        """
        if not self.is_listening or now_s - self._looked_s < LOOK_EVERY_S:
            return
        self._looked_s = now_s
        self._ask_state(now_s)
        self._find_camera()

    def lookup(self, target: str, source: str, stamp_ns: int) -> RigidTransform:
        """``target_T_source`` at a stamp.

        Args:
            target: frame to express points in.
            source: frame the points are given in.
            stamp_ns: nanoseconds.

        Returns:
            The transform.

        Raises:
            TransformError: not known.
        """
        if target == source:
            return RigidTransform.identity()
        if self._tf is None:
            raise TransformError("tf is not listened to.")
        return self._tf.lookup(target, source, stamp_ns)

    def frame(self) -> RgbdFrame | None:
        """The image of the newest objects, else the newest image.

        Returns:
            The frame; None when no pair has come.
        """
        if self._camera is None:
            return None
        stamp_ns = None if self.objects is None else stamp_to_ns(self.objects.header.stamp)
        return self._camera.frame(stamp_ns, self.lookup)

    def health(self, now_s: float, trouble: str = "") -> NodeHealth:
        """How the node is.

        Args:
            now_s: monotonic clock.
            trouble: what the page itself could not do.

        Returns:
            What is shown of it.
        """
        quiet_s = None if self._heard_s is None else now_s - self._heard_s
        limit_s = max(STALE_S, STALE_GAPS * self.window.usual_gap_s())
        worst = max((level for level, _ in self._diagnostics.values()), default=None)
        return NodeHealth(
            name=self.target,
            state=self._state,
            level=worst,
            sentences=tuple(message for level, message in self._diagnostics.values() if level),
            report=self.window.summary(now_s),
            quiet_s=quiet_s,
            is_stale=quiet_s is not None and quiet_s > limit_s,
            trouble=trouble or self._missing_camera(),
        )

    def _missing_camera(self) -> str:
        if self._camera is not None or self._state != "active":
            return ""
        return (
            "The camera's topics are not found among those the node subscribes to; name them with --color and --depth."
        )

    def _on_objects(self, message: Any) -> None:
        if self.objects is not None and _before(message, self.objects):
            self.jumps += 1
            self.window.clear()
            if self._camera is not None:
                self._camera.clear()
            if self._tf is not None:
                self._tf.clear()
        self.objects, self._heard_s = message, time.monotonic()

    def _on_report(self, message: Any) -> None:
        self.window.add(message, time.monotonic())

    def _on_diagnostics(self, message: Any) -> None:
        """Keeps what concerns this node: names begin with the node's."""
        own = self.target.rpartition("/")[2]
        for status in message.status:
            name = str(status.name)
            if name.lstrip("/").startswith((f"{own}:", f"{self.target.lstrip('/')}:")):
                level = status.level if isinstance(status.level, int) else int.from_bytes(status.level, "little")
                self._diagnostics[name] = (level, str(status.message))

    def _ask_state(self, now_s: float) -> None:
        """Asks for the life cycle's state; one request at a time."""
        if self._asked is not None:
            future, since_s = self._asked
            if not future.done() and now_s - since_s < UNANSWERED_S:
                return
            if future.done() and future.exception() is None:
                self._state = str(future.result().current_state.label)
            else:
                self._state_client.remove_pending_request(future)
                self._state = ""
            self._asked = None
        if self._state_client.service_is_ready():
            from lifecycle_msgs.srv import GetState

            self._asked = (self._state_client.call_async(GetState.Request()), now_s)
        else:
            self._state = ""

    def _find_camera(self) -> None:
        """Subscribes to the topics that the node subscribes to, and to others when those change."""
        from rclpy.node import NodeNameNonExistentError

        namespace, _, name = self.target.rpartition("/")
        try:
            found = self._node.get_subscriber_names_and_types_by_node(name, namespace or "/")
            told = self._node.get_publisher_names_and_types_by_node(name, namespace or "/")
        except NodeNameNonExistentError:
            return
        topics = camera_topics_of(with_own_depth(dict(found), dict(told), self.target), *self._named)
        if topics is None or (self._camera is not None and self._camera.topics == topics):
            return  # a node that is deactivated subscribes to nothing; its camera may still be shown
        self._close_camera()
        self._camera = CameraFeed(self._node, topics)

    def _close_camera(self) -> None:
        if self._camera is not None:
            self._camera.close()
        self._camera = None


def _before(message: Any, other: Any) -> bool:
    """Whether a message is of a time before another's."""
    return stamp_to_ns(message.header.stamp) < stamp_to_ns(other.header.stamp) - JUMP_NS
