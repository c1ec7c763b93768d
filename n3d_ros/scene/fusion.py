"""How a box gets better with every look: looks are weighted by their uncertainty.

Centre and size follow a Kalman filter whose state does not move (Kalman, J. Basic Engineering 82, 1960), with three
additions that real looks need:

* A box has 24 descriptions (which of its axes is called x, y or z, and their signs). A look is first described as the
  known box is, so a turn by 90 degrees with swapped lengths averages to the same box and not to one between.
* Looks from one place share their errors, so at most ``smoothing / (1 - smoothing)`` of them count as independent.
* A look that shows the same size somewhere else means that the object moved: it is followed at once. One that shows
  another size is probably a part, or two objects in one: it counts less.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations, product

import numpy as np
from numpy.typing import NDArray

from n3d_ros.detection import BoxUncertainty, Detection3D
from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.geometry.transforms import matrix_to_quaternion

UNKNOWN_CENTER_STDDEV = 0.1  # of the mean side, for looks without uncertainty
UNKNOWN_SIZE_STDDEV = 0.1  # of each side, for looks without uncertainty
UNKNOWN_YAW_STDDEV_RAD = 0.2  # for looks without uncertainty
MIN_STDDEV_M = 0.001  # no look is better: calibration and tf are not
MIN_YAW_STDDEV_RAD = 0.005
NO_YAW_STDDEV_RAD = 1.0  # from here on a yaw says nothing (uniform over a half turn: 1.81 / 2, over a full turn: 1.81)
TILT_GAIN = 0.5  # weight of a look's tilt; its error is that of gravity in tf and is not part of the uncertainty
MAX_TILT_RAD = 0.35  # more is no error of gravity: the object toppled, and there is nothing to average
SURPRISE = 9.0  # squared deviations in units of their variance (3 sigma) above which a look contradicts
MAX_DISCOUNT = 3.0  # a contradicting size counts at least as a third of a look, so that lasting change wins
ALIKE_ANGLE_RAD = 0.3  # scales that weigh turn against lengths when choosing among the 24 descriptions
ALIKE_LOG_SIZE = 0.2
MIN_SIZE_M = 1e-4
NO_TURN_RAD = 1e-12


def _axis_relabelings() -> FloatArray:
    """(24, 3, 3) proper rotations that take coordinate axes to coordinate axes; the first is the identity."""
    signed = (
        np.eye(3)[list(order)] * np.array(signs)[:, None]
        for order in permutations(range(3))
        for signs in product((1.0, -1.0), repeat=3)
    )
    return np.stack([matrix for matrix in signed if np.linalg.det(matrix) > 0])


AXIS_RELABELINGS = _axis_relabelings()
AXIS_ORDERS = np.abs(AXIS_RELABELINGS).argmax(axis=1)  # (24, 3) int: new axis j is the old axis [:, j]
IDENTITY = np.eye(3)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BoxEstimate:
    """A box and how far it may be off, in one frame.

    Args:
        box: the box.
        uncertainty: of the box.
    """

    box: Box3D
    uncertainty: BoxUncertainty


def estimate_of(detection: Detection3D) -> BoxEstimate:
    """The detection's box with its uncertainty, or with a cautious guess when it gives none.

    Args:
        detection: in any frame.

    Returns:
        Box and uncertainty in the same frame.
    """
    if detection.uncertainty is not None:
        return BoxEstimate(box=detection.box, uncertainty=detection.uncertainty)
    size = detection.box.size
    guess = BoxUncertainty(
        center_covariance_m2=np.eye(3) * (UNKNOWN_CENTER_STDDEV * float(size.mean())) ** 2,
        size_stddev_m=UNKNOWN_SIZE_STDDEV * size,
        yaw_stddev_rad=UNKNOWN_YAW_STDDEV_RAD,
    )
    return BoxEstimate(box=detection.box, uncertainty=guess)


def described_like(box: Box3D, reference: Box3D) -> tuple[FloatArray, NDArray[np.intp]]:
    """How to describe a solid so that it resembles a reference most.

    Args:
        box: the box to describe.
        reference: a box in the same frame.

    Returns:
        The rotation (3, 3) of the same solid, as near to the reference's as can be, and the order (3,) int of the box's
        axes in it: ``size[order]`` are the lengths along the new axes.
    """
    rotations = box.rotation @ AXIS_RELABELINGS
    traces = np.einsum("ij,nij->n", reference.rotation, rotations)
    angles = np.arccos(np.clip((traces - 1) / 2, -1, 1))
    stretches = np.abs(np.log(box.size[AXIS_ORDERS] / reference.size)).sum(axis=1)
    # argmin takes the first of equals, and rounding must not decide between them: hence the coarse grid
    best = int(np.round((angles / ALIKE_ANGLE_RAD) ** 2 + (stretches / ALIKE_LOG_SIZE) ** 2, 6).argmin())
    return rotations[best], AXIS_ORDERS[best]


def fused(known: BoxEstimate, look: BoxEstimate, *, drift_m: float, smoothing: float) -> BoxEstimate:
    """What is known after one more look at the same object.

    Args:
        known: the estimate so far.
        look: the new measurement, same frame.
        drift_m: standard deviation that the centre may have drifted since, metres.
        smoothing: largest weight of what is known against a look of the same quality, 0 to below 1.

    Returns:
        The estimate with both counted, axes named as in ``known``; the look itself when the object toppled.
    """
    turn, order = _turn_between(known.box, look.box)
    if math.hypot(turn[0], turn[1]) > MAX_TILT_RAD:
        return look
    credit = smoothing / (1 - smoothing)
    stretch = look.box.size[order] - known.box.size
    size_variance = known.uncertainty.size_stddev_m**2
    size_noise = look.uncertainty.size_stddev_m[order] ** 2 + MIN_STDDEV_M**2
    size_surprise = float((stretch**2 / (size_variance + size_noise)).max())
    discount = min(max(size_surprise / SURPRISE, 1.0), MAX_DISCOUNT)
    move, covariance = _fused_center(
        known, look, drift_m=drift_m, discount=discount, credit=credit, may_follow=size_surprise <= SURPRISE
    )
    growth, size_variance = _fused_step(size_variance, stretch, size_noise * discount, credit)
    orientation, yaw_stddev = _fused_orientation(
        known, turn, look_stddev_rad=look.uncertainty.yaw_stddev_rad, credit=credit
    )
    box = Box3D(
        center=known.box.center + move,
        size=np.maximum(known.box.size + growth, MIN_SIZE_M),
        orientation_xyzw=orientation,
    )
    uncertainty = BoxUncertainty(
        center_covariance_m2=covariance, size_stddev_m=np.sqrt(size_variance), yaw_stddev_rad=yaw_stddev
    )
    return BoxEstimate(box=box, uncertainty=uncertainty)


def _fused_center(
    known: BoxEstimate, look: BoxEstimate, *, drift_m: float, discount: float, credit: float, may_follow: bool
) -> tuple[FloatArray, FloatArray]:
    """(3,) step of the centre and (3, 3) covariance; ``may_follow``: a far look means that the object moved."""
    prior = known.uncertainty.center_covariance_m2 + IDENTITY * drift_m**2
    noise = (look.uncertainty.center_covariance_m2 + IDENTITY * MIN_STDDEV_M**2) * discount
    offset = look.box.center - known.box.center
    if credit == 0:
        return offset, noise
    if may_follow and float(offset @ np.linalg.solve(prior + noise, offset)) > SURPRISE:
        prior = prior + IDENTITY * float(offset @ offset)
    gain = np.linalg.solve(prior + noise, prior).T
    posterior = prior - gain @ prior
    least = min(float(prior.trace()), float(noise.trace()) / credit)
    posterior = (posterior + posterior.T) / 2 * max(1.0, least / max(float(posterior.trace()), 1e-18))
    return gain @ offset, posterior


def _fused_step(
    variance: FloatArray, offset: FloatArray, noise: FloatArray, credit: float
) -> tuple[FloatArray, FloatArray]:
    """Steps and variances of independent numbers after one more look, ``offset`` away."""
    if credit == 0:
        return offset, noise
    gain = variance / (variance + noise)
    posterior = np.maximum((1 - gain) * variance, np.minimum(variance, noise / credit))
    return gain * offset, posterior


def _fused_orientation(
    known: BoxEstimate, turn: tuple[float, float, float], *, look_stddev_rad: float, credit: float
) -> tuple[FloatArray, float]:
    """(4,) orientation xyzw and the yaw's standard deviation, ``turn`` being the way from the known to the seen box.

    The box's z axis is the one that yaw turns about.
    """
    variance, noise = known.uncertainty.yaw_stddev_rad**2, look_stddev_rad**2 + MIN_YAW_STDDEV_RAD**2
    yaw_step = 0.0  # a round object: any yaw is right, so keep the one we have
    if look_stddev_rad < NO_YAW_STDDEV_RAD:
        if turn[2] ** 2 > SURPRISE * (variance + noise):  # it was turned
            variance += turn[2] ** 2
        step, posterior = _fused_step(np.array([variance]), np.array([turn[2]]), np.array([noise]), credit)
        yaw_step, variance = float(step[0]), float(posterior[0])
    x, y, z = TILT_GAIN * turn[0], TILT_GAIN * turn[1], yaw_step
    angle = math.sqrt(x * x + y * y + z * z)
    if angle <= NO_TURN_RAD:
        return known.box.orientation_xyzw, variance**0.5
    share = math.sin(angle / 2) / angle
    return quaternion_product(
        known.box.orientation_xyzw, (x * share, y * share, z * share, math.cos(angle / 2))
    ), variance**0.5


def _turn_between(known: Box3D, look: Box3D) -> tuple[tuple[float, float, float], NDArray[np.intp]]:
    """Axis times angle, along the known box's axes, that takes it to the look described like it; and the axes' order.

    A look that is described so already is most of them and needs no matrices: any other description is at least a
    quarter turn less the angle away.
    """
    x, y, z = (-known.orientation_xyzw[:3]).tolist()
    turn = _rotation_vector(quaternion_product((x, y, z, float(known.orientation_xyzw[3])), look.orientation_xyzw))
    angle = math.sqrt(turn[0] ** 2 + turn[1] ** 2 + turn[2] ** 2)
    stretch = float(np.abs(np.log(look.size / known.size)).sum())
    unlike = (angle / ALIKE_ANGLE_RAD) ** 2 + (stretch / ALIKE_LOG_SIZE) ** 2
    if angle < math.pi / 4 and unlike < 0.99 * ((math.pi / 2 - angle) / ALIKE_ANGLE_RAD) ** 2:
        return turn, AXIS_ORDERS[0]
    rotation, order = described_like(look, known)
    return _rotation_vector(matrix_to_quaternion(known.rotation.T @ rotation)), order


def quaternion_product(first: Sequence[float] | FloatArray, second: Sequence[float] | FloatArray) -> FloatArray:
    """The turn of ``second``, followed by that of ``first``.

    Args:
        first: (4,) unit quaternion x y z w.
        second: (4,) unit quaternion x y z w.

    Returns:
        (4,) unit quaternion x y z w, w at least 0.
    """
    (ax, ay, az, aw), (bx, by, bz, bw) = map(float, first), map(float, second)
    product = np.array(
        [
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
            aw * bw - ax * bx - ay * by - az * bz,
        ]
    )
    return -product if product[3] < 0 else product


def _rotation_vector(orientation_xyzw: FloatArray) -> tuple[float, float, float]:
    """Axis times angle of a unit quaternion with w at least 0."""
    x, y, z, w = orientation_xyzw.tolist()
    sine = math.sqrt(x * x + y * y + z * z)
    scale = 2.0 * math.atan2(sine, w) / sine if sine > NO_TURN_RAD else 2.0
    return x * scale, y * scale, z * scale
