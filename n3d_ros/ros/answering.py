"""Requests answered: a phrase is grounded in the newest image, a question is put to the scene. Needs no rclpy."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from n3d_ros.detection import Detection3D
from n3d_ros.errors import CancelledError, N3dError, QueryError, StatusCode, TransformError
from n3d_ros.geometry.transforms import RigidTransform
from n3d_ros.inference.grounder import GroundingRequest
from n3d_ros.ros.asks import Ask as Ask
from n3d_ros.ros.asks import Kind as Kind
from n3d_ros.ros.asks import Reply as Reply
from n3d_ros.ros.asks import reads_as_question as reads_as_question
from n3d_ros.ros.config import BOTH, BOXES, MODEL, RequestConfig
from n3d_ros.ros.pairing import RgbdPair
from n3d_ros.ros.pipeline import FrameOutcome, FramePipeline, Memory, Placement
from n3d_ros.ros.spoken import compared_reply, no_model, spoken_reply
from n3d_ros.scene.asked import asked_name, not_found
from n3d_ros.scene.objects import SceneObject
from n3d_ros.scene.phrases import Phrase, Selection, select, vocabulary
from n3d_ros.scene.query import SpatialQuery, ValueType, answer, nouns_of
from n3d_ros.scene.scene import Scene

logger = logging.getLogger(__name__)

OTHER_CLOCK_S = (
    600.0  # an image that is older than this on arrival comes from another clock (a bag without use_sim_time)
)
NANOSECONDS = 1_000_000_000
LATE_S = 2.0  # a grounder that stops at the deadline by itself is cut off only so much later: it returns what it has

# Axes of a viewer (x forward, y left, z up) in a camera's optical frame (x right, y down, z forward).
OPTICAL_T_VIEWER = RigidTransform(
    rotation=np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]]), translation=np.zeros(3)
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Newest:
    """The newest pair of images and when it came."""

    pair: RgbdPair
    arrived_s: float
    same_clock: bool


Progress = Callable[[tuple[SceneObject | Detection3D, ...], str, int, str], None]
"""Told of objects found since the last call, their frame, the image's stamp, and the stage."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Run:
    """A request being answered: what is asked, until when, and who is told."""

    ask: Ask
    deadline_s: float | None
    is_cancelled: Callable[[], bool] | None
    on_progress: Progress | None

    def tell(self, objects: tuple[Detection3D, ...], frame_id: str, stamp_ns: int, stage: str) -> None:
        """Tells of objects or of a stage."""
        if self.on_progress is not None:
            self.on_progress(objects, frame_id, stamp_ns, stage)


class AnswerDesk:
    """Answers requests from the newest images and the scene.

    Args:
        pipeline: gives frames, scenes and transforms.
        clock_ns: the node's clock.
        config: gives the present settings.
        explain: says why no images come.
    """

    def __init__(
        self,
        pipeline: FramePipeline,
        *,
        clock_ns: Callable[[], int],
        config: Callable[[], RequestConfig],
        explain: Callable[[], str],
    ) -> None:
        self._pipeline = pipeline
        self._clock_ns = clock_ns
        self._config = config
        self._explain = explain
        self._newest: _Newest | None = None

    def saw(self, pair: RgbdPair) -> None:
        """Takes note of the newest pair of images.

        Args:
            pair: the images.
        """
        age_s = (self._clock_ns() - pair.stamp_ns) / NANOSECONDS
        self._newest = _Newest(pair=pair, arrived_s=time.monotonic(), same_clock=abs(age_s) < OTHER_CLOCK_S)

    def forget(self) -> None:
        """Forgets the newest pair, for instance when time jumps back."""
        self._newest = None

    def age_s(self) -> float | None:
        """Age of the newest pair: by its stamp, or since its arrival when its stamp is from another clock.

        Returns:
            Seconds; None when no pair has come.
        """
        newest = self._newest
        return None if newest is None else self._age_of(newest.pair.stamp_ns, newest)

    def _age_of(self, stamp_ns: int, newest: _Newest) -> float:
        """Age in seconds of an image of the same camera as the newest pair, which tells how to read its stamp."""
        if newest.same_clock:
            return (self._clock_ns() - stamp_ns) / NANOSECONDS
        since_arrival_s = time.monotonic() - newest.arrived_s
        return since_arrival_s + (newest.pair.stamp_ns - stamp_ns) / NANOSECONDS

    def is_fresh(self) -> bool:
        """Whether the newest pair is young enough to answer on.

        Returns:
            False as well when there is none.
        """
        age_s = self.age_s()
        return age_s is not None and age_s <= self._config().max_frame_age_s

    def why_not_fresh(self, timeout_s: float) -> Reply:
        """The refusal of a request that found no fresh image.

        Args:
            timeout_s: how long it waited.

        Returns:
            NO_FRAME or STALE_FRAME, with what to look at.
        """
        age_s = self.age_s()
        if age_s is None:
            text = f"No pair of images came within {timeout_s:.1f} s. {self._explain()}"
            return Reply(status=StatusCode.NO_FRAME, message=text)
        limit = self._config().max_frame_age_s
        text = (
            f"The newest pair of images is {age_s:.1f} s old, more than request.max_frame_age_s = {limit:g} s, and no "
            f"newer one came within {timeout_s:.1f} s. {self._explain()}"
        )
        return Reply(status=StatusCode.STALE_FRAME, message=text)

    def at_once(self, ask: Ask) -> Reply | None:
        """The answer, when it takes no images to be looked at: a question on a fresh scene, anything about the past.

        Args:
            ask: the request.

        Returns:
            The reply; None when it takes the worker (or a transform that is still on its way).
        """
        try:
            memory = self._pipeline.memory  # once: the worker may put another in its place at any moment
            if ask.stamp_ns:
                return self._about_the_past(ask, memory, wait=False)
            if ask.kind is not Kind.QUESTION or self.is_open_vocabulary or not self._is_fresh(memory):
                return None
            return self._answered(ask, memory, wait=False)
        except TransformError:
            return None
        except Exception as error:
            return Reply.refusal(error)

    @property
    def is_open_vocabulary(self) -> bool:
        """Whether what is asked for is looked for by its name, in the newest image, and may take long."""
        return self._pipeline.is_open_vocabulary

    def reply(
        self,
        ask: Ask,
        *,
        deadline_s: float | None = None,
        is_cancelled: Callable[[], bool] | None = None,
        on_progress: Progress | None = None,
    ) -> Reply:
        """The answer; grounds where it must. Called in the worker's thread.

        Args:
            ask: the request.
            deadline_s: ``time.monotonic()`` at which a slow grounder stops and what it has is answered.
            is_cancelled: asked between steps.
            on_progress: told of each object as it is found.

        Returns:
            The reply; never raises.
        """
        try:
            if ask.stamp_ns:
                return self._about_the_past(ask, self._pipeline.memory)
            run = _Run(ask=ask, deadline_s=deadline_s, is_cancelled=is_cancelled, on_progress=on_progress)
            if ask.kind is Kind.PHRASE:
                return self._located(run)
            if self.is_open_vocabulary:
                return self._thought_through(run, self._look(run))
            if not self._is_fresh(self._pipeline.memory):
                self._look(run)
            return self._answered(ask, self._pipeline.memory)
        except Exception as error:
            return Reply.refusal(error)

    def _is_fresh(self, memory: Memory) -> bool:
        """Whether the image that the newest scene rests on is young enough to answer on."""
        outcome, newest = memory.outcome, self._newest
        if outcome is None or newest is None:
            return False
        return self._age_of(outcome.stamp_ns, newest) <= self._config().max_frame_age_s

    def _look(self, run: _Run) -> FrameOutcome:
        """What the newest image shows of what is asked for; the memory then begins with it."""
        newest, ask = self._newest, run.ask
        if newest is None:
            raise N3dError(self._explain(), code=StatusCode.NO_FRAME)
        pair = newest.pair

        def found(detection: Detection3D) -> None:
            run.tell((detection,), pair.color.header.frame_id, pair.stamp_ns, "grounding")

        request = GroundingRequest(
            max_objects=self._pipeline.config.max_objects, deadline_s=run.deadline_s, **self._wanted(ask)
        )
        outcome = self._pipeline.ground(pair, request, on_detection=found, is_cancelled=run.is_cancelled)
        if not outcome.is_ok:
            raise N3dError(outcome.message, code=outcome.status, reason=outcome.reason)
        return outcome

    def _wanted(self, ask: Ask) -> dict[str, Any]:
        """What a request asks a grounder to look for: a phrase, or the question and the things that it names."""
        if ask.kind is Kind.PHRASE:
            return {"phrase": ask.text or None}
        nouns = nouns_of(ask.text) if self.is_open_vocabulary else ()
        return {"question": ask.text, "nouns": nouns} if nouns else {}  # "what do you see?": everything

    def _located(self, run: _Run) -> Reply:
        outcome, ask = self._look(run), run.ask
        if outcome.scene is None or outcome.scene_T_camera is None:
            raise N3dError("The frame was lost while it was looked at.")
        scene, matched = self._as_asked(outcome, ())
        place = self._placement(ask, self._pipeline.memory, outcome.scene)
        reply = self._shown(ask, scene, place, matched)
        reply = reply.cut_short(ask.timeout_s) if outcome.is_partial else reply
        reply = reply.with_notes(outcome.notes, said=not self.is_open_vocabulary)
        return reply.with_notes(self._pipeline.standing_notes, said=False)

    def _as_asked(self, outcome: FrameOutcome, nouns: Sequence[str]) -> tuple[Scene, tuple[SceneObject, ...]]:
        """The scene of a look and the objects found in it, best first.

        Found by a grounder of open vocabulary, they are called as they were asked for, else by its words of this look.
        """
        scene, scene_T_camera = outcome.scene, outcome.scene_T_camera
        if scene is None or scene_T_camera is None:
            raise N3dError("The frame was lost while it was looked at.")
        pairs = match_pairs([found.transformed(scene_T_camera) for found in outcome.detections], scene)
        if not self.is_open_vocabulary:
            return scene, tuple(one for _, one in pairs)
        matched = tuple(
            replace(one, label=asked_name(found.label, nouns, color=one.color, shape=one.shape)) for found, one in pairs
        )
        known = {one.id: one for one in (*scene.objects, *matched)}  # candidates that were asked for are told, too
        candidates = tuple(one for one in scene.candidates if one.id not in known)
        return replace(scene, objects=tuple(known.values()), candidates=candidates), matched

    def _thought_through(self, run: _Run, outcome: FrameOutcome) -> Reply:
        """The answer to a question for which an image was just looked at, by code, model or both."""
        ask, mode = run.ask, self._config().answer_mode
        scene, matched = self._as_asked(outcome, nouns_of(ask.text))
        place = self._placement(ask, self._pipeline.memory, scene)
        computed = self._said(ask, scene, place, wait=True)
        if not computed.objects:  # what was found for a question is of use, also when code cannot answer it
            found = tuple(one.transformed(place.target_T_scene) for one in matched)
            computed = replace(computed, objects=found)
        computed = computed.cut_short(ask.timeout_s) if outcome.is_partial else computed
        notes: tuple[str, ...] = (*self._pipeline.standing_notes, *outcome.notes)
        if mode == BOXES and computed.status is StatusCode.NOT_UNDERSTOOD:
            notes = (f"With answer_mode {MODEL!r} or {BOTH!r} the language model answers.", *notes)
        if mode == BOXES or outcome.is_partial:
            return computed.with_notes(notes, said=False)
        run.tell((), outcome.frame_id, outcome.stamp_ns, "thinking")
        try:
            thought = self._pipeline.reason(outcome, ask.text, deadline_s=run.deadline_s, is_cancelled=run.is_cancelled)
        except CancelledError:
            raise
        except N3dError as error:  # the boxes are there and answer
            return computed.with_notes((f"The language model could not answer: {error.message}", *notes), said=False)
        if thought is None:
            return computed.with_notes((no_model(mode), *notes), said=False)
        notes = (*thought.notes, *notes)
        spoken = spoken_reply(computed, thought, ask.timeout_s)
        return (spoken if mode == MODEL else compared_reply(computed, spoken, thought)).with_notes(notes, said=False)

    def _about_the_past(self, ask: Ask, memory: Memory, *, wait: bool = True) -> Reply:
        scene = memory.history.at(ask.stamp_ns)
        place = self._placement(ask, memory, scene, wait=wait)
        if ask.kind is Kind.QUESTION:
            return self._said(ask, scene, place, wait=wait).with_notes(self._notes(is_past=True), said=False)
        if not ask.text:
            return self._shown(ask, scene, place, scene.objects)
        meant = _meant(ask.text, scene, open_vocabulary=self.is_open_vocabulary)
        return self._shown(ask, scene, place, meant.objects).with_notes(meant.notes)

    def _notes(self, *, is_past: bool = False) -> tuple[str, ...]:
        """What goes with an answer that code alone computes."""
        mode = self._config().answer_mode
        if mode == BOXES:
            return self._pipeline.standing_notes
        if is_past and self.is_open_vocabulary:
            return (f"answer_mode {mode!r} thinks about the newest image only; computed from remembered boxes.",)
        return (*self._pipeline.standing_notes, no_model(mode))

    def _placement(self, ask: Ask, memory: Memory, scene: Scene, *, wait: bool = True) -> Placement:
        """Where a scene of the memory is in the frame asked for."""
        return self._pipeline.placement(scene, memory.view_of(scene), ask.target_frame, wait=wait)

    def _shown(self, ask: Ask, scene: Scene, place: Placement, objects: Sequence[SceneObject]) -> Reply:
        """The reply that lists these objects of the scene."""
        moved = tuple(one.transformed(place.target_T_scene) for one in objects)
        names = ", ".join(one.label for one in moved[:8])
        if moved:
            status, message, sentence = StatusCode.OK, "", f"Found {len(moved)}: {names}."
        else:
            status = StatusCode.NOT_FOUND
            sentence = message = not_found(ask.text, scene.transformed(place.frame_id, place.target_T_scene))
        return Reply(
            status=status,
            message=message,
            sentence=sentence,
            objects=moved,
            frame_id=place.frame_id,
            stamp_ns=scene.stamp_ns,
            up=place.up,
            value=float(len(moved)),
            value_type=int(ValueType.COUNT),
            value_text=str(len(moved)),
            unit="1",
        )

    def _answered(self, ask: Ask, memory: Memory, *, wait: bool = True) -> Reply:
        """The newest scene's answer to a question."""
        outcome = memory.outcome
        if outcome is None or outcome.scene is None:
            raise N3dError("The scene was lost while it was looked at.")
        place = self._placement(ask, memory, outcome.scene, wait=wait)
        return self._said(ask, outcome.scene, place, wait=wait).with_notes(self._notes(), said=False)

    def _said(self, ask: Ask, scene: Scene, place: Placement, *, wait: bool) -> Reply:
        """A scene's answer to a question, in the frame asked for."""
        seen = scene.transformed(place.frame_id, place.target_T_scene)
        viewer = self._viewer(ask, scene.stamp_ns, place, wait=wait)
        result = answer(seen, SpatialQuery(text=ask.text, viewpoint=viewer, open_vocabulary=self.is_open_vocabulary))
        objects = tuple(one for one in map(seen.by_id, result.object_ids) if one is not None)
        return Reply(
            status=result.status,
            message="" if result.status is StatusCode.OK else result.text,
            objects=objects,
            frame_id=place.frame_id,
            stamp_ns=scene.stamp_ns,
            up=place.up,
            sentence=result.text,
            value=result.value,
            value_type=int(result.value_type),
            value_text=result.value_text,
            unit=result.unit,
            steps=tuple(result.steps),
        )

    def _viewer(self, ask: Ask, stamp_ns: int, place: Placement, *, wait: bool) -> RigidTransform:
        """Who looks, in the frame of the answer: x forward, y left, z up."""
        if not ask.viewpoint_frame:
            return place.target_T_camera @ OPTICAL_T_VIEWER
        return self._pipeline.lookup(place.frame_id, ask.viewpoint_frame, stamp_ns, wait=wait) @ ask.viewpoint


def _meant(text: str, scene: Scene, *, open_vocabulary: bool) -> Selection[SceneObject]:
    """The objects of a scene that a phrase means."""
    phrase = Phrase.parse(text)
    if phrase is None:
        raise QueryError(f"No word of {text[:64]!r} names anything to look for.")
    meant = select(phrase, scene.objects)
    if not meant.is_understood and not open_vocabulary:
        raise QueryError(
            f"Phrase {text[:64]!r}: {phrase.noun!r} is not known; the objects here are told by colour and shape only. "
            f"{vocabulary()}"
        )
    return meant


def match_pairs(detections: Sequence[Detection3D], scene: Scene) -> list[tuple[Detection3D, SceneObject]]:
    """The scene's object that each detection became: the nearest one seen at the scene's stamp, if it is there at all.

    Of several detections of one object (a whole and pieces of it), only the first counts.

    Args:
        detections: in the scene's frame, the ones the scene was just updated with, best first.
        scene: the scene after that update.

    Returns:
        Pairs in the order of the detections, each object once; also candidates, which the scene does not report yet:
        what was asked for and is seen now is told.
    """
    seen = [one for one in (*scene.objects, *scene.candidates) if one.last_seen_ns == scene.stamp_ns]
    matched: dict[int, tuple[Detection3D, SceneObject]] = {}
    for detection in detections:
        distances = [float(np.linalg.norm(one.box.center - detection.box.center)) for one in seen]
        nearest = seen[int(np.argmin(distances))] if seen else None
        if nearest is not None and min(distances) <= np.linalg.norm(nearest.box.size) / 2:
            matched.setdefault(nearest.id, (detection, nearest))
    return list(matched.values())


class AskJob:
    """A request in the worker's queue; answers its client exactly once.

    Args:
        ask: the request.
        desk: answers it.
        on_done: given the reply, on whatever thread it is made.
        on_progress: told of each object as it is found.
        is_stopping: whether the worker is going down.
    """

    def __init__(
        self,
        ask: Ask,
        desk: AnswerDesk,
        *,
        on_done: Callable[[Reply], None],
        on_progress: Progress | None = None,
        is_stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self.ask = ask
        self._waits_since_s = time.monotonic()  # for an image; set on as long as one is there
        self._end_s = self._waits_since_s + ask.timeout_s
        self._image_timeout_s = ask.timeout_s if ask.image_timeout_s is None else ask.image_timeout_s
        self._desk = desk
        self._on_done = on_done
        self._on_progress = on_progress
        self._is_stopping = is_stopping
        self._stop_error: N3dError | None = None
        self._once = threading.Lock()

    @property
    def deadline_s(self) -> float:
        """When its time ends: sooner while there is no image to look at."""
        try:
            waits = not self.ready()
        except Exception:
            waits = False  # whoever runs it hears what is wrong
        if not waits:
            self._waits_since_s = time.monotonic()
            return self._end_s
        return min(self._end_s, self._waits_since_s + self._image_timeout_s)

    def ready(self) -> bool:
        """Whether there is an image to look at, or none is needed.

        Returns:
            As in ``Job``.
        """
        return bool(self.ask.stamp_ns) or self._desk.is_fresh()

    def run(self) -> None:
        """Looks and answers."""
        reply = self._desk.reply(
            self.ask, deadline_s=self._end_s, is_cancelled=self._is_cancelled, on_progress=self._on_progress
        )
        if reply.status is StatusCode.CANCELLED and self._stop_error is not None:
            reply = Reply.refusal(self._stop_error)
        self._finish(reply)

    def expire(self) -> None:
        """Answers that no fresh image came in time, or that the node was busy all the while."""
        try:
            if self.ready():
                text = (
                    f"The node was busy with other work, such as earlier requests, for all of the "
                    f"{self.ask.timeout_s:g} s given. Ask with a longer timeout_s."
                )
                reply = Reply(status=StatusCode.TIMEOUT, message=text)
            else:
                reply = self._desk.why_not_fresh(self._image_timeout_s)
        except Exception as error:
            reply = Reply.refusal(error)
        self._finish(reply)

    def abandon(self, error: N3dError) -> None:
        """Answers with the error; a running job stops at its next step.

        Args:
            error: why.
        """
        self._stop_error = error
        self._finish(Reply.refusal(error))

    def cancel(self) -> None:
        """Makes a running job stop at its next step."""
        self._stop_error = CancelledError("The client cancelled the request.")

    def _is_cancelled(self) -> bool:
        if self._stop_error is None and self._is_stopping():
            self._stop_error = N3dError("The node is going down.", code=StatusCode.SHUTTING_DOWN)
        late_s = LATE_S if self._desk.is_open_vocabulary else 0.0
        if self._stop_error is None and time.monotonic() > self._end_s + late_s:
            self._stop_error = N3dError(
                f"Not done within the {self.ask.timeout_s:g} s given; ask with a longer timeout_s.",
                code=StatusCode.TIMEOUT,
            )
        return self._stop_error is not None

    def _finish(self, reply: Reply) -> None:
        if self._once.acquire(blocking=False):
            self._on_done(reply)
