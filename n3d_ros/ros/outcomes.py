"""What becomes of a pair of images, and what is kept of it: outcome, view, placement, memory; all are immutable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from n3d_ros.detection import Detection3D, SupportSurface
from n3d_ros.errors import N3dError, QueryError, StatusCode
from n3d_ros.frame import RgbdFrame
from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.geometry.transforms import RigidTransform
from n3d_ros.scene.history import SceneHistory
from n3d_ros.scene.scene import Scene


class TransformLookup(Protocol):
    """Gives ``target_T_source`` at a stamp."""

    def __call__(self, target: str, source: str, stamp_ns: int | None = None) -> RigidTransform:
        """The transform that takes points of source to target.

        Args:
            target: frame to express points in.
            source: frame the points are given in.
            stamp_ns: nanoseconds; None: the newest known.

        Returns:
            The transform.

        Raises:
            TransformError: not known at that time.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrameOutcome:
    """What became of one pair of images.

    Args:
        status: OK, or why there is no result.
        reason: short key under which a drop is counted; empty when OK.
        message: one sentence about it; empty when OK.
        stamp_ns: of the colour image, nanoseconds.
        frame_id: of the colour image.
        frame: the assembled frame; None when it could not be made.
        detections: camera optical frame, this frame alone.
        raw_detections: the same before they were fitted to the measured points; empty when the grounder does not fit.
        is_partial: the request's time ran out before everything was found.
        surfaces: camera optical frame.
        scene: all objects so far, in its fixed frame; None when not OK.
        scene_T_camera: at the stamp; None when not OK.
        output_frame: frame in which results of this frame go out.
        output_T_camera: at the stamp; None when not OK.
        up_camera: (3,) against gravity in the optical frame from tf; None when the grounder estimates it.
        stage_ms: milliseconds per step, in order.
        notes: sentences for the user.
        depth_notes: those among them that tell how the depth was found; written in answers, and not spoken.
    """

    status: StatusCode = StatusCode.OK
    reason: str = ""
    message: str = ""
    stamp_ns: int
    frame_id: str
    frame: RgbdFrame | None = None
    detections: tuple[Detection3D, ...] = ()
    raw_detections: tuple[Detection3D, ...] = ()
    is_partial: bool = False
    surfaces: tuple[SupportSurface, ...] = ()
    scene: Scene | None = None
    scene_T_camera: RigidTransform | None = None
    output_frame: str = ""
    output_T_camera: RigidTransform | None = None
    up_camera: FloatArray | None = None
    stage_ms: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    notes: tuple[str, ...] = ()
    depth_notes: tuple[str, ...] = ()

    @property
    def is_ok(self) -> bool:
        """Whether objects were looked for and the result can be used."""
        return self.status == StatusCode.OK

    @property
    def view(self) -> CameraView:
        """From where the scene was seen.

        Raises:
            N3dError: the outcome is not OK.
        """
        if self.scene_T_camera is None:
            raise N3dError("The frame was lost while it was looked at.")
        return CameraView(
            frame_id=self.frame_id,
            scene_T_camera=self.scene_T_camera,
            up_camera=self.up_camera,
            surfaces=self.surfaces,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CameraView:
    """From where a scene was seen.

    Args:
        frame_id: the camera's optical frame.
        scene_T_camera: at the scene's stamp.
        up_camera: (3,) against gravity in the optical frame; None when tf knows none.
        surfaces: what objects stood on or by, in the optical frame.
    """

    frame_id: str
    scene_T_camera: RigidTransform
    up_camera: FloatArray | None = None
    surfaces: tuple[SupportSurface, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Placement:
    """Where a remembered scene and its camera are in the frame a request is answered in, at the scene's stamp.

    Args:
        frame_id: the frame of the answer.
        target_T_scene: takes the scene's points there.
        target_T_camera: takes the camera's points there.
        up: (3,) the vertical in ``frame_id``; None when tf knows none.
    """

    frame_id: str
    target_T_scene: RigidTransform
    target_T_camera: RigidTransform
    up: FloatArray | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Memory:
    """What later requests need; one immutable snapshot, replaced as a whole.

    Args:
        history: scenes of the last seconds.
        outcome: the newest outcome that is OK; None before the first.
        views: stamp of each scene in the history to where the camera was: tf forgets sooner.
    """

    history: SceneHistory
    views: Mapping[int, CameraView] = field(default_factory=lambda: MappingProxyType({}))
    outcome: FrameOutcome | None = None

    def view_of(self, scene: Scene) -> CameraView:
        """Where the camera was when a scene was seen.

        Args:
            scene: one of the history.

        Returns:
            The view.

        Raises:
            QueryError: it is no longer remembered (code ``NO_SUCH_MOMENT``).
        """
        view = self.views.get(scene.stamp_ns)
        if view is None:
            text = f"The scene of {scene.stamp_ns / 1e9:.3f} s was forgotten meanwhile; ask again."
            raise QueryError(text, code=StatusCode.NO_SUCH_MOMENT, reason="no_such_moment")
        return view
