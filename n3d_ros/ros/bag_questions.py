"""Questions that are asked while a bag is processed, answered as the node would answer them at that moment.

A question may name when: ``@2.5 where is the red box?`` is asked 2.5 seconds after the bag's first message, one without
a time at the end.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from n3d_ros.errors import QueryError, StatusCode
from n3d_ros.ros.answering import AnswerDesk
from n3d_ros.ros.asks import MAX_QUESTION_CHARS, Ask, Kind, Reply
from n3d_ros.ros.config import NodeConfig
from n3d_ros.ros.pairing import RgbdPair
from n3d_ros.ros.pipeline import FramePipeline

MAX_QUESTIONS = 1000
MAX_FILE_BYTES = 4 * MAX_QUESTION_CHARS * MAX_QUESTIONS  # UTF-8: at most four bytes a character
TIME_MARK = re.compile(r"@(\S*)\s*(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class BagQuestion:
    """A question, and when to ask it.

    Args:
        text: a question, or a phrase to look for.
        at_s: seconds after the bag's first message; None: at the end.
    """

    text: str
    at_s: float | None = None

    def __post_init__(self) -> None:
        """Checks both.

        Raises:
            QueryError: no words, too many, or no moment after the beginning.
        """
        if not self.text.strip() or len(self.text) > MAX_QUESTION_CHARS:
            raise _invalid(f"Question: expected 1 to {MAX_QUESTION_CHARS} characters, got {len(self.text)}.")
        if self.at_s is not None and not (math.isfinite(self.at_s) and self.at_s >= 0):
            raise _invalid(f"Question {self.text[:64]!r}: expected seconds from 0 on, got {self.at_s}.")

    @classmethod
    def parse(cls, text: str) -> BagQuestion:
        """A question as it is written on a command line or in a file.

        Args:
            text: such as "how many boxes are there?" or "@2.5 where is the mug?".

        Returns:
            The question.

        Raises:
            QueryError: it has no words, or its time is no number.
        """
        mark = TIME_MARK.fullmatch(text.strip())
        if mark is None:
            return cls(text=text.strip())
        try:
            at_s = float(mark[1])
        except ValueError:
            sentence = f'Question {text[:64]!r}: expected "@SECONDS question", got the time {mark[1][:32]!r}.'
            raise _invalid(sentence) from None
        return cls(text=mark[2].strip(), at_s=at_s)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answered:
    """A question and what was said.

    Args:
        question: as it was asked.
        recorded_ns: when, in the time of the bag.
        reply: the answer.
    """

    question: BagQuestion
    recorded_ns: int
    reply: Reply


def read_questions(texts: Sequence[str], file: Path | None = None) -> tuple[BagQuestion, ...]:
    """Questions from the command line and from a file.

    Args:
        texts: one question each.
        file: one question a line; empty lines and those that begin with # do not count. None: no file.

    Returns:
        Those of the file after the others.

    Raises:
        QueryError: the file cannot be read, a question is of another form, or there are more than ``MAX_QUESTIONS``.
    """
    lines = [] if file is None else _lines_of(file)
    if len(texts) + len(lines) > MAX_QUESTIONS:
        raise _invalid(f"Expected at most {MAX_QUESTIONS} questions, got {len(texts) + len(lines)}.")
    questions = [BagQuestion.parse(text) for text in texts]
    return (*questions, *(_question_of_line(line, f"{file}, line {number}") for number, line in lines))


def _question_of_line(line: str, place: str) -> BagQuestion:
    """The question in a line of a file."""
    try:
        return BagQuestion.parse(line)
    except QueryError as error:
        raise _invalid(f"{place}: {error.message}") from error


def _lines_of(file: Path) -> list[tuple[int, str]]:
    """Lines of a file that hold a question, with their numbers."""
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise _invalid(f"{file}: expected at most {MAX_FILE_BYTES} bytes of questions.")
        text = data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise _invalid(f"{file}: expected a text file with one question a line ({error}).") from error
    numbered = [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1)]
    return [(number, line) for number, line in numbered if line and not line.startswith("#")]


class QuestionDesk:
    """Asks the questions of one pass over a bag when their time has come.

    Args:
        pipeline: of the pass.
        config: the node's settings.
        questions: in any order.
        start_ns: when the bag begins.
    """

    def __init__(
        self, pipeline: FramePipeline, config: NodeConfig, questions: Sequence[BagQuestion], *, start_ns: int
    ) -> None:
        self._start_ns, self._config = start_ns, config
        self._newest_ns = 0
        self._desk = AnswerDesk(
            pipeline,
            clock_ns=lambda: self._newest_ns,
            config=lambda: config.request,
            explain=lambda: "The bag had no pair of images until then.",
            memory=lambda: config.memory,
        )
        self._pairs = 0
        timed = [one for one in questions if one.at_s is not None]
        self._timed = sorted(timed, key=lambda one: one.at_s or 0.0)
        self._last = [one for one in questions if one.at_s is None]

    def saw(self, pair: RgbdPair) -> None:
        """Takes note of the pair that was looked at last.

        Args:
            pair: the images.
        """
        self._newest_ns = pair.stamp_ns  # the clock of the answers stands at the newest image: none is stale
        self._pairs += 1
        self._desk.saw(pair)

    def forget(self) -> None:
        """Forgets it, for instance when time jumps back."""
        self._pairs = 0
        self._desk.forget()

    def due(self, recorded_ns: int) -> list[Answered]:
        """Asks what is to be asked before the message that comes next.

        Args:
            recorded_ns: of that message.

        Returns:
            The answers, in the order of the questions' times.
        """
        answers = []
        while self._timed and self._moment_ns(self._timed[0]) < recorded_ns:
            question = self._timed.pop(0)
            answers.append(self.ask(question, self._moment_ns(question)))
        return answers

    def rest(self, recorded_ns: int) -> list[Answered]:
        """Asks everything that was not asked yet.

        Args:
            recorded_ns: when the bag ended.

        Returns:
            The answers.
        """
        late = [self.ask(question, self._moment_ns(question)) for question in self._timed]
        last = [self.ask(question, recorded_ns) for question in self._last]
        self._timed, self._last = [], []
        return late + last

    def ask(self, question: BagQuestion, recorded_ns: int) -> Answered:
        """Asks one question now.

        Args:
            question: what to ask.
            recorded_ns: when that is, in the time of the bag.

        Returns:
            The answer, or the refusal that the node would have replied.
        """
        return Answered(question=question, recorded_ns=recorded_ns, reply=self._reply(question))

    def _reply(self, question: BagQuestion) -> Reply:
        """The desk's answer."""
        try:
            ask = Ask(kind=Kind.AUTO, text=question.text, timeout_s=self._config.request.timeout_s)
        except QueryError as error:
            return Reply.refusal(error)
        if not self._pairs:
            text = "The bag had no pair of images until then; ask later, or without a time."
            return Reply(status=StatusCode.NO_FRAME, message=text)
        return self._desk.reply(ask)

    def _moment_ns(self, question: BagQuestion) -> int:
        """When a question with a time is asked."""
        return self._start_ns + round((question.at_s or 0.0) * 1e9)


def _invalid(message: str) -> QueryError:
    return QueryError(message, code=StatusCode.INVALID_REQUEST, reason="invalid_request")
