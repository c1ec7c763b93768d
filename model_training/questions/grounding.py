"""Questions for boxes: everything, all of some categories (also of such as are not there), objects by expressions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from model_training.data.records import QuestionRecord
from model_training.questions.asked_frame import AskedFrame
from model_training.questions.config import QuestionConfig
from model_training.questions.expressions import Expression, expressions
from model_training.questions.names import Names
from n3d_ros.codec.prompts import MAX_NAME_CHARACTERS, tidy_name

MAX_CATEGORIES = 3  # of one question
SEVERAL_SHARE = 0.3  # of category and referring questions that name more than one
COLORED_SHARE = 0.25  # of the names in category questions that tell a colour: "red mug"
DRAWS_PER_EXPRESSION = 8
DRAWS_PER_NAME = 8


def detection_questions(frame: AskedFrame, config: QuestionConfig, drops: Counter[str]) -> Iterator[QuestionRecord]:
    """The question for everything.

    Args:
        frame: the frame.
        config: how many boxes an answer may have.
        drops: counts what is not asked, by reason.

    Yields:
        At most one question; of a frame with nothing in it, no boxes are the answer.
    """
    if not config.detection:
        return
    if frame.unplaced or frame.faint:
        # what is there but cannot be listed does not make the rest wrong: the answer is what can be seen
        drops["detection: objects too faint or without a box left out"] += len(frame.unplaced) + len(frame.faint)
    if len(frame.objects) > config.max_objects:
        drops["detection: too many objects"] += 1
        return
    yield QuestionRecord(
        id=f"{frame.record.id}/detection",
        frame_id=frame.record.id,
        kind="detection",
        object_ids=tuple(one.id for one in frame.objects),
        target_box=frame.target_box,
    )


def category_questions(
    frame: AskedFrame, names: Names, config: QuestionConfig, rng: np.random.Generator, drops: Counter[str]
) -> Iterator[QuestionRecord]:
    """Questions for all objects of one to three names.

    Args:
        frame: the frame.
        names: of the frame.
        config: how many, and which names may be asked for in vain.
        rng: source of chance.
        drops: counts what is not asked, by reason.

    Yields:
        Questions, no two for the same names.
    """
    given = set[tuple[str, ...]]()
    for number in range(config.category):
        wanted = int(rng.integers(2, MAX_CATEGORIES + 1)) if rng.random() < SEVERAL_SHARE else 1
        chosen: dict[str, tuple[int, ...]] = {}
        for _ in range(DRAWS_PER_NAME * wanted):
            if len(chosen) == wanted:
                break
            name = _category_name(frame, config, rng)
            found = None if name is None else names.all_called(name)
            if name is None or found is None or not _has_all(name, found, frame):
                drops["category: what is called so cannot be told"] += name is not None
                continue
            if len(name) > MAX_NAME_CHARACTERS:
                drops["category: the name is too long"] += 1
                continue
            if not any(set(found) & set(other) for other in chosen.values()):
                chosen.setdefault(name, found)
        ids = frame.in_order([i for found in chosen.values() for i in found])
        if not chosen or tuple(sorted(chosen)) in given or len(ids) > config.max_objects:
            drops["category: nothing new to ask"] += 1
            continue
        given.add(tuple(sorted(chosen)))
        yield QuestionRecord(
            id=f"{frame.record.id}/category/{number}",
            frame_id=frame.record.id,
            kind="category",
            names=tuple(chosen),
            object_ids=ids,
            target_box=frame.target_box,
        )


def _has_all(name: str, found: tuple[int, ...], frame: AskedFrame) -> bool:
    """Whether a name that is somebody's label means all that have it: of odd labels the reader may take a part."""
    return {one.id for one in frame.objects if tidy_name(one.label) == name} <= set(found)


def _category_name(frame: AskedFrame, config: QuestionConfig, rng: np.random.Generator) -> str | None:
    """A name, of something that is there or perhaps not."""
    if rng.random() < config.absent_share or not frame.objects:
        if not config.vocabulary:
            return None
        name = config.vocabulary[int(rng.integers(len(config.vocabulary)))]
        return tidy_name(name) or None
    labels = sorted({one.label for one in frame.objects})
    label = labels[int(rng.integers(len(labels)))]
    if rng.random() >= COLORED_SHARE:
        return tidy_name(label) or None
    # the colour of any object, so that a red thing is also asked for where there is none of its kind
    colors = sorted({one.record.color for one in frame.objects if one.record.color})
    is_told = all(one.record.color for one in (*frame.objects, *frame.faint) if one.label == label)
    if not colors or not is_told:
        return tidy_name(label) or None
    return tidy_name(f"{colors[int(rng.integers(len(colors)))]} {label}")


def referring_questions(
    frame: AskedFrame, names: Names, config: QuestionConfig, rng: np.random.Generator, drops: Counter[str]
) -> Iterator[QuestionRecord]:
    """Questions for one or two objects by expressions that mean them alone.

    Args:
        frame: the frame.
        names: of the frame.
        config: how many.
        rng: source of chance.
        drops: counts what is not asked, by reason.

    Yields:
        Questions, no expression twice.
    """
    draws = DRAWS_PER_EXPRESSION * config.referring
    drawn = expressions(frame, names, rng, draws)
    found = _spread(
        [one for one in drawn if tidy_name(one.words) == one.words and len(one.words) <= MAX_NAME_CHARACTERS]
    )
    for number in range(config.referring):
        if not found:
            drops["referring: no expression means one object"] += 1
            return
        chosen = [found.pop(0)]
        second = next((one for one in found if one.object_id != chosen[0].object_id), None)
        if second is not None and rng.random() < SEVERAL_SHARE:
            found.remove(second)
            chosen.append(second)
        yield QuestionRecord(
            id=f"{frame.record.id}/referring/{number}",
            frame_id=frame.record.id,
            kind="referring",
            names=tuple(one.words for one in chosen),
            object_ids=tuple(one.object_id for one in chosen),
            target_box=frame.target_box,
        )


def _spread(found: list[Expression]) -> list[Expression]:
    """The expressions with those of rarely drawn kinds and new objects first, so that easy kinds do not crowd out."""
    kinds, objects = Counter[str](), Counter[int]()
    ordered, rest = list[Expression](), list(found)
    while rest:
        best = min(rest, key=lambda one: (kinds[one.kind], objects[one.object_id]))
        rest.remove(best)
        kinds[best.kind] += 1
        objects[best.object_id] += 1
        ordered.append(best)
    return ordered
