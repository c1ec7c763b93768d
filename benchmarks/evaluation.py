#!/usr/bin/env python3
"""How fast ``n3d eval`` is, and that it gives the truth full marks.

Usage: python -m benchmarks evaluation [--frames N]

Frames are ray-cast, 640x480, with questions. Measured are: scoring alone (boxes of an earlier run, three measures), a
whole evaluation given the true boxes (scoring and all questions), and one with the geometric grounder. The last line is
one JSON object.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.figure import Figure, told
from model_training.evaluation.cases import AskedQuestion, Case, ListedCases
from model_training.evaluation.evaluate import evaluate
from model_training.evaluation.journal import Journal
from model_training.evaluation.looking import GrounderLooker, Looker, TrueBoxes
from model_training.evaluation.running import EvaluationConfig, run_cases
from model_training.evaluation.scoring import score_run
from model_training.questions.config import QuestionConfig
from model_training.questions.make import questions_about
from model_training.scenes.dataset import SceneDatasetConfig, scene_records
from n3d_ros.inference.grounder import create_grounder

DEFAULT_FRAMES = 24
TRUE_ANSWERS_PROMISE = 98.0  # %, of questions given the true boxes


def frames_with_questions(count: int) -> ListedCases:
    """Ray-cast frames of the held-out split, each with its questions.

    Args:
        count: how many.

    Returns:
        Cases in memory.
    """
    config = SceneDatasetConfig(kind="raycast", split="held_out", scenes=4 * count, scenes_per_shard=4 * count, views=1)
    cases = [
        Case(
            record=record,
            questions=tuple(AskedQuestion(record=one) for one in questions_about(record, QuestionConfig())),
        )
        for record in islice(scene_records(config, 0), count)
    ]
    return ListedCases(listed=tuple(cases), name=f"{len(cases)} ray-cast frames")


def figures(count: int) -> list[Figure]:
    """The rows.

    Args:
        count: frames.

    Returns:
        Figures.
    """
    source = frames_with_questions(count)
    frames = len(source.listed)
    asked = sum(len(case.questions) for case in source.listed)
    note = f"{frames} ray-cast frames of 640x480, {asked} questions, per second of processor time"
    true_rate, true = _rate(source, TrueBoxes())
    grounder = GrounderLooker(create_grounder("geometric"))
    grounder_rate, _ = _rate(source, grounder)
    grounder.close()
    boxes = true["boxes"]["oriented"]["counts"]["class-aware"]["0.5"]["f1"]
    answers = true["answers"].get("code", {}).get("all", {}).get("accuracy")
    return [
        Figure(name="evaluation: scoring alone", value=_scoring_rate(source), unit="frames/s", note=note),
        Figure(name="evaluation: true boxes, all questions", value=true_rate, unit="frames/s", note=note),
        Figure(name="evaluation: geometric grounder", value=grounder_rate, unit="frames/s", note=note),
        Figure(
            name="evaluation: F1 of the true boxes",
            value=math.nan if boxes is None else 100 * boxes,
            unit="%",
            promise=100.0,
            at_most=False,
        ),
        Figure(
            name="evaluation: answers given true boxes",
            value=math.nan if answers is None else 100 * answers,
            unit="%",
            promise=TRUE_ANSWERS_PROMISE,
            at_most=False,
        ),
    ]


def _rate(source: ListedCases, looker: Looker) -> tuple[float, dict[str, Any]]:
    """Frames per second of processor time of a whole evaluation in memory, and its figures."""
    started = time.process_time()
    result = evaluate(looker, source)
    return len(source.listed) / (time.process_time() - started), dict(result.figures)


def _scoring_rate(source: ListedCases) -> float:
    """Frames per second of processor time of scoring what is in a journal."""
    config = EvaluationConfig(questions_per_frame=0, words_per_frame=0)
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder), {})
        run_cases(source, TrueBoxes(), config, journal)
        started = time.process_time()
        score_run(source, config, journal.lines)
        return len(source.listed) / (time.process_time() - started)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints.

    Args:
        arguments: without the program's name.

    Returns:
        0 when every promise is kept; 1 otherwise.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=DEFAULT_FRAMES, help="how many (default: %(default)s)")
    options = parser.parse_args(arguments)
    return told(figures(options.frames))


if __name__ == "__main__":
    sys.exit(main())
