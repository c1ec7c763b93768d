"""The frame a scene is shown in: z is up, and it stays the same while the camera moves, where tf allows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from n3d_ros.errors import TransformError
from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.geometry.transforms import RigidTransform

FIXED_FRAMES = ("map", "odom", "world", "base_link")  # the first that tf connects with the camera is shown
PATIENCE_S = 2.0  # tf may lag so long behind the images before another frame is shown
OPTICAL_UP = (0.0, -1.0, 0.0)  # of a camera that is held level: optical frames have y down
MAX_TILT_RAD = np.deg2rad(60.0)  # boxes that are tilted more than this from a level camera say nothing about up

Lookup = Callable[[str, str, int], RigidTransform]
"""target, source, stamp in nanoseconds to ``target_T_source``; raises ``TransformError``."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Placing:
    """How a frame's contents are shown.

    Args:
        name: of the frame that is shown, as a person reads it.
        shown_T_frame: takes points of the frame to what is shown, where z is up.
        fixed_frame: the tf frame that is shown; None: the frame itself, perhaps levelled.
    """

    name: str
    shown_T_frame: RigidTransform
    fixed_frame: str | None = None


def up_of_boxes(boxes: Iterable[Box3D], expected: ArrayLike = OPTICAL_UP) -> FloatArray:
    """The vertical that upright boxes agree on.

    Args:
        boxes: in one frame, each with one axis upright.
        expected: (3,) rough direction of up in that frame.

    Returns:
        (3,) unit vector; the expected one when no box has an axis near it.
    """
    guess = np.asarray(expected, dtype=np.float64)
    total = np.zeros(3)
    for box in boxes:
        axes = np.concatenate([box.rotation.T, -box.rotation.T])
        nearest = axes[np.argmax(axes @ guess)]
        if nearest @ guess > np.cos(MAX_TILT_RAD):
            total += nearest
    length = float(np.linalg.norm(total))
    return total / length if length > 1e-6 else guess / np.linalg.norm(guess)


def levelled(up: ArrayLike) -> RigidTransform:
    """``level_T_optical``: an optical frame turned so that z is up and x is where the camera looks.

    Args:
        up: (3,) the vertical in the optical frame.

    Returns:
        A rotation; the origin stays the camera's.
    """
    z_axis = np.asarray(up, dtype=np.float64) / np.linalg.norm(np.asarray(up, dtype=np.float64))
    ahead = np.array([0.0, 0.0, 1.0])
    if abs(z_axis @ ahead) > 0.999:  # it looks straight up or down: what is up in its picture is ahead
        ahead = np.array([0.0, -1.0, 0.0])
    x_axis = ahead - (ahead @ z_axis) * z_axis
    x_axis /= np.linalg.norm(x_axis)
    rotation = np.stack([x_axis, np.cross(z_axis, x_axis), z_axis])
    return RigidTransform(rotation=rotation, translation=np.zeros(3))


class ShownFrame:
    """Chooses the frame that is shown, and keeps to it although tf lags now and then.

    Args:
        wanted: a frame's name; None: the first of ``FIXED_FRAMES`` that tf connects, else the frame itself, levelled.
    """

    def __init__(self, wanted: str | None = None) -> None:
        self._candidates: Sequence[str] = FIXED_FRAMES if wanted is None else (wanted,)
        self._chosen: str | None = None
        self._connected_s = 0.0
        self._up: FloatArray | None = None

    def forget(self) -> None:
        """Chooses anew, as after a jump in time."""
        self._chosen, self._up = None, None

    def place(self, frame_id: str, stamp_ns: int, lookup: Lookup, boxes: Sequence[Box3D], now_s: float) -> Placing:
        """Where a frame's contents are shown.

        Args:
            frame_id: the frame of the boxes, or of the camera.
            stamp_ns: of the image they are from.
            lookup: tf.
            boxes: in that frame, which say what is up where tf does not.
            now_s: monotonic clock.

        Returns:
            The frame that is shown and the way there.

        Raises:
            TransformError: the frame shown so far is not known at this stamp (yet).
        """
        for name in self._candidates if self._chosen is None else (self._chosen,):
            try:
                shown_T_frame = lookup(name, frame_id, stamp_ns)
            except TransformError:
                continue
            self._chosen, self._connected_s = name, now_s
            return Placing(name=name, shown_T_frame=shown_T_frame, fixed_frame=name)
        if self._chosen is not None:
            if now_s - self._connected_s < PATIENCE_S:
                raise TransformError(f"tf: {self._chosen!r} from {frame_id!r} is not known yet.")
            self.forget()
        if "optical" not in frame_id:
            return Placing(name=frame_id, shown_T_frame=RigidTransform.identity())
        return Placing(name=f"{frame_id}, levelled", shown_T_frame=levelled(self._vertical(boxes)))

    def _vertical(self, boxes: Sequence[Box3D]) -> FloatArray:
        """The vertical of a camera whose pose nobody knows, smoothed, so that what is shown does not tremble."""
        up = up_of_boxes(boxes)
        if self._up is None or self._up @ up < np.cos(np.deg2rad(5.0)):
            self._up = up if boxes else None
            return up
        mixed = 0.9 * self._up + 0.1 * up
        self._up = mixed / np.linalg.norm(mixed)
        return self._up
