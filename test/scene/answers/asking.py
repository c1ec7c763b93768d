"""Scenes of true boxes and questions put to them as values, without words to be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from builders import make_detection
from n3d_ros.detection import BoxUncertainty, SupportSurface
from n3d_ros.geometry import RigidTransform
from n3d_ros.scene.answers.answering import answer_to
from n3d_ros.scene.objects import SceneObject
from n3d_ros.scene.phrases import Phrase
from n3d_ros.scene.questions.question import Intent, Moment, Question, Thing, Viewpoint
from n3d_ros.scene.scene import Scene
from n3d_ros.scene.spatial_answer import SpatialAnswer, SpatialQuery

STAMP = 50_000_000_000
SECOND = 1_000_000_000
CAMERA = "camera_color_optical_frame"
OPTICAL_T_VIEWER = RigidTransform(
    rotation=np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]]), translation=np.zeros(3)
)


def known(
    number: int,
    label: str,
    center: Sequence[float],
    size: Sequence[float] = (0.1, 0.1, 0.1),
    *,
    stddev_m: float = 0.0,
    stamp_ns: int = STAMP,
    **changes: Any,
) -> SceneObject:
    """An object; its centre and edges are off by ``stddev_m``."""
    uncertainty = BoxUncertainty(
        center_covariance_m2=np.eye(3) * stddev_m**2, size_stddev_m=np.full(3, stddev_m), yaw_stddev_rad=0.0
    )
    found = make_detection(label, center=center, size=size, uncertainty=uncertainty, **changes)
    return replace(SceneObject.first(number, found, stamp_ns), uncertainty=uncertainty)


def scene_of(*objects: SceneObject, frame_id: str = CAMERA, stamp_ns: int = STAMP) -> Scene:
    """A scene in a camera's optical frame: x right, y down, z forward."""
    return Scene(frame_id=frame_id, stamp_ns=stamp_ns, objects=objects)


def the(words: str, **changes: Any) -> Thing:
    """A thing; ``number`` is its id."""
    phrase = Phrase.parse(words)
    assert phrase is not None
    if "number" in changes:
        changes["id"] = changes.pop("number")
    return Thing(phrase=phrase, text=phrase.text, **changes)


def ask(
    scene: Scene, intent: Intent, seen: Viewpoint | None = None, moment: Moment | None = None, **changes: Any
) -> SpatialAnswer:
    """The answer to an intent; keyword arguments go to the query."""
    query = SpatialQuery(text="?", open_vocabulary=changes.pop("open_vocabulary", True), **changes)
    question = Question(text="?", intent=intent, viewpoint=seen or Viewpoint(), moment=moment)
    return answer_to(question, scene, query)


def level_table(height_m: float = 0.3, kind: str = "table") -> SupportSurface:
    """A level surface that far below the camera, 2 m wide, from 0.5 to 2 m ahead."""
    outline = [(-1.0, height_m, 0.5), (1.0, height_m, 0.5), (1.0, height_m, 2.0), (-1.0, height_m, 2.0)]
    return SupportSurface(normal=np.array([0.0, -1.0, 0.0]), offset_m=height_m, kind=kind, outline=np.array(outline))
