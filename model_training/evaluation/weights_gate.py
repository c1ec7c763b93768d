"""What quantised weights cost, in our own measures: the same frames and questions before and after, or a refusal.

::

    the network as it is      -> boxes, answers     (also the truth, where frames come without one)
    the graphs as they run    -> boxes, answers     ONNX Runtime; bfloat16, which it lacks: the rounded network
    before - after            -> losses, held against the limit
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from model_training.data.records import FrameRecord, ObjectRecord
from model_training.evaluation.asked import same_class
from model_training.evaluation.cases import Case, ListedCases
from model_training.evaluation.detection import BY_CLASS, LEVELS
from model_training.evaluation.found import Found
from model_training.evaluation.gate_frames import (
    DEFAULT_FRAMES,
    GENERATED_SIZE,
    LEARNT_FRAMES,
    QUESTIONS,
    Recorded,
    cases_of,
    divided,
    with_questions,
)
from model_training.evaluation.looking import GrounderLooker
from model_training.evaluation.matching import match
from model_training.evaluation.overlap import aligned_iou
from model_training.evaluation.running import EvaluationConfig, case_result
from model_training.evaluation.scoring import score_run
from n3d_ros.codec.input_options import read_input_options
from n3d_ros.codec.tokenizer import load_tokenizer
from n3d_ros.errors import BackendError, ConfigurationError
from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.inference.export.quantizing import WeightKind
from n3d_ros.inference.export.smoothing import PACKAGE, SeenInputs, modelopt_version, smooth
from n3d_ros.inference.language_model.calibration import read_calibration
from n3d_ros.inference.language_model.config import LanguageModelConfig
from n3d_ros.inference.language_model.grounder import LanguageModelGrounder
from n3d_ros.inference.language_model.loading import Runtime
from n3d_ros.inference.torch_backend import TorchBackend
from n3d_ros.model.decoder_graph import DecoderGraph

if TYPE_CHECKING:
    from n3d_ros.model.checkpoint import LoadedModel

DEFAULT_MAX_LOSS = 0.05
"""Of F1 and of right answers: one to three standard errors of 24 frames, where rounding moves some boxes across the
border of a match either way (docs/benchmarks/backends_2cores_202611.md)."""

RESAMPLES = 400  # of the frames, for standard errors

MEASURE = "visible"  # of boxes: what models write
BOXES, ANSWERS, CORNERS = "boxes", "answers", "corners_mm"
HEADER = ("measured", "before", "after", "lost", "+-", "at most")
WORDS = {BOXES: f"boxes (F1 at IoU {LEVELS[0]:g})", ANSWERS: "answers (share right)"}
Tell = Callable[[str, float], None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Looks:
    """What a model made of all frames.

    Args:
        counts: (F, 5) per frame: boxes that hit, boxes, true objects; right answers, answers that can be judged.
        found: per frame.
        problems: sentences of looks that failed.
    """

    counts: FloatArray
    found: tuple[Found, ...]
    problems: tuple[str, ...]

    def f1(self, frames: NDArray[np.int64] | slice = slice(None)) -> float:
        """F1 of the boxes of some frames; 0 where there is nothing to find.

        Args:
            frames: which ones, all by default.

        Returns:
            0 to 1.
        """
        hits, found, truths = self.counts[frames, :3].sum(axis=0)
        return float(2 * hits / max(found + truths, 1))

    def answers(self, frames: NDArray[np.int64] | slice = slice(None)) -> float:
        """Share of the answers of some frames that are right; 0 where none can be judged.

        Args:
            frames: which ones, all by default.

        Returns:
            0 to 1.
        """
        right, judged = self.counts[frames, 3:].sum(axis=0)
        return float(right / max(judged, 1))


@dataclass(slots=True, kw_only=True)
class WeightsGate:
    """Refuses quantised weights that lose too many boxes or answers; see ``export.language_model.Gate``.

    Args:
        cases: frames; where none has a known object, what the unquantised model finds is taken for the truth.
        learnt: frames that ModelOpt learns from, none of ``cases``; empty: weights are rounded as they are.
        max_loss: most that F1 and the share of right answers may fall, 0 to 1.
        capacity: longest sequence, tokens.
        seen: what the unquantised and the quantised model made of the frames, once they have looked.
    """

    cases: Sequence[Case]
    learnt: Sequence[Case] = ()
    max_loss: float = DEFAULT_MAX_LOSS
    capacity: int = LanguageModelConfig().capacity
    seen: list[Looks] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Refuses what measures nothing.

        Raises:
            ConfigurationError: no frames, or a limit that is no share.
        """
        if not self.cases:
            raise ConfigurationError("Quantised weights: expected frames to measure their loss on, got none.")
        if not 0 <= self.max_loss <= 1:
            raise ConfigurationError(f"--max-loss: expected a share from 0 to 1, got {self.max_loss:g}.")

    @property
    def header(self) -> tuple[str, ...]:
        """Of the table that ``rows`` fills."""
        return HEADER

    @property
    def has_truth(self) -> bool:
        """Whether frames come with their objects."""
        return any(case.record.objects for case in self.cases)

    @property
    def made_with(self) -> Mapping[str, str]:
        """What besides rounding had a part in the weights: its version, by name."""
        return {PACKAGE: str(modelopt_version())} if self.learnt else {}

    def before(self, loaded: LoadedModel, on_progress: Tell) -> None:
        """Looks with the network as it is; before, ModelOpt prepares it, where frames to learn from are given.

        Args:
            loaded: the model; prepared, it computes the same.
            on_progress: told how far it is, 0 to 1.

        Raises:
            BackendError: it finds nothing, so that nothing could be lost.
        """
        if self.learnt:
            self._prepare(loaded, on_progress)
        looker = self._looker(_in_torch(loaded, TorchBackend(loaded, capacity=self.capacity)))
        try:
            if not self.has_truth:
                self.cases = tuple(_taken_for_true(case, looker) for case in self.cases)
            self.seen = [self._look(looker, "before", on_progress)]
        finally:
            looker.close()
        if not self.seen[0].f1() > 0:
            raise BackendError(
                f"Quantised weights: before quantising, the model finds no object of {len(self.cases)} frames, so no "
                f"loss can be measured{_because(self.seen[0])}. Name frames that it knows with --data."
            )

    def after(self, loaded: LoadedModel, folder: Path, on_progress: Tell) -> Mapping[str, float]:
        """Looks with the graphs; with the rounded network where ONNX Runtime cannot run them on a CPU.

        Args:
            loaded: the model with rounded weights.
            folder: of the graphs.
            on_progress: told how far it is, 0 to 1.

        Returns:
            Losses of F1 and of right answers, and how far corners of boxes moved on average, in mm.

        Raises:
            BackendError: more is lost than may be.
        """
        in_torch = str(loaded.model.lm_head.weight.dtype) == "torch.bfloat16"
        looker = self._looker(
            _in_torch(loaded, TorchBackend(loaded, capacity=self.capacity)) if in_torch else None, str(folder)
        )
        try:
            self.seen.append(self._look(looker, "after", on_progress))
        finally:
            looker.close()
        losses = self.losses()
        if worst := [name for name in WORDS if losses.get(name, 0.0) > self.max_loss]:
            told = " and ".join(f"{WORDS[name]} lost {losses[name]:.3f} +- {self.error(name):.3f}" for name in worst)
            raise BackendError(
                f"Quantised weights: over {len(self.cases)} frames {told}, at most {self.max_loss:g} may be lost"
                f"{_because(self.seen[1])}. Take int8, name more frames (--frames) or your own (--data), or allow more "
                "(--max-loss)."
            )
        return losses

    def losses(self) -> dict[str, float]:
        """What was lost.

        Returns:
            By name; below 0 where quantising did no harm.
        """
        found = {name: measure(before) - measure(after) for name, measure, before, after in self._measures()}
        moves = [move for pair in zip(*(looks.found for looks in self.seen), strict=True) for move in _moves_mm(*pair)]
        if moves:
            found[CORNERS] = float(np.mean(moves))
        return {name: round(value, 4) for name, value in found.items()}

    def error(self, name: str) -> float:
        """How far a loss may be off because the frames are few: the standard error over frames drawn anew.

        Args:
            name: ``BOXES`` or ``ANSWERS``.

        Returns:
            Of the share.
        """
        _, measure, before, after = next(one for one in self._measures() if one[0] == name)
        draws = np.random.default_rng(0).integers(0, len(self.cases), (RESAMPLES, len(self.cases)))
        return float(np.std([measure(before, frames) - measure(after, frames) for frames in draws]))

    def rows(self) -> list[list[str]]:
        """What was measured, for a table under ``header``.

        Returns:
            Cells.
        """
        losses = self.losses()
        rows = [
            [WORDS[name], f"{measure(before):.3f}", f"{measure(after):.3f}", f"{losses[name]:.3f}",
             f"{self.error(name):.3f}", f"{self.max_loss:g}"]
            for name, measure, before, after in self._measures()
        ]  # fmt: skip
        if CORNERS in losses:
            rows.append(["corners of the same boxes, moved by mm", "", "", f"{losses[CORNERS]:.2f}", "", ""])
        return rows

    def _measures(self) -> list[tuple[str, Callable[..., float], Looks, Looks]]:
        """What was measured, and both looks."""
        before, after = self.seen
        measures = [(BOXES, Looks.f1, before, after)]
        return measures + ([(ANSWERS, Looks.answers, before, after)] if before.counts[:, 4].any() else [])

    def _prepare(self, loaded: LoadedModel, tell: Tell) -> None:
        """Shows frames to the model, and lets ModelOpt make its weights easier to round on what they came to."""
        backend = _WatchedBackend(loaded, capacity=self.capacity)
        seen, looker = SeenInputs(backend.graph), self._looker(_in_torch(loaded, backend))
        try:
            for number, case in enumerate(self.learnt, start=1):
                tell(f"Learning from frame {number} of {len(self.learnt)}", 0.0)
                looker.look(case.record)
        finally:
            seen.close()
            looker.close()
        tell("Preparing weights with ModelOpt", 0.0)
        smooth(loaded.model.model.language_model, seen)

    def _looker(self, runtime: Runtime | None, model: str = "") -> GrounderLooker:
        config = LanguageModelConfig(model=model, device="cpu", capacity=self.capacity, kept_images=1)
        return GrounderLooker(LanguageModelGrounder(config, runtime=runtime))

    def _look(self, looker: GrounderLooker, when: str, tell: Tell) -> Looks:
        """Boxes and answers of all frames."""
        config = EvaluationConfig(words_per_frame=0, questions_per_frame=QUESTIONS)
        counts, found, problems = list[list[float]](), list[Found](), list[str]()
        for number, case in enumerate(self.cases):
            tell(f"Looking at frame {number + 1} of {len(self.cases)}, {when} quantising", number / len(self.cases))
            line = case_result(case, looker, config)
            source = ListedCases(listed=(case,), measures=(MEASURE,))
            counts.append(_counts(score_run(source, config, {case.record.id: line}).figures))
            found.append(Found.from_dict(line["found"]))
            problems += filter(None, [found[-1].problem])
        return Looks(counts=np.array(counts), found=tuple(found), problems=tuple(problems))


def gate_for(
    weights: WeightKind,
    *,
    size: tuple[int, int] | None = None,
    quantizer: str = "auto",
    data: str = "",
    frames: int = DEFAULT_FRAMES,
    max_loss: float = DEFAULT_MAX_LOSS,
    recorded: Recorded | None = None,
) -> WeightsGate:
    """The gate that the options of ``n3d export`` describe.

    Args:
        weights: what they become.
        size: of generated images, pixels; None: as cameras usually have it.
        quantizer: "auto", "round" or "modelopt".
        data: a data set or a recording; empty: generated tabletops.
        frames: that judge, at most.
        max_loss: see ``WeightsGate``.
        recorded: reads recordings.

    Returns:
        The gate.

    Raises:
        ConfigurationError: no frames, or options that do not go together.
        BackendError: ModelOpt is asked for and not installed.
    """
    learns = _takes_modelopt(weights, quantizer)
    further = min(LEARNT_FRAMES, max(frames, 0)) if learns else 0
    found = cases_of(data, frames + further, size or GENERATED_SIZE, recorded)
    judged, learnt = divided(found) if learns else (found, ())
    return WeightsGate(cases=judged, learnt=learnt, max_loss=max_loss)


def _takes_modelopt(weights: WeightKind, asked: str) -> bool:
    """Whether ModelOpt has a part in the weights."""
    if asked == "modelopt" and weights != "int4":
        raise ConfigurationError(
            f"--quantizer modelopt: for --weights int4; in {weights} the largest weight settles every scale, with "
            "ModelOpt as with rounding. Leave it out."
        )
    if asked == "modelopt" and modelopt_version() is None:
        raise BackendError(f"--quantizer modelopt needs the package {PACKAGE}; run `pip install {PACKAGE}`.")
    return weights == "int4" and asked != "round" and modelopt_version() is not None


def _counts(figures: Mapping[str, Any]) -> list[float]:
    """What ``Looks.counts`` holds of one frame."""
    boxes = figures["boxes"][MEASURE]["counts"][BY_CLASS][str(LEVELS[0])]
    answers = figures["answers"].get("code", {"all": {"right": 0, "judged": 0}})["all"]
    return [boxes["hits"], boxes["found"], boxes["truths"], answers["right"], answers["judged"]]


class _WatchedBackend(TorchBackend):
    """A runtime whose network can be watched."""

    @property
    def graph(self) -> DecoderGraph:
        """The language model."""
        return self._decoder.graph


def _in_torch(loaded: LoadedModel, backend: TorchBackend) -> Runtime:
    """The network itself, ready to be asked."""
    return Runtime(
        backend=backend,
        tokenizer=load_tokenizer(loaded.folder),
        calibration=read_calibration(loaded.folder),
        position_code=loaded.position_code,
        options=read_input_options(loaded.folder),
    )


def _taken_for_true(case: Case, looker: GrounderLooker) -> Case:
    """The case with what a model finds in it as its objects, and questions about them."""
    found = looker.look(case.record).found.objects
    objects = tuple(
        ObjectRecord(id=number, label=one.label, box=one.box, visible_box=one.visible_box, color=one.color)
        for number, one in enumerate(found, start=1)
    )
    fresh = {name: getattr(case.record, name) for name in FrameRecord.__dataclass_fields__}
    return with_questions(Case(record=FrameRecord(**fresh | {"objects": objects})))


def _moves_mm(before: Found, after: Found) -> list[float]:
    """How far the corners of boxes around the same things are from each other, mean per box."""
    first, second = before.objects, after.objects
    overlap = aligned_iou([one.visible_box for one in first], [one.visible_box for one in second])
    allowed = np.array([[same_class(one.label, other.label) for other in second] for one in first], dtype=bool)
    pairs = match(overlap, level=LEVELS[0], allowed=allowed.reshape(overlap.shape), way="overlap")
    return [
        float(np.linalg.norm(first[i].visible_box.corners - second[k].visible_box.corners, axis=1).mean()) * 1e3
        for i, k in pairs
    ]


def _because(looks: Looks) -> str:
    """Why looks failed, for an error."""
    return f" ({looks.problems[0]})" if looks.problems else ""
