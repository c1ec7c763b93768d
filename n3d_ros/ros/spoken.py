"""Answers in a model's own words as replies: alone, or beside the ones that code computes from the boxes."""

from __future__ import annotations

from dataclasses import replace

from n3d_ros.errors import StatusCode
from n3d_ros.inference.grounder import Reasoning
from n3d_ros.ros.asks import Reply
from n3d_ros.scene.comparison import Agreement, agreement, spoken_value
from n3d_ros.scene.query import ValueType

MAX_THOUGHT_STEPS = 40  # lines of a chain of thought that an answer shows


def no_model(mode: str) -> str:
    """The sentence that says why a question was not put to a language model.

    Args:
        mode: the parameter ``answer_mode``.

    Returns:
        What it takes, and what was done instead.
    """
    return f"answer_mode {mode!r} takes a language model (parameter model); this was computed from the boxes."


def spoken_reply(computed: Reply, thought: Reasoning, timeout_s: float) -> Reply:
    """The model's answer as a reply, about the objects that were found for the question.

    Args:
        computed: what code made of the same objects.
        thought: the model's thought and answer.
        timeout_s: the time that was given.

    Returns:
        Sentence, value and steps of the model.
    """
    value = spoken_value(thought.answer)
    if not thought.answer:
        status, why = StatusCode.BACKEND_FAILED, "The language model came to no answer."
    else:
        status, why = StatusCode.OK, ""
    reply = replace(
        computed,
        status=status,
        message=why,
        sentence=thought.answer or why,
        value=value.value if thought.answer else None,
        value_type=int(value.value_type if thought.answer else ValueType.NONE),
        value_text=thought.answer,
        unit=value.unit,
        steps=_steps_of(thought.thought),
    )
    if not thought.partial:
        return reply
    text = f"Partial: the {timeout_s:g} s given, or the longest answer, ended before the model did."
    return replace(reply, status=StatusCode.TIMEOUT, message=text)


def compared_reply(computed: Reply, spoken: Reply, thought: Reasoning) -> Reply:
    """The computed answer with the model's beside it, or the model's alone where code has none.

    Args:
        computed: from the boxes.
        spoken: the model's, see ``spoken_reply``.
        thought: the model's thought and answer.

    Returns:
        The computed value; the last step says whether the two agree.
    """
    if computed.status is not StatusCode.OK:
        why = f"The boxes give no answer to compare with ({computed.status.name}): {computed.sentence}"
        return replace(spoken, steps=(why, *spoken.steps)) if thought.answer else computed
    if spoken.status is not StatusCode.OK:
        verdict = f"The language model gave no whole answer: {spoken.message} {thought.answer}".strip()
    else:
        how = agreement(computed.value, ValueType(computed.value_type), thought.answer)
        how = _same_objects(computed, thought.answer) if how is Agreement.UNKNOWN else how
        verdict = f'The language model says: "{thought.answer}" This {how.value}.'
    return replace(computed, message=verdict, steps=(*computed.steps, *spoken.steps, verdict))


def _same_objects(computed: Reply, text: str) -> Agreement:
    """Whether an answer without a single value names the objects that the boxes come to."""
    if computed.value_type != ValueType.NONE or not computed.objects:
        return Agreement.UNKNOWN
    named = [agreement(one.label, ValueType.TEXT, text) is Agreement.AGREE for one in computed.objects]
    return Agreement.AGREE if all(named) else Agreement.UNKNOWN


def _steps_of(thought: str) -> tuple[str, ...]:
    """A chain of thought, line by line."""
    lines = [line.strip() for line in thought.splitlines() if line.strip()]
    rest = len(lines) - MAX_THOUGHT_STEPS
    return (*lines[:MAX_THOUGHT_STEPS], f"And {rest} lines more.") if rest > 0 else tuple(lines)
