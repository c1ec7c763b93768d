"""Boxes in words a person can measure with a ruler: right, ahead and up of the camera, level with the ground.

A camera that looks down at a table has optical axes that no one can measure along. Here positions are told along the
horizontal to the right, the horizontal straight ahead and the vertical, all from the camera; lengths as width, depth
and height, and one turn about the vertical. Centimetres and degrees.

What is told is rounded, so a box is never made from its words alone: ``edited`` changes only what differs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.geometry.transforms import matrix_to_quaternion, rotation_about_axis

CM_PER_M = 100.0
PLACE_DECIMALS, TURN_DECIMALS = 1, 0  # a millimetre and a degree: finer than any person measures
CAMERA_UP = np.array([0.0, -1.0, 0.0])  # the picture's own up, where gravity is not known
UPRIGHT_COSINE = math.cos(math.radians(3.0))  # boxes that lean more are told to lean
STEEP_COSINE = 0.996  # a camera within 5 degrees of straight up or down: "ahead" is then the top of its picture


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxWords:
    """What is told of a box.

    Args:
        place_cm: right, ahead, up of the camera.
        size_cm: width, depth, height.
        turn_deg: about the vertical, counter-clockwise seen from above, above -90 to 90; 0: the width lies along
            "right".
    """

    place_cm: tuple[float, float, float]
    size_cm: tuple[float, float, float]
    turn_deg: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LevelAxes:
    """Right, ahead and up at the camera.

    Args:
        axes: (3, 3) float64: the three directions as rows, camera optical frame.
    """

    axes: FloatArray

    @classmethod
    def of(cls, up: FloatArray | tuple[float, float, float] | None) -> LevelAxes:
        """The axes for a vertical.

        Args:
            up: (3,) against gravity, camera optical frame; None: the picture's up is taken.

        Returns:
            The axes.
        """
        vertical = CAMERA_UP if up is None else np.asarray(up, dtype=np.float64)
        vertical = vertical / np.linalg.norm(vertical)
        is_steep = abs(vertical[2]) > STEEP_COSINE
        view = CAMERA_UP if is_steep else np.array([0.0, 0.0, 1.0])
        ahead = view - (view @ vertical) * vertical
        ahead = ahead / np.linalg.norm(ahead)
        return cls(axes=np.stack([np.cross(ahead, vertical), ahead, vertical]))

    @property
    def up(self) -> FloatArray:
        """(3,) the vertical, camera optical frame."""
        vertical: FloatArray = self.axes[2]
        return vertical

    def told(self, box: Box3D) -> BoxWords:
        """A box in words, rounded.

        Args:
            box: camera optical frame.

        Returns:
            What is written.
        """
        order = self._size_order(box)
        place, size = CM_PER_M * (self.axes @ box.center), CM_PER_M * box.size[list(order)]
        return BoxWords(
            place_cm=_rounded(place, PLACE_DECIMALS),
            size_cm=_rounded(size, PLACE_DECIMALS),
            turn_deg=half_turn(round(math.degrees(self._yaw(box, order[0])), TURN_DECIMALS)),
        )

    def edited(self, box: Box3D, words: BoxWords) -> Box3D:
        """The box with what a person changed, and nothing else.

        Args:
            box: as it was told, camera optical frame.
            words: as they are now; every number that is still the one told leaves the box's own as it is.

        Returns:
            The box; the very same when nothing changed.
        """
        told = self.told(box)
        if words == told:
            return box
        changed = box
        if words.place_cm != told.place_cm:
            level = self.axes @ box.center
            changed = replace(changed, center=_merged(level, told.place_cm, words.place_cm, box.center, self.axes.T))
        if words.size_cm != told.size_cm:
            changed = replace(changed, size=self._resized(box, told, words))
        if words.turn_deg != told.turn_deg:
            yaw_deg = math.degrees(self._yaw(box, self._size_order(box)[0]))
            turn = rotation_about_axis(self.up, math.radians(half_turn(words.turn_deg - yaw_deg)))
            changed = replace(changed, orientation_xyzw=matrix_to_quaternion(turn @ box.rotation))
        return changed

    def new_box(self, words: BoxWords) -> Box3D:
        """An upright box from its words alone.

        Args:
            words: of a box that a person adds.

        Returns:
            Camera optical frame; x along the width, y along the depth, z up.
        """
        turn = rotation_about_axis(self.up, math.radians(words.turn_deg))
        return Box3D(
            center=self.axes.T @ (np.array(words.place_cm) / CM_PER_M),
            size=np.array(words.size_cm) / CM_PER_M,
            orientation_xyzw=matrix_to_quaternion(turn @ self.axes.T),
        )

    def behind(self, surface: FloatArray, words: BoxWords) -> Box3D:
        """The upright box whose middle lies behind a point of its surface, along the line of sight.

        Args:
            surface: (3,) metres, camera optical frame: the point that is seen.
            words: size and turn; the place is ignored.

        Returns:
            The box, with the point on its near side.
        """
        box = self.new_box(replace(words, place_cm=(0.0, 0.0, 0.0)))
        sight = surface / np.linalg.norm(surface)
        along = np.abs(sight @ box.rotation)
        reach = float(np.min(np.divide(box.size / 2, along, out=np.full(3, np.inf), where=along > 1e-9)))
        return replace(box, center=surface + reach * sight)

    def lean_deg(self, box: Box3D) -> float:
        """How far the box's height leans from the vertical.

        Args:
            box: camera optical frame.

        Returns:
            Degrees, 0 for boxes within 3 degrees of upright.
        """
        cosine = float(np.abs(self.up @ box.rotation).max())
        return 0.0 if cosine >= UPRIGHT_COSINE else math.degrees(math.acos(min(cosine, 1.0)))

    def _size_order(self, box: Box3D) -> tuple[int, int, int]:
        """Which of the box's own axes are its width, depth and height."""
        height = int(np.abs(self.up @ box.rotation).argmax())
        width, depth = (axis for axis in range(3) if axis != height)
        return width, depth, height

    def _yaw(self, box: Box3D, axis: int) -> float:
        """The angle of one of the box's axes about the vertical, from "right", radians."""
        level = self.axes @ box.rotation[:, axis]
        return math.atan2(level[1], level[0])

    def _resized(self, box: Box3D, told: BoxWords, words: BoxWords) -> FloatArray:
        """(3,) metres along the box's own axes, with the changed lengths."""
        size: FloatArray = box.size.copy()
        for axis, before, now in zip(self._size_order(box), told.size_cm, words.size_cm, strict=True):
            if now != before:
                size[axis] = now / CM_PER_M
        return size


def _merged(
    level: FloatArray,
    before_cm: tuple[float, float, float],
    now_cm: tuple[float, float, float],
    center: FloatArray,
    camera_T_level: FloatArray,
) -> FloatArray:
    """(3,) the centre moved by what changed along each level axis."""
    move = np.array(
        [
            now / CM_PER_M - at if now != before else 0.0
            for at, before, now in zip(level, before_cm, now_cm, strict=True)
        ]
    )
    moved: FloatArray = center + camera_T_level @ move
    return moved


def _rounded(values: FloatArray, decimals: int) -> tuple[float, float, float]:
    """Three rounded numbers; -0.0 becomes 0.0."""
    a, b, c = (round(float(value), decimals) + 0.0 for value in values)
    return a, b, c


def half_turn(degrees: float) -> float:
    """The same direction of a line.

    Args:
        degrees: any.

    Returns:
        Above -90 to 90.
    """
    turned = degrees % 180.0
    return (turned - 180.0 if turned > 90.0 else turned) + 0.0
