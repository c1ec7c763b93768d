"""Golden files read and checked: people edit them, so every mistake is named with its place."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from n3d_ros.errors import InputError, N3dError, StatusCode
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.ros.asks import MAX_QUESTION_CHARS
from n3d_ros.ros.bag_questions import MAX_QUESTIONS, BagQuestion
from n3d_ros.ros.golden.expected import (
    FORMAT,
    TOLERANCES,
    VERSION,
    ExpectedAnswer,
    ExpectedImage,
    ExpectedObject,
    Golden,
    RecordingIdentity,
    Tolerances,
)

MAX_FILE_BYTES = 128 * 1024 * 1024  # about 20 000 images of 30 objects
MAX_IMAGES = 200_000
MAX_OBJECTS = 10_000  # of an image
MAX_TOPICS = 1000
MAX_TEXT_CHARS = 4096
MAX_METRES = 1e6
SHOWN_CHARS = 80  # of a value in a message
STATUS_NAMES = tuple(code.name for code in StatusCode)


def read_golden(path: Path) -> Golden:
    """A golden file.

    Args:
        path: of the file.

    Returns:
        Its content.

    Raises:
        InputError: it cannot be read, is too large, or a field is missing, unknown or of another form; the message
            names the place (reason ``bad_golden_file``).
    """
    try:
        if not path.is_file():
            raise _bad(f"{path}: expected a golden file, as `n3d run --save` writes; there is no such file.")
        with path.open("rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise _bad(f"{path}: expected at most {MAX_FILE_BYTES} bytes.")
        text = data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise _bad(f"{path}: cannot be read as text in UTF-8 ({error}).") from error
    try:
        return golden_of_text(text)
    except InputError as error:
        raise _bad(f"{path}: {error.message}") from error


def golden_of_text(text: str) -> Golden:
    """The content of a golden file.

    Args:
        text: of the file.

    Returns:
        Its content.

    Raises:
        InputError: it is no golden file, or a field is wrong; the message names the place.
    """
    try:
        document = json.loads(text, object_pairs_hook=_unique)
    except RecursionError as error:
        raise _bad("expected JSON as `n3d run --save` writes it, got one that is nested without end.") from error
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise _bad(f"expected JSON: {error}.") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise _bad(f'expected a JSON object with "format": "{FORMAT}", as `n3d run --save` writes.')
    if document.get("version") != VERSION:
        shown = _shown(document.get("version"))
        raise _bad(f"version: expected {VERSION}, got {shown}; save it anew with this version of n3d.")
    return _golden(_Place("", document))


@dataclass(frozen=True, slots=True)
class _Place:
    """A value in the file and where it stands."""

    name: str
    value: Any

    def fail(self, expected: str) -> NoReturn:
        """Raises what is wrong with this value."""
        raise _bad(f"{self.name or 'the file'}: expected {expected}, got {_shown(self.value)}.")

    def fields(self, required: Sequence[str], optional: Sequence[str] = ()) -> dict[str, _Place]:
        """The fields of an object; what is not there is left out, what is not known is refused."""
        if not isinstance(self.value, dict):
            self.fail("an object in braces")
        for name in required:
            if name not in self.value:
                raise _bad(f"{self.name or 'the file'}: the field {name!r} is missing.")
        for name in self.value:
            if name not in required and name not in optional:
                known = ", ".join((*required, *optional))
                raise _bad(f"{self.name or 'the file'}: the field {_shown(name)} is not known; known are {known}.")
        prefix = f"{self.name}." if self.name else ""
        return {name: _Place(prefix + name, value) for name, value in self.value.items()}

    def items(self, limit: int) -> list[_Place]:
        """The elements of a list."""
        if not isinstance(self.value, list):
            self.fail("a list in brackets")
        if len(self.value) > limit:
            raise _bad(f"{self.name}: expected at most {limit} entries, got {len(self.value)}.")
        return [_Place(f"{self.name}[{i}]", value) for i, value in enumerate(self.value)]

    def text(self, limit: int = MAX_TEXT_CHARS, *, empty: bool = False) -> str:
        """A string."""
        if not isinstance(self.value, str) or len(self.value) > limit or not (self.value or empty):
            self.fail(f"text of {0 if empty else 1} to {limit} characters")
        return self.value

    def choice(self, names: Iterable[str]) -> str:
        """One of several strings."""
        if self.value not in (known := tuple(names)):
            self.fail(f"one of {', '.join(known)}")
        return str(self.value)

    def number(self, low: float, high: float) -> float:
        """A number in a range."""
        good = isinstance(self.value, (int, float)) and not isinstance(self.value, bool)
        if not good or not low <= self.value <= high:
            self.fail(f"a number from {low:g} to {high:g}")
        return float(self.value)

    def integer(self, low: int, high: int) -> int:
        """A whole number in a range."""
        if not isinstance(self.value, int) or isinstance(self.value, bool) or not low <= self.value <= high:
            self.fail(f"a whole number from {low} to {high}")
        return int(self.value)

    def flag(self) -> bool:
        """A truth value."""
        if not isinstance(self.value, bool):
            self.fail("true or false")
        return bool(self.value)

    def numbers(self, count: int, what: str, *, low: float = -MAX_METRES, high: float = MAX_METRES) -> list[float]:
        """Some numbers."""
        if not isinstance(self.value, list) or len(self.value) != count:
            self.fail(what)
        return [_Place(f"{self.name}[{i}]", value).number(low, high) for i, value in enumerate(self.value)]


HEAD = ("format", "version", "bag", "frames")
HEAD_OPTIONAL = ("n3d_ros", "found_by", "settings", "tolerances", "questions")


def _golden(place: _Place) -> Golden:
    """The whole file."""
    found = place.fields(HEAD, HEAD_OPTIONAL)
    images = tuple(map(_image, found["frames"].items(MAX_IMAGES)))
    _refuse_repeated("frames", "stamp_ns", [image.stamp_ns for image in images])
    questions = found["questions"].items(MAX_QUESTIONS) if "questions" in found else []
    return Golden(
        package_version=_optional(found, "n3d_ros", lambda one: one.text(64, empty=True), ""),
        recording=_recording(found["bag"]),
        backend=_optional(found, "found_by", lambda one: one.text(256, empty=True), ""),
        settings=_optional(found, "settings", _settings, {}),
        tolerances=_optional(found, "tolerances", _tolerances, {}),
        images=images,
        answers=tuple(map(_answer, questions)),
    )


def _optional(found: Mapping[str, _Place], name: str, read: Callable[[_Place], Any], default: Any) -> Any:
    """A field that may be missing or null."""
    place = found.get(name)
    return default if place is None or place.value is None else read(place)


def _recording(place: _Place) -> RecordingIdentity:
    """The bag."""
    found = place.fields(("name", "topics"), ("duration_s", "messages", "digest"))
    roles = found["topics"].fields((), ("color", "color_info", "depth", "depth_info"))
    counts = _optional(found, "messages", _counts, {})
    return RecordingIdentity(
        name=found["name"].text(1024),
        duration_s=_optional(found, "duration_s", lambda one: one.number(0, 1e12), 0.0),
        topics={role: one.text(1024) for role, one in roles.items()},
        messages=counts,
        digest=_optional(found, "digest", lambda one: one.text(128, empty=True), ""),
    )


def _counts(place: _Place) -> dict[str, int]:
    """Messages by topic."""
    if not isinstance(place.value, dict) or len(place.value) > MAX_TOPICS:
        place.fail(f"an object in braces with at most {MAX_TOPICS} topics")
    return {name: _Place(f"{place.name}.{name[:64]}", one).integer(0, 2**62) for name, one in place.value.items()}


def _settings(place: _Place) -> dict[str, Any]:
    """Parameters by name."""
    if not isinstance(place.value, dict) or len(place.value) > MAX_TOPICS:
        place.fail("an object in braces: parameters by name")
    for name, value in place.value.items():
        if isinstance(value, float) and not math.isfinite(value):
            _Place(f"{place.name}.{name[:64]}", value).fail("a finite number")
    return dict(place.value)


def _tolerances(place: _Place) -> dict[str, float]:
    """What may differ."""
    found = place.fields((), TOLERANCES)
    values = {name: one.number(0, 1 if name == "min_iou" else MAX_METRES) for name, one in found.items()}
    Tolerances.of(values)
    return values


def _image(place: _Place) -> ExpectedImage:
    """What one image shows."""
    found = place.fields(("stamp_ns", "frame_id", "objects"), ("status",))
    return ExpectedImage(
        stamp_ns=found["stamp_ns"].integer(-(2**62), 2**62),
        frame_id=found["frame_id"].text(empty=True),
        status=_optional(found, "status", lambda one: one.choice(STATUS_NAMES), "OK"),
        objects=tuple(map(_object, found["objects"].items(MAX_OBJECTS))),
    )


def _object(place: _Place) -> ExpectedObject:
    """One object of an image."""
    found = place.fields(("label", "center_m", "size_m"), ("orientation_xyzw", "any_yaw", "score"))
    turn = found.get("orientation_xyzw")
    quaternion = [0.0, 0.0, 0.0, 1.0] if turn is None else turn.numbers(4, "four numbers x, y, z, w", low=-1, high=1)
    size = found["size_m"].numbers(3, "three lengths in metres", low=0)
    if min(size) <= 0:
        found["size_m"].fail("three lengths above 0 m")
    center = found["center_m"].numbers(3, "three numbers x, y, z in metres")
    try:
        box = Box3D(
            center=np.array(center),
            size=np.array(size),
            orientation_xyzw=np.array(quaternion),
        )
    except N3dError as error:
        raise _bad(f"{place.name}: {error.message}") from error
    return ExpectedObject(
        label=found["label"].text(),
        box=box,
        score=_optional(found, "score", lambda one: one.number(0, 1), None),
        any_yaw=_optional(found, "any_yaw", lambda one: one.flag(), False),  # noqa: FBT003
    )


def _answer(place: _Place) -> ExpectedAnswer:
    """One question."""
    found = place.fields(("ask",), ("at_s", "status", "value", "unit", "objects", "answer"))
    labels = _optional(found, "objects", lambda one: tuple(item.text() for item in one.items(MAX_OBJECTS)), None)
    at_s = _optional(found, "at_s", lambda one: one.number(0, MAX_METRES), None)
    text = found["ask"].text(MAX_QUESTION_CHARS)
    try:
        question = BagQuestion(text=text, at_s=at_s)
    except N3dError as error:
        raise _bad(f"{place.name}: {error.message}") from error
    return ExpectedAnswer(
        question=question,
        status=_optional(found, "status", lambda one: one.choice(STATUS_NAMES), None),
        value=_optional(found, "value", _value, None),
        unit=_optional(found, "unit", lambda one: one.text(32, empty=True), None),
        objects=labels,
        answer=_optional(found, "answer", lambda one: one.text(65536, empty=True), ""),
    )


def _value(place: _Place) -> bool | float | str | list[float]:
    """The value of an answer."""
    value = place.value
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return place.text(empty=True)
    if isinstance(value, (int, float)):
        return place.number(-1e300, 1e300)
    return place.numbers(3, "true, false, a number, text or three numbers")


def _refuse_repeated(place: str, field: str, values: Sequence[int]) -> None:
    """Refuses two entries for one thing."""
    seen: dict[int, int] = {}
    for i, value in enumerate(values):
        if value in seen:
            raise _bad(f"{place}[{i}].{field}: {value} stands in {place}[{seen[value]}] already.")
        seen[value] = i


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object in which no name stands twice: the first of the two would be lost without a word."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise _bad(f"the field {_shown(name)} stands twice in one object.")
        found[name] = value
    return found


def _shown(value: Any) -> str:
    """A value as it may stand in a message."""
    try:
        text = json.dumps(value)
    except (ValueError, RecursionError):
        text = type(value).__name__
    return text if len(text) <= SHOWN_CHARS else text[:SHOWN_CHARS] + "..."


def _bad(message: str) -> InputError:
    return InputError(message, reason="bad_golden_file")
