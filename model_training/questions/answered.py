"""What the node's code answers to a question about a record, and whether that is what a template claims."""

from __future__ import annotations

import re

from model_training.data.records import FrameRecord, QuestionRecord
from model_training.questions.asked_frame import AskedFrame, asked_frame
from model_training.questions.config import Margins, QuestionConfig
from model_training.questions.draft import Draft, NotAskedError
from model_training.questions.names import understood
from n3d_ros.errors import StatusCode
from n3d_ros.scene.comparison import SAME, Agreement, agreement
from n3d_ros.scene.query import answer
from n3d_ros.scene.questions.question import Question
from n3d_ros.scene.spatial_answer import SpatialAnswer, ValueType

DOUBT = ("measuring error", SAME)
"""Words of an answer whose numbers do not tell one from the other."""
_SPOKEN_ID = re.compile(r" (\d+)(?=, |$)")


def answered(record: FrameRecord, question: QuestionRecord, config: QuestionConfig | None = None) -> SpatialAnswer:
    """What the node's code answers to a question, given the record's boxes.

    Args:
        record: the frame.
        question: about it.
        config: the one that the question was made with, as far as it says which objects count.

    Returns:
        The answer.
    """
    chosen = QuestionConfig(target_box=question.target_box) if config is None else config
    frame = asked_frame(record, chosen)
    return answer(frame.scene, frame.query(question.question))


def proven(draft: Draft, frame: AskedFrame, margins: Margins) -> SpatialAnswer:
    """The node's answer to a draft's question, where it is the one that the draft claims.

    Args:
        draft: the question with its claim.
        frame: the frame.
        margins: how far the answers may differ.

    Returns:
        The answer.

    Raises:
        NotAskedError: not understood, not clear, or not the same; the text says which.
    """
    question = understood(draft.question)
    if question is None:
        raise NotAskedError("the node does not understand the words")
    found = _clear(frame, draft.question, question)
    if not agrees(draft, found, margins.rounding_share):
        raise NotAskedError("the node's answer is another one")
    is_level = frame.record.up is not None
    if is_level and not _same(found, _clear(frame, draft.question, question, level=True), margins.level_share):
        raise NotAskedError("depends on how the camera is tilted")
    if frame.target_box == "visible" and all(one.object.record.box is not None for one in draft.things):
        whole = _clear(frame, draft.question, question, level=is_level, whole=True)
        if not _same(found, whole, margins.whole_share):
            raise NotAskedError("not so of the whole objects")
    value, unit = found.value, found.unit or "m"
    if agreement(value, found.value_type, draft.answer, words=found.value_text, unit=unit) is not Agreement.AGREE:
        raise NotAskedError("the answer's sentence does not say its value")
    return found


def agrees(draft: Draft, found: SpatialAnswer, rounding_share: float) -> bool:
    """Whether an answer is what a draft claims.

    Args:
        draft: the question with its claim.
        found: the node's answer.
        rounding_share: by how much a number as it is said may differ from the node's.

    Returns:
        True for the same kind and value.
    """
    if draft.value_type != found.value_type.name.lower():
        return False
    if found.value_type is ValueType.NUMBER and isinstance(found.value, (int, float)):
        return found.unit == draft.unit and abs(float(draft.value) - found.value) <= rounding_share * abs(found.value)
    if found.value_type is ValueType.DIRECTION:
        return str(found.clock_hour) == draft.value
    if draft.chosen:
        return tuple(int(number) for number in _SPOKEN_ID.findall(found.value_text)) == draft.chosen
    return found.value_text == draft.value


def _clear(
    frame: AskedFrame, text: str, question: Question, *, level: bool = False, whole: bool = False
) -> SpatialAnswer:
    """The node's answer, if it has one beyond doubt."""
    found = answer(frame.whole_scene if whole else frame.scene, frame.query(text, level=level), question)
    if found.status is not StatusCode.OK:
        raise NotAskedError(f"the node answers {found.status.name.lower()}")
    if any(words in found.text for words in DOUBT):
        raise NotAskedError("too close to call for the node")
    return found


def _same(found: SpatialAnswer, level: SpatialAnswer, share: float) -> bool:
    """Whether an answer along level axes, or of whole boxes, comes to the same."""
    if isinstance(found.value, float) and isinstance(level.value, float):
        return abs(found.value - level.value) <= share * abs(found.value)
    if found.value_type is ValueType.DIRECTION:
        return found.clock_hour == level.clock_hour
    return found.value_text == level.value_text
