"""Depth Anything 3 as the node's source of depth: colour views in, metres out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import MappingProxyType

import numpy as np

from n3d_ros.depth.model import DepthModel
from n3d_ros.depth.options import DepthOptions
from n3d_ros.depth.views import DepthEstimate, PoseSource, View, ViewDepth
from n3d_ros.errors import ConfigurationError, GroundingError
from n3d_ros.inference.depth_config import DepthModelConfig
from n3d_ros.inference.depth_loading import load_depth
from n3d_ros.inference.depth_source import ColorView, FoundDepth
from n3d_ros.inference.grounder import OnProgress


class ModelDepth:
    """Finds the depth of colour views with a depth model. Made, used and closed in one thread.

    Args:
        model: estimates depth.
        must_be_metric: refuse what is right up to a factor only; False for whoever brings the scale.
        has_cameras: whether further cameras look at the same time: where tf places them, their distances give metres
            to a model that sees all views together.

    Raises:
        ConfigurationError: a model that cannot give metres, where it must.
    """

    needs_sensor = False

    def __init__(self, model: DepthModel, *, must_be_metric: bool = True, has_cameras: bool = False) -> None:
        by_poses = has_cameras and model.gives_poses
        if must_be_metric and not model.gives_metres and not by_poses:
            raise ConfigurationError(
                f"{model.name} gives depth without a unit, so sizes and distances would be wrong: name a metric model "
                "beside it (depth_model.metric_model, such as depth-anything/DA3METRIC-LARGE), or one that is metric "
                "itself."
            )
        self._by_poses = by_poses
        self._model, self._must_be_metric = model, must_be_metric
        self.name, self.device = model.name, model.device

    def find(
        self, views: Sequence[ColorView], *, is_cancelled: Callable[[], bool] | None = None
    ) -> tuple[FoundDepth, ...]:
        """The depth of each view; see ``DepthSource``.

        Poses are given to the model when all views have one; else it estimates those of several views.

        Args:
            views: seen at one time, the first one's camera the common frame.
            is_cancelled: asked between steps.

        Returns:
            One for each view, in metres; with ``facts["is_metric"]`` 0 in an unknown unit, where that is allowed.

        Raises:
            InputError: views that cannot be used.
            GroundingError: nothing but sky, or no scale can be told from these images.
            BackendError: the model failed.
            CancelledError: asked to stop.
        """
        is_posed = len(views) > 1 and all(view.reference_T_camera is not None for view in views)
        estimate = self._model.estimate(
            [
                View(
                    rgb=view.rgb,
                    intrinsics=view.intrinsics,
                    world_T_camera=view.reference_T_camera if is_posed else None,
                )
                for view in views
            ],
            is_cancelled=is_cancelled,
        )
        if self._must_be_metric and not estimate.is_metric:
            raise GroundingError(
                f"{self.name} found no scale for this image: {' '.join(estimate.notes) or 'depth has no unit'}",
                reason="no_depth",
            )
        return tuple(_found(view, estimate, is_first=number == 0) for number, view in enumerate(estimate.views))

    def facts(self) -> tuple[str, ...]:
        """Sentences about the model: its files, licence, size, memory, and what makes its depth metric."""
        scales = []
        if self._by_poses:
            scales.append("the distances between the cameras, where tf places them all")
        if self._model.gives_metres:
            scales.append("the metric network and the camera's focal length")
        scale = f"metres, by {', else '.join(scales)}" if scales else "none of its own"
        return (*self._model.facts(), f"scale: {scale}")

    def close(self) -> None:
        """Frees memory."""
        self._model.close()


def load_model_depth(
    config: DepthModelConfig, *, on_progress: OnProgress | None = None, must_be_metric: bool = True
) -> ModelDepth:
    """The depth source of a model that is read from its files.

    Args:
        config: which model, and how it runs.
        on_progress: told of the loading; what it raises ends it.
        must_be_metric: as in ``ModelDepth``.

    Returns:
        The source, ready to use.

    Raises:
        ConfigurationError: files that cannot be used, or a model that cannot give metres where it must.
        BackendError: too little memory.
    """
    model = load_depth(
        config.model,
        metric=config.metric_model or None,
        device=config.device,
        dtype=config.dtype,
        options=DepthOptions(process_res=config.resolution),
        on_progress=on_progress,
    )
    try:
        return ModelDepth(model, must_be_metric=must_be_metric, has_cameras=bool(config.camera_names))
    except ConfigurationError:
        model.close()
        raise


def _found(view: ViewDepth, estimate: DepthEstimate, *, is_first: bool) -> FoundDepth:
    """One view of an estimate; what belongs to the estimate as a whole is told with the first."""
    numbers = {"scale": estimate.scale, "is_metric": float(estimate.is_metric)}
    if view.agreement is not None:
        numbers["agreement"] = view.agreement
    if view.sky is not None:
        numbers["sky_share"] = float(np.mean(view.sky))
    return FoundDepth(
        depth_m=view.depth_m,
        confidence=view.confidence,
        sky=view.sky,
        reference_T_camera=view.world_T_camera if view.pose_source is PoseSource.ESTIMATED else None,
        facts=MappingProxyType(numbers),
        notes=estimate.notes if is_first else (),
        stage_ms=MappingProxyType(dict(estimate.stage_ms) if is_first else {}),
    )
