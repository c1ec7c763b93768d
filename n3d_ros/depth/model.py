"""Depth from colour views: the networks, the scale and the way back to the camera's pixels, put together.

Four kinds of model are one class: an any-view network (relative, or metric by given poses), a single-view one
(relative), a metric one (metres by the focal length), and a pair of any-view and metric network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from n3d_ros.depth.any_view import AnyViewEstimator
from n3d_ros.depth.given_views import given_view_notes
from n3d_ros.depth.options import DepthOptions
from n3d_ros.depth.runner import DepthRunner
from n3d_ros.depth.single_view import SingleViewEstimator
from n3d_ros.depth.stages import Stages
from n3d_ros.depth.views import DepthEstimate, View
from n3d_ros.errors import BackendError, ConfigurationError, InputError


class DepthModel:
    """Estimates the depth of views. Made, used and closed in one thread.

    Args:
        name: such as "da3-small + da3metric-large".
        device: where it runs, such as "cuda:0".
        any_view: network that sees all views together; None without.
        single: network of single views; None without.
        single_is_metric: whether ``single`` gives metres for a focal length of 300 px.
        options: how depth is estimated.
        facts: sentences about the files, the licence and the memory.

    Raises:
        ConfigurationError: no network, or two that are no pair.
    """

    def __init__(
        self,
        *,
        name: str,
        device: str,
        any_view: DepthRunner | None = None,
        single: DepthRunner | None = None,
        single_is_metric: bool = False,
        options: DepthOptions | None = None,
        facts: Sequence[str] = (),
    ) -> None:
        self.name, self.device, self.options = name, device, options or DepthOptions()
        self._facts = tuple(facts)
        self._runners = [runner for runner in (any_view, single) if runner is not None]
        self._estimator = self._estimator_of(any_view, single, is_metric=single_is_metric)
        self._is_any_view, self._has_metric = any_view is not None, single is not None and single_is_metric

    def _estimator_of(
        self, any_view: DepthRunner | None, single: DepthRunner | None, *, is_metric: bool
    ) -> AnyViewEstimator | SingleViewEstimator:
        """What runs the networks."""
        if any_view is None:
            if single is None:
                raise ConfigurationError("depth model: expected a network, got none.")
            return SingleViewEstimator(single, is_metric=is_metric, options=self.options)
        if single is not None and not is_metric:
            raise ConfigurationError(
                "depth model: beside an any-view model only a metric one is of use, such as da3metric-large; "
                "a monocular model knows no metres."
            )
        return AnyViewEstimator(any_view, metric=single, options=self.options)

    @property
    def gives_poses(self) -> bool:
        """Whether views are seen together, so that their cameras are estimated; otherwise each is seen by itself."""
        return self._is_any_view

    @property
    def gives_metres(self) -> bool:
        """Whether depth is metric without given poses, as long as calibrations are given."""
        return self._has_metric

    def estimate(self, views: Sequence[View], *, is_cancelled: Callable[[], bool] | None = None) -> DepthEstimate:
        """The depth of views, in their own pixels.

        Args:
            views: one or more; of one scene where the model sees them together.
            is_cancelled: asked between steps.

        Returns:
            One depth image for each view, with what makes it metric and what should be known of it.

        Raises:
            InputError: no views, more than ``options.max_views``, or views that cannot be used.
            CalibrationError: a calibration that no camera has.
            GroundingError: nothing but sky.
            BackendError: the networks failed, or the model is closed.
            CancelledError: asked to stop.
        """
        if not self._runners:
            raise BackendError(f"{self.name}: the model is closed; load it again.")
        if not isinstance(views, Sequence):
            raise InputError(f"Depth: expected a list of views, got {type(views).__name__}.")
        if not 0 < len(views) <= self.options.max_views:
            hint = "; longer sequences go through in overlapping chunks (n3d depth, n3d_ros.depth.streaming)"
            raise InputError(
                f"Depth: expected 1 to {self.options.max_views} views at a time (depth max_views), "
                f"got {len(views)}{hint if views else ''}."
            )
        notes = given_view_notes(views, self.options)
        with np.errstate(over="ignore"):  # half precision may overflow to infinity, which is sorted out as "no depth"
            estimate = self._estimator.estimate(tuple(views), Stages(is_cancelled))
        return replace(estimate, notes=(*notes, *estimate.notes)) if notes else estimate

    def facts(self) -> tuple[str, ...]:
        """Sentences about the model: its files, licence, size, memory."""
        return self._facts

    def close(self) -> None:
        """Frees memory; a closed model estimates nothing any more."""
        runners, self._runners = self._runners, []
        for runner in runners:
            runner.close()
