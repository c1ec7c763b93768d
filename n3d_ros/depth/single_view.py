"""Depth by a network that sees each view by itself: monocular (relative) or metric."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from n3d_ros.depth.metric import focal_px, metric_depth
from n3d_ros.depth.options import DepthOptions
from n3d_ros.depth.preprocess import ImageMap, network_hw, network_matrix, prepare
from n3d_ros.depth.runner import DepthRunner
from n3d_ros.depth.sky import sky_mask
from n3d_ros.depth.stages import Stages
from n3d_ros.depth.view_results import crop_notes, named, sky_depth, usable_depth, view_result
from n3d_ros.depth.views import DepthEstimate, PoseSource, ScaleSource, View, ViewDepth
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
        sights = seen_singly(self._runner, views, self._options, stages)
        depths, maps = [sight.depth for sight in sights], [sight.image_map for sight in sights]
        skies = [sky_mask(sight.sky_score, threshold=self._options.sky_threshold) for sight in sights]
        if all(sky.all() for sky in skies):
            raise GroundingError(ALL_SKY)
        with stages.step("scale"):
            if is_metric:
                depths = [_metres(*numbers) for numbers in zip(depths, views, maps, strict=True)]
        with stages.step("output"):
            results = tuple(
                self._result(view, depth, sky, image_map)
                for view, depth, sky, image_map in zip(views, depths, skies, maps, strict=True)
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

    def _result(self, view: View, depth: Float32Array, sky: BoolArray, image_map: ImageMap) -> ViewDepth:
        """One view's result at camera resolution."""
        filled = np.where(sky, sky_depth(depth[None], sky[None], fill=self._options.sky_fill), depth)
        pose = (view.world_T_camera, PoseSource.NONE if view.world_T_camera is None else PoseSource.GIVEN)
        return view_result(image_map=image_map, depth=filled, sky=sky, given=view.intrinsics, pose=pose)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SingleSight:
    """What a network of single views says of one, in its own pixels.

    Args:
        depth: (H, W) float32, NaN where it is no number above 0.
        sky_score: (H, W) float32, 0 for networks that do not know sky.
        image_map: where the network's image lies in the camera's.
    """

    depth: Float32Array
    sky_score: Float32Array
    image_map: ImageMap


def seen_singly(
    runner: DepthRunner, views: Sequence[View], options: DepthOptions, stages: Stages, *, step: str = "network"
) -> list[SingleSight]:
    """Views through a network of single views: neighbours of one size together, at most ``batch_views`` at a time.

    Args:
        runner: the network.
        views: of any sizes.
        options: how images are prepared.
        stages: times the steps.
        step: name of the network's step.

    Returns:
        One for each view.

    Raises:
        BackendError: a network that gives no number.
    """
    sights: list[SingleSight] = []
    for batch in _batches(views, options):
        with stages.step("prepare"):
            prepared = prepare([view.rgb for view in batch], process_res=options.process_res, method=options.method)
        with stages.step(step):
            seen = runner.run(prepared.images, options=options)
        scores = np.zeros_like(seen.depth) if seen.sky is None else seen.sky
        sights += [
            SingleSight(depth=depth, sky_score=score, image_map=image_map)
            for depth, score, image_map in zip(usable_depth(seen.depth), scores, prepared.maps, strict=True)
        ]
    return sights


def _batches(views: Sequence[View], options: DepthOptions) -> Iterator[list[View]]:
    """Neighbours of one size, at most ``batch_views`` at a time."""
    batch: list[View] = []
    size = None
    for view in views:
        camera_hw = (view.rgb.shape[0], view.rgb.shape[1])
        hw = network_hw(camera_hw, process_res=options.process_res, method=options.method)
        if batch and (hw != size or len(batch) == options.batch_views):
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
