"""The language model in the node's life: loaded beside the running node, swapped in, replaced, given up.

The worker's thread loads, uses and closes grounders; the executor's thread alone changes what is kept here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from n3d_ros.inference.grounder import Grounder, OnProgress, facts_of
from n3d_ros.ros.config import GEOMETRIC, LANGUAGE_MODEL, NodeConfig
from n3d_ros.ros.keeper import Keeper, close_model
from n3d_ros.ros.loading import LoadingProgress, warmed_up
from n3d_ros.ros.pipeline import FramePipeline
from n3d_ros.ros.worker import Worker

MAX_FAILURES = 3  # of a model in a row; then the grounder that needs none takes over

ModelFactory = Callable[[NodeConfig, OnProgress], Grounder]


class ModelKeeper(Keeper[Grounder]):
    """Loads the model that the settings name into a pipeline, which goes on with another grounder when that fails."""

    what, first, kind = "the model", "look", "grounder"

    _pipeline: FramePipeline | None = None
    _standby: Grounder | None = None
    _wanted = ""  # asked for last: in use, being loaded, or in trouble
    used = ""
    """Name of the model in use; empty: none."""

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
            self._load_named(config)

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
            self._load_named(config)
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

    def _load_named(self, config: NodeConfig) -> None:
        """Begins to load the model that the settings name."""
        worker, pipeline = self._worker, self._pipeline
        if worker is None or pipeline is None:
            return
        self._wanted = config.language_model.model
        self._load(worker, self._wanted, config, partial(self._use_in_worker, pipeline))

    def _warm_up(self, model: Grounder, is_cancelled: Callable[[], bool]) -> None:
        warmed_up(model, is_cancelled)

    def _use_in_worker(self, pipeline: FramePipeline, grounder: Grounder) -> None:
        """Swaps it in; the one before is closed, unless it needs no model."""
        before = pipeline.use(grounder)
        if before is not self._standby:
            close_model(before, self.kind)

    def _on_loaded(self, progress: LoadingProgress, model: Grounder) -> None:
        if self._progress is progress:
            self.used = self._wanted
        super()._on_loaded(progress, model)

    def _introduced(self, model: Grounder) -> tuple[str, tuple[str, ...]]:
        return model.name, facts_of(model)

    def _gone_without(self, reason: str) -> str:
        pipeline = self._pipeline
        goes_on = "" if pipeline is None else pipeline.grounder.name
        trouble = f"The model {self._wanted!r} cannot be used; the {goes_on} grounder is in use. {reason}"
        if pipeline is not None:
            pipeline.grounder_notes = (trouble,)
        return trouble


def _use_instead(pipeline: FramePipeline, grounder: Grounder, notes: tuple[str, ...] = ()) -> None:
    """Puts a grounder in the place of the one in use, which is closed."""
    before = pipeline.use(grounder, notes)
    if before is not grounder:
        close_model(before, ModelKeeper.kind)


def _close_all(pipeline: FramePipeline | None, standby: Grounder | None) -> None:
    """Closes the grounder in use and the one that needs no model, which may be the same."""
    used = None if pipeline is None else pipeline.grounder
    for one in (used, standby if standby is not used else None):
        if one is not None:
            close_model(one, ModelKeeper.kind)
