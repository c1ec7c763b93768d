"""One chunk's estimate: taken from disk, or made and kept; and what stands for it where the model sees nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from n3d_ros.depth.streaming.chunk_files import ChunkFiles
from n3d_ros.depth.streaming.chunks import Chunk
from n3d_ros.depth.views import DepthEstimate, PoseSource, ScaleSource, View, ViewDepth
from n3d_ros.errors import CancelledError, GroundingError, InputError


class Estimator(Protocol):
    """What estimates a chunk: a ``DepthModel``, or anything that says what it is and how it is set, with its verb."""

    @property
    def name(self) -> str:
        """What it is, such as "da3-small + da3metric-large"."""
        ...

    @property
    def options(self) -> object:
        """Its settings, all of them in their ``repr``."""
        ...

    def facts(self) -> tuple[str, ...]:
        """Its files with their hashes, its precision and device, in sentences."""
        ...

    def estimate(self, views: Sequence[View], *, is_cancelled: Callable[[], bool] | None = None) -> DepthEstimate:
        """The depth of some views together.

        Args:
            views: one chunk.
            is_cancelled: asked between steps.

        Returns:
            One result per view.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ChunkEstimator:
    """The model, with what it has already said kept on disk.

    Args:
        model: that estimates.
        files: finished chunks; None keeps nothing.
        is_cancelled: asked before each chunk, and handed to the model.
    """

    model: Estimator
    files: ChunkFiles | None = None
    is_cancelled: Callable[[], bool] | None = None

    def estimate(self, chunk: Chunk) -> tuple[DepthEstimate, bool]:
        """A chunk's estimate.

        Args:
            chunk: to estimate.

        Returns:
            One result per view, without depth where the model sees nothing to estimate; and whether it was on disk.

        Raises:
            InputError: the model gave another number of results than views.
            ConfigurationError: the file cannot be written.
            CancelledError: asked to stop.
        """
        known = None if self.files is None else self.files.read(chunk)
        if known is not None and len(known.views) == len(chunk.views):
            return known, True
        if self.is_cancelled is not None and self.is_cancelled():
            raise CancelledError(f"Cancelled before frame {chunk.first + chunk.shared}; what was finished is kept.")
        try:
            estimate = self.model.estimate(chunk.views, is_cancelled=self.is_cancelled)
        except GroundingError as error:  # nothing to see here says nothing of the rest of the film
            estimate = _nothing(chunk, error.message)
        if len(estimate.views) != len(chunk.views):
            got = f"expected {len(chunk.views)} results, one per view, got {len(estimate.views)}"
            raise InputError(f"{self.model.name}: {got}.")
        if self.files is not None:
            self.files.write(chunk, estimate)
        return estimate, False


def fingerprint_of(model: Estimator) -> str:
    """Everything of a model that its results depend on.

    Args:
        model: that estimates.

    Returns:
        The same text for the same files, settings, precision and device.
    """
    return "\n".join([model.name, repr(model.options), *model.facts()])


def _nothing(chunk: Chunk, reason: str) -> DepthEstimate:
    empty = tuple(
        ViewDepth(
            depth_m=np.full(view.rgb.shape[:2], np.nan, dtype=np.float32),
            intrinsics=view.intrinsics,
            world_T_camera=view.world_T_camera,
            pose_source=PoseSource.NONE if view.world_T_camera is None else PoseSource.GIVEN,
        )
        for view in chunk.views
    )
    note = f"frames {chunk.first} to {chunk.first + len(empty) - 1}: no depth: {reason}"
    return DepthEstimate(views=empty, scale_source=ScaleSource.RELATIVE, notes=(note,))
