"""The stage that asks questions: a shard of questions about each shard of frames."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil

from model_training.data.folder import DatasetFolder
from model_training.data.records import QuestionRecord
from model_training.data.reports import ShardReport
from model_training.data.shards import read_frames
from model_training.questions.config import QuestionConfig
from model_training.questions.make import made_questions
from n3d_ros.errors import ConfigurationError

MAX_DRAWN_FROM = 1000  # entries of a vocabulary taken from labels: so fine is their frequency kept


@dataclass(frozen=True, kw_only=True)
class AskQuestions:
    """Makes shards of questions.

    Args:
        config: what is asked.
        folder: of the frames; after ``begin_questions``.
    """

    config: QuestionConfig
    folder: DatasetFolder

    def run(self, number: int) -> ShardReport:
        """Asks about one shard of frames.

        Args:
            number: of the shard.

        Returns:
            Questions written, and what was drawn but not asked, by reason.
        """
        drops: Counter[str] = Counter()
        return self.folder.write_questions(number, self._questions(number, drops), drops)

    def _questions(self, number: int, drops: Counter[str]) -> Iterator[QuestionRecord]:
        for record in read_frames(self.folder.shard_path("frames", number), images=False):
            made = made_questions(record, self.config)
            drops.update(made.drops)
            yield from made.questions


def with_vocabulary(config: QuestionConfig, folder: DatasetFolder) -> QuestionConfig:
    """A configuration whose vocabulary, if it has none, is the labels of all frames in proportion to their number.

    Then how often a name is asked for in vain goes with how often it is there, and no name alone tells which.

    Args:
        config: what is asked.
        folder: with every shard of its frames: from part of them, other questions would follow.

    Returns:
        The configuration, complete.

    Raises:
        ConfigurationError: shards of frames are missing, and their labels are needed.
    """
    if config.vocabulary or config.absent_share == 0:
        return config
    missing = folder.missing("frames")
    if missing:
        raise ConfigurationError(
            f"{folder.path}: expected every shard of frames, {len(missing)} of {folder.shards} are missing. Give the "
            "command that makes them again first, or a vocabulary, or absent_share 0."
        )
    labels = Counter(one.label for record in folder.frames(images=False) for one in record.objects)
    share = min(1.0, MAX_DRAWN_FROM / max(labels.total(), 1))
    names = tuple(name for name in sorted(labels) for _ in range(ceil(labels[name] * share)))
    return replace(config, vocabulary=names)
