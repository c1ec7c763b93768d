"""What a metric network says of views that an any-view network sees together, also beyond their common size.

An any-view network takes images of one size, so larger ones are cropped for it. The metric network sees each image
whole: where the other saw nothing, its depth, brought to the other's scale in that view, is what there is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from n3d_ros.depth.metric import focal_px, metric_depth
from n3d_ros.depth.options import DepthOptions
from n3d_ros.depth.preprocess import ImageMap, Prepared
from n3d_ros.depth.runner import DepthRunner
from n3d_ros.depth.scaling import MetricSight
from n3d_ros.depth.single_view import SingleSight, seen_singly
from n3d_ros.depth.sky import sky_mask
from n3d_ros.depth.stages import Stages
from n3d_ros.depth.view_results import usable_depth
from n3d_ros.depth.views import View
from n3d_ros.geometry.arrays import BoolArray, Float32Array, FloatArray

STEP = "metric_network"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MetricOpinion:
    """A metric network's view of each image.

    Args:
        sights: one for each view, of its own size.
        maps: where the any-view network's images lie.
    """

    sights: tuple[SingleSight, ...]
    maps: tuple[ImageMap, ...]

    @property
    def depth(self) -> Float32Array:
        """(S, H, W) float32 of the any-view network's images, not yet times the focal length."""
        return np.stack([sight.depth[self.window(i)] for i, sight in enumerate(self.sights)])

    @property
    def sky_score(self) -> Float32Array:
        """(S, H, W) float32 of the any-view network's images."""
        return np.stack([sight.sky_score[self.window(i)] for i, sight in enumerate(self.sights)])

    def in_metres(self, matrices: FloatArray, *, sky_threshold: float) -> MetricSight:
        """Depth in metres of the any-view network's images.

        Args:
            matrices: (S, 3, 3) camera matrices of those images, NaN where unknown.
            sky_threshold: score from which a pixel is sky.

        Returns:
            Metres, NaN for views without a focal length, and sky.
        """
        depth, known = self.depth, np.isfinite(matrices).all(axis=(1, 2))
        metres = np.full_like(depth, np.nan)
        if known.any():
            metres[known] = metric_depth(depth[known], focal_px(matrices[known]))
        return MetricSight(metres=metres, sky=sky_mask(self.sky_score, threshold=sky_threshold))

    def window(self, view: int) -> tuple[slice, slice]:
        """Where the any-view network's image lies in the metric network's.

        Args:
            view: its number.

        Returns:
            Rows and columns.
        """
        (top, left), (height, width) = self.maps[view].crop_yx, self.maps[view].network_hw
        above, before = self.sights[view].image_map.crop_yx
        return slice(top - above, top - above + height), slice(left - before, left - before + width)

    def reaches_beyond(self, view: int) -> bool:
        """Whether the metric network saw more of a view.

        Args:
            view: its number.

        Returns:
            True where the any-view network's image was cropped to a common size.
        """
        return self.sights[view].image_map.network_hw != self.maps[view].network_hw

    def depth_beyond(self, view: int, *, focal: float, factor: float) -> Float32Array:
        """Depth of a whole view.

        Args:
            view: its number.
            focal: focal length in pixels of the network's image; cropping leaves it as it is.
            factor: from the metric network's metres to those of the estimate, in this view.

        Returns:
            (H, W) float32 metres of the metric network's own size.
        """
        whole: Float32Array = metric_depth(self.sights[view].depth[None], [focal])[0] * np.float32(factor)
        return whole

    def sky_beyond(self, view: int, *, sky_threshold: float) -> BoolArray:
        """Sky of a whole view.

        Args:
            view: its number.
            sky_threshold: score from which a pixel is sky.

        Returns:
            (H, W) bool of the metric network's own size.
        """
        return sky_mask(self.sights[view].sky_score, threshold=sky_threshold)

    def pasted(self, view: int, whole: NDArray[np.float32], part: NDArray[np.float32]) -> Float32Array:
        """A whole view's map with the any-view network's part in it.

        Args:
            view: its number.
            whole: of the metric network's size.
            part: of the any-view network's.

        Returns:
            A copy of ``whole``, overwritten where the any-view network saw.
        """
        result: Float32Array = whole.copy()
        result[self.window(view)] = part
        return result


def metric_opinion(
    runner: DepthRunner, views: Sequence[View], prepared: Prepared, options: DepthOptions, stages: Stages
) -> MetricOpinion:
    """What a metric network says of views; images of one size go through as they were prepared for the other network.

    Args:
        runner: the metric network.
        views: as asked about.
        prepared: for the any-view network.
        options: how depth is estimated.
        stages: times the steps.

    Returns:
        The opinion.

    Raises:
        BackendError: a network that gives no number.
    """
    if len({view.rgb.shape for view in views}) > 1:
        sights = seen_singly(runner, views, options, stages, step=STEP)
        return MetricOpinion(sights=tuple(sights), maps=prepared.maps)
    sights = []
    for start in range(0, len(views), options.batch_views):
        part = slice(start, start + options.batch_views)
        with stages.step(STEP):
            seen = runner.run(prepared.images[part], options=options)
        scores = np.zeros_like(seen.depth) if seen.sky is None else seen.sky
        sights += [
            SingleSight(depth=depth, sky_score=score, image_map=image_map)
            for depth, score, image_map in zip(usable_depth(seen.depth), scores, prepared.maps[part], strict=True)
        ]
    return MetricOpinion(sights=tuple(sights), maps=prepared.maps)
