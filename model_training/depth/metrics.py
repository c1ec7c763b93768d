"""What a model is worth on prepared scenes: depth after one scale for each scene, and relative camera poses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from n3d_ros.depth.evaluation.depth_error import DepthAlignment, depth_error
from n3d_ros.depth.evaluation.pose_error import auc, pair_errors
from n3d_ros.geometry.transforms import RigidTransform


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Means over scenes; NaN where a model says nothing of the kind.

    Args:
        delta1: share of pixels within a factor of 1.25 after one scale (median ratio) for all views of a scene.
        abs_rel: mean relative error after that scale.
        delta1_affine: the same after scale and shift for each image.
        abs_rel_affine: mean relative error after scale and shift for each image.
        delta1_raw: without any alignment, for metric models.
        rotation_deg: median error of the relative rotation over all pairs of views.
        translation_deg: median angle between the true and the estimated direction from one camera to the other, 0 to
            180: unlike the benchmark's it counts the sign.
        auc30: area under the accuracy curve to 30 degrees of the benchmark's error: the larger of the rotation's and
            the (unsigned) translation direction's.
        auc5: the same to 5 degrees.
        fov_deg: median absolute error of the horizontal field of view.
        scenes: looked at.
        pairs: of views.
    """

    delta1: float
    abs_rel: float
    delta1_affine: float
    abs_rel_affine: float
    delta1_raw: float
    rotation_deg: float
    translation_deg: float
    auc30: float
    auc5: float
    fov_deg: float
    scenes: int
    pairs: int

    def to_dict(self) -> dict[str, float | int]:
        """Values by name, for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SceneGuess:
    """What a model says of one scene.

    Args:
        depth: (V, H, W) in any unit.
        world_T_camera: poses in any frame and unit; None without.
        fov_rad: (V,) horizontal field of view; None without.
    """

    depth: NDArray[np.float32]
    world_T_camera: Sequence[RigidTransform] | None = None
    fov_rad: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SceneTruth:
    """What is true of it.

    Args:
        depth_m: (V, H, W) metres, NaN where unknown.
        world_T_camera: poses; None where unknown.
        fov_rad: (V,) horizontal field of view.
    """

    depth_m: NDArray[np.float32]
    world_T_camera: Sequence[RigidTransform] | None
    fov_rad: NDArray[np.float64]


def direction_errors_deg(guess: Sequence[RigidTransform], truth: Sequence[RigidTransform]) -> NDArray[np.float64]:
    """(P,) signed angles between directions to the other camera, of all pairs; 90 where the guess has no baseline.

    Args:
        guess: poses.
        truth: poses.

    Returns:
        Degrees, 0 to 180.
    """
    errors = []
    for i in range(len(truth)):
        for j in range(i + 1, len(truth)):
            a = (guess[i].inverse() @ guess[j]).translation
            b = (truth[i].inverse() @ truth[j]).translation
            lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
            errors.append(90.0 if lengths == 0 else float(np.degrees(np.arccos(np.clip(a @ b / lengths, -1, 1)))))
    return np.array(errors)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def score(guesses: Sequence[SceneGuess], truths: Sequence[SceneTruth]) -> Scores:
    """The scores of a model over scenes.

    Args:
        guesses: one for each scene.
        truths: in the same order.

    Returns:
        Scores.
    """
    scaled, affine, raw = [], [], []
    rotation: list[float] = []
    direction: list[float] = []
    worst: list[float] = []
    fov: list[float] = []
    for guess, truth in zip(guesses, truths, strict=True):
        shape = (-1, truth.depth_m.shape[-1])  # all views as one tall image: one scale for the scene
        scaled.append(
            depth_error(guess.depth.reshape(shape), truth.depth_m.reshape(shape), alignment=DepthAlignment.MEDIAN)
        )
        raw.append(depth_error(guess.depth.reshape(shape), truth.depth_m.reshape(shape)))
        affine += [
            depth_error(mine, true, alignment=DepthAlignment.AFFINE)
            for mine, true in zip(guess.depth, truth.depth_m, strict=True)
        ]
        if guess.fov_rad is not None:
            fov += list(np.degrees(np.abs(guess.fov_rad - truth.fov_rad)))
        if guess.world_T_camera is not None and truth.world_T_camera is not None and len(truth.world_T_camera) > 1:
            pairs = pair_errors(guess.world_T_camera, truth.world_T_camera)
            rotation += list(pairs.rotation_deg)
            worst += list(pairs.worst_deg)
            direction += list(direction_errors_deg(guess.world_T_camera, truth.world_T_camera))
    nan = float("nan")
    return Scores(
        delta1=_mean([e.delta1 for e in scaled]),
        abs_rel=_mean([e.abs_rel for e in scaled]),
        delta1_affine=_mean([e.delta1 for e in affine]),
        abs_rel_affine=_mean([e.abs_rel for e in affine]),
        delta1_raw=_mean([e.delta1 for e in raw]),
        rotation_deg=float(np.median(rotation)) if rotation else nan,
        translation_deg=float(np.median(direction)) if direction else nan,
        auc30=auc(worst, 30) if worst else nan,
        auc5=auc(worst, 5) if worst else nan,
        fov_deg=float(np.median(fov)) if fov else nan,
        scenes=len(truths),
        pairs=len(rotation),
    )
