"""A question put to a scene: everything that the answer needs, in the frame it is given in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from n3d_ros.detection import SupportSurface
from n3d_ros.errors import TransformError
from n3d_ros.geometry.transforms import RigidTransform
from n3d_ros.ros.asks import Ask, Reply
from n3d_ros.ros.outcomes import CameraView, Memory, Placement
from n3d_ros.ros.pipeline import FramePipeline
from n3d_ros.ros.replies import said_reply
from n3d_ros.scene.objects import SceneObject
from n3d_ros.scene.query import answer, is_about_change
from n3d_ros.scene.questions.moments import moment_ns
from n3d_ros.scene.scene import Scene
from n3d_ros.scene.spatial_answer import SpatialQuery

# Axes of a viewer (x forward, y left, z up) in a camera's optical frame (x right, y down, z forward).
OPTICAL_T_VIEWER = RigidTransform(
    rotation=np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]]), translation=np.zeros(3)
)


def asked_stamp_ns(ask: Ask, now_ns: int) -> int:
    """The moment that a request is about.

    Args:
        ask: the request.
        now_ns: the present, on the clock of the stamps.

    Returns:
        Nanoseconds, from the question's own words ("ten seconds ago") or the request's stamp; 0: now.
    """
    return ask.stamp_ns if ask.moment is None else max(moment_ns(ask.moment, _counted_from(ask, now_ns)), 1)


def _counted_from(ask: Ask, now_ns: int) -> int:
    """What "ten seconds ago" is before: the moment named beside the question, else when it was asked."""
    return ask.stamp_ns or ask.asked_ns or now_ns


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlacedScene:
    """A scene and what belongs to it, in the frame of an answer.

    Args:
        place: the frame.
        scene: in that frame.
        surfaces: in that frame.
        departed: objects that left, in that frame.
        camera: the camera as a viewer (x forward, y left, z up).
    """

    place: Placement
    scene: Scene
    surfaces: tuple[SupportSurface, ...]
    departed: tuple[SceneObject, ...]
    camera: RigidTransform


class PlacedScenes:
    """Keeps the scene that was placed last: many questions may come to the same one. May be used from any thread.

    Args:
        pipeline: gives transforms.
    """

    def __init__(self, pipeline: FramePipeline) -> None:
        self._pipeline = pipeline
        self._last: tuple[tuple[Scene, RigidTransform, str, str], PlacedScene] | None = None

    def of(self, scene: Scene, view: CameraView, target_frame: str, *, wait: bool) -> PlacedScene:
        """A scene in the frame of an answer.

        Args:
            scene: in its own frame.
            view: from where it was seen.
            target_frame: frame asked for; empty: as the settings say.
            wait: whether to wait for transforms that are on their way.

        Returns:
            The same as last time when nothing differs.

        Raises:
            TransformError: tf does not connect the frames.
        """
        key = (scene, view.scene_T_camera, target_frame, self._pipeline.config.output_frame)
        last = self._last
        if last is not None and last[0][0] is scene and last[0][1] is view.scene_T_camera and last[0][2:] == key[2:]:
            return last[1]
        place = self._pipeline.placement(scene, view, target_frame, wait=wait)
        seen = scene.transformed(place.frame_id, place.target_T_scene)
        placed = PlacedScene(
            place=place,
            scene=seen,
            surfaces=tuple(one.transformed(place.target_T_camera) for one in view.surfaces),
            departed=tuple(one.object for one in seen.departed),
            camera=place.target_T_camera @ OPTICAL_T_VIEWER,
        )
        self._last = (key, placed)
        return placed


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class QuestionContext:
    """A question and the scene it is put to.

    Args:
        ask: the question, read.
        scene: the scene, in its own frame.
        view: from where the scene was seen.
        memory: what else is remembered, for what changed.
        pipeline: gives transforms.
        placed: the scenes in the frames of answers.
        now_ns: the present, on the clock of the stamps.
        wait: whether to wait for transforms that are on their way.
    """

    ask: Ask
    scene: Scene
    view: CameraView
    memory: Memory
    pipeline: FramePipeline
    placed: PlacedScenes
    now_ns: int
    wait: bool

    def said(self) -> tuple[Reply, Placement]:
        """The answer.

        Returns:
            The reply, in the frame asked for, and that frame.

        Raises:
            TransformError: tf does not connect the frames.
            QueryError: nothing is remembered of the moment since which a change is asked about.
        """
        placed = self.placed.of(self.scene, self.view, self.ask.target_frame, wait=self.wait)
        place, seen = placed.place, placed.scene
        before = self._before(place)
        query = SpatialQuery(
            text=self.ask.text,
            viewpoint=self._viewer(placed),
            viewer_is_camera=not self.ask.viewpoint_frame,
            up=place.up,
            surfaces=placed.surfaces,
            departed=placed.departed,
            before=before,
            now_ns=self.now_ns,
            open_vocabulary=self.pipeline.is_open_vocabulary,
        )
        result = answer(seen, query, question=self.ask.question)
        return said_reply(result, seen, place, *(() if before is None else (before,))), place

    def _viewer(self, placed: PlacedScene) -> RigidTransform:
        """Who looks, in the frame of the answer: x forward, y left, z up."""
        if not self.ask.viewpoint_frame:
            return placed.camera
        stamp_ns = self.scene.stamp_ns
        return self.pipeline.lookup(placed.place.frame_id, self.ask.viewpoint_frame, stamp_ns, wait=self.wait) @ (
            self.ask.viewpoint
        )

    def _before(self, place: Placement) -> Scene | None:
        """The scene to compare with when a change is asked about, in the frame of the answer.

        It is taken there through the frame that scenes are kept in: a camera that moved is no change.
        """
        question = self.ask.question
        if question is None or not is_about_change(question):
            return None
        history = self.memory.history
        if question.moment is not None:
            before = history.at(moment_ns(question.moment, _counted_from(self.ask, self.now_ns)))
        elif history.scenes:
            before = history.scenes[0]
        else:
            return None
        if before.stamp_ns >= self.scene.stamp_ns:
            return None
        target_T_before = place.target_T_scene
        if before.frame_id != self.scene.frame_id:
            try:
                target_T_before = target_T_before @ self.pipeline.lookup(
                    self.scene.frame_id, before.frame_id, before.stamp_ns, wait=self.wait
                )
            except TransformError:
                return None
        return before.transformed(place.frame_id, target_T_before)
