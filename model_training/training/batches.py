"""Where a run's examples come from: its sources, and the batches made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from model_training.examples.loader import BatchSet
from model_training.examples.sources import Source, open_sources
from model_training.examples.stream import BatchConfig, Cursor
from model_training.training.config import TrainConfig


def sources_of(config: TrainConfig, stage: str) -> tuple[Source, ...]:
    """The sources that a run learns from.

    Args:
        config: of the run.
        stage: "stage1" or "stage2".

    Returns:
        Sources, opened, in the order of ``config.data.sources``.
    """
    return open_sources(config.data.sources, reasons=config.mix(stage).stage == "reasoning")


def batches_of(
    config: TrainConfig,
    stage: str,
    sources: Sequence[Source],
    tokenizer_folder: Path,
    *,
    rank: int = 0,
    processes: int = 1,
    first: int = 0,
    cursors: Mapping[int, Cursor] | None = None,
) -> BatchSet:
    """The batches that one process of a run learns from.

    Args:
        config: of the run.
        stage: "stage1" or "stage2".
        sources: of ``sources_of``.
        tokenizer_folder: of the model it begins with.
        rank: of the process.
        processes: of the run.
        first: number of the first batch.
        cursors: where the streams stand, by their numbers.

    Returns:
        The batches, without end.
    """
    data = config.data
    together = BatchConfig(
        frames=data.frames_per_batch,
        tokens=data.tokens_per_batch,
        streams=data.streams,
        rank=rank,
        processes=processes,
        seed=config.seed,
        accumulate=data.accumulate,
    )
    mix = config.mix(stage)
    return BatchSet(
        sources, data.sources, config.examples, mix, together, tokenizer_folder, first=first, cursors=cursors
    )
