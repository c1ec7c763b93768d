"""An endless stream of batches whose order follows from a seed, and a cursor by which it goes on anywhere.

A run reads several streams in turn: batch n comes from stream n modulo their number. Each stream has shards of its own,
so that any number of workers that divides the number of streams reads the same batches in the same order, whichever
worker is faster. A cursor is plain JSON and a few numbers long: shards are drawn by permutations of the seed, not by a
generator whose state would have to be kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from model_training.examples.config import ExampleConfig
from model_training.examples.example import FrameExample, Mix, make_example
from model_training.examples.left_out import (
    OTHER_SPLIT,
    UNREADABLE_FRAME,
    UNREADABLE_SHARD,
    Broken,
    reasons_and_advice,
)
from model_training.examples.sources import Pair, Source, SourceConfig
from n3d_ros.codec.tokenizer import Tokenizer
from n3d_ros.errors import ConfigurationError, N3dError

LEARNT_SPLIT = "train"
MAX_SKIPPED = 1000  # frames in a row that give no example; more means that nothing fits
_SHARDS, _ROWS, _PICK, _CHANGE = 11, 12, 13, 14  # what a draw is for, beside its numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchConfig:
    """How examples are put together.

    Args:
        frames: most frames of a batch.
        tokens: most tokens of a batch, padding included; at least one frame is always taken.
        streams: of each process; a multiple of the number of workers.
        rank: of this process.
        processes: of the run.
        seed: everything drawn follows from it.
        accumulate: batches of one step.
    """

    frames: int
    tokens: int
    streams: int
    rank: int
    processes: int
    seed: int
    accumulate: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """Where a stream stands.

    Args:
        draw: frames drawn so far.
        step: at which the next frame is drawn; -1: at that of the batch it will be in.
        places: for each source how many shards are done and how many frames of the next one.
    """

    draw: int = 0
    step: int = -1
    places: tuple[tuple[int, int], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values.

        Returns:
            By field.
        """
        return {"draw": self.draw, "step": self.step, "places": [list(place) for place in self.places]}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Cursor:
        """What ``to_json`` gave.

        Args:
            values: by field.

        Returns:
            The cursor.
        """
        places = tuple((int(block), int(offset)) for block, offset in values["places"])
        return cls(draw=int(values["draw"]), step=int(values["step"]), places=places)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drawn:
    """Examples of a batch, and where the stream stands behind them.

    Args:
        examples: at least one.
        cursor: behind the batch.
        skipped: what was left out on the way, by reason.
        broken: of it what cannot be read and no batch of this stream named before.
    """

    examples: tuple[FrameExample, ...]
    cursor: Cursor
    skipped: Counter[str]
    broken: tuple[Broken, ...] = ()


class Stream:
    """One stream of batches.

    Args:
        sources: in the order of their configurations.
        configs: weights and steps of the sources.
        examples: how records become examples.
        mix: which questions.
        batches: how many to a batch, seed, places among streams.
        tokenizer: of the model.
        number: 0 to ``batches.streams`` - 1.
        cursor: where to begin.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        configs: Sequence[SourceConfig],
        examples: ExampleConfig,
        mix: Mix,
        batches: BatchConfig,
        tokenizer: Tokenizer,
        *,
        number: int,
        cursor: Cursor | None = None,
    ) -> None:
        self._sources, self._configs, self._examples, self._mix = sources, configs, examples, mix
        self._batches, self._tokenizer = batches, tokenizer
        self._number = batches.rank * batches.streams + number  # among the streams of all processes
        self._many = batches.processes * batches.streams
        places = tuple((0, 0) for _ in sources)
        self._cursor = cursor if cursor is not None and cursor.places else Cursor(places=places)
        if len(self._cursor.places) != len(sources):
            raise ConfigurationError(
                f"Data: expected {len(self._cursor.places)} sources as when the run began, got {len(sources)}."
            )
        self._open: dict[int, tuple[int, list[Pair]]] = {}
        self._pending: tuple[FrameExample, Cursor, Counter[str]] | None = None
        self._barren: list[dict[int, str]] = [{} for _ in sources]  # shards without a frame, and why; "": empty
        self._broken: dict[Broken, bool] = {}  # whether a batch has named it

    def next(self, step: int) -> Drawn:
        """The next batch.

        Args:
            step: of the run, decides which sources are active.

        Returns:
            Examples within the budget.

        Raises:
            ConfigurationError: no source is active, or none gives an example.
        """
        chosen: list[FrameExample] = []
        skipped: Counter[str] = Counter()
        longest = 0
        cursor = self._cursor
        while len(chosen) < self._batches.frames:
            if self._pending is None:
                before = replace(self._cursor, step=step if self._cursor.step < 0 else self._cursor.step)
                counts: Counter[str] = Counter()
                example = self._draw(before.step, counts)
                self._pending = (example, before, counts)
            example, before, counts = self._pending
            longest = max(longest, example.token_count)
            if chosen and longest * (len(chosen) + 1) > self._batches.tokens:
                cursor = before  # drawn again where the run goes on from here
                break
            chosen.append(example)
            skipped += counts
            self._pending = None
            cursor = self._cursor = replace(self._cursor, step=-1)
        broken = tuple(one for one, is_named in self._broken.items() if not is_named)
        self._broken.update(dict.fromkeys(broken, True))
        return Drawn(examples=tuple(chosen), cursor=cursor, skipped=skipped, broken=broken)

    def _draw(self, step: int, counts: Counter[str]) -> FrameExample:
        """The next frame that gives an example."""
        for _ in range(MAX_SKIPPED):
            place = self._picked(step)
            block, row, (frame, questions) = self._advance(place, counts)
            if frame.split != LEARNT_SPLIT:  # what models are judged by is never learnt
                counts[f"{OTHER_SPLIT} {frame.split}"] += 1
                continue
            rng = np.random.default_rng([self._batches.seed, _CHANGE, place, block, row])
            try:
                example = make_example(
                    frame, questions, self._examples, self._tokenizer, mix=self._mix, rng=rng, skipped=counts
                )
            except N3dError as error:
                self._broken.setdefault(Broken("frame", f"Frame {frame.id}", error.message), False)
                counts[UNREADABLE_FRAME] += 1
                continue
            if example is not None:
                return example
        reasons, advice = reasons_and_advice(counts)
        raise ConfigurationError(
            f"Data: expected frames to learn from, got {MAX_SKIPPED} in a row that give none ({reasons}). {advice}"
        )

    def _picked(self, step: int) -> int:
        """Number of the source of the next frame."""
        active = [place for place, config in enumerate(self._configs) if config.is_active(step)]
        if not active:
            raise ConfigurationError(f"Data: no source is active at step {step}; look at from_step and to_step.")
        rng = np.random.default_rng([self._batches.seed, _PICK, self._number, self._cursor.draw])
        weights = np.array([self._configs[place].weight for place in active])
        return active[int(rng.choice(len(active), p=weights / weights.sum()))]

    def _advance(self, place: int, counts: Counter[str]) -> tuple[int, int, Pair]:
        """The next frame of a source: number of its block, its row and itself; the cursor moves on."""
        for _ in range(MAX_SKIPPED):
            done, offset = self._cursor.places[place]
            block = self._number + done * self._many
            pairs = self._pairs(place, block, counts)
            if offset < len(pairs):
                row = int(
                    np.random.default_rng([self._batches.seed, _ROWS, place, block]).permutation(len(pairs))[offset]
                )
                self._move(place, (done, offset + 1))
                return block, row, pairs[row]
            self._move(place, (done + 1, 0), draws=0)
            if len(self._barren[place]) == len(self._sources[place].shards):
                break
        raise ConfigurationError(self._without_frames(place))

    def _without_frames(self, place: int) -> str:
        """What is wrong with a source of which no shard gave a frame."""
        barren = self._barren[place]
        broken = {shard: why for shard, why in barren.items() if why}
        first = "".join(f", shard {shard}: {why}" for shard, why in list(broken.items())[:1])
        return (
            f"Data: {self._sources[place].about}: expected frames, got none in {len(barren)} shards, of which "
            f"{len(broken)} cannot be read and {len(barren) - len(broken)} are empty{first}"
            f"{'' if first.endswith('.') else '.'} Run `n3d dataset check FOLDER`, which looks at each of them."
        )

    def _move(self, place: int, to: tuple[int, int], draws: int = 1) -> None:
        places = (*self._cursor.places[:place], to, *self._cursor.places[place + 1 :])
        self._cursor = replace(self._cursor, draw=self._cursor.draw + draws, places=places)

    def _pairs(self, place: int, block: int, counts: Counter[str]) -> list[Pair]:
        """The frames of a block, images still encoded; none, and a count, where its shard cannot be read."""
        if self._open.get(place, (-1, []))[0] != block:
            source = self._sources[place]
            epoch, number = divmod(block, len(source.shards))
            order = np.random.default_rng([self._batches.seed, _SHARDS, place, epoch]).permutation(len(source.shards))
            shard = source.shards[int(order[number])]
            self._open.pop(place, None)  # before the next is read: one shard of a source in memory
            why = ""
            try:
                found = list(source.pairs(shard))
            except N3dError as error:
                found, why = [], error.message
                self._broken.setdefault(Broken("shard", f"{source.about}, shard {shard}", why), False)
                counts[UNREADABLE_SHARD] += 1
            if found:
                self._barren[place].pop(shard, None)
            else:
                self._barren[place][shard] = why
            self._open[place] = (block, found)
        return self._open[place][1]


def numbers_of(first: int, worker: int, workers: int) -> Iterator[int]:
    """Numbers of the batches that a worker makes.

    Args:
        first: number of the run's next batch.
        worker: 0 to ``workers`` - 1.
        workers: of the process.

    Yields:
        Numbers, without end.
    """
    number = first + worker
    while True:
        yield number
        number += workers
