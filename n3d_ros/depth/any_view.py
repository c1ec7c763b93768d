"""Depth by a network that sees all views together, made metric by given poses or by a metric network beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from n3d_ros.depth.cameras import (
    Cameras,
    contradictions,
    estimated_intrinsics,
    plausible,
    poses_in_first,
    poses_in_given_frame,
    predicted_centers,
)
from n3d_ros.depth.metric import focal_px
from n3d_ros.depth.metric_opinion import MetricOpinion, metric_opinion
from n3d_ros.depth.nested import ScaleFit, reference_alignment, robust_scale
from n3d_ros.depth.options import DepthOptions
from n3d_ros.depth.pose_scale import PoseScale, ScaleMethod, pose_scale
from n3d_ros.depth.poses import camera_centers
from n3d_ros.depth.preprocess import ImageMap, Prepared, prepare
from n3d_ros.depth.runner import DepthRunner, NetworkViews
from n3d_ros.depth.scaling import ChosenScale, MetricSight, choose_scale
from n3d_ros.depth.single_view import ALL_SKY
from n3d_ros.depth.sky import FAR_LIMIT
from n3d_ros.depth.stages import Stages
from n3d_ros.depth.view_results import crop_notes, named, sky_depth, usable_depth, view_result
from n3d_ros.depth.views import DepthEstimate, PoseSource, ScaleSource, View, ViewDepth
from n3d_ros.errors import CalibrationError, GroundingError
from n3d_ros.geometry.arrays import BoolArray, Float32Array, FloatArray
from n3d_ros.geometry.transforms import RigidTransform

NO_ESTIMATE = "the network gave no pose to compare the given ones with"


class AnyViewEstimator:
    """Depth and cameras of views seen together.

    Args:
        runner: the any-view network.
        metric: a metric network; None without.
        options: how depth is estimated.
    """

    def __init__(self, runner: DepthRunner, *, metric: DepthRunner | None, options: DepthOptions) -> None:
        self._runner, self._metric, self._options = runner, metric, options

    def estimate(self, views: tuple[View, ...], stages: Stages) -> DepthEstimate:
        """The depth of views.

        Args:
            views: one or more, of one scene.
            stages: times the steps.

        Returns:
            The estimate.

        Raises:
            GroundingError: nothing but sky.
        """
        with stages.step("prepare"):
            prepared = prepare(
                [view.rgb for view in views], process_res=self._options.process_res, method=self._options.method
            )
            cameras = Cameras(views=views, maps=prepared.maps)
        with stages.step("network"):
            network = self._run(prepared, cameras)
        depth = usable_depth(network.depth)
        opinion = None if self._metric is None else metric_opinion(self._metric, views, prepared, self._options, stages)
        with stages.step("scale"):
            matrices, notes = _matrices_for_metres(cameras, network) if opinion else (cameras.given_matrices(), ())
            threshold = self._options.sky_threshold
            metric = None if opinion is None else opinion.in_metres(matrices, sky_threshold=threshold)
            if metric is not None and metric.sky.all():
                raise GroundingError(ALL_SKY)
            fit = self._fit(depth, network, metric, opinion)
            sky = np.zeros(depth.shape, dtype=np.bool_) if metric is None else metric.sky
            chosen = choose_scale(
                depth=depth,
                poses=self._from_poses(depth[~sky & np.isfinite(depth)], network, cameras),
                metric=metric,
                fit=fit,
                guessed_focal=bool(cameras.uncalibrated),
            )
        with stages.step("output"):
            found = _Findings(
                depth=depth,
                network=network,
                cameras=cameras,
                matrices=matrices,
                opinion=opinion,
                metric=metric,
                fit=fit,
                chosen=chosen,
            )
            results = self._results(found)
        return DepthEstimate(
            views=results,
            scale_source=chosen.source,
            scale=chosen.scale,
            notes=(
                *_input_notes(cameras, network),
                *network.notes,
                *contradictions(network, cameras),
                *notes,
                *chosen.notes,
                *crop_notes(prepared.maps, filled=found.filled),
            ),
            stage_ms=stages.milliseconds,
        )

    def _run(self, prepared: Prepared, cameras: Cameras) -> NetworkViews:
        """The any-view network, with the given cameras where they are complete."""
        if not (cameras.conditions and self._runner.takes_poses):
            return self._runner.run(prepared.images, options=self._options)
        return self._runner.run(
            prepared.images,
            options=self._options,
            w2c=cameras.network_w2c(posed_pair=self._options.posed_pair),
            matrices=cameras.given_matrices(),
        )

    def _fit(
        self, depth: Float32Array, network: NetworkViews, metric: MetricSight | None, opinion: MetricOpinion | None
    ) -> ScaleFit | None:
        """The scale between the two networks."""
        if metric is None or opinion is None:
            return None
        confidence = np.ones_like(depth) if network.confidence is None else network.confidence
        fit = robust_scale(depth, confidence, metric.metres, metric.sky)
        if self._options.alignment == "robust" or network.matrices is None or network.w2c is None:
            return fit
        try:
            reference = reference_alignment(
                relative=np.nan_to_num(depth, nan=0.0),
                confidence=confidence,
                w2c=network.w2c[:, :3],
                matrices=network.matrices,
                metric_network=opinion.depth,
                sky_score=opinion.sky_score,
            )
        except (GroundingError, CalibrationError) as error:
            return replace(fit, notes=(*fit.notes, f"The released alignment cannot be computed here: {error.message}"))
        return replace(fit, scale=reference.scale)

    def _from_poses(self, seen_depth: Float32Array, network: NetworkViews, cameras: Cameras) -> PoseScale | None:
        """What the given positions tell; None without any."""
        if not cameras.posed:
            return None
        predicted = predicted_centers(network, cameras.posed)
        if predicted is None:
            return PoseScale(scale=None, reason=NO_ESTIMATE)
        return pose_scale(
            predicted,
            camera_centers(cameras.given_w2c()),
            method=ScaleMethod(self._options.scale_method),
            predicted_depth=float(np.median(seen_depth)) if seen_depth.size else None,
        )

    def _results(self, found: _Findings) -> tuple[ViewDepth, ...]:
        """The results at camera resolution."""
        scaled, metric, chosen = found.depth * np.float32(found.chosen.scale), found.metric, found.chosen
        far = np.float32(np.nan)
        if metric is not None:
            scaled[list(chosen.replaced)] = metric.metres[list(chosen.replaced)]
            limit = FAR_LIMIT if chosen.source is not ScaleSource.RELATIVE else np.inf
            far = sky_depth(scaled, metric.sky, fill=self._options.sky_fill, limit=limit)
        poses = _poses(found.network, found.cameras, chosen)
        estimated = estimated_intrinsics(found.network, found.cameras.maps)
        results = []
        for i, view in enumerate(found.cameras.views):
            image_map, depth, confidence, sky = self._layers(found, scaled[i], i)
            result = view_result(
                image_map=image_map,
                depth=depth if sky is None else np.where(sky, far, depth),
                confidence=confidence,
                sky=sky,
                given=view.intrinsics,
                estimated=estimated[i],
                pose=poses[i],
                agreement=None if chosen.agreement is None else chosen.agreement[i],
            )
            results.append(result)
        return tuple(results)

    def _layers(
        self, found: _Findings, depth: Float32Array, view: int
    ) -> tuple[ImageMap, Float32Array, Float32Array | None, BoolArray | None]:
        """One view's geometry, depth, confidence and sky, with what the metric network saw beyond the common size."""
        confidence = None if found.network.confidence is None else found.network.confidence[view]
        opinion = found.opinion
        if opinion is None or view not in found.filled or found.fit is None:
            return found.cameras.maps[view], depth, confidence, None if found.metric is None else found.metric.sky[view]
        own = found.fit.view_scales[view]
        factor = 1.0 if np.isnan(own) or view in found.chosen.replaced else found.chosen.scale / float(own)
        whole = opinion.depth_beyond(view, focal=float(focal_px(found.matrices[[view]])[0]), factor=factor)
        if confidence is not None:
            confidence = opinion.pasted(view, np.ones_like(whole), confidence)
        sky = opinion.sky_beyond(view, sky_threshold=self._options.sky_threshold)
        return opinion.sights[view].image_map, opinion.pasted(view, whole, depth), confidence, sky


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Findings:
    """What is known of the views before results are made of it; arrays in the network's pixels."""

    depth: Float32Array
    network: NetworkViews
    cameras: Cameras
    matrices: FloatArray
    opinion: MetricOpinion | None
    metric: MetricSight | None
    fit: ScaleFit | None
    chosen: ChosenScale

    @property
    def filled(self) -> tuple[int, ...]:
        """Views whose unseen part the metric network knows, in metres."""
        if self.opinion is None or self.chosen.source is ScaleSource.RELATIVE:
            return ()
        return tuple(i for i, k in enumerate(self.matrices) if np.isfinite(k).all() and self.opinion.reaches_beyond(i))


def _matrices_for_metres(cameras: Cameras, network: NetworkViews) -> tuple[FloatArray, tuple[str, ...]]:
    """Camera matrices to get metres by: given, else estimated where plausible, else NaN; and what to say of that."""
    matrices = cameras.given_matrices()
    missing = cameras.uncalibrated
    if not missing:
        return matrices, ()
    notes = []
    usable = np.zeros(len(matrices), dtype=np.bool_)
    if network.matrices is not None:
        usable = plausible(network.matrices, cameras.maps[0].network_hw)
        for view in missing:
            matrices[view] = network.matrices[view] if usable[view] else np.nan
    guessed = [view for view in missing if usable[view]]
    blind = [view for view in missing if not usable[view]]
    if guessed:
        notes.append(
            f"The metric scale rests on the model's estimate of the focal length for {named(guessed)}: "
            "an error there is the same error in every distance; give the calibration."
        )
    if blind:
        notes.append(f"No focal length for {named(blind)}, given or estimated: no metric opinion there.")
    return matrices, tuple(notes)


def _input_notes(cameras: Cameras, network: NetworkViews) -> tuple[str, ...]:
    """What was missing of the cameras, and what was done without it."""
    notes = []
    if missing := cameras.uncalibrated:
        found = {i: camera for i, camera in enumerate(estimated_intrinsics(network, cameras.maps)) if camera}
        if known := [i for i in missing if i in found]:
            words = ", ".join(f"{found[i].fx:.0f} px" for i in known)
            notes.append(f"No calibration for {named(known)}: the model's estimate is used (fx {words}).")
        if unknown := [i for i in missing if i not in found]:
            notes.append(f"No calibration for {named(unknown)}, and the model estimates none.")
    if cameras.posed and not cameras.conditions:
        lacking = [i for i in range(len(cameras.views)) if i not in cameras.posed]
        why = f"{named(lacking)} without a pose" if lacking else f"{named(missing)} without a calibration"
        notes.append(
            f"The network takes poses and calibrations of all views or of none ({why}), so cameras were estimated from "
            "the images and laid over the given poses."
        )
    return tuple(notes)


def _poses(
    network: NetworkViews, cameras: Cameras, chosen: ChosenScale
) -> Sequence[tuple[RigidTransform | None, PoseSource]]:
    """Pose and source of each view."""
    if not cameras.posed and chosen.scales_poses:
        placed = poses_in_first(network, chosen.scale)
        return [(pose, PoseSource.NONE if pose is None else PoseSource.ESTIMATED) for pose in placed]
    if (
        chosen.source is ScaleSource.RELATIVE or not chosen.scales_poses
    ):  # estimated positions in unknown units have no place among given ones
        return [
            (view.world_T_camera, PoseSource.NONE if view.world_T_camera is None else PoseSource.GIVEN)
            for view in cameras.views
        ]
    return poses_in_given_frame(network, cameras, chosen.scale)
