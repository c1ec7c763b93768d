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

from dataclasses import dataclass
from itertools import permutations, product

import numpy as np

from n3d_ros.detection import BoxUncertainty, Detection3D
from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.geometry.transforms import matrix_to_quaternion, rotation_about_axis

UNKNOWN_CENTER_STDDEV = 0.1  # of the mean side, for looks without uncertainty
UNKNOWN_SIZE_STDDEV = 0.1  # of each side, for looks without uncertainty
UNKNOWN_YAW_STDDEV_RAD = 0.2  # for looks without uncertainty
MIN_STDDEV_M = 0.001  # no look is better: calibration and tf are not
MIN_YAW_STDDEV_RAD = 0.005
NO_YAW_STDDEV_RAD = 1.0  # from here on a yaw says nothing (uniform over a half turn: 1.81 / 2, over a full turn: 1.81)
TILT_GAIN = 0.5  # weight of a look's tilt; its error is that of gravity in tf and is not part of the uncertainty
SURPRISE = 9.0  # squared deviations in units of their variance (3 sigma) above which a look contradicts
MAX_DISCOUNT = 3.0  # a contradicting size counts at least as a third of a look, so that lasting change wins
ALIKE_ANGLE_RAD = 0.3  # scales that weigh turn against lengths when choosing among the 24 descriptions
ALIKE_LOG_SIZE = 0.2
MIN_SIZE_M = 1e-4


def _axis_relabelings() -> FloatArray:
    """(24, 3, 3) proper rotations that take coordinate axes to coordinate axes; the first is the identity."""
    signed = (
        np.eye(3)[list(order)] * np.array(signs)[:, None]
        for order in permutations(range(3))
        for signs in product((1.0, -1.0), repeat=3)
    )
    return np.stack([matrix for matrix in signed if np.linalg.det(matrix) > 0])


AXIS_RELABELINGS = _axis_relabelings()


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


def described_like(estimate: BoxEstimate, reference: Box3D) -> BoxEstimate:
    """The same solid with its axes named so that it resembles a reference most.

    Args:
        estimate: the box to describe.
        reference: a box in the same frame.

    Returns:
        The same box: corners equal as a set, orientation and order of lengths as near to the reference as can be.
    """
    rotations = estimate.box.rotation @ AXIS_RELABELINGS
    orders = np.abs(AXIS_RELABELINGS).argmax(axis=1)  # new axis j is the old axis orders[:, j]
    traces = np.einsum("ij,nij->n", reference.rotation, rotations)
    angles = np.arccos(np.clip((traces - 1) / 2, -1, 1))
    stretches = np.abs(np.log(estimate.box.size[orders] / reference.size)).sum(axis=1)
    # argmin takes the first of equals, and rounding must not decide between them: hence the coarse grid
    best = int(np.round((angles / ALIKE_ANGLE_RAD) ** 2 + (stretches / ALIKE_LOG_SIZE) ** 2, 6).argmin())
    order = orders[best]
    box = Box3D(
        center=estimate.box.center,
        size=estimate.box.size[order],
        orientation_xyzw=matrix_to_quaternion(rotations[best]),
    )
    uncertainty = BoxUncertainty(
        center_covariance_m2=estimate.uncertainty.center_covariance_m2,
        size_stddev_m=estimate.uncertainty.size_stddev_m[order],
        yaw_stddev_rad=estimate.uncertainty.yaw_stddev_rad,
    )
    return BoxEstimate(box=box, uncertainty=uncertainty)


def fused(known: BoxEstimate, look: BoxEstimate, *, drift_m: float, smoothing: float) -> BoxEstimate:
    """What is known after one more look at the same object.

    Args:
        known: the estimate so far.
        look: the new measurement, same frame.
        drift_m: standard deviation that the centre may have drifted since, metres.
        smoothing: largest weight of what is known against a look of the same quality, 0 to below 1.

    Returns:
        The estimate with both counted, axes named as in ``known``.
    """
    look = described_like(look, known.box)
    credit = smoothing / (1 - smoothing)
    size_variance = known.uncertainty.size_stddev_m**2
    look_size_variance = look.uncertainty.size_stddev_m**2 + MIN_STDDEV_M**2
    size_surprise = float(((look.box.size - known.box.size) ** 2 / (size_variance + look_size_variance)).max())
    discount = float(np.clip(size_surprise / SURPRISE, 1.0, MAX_DISCOUNT))
    center, covariance = _fused_center(
        known, look, drift_m=drift_m, discount=discount, credit=credit, may_follow=size_surprise <= SURPRISE
    )
    size, size_variance = _fused_scalars(
        known.box.size, size_variance, look.box.size, look_size_variance * discount, credit
    )
    rotation, yaw_stddev = _fused_rotation(known, look, credit)
    box = Box3D(center=center, size=np.maximum(size, MIN_SIZE_M), orientation_xyzw=matrix_to_quaternion(rotation))
    return BoxEstimate(
        box=box,
        uncertainty=BoxUncertainty(
            center_covariance_m2=covariance, size_stddev_m=np.sqrt(size_variance), yaw_stddev_rad=yaw_stddev
        ),
    )


def _fused_center(
    known: BoxEstimate, look: BoxEstimate, *, drift_m: float, discount: float, credit: float, may_follow: bool
) -> tuple[FloatArray, FloatArray]:
    """(3,) centre and (3, 3) covariance; ``may_follow``: a far look means that the object moved."""
    prior = known.uncertainty.center_covariance_m2 + np.eye(3) * drift_m**2
    noise = (look.uncertainty.center_covariance_m2 + np.eye(3) * MIN_STDDEV_M**2) * discount
    offset = look.box.center - known.box.center
    if may_follow and float(offset @ np.linalg.solve(prior + noise, offset)) > SURPRISE:
        prior = prior + np.eye(3) * float(offset @ offset)
    gain = np.linalg.solve(prior + noise, prior).T
    posterior = prior - gain @ prior
    least = min(float(np.trace(prior)), float(np.trace(noise)) / max(credit, 1e-9))
    posterior = (posterior + posterior.T) / 2 * max(1.0, least / max(float(np.trace(posterior)), 1e-18))
    if credit == 0:
        return look.box.center, noise
    return known.box.center + gain @ offset, posterior


def _fused_scalars(
    known: FloatArray, variance: FloatArray, look: FloatArray, noise: FloatArray, credit: float
) -> tuple[FloatArray, FloatArray]:
    """Values and variances of independent numbers after one more look."""
    if credit == 0:
        return look, noise
    gain = variance / (variance + noise)
    posterior = np.maximum((1 - gain) * variance, np.minimum(variance, noise / credit))
    return known + gain * (look - known), posterior


def _fused_rotation(known: BoxEstimate, look: BoxEstimate, credit: float) -> tuple[FloatArray, float]:
    """(3, 3) rotation and the yaw's standard deviation. The box's z axis is the one that yaw turns about."""
    turn = _rotation_vector(known.box.rotation.T @ look.box.rotation)
    variance = known.uncertainty.yaw_stddev_rad**2
    noise = look.uncertainty.yaw_stddev_rad**2 + MIN_YAW_STDDEV_RAD**2
    if (
        look.uncertainty.yaw_stddev_rad >= NO_YAW_STDDEV_RAD
    ):  # a round object: any yaw is right, so keep the one we have
        step = turn * [TILT_GAIN, TILT_GAIN, 0.0]
    else:
        if turn[2] ** 2 > SURPRISE * (variance + noise):  # it was turned
            variance += turn[2] ** 2
        yaw, fused_variance = _fused_scalars(np.zeros(1), np.array([variance]), turn[2:], np.array([noise]), credit)
        step, variance = np.array([TILT_GAIN * turn[0], TILT_GAIN * turn[1], yaw[0]]), float(fused_variance[0])
    angle = float(np.linalg.norm(step))
    rotation = known.box.rotation @ (rotation_about_axis(step, angle) if angle > 1e-12 else np.eye(3))
    return rotation, float(np.sqrt(variance))


def _rotation_vector(rotation: FloatArray) -> FloatArray:
    """(3,) axis times angle of a rotation; below a half turn, as near descriptions of a box always are."""
    skew = np.array([rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0], rotation[1, 0] - rotation[0, 1]])
    sine, cosine = float(np.linalg.norm(skew)) / 2, (float(np.trace(rotation)) - 1) / 2
    vector: FloatArray = skew / 2 * (np.arctan2(sine, cosine) / sine if sine > 1e-9 else 1.0)
    return vector
