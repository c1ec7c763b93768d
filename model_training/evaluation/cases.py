"""What is evaluated: frames with their truth and the questions about them, from whichever place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from model_training.data.records import FrameRecord, QuestionRecord
from model_training.evaluation.contents import contents_digest
from n3d_ros.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AskedQuestion:
    """A question, and what there is to choose from.

    Args:
        record: the question; of a choice, ``value`` is its letter or its words.
        choices: in the order of their letters; empty: none.
    """

    record: QuestionRecord
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """A frame with everything that is asked about it.

    Args:
        record: the frame.
        questions: about it.
    """

    record: FrameRecord
    questions: tuple[AskedQuestion, ...] = ()


class CaseSource(Protocol):
    """Where cases come from; read twice: with images to look at, and once more to score and to draw."""

    name: str
    """In words, for the report."""
    measures: tuple[str, ...]
    """What boxes can be compared by, the one that matters most first."""
    open_classes: bool
    """Whether objects have no class of their own ("object"), so that only class-agnostic figures mean something."""

    def identity(self) -> Mapping[str, Any]:
        """What makes the source the same as in an earlier run, as plain values."""
        ...

    def count(self) -> int:
        """How many cases there are."""
        ...

    def cases(self, *, images: bool = True) -> Iterator[Case]:
        """The cases, in the same order each time.

        Args:
            images: False: images may be left out.

        Returns:
            Cases, one after the other.
        """
        ...

    def skipped(self) -> Mapping[str, int]:
        """What could not be read, by reason, after ``cases`` has run."""
        ...


class DatasetCases:
    """The frames of a data set.

    Args:
        path: its folder.
    """

    measures: tuple[str, ...] = ("visible", "aligned", "oriented")
    open_classes: bool = False

    def __init__(self, path: Path) -> None:
        from model_training.data.folder import DatasetFolder  # pyarrow, which not every machine has

        self.path = path
        self._folder = DatasetFolder.open(path)
        self._count: int | None = None
        self.name = f"data set {path.name} ({self._folder.kind})"
        if not self._folder.frame_shards:
            raise ConfigurationError(
                f"{path}: the data set has no frames yet ({self._folder.shards} shards are missing). "
                "Give the command that makes it again; it continues."
            )

    def identity(self) -> Mapping[str, Any]:
        """The digests of frames and questions, which shards are there, and what they hold."""
        shards = list(self._folder.frame_shards)
        files = [self._folder.shard_path(kind, shard) for shard in shards for kind in ("frames", "questions")]
        return {
            "data": str(self.path.resolve()),
            "digest": self._folder.digest,
            "questions": self._folder.questions_digest,
            "shards": shards,
            "contents": contents_digest(files),
        }

    def count(self) -> int:
        """Frames of all shards that are there, from their footers."""
        from model_training.data.shards import group_sizes

        if self._count is None:
            paths = (self._folder.shard_path("frames", shard) for shard in self._folder.frame_shards)
            self._count = sum(sum(group_sizes(path)) for path in paths)
        return self._count

    def cases(self, *, images: bool = True) -> Iterator[Case]:
        """The frames of all shards that are there.

        Args:
            images: False leaves them out.

        Yields:
            Cases.
        """
        for shard in self._folder.frame_shards:
            for record, questions in self._folder.pairs(shard, images=images):
                yield Case(record=record, questions=tuple(AskedQuestion(record=one) for one in questions))

    def skipped(self) -> Mapping[str, int]:
        """Nothing: damaged shards stop the run by name."""
        missing = self._folder.missing("frames")
        return {"shards that are not there": len(missing)} if missing else {}


@dataclass(slots=True, kw_only=True)
class ListedCases:
    """Cases that are in memory: for tests, and for evaluation while a model is trained.

    Args:
        listed: the cases.
        name: in words.
        measures: of their boxes.
        open_classes: whether objects have no class of their own.
    """

    listed: tuple[Case, ...]
    name: str = "frames in memory"
    measures: tuple[str, ...] = ("visible", "aligned", "oriented")
    open_classes: bool = False

    def identity(self) -> Mapping[str, Any]:
        """The frames' ids."""
        return {"frames": [case.record.id for case in self.listed]}

    def count(self) -> int:
        """How many there are."""
        return len(self.listed)

    def cases(self, *, images: bool = True) -> Iterator[Case]:  # noqa: ARG002
        """All of them.

        Args:
            images: they are there anyway.

        Yields:
            Cases.
        """
        yield from self.listed

    def skipped(self) -> Mapping[str, int]:
        """Nothing."""
        return {}
