"""What is asked and what is replied: requests of services and action, checked, and their answers. Needs no rclpy."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import lru_cache
from typing import Any

from n3d_ros.errors import N3dError, QueryError, StatusCode
from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.geometry.transforms import RigidTransform
from n3d_ros.inference.grounder import MAX_PHRASE_CHARS
from n3d_ros.scene.objects import SceneObject
from n3d_ros.scene.query import is_about_change
from n3d_ros.scene.questions.question import Moment, Question
from n3d_ros.scene.questions.reading import Reading, read

logger = logging.getLogger(__name__)

MAX_QUESTION_CHARS = 1024  # the bound of the interfaces, which rclpy does not check
MAX_FRAME_CHARS = 256
MAX_TIMEOUT_S = 3600.0
MAX_NOTES = 8  # of an answer
READINGS_KEPT = 256
QUESTION_WORDS = frozenset(
    [
        "are",
        "can",
        "compare",
        "count",
        "describe",
        "did",
        "do",
        "does",
        "how",
        "is",
        "list",
        "tell",
        "what",
        "when",
        "where",
        "which",
        "who",
        "why",
    ]
)


class Kind(IntEnum):
    """What a text is; the numbers of ``n3d_msgs/Ground``."""

    AUTO = 0
    PHRASE = 1
    QUESTION = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request, checked.

    Args:
        kind: phrase, question, or for us to tell.
        text: at most 512 characters of a phrase, 1024 of a question; empty phrase: everything.
        target_frame: frame of the answer; empty: that of the published objects.
        viewpoint_frame: frame of ``viewpoint``; empty: the camera's own view.
        viewpoint: who looks, x forward, y left, z up.
        stamp_ns: moment asked about; 0: now.
        timeout_s: above 0.
        image_timeout_s: above 0; longest wait for an image to look at, where none is young enough. None: ``timeout_s``.
        anew: look at the image again, whatever is known of it already.
        asked_ns: when it was asked, on the clock of the images: "ten seconds ago" counts from then, however long the
            request waits. 0: not told, it counts from when it is answered.
        reading: of a question, once for all who answer it.
    """

    kind: Kind
    text: str
    target_frame: str = ""
    viewpoint_frame: str = ""
    viewpoint: RigidTransform = field(default_factory=RigidTransform.identity)
    stamp_ns: int = 0
    timeout_s: float = 5.0
    image_timeout_s: float | None = None
    anew: bool = False
    asked_ns: int = 0
    reading: Reading | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Decides the kind, and checks lengths and ranges.

        Raises:
            QueryError: a field out of its range (code ``INVALID_REQUEST``), named in the message.
        """
        if self.kind is Kind.AUTO:
            object.__setattr__(self, "kind", Kind.QUESTION if reads_as_question(self.text) else Kind.PHRASE)
        object.__setattr__(self, "text", self.text.strip())
        limit = MAX_QUESTION_CHARS if self.kind is Kind.QUESTION else MAX_PHRASE_CHARS
        if len(self.text) > limit:
            raise _invalid(f"text: expected at most {limit} characters, got {len(self.text)}.")
        if self.kind is Kind.QUESTION and not self.text:
            raise _invalid('question: expected words, such as "where is the red box?", got an empty string.')
        for name in ("target_frame", "viewpoint_frame"):
            value = getattr(self, name)
            if len(value) > MAX_FRAME_CHARS or value.startswith("/"):
                raise _invalid(f"{name}: expected a frame's name without a leading slash, got {value[:64]!r}.")
        if not 0 < self.timeout_s <= MAX_TIMEOUT_S:
            raise _invalid(f"timeout_s: expected above 0 and at most {MAX_TIMEOUT_S:g} s, got {self.timeout_s}.")
        if self.stamp_ns < 0:
            raise _invalid(f"stamp: expected 0 or later, got {self.stamp_ns} ns.")
        if self.kind is Kind.QUESTION:
            object.__setattr__(self, "reading", _read(self.text))

    @property
    def question(self) -> Question | None:
        """The question as it was read; None for a phrase, and when it was not understood."""
        return None if self.reading is None else self.reading.question

    @property
    def moment(self) -> Moment | None:
        """The moment that the question itself is about ("... ten seconds ago?"); None: now."""
        question = self.question
        return None if question is None or is_about_change(question) else question.moment


def _invalid(message: str) -> QueryError:
    return QueryError(message, code=StatusCode.INVALID_REQUEST, reason="invalid_request")


def reads_as_question(text: str) -> bool:
    """Whether a text asks rather than names.

    Args:
        text: any.

    Returns:
        True when it ends in a question mark, begins with a word that asks, or can be read as a question ("order the
        boxes by height", "find the red box").
    """
    words = text.strip().lower().split(maxsplit=1)
    asks = bool(words) and (text.rstrip().endswith("?") or words[0].strip(",.:;!") in QUESTION_WORDS)
    return asks or (bool(words) and _read(text.strip()).question is not None)


@lru_cache(maxsize=READINGS_KEPT)
def _read(text: str) -> Reading:
    """A text read; whoever asks the same again and again, as programs do, is answered sooner."""
    return read(text)


def request_timeout(asked_s: float, default_s: float) -> float:
    """The time a request is given.

    Args:
        asked_s: what it asks for; 0: the default.
        default_s: the node's.

    Returns:
        Seconds.

    Raises:
        QueryError: negative, NaN or infinite.
    """
    if not math.isfinite(asked_s) or asked_s < 0:
        raise _invalid(f"timeout_s: expected 0 (the node's default) or seconds above it, got {asked_s}.")
    return asked_s or default_s


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reply:
    """The answer to a request.

    Args:
        status: how it ended.
        message: why there is no answer, and what the grounder noted; empty when there is nothing to say.
        objects: in ``frame_id``.
        frame_id: of every pose; empty when no image was used.
        stamp_ns: of the image the answer rests on; 0 when none was used.
        up: (3,) the vertical in ``frame_id``; None when unknown.
        sentence: the answer in words.
        value: the answer as a value.
        value_type: what ``value`` is.
        value_text: ``value`` in words.
        unit: of ``value``.
        clock_hour: 1 to 12 beside a direction; None: none.
        steps: how the answer was reached.
    """

    status: StatusCode
    message: str = ""
    objects: tuple[SceneObject, ...] = ()
    frame_id: str = ""
    stamp_ns: int = 0
    up: FloatArray | None = None
    sentence: str = ""
    value: Any = None
    value_type: int = 0
    value_text: str = ""
    unit: str = ""
    clock_hour: int | None = None
    steps: tuple[str, ...] = ()

    @classmethod
    def refusal(cls, error: Exception) -> Reply:
        """The reply that an error makes: whoever asks is answered, whatever happens.

        Args:
            error: what went wrong; one that is not ours is a bug, which is logged and costs this request only.

        Returns:
            A reply without objects.
        """
        if isinstance(error, N3dError):
            return cls(status=error.code, message=error.message)
        logger.error("Internal error while a request was answered.", exc_info=error)
        text = f"The node failed on this request ({type(error).__name__}: {error}); its log tells more."
        return cls(status=StatusCode.BACKEND_FAILED, message=text)

    def with_notes(self, notes: Sequence[str], *, said: bool = True) -> Reply:
        """The same reply with what the grounder has to say of the image and the phrase.

        Args:
            notes: sentences.
            said: add them to the sentence too; without, that stays as short as a voice wants it.

        Returns:
            The reply with the notes at the end of the message, at most ``MAX_NOTES`` of them.
        """
        if not notes:
            return self
        rest = len(notes) - MAX_NOTES
        shown = [*notes[:MAX_NOTES], *([f"And {rest} notes more."] if rest > 0 else [])]
        sentence = " ".join([self.sentence, *shown]).strip() if said else self.sentence
        return replace(self, message=" ".join([self.message, *shown]).strip(), sentence=sentence)

    def cut_short(self, timeout_s: float) -> Reply:
        """The same reply, told to be incomplete: the time ran out on the way.

        Args:
            timeout_s: the time that was given.

        Returns:
            TIMEOUT, with the objects found so far and what they come to.
        """
        noted = (
            f"Partial: the {timeout_s:g} s given ended before everything was found; {len(self.objects)} objects so "
            "far. Ask with a longer timeout_s."
        )
        return replace(self, status=StatusCode.TIMEOUT, message=noted)
