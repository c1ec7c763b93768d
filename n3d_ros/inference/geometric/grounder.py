"""GeometricGrounder: objects from depth alone, named by colour and shape."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from n3d_ros.detection import Detection3D
from n3d_ros.errors import CancelledError, GroundingError, StatusCode
from n3d_ros.frame import RgbdFrame
from n3d_ros.inference.geometric.config import GeometricConfig
from n3d_ros.inference.geometric.objects import ObjectSegment
from n3d_ros.inference.geometric.phrases import Wanted, understand
from n3d_ros.inference.geometric.segmentation import Segmentation, segment
from n3d_ros.inference.grounder import GroundingRequest, GroundingResult
from n3d_ros.inference.timing import Stages
from n3d_ros.refine.attributes import COLOR_POINTS, color_name, shape_word
from n3d_ros.refine.fit import FitConfig, FittedBox, fit_box
from n3d_ros.refine.noise import DepthNoise
from n3d_ros.refine.truncation import cut_sides, widened_for_cuts
from n3d_ros.refine.view import thinned

_MIN_DEPTH_SHARE = 0.002  # of the image; fewer pixels show no surface


class GeometricGrounder:
    """Finds every object that stands on a surface, without learning.

    Args:
        config: thresholds; None: the defaults.
        fitting: how boxes are fitted; None: the defaults.
    """

    name = "geometric"
    device = "cpu"

    def __init__(self, config: GeometricConfig | None = None, fitting: FitConfig | None = None) -> None:
        self._config = config or GeometricConfig()
        self._fitting = fitting or FitConfig()

    def ground(
        self,
        frame: RgbdFrame,
        request: GroundingRequest,
        *,
        on_detection: Callable[[Detection3D], None] | None = None,
        is_cancelled: Callable[[], bool] | None = None,
    ) -> GroundingResult:
        """The objects of one frame.

        Args:
            frame: the look at the world.
            request: what to look for.
            on_detection: called with each object as soon as it is known, largest first.
            is_cancelled: asked between steps and objects.

        Returns:
            Boxes in the camera optical frame, best backed first.

        Raises:
            GroundingError: too few pixels have depth.
            QueryError: the phrase names nothing that is told by colour and shape.
            CancelledError: the caller asked to stop.
        """
        wanted = understand(request.phrase)

        def checkpoint() -> None:
            if is_cancelled is not None and is_cancelled():
                raise CancelledError("Grounding was cancelled by the caller.")

        checkpoint()
        _require_depth(frame, self._config)
        found = segment(frame.depth_m, frame.rgb, frame.intrinsics, request.up, self._config, checkpoint=checkpoint)
        stages = Stages(checkpoint)
        detections: list[Detection3D] = []
        for item in found.objects:
            if len(detections) == request.max_objects:
                break
            detection = self._described(item, found, frame, wanted, stages)
            if detection is not None:
                detections.append(detection)
                if on_detection is not None:
                    on_detection(detection)
        detections.sort(key=lambda d: -(d.score or 0.0))
        measured = {"boxes": 0.0, "attributes": 0.0} | stages.stage_ms
        return GroundingResult(
            detections=tuple(detections),
            surfaces=found.surfaces,
            stage_ms=MappingProxyType(found.stage_ms | measured),
            notes=_notes(found, wanted),
        )

    def close(self) -> None:
        """Nothing to free."""

    def _described(
        self, item: ObjectSegment, found: Segmentation, frame: RgbdFrame, wanted: Wanted, stages: Stages
    ) -> Detection3D | None:
        """The detection of a segment; None when the phrase means something else."""
        with stages.timed("boxes"):
            noise = _noise(found, frame)
            fitted = fit_box(item.points, found.up, config=self._fitting, support_height_m=item.base_m, noise=noise)
        with stages.timed("attributes"):
            mask = found.labels == item.label
            mask.flags.writeable = False  # a detection takes a read-only mask as it is and copies any other
            pixels = np.flatnonzero(mask)  # thinned before the look-up: a boolean index into the picture costs 0.5 ms
            color = color_name(frame.rgb.reshape(-1, 3)[thinned(pixels, COLOR_POINTS)])
            shape = shape_word(item.points, fitted, noise=noise)
            if not wanted.matches(color, shape):
                return None
            return _detection(fitted, color, shape, mask, len(pixels))


def _detection(
    fitted: FittedBox, color: str | None, shape: str, mask: NDArray[np.bool_], pixel_count: int
) -> Detection3D:
    support = min(max(fitted.support_ratio, 0.0), 1.0)
    return Detection3D(
        label=f"{color} {shape}" if color else shape,
        box=fitted.box,
        score=support,
        support_ratio=support,
        color=color,
        shape=None if shape == "object" else shape,
        uncertainty=widened_for_cuts(fitted.uncertainty, fitted.box, cut_sides(mask)),
        point_count=pixel_count,
        mask=mask,
    )


def _noise(found: Segmentation, frame: RgbdFrame) -> DepthNoise:
    """The noise that this frame shows: constant in inverse depth, so quadratic in depth."""
    pixels = frame.intrinsics.width / max(found.labels.shape[1], 1)
    return DepthNoise(
        quadratic_per_m=found.sigma_per_m, lateral_rad=pixels * 1.5 / frame.intrinsics.fx, name="of this frame"
    )


def _require_depth(frame: RgbdFrame, config: GeometricConfig) -> None:
    """Refuses a frame without usable depth.

    Args:
        frame: the look at the world.
        config: the range that counts.

    Raises:
        GroundingError: saying how many pixels had which depth.
    """
    depth = frame.depth_m
    known = int(np.count_nonzero(depth > 0))
    usable = int(np.count_nonzero((depth >= config.min_range_m) & (depth <= config.max_range_m)))
    if usable < max(_MIN_DEPTH_SHARE * depth.size, 1):
        raise GroundingError(
            f"Depth: expected values of {config.min_range_m:g} to {config.max_range_m:g} m in at least "
            f"{100 * _MIN_DEPTH_SHARE:g} % of the pixels, got {usable} of {depth.size} ({known} have depth at all). "
            "Check the depth topic, its unit (16UC1 is millimetres, 32FC1 metres), and what covers the camera.",
            code=StatusCode.NO_DEPTH,
        )


def _notes(found: Segmentation, wanted: Wanted) -> tuple[str, ...]:
    notes = list(wanted.notes)
    if not found.up_is_known:
        notes.append("No gravity was given and no surface seen: up is taken from the camera.")
    if not any(surface.kind != "wall" for surface in found.surfaces):
        notes.append("No support surface was found; objects may be parts of larger things.")
    return tuple(notes)
