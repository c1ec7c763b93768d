#!/usr/bin/env python3
"""How fast models train, and whether their input keeps up.

Usage: python -m benchmarks training [--shape nano|pico] [--frames N] [--steps N] [--device cpu|cuda]

Frames are ray-cast, 320x240, with the questions of stage 1. Measured are: the input pipeline alone (from encoded frames
to a batch of tensors, one process), and training steps on batches that are ready (forward, backward, optimizer). The
last line is one JSON object.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import torch

from benchmarks.figure import Figure, told
from model_training.data.records import FrameRecord, QuestionRecord
from model_training.examples.config import AugmentConfig, ExampleConfig
from model_training.examples.example import Mix
from model_training.examples.packing import make_batch
from model_training.examples.sources import SourceConfig
from model_training.examples.stream import BatchConfig, Stream
from model_training.nano.folder import write_untrained
from model_training.questions.config import QuestionConfig
from model_training.questions.make import questions_about
from model_training.scenes.dataset import SceneDatasetConfig, ViewConfig
from model_training.scenes.raycast import raycast_records
from model_training.training.config import LossConfig, OptimizerConfig, TrainConfig
from model_training.training.settings import make_optimizer
from model_training.training.speed import peak_of
from model_training.training.starting import Start, start_of
from n3d_ros.codec.tokenizer import Tokenizer

WARM_UP_STEPS = 1
FRAMES_PER_BATCH = 4
Pair = tuple[FrameRecord, tuple[QuestionRecord, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class InMemory:
    """Frames that were made before, images encoded, as one shard."""

    kept: tuple[Pair, ...]
    shards: tuple[int, ...] = (0,)
    about: str = "ray-cast frames"

    def pairs(self, shard: int) -> Iterator[Pair]:
        """All of them.

        Args:
            shard: 0.

        Returns:
            Pairs.
        """
        del shard
        return iter(self.kept)


def frames_with_questions(count: int) -> InMemory:
    """Ray-cast frames with questions that ask for boxes.

    Args:
        count: how many.

    Returns:
        A source.
    """
    config = SceneDatasetConfig(
        kind="raycast", scenes=2 * count, scenes_per_shard=2 * count, views=1, view=ViewConfig(sizes=((320, 240),))
    )
    asked = QuestionConfig(reasoning=0)
    return InMemory(kept=tuple((one, questions_about(one, asked)) for one in islice(raycast_records(config, 0), count)))


def examples_config() -> ExampleConfig:
    """As stage 1 of the small model makes its examples."""
    augment = AugmentConfig(color=0.5, blur=0.2, crop=0.3, depth_dropout=0.3, flip=0.3)
    return ExampleConfig(long_side=320, questions_per_frame=3, max_tokens=1536, class_buckets=512, augment=augment)


def stream_of(source: InMemory, tokenizer: Tokenizer) -> Stream:
    """Batches of the frames.

    Args:
        source: of frames.
        tokenizer: of the model.

    Returns:
        An endless stream.
    """
    batches = BatchConfig(frames=FRAMES_PER_BATCH, tokens=1 << 20, streams=1, rank=0, processes=1, seed=0, accumulate=1)
    return Stream([source], [SourceConfig(folder="memory")], examples_config(), Mix(), batches, tokenizer, number=0)


def input_rate(source: InMemory, tokenizer: Tokenizer, batches: int) -> float:
    """Frames a second and process from encoded frames to tensors.

    Args:
        source: of frames.
        tokenizer: of the model.
        batches: how many are timed.

    Returns:
        Frames per second of processor time: other work on this machine does not count.
    """
    stream = stream_of(source, tokenizer)
    make_batch(stream.next(0).examples, tokenizer.image_pad)
    begun, frames = time.process_time(), 0
    for step in range(batches):
        drawn = stream.next(step)
        make_batch(drawn.examples, tokenizer.image_pad)
        frames += len(drawn.examples)
    return frames / (time.process_time() - begun)


def training_rates(
    start: Start, config: TrainConfig, source: InMemory, steps: int, device: torch.device
) -> dict[str, float]:
    """Rates of training steps on batches that are ready.

    Args:
        start: model and tokenizer.
        config: of the run.
        source: of frames.
        steps: how many are timed.
        device: where.

    Returns:
        "frames", "tokens" and "work" a second.
    """
    stream = stream_of(source, start.tokenizer)
    ready = [make_batch(stream.next(step).examples, start.tokenizer.image_pad) for step in range(3)]
    placed = [{name: _moved(value, device) for name, value in batch.items()} for batch in ready]
    model = start.model.to(device)
    optimizer = make_optimizer(model, config)
    counts = {"frames": 0.0, "tokens": 0.0, "work": 0.0}
    begun = 0.0
    for step in range(WARM_UP_STEPS + steps):
        if step == WARM_UP_STEPS:
            _finish(device)
            begun = time.perf_counter()
        batch = placed[step % len(placed)]
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda"):
            losses = model(batch)
        (losses["answer"] / losses["tokens"] + losses["dense"]).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step >= WARM_UP_STEPS:
            counts["frames"] += len(batch["image_grid_thw"])
            counts["tokens"] += int((batch["part"] >= 0).sum())
            counts["work"] += start.model.work_of(batch)
    _finish(device)
    spent = time.perf_counter() - begun
    return {name: count / spent for name, count in counts.items()}


def figures(shape: str, frames: int, steps: int, device: torch.device) -> list[Figure]:
    """The rows.

    Args:
        shape: of the small model.
        frames: to read.
        steps: of training to time.
        device: where the model trains.

    Returns:
        Figures.
    """
    source = frames_with_questions(frames)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "start"
        write_untrained(str(path), shape, seed=0)
        config = TrainConfig(
            name=shape,
            start_from=str(path),
            examples=examples_config(),
            loss=LossConfig(sigma_bins=5.0),
            optimizer=OptimizerConfig(steps=steps),
        )
        start = start_of(config)
        into = input_rate(source, start.tokenizer, max(2, steps // 2))
        rates = training_rates(start, config, source, steps, device)
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    peak = peak_of(device)
    note = f"{shape}, 320 px, batches of {FRAMES_PER_BATCH} frames, {where}"
    return [
        Figure(
            name="training input",
            value=into,
            unit="frames/s per core",
            note=f"{len(source.kept)} ray-cast frames of 320x240, augmented, encoded, packed; processor time",
        ),
        Figure(name="training step", value=rates["frames"], unit="frames/s", note=note),
        Figure(name="training tokens", value=rates["tokens"], unit="tokens/s", note=note),
        Figure(
            name="cores that make input as fast as it is learnt",
            value=rates["frames"] / into,
            unit="cores",
            note="training step over training input",
        ),
        Figure(
            name="training use of the device",
            value=math.nan if peak is None else 100 * rates["work"] / peak,
            unit="% of its peak",
            note=note
            if peak is not None
            else f"{rates['work'] / 1e9:.3g} GFLOP/s; the peak of this device is not known",
        ),
    ]


def _moved(value: Any, device: torch.device) -> Any:
    if isinstance(value, torch.Tensor):
        return value.to(device)
    return [_moved(each, device) for each in value] if isinstance(value, list) else value


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def main(argv: Sequence[str] | None = None) -> int:
    """Measures and prints.

    Args:
        argv: without the program's name.

    Returns:
        0.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", default="nano", help="nano (default) or pico")
    parser.add_argument("--frames", type=int, default=12, help="ray-cast frames (default 12)")
    parser.add_argument("--steps", type=int, default=3, help="training steps to time (default 3)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    args = parser.parse_args(argv)
    cv2.setNumThreads(1)
    name = ("cuda" if torch.cuda.is_available() else "cpu") if args.device == "auto" else args.device
    rows = figures(args.shape, args.frames, args.steps, torch.device(name))
    told(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
