"""Scenes with true boxes that the tables of questions are about; README.md draws them in words.

``kitchen``, ``blocks`` and ``desk`` are in a level camera's optical frame (x right, y down, z forward); ``room`` is in
``map`` (z up), seen by a robot at the origin that looks along x.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from n3d_ros.detection import BoxUncertainty, Detection3D, SupportSurface
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.geometry.transforms import RigidTransform
from n3d_ros.scene.objects import SceneObject
from n3d_ros.scene.scene import Scene
from n3d_ros.scene.spatial_answer import SpatialQuery

CAMERA = "camera_color_optical_frame"
SECOND_NS = 1_000_000_000
NOW_NS = 1_700_000_100 * SECOND_NS
# Axes of a viewer (x forward, y left, z up) in an optical frame.
OPTICAL_T_VIEWER = RigidTransform(
    rotation=np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]]), translation=np.zeros(3)
)
EXACT = BoxUncertainty(center_covariance_m2=np.zeros((3, 3)), size_stddev_m=np.zeros(3), yaw_stddev_rad=0.0)

# id: (label, colour, shape, centre, size), metres
Things = Mapping[int, tuple[str, str | None, str | None, tuple[float, float, float], tuple[float, float, float]]]

KITCHEN: Things = {
    1: ("red mug", "red", "cylinder", (-0.30, 0.35, 0.80), (0.08, 0.10, 0.08)),
    2: ("blue mug", "blue", "cylinder", (0.10, 0.35, 0.90), (0.08, 0.10, 0.08)),
    3: ("bowl", "white", "bowl", (-0.05, 0.36, 1.10), (0.22, 0.08, 0.22)),
    4: ("apple", "green", "ball", (-0.05, 0.355, 1.10), (0.07, 0.07, 0.07)),
    5: ("bottle", "green", "cylinder", (0.35, 0.26, 1.00), (0.07, 0.28, 0.07)),
    6: ("cereal box", "yellow", "box", (0.60, 0.25, 1.30), (0.20, 0.30, 0.08)),
    7: ("book", "brown", "flat", (-0.55, 0.385, 1.00), (0.15, 0.03, 0.21)),
    8: ("phone", "black", "flat", (-0.55, 0.365, 1.00), (0.07, 0.01, 0.15)),
    9: ("chair", "brown", None, (0.20, 0.70, 2.20), (0.45, 1.00, 0.50)),
}
BLOCKS: Things = {
    1: ("red box", "red", "box", (-0.40, 0.20, 1.00), (0.10, 0.10, 0.10)),
    2: ("red box", "red", "box", (0.30, 0.15, 1.40), (0.20, 0.20, 0.20)),
    3: ("blue box", "blue", "box", (-0.10, 0.20, 1.20), (0.30, 0.10, 0.10)),
    4: ("green ball", "green", "ball", (0.10, 0.19, 0.90), (0.12, 0.12, 0.12)),
    5: ("yellow cylinder", "yellow", "cylinder", (0.60, 0.10, 1.10), (0.10, 0.30, 0.10)),
    6: ("blue ball", "blue", "ball", (-0.10, 0.11, 1.20), (0.08, 0.08, 0.08)),
}
DESK: Things = {
    1: ("monitor", "black", "box", (0.00, -0.10, 1.20), (0.60, 0.40, 0.10)),
    2: ("keyboard", "white", "flat", (0.00, 0.18, 0.80), (0.45, 0.03, 0.15)),
    3: ("mouse", "black", None, (0.35, 0.18, 0.80), (0.06, 0.04, 0.11)),
    4: ("coffee cup", "white", "cylinder", (-0.40, 0.15, 0.85), (0.08, 0.10, 0.08)),
    5: ("notebook", "red", "flat", (-0.45, 0.19, 1.10), (0.15, 0.02, 0.21)),
    6: ("pen", "blue", None, (0.30, 0.195, 1.00), (0.14, 0.01, 0.01)),
    7: ("pen", "red", None, (-0.45, 0.175, 1.10), (0.14, 0.01, 0.01)),
    8: ("stapler", "grey", None, (0.45, 0.17, 1.05), (0.04, 0.06, 0.14)),
    9: ("lamp", "grey", None, (0.55, -0.05, 1.25), (0.15, 0.50, 0.15)),
}
ROOM: Things = {
    1: ("sofa", "grey", None, (3.0, 1.0, 0.40), (0.90, 2.00, 0.80)),
    2: ("coffee table", "brown", None, (2.0, 0.8, 0.225), (0.60, 1.00, 0.45)),
    3: ("floor lamp", "black", None, (3.2, -0.6, 0.80), (0.30, 0.30, 1.60)),
    4: ("television", "black", None, (1.0, -2.0, 1.00), (1.20, 0.10, 0.70)),
    5: ("plant", "green", None, (3.5, -1.5, 0.50), (0.40, 0.40, 1.00)),
    6: ("cat", "orange", None, (2.9, 0.5, 0.95), (0.30, 0.40, 0.30)),
    7: ("vase", "blue", None, (2.0, 0.6, 0.60), (0.15, 0.15, 0.30)),
    8: ("chair", "red", None, (1.5, -1.0, 0.45), (0.50, 0.50, 0.90)),
    9: ("chair", "white", None, (1.2, 1.6, 0.45), (0.50, 0.50, 0.90)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownScene:
    """A scene and what a question about it comes with.

    Args:
        scene: the present.
        query: viewpoint, surfaces, what left, the scene before; its text is replaced.
    """

    scene: Scene
    query: SpatialQuery

    def asked(self, text: str) -> SpatialQuery:
        """The query with a question."""
        return replace(self.query, text=text)


def make_object(number: int, things: Things, *, last_seen_ns: int = NOW_NS, **changes: Any) -> SceneObject:
    """One of the things, known exactly."""
    label, color, shape, center, size = things[number]
    found = Detection3D(
        label=label, box=Box3D.axis_aligned(center, size), score=0.9, color=color, shape=shape, uncertainty=EXACT
    )
    one = SceneObject.first(number, found, NOW_NS - 60 * SECOND_NS)
    return replace(one, last_seen_ns=last_seen_ns, observations=20, uncertainty=EXACT, **changes)


def make_scene(things: Things, frame_id: str = CAMERA) -> Scene:
    """All the things, seen just now."""
    return Scene(frame_id=frame_id, stamp_ns=NOW_NS, objects=tuple(make_object(n, things) for n in things))


def surface(kind: str, normal: tuple[float, float, float], height: float, corners: list[Any]) -> SupportSurface:
    """A flat surface; ``height`` is along the normal."""
    return SupportSurface(
        normal=np.array(normal), offset_m=-height, kind=kind, outline=np.array(corners, dtype=np.float64)
    )


def _table(y: float, left: float, right: float, near: float, far: float) -> SupportSurface:
    """A horizontal table in an optical frame."""
    corners = [(left, y, near), (right, y, near), (right, y, far), (left, y, far)]
    return surface("table", (0.0, -1.0, 0.0), -y, corners)


def kitchen() -> KnownScene:
    """A kitchen table with mugs, a bowl with an apple in it, a phone on a book; a chair on the floor behind.

    Half a minute ago the blue mug stood elsewhere, the bottle was not there, and a spoon (12) was, which is gone.
    """
    floor = surface(
        "floor", (0.0, -1.0, 0.0), -1.2, [(-2.0, 1.2, 0.5), (2.0, 1.2, 0.5), (2.0, 1.2, 4.0), (-2.0, 1.2, 4.0)]
    )
    spoon: Things = {12: ("spoon", "grey", None, (0.0, 0.395, 0.75), (0.18, 0.01, 0.03))}
    gone = make_object(12, spoon, last_seen_ns=NOW_NS - 20 * SECOND_NS)
    then = {**KITCHEN, 2: (*KITCHEN[2][:3], (0.40, 0.35, 0.80), KITCHEN[2][4])}
    del then[5]
    before = replace(make_scene({**then, **spoon}), stamp_ns=NOW_NS - 30 * SECOND_NS)
    before = replace(
        before, objects=tuple(replace(one, last_seen_ns=before.stamp_ns) for one in before.objects)
    )  # nothing of the past knows the present
    query = SpatialQuery(
        text="",
        viewpoint=OPTICAL_T_VIEWER,
        up=np.array([0.0, -1.0, 0.0]),
        surfaces=(_table(0.4, -0.8, 0.8, 0.6, 1.5), floor),
        departed=(gone,),
        before=before,
        now_ns=NOW_NS,
    )
    return KnownScene(scene=make_scene(KITCHEN), query=query)


def blocks() -> KnownScene:
    """Coloured bodies that are known by colour and shape only, on a table; the blue ball lies on the blue box."""
    query = SpatialQuery(
        text="",
        viewpoint=OPTICAL_T_VIEWER,
        up=np.array([0.0, -1.0, 0.0]),
        surfaces=(_table(0.25, -0.8, 0.8, 0.6, 1.6),),
        now_ns=NOW_NS,
    )
    return KnownScene(scene=make_scene(BLOCKS), query=query)


def desk() -> KnownScene:
    """A desk with a monitor, a keyboard before it, a red pen on the red notebook, a blue pen, a lamp on the right."""
    query = SpatialQuery(
        text="",
        viewpoint=OPTICAL_T_VIEWER,
        up=np.array([0.0, -1.0, 0.0]),
        surfaces=(_table(0.2, -0.8, 0.8, 0.6, 1.4),),
        now_ns=NOW_NS,
        open_vocabulary=True,
    )
    return KnownScene(scene=make_scene(DESK), query=query)


def room() -> KnownScene:
    """A living room in the map's frame: a cat on the sofa, a vase on the coffee table, a television on the right."""
    floor = surface(
        "floor", (0.0, 0.0, 1.0), 0.0, [(-1.0, -3.0, 0.0), (5.0, -3.0, 0.0), (5.0, 3.0, 0.0), (-1.0, 3.0, 0.0)]
    )
    query = SpatialQuery(
        text="",
        viewpoint=RigidTransform(rotation=np.eye(3), translation=np.array([0.0, 0.0, 1.2])),
        viewer_is_camera=False,
        up=np.array([0.0, 0.0, 1.0]),
        surfaces=(floor,),
        now_ns=NOW_NS,
        open_vocabulary=True,
    )
    return KnownScene(scene=make_scene(ROOM, "map"), query=query)


KNOWN_SCENES = {"kitchen": kitchen, "blocks": blocks, "desk": desk, "room": room}
