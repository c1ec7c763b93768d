"""A run compared with what a golden file expects of it.

Objects of one image are paired by overlap, so that the sum over all pairs is largest (Hungarian method); only then are
centre, lengths, turn, score and label looked at. So a changed label is told as that, and not as one object missing and
another one too many.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from n3d_ros.errors import InputError
from n3d_ros.geometry.box_comparison import box_difference
from n3d_ros.geometry.iou import iou_3d
from n3d_ros.ros.golden.expected import ExpectedAnswer, ExpectedImage, ExpectedObject, Golden, Tolerances
from n3d_ros.ros.golden.values import value_difference
from n3d_ros.scene.assignment import assign

ROUNDING = 1e-9  # of a comparison: equal boxes overlap by 1 less the rounding of their volumes
SAME_LABEL_WORTH = 0.2  # of overlap: between two that lie as well, the one that is called the same is meant


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that is not as expected.

    Args:
        kind: "image", "status", "frame", "missing", "extra", "label", "overlap", "centre", "size", "yaw", "score" or
            "answer".
        subject: label of the object, or the question.
        expected: in words.
        found: in words.
        badness: how many times the tolerance it is off; infinite where there is none.
    """

    kind: str
    subject: str
    expected: str
    found: str
    badness: float = math.inf

    @property
    def sentence(self) -> str:
        """Such as "red box: centre off by 0.052 m, at most 0.010 m expected"."""
        return f"{self.subject}: {self.kind}: expected {self.expected}, found {self.found}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedCase:
    """One image or one question, and how it differs.

    Args:
        group: "images" or "questions".
        name: of the case, for people.
        at_s: seconds since the first image; None for a question.
        compared: number of objects compared; 1 for a question.
        differences: empty when all is as expected.
    """

    group: str
    name: str
    at_s: float | None = None
    compared: int = 0
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A run beside its golden file.

    Args:
        cases: one per expected image and question.
        tolerances: that were used.
        notes: sentences about what was not compared or is of another kind than then.
    """

    cases: tuple[ComparedCase, ...]
    tolerances: Tolerances
    notes: tuple[str, ...] = ()

    @property
    def differences(self) -> int:
        """How many there are."""
        return sum(len(case.differences) for case in self.cases)

    @property
    def is_same(self) -> bool:
        """Whether everything is as expected."""
        return self.differences == 0


def compare(golden: Golden, found: Golden, tolerances: Tolerances) -> Comparison:
    """Compares a run with a golden file.

    Args:
        golden: the file.
        found: the run, in the same form.
        tolerances: what may differ.

    Returns:
        The comparison.

    Raises:
        InputError: the file expects nothing, or none of its images is in the recording (reason ``other_recording``).
    """
    if not golden.images and not golden.answers:
        raise InputError("The golden file expects nothing: it has neither frames nor questions.")
    by_stamp = {image.stamp_ns: image for image in found.images}
    known = [image for image in golden.images if image.stamp_ns in by_stamp]
    if golden.images and not known:
        raise InputError(
            f"None of the {len(golden.images)} expected images is in this recording: the golden file is of "
            f"{golden.recording.name!r} ({golden.recording.duration_s:g} s), this is {found.recording.name!r} "
            f"({found.recording.duration_s:g} s).",
            reason="other_recording",
        )
    start_ns = min((image.stamp_ns for image in golden.images), default=0)
    images = [_image_case(image, by_stamp.get(image.stamp_ns), start_ns, tolerances) for image in golden.images]
    answers = [_answer_case(i, one, found.answers, tolerances) for i, one in enumerate(golden.answers)]
    return Comparison(
        cases=(*images, *answers), tolerances=tolerances, notes=tuple(_notes(golden, found, len(by_stamp) - len(known)))
    )


def _notes(golden: Golden, found: Golden, unexpected: int) -> list[str]:
    """What a reader of the comparison should know."""
    notes = []
    if golden.recording.digest and golden.recording.digest != found.recording.digest:
        notes.append(
            f"The recording is not the one that was saved ({golden.recording.name!r}): its topics, counts or times "
            "differ."
        )
    if unexpected:
        notes.append(f"{unexpected} images of the recording are not in the golden file and were not compared.")
    if golden.backend != found.backend:
        notes.append(f"Saved with the grounder {golden.backend!r}, run with {found.backend!r}.")
    if golden.package_version != found.package_version:
        notes.append(f"Saved with n3d_ros {golden.package_version or '?'}, run with {found.package_version or '?'}.")
    names = sorted({*golden.settings, *found.settings})
    changed = [name for name in names if golden.settings.get(name) != found.settings.get(name)]
    for name in changed[:16]:
        saved, now = (str(of.settings.get(name, "its default"))[:64] for of in (golden, found))
        notes.append(f"Parameter {name}: saved with {saved}, run with {now}.")
    return notes


def _image_case(
    expected: ExpectedImage, found: ExpectedImage | None, start_ns: int, tolerances: Tolerances
) -> ComparedCase:
    """One image."""
    at_s = (expected.stamp_ns - start_ns) / 1e9
    case = ComparedCase(group="images", name=f"image at {at_s:.3f} s", at_s=at_s, compared=len(expected.objects))
    if found is None:
        missing = Difference(kind="image", subject="image", expected="to be looked at", found="no such image")
        return replace(case, differences=(missing,))
    if found.status != expected.status:
        status = Difference(kind="status", subject="image", expected=expected.status, found=found.status)
        return replace(case, differences=(status,))
    if found.frame_id != expected.frame_id:
        frame = Difference(
            kind="frame", subject="image", expected=f"boxes in {expected.frame_id!r}", found=f"in {found.frame_id!r}"
        )
        return replace(case, differences=(frame,))
    return replace(case, differences=tuple(object_differences(expected.objects, found.objects, tolerances)))


def object_differences(
    expected: Sequence[ExpectedObject], found: Sequence[ExpectedObject], tolerances: Tolerances
) -> list[Difference]:
    """How the objects of one image differ.

    Args:
        expected: of the file.
        found: of the run, in the same frame.
        tolerances: what may differ.

    Returns:
        Differences, object by object in the order of the file; then what is found beyond it.
    """
    pairs = dict(pair_objects(expected, found))
    differences: list[Difference] = []
    for i, one in enumerate(expected):
        if i in pairs:
            differences += _pair_differences(one, found[pairs[i]], tolerances)
        else:
            place = _place(one)
            differences.append(Difference(kind="missing", subject=one.label, expected=place, found="nothing there"))
    taken = set(pairs.values())
    for j, one in enumerate(found):
        if j not in taken:
            place = _place(one)
            differences.append(Difference(kind="extra", subject=one.label, expected="nothing there", found=place))
    return differences


def pair_objects(expected: Sequence[ExpectedObject], found: Sequence[ExpectedObject]) -> list[tuple[int, int]]:
    """Which found object is which expected one.

    Args:
        expected: of the file.
        found: of the run.

    Returns:
        Pairs of indices, each at most once: those that overlap, and those of the same label whose centres are within
        half a diagonal; of all ways to pair them the one with the largest overlap altogether.
    """
    worth = np.zeros((len(expected), len(found)))
    for i, wanted in enumerate(expected):
        reach_m = float(np.linalg.norm(wanted.box.size)) / 2
        for j, one in enumerate(found):
            same = wanted.label == one.label
            overlap = iou_3d(wanted.box, one.box)
            nearness = 1 - float(np.linalg.norm(wanted.box.center - one.box.center)) / reach_m
            if overlap > 0 or (same and nearness > 0):
                worth[i, j] = 0.01 + overlap + SAME_LABEL_WORTH * same + 0.01 * max(nearness, 0.0)
    return assign(-worth, np.asarray(worth > 0))


def _pair_differences(expected: ExpectedObject, found: ExpectedObject, tolerances: Tolerances) -> list[Difference]:
    """How one object differs."""
    off = box_difference(expected.box, found.box, any_yaw=expected.any_yaw)
    differences: list[Difference] = []

    def check(kind: str, value: float, most: float, digits: int, unit: str) -> None:
        if value > most + ROUNDING:
            differences.append(
                Difference(
                    kind=kind,
                    subject=expected.label,
                    expected=f"at most {most:.{digits}f}{unit} off",
                    found=f"{value:.{digits}f}{unit}",
                    badness=value / most if most > 0 else math.inf,
                )
            )

    if found.label != expected.label:
        label = Difference(kind="label", subject=expected.label, expected=expected.label, found=found.label)
        differences.append(label)
    if off.iou < tolerances.min_iou - ROUNDING:
        least, iou = tolerances.min_iou, off.iou
        badness = least / iou if iou > 0 else math.inf
        overlap = Difference(
            kind="overlap",
            subject=expected.label,
            expected=f"IoU from {least:.2f}",
            found=f"{iou:.2f}",
            badness=badness,
        )
        differences.append(overlap)
    check("centre", off.center_m, tolerances.center_m, 4, " m")
    check("size", off.size_m, tolerances.size_m, 4, " m")
    check("yaw", math.degrees(off.turn_rad), tolerances.yaw_deg, 2, " deg")
    if expected.score is not None:
        check("score", abs((found.score or 0.0) - expected.score), tolerances.score, 3, "")
    return differences


def _answer_case(
    number: int, expected: ExpectedAnswer, found: Sequence[ExpectedAnswer], tolerances: Tolerances
) -> ComparedCase:
    """One question; the answers of the run are in order of time, so they are found by text and time."""
    question = expected.question
    case = ComparedCase(group="questions", name=f"question {number + 1}: {question.text}", compared=1)
    given = next((one for one in found if one.question == question), None)
    if given is None:
        nothing = Difference(kind="answer", subject=question.text, expected="an answer", found="none")
        return replace(case, differences=(nothing,))
    differences = []
    if expected.status is not None and given.status != expected.status:
        found_text = f"{given.status}: {given.answer}"
        differences.append(_of_answer(expected, "status " + expected.status, found_text))
    elif (told := value_difference(expected, given, tolerances)) is not None:
        differences.append(_of_answer(expected, *told))
    if expected.objects is not None and sorted(expected.objects) != sorted(given.objects or ()):
        differences.append(_of_answer(expected, _listed(expected.objects), _listed(given.objects or ())))
    return replace(case, differences=tuple(differences))


def _of_answer(expected: ExpectedAnswer, wanted: str, found: str) -> Difference:
    """A difference of an answer."""
    return Difference(kind="answer", subject=expected.question.text, expected=wanted, found=found)


def _listed(labels: Sequence[str]) -> str:
    """Labels in words."""
    return "about " + (", ".join(sorted(labels)) or "no object")


def _place(one: ExpectedObject) -> str:
    """Such as "at 0.100, 0.000, 0.750 m, 0.20 x 0.10 x 0.10 m"."""
    center = ", ".join(f"{value:.3f}" for value in one.box.center)
    return f"at {center} m, " + " x ".join(f"{value:.3f}" for value in one.box.size) + " m"
