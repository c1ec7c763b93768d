"""The report of an evaluation as a folder: evaluation.json, report.md and its pictures."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2

from n3d_ros.depth.evaluation.benchmark_settings import BenchmarkSettings
from n3d_ros.depth.evaluation.evaluate import Evaluated
from n3d_ros.depth.evaluation.pictures import Picture, depth_sheet, surface_picture, trajectory_picture
from n3d_ros.depth.evaluation.results import document, explanation, markdown
from n3d_ros.depth.evaluation.sequence import TrueFrame
from n3d_ros.depth.views import DepthEstimate
from n3d_ros.errors import ConfigurationError
from n3d_ros.whole_files import whole_file

JSON, REPORT = "evaluation.json", "report.md"


def write_pictures(
    folder: Path, result: Evaluated, frames: Sequence[TrueFrame], estimate: DepthEstimate
) -> tuple[str, ...]:
    """Writes the pictures of one sequence.

    Args:
        folder: exists.
        result: its scores.
        frames: the truth.
        estimate: what was compared with it.

    Returns:
        Names of the files, in the order in which they are shown.

    Raises:
        ConfigurationError: a file cannot be written.
    """
    stem = re.sub(r"[^A-Za-z0-9._-]+", "_", result.name)
    pictures: dict[str, Picture] = {"depth": depth_sheet(frames, estimate.views, result.depth_alignment)}
    if result.aligned_poses:
        pictures["trajectory"] = trajectory_picture([f.world_T_camera for f in frames], result.aligned_poses)
    if result.reconstruction is not None:
        pictures["surface"] = surface_picture(result.reconstruction, frames[len(frames) // 2].world_T_camera)
    names = []
    for kind, picture in pictures.items():
        names.append(f"{stem}_{kind}.png")
        done, data = cv2.imencode(".png", picture)
        if not done:
            raise ConfigurationError(f"{names[-1]}: the picture cannot be encoded.")
        _write(folder / names[-1], data.tobytes())
    return tuple(names)


def write_report(
    folder: Path,
    results: Sequence[Evaluated],
    pictures: Sequence[Sequence[str]],
    settings: BenchmarkSettings,
    facts: dict[str, Any],
) -> None:
    """Writes evaluation.json and report.md.

    Args:
        folder: exists.
        results: one per sequence.
        pictures: names of the pictures of each.
        settings: of the reconstruction.
        facts: what else is told of the run: the model, the options.

    Raises:
        ConfigurationError: a file cannot be written.
    """
    _write(folder / JSON, (json.dumps(document(results, settings, facts), indent=1) + "\n").encode())
    lines = ["# Evaluation of depth and camera poses", ""]
    lines += [f"- {name}: {_words(value)}" for name, value in facts.items()]
    lines += ["", markdown(results), "", explanation(results, settings)]
    for result, names in zip(results, pictures, strict=True):
        lines += ["", f"## {result.name}", ""]
        lines += [f"- {note}" for note in result.notes]
        lines += [f"\n![{name}]({name})" for name in names]
    _write(folder / REPORT, ("\n".join(lines) + "\n").encode())


def _words(value: Any) -> str:
    return "; ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _write(path: Path, data: bytes) -> None:
    with whole_file(path, advice="Make room, or choose another folder.") as file:
        file.write(data)
