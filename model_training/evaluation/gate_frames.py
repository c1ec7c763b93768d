"""Frames on which quantised weights are judged: generated ones, those of a data set, or those of a recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

from model_training.data.pictures import depth_to_millimetres, encode_jpeg, encode_png
from model_training.data.records import FrameRecord
from model_training.evaluation.cases import AskedQuestion, Case, DatasetCases
from model_training.questions.config import QuestionConfig
from model_training.questions.make import questions_about
from model_training.scenes.dataset import PlaceConfig, SceneDatasetConfig, ViewConfig, scene_records
from n3d_ros.errors import ConfigurationError
from n3d_ros.inference.grounder import GroundingRequest, GroundingResult

DEFAULT_FRAMES = 24
LEARNT_FRAMES = 8  # that ModelOpt learns from
QUESTIONS = 4  # per frame
GENERATED_SIZE = (640, 480)  # pixels


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


def cases_of(data: str, count: int, size: tuple[int, int]) -> tuple[Case, ...]:
    """Frames to judge by.

    Args:
        data: a data set or a recording; empty: generated tabletops.
        count: how many frames, at most.
        size: width and height of generated images, pixels.

    Returns:
        Cases; those of a recording have no objects and no questions.

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
        return tuple(with_questions(case) for case in islice(DatasetCases(path).cases(), count))
    if not path.exists():
        raise ConfigurationError(
            f"--data {data}: expected a data set of `n3d dataset` or a recording, nothing is there."
        )
    return bag_cases(path, count)


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


class _Keeper:
    """Finds nothing: what is wanted of the recording is its frames."""

    name, device = "frames alone", "none"

    def ground(self, frame: object, request: GroundingRequest, **_more: object) -> GroundingResult:  # noqa: ARG002
        """Nothing."""
        return GroundingResult(detections=())

    def close(self) -> None:
        """Holds nothing."""


def bag_cases(path: Path, count: int) -> tuple[Case, ...]:
    """Frames of a recording, evenly over its length. Needs ROS's messages.

    Args:
        path: of the recording.
        count: how many, at most.

    Returns:
        Cases without truth.

    Raises:
        BagError: it cannot be read.
        ConfigurationError: it has no frames with depth.
    """
    from model_training.robots.looking import JPEG_QUALITY, Bag, Dropped, candidates_of, up_of
    from n3d_ros.ros.bag import BagReader
    from n3d_ros.ros.bag_pass import BagLook
    from n3d_ros.ros.camera_topics import find_camera_topics
    from n3d_ros.ros.config import NodeConfig

    cases, dropped = list[Case](), Dropped()

    def keep(look: BagLook) -> None:
        frame = look.outcome.frame
        if look.outcome.is_ok and frame is not None:
            record = FrameRecord(
                id=str(frame.stamp_ns),
                source="bag",
                split="held_out",
                image=encode_jpeg(frame.rgb, JPEG_QUALITY),
                depth_png=encode_png(depth_to_millimetres(frame.depth_m)),
                intrinsics=frame.intrinsics,
                up=up_of(look.outcome)[0],
                stamp_ns=frame.stamp_ns,
            )
            cases.append(Case(record=record))

    with BagReader(path) as reader:
        topics = find_camera_topics(reader, {})
        bag = Bag(reader=reader, topics=topics, grounder=_Keeper(), config=NodeConfig())
        stamps = [one.stamp_ns for one in candidates_of(bag, dropped)[0]]
        chosen = {stamps[k] for k in np.linspace(0, len(stamps) - 1, min(count, len(stamps))).round().astype(int)}
        bag.walk(dropped, wants=lambda pair: pair.stamp_ns in chosen, look=keep)
    if not cases:
        why = "; ".join(dropped.why.values()) or "it holds none"
        raise ConfigurationError(f"--data {path}: expected frames with depth, got none: {why}")
    return tuple(cases)
