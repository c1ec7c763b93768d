"""What is this? A point from RViz or Foxglove (``clicked_point``) to the object under it, on ``~/pointed``.

The scene answers as it is known: nothing is looked for. The object is also outlined in ``~/markers``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geometry_msgs.msg import PointStamped
from n3d_msgs.msg import Object3DArray

from n3d_ros.errors import N3dError, StatusCode, TransformError
from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.geometry.transforms import RigidTransform
from n3d_ros.ros import qos
from n3d_ros.ros.answering import AnswerDesk
from n3d_ros.ros.asks import Reply
from n3d_ros.ros.conversions import clean_frame_id, objects_to_msg, stamp_to_ns
from n3d_ros.ros.outcomes import FrameOutcome
from n3d_ros.ros.pipeline import FramePipeline
from n3d_ros.ros.plain_text import plain
from n3d_ros.ros.results import Results
from n3d_ros.scene.pointed import pointed_at
from n3d_ros.scene.scene import Scene

if TYPE_CHECKING:
    from rclpy.node import Node

FARTHEST_M = 1e6
TOPIC = "clicked_point"  # relative: a namespace or a remapping moves it


class Pointing:
    """Answers points while the node is active; in the executor's thread.

    Args:
        node: subscribes and publishes.
        pipeline: gives scene and transforms.
        desk: says what the object is.
        results: shows which one it is.
    """

    def __init__(self, node: Node, pipeline: FramePipeline, desk: AnswerDesk, results: Results) -> None:
        self._node, self._pipeline, self._desk, self._results = node, pipeline, desk, results
        self.said = ""
        """What the latest point came to, in words; empty before the first."""
        options = {"qos_overriding_options": qos.overridable()}
        self._publisher = node.create_publisher(Object3DArray, "~/pointed", qos.copy_of(qos.RESULT), **options)
        self._subscription = node.create_subscription(
            PointStamped, TOPIC, self._on_point, qos.copy_of(qos.RESULT), **options
        )

    def close(self) -> None:
        """Ends subscription and publication."""
        self._node.destroy_subscription(self._subscription)
        self._node.destroy_publisher(self._publisher)

    def _on_point(self, message: Any) -> None:
        try:
            self.said = self._answer(message)
        except N3dError as error:
            self._tell(None, None)
            self.said = error.message
        except Exception as error:  # a click must not end the executor
            self._tell(None, None)
            self.said = Reply.refusal(error).message
        self._node.get_logger().info(f"Pointed at: {plain(self.said)}")

    def _answer(self, message: Any) -> str:
        """Finds the object, tells of it, and says what it is or why there is none."""
        memory = self._pipeline.memory  # once: the worker may put another in its place at any moment
        outcome = memory.outcome
        if outcome is None or outcome.scene is None:
            raise N3dError("No image has been looked at yet, so nothing is known.", code=StatusCode.NO_FRAME)
        scene = outcome.scene
        point = self._in_scene(message, scene)
        pointed = pointed_at(point, scene.objects)
        if pointed.object is None:
            self._tell(None, outcome)
            if pointed.nearest is None:
                return "The scene holds no objects."
            return (
                f"Nothing is there; the nearest is {pointed.nearest.label} {pointed.nearest.id}, "
                f"{pointed.distance_m:.2f} m away."
            )
        self._tell(pointed.object.id, outcome)
        return self._desk.known(f"what is object {pointed.object.id}?", memory).sentence

    def _in_scene(self, message: Any, scene: Scene) -> FloatArray:
        """The point in the scene's frame."""
        frame_id = clean_frame_id(message.header.frame_id)
        if not frame_id:
            text = "The point has no frame: header.frame_id is empty."
            raise N3dError(text, code=StatusCode.INVALID_REQUEST)
        at = message.point
        if not all(abs(number) <= FARTHEST_M for number in (at.x, at.y, at.z)):  # NaN is not, either
            text = f"The point lies nowhere: expected finite metres, got x {at.x:g}, y {at.y:g}, z {at.z:g}."
            raise N3dError(text, code=StatusCode.INVALID_REQUEST)
        return self._scene_T_point(scene.frame_id, frame_id, stamp_to_ns(message.header.stamp)).apply(
            [at.x, at.y, at.z]
        )

    def _scene_T_point(self, scene_frame: str, frame_id: str, stamp_ns: int) -> RigidTransform:
        """At the point's stamp; the newest when it has none, or one that tf does not reach yet or any more."""
        if stamp_ns:
            try:
                return self._pipeline.lookup(scene_frame, frame_id, stamp_ns, wait=False)
            except TransformError:
                pass
        return self._pipeline.lookup(scene_frame, frame_id, wait=False)

    def _tell(self, object_id: int | None, outcome: FrameOutcome | None) -> None:
        """Publishes the object, or that there is none, and outlines it."""
        self._results.point_at(object_id)
        if outcome is None or outcome.scene is None:
            self._publisher.publish(Object3DArray())
            return
        place = self._pipeline.placement(outcome.scene, outcome.view, "", wait=False)
        known = None if object_id is None else outcome.scene.by_id(object_id)
        found = () if known is None else (known.transformed(place.target_T_scene),)
        self._publisher.publish(objects_to_msg(found, stamp_ns=outcome.stamp_ns, frame_id=place.frame_id, up=place.up))
