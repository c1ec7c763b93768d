"""Questions to reason about: classes in turn, drafts drawn, proven by the node's code, their texts re-read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import numpy as np

from model_training.data.records import QuestionRecord
from model_training.questions.answered import proven
from model_training.questions.asked_frame import AskedFrame
from model_training.questions.checked_text import fault_of
from model_training.questions.config import REASONING_CLASSES, QuestionConfig
from model_training.questions.distances import (
    aside_question,
    clock_question,
    depth_order,
    distance_question,
    furthest,
    relative_distance,
)
from model_training.questions.draft import Draft, Drawing, NotAskedError
from model_training.questions.names import Names
from model_training.questions.sides import side_question
from model_training.questions.sizes import size_comparison, size_question
from n3d_ros.codec.prompts import MAX_QUESTION_CHARACTERS, clean_question
from n3d_ros.codec.reasoning import first_sentence
from n3d_ros.scene.spatial_answer import SpatialAnswer, ValueType

MAKERS: Mapping[str, Callable[[Drawing], Draft]] = {
    "left_right": partial(side_question, "left_right"),
    "front_behind": partial(side_question, "front_behind"),
    "above_below": partial(side_question, "above_below"),
    "wide_thin": partial(size_comparison, "wide_thin"),
    "tall_short": partial(size_comparison, "tall_short"),
    "big_small": partial(size_comparison, "big_small"),
    "distance": distance_question,
    "horizontal_vertical_distance": aside_question,
    "width_height": size_question,
    "direction": clock_question,
    "relative_distance": relative_distance,
    "depth_order": depth_order,
    "furthest": furthest,
}
"""What drafts a question of each class."""
VALUE_DECIMALS = 4  # of numbers that answers are judged by: tenths of a millimetre


def reasoning_questions(
    frame: AskedFrame, names: Names, config: QuestionConfig, rng: np.random.Generator, drops: Counter[str]
) -> Iterator[QuestionRecord]:
    """Questions to reason about, no two the same.

    The classes take turns, beginning with one of chance, so that over many frames all come about as often as frames
    allow. A class that comes to nothing in a frame leaves its turn to the next one.

    Args:
        frame: the frame.
        names: of the frame.
        config: how many, of which classes, how clear.
        rng: source of chance.
        drops: counts what is not asked, by class and reason.

    Yields:
        The questions.
    """
    drawing = Drawing(frame=frame, names=names, config=config, rng=rng)
    turns = [name for name in REASONING_CLASSES if name in config.classes]
    turns = [turns[k] for k in rng.permutation(len(turns)).tolist()] if frame.objects else []
    asked, made = set[str](), 0
    while turns and made < config.reasoning:
        question_class = turns.pop(0)
        for _ in range(config.attempts):
            try:
                draft = MAKERS[question_class](drawing)
                found = _checked(draft, drawing, asked)
            except NotAskedError as reason:
                drops[f"{question_class}: {reason}"] += 1
                continue
            asked.add(draft.question)
            yield _record(draft, found, question_class, frame, made)
            made += 1
            turns.append(question_class)
            break


def _checked(draft: Draft, drawing: Drawing, asked: set[str]) -> SpatialAnswer:
    """The node's answer to a draft that stands every check."""
    margins = drawing.margins
    if draft.question in asked:
        raise NotAskedError("asked already")
    if (
        len(draft.question) > MAX_QUESTION_CHARACTERS
        or first_sentence(clean_question(draft.question)) != draft.question
    ):
        raise NotAskedError(
            "a name ends the sentence, or is too long"
        )  # the second step repeats a question up to its first full stop
    if draft.value_type == "number" and float(draft.value) < margins.least_m:
        raise NotAskedError("too small to say with two decimals")
    found = proven(draft, drawing.frame, margins)
    fault = fault_of(draft.steps, draft.things) or fault_of(draft.answer, draft.things, spoken=True)
    if fault:
        raise NotAskedError("the reasoning does not hold")
    return found


def _record(draft: Draft, found: SpatialAnswer, question_class: str, frame: AskedFrame, number: int) -> QuestionRecord:
    is_number = found.value_type is ValueType.NUMBER and isinstance(found.value, float)
    return QuestionRecord(
        id=f"{frame.record.id}/reasoning/{number}",
        frame_id=frame.record.id,
        kind="reasoning",
        question=draft.question,
        object_ids=tuple(one.object.id for one in draft.things),
        question_class=question_class,
        reasoning=draft.steps,
        answer=draft.answer,
        value_type=draft.value_type,
        value=f"{found.value:.{VALUE_DECIMALS}f}" if is_number else draft.value,
        unit=draft.unit,
        viewpoint=draft.viewpoint,
        target_box=frame.target_box,
    )
