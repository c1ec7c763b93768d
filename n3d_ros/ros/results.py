"""The node's publications: objects, markers, frame reports and the debug image of one outcome."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from n3d_msgs.msg import FrameReport, Object3DArray
from sensor_msgs.msg import Image
from visualization_msgs.msg import MarkerArray

from n3d_ros.inference.timing import Stages
from n3d_ros.ros import qos
from n3d_ros.ros.compat import vision_msgs
from n3d_ros.ros.config import DebugConfig, MarkerConfig
from n3d_ros.ros.conversions import (
    frame_report_to_msg,
    make_header,
    object_to_msg,
    objects_to_msg,
    objects_to_vision_msg,
)
from n3d_ros.ros.image_codec import rgb_to_image_msg
from n3d_ros.ros.ledger import Ledger
from n3d_ros.ros.markers import MarkerTracker
from n3d_ros.ros.overlay import OverlayItem, display_color, draw_boxes, raw_items
from n3d_ros.ros.pipeline import FrameOutcome, FramePipeline
from n3d_ros.scene.objects import SceneObject

if TYPE_CHECKING:
    from rclpy.node import Node

NANOSECONDS = 1_000_000_000


class Results:
    """Publishers of what the node finds. Called in the worker's thread.

    Args:
        node: the node that publishes.
        ledger: counts for the reports.
    """

    def __init__(self, node: Node, ledger: Ledger) -> None:
        self._node = node
        self._ledger = ledger
        self._tracker = MarkerTracker()
        self._markers_config = MarkerConfig()
        self._last_debug_s = 0.0
        self._objects = self._publisher(Object3DArray, "~/objects")
        self._markers = self._publisher(MarkerArray, "~/markers")
        self._report = self._publisher(FrameReport, "~/frame_report")
        self._debug = self._publisher(Image, "~/debug/image")
        self._raw = self._publisher(Object3DArray, "~/debug/raw_objects")
        self._detections = None
        if vision_msgs.is_available():
            self._detections = self._publisher(vision_msgs.message_classes().Detection3DArray, "~/detections")

    def publish(
        self,
        outcome: FrameOutcome,
        pipeline: FramePipeline,
        *,
        started_ns: int,
        started_s: float,
        markers: MarkerConfig,
        debug: DebugConfig,
    ) -> dict[str, float]:
        """Publishes everything about one outcome.

        Args:
            outcome: what became of the frame.
            pipeline: gives the objects in the output frame.
            started_ns: node clock when processing began.
            started_s: time.perf_counter() when processing began.
            markers: how markers look.
            debug: how often the debug image goes out.

        Returns:
            Milliseconds per stage, those of publishing included.
        """
        stages = Stages()
        self._markers_config = markers
        age_at_start_ms = self._age_ms(started_ns, outcome.stamp_ns)
        stages.add("age_at_start", 0.0 if age_at_start_ms is None else age_at_start_ms)
        for name, duration_ms in outcome.stage_ms.items():
            stages.add(name, duration_ms)
        objects: tuple[SceneObject, ...] = ()
        if outcome.is_ok:
            objects = self._publish_objects(outcome, pipeline, markers, stages)
        now_ns = self._node.get_clock().now().nanoseconds
        report = frame_report_to_msg(
            stamp_ns=outcome.stamp_ns,
            frame_id=outcome.frame_id,
            code=outcome.status,
            message=outcome.message or " ".join(outcome.notes),
            stage_ms={name: value for name, value in stages.stage_ms.items() if name != "age_at_start"},
            total_ms=(time.perf_counter() - started_s) * 1e3 if outcome.is_ok else None,
            age_at_start_ms=age_at_start_ms,
            age_at_publish_ms=self._age_ms(now_ns, outcome.stamp_ns) if outcome.is_ok else None,
            frames_received=self._ledger.received,
            frames_used=self._ledger.used + outcome.is_ok,
            frames_dropped=self._ledger.drop_counts(),
            object_count=len(objects),
            backend=pipeline.grounder.name,
            device=pipeline.grounder.device,
        )
        self._report.publish(report)
        if outcome.is_ok:
            self._publish_raw(outcome)
            self._publish_debug(outcome, objects, debug)
        return stages.stage_ms

    def point_at(self, object_id: int | None) -> None:
        """Outlines an object in the viewers, and no other. May be called from another thread.

        Args:
            object_id: which; None: none.
        """
        message = self._tracker.point_at(object_id, self._markers_config)
        if message.markers:
            self._markers.publish(message)

    def clear_markers(self, frame_id: str = "map") -> None:
        """Removes all markers from the viewers.

        Args:
            frame_id: any frame.
        """
        stamp_ns = self._node.get_clock().now().nanoseconds
        self._markers.publish(self._tracker.clear(make_header(stamp_ns, frame_id)))

    def close(self) -> None:
        """Ends the publications."""
        for publisher in (self._objects, self._markers, self._report, self._debug, self._raw, self._detections):
            if publisher is not None:
                self._node.destroy_publisher(publisher)

    def _publisher(self, message_type: Any, topic: str) -> Any:
        profile = qos.copy_of(qos.RESULT)
        return self._node.create_publisher(message_type, topic, profile, qos_overriding_options=qos.overridable())

    def _publish_objects(
        self, outcome: FrameOutcome, pipeline: FramePipeline, markers: MarkerConfig, stages: Stages
    ) -> tuple[SceneObject, ...]:
        """Objects, detections and markers; those that take work only when somebody listens."""
        up = None
        if outcome.up_camera is not None and outcome.output_T_camera is not None:
            up = outcome.output_T_camera.rotate(outcome.up_camera)
        with stages.timed("convert"):
            objects = pipeline.objects(outcome)
            message = objects_to_msg(objects, stamp_ns=outcome.stamp_ns, frame_id=outcome.output_frame, up=up)
        with stages.timed("publish"):
            self._objects.publish(message)
            if self._markers.get_subscription_count():
                self._markers.publish(self._tracker.update(objects, message.header, markers))
            if self._detections is not None and self._detections.get_subscription_count():
                self._detections.publish(
                    objects_to_vision_msg(objects, stamp_ns=outcome.stamp_ns, frame_id=outcome.output_frame, up=up)
                )
        return objects

    def _publish_raw(self, outcome: FrameOutcome) -> None:
        """The boxes before they were fitted to the measured points, in the camera's frame, when somebody listens."""
        if outcome.raw_detections and self._raw.get_subscription_count():
            message = Object3DArray(header=make_header(outcome.stamp_ns, outcome.frame_id))
            message.objects = [object_to_msg(one) for one in outcome.raw_detections]
            self._raw.publish(message)

    def _publish_debug(self, outcome: FrameOutcome, objects: tuple[SceneObject, ...], debug: DebugConfig) -> None:
        now_s = time.monotonic()
        due = now_s - self._last_debug_s >= 1.0 / debug.max_rate_hz
        if not due or not self._debug.get_subscription_count() or outcome.frame is None:
            return
        self._last_debug_s = now_s
        if outcome.output_T_camera is None:
            return
        camera_T_output = outcome.output_T_camera.inverse()
        items = [
            OverlayItem(
                box=one.box.transformed(camera_T_output),
                text=f"#{one.id} {one.label}",
                color_rgb=display_color(one.color, one.id),
            )
            for one in objects
        ]
        items += raw_items(outcome.raw_detections)
        image = draw_boxes(outcome.frame.rgb, outcome.frame.intrinsics, items)
        self._debug.publish(rgb_to_image_msg(image, stamp_ns=outcome.stamp_ns, frame_id=outcome.frame_id))

    @staticmethod
    def _age_ms(now_ns: int, stamp_ns: int) -> float | None:
        return (now_ns - stamp_ns) / 1e6 if stamp_ns > 0 else None
