"""A depth source without a model: it sees a wall where it is told to; its model's name says how it behaves."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from n3d_ros.errors import BackendError
from n3d_ros.geometry.arrays import Float32Array
from n3d_ros.geometry.transforms import RigidTransform
from n3d_ros.inference.depth_source import FUSED, ColorView, FoundDepth, PixelSource
from n3d_ros.inference.grounder import OnProgress

CONFIDENCE = 3.0
LOW_CONFIDENCE = 1.5  # of the left quarter
NOTE = "A wall was made up."
FACTS = ("model: scripted, made for tests", "licence: none, for non-commercial use only")


def wall(view: ColorView, depth_m: float) -> Float32Array:
    """The same depth everywhere, but for the lower right corner, where it is farther than a robot looks."""
    height, width = view.rgb.shape[:2]
    depth = np.full((height, width), depth_m, dtype=np.float32)
    depth[-4:, -4:] = 50.0
    return depth


class ScriptedDepth:
    """Finds a wall 1 m away, sky in the uppermost rows, and less confidence at the left."""

    name = "scripted"
    device = "cpu"

    def __init__(
        self,
        *,
        depth_m: float = 1.0,
        needs_sensor: bool = False,
        sky_rows: int = 4,
        find: Callable[[Sequence[ColorView]], tuple[FoundDepth, ...]] | None = None,
    ) -> None:
        self.depth_m, self.needs_sensor, self.sky_rows = depth_m, needs_sensor, sky_rows
        self.asked: list[tuple[ColorView, ...]] = []
        self.is_closed = False
        self.broken = ""
        self._find = find

    def find(
        self, views: Sequence[ColorView], *, is_cancelled: Callable[[], bool] | None = None
    ) -> tuple[FoundDepth, ...]:
        self.asked.append(tuple(views))
        if self.broken:
            raise BackendError(self.broken)
        return tuple(self._depth_of(view) for view in views) if self._find is None else self._find(views)

    def _depth_of(self, view: ColorView) -> FoundDepth:
        depth = wall(view, self.depth_m)
        confidence = np.full(depth.shape, CONFIDENCE, dtype=np.float32)
        confidence[:, : depth.shape[1] // 4] = LOW_CONFIDENCE
        sky = np.zeros(depth.shape, dtype=bool)
        sky[: self.sky_rows] = True
        source = None
        if self.needs_sensor:
            sensor = np.full_like(depth, np.nan) if view.sensor_depth_m is None else view.sensor_depth_m
            measured = np.isfinite(sensor)
            depth = np.where(measured, sensor, depth)
            source = np.where(measured, PixelSource.SENSOR, PixelSource.MODEL).astype(np.uint8)
        pose = None if view.reference_T_camera is not None else RigidTransform.identity()
        return FoundDepth(
            depth_m=depth,
            confidence=confidence,
            sky=sky,
            source=source,
            reference_T_camera=pose,
            facts=MappingProxyType({"scale": 2.0}),
            notes=(NOTE,),
            stage_ms=MappingProxyType({"network": 0.5}),
        )

    def facts(self) -> tuple[str, ...]:
        return FACTS

    def close(self) -> None:
        self.is_closed = True


def make_depth(config: Any, on_progress: OnProgress) -> ScriptedDepth:
    """The source; the model's name says how its loading goes."""
    model = config.depth_model.model
    if model == "missing":
        raise BackendError("missing: expected a folder or a hub id, nothing of that name is there.")
    if model == "huge":
        raise MemoryError
    if model == "slow":
        for part in range(1, 5):
            on_progress(f"weights: part {part} of 4", part / 4 - 0.05)
            # longer than from one /diagnostics to the next, and in the third part for one that is told of late
            time.sleep(5.0 if part == 3 else 1.2)
    return ScriptedDepth(needs_sensor=config.depth_source == FUSED)
