"""FusedDepth: a depth camera's image with a model's depth, aligned to it, in the holes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from n3d_ros.depth.filling import Alignment, Filled, FillingConfig, fill
from n3d_ros.depth.pixel_source import PixelSource
from n3d_ros.errors import CancelledError
from n3d_ros.geometry.transforms import RigidTransform
from n3d_ros.inference.depth_config import DepthModelConfig
from n3d_ros.inference.depth_source import ColorView, DepthSource, FoundDepth
from n3d_ros.inference.grounder import OnProgress

IS_METRIC = "is_metric"
"""Fact of a source whose model may have no scale of its own: 0 where its depth is in an unknown unit."""

RELATIVE_NOTE = "Depth is relative"
"""What notes about a model without a scale begin with: not true any more once a depth camera has given the scale."""


class FusedDepth:
    """A DepthSource that keeps what the camera measured and fills the rest from another DepthSource.

    The camera gives the scale, so the model need not be metric. A colour camera beside the depth camera keeps the
    model's depth, in the scale found for the first view where the model has none of its own.

    Args:
        model: finds depth in the colour images; owned and closed with this.
        config: when a hole is filled; None: the defaults.
    """

    def __init__(self, model: DepthSource, config: FillingConfig | None = None) -> None:
        self._model = model
        self._config = config or FillingConfig()

    @property
    def name(self) -> str:
        """The model's name."""
        return f"depth camera + {self._model.name}"

    @property
    def device(self) -> str:
        """Where the model runs."""
        return self._model.device

    @property
    def needs_sensor(self) -> bool:
        """True: there is nothing to fill without a depth camera."""
        return True

    def find(
        self, views: Sequence[ColorView], *, is_cancelled: Callable[[], bool] | None = None
    ) -> tuple[FoundDepth, ...]:
        """The depth of each view, the camera's where it has any.

        The model sees all views in one pass, so that views beside a depth camera help it; each is aligned by itself.

        Args:
            views: seen at one time.
            is_cancelled: asked between the model's steps and between views.

        Returns:
            One for each view, in their order, with the mask ``source``.

        Raises:
            CancelledError: asked to stop.
        """
        estimates = self._model.find(views, is_cancelled=is_cancelled)
        begin_s = time.perf_counter()
        found: list[FoundDepth] = []
        alignment: Alignment | None = None
        for view, estimate in zip(views, estimates, strict=True):
            if is_cancelled is not None and is_cancelled():
                raise CancelledError("Stopped before the holes of the depth image were filled.")
            is_metric = bool(estimate.facts.get(IS_METRIC, 1.0))
            if view.sensor_depth_m is None and found and not is_metric:
                found.append(_in_unit_of_first(estimate, alignment))
                continue
            filled = fill(
                view.sensor_depth_m,
                estimate.depth_m,
                confidence=estimate.confidence,
                sky=estimate.sky,
                config=self._config,
                model_is_metric=is_metric,
            )
            if not found:
                alignment = filled.alignment
            found.append(_fused(estimate, filled, unit=None if is_metric else alignment))
        stages = {**found[0].stage_ms, "fill": 1e3 * (time.perf_counter() - begin_s)}
        found[0] = replace(found[0], stage_ms=MappingProxyType(stages))
        return tuple(found)

    def facts(self) -> tuple[str, ...]:
        """The model's facts, and what is done with its depth."""
        return (*self._model.facts(), "holes of the depth camera are filled; what it measured stays as it is")

    def close(self) -> None:
        """Frees the model."""
        self._model.close()


def _fused(estimate: FoundDepth, filled: Filled, *, unit: Alignment | None) -> FoundDepth:
    """One view's depth with the sensor's in it; ``unit`` is given for a model without a scale.

    It is in metres whatever the model knows: a model without a scale is aligned to the sensor, or left out.
    """
    facts = {**estimate.facts, **{f"fill_{name}": value for name, value in filled.facts.items()}, IS_METRIC: 1.0}
    notes = tuple(note for note in estimate.notes if not note.startswith(RELATIVE_NOTE))
    return replace(
        estimate,
        depth_m=filled.depth_m,
        source=filled.source,
        reference_T_camera=_in_metres(estimate, unit),
        facts=MappingProxyType(facts),
        notes=(*notes, *filled.notes),
    )


def _in_unit_of_first(estimate: FoundDepth, unit: Alignment | None) -> FoundDepth:
    """The depth of a colour camera beside the depth camera, where the model has no scale.

    Views whose positions the model estimated together have one unit, so the first view's holds; a monocular model gives
    each view a unit of its own, and then there is none.
    """
    shape = estimate.depth_m.shape
    if unit is None or estimate.reference_T_camera is None:
        return replace(
            estimate,
            depth_m=np.full(shape, np.nan, np.float32),
            source=np.full(shape, PixelSource.NONE, np.uint8),
            reference_T_camera=None,
            notes=(*estimate.notes, "No depth for a camera without depth: the model has no scale of its own."),
        )
    depth_m = np.asarray(unit.ratio * estimate.depth_m, np.float32)
    return replace(
        estimate,
        depth_m=depth_m,
        source=np.where(np.isfinite(depth_m), np.uint8(PixelSource.MODEL), np.uint8(PixelSource.NONE)),
        reference_T_camera=_in_metres(estimate, unit),
        facts=MappingProxyType({**estimate.facts, IS_METRIC: 1.0}),
        notes=(*estimate.notes, "A camera without depth has the scale found where the depth camera looks."),
    )


def _in_metres(estimate: FoundDepth, unit: Alignment | None) -> RigidTransform | None:
    """An estimated pose in metres: as it is when depth is metric, else in the unit found for depth, if there is one."""
    pose = estimate.reference_T_camera
    if pose is None or bool(estimate.facts.get(IS_METRIC, 1.0)):
        return pose
    return None if unit is None else RigidTransform(rotation=pose.rotation, translation=unit.ratio * pose.translation)


def load_fused_depth(config: DepthModelConfig, *, on_progress: OnProgress | None = None) -> FusedDepth:
    """Loads the model that fills holes.

    Args:
        config: which model, how it runs, and when a hole is filled.
        on_progress: told of steps.

    Returns:
        The source; close it.
    """
    from n3d_ros.inference.torch_depth import load_model_depth

    return FusedDepth(load_model_depth(config, on_progress=on_progress, must_be_metric=False), config.fill)
