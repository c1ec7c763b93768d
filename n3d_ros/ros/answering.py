"""Requests answered: a phrase is grounded in the newest image, a question is put to the scene. Needs no rclpy."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any

import numpy as np

from n3d_ros.detection import Detection3D
from n3d_ros.errors import CancelledError, N3dError, QueryError, StatusCode, TransformError
from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.geometry.transforms import RigidTransform
from n3d_ros.inference.grounder import MAX_PHRASE_CHARS, GroundingRequest
from n3d_ros.ros.config import RequestConfig
from n3d_ros.ros.pairing import RgbdPair
from n3d_ros.ros.pipeline import FrameOutcome, FramePipeline, Memory, Placement
from n3d_ros.scene.objects import SceneObject
from n3d_ros.scene.phrases import Phrase, Selection, select, vocabulary
from n3d_ros.scene.query import SpatialQuery, ValueType, answer
from n3d_ros.scene.scene import Scene

logger = logging.getLogger(__name__)

MAX_QUESTION_CHARS = 1024  # the bound of the interfaces, which rclpy does not check
MAX_FRAME_CHARS = 256
MAX_TIMEOUT_S = 3600.0
OTHER_CLOCK_S = (
    600.0  # an image that is older than this on arrival comes from another clock (a bag without use_sim_time)
)
NANOSECONDS = 1_000_000_000

# Axes of a viewer (x forward, y left, z up) in a camera's optical frame (x right, y down, z forward).
OPTICAL_T_VIEWER = RigidTransform(
    rotation=np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]]), translation=np.zeros(3)
)
QUESTION_WORDS = frozenset(
    [
        "are",
        "can",
        "compare",
        "count",
        "describe",
        "did",
        "do",
        "does",
        "how",
        "is",
        "list",
        "tell",
        "what",
        "when",
        "where",
        "which",
        "who",
        "why",
    ]
)


class Kind(IntEnum):
    """What a text is; the numbers of ``n3d_msgs/Ground``."""

    AUTO = 0
    PHRASE = 1
    QUESTION = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request, checked.

    Args:
        kind: phrase, question, or for us to tell.
        text: at most 512 characters of a phrase, 1024 of a question; empty phrase: everything.
        target_frame: frame of the answer; empty: that of the published objects.
        viewpoint_frame: frame of ``viewpoint``; empty: the camera's own view.
        viewpoint: who looks, x forward, y left, z up.
        stamp_ns: moment asked about; 0: now.
        timeout_s: above 0.
    """

    kind: Kind
    text: str
    target_frame: str = ""
    viewpoint_frame: str = ""
    viewpoint: RigidTransform = field(default_factory=RigidTransform.identity)
    stamp_ns: int = 0
    timeout_s: float = 5.0

    def __post_init__(self) -> None:
        """Decides the kind, and checks lengths and ranges.

        Raises:
            QueryError: a field out of its range (code ``INVALID_REQUEST``), named in the message.
        """
        if self.kind is Kind.AUTO:
            object.__setattr__(self, "kind", Kind.QUESTION if reads_as_question(self.text) else Kind.PHRASE)
        object.__setattr__(self, "text", self.text.strip())
        limit = MAX_QUESTION_CHARS if self.kind is Kind.QUESTION else MAX_PHRASE_CHARS
        if len(self.text) > limit:
            raise _invalid(f"text: expected at most {limit} characters, got {len(self.text)}.")
        if self.kind is Kind.QUESTION and not self.text:
            raise _invalid('question: expected words, such as "where is the red box?", got an empty string.')
        for name in ("target_frame", "viewpoint_frame"):
            value = getattr(self, name)
            if len(value) > MAX_FRAME_CHARS or value.startswith("/"):
                raise _invalid(f"{name}: expected a frame's name without a leading slash, got {value[:64]!r}.")
        if not 0 < self.timeout_s <= MAX_TIMEOUT_S:
            raise _invalid(f"timeout_s: expected above 0 and at most {MAX_TIMEOUT_S:g} s, got {self.timeout_s}.")
        if self.stamp_ns < 0:
            raise _invalid(f"stamp: expected 0 or later, got {self.stamp_ns} ns.")


def _invalid(message: str) -> QueryError:
    return QueryError(message, code=StatusCode.INVALID_REQUEST, reason="invalid_request")


def reads_as_question(text: str) -> bool:
    """Whether a text asks rather than names.

    Args:
        text: any.

    Returns:
        True when it ends in a question mark or begins with a word that asks.
    """
    words = text.strip().lower().split(maxsplit=1)
    return bool(words) and (text.rstrip().endswith("?") or words[0].strip(",.:;!") in QUESTION_WORDS)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reply:
    """The answer to a request.

    Args:
        status: how it ended.
        message: why there is no answer, and what the grounder noted; empty when there is nothing to say.
        objects: in ``frame_id``.
        frame_id: of every pose; empty when no image was used.
        stamp_ns: of the image the answer rests on; 0 when none was used.
        up: (3,) the vertical in ``frame_id``; None when unknown.
        sentence: the answer in words.
        value: the answer as a value.
        value_type: what ``value`` is.
        value_text: ``value`` in words.
        unit: of ``value``.
        steps: how the answer was reached.
    """

    status: StatusCode
    message: str = ""
    objects: tuple[SceneObject, ...] = ()
    frame_id: str = ""
    stamp_ns: int = 0
    up: FloatArray | None = None
    sentence: str = ""
    value: Any = None
    value_type: int = 0
    value_text: str = ""
    unit: str = ""
    steps: tuple[str, ...] = ()

    @classmethod
    def refusal(cls, error: Exception) -> Reply:
        """The reply that an error makes: whoever asks is answered, whatever happens.

        Args:
            error: what went wrong; one that is not ours is a bug, which is logged and costs this request only.

        Returns:
            A reply without objects.
        """
        if isinstance(error, N3dError):
            return cls(status=error.code, message=error.message)
        logger.error("Internal error while a request was answered.", exc_info=error)
        text = f"The node failed on this request ({type(error).__name__}: {error}); its log tells more."
        return cls(status=StatusCode.BACKEND_FAILED, message=text)

    def with_notes(self, notes: Sequence[str]) -> Reply:
        """The same reply with what the grounder has to say of the image and the phrase.

        Args:
            notes: sentences.

        Returns:
            The reply with the notes at the end of message and sentence.
        """
        if not notes:
            return self
        return replace(
            self, message=" ".join([self.message, *notes]).strip(), sentence=" ".join([self.sentence, *notes]).strip()
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Newest:
    """The newest pair of images and when it came."""

    pair: RgbdPair
    arrived_s: float
    same_clock: bool


Progress = Callable[[tuple[SceneObject | Detection3D, ...], str, int, str], None]
"""Told of objects found since the last call, their frame, the image's stamp, and the stage."""


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
            if ask.kind is not Kind.QUESTION or not self._is_fresh(memory):
                return None
            return self._answered(ask, memory, wait=False)
        except TransformError:
            return None
        except Exception as error:
            return Reply.refusal(error)

    def reply(
        self, ask: Ask, *, is_cancelled: Callable[[], bool] | None = None, on_progress: Progress | None = None
    ) -> Reply:
        """The answer; grounds where it must. Called in the worker's thread.

        Args:
            ask: the request.
            is_cancelled: asked between steps.
            on_progress: told of each object as it is found.

        Returns:
            The reply; never raises.
        """
        try:
            if ask.stamp_ns:
                return self._about_the_past(ask, self._pipeline.memory)
            if ask.kind is Kind.PHRASE:
                return self._located(ask, is_cancelled, on_progress)
            if not self._is_fresh(self._pipeline.memory):
                self._look(ask, is_cancelled, on_progress)
            return self._answered(ask, self._pipeline.memory)
        except Exception as error:
            return Reply.refusal(error)

    def _is_fresh(self, memory: Memory) -> bool:
        """Whether the image that the newest scene rests on is young enough to answer on."""
        outcome, newest = memory.outcome, self._newest
        if outcome is None or newest is None:
            return False
        return self._age_of(outcome.stamp_ns, newest) <= self._config().max_frame_age_s

    def _look(
        self,
        ask: Ask,
        is_cancelled: Callable[[], bool] | None,
        on_progress: Progress | None,
    ) -> FrameOutcome:
        """What the newest image shows of what is asked for; the memory then begins with it."""
        newest = self._newest
        if newest is None:
            raise N3dError(self._explain(), code=StatusCode.NO_FRAME)
        pair = newest.pair

        def found(detection: Detection3D) -> None:
            if on_progress is not None:
                on_progress((detection,), pair.color.header.frame_id, pair.stamp_ns, "grounding")

        phrase = ask.text if ask.kind is Kind.PHRASE and ask.text else None
        request = GroundingRequest(phrase=phrase, max_objects=self._pipeline.config.max_objects)
        outcome = self._pipeline.ground(pair, request, on_detection=found, is_cancelled=is_cancelled)
        if not outcome.is_ok:
            raise N3dError(outcome.message, code=outcome.status, reason=outcome.reason)
        return outcome

    def _located(self, ask: Ask, is_cancelled: Callable[[], bool] | None, on_progress: Progress | None) -> Reply:
        outcome = self._look(ask, is_cancelled, on_progress)
        if outcome.scene is None or outcome.scene_T_camera is None:
            raise N3dError("The frame was lost while it was looked at.")
        in_scene = [found.transformed(outcome.scene_T_camera) for found in outcome.detections]
        place = self._placement(ask, self._pipeline.memory, outcome.scene)
        reply = self._shown(ask, outcome.scene, place, match_objects(in_scene, outcome.scene))
        return reply.with_notes(outcome.notes)

    def _about_the_past(self, ask: Ask, memory: Memory, *, wait: bool = True) -> Reply:
        scene = memory.history.at(ask.stamp_ns)
        place = self._placement(ask, memory, scene, wait=wait)
        if ask.kind is Kind.QUESTION:
            return self._said(ask, scene, place, wait=wait)
        if not ask.text:
            return self._shown(ask, scene, place, scene.objects)
        meant = _meant(ask.text, scene)
        return self._shown(ask, scene, place, meant.objects).with_notes(meant.notes)

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
            others = ", ".join(one.label for one in scene.objects[:8]) or "nothing"
            sentence = message = (
                f"Nothing here is called {ask.text!r}; the scene holds {len(scene.objects)} objects: {others}."
            )
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
        return self._said(ask, outcome.scene, place, wait=wait)

    def _said(self, ask: Ask, scene: Scene, place: Placement, *, wait: bool) -> Reply:
        """A scene's answer to a question, in the frame asked for."""
        seen = scene.transformed(place.frame_id, place.target_T_scene)
        viewer = self._viewer(ask, scene.stamp_ns, place, wait=wait)
        result = answer(seen, SpatialQuery(text=ask.text, viewpoint=viewer))
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


def _meant(text: str, scene: Scene) -> Selection[SceneObject]:
    """The objects of a scene that a phrase means."""
    phrase = Phrase.parse(text)
    if phrase is None:
        raise QueryError(f"No word of {text[:64]!r} names anything to look for.")
    meant = select(phrase, scene.objects)
    if not meant.is_understood:
        raise QueryError(
            f"Phrase {text[:64]!r}: {phrase.noun!r} is not known; the objects here are told by colour and shape only. "
            f"{vocabulary()}"
        )
    return meant


def match_objects(detections: Sequence[Detection3D], scene: Scene) -> list[SceneObject]:
    """The scene's object that each detection became: the nearest one seen at the scene's stamp, if it is there at all.

    Of several detections of one object (a whole and pieces of it), only the first counts.

    Args:
        detections: in the scene's frame, the ones the scene was just updated with, best first.
        scene: the scene after that update.

    Returns:
        Objects in the order of the detections, each once; also candidates, which the scene does not report yet: what
        was asked for and is seen now is told.
    """
    seen = [one for one in (*scene.objects, *scene.candidates) if one.last_seen_ns == scene.stamp_ns]
    matched: dict[int, SceneObject] = {}
    for detection in detections:
        distances = [float(np.linalg.norm(one.box.center - detection.box.center)) for one in seen]
        nearest = seen[int(np.argmin(distances))] if seen else None
        if nearest is not None and min(distances) <= np.linalg.norm(nearest.box.size) / 2:
            matched.setdefault(nearest.id, nearest)
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
        self.deadline_s = time.monotonic() + ask.timeout_s
        self._desk = desk
        self._on_done = on_done
        self._on_progress = on_progress
        self._is_stopping = is_stopping
        self._stop_error: N3dError | None = None
        self._once = threading.Lock()

    def ready(self) -> bool:
        """Whether there is an image to look at, or none is needed.

        Returns:
            As in ``Job``.
        """
        return bool(self.ask.stamp_ns) or self._desk.is_fresh()

    def run(self) -> None:
        """Looks and answers."""
        reply = self._desk.reply(self.ask, is_cancelled=self._is_cancelled, on_progress=self._on_progress)
        if reply.status is StatusCode.CANCELLED and self._stop_error is not None:
            reply = Reply.refusal(self._stop_error)
        self._finish(reply)

    def expire(self) -> None:
        """Answers that no fresh image came in time."""
        try:
            reply = self._desk.why_not_fresh(self.ask.timeout_s)
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
        if self._stop_error is None and time.monotonic() > self.deadline_s:
            self._stop_error = N3dError(
                f"Not done within the {self.ask.timeout_s:g} s given; ask with a longer timeout_s.",
                code=StatusCode.TIMEOUT,
            )
        return self._stop_error is not None

    def _finish(self, reply: Reply) -> None:
        if self._once.acquire(blocking=False):
            self._on_done(reply)


def request_timeout(asked_s: float, default_s: float) -> float:
    """The time a request is given.

    Args:
        asked_s: what it asks for; 0: the default.
        default_s: the node's.

    Returns:
        Seconds.

    Raises:
        QueryError: negative, NaN or infinite.
    """
    if not math.isfinite(asked_s) or asked_s < 0:
        raise _invalid(f"timeout_s: expected 0 (the node's default) or seconds above it, got {asked_s}.")
    return asked_s or default_s
