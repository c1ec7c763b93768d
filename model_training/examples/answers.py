"""Questions with their answers as the model reads and writes them, in the node's own words and box code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from model_training.data.records import FrameRecord, ObjectRecord, QuestionRecord
from model_training.examples.config import ExampleConfig
from model_training.examples.left_out import TOO_MANY_BOXES
from model_training.examples.look import Look, target_box
from n3d_ros.codec.box_code import BoxCode, code_to_metric, encode_box, nearest_upright
from n3d_ros.codec.box_text import format_boxes
from n3d_ros.codec.model_input import DecodeContext
from n3d_ros.codec.prompts import detection_text, grounding_text, question_text, referring_text
from n3d_ros.codec.reasoning import THINK_CLOSE, THINK_OPEN, SceneBox, reasoning_text, scene_box
from n3d_ros.errors import InputError
from n3d_ros.geometry.transforms import optical_to_model


class UnusableQuestionError(InputError):
    """A question that does not fit its frame; ``reason`` says why, in words to count by."""

    def __init__(self, question: QuestionRecord, reason: str) -> None:
        super().__init__(f"Question {question.id}: {reason}.", reason=reason)


LOCATE, REASON = "locate", "reason"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """One turn of a user and the model's answer.

    Args:
        kind: the question's kind; a question to reason about gives two: "locate" and "reason".
        user_text: the user's turn.
        answer: the model's, without the token that ends it.
        codes: the boxes of the answer; None: it is free text.
    """

    kind: str
    user_text: str
    answer: str
    codes: tuple[BoxCode, ...] | None


def detection_question(frame: FrameRecord | Look) -> QuestionRecord:
    """The question for everything in a frame, for frames that come without questions.

    Args:
        frame: with its objects.

    Returns:
        A question.
    """
    ids = tuple(one.id for one in frame.objects)
    return QuestionRecord(id=f"{frame.id}/detection", frame_id=frame.id, kind="detection", object_ids=ids)


def conversations_of(
    question: QuestionRecord, look: Look, context: DecodeContext, config: ExampleConfig
) -> tuple[Conversation, ...]:
    """What is asked and answered for a question: one conversation, or two where it is to be reasoned about.

    Args:
        question: about this look.
        look: the frame as it is shown.
        context: of the frame as it is encoded.
        config: which boxes, in which order.

    Returns:
        Conversations; none where a question's first step has no objects and its second is not to be learnt.

    Raises:
        UnusableQuestionError: an object is not in the frame or has no box, or the answer has too many boxes.
        InputError: a label that cannot be written.
        QueryError: words that cannot be asked.
    """
    found = [look.by_id(object_id) for object_id in question.object_ids]
    objects = [one for one in found if one is not None]
    if len(objects) < len(found):
        raise UnusableQuestionError(question, "object not in the frame")
    if len(objects) > config.max_objects:
        raise UnusableQuestionError(question, TOO_MANY_BOXES)
    target = question.target_box if question.kind == "reasoning" else config.target_box
    if any(target_box(one, target) is None for one in objects):
        raise UnusableQuestionError(question, "object without a box in front of the camera")
    codes = box_codes(objects, context, target, ordered(question, config))
    if question.kind == "reasoning":
        steps = _reasoning(question, objects, codes, context)
        return steps if config.learn_answers else tuple(step for step in steps if step.kind == LOCATE)
    answer = format_boxes(codes)
    return (Conversation(kind=question.kind, user_text=_user_text(question), answer=answer, codes=codes),)


def ordered(question: QuestionRecord, config: ExampleConfig) -> str:
    """In which order the boxes of an answer stand.

    Args:
        question: those to reason about, and expressions, have an order of their own.
        config: for the others.

    Returns:
        One of ``ORDERS``.
    """
    return "given" if question.kind in ("reasoning", "referring") else config.order


def box_codes(objects: Sequence[ObjectRecord], context: DecodeContext, target: str, order: str) -> tuple[BoxCode, ...]:
    """The boxes of some objects in the model's code.

    Args:
        objects: of the frame.
        context: of the frame.
        target: "visible" or "full".
        order: one of ``ORDERS``.

    Returns:
        Codes in the order in which they are written.

    Raises:
        InputError: an object has no box in front of the camera, or a label that cannot be written.
    """
    yaw: Literal["free", "zero"] = "zero" if target == "visible" else "free"
    codes = []
    for one in objects:
        box = target_box(one, target)
        if box is None:
            raise InputError(f"Object {one.id} ({one.label}): expected a box in front of the camera, got none.")
        codes.append(encode_box(one.label, box, context, yaw=yaw))
    if order == "left_to_right":
        codes.sort(key=lambda code: (code.u, code.v, code.depth))
    elif order == "near_to_far":
        codes.sort(key=lambda code: (code.depth, code.u, code.v))
    return tuple(codes)


def _user_text(question: QuestionRecord) -> str:
    if question.kind == "detection":
        return detection_text()
    return grounding_text(question.names) if question.kind == "category" else referring_text(question.names)


def _reasoning(
    question: QuestionRecord, objects: Sequence[ObjectRecord], codes: tuple[BoxCode, ...], context: DecodeContext
) -> tuple[Conversation, ...]:
    """The two steps: first the objects, then the thought with the boxes stated as the node states them."""
    locate = Conversation(
        kind=LOCATE, user_text=question_text(question.question), answer=format_boxes(codes), codes=codes
    )
    stated = [
        _stated(k, one, code, question.target_box, context)
        for k, (one, code) in enumerate(zip(objects, codes, strict=True))
    ]
    thought = f"{THINK_OPEN}{question.reasoning}{THINK_CLOSE} " if question.reasoning else ""
    text = reasoning_text(question.question, stated)
    reason = Conversation(kind=REASON, user_text=text, answer=thought + question.answer, codes=None)
    return (locate, reason) if question.object_ids else (reason,)


def _stated(place: int, one: ObjectRecord, code: BoxCode, target: str, context: DecodeContext) -> SceneBox:
    """An object as the second step states it, in exact numbers: the thought begins with these, and copies them."""
    box = target_box(one, target)
    assert box is not None  # it has a code
    size = np.ptp(box.corners, axis=0) if target == "visible" else nearest_upright(box)[1]
    center = optical_to_model(box.center)
    return replace(
        scene_box(place, code_to_metric(code, context.normalization), context),
        center_m=(float(center[0]), float(center[1]), float(center[2])),
        size_m=(float(size[0]), float(size[1]), float(size[2])),
    )
