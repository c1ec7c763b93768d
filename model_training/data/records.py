"""What data sets hold: frames with the objects in them, and questions about frames with their answers.

Every source (generated scenes, lifted photographs, robots' recordings) makes ``FrameRecord``; every consumer
(questions, training, evaluation) reads it. Rows of Parquet files hold the same fields under the same names
(``schemas.py``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from n3d_ros.errors import InputError
from n3d_ros.frame import RgbdFrame
from n3d_ros.geometry.arrays import BoolArray, Float32Array
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.geometry.camera import CameraIntrinsics

SPLITS = ("train", "validation", "held_out")
DEPTH_UNITS_PER_M = 1000.0  # 16-bit PNG in millimetres, 0: none, as cameras record it
OPTICAL_FRAME = "camera_color_optical_frame"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ObjectRecord:
    """One object of a frame. At least one of the two boxes is known.

    Args:
        id: above 0, unique in its frame; the value of its pixels in ``FrameRecord.labels_png``.
        label: its category, in the words a person would use ("coffee mug").
        box: the whole object's oriented box, camera optical frame, metres; None where only what is seen is known.
        visible_box: the tightest box along the camera's axes around its visible points, metres; None: none has depth.
        box_2d: left, top, right, bottom of its visible pixels' borders, pixels counted from the image's corner (the
            first pixel spans 0 to 1).
        color: colour word, "" when unknown.
        material: material word, "" when unknown.
        shape: "box", "cylinder", "ball", "bowl", "flat" or "".
        role: "object" or "furniture".
        symmetry: of ``box`` about its z axis: "none", "half_turn", "quarter_turn" or "round".
        visible_pixels: how many pixels show it; 0: unknown.
        visible_fraction: those over the pixels it would cover with nothing in front, 0 to 1; None: unknown.
        touches_border: whether its silhouette is cut by the image's border.
        supported_by: id of what it stands on, 0: the floor, None: unknown.
        inside_of: id of the container it is in, None: none or unknown.
        score: certainty of a label that was not made by a person or a generator, 0 to 1; None: certain.
    """

    id: int
    label: str
    box: Box3D | None = None
    visible_box: Box3D | None = None
    box_2d: tuple[float, float, float, float] | None = None
    color: str = ""
    material: str = ""
    shape: str = ""
    role: str = "object"
    symmetry: str = "none"
    visible_pixels: int = 0
    visible_fraction: float | None = None
    touches_border: bool = False
    supported_by: int | None = None
    inside_of: int | None = None
    score: float | None = None

    def __post_init__(self) -> None:
        """Checks what every consumer relies on.

        Raises:
            InputError: no label, an id below 1, no box at all, or a 2-D box without area.
        """
        if not self.label.strip() or self.id < 1:
            raise InputError(f"ObjectRecord: expected words and an id of 1 or more, got {self.label!r} and {self.id}.")
        if self.box is None and self.visible_box is None and self.box_2d is None:
            raise InputError(f"ObjectRecord {self.id} ({self.label}): expected a box, got none.")
        if self.box_2d is not None:
            left, top, right, bottom = self.box_2d
            if not (right > left and bottom > top and np.isfinite(self.box_2d).all()):
                raise InputError(
                    f"ObjectRecord {self.id} ({self.label}): expected a 2-D box left < right, top < bottom, "
                    f"got {self.box_2d}."
                )


@dataclass(frozen=True, kw_only=True, eq=False)
class FrameRecord:
    """One look at a scene with all that is known of it; images stay encoded until they are asked for.

    Args:
        id: unique in its data set, of letters, digits, "-", "_", "." and "/".
        source: where it comes from: "generated", "raycast", "coco", "bag", ...
        split: one of ``SPLITS``.
        image: JPEG or PNG bytes of the colour image.
        depth_png: 16-bit PNG bytes, millimetres, 0 for none, of the same size; empty: no depth.
        intrinsics: of both.
        up: unit vector against gravity in the optical frame; None: unknown.
        objects: ascending by id.
        labels_png: 16-bit PNG bytes of object ids per pixel, 0 for none; empty: unknown.
        licence: of the image, as its source states it; "" when it was made here.
        provenance: JSON text: what it was made from (scene spec, file name, bag and stamp, ...).
        stamp_ns: 0: unknown.
    """

    id: str
    source: str
    split: str
    image: bytes
    depth_png: bytes
    intrinsics: CameraIntrinsics
    up: tuple[float, float, float] | None = None
    objects: tuple[ObjectRecord, ...] = ()
    labels_png: bytes = b""
    licence: str = ""
    provenance: str = "{}"
    stamp_ns: int = 0

    def __post_init__(self) -> None:
        """Checks names and ids.

        Raises:
            InputError: an empty id, an unknown split, or an object id used twice.
        """
        ids = [one.id for one in self.objects]
        if not self.id or self.split not in SPLITS or len(set(ids)) < len(ids):
            raise InputError(
                f"FrameRecord: expected an id, a split of {', '.join(SPLITS)} and unique object ids, "
                f"got {self.id!r}, {self.split!r} and {sorted(ids)}."
            )
        object.__setattr__(self, "objects", tuple(sorted(self.objects, key=lambda one: one.id)))

    @cached_property
    def rgb(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8; an InputError names broken bytes, or another size than the camera's."""
        picture = _decoded(self.image, cv2.IMREAD_COLOR)
        self._check_size(picture, "image")
        return np.ascontiguousarray(picture[..., ::-1], dtype=np.uint8)

    @cached_property
    def depth_m(self) -> Float32Array:
        """(H, W) float32 metres, NaN for none; all NaN without a depth image. Errors as ``rgb``."""
        if not self.depth_png:
            return np.full((self.intrinsics.height, self.intrinsics.width), np.nan, np.float32)
        units = self._sixteen_bits(self.depth_png, "depth_png")
        depth: Float32Array = units.astype(np.float32) / np.float32(DEPTH_UNITS_PER_M)
        depth[depth == 0] = np.nan
        return depth

    @cached_property
    def labels(self) -> NDArray[np.uint16] | None:
        """(H, W) uint16 object ids per pixel, 0 for none; None: unknown."""
        return self._sixteen_bits(self.labels_png, "labels_png") if self.labels_png else None

    def mask(self, object_id: int) -> BoolArray | None:
        """(H, W) bool: the pixels that show an object; None: unknown.

        Args:
            object_id: of one of ``objects``.

        Returns:
            A new mask.
        """
        return None if self.labels is None else self.labels == object_id

    def frame(self) -> RgbdFrame:
        """The frame as a node would see it.

        Returns:
            A new frame.
        """
        return RgbdFrame(
            rgb=self.rgb,
            depth_m=self.depth_m,
            intrinsics=self.intrinsics,
            stamp_ns=self.stamp_ns,
            frame_id=OPTICAL_FRAME,
        )

    @property
    def is_complete(self) -> bool:
        """Whether the objects are all that is in the frame: so unless ``provenance`` says "complete": false.

        Recordings of which a person labelled a part say it: what is not annotated must not be taught as absent.
        """
        try:
            about = json.loads(self.provenance)
        except ValueError:
            return True
        return not (isinstance(about, dict) and about.get("complete") is False)

    def by_id(self, object_id: int) -> ObjectRecord | None:
        """The object of that id, None when there is none.

        Args:
            object_id: as in ``objects``.

        Returns:
            The object.
        """
        return next((one for one in self.objects if one.id == object_id), None)

    def _sixteen_bits(self, data: bytes, name: str) -> NDArray[np.uint16]:
        """(H, W) uint16 of a PNG."""
        picture = _decoded(data, cv2.IMREAD_UNCHANGED)
        self._check_size(picture, name)
        if picture.dtype != np.uint16 or picture.ndim != 2:
            raise InputError(
                f"Frame {self.id}, {name}: expected one channel of 16 bits, got {picture.dtype} of {picture.shape}."
            )
        return np.asarray(picture, np.uint16)

    def _check_size(self, picture: NDArray[Any], name: str) -> None:
        """Nothing; an InputError where an image has not the camera's size, or is none."""
        size = (self.intrinsics.height, self.intrinsics.width)
        if picture.shape[:2] != size:
            found = f"{picture.shape[1]}x{picture.shape[0]}" if picture.size else "bytes that are no image"
            raise InputError(f"Frame {self.id}, {name}: expected an image of {size[1]}x{size[0]} px, got {found}.")


def _decoded(data: bytes, flags: int) -> NDArray[Any]:
    """The pixels of an encoded image; empty where it is none."""
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    return np.empty((0, 0), np.uint8) if picture is None else np.asarray(picture)


QUESTION_KINDS = ("detection", "category", "referring", "reasoning")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class QuestionRecord:
    """Something that can be asked about a frame, with what is to be answered.

    The words of the prompts are not here: ``n3d_ros.codec`` makes them (``detection_text``, ``grounding_text``,
    ``referring_text``, ``question_text``), so that training and node never differ.

    Args:
        id: unique in its data set; begins with the frame's id.
        frame_id: the frame's id.
        kind: one of ``QUESTION_KINDS``: all objects; all of some categories; particular objects by expressions;
            a question to reason about.
        names: categories or expressions, for "category" and "referring".
        question: in words, for "reasoning"; else empty.
        object_ids: what is to be found, in the order in which boxes are to be written.
        question_class: class of the benchmark for "reasoning" ("left_right", "distance", ...), else the kind.
        reasoning: the steps in words, every number of them checked; empty for grounding.
        answer: the final sentence; empty for grounding.
        value_type: name of ``scene.spatial_answer.ValueType`` in lower case: "number", "boolean", "count", "text",
            "position", "size", "direction"; "none" for grounding.
        value: number as text ("1.25", metres; "3"), "yes" or "no", the chosen object's name, ...; "" for none.
        unit: "m", "1" or "".
        viewpoint: "camera", "opposite", or "object:<id>" for questions asked from elsewhere.
        target_box: which box of the objects the answer rests on: "visible" or "full".
    """

    id: str
    frame_id: str
    kind: str
    names: tuple[str, ...] = ()
    question: str = ""
    object_ids: tuple[int, ...] = ()
    question_class: str = ""
    reasoning: str = ""
    answer: str = ""
    value_type: str = "none"
    value: str = ""
    unit: str = ""
    viewpoint: str = "camera"
    target_box: str = "visible"

    def __post_init__(self) -> None:
        """Checks that the kind and what it needs are there.

        Raises:
            InputError: an unknown kind, or a question without words.
        """
        if self.kind not in QUESTION_KINDS:
            raise InputError(f"QuestionRecord.kind: expected one of {', '.join(QUESTION_KINDS)}, got {self.kind!r}.")
        if (self.kind == "reasoning") != bool(self.question) or (self.kind in ("category", "referring")) != bool(
            self.names
        ):
            raise InputError(
                f"QuestionRecord {self.id}: expected words for the kind {self.kind!r}, "
                f"got question {self.question!r} and names {self.names}."
            )
        object.__setattr__(self, "question_class", self.question_class or self.kind)
