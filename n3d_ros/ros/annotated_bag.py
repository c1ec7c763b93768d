"""The recording that an offline run leaves: what the node would have published, in the time of the bag."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from n3d_ros.inference.grounder import Grounder
from n3d_ros.ros.bag import BagMessage, BagReader, BagWriter, TopicQos
from n3d_ros.ros.bag_pass import TF_TYPE, BagLook
from n3d_ros.ros.camera_topics import CameraTopics
from n3d_ros.ros.config import NodeConfig
from n3d_ros.ros.conversions import frame_report_to_msg, make_header, objects_to_msg
from n3d_ros.ros.image_codec import rgb_to_compressed_msg
from n3d_ros.ros.markers import MarkerTracker
from n3d_ros.ros.overlay import OverlayItem, display_color, draw_boxes, raw_items
from n3d_ros.ros.pipeline import FrameOutcome
from n3d_ros.scene.objects import SceneObject

RESULT_QOS = TopicQos(reliability="reliable", depth=10)
NAMESPACE = "/n3d"  # under which the node publishes by default
OBJECTS, MARKERS, REPORT = f"{NAMESPACE}/objects", f"{NAMESPACE}/markers", f"{NAMESPACE}/frame_report"
DEBUG_IMAGE = f"{NAMESPACE}/debug/image/compressed"


class AnnotatedBag:
    """Writes what comes of each look.

    Args:
        writer: an open bag.
        reader: the bag that is processed.
        topics: the camera's topics in it.
        grounder: finds the objects.
        config: the node's settings.
        dropped: how many images gave no result so far, by reason; read at each look.
        include_images: copy the images, too.
    """

    def __init__(
        self,
        writer: BagWriter,
        reader: BagReader,
        topics: CameraTopics,
        grounder: Grounder,
        config: NodeConfig,
        *,
        dropped: Mapping[str, int],
        include_images: bool = False,
    ) -> None:
        self._writer, self._grounder, self._config, self._dropped = writer, grounder, config, dropped
        self._tracker = MarkerTracker()
        self._used = 0
        transforms = [name for name, topic in reader.topics.items() if topic.type == TF_TYPE]
        infos = [topics.color_info] if topics.color_info in reader.topics else []
        self.copied = list(dict.fromkeys([*transforms, *infos, *(topics.all if include_images else ())]))
        """Topics of the bag that go into this one as they are."""
        _add_topics(writer, reader, self.copied)

    def copy(self, message: BagMessage) -> None:
        """Takes over a message as it is, if its topic is copied.

        Args:
            message: of the bag that is processed.
        """
        if message.topic.name in self.copied:
            self._writer.write(message.topic.name, message.stamp_ns, message.data)

    def add(self, look: BagLook) -> None:
        """Writes the messages the node would have published.

        Args:
            look: what came of a pair.
        """
        outcome, recorded_ns = look.outcome, look.recorded_ns
        self._used += outcome.is_ok
        report = frame_report_to_msg(
            stamp_ns=outcome.stamp_ns,
            frame_id=outcome.frame_id,
            code=outcome.status,
            message=outcome.message or " ".join(outcome.notes),
            stage_ms=outcome.stage_ms,
            total_ms=look.total_ms if outcome.is_ok else None,
            frames_received=look.pairs,
            frames_used=self._used,
            frames_dropped=self._dropped,
            object_count=len(look.objects),
            backend=self._grounder.name,
            device=self._grounder.device,
        )
        self._writer.write(REPORT, recorded_ns, report)
        if outcome.is_ok and outcome.frame is not None and outcome.output_T_camera is not None:
            self._write_objects(look)

    def _write_objects(self, look: BagLook) -> None:
        """Objects, markers and the image with boxes."""
        outcome, write = look.outcome, self._writer.write
        if outcome.frame is None or outcome.output_T_camera is None:
            return
        up = None if outcome.up_camera is None else outcome.output_T_camera.rotate(outcome.up_camera)
        header = make_header(outcome.stamp_ns, outcome.output_frame)
        message = objects_to_msg(look.objects, stamp_ns=outcome.stamp_ns, frame_id=outcome.output_frame, up=up)
        write(OBJECTS, look.recorded_ns, message)
        write(MARKERS, look.recorded_ns, self._tracker.update(look.objects, header, self._config.markers))
        image = draw_boxes(outcome.frame.rgb, outcome.frame.intrinsics, overlay_items(outcome, look.objects))
        debug = rgb_to_compressed_msg(image, stamp_ns=outcome.stamp_ns, frame_id=outcome.frame_id)
        write(DEBUG_IMAGE, look.recorded_ns, debug)


def overlay_items(outcome: FrameOutcome, objects: Sequence[SceneObject]) -> list[OverlayItem]:
    """What to draw on the colour image of an outcome.

    Args:
        outcome: an OK outcome.
        objects: in its output frame.

    Returns:
        Boxes in the camera frame with number and label, and those not yet fitted to the measured points.
    """
    if outcome.output_T_camera is None:
        return []
    camera_T_output = outcome.output_T_camera.inverse()
    items = [
        OverlayItem(
            box=item.box.transformed(camera_T_output),
            text=f"#{item.id} {item.label}",
            color_rgb=display_color(item.color, item.id),
        )
        for item in objects
    ]
    return [*items, *raw_items(outcome.raw_detections)]


def _add_topics(writer: BagWriter, reader: BagReader, copied: Sequence[str]) -> None:
    """Adds the copied topics and those of the results."""
    for name in copied:
        topic = reader.topics[name]
        writer.add_topic(name, topic.type, qos=topic.qos, definition=topic.definition or None)
    for name, type_ in (
        (OBJECTS, "n3d_msgs/msg/Object3DArray"),
        (MARKERS, "visualization_msgs/msg/MarkerArray"),
        (REPORT, "n3d_msgs/msg/FrameReport"),
        (DEBUG_IMAGE, "sensor_msgs/msg/CompressedImage"),
    ):
        if name not in copied:
            writer.add_topic(name, type_, qos=RESULT_QOS)
