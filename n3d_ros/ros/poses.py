"""Where camera, scene and answer are to each other: everything that is asked of tf for a frame. Needs no rclpy."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

import numpy as np

from n3d_ros.errors import TransformError
from n3d_ros.frame import RgbdFrame
from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.geometry.transforms import RigidTransform
from n3d_ros.ros.config import AUTO, NONE, PipelineConfig
from n3d_ros.ros.outcomes import CameraView, Placement, TransformLookup
from n3d_ros.scene.scene import Scene

FIXED_FRAMES = ("map", "odom", "world")  # REP-105: frames in which things that stand still stay where they are
GRAVITY_FRAMES = (*FIXED_FRAMES, "base_link")  # REP-103: their z axis points up (base_link's while the robot is level)
LOOKUP_STEP_S = 0.005  # between two looks for a transform that is still on its way


class Poses:
    """Asks tf. May be used from any thread.

    Args:
        config: gives the present settings.
        lookup: gives transforms, without waiting.
        now_s: clock used to wait for transforms; None waits for none.
    """

    def __init__(
        self, config: Callable[[], PipelineConfig], lookup: TransformLookup, now_s: Callable[[], float] | None
    ) -> None:
        self._config = config
        self._lookup = lookup
        self._now_s = now_s

    def scene_pose(self, frame: RgbdFrame) -> tuple[str, RigidTransform]:
        """The scene's fixed frame, and the camera's pose in it at the frame's stamp.

        Args:
            frame: the look.

        Returns:
            The frame's name and ``scene_T_camera``.

        Raises:
            TransformError: tf does not connect the two at the stamp.
        """
        wanted = self._config().scene_frame
        if wanted == AUTO:
            wanted = self._first_connected(FIXED_FRAMES, frame.frame_id) or frame.frame_id
        return wanted, self.lookup(wanted, frame.frame_id, frame.stamp_ns)

    def up(self, frame: RgbdFrame) -> FloatArray | None:
        """The direction against gravity in the camera's frame at its stamp.

        Args:
            frame: the look.

        Returns:
            (3,) unit vector; None when tf knows none and none was asked for by name.

        Raises:
            TransformError: tf does not know the frame that was asked for.
        """
        wanted = self._config().gravity_frame
        if wanted == NONE:
            return None
        if wanted == AUTO:
            connected = self._first_connected(GRAVITY_FRAMES, frame.frame_id)
            if connected is None:
                return None
            wanted = connected
        try:
            camera_T_gravity = self.lookup(frame.frame_id, wanted, frame.stamp_ns)
        except TransformError:
            if self._config().gravity_frame != AUTO:
                raise
            return None  # nobody asked for this frame: the grounder can do without
        up: FloatArray = camera_T_gravity.rotate(np.array([0.0, 0.0, 1.0]))
        return up

    def lookup(self, target: str, source: str, stamp_ns: int | None = None, *, wait: bool = True) -> RigidTransform:
        """The transform; waits up to ``tf.wait_s`` for one that is still on its way.

        Args:
            target: frame to express points in.
            source: frame the points are given in.
            stamp_ns: nanoseconds; None: the newest known.
            wait: False in the executor's thread: tf arrives there, so a wait could only end in vain.

        Returns:
            ``target_T_source``.

        Raises:
            TransformError: not known, still after the wait.
        """
        if target == source:
            return RigidTransform.identity()
        try:
            return self._lookup(target, source, stamp_ns)
        except TransformError:
            if not wait or self._now_s is None or self._first_connected((target,), source) is None:
                raise  # frames that are not connected at any time are not about to be
        deadline = self._now_s() + self._config().tf.wait_s
        while self._now_s() < deadline:
            time.sleep(LOOKUP_STEP_S)
            with suppress(TransformError):
                return self._lookup(target, source, stamp_ns)
        return self._lookup(target, source, stamp_ns)

    def placement(self, scene: Scene, view: CameraView, target_frame: str, *, wait: bool = True) -> Placement:
        """Where a remembered scene and its camera are in the frame a request is answered in.

        Args:
            scene: the scene the answer rests on.
            view: from where it was seen.
            target_frame: frame asked for; empty: ``output_frame``, else that of the scene's image.
            wait: as in ``lookup``.

        Returns:
            The placement at the scene's stamp.

        Raises:
            TransformError: tf does not connect the frames at the stamp.
        """
        target = target_frame or self._config().output_frame or view.frame_id
        if target == scene.frame_id:
            target_T_scene = RigidTransform.identity()
        elif target == view.frame_id:
            target_T_scene = view.scene_T_camera.inverse()
        else:
            target_T_scene = self.lookup(target, scene.frame_id, scene.stamp_ns, wait=wait)
        target_T_camera = target_T_scene @ view.scene_T_camera
        up = None if view.up_camera is None else target_T_camera.rotate(view.up_camera)
        return Placement(frame_id=target, target_T_scene=target_T_scene, target_T_camera=target_T_camera, up=up)

    def _first_connected(self, candidates: tuple[str, ...], camera_frame: str) -> str | None:
        """The first of the frames that tf connects with the camera at any time."""
        for candidate in candidates:
            try:
                self._lookup(candidate, camera_frame)
            except TransformError:
                continue
            return candidate
        return None
