"""The language model in the node's life: loaded beside the running node, swapped in, replaced, given up.

The worker's thread loads, uses and closes grounders; the executor's thread alone changes what is kept here.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from n3d_ros.inference.grounder import Grounder, OnProgress, facts_of
from n3d_ros.ros.config import GEOMETRIC, LANGUAGE_MODEL, NodeConfig
from n3d_ros.ros.loading import LoadingProgress, told, warmed_up
from n3d_ros.ros.pipeline import FramePipeline
from n3d_ros.ros.worker import Worker

logger = logging.getLogger(__name__)

MAX_FAILURES = 3  # of a model in a row; then the grounder that needs none takes over

ModelFactory = Callable[[NodeConfig, OnProgress], Grounder]


class ModelKeeper:
    """Loads the model that the settings name into a pipeline, which goes on with another grounder when that fails.

    Args:
        make_model: loads a model.
        stop: set when the process is asked to end.
        in_executor: runs a function in the executor's thread.
        on_ended: called there when a loading has ended, well or not.
        info: writes a line to the console.
        error: writes an error there.
    """

    def __init__(
        self,
        make_model: ModelFactory,
        *,
        stop: threading.Event,
        in_executor: Callable[[Callable[[], None]], None],
        on_ended: Callable[[], None],
        info: Callable[[str], None],
        error: Callable[[str], None],
    ) -> None:
        self._make_model = make_model
        self._stop = stop
        self._in_executor = in_executor
        self._on_ended = on_ended
        self._info, self._error = info, error
        self._worker: Worker[Any] | None = None
        self._pipeline: FramePipeline | None = None
        self._standby: Grounder | None = None
        self._progress: LoadingProgress | None = None
        self._wanted = ""  # asked for last: in use, being loaded, or in trouble
        self.used = ""
        """Name of the model in use; empty: none."""
        self.trouble = ""
        """Why the model asked for is not in use; empty: it is, or none was asked for."""

    @property
    def loading(self) -> str:
        """What is being loaded and how far; empty: nothing."""
        progress = self._progress
        return "" if progress is None else progress.text

    def keep(self, standby: Grounder) -> None:
        """Takes over the grounder that needs no model, to be closed with the rest.

        Args:
            standby: in use until a model is loaded, and when that fails.
        """
        self._standby = standby

    def begin(self, worker: Worker[Any], pipeline: FramePipeline, config: NodeConfig) -> None:
        """Begins to load the model that the settings name, if they do.

        Args:
            worker: its thread loads.
            pipeline: uses what was loaded.
            config: the node's settings.
        """
        self._worker, self._pipeline = worker, pipeline
        if config.chosen_grounder == LANGUAGE_MODEL:
            self._load(config)

    def detach(self) -> None:
        """Lets go of everything; a loading ends at its next step. The grounders are closed by ``close_grounders``."""
        self._worker = self._pipeline = self._standby = self._progress = None
        self._wanted = self.used = self.trouble = ""

    def close_grounders(self) -> Callable[[], None]:
        """What closes the grounder in use and the one that needs no model.

        Returns:
            A function for the worker's thread; it may run after ``detach``.
        """
        return partial(_close_all, self._pipeline, self._standby)

    def follow(self, config: NodeConfig) -> None:
        """Takes over another model that is named while the node runs, or goes on without.

        Args:
            config: the node's settings as they are now.
        """
        worker, pipeline, standby = self._worker, self._pipeline, self._standby
        wanted = config.language_model.model
        if worker is None or pipeline is None or standby is None:
            return
        if wanted == self._wanted or config.grounder == GEOMETRIC:
            return
        self.trouble = ""
        if wanted and wanted != self.used:
            self._load(config)
            return
        self._wanted = self.used = wanted
        worker.call(partial(_use_instead, pipeline, pipeline.grounder if wanted else standby))
        self._end()

    def on_failure(self, count: int, sentence: str) -> None:
        """Gives a model up that fails time and again. Called in the worker's thread.

        Args:
            count: failures in a row.
            sentence: the latest one.
        """
        worker, pipeline, standby = self._worker, self._pipeline, self._standby
        if worker is None or pipeline is None or standby is None:
            return
        if pipeline.grounder is standby or count < MAX_FAILURES:
            return
        self.trouble = (
            f"The model {self.used!r} failed {count} times in a row and was given up; the {standby.name} grounder is "
            f"in use. Configure the node again to try once more. {sentence}"
        )
        self._error(self.trouble)
        worker.call(partial(_use_instead, pipeline, standby, (self.trouble,)))

    def _load(self, config: NodeConfig) -> None:
        """Begins to load in the worker's thread; the executor goes on."""
        worker, pipeline = self._worker, self._pipeline
        if worker is None or pipeline is None:
            return
        self._wanted = config.language_model.model

        def is_unwanted() -> bool:
            return worker.stopping or self._stop.is_set() or self._progress is not progress

        progress = LoadingProgress(self._info, is_unwanted)
        self._progress = progress
        self._info(f"Loading the model {self._wanted!r}; the node looks and answers once that is done.")
        worker.call(partial(self._load_in_worker, worker, pipeline, progress, config))

    def _load_in_worker(
        self, worker: Worker[Any], pipeline: FramePipeline, progress: LoadingProgress, config: NodeConfig
    ) -> None:
        """Loads and swaps in; a model that cannot be loaded leaves everything as it is."""
        try:
            grounder = self._make_model(config, progress)
            progress.text = "loading the model: first look, to warm it up"
            warmed_up(grounder, lambda: worker.stopping or self._stop.is_set())
        except Exception as error:  # whatever a runtime raises: too little memory, a broken file, a missing package
            if not worker.stopping:
                self._in_executor(partial(self._on_failed, progress, told(error)))
            return
        if worker.stopping or self._progress is not progress:
            _closed(grounder)
            return
        before = pipeline.use(grounder)
        if before is not self._standby:
            _closed(before)
        self._in_executor(partial(self._on_loaded, progress, grounder))

    def _on_loaded(self, progress: LoadingProgress, grounder: Grounder) -> None:
        if self._progress is not progress:
            return
        self.used = self._wanted
        took_s = time.monotonic() - progress.started_s
        lines = "".join(f"\n  {fact}" for fact in facts_of(grounder))
        self._info(f"Loaded in {took_s:.1f} s: {grounder.name} on {grounder.device}.{lines}")
        self._end()

    def _on_failed(self, progress: LoadingProgress, reason: str) -> None:
        pipeline = self._pipeline
        if self._progress is not progress or pipeline is None:
            return
        goes_on = pipeline.grounder.name
        self.trouble = f"The model {self._wanted!r} cannot be used; the {goes_on} grounder is in use. {reason}"
        self._error(self.trouble)
        pipeline.grounder_notes = (self.trouble,)
        self._end()

    def _end(self) -> None:
        self._progress = None
        self._on_ended()


def _use_instead(pipeline: FramePipeline, grounder: Grounder, notes: tuple[str, ...] = ()) -> None:
    """Puts a grounder in the place of the one in use, which is closed."""
    before = pipeline.use(grounder, notes)
    if before is not grounder:
        _closed(before)


def _close_all(pipeline: FramePipeline | None, standby: Grounder | None) -> None:
    """Closes the grounder in use and the one that needs no model, which may be the same."""
    used = None if pipeline is None else pipeline.grounder
    for one in (used, standby if standby is not used else None):
        if one is not None:
            _closed(one)


def _closed(grounder: Grounder) -> None:
    """Closes a grounder; one that cannot even be closed is logged, and holds nothing else up."""
    try:
        grounder.close()
    except Exception:
        logger.exception("The grounder %r could not be closed.", grounder.name)
