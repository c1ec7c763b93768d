"""Box text both ways: ``bbox_<index>=Bbox(<class>,<u>,<v>,<z>,<angle>,<sx>,<sy>,<sz>)``, one box a line.

The seven numbers are the last seven fields, so that a class may hold commas and parentheses (the reference's own
pattern cannot read such lines). Lines that cannot be read come back beside those that can, with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from n3d_ros.codec.box_code import BINS, CODE_FIELDS, BoxCode, MetricBox
from n3d_ros.codec.label_bytes import MAX_LABEL_BYTES
from n3d_ros.errors import InputError

MAX_LINES = 1000  # of one text; a model that repeats itself would fill memory
MAX_LINE_CHARACTERS = 1024
MAX_INDEX = 99_999

_LINE = re.compile(r"bbox_([0-9]{1,5})=Bbox\((.*)\)\Z", re.DOTALL)
_OPEN_LINE = re.compile(r"bbox_[0-9]{1,5}=Bbox\(")
_NEXT_BOX = re.compile(r"(?<=\))[ \t]*(?=bbox_[0-9]{1,5}=Bbox\()")
_INTEGER = re.compile(r"-?[0-9]{1,9}\Z")
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?\Z")
_FIELD_NAMES = ", ".join(CODE_FIELDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedBox:
    """A line that was read.

    Args:
        index: the number behind ``bbox_``.
        code: the box.
        line: the text it was read from.
    """

    index: int
    code: BoxCode
    line: str

    @property
    def label_is_full(self) -> bool:
        """Whether the label is as long as an open vocabulary allows, so that the grammar may have ended it early."""
        return len(_split(self.line)[1].encode()) >= MAX_LABEL_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricLine:
    """A line with fractions and metres that was read.

    Args:
        index: the number behind ``bbox_``.
        box: the box.
        line: the text it was read from.
    """

    index: int
    box: MetricBox
    line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedLine:
    """A line that was not read.

    Args:
        line: its text, cut after ``MAX_LINE_CHARACTERS``.
        reason: what was expected and what came.
    """

    line: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedBoxes:
    """What a text held.

    Args:
        boxes: in the order of their lines.
        rejected: lines that could not be read, in their order.
        notes: oddities that did no harm, such as an index that occurs twice.
    """

    boxes: tuple[ParsedBox, ...]
    rejected: tuple[RejectedLine, ...]
    notes: tuple[str, ...] = ()

    @property
    def codes(self) -> tuple[BoxCode, ...]:
        """The boxes alone."""
        return tuple(box.code for box in self.boxes)


def format_box(index: int, code: BoxCode) -> str:
    """The line of one box, with the newline that ends it.

    Args:
        index: 0 or more.
        code: the box.

    Returns:
        The line.

    Raises:
        InputError: an index outside 0 to ``MAX_INDEX``.
    """
    if not 0 <= index <= MAX_INDEX:
        raise InputError(f"format_box: expected an index of 0 to {MAX_INDEX}, got {index}.")
    numbers = ",".join(str(number) for number in code.bins)
    return f"bbox_{index}=Bbox({code.label},{numbers})\n"


def format_boxes(codes: Iterable[BoxCode]) -> str:
    """The text of some boxes, counted from 0.

    Args:
        codes: the boxes.

    Returns:
        One line each; nothing for no boxes.
    """
    return "".join(format_box(index, code) for index, code in enumerate(codes))


def parse_line(line: str) -> ParsedBox | RejectedLine:
    """The box of one line, or why there is none.

    Args:
        line: with or without the newline that ends it.

    Returns:
        Either.
    """
    try:
        index, label, fields = _split(line)
        bins = {name: _bin(name, field) for name, field in zip(CODE_FIELDS, fields, strict=True)}
        return ParsedBox(index=index, code=BoxCode(label=label, **bins), line=line.strip())
    except InputError as error:
        return RejectedLine(line=line.strip()[:MAX_LINE_CHARACTERS], reason=error.message)


def parse_boxes(text: str) -> ParsedBoxes:
    """All boxes of a text, and all lines that are none. Never raises.

    Args:
        text: what a model wrote; blank lines do not count.

    Returns:
        Boxes, rejected lines and notes.
    """
    lines = [piece.strip() for line in text.splitlines() for piece in _NEXT_BOX.split(line)]
    lines = [line for line in lines if line]
    results = [parse_line(line) for line in lines[:MAX_LINES]]
    if len(lines) > MAX_LINES:
        reason = f"expected at most {MAX_LINES} lines, got {len(lines)}; this line and those after it were not read"
        results.append(RejectedLine(line=lines[MAX_LINES][:MAX_LINE_CHARACTERS], reason=reason))
    boxes = tuple(result for result in results if isinstance(result, ParsedBox))
    rejected = tuple(result for result in results if isinstance(result, RejectedLine))
    return ParsedBoxes(boxes=boxes, rejected=rejected, notes=_repeats(boxes))


def parse_metric_line(line: str) -> MetricLine | RejectedLine:
    """The box of one line in fractions and metres, the form in which N3D-VLM publishes results.

    Args:
        line: with or without the newline that ends it.

    Returns:
        The box, or why there is none.
    """
    try:
        index, label, fields = _split(line)
        numbers = [_number(name, field) for name, field in zip(CODE_FIELDS, fields, strict=True)]
        u, v, depth, angle, size_x, size_y, size_z = numbers
        box = MetricBox(label=label, u=u, v=v, depth_m=depth, angle_rad=angle, size_m=(size_x, size_y, size_z))
        return MetricLine(index=index, box=box, line=line.strip())
    except InputError as error:
        return RejectedLine(line=line.strip()[:MAX_LINE_CHARACTERS], reason=error.message)


def format_metric_box(index: int, box: MetricBox) -> str:
    """The line of one box in fractions and metres, with the newline that ends it.

    Args:
        index: 0 or more.
        box: the box.

    Returns:
        The line.
    """
    numbers = ",".join(repr(number) for number in (box.u, box.v, box.depth_m, box.angle_rad, *box.size_m))
    return f"bbox_{index}=Bbox({box.label},{numbers})\n"


def _split(line: str) -> tuple[int, str, list[str]]:
    """Index, class and the seven number fields of a line."""
    text = line.strip()
    if len(text) > MAX_LINE_CHARACTERS:
        raise InputError(f"expected a line of at most {MAX_LINE_CHARACTERS} characters, got {len(text)}")
    match = _LINE.match(text)
    if match is None:
        if _OPEN_LINE.match(text):
            raise InputError("unfinished line: expected a closing parenthesis at its end")
        raise InputError("not a box line: expected bbox_<index>=Bbox(<class>,<seven integers>)")
    fields = match[2].split(",")
    if len(fields) < len(CODE_FIELDS) + 1:
        raise InputError(f"expected a class and {len(CODE_FIELDS)} numbers ({_FIELD_NAMES}), got {len(fields)} fields")
    label = ",".join(fields[: -len(CODE_FIELDS)])
    if not label.strip():
        raise InputError("expected a class before the numbers, got none")
    return int(match[1]), label, [field.strip() for field in fields[-len(CODE_FIELDS) :]]


def _bin(name: str, text: str) -> int:
    """The bin of a field."""
    if not _INTEGER.match(text):
        raise InputError(f"{name}: expected an integer, got {text[:20]!r}")
    number = int(text)
    if not 0 <= number < BINS:
        raise InputError(f"{name}: expected 0 to {BINS - 1}, got {number}")
    return number


def _number(name: str, text: str) -> float:
    """The number of a field."""
    if not _NUMBER.match(text):
        raise InputError(f"{name}: expected a number, got {text[:20]!r}")
    return float(text)


def _repeats(boxes: tuple[ParsedBox, ...]) -> tuple[str, ...]:
    """A note for each index that occurs more than once."""
    counts: dict[int, int] = {}
    for box in boxes:
        counts[box.index] = counts.get(box.index, 0) + 1
    return tuple(f"bbox_{index} occurs {count} times" for index, count in counts.items() if count > 1)
