"""A guess from what is usual: the classes seen most, each where and as large as it is on average.

What a grounder that never looks at the image would reach; whoever looks has to be clearly better.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from model_training.data.records import FrameRecord, ObjectRecord
from model_training.evaluation.asked import AskedFor, asked_objects, class_name
from n3d_ros.detection import Detection3D
from n3d_ros.errors import InputError
from n3d_ros.frame import RgbdFrame
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.inference.grounder import GroundingRequest, GroundingResult


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClassPrior:
    """What is usual of a class.

    Args:
        label: its name.
        per_frame: how many there are in a frame, on average.
        box: mean centre and size of what is seen of one, along the camera's axes.
    """

    label: str
    per_frame: float
    box: Box3D


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Priors:
    """What is usual in a data set.

    Args:
        classes: the most frequent first.
        objects_per_frame: mean number of objects.
        frames: how many frames were counted.
    """

    classes: tuple[ClassPrior, ...]
    objects_per_frame: float
    frames: int


def measure_priors(records: Iterable[FrameRecord], rule: AskedFor | None = None) -> Priors:
    """What is usual in frames.

    Args:
        records: of a data set to train on.
        rule: which objects count.

    Returns:
        The priors.

    Raises:
        InputError: no frames, or none with an object that counts.
    """
    seen: defaultdict[str, list[tuple[ObjectRecord, Box3D]]] = defaultdict(list)
    frames = 0
    for record in records:
        frames += 1
        for one in asked_objects(record, (), rule or AskedFor())[0]:
            if one.visible_box is not None:
                seen[class_name(one.label)].append((one, one.visible_box))
    if not seen:
        raise InputError(f"Priors: expected frames with objects that have visible boxes, got {frames} frames without.")
    classes = [
        ClassPrior(
            label=members[0][0].label,
            per_frame=len(members) / frames,
            box=Box3D.axis_aligned(
                np.mean([box.center for _, box in members], axis=0), np.mean([box.size for _, box in members], axis=0)
            ),
        )
        for members in seen.values()
    ]
    classes.sort(key=lambda one: (-one.per_frame, one.label))
    return Priors(classes=tuple(classes), objects_per_frame=sum(map(len, seen.values())) / frames, frames=frames)


class PriorsGrounder:
    """Finds in every frame what is usual.

    Args:
        priors: measured on a data set.
    """

    name = "priors"
    device = "cpu"
    open_vocabulary = False

    def __init__(self, priors: Priors) -> None:
        self._priors = priors
        self.facts = (
            f"A guess from {priors.frames} frames: {priors.objects_per_frame:.1f} objects a frame, "
            f"{len(priors.classes)} classes, each where it is on average.",
        )

    def ground(
        self,
        frame: RgbdFrame,  # noqa: ARG002
        request: GroundingRequest,
        *,
        on_detection: Callable[[Detection3D], None] | None = None,
        is_cancelled: Callable[[], bool] | None = None,  # noqa: ARG002
    ) -> GroundingResult:
        """The usual objects, whatever the frame shows.

        Args:
            frame: not looked at.
            request: of a phrase, the class that it names.
            on_detection: told of each.
            is_cancelled: not asked.

        Returns:
            As many boxes as frames usually have objects, the most frequent classes first.
        """
        if request.phrase is None:
            chosen = self._priors.classes[: max(1, round(self._priors.objects_per_frame))]
        else:
            wanted = {class_name(one) for one in request.phrase.split(";")}
            named = tuple(one for one in self._priors.classes if class_name(one.label) in wanted)
            chosen = named or self._priors.classes[:1]
        detections = [Detection3D(label=one.label, box=one.box, score=min(one.per_frame, 1.0)) for one in chosen][
            : request.max_objects
        ]
        for detection in detections:
            if on_detection is not None:
                on_detection(detection)
        return GroundingResult(detections=tuple(detections))

    def close(self) -> None:
        """Nothing is held."""
