"""From what a run found to its figures: boxes, words, answers, scores, time. Nothing is looked at again."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from model_training.data.records import ObjectRecord, QuestionRecord
from model_training.evaluation.asked import asked_objects
from model_training.evaluation.cases import Case, CaseSource
from model_training.evaluation.detection import DetectionScores
from model_training.evaluation.found import Found
from model_training.evaluation.running import EvaluationConfig, limited
from model_training.evaluation.words import WordScores

FORMAT, VERSION = "n3d_evaluation", 1
_NEEDS_IMAGES = "points"


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameScore:
    """How well a frame went, to choose pictures by.

    Args:
        id: of the frame.
        f1: of any class, at the lower level, in the measure that matters most; None: nothing asked nor found.
        asked: objects asked for.
        found: boxes.
    """

    id: str
    f1: float | None
    asked: int
    found: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The figures of a run.

    Args:
        figures: plain values, as the report's JSON has them.
        frames: how each frame went.
    """

    figures: Mapping[str, Any]
    frames: tuple[FrameScore, ...]


class AnswerScores:
    """Adds up verdicts by mode and class."""

    def __init__(self) -> None:
        self._rows: defaultdict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)

    def add(self, row: Mapping[str, Any]) -> None:
        """Counts one answer.

        Args:
            row: of a run's line.
        """
        self._rows[row["mode"], row["class"]].append(row)

    def to_dict(self) -> dict[str, Any]:
        """By mode: by class, by group, and why answers were wrong."""
        modes = sorted({mode for mode, _ in self._rows})
        return {mode: self._mode(mode) for mode in modes}

    def _mode(self, mode: str) -> dict[str, Any]:
        classes = {name: rows for (of_mode, name), rows in self._rows.items() if of_mode == mode}
        groups: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for rows in classes.values():
            for row in rows:
                groups[row["group"]].append(row)
        everything = [row for rows in classes.values() for row in rows]
        return {
            "all": _accuracy(everything),
            "groups": {name: _accuracy(rows) for name, rows in sorted(groups.items())},
            "classes": {name: {**_accuracy(classes[name]), "group": _group(classes[name])} for name in sorted(classes)},
        }


def _group(rows: Sequence[Mapping[str, Any]]) -> str:
    """Where most questions of a class count."""
    return Counter(str(row["group"]) for row in rows).most_common(1)[0][0]


def _accuracy(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Share of the answers that are right; None where none can be judged."""
    judged = [row for row in rows if row["right"] is not None]
    right = sum(bool(row["right"]) for row in judged)
    return {
        "asked": len(rows),
        "judged": len(judged),
        "right": right,
        "accuracy": right / len(judged) if judged else None,
        "wrong_because": dict(Counter(row["why"] for row in judged if not row["right"]).most_common()),
        "not_judged_because": dict(Counter(row["why"] for row in rows if row["right"] is None).most_common()),
    }


def score_run(
    source: CaseSource,
    config: EvaluationConfig,
    lines: Mapping[str, Mapping[str, Any]],
    *,
    on_case: Callable[[], None] | None = None,
) -> Evaluation:
    """The figures of a run.

    Args:
        source: the same as it was run on.
        config: likewise.
        lines: of the run's journal, by the frame's id; cases without a line do not count.
        on_case: told of each case that was scored.

    Returns:
        The figures.
    """
    scores = {measure: DetectionScores(measure, way=config.matching) for measure in source.measures}
    words, answers = defaultdict[str, WordScores](WordScores), AnswerScores()
    frames, times, rejected = list[FrameScore](), defaultdict[str, list[float]](list), 0
    splits = Counter[str]()
    problems, asked_count, incomplete, cut_short = Counter[str](), 0, 0, 0
    for case in limited(source, config, images=_NEEDS_IMAGES in source.measures):
        line = lines.get(case.record.id)
        if line is None:
            continue
        found = Found.from_dict(line["found"])
        asked, ignored = asked_objects(case.record, [one.record for one in case.questions], config.asked_for)
        complete = case.record.is_complete
        f1s = [one.add(case.record, found.objects, asked, ignored, complete=complete) for one in scores.values()]
        incomplete += not complete
        splits[case.record.split] += 1
        frames.append(
            FrameScore(id=case.record.id, f1=f1s[0] if f1s else None, asked=len(asked), found=len(found.objects))
        )
        times["frame"].append(found.ms)
        rejected += found.rejected
        cut_short += found.cut_short + sum(bool(row["found"].get("cut_short")) for row in line["words"])
        asked_count += len(asked)
        if found.problem:
            problems[found.problem] += 1
        rejected += _add_words(case, line["words"], words, times)
        for row in line["answers"]:
            answers.add(row)
            rejected += row["rejected"]
            times[f"answer, {row['mode']}"].append(row["ms"])
        if on_case is not None:
            on_case()
    figures = {
        "frames": len(frames),
        "splits": dict(splits.most_common()),
        "frames_labelled_in_part": incomplete,
        "objects_asked_for": asked_count,
        "rejected_lines": rejected,
        "looks_cut_short": cut_short,
        "problems": dict(problems.most_common()),
        "skipped": dict(source.skipped()),
        "boxes": {measure: one.to_dict() for measure, one in scores.items()},
        "words": {kind: one.to_dict() for kind, one in sorted(words.items())},
        "answers": answers.to_dict(),
        "latency_ms": {name: _percentiles(values) for name, values in times.items()},
    }
    return Evaluation(figures=figures, frames=tuple(frames))


def _add_words(
    case: Case,
    rows: Sequence[Mapping[str, Any]],
    words: defaultdict[str, WordScores],
    times: defaultdict[str, list[float]],
) -> int:
    """Counts what was found for words; returns how many lines of it could not be read."""
    questions = {one.record.id: one.record for one in case.questions}
    rejected = 0
    for row in rows:
        question = questions.get(row["question"])
        if question is None:
            continue
        found = Found.from_dict(row["found"])
        targets = [one for number in question.object_ids if (one := case.record.by_id(number)) is not None]
        meant = _meant(question, targets)
        words[row["kind"]].add(case.record, found.objects, targets, refused=bool(found.problem), meant=meant)
        times["words"].append(found.ms)
        rejected += found.rejected
    return rejected


def _meant(question: QuestionRecord, targets: Sequence[ObjectRecord]) -> dict[int, str]:
    """By which of several words each object is meant: those of its category, or its own expression."""
    if len(question.names) < 2:
        return {}
    if question.kind == "category":
        return {one.id: one.label for one in targets}
    is_one_each = len(question.names) == len(question.object_ids)
    return dict(zip(question.object_ids, question.names, strict=True)) if is_one_each else {}


def _percentiles(values: Sequence[float]) -> dict[str, float | int | None]:
    if not values:
        return {"count": 0, "p50": None, "p95": None}
    p50, p95 = np.percentile(values, (50, 95))
    return {"count": len(values), "p50": float(p50), "p95": float(p95)}
