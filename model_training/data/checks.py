"""What is wrong in a data set, and where: every image is decoded, every box and every question looked at."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from model_training.data.arrow import pq
from model_training.data.folder import CONTENTS, DatasetFolder
from model_training.data.records import FrameRecord, ObjectRecord, QuestionRecord
from model_training.data.reports import ShardReport
from model_training.data.shards import read_frames
from n3d_ros.errors import InputError
from n3d_ros.geometry.boxes import Box3D

SIDES_M = (1e-4, 50.0)  # of a box: below is no object, above no room
FARTHEST_M = 200.0  # of a box's centre
BORDER_PX = 1.0  # by which a 2-D box may pass the image's border: rounding
IMAGES = ("rgb", "depth_m", "labels")
NOTES_PER_SHARD = 20  # problems told in words; all are counted

Problem = tuple[str, str]  # the rule, and what breaks it where


@dataclass(kw_only=True)
class Checked:
    """What was found, counted by rule.

    Args:
        counts: problems by rule.
        notes: the first ones in words.
    """

    counts: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    def add(self, problems: Iterable[Problem]) -> None:
        """Counts problems.

        Args:
            problems: a rule, and what breaks it where.
        """
        for rule, what in problems:
            self.counts[rule] += 1
            if len(self.notes) < NOTES_PER_SHARD:
                self.notes.append(what)


@dataclass(frozen=True, kw_only=True)
class CheckShards:
    """Reads shards and reports problems as rejects by rule; nothing is written.

    Args:
        folder: the data set.
    """

    folder: DatasetFolder

    def run(self, number: int) -> ShardReport:
        """Checks one shard of frames and the questions about them.

        Args:
            number: of the shard.

        Returns:
            Rows that could be read, problems by rule, and the first ones in words.
        """
        begun, found, rows = time.perf_counter(), Checked(), 0
        try:
            questions = self.folder.questions_by_frame(number)
        except InputError as error:
            questions = {}
            found.add([("damaged questions", error.message)])
        try:
            for record in read_frames(self.folder.shard_path("frames", number)):
                rows += 1
                asked = questions.pop(record.id, [])
                found.add(frame_problems(record))
                found.add(problem for question in asked for problem in question_problems(question, record))
        except InputError as error:
            found.add([("damaged shard", error.message)])
        else:
            found.add(
                ("question without its frame", f"question {one.id}: no frame {name!r} in shard {number}")
                for name, asked in questions.items()
                for one in asked
            )
        return ShardReport(
            number=number,
            rows=rows,
            rejects=dict(found.counts),
            notes=tuple(found.notes),
            seconds=round(time.perf_counter() - begun, 3),
        )


def frame_problems(record: FrameRecord) -> Iterator[Problem]:
    """What is wrong with a frame.

    Args:
        record: the frame.

    Yields:
        Problems.
    """
    yield from itertools.chain.from_iterable(_broken(record, name) for name in IMAGES)
    if record.up is not None and not abs(np.linalg.norm(record.up) - 1) < 1e-3:
        yield "up is no unit vector", f"frame {record.id}: up is {record.up}"
    yield from _unknown_labels(record)
    for one in record.objects:
        where = f"frame {record.id}, {one.label} {one.id}"
        yield from ((rule, f"{where}: {what}") for rule, what in _object_problems(one, record))


def _broken(record: FrameRecord, name: str) -> list[Problem]:
    """The problem of an image that cannot be decoded, or has another size than the camera's."""
    try:
        getattr(record, name)
    except InputError as error:
        return [(f"broken image ({name})", error.message)]
    return []


def _unknown_labels(record: FrameRecord) -> list[Problem]:
    """Pixels that belong to objects which are not listed: none of them may be asked about."""
    if _broken(record, "labels") or record.labels is None:
        return []
    strangers = set(np.unique(record.labels).tolist()) - {0} - {one.id for one in record.objects}
    what = f"frame {record.id}: labels {sorted(strangers)[:5]} are no object's id"
    return [("labels without object", what)] if strangers else []


def _object_problems(one: ObjectRecord, record: FrameRecord) -> Iterator[Problem]:
    """What is wrong with an object; without its place."""
    for name in ("box", "visible_box"):
        box = getattr(one, name)
        if box is not None:
            yield from ((rule, f"{name} {what}") for rule, what in _box_problems(box, is_visible=name == "visible_box"))
    if one.box_2d is not None:
        left, top, right, bottom = one.box_2d
        width, height = record.intrinsics.width, record.intrinsics.height
        if min(left, top) < -BORDER_PX or right > width + BORDER_PX or bottom > height + BORDER_PX:
            yield "2-D box outside the image", f"box_2d {_rounded(one.box_2d)} in an image of {width}x{height} px"
    for name in ("visible_fraction", "score"):
        value = getattr(one, name)
        if value is not None and not 0 <= value <= 1:
            yield f"{name} out of range", f"{name} is {value}, expected 0 to 1"


def _box_problems(box: Box3D, *, is_visible: bool) -> Iterator[Problem]:
    """What is wrong with a box: not finite and sizes below zero cannot be, its type refuses them."""
    if not (box.size >= SIDES_M[0]).all() or not (box.size <= SIDES_M[1]).all():
        yield (
            "absurd size",
            f"has sides of {_rounded(box.size.tolist())} m, expected {SIDES_M[0]:g} to {SIDES_M[1]:g} m",
        )
    if not np.linalg.norm(box.center) <= FARTHEST_M:
        yield "absurdly far", f"is {np.linalg.norm(box.center):.0f} m away, expected at most {FARTHEST_M:g} m"
    nearest, farthest = float(box.corners[:, 2].min()), float(box.corners[:, 2].max())
    if (nearest if is_visible else farthest) < 0:  # what is seen is in front; a whole box may reach behind
        yield "behind the camera", f"reaches from {nearest:.2f} to {farthest:.2f} m in depth"


def _rounded(values: Iterable[float]) -> list[float]:
    """Numbers for a message."""
    return [round(float(value), 4) for value in values]


def question_problems(question: QuestionRecord, record: FrameRecord) -> Iterator[Problem]:
    """What is wrong with a question.

    Args:
        question: about the frame.
        record: the frame.

    Yields:
        Problems.
    """
    where = f"question {question.id}"
    for number in question.object_ids:
        one = record.by_id(number)
        if one is None:
            yield "question about no object", f"{where}: no object {number} in frame {record.id}"
        elif (one.visible_box if question.target_box == "visible" else one.box) is None:
            yield "no target box", f"{where}: {one.label} {number} has no {question.target_box} box"
    if question.kind == "reasoning" and not question.answer:
        yield "no answer", f"{where}: a question to reason about without an answer"
    if question.value_type == "number" and not _is_number(question.value):
        yield "no number", f"{where}: the value {question.value!r} is no number"
    if question.viewpoint.startswith("object:") and not _names_object(question.viewpoint, record):
        yield "unknown viewpoint", f"{where}: viewpoint {question.viewpoint!r} in frame {record.id}"


def _is_number(text: str) -> bool:
    """Whether a text is a finite number."""
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


def _names_object(viewpoint: str, record: FrameRecord) -> bool:
    """Whether a viewpoint such as object:3 names an object of the frame."""
    number = viewpoint.partition(":")[2]
    return number.isdecimal() and record.by_id(int(number)) is not None


def doubled_ids(folder: DatasetFolder, content: str) -> Iterator[Problem]:
    """Ids that are there more than once, in a shard or in two.

    Args:
        folder: the data set.
        content: "frames" or "questions".

    Yields:
        Problems.
    """
    first: dict[str, int] = {}
    for number in range(folder.shards):
        for name in _ids(folder, content, number):
            if name in first:
                yield f"doubled {content[:-1]} id", f"id {name!r} in shard {first[name]} and in shard {number}"
            first.setdefault(name, number)


def _ids(folder: DatasetFolder, content: str, number: int) -> list[str]:
    """Ids of a shard; none of one that is missing or damaged, which is told elsewhere."""
    path = folder.shard_path(content, number)
    try:
        return [str(name) for name in pq.read_table(path, columns=["id"]).column("id").to_pylist()]
    except (OSError, ValueError, KeyError):
        return []


def misplaced(folder: DatasetFolder) -> Iterator[Problem]:
    """Shards that are missing, of another data set, or not named as one.

    Args:
        folder: the data set.

    Yields:
        Problems.
    """
    for content, number in itertools.product(CONTENTS, range(folder.shards)):
        if content == "questions" and not folder.questions_digest:
            continue
        path = folder.shard_path(content, number)
        try:
            if folder.report(content, number) is None:
                yield f"missing shard ({content})", f"{path}: is not there; the command that made the others makes it"
        except InputError as error:
            yield f"damaged shard ({content})", error.message
    for content in CONTENTS:
        named = {folder.shard_path(content, number) for number in range(folder.shards)}
        for path in sorted((folder.path / content).glob("*")):
            if path not in named:
                yield "stranger", f"{path}: no shard of this data set"
