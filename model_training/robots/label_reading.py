"""What labels.txt says, and every line of it that says nothing: all faults of a file are found in one reading."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Sequence
from pathlib import Path

from model_training.robots.label_file import (
    ARROW,
    BAR,
    COLUMNS,
    FORMAT,
    HASH,
    NEEDED_COLUMNS,
    NEW,
    NO,
    NOTHING,
    PIXEL,
    REFIT,
    STATUSES,
    UNCHECKED,
    YES,
    Fault,
    FrameLabels,
    LabelFile,
    LabelFileError,
    LabelLine,
    Pixel,
    Rename,
)
from model_training.robots.level import half_turn
from n3d_ros.codec.label_bytes import writable_label
from n3d_ros.errors import InputError

MAX_FILE_BYTES = 64 << 20  # a million lines; what is larger was not written here
MAX_NUMBER = 65_535  # ids lie in the pixels of 16-bit images
MAX_DIGITS = 9  # Python refuses to read numbers of some thousand digits
KEYWORDS = ("frame", "rename:", "format")

_FRAME = re.compile(r"frame\s+(?P<name>[0-9A-Za-z_.-]+)\s*:\s*(?P<status>[^#]*?)\s*(#.*)?$")
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)$")
_RENAMED_NUMBER = re.compile(r"#(?P<blank>\s*)(?P<number>\d+)\s*->")  # begins as a comment does
_TRAILING_COMMENT = re.compile(r"\s#.*$")


def read_labels(path: Path) -> tuple[LabelFile, list[Fault]]:
    """What the file says, with what is wrong with it; lines with faults are left out.

    Args:
        path: of labels.txt.

    Returns:
        The file and the faults, which a caller adds its own to before it raises ``LabelFileError``.

    Raises:
        InputError: no such file, too large, or not text.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise InputError(f"{path}: expected at most {MAX_FILE_BYTES >> 20} MB, got {path.stat().st_size >> 20} MB.")
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise InputError(
            f"{path}: cannot be read, there is none. `n3d dataset from-bag BAG --out {path.parent}` writes it anew."
        ) from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}).") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        fault = Fault(line=line, message="expected text in UTF-8, got other bytes; save the file as UTF-8.")
        raise LabelFileError(str(path), [fault]) from error
    return parse_labels(text)


def parse_labels(text: str) -> tuple[LabelFile, list[Fault]]:
    """What a text in the form of labels.txt says.

    Args:
        text: the file's content.

    Returns:
        As ``read_labels``.
    """
    reading = _Reading()
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), start=1):
        words = line.strip()
        if words and (not words.startswith(HASH) or _RENAMED_NUMBER.match(words)):
            reading.take(number, words)
    reading.end_frame()
    reading.check_names()
    return LabelFile(renames=tuple(reading.renames), frames=tuple(reading.frames)), reading.faults


class _Reading:
    """The state between lines."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.frames: list[FrameLabels] = []
        self.renames: list[Rename] = []
        self.in_rename = False
        self._heading: FrameLabels | None = None
        self._objects: list[LabelLine] = []

    def take(self, number: int, words: str) -> None:
        """One line that is no comment."""
        try:
            if words.startswith("frame ") or words == "frame":
                self._begin_frame(number, words)
            elif words.split(HASH)[0].strip() == "rename:":
                self.end_frame()
                self.in_rename = True
            elif words.startswith("format"):
                _check_format(words)
            elif self.in_rename and ARROW in words:
                self.renames.append(_rename(number, words))
            elif _RENAMED_NUMBER.match(words):
                raise InputError("a box's other name stands under 'rename:', above the first frame; move it there.")
            elif BAR in words:
                self._take_object(number, words)
            else:
                raise InputError(_unknown(words, in_rename=self.in_rename))
        except InputError as error:
            self.faults.append(Fault(line=number, message=error.message))

    def _begin_frame(self, number: int, words: str) -> None:
        """A frame's heading; one with a fault still takes the lines below it, so that they are checked too."""
        self.end_frame()
        self.in_rename = False
        self._heading = FrameLabels(line=number, name="", status=UNCHECKED)
        name, status = _heading(words)
        self._heading = FrameLabels(line=number, name=name, status=status if status in STATUSES else UNCHECKED)
        if status not in STATUSES:
            raise InputError(f"after the frame's name: expected {_choices(STATUSES, status)}")

    def _take_object(self, number: int, words: str) -> None:
        """An object of the frame above."""
        if self._heading is None:
            raise InputError("expected a line 'frame NAME: unchecked' before the first object; restore it.")
        self._objects.append(object_line(number, words))

    def end_frame(self) -> None:
        """Keeps the frame that is complete."""
        if self._heading is not None and self._heading.name:
            head = self._heading
            lines: dict[int, int] = {}
            for one in self._objects:
                if one.number is not None and lines.setdefault(one.number, one.line) != one.line:
                    message = _twice(head.name, one.number, lines[one.number])
                    self.faults.append(Fault(line=one.line, message=message))
            self.frames.append(
                FrameLabels(line=head.line, name=head.name, status=head.status, objects=tuple(self._objects))
            )
        self._heading, self._objects = None, []

    def check_names(self) -> None:
        """Frames and renamed things that are named twice."""
        seen: dict[object, int] = {}
        for line, name, what in (
            *((one.line, ("frame", one.name), f"frame {one.name}") for one in self.frames),
            *(
                (one.line, ("rename", one.label, one.number), f"{one.label or f'#{one.number}'!r}")
                for one in self.renames
            ),
        ):
            if name in seen:
                first = seen[name]
                self.faults.append(
                    Fault(line=line, message=f"{what} stands already in line {first}; delete one of the two.")
                )
            seen.setdefault(name, line)


def _twice(frame: str, number: int, line: int) -> str:
    """What to say of a number that stands in an earlier line of its frame."""
    return (
        f"number {number} stands already in line {line}, in the same frame {frame}; "
        f"a box that you add has the number '{NEW}'."
    )


def _check_format(words: str) -> None:
    """Nothing; an InputError where the file is of another version."""
    if words.split(HASH)[0].split() != ["format", str(FORMAT)]:
        raise InputError(f"expected 'format {FORMAT}', got {words[:40]!r}; this program reads no other version.")


def _heading(words: str) -> tuple[str, str]:
    """Name and status of a frame's heading."""
    found = _FRAME.match(words)
    if found is None:
        raise InputError(f"expected 'frame NAME: {'/'.join(STATUSES)}', got {words[:60]!r}.")
    return found["name"], found["status"].lower()


def _rename(number: int, words: str) -> Rename:
    """The rename of a line "a -> b", with or without a comment behind it."""
    by_number = _RENAMED_NUMBER.match(words)
    if by_number and by_number["blank"]:
        named = by_number["number"]
        raise InputError(f"a box is named '{HASH}{named}', without a blank; a comment here begins with '{HASH * 2}'.")
    before, _, after = (part.strip() for part in words.partition(ARROW))
    after = _TRAILING_COMMENT.sub("", after).rstrip()
    if not before or not after:
        raise InputError(f"expected 'label {ARROW} new label', got {words[:60]!r}.")
    return Rename(
        line=number,
        label="" if by_number else before,
        number=_box_number(by_number["number"]) if by_number else None,
        target=None if after == NOTHING else _label(after),
    )


def object_line(number: int, words: str) -> LabelLine:
    """The object of a line.

    Args:
        number: of the line.
        words: its text.

    Returns:
        The object.

    Raises:
        InputError: a cell that says nothing, in words for the one who wrote it.
    """
    cells = [cell.strip() for cell in words.split(BAR)]
    if not NEEDED_COLUMNS <= len(cells) <= len(COLUMNS):
        names = " | ".join(COLUMNS)
        raise InputError(f"expected {NEEDED_COLUMNS} to {len(COLUMNS)} cells ({names}), got {len(cells)}.")
    cells += [""] * (len(COLUMNS) - len(cells))
    which, keep, label, place, size, turn, fit, _note = cells
    is_kept = _word("keep", keep, (YES, NO)) == YES
    return LabelLine(
        line=number,
        number=_which(which),
        keep=is_kept,
        label=_label(label) if is_kept else label,
        place_cm=_place(place, is_new=which.lower() == NEW),
        size_cm=_three("size", size, "three numbers, cm of width, depth and height"),
        turn_deg=half_turn(_one_number("turn", turn, "one number of degrees, such as 45")),
        refit=_word("fit", fit, ("", REFIT)) == REFIT,
    )


def _which(cell: str) -> int | None:
    """The number of a box; None for a new one."""
    if cell.lower() == NEW:
        return None
    return _box_number(cell)


def _box_number(cell: str) -> int:
    """The number of a box."""
    if not cell.isdecimal() or len(cell) > MAX_DIGITS or not 1 <= int(cell) <= MAX_NUMBER:
        raise InputError(f"no: expected the box's number, or '{NEW}' for a box that you add, got {cell[:20]!r}.")
    return int(cell)


def _label(cell: str) -> str:
    """A label that a model can write."""
    if not cell:
        raise InputError("label: expected what it is in words, got nothing; or write 'no' under keep.")
    written = writable_label(cell)
    if written != cell:
        raise InputError(f"label: {cell[:60]!r} cannot be written in a model's answer; {written!r} can.")
    return cell


def _place(cell: str, *, is_new: bool) -> tuple[float, float, float] | Pixel:
    """Right, ahead and up; or a pixel."""
    words = cell.split()
    if words and words[0].lower() == PIXEL:
        if not is_new:
            raise InputError(f"place: '{PIXEL}' is for a box that you add; give its line the number '{NEW}'.")
        if len(words) != 3:
            raise InputError(f"place: expected '{PIXEL} COLUMN ROW', such as '{PIXEL} 320 200', got {cell[:40]!r}.")
        return Pixel(u=_number("place", words[1]), v=_number("place", words[2]))
    return _three("place", cell, "three numbers, cm right, ahead and up of the camera")


def _three(column: str, cell: str, expected: str) -> tuple[float, float, float]:
    """Three numbers of a cell."""
    words = cell.split()
    if len(words) != 3:
        raise InputError(f"{column}: expected {expected}, got {cell[:40]!r}.")
    a, b, c = (_number(column, word) for word in words)
    return a, b, c


def _one_number(column: str, cell: str, expected: str) -> float:
    """The number of a cell."""
    if len(cell.split()) != 1:
        raise InputError(f"{column}: expected {expected}, got {cell[:40]!r}.")
    return _number(column, cell)


def _number(column: str, word: str) -> float:
    """A number, with a decimal point or comma."""
    if not _NUMBER.match(word) or not math.isfinite(value := float(word.replace(",", "."))):
        raise InputError(f"{column}: expected a number such as 12.5, got {word[:20]!r}.")
    return value + 0.0


def _word(column: str, cell: str, known: tuple[str, ...]) -> str:
    """One of a column's words."""
    if cell.lower() not in known:
        raise InputError(f"{column}: expected {_choices(known, cell)}")
    return cell.lower()


def _choices(known: Sequence[str], got: str) -> str:
    """What may stand somewhere, what came, and what was perhaps meant."""
    near = difflib.get_close_matches(got.lower(), [word for word in known if word], n=1)
    meant = f"; did you mean {near[0]!r}?" if near else "."
    words = [repr(word) if word else "nothing" for word in known]
    return f"{' or '.join([', '.join(words[:-1]), words[-1]])}, got {got[:40]!r}{meant}"


def _unknown(words: str, *, in_rename: bool) -> str:
    """What to say of a line that is none of the known kinds."""
    first = words.split()[0]
    near = difflib.get_close_matches(first, KEYWORDS, n=1)
    meant = f" Did you mean {near[0]!r}?" if near else ""
    if in_rename:
        return f"expected 'label {ARROW} new label' or a line 'frame NAME: STATUS', got {words[:60]!r}.{meant}"
    return (
        f"expected a frame ('frame NAME: STATUS'), an object (cells between '{BAR}'), 'rename:', or a comment after "
        f"'{HASH}', got {words[:60]!r}.{meant}"
    )
