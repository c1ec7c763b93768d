"""Scores as a Markdown table and as JSON."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from n3d_ros.depth.evaluation.benchmark_settings import BenchmarkSettings
from n3d_ros.depth.evaluation.evaluate import Evaluated

COLUMNS = (
    "sequence", "images", "AUC3", "AUC30", "ATE m", "delta1", "AbsRel", "RMSE m", "F1", "acc m", "comp m", "overall m",
)  # fmt: skip
DECIMALS = (0, 0, 3, 3, 3, 3, 4, 3, 3, 4, 4, 4)


def row_of(result: Evaluated) -> tuple[str, list[float]]:
    """Name and numbers of one row, in the order of ``COLUMNS``; NaN where there is none.

    Args:
        result: of one sequence.

    Returns:
        The row.
    """
    poses, surface = result.poses, result.reconstruction.score if result.reconstruction else None
    nothing = [math.nan] * 4
    return result.name, [
        float(result.images),
        *([poses.auc[3], poses.auc[30], poses.ate_m] if poses else nothing[:3]),
        result.depth.delta1,
        result.depth.abs_rel,
        result.depth.rmse_m,
        *([surface.f1, surface.accuracy_m, surface.completeness_m, surface.overall_m] if surface else nothing),
    ]


def markdown(results: Sequence[Evaluated]) -> str:
    """The table, with the means over sequences as its last row where there are several.

    Args:
        results: one or more.

    Returns:
        Lines.
    """
    rows = [row_of(result) for result in results]
    if len(rows) > 1:
        with np.errstate(invalid="ignore"):
            columns = np.array([numbers for _, numbers in rows])
            known = ~np.isnan(columns)
            sums = np.where(known, columns, 0).sum(axis=0)
            means = np.where(known.any(axis=0), sums / np.maximum(known.sum(axis=0), 1), math.nan)
        rows.append(("mean", [math.nan, *means[1:].tolist()]))
    cells = [[name, *map(_cell, numbers, DECIMALS[1:])] for name, numbers in rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in [list(COLUMNS), ["---"] * len(COLUMNS), *cells])


def _cell(value: float, decimals: int) -> str:
    return "-" if math.isnan(value) else f"{value:.{decimals}f}"


def explanation(results: Sequence[Evaluated], settings: BenchmarkSettings) -> str:
    """What the numbers of the table are, in one paragraph.

    Args:
        results: one or more.
        settings: they were made with.

    Returns:
        Sentences.
    """
    alignments = {result.depth_alignment.value for result in results}
    depth = {
        "none": "Depth is compared as it is.",
        "median": "Depth is scaled by its median, image by image, before it is compared.",
        "affine": "Depth is fitted by a factor and an offset, image by image, before it is compared.",
    }
    sentences = [depth[name] for name in sorted(alignments)]
    sentences.append(
        "AUC: over all pairs of images, the larger of the angles by which relative rotation and direction of "
        "translation are off."
    )
    made = {(r.reconstruction.cameras, r.reconstruction.scale) for r in results if r.reconstruction}
    for cameras, scale in sorted(made):
        sentences.append(
            f"Surfaces: depth at {cameras} poses, scale from {scale}, voxels of {1000 * settings.voxel_m:g} mm, F1 at "
            f"{1000 * settings.threshold_m:g} mm."
        )
    return " ".join(sentences)


def document(
    results: Sequence[Evaluated], settings: BenchmarkSettings, facts: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Everything for JSON; numbers that are unknown are null.

    Args:
        results: one or more.
        settings: they were made with.
        facts: what else is told of the run: the model, the options.

    Returns:
        Plain values.
    """
    values = {
        **(facts or {}),
        "settings": dataclasses.asdict(settings),
        "sequences": [_sequence(result) for result in results],
    }
    plain: dict[str, Any] = _plain(values)
    return plain


def _sequence(result: Evaluated) -> dict[str, Any]:
    surface = result.reconstruction
    return {
        "name": result.name,
        "images": result.images,
        "is_metric": result.is_metric,
        "depth": {"alignment": result.depth_alignment.value, **dataclasses.asdict(result.depth)},
        "depth_by_frame": [error and dataclasses.asdict(error) for error in result.depth_by_frame],
        "poses": result.poses and dataclasses.asdict(result.poses),
        "reconstruction": surface
        and {
            "cameras": surface.cameras,
            "scale": surface.scale,
            "f1": surface.score.f1,
            "overall_m": surface.score.overall_m,
            **dataclasses.asdict(surface.score),
        },
        "notes": list(result.notes),
    }


def _plain(value: Any) -> Any:
    """The value with NaN as None and keys as text, rounded to what can be meant."""
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if isinstance(value, float):
        return round(value, 7) if math.isfinite(value) else None
    return value
