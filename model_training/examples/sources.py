"""Where frames and questions come from: a data set's folder, or a generator that makes shards as they are needed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from model_training.data.records import FrameRecord, QuestionRecord
from model_training.yaml_config import from_mapping, read_yaml
from n3d_ros.errors import ConfigurationError
from n3d_ros.settings import check, number

FOREVER = -1
Pair = tuple[FrameRecord, tuple[QuestionRecord, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceConfig:
    """One source of frames. Exactly one of ``folder`` and ``generate`` is set.

    Args:
        folder: of a data set, as `n3d dataset generate`, `lift` and `from-bag` write it.
        generate: YAML of a SceneDatasetConfig, or the name of a shipped one ("raycast_train"): the loader's workers
            make the scenes themselves, shard by shard, and nothing is stored. For machines with many cores, or without
            pyarrow.
        questions: YAML of a QuestionConfig for ``generate``, or the name of a shipped one ("boxes"); empty: its
            defaults.
        weight: how often frames are drawn from here, beside the other sources that are active.
        from_step: first step at which the source is active: a curriculum.
        to_step: first step at which it is no longer; -1: never.
    """

    folder: str = ""
    generate: str = ""
    questions: str = ""
    weight: float = number(1.0, "how often frames are drawn", minimum=1e-6, maximum=1e6)
    from_step: int = number(0, "first step", minimum=0, maximum=2**31)
    to_step: int = number(FOREVER, "step of its end", minimum=FOREVER, maximum=2**31)

    def __post_init__(self) -> None:
        """Checks every field.

        Raises:
            ConfigurationError: none or both of folder and generate, or no step at all.
        """
        check(self, "source")
        if bool(self.folder) == bool(self.generate):
            raise ConfigurationError(
                f"source: expected either folder or generate, got {self.folder!r} and {self.generate!r}."
            )
        if self.to_step != FOREVER and self.to_step <= self.from_step:
            raise ConfigurationError(f"source: expected from_step < to_step, got {self.from_step} and {self.to_step}.")

    def is_active(self, step: int) -> bool:
        """Whether frames are drawn from here at a step.

        Args:
            step: of the run.

        Returns:
            True if so.
        """
        return self.from_step <= step and (self.to_step == FOREVER or step < self.to_step)


def source_configs(values: tuple[Any, ...], where: str) -> tuple[SourceConfig, ...]:
    """Sources as they stand in a YAML file.

    Args:
        values: mappings, or sources already.
        where: for messages.

    Returns:
        Sources.

    Raises:
        ConfigurationError: no mapping, or a wrong one.
    """
    made = []
    for place, value in enumerate(values):
        if isinstance(value, SourceConfig):
            made.append(value)
        elif isinstance(value, Mapping):
            made.append(from_mapping(value, SourceConfig, f"{where}[{place}]"))
        else:
            raise ConfigurationError(f"{where}[{place}]: expected folder: or generate: with a path, got {value!r}.")
    return tuple(made)


class Source(Protocol):
    """Frames in numbered shards, the same however often they are read."""

    @property
    def shards(self) -> tuple[int, ...]:
        """Their numbers."""
        ...

    @property
    def about(self) -> str:
        """What it is, for the report."""
        ...

    def pairs(self, shard: int) -> Iterator[Pair]:
        """The frames of a shard with their questions.

        Args:
            shard: one of ``shards``.

        Returns:
            Pairs in their order.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class FolderSource:
    """A data set's folder.

    Args:
        path: of the folder.
        shards: numbers of those that are there.
        about: what it is.
        has_questions: whether any were asked about its frames; where not, everything in a frame is asked for.
    """

    path: Path
    shards: tuple[int, ...]
    about: str
    has_questions: bool = True

    @classmethod
    def open(cls, path: Path) -> FolderSource:
        """The source that a folder is.

        Args:
            path: of the folder.

        Returns:
            The source; a data set that is not complete gives what it has.

        Raises:
            ConfigurationError: no data set, or one without a single shard.
        """
        from model_training.data.folder import DatasetFolder

        folder = DatasetFolder.open(path)
        shards = tuple(n for n in folder.frame_shards if folder.shard_path("frames", n).is_file())
        if not shards:
            raise ConfigurationError(f"{path}: expected frames, got no finished shard; run `n3d dataset generate` on.")
        asked = any(folder.shard_path("questions", n).is_file() for n in shards)
        parts = (folder.kind, f"{len(shards)} of {folder.shards} shards", *(() if asked else ("without questions",)))
        return cls(path=path, shards=shards, about=f"{path.name} ({', '.join(parts)})", has_questions=asked)

    def pairs(self, shard: int) -> Iterator[Pair]:
        """See ``Source``.

        Args:
            shard: one of ``shards``.

        Returns:
            Pairs in their order.
        """
        from model_training.data.folder import DatasetFolder

        return DatasetFolder.open(self.path).pairs(shard)


@dataclass(frozen=True, kw_only=True)
class GeneratedSource:
    """Scenes made when they are needed; nothing is stored.

    Args:
        scenes: a SceneDatasetConfig.
        asked: a QuestionConfig.
        about: what it is.
    """

    scenes: Any
    asked: Any
    about: str = field(default="generated")

    @classmethod
    def read(cls, scenes: str, questions: str, *, reasons: bool = True) -> GeneratedSource:
        """The source of two YAML files.

        Args:
            scenes: path of the scenes' configuration, or the name of a shipped one ("raycast_train").
            questions: path of the questions', or the name of a shipped one; empty: defaults.
            reasons: whether questions to reason about are wanted; they take four times as long as the frame itself.

        Returns:
            The source.
        """
        from model_training.questions.config import QuestionConfig
        from model_training.scenes.dataset import SceneDatasetConfig
        from model_training.scenes.entries import CATALOGUE

        config = read_yaml(_shipped(scenes, "scenes"), SceneDatasetConfig)
        asked = read_yaml(_shipped(questions, "questions"), QuestionConfig) if questions else QuestionConfig()
        if not asked.vocabulary:  # else nothing would be asked for that is not there
            asked = replace(asked, vocabulary=config.categories or tuple(CATALOGUE))
        if not reasons:
            asked = replace(asked, reasoning=0)
        about = f"{Path(scenes).name} ({config.kind}, {config.scenes} scenes, made as needed)"
        return cls(scenes=config, asked=asked, about=about)

    @property
    def shards(self) -> tuple[int, ...]:
        """Numbers of all shards."""
        return tuple(range(self.scenes.shards))

    def pairs(self, shard: int) -> Iterator[Pair]:
        """See ``Source``.

        Args:
            shard: one of ``shards``.

        Yields:
            Pairs in their order.
        """
        from model_training.questions.make import questions_about

        for record in self._records()(self.scenes, shard):
            yield record, questions_about(record, self.asked)

    def _records(self) -> Callable[..., Iterator[FrameRecord]]:
        if self.scenes.kind == "raycast":
            from model_training.scenes.raycast import raycast_records

            return raycast_records
        from model_training.scenes.dataset import scene_records

        return scene_records


def _shipped(name: str, part: str) -> Path:
    """The file of that path; where there is none, the configuration of that name that comes with a part."""
    path = Path(name)
    shipped = Path(__file__).resolve().parents[1] / part / "configs" / f"{name}.yaml"
    return shipped if not path.exists() and path.name == name and shipped.is_file() else path


def open_source(config: SourceConfig, *, reasons: bool = True) -> Source:
    """The source of a configuration.

    Args:
        config: what it is.
        reasons: whether questions to reason about are wanted.

    Returns:
        The source; picklable, so that workers read for themselves.
    """
    if config.folder:
        return FolderSource.open(Path(config.folder))
    return GeneratedSource.read(config.generate, config.questions, reasons=reasons)


def open_sources(configs: Sequence[SourceConfig], *, reasons: bool) -> tuple[Source, ...]:
    """The sources of a run.

    Args:
        configs: what they are.
        reasons: whether the run learns to reason.

    Returns:
        Sources in the same order.

    Raises:
        ConfigurationError: there is nothing to reason about.
    """
    sources = tuple(open_source(config, reasons=reasons) for config in configs)
    if reasons and all(isinstance(source, FolderSource) and not source.has_questions for source in sources):
        raise ConfigurationError(
            f"{'; '.join(source.about for source in sources)}: expected questions to reason about, got none. "
            "Run `n3d dataset questions FOLDER` first."
        )
    return sources


def describe(counts: Counter[str]) -> str:
    """What was skipped, in words.

    Args:
        counts: by reason.

    Returns:
        Most frequent first; "nothing".
    """
    return ", ".join(f"{count} {reason}" for reason, count in counts.most_common()) or "nothing"
