"""Questions about a scene and their answers: the face of ``questions``, which reads, and ``answers``, which computes.

The words are read into a ``Question``, the objects are found by their words, and code computes the rest; nothing is
guessed. ``answer`` returns a status for every text and never raises.
"""

from __future__ import annotations

from n3d_ros.errors import StatusCode
from n3d_ros.scene.answers.answering import answer_to
from n3d_ros.scene.answers.movement import is_about_change as is_about_change
from n3d_ros.scene.answers.wording import MAX_TEXT_CHARS as MAX_TEXT_CHARS
from n3d_ros.scene.answers.wording import echo, limited
from n3d_ros.scene.nouns import nouns_of as nouns_of  # the questions' other half: what to look for
from n3d_ros.scene.questions.question import Question
from n3d_ros.scene.questions.reading import UNDERSTOOD as UNDERSTOOD
from n3d_ros.scene.questions.reading import read as read
from n3d_ros.scene.scene import Scene
from n3d_ros.scene.spatial_answer import SpatialAnswer as SpatialAnswer
from n3d_ros.scene.spatial_answer import SpatialQuery as SpatialQuery
from n3d_ros.scene.spatial_answer import ValueType as ValueType

MAX_QUESTION_CHARS = 1024  # the bound of the service


def answer(scene: Scene, query: SpatialQuery, question: Question | None = None) -> SpatialAnswer:
    """The answer to a question about a scene.

    Args:
        scene: what is known, in the frame that positions are wanted in.
        query: the question, and who asks.
        question: the same question, where it was read before; None: it is read from ``query.text``.

    Returns:
        An answer for every text; ``status`` says when there is none and ``text`` why.
    """
    refusal = _refusal(scene, query.text)
    if refusal is not None:
        return refusal
    if question is None:
        reading = read(query.text)
        if reading.question is None:
            return _not_understood(scene, query.text, reading.unread)
        question = reading.question
    return answer_to(question, scene, query)


def _refusal(scene: Scene, text: str) -> SpatialAnswer | None:
    """Why a question cannot even be read or asked yet; None when it can."""
    if len(text) > MAX_QUESTION_CHARS:
        return SpatialAnswer(
            status=StatusCode.INVALID_REQUEST,
            text=f"Question: expected at most {MAX_QUESTION_CHARS} characters, got {len(text)}.",
        )
    if not text.strip():
        return SpatialAnswer(
            status=StatusCode.INVALID_REQUEST, text=f"Question: expected words, got none. Try: {UNDERSTOOD[0]}"
        )
    if not scene.stamp_ns and not scene.objects:
        return SpatialAnswer(status=StatusCode.NO_FRAME, text="No image has been processed yet, so nothing is known.")
    return None


def _not_understood(scene: Scene, text: str, unread: str) -> SpatialAnswer:
    """What could not be read, and what is understood."""
    part = f' I could not read: "{echo(unread)}".' if unread and unread != text.strip() else ""
    return SpatialAnswer(
        status=StatusCode.NOT_UNDERSTOOD,
        text=limited([
            f'I do not understand "{echo(text)}".{part}',
            f"I understand, for instance: {UNDERSTOOD[0]}",
            *UNDERSTOOD[1:],
        ]),
        stamp_ns=scene.stamp_ns,
    )  # fmt: skip
