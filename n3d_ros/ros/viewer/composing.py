"""One moment of the scene, from what was heard: boxes, picture, points and camera in one upright frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from n3d_ros.errors import N3dError, TransformError
from n3d_ros.frame import RgbdFrame
from n3d_ros.geometry.camera import CameraIntrinsics
from n3d_ros.geometry.transforms import RigidTransform
from n3d_ros.ros.conversions import clean_frame_id, stamp_to_ns
from n3d_ros.ros.viewer.shown import Cloud, ShownBox, cloud_of, picture_of, shown_boxes, smaller
from n3d_ros.ros.viewer.upright import Placing, ShownFrame

if TYPE_CHECKING:
    from n3d_ros.ros.viewer.node_feed import NodeFeed

CLOUD_EVERY_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShownCamera:
    """The camera.

    Args:
        shown_T_camera: its optical frame in the frame that is shown.
        intrinsics: of its picture.
    """

    shown_T_camera: RigidTransform
    intrinsics: CameraIntrinsics


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SceneMoment:
    """What is shown at one moment.

    Args:
        frame_name: the frame that is shown, in words.
        boxes: the objects.
        camera: where the camera is; None: unknown.
        picture: (H, W, 3) uint8 with the boxes drawn on it; None: no new one.
        cloud: measured points in the camera's frame; None: no new ones.
        behind_s: how much older the boxes are than the picture.
        trouble: what could not be shown, in one sentence.
        epoch: how many times the images' time has jumped back: the numbers of objects begin anew with it.
    """

    frame_name: str = ""
    boxes: tuple[ShownBox, ...] = ()
    camera: ShownCamera | None = None
    picture: NDArray[np.uint8] | None = None
    cloud: Cloud | None = None
    behind_s: float = 0.0
    trouble: str = ""
    epoch: int = 0

    def distances_m(self) -> dict[str, float]:
        """From the camera to each box's centre, by key; empty when nobody knows where the camera is."""
        if self.camera is None:
            return {}
        eye = self.camera.shown_T_camera.translation
        return {one.key: float(np.linalg.norm(one.box.center - eye)) for one in self.boxes}


class Composer:
    """Makes moments, each from the newest that was heard.

    Args:
        feed: what is heard.
        frame: name of the frame to show; None: chosen by tf.
    """

    def __init__(self, feed: NodeFeed, frame: str | None = None) -> None:
        self._feed = feed
        self._shown_frame = ShownFrame(frame)
        self._placing: Placing | None = None
        self._jumps = 0
        self._cloud_s = 0.0
        self._seen: tuple[int, int] = (0, 0)

    def compose(self, now_s: float) -> SceneMoment | None:
        """The newest moment.

        Args:
            now_s: monotonic clock.

        Returns:
            What is shown; None when there is nothing new.
        """
        if self._feed.jumps != self._jumps:
            self._jumps = self._feed.jumps
            self._shown_frame.forget()
        trouble = ""
        try:
            frame = self._feed.frame()
        except N3dError as error:
            frame, trouble = None, f"The camera's images cannot be shown: {error.message}"
        objects = self._feed.objects
        seen = (0 if objects is None else stamp_to_ns(objects.header.stamp), 0 if frame is None else frame.stamp_ns)
        if seen == self._seen and not trouble:
            return None
        self._seen = seen
        try:
            return self._moment(objects, frame, now_s, trouble)
        except TransformError as error:
            picture = None if frame is None else smaller(frame.rgb)
            return SceneMoment(picture=picture, trouble=error.message) if self._placing is None else None

    def answered(self, message: Any, now_s: float) -> tuple[ShownBox, ...]:
        """The boxes of an answer, in the frame that is shown.

        Args:
            message: a response with header and objects.
            now_s: monotonic clock.

        Returns:
            The boxes; none when tf does not know the answer's frame any more.
        """
        frame_id, stamp_ns = clean_frame_id(message.header.frame_id), stamp_to_ns(message.header.stamp)
        plain = shown_boxes(message.objects, RigidTransform.identity())
        try:
            placing = self._shown_frame.place(frame_id, stamp_ns, self._feed.lookup, [p.box for p in plain], now_s)
        except TransformError:
            return ()
        return shown_boxes(message.objects, placing.shown_T_frame)

    def _moment(self, objects: Any, frame: RgbdFrame | None, now_s: float, trouble: str) -> SceneMoment | None:
        if objects is None and frame is None:
            return SceneMoment(trouble=trouble) if trouble else None
        placing, boxes = self._placed(objects, frame, now_s)
        camera = None if frame is None else self._camera(objects, frame, placing)
        picture = None
        if frame is not None:
            picture = smaller(frame.rgb)
            if camera is not None:
                picture = picture_of(frame.rgb, frame.intrinsics, boxes, camera.shown_T_camera.inverse())
        return SceneMoment(
            frame_name=placing.name,
            boxes=boxes,
            camera=camera,
            picture=picture,
            cloud=self._cloud(frame, camera, now_s),
            behind_s=_behind_s(objects, frame),
            trouble=trouble,
            epoch=self._jumps,
        )

    def _placed(self, objects: Any, frame: RgbdFrame | None, now_s: float) -> tuple[Placing, tuple[ShownBox, ...]]:
        """The frame that is shown, and the boxes in it."""
        if objects is None:
            assert frame is not None
            placing = self._shown_frame.place(frame.frame_id, frame.stamp_ns, self._feed.lookup, [], now_s)
            self._placing = placing
            return placing, ()
        frame_id, stamp_ns = clean_frame_id(objects.header.frame_id), stamp_to_ns(objects.header.stamp)
        plain = shown_boxes(objects.objects, RigidTransform.identity())
        placing = self._shown_frame.place(frame_id, stamp_ns, self._feed.lookup, [one.box for one in plain], now_s)
        self._placing = placing
        return placing, shown_boxes(objects.objects, placing.shown_T_frame)

    def _camera(self, objects: Any, frame: RgbdFrame, placing: Placing) -> ShownCamera | None:
        """Where the camera was when it took the picture."""
        try:
            if placing.fixed_frame is not None:
                shown_T_camera = self._feed.lookup(placing.fixed_frame, frame.frame_id, frame.stamp_ns)
            else:
                own = frame.frame_id if objects is None else clean_frame_id(objects.header.frame_id)
                shown_T_camera = placing.shown_T_frame @ self._feed.lookup(own, frame.frame_id, frame.stamp_ns)
        except TransformError:
            return None
        return ShownCamera(shown_T_camera=shown_T_camera, intrinsics=frame.intrinsics)

    def _cloud(self, frame: RgbdFrame | None, camera: ShownCamera | None, now_s: float) -> Cloud | None:
        """Points, at most twice a second."""
        if frame is None or camera is None or now_s - self._cloud_s < CLOUD_EVERY_S:
            return None
        self._cloud_s = now_s
        return cloud_of(frame)


def _behind_s(objects: Any, frame: RgbdFrame | None) -> float:
    """How much older the boxes are than the picture."""
    if objects is None or frame is None:
        return 0.0
    return max(0.0, (frame.stamp_ns - stamp_to_ns(objects.header.stamp)) / 1e9)
