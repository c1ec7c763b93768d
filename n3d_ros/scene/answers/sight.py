"""Sight: from where and along which axes a question is meant.

Where the vertical is known, ahead, in front, behind, left and right are level, however the camera is tilted or turned
in its mount: ahead is where it looks, laid level, and left is at right angles to it. A camera that looks almost
straight up or down looks nowhere on the level; there the top of its image tells what is ahead. Where the vertical is
not known, the viewer's own axes serve for all of it.

How far something is from a camera is told along its optical axis (spec n3d_vlm c), which for a level camera is the same
direction.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import radians, sin

import numpy as np

from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.scene.answers.body import Body
from n3d_ros.scene.scene import Scene
from n3d_ros.scene.spatial_answer import SpatialQuery

PARALLEL = 1e-3  # a vector whose level part is shorter tells no direction
STEEP = sin(radians(25.0))  # nearer to the vertical, a small roll would turn the level direction of the view far about


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sight:
    """Who looks.

    Args:
        origin: (3,) metres, scene frame: where the viewer is.
        forward: (3,) unit vector along the view: a camera's distances run along it.
        left: (3,) unit vector, level where the vertical is known.
        up: (3,) unit vector against gravity, or the viewer's own up.
        viewer: how answers call the viewer: "camera", "viewpoint", "mug 3".
        measures_along: whether distances from the viewer are told along the view (a camera) or in a straight line.
        note: a sentence on how the question's viewpoint was taken; empty when it is the asker's own.
    """

    origin: FloatArray
    forward: FloatArray
    left: FloatArray
    up: FloatArray
    viewer: str
    measures_along: bool
    note: str = ""

    @property
    def right(self) -> FloatArray:
        """(3,) unit vector, level."""
        return -self.left

    @property
    def level_forward(self) -> FloatArray:
        """(3,) unit vector: ahead, perpendicular to ``up`` and ``left``: what is behind something lies along it."""
        return _cross(self.left, self.up)

    def opposite(self, across: Body | None, middle: FloatArray) -> Sight:
        """The sight of someone who faces this viewer: turned by half a turn about the vertical.

        Args:
            across: the thing behind which that viewer stands, if one was named.
            middle: (3,) metres: what both look at where none was named. The other viewer is taken to be as far behind
                it as this one is before it.

        Returns:
            Left and right, front and behind are exchanged.
        """
        pivot = middle if across is None else across.center
        half_turn = 2 * np.outer(self.up, self.up) - np.eye(3)
        whose = f"from behind {across.the}, facing the {self.viewer}" if across else f"facing the {self.viewer}"
        return replace(
            self,
            origin=pivot + half_turn @ (self.origin - pivot),
            forward=half_turn @ self.forward,
            viewer="opposite viewer",
            left=half_turn @ self.left,
            note=f"As seen by someone {whose}: left and right, front and behind are exchanged.",
        )

    def at(self, stand: Body, facing: Body | None) -> Sight:
        """The sight of someone at a thing.

        Args:
            stand: where the viewer is.
            facing: what the viewer looks at, on the level; None: this viewer's own direction.

        Returns:
            The sight from its centre.
        """
        moved = replace(
            self,
            origin=stand.center,
            viewer=stand.name,
            measures_along=False,
            note=f"As seen from {stand.the}, looking the same way as the {self.viewer}.",
        )
        ahead = None if facing is None else _unit_or_none(_level(facing.center - stand.center, self.up))
        if facing is None or ahead is None:
            return moved
        note = f"As seen from {stand.the}, facing {facing.the}."
        return replace(moved, forward=ahead, left=_cross(self.up, ahead), note=note)


def sight_of(scene: Scene, query: SpatialQuery) -> Sight | None:
    """The asker's sight.

    Args:
        scene: what is known; an optical frame (its name says so, REP-103) is a view by itself.
        query: the question with its viewpoint and vertical.

    Returns:
        The sight; None when nothing says who looks.
    """
    if query.viewpoint is not None:
        axes, origin = query.viewpoint.rotation, query.viewpoint.translation
        name = "camera" if query.viewer_is_camera else "viewpoint"
        return _sight(axes[:, 0], axes[:, 1], axes[:, 2], origin, query, viewer=name)
    if "optical" in scene.frame_id:
        x, y, z = np.eye(3)
        return _sight(z, -x, -y, np.zeros(3), query, viewer="camera")
    return None


def levelled(query: SpatialQuery) -> FloatArray:
    """The vertical where nobody looks: as told, else the scene frame's z (REP-103).

    Args:
        query: the question.

    Returns:
        (3,) unit vector.
    """
    return np.array([0.0, 0.0, 1.0]) if query.up is None else np.asarray(query.up, dtype=np.float64)


def nobody(query: SpatialQuery) -> Sight:
    """Axes for measures that no viewer is needed for: widths run across the scene frame's x.

    Args:
        query: the question.

    Returns:
        A sight from the frame's origin along x, to be used for edges and heights only.
    """
    up = levelled(query)
    ahead = _unit_or_none(_level(np.array([1.0, 0.0, 0.0]), up))
    ahead = np.array([0.0, 1.0, 0.0]) if ahead is None else ahead
    return Sight(
        origin=np.zeros(3),
        forward=ahead,
        left=_cross(up, ahead),
        up=up,
        viewer="frame's origin",
        measures_along=False,
    )


def _sight(
    forward: FloatArray, left: FloatArray, up: FloatArray, origin: FloatArray, query: SpatialQuery, *, viewer: str
) -> Sight:
    """A viewer's sight, levelled against the vertical where that is told."""
    vertical = up if query.up is None else np.asarray(query.up, dtype=np.float64)
    level_left = left if query.up is None else _cross(vertical, _level_ahead(forward, up, vertical))
    return Sight(
        origin=origin,
        forward=forward,
        left=level_left,
        up=vertical,
        viewer=viewer,
        measures_along=query.viewer_is_camera,
    )


def _level_ahead(forward: FloatArray, up: FloatArray, vertical: FloatArray) -> FloatArray:
    """Where a viewer looks, laid level.

    Args:
        forward: (3,) unit vector along the view.
        up: (3,) unit vector: the top of the image.
        vertical: (3,) unit vector against gravity.

    Returns:
        (3,) unit vector; for a steep view where the top of the image lies: ahead of one who looks down, at the back of
        one who looks up.
    """
    ahead = _level(forward, vertical)
    if float(np.linalg.norm(ahead)) < STEEP:
        ahead = _level(up if float(forward @ vertical) < 0 else -up, vertical)
    unit: FloatArray = ahead / np.linalg.norm(ahead)
    return unit


def _cross(a: FloatArray, b: FloatArray) -> FloatArray:
    """The vector product; ``np.cross`` costs ten times as much for one pair."""
    (ax, ay, az), (bx, by, bz) = a.tolist(), b.tolist()
    return np.array([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])


def _level(vector: FloatArray, up: FloatArray) -> FloatArray:
    """The part of a vector that is perpendicular to the vertical."""
    level: FloatArray = vector - (vector @ up) * up
    return level


def _unit_or_none(vector: FloatArray) -> FloatArray | None:
    """The vector with length one; None when it is too short to tell a direction."""
    norm = float(np.linalg.norm(vector))
    return None if norm < PARALLEL else vector / norm
