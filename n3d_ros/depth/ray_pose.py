"""A camera (pose and matrix) from a ray map: for each cell of the image, where its ray begins and which way it goes.

The direction through image point p = (x, y, 1) is H p with H = R K^-1, up to a factor: R turns the camera's axes into
the world's, K^-1 is upper triangular. So H is found from the rays as a homography, and its QR factorisation gives R and
K exactly. The released code factorises into Q times a lower triangle instead, which is right only for a principal point
in the image's centre; that is kept as ``RayMethod.QL``, for comparison.

The image plane is that of ``ray_homography``: x and y run from -1 to 1 between the image's borders.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from n3d_ros.depth.ray_homography import Rays, reference_fit, robust_fit, tangents
from n3d_ros.errors import GroundingError, InputError
from n3d_ros.geometry.arrays import BoolArray, FloatArray
from n3d_ros.geometry.transforms import rotation_about_axis

REFINE_STEPS = 20  # Gauss-Newton on the camera itself; settles in about five
REFINE_TOLERANCE = 1e-10
HUBER_SIGMAS = 1.345  # 95 % of the efficiency of least squares where there are no outliers
MAX_SLANT = 10.0  # principal point in half image sizes; beyond is no camera of a robot


class RayMethod(str, Enum):
    """How the camera is read from the homography."""

    QR = "qr"  # exact, on directions, so for cameras that look any way; refined on what a camera can be
    QL = "ql"  # as the released code does: for a centred principal point and directions whose z is not near 0


class PrincipalPoint(str, Enum):
    """Whether the principal point is estimated."""

    FREE = "free"
    CENTERED = "centered"  # held in the middle of the image, for cameras known to be so; QR only


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RayCamera:
    """The camera that a ray map describes.

    Args:
        w2c: (4, 4) float64, world to camera, in the unit of the ray origins.
        intrinsics: (3, 3) float64 camera matrix, pixels of the image asked for; its corner, not the centre of its first
            pixel, is (0, 0), as in the network's own matrices.
        inlier_share: 0 to 1: confidence of the cells that the camera explains, over that of all.
        residual_rad: rms angle between those cells' directions and the camera's, weighted by confidence.
    """

    w2c: FloatArray
    intrinsics: FloatArray
    inlier_share: float
    residual_rad: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Pinhole:
    """A camera on the plane -1 to 1: its axes in the world (3, 3), inverse focal lengths (2,), principal point (2,)."""

    rotation: FloatArray
    inverse_focal: FloatArray
    center: FloatArray

    def directions(self, plane: FloatArray) -> FloatArray:
        """World directions (N, 3), not of length 1, through points of the plane (N, 3)."""
        slopes = (plane[:, :2] - self.center) * self.inverse_focal
        return np.asarray(np.column_stack([slopes, plane[:, 2]]) @ self.rotation.T)


def camera_from_rays(
    rays: ArrayLike,
    ray_confidence: ArrayLike,
    image_hw: tuple[int, int],
    *,
    method: RayMethod | str = RayMethod.QR,
    principal_point: PrincipalPoint | str = PrincipalPoint.FREE,
    sample_table: NDArray[np.integer] | None = None,
) -> RayCamera:
    """The camera of one view's ray map; the same map always gives the same camera.

    Args:
        rays: (h, w, 6): direction of any length, then origin, world axes, as the ray head gives them.
        ray_confidence: (h, w), 0 or more.
        image_hw: height and width in pixels of the image that the matrix is wanted for.
        method: how the homography is found and factorised.
        principal_point: free or held in the centre.
        sample_table: (rounds, cells) ranks among the surest cells that each RANSAC round takes; None for the fixed one.

    Returns:
        The camera.

    Raises:
        InputError: shapes that do not fit, numbers that are not finite, or an unknown method.
        GroundingError: no camera sends out such rays: no confidence, one direction everywhere, rays mirrored or
            pointing backwards, or no majority that fits one camera.
    """
    factorise, held = _chosen(method, principal_point)
    cells = _checked(rays, ray_confidence)
    if factorise is RayMethod.QL:
        found = reference_fit(cells, sample_table)
        camera = _ql(found.matrix)
    else:
        found = robust_fit(cells, sample_table)
        camera = _qr(found.matrix)
        camera = _refined(camera, cells, found.inliers, center_free=held is PrincipalPoint.FREE)
    if not (np.isfinite(camera.center).all() and np.abs(camera.center).max() < MAX_SLANT):
        raise GroundingError(
            "Camera from rays: expected a principal point near the image, got one "
            f"{np.abs(camera.center).max():.3g} half image sizes away; take the camera head's pose.",
            reason="no_camera_from_rays",
        )
    return _reported(camera, cells, found.inliers, image_hw)


def _chosen(method: RayMethod | str, principal_point: PrincipalPoint | str) -> tuple[RayMethod, PrincipalPoint]:
    try:
        factorise, held = RayMethod(method), PrincipalPoint(principal_point)
    except ValueError:
        raise InputError(
            f"Camera from rays: expected qr or ql and free or centered, got {method!r} and {principal_point!r}."
        ) from None
    if factorise is RayMethod.QL and held is PrincipalPoint.CENTERED:
        raise InputError("Camera from rays: the QL factorisation cannot hold the principal point; use qr.")
    return factorise, held


def _checked(rays: ArrayLike, ray_confidence: ArrayLike) -> Rays:
    given, weights = np.asarray(rays, dtype=np.float64), np.asarray(ray_confidence, dtype=np.float64)
    if given.ndim != 3 or given.shape[2] != 6 or weights.shape != given.shape[:2]:
        raise InputError(
            f"Ray map: expected (rows, columns, 6) and confidence of its rows and columns, got {given.shape} "
            f"and {weights.shape}; one view at a time."
        )
    if not (np.isfinite(given).all() and np.isfinite(weights).all()) or (weights < 0).any():
        raise InputError(
            "Ray map: expected finite numbers and confidence of 0 or more; a network in half precision may overflow: "
            "use bf16 or fp32."
        )
    rows, columns = weights.shape
    x = (2 * np.arange(columns) + 1) / columns - 1
    y = (2 * np.arange(rows) + 1) / rows - 1
    plane = np.stack([*np.meshgrid(x, y), np.ones((rows, columns))], axis=2).reshape(-1, 3)
    directions = given[..., :3].reshape(-1, 3)
    lengths = np.linalg.norm(directions, axis=1)
    known = lengths > 1e-6
    return Rays(
        plane=plane,
        directions=directions / np.where(known, lengths, 1)[:, None],
        origins=given[..., 3:].reshape(-1, 3),
        weights=weights.reshape(-1) * known,
    )


def _qr(matrix: FloatArray) -> _Pinhole:
    """H = R U with U = K^-1 upper triangular; its skew, which no camera here has, is left to the refinement."""
    rotation, upper = np.linalg.qr(matrix)
    signs = np.where(np.diag(upper) < 0, -1.0, 1.0)
    rotation, upper = rotation * signs, upper * signs[:, None]
    upper = upper / upper[2, 2]
    inverse_focal = np.diag(upper)[:2]
    return _Pinhole(rotation=rotation, inverse_focal=inverse_focal, center=-upper[:2, 2] / inverse_focal)


def _ql(matrix: FloatArray) -> _Pinhole:
    """The released code's reading: H = Q L with L lower triangular, its last row taken for the principal point."""
    rotation, upper = np.linalg.qr(matrix[:, ::-1])
    rotation, lower = rotation[:, ::-1], upper[::-1, ::-1]
    signs = np.where(np.diag(lower) < 0, -1.0, 1.0)
    rotation, lower = rotation * signs, lower * signs[:, None]
    lower = lower / lower[2, 2]
    return _Pinhole(rotation=rotation, inverse_focal=np.diag(lower)[:2], center=lower[2, :2])


def _refined(camera: _Pinhole, cells: Rays, inliers: BoolArray, *, center_free: bool) -> _Pinhole:
    """The camera without skew nearest to the inliers' directions: Gauss-Newton with Huber weights on angles."""
    plane, directions = cells.plane[inliers], cells.directions[inliers]
    base, sides = cells.weights[inliers], np.stack(tangents(directions), axis=1)
    if not center_free:
        camera = replace(camera, center=np.zeros(2))
    for _ in range(REFINE_STEPS):
        along = camera.directions(plane)
        lengths = np.linalg.norm(along, axis=1, keepdims=True)
        unit = along / lengths
        residuals = np.einsum("nki,ni->nk", sides, unit)
        size = np.linalg.norm(residuals, axis=1)
        reach = HUBER_SIGMAS * max(float(np.median(size)), 1e-9)
        weights = base * np.minimum(1, reach / np.maximum(size, 1e-300))
        slopes = _slopes(camera, plane, along, center_free=center_free) / lengths[:, :, None]
        slopes -= unit[:, :, None] * np.einsum("ni,nip->np", unit, slopes)[:, None]
        jacobian = (sides @ slopes).reshape(-1, slopes.shape[2])
        weighted = jacobian * np.repeat(weights, 2)[:, None]
        step = np.linalg.lstsq(weighted.T @ jacobian, -weighted.T @ residuals.ravel(), rcond=None)[0]
        camera = _moved(camera, step)
        if np.abs(step).max() < REFINE_TOLERANCE:
            break
    return camera


def _slopes(camera: _Pinhole, plane: FloatArray, along: FloatArray, *, center_free: bool) -> FloatArray:
    """How directions (N, 3) change with a turn (3), log inverse focal lengths (2) and, if free, the centre (2)."""
    turn = np.cross(np.eye(3)[None], along[:, None])  # (N, axis, 3): e_axis x d
    columns = [turn.transpose(0, 2, 1)]
    offsets = (plane[:, :2] - camera.center) * camera.inverse_focal
    columns.append(camera.rotation[None, :, :2] * offsets[:, None, :])
    if center_free:
        columns.append(np.broadcast_to(-camera.rotation[:, :2] * camera.inverse_focal, (len(plane), 3, 2)))
    return np.concatenate(columns, axis=2)


def _moved(camera: _Pinhole, step: FloatArray) -> _Pinhole:
    angle = float(np.linalg.norm(step[:3]))
    turn = rotation_about_axis(step[:3], angle) if angle > 0 else np.eye(3)
    return _Pinhole(
        rotation=turn @ camera.rotation,
        inverse_focal=camera.inverse_focal * np.exp(np.clip(step[3:5], -1, 1)),
        center=camera.center + step[5:7] if len(step) == 7 else camera.center,
    )


def _reported(camera: _Pinhole, cells: Rays, inliers: BoolArray, image_hw: tuple[int, int]) -> RayCamera:
    along = camera.directions(cells.plane)
    off = np.linalg.norm(np.cross(along, cells.directions), axis=1)
    angles = np.arctan2(off, np.sum(along * cells.directions, axis=1))
    used = cells.weights * inliers
    w2c = np.eye(4)
    w2c[:3, :3] = camera.rotation.T
    w2c[:3, 3] = -camera.rotation.T @ (cells.weights @ cells.origins / cells.weights.sum())
    half = np.array([image_hw[1], image_hw[0]]) / 2
    intrinsics = np.eye(3)
    intrinsics[[0, 1], [0, 1]] = half / camera.inverse_focal
    intrinsics[:2, 2] = (camera.center + 1) * half
    return RayCamera(
        w2c=w2c,
        intrinsics=intrinsics,
        inlier_share=float(used.sum() / cells.weights.sum()),
        residual_rad=float(np.sqrt(used @ angles**2 / used.sum())),
    )
