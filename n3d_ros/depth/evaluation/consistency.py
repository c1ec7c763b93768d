"""Whether true depth and true poses belong together: points of one view must land on the depth of another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from n3d_ros.depth.evaluation.sequence import TrueFrame
from n3d_ros.errors import InputError
from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.geometry.camera import unproject

CLOSE = 0.05  # relative difference of depth up to which two views agree on a point
STEP_PX = 8  # every so many pixels of a row and column are looked at
USUAL_MISTAKES = (0.1, 0.2, 5.0, 10.0)  # 5000 for 1000 units per metre and the like
LEAST_AGREEMENT = 0.5  # share of points; recordings with good poses reach 0.8 and more
CLEARLY_BETTER = 0.25
LEAST_POINTS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Consistency:
    """How well depth and poses agree.

    Args:
        agreement: share of the points that land within 5 % of the other view's depth; None: too few land at all.
    """

    agreement: float | None

    @property
    def note(self) -> str | None:
        """A sentence for whoever reads the results; None when nothing is odd."""
        if self.agreement is None or self.agreement >= LEAST_AGREEMENT:
            return None
        return (
            f"true depth and poses disagree: {100 * self.agreement:.0f} % of the points of one view land within 5 % of "
            "another view's depth; poses, calibration or the pairing in time may be wrong"
        )


def check_consistency(frames: Sequence[TrueFrame]) -> Consistency:
    """How well the true depth of some views agrees under their true poses.

    Args:
        frames: a few of a sequence, apart from each other; all pairs are looked at.

    Returns:
        The share that agrees.

    Raises:
        InputError: depth divided or multiplied by a usual factor agrees much better, so its unit is wrong.
    """
    now = _agreement(frames, 1.0)
    if now is None or now >= LEAST_AGREEMENT:
        return Consistency(agreement=now)
    others = {factor: _agreement(frames, factor) or 0.0 for factor in USUAL_MISTAKES}
    factor = max(others, key=lambda key: others[key])
    if others[factor] >= max(now + CLEARLY_BETTER, LEAST_AGREEMENT):
        raise InputError(
            f"True depth does not fit the true poses ({100 * now:.0f} % of the points agree), but {factor:g} times "
            f"that depth does ({100 * others[factor]:.0f} %). The unit of the depth images is another one: divide "
            f"--depth-factor by {factor:g}."
        )
    return Consistency(agreement=now)


def _agreement(frames: Sequence[TrueFrame], factor: float) -> float | None:
    """Share of the points of all ordered pairs of views that agree, with all depth times a factor."""
    close = total = 0
    for a in frames:
        points = _points(a, factor)
        for b in frames:
            if a is not b:
                ratio = _depth_ratio(b.world_T_camera.inverse().apply(points), b, factor)
                close, total = close + int((np.abs(ratio - 1) < CLOSE).sum()), total + len(ratio)
    return close / total if total >= LEAST_POINTS else None


def _points(frame: TrueFrame, factor: float) -> FloatArray:
    """(N, 3) points of a view in the world."""
    sparse = unproject(frame.depth_m * np.float32(factor), frame.intrinsics)[::STEP_PX, ::STEP_PX].reshape(-1, 3)
    return frame.world_T_camera.apply(sparse[np.isfinite(sparse[:, 2])])


def _depth_ratio(points: FloatArray, frame: TrueFrame, factor: float) -> FloatArray:
    """Depth of points in a camera's frame over the depth that it saw there, where it saw any."""
    camera = frame.intrinsics
    points = points[points[:, 2] > 0]
    u = np.round(points[:, 0] / points[:, 2] * camera.fx + camera.cx)
    v = np.round(points[:, 1] / points[:, 2] * camera.fy + camera.cy)
    inside = (u >= 0) & (v >= 0) & (u < camera.width) & (v < camera.height)
    seen = frame.depth_m[v[inside].astype(int), u[inside].astype(int)] * factor
    ratio: FloatArray = points[inside, 2] / seen
    return ratio[np.isfinite(ratio)]
