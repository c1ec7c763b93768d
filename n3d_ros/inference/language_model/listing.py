"""The list of boxes while the model writes it: each is measured, scored and handed on as soon as its line ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from n3d_ros.codec.box_code import BoxCode, decode_box
from n3d_ros.codec.model_input import DecodeContext
from n3d_ros.detection import Detection3D
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.geometry.iou import iou_3d
from n3d_ros.inference.language_model.box_stream import BoxStream, StreamedBox
from n3d_ros.inference.language_model.calibration import Calibration
from n3d_ros.inference.language_model.config import LanguageModelConfig
from n3d_ros.inference.language_model.measured import MeasuredBox, MeasuredFrame, SeenObject, measure_box
from n3d_ros.inference.language_model.scores import ScoreFeatures, TokenEvidence, place_doubt, score_features
from n3d_ros.inference.timing import Stages

_SHOWN_LINES = 3  # rejected lines quoted in a note
_SHOWN_CHARACTERS = 80
_FIELD_WORDS = {
    "u": "the image's left or right border",
    "v": "the image's upper or lower border",
    "depth": "an end of the depth that can be expressed",
    "size_x": "the width that can be expressed",
    "size_y": "the height that can be expressed",
    "size_z": "the length that can be expressed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundBox:
    """A box of the list.

    Args:
        detection: refined, with score.
        raw: as the model said it, with the same score.
        code: as the model wrote it.
        index: the number that the model gave it.
        features: the evidence behind the score.
    """

    detection: Detection3D
    raw: Detection3D
    code: BoxCode
    index: int
    features: ScoreFeatures


class BoxListing:
    """Collects the boxes of one answer.

    Args:
        config: what counts as a repetition, and whether boxes are refined.
        context: of the frame.
        measured: gives what depth says about the frame; asked for with the first box.
        calibration: turns evidence into scores.
        max_objects: the list ends after so many.
        stages: where the time of measuring is added.
        on_detection: called with each object.
    """

    def __init__(
        self,
        config: LanguageModelConfig,
        context: DecodeContext,
        measured: Callable[[], MeasuredFrame],
        calibration: Calibration,
        *,
        max_objects: int,
        stages: Stages,
        on_detection: Callable[[Detection3D], None] | None = None,
    ) -> None:
        self.found: list[FoundBox] = []
        """In the order in which the model named them."""
        self.stop_reason: str | None = None
        """Why no more boxes are wanted; None: more are."""
        self._config = config
        self._context = context
        self._measured = measured
        self._calibration = calibration
        self._max_objects = max_objects
        self._stages = stages
        self._on_detection = on_detection
        self._stream = BoxStream()
        self._seen: list[tuple[str, Box3D]] = []
        self._taken: list[SeenObject] = []
        self._repeats_in_a_row = 0
        self._repeats = 0
        self._doubtful = 0
        self._clipped: list[str] = []
        self._cut_names = 0

    def add(self, tokens: Iterable[TokenEvidence]) -> None:
        """Takes the next tokens of the answer.

        Args:
            tokens: in order.
        """
        for streamed in self._stream.add(tokens):
            self._take(streamed)

    def finish(self, *, complete: bool) -> None:
        """Takes note of the answer's end.

        Args:
            complete: the model ended by itself, so that a last line without newline counts.
        """
        for streamed in self._stream.finish(complete=complete):
            self._take(streamed)

    @property
    def best_first(self) -> list[FoundBox]:
        """The boxes by falling score; among equal ones the model's order."""
        return sorted(self.found, key=lambda found: -(found.detection.score or 0.0))

    @property
    def rejected_count(self) -> int:
        """Lines of the answer that could not be read."""
        return len(self._stream.rejected)

    @property
    def notes(self) -> list[str]:
        """What a user should know about the list."""
        notes = list(self._clipped)
        if self._repeats:
            notes.append(f"{_count(self._repeats, 'box')} named again and left out.")
        if self._doubtful:
            notes.append(f"{_count(self._doubtful, 'box')} below min_score left out.")
        if self._cut_names:
            notes.append(f"{_count(self._cut_names, 'name')} may be cut off: as long as a name can be.")
        rejected = self._stream.rejected
        if rejected:
            shown = "; ".join(f"{r.line[:_SHOWN_CHARACTERS]!r}: {r.reason}" for r in rejected[:_SHOWN_LINES])
            notes.append(f"{_count(len(rejected), 'line')} of the answer could not be read: {shown}.")
        if self.stop_reason is not None:
            notes.append(self.stop_reason)
        return notes

    def _take(self, streamed: StreamedBox) -> None:
        """Measures, scores and hands on a box, unless it was there before or is one too many."""
        if self.stop_reason is not None:
            return
        code = streamed.parsed.code
        raw = decode_box(code, self._context)
        if self._is_repeated(code.label, raw):
            self._note_repeat()
            return
        self._repeats_in_a_row = 0
        frame = self._measured()
        with self._stages.timed("refine"):
            doubt = place_doubt(streamed.evidence, raw, self._context)
            measured = measure_box(raw, frame, refine=self._config.refine, doubt=doubt, taken=self._taken)
        found = self._scored(streamed, raw, measured)
        if (found.detection.score or 0.0) < self._config.min_score:
            self._doubtful += 1
            return
        self._note_clipping(code)
        self._cut_names += streamed.parsed.label_is_full
        self.found.append(found)
        if measured.seen is not None:
            self._taken.append(measured.seen)
        if len(self.found) >= self._max_objects:
            self.stop_reason = f"The list was ended at {_count(self._max_objects, 'object')}, as asked."
        if self._on_detection is not None:
            self._on_detection(found.detection)

    def _is_repeated(self, label: str, box: Box3D) -> bool:
        name = label.casefold()
        if any(name == known and iou_3d(box, other) > self._config.duplicate_iou for known, other in self._seen):
            return True
        self._seen.append((name, box))
        return False

    def _note_repeat(self) -> None:
        self._repeats += 1
        self._repeats_in_a_row += 1
        if 0 < self._config.max_repeats <= self._repeats_in_a_row:
            self.stop_reason = (
                f"The model repeated itself; the list was ended after {self._repeats_in_a_row} repetitions."
            )

    def _note_clipping(self, code: BoxCode) -> None:
        if code.saturated:
            ends = ", ".join(_FIELD_WORDS[name] for name in code.saturated)
            limits = f"{self._context.max_depth_m:.2f} m far, {self._context.max_size_m:.2f} m long"
            self._clipped.append(f"{code.label}: at {ends}; it may be larger or elsewhere (limits: {limits}).")

    def _scored(self, streamed: StreamedBox, raw: Box3D, measured: MeasuredBox) -> FoundBox:
        features = score_features(
            streamed.evidence,
            raw,
            self._context,
            support_ratio=measured.support_ratio,
            agreement=measured.agreement,
        )
        score = float(self._calibration.probability(features.array()))
        label = streamed.parsed.code.label
        detection = Detection3D(
            label=label,
            box=measured.box,
            score=score,
            support_ratio=measured.support_ratio,
            color=measured.color,
            shape=measured.shape,
            uncertainty=measured.uncertainty,
            point_count=measured.point_count,
            mask=measured.mask,
        )
        raw_detection = Detection3D(label=label, box=raw, score=score)
        parsed = streamed.parsed
        return FoundBox(detection=detection, raw=raw_detection, code=parsed.code, index=parsed.index, features=features)


def _count(number: int, noun: str) -> str:
    """A number with its noun: "1 box", "2 boxes"."""
    plural = "es" if noun.endswith("x") else "s"
    return f"{number} {noun}{'' if number == 1 else plural}"
