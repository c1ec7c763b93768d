"""The second step of a question: located boxes written out for the model, and its chain of thought taken apart.

The model first locates what a question is about (``prompts.question_text``). A second, separate turn then repeats the
question's first sentence and states the boxes in metres; the model answers that with ``<think>...</think> answer``.
Wording and number format are those of N3D-VLM's ``demo.py`` (``generate_scene_condition``), character by character.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from n3d_ros.codec.box_code import MetricBox, metric_center
from n3d_ros.codec.model_input import DecodeContext
from n3d_ros.codec.prompts import clean_question
from n3d_ros.errors import InputError
from n3d_ros.geometry.boxes import CORNER_SIGNS
from n3d_ros.geometry.transforms import optical_to_model

DECIMALS = 2  # of every number the model reads
PLAIN_NAMES_UP_TO = 3  # objects; more are told apart by their number
MAX_CONDITION_BOXES = 100  # stated to the model at most; a caller leaves out what its capacity has no room for
THINK_OPEN, THINK_CLOSE = "<think>", "</think>"

_FIRST_SENTENCE = re.compile(r".+?[.?]")
_TARGET = re.compile(r"\b\d+_[a-zA-Z0-9]+(?: [a-zA-Z0-9]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneBox:
    """A located object as the second step states it.

    Args:
        index: its number in the model's list.
        label: what it is.
        center_m: x left, y up, z forward, metres: the model's axes.
        size_m: width, height, depth, metres.
        rectangle: u, v of the projected centre, width and height around the projected corners, fractions of the image.
    """

    index: int
    label: str
    center_m: tuple[float, float, float]
    size_m: tuple[float, float, float]
    rectangle: tuple[float, float, float, float]

    @property
    def numbered_name(self) -> str:
        """Such as "4_hot air balloon"."""
        return f"{self.index}_{self.label}"

    @property
    def box_3d(self) -> list[float]:
        """Centre and size, rounded as the model reads them."""
        return [round(float(number), DECIMALS) for number in (*self.center_m, *self.size_m)]

    @property
    def box_2d(self) -> list[float]:
        """The rectangle, rounded as the model reads it.

        Places half-way between two hundredths go either way in the reference, by the noise of its float32 cameras.
        """
        return [round(float(number), DECIMALS) for number in self.rectangle]


def scene_box(index: int, box: MetricBox, context: DecodeContext) -> SceneBox:
    """A located object in the numbers of the second step. The box's angle plays no part, as in the reference.

    Args:
        index: its number in the model's list.
        box: fractions and metres, from ``code_to_metric``.
        context: of its frame.

    Returns:
        Centre, size and rectangle.

    Raises:
        InputError: the centre is not in front of the camera.
    """
    if not box.depth_m > 0:
        raise InputError(f"scene_box: expected a centre in front of the camera, got z = {box.depth_m:.3f} m.")
    center = metric_center(box, context)
    corners = center + CORNER_SIGNS * np.array(box.size_m) / 2
    corners = corners[corners[:, 2] > 0]
    camera = context.intrinsics
    # Focal lengths as fractions of the image; the principal point drops out of widths and heights.
    columns = corners[:, 0] / corners[:, 2] * camera.fx / camera.width
    rows = corners[:, 1] / corners[:, 2] * camera.fy / camera.height
    x, y, z = (float(value) for value in optical_to_model(center))
    return SceneBox(
        index=index,
        label=box.label,
        center_m=(x, y, z),
        size_m=box.size_m,
        rectangle=(box.u, box.v, float(np.ptp(columns)), float(np.ptp(rows))),
    )


def reasoning_text(question: str, boxes: Sequence[SceneBox]) -> str:
    """The user's turn of the second step, for a question whose objects were located for it.

    Args:
        question: the same words as in the first step.
        boxes: everything the first step found.

    Returns:
        The question's first sentence and the boxes.

    Raises:
        QueryError: the question is empty or too long.
    """
    stated = boxes[:MAX_CONDITION_BOXES]
    return first_sentence(clean_question(question)) + condition_text(stated, numbered=len(stated) > PLAIN_NAMES_UP_TO)


def follow_up_text(question: str, boxes: Sequence[SceneBox]) -> str:
    """The user's turn for a later question about objects of a list, which it names by number ("4_hot air balloon").

    Args:
        question: names objects as ``SceneBox.numbered_name``.
        boxes: the list.

    Returns:
        The question's first sentence and the boxes it names; without boxes if it names none.

    Raises:
        QueryError: the question is empty or too long.
    """
    words = clean_question(question)
    return first_sentence(words) + condition_text(follow_up_targets(words, boxes), numbered=True)


def follow_up_targets(question: str, boxes: Sequence[SceneBox]) -> tuple[SceneBox, ...]:
    """The boxes a question names by number, in the order it names them.

    The reference's pattern is kept: it takes all words that follow a number, so a name must end at a comma or the
    sentence's end, and names with "/", "-" or letters beyond ASCII are not found.

    Args:
        question: a question.
        boxes: to choose from.

    Returns:
        The boxes, at most ``MAX_CONDITION_BOXES``; one that is named twice comes twice.
    """
    by_name: dict[str, SceneBox] = {}
    for box in boxes:
        by_name.setdefault(box.numbered_name, box)
    found = (by_name.get(name) for name in _TARGET.findall(question))
    return tuple(box for box in found if box is not None)[:MAX_CONDITION_BOXES]


def condition_text(boxes: Sequence[SceneBox], *, numbered: bool) -> str:
    """The sentences that state boxes to the model.

    Args:
        boxes: in the order to be stated.
        numbered: whether objects are named with their number.

    Returns:
        Sentences with a blank before and after; nothing for no boxes.
    """
    if not boxes:
        return ""
    names = [box.numbered_name if numbered else box.label for box in boxes]
    boxes_3d, boxes_2d = [box.box_3d for box in boxes], [box.box_2d for box in boxes]
    if len(boxes) <= 2:
        facts = [_fact("3D", name, box) for name, box in zip(names, boxes_3d, strict=True)]
        facts += [_fact("2D", name, box) for name, box in zip(names, boxes_2d, strict=True)]
    elif len(boxes) == 3:
        facts = [_fact("3D", _enumerated(names), _enumerated(boxes_3d))]
        facts += [_fact("2D", _enumerated(names), _enumerated(boxes_2d))]
    else:
        facts = [_fact("3D", names, boxes_3d), _fact("2D", names, boxes_2d)]
    return " " + " ".join(facts) + " "


def first_sentence(text: str) -> str:
    """A text up to its first full stop or question mark; all of it if it has none. Decimal points count too.

    Args:
        text: one line.

    Returns:
        The sentence.
    """
    match = _FIRST_SENTENCE.match(text)
    return match[0] if match else text


def split_thought(text: str) -> tuple[str, str]:
    """The chain of thought of an answer, and the answer itself.

    Args:
        text: what the model wrote.

    Returns:
        Thought and answer without blanks at their ends. An answer that was cut off while thinking is empty; a text
        without ``<think>`` is all answer.
    """
    head, opened, rest = text.partition(THINK_OPEN)
    if not opened:
        thought, closed, answer = text.partition(THINK_CLOSE)
        return (thought.strip(), answer.strip()) if closed else ("", text.strip())
    thought, _, answer = rest.partition(THINK_CLOSE)
    return thought.strip(), " ".join(part for part in (head.strip(), answer.strip()) if part)


def _fact(kind: str, name: object, box: object) -> str:
    """One sentence about one or several boxes; lists appear as Python writes them."""
    return f"The {kind} bbox of {name} is {box}."


def _enumerated(items: Sequence[object]) -> str:
    """Three items as "A, B and C"."""
    first, second, third = items
    return f"{first}, {second} and {third}"
