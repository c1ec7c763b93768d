"""What data sets of photographs say of them: labelled 2-D boxes with outlines, whatever file they come from."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from model_training.lifting.outlines import Outline, outline_of, outline_row
from n3d_ros.errors import InputError
from n3d_ros.geometry.camera import CameraIntrinsics

Box2D = tuple[float, float, float, float]
"""Left, top, right, bottom, pixels counted from the image's corner: the first pixel spans 0 to 1."""

REMARKS = ("group", "depiction", "reflection", "inside")
"""What an annotation may say of itself: several things in one box, a drawing or figure of the thing, its image in a
mirror, or that it was taken from inside of it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Annotation2D:
    """One labelled box of an image.

    Args:
        id: as its file calls it.
        label: its category in words, lower case.
        box_2d: left, top, right, bottom: pixels, or shares of the image where ``AnnotatedImage.is_normalized``.
        outline: its mask in one of several forms; None: the box alone is known.
        remarks: of ``REMARKS``.
        score: certainty of a label that no person made, 0 to 1; None: made by a person.
    """

    id: str
    label: str
    box_2d: Box2D
    outline: Outline | None = None
    remarks: tuple[str, ...] = ()
    score: float | None = None

    @property
    def is_group(self) -> bool:
        """Whether it holds several things (COCO's crowd, OpenImages' group-of)."""
        return "group" in self.remarks


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenCamera:
    """What is known of the camera of an image.

    Args:
        fx: focal length along x, pixels.
        fy: focal length along y, pixels.
        cx: principal point, pixels from the centre of the first pixel.
        cy: principal point, pixels from the centre of the first pixel.
        width: of the image that the numbers belong to, pixels.
        height: of that image, pixels.
        up: unit vector against gravity in the optical frame; None: unknown.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int
    up: tuple[float, float, float] | None = None

    def __post_init__(self) -> None:
        """Checks the numbers.

        Raises:
            CalibrationError: no camera has them.
            InputError: an up vector that is none.
        """
        self.intrinsics()
        if self.up is not None and not abs(math.hypot(*self.up) - 1.0) < 0.01:
            raise InputError(f"Camera: expected a unit vector for up, got {self.up}.")

    def intrinsics(self) -> CameraIntrinsics:
        """The pinhole camera."""
        return CameraIntrinsics(fx=self.fx, fy=self.fy, cx=self.cx, cy=self.cy, width=self.width, height=self.height)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AnnotatedImage:
    """An image with all its annotations.

    Args:
        id: as its file calls it.
        file_name: relative to the folder of images.
        width: as the annotations state it, pixels; 0: they do not.
        height: as the annotations state it, pixels; 0: they do not.
        annotations: in the order of their file.
        is_normalized: whether boxes are shares of the image's width and height instead of pixels.
        licence: as its file states it; "" when it does not.
        camera: as the annotations state it; None: they do not.
    """

    id: str
    file_name: str
    width: int
    height: int
    annotations: tuple[Annotation2D, ...]
    is_normalized: bool = False
    licence: str = ""
    camera: GivenCamera | None = None

    def in_pixels(self, width: int, height: int) -> AnnotatedImage:
        """The same with boxes in pixels.

        Args:
            width: of the image itself, pixels.
            height: of the image itself, pixels.

        Returns:
            Itself where boxes are in pixels already.
        """
        if not self.is_normalized:
            return self
        boxes = [one.box_2d for one in self.annotations]
        scaled = [(left * width, top * height, right * width, bottom * height) for left, top, right, bottom in boxes]
        annotations = tuple(replace(one, box_2d=box) for one, box in zip(self.annotations, scaled, strict=True))
        return replace(self, annotations=annotations, width=width, height=height, is_normalized=False)


def image_row(image: AnnotatedImage) -> dict[str, Any]:
    """An image with its annotations as JSON-ready values.

    Args:
        image: the image.

    Returns:
        Values by field.
    """
    row: dict[str, Any] = {
        name: getattr(image, name) for name in ("id", "file_name", "width", "height", "is_normalized", "licence")
    }
    camera = image.camera
    row["camera"] = None if camera is None else {name: getattr(camera, name) for name in GivenCamera.__slots__}
    row["annotations"] = [
        {
            "id": one.id,
            "label": one.label,
            "box_2d": list(one.box_2d),
            "outline": outline_row(one.outline),
            "remarks": list(one.remarks),
            "score": one.score,
        }
        for one in image.annotations
    ]
    return row


def image_of(row: dict[str, Any]) -> AnnotatedImage:
    """The image of such values.

    Args:
        row: as ``image_row`` gives them.

    Returns:
        The image.

    Raises:
        InputError: a field is missing or has another form.
    """
    try:
        annotations = tuple(
            Annotation2D(
                id=one["id"],
                label=one["label"],
                box_2d=tuple(one["box_2d"]),
                outline=outline_of(one["outline"]),
                remarks=tuple(one["remarks"]),
                score=one["score"],
            )
            for one in row["annotations"]
        )
        camera = None if row["camera"] is None else camera_of(row["camera"])
        rest = {name: row[name] for name in ("id", "file_name", "width", "height", "is_normalized", "licence")}
    except (KeyError, TypeError) as error:
        raise InputError(f"Annotated image: a field is missing or has another form ({error}).") from None
    return AnnotatedImage(**rest, annotations=annotations, camera=camera)


def camera_of(row: Any) -> GivenCamera:
    """The camera of JSON values.

    Args:
        row: ``fx``, ``fy``, ``cx``, ``cy``, ``width``, ``height`` and perhaps ``up``.

    Returns:
        The camera.

    Raises:
        InputError: a number is missing or none, or no camera has them.
    """
    try:
        numbers = {name: float(row[name]) for name in ("fx", "fy", "cx", "cy")}
        size = {name: int(row[name]) for name in ("width", "height")}
        up = row.get("up")
        upward = None if up is None else (float(up[0]), float(up[1]), float(up[2]))
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        raise InputError(
            f"Camera: expected the numbers fx, fy, cx, cy, width and height in pixels; missing or no number: {error}."
        ) from None
    return GivenCamera(**numbers, **size, up=upward)  # type: ignore[arg-type]
