"""AskedFrame: the objects of a frame as questions name and measure them, and the node's scene of the same boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from model_training.data.records import OPTICAL_FRAME, FrameRecord, ObjectRecord
from model_training.questions.config import QuestionConfig
from n3d_ros.codec.box_code import nearest_upright
from n3d_ros.codec.reasoning import DECIMALS
from n3d_ros.detection import Detection3D
from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.geometry.camera import project
from n3d_ros.geometry.transforms import RigidTransform, optical_to_model
from n3d_ros.scene.objects import SceneObject
from n3d_ros.scene.query import SpatialQuery
from n3d_ros.scene.scene import Scene

STAMP_NS = 1  # the scene of a record is one look; 0 would mean that nothing was looked at yet
OPTICAL_T_VIEWER = RigidTransform(
    rotation=np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]]), translation=np.zeros(3)
)
"""The camera as a viewer: its x forward, y left, z up, as the node's queries have it."""
UNTURNED = np.array([0.0, 0.0, 0.0, 1.0])
ADJECTIVES = {"wood": "wooden", "wool": "woollen", "gold": "golden"}
"""Material -> how it is said of a thing, where that is another word."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AskedObject:
    """An object that can be asked about.

    Args:
        record: what is known of it.
        box: the one that answers rest on, camera optical frame, metres.
        center_m: x left, y up, z forward, metres, rounded as texts state them.
        size_m: width, height, depth along the camera's axes, metres, rounded likewise.
    """

    record: ObjectRecord
    box: Box3D
    center_m: tuple[float, float, float]
    size_m: tuple[float, float, float]

    @property
    def id(self) -> int:
        """The object's id."""
        return self.record.id

    @property
    def label(self) -> str:
        """What it is."""
        return self.record.label


@dataclass(frozen=True, kw_only=True, eq=False)
class AskedFrame:
    """A frame as it is asked about.

    Args:
        record: the frame.
        target_box: "visible" or "full".
        objects: those that can be asked about, in the order in which boxes are written where no words order them.
        faint: objects of which too little is seen; they have a box, and make phrases ambiguous as the others do.
        unplaced: labels of objects without a box, of which nothing may be claimed.
        is_complete: whether nothing is missing among the record's objects; frames of recordings may say otherwise.
    """

    record: FrameRecord
    target_box: str
    objects: tuple[AskedObject, ...]
    faint: tuple[AskedObject, ...] = ()
    unplaced: tuple[str, ...] = ()
    is_complete: bool = True

    @cached_property
    def scene(self) -> Scene:
        """What the node would know after one look that found these boxes, errors unknown."""
        return self._scene("plain")

    @cached_property
    def described_scene(self) -> Scene:
        """The same with the materials in the labels ("wooden chair"), which the node knows from labels alone."""
        return self._scene("described")

    @cached_property
    def whole_scene(self) -> Scene:
        """The same of the whole objects' boxes: what touches what is not told by what is seen of it."""
        return self._scene("whole")

    @cached_property
    def faint_ids(self) -> frozenset[int]:
        """Ids that no question may rest on."""
        return frozenset(one.id for one in self.faint)

    @cached_property
    def _up(self) -> FloatArray | None:
        """(3,) unit vector against gravity; None where the record knows none."""
        up = np.zeros(3) if self.record.up is None else np.array(self.record.up, np.float64)
        norm = float(np.linalg.norm(up))
        return up / norm if np.isfinite(norm) and norm > 0 else None

    def by_id(self, object_id: int) -> AskedObject:
        """The object of that id, which can be asked about.

        Args:
            object_id: of one of ``objects``.

        Returns:
            The object.
        """
        return next(one for one in self.objects if one.id == object_id)

    def in_order(self, ids: Sequence[int]) -> tuple[int, ...]:
        """Ids in the order in which boxes are written.

        Args:
            ids: of objects that can be asked about.

        Returns:
            The same ids.
        """
        wanted = set(ids)
        return tuple(one.id for one in self.objects if one.id in wanted)

    @cached_property
    def has_whole_boxes(self) -> bool:
        """Whether ``whole_scene`` has a whole box for every object."""
        return all(one.record.box is not None for one in (*self.objects, *self.faint))

    def carriers(self, object_id: int) -> tuple[int, ...]:
        """What an object is known to stand on or to be in, and what that stands on, and so on.

        Args:
            object_id: of any object.

        Returns:
            Ids, the nearest first; none where nothing is known.
        """
        found: list[int] = []
        one = self.record.by_id(object_id)
        while one is not None and (below := one.inside_of or one.supported_by) and below not in found:
            found.append(below)
            one = self.record.by_id(below)
        return tuple(found)

    def query(self, text: str, *, level: bool = False) -> SpatialQuery:
        """A question as the node's code takes it, asked by the camera.

        Args:
            text: in words.
            level: whether sides are meant along level axes, as in a node that knows the vertical; else along the
                camera's, as the model's boxes are.

        Returns:
            The query.
        """
        up = self._up if level else None
        return SpatialQuery(text=text, viewpoint=OPTICAL_T_VIEWER, up=up, open_vocabulary=True)

    def _scene(self, kind: str) -> Scene:
        objects = [_scene_object(one, kind) for one in (*self.objects, *self.faint)]
        return Scene(frame_id=OPTICAL_FRAME, stamp_ns=STAMP_NS, objects=tuple(objects))


def asked_frame(record: FrameRecord, config: QuestionConfig) -> AskedFrame:
    """A frame as it is asked about.

    Args:
        record: the frame.
        config: which box, which order, how much must be seen.

    Returns:
        The frame; without objects where nothing has a box in front of the camera.
    """
    target = _target_box(record, config.target_box)
    shown = [one for one in record.objects if one.visible_fraction is None or one.visible_fraction > 0]
    boxed = [(one, box) for one in shown if (box := _box_of(one, target)) is not None]
    placed = {one.id for one, _ in boxed}
    kept = [(one, box) for one, box in boxed if _is_clear(one, config)]
    clear = {one.id for one, _ in kept}
    return AskedFrame(
        record=record,
        target_box=target,
        objects=tuple(_asked(one, box) for one, box in _sorted(kept, record, config.order)),
        faint=tuple(_asked(one, box) for one, box in boxed if one.id not in clear),
        unplaced=tuple(one.label for one in shown if one.id not in placed),
        is_complete=record.is_complete,
    )


def material_word(record: ObjectRecord) -> str:
    """How the material is said before the noun; "" when unknown.

    Args:
        record: the object.

    Returns:
        Such as "wooden".
    """
    return ADJECTIVES.get(record.material, record.material)


def _target_box(record: FrameRecord, wanted: str) -> str:
    """The box wanted, unless only the other one is known."""
    has = {"visible": any(one.visible_box for one in record.objects), "full": any(one.box for one in record.objects)}
    other = "full" if wanted == "visible" else "visible"
    return other if has[other] and not has[wanted] else wanted


def _box_of(one: ObjectRecord, target: str) -> Box3D | None:
    """The box that answers rest on; None: none, or not in front of the camera, where no model could write it."""
    box = one.visible_box if target == "visible" else one.box
    return box if box is not None and box.center[2] > 0 else None


def _is_clear(one: ObjectRecord, config: QuestionConfig) -> bool:
    seen = one.visible_pixels == 0 or one.visible_pixels >= config.min_visible_pixels
    return seen and (one.visible_fraction is None or one.visible_fraction >= config.min_visible_fraction)


def _sorted(
    boxed: Sequence[tuple[ObjectRecord, Box3D]], record: FrameRecord, order: str
) -> list[tuple[ObjectRecord, Box3D]]:
    """Objects in the order of writing; what is equal goes by the other coordinates, then by id."""

    def key(pair: tuple[ObjectRecord, Box3D]) -> tuple[float, ...]:
        u, v = (float(value) for value in project(pair[1].center, record.intrinsics))
        depth = float(pair[1].center[2])
        return (u, v, depth, pair[0].id) if order == "left_to_right" else (depth, u, v, pair[0].id)

    return sorted(boxed, key=key)


def _asked(one: ObjectRecord, box: Box3D) -> AskedObject:
    x, y, z = (_rounded(value) for value in optical_to_model(box.center))
    size = box.size if np.array_equal(box.orientation_xyzw, UNTURNED) else nearest_upright(box)[1]
    width, height, depth = (_rounded(value) for value in size)
    return AskedObject(record=one, box=box, center_m=(x, y, z), size_m=(width, height, depth))


def _rounded(value: float) -> float:
    """As texts state it; adding zero turns -0.0 into 0.0."""
    return round(float(value), DECIMALS) + 0.0


def _scene_object(one: AskedObject, kind: str) -> SceneObject:
    word = material_word(one.record) if kind == "described" else ""
    box = one.record.box if kind == "whole" and one.record.box is not None else one.box
    found = Detection3D(
        label=f"{word} {one.label}".strip(), box=box, color=one.record.color or None, shape=one.record.shape or None
    )
    return SceneObject.first(one.id, found, STAMP_NS)
