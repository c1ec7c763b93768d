"""``fill``: a depth camera's image with its holes filled where a model can be trusted, and where each pixel is from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

from n3d_ros.depth.filling.alignment import Alignment, align
from n3d_ros.depth.filling.config import FillingConfig
from n3d_ros.depth.filling.correction import correction_field
from n3d_ros.depth.filling.support import edges, shrunk
from n3d_ros.depth.pixel_source import PixelSource
from n3d_ros.errors import GroundingError, InputError
from n3d_ros.geometry.arrays import BoolArray, Float32Array

MIN_COMPARED = 50  # pixels: fewer say nothing about a scale, however small the image
MAX_DISAGREEING = 0.5  # share of pixels around a hole that show other surfaces than the model


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Filled:
    """A depth image without the holes that could be filled.

    Args:
        depth_m: (H, W) float32 metres, NaN for none; the sensor's own values wherever it has any.
        source: (H, W) uint8 of ``PixelSource``.
        alignment: what brought the model onto the sensor; None when nothing did.
        facts: shares of the image by name: "holes", "filled", "compared", "refused_..." per reason; and "scale",
            "shift", "fit_error", "correction" of the alignment.
        notes: sentences for whoever uses the depth.
    """

    depth_m: Float32Array
    source: NDArray[np.uint8]
    alignment: Alignment | None = None
    facts: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Model:
    """What the model says.

    Args:
        depth_m: (H, W) float32 in its own unit.
        valid: (H, W) where it says something, and no sky.
        edges: (H, W) where its depth jumps.
        confidence: (H, W) float32, or None.
        sky: (H, W) bool, or None.
    """

    depth_m: Float32Array
    valid: BoolArray
    edges: BoolArray
    confidence: Float32Array | None
    sky: BoolArray | None

    @classmethod
    def of(
        cls, depth_m: Float32Array, confidence: Float32Array | None, sky: BoolArray | None, config: FillingConfig
    ) -> _Model:
        """The model's images with what follows from them."""
        valid = np.isfinite(depth_m) & (depth_m > 0)
        if sky is not None:
            valid &= ~sky
        jumps = edges(np.where(valid, depth_m, np.float32(np.nan)), config.edge_jump)
        return cls(depth_m=depth_m, valid=valid, edges=jumps, confidence=confidence, sky=sky)


@dataclass(slots=True, kw_only=True, eq=False)
class _Candidates:
    """Pixels of holes that may still be filled, and how many were refused for what; changed while it is used."""

    pixels: BoolArray
    refused: dict[str, int] = field(default_factory=dict)

    def refuse(self, where: BoolArray, reason: str) -> None:
        """Takes pixels out, counted under the first reason that meets them."""
        self.refused[reason] = int(np.count_nonzero(self.pixels & where))
        self.pixels = self.pixels & ~where


def fill(
    sensor_depth_m: Float32Array | None,
    model_depth_m: Float32Array,
    *,
    confidence: Float32Array | None = None,
    sky: BoolArray | None = None,
    config: FillingConfig | None = None,
    model_is_metric: bool = True,
) -> Filled:
    """Sensor depth where there is any, the model's depth aligned to it in the holes.

    Where sensor and model cannot be compared, or the model does not fit what the sensor measured, nothing is filled
    and a note says so. Only without any sensor depth at all, metric model depth is handed on as it is, marked as the
    model's.

    Args:
        sensor_depth_m: (H, W) float32 metres registered to the model's image, NaN for none; None without a sensor.
        model_depth_m: (H, W) float32, metres or, when not metric, right up to scale and shift; NaN for none.
        confidence: (H, W) float32, 1 and more; None when the model gives none.
        sky: (H, W) bool; None when the model does not know sky.
        config: thresholds; None: the defaults.
        model_is_metric: whether the model's depth is in metres.

    Returns:
        Depth, source and what was done.

    Raises:
        InputError: images of different sizes.
        GroundingError: no sensor depth at all, and a model without a scale.
    """
    config = config or FillingConfig()
    _check_sizes(sensor_depth_m, model_depth_m, confidence, sky)
    model = _Model.of(model_depth_m, confidence, sky, config)
    sensor_valid = _sensor_valid(sensor_depth_m, model_depth_m.shape, config)
    if sensor_depth_m is None or not sensor_valid.any():
        return _model_alone(model, model_is_metric=model_is_metric)
    depth = np.where(sensor_valid, sensor_depth_m, np.float32(np.nan))
    compared = shrunk(sensor_valid) & model.valid & ~edges(depth, config.edge_jump) & ~model.edges
    enough = max(MIN_COMPARED, config.min_overlap * depth.size)
    if (count := np.count_nonzero(compared)) < enough:
        why = f"{count} pixels have both sensor and model depth, {enough:.0f} are needed to align them"
        return _sensor_alone(depth, sensor_valid, compared, why, "little_overlap")
    alignment = align(depth, model_depth_m, compared, domain=config.domain)
    if alignment is None or alignment.error > config.max_fit_error:
        miss = "no scale above 0 fits" if alignment is None else f"it misses the sensor by {alignment.error:.0%}"
        why = f"the model does not show what the sensor measures ({miss})"
        return _sensor_alone(depth, sensor_valid, compared, why, "bad_fit")
    return _with_holes_filled(depth, sensor_valid, model, compared, alignment, config)


def _with_holes_filled(
    depth: Float32Array,
    sensor_valid: BoolArray,
    model: _Model,
    compared: BoolArray,
    alignment: Alignment,
    config: FillingConfig,
) -> Filled:
    """Refusals, local correction, refusals that need it, and the result; ``depth`` is written to."""
    aligned = alignment.apply(model.depth_m)
    holes = _Candidates(pixels=~sensor_valid)
    if model.sky is not None:
        holes.refuse(model.sky, "sky")
    holes.refuse(~model.valid | ~np.isfinite(aligned), "no_model")
    holes.refuse(_low_confidence(model.confidence, compared, config), "confidence")
    holes.refuse(model.edges, "edge")
    holes.refuse(_out_of_reach(compared, config), "reach")
    correction = _corrected(depth, aligned, compared, holes, config)
    source = np.zeros(depth.shape, np.uint8)
    source[sensor_valid] = PixelSource.SENSOR
    source[holes.pixels] = PixelSource.MODEL
    facts = {
        **_shares(sensor_valid, compared, holes.pixels),
        **{f"refused_{reason}": count / depth.size for reason, count in holes.refused.items()},
        "scale": alignment.scale,
        "shift": alignment.shift,
        "fit_error": alignment.error,
        "inlier_share": alignment.inlier_share,
        "correction": correction,
    }
    return Filled(depth_m=depth, source=source, alignment=alignment, facts=MappingProxyType(facts))


def _corrected(
    depth: Float32Array, aligned: Float32Array, compared: BoolArray, holes: _Candidates, config: FillingConfig
) -> float:
    """Writes the locally corrected model into the holes that it may fill; the mean size of the correction."""
    field_ = correction_field(depth, aligned, compared & np.isfinite(aligned), largest=config.max_correction)
    nearest, farthest = depth[compared].min(), depth[compared].max()
    pixels = np.nonzero(holes.pixels)
    ratio, spread, disagreeing = field_.at(aligned, holes.pixels)
    values = np.zeros_like(depth)
    values[pixels] = aligned[pixels] * np.exp(ratio)
    wrong = np.zeros(depth.shape, np.bool_)
    wrong[pixels] = (spread > config.max_local_error) | (disagreeing > MAX_DISAGREEING)
    holes.refuse(wrong, "disagreement")
    span = np.float32(config.max_extrapolation)
    holes.refuse((values < nearest / span) | (values > farthest * span), "extrapolation")
    depth[holes.pixels] = values[holes.pixels]
    return float(np.abs(ratio).mean()) if len(ratio) else 0.0


def _check_sizes(
    sensor: Float32Array | None, model: Float32Array, confidence: Float32Array | None, sky: BoolArray | None
) -> None:
    """Refuses images of different sizes."""
    if model.ndim != 2:
        raise InputError(f"Model depth: expected an image (height, width), got the shape {model.shape}.")
    for name, image in (("sensor depth", sensor), ("confidence", confidence), ("sky", sky)):
        if image is not None and image.shape != model.shape:
            raise InputError(
                f"Depth filling: the {name} is {image.shape} and the model's depth {model.shape}; "
                "register both to the same image first."
            )


def _sensor_valid(sensor: Float32Array | None, shape: tuple[int, ...], config: FillingConfig) -> BoolArray:
    """Pixels whose reading counts."""
    if sensor is None:
        return np.zeros(shape, np.bool_)
    with np.errstate(invalid="ignore"):
        valid: BoolArray = (sensor > 0) & (sensor >= config.min_sensor_m) & (sensor <= config.max_sensor_m)
    return valid


def _low_confidence(confidence: Float32Array | None, compared: BoolArray, config: FillingConfig) -> BoolArray:
    """Pixels of which the model is much less sure than of those that the sensor sees too."""
    if confidence is None:
        return np.zeros(compared.shape, np.bool_)
    usual = float(np.median(confidence[compared])) - 1
    return ~(confidence - 1 >= config.min_confidence * usual)


def _out_of_reach(compared: BoolArray, config: FillingConfig) -> BoolArray:
    """Pixels too far from any that was compared."""
    distance = cv2.distanceTransform((~compared).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_3)
    return np.asarray(distance > config.max_reach * max(compared.shape), np.bool_)


def _shares(sensor_valid: BoolArray, compared: BoolArray, filled: BoolArray) -> dict[str, float]:
    """Shares of the image."""
    return {
        "holes": 1 - float(sensor_valid.mean()),
        "compared": float(compared.mean()),
        "filled": float(filled.mean()),
    }


def _model_alone(model: _Model, *, model_is_metric: bool) -> Filled:
    """The model's depth as it is, where there is no sensor depth."""
    if not model_is_metric:
        raise GroundingError(
            "Fused depth: the depth image holds no valid pixel, and the model's depth has no scale of its own. Check "
            "the depth camera, or name a metric model too (depth_model.metric_model)."
        )
    depth = np.where(model.valid, model.depth_m, np.float32(np.nan)).astype(np.float32)
    nothing = np.zeros(depth.shape, np.bool_)
    return Filled(
        depth_m=depth,
        source=np.where(model.valid, np.uint8(PixelSource.MODEL), np.uint8(PixelSource.NONE)),
        facts=MappingProxyType(_shares(nothing, nothing, model.valid)),
        notes=("The depth image holds no valid pixel: all depth is the model's, in the model's own scale.",),
    )


def _sensor_alone(depth: Float32Array, sensor_valid: BoolArray, compared: BoolArray, why: str, reason: str) -> Filled:
    """The sensor's depth as it is, where the model cannot be aligned to it."""
    nothing = np.zeros(depth.shape, np.bool_)
    shares = _shares(sensor_valid, compared, nothing)
    return Filled(
        depth_m=depth,
        source=sensor_valid.astype(np.uint8) * np.uint8(PixelSource.SENSOR),
        facts=MappingProxyType({**shares, f"refused_{reason}": shares["holes"]}),
        notes=(f"Holes stay holes: {why}.",),
    )
