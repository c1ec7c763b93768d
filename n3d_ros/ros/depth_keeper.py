"""The depth model in the node's life: loaded in the worker's thread, used by the pipeline, given up, closed.

The worker's thread loads, uses and closes it; the executor's thread alone changes what is kept here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from n3d_ros.inference.depth_source import CAMERA, FUSED, MODEL, DepthSource
from n3d_ros.inference.grounder import OnProgress
from n3d_ros.ros.config import NodeConfig
from n3d_ros.ros.depth_step import FrameMaker
from n3d_ros.ros.keeper import Keeper, close_model
from n3d_ros.ros.loading import warmed_up_depth
from n3d_ros.ros.worker import Worker

NO_OTHER_DEPTH = (
    "There is no other depth, so the node cannot look: mend that and configure it again, or set depth_source to "
    "'camera'."
)
CAMERA_ALONE = "Depth is the camera's alone."
MAX_FAILURES = 3  # of a model in a row; then a camera's depth alone is used where there is one

DepthFactory = Callable[[NodeConfig, OnProgress], DepthSource]


class DepthKeeper(Keeper[DepthSource]):
    """Loads the depth model that the settings name into a frame maker."""

    what, first, kind = "the depth model", "image", "depth model"
    _frames: FrameMaker | None = None
    _kind = CAMERA
    _name = ""

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
        if self._kind != CAMERA:
            self._load(worker, self._name, config, partial(_use, frames))

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

    def _warm_up(self, model: DepthSource, is_cancelled: Callable[[], bool]) -> None:
        warmed_up_depth(model, is_cancelled)

    def _introduced(self, model: DepthSource) -> tuple[str, tuple[str, ...]]:
        return f"depth by {model.name}", model.facts()

    def _gone_without(self, reason: str) -> str:
        what = f"The depth model {self._name!r}" if self._name else "A depth model"
        rest = NO_OTHER_DEPTH if self._kind == MODEL else CAMERA_ALONE
        trouble = f"{what} cannot be used: {reason} {rest}"
        if self._frames is not None:
            self._frames.notes = (trouble,)
        return trouble


def _use(frames: FrameMaker, source: DepthSource) -> None:
    """Puts a source to use, in the worker's thread."""
    frames.source = source


def _close_source_of(frames: FrameMaker | None) -> None:
    """Takes the source away from whoever uses it, and closes it."""
    if frames is not None:
        source, frames.source = frames.source, None
        if source is not None:
            close_model(source, DepthKeeper.kind)
