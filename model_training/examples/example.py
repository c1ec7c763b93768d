"""A frame with its questions as the network takes them: one image, several turns behind it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_training.data.records import FrameRecord, QuestionRecord
from model_training.examples.answers import UnusableQuestionError, conversations_of, detection_question
from model_training.examples.augment import augmented
from model_training.examples.config import ExampleConfig
from model_training.examples.dense_targets import DenseTargets, dense_targets
from model_training.examples.left_out import NO_DEPTH, NO_QUESTION, NOT_COMPLETE, TOO_LONG
from model_training.examples.look import Look, look_at
from model_training.examples.tokens import Turn, image_prefix, turn_of
from n3d_ros.codec.frame_input import encode_frame
from n3d_ros.codec.model_input import DecodeContext, ImageInput
from n3d_ros.codec.tokenizer import Tokenizer
from n3d_ros.errors import GroundingError, N3dError

STAGES = ("localisation", "reasoning")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrameExample:
    """A frame ready for the network.

    Args:
        id: of the frame.
        image: as the node encodes it.
        context: brings numbers back to metres.
        prefix_ids: (S,) int64 system text and image.
        turns: at least one.
        dense: what the dense head learns.
    """

    id: str
    image: ImageInput
    context: DecodeContext
    prefix_ids: NDArray[np.int64]
    turns: tuple[Turn, ...]
    dense: DenseTargets

    @property
    def token_count(self) -> int:
        """Tokens of the image, its system text and all turns."""
        return len(self.prefix_ids) + sum(len(turn) for turn in self.turns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """Which questions of a frame are asked.

    Args:
        stage: "localisation" takes those that ask for boxes; "reasoning" those to reason about as well.
        replay: in the stage "reasoning", the chance that a question asks for boxes alone.
    """

    stage: str = "localisation"
    replay: float = 0.3


def chosen_questions(
    frame: FrameRecord, questions: Sequence[QuestionRecord], mix: Mix, most: int, rng: np.random.Generator
) -> tuple[QuestionRecord, ...]:
    """Some questions of a frame, drawn by chance.

    Args:
        frame: with its objects.
        questions: about it; where none asks for boxes, the one for everything is added, if everything is known.
        mix: which kinds.
        most: how many at most.
        rng: source of chance.

    Returns:
        Questions, none twice.
    """
    boxes = [question for question in questions if question.kind != "reasoning"]
    if not boxes and frame.is_complete:
        boxes = [detection_question(frame)]
    thoughts = [question for question in questions if question.kind == "reasoning"]
    if mix.stage == "localisation":
        return tuple(boxes[k] for k in rng.permutation(len(boxes))[:most])
    pools = [[boxes[k] for k in rng.permutation(len(boxes))], [thoughts[k] for k in rng.permutation(len(thoughts))]]
    chosen: list[QuestionRecord] = []
    while len(chosen) < most and any(pools):
        pool = pools[0] if rng.random() < mix.replay else pools[1]
        if not pool and not (thoughts and boxes):  # a frame of one kind alone is not lost for want of the other
            pool = pools[0] or pools[1]
        if not pool:
            break
        chosen.append(pool.pop())
    return tuple(chosen)


def make_example(
    frame: FrameRecord,
    questions: Sequence[QuestionRecord],
    config: ExampleConfig,
    tokenizer: Tokenizer,
    *,
    mix: Mix | None = None,
    rng: np.random.Generator | None = None,
    skipped: Counter[str] | None = None,
) -> FrameExample | None:
    """A frame and some of its questions as the network takes them.

    Args:
        frame: as recorded.
        questions: about it.
        config: how.
        tokenizer: of the model.
        mix: which questions; None: all that are given.
        rng: draws questions and changes; None: the frame as it is.
        skipped: counts what was left out, by reason.

    Returns:
        The example; None where nothing can be asked about the frame, or it has no depth.

    Raises:
        InputError: images that cannot be read.
    """
    if mix is not None:
        assert rng is not None, "questions are drawn by chance"
        questions = chosen_questions(frame, questions, mix, config.questions_per_frame, rng)
        if not questions:
            if skipped is not None:
                skipped[NO_QUESTION if frame.is_complete else NOT_COMPLETE] += 1
            return None
    look = look_at(frame)
    if rng is not None:
        look = augmented(look, questions, config.augment, rng)
    return example_of(look, questions, config, tokenizer, skipped=skipped)


def example_of(
    look: Look,
    questions: Sequence[QuestionRecord],
    config: ExampleConfig,
    tokenizer: Tokenizer,
    *,
    skipped: Counter[str] | None = None,
) -> FrameExample | None:
    """A look and questions about it as the network takes them.

    Args:
        look: as it is shown.
        questions: to be asked, in this order.
        config: how.
        tokenizer: of the model.
        skipped: counts what was left out, by reason.

    Returns:
        The example; None where nothing can be asked, or there is no depth.

    Raises:
        InputError: an image too large.
    """
    counts: Counter[str] = Counter() if skipped is None else skipped
    try:
        image, context = encode_frame(look.frame, config.input_options())
    except GroundingError:
        counts[NO_DEPTH] += 1
        return None
    prefix = image_prefix(tokenizer, image.token_count)
    turns: list[Turn] = []
    room = config.max_tokens - len(prefix)
    for question in questions:
        try:
            conversations = conversations_of(question, look, context, config)
            made = [
                turn_of(one, tokenizer, learn_forced=config.learn_forced, max_boxes=config.max_objects)
                for one in conversations
            ]
        except N3dError as error:
            counts[error.reason if isinstance(error, UnusableQuestionError) else "words that cannot be written"] += 1
            continue
        for turn in made:
            if len(turn) > room:
                counts[TOO_LONG] += 1
                break
            turns.append(turn)
            room -= len(turn)
    if not turns:
        counts[NO_QUESTION] += 1
        return None
    dense = dense_targets(look, image.grid, context, config)
    return FrameExample(id=look.id, image=image, context=context, prefix_ids=prefix, turns=tuple(turns), dense=dense)
