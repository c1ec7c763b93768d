"""Located boxes stated to the model together with a question: as many as fit, the likeliest to matter first."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from n3d_ros.codec.box_code import code_to_metric, encode_box
from n3d_ros.codec.model_input import Prompt
from n3d_ros.codec.prompts import MAX_PROMPT_CHARACTERS, build_prompt
from n3d_ros.codec.reasoning import MAX_CONDITION_BOXES, SceneBox, reasoning_text, scene_box
from n3d_ros.codec.tokenizer import Tokenizer
from n3d_ros.detection import Detection3D
from n3d_ros.errors import InputError
from n3d_ros.inference.language_model.frames import FrameWork

ANSWER_RESERVE = 512  # tokens kept free of boxes: the published thoughts and answers have 100 to 400
_WORD = re.compile(r"\w{2,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredBox:
    """A box in the numbers that the model reads.

    Args:
        box: as it is stated.
        score: confidence, 0 to 1.
    """

    box: SceneBox
    score: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StatedQuestion:
    """A question with its boxes, ready to be asked.

    Args:
        prompt: shorter than the capacity.
        stated: how many boxes it holds.
        left_out: how many had no room.
        notes: what a user should know of that.
    """

    prompt: Prompt
    stated: int
    left_out: int
    notes: tuple[str, ...] = ()


def checked_prompt(tokenizer: Tokenizer, text: str, *, image_tokens: int, capacity: int) -> Prompt:
    """The prompt for some words about an image.

    Args:
        tokenizer: of the model.
        text: the user's turn.
        image_tokens: of the image.
        capacity: longest prompt and answer together, tokens.

    Returns:
        A prompt that leaves room for one token at least.

    Raises:
        InputError: it does not, or the text is too long.
    """
    prompt = build_prompt(tokenizer, text, image_tokens)
    length = _length(prompt)
    if length >= capacity:
        raise InputError(
            f"The prompt has {length} tokens, {image_tokens} of them the image; expected at most {capacity - 1} "
            f"(language_model.capacity {capacity}, one for the answer). Raise language_model.capacity, lower "
            "language_model.long_side, or use fewer words."
        )
    return prompt


def stated_question(
    tokenizer: Tokenizer,
    question: str,
    boxes: Sequence[ScoredBox],
    *,
    image_tokens: int,
    capacity: int,
    answer_tokens: int,
) -> StatedQuestion:
    """A question with as many boxes as fit, in the model's order.

    Boxes whose names the question uses come first, then those of higher confidence. A third of what the words and the
    image leave free, but no more than ``ANSWER_RESERVE`` or the longest answer, is kept for the answer.

    Args:
        tokenizer: of the model.
        question: in words.
        boxes: in the order in which they are to be stated.
        image_tokens: of the image.
        capacity: longest prompt and answer together, tokens.
        answer_tokens: the longest answer.

    Returns:
        The prompt and what it holds.

    Raises:
        QueryError: the question is empty or too long.
        InputError: the question does not fit without any box.
    """
    bare = checked_prompt(tokenizer, reasoning_text(question, []), image_tokens=image_tokens, capacity=capacity)
    room = capacity - _length(bare)
    limit = capacity - max(1, min(ANSWER_RESERVE, answer_tokens, room // 3))
    order = sorted(range(len(boxes)), key=lambda place: (-_named_share(boxes[place], question), -boxes[place].score))

    def prompt_with(count: int) -> Prompt | None:
        """The prompt with the first few boxes of ``order``; None where it is too long."""
        text = reasoning_text(question, [boxes[place].box for place in sorted(order[:count])])
        prompt = build_prompt(tokenizer, text, image_tokens) if len(text) <= MAX_PROMPT_CHARACTERS else None
        return prompt if prompt is not None and _length(prompt) <= limit else None

    most, best, stated = min(len(boxes), MAX_CONDITION_BOXES), bare, 0
    while stated < most:
        middle = (stated + most + 1) // 2
        prompt = prompt_with(middle)
        if prompt is None:
            most = middle - 1
        else:
            best, stated = prompt, middle
    left_out = len(boxes) - stated
    return StatedQuestion(
        prompt=best, stated=stated, left_out=left_out, notes=_notes(stated, left_out, image_tokens, capacity)
    )


def scored_boxes(detections: Sequence[Detection3D], work: FrameWork) -> list[ScoredBox]:
    """Boxes in the numbers that the model reads: as it wrote them itself and in its own order, where it did.

    Others follow in their order, as the model would have said them: along the camera's axes, around the box. Those
    behind the camera are left out.

    Args:
        detections: camera optical frame.
        work: their frame, with the lists that were written about it.

    Returns:
        Boxes with a number of their own each.
    """
    context = work.context
    places = {id(found.raw): place for place, found in enumerate(work.found)}
    places |= {id(found.detection): place for place, found in enumerate(work.found)}
    known = [work.found[place] for place in sorted({places[id(d)] for d in detections if id(d) in places})]
    numbers = [found.index for found in known]
    if len(set(numbers)) < len(numbers):  # of several lists
        numbers = list(range(len(known)))
    coded = [(number, f.code, f.raw.score) for number, f in zip(numbers, known, strict=True)]
    others = [d for d in detections if id(d) not in places and d.box.center[2] > 0]
    first = max(numbers, default=-1) + 1
    # The angle plays no part in what is stated: a turned box is stated by its extent along the camera's axes.
    coded += [(k, encode_box(d.label, d.box, context, yaw="zero"), d.score) for k, d in enumerate(others, start=first)]
    metric = [(number, code_to_metric(code, context.normalization), score or 0.0) for number, code, score in coded]
    return [
        ScoredBox(box=scene_box(number, box, context), score=score) for number, box, score in metric if box.depth_m > 0
    ]


def _length(prompt: Prompt) -> int:
    return len(prompt.prefix_ids) + len(prompt.suffix_ids)


def _named_share(scored: ScoredBox, question: str) -> float:
    """The share of a label's words that a question uses, 0 to 1; "balloon" counts in "balloons"."""
    words, asked = _WORD.findall(scored.box.label.casefold()), question.casefold()
    return sum(word in asked for word in words) / max(1, len(words))


def _notes(stated: int, left_out: int, image_tokens: int, capacity: int) -> tuple[str, ...]:
    if not left_out:
        return ()
    return (
        f"The question states {stated} of {stated + left_out} boxes to the model: more have no room in "
        f"language_model.capacity ({capacity} tokens, {image_tokens} of them the image) beside the words and the "
        "answer. What the question names came first, then what is surest.",
    )
