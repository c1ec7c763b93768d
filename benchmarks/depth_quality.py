"""``python -m benchmarks depth_quality``: how right a depth model is on generated sequences, by ``n3d depth eval``.

Sequences are rendered with exact depth and poses. Without a model only the measure itself is tried: the truth, handed
in as an estimate in another world and unit, must get full marks. Ends in a table and one JSON line. Needs the extra
[eval]; with a model the extra [model] too.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.figure import Figure, markdown
from n3d_ros.depth.evaluation.benchmark_settings import BenchmarkSettings, benchmark_settings
from n3d_ros.depth.evaluation.evaluate import Evaluated, evaluate
from n3d_ros.depth.evaluation.predictions import views_of
from n3d_ros.depth.evaluation.reading import read_sequences
from n3d_ros.depth.evaluation.sequence import TrueFrame, chosen_frames
from n3d_ros.depth.similarity import Similarity
from n3d_ros.depth.views import DepthEstimate, PoseSource, ScaleSource, ViewDepth
from n3d_ros.errors import N3dError
from n3d_ros.geometry.transforms import rotation_about_axis

ROOT = Path(__file__).resolve().parents[1]
FIRST_SEED = 900_000  # far from the scenes that anything is trained on
KINDS = ("tabletop", "room")
SECONDS, RATE_HZ = 3.0, 4.0
ELSEWHERE = Similarity(scale=0.4, rotation=rotation_about_axis([1, 2, 3], 1.0), translation=np.array([3.0, -1.0, 2.0]))


def generate(folder: Path, kind: str, count: int, camera: str) -> None:
    """Writes sequences of a moving camera.

    Args:
        folder: made if absent.
        kind: of scene.
        count: sequences.
        camera: of ``model_training.scenes``.

    Raises:
        N3dError: the generator failed.
    """
    command = [sys.executable, "-m", "model_training.scenes", "--kind", kind, "--count", str(count)]
    command += ["--seed", str(FIRST_SEED), "--seconds", str(SECONDS), "--rate", str(RATE_HZ), "--noise", "none"]
    command += ["--camera", camera, "--out", str(folder)]
    answer = subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=False)
    if answer.returncode:
        raise N3dError(f"model_training.scenes --kind {kind} ended with code {answer.returncode}.")


def truth_elsewhere(frames: Sequence[TrueFrame]) -> DepthEstimate:
    """The truth as a model would say it: in a world and a unit of its own.

    Args:
        frames: the truth.

    Returns:
        An estimate without error.
    """
    views = tuple(
        ViewDepth(
            depth_m=(frame.depth_m * np.float32(ELSEWHERE.scale)).astype(np.float32),
            intrinsics=frame.intrinsics,
            intrinsics_estimated=True,
            world_T_camera=ELSEWHERE.apply_to_pose(frame.world_T_camera),
            pose_source=PoseSource.ESTIMATED,
        )
        for frame in frames
    )
    return DepthEstimate(views=views, scale_source=ScaleSource.RELATIVE)


def measure_truth(folder: Path, settings: BenchmarkSettings, subject: str) -> list[Figure]:
    """Whether the measure gives the truth full marks.

    Args:
        folder: of generated sequences.
        settings: of the reconstruction.
        subject: for the names of the figures.

    Returns:
        Figures with promises.
    """
    results = []
    for sequence in read_sequences(folder):
        frames = list(chosen_frames(sequence, settings).read())
        results.append(evaluate(sequence.name, frames, truth_elsewhere(frames), settings))
    named = _named(results)
    note = f"{len(results)} generated sequences; the truth in another world and unit"
    promises = {"AUC3": 0.999, "delta1": 0.999, "F1": 0.99}
    return [
        Figure(name=f"{subject}: {name} of the truth", value=named[name], promise=least, at_most=False, note=note)
        for name, least in promises.items()
    ]


def measure_model(
    folder: Path, settings: BenchmarkSettings, subject: str, model: str, metric: str | None
) -> list[Figure]:
    """The scores of a model.

    Args:
        folder: of generated sequences.
        settings: of the reconstruction.
        subject: for the names of the figures.
        model: folder or hub id.
        metric: of the metric model beside it; None without.

    Returns:
        Figures without promises.
    """
    from n3d_ros.depth.loading import load_depth_model
    from n3d_ros.depth.options import DepthOptions

    options = DepthOptions(reference_view="first", max_views=settings.max_images)
    loaded = load_depth_model(model, metric=metric, options=options)
    results = []
    try:
        for sequence in read_sequences(folder):
            frames = list(chosen_frames(sequence, settings).read())
            estimate = loaded.estimate(views_of(frames, with_poses=False))
            results.append(evaluate(sequence.name, frames, estimate, settings))
    finally:
        loaded.close()
    alignment = results[0].depth_alignment.value
    note = f"{loaded.name}, {len(results)} generated sequences, depth alignment: {alignment}"
    return [Figure(name=f"{subject}: {name}", value=value, note=note) for name, value in _named(results).items()]


def _named(results: Sequence[Evaluated]) -> dict[str, float]:
    """Means over sequences by name; NaN where there is nothing to average."""
    rows: dict[str, list[float]] = {name: [] for name in ("AUC3", "AUC30", "delta1", "AbsRel", "F1")}
    for result in results:
        rows["delta1"].append(result.depth.delta1)
        rows["AbsRel"].append(result.depth.abs_rel)
        if result.poses is not None:
            rows["AUC3"].append(result.poses.auc[3])
            rows["AUC30"].append(result.poses.auc[30])
        if result.reconstruction is not None:
            rows["F1"].append(result.reconstruction.score.f1)
    return {name: float(np.mean(values)) if values else math.nan for name, values in rows.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints.

    Args:
        arguments: without the program's name; None: the process's own.

    Returns:
        0 when every promise is kept; 1 otherwise; 2 after an error.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks depth_quality", description=__doc__)
    parser.add_argument("--model", metavar="MODEL", help="Depth Anything 3: a folder, or a hub id")
    parser.add_argument("--metric", metavar="MODEL", help="metric model beside an any-view one")
    parser.add_argument("--sequences", type=int, default=2, metavar="N", help="per kind of scene (default 2)")
    parser.add_argument("--camera", default="small", metavar="NAME", help="of model_training.scenes (default small)")
    options = parser.parse_args(arguments)
    figures: list[Figure] = []
    try:
        for kind in KINDS:
            settings = benchmark_settings("tabletop" if kind == "tabletop" else "scannetpp")
            settings = replace(settings, every=1, points=200_000)
            with tempfile.TemporaryDirectory() as name:
                generate(Path(name), kind, options.sequences, options.camera)
                figures += measure_truth(Path(name), settings, kind)
                if options.model:
                    figures += measure_model(Path(name), settings, kind, options.model, options.metric)
    except N3dError as error:
        print(f"depth_quality: {error.message}", file=sys.stderr)
        return 2
    print(markdown(figures))
    print(json.dumps({"figures": [_row(figure) for figure in figures]}))
    return 0 if all(figure.is_kept is not False for figure in figures) else 1


def _row(figure: Figure) -> dict[str, object]:
    return {
        "name": figure.name,
        "value": None if math.isnan(figure.value) else round(figure.value, 5),
        "unit": figure.unit,
        "promise": figure.promise,
        "at_most": figure.at_most,
        "note": figure.note,
    }


if __name__ == "__main__":
    sys.exit(main())
