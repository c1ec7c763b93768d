"""The homography from image points to ray directions, found among cells of which some are wrong.

Direct linear transform inside a sample consensus whose samples are drawn once and for all: the same rays give the same
homography. Cells count by their confidence.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from n3d_ros.errors import GroundingError, InputError
from n3d_ros.geometry.arrays import BoolArray, FloatArray

ROUNDS, CELLS_PER_ROUND = 100, 8  # of the released code
SURE_SHARE = 0.3  # samples come from this share of the cells, the surest, as in the released code
INLIER_ANGLE_RAD = 0.1  # about half of the released code's 0.2 on the plane z = 1: rays of the same pixel, or not
REFERENCE_INLIER = 0.2
REFERENCE_MIN_Z = 1e-4
SCORED_CELLS = 4096  # enough to tell samples apart; a whole map of the largest images would take 200 MB
MIN_CELLS = 8
MIN_INLIER_SHARE = 0.3  # of the confidence: what fits fewer cells is a coincidence
DEGENERATE = 1e-13  # second smallest over largest eigenvalue: rays of a 5 degree field of view reach 1e-9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rays:
    """The cells of a ray map, row by row.

    Args:
        plane: (N, 3) float64: x and y of the cell's centre, -1 to 1 between the image's borders, and 1.
        directions: (N, 3) float64 of length 1, world; zero where the map has none.
        origins: (N, 3) float64, world.
        weights: (N,) float64, 0 or more; 0 where there is no direction.
    """

    plane: FloatArray
    directions: FloatArray
    origins: FloatArray
    weights: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Homography:
    """Image points to directions.

    Args:
        matrix: (3, 3) float64, determinant above 0.
        inliers: (N,) bool, cells that it explains.
    """

    matrix: FloatArray
    inliers: BoolArray


def robust_fit(rays: Rays, sample_table: NDArray[np.integer] | None = None) -> Homography:
    """The homography whose directions, signs included, agree with most of the confidence.

    Args:
        rays: the cells.
        sample_table: (rounds, cells) ranks among the surest cells; None for the fixed table.

    Returns:
        The homography and the cells within ``INLIER_ANGLE_RAD`` of it.

    Raises:
        GroundingError: too few cells with confidence, one direction everywhere, mirrored or backward rays, or no
            majority.
    """
    order = _by_confidence(rays.weights)
    samples = order[_table(len(order), sample_table)]
    candidates = _null_vectors(_direction_rows(rays, samples))
    step = -(-np.count_nonzero(rays.weights) // SCORED_CELLS)
    scored = order[: np.count_nonzero(rays.weights) : step]
    angles_ok, forward = _explained(rays, candidates, scored)
    score = np.where(forward, angles_ok @ rays.weights[scored], 0.0)
    best = candidates[int(np.argmax(score))]
    inliers = np.zeros(len(rays.weights), dtype=bool)
    for _ in range(2):  # the second time on all that the first fit explains
        everywhere, upright = _explained(rays, best[None], np.arange(len(rays.weights)))
        inliers = everywhere[0] & (rays.weights > 0)
        if not upright[0] or rays.weights[inliers].sum() < MIN_INLIER_SHARE * rays.weights.sum():
            raise GroundingError(_no_camera(rays, inliers), reason="no_camera_from_rays")
        best = _oriented(_normal_fit(rays, inliers), rays, inliers)
    return Homography(matrix=best, inliers=inliers)


def reference_fit(rays: Rays, sample_table: NDArray[np.integer] | None = None) -> Homography:
    """The released code's homography: on the plane z = 1, where cameras that look along it have no points.

    Args:
        rays: the cells.
        sample_table: (rounds, cells) ranks among the surest cells; None for the fixed table.

    Returns:
        The homography and the cells within ``REFERENCE_INLIER`` of it on that plane.

    Raises:
        GroundingError: too few cells with confidence and a z, or none that fit one homography.
    """
    usable = np.abs(rays.directions[:, 2]) > REFERENCE_MIN_Z
    weights = rays.weights * usable
    targets = rays.directions[:, :2] / np.where(usable, rays.directions[:, 2], 1)[:, None]
    order = _by_confidence(weights)
    samples = order[_table(len(order), sample_table)]
    candidates = _null_vectors(_plane_rows(rays.plane[samples], targets[samples], weights[samples]))
    step = -(-len(order) // SCORED_CELLS) if sample_table is None else 1
    near = _near_on_plane(candidates, rays.plane[order[::step]], targets[order[::step]])
    best = candidates[int(np.argmax(near @ weights[order[::step]]))]
    inliers = _near_on_plane(best[None], rays.plane, targets)[0] & (weights > 0)
    if np.count_nonzero(inliers) < MIN_CELLS:
        raise GroundingError(_no_camera(rays, inliers), reason="no_camera_from_rays")
    rows = _plane_rows(rays.plane[inliers], targets[inliers], weights[inliers])
    matrix = np.linalg.eigh(rows.T @ rows)[1][:, 0].reshape(3, 3)
    return Homography(matrix=matrix * np.sign(np.linalg.det(matrix)), inliers=inliers)


def tangents(directions: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Two directions for each given one that make a right-angled frame with it.

    Args:
        directions: (..., 3) of length 1.

    Returns:
        Two arrays (..., 3) of length 1.
    """
    # The axis that the direction leans on least is never parallel to it.
    axis = np.eye(3)[np.argmin(np.abs(directions), axis=-1)]
    first = np.cross(directions, axis)
    first /= np.maximum(np.linalg.norm(first, axis=-1, keepdims=True), 1e-300)
    return first, np.cross(directions, first)


def _by_confidence(weights: FloatArray) -> NDArray[np.intp]:
    known = int(np.count_nonzero(weights))
    if known < MIN_CELLS:
        raise GroundingError(
            f"Camera from rays: expected {MIN_CELLS} cells or more with confidence and a direction, got {known}.",
            reason="no_camera_from_rays",
        )
    return np.argsort(-weights, kind="stable")


def _table(cells: int, given: NDArray[np.integer] | None) -> NDArray[np.integer]:
    pool = max(CELLS_PER_ROUND, int(cells * SURE_SHARE))
    if given is None:
        generator = np.random.default_rng(0)
        return np.stack([generator.permutation(pool)[:CELLS_PER_ROUND] for _ in range(ROUNDS)])
    table = np.asarray(given)
    if table.ndim != 2 or table.shape[1] < 4 or table.dtype.kind not in "iu" or table.min() < 0 or table.max() >= cells:
        raise InputError(f"Sample table: expected (rounds, 4 or more) ranks of 0 to {cells - 1}, got {table.shape}.")
    return table


def _direction_rows(rays: Rays, samples: NDArray[np.intp]) -> FloatArray:
    """Rows (..., 2 N, 9) that H is orthogonal to: both tangents of d are to H p where d is along H p."""
    first, second = tangents(rays.directions[samples])
    root = np.sqrt(rays.weights[samples])[..., None, None]
    plane = rays.plane[samples]
    rows = [(root * side[..., :, None] * plane[..., None, :]).reshape(*samples.shape, 9) for side in (first, second)]
    return np.concatenate(rows, axis=-2)


def _plane_rows(plane: FloatArray, targets: FloatArray, weights: FloatArray) -> FloatArray:
    """Rows (..., 2 N, 9) that H is orthogonal to where its image of p is the target on the plane z = 1."""
    root = np.sqrt(weights)[..., None]
    points, none = plane * root, np.zeros_like(plane)
    first = np.concatenate([-points, none, points * targets[..., :1]], axis=-1)
    second = np.concatenate([none, -points, points * targets[..., 1:]], axis=-1)
    return np.concatenate([first, second], axis=-2)


def _null_vectors(rows: FloatArray) -> FloatArray:
    """For each of (M, rows, 9) the matrix (3, 3) most orthogonal to its rows."""
    return np.asarray(np.linalg.svd(rows)[2][:, -1].reshape(-1, 3, 3))


def _explained(rays: Rays, candidates: FloatArray, cells: NDArray[np.intp]) -> tuple[BoolArray, BoolArray]:
    """Which cells (M, N) each candidate explains in direction and sign, and which candidates (M,) are no mirrors."""
    images = np.einsum("mij,nj->mni", candidates, rays.plane[cells])
    along = np.einsum("mni,ni->mn", images, rays.directions[cells])
    lengths = np.maximum(np.linalg.norm(images, axis=2), 1e-300)
    sign = np.where((along / lengths) @ rays.weights[cells] < 0, -1.0, 1.0)
    explained = along * sign[:, None] > np.cos(INLIER_ANGLE_RAD) * lengths
    return explained, np.linalg.det(candidates) * sign > 0


def _near_on_plane(candidates: FloatArray, plane: FloatArray, targets: FloatArray) -> BoolArray:
    images = np.einsum("mij,nj->mni", candidates, plane)
    depth = np.where(np.abs(images[..., 2:]) > 1e-12, images[..., 2:], np.inf)
    near: BoolArray = np.sum((images[..., :2] / depth - targets) ** 2, axis=2) < REFERENCE_INLIER**2
    return near


def _normal_fit(rays: Rays, inliers: BoolArray) -> FloatArray:
    rows = _direction_rows(rays, np.flatnonzero(inliers))
    values, vectors = np.linalg.eigh(rows.T @ rows)
    if values[1] <= DEGENERATE * values[-1]:
        raise GroundingError(
            "Camera from rays: expected directions that change over the image, got one direction everywhere.",
            reason="no_camera_from_rays",
        )
    return np.asarray(vectors[:, 0].reshape(3, 3))


def _oriented(matrix: FloatArray, rays: Rays, inliers: BoolArray) -> FloatArray:
    along = np.sum((rays.plane @ matrix.T) * rays.directions, axis=1)
    return matrix * (1.0 if rays.weights[inliers] @ along[inliers] > 0 else -1.0)


def _no_camera(rays: Rays, inliers: BoolArray) -> str:
    share = rays.weights[inliers].sum() / rays.weights.sum()
    return (
        f"Camera from rays: expected directions of one camera, got a map of which {share:.0%} of the confidence fits "
        "one (less than a third, or mirrored, or pointing backwards); take the camera head's pose (pose_method camera)."
    )
