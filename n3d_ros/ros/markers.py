"""Objects as markers: what RViz and Foxglove show, updated in place, deleted when the object is gone.

Namespaces: ``boxes`` (translucent cubes), ``edges`` (their outlines), ``labels`` (what it is), ``ids`` (its number),
and ``pointed`` (a bright outline of the one that was pointed at).
A marker's id is the object's id, so that a box keeps its identity from message to message.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from n3d_ros.geometry.boxes import BOX_EDGES, Box3D
from n3d_ros.ros.config import MarkerConfig
from n3d_ros.ros.overlay import display_color
from n3d_ros.scene.objects import SceneObject

BOXES, EDGES, LABELS, IDS, POINTED = "boxes", "edges", "labels", "ids", "pointed"
NAMESPACES = (BOXES, EDGES, LABELS, IDS)
EDGE_WIDTH_M = 0.003  # thin enough for a cup, still visible from across a room
POINTED_WIDTH_M = 0.008
POINTED_MARGIN_M = 0.01  # so that the bright outline is not hidden in the edges
POINTED_COLOR = ColorRGBA(r=1.0, g=0.95, b=0.1, a=1.0)
MAX_MARKER_ID = 2**31 - 1  # Marker.id is 32 bits


class MarkerTracker:
    """Makes marker messages, and remembers which markers viewers hold so that departed ones are deleted.

    One thread updates, another may point.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shown: dict[int, SceneObject] = {}
        self._header = Header()
        self._pointed: int | None = None
        self._outlined: int | None = None

    def update(self, objects: Iterable[SceneObject], header: Header, config: MarkerConfig) -> MarkerArray:
        """Markers of these objects, and deletions of those that were shown before and are not among them.

        Args:
            objects: in the header's frame.
            header: the image's stamp, the boxes' frame.
            config: look and lifetime.

        Returns:
            One message to publish.
        """
        markers: list[Marker] = []
        shown: dict[int, SceneObject] = {}
        for known in objects:
            marker_id = known.id % (MAX_MARKER_ID + 1)
            shown[marker_id] = known
            markers += object_markers(known, marker_id, header, config)
        with self._lock:
            for marker_id in self._shown.keys() - shown.keys():
                markers += [_marker(header, namespace, marker_id, action=Marker.DELETE) for namespace in NAMESPACES]
            self._shown, self._header = shown, header
            markers += self._outline(config)
        return MarkerArray(markers=markers)

    def point_at(self, object_id: int | None, config: MarkerConfig) -> MarkerArray:
        """Outlines an object from now on, whenever it is shown, and no other.

        Args:
            object_id: which; None: none.
            config: look and lifetime.

        Returns:
            One message to publish; empty when nothing changes at once.
        """
        with self._lock:
            self._pointed = None if object_id is None else object_id % (MAX_MARKER_ID + 1)
            return MarkerArray(markers=self._outline(config))

    def clear(self, header: Header) -> MarkerArray:
        """A message that removes everything: after a jump in time, or when the node is deactivated.

        Args:
            header: any stamp and frame.

        Returns:
            One message to publish.
        """
        with self._lock:
            self._shown, self._pointed, self._outlined = {}, None, None
        return MarkerArray(markers=[_marker(header, "", 0, action=Marker.DELETEALL)])

    def _outline(self, config: MarkerConfig) -> list[Marker]:
        """The outline of what was pointed at, if it is shown, and the deletion of an outline that no longer holds."""
        before, known = self._outlined, None if self._pointed is None else self._shown.get(self._pointed)
        self._outlined = None if known is None else self._pointed
        markers = list[Marker]()
        if before is not None and before != self._outlined:
            markers.append(_marker(self._header, POINTED, before, action=Marker.DELETE))
        if known is not None and self._pointed is not None:
            outline = _marker(self._header, POINTED, self._pointed, Marker.LINE_LIST, config)
            outline.scale.x, outline.color = POINTED_WIDTH_M, POINTED_COLOR
            outline.points = edge_points(replace(known.box, size=known.box.size + 2 * POINTED_MARGIN_M))
            markers.append(outline)
        return markers


def object_markers(known: SceneObject, marker_id: int, header: Header, config: MarkerConfig) -> list[Marker]:
    """The four markers of one object.

    Args:
        known: the object, in the header's frame.
        marker_id: id of all four.
        header: the image's stamp, the boxes' frame.
        config: look and lifetime.

    Returns:
        Cube, outline, label and number.
    """
    red, green, blue = display_color(known.color, known.id)
    pose = box_pose(known.box)
    cube = _marker(header, BOXES, marker_id, Marker.CUBE, config)
    cube.pose = pose
    cube.scale = Vector3(x=float(known.box.size[0]), y=float(known.box.size[1]), z=float(known.box.size[2]))
    cube.color = ColorRGBA(r=red, g=green, b=blue, a=config.opacity)

    edges = _marker(header, EDGES, marker_id, Marker.LINE_LIST, config)
    edges.scale.x = EDGE_WIDTH_M
    edges.color = ColorRGBA(r=red, g=green, b=blue, a=1.0)
    edges.points = edge_points(known.box)

    label = _text(header, LABELS, marker_id, known, config)
    label.text = known.label if known.score is None else f"{known.label} {known.score:.2f}"
    number = _text(header, IDS, marker_id, known, config, lines_above=1.2)
    number.text = f"#{known.id}"
    return [cube, edges, label, number]


def box_pose(box: Box3D) -> Pose:
    """A box's centre and orientation.

    Args:
        box: the box.

    Returns:
        The pose message.
    """
    x, y, z = (float(value) for value in box.center)
    qx, qy, qz, qw = (float(value) for value in box.orientation_xyzw)
    return Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(x=qx, y=qy, z=qz, w=qw))


def edge_points(box: Box3D) -> list[Point]:
    """Both ends of each of the twelve edges, in the frame of the box.

    Args:
        box: the box.

    Returns:
        24 points, two per edge.
    """
    ends = box.corners[np.asarray(BOX_EDGES).reshape(-1)].tolist()
    return [Point(x=x, y=y, z=z) for x, y, z in ends]


def _text(
    header: Header, namespace: str, marker_id: int, known: SceneObject, config: MarkerConfig, lines_above: float = 0.0
) -> Marker:
    """A text that always faces the viewer, above the box in an upright frame and on its near side in an optical one."""
    text = _marker(header, namespace, marker_id, Marker.TEXT_VIEW_FACING, config)
    half = float(np.abs(known.box.corners - known.box.center).max(axis=0)[2])
    offset = half + config.text_height_m * (1.0 + lines_above)
    x, y, z = (float(value) for value in known.box.center)
    if header.frame_id.endswith("optical_frame"):  # y points down there
        half = float(np.abs(known.box.corners - known.box.center).max(axis=0)[1])
        y -= half + config.text_height_m * (1.0 + lines_above)
    else:
        z += offset
    text.pose = Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(w=1.0))
    text.scale.z = config.text_height_m
    text.color = ColorRGBA(r=1.0, g=1.0, b=1.0, a=1.0)
    return text


def _marker(
    header: Header,
    namespace: str,
    marker_id: int,
    kind: int = Marker.CUBE,
    config: MarkerConfig | None = None,
    *,
    action: int = Marker.ADD,
) -> Marker:
    marker = Marker(header=header, ns=namespace, id=marker_id, type=kind, action=action)
    if action == Marker.ADD:
        marker.pose.orientation.w = 1.0
    if config is not None and config.lifetime_s > 0:
        marker.lifetime.sec, marker.lifetime.nanosec = divmod(round(config.lifetime_s * 1e9), 1_000_000_000)
    return marker
