"""The publications of depth that the node finds itself: image, confidence, source, calibration and points.

Everything has the colour image's stamp and optical frame, its size after rectification, and goes out only while
somebody listens. RViz's DepthCloud takes ``~/depth/image`` with the ``camera_info`` beside it, its PointCloud2
``~/depth/points``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from tf2_msgs.msg import TFMessage

from n3d_ros.inference.depth_source import FUSED, ColorView, FoundDepth
from n3d_ros.ros import qos
from n3d_ros.ros.config import NodeConfig
from n3d_ros.ros.conversions import intrinsics_to_camera_info, transform_to_msg
from n3d_ros.ros.depth_step import NamedView, SeenDepth
from n3d_ros.ros.image_codec import depth_to_image_msg, mono_to_image_msg
from n3d_ros.ros.point_clouds import points_to_msg

if TYPE_CHECKING:
    from rclpy.node import Node

ESTIMATED_POSES = "~/depth/estimated_poses"
ESTIMATED = "_estimated"  # ends the name of a frame whose place the model estimated; such a frame is never put into tf


def _estimated_frame(named: NamedView, seen: SeenDepth) -> str:
    """The camera's own frame with an ending; by the camera's name where others give the same frame."""
    frames = [seen.view.frame_id, *(other.view.frame_id for other, _ in seen.beside)]
    shared = frames.count(named.view.frame_id) > 1
    return (named.name.replace("/", "_") if shared else named.view.frame_id) + ESTIMATED


def _image(view: ColorView, found: FoundDepth) -> Any:
    return depth_to_image_msg(found.depth_m, encoding="32FC1", stamp_ns=view.stamp_ns, frame_id=view.frame_id)


def _confidence(view: ColorView, found: FoundDepth) -> Any:
    if found.confidence is None:
        return None
    return depth_to_image_msg(found.confidence, encoding="32FC1", stamp_ns=view.stamp_ns, frame_id=view.frame_id)


def _source(view: ColorView, found: FoundDepth) -> Any:
    if found.source is None:
        return None
    return mono_to_image_msg(found.source, stamp_ns=view.stamp_ns, frame_id=view.frame_id)


def _camera_info(view: ColorView, _found: FoundDepth) -> Any:
    return intrinsics_to_camera_info(view.intrinsics, stamp_ns=view.stamp_ns, frame_id=view.frame_id)


def _points(view: ColorView, found: FoundDepth) -> Any:
    return points_to_msg(found.depth_m, view.rgb, view.intrinsics, stamp_ns=view.stamp_ns, frame_id=view.frame_id)


Maker = Callable[[ColorView, FoundDepth], Any]

OF_FIRST: Mapping[str, tuple[Any, Maker]] = MappingProxyType(
    {
        "image": (Image, _image),
        "confidence": (Image, _confidence),
        "source": (Image, _source),
        "camera_info": (CameraInfo, _camera_info),
        "points": (PointCloud2, _points),
    }
)
"""What is published of the first camera under ~/depth: its type, and what makes the message (None: there is none)."""
OF_OTHERS = ("image", "camera_info", "points")  # of each further camera, under ~/depth/<its name>


def depth_topics(config: NodeConfig) -> dict[str, Any]:
    """The topics that go with these settings.

    Args:
        config: the node's settings.

    Returns:
        Message type by name.
    """
    first = {f"~/depth/{leaf}": kind for leaf, (kind, _) in OF_FIRST.items() if _is_published(leaf, config)}
    names = config.depth_model.camera_names
    others = {f"~/depth/{name}/{leaf}": OF_FIRST[leaf][0] for name in names for leaf in OF_OTHERS}
    return {**first, **others, **({ESTIMATED_POSES: TFMessage} if names else {})}


def _is_published(leaf: str, config: NodeConfig) -> bool:
    return leaf != "source" or config.depth_source == FUSED


class DepthTopics:
    """Publishes what was found. Called in the worker's thread.

    Args:
        node: the node that publishes.
        config: its settings.
    """

    def __init__(self, node: Node, config: NodeConfig) -> None:
        self._node = node
        self._publishers = {
            topic: node.create_publisher(
                kind, topic, qos.copy_of(qos.PICTURE), qos_overriding_options=qos.overridable()
            )
            for topic, kind in depth_topics(config).items()
        }

    def publish(self, seen: SeenDepth) -> None:
        """Publishes the depth of one moment, as far as somebody listens.

        Args:
            seen: what was found.
        """
        self._publish("~/depth", seen.view, seen.found)
        for named, found in seen.beside:
            self._publish(f"~/depth/{named.name}", named.view, found)
        poses = [
            transform_to_msg(
                found.reference_T_camera,
                parent=seen.view.frame_id,
                child=_estimated_frame(named, seen),
                stamp_ns=seen.view.stamp_ns,
            )
            for named, found in seen.beside
            if found.reference_T_camera is not None
        ]
        publisher = self._publishers.get(ESTIMATED_POSES)
        if publisher is not None and poses and publisher.get_subscription_count():
            publisher.publish(TFMessage(transforms=poses))

    def close(self) -> None:
        """Ends the publications."""
        for publisher in self._publishers.values():
            self._node.destroy_publisher(publisher)
        self._publishers = {}

    def _publish(self, base: str, view: ColorView, found: FoundDepth) -> None:
        for leaf, (_, make) in OF_FIRST.items():
            publisher = self._publishers.get(f"{base}/{leaf}")
            if publisher is None or not publisher.get_subscription_count():
                continue
            message = make(view, found)
            if message is not None:
                publisher.publish(message)
