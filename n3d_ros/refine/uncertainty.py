"""How far a fitted box may be off, from noise and from what the view does not show."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from n3d_ros.detection import BoxUncertainty
from n3d_ros.refine.support import Coverage, Solid

FloatArray = NDArray[np.float64]

ROUND_YAW_STDDEV_RAD = math.pi / math.sqrt(3.0)  # uniform over a full turn: the yaw says nothing
_SEEN_SHARE = 0.3  # of a face's cells that must be backed for the face to count as measured
_OUTERMOST = 2.0  # scatters by which a face errs: its outermost points, not its middle, bound the box
_FLOOR_M = 0.002  # calibration of the camera and roundness of edges; nothing is known better than this
_UNSEEN_SHARE = 0.3  # of the extent: a hidden end may be anywhere within about twice that
_ROUND_SHARE = 0.04  # of the extent: error of completing a round shape by its symmetry
_BASE_STDDEV_M = 0.004  # of a fitted support plane under an object


def box_uncertainty(
    *,
    scatter_m: FloatArray,
    lateral_m: float,
    sight: FloatArray,
    rotation: FloatArray,
    size: FloatArray,
    seen: Coverage,
    base_is_known: bool,
    solid: Solid,
    yaw_stddev_rad: float,
) -> BoxUncertainty:
    """Uncertainty of a box from the errors of its six faces, taken as independent.

    Centre and size along an axis are half the sum and the difference of two faces; so an end that nobody saw makes both
    uncertain along its axis, and only along it.

    Args:
        scatter_m: (3,) metres, scatter of single points along the box's axes.
        lateral_m: metres, scatter of outlines across the rays.
        sight: (3,) unit direction from the camera, in the box's axes.
        rotation: (3, 3) the box's axes as columns in the frame of the result.
        size: (3,) metres.
        seen: which faces are backed by points.
        base_is_known: whether the box's lower end comes from a support plane.
        solid: what fills the box.
        yaw_stddev_rad: radians.

    Returns:
        The uncertainty in the frame of ``rotation``.
    """
    scatters, sights, lengths = scatter_m.tolist(), sight.tolist(), size.tolist()
    faces, rims = seen.faces.tolist(), seen.rims.tolist()
    # Where only the front was seen, its own extent is no measure of what lies behind; the other sides are one.
    usual = sorted(lengths)[1]
    variances = []
    for axis in range(3):
        measured = math.hypot(_OUTERMOST * scatters[axis], _FLOOR_M)
        # A face that looks away ends where the faces beside it end: an outline, stretched where they are at a slant.
        slant = max(math.sqrt(max(1.0 - sights[axis] ** 2, 0.0)), 0.2)
        outline = math.hypot(measured, lateral_m / slant)
        stddevs = [
            _BASE_STDDEV_M
            if axis == 2 and end == 0 and base_is_known
            else _face_stddev(measured, outline, faces[axis][end], rims[axis][end], lengths[axis], usual, solid)
            for end in (0, 1)
        ]
        variances.append(stddevs[0] ** 2 + stddevs[1] ** 2)
    variance = np.array(variances)
    covariance = (rotation * (variance / 4)) @ rotation.T
    return BoxUncertainty(
        center_covariance_m2=(covariance + covariance.T) / 2,
        size_stddev_m=np.sqrt(variance),
        yaw_stddev_rad=yaw_stddev_rad,
    )


def _face_stddev(
    measured: float, outline: float, share: float, rim: float, length: float, usual: float, solid: Solid
) -> float:
    """Standard deviation in metres of one face's position along its axis.

    ``measured`` is that of a face seen, ``outline`` that of one bounded by its neighbours; ``share`` and ``rim`` are
    the backed parts of its cells (NaN: it looks away) and edges, ``length`` is the box's along the axis.
    """
    if not math.isnan(share) and share >= _SEEN_SHARE:
        return measured
    if solid != "box":
        return math.hypot(measured, _ROUND_SHARE * length)
    hidden = _UNSEEN_SHARE * max(length, 0.5 * usual) * (1.0 - min(rim / 0.5, 1.0))
    return math.hypot(outline, hidden)
