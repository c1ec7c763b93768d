"""Depth by a network that sees each view by itself: monocular (relative) or metric."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from n3d_ros.depth.metric import focal_px, metric_depth
from n3d_ros.depth.options import DepthOptions
from n3d_ros.depth.preprocess import ImageMap, network_hw, network_matrix, prepare
from n3d_ros.depth.runner import DepthRunner
from n3d_ros.depth.sky import sky_mask
from n3d_ros.depth.stages import Stages
from n3d_ros.depth.view_results import crop_notes, named, usable_depth, view_result, without_sky
from n3d_ros.depth.views import DepthEstimate, PoseSource, ScaleSource, View
from n3d_ros.errors import GroundingError, InputError
from n3d_ros.geometry.arrays import BoolArray, Float32Array

MONOCULAR_NOTE = "Depth is relative: a monocular model gives each view right up to a factor and an offset of its own."
UNCALIBRATED_NOTE = (
    "Depth is relative: a metric model needs the camera's focal length to give metres, and no view has a calibration."
)
ALL_SKY = "Depth: the views show nothing but sky, so there is no depth; point the camera at something."


class SingleViewEstimator:
    """Depth of each view by itself; images keep their own sizes.

    Args:
        runner: the network.
        is_metric: whether it gives metres for a focal length of 300 px.
        options: how depth is estimated.
    """

    def __init__(self, runner: DepthRunner, *, is_metric: bool, options: DepthOptions) -> None:
        self._runner, self._is_metric, self._options = runner, is_metric, options

    def estimate(self, views: tuple[View, ...], stages: Stages) -> DepthEstimate:
        """The depth of views.

        Args:
            views: one or more.
            stages: times the steps.

        Returns:
            The estimate.

        Raises:
            InputError: a metric model, and a calibration for some views only.
            GroundingError: nothing but sky.
        """
        is_metric = self._is_metric and _calibrated(views)
        depths, skies, maps = self._run(views, stages)
        if all(sky.all() for sky in skies):
            raise GroundingError(ALL_SKY)
        with stages.step("scale"):
            if is_metric:
                depths = [_metres(*numbers) for numbers in zip(depths, views, maps, strict=True)]
        with stages.step("output"):
            results = tuple(
                view_result(
                    image_map=image_map,
                    depth=without_sky(depth[None], sky[None], fill=self._options.sky_fill)[0],
                    sky=sky,
                    given=view.intrinsics,
                    pose=(
                        view.world_T_camera,
                        PoseSource.NONE if view.world_T_camera is None else PoseSource.GIVEN,
                    ),
                )
                for view, image_map, depth, sky in zip(views, maps, depths, skies, strict=True)
            )
        notes = [f"View {i} shows nothing but sky." for i, sky in enumerate(skies) if sky.all()]
        if not is_metric:
            notes.append(UNCALIBRATED_NOTE if self._is_metric else MONOCULAR_NOTE)
        return DepthEstimate(
            views=results,
            scale_source=ScaleSource.METRIC_MODEL if is_metric else ScaleSource.RELATIVE,
            notes=(*notes, *crop_notes(maps)),
            stage_ms=stages.milliseconds,
        )

    def _run(self, views: Sequence[View], stages: Stages) -> tuple[list[Float32Array], list[BoolArray], list[ImageMap]]:
        """Depth, sky and geometry of each view, in the network's pixels."""
        depths: list[Float32Array] = []
        skies: list[BoolArray] = []
        maps: list[ImageMap] = []
        for batch in self._batches(views):
            with stages.step("prepare"):
                prepared = prepare(
                    [view.rgb for view in batch], process_res=self._options.process_res, method=self._options.method
                )
            with stages.step("network"):
                seen = self._runner.run(prepared.images, options=self._options)
            depths += list(usable_depth(seen.depth))
            threshold = self._options.sky_threshold
            unknown = np.zeros(seen.depth.shape, dtype=np.bool_)
            skies += list(unknown if seen.sky is None else sky_mask(seen.sky, threshold=threshold))
            maps += prepared.maps
        return depths, skies, maps

    def _batches(self, views: Sequence[View]) -> Iterator[list[View]]:
        """Neighbours of one size, at most ``batch_views`` at a time."""
        batch: list[View] = []
        size = None
        for view in views:
            hw = network_hw(
                (view.rgb.shape[0], view.rgb.shape[1]),
                process_res=self._options.process_res,
                method=self._options.method,
            )
            if batch and (hw != size or len(batch) == self._options.batch_views):
                yield batch
                batch = []
            batch, size = [*batch, view], hw
        yield batch


def _calibrated(views: Sequence[View]) -> bool:
    """Whether focal lengths are known: of all, or of none."""
    missing = [i for i, view in enumerate(views) if view.intrinsics is None]
    if missing and len(missing) < len(views):
        raise InputError(
            f"Depth: {named(missing)} of {len(views)} have no calibration, and a metric model needs the focal length "
            "of every camera; give all calibrations, or none for relative depth."
        )
    return not missing


def _metres(depth: Float32Array, view: View, image_map: ImageMap) -> Float32Array:
    assert view.intrinsics is not None
    metres: Float32Array = metric_depth(depth[None], focal_px(network_matrix(view.intrinsics, image_map)[None]))[0]
    return metres
