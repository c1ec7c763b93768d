"""Whether an answer is right: exact for yes and no, names, sides, hours and orders, within 25 % for numbers.

An answer that code computed has a value of a type and is judged by it; an answer in a model's own words is read first.
What cannot be judged (a question without a value) is neither right nor wrong, and counted apart.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from model_training.data.records import QuestionRecord
from model_training.evaluation.answering import ids_called
from model_training.questions.names import singulars
from n3d_ros.errors import StatusCode
from n3d_ros.scene.comparison import NUMBER_TOLERANCE, Agreement, agreement, spoken_value
from n3d_ros.scene.nouns_alike import words_of
from n3d_ros.scene.scene import Scene
from n3d_ros.scene.spatial_answer import SpatialAnswer, ValueType

OPEN, NUMERIC, CHOICE = "open", "numeric", "multiple choice"
NUMERIC_CLASSES = ("distance", "horizontal_vertical_distance", "width_height", "direction")
"""Classes that the benchmark counts as numeric; of these a clock direction is judged by its hour, exactly."""

NOT_JUDGED = "no value to judge by"
_PARTS = re.compile(r"\s*(?:;|,|\band\b|>|<|\bthen\b)\s*")
_NUMBERED = re.compile(r"^(?P<label>.+?)\s+(?P<id>\d+)$")
_OPPOSITES = (
    ("left", "right"), ("above", "below"), ("higher", "lower"), ("front", "behind"), ("wider", "thinner"),
    ("taller", "shorter"), ("bigger", "smaller"),
)  # fmt: skip
_NOT = frozenset({"not"})
_ASIDE = _NOT | {"above", "at", "behind", "below", "beside", "between", "by", "from", "in", "near", "on", "than", "to",
                 "under", "with"}  # fmt: skip
"""A thing named after one of these is no answer yet: "the closest to the camera is the mug"."""
_LETTER = re.compile(r"^\W*(?:answer\s*(?:is|:)\s*)?\(?([A-F])(?:[.:,;)]|\s*$)", re.IGNORECASE)
_LETTER_INSIDE = re.compile(r"\(([A-F])\)|\banswer\s*(?:is|:)\s*([A-F])(?:[.:,;)]|\s*$)", re.IGNORECASE)
_LETTER_BEFORE_WORDS = re.compile(r"(?:^|\banswer\s*(?:is|:))\s*([A-F])\b", re.IGNORECASE)
"""Only where no choice is named: "A mug" may be any letter's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What an answer is worth.

    Args:
        right: None: it cannot be judged.
        why: why not, in a word or two: a status, "other value", ...; "" where it is right.
        said: the value that was given, in words.
    """

    right: bool | None
    why: str = ""
    said: str = ""


def group_of(question: QuestionRecord, choices: Sequence[str] = ()) -> str:
    """Where a question counts: open, numeric or multiple choice.

    Args:
        question: the question.
        choices: what there is to choose from.

    Returns:
        ``OPEN``, ``NUMERIC`` or ``CHOICE``.
    """
    if choices:
        return CHOICE
    numeric = question.question_class in NUMERIC_CLASSES or question.value_type == "number"
    return NUMERIC if numeric else OPEN


def judge_computed(
    question: QuestionRecord, answer: SpatialAnswer, scene: Scene, choices: Sequence[str] = ()
) -> Verdict:
    """Whether a computed answer is right. An object that is missing in the scene makes it wrong.

    Args:
        question: with its true value.
        answer: what code computed.
        scene: of the boxes it computed with; names are looked up in it.
        choices: what there was to choose from.

    Returns:
        The verdict.
    """
    if not question.value:
        return Verdict(right=None, why=NOT_JUDGED)
    if answer.status is not StatusCode.OK:
        return Verdict(right=False, why=answer.status.name.lower(), said=answer.text)
    said = answer.value_text or answer.text
    if choices:
        return _chose(_chosen(said, scene, choices), question.value, choices, said)
    kind = question.value_type
    if kind == "boolean":
        same = isinstance(answer.value, bool) and answer.value == _is_yes(question.value)
    elif kind == "number":
        same = _is_near(answer.value, question.value)
    elif kind == "count":
        count = _as_number(question.value)
        same = count is not None and _as_number(answer.value) == count
    elif kind == "direction":
        same = answer.clock_hour is not None and answer.clock_hour == hour_of(question.value)
    elif kind == "text":
        same = _same_things(question.value, str(answer.value), scene)
    else:
        return Verdict(right=None, why=NOT_JUDGED, said=said)
    return _verdict(same, said)


def judge_words(
    question: QuestionRecord, text: str, choices: Sequence[str] = (), *, others: Sequence[str] = ()
) -> Verdict:
    """Whether an answer in words is right.

    Args:
        question: with its true value.
        text: the answer without the thought before it.
        choices: what there was to choose from.
        others: what else there is in the frame, and may be named first by mistake.

    Returns:
        The verdict; without words it is wrong.
    """
    if not question.value:
        return Verdict(right=None, why=NOT_JUDGED)
    words = text.strip()
    if not words:
        return Verdict(right=False, why="no answer")
    if choices:
        return _chose(_said_choice(words, choices), question.value, choices, words)
    kind = question.value_type
    if kind == "boolean":
        said = spoken_value(words)
        same = said.value_type is ValueType.BOOLEAN and said.value == _is_yes(question.value)
    elif kind in ("number", "count", "direction"):
        same = _says_number(question, words)
    elif kind == "text":
        same = _says_things(question, words, others)
    else:
        return Verdict(right=None, why=NOT_JUDGED, said=words)
    return _verdict(same, words)


def hour_of(value: str) -> int | None:
    """The hour of a clock direction as data sets write it.

    Args:
        value: "3", "3 o'clock" or "three o'clock".

    Returns:
        1 to 12; None: there is none.
    """
    hour = re.search(r"\b(\d{1,2})\b", value)
    if hour is None:
        said = spoken_value(value)
        return int(said.value) if said.value_type is ValueType.COUNT and 1 <= float(said.value) <= 12 else None
    return int(hour[1]) if 1 <= int(hour[1]) <= 12 else None


def _verdict(same: bool, said: str) -> Verdict:
    return Verdict(right=same, why="" if same else "other value", said=said)


def _chose(index: int | None, value: str, choices: Sequence[str], said: str) -> Verdict:
    """Whether the right choice was made; nobody can tell where the true one is none of them."""
    right = _choice_index(value, choices)
    return Verdict(right=None, why=NOT_JUDGED, said=said) if right is None else _verdict(index == right, said)


def _is_yes(value: str) -> bool:
    return value.strip().lower() in ("yes", "true")


def _as_number(value: object) -> float | None:
    try:
        return float(str(value).strip().removesuffix("m"))
    except ValueError:
        return None


def _is_near(said: object, wanted: str) -> bool:
    """Whether a number lies within a quarter of the true one; a true zero wants zero."""
    mine, true = _as_number(said), _as_number(wanted)
    return mine is not None and true is not None and abs(mine - true) <= NUMBER_TOLERANCE * abs(true) + 1e-9


def _says_number(question: QuestionRecord, words: str) -> bool:
    """Whether an answer in words comes to a number, a count or an hour."""
    if question.value_type == "direction":
        hour = hour_of(question.value)
        wanted = f"{hour} o'clock"
        return hour is not None and (
            agreement(None, ValueType.DIRECTION, words, words=wanted) is Agreement.AGREE
            or words.strip(". ") == str(hour)
        )
    number = _as_number(question.value)
    kind = ValueType.COUNT if question.value_type == "count" else ValueType.NUMBER
    return number is not None and agreement(number, kind, words) is Agreement.AGREE


def _names(value: str) -> list[str]:
    """The names, or sides, that a value consists of, in their order."""
    return [part for part in (one.strip() for one in _PARTS.split(value)) if part]


def _same_things(wanted: str, said: str, scene: Scene) -> bool:
    """Whether two values name the same: words, or objects of the scene in the same order."""
    names, given = _names(wanted), _names(said)
    if len(names) != len(given):
        return False
    return all(_is_same(name, one, scene) for name, one in zip(names, given, strict=True))


def _is_same(name: str, said: str, scene: Scene) -> bool:
    if singulars(name) == singulars(said):
        return True
    numbered = _NUMBERED.match(said)
    known = scene.by_id(int(numbered["id"])) if numbered else None
    return known is not None and known.id in ids_called(name, scene)


def _says_things(question: QuestionRecord, text: str, others: Sequence[str]) -> bool:
    """Whether an answer in words names what is true, and before whatever else could be meant.

    "The mug is closer than the lamp" names both; what is named first is the answer. An order must name all in turn.
    """
    given = singulars(text)
    wanted = [singulars(name) for name in _names(question.value)]
    if len(wanted) > 1:
        order = _places(wanted, given)
        turns = [place for place in order if place is not None]
        return len(turns) == len(wanted) and turns == sorted(turns)
    name, rivals = singulars(question.value), [singulars(one) for one in _rivals(question)]
    known = [one for other in others if (one := singulars(other))]
    is_thing = any(_ends_alike(one, name) for one in known)
    if is_thing:  # a floor lamp is a lamp where nothing is just called lamp, and a yellow pear is called pear
        rivals += [one for one in known if name in known or not _ends_alike(one, name)]
    names = [name, *(one for one in rivals if one != name)]
    mine, *places = _places(names, given, not_after=_ASIDE if is_thing else _NOT)
    return mine is not None and all(place is None or mine < place for place in places)


def _ends_alike(first: Sequence[str], second: Sequence[str]) -> bool:
    """Whether the shorter of two names ends the longer one."""
    length = min(len(first), len(second))
    return tuple(first[-length:]) == tuple(second[-length:])


def _rivals(question: QuestionRecord) -> list[str]:
    """What else could have been said: the opposite side, and the other things that "X or Y" in the question names."""
    value = question.value.strip().lower()
    opposite = [b if value == a else a for a, b in _OPPOSITES if value in (a, b)]
    if opposite:
        return opposite
    either = re.findall(r"\bthe ([\w' -]+?)(?= or\b|,|\?|$| (?:is|than|to|from|and)\b)", question.question.lower())
    return [one for one in either if singulars(one) != singulars(value)]


def _places(
    names: Sequence[tuple[str, ...]], text: tuple[str, ...], *, not_after: frozenset[str] = _NOT
) -> list[int | None]:
    """Where each name first stands in a text, both in words; None: nowhere, or only after words that take it back.

    A word belongs to the longest name around it: "cereal box" does not name a box.
    """
    taken, first = set[int](), dict[tuple[str, ...], int]()
    for name in sorted(set(names), key=len, reverse=True):
        spans = [range(k, k + len(name)) for k in range(len(text) - len(name) + 1) if text[k : k + len(name)] == name]
        free = [span for span in spans if name and taken.isdisjoint(span)]
        taken.update(*free)
        said = [span.start for span in free if span.start == 0 or text[span.start - 1] not in not_after]
        if said:
            first[name] = said[0]
    return [first.get(name) for name in names]


def _choice_index(value: str, choices: Sequence[str]) -> int | None:
    """Which choice a value is: by its letter, or by its words."""
    letter = _LETTER.match(value)
    if letter and len(words_of(value)) == 1 and (index := _index_of(letter[1], choices)) is not None:
        return index
    return next((k for k, choice in enumerate(choices) if singulars(choice) == singulars(value)), None)


def _index_of(letter: str, choices: Sequence[str]) -> int | None:
    index = ord(letter.upper()) - ord("A")
    return index if index < len(choices) else None


def _chosen(said: str, scene: Scene, choices: Sequence[str]) -> int | None:
    """Which choice a computed value is."""
    fitting = [k for k, choice in enumerate(choices) if _is_same(choice, said, scene)]
    return fitting[0] if len(fitting) == 1 else None


def _said_choice(text: str, choices: Sequence[str]) -> int | None:
    """Which choice an answer in words takes: its letter, else the only one, or the first one, that it names."""
    letter = _LETTER.match(text) or _LETTER_INSIDE.search(text)
    if letter:
        return _index_of(next(one for one in letter.groups() if one), choices)
    found = enumerate(_places([singulars(choice) for choice in choices], singulars(text)))
    places = [(place, k) for k, place in found if place is not None]
    if places:
        return min(places)[1]
    letter = _LETTER_BEFORE_WORDS.search(text)
    return None if letter is None else _index_of(letter[1], choices)
