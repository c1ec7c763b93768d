"""One pair of images to objects in a scene, step by step and timed. Needs no rclpy: the node and ``n3d run`` share it.

::

    pair -> RgbdFrame -> up (tf) -> GroundingResult -> Scene -> FrameOutcome

A pair that cannot be used ends as an outcome with a status, a reason and a sentence; only bugs raise.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from n3d_ros.detection import Detection3D
from n3d_ros.errors import BackendError, InputError, N3dError, StatusCode, TransformError
from n3d_ros.frame import RgbdFrame
from n3d_ros.geometry.transforms import RigidTransform
from n3d_ros.inference.grounder import (
    Grounder,
    GroundingRequest,
    GroundingResult,
    Reasoner,
    Reasoning,
    is_open_vocabulary,
)
from n3d_ros.inference.timing import Stages
from n3d_ros.ros.config import PipelineConfig
from n3d_ros.ros.conversions import clean_frame_id
from n3d_ros.ros.depth_step import DepthFailedError, FrameMaker
from n3d_ros.ros.outcomes import CameraView as CameraView
from n3d_ros.ros.outcomes import FrameOutcome as FrameOutcome
from n3d_ros.ros.outcomes import Memory as Memory
from n3d_ros.ros.outcomes import Placement as Placement
from n3d_ros.ros.outcomes import TransformLookup as TransformLookup
from n3d_ros.ros.pairing import RgbdPair
from n3d_ros.ros.poses import FIXED_FRAMES as FIXED_FRAMES
from n3d_ros.ros.poses import GRAVITY_FRAMES as GRAVITY_FRAMES
from n3d_ros.ros.poses import Poses
from n3d_ros.scene.history import SceneHistory
from n3d_ros.scene.naming import asked_refinement
from n3d_ros.scene.objects import SceneObject
from n3d_ros.scene.recall import recalled
from n3d_ros.scene.scene import Scene

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Run:
    """One look: at which pair, for what, and who is told."""

    pair: RgbdPair
    request: GroundingRequest
    on_detection: Callable[[Detection3D], None] | None
    is_cancelled: Callable[[], bool] | None
    looks_back: bool
    stages: Stages = field(default_factory=Stages)

    @property
    def blank(self) -> FrameOutcome:
        """What is known of its outcome before it begins."""
        return FrameOutcome(stamp_ns=self.pair.stamp_ns, frame_id=clean_frame_id(self.pair.color.header.frame_id))


class FramePipeline:
    """Turns pairs of images into scenes. Used by one thread; ``memory`` may be read from any.

    Args:
        config: what is set.
        grounder: finds the objects.
        lookup: gives transforms.
        now_s: clock used to wait for transforms; None waits for none (offline, all transforms are known).
        frames: makes frames of pairs; None: of colour and depth images.
        first_id: number of the first object.
        on_failure: told when the grounder itself fails: how often in a row, and in words.
    """

    def __init__(
        self,
        config: PipelineConfig,
        grounder: Grounder,
        lookup: TransformLookup,
        *,
        now_s: Callable[[], float] | None = None,
        frames: FrameMaker | None = None,
        first_id: int = 1,
        on_failure: Callable[[int, str], None] | None = None,
    ) -> None:
        self.config = config
        self.frames = frames or FrameMaker(config.frames)
        self.grounder_notes: tuple[str, ...] = ()
        self.counts: Mapping[str, float] = MappingProxyType({})
        """Numbers about the latest look, and about the answer in the grounder's own words if there was one, by name."""
        self._on_failure = on_failure
        self._failures = 0
        self._grounder = grounder
        self._poses = Poses(lambda: self.config, lookup, now_s)
        self.lookup, self.placement = self._poses.lookup, self._poses.placement
        self._scene: Scene | None = None
        self.next_id = first_id
        self.memory = Memory(history=SceneHistory(config=config.history))

    @property
    def grounder(self) -> Grounder:
        """What finds the objects."""
        return self._grounder

    @property
    def standing_notes(self) -> tuple[str, ...]:
        """Sentences that go with every answer to a request."""
        return (*self.frames.notes, *self.grounder_notes)

    @property
    def is_open_vocabulary(self) -> bool:
        """Whether the grounder finds whatever words name."""
        return is_open_vocabulary(self._grounder)

    def use(self, grounder: Grounder, notes: tuple[str, ...] = ()) -> Grounder:
        """Puts another grounder in the place of the one in use.

        Args:
            grounder: finds the objects from now on.
            notes: sentences that go with every answer to a request.

        Returns:
            The grounder before, which the caller closes.
        """
        before, self._grounder = self._grounder, grounder
        self.counts = MappingProxyType({})
        self._failures, self.grounder_notes = 0, notes
        return before

    def configure(self, config: PipelineConfig) -> None:
        """Takes over settings that changed.

        Args:
            config: what is set now.
        """
        before, self.config = self.config, config
        if before.frames != config.frames:
            self.frames.configure(config.frames)

    def reset(self) -> None:
        """Forgets the scene and its history, for instance when a bag starts again."""
        self._scene = None
        self.frames.forget()
        self.memory = Memory(history=SceneHistory(config=self.config.history))

    def process(
        self, pair: RgbdPair, *, nouns: tuple[str, ...] = (), is_cancelled: Callable[[], bool] | None = None
    ) -> FrameOutcome:
        """What this pair shows, and the scene after it.

        Args:
            pair: colour, depth and their calibrations.
            nouns: what a grounder of open vocabulary looks for; empty: everything. Others always look for everything.
            is_cancelled: asked between steps.

        Returns:
            The outcome; refusals have a status other than OK.
        """
        request = GroundingRequest(max_objects=self.config.max_objects, nouns=nouns if self.is_open_vocabulary else ())
        return self.ground(pair, request, is_cancelled=is_cancelled)

    def ground(
        self,
        pair: RgbdPair,
        request: GroundingRequest,
        *,
        on_detection: Callable[[Detection3D], None] | None = None,
        is_cancelled: Callable[[], bool] | None = None,
    ) -> FrameOutcome:
        """What a request finds in a pair, and the scene after it.

        Args:
            pair: colour, depth and their calibrations.
            request: what to look for; its ``up`` is filled in from tf.
            on_detection: called with each object as soon as it is known, camera optical frame.
            is_cancelled: asked between steps.

        Returns:
            The outcome; refusals have a status other than OK.
        """
        return self._guarded(
            _Run(pair=pair, request=request, on_detection=on_detection, is_cancelled=is_cancelled, looks_back=False)
        )

    def look_back(
        self,
        pair: RgbdPair,
        request: GroundingRequest,
        *,
        on_detection: Callable[[Detection3D], None] | None = None,
        is_cancelled: Callable[[], bool] | None = None,
    ) -> FrameOutcome:
        """What a request finds in a pair of the past; scene and memory stay as they are.

        Args:
            pair: as in ``ground``.
            request: as in ``ground``.
            on_detection: as in ``ground``.
            is_cancelled: as in ``ground``.

        Returns:
            The outcome; its scene is that of the pair's time, for this answer only, under the ids that are known.
        """
        return self._guarded(
            _Run(pair=pair, request=request, on_detection=on_detection, is_cancelled=is_cancelled, looks_back=True)
        )

    def _guarded(self, run: _Run) -> FrameOutcome:
        """The outcome of a look, whatever happens."""
        try:
            outcome = self._ground(run)
        except DepthFailedError as error:  # counted where it happened: the grounder is not to blame
            refusal = replace(run.blank, status=error.code, reason=error.reason, message=error.message)
            return replace(refusal, stage_ms=MappingProxyType(run.stages.stage_ms))
        except N3dError as error:
            outcome = replace(run.blank, status=error.code, reason=_drop_reason(error), message=error.message)
        except Exception as error:  # a grounder may fail in ways of its own; it costs this frame only
            outcome = replace(
                run.blank,
                status=StatusCode.BACKEND_FAILED,
                reason="backend_failed",
                message=self._bug(error, run.pair.stamp_ns),
            )
        self._count_failure(outcome.status, outcome.message)
        return replace(outcome, stage_ms=MappingProxyType(run.stages.stage_ms))

    def reason(
        self,
        outcome: FrameOutcome,
        question: str,
        *,
        deadline_s: float | None = None,
        is_cancelled: Callable[[], bool] | None = None,
    ) -> Reasoning | None:
        """The grounder's own answer to a question about a frame it has just looked at.

        Args:
            outcome: an OK outcome.
            question: in words.
            deadline_s: ``time.monotonic()`` at which it stops with what is there.
            is_cancelled: asked between steps.

        Returns:
            Thought and answer; None when this grounder does not think in words.

        Raises:
            N3dError: it failed, or was asked to stop.
        """
        grounder = self._grounder
        if outcome.frame is None or not isinstance(grounder, Reasoner):
            return None
        found = outcome.raw_detections or outcome.detections
        try:
            thought = grounder.reason(outcome.frame, question, found, deadline_s=deadline_s, is_cancelled=is_cancelled)
        except Exception as error:
            ours = error if isinstance(error, N3dError) else None
            sentence = self._bug(error, outcome.stamp_ns) if ours is None else ours.message
            self._count_failure(StatusCode.BACKEND_FAILED if ours is None else ours.code, sentence)
            if ours is not None:
                raise
            raise BackendError(sentence, reason="backend_failed") from error
        self._count_failure(StatusCode.OK, "")
        self.counts = MappingProxyType({**self.counts, **_counted("reason", thought.counts)})
        return thought

    def _bug(self, error: Exception, stamp_ns: int) -> str:
        """What to say of an error that is not ours; it goes to the log."""
        logger.exception("The grounder %r failed on the frame at %d ns.", self.grounder.name, stamp_ns)
        return f"The grounder {self.grounder.name!r} failed: {type(error).__name__}: {error}"

    def _count_failure(self, status: StatusCode, sentence: str) -> None:
        """Counts failures of the grounder itself, in a row."""
        if status is not StatusCode.BACKEND_FAILED:
            self._failures = 0 if status is StatusCode.OK else self._failures
            return
        self._failures += 1
        if self._on_failure is not None:
            self._on_failure(self._failures, sentence)

    def _ground(self, run: _Run) -> FrameOutcome:
        """The steps of a look."""
        stages, request = run.stages, run.request
        made = self.frames.frame_of(
            run.pair, self.lookup, stages, is_cancelled=run.is_cancelled, is_past=run.looks_back
        )
        frame = made.frame
        with stages.timed("tf"):
            scene_frame, scene_T_camera = self._poses.scene_pose(frame)
            output_frame = self.config.output_frame or frame.frame_id
            output_T_camera = self.lookup(output_frame, frame.frame_id, frame.stamp_ns)
            up = self._poses.up(frame)
        with stages.timed("ground"):
            result = self.grounder.ground(
                frame, replace(request, up=up), on_detection=run.on_detection, is_cancelled=run.is_cancelled
            )
        for name, duration_ms in result.stage_ms.items():
            stages.add(f"ground/{name}", duration_ms)
        with stages.timed("scene"):
            if run.looks_back:
                scene = self._recalled_scene(frame, result, scene_frame, scene_T_camera)
            else:
                is_whole = not (result.partial or result.cut_off)  # what a list without its end lacks may be there
                complete = _looks_for_everything(request) and is_whole
                named = replace(result, detections=self._named(result.detections, request))
                scene = self._updated_scene(frame, named, scene_frame, scene_T_camera, complete=complete)
        outcome = replace(
            run.blank,
            frame=frame,
            detections=result.detections,
            raw_detections=result.raw_detections,
            is_partial=result.partial,
            surfaces=result.surfaces,
            scene=scene,
            scene_T_camera=scene_T_camera,
            output_frame=output_frame,
            output_T_camera=output_T_camera,
            up_camera=up,
            notes=(*made.notes, *result.notes),
            depth_notes=made.notes,
        )
        facts = {} if made.depth is None else made.depth.found.facts
        self.counts = MappingProxyType({**_counted("depth", facts), **_counted("ground", result.counts)})
        if not run.looks_back:
            self._remember(outcome, scene)
        return outcome

    def _named(self, detections: tuple[Detection3D, ...], request: GroundingRequest) -> tuple[Detection3D, ...]:
        """Detections as the scene is to call them: what they were asked for by may be more precise than the answer."""
        asked = request.nouns if request.phrase is None else (request.phrase,)
        if not asked or not self.is_open_vocabulary:  # others find by looks, whatever they are asked for
            return detections
        return tuple(replace(found, label=asked_refinement(found.label, asked)) for found in detections)

    def _remember(self, outcome: FrameOutcome, scene: Scene) -> None:
        history = self.memory.history.added(scene)
        known = {**self.memory.views, scene.stamp_ns: outcome.view}
        views = {one.stamp_ns: known[one.stamp_ns] for one in history.scenes if one.stamp_ns in known}
        self.memory = Memory(history=history, outcome=outcome, views=MappingProxyType(views))

    def _updated_scene(
        self,
        frame: RgbdFrame,
        result: GroundingResult,
        scene_frame: str,
        scene_T_camera: RigidTransform,
        *,
        complete: bool,
    ) -> Scene:
        scene = self._scene_in(scene_frame, frame.stamp_ns)
        try:
            self._scene = scene.updated(
                result.detections,
                scene_T_camera=scene_T_camera,
                frame=frame,
                config=self.config.scene,
                complete=complete,
            )
        except InputError as error:
            if error.reason != "time_jump":
                raise
            self.reset()
            return self._updated_scene(frame, result, scene_frame, scene_T_camera, complete=complete)
        self.next_id = self._scene.next_id
        return self._scene

    def _scene_in(self, scene_frame: str, stamp_ns: int) -> Scene:
        """The scene so far in the frame it is kept in from now on; an empty one when tf cannot take it there."""
        scene = self._scene
        if scene is None:
            # ids go on where they were: a number never means another thing while the node runs
            return Scene(frame_id=scene_frame, stamp_ns=0, next_id=self.next_id)
        if scene.frame_id == scene_frame:
            return scene
        for known_ns in (scene.stamp_ns, stamp_ns):  # a frame that has just appeared is not known at the former yet
            with suppress(TransformError):
                return scene.transformed(scene_frame, self.lookup(scene_frame, scene.frame_id, known_ns, wait=False))
        return Scene(frame_id=scene_frame, stamp_ns=0, next_id=self.next_id)

    def _recalled_scene(
        self, frame: RgbdFrame, result: GroundingResult, scene_frame: str, scene_T_camera: RigidTransform
    ) -> Scene:
        """The scene of a frame of the past; of the present one only the next free id moves on."""
        scene = recalled(
            result.detections,
            scene_T_camera=scene_T_camera,
            frame_id=scene_frame,
            stamp_ns=frame.stamp_ns,
            then=self.memory.history.before(frame.stamp_ns),
            now=self._scene,
            next_id=self.next_id,
            config=self.config.scene,
        )
        self.next_id = max(self.next_id, scene.next_id)
        if self._scene is not None:
            self._scene = replace(self._scene, next_id=self.next_id)
        return scene

    def objects(self, outcome: FrameOutcome) -> tuple[SceneObject, ...]:
        """The objects that this very frame shows, as the scene knows them, in the output frame.

        Args:
            outcome: an OK outcome.

        Returns:
            By id; remembered objects that the frame does not show are left out.
        """
        if outcome.scene is None or outcome.scene_T_camera is None or outcome.output_T_camera is None:
            return ()
        output_T_scene = outcome.output_T_camera @ outcome.scene_T_camera.inverse()
        scene = outcome.scene.transformed(outcome.output_frame, output_T_scene)
        return tuple(known for known in scene.objects if known.last_seen_ns == outcome.stamp_ns)


def _looks_for_everything(request: GroundingRequest) -> bool:
    """Whether what a request does not find is not there; a grounder told what to find leaves the rest out."""
    return request.phrase is None and request.question is None and not request.nouns


def _counted(stage: str, counts: Mapping[str, float]) -> Mapping[str, float]:
    """Counts under the name of their stage."""
    return MappingProxyType({f"{stage}/{name}": value for name, value in counts.items()})


def _drop_reason(error: N3dError) -> str:
    """The key under which a frame that failed so is counted."""
    unnamed = isinstance(error, BackendError) and error.reason == BackendError.default_reason
    return "backend_failed" if unnamed else error.reason
