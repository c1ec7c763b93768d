"""Further cameras that look at the same time: their newest images as views beside the first camera's.

A depth model sees all views of one moment in one pass; where tf says how the cameras stand to each other, the views are
posed and the model's scale follows the rig. Images wait here, a few per camera, until the first camera's image is
looked at.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sensor_msgs.msg import CameraInfo

from n3d_ros.errors import InputError, N3dError, TransformError
from n3d_ros.geometry.transforms import RigidTransform
from n3d_ros.inference.depth_source import ColorView
from n3d_ros.ros.calibrations import Calibrations
from n3d_ros.ros.config import NodeConfig
from n3d_ros.ros.conversions import stamp_to_ns
from n3d_ros.ros.depth_step import NamedView
from n3d_ros.ros.frame_assembly import FrameAssembler, FrameConfig, TransformLookup
from n3d_ros.ros.inputs import COLOR_TOPICS, subscribe_sensor
from n3d_ros.ros.pairing import NANOSECONDS, DropReport

if TYPE_CHECKING:
    from rclpy.node import Node

KEPT_IMAGES = 4  # per camera: the first camera's image is looked at soon after it came, at 30 Hz within 0.13 s
WAIT_S = 0.1  # longest wait for images that are due: those of one moment come one after the other
MISSED_IMAGES = 3  # so many periods after its last image a camera is taken as silent, and not waited for
JITTER = 0.1  # share of the period by which an image may come off its time


class ExtraCamera:
    """One further camera: the images and calibrations it sent last. Filled by one thread, asked by another.

    Args:
        name: of the camera, as in ``depth_model.cameras``.
        topic: full name of its image topic, which may say that images are rectified.
        frames: how its messages become images.
    """

    def __init__(self, name: str, *, topic: str, frames: FrameConfig) -> None:
        self.name = name
        self._topic = topic
        self.configure(frames)
        self._images: deque[Any] = deque(maxlen=KEPT_IMAGES)
        self._infos = Calibrations()
        self._lock = threading.Condition()

    def add_image(self, message: Any) -> None:
        """Takes an image in; the oldest one goes.

        Args:
            message: ``sensor_msgs/Image`` or ``CompressedImage``.
        """
        with self._lock:
            self._images.append(message)
            self._lock.notify_all()

    def add_info(self, message: Any) -> None:
        """Takes a calibration in.

        Args:
            message: ``sensor_msgs/CameraInfo``.
        """
        with self._lock:
            self._infos.add(message)

    def clear(self) -> None:
        """Forgets the images, for instance when time jumps back."""
        with self._lock:
            self._images.clear()
            self._lock.notify_all()

    def wait_for(self, stamp_ns: int, slop_s: float, until_s: float) -> None:
        """Waits for the image of a moment while, by the camera's own rhythm, it is on its way.

        Without it a node that is faster than its cameras would look before the second camera's image is there, each
        time.

        Args:
            stamp_ns: of the moment.
            slop_s: how far the image's stamp may differ from it.
            until_s: ``time.monotonic()`` at which it gives up.
        """
        slop_ns = slop_s * NANOSECONDS
        with self._lock:
            while self._is_due(stamp_ns, slop_ns) and (left_s := until_s - time.monotonic()) > 0:
                self._lock.wait(left_s)

    def _is_due(self, stamp_ns: int, slop_ns: float) -> bool:
        """Whether the newest image is too old for a moment, and the next one or two would fit it."""
        if len(self._images) < 2:
            return False
        before_ns, last_ns = _stamp_ns(self._images[-2]), _stamp_ns(self._images[-1])
        period_ns, gap_ns = last_ns - before_ns, stamp_ns - last_ns
        if period_ns <= 0 or gap_ns <= slop_ns:
            return False
        periods = max(round(gap_ns / period_ns), 1)
        return periods <= MISSED_IMAGES and abs(gap_ns - periods * period_ns) <= slop_ns + JITTER * period_ns

    def configure(self, frames: FrameConfig) -> None:
        """Takes over settings that changed; called by the thread that asks.

        Args:
            frames: what is set now.
        """
        self._assembler = FrameAssembler(frames, color_topic=self._topic)

    def view_at(self, stamp_ns: int, slop_s: float) -> ColorView:
        """What the camera saw at a moment.

        Args:
            stamp_ns: of the moment.
            slop_s: how far the image's stamp may differ from it.

        Returns:
            The image nearest to it, rectified, without a pose.

        Raises:
            InputError: there is none so near, or it cannot be used.
        """
        with self._lock:
            nearest = min(self._images, key=lambda image: abs(_stamp_ns(image) - stamp_ns), default=None)
            info = None if nearest is None else self._infos.at(_stamp_ns(nearest))
        if nearest is None:
            raise InputError("no image of it has come.", reason="camera_left_out")
        if info is None:
            raise InputError("no calibration of it has come on its camera_info.", reason="missing_camera_info")
        apart_s = (_stamp_ns(nearest) - stamp_ns) / NANOSECONDS
        if abs(apart_s) > slop_s:
            raise InputError(
                f"its nearest image is {abs(apart_s):.3f} s {'younger' if apart_s > 0 else 'older'} than the first "
                f"camera's, depth_model.cameras_slop_s allows {slop_s:g} s.",
                reason="camera_left_out",
            )
        return self._assembler.color_view(nearest, info)


class ExtraCameras:
    """Subscribes to the further cameras and gives their views beside the first camera's.

    Args:
        node: the node that subscribes.
        config: names of the cameras, their transport, and how far stamps may differ.
        lookup: gives transforms.
        on_drop: given the reason and a sentence for every camera that is left out at a moment; called in the thread
            that asks for views.
    """

    def __init__(self, node: Node, config: NodeConfig, *, lookup: TransformLookup, on_drop: DropReport) -> None:
        self._node = node
        self._lookup = lookup
        self._on_drop = on_drop
        self._slop_s = config.depth_model.cameras_slop_s
        self._without_tf: dict[str, str] = {}
        self._left_out: dict[str, str] = {}  # at the latest moment
        self._cameras: list[ExtraCamera] = []
        self._subscriptions: list[Any] = []
        topic, message_type = COLOR_TOPICS[config.rgb.transport]
        image_topic = topic.removeprefix("rgb/")
        for name in config.depth_model.camera_names:
            full_name = node.resolve_topic_name(f"{name}/{image_topic}")
            camera = ExtraCamera(name, topic=full_name, frames=config.pipeline.frames)
            self._cameras.append(camera)
            self._subscribe(CameraInfo, f"{name}/camera_info", camera.add_info)
            self._subscribe(message_type, f"{name}/{image_topic}", camera.add_image)

    def views_beside(self, primary: ColorView) -> tuple[NamedView, ...]:
        """What the further cameras saw when the first one took its image.

        An image that is due is waited for, up to ``WAIT_S``. A camera without an image near that moment, or with one
        that cannot be used, is left out and counted.

        Args:
            primary: the first camera's view.

        Returns:
            Views in the order of the setting, each with its camera in the first one's frame, or None without tf.
        """
        views = []
        owners = {primary.frame_id: "the first camera"}
        until_s = time.monotonic() + WAIT_S
        for camera in self._cameras:
            camera.wait_for(primary.stamp_ns, self._slop_s, until_s)
            try:
                view = camera.view_at(primary.stamp_ns, self._slop_s)
            except N3dError as error:
                self._left_out[camera.name] = f"Camera {camera.name!r} is left out: {error.message}"
                self._on_drop(error.reason, self._left_out[camera.name])
                continue
            self._left_out.pop(camera.name, None)
            owner = owners.setdefault(view.frame_id, f"camera {camera.name!r}")
            pose = self._pose(camera.name, primary, view, owner)
            views.append(NamedView(name=camera.name, view=replace(view, reference_T_camera=pose)))
        return tuple(views)

    def configure(self, frames: FrameConfig) -> None:
        """Takes over settings that changed; called by the thread that asks for views.

        Args:
            frames: what is set now.
        """
        for camera in self._cameras:
            camera.configure(frames)

    def clear(self) -> None:
        """Forgets the images, for instance when time jumps back."""
        for camera in self._cameras:
            camera.clear()

    def close(self) -> None:
        """Ends the subscriptions."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []
        self.clear()

    @property
    def topics(self) -> tuple[str, ...]:
        """Full names of the topics that are subscribed, after remapping."""
        return tuple(subscription.topic_name for subscription in self._subscriptions)

    def explain(self) -> str:
        """What keeps further cameras from being used as they could: silence, images of no use, or no tf.

        Returns:
            A few sentences; empty: nothing does.
        """
        silent = [topic for topic in self.topics if not self._node.get_publishers_info_by_topic(topic)]
        parts = [f"Nobody publishes {', '.join(silent)}."] if silent else []
        return " ".join([*parts, *dict(self._left_out).values(), *dict(self._without_tf).values()])

    def _pose(self, name: str, primary: ColorView, view: ColorView, owner: str) -> RigidTransform | None:
        """The camera in the first one's frame, by tf; its absence is said once.

        Cameras of one frame would come out as one camera: drivers that are not told a frame all give the same one.
        """
        try:
            if owner != f"camera {name!r}":
                raise TransformError(
                    f"its images have the frame {view.frame_id!r} of {owner}; give each camera's driver a frame of its "
                    "own (camera_frame_id, frame_id)."
                )
            pose = self._lookup(primary.frame_id, view.frame_id, primary.stamp_ns)
        except TransformError as error:
            sentence = (
                f"Camera {name!r} has no known place beside the first one, so the model estimates the cameras' places: "
                f"{error.message}"
            )
            if name not in self._without_tf:
                self._node.get_logger().warning(sentence)
            self._without_tf[name] = sentence
            return None
        self._without_tf.pop(name, None)
        return pose

    def _subscribe(self, message_type: Any, topic: str, callback: Callable[[Any], None]) -> None:
        self._subscriptions.append(subscribe_sensor(self._node, message_type, topic, callback))


def _stamp_ns(message: Any) -> int:
    return stamp_to_ns(message.header.stamp)
