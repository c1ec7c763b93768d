"""Frames on which quantised weights are judged: generated ones, those of a data set, or those of a recording."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

from model_training.data.records import FrameRecord
from model_training.evaluation.cases import AskedQuestion, Case, DatasetCases
from model_training.questions.config import QuestionConfig
from model_training.questions.make import questions_about
from model_training.scenes.dataset import PlaceConfig, SceneDatasetConfig, ViewConfig, scene_records
from n3d_ros.errors import ConfigurationError

DEFAULT_FRAMES = 24
LEARNT_FRAMES = 8  # that ModelOpt learns from
QUESTIONS = 4  # per frame
GENERATED_SIZE = (640, 480)  # pixels

Recorded = Callable[[Path, int], Sequence[FrameRecord]]
"""Reads at most so many frames of a recording. It is given, for it needs ROS's messages, and lies where robots' data is
made (``model_training.robots.bag_records``), which does not stand below this."""


def divided(cases: Sequence[Case]) -> tuple[tuple[Case, ...], tuple[Case, ...]]:
    """Frames to judge by, and others to learn from, which lie evenly among them.

    Args:
        cases: all frames.

    Returns:
        Judged, learnt.

    Raises:
        ConfigurationError: fewer than two.
    """
    if len(cases) < 2:
        raise ConfigurationError("ModelOpt learns from other frames than those that judge it: name 2 or more.")
    count = min(LEARNT_FRAMES, len(cases) // 2)
    learnt = set(np.linspace(0, len(cases) - 1, count).round().astype(int).tolist())
    return (
        tuple(one for k, one in enumerate(cases) if k not in learnt),
        tuple(one for k, one in enumerate(cases) if k in learnt),
    )


def cases_of(data: str, count: int, size: tuple[int, int], recorded: Recorded | None = None) -> tuple[Case, ...]:
    """Frames to judge by.

    Args:
        data: a data set or a recording; empty: generated tabletops.
        count: how many frames, at most.
        size: width and height of generated images, pixels.
        recorded: reads recordings; None: they are refused.

    Returns:
        Cases, evenly over a data set or a recording; those of a recording have no objects and no questions.

    Raises:
        ConfigurationError: no frames are asked for, or nothing of that name.
        BagError: a recording that cannot be read.
    """
    if count < 1:
        raise ConfigurationError(f"--frames: expected 1 or more, got {count}.")
    if not data:
        return generated_cases(count, size)
    path = Path(data).expanduser()
    if (path / "dataset.json").is_file():
        return dataset_cases(path, count)
    if not path.exists():
        raise ConfigurationError(
            f"--data {data}: expected a data set of `n3d dataset` or a recording, nothing is there."
        )
    if recorded is None:
        raise ConfigurationError(
            f"--data {data}: expected a data set of `n3d dataset`; recordings cannot be read here."
        )
    return tuple(Case(record=record) for record in recorded(path, count))


def dataset_cases(path: Path, count: int) -> tuple[Case, ...]:
    """Frames of a data set, evenly over it.

    Args:
        path: its folder.
        count: how many, at most.

    Returns:
        Cases with truth and questions.

    Raises:
        ConfigurationError: no data set, or one without frames.
    """
    from model_training.data.folder import DatasetFolder  # pyarrow, which not every machine has
    from model_training.data.shards import group_sizes

    last = DatasetCases(path).count() - 1  # refuses one without frames
    chosen = set(np.linspace(0, last, min(count, last + 1)).round().astype(int).tolist())
    folder, cases, first = DatasetFolder.open(path), list[Case](), 0
    for shard in folder.frame_shards:
        size = sum(group_sizes(folder.shard_path("frames", shard)))
        if chosen.isdisjoint(range(first, first + size)):
            first += size
            continue
        for number, (record, questions) in enumerate(folder.pairs(shard), start=first):
            if number in chosen:
                cases.append(Case(record=record, questions=tuple(AskedQuestion(record=one) for one in questions)))
        first += size
    return tuple(with_questions(case) for case in cases)


def generated_cases(count: int, size: tuple[int, int] = GENERATED_SIZE) -> tuple[Case, ...]:
    """Ray-cast tabletops that no training saw, with questions.

    Args:
        count: how many.
        size: width and height of the images, pixels.

    Returns:
        Cases with truth.
    """
    config = SceneDatasetConfig(
        kind="raycast", split="held_out", scenes=4 * count, scenes_per_shard=4 * count, views=1,
        tabletop=PlaceConfig(objects=(3, 7), distance_m=(0.4, 0.9)), view=ViewConfig(sizes=(size,)),
    )  # fmt: skip
    return tuple(with_questions(Case(record=record)) for record in islice(scene_records(config, 0), count))


def with_questions(case: Case) -> Case:
    """The case with questions to reason about, where it has none.

    Args:
        case: a frame whose objects are known.

    Returns:
        The case.
    """
    if any(one.record.kind == "reasoning" for one in case.questions):
        return case
    made = questions_about(case.record, QuestionConfig(category=0, referring=0, reasoning=QUESTIONS))
    return replace(case, questions=tuple(AskedQuestion(record=one) for one in made))
