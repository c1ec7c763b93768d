"""The depth model in the node's life: loaded in the worker's thread, used by the pipeline, given up, closed.

The worker's thread loads, uses and closes it; the executor's thread alone changes what is kept here.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from n3d_ros.inference.depth_source import CAMERA, FUSED, MODEL, DepthSource
from n3d_ros.inference.grounder import OnProgress
from n3d_ros.ros.config import NodeConfig
from n3d_ros.ros.depth_step import FrameMaker
from n3d_ros.ros.loading import LoadingProgress, told, warmed_up_depth
from n3d_ros.ros.worker import Worker

logger = logging.getLogger(__name__)

NO_OTHER_DEPTH = (
    "There is no other depth, so the node cannot look: mend that and configure it again, or set depth_source to "
    "'camera'."
)
CAMERA_ALONE = "Depth is the camera's alone."
MAX_FAILURES = 3  # of a model in a row; then a camera's depth alone is used where there is one

DepthFactory = Callable[[NodeConfig, OnProgress], DepthSource | None]


class DepthKeeper:
    """Loads the depth model that the settings name into a frame maker.

    Args:
        make_source: loads it.
        stop: set when the process is asked to end.
        in_executor: runs a function in the executor's thread.
        on_ended: called there when the loading has ended, well or not.
        info: writes a line to the console.
        error: writes an error there.
    """

    def __init__(
        self,
        make_source: DepthFactory,
        *,
        stop: threading.Event,
        in_executor: Callable[[Callable[[], None]], None],
        on_ended: Callable[[], None],
        info: Callable[[str], None],
        error: Callable[[str], None],
    ) -> None:
        self._make_source = make_source
        self._stop = stop
        self._in_executor = in_executor
        self._on_ended = on_ended
        self._info, self._error = info, error
        self._worker: Worker[Any] | None = None
        self._frames: FrameMaker | None = None
        self._progress: LoadingProgress | None = None
        self._kind = CAMERA
        self._name = ""
        self.trouble = ""
        """Why the model asked for is not in use; empty: it is, or none was asked for."""

    @property
    def loading(self) -> str:
        """What is being loaded and how far; empty: nothing."""
        progress = self._progress
        return "" if progress is None else progress.text

    @property
    def blocks(self) -> bool:
        """Whether there is no depth at all: the model is the only source, and it cannot be used."""
        return bool(self.trouble) and self._kind == MODEL

    @property
    def source(self) -> DepthSource | None:
        """The model in use; None: none."""
        frames = self._frames
        return None if frames is None else frames.source

    def begin(self, worker: Worker[Any], frames: FrameMaker, config: NodeConfig) -> None:
        """Begins to load the model that the settings name, if they want one.

        Args:
            worker: its thread loads.
            frames: uses what was loaded.
            config: the node's settings.
        """
        self._worker, self._frames, self._kind = worker, frames, config.depth_source
        self._name, self.trouble = config.depth_model.model, ""
        if self._kind == CAMERA:
            return

        def is_unwanted() -> bool:
            return worker.stopping or self._stop.is_set() or self._progress is not progress

        progress = LoadingProgress(self._info, is_unwanted, "the depth model")
        self._progress = progress
        self._info(f"Loading the depth model {self._name!r}; the node looks and answers once that is done.")
        worker.call(partial(self._load_in_worker, worker, frames, progress, config))

    def detach(self) -> None:
        """Lets go of everything; a loading ends at its next step. The model is closed by ``closing``."""
        self._worker = self._frames = self._progress = None
        self._kind, self._name, self.trouble = CAMERA, "", ""

    def closing(self) -> Callable[[], None]:
        """What closes the model in use.

        Returns:
            A function for the worker's thread; it may run after ``detach``.
        """
        return partial(_close_source_of, self._frames)

    def on_failure(self, count: int, sentence: str) -> None:
        """Gives a model up that fails time and again, where a camera measures depth too. In the worker's thread.

        Args:
            count: failures in a row.
            sentence: the latest one.
        """
        frames, worker = self._frames, self._worker
        if frames is None or worker is None or self._kind != FUSED or count < MAX_FAILURES:
            return
        trouble = (
            f"The depth model {self._name!r} failed {count} times in a row and was given up; depth is the camera's "
            f"alone. Configure the node again to try once more. {sentence}"
        )
        frames.notes = (trouble,)
        worker.call(partial(_close_source_of, frames))
        self._in_executor(partial(self._on_given_up, frames, trouble))

    def _on_given_up(self, frames: FrameMaker, trouble: str) -> None:
        if self._frames is frames:
            self.trouble = trouble
            self._error(trouble)

    def _load_in_worker(
        self, worker: Worker[Any], frames: FrameMaker, progress: LoadingProgress, config: NodeConfig
    ) -> None:
        """Loads and puts into use; what goes wrong is told in the executor's thread."""
        try:
            source = self._make_source(config, progress)
            if source is not None:
                progress.text = "loading the depth model: first image, to warm it up"
                warmed_up_depth(source, lambda: worker.stopping or self._stop.is_set())
        except Exception as error:  # whatever a runtime raises: too little memory, a broken file, a missing package
            if not worker.stopping:
                self._in_executor(partial(self._on_failed, progress, told(error)))
            return
        if worker.stopping or self._progress is not progress:
            _close(source)
            return
        frames.source = source
        self._in_executor(partial(self._on_loaded, progress, source))

    def _on_loaded(self, progress: LoadingProgress, source: DepthSource | None) -> None:
        if self._progress is not progress:
            return
        took_s = time.monotonic() - progress.started_s
        if source is not None:
            lines = "".join(f"\n  {fact}" for fact in source.facts())
            self._info(f"Loaded in {took_s:.1f} s: depth by {source.name} on {source.device}.{lines}")
        self._end()

    def _on_failed(self, progress: LoadingProgress, reason: str) -> None:
        frames = self._frames
        if self._progress is not progress or frames is None:
            return
        what = f"The depth model {self._name!r}" if self._name else "A depth model"
        rest = NO_OTHER_DEPTH if self._kind == MODEL else CAMERA_ALONE
        self.trouble = f"{what} cannot be used: {reason} {rest}"
        self._error(self.trouble)
        frames.notes = (self.trouble,)
        self._end()

    def _end(self) -> None:
        self._progress = None
        self._on_ended()


def _close_source_of(frames: FrameMaker | None) -> None:
    """Takes the source away from whoever uses it, and closes it."""
    if frames is not None:
        source, frames.source = frames.source, None
        _close(source)


def _close(source: DepthSource | None) -> None:
    """Closes a source; one that cannot even be closed is logged, and holds nothing else up."""
    try:
        if source is not None:
            source.close()
    except Exception:
        logger.exception("The depth model %r could not be closed.", None if source is None else source.name)
