"""The boundary every grounder stands behind: one verb, two types.

A grounder looks at one frame and answers with labelled oriented boxes in that frame's camera optical axes. The
geometric grounder and the language model are both reached through ``create_grounder``; nothing above this layer knows
which of them runs.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable

import numpy as np

from n3d_ros.detection import Detection3D, SupportSurface
from n3d_ros.errors import BackendError, InputError
from n3d_ros.frame import RgbdFrame
from n3d_ros.geometry.arrays import FloatArray, frozen_array

MAX_PHRASE_CHARS = 512  # a bound on text from outside, the same as in the interfaces
MAX_QUESTION_CHARS = 1024
MAX_NOUNS = 16
MAX_OBJECTS = 256  # more boxes than any frame sensibly holds


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GroundingRequest:
    """What to look for.

    Args:
        phrase: words naming the objects wanted; None: everything.
        question: the question the objects are wanted for, word for word; None: there is none. A grounder that knows a
            vocabulary of its own ignores it and looks for everything.
        nouns: the things a question names, as its words have them ("red mug", "table"); for grounders of open
            vocabulary. Empty with a phrase.
        up: (3,) unit vector against gravity in the camera optical frame; None when unknown.
        max_objects: at most so many, the best first.
        deadline_s: ``time.monotonic()`` at which a grounder that finds one object after another stops and returns what
            it has, marked partial; None: no limit.
    """

    phrase: str | None = None
    question: str | None = None
    nouns: tuple[str, ...] = ()
    up: FloatArray | None = None
    max_objects: int = 64
    deadline_s: float | None = None

    def __post_init__(self) -> None:
        """Checks the phrase's length, the direction's norm and the count.

        Raises:
            InputError: a phrase that is blank or too long, an ``up`` of length zero, or a count out of range.
        """
        if self.question is not None and not 0 < len(self.question.strip()) <= len(self.question) <= MAX_QUESTION_CHARS:
            raise InputError(f"Question: expected 1 to {MAX_QUESTION_CHARS} characters, got {len(self.question)}.")
        if len(self.nouns) > MAX_NOUNS or any(not 0 < len(noun.strip()) <= MAX_PHRASE_CHARS for noun in self.nouns):
            raise InputError(
                f"nouns: expected at most {MAX_NOUNS} of 1 to {MAX_PHRASE_CHARS} characters, got {self.nouns}."
            )
        if self.phrase is not None and not 0 < len(self.phrase.strip()) <= len(self.phrase) <= MAX_PHRASE_CHARS:
            raise InputError(f"Phrase: expected 1 to {MAX_PHRASE_CHARS} characters, got {len(self.phrase)}.")
        if not 0 < self.max_objects <= MAX_OBJECTS:
            raise InputError(f"max_objects: expected 1 to {MAX_OBJECTS}, got {self.max_objects}.")
        if self.up is not None:
            up = np.asarray(self.up, dtype=np.float64)
            if up.shape != (3,) or not np.isfinite(up).all() or not np.linalg.norm(up) > 0:
                raise InputError(f"up: expected three finite numbers of length above 0, got {self.up!r}.")
            up = frozen_array(up / np.linalg.norm(up), shape=(3,), dtype=np.float64, name="up")
            object.__setattr__(self, "up", up)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroundingResult:
    """What was found in one frame.

    Args:
        detections: in the camera optical frame, best first.
        surfaces: the supports they stand on, in the camera optical frame.
        stage_ms: milliseconds per named step, in order.
        notes: sentences a user should read (words that were ignored, boxes at the edge of what is possible).
        partial: the deadline came before everything was found.
        raw_detections: the boxes before they were refined against depth, in the order of ``detections``; empty when
            the grounder has no such step.
        cut_off: the list ended before its time though there was time left (a limit of its length, as many objects as
            asked for, a model that repeats itself): what it holds is good, what it lacks may be there all the same.
        counts: numbers about the work by name, for reports: a language model's "passes", "tokens", "prefix_reused",
            "rejected_lines" (which could not be read).
    """

    detections: tuple[Detection3D, ...]
    surfaces: tuple[SupportSurface, ...] = ()
    stage_ms: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    notes: tuple[str, ...] = ()
    partial: bool = False
    raw_detections: tuple[Detection3D, ...] = ()
    cut_off: bool = False
    counts: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))


class Grounder(Protocol):
    """Finds objects in a frame. Owned and called by one thread at a time.

    A grounder may also have ``open_vocabulary``, see ``is_open_vocabulary``, and ``facts``, see ``facts_of``.
    """

    name: str
    device: str

    def ground(
        self,
        frame: RgbdFrame,
        request: GroundingRequest,
        *,
        on_detection: Callable[[Detection3D], None] | None = None,
        is_cancelled: Callable[[], bool] | None = None,
    ) -> GroundingResult:
        """The objects of one frame.

        Args:
            frame: the look at the world.
            request: what to look for.
            on_detection: called with each object as soon as it is known.
            is_cancelled: asked between steps; once true, ``CancelledError`` is raised.

        Returns:
            Boxes in the camera optical frame.

        Raises:
            GroundingError: the frame holds too little, for instance no valid depth.
            QueryError: the phrase is not understood.
            CancelledError: the caller asked to stop.
        """
        ...

    def close(self) -> None:
        """Frees what the grounder holds; it is not used afterwards."""
        ...


def is_open_vocabulary(grounder: Grounder) -> bool:
    """Whether a grounder finds whatever words name, and so wants to be told them.

    Such a grounder takes its time, object after object, and stops at once when asked to.

    Args:
        grounder: any.

    Returns:
        Its attribute ``open_vocabulary``; False where it has none.
    """
    return bool(getattr(grounder, "open_vocabulary", False))


def facts_of(grounder: Grounder) -> tuple[str, ...]:
    """What a user should know of a grounder: its model, where that comes from, its licence.

    Args:
        grounder: any.

    Returns:
        Its attribute ``facts``, one sentence or line each; empty where it has none.
    """
    return tuple(getattr(grounder, "facts", ()))


@runtime_checkable
class Reasoner(Protocol):
    """A grounder that can also think a question through in its own words, given the boxes it found."""

    def reason(
        self,
        frame: RgbdFrame,
        question: str,
        detections: tuple[Detection3D, ...],
        *,
        deadline_s: float | None = None,
        is_cancelled: Callable[[], bool] | None = None,
    ) -> Reasoning:
        """The model's own answer to a question.

        Args:
            frame: the look at the world.
            question: in words.
            detections: the objects it is about, in the camera optical frame, as the model found them (not refined).
            deadline_s: ``time.monotonic()`` at which it stops, with what is there.
            is_cancelled: asked after each token; once true, ``CancelledError`` is raised.

        Returns:
            Chain of thought and answer.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Reasoning:
    """What the model thought and said.

    Args:
        answer: after the thought; empty when it stopped before.
        thought: the chain of thought, without its tags; empty when there is none.
        partial: the deadline or the length limit came before the end. Other than a list of objects, which is good as
            far as it goes, an answer without its end is none: here both count.
        stage_ms: milliseconds per named step.
        notes: sentences a user should read (boxes that the question had no room for).
        counts: numbers about the work by name, as in ``GroundingResult``; also "boxes" and "boxes_left_out".
    """

    answer: str
    thought: str = ""
    partial: bool = False
    stage_ms: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    notes: tuple[str, ...] = ()
    counts: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))


GROUNDERS: Mapping[str, str] = MappingProxyType(
    {
        "geometric": "n3d_ros.inference.geometric.grounder:GeometricGrounder",
        "language_model": "n3d_ros.inference.language_model.grounder:LanguageModelGrounder",
    }
)
"""Name of each grounder and where its class is; imported only when asked for, since runtimes are heavy."""


OnProgress = Callable[[str, float], None]
"""Told what is being loaded, in words, and the share that is done, 0 to 1."""
MODEL_PACKAGES = ("torch", "transformers", "tokenizers", "safetensors", "huggingface_hub", "psutil")


def create_grounder(name: str, config: Any = None, *, on_progress: OnProgress | None = None) -> Grounder:
    """The grounder of that name, ready to use.

    Args:
        name: a key of ``GROUNDERS``.
        config: the grounder's own configuration object; None: its defaults.
        on_progress: told of the loading of grounders that load something. What it raises ends the loading.

    Returns:
        The grounder.

    Raises:
        BackendError: unknown name, or what it needs is not installed.
    """
    if name not in GROUNDERS:
        raise BackendError(f"Grounder: expected one of {', '.join(GROUNDERS)}, got {name!r}.")
    module, _, attribute = GROUNDERS[name].partition(":")
    further = {} if on_progress is None or name == "geometric" else {"on_progress": on_progress}
    try:
        factory = getattr(importlib.import_module(module), attribute)
        grounder: Grounder = factory(**further) if config is None else factory(config, **further)
    except ImportError as error:
        needed = (error.name or str(error)).partition(".")[0]
        mend = " Install it with `make setup MODEL=1` or `pip install 'n3d_ros[model]'`."
        raise BackendError(
            f"Grounder {name!r} needs {needed}, which is not installed.{mend if needed in MODEL_PACKAGES else ''}"
        ) from error
    return grounder
