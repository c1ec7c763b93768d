"""The folder of a data set: its configuration, its shards, and what is missing of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_training.data.digest import FORMAT, VERSION, check_same, digest_of, plain_values
from model_training.data.records import FrameRecord, QuestionRecord
from model_training.data.reports import ShardReport
from model_training.data.shards import (
    DIGEST_KEY,
    REPORT_KEY,
    SUFFIX,
    footer_of,
    read_frames,
    read_questions,
    remove_abandoned,
    write_frames,
    write_questions,
)
from n3d_ros.errors import ConfigurationError, InputError
from n3d_ros.whole_files import read_json, write_json

DATASET_FILE = "dataset.json"
QUESTIONS_FILE = "questions.json"
CONTENTS = ("frames", "questions")
REPORTS = "reports"
MAX_SHARDS = 100_000  # five digits in the files' names


@dataclass(frozen=True, kw_only=True)
class DatasetFolder:
    """A data set on disk. Make one with ``create`` or ``open``; picklable, so that workers write into it.

    Args:
        path: the folder.
        kind: what made it: "scenes", "raycast", "lifted", "bag", ...
        config: of what made it, as plain values.
        digest: of kind, configuration and number of shards; every shard carries it.
        shards: how many there are when all is made.
        questions_digest: of the questions' configuration; "" as long as none are made.
    """

    path: Path
    kind: str
    config: Mapping[str, Any]
    digest: str
    shards: int
    questions_digest: str = ""

    @classmethod
    def open(cls, path: str | Path) -> DatasetFolder:
        """The data set of a folder, complete or not.

        Args:
            path: of the folder.

        Returns:
            The data set.

        Raises:
            ConfigurationError: there is none, or it is of another format.
        """
        folder = Path(path)
        about = read_json(folder / DATASET_FILE)
        if about is None:
            raise ConfigurationError(
                f"{folder}: expected a data set with a file {DATASET_FILE}; there is none, or it cannot be read. "
                "Make one with `n3d dataset generate`."
            )
        if about.get("format") != FORMAT or about.get("version") != VERSION:
            raise ConfigurationError(
                f"{folder / DATASET_FILE}: expected format {FORMAT!r}, version {VERSION}, "
                f"got {about.get('format')!r}, version {about.get('version')!r}."
            )
        try:
            found = cls(
                path=folder,
                kind=str(about["kind"]),
                config=dict(about["config"]),
                digest=str(about["digest"]),
                shards=int(about["shards"]),
                questions_digest=str((read_json(folder / QUESTIONS_FILE) or {}).get("digest", "")),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigurationError(f"{folder / DATASET_FILE}: wrong or missing: {error}.") from error
        _check_shards(found.shards)
        if found.digest != digest_of(found.kind, found.config, found.shards):
            raise ConfigurationError(
                f"{folder / DATASET_FILE}: its configuration was changed after shards were made by it (the digest "
                "differs). Put it back, or make the data set anew in another folder."
            )
        return found

    @classmethod
    def create(cls, path: str | Path, kind: str, config: Any, shards: int) -> DatasetFolder:
        """The data set to make in a folder; one that was begun there is continued.

        Args:
            path: of the folder, made if missing.
            kind: what makes it.
            config: a dataclass or a mapping of plain values.
            shards: how many.

        Returns:
            The data set.

        Raises:
            ConfigurationError: the folder was begun with another configuration, or holds other files.
        """
        folder, values = Path(path), plain_values(config)
        _check_shards(shards)
        about = {"kind": kind, "shards": shards, "config": values}
        if (folder / DATASET_FILE).exists():
            there = cls.open(folder)
            check_same(folder, {"kind": there.kind, "shards": there.shards, "config": there.config}, about)
        else:
            if folder.is_dir() and any(folder.iterdir()):
                raise ConfigurationError(f"{folder}: expected a new or an empty folder, it holds other files.")
            digest = digest_of(kind, values, shards)
            write_json(folder / DATASET_FILE, {"format": FORMAT, "version": VERSION, **about, "digest": digest})
        for content in CONTENTS:
            remove_abandoned(folder / content)
        return cls.open(folder)

    def begin_questions(self, config: Any) -> DatasetFolder:
        """The same data set, ready for questions made by a configuration.

        Args:
            config: a dataclass or a mapping of plain values.

        Returns:
            The data set with the digest of that configuration.

        Raises:
            ConfigurationError: questions were written here by another configuration.
        """
        values, questions = plain_values(config), self.path / "questions"
        remove_abandoned(questions)
        there = read_json(self.path / QUESTIONS_FILE)
        is_begun = questions.is_dir() and any(questions.iterdir())
        if there is not None and is_begun:
            anew = f"To ask anew, delete {questions} and {self.path / QUESTIONS_FILE}"
            check_same(questions, {"config": there.get("config")}, {"config": values}, anew=anew)
        else:
            digest = digest_of("questions", {"frames": self.digest, **values}, self.shards)
            write_json(self.path / QUESTIONS_FILE, {"config": values, "digest": digest})
        return DatasetFolder.open(self.path)

    def shard_path(self, content: str, number: int) -> Path:
        """Where a shard is, or will be.

        Args:
            content: "frames" or "questions".
            number: from 0.

        Returns:
            The file's path.
        """
        return self.path / content / f"{number:05d}{SUFFIX}"

    @property
    def reports(self) -> Path:
        """Where the commands write what they found and made."""
        return self.path / REPORTS

    @property
    def frame_shards(self) -> tuple[int, ...]:
        """Numbers of the shards of frames that are there, whole."""
        missing = set(self.missing("frames"))
        return tuple(number for number in range(self.shards) if number not in missing)

    def missing(self, content: str) -> tuple[int, ...]:
        """Numbers of the shards that are still to be made.

        Args:
            content: "frames" or "questions".

        Returns:
            Ascending numbers.

        Raises:
            InputError: a file has a shard's name and is none, or is one of another data set.
        """
        return tuple(number for number in range(self.shards) if self.report(content, number) is None)

    def report(self, content: str, number: int) -> ShardReport | None:
        """What became of a shard, from its own footer.

        Args:
            content: "frames" or "questions".
            number: from 0.

        Returns:
            The report; None where the shard is not there.

        Raises:
            InputError: the file of that name is no whole shard, or one of another data set.
        """
        path = self.shard_path(content, number)
        if not path.exists():
            return None
        report, digest = footer_of(path, content)
        expected = self.digest if content == "frames" else self.questions_digest
        if report is None or report.number != number or digest != expected:
            raise InputError(
                f"{path}: expected shard {number} of this data set, it was made by another configuration or for "
                "another place. Delete it and give the command that makes this data set again."
            )
        return report

    @property
    def is_complete(self) -> bool:
        """Whether every shard of frames is there."""
        return not self.missing("frames")

    def frames(self, *, images: bool = True) -> Iterator[FrameRecord]:
        """All frames that are there, shard by shard.

        Args:
            images: False leaves the images out.

        Yields:
            Frames.
        """
        for number in self.frame_shards:
            yield from read_frames(self.shard_path("frames", number), images=images)

    def questions(self) -> Iterator[QuestionRecord]:
        """All questions that are there, shard by shard.

        Yields:
            Questions.
        """
        missing = set(self.missing("questions"))
        for number in range(self.shards):
            if number not in missing:
                yield from read_questions(self.shard_path("questions", number))

    def pairs(self, shard: int, *, images: bool = True) -> Iterator[tuple[FrameRecord, tuple[QuestionRecord, ...]]]:
        """The frames of a shard, each with its questions.

        Args:
            shard: number.
            images: False leaves the images out.

        Yields:
            A frame and its questions in the order in which they were made; none where none were made.

        Raises:
            InputError: a question is about a frame that is not in the shard.
        """
        questions = self.questions_by_frame(shard)
        for frame in read_frames(self.shard_path("frames", shard), images=images):
            yield frame, tuple(questions.pop(frame.id, ()))
        if questions:
            raise InputError(
                f"{self.shard_path('questions', shard)}: questions about the frame {next(iter(questions))!r}, which is "
                "not in the shard of that number. Make the questions anew."
            )

    def questions_by_frame(self, shard: int) -> dict[str, list[QuestionRecord]]:
        """The questions of a shard by the frame's id.

        Args:
            shard: number.

        Returns:
            Questions in order; empty where none were made.
        """
        found: dict[str, list[QuestionRecord]] = {}
        if self.report("questions", shard) is not None:
            for question in read_questions(self.shard_path("questions", shard)):
                found.setdefault(question.frame_id, []).append(question)
        return found

    def write_frames(
        self, number: int, records: Iterable[FrameRecord], rejects: Mapping[str, int] | None = None
    ) -> ShardReport:
        """Writes a shard of frames with its report in its footer.

        Args:
            number: of the shard.
            records: drawn one by one.
            rejects: counts by rule; read when the last record was drawn.

        Returns:
            The report.
        """
        begun = time.perf_counter()
        path = self.shard_path("frames", number)
        write_frames(path, records, footer=lambda rows: self._footer(self.digest, number, rows, rejects, begun))
        return self._written("frames", number)

    def write_questions(
        self, number: int, records: Iterable[QuestionRecord], rejects: Mapping[str, int] | None = None
    ) -> ShardReport:
        """Writes a shard of questions with its report in its footer.

        Args:
            number: of the shard, the same as of the frames that are asked about.
            records: drawn one by one, those of one frame together.
            rejects: counts by rule; read when the last record was drawn.

        Returns:
            The report.

        Raises:
            ConfigurationError: ``begin_questions`` was not called.
        """
        if not self.questions_digest:
            raise ConfigurationError(f"{self.path}: questions are written after begin_questions(config).")
        begun = time.perf_counter()
        path = self.shard_path("questions", number)
        digest = self.questions_digest
        write_questions(path, records, footer=lambda rows: self._footer(digest, number, rows, rejects, begun))
        return self._written("questions", number)

    def _written(self, content: str, number: int) -> ShardReport:
        """The report of a shard that was just written."""
        report = self.report(content, number)
        if report is None:
            raise InputError(f"{self.shard_path(content, number)}: vanished as soon as it was written.")
        return report

    @staticmethod
    def _footer(
        digest: str, number: int, rows: int, rejects: Mapping[str, int] | None, begun: float
    ) -> dict[bytes, str]:
        """What a shard says of itself."""
        seconds = round(time.perf_counter() - begun, 3)
        report = ShardReport(number=number, rows=rows, rejects=dict(Counter(rejects or {})), seconds=seconds)
        return {REPORT_KEY: report.to_json(), DIGEST_KEY: digest}


def _check_shards(shards: int) -> None:
    """Nothing; a ConfigurationError where there cannot be so many."""
    if not 1 <= shards <= MAX_SHARDS:
        raise ConfigurationError(f"Shards: expected 1 to {MAX_SHARDS}, got {shards}.")
