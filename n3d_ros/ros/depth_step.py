"""The first step of the pipeline: from the messages of one moment to a frame with depth, whoever finds the depth.

::

    camera:  colour + depth ─────────────────────────────────────────► RgbdFrame
    model:   colour ──► ColorView ──► DepthSource.find ──► limits ───► RgbdFrame
    fused:   colour + depth ──► ColorView with the sensor's depth ──► the same way

Needs no rclpy.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from n3d_ros.errors import BackendError, CancelledError, GroundingError, InputError, N3dError
from n3d_ros.frame import RgbdFrame
from n3d_ros.geometry.arrays import BoolArray, Float32Array
from n3d_ros.geometry.transforms import RigidTransform
from n3d_ros.inference.depth_source import CAMERA, FUSED, ColorView, DepthSource, FoundDepth, PixelSource
from n3d_ros.inference.timing import Stages
from n3d_ros.ros.frame_assembly import FrameAssembler, FrameConfig, TransformLookup
from n3d_ros.ros.pairing import RgbdPair

logger = logging.getLogger(__name__)

DEPTH_FAILED = "depth_failed"
KEPT_FRAMES = 2  # with a model: the newest image and one of the past, whose depth would cost the model's time again


class DepthFailedError(BackendError):
    """The depth model failed on an image; the grounder is not to blame."""

    default_reason = DEPTH_FAILED


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NamedView:
    """The view of a further camera.

    Args:
        name: of the camera, as in ``depth_model.cameras``.
        view: at the moment of the first camera's image.
    """

    name: str
    view: ColorView


ExtraViews = Callable[[ColorView], tuple[NamedView, ...]]
"""Given the first camera's view, what further cameras saw at that moment."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SeenDepth:
    """The depth that was found for the images of one moment.

    Args:
        view: the first camera's image.
        found: its depth, within its limits.
        beside: the further cameras' images and depths.
        notes: sentences for whoever reads the result.
    """

    view: ColorView
    found: FoundDepth
    beside: tuple[tuple[NamedView, FoundDepth], ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MadeFrame:
    """A frame, and how its depth was found.

    Args:
        frame: what the grounder sees.
        depth: as it is published; None with a depth camera alone.
        notes: sentences for whoever reads the result.
    """

    frame: RgbdFrame
    depth: SeenDepth | None = None
    notes: tuple[str, ...] = ()


class FrameMaker:
    """Makes frames of pairs. Used by one thread.

    Args:
        frames: how messages become images.
        kind: where depth comes from, of ``DEPTH_SOURCES``.
        min_confidence: a model's depth of less confidence counts as none.
        color_topic: full name of the colour topic, which may say that images are rectified.
        depth_topic: full name of the depth topic, as above.
        on_depth: told of each depth found for an image of the present, before objects are looked for.
        on_failure: told when the depth model fails: how often in a row, and in words.
    """

    def __init__(
        self,
        frames: FrameConfig,
        *,
        kind: str = CAMERA,
        min_confidence: float = 0.0,
        color_topic: str = "",
        depth_topic: str = "",
        on_depth: Callable[[SeenDepth], None] | None = None,
        on_failure: Callable[[int, str], None] | None = None,
    ) -> None:
        self.kind = kind
        self._min_confidence = min_confidence
        self.source: DepthSource | None = None
        """What finds depth; None: the camera, or nothing as yet."""
        self.extra_views: ExtraViews | None = None
        self.notes: tuple[str, ...] = ()
        """Sentences that go with every answer: why the source asked for is not in use."""
        self.latest_notes: tuple[str, ...] = ()
        """What is to be known of the depth of the newest image, for /diagnostics."""
        self._topics = (color_topic, depth_topic)
        self._on_depth, self._on_failure = on_depth, on_failure
        self._failures = 0
        self._kept: list[tuple[RgbdPair, MadeFrame]] = []
        self.configure(frames)

    def configure(self, frames: FrameConfig) -> None:
        """Takes over settings that changed.

        Args:
            frames: what is set now.
        """
        color_topic, depth_topic = self._topics
        self._assembler = FrameAssembler(frames, color_topic=color_topic, depth_topic=depth_topic)
        self.forget()

    def require(self, min_confidence: float) -> None:
        """Takes over another bound of confidence.

        Args:
            min_confidence: as given at the start.
        """
        if min_confidence != self._min_confidence:
            self._min_confidence = min_confidence
            self.forget()

    def forget(self) -> None:
        """Forgets the frames made so far."""
        self._kept = []

    def frame_of(
        self,
        pair: RgbdPair,
        lookup: TransformLookup,
        stages: Stages,
        *,
        is_cancelled: Callable[[], bool] | None = None,
        is_past: bool = False,
    ) -> MadeFrame:
        """The frame of a pair; kept, since a request often follows on the frame just processed.

        Args:
            pair: colour, depth where there is a depth camera, and calibrations.
            lookup: gives transforms.
            stages: the steps "assemble" and "depth" are added.
            is_cancelled: asked between the model's steps.
            is_past: an image that is looked at again; nobody is told of its depth.

        Returns:
            The frame.

        Raises:
            N3dError: the images cannot be used, hold no depth, or the depth model failed on them.
        """
        for known, made in self._kept:
            if known is pair:
                return made
        if self.kind == CAMERA:
            with stages.timed("assemble"):
                frame = self._assembler.assemble(pair.color, pair.depth, pair.color_info, pair.depth_info, lookup)
            made = MadeFrame(frame=frame)
        else:
            made = self._with_model(pair, lookup, stages, is_cancelled, is_past=is_past)
            self.latest_notes = self.latest_notes if is_past else made.notes
            if self._on_depth is not None and made.depth is not None and not is_past:
                with stages.timed("depth/publish"):
                    self._on_depth(made.depth)
        self._kept = [(pair, made), *self._kept][: 1 if self.source is None else KEPT_FRAMES]
        return made

    def _with_model(
        self,
        pair: RgbdPair,
        lookup: TransformLookup,
        stages: Stages,
        is_cancelled: Callable[[], bool] | None,
        *,
        is_past: bool,
    ) -> MadeFrame:
        """A frame whose depth the source finds, or else the sensor's."""
        with stages.timed("assemble"):
            if (
                self.source is None and self.kind == FUSED
            ):  # the sensor alone; refused as with the camera when it is blind
                frame = self._assembler.assemble(pair.color, pair.depth, pair.color_info, pair.depth_info, lookup)
                return _sensor_alone(_view_of(frame), frame.depth_m)
            view = self._assembler.color_view(
                pair.color, pair.color_info, depth_msg=pair.depth, depth_info=pair.depth_info, lookup=lookup
            )
            view = replace(view, reference_T_camera=RigidTransform.identity())
            look_beside = None if is_past else self.extra_views  # of further cameras nothing is remembered
            beside = () if look_beside is None else look_beside(view)
        try:
            with stages.timed("depth"):
                seen = self._found(view, beside, is_cancelled)
        except CancelledError:
            raise
        except (BackendError, GroundingError, InputError) as error:
            if self.kind != FUSED or view.sensor_depth_m is None:
                raise
            note = f"Depth is what the camera measured: the model found none. {error.message}"
            return _sensor_alone(view, view.sensor_depth_m, note)
        for name, duration_ms in seen.found.stage_ms.items():
            stages.add(f"depth/{name}", duration_ms)
        return MadeFrame(frame=_frame_of(view, seen.found), depth=seen, notes=seen.notes)

    def _found(
        self, view: ColorView, beside: tuple[NamedView, ...], is_cancelled: Callable[[], bool] | None
    ) -> SeenDepth:
        """The depth of all views, within its limits."""
        source = self.source
        if source is None:
            raise DepthFailedError("No depth model is loaded (depth_model.model), and there is no depth camera.")
        views = (view, *(one.view for one in beside))
        try:
            found = source.find(views, is_cancelled=is_cancelled)
            if len(found) != len(views):
                raise BackendError(f"{source.name} was given {len(views)} images and found the depth of {len(found)}.")
        except CancelledError:
            raise
        except (InputError, GroundingError):  # the image's fault: the model is well
            self._failures = 0
            raise
        except Exception as error:  # a model may fail in ways of its own; it costs this frame only
            raise self._failed(source, error, view.stamp_ns) from error
        self._failures = 0
        limited = [self._limited(one, depth) for one, depth in zip(views, found, strict=True)]
        if not np.isfinite(limited[0].depth_m).any():
            raise self._nothing_left(found[0])
        notes = tuple(dict.fromkeys(note for one in found for note in one.notes))
        pairs = tuple(zip(beside, limited[1:], strict=True))
        return SeenDepth(view=view, found=limited[0], beside=pairs, notes=notes)

    def _failed(self, source: DepthSource, error: Exception, stamp_ns: int) -> DepthFailedError:
        """The failure as an error of its own, counted."""
        if isinstance(error, N3dError):
            sentence = error.message
        else:
            logger.error("The depth model %r failed on the image at %d ns.", source.name, stamp_ns, exc_info=error)
            sentence = f"{type(error).__name__}: {error}"
        self._failures += 1
        if self._on_failure is not None:
            self._on_failure(self._failures, sentence)
        return DepthFailedError(f"The depth model {source.name} failed: {sentence}")

    def _limited(self, view: ColorView, found: FoundDepth) -> FoundDepth:
        """Depth within depth.min_m to depth.max_m, where there is picture, no sky, and confidence enough."""
        config = self._assembler.config
        depth_m = np.array(found.depth_m, dtype=np.float32)
        with np.errstate(invalid="ignore"):
            none = ~((depth_m >= config.depth_min_m) & (depth_m <= config.depth_max_m))
            if view.valid is not None:
                none |= _of_model(found, ~view.valid)
            if found.sky is not None:
                none |= _of_model(found, found.sky)
            if found.confidence is not None and self._min_confidence > 0:
                none |= _of_model(found, ~(found.confidence >= self._min_confidence))
        depth_m[none] = np.nan
        depth_m.flags.writeable = False
        source = found.source
        if source is not None:
            source = np.where(none, np.uint8(PixelSource.NONE), source).astype(np.uint8)
        return replace(found, depth_m=depth_m, source=source)

    def _nothing_left(self, found: FoundDepth) -> GroundingError:
        """Why not one pixel has depth."""
        config = self._assembler.config
        known = found.depth_m[np.isfinite(found.depth_m)]
        limits = f"depth.min_m = {config.depth_min_m:g} m to depth.max_m = {config.depth_max_m:g} m"
        if known.size == 0:
            text = f"The depth model finds no depth in this image, as where all is sky. {' '.join(found.notes)}".strip()
        else:
            text = (
                f"The depth model finds {known.min():.2f} to {known.max():.2f} m, of which nothing lies within {limits}"
                f"{' with depth_model.min_confidence' if self._min_confidence > 0 else ''}; widen the range."
            )
        return GroundingError(text, reason="no_depth")


def _of_model(found: FoundDepth, where: BoolArray) -> BoolArray:
    """A mask without the pixels that a sensor measured: what a model thinks of them does not count."""
    return where if found.source is None else where & (found.source != PixelSource.SENSOR)


def _view_of(frame: RgbdFrame) -> ColorView:
    """A frame as a view whose depth a sensor measured."""
    return ColorView(
        rgb=frame.rgb,
        intrinsics=frame.intrinsics,
        stamp_ns=frame.stamp_ns,
        frame_id=frame.frame_id,
        sensor_depth_m=frame.depth_m,
    )


def _sensor_alone(view: ColorView, depth_m: Float32Array, *notes: str) -> MadeFrame:
    """The frame of a view whose sensor measured some depth, to which no model adds any."""
    source = np.where(np.isfinite(depth_m), np.uint8(PixelSource.SENSOR), np.uint8(PixelSource.NONE))
    found = FoundDepth(depth_m=depth_m, source=source)
    seen = SeenDepth(view=view, found=found, notes=notes)
    return MadeFrame(frame=_frame_of(view, found), depth=seen, notes=notes)


def _frame_of(view: ColorView, found: FoundDepth) -> RgbdFrame:
    """The view with its depth."""
    for array in (view.rgb, found.depth_m):
        array.flags.writeable = False  # so the frame need not copy them
    return RgbdFrame(
        rgb=view.rgb,
        depth_m=found.depth_m,
        intrinsics=view.intrinsics,
        stamp_ns=view.stamp_ns,
        frame_id=view.frame_id,
    )
