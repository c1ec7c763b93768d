"""What a data set holds, in numbers: objects, distances, sizes, depth, questions and how their answers spread."""

from __future__ import annotations

import bisect
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from model_training.data.folder import DatasetFolder
from model_training.data.records import FrameRecord, ObjectRecord, QuestionRecord
from model_training.data.shards import group_sizes, read_frames

DISTANCES_M = (0.5, 1.0, 1.5, 2.0, 3.0, 5.0)  # from the camera to the box's centre
LONGEST_SIDES_M = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
VISIBLE_FRACTIONS = (0.25, 0.5, 0.75, 0.95)
NUMBERS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)  # answers that are lengths
DEPTH_SAMPLE = 200  # frames whose depth images are read
QUANTILES = (0.1, 0.5, 0.9)


@dataclass(kw_only=True)
class Statistics:
    """Counts over a data set; filled one record at a time.

    Args:
        frames: number of frames.
        objects: number of objects.
        questions: number of questions.
        splits: frames by split.
        sources: frames by source.
        image_sizes: frames by width and height.
        objects_per_frame: frames by number of objects.
        labels: objects by label.
        distances: objects by distance from the camera.
        longest_sides: objects by the longest side of their box.
        visible_fractions: objects by how much of them is seen.
        depth_coverage: shares of pixels with depth, of sampled frames.
        question_classes: questions by class.
        viewpoints: questions by viewpoint.
        answers: by class, questions by answer.
    """

    frames: int = 0
    objects: int = 0
    questions: int = 0
    splits: Counter[str] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)
    image_sizes: Counter[str] = field(default_factory=Counter)
    objects_per_frame: Counter[int] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    distances: Counter[str] = field(default_factory=Counter)
    longest_sides: Counter[str] = field(default_factory=Counter)
    visible_fractions: Counter[str] = field(default_factory=Counter)
    depth_coverage: list[float] = field(default_factory=list)
    question_classes: Counter[str] = field(default_factory=Counter)
    viewpoints: Counter[str] = field(default_factory=Counter)
    answers: dict[str, Counter[str]] = field(default_factory=dict)

    def add_frame(self, record: FrameRecord) -> None:
        """Counts a frame and its objects; its images are not looked at.

        Args:
            record: the frame.
        """
        self.frames += 1
        self.objects += len(record.objects)
        self.splits[record.split] += 1
        self.sources[record.source] += 1
        self.image_sizes[f"{record.intrinsics.width}x{record.intrinsics.height}"] += 1
        self.objects_per_frame[len(record.objects)] += 1
        for one in record.objects:
            self._add_object(one)

    def _add_object(self, one: ObjectRecord) -> None:
        """Counts an object."""
        self.labels[one.label] += 1
        box = one.visible_box or one.box
        if box is not None:
            self.distances[interval(float(np.linalg.norm(box.center)), DISTANCES_M, "m")] += 1
        whole = one.box or one.visible_box
        if whole is not None:
            self.longest_sides[interval(float(whole.size.max()), LONGEST_SIDES_M, "m")] += 1
        if one.visible_fraction is not None:
            self.visible_fractions[interval(one.visible_fraction, VISIBLE_FRACTIONS)] += 1

    def add_depth(self, record: FrameRecord) -> None:
        """Counts how much of a frame has depth.

        Args:
            record: a frame with its images.
        """
        self.depth_coverage.append(float(np.isfinite(record.depth_m).mean()))

    def add_question(self, record: QuestionRecord) -> None:
        """Counts a question and its answer.

        Args:
            record: the question.
        """
        self.questions += 1
        self.question_classes[record.question_class] += 1
        viewpoint = record.viewpoint.partition(":")[0]
        self.viewpoints[viewpoint] += 1
        self.answers.setdefault(record.question_class, Counter())[answer_kind(record)] += 1

    def to_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON: the commonest first, intervals in their order.

        Returns:
            Plain values.
        """
        return {
            "frames": self.frames,
            "objects": self.objects,
            "questions": self.questions,
            "frames_by_split": dict(self.splits.most_common()),
            "frames_by_source": dict(self.sources.most_common()),
            "image_sizes": dict(self.image_sizes.most_common()),
            "objects_per_frame": {
                str(number): self.objects_per_frame[number] for number in sorted(self.objects_per_frame)
            },
            "objects_by_class": dict(self.labels.most_common()),
            "objects_by_distance": _in_order(self.distances, DISTANCES_M, "m"),
            "objects_by_longest_side": _in_order(self.longest_sides, LONGEST_SIDES_M, "m"),
            "objects_by_visible_fraction": _in_order(self.visible_fractions, VISIBLE_FRACTIONS),
            "depth_coverage": _quantiles(self.depth_coverage),
            "questions_by_class": dict(self.question_classes.most_common()),
            "questions_by_viewpoint": dict(self.viewpoints.most_common()),
            "answers_by_class": {name: dict(found.most_common(20)) for name, found in sorted(self.answers.items())},
            "commonest_answer_share": self.commonest_shares(),
        }

    def commonest_shares(self) -> dict[str, float]:
        """How often a guess that always names a class's commonest answer would be right.

        Returns:
            Shares by class of question; grounding, which has no answer in words, is left out.
        """
        return {
            name: round(found.most_common(1)[0][1] / found.total(), 3)
            for name, found in sorted(self.answers.items())
            if set(found) != {""}
        }


def interval(value: float, borders: tuple[float, ...], unit: str = "") -> str:
    """The name of the interval that holds a value.

    Args:
        value: not NaN.
        borders: ascending.
        unit: of both.

    Returns:
        Such as "0.5-1 m", "< 0.5 m" or ">= 5 m".
    """
    place = bisect.bisect_right(borders, value)
    return _interval_names(borders, unit)[place]


def _interval_names(borders: tuple[float, ...], unit: str) -> list[str]:
    """Names of all intervals, ascending."""
    inner = [f"{low:g}-{high:g}" for low, high in itertools.pairwise(borders)]
    return [f"{name} {unit}".strip() for name in (f"< {borders[0]:g}", *inner, f">= {borders[-1]:g}")]


def _in_order(counts: Mapping[str, int], borders: tuple[float, ...], unit: str = "") -> dict[str, int]:
    """Counts of intervals, ascending, those without any too."""
    return {name: counts.get(name, 0) for name in _interval_names(borders, unit)} if counts else {}


def _quantiles(values: list[float]) -> dict[str, float | int]:
    """Mean and quantiles of a sample; empty for none."""
    if not values:
        return {}
    quantiles = {f"quantile_{q:g}": round(float(np.quantile(values, q)), 4) for q in QUANTILES}
    return {"sampled_frames": len(values), "mean": round(float(np.mean(values)), 4), **quantiles}


def answer_kind(record: QuestionRecord) -> str:
    """What an answer counts as: words and counts as they are, lengths by interval.

    Args:
        record: a question.

    Returns:
        "" where it has none.
    """
    if record.value_type == "number":
        try:
            return interval(abs(float(record.value)), NUMBERS, record.unit)
        except ValueError:
            return record.value
    return record.value


def statistics_of(folder: DatasetFolder) -> Statistics:
    """Counts over all that is there; depth is read of a few frames of each shard.

    Args:
        folder: the data set.

    Returns:
        The counts.
    """
    found = Statistics()
    for record in folder.frames(images=False):
        found.add_frame(record)
    for question in folder.questions():
        found.add_question(question)
    for record in _sampled(folder):
        found.add_depth(record)
    return found


def _sampled(folder: DatasetFolder) -> Iterator[FrameRecord]:
    """A few frames of the first row group of shards from all over the data set, with their images."""
    shards = folder.frame_shards
    if not shards:
        return
    step = max(1, len(shards) // DEPTH_SAMPLE)
    chosen = shards[::step]
    each = max(1, DEPTH_SAMPLE // len(chosen))
    for shard in chosen:
        path = folder.shard_path("frames", shard)
        if group_sizes(path):
            for place, record in enumerate(read_frames(path, groups=[0])):
                if place >= each:
                    break
                yield record


def lines_of(found: Mapping[str, Any], most: int = 8) -> list[tuple[str, str]]:
    """The statistics in a few lines.

    Args:
        found: of ``Statistics.to_dict``.
        most: entries named per line.

    Returns:
        What, and the numbers.
    """
    lines = [("frames", f"{found['frames']} ({_named(found['frames_by_split'], most)})")]
    lines.append(("sources", _named(found["frames_by_source"], most)))
    lines.append(("image sizes", _named(found["image_sizes"], most)))
    per_frame = f", {found['objects'] / found['frames']:.1f} per frame" if found["frames"] else ""
    lines.append(("objects", f"{found['objects']} of {len(found['objects_by_class'])} classes{per_frame}"))
    lines.append(("classes", _named(found["objects_by_class"], most)))
    for key, name in (
        ("objects_by_distance", "distance"),
        ("objects_by_longest_side", "longest side"),
        ("objects_by_visible_fraction", "visible"),
    ):
        lines.append((name, _named(found[key], 10)))
    if found["depth_coverage"]:
        cover = found["depth_coverage"]
        lines.append(("depth", f"on {cover['mean']:.0%} of the pixels ({cover['sampled_frames']} frames looked at)"))
    lines.append(("questions", f"{found['questions']}"))
    return [(name, text) for name, text in lines if text]


def question_rows(found: Mapping[str, Any]) -> list[list[str]]:
    """Rows of a table of the questions: class, number, commonest answer, its share.

    Args:
        found: of ``Statistics.to_dict``.

    Returns:
        Cells; "-" where a class has no answers in words.
    """
    rows = []
    for name, count in found["questions_by_class"].items():
        share = found["commonest_answer_share"].get(name)
        commonest = "-" if share is None else next(iter(found["answers_by_class"][name]))
        rows.append([name, str(count), commonest, "-" if share is None else f"{share:.0%}"])
    return rows


def _named(counts: Mapping[str, Any], most: int) -> str:
    """Counts in one line."""
    shown = [f"{name} {count}" for name, count in list(counts.items())[:most]]
    more = len(counts) - len(shown)
    return ", ".join([*shown, *([f"{more} more"] if more > 0 else [])])
