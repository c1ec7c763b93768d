"""What loading has in common for all of a node's models: beside the running node, with progress, one at a time.

The worker's thread loads, uses and closes models; the executor's thread alone changes what is kept here.
"""

from __future__ import annotations

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from n3d_ros.inference.grounder import OnProgress
from n3d_ros.ros.config import NodeConfig
from n3d_ros.ros.loading import LoadingProgress, told
from n3d_ros.ros.worker import Worker

logger = logging.getLogger(__name__)


class Loadable(Protocol):
    """What is known of every kind of model."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def device(self) -> str:
        """Where it runs, such as "cuda:0"."""
        ...

    def close(self) -> None:
        """Frees memory."""
        ...


ModelT = TypeVar("ModelT", bound=Loadable)


class Keeper(ABC, Generic[ModelT]):
    """Loads models of one kind; one that is begun later takes the place of one begun before.

    Args:
        make: loads a model.
        stop: set when the process is asked to end.
        in_executor: runs a function in the executor's thread.
        on_ended: called there when a loading has ended, well or not.
        info: writes a line to the console.
        error: writes an error there.
    """

    what: ClassVar[str]
    """What is loaded, such as "the model"."""
    first: ClassVar[str]
    """What warms it up, such as "look"."""
    kind: ClassVar[str]
    """What the log calls one, such as "grounder"."""

    def __init__(
        self,
        make: Callable[[NodeConfig, OnProgress], ModelT],
        *,
        stop: threading.Event,
        in_executor: Callable[[Callable[[], None]], None],
        on_ended: Callable[[], None],
        info: Callable[[str], None],
        error: Callable[[str], None],
    ) -> None:
        self._make = make
        self._stop = stop
        self._in_executor = in_executor
        self._on_ended = on_ended
        self._info, self._error = info, error
        self._worker: Worker[Any] | None = None
        self._progress: LoadingProgress | None = None
        self.trouble = ""
        """Why the model asked for is not in use; empty: it is, or none was asked for."""

    @property
    def loading(self) -> str:
        """What is being loaded and how far; empty: nothing."""
        progress = self._progress
        return "" if progress is None else progress.text

    @abstractmethod
    def _warm_up(self, model: ModelT, is_cancelled: Callable[[], bool]) -> None:
        """Has the model do its work once; one that fails is closed. In the worker's thread."""

    @abstractmethod
    def _introduced(self, model: ModelT) -> tuple[str, tuple[str, ...]]:
        """How the console calls a model that is in use now, and facts about it."""

    @abstractmethod
    def _gone_without(self, reason: str) -> str:
        """What is told of a model that cannot be loaded, from now on with every answer, too."""

    def _load(self, worker: Worker[Any], name: str, config: NodeConfig, use: Callable[[ModelT], None]) -> None:
        """Begins to load in the worker's thread, where ``use`` puts it to use; the executor goes on."""

        def is_unwanted() -> bool:
            return worker.stopping or self._stop.is_set() or self._progress is not progress

        progress = LoadingProgress(self._info, is_unwanted, self.what)
        self._progress = progress
        self._info(f"Loading {self.what} {name!r}; the node looks and answers once that is done.")
        worker.call(partial(self._load_in_worker, worker, progress, config, use))

    def _load_in_worker(
        self, worker: Worker[Any], progress: LoadingProgress, config: NodeConfig, use: Callable[[ModelT], None]
    ) -> None:
        """Loads and puts to use; a model that cannot be loaded leaves everything as it is."""
        try:
            model = self._make(config, progress)
            progress.text = f"loading {self.what}: first {self.first}, to warm it up"
            self._warm_up(model, lambda: worker.stopping or self._stop.is_set())
        except Exception as error:  # whatever a runtime raises: too little memory, a broken file, a missing package
            if not worker.stopping:
                self._in_executor(partial(self._on_failed, progress, told(error)))
            return
        if worker.stopping or self._progress is not progress:
            close_model(model, self.kind)
            return
        use(model)
        self._in_executor(partial(self._on_loaded, progress, model))

    def _on_loaded(self, progress: LoadingProgress, model: ModelT) -> None:
        if self._progress is not progress:
            return
        took_s = time.monotonic() - progress.started_s
        name, facts = self._introduced(model)
        lines = "".join(f"\n  {fact}" for fact in facts)
        self._info(f"Loaded in {took_s:.1f} s: {name} on {model.device}.{lines}")
        self._end()

    def _on_failed(self, progress: LoadingProgress, reason: str) -> None:
        if self._progress is not progress:
            return
        self.trouble = self._gone_without(reason)
        self._error(self.trouble)
        self._end()

    def _end(self) -> None:
        self._progress = None
        self._on_ended()


def close_model(model: Loadable, kind: str) -> None:
    """Closes a model; one that cannot even be closed is logged, and holds nothing else up.

    Args:
        model: in the thread that made it.
        kind: what the log calls it.
    """
    try:
        model.close()
    except Exception:
        logger.exception("The %s %r could not be closed.", kind, model.name)
