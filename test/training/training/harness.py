"""Small runs to test with."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from model_training.data.folder import DatasetFolder
from model_training.data.records import FrameRecord
from model_training.examples.config import ExampleConfig
from model_training.examples.sources import SourceConfig
from model_training.training.config import DataConfig, OptimizerConfig, TrainConfig
from training.examples.known_records import questions_about, tabletop_record

RECORDS = (tabletop_record(), tabletop_record(seed=1, shift=0.06))


def config_of(start: Path, **changes: Any) -> TrainConfig:
    """A run of few steps on two frames."""
    config = TrainConfig(
        name="tiny",
        start_from=str(start),
        examples=ExampleConfig(long_side=224, questions_per_frame=2),
        data=DataConfig(sources=(SourceConfig(folder="known"),), frames_per_batch=2, streams=2),
        optimizer=OptimizerConfig(steps=6, warmup_steps=2, learning_rate=4e-3),
        release="float32",
        log_every=1,
        checkpoint_every=2,
    )
    return replace(config, **changes)


def write_dataset(folder: Path, records: tuple[FrameRecord, ...] = RECORDS, *, shards: int = 2) -> Path:
    """A data set of some frames with questions."""
    made = DatasetFolder.create(folder, "scenes", {"test": 1}, shards)
    for shard in range(shards):
        named = [replace(record, id=f"{shard}-{record.id}") for record in records]
        made.write_frames(shard, named, Counter())
    made = made.begin_questions({"test": 1})
    for shard in range(shards):
        named = [replace(record, id=f"{shard}-{record.id}") for record in records]
        made.write_questions(shard, [q for record in named for q in questions_about(record)], Counter())
    return folder
