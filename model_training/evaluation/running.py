"""A run: every frame is looked at, its words are looked for, its questions are answered; each frame is kept at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any

from model_training.evaluation.answering import computed_answer, scene_of
from model_training.evaluation.asked import AskedFor
from model_training.evaluation.cases import AskedQuestion, Case, CaseSource
from model_training.evaluation.found import Found
from model_training.evaluation.journal import Journal
from model_training.evaluation.judging import Verdict, group_of, judge_computed, judge_words
from model_training.evaluation.looking import Look, Looker
from model_training.evaluation.matching import WAYS
from n3d_ros.errors import InputError
from n3d_ros.settings import check, number

ANSWER_MODES = ("code", "model", "both")
CODE, MODEL = "code", "model"
GROUNDING_KINDS = ("category", "referring")


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationConfig:
    """How a run is made; every field changes what comes out."""

    answer_mode: str = field(
        default="code", metadata={"meaning": "who answers from the boxes found", "choices": ANSWER_MODES}
    )
    limit: int = number(0, "at most so many frames; 0: all", unit="frames", minimum=0, maximum=10_000_000)
    words_per_frame: int = number(
        4, "category and referring questions asked of each frame; 0: none, -1: all", minimum=-1, maximum=1000
    )
    questions_per_frame: int = number(
        -1, "reasoning questions asked of each frame; 0: none, -1: all", minimum=-1, maximum=1000
    )
    matching: str = field(default="score", metadata={"meaning": "how boxes and objects are paired", "choices": WAYS})
    with_up: bool = field(default=True, metadata={"meaning": "whether grounders are told where up is"})
    asked_for: AskedFor = field(default_factory=AskedFor)

    def __post_init__(self) -> None:
        """Refuses values out of range.

        Raises:
            ConfigurationError: naming the field.
        """
        check(self, "evaluation")


def run_cases(
    source: CaseSource,
    looker: Looker,
    config: EvaluationConfig,
    journal: Journal,
    *,
    on_case: Callable[[str], None] | None = None,
) -> None:
    """Looks at every case that the journal does not hold yet.

    Args:
        source: of cases.
        looker: finds the boxes.
        config: what is asked.
        journal: keeps what is found.
        on_case: told the id of each case that is done, those of earlier runs included.
    """
    for case in limited(source, config):
        if not journal.has(case.record.id):
            journal.add(case.record.id, case_result(case, looker, config, everything=bool(source.measures)))
        if on_case is not None:
            on_case(case.record.id)


def limited(source: CaseSource, config: EvaluationConfig, *, images: bool = True) -> Iterator[Case]:
    """The cases that a run is about.

    Args:
        source: of cases.
        config: with the limit.
        images: as ``CaseSource.cases`` has it.

    Yields:
        Cases.

    Raises:
        InputError: two frames have one id, by which what is found is kept.
    """
    known = set[str]()
    for case in islice(source.cases(images=images), config.limit or None):
        if case.record.id in known:
            raise InputError(f"{source.name}: expected an id of its own for each frame, got {case.record.id} twice.")
        known.add(case.record.id)
        yield case


def planned(source: CaseSource, config: EvaluationConfig) -> int:
    """How many cases a run is about.

    Args:
        source: of cases.
        config: with the limit.

    Returns:
        The number.
    """
    return min(source.count(), config.limit) if config.limit else source.count()


def case_result(case: Case, looker: Looker, config: EvaluationConfig, *, everything: bool = True) -> dict[str, Any]:
    """All that comes out of one frame, as plain values.

    Args:
        case: the frame and its questions.
        looker: finds the boxes.
        config: what is asked.
        everything: whether all objects are looked for, also where no answer needs them.

    Returns:
        What was found, per look for words, per answer.
    """
    is_needed = everything or not looker.open_vocabulary
    look = looker.look(case.record) if is_needed else Look(found=Found())
    words = [one for one in case.questions if one.record.kind in GROUNDING_KINDS] if looker.finds_words else []
    reasoning = [one for one in case.questions if one.record.kind == "reasoning"]
    return {
        "found": look.found.to_dict(),
        "words": [_words_result(case, one, looker) for one in _first(words, config.words_per_frame)],
        "answers": [
            answer
            for one in _first(reasoning, config.questions_per_frame)
            for answer in _answers(case, one, looker, look, config.answer_mode)
        ],
    }


def _first(questions: list[AskedQuestion], count: int) -> list[AskedQuestion]:
    return questions if count < 0 else questions[:count]


def _words_result(case: Case, asked: AskedQuestion, looker: Looker) -> dict[str, Any]:
    """What was found for the words of a category or of referring expressions."""
    question = asked.record
    look = looker.look(case.record, phrase="; ".join(question.names))
    return {"question": question.id, "kind": question.kind, "found": look.found.to_dict()}


def _answers(case: Case, asked: AskedQuestion, looker: Looker, look: Look, mode: str) -> list[dict[str, Any]]:
    """The answers to one question: computed, the model's own, or both, from the same boxes."""
    question = asked.record
    begun = time.perf_counter()
    seen = looker.look(case.record, question=question.question) if looker.open_vocabulary else look
    look_ms = 1e3 * (time.perf_counter() - begun)
    answers: list[dict[str, Any]] = []
    rejected = seen.found.rejected if seen is not look else 0  # of the frame's own look they are counted already

    def tell(by: str, verdict: Verdict) -> None:
        nonlocal begun
        ms = look_ms + 1e3 * (time.perf_counter() - begun)
        begun = time.perf_counter()
        answers.append(_answer_row(asked, by, verdict) | {"ms": ms, "rejected": 0 if answers else rejected})

    begun = time.perf_counter()  # what one way of answering takes is none of the other's
    if mode != MODEL:
        tell(CODE, _computed(asked, seen, looker))
    if mode != CODE:
        thought = looker.reason(case.record, question.question, seen)
        if thought is None:
            verdict = Verdict(right=None, why="no model that answers")
        elif thought.partial:
            verdict = Verdict(right=False, why="did not end", said=thought.answer)
        else:
            labels = [one.label for one in case.record.objects]
            verdict = judge_words(question, thought.answer, asked.choices, others=labels)
        tell(MODEL, verdict)
    return answers


def _computed(asked: AskedQuestion, look: Look, looker: Looker) -> Verdict:
    """What the node's code makes of the boxes."""
    if look.found.problem:
        return Verdict(right=False, why="not looked at", said=look.found.problem)
    question = asked.record
    scene = scene_of(look.found.objects, question.target_box, look.ids)
    answer = computed_answer(scene, question.question, open_vocabulary=looker.open_vocabulary)
    return judge_computed(question, answer, scene, asked.choices)


def _answer_row(asked: AskedQuestion, mode: str, verdict: Verdict) -> dict[str, Any]:
    question = asked.record
    return {
        "question": question.id,
        "class": question.question_class,
        "group": group_of(question, asked.choices),
        "mode": mode,
        "text": question.question,
        "expected": question.value,
        "right": verdict.right,
        "why": verdict.why,
        "said": verdict.said[:200],
    }


def config_values(config: EvaluationConfig) -> Mapping[str, Any]:
    """The settings as plain values.

    Args:
        config: the settings.

    Returns:
        By name.
    """
    return asdict(config)
