"""Requests answered: from the scene where it is fresh or remembered, else by looking at an image. Needs no rclpy."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from n3d_ros.detection import Detection3D
from n3d_ros.errors import CancelledError, N3dError, QueryError, StatusCode, TransformError
from n3d_ros.inference.grounder import GroundingRequest
from n3d_ros.ros.asks import Ask, Kind, Reply
from n3d_ros.ros.config import BOTH, BOXES, MODEL, MemoryConfig, RequestConfig
from n3d_ros.ros.conversions import clean_frame_id
from n3d_ros.ros.freshness import Freshness
from n3d_ros.ros.outcomes import CameraView, FrameOutcome, Memory
from n3d_ros.ros.pairing import RgbdPair
from n3d_ros.ros.pipeline import FramePipeline
from n3d_ros.ros.questions import PlacedScenes, QuestionContext, asked_stamp_ns
from n3d_ros.ros.remembered import FrameMemory
from n3d_ros.ros.replies import match_pairs, meant_by, shown_reply
from n3d_ros.ros.spoken import compared_reply, no_model, spoken_reply
from n3d_ros.scene.asked import asked_name
from n3d_ros.scene.naming import refines
from n3d_ros.scene.objects import SceneObject
from n3d_ros.scene.query import nouns_of
from n3d_ros.scene.scene import Scene

if TYPE_CHECKING:
    from n3d_ros.ros.ask_job import AskJob

logger = logging.getLogger(__name__)

SETTLE_S = 3.0  # after the first image of a new time (start, jump back) transforms may still be on their way

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
    """Answers requests from images and the scene, of now or of a moment that is remembered.

    Args:
        pipeline: gives frames, scenes and transforms.
        clock_ns: the node's clock.
        config: gives the present settings.
        explain: says why no images come.
        memory: gives the present bounds of the images that are kept.
    """

    def __init__(
        self,
        pipeline: FramePipeline,
        *,
        clock_ns: Callable[[], int],
        config: Callable[[], RequestConfig],
        explain: Callable[[], str],
        memory: Callable[[], MemoryConfig] = MemoryConfig,
    ) -> None:
        self._pipeline = pipeline
        self._config = config
        self._explain = explain
        self._placed = PlacedScenes(pipeline)
        self._frames = FrameMemory(memory)
        self._begun_s: float | None = None  # when the first image since the start, or since a jump back, came
        self.freshness = Freshness(clock_ns=clock_ns, config=config, explain=explain)
        self.running: AskJob | None = None
        """What the worker's thread is answering."""

    def saw(self, pair: RgbdPair) -> None:
        """Takes note of the newest pair of images.

        Args:
            pair: the images.
        """
        self.freshness.saw(pair)
        self._frames.add(pair)
        if self._begun_s is None:
            self._begun_s = time.monotonic()

    def forget(self) -> None:
        """Forgets all images, for instance when time jumps back."""
        self.freshness.forget()
        self._frames.clear()
        self._begun_s = None

    def abandon(self, error: N3dError) -> None:
        """Answers the request that is being worked on with an error, and makes it stop at its next step.

        Args:
            error: why.
        """
        running = self.running
        if running is not None:
            running.abandon(error)

    @property
    def is_open_vocabulary(self) -> bool:
        """Whether what is asked for is looked for by its name, in an image, and may take long."""
        return self._pipeline.is_open_vocabulary

    def needs_no_new_image(self, ask: Ask) -> bool:
        """Whether a request can be answered now: the newest image is fresh, or it is about the past.

        Args:
            ask: the request.

        Returns:
            False while an image is to be waited for.
        """
        return self.freshness.is_fresh() or self._stamp_ns(ask) > 0

    def is_settling(self) -> bool:
        """Whether images have come again only just now, so that a transform that lacks may still be on its way.

        Returns:
            True before the first image since the start or a jump back, and for ``SETTLE_S`` after it.
        """
        return time.monotonic() < self.settled_s

    @property
    def settled_s(self) -> float:
        """``time.monotonic()`` until which a missing transform is waited for; infinite before an image."""
        return math.inf if self._begun_s is None else self._begun_s + SETTLE_S

    def at_once(self, ask: Ask) -> Reply | None:
        """The answer, when it takes no image to be looked at: from a fresh scene, or one of the past.

        Args:
            ask: the request.

        Returns:
            The reply; None when it takes the worker (or a transform that is still on its way).
        """
        try:
            memory = self._pipeline.memory  # once: the worker may put another in its place at any moment
            if stamp_ns := self._stamp_ns(ask):
                return self._past_at_once(ask, stamp_ns, memory)
            outcome = memory.outcome
            if ask.anew or self.is_open_vocabulary or outcome is None or outcome.scene is None:
                return None
            if not self.freshness.is_fresh(outcome.stamp_ns):
                return None
            if ask.kind is Kind.PHRASE:
                return self._seen_now(ask, outcome)
            return self._answered(ask, outcome.scene, outcome.view, memory, wait=False)
        except TransformError:
            return None
        except Exception as error:
            return Reply.refusal(error)

    def reply(
        self,
        ask: Ask,
        *,
        deadline_s: float | None = None,
        is_cancelled: Callable[[], bool] | None = None,
        on_progress: Progress | None = None,
    ) -> Reply:
        """The answer; looks at an image where it must. Called in the worker's thread.

        Args:
            ask: the request.
            deadline_s: ``time.monotonic()`` at which a slow grounder stops and what it has is answered.
            is_cancelled: asked between steps.
            on_progress: told of each object as it is found.

        Returns:
            The reply; never raises.
        """
        run = _Run(ask=ask, deadline_s=deadline_s, is_cancelled=is_cancelled, on_progress=on_progress)
        try:
            if stamp_ns := self._stamp_ns(ask):
                return self._about_the_past(run, stamp_ns)
            if ask.kind is Kind.PHRASE or ask.anew or self.is_open_vocabulary:
                return self._from_look(run, self._look(run))
            known = self._pipeline.memory.outcome
            if known is None or not self.freshness.is_fresh(known.stamp_ns):
                known = self._look(run)
            return self._from_scene(run, known)
        except Exception as error:
            return Reply.refusal(error)

    def known(self, text: str, memory: Memory) -> Reply:
        """The answer to a question from the newest scene, however old it is; nothing is looked at.

        Args:
            text: the question.
            memory: the pipeline's, as it was when the question came: the worker may put another in its place.

        Returns:
            The reply.

        Raises:
            N3dError: nothing has been looked at yet, or tf does not connect the frames.
        """
        outcome = memory.outcome
        if outcome is None or outcome.scene is None:
            raise N3dError("No image has been looked at yet, so nothing is known.", code=StatusCode.NO_FRAME)
        ask = Ask(kind=Kind.QUESTION, text=text)
        return self._answered(ask, outcome.scene, outcome.view, memory, wait=False)

    def _stamp_ns(self, ask: Ask) -> int:
        """The moment asked about; 0: now."""
        return asked_stamp_ns(ask, self.freshness.now_ns())

    # ----------------------------------------------------------------------------------------------------- the past

    def _past_at_once(self, ask: Ask, stamp_ns: int, memory: Memory) -> Reply | None:
        """The answer from what is remembered of a moment; None when its image is there to tell more."""
        has_image = self._frames.has(stamp_ns)
        if has_image and (ask.anew or self.is_open_vocabulary):
            return None
        if ask.anew and ask.kind is Kind.PHRASE:
            return Reply.refusal(self._no_image(stamp_ns))
        try:
            reply = self._remembered(ask, stamp_ns, memory, wait=False)
        except QueryError as error:
            if error.code is not StatusCode.NO_SUCH_MOMENT or not has_image:
                raise
            return None
        return None if has_image and reply.status is StatusCode.NOT_FOUND and ask.kind is Kind.PHRASE else reply

    def _about_the_past(self, run: _Run, stamp_ns: int) -> Reply:
        """The answer about a moment, in the worker's thread: from its image or from what is remembered."""
        ask, has_image = run.ask, self._frames.has(stamp_ns)
        wants_image = ask.anew and (has_image or ask.kind is Kind.PHRASE)
        if not wants_image and not (has_image and self.is_open_vocabulary):
            try:
                reply = self._remembered(ask, stamp_ns, self._pipeline.memory)
            except QueryError as error:
                if error.code is not StatusCode.NO_SUCH_MOMENT or not has_image:
                    raise
            else:
                if not (has_image and reply.status is StatusCode.NOT_FOUND and ask.kind is Kind.PHRASE):
                    return reply
        if not has_image:
            raise self._no_image(stamp_ns)
        return self._from_look(run, self._look(run, self._frames.at(stamp_ns)))

    def _check_frames(self, ask: Ask, pair: RgbdPair) -> None:
        """Refuses frames that tf does not connect with the camera at any time, before a look costs its time.

        Args:
            ask: names the frames.
            pair: of the camera.

        Raises:
            TransformError: names the frame.
        """
        camera = clean_frame_id(pair.color.header.frame_id)
        for frame_id in (ask.target_frame, ask.viewpoint_frame):
            if frame_id:
                self._pipeline.lookup(frame_id, camera, wait=False)

    def _no_image(self, stamp_ns: int) -> QueryError:
        text = self._frames.refusal(stamp_ns)
        return QueryError(text, code=StatusCode.NO_SUCH_MOMENT, reason="no_such_moment")

    def _remembered(self, ask: Ask, stamp_ns: int, memory: Memory, *, wait: bool = True) -> Reply:
        """The answer of the scene nearest to a moment."""
        scene = memory.history.at(stamp_ns)
        view = memory.view_of(scene)
        if ask.kind is Kind.QUESTION:
            return self._answered(ask, scene, view, memory, wait=wait, is_past=True)
        place = self._pipeline.placement(scene, view, ask.target_frame, wait=wait)
        if not ask.text:
            return shown_reply("", scene, place, scene.objects)
        meant = meant_by(ask.text, scene, open_vocabulary=self.is_open_vocabulary)
        return shown_reply(ask.text, scene, place, meant.objects).with_notes(meant.notes)

    # ------------------------------------------------------------------------------------------------------ a look

    def _look(self, run: _Run, past: RgbdPair | None = None) -> FrameOutcome:
        """What an image shows of what is asked for; of the newest image, the memory then begins with it."""
        pair = past or self.freshness.pair
        if pair is None:
            raise N3dError(self._explain(), code=StatusCode.NO_FRAME)
        self._check_frames(run.ask, pair)
        stamp_ns, frame_id = pair.stamp_ns, clean_frame_id(pair.color.header.frame_id)

        def found(detection: Detection3D) -> None:
            run.tell((detection,), frame_id, stamp_ns, "grounding")

        request = GroundingRequest(
            max_objects=self._pipeline.config.max_objects, deadline_s=run.deadline_s, **self._wanted(run.ask)
        )
        look = self._pipeline.ground if past is None else self._pipeline.look_back
        outcome = look(pair, request, on_detection=found, is_cancelled=run.is_cancelled)
        if not outcome.is_ok:
            raise N3dError(outcome.message, code=outcome.status, reason=outcome.reason)
        return outcome

    def _wanted(self, ask: Ask) -> dict[str, Any]:
        """What a request asks a grounder to look for: a phrase, or the question and the things that it names."""
        if ask.kind is Kind.PHRASE:
            return {"phrase": ask.text or None}
        nouns = nouns_of(ask.text) if self.is_open_vocabulary else ()
        return {"question": ask.text, "nouns": nouns} if nouns else {}  # "what do you see?": everything

    def _from_look(self, run: _Run, outcome: FrameOutcome) -> Reply:
        """The answer once an image was looked at for it."""
        if run.ask.kind is Kind.PHRASE:
            return self._located(run, outcome)
        return self._thought_through(run, outcome) if self.is_open_vocabulary else self._from_scene(run, outcome)

    def _located(self, run: _Run, outcome: FrameOutcome) -> Reply:
        scene, matched = self._as_asked(outcome, ())
        place = self._pipeline.placement(scene, outcome.view, run.ask.target_frame)
        reply = shown_reply(run.ask.text, scene, place, matched)
        reply = reply.cut_short(run.ask.timeout_s) if outcome.is_partial else reply
        about_objects = tuple(note for note in outcome.notes if note not in outcome.depth_notes)
        reply = reply.with_notes(about_objects, said=not self.is_open_vocabulary)
        return reply.with_notes((*self._pipeline.standing_notes, *outcome.depth_notes), said=False)

    def _as_asked(self, outcome: FrameOutcome, nouns: Sequence[str]) -> tuple[Scene, tuple[SceneObject, ...]]:
        """The scene of a look and the objects found in it, best first.

        Found by a grounder of open vocabulary, they are called as they were asked for, else by its words of this look.
        """
        scene, scene_T_camera = outcome.scene, outcome.view.scene_T_camera
        if scene is None:
            raise N3dError("The frame was lost while it was looked at.")
        pairs = match_pairs([found.transformed(scene_T_camera) for found in outcome.detections], scene)
        if not self.is_open_vocabulary:
            return scene, tuple(one for _, one in pairs)
        matched = tuple(replace(one, label=_called(one, found, nouns)) for found, one in pairs)
        known = {one.id: one for one in (*scene.objects, *matched)}  # candidates that were asked for are told, too
        candidates = tuple(one for one in scene.candidates if one.id not in known)
        return replace(scene, objects=tuple(known.values()), candidates=candidates), matched

    def _thought_through(self, run: _Run, outcome: FrameOutcome) -> Reply:
        """The answer to a question for which an image was just looked at, by code, model or both."""
        ask, mode = run.ask, self._config().answer_mode
        scene, matched = self._as_asked(outcome, nouns_of(ask.text))
        computed, place = self._context(ask, scene, outcome.view, self._pipeline.memory, wait=True).said()
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

    # --------------------------------------------------------------------------------------------------- the scene

    def _seen_now(self, ask: Ask, outcome: FrameOutcome) -> Reply | None:
        """What the newest image is known to show of what a phrase means; None when that is nothing: then look again."""
        if outcome.scene is None:
            return None
        seen = replace(
            outcome.scene,
            objects=tuple(one for one in outcome.scene.objects if one.last_seen_ns == outcome.stamp_ns),
        )
        try:
            meant = meant_by(ask.text, seen, open_vocabulary=False) if ask.text else None
        except QueryError:
            return None
        objects = seen.objects if meant is None else meant.objects
        if not objects:
            return None
        place = self._pipeline.placement(outcome.scene, outcome.view, ask.target_frame, wait=False)
        best_first = sorted(objects, key=lambda one: -(one.score or 0.0))
        reply = shown_reply(ask.text, outcome.scene, place, best_first)
        return reply.with_notes(() if meant is None else meant.notes).with_notes(
            (*self._pipeline.standing_notes, *outcome.depth_notes), said=False
        )

    def _from_scene(self, run: _Run, outcome: FrameOutcome) -> Reply:
        """The answer of a look's scene to a question."""
        if outcome.scene is None:
            raise N3dError("The scene was lost while it was looked at.")
        return self._answered(run.ask, outcome.scene, outcome.view, self._pipeline.memory)

    def _answered(
        self, ask: Ask, scene: Scene, view: CameraView, memory: Memory, *, wait: bool = True, is_past: bool = False
    ) -> Reply:
        """A scene's answer to a question, and what is to be said of how it came about."""
        reply, _ = self._context(ask, scene, view, memory, wait=wait).said()
        about_depth = () if is_past or memory.outcome is None else memory.outcome.depth_notes
        return reply.with_notes((*self._notes(ask, is_past=is_past), *about_depth), said=False)

    def _context(self, ask: Ask, scene: Scene, view: CameraView, memory: Memory, *, wait: bool) -> QuestionContext:
        return QuestionContext(
            ask=ask, scene=scene, view=view, memory=memory, pipeline=self._pipeline, placed=self._placed,
            now_ns=self.freshness.now_ns(), wait=wait,
        )  # fmt: skip

    def _notes(self, ask: Ask, *, is_past: bool) -> tuple[str, ...]:
        """What goes with an answer that code alone computes."""
        mode = self._config().answer_mode
        past: tuple[str, ...] = ()
        if is_past and (ask.anew or self.is_open_vocabulary):
            past = (f"{self._frames.refusal(self._stamp_ns(ask))} Answered from the boxes that are remembered.",)
        if mode == BOXES or past:
            return (*past, *self._pipeline.standing_notes)
        return (*self._pipeline.standing_notes, no_model(mode))


def _called(known: SceneObject, found: Detection3D, nouns: Sequence[str]) -> str:
    """What an answer calls an object that was found: as it was asked for, or more precisely where that is known."""
    name = asked_name(found.label, nouns, color=known.color, shape=known.shape)
    return known.label if name == found.label and refines(known.label, name) else name
