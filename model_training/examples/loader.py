"""Batches ahead of the training, made by processes of their own, in an order that no speed changes."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

import cv2
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from model_training.examples.config import ExampleConfig
from model_training.examples.example import Mix
from model_training.examples.packing import Batch, make_batch
from model_training.examples.sources import Source, SourceConfig
from model_training.examples.stream import BatchConfig, Cursor, Stream, numbers_of
from n3d_ros.codec.tokenizer import load_tokenizer
from n3d_ros.errors import ConfigurationError, N3dError

AHEAD = 2  # batches that each worker holds ready
META = "meta"
"""Key of a batch's facts that are no tensors: stream, cursor, frames, tokens, skipped, broken."""

ERROR = "error"  # key of a batch's facts where there is no batch: why


class BatchSet(IterableDataset[Batch]):
    """The batches of one process, from some number on.

    Args:
        sources: as opened; workers get them by pickle.
        configs: their weights and steps.
        examples: how records become examples.
        mix: which questions.
        batches: how they are put together.
        tokenizer_folder: of the model.
        first: number of the first batch.
        cursors: where the streams stand, by their numbers.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        configs: Sequence[SourceConfig],
        examples: ExampleConfig,
        mix: Mix,
        batches: BatchConfig,
        tokenizer_folder: Path,
        *,
        first: int = 0,
        cursors: Mapping[int, Cursor] | None = None,
    ) -> None:
        self._sources, self._configs, self._examples, self._mix = sources, configs, examples, mix
        self._batches, self._folder = batches, tokenizer_folder
        self._first, self._cursors = first, dict(cursors or {})

    def __iter__(self) -> Iterator[Batch]:
        info = get_worker_info()
        if info is None:
            yield from self._made(0, 1)
            return
        _settle_worker()
        try:
            yield from self._made(info.id, info.num_workers)
        except N3dError as error:  # torch would tell it as a traceback of the worker
            yield {META: {ERROR: error.message}}

    def _made(self, worker: int, workers: int) -> Iterator[Batch]:
        """The batches that fall to one of several workers."""
        tokenizer = load_tokenizer(self._folder)
        streams: dict[int, Stream] = {}
        for number in numbers_of(self._first, worker, workers):
            which = number % self._batches.streams
            if which not in streams:
                streams[which] = Stream(
                    self._sources,
                    self._configs,
                    self._examples,
                    self._mix,
                    self._batches,
                    tokenizer,
                    number=which,
                    cursor=self._cursors.get(which),
                )
            drawn = streams[which].next(number // self._batches.accumulate)
            batch = make_batch(drawn.examples, tokenizer.image_pad)
            batch[META] = {
                "number": number,
                "stream": which,
                "cursor": drawn.cursor.to_json(),
                "frames": len(drawn.examples),
                "turns": sum(len(example.turns) for example in drawn.examples),
                "tokens": sum(example.token_count for example in drawn.examples),
                "skipped": dict(drawn.skipped),
                "broken": drawn.broken,
            }
            yield batch


class _Loader(DataLoader[Batch]):
    """A loader whose processes live through Ctrl-C and signals to end, which often go to all processes of a command."""

    def __iter__(self) -> Any:
        with _signals_held_back():
            return _without_errors(super().__iter__())


def _without_errors(batches: Iterator[Batch]) -> Iterator[Batch]:
    """The batches; a worker's error in the sentence in which it was raised there."""
    for batch in batches:
        if ERROR in batch[META]:
            raise ConfigurationError(batch[META][ERROR])
        yield batch


@contextlib.contextmanager
def _signals_held_back() -> Iterator[None]:
    """Processes that are begun meanwhile never see Ctrl-C or a signal to end, from their first moment on.

    A worker that ended by it would take the run's last steps with it: the run stops by itself, with a checkpoint.
    """
    resource_tracker.ensure_running()  # to begin it lets both through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _settle_worker() -> None:
    """One thread for each worker, and an end without an abort.

    A worker that is told to stop may still be handing over a batch in a thread of its own; Python's finalisation would
    end that thread within C++ code, which aborts the process and makes the loader report a crash.
    """
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    threading.Thread(target=_end_when_parent_says, name="end_when_parent_says", daemon=True).start()
    atexit.register(os._exit, 0)


def _end_when_parent_says() -> None:
    """Ends this process when the one that began it sends a signal to end, as the loader does to a worker that hangs."""
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(0)


def batch_loader(batches: BatchSet, *, streams: int, workers: int, pinned: bool = False) -> Any:
    """Batches in the order of their numbers.

    Args:
        batches: what to load.
        streams: of the process.
        workers: processes that make batches ahead; 0: made when needed.
        pinned: whether tensors lie where a GPU can fetch them by itself.

    Returns:
        A torch DataLoader.

    Raises:
        ConfigurationError: the streams cannot be shared out among the workers.
    """
    if workers and streams % workers:
        raise ConfigurationError(
            f"data streams: expected a multiple of workers, so that their order does not change, got {streams} and "
            f"{workers}."
        )
    settings: dict[str, Any] = {}
    if workers:
        # Fresh processes: a fork of one that runs torch's threads or a GPU may hang.
        settings = {"multiprocessing_context": "spawn", "prefetch_factor": AHEAD}
    return _Loader(batches, batch_size=None, num_workers=workers, pin_memory=pinned, **settings)
