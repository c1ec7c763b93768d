"""What a golden file holds, as types."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from n3d_ros.errors import InputError
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.ros.bag_questions import BagQuestion

FORMAT = "n3d golden file"
VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerances:
    """By how much a run may differ. The defaults let through what another processor makes of the same images.

    Args:
        min_iou: smallest intersection over union of a box with the expected one, 0 to 1.
        center_m: largest distance of the centres, metres.
        size_m: largest difference of a length, metres.
        yaw_deg: largest turn of a box, degrees.
        score: largest difference of the score.
        value_share: largest difference of a number in an answer, as a share of it; lengths may also differ by
            ``center_m``, angles by ``yaw_deg``.
    """

    min_iou: float = 0.5
    center_m: float = 0.01
    size_m: float = 0.01
    yaw_deg: float = 5.0
    score: float = 0.1
    value_share: float = 0.02

    def __post_init__(self) -> None:
        """Checks the ranges.

        Raises:
            InputError: one is not finite, or below 0; or ``min_iou`` above 1.
        """
        for name, value in asdict(self).items():
            most = 1.0 if name == "min_iou" else math.inf
            if not (math.isfinite(value) and 0 <= value <= most):
                limit = "a number from 0 to 1" if most == 1 else "a finite number from 0 on"
                raise InputError(f"Tolerance {name}: expected {limit}, got {value}.")

    @classmethod
    def of(cls, *given: Mapping[str, float]) -> Tolerances:
        """Tolerances from several places.

        Args:
            given: values by name; later places win.

        Returns:
            With the defaults for what none names.
        """
        merged: dict[str, float] = {}
        for values in given:
            merged.update(values)
        return cls(**merged)


TOLERANCES = tuple(one.name for one in fields(Tolerances))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExpectedObject:
    """An object that an image is expected to show.

    Args:
        label: in words.
        box: in the frame of the image's results.
        score: 0 to 1; None: does not count.
        any_yaw: whether it looks the same however it is turned about its z axis.
    """

    label: str
    box: Box3D
    score: float | None = None
    any_yaw: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExpectedImage:
    """What one image is expected to show.

    Args:
        stamp_ns: of the image.
        frame_id: of the boxes.
        status: name of the status code: "OK", or why there is no result.
        objects: all of them.
    """

    stamp_ns: int
    frame_id: str
    status: str = "OK"
    objects: tuple[ExpectedObject, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExpectedAnswer:
    """A question and what is expected of its answer. What is None does not count.

    Args:
        question: text and time.
        status: name of the status code.
        value: bool, number, words, three numbers, or None.
        unit: of the value.
        objects: labels of the objects that the answer rests on, in any order.
        answer: the sentence; it is shown and not compared, as its wording may get better.
    """

    question: BagQuestion
    status: str | None = None
    value: Any = None
    unit: str | None = None
    objects: tuple[str, ...] | None = None
    answer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingIdentity:
    """Which recording a golden file belongs to.

    Args:
        name: of the bag's folder or file.
        duration_s: from the first message to the last.
        topics: the camera's topics by role.
        messages: number of messages of each topic that counts: the camera's and tf.
        digest: of names, types and counts of these topics, and of the bag's times.
    """

    name: str
    duration_s: float
    topics: Mapping[str, str]
    messages: Mapping[str, int]
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Golden:
    """A golden file.

    Args:
        package_version: that wrote it.
        recording: the bag.
        backend: what found the objects.
        settings: parameters that differed from their defaults, by name.
        tolerances: that hold for this file; what is not in it has its default.
        images: in order of time.
        answers: in the order in which they are asked.
    """

    package_version: str
    recording: RecordingIdentity
    backend: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    tolerances: Mapping[str, float] = field(default_factory=dict)
    images: tuple[ExpectedImage, ...] = ()
    answers: tuple[ExpectedAnswer, ...] = ()
