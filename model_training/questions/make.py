"""``questions_about``: everything that is asked about one frame, the same for equal frames and configurations."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass

import numpy as np

from model_training.data.records import FrameRecord, QuestionRecord
from model_training.questions.asked_frame import asked_frame
from model_training.questions.config import QuestionConfig
from model_training.questions.grounding import category_questions, detection_questions, referring_questions
from model_training.questions.names import Names
from model_training.questions.reasoning import reasoning_questions


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeQuestions:
    """The questions about a frame, and what was not asked.

    Args:
        questions: detection, category, referring, reasoning, in this order.
        drops: how often something was drawn and not asked, by reason.
    """

    questions: tuple[QuestionRecord, ...]
    drops: Counter[str]


def frame_rng(seed: int, frame_id: str) -> np.random.Generator:
    """The source of chance of a frame's questions, independent of shards and workers.

    Args:
        seed: of the configuration.
        frame_id: the frame's id.

    Returns:
        A new generator.
    """
    digest = hashlib.blake2b(f"{seed}/{frame_id}".encode(), digest_size=16).digest()
    return np.random.default_rng(int.from_bytes(digest, "little"))


def questions_about(
    record: FrameRecord, config: QuestionConfig, rng: np.random.Generator | None = None
) -> tuple[QuestionRecord, ...]:
    """The questions about a frame.

    Args:
        record: the frame.
        config: what is asked.
        rng: source of chance; None: by the configuration's seed and the frame's id.

    Returns:
        Questions with their answers; their ids begin with the frame's.
    """
    return made_questions(record, config, rng).questions


def made_questions(
    record: FrameRecord, config: QuestionConfig, rng: np.random.Generator | None = None
) -> MadeQuestions:
    """The questions about a frame, and what was not asked about it.

    Args:
        record: the frame.
        config: what is asked.
        rng: source of chance; None: by the configuration's seed and the frame's id.

    Returns:
        The questions and the counts.
    """
    chance = frame_rng(config.seed, record.id) if rng is None else rng
    frame, drops = asked_frame(record, config), Counter[str]()
    names = Names(frame)
    questions: list[QuestionRecord] = []
    if frame.is_complete:  # else what is not annotated would be taught as absent, and names as unique
        questions += detection_questions(frame, config, drops)
        questions += category_questions(frame, names, config, chance, drops)
        questions += referring_questions(frame, names, config, chance, drops)
    else:
        drops["grounding: the frame is not annotated completely"] += 1
    questions += reasoning_questions(frame, names, config, chance, drops)
    return MadeQuestions(questions=tuple(questions), drops=Counter({k: n for k, n in drops.items() if n}))
