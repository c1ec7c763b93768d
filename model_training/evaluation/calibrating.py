"""How likely a model's boxes are right, learnt from frames whose objects are known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from model_training.evaluation.asked import AskedFor, asked_objects
from model_training.evaluation.cases import Case
from model_training.evaluation.detection import BY_CLASS, LEVELS, MEASURES, DetectionScores
from model_training.evaluation.found import FoundObject, found_of
from n3d_ros.errors import ConfigurationError, GroundingError, InputError
from n3d_ros.frame import RgbdFrame
from n3d_ros.geometry.arrays import BoolArray, FloatArray
from n3d_ros.inference.grounder import GroundingRequest, GroundingResult
from n3d_ros.inference.language_model.calibration import (
    FEATURES,
    Calibration,
    Reliability,
    fit_calibration,
    reliability,
)
from n3d_ros.inference.language_model.listing import FoundBox

HELD_OUT, LEARNT = "held_out", "train"


class EvidentGrounder(Protocol):
    """A grounder that keeps the evidence behind its last boxes."""

    last_found: tuple[FoundBox, ...]

    def ground(self, frame: RgbdFrame, request: GroundingRequest) -> GroundingResult:
        """See ``n3d_ros.inference.grounder.Grounder``.

        Args:
            frame: the look at the world.
            request: what to look for.

        Returns:
            What was found.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JudgedBoxes:
    """Boxes of which it is known whether they were right.

    Args:
        features: (N, 8) float64 evidence, see ``calibration.FEATURES``.
        scores: (N,) float64 what the model's present calibration says, 0 to 1.
        correct: (N,) bool.
        frames: (N,) int64 number of each box's frame, ascending.
        looked_at: frames with a result.
        learnt: of these, frames of the split that models learn from.
        unmeasured: objects whose box of the measure is not known.
        skipped: frames that were left out, by reason.
    """

    features: FloatArray
    scores: FloatArray
    correct: BoolArray
    frames: NDArray[np.int64]
    looked_at: int
    learnt: int
    unmeasured: int
    skipped: Counter[str]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fit:
    """A calibration, and how good it is.

    Args:
        calibration: fitted to all boxes.
        before: of the scores that the model had.
        after: of scores fitted to one half of the frames, on the other half, both ways. The halves are the first and
            the last frames, for neighbours often show one scene.
    """

    calibration: Calibration
    before: Reliability
    after: Reliability


def judged_by(measure: str) -> str:
    """What counts as right, in words.

    Args:
        measure: one of ``MEASURES``.

    Returns:
        Words.
    """
    return f"right: the same name, {measure} boxes with an IoU of {LEVELS[0]:g} or more"


def judged_boxes(
    grounder: EvidentGrounder,
    cases: Iterable[Case],
    *,
    measure: str = MEASURES[0],
    limit: int = 0,
    asked_for: AskedFor | None = None,
    on_frame: Callable[[], None] | None = None,
) -> JudgedBoxes:
    """Looks for everything in frames, and holds what is found against the truth.

    Args:
        grounder: of the model.
        cases: frames and what is asked about them.
        measure: one of ``MEASURES``: what boxes are compared by.
        limit: frames to look at, at most; 0: all. Those left out do not count.
        asked_for: which objects count.
        on_frame: told after each frame.

    Returns:
        Boxes on things that count neither way are left out, and so are held-out and partly labelled frames.
    """
    scores, evidence = DetectionScores(measure), dict[FoundObject, tuple[FloatArray, int]]()
    skipped, splits = Counter[str](), Counter[str]()
    for number, case in enumerate(cases):
        try:
            found = _found(grounder, case)
        except (GroundingError, InputError) as error:
            skipped[error.reason] += 1
        else:
            evidence |= {one: (features, number) for one, features in found.items()}
            asked, ignored = asked_objects(case.record, [one.record for one in case.questions], asked_for or AskedFor())
            scores.add(case.record, tuple(found), asked, ignored)
            splits[case.record.split] += 1
        if on_frame is not None:
            on_frame()
        if limit and splits.total() == limit:
            break
    judged = scores.judged(BY_CLASS)
    rows = [evidence[one] for one, _ in judged]
    return JudgedBoxes(
        features=np.array([features for features, _ in rows]).reshape(-1, len(FEATURES)),
        scores=np.array([one.score for one, _ in judged], dtype=np.float64),
        correct=np.array([is_right for _, is_right in judged], dtype=bool),
        frames=np.array([number for _, number in rows], dtype=np.int64),
        looked_at=splits.total(),
        learnt=splits[LEARNT],
        unmeasured=scores.unmeasured,
        skipped=skipped,
    )


def _found(grounder: EvidentGrounder, case: Case) -> dict[FoundObject, FloatArray]:
    """The boxes of a frame with their evidence; InputError for a frame that must not or cannot teach."""
    record = case.record
    if record.split == HELD_OUT:
        raise InputError("Nothing is learnt from held-out frames.", reason="held out")
    if not record.is_complete:
        raise InputError("Not everything in the frame is labelled.", reason="not everything is labelled")
    frame = record.frame()
    result = grounder.ground(frame, GroundingRequest(up=None if record.up is None else np.array(record.up)))
    objects = found_of(result, frame, 0.0).objects
    if len(objects) != len(result.detections):
        raise InputError("A box has no extent.", reason="a box without extent")
    features = {id(one.detection): one.features.array() for one in grounder.last_found}
    return {one: features[id(said)] for one, said in zip(objects, result.detections, strict=True)}


def fit_scores(boxes: JudgedBoxes, about: str) -> Fit:
    """The calibration under which stated scores come closest to what was right.

    Args:
        boxes: judged.
        about: where they come from and what counted as right, for the file.

    Returns:
        The calibration and its worth.

    Raises:
        ConfigurationError: too few boxes, or all right or all wrong, also in a half of the frames.
    """
    numbers = np.unique(boxes.frames)
    is_first = np.isin(boxes.frames, numbers[: len(numbers) // 2])
    stated = np.zeros(len(boxes.correct))
    try:
        for half in (is_first, ~is_first):
            fitted = fit_calibration(boxes.features[half], boxes.correct[half])
            stated[~half] = fitted.probability(boxes.features[~half])
        whole = fit_calibration(boxes.features, boxes.correct, about=about)
    except InputError as error:
        raise ConfigurationError(
            f"Calibration: {error.message} Half of the frames must do for a fit; give more frames, or a model that "
            f"finds something. {boxes.looked_at} frames were looked at. Left out: {_told(boxes.skipped)}. Objects "
            f"whose box is not known: {boxes.unmeasured}."
        ) from error
    return Fit(
        calibration=whole,
        before=reliability(boxes.scores, boxes.correct),
        after=reliability(stated, boxes.correct),
    )


def _told(skipped: Counter[str]) -> str:
    """What was left out, in words."""
    parts: Sequence[str] = [f"{count} frames ({reason})" for reason, count in skipped.most_common(5)]
    return ", ".join(parts) or "nothing"
