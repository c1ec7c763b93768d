"""Depth by a network that sees all views together, made metric by given poses or by a metric network beside it."""

from __future__ import annotations

from collections.abc import Sequence

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
from n3d_ros.depth.metric import focal_px, metric_depth
from n3d_ros.depth.nested import ScaleFit, reference_alignment, robust_scale
from n3d_ros.depth.options import DepthOptions
from n3d_ros.depth.pose_scale import PoseScale, ScaleMethod, pose_scale
from n3d_ros.depth.poses import camera_centers
from n3d_ros.depth.preprocess import Prepared, prepare
from n3d_ros.depth.runner import DepthRunner, NetworkViews
from n3d_ros.depth.scaling import ChosenScale, MetricSight, choose_scale
from n3d_ros.depth.single_view import ALL_SKY
from n3d_ros.depth.sky import FAR_LIMIT, sky_mask
from n3d_ros.depth.stages import Stages
from n3d_ros.depth.view_results import crop_notes, named, usable_depth, view_result, without_sky
from n3d_ros.depth.views import DepthEstimate, PoseSource, ScaleSource, View, ViewDepth
from n3d_ros.errors import GroundingError
from n3d_ros.geometry.arrays import Float32Array, FloatArray
from n3d_ros.geometry.transforms import RigidTransform


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
        metric, raw, notes = self._metric_sight(prepared, cameras, network, stages)
        with stages.step("scale"):
            fit = self._fit(depth, network, metric, raw)
            sky = np.zeros(depth.shape, dtype=np.bool_) if metric is None else metric.sky
            by_poses, parallax = self._from_poses(depth[~sky & np.isfinite(depth)], network, cameras)
            chosen = choose_scale(depth=depth, poses=by_poses, metric=metric, fit=fit, parallax=parallax)
        with stages.step("output"):
            results = self._results(depth, network, cameras, metric, chosen)
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
                *crop_notes(prepared.maps),
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
            w2c=cameras.network_w2c(),
            matrices=cameras.given_matrices(),
        )

    def _metric_sight(
        self, prepared: Prepared, cameras: Cameras, network: NetworkViews, stages: Stages
    ) -> tuple[MetricSight | None, NetworkViews | None, tuple[str, ...]]:
        """What the metric network says: in metres, as it came, and what to know of the focal lengths used."""
        if self._metric is None:
            return None, None, ()
        depths, scores = [], []
        step = self._options.batch_views
        for start in range(0, len(prepared.images), step):
            with stages.step("metric_network"):
                seen = self._metric.run(prepared.images[start : start + step], options=self._options)
            depths.append(seen.depth)
            scores.append(np.zeros_like(seen.depth) if seen.sky is None else seen.sky)
        raw = NetworkViews(depth=usable_depth(np.concatenate(depths)), sky=np.concatenate(scores))
        assert raw.sky is not None
        sky = sky_mask(raw.sky, threshold=self._options.sky_threshold)
        if sky.all():
            raise GroundingError(ALL_SKY)
        matrices, notes = _matrices_for_metres(cameras, network)
        known = np.isfinite(matrices).all(axis=(1, 2))
        metres = np.full_like(raw.depth, np.nan)
        if known.any():
            metres[known] = metric_depth(raw.depth[known], focal_px(matrices[known]))
        return MetricSight(metres=metres, sky=sky), raw, notes

    def _fit(
        self, depth: Float32Array, network: NetworkViews, metric: MetricSight | None, raw: NetworkViews | None
    ) -> ScaleFit | None:
        """The scale between the two networks."""
        if metric is None or raw is None or raw.sky is None:
            return None
        confidence = np.ones_like(depth) if network.confidence is None else network.confidence
        fit = robust_scale(depth, confidence, metric.metres, metric.sky)
        if self._options.alignment == "robust" or network.matrices is None or network.w2c is None:
            return fit
        reference = reference_alignment(
            relative=np.nan_to_num(depth, nan=0.0),
            confidence=confidence,
            w2c=network.w2c[:, :3],
            matrices=network.matrices,
            metric_network=raw.depth,
            sky_score=raw.sky,
        )
        return ScaleFit(scale=reference.scale, view_scales=fit.view_scales, agreement=fit.agreement, notes=fit.notes)

    def _from_poses(
        self, seen_depth: Float32Array, network: NetworkViews, cameras: Cameras
    ) -> tuple[PoseScale | None, float]:
        """What the given positions tell, None without any; and the parallax of what the network sees."""
        if not cameras.posed:
            return None, 0.0
        predicted = predicted_centers(network, cameras.posed)
        if predicted is None:
            return PoseScale(scale=None, reason="the network gave no pose to compare the given ones with"), 0.0
        typical = float(np.median(seen_depth)) if seen_depth.size else None
        found = pose_scale(
            predicted,
            camera_centers(cameras.given_w2c()),
            method=ScaleMethod(self._options.scale_method),
            predicted_depth=typical,
        )
        reach = float(np.linalg.norm(predicted[:, None] - predicted[None], axis=2).max())
        return found, reach / typical if typical else 0.0

    def _results(
        self,
        depth: Float32Array,
        network: NetworkViews,
        cameras: Cameras,
        metric: MetricSight | None,
        chosen: ChosenScale,
    ) -> tuple[ViewDepth, ...]:
        """The results at camera resolution."""
        scaled = depth * np.float32(chosen.scale)
        if metric is not None:
            scaled[list(chosen.replaced)] = metric.metres[list(chosen.replaced)]
            limit = FAR_LIMIT if chosen.source is not ScaleSource.RELATIVE else np.inf
            scaled = without_sky(scaled, metric.sky, fill=self._options.sky_fill, limit=limit)
        poses = _poses(network, cameras, chosen)
        estimated = estimated_intrinsics(network, cameras.maps)
        return tuple(
            view_result(
                image_map=image_map,
                depth=scaled[i],
                confidence=None if network.confidence is None else network.confidence[i],
                sky=None if metric is None else metric.sky[i],
                given=view.intrinsics,
                estimated=estimated[i],
                pose=poses[i],
                agreement=None if chosen.agreement is None else chosen.agreement[i],
            )
            for i, (view, image_map) in enumerate(zip(cameras.views, cameras.maps, strict=True))
        )


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
        found = estimated_intrinsics(network, cameras.maps)
        words = [f"{camera.fx:.0f} px" if (camera := found[i]) else "none" for i in missing]
        notes.append(f"No calibration for {named(missing)}: the model's estimate is used (fx {', '.join(words)}).")
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
