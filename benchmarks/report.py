"""The figures the project promises, measured one after the other; each row says what was promised and what came out."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.figure import Figure as Figure
from benchmarks.figure import markdown as markdown
from benchmarks.frames import REAL_FRAMES, bench_frames
from benchmarks.latency import NODE_MODULE, TRIVIAL_MODULE, measure_live
from benchmarks.robustness import asking_figures, endurance_figures, fuzzing_figures
from n3d_ros.bench.machine import machine_facts
from n3d_ros.bench.table import percentiles
from n3d_ros.errors import N3dError

ROOT = Path(__file__).resolve().parents[1]
SCORER = REAL_FRAMES.parents[1] / "tools" / "score_osd.py"
SCORE_TIMEOUT_S = 1800.0
RATE_HZ = 30.0
GENERATED_NOISE = ("structured_light", "active_stereo", "time_of_flight")  # the first is that of the real frames
DETERMINISM_SEED = 5  # of the generated bag that is run twice when none is shipped


def live_figures(seconds: float) -> list[Figure]:
    """Latency and load of the node.

    Args:
        seconds: of images per session.

    Returns:
        Figures.
    """
    frames = bench_frames()
    note = f"{frames.source}, {seconds:g} s at {RATE_HZ:g} Hz"
    full = measure_live(module=NODE_MODULE, seconds=seconds, rate_hz=RATE_HZ, idle_s=8.0, frames=frames)
    bare = measure_live(module=TRIVIAL_MODULE, seconds=seconds, rate_hz=RATE_HZ, frames=frames)
    drops = ", ".join(f"{count} {name}" for name, count in full.dropped.items()) or "none"
    answered = f"{len(full.latency_ms)} results; dropped: {drops}"
    return [
        Figure(
            name="image stamp to objects, p50",
            value=percentiles(full.latency_ms)[0],
            unit="ms",
            promise=100,
            note=note,
        ),
        Figure(
            name="image stamp to objects, p95",
            value=percentiles(full.latency_ms)[1],
            unit="ms",
            promise=180,
            note=answered,
        ),
        Figure(
            name="age when processing begins, p95", value=percentiles(full.age_at_start_ms)[1], unit="ms", promise=50
        ),
        Figure(
            name="ROS side alone, p50",
            value=percentiles(bare.ros_side_ms)[0],
            unit="ms",
            promise=8,
            note=f"trivial grounder, {len(bare.ros_side_ms)} results; receiving, converting, publishing",
        ),
        Figure(
            name="ROS side alone, p95",
            value=percentiles(bare.ros_side_ms)[1],
            unit="ms",
            note="without the scene, too",
        ),
        Figure(
            name="trivial grounder, image stamp to objects, p50",
            value=percentiles(bare.latency_ms)[0],
            unit="ms",
            note=f"median steps in ms: age {percentiles(bare.age_at_start_ms)[0]:.1f}, {bare.stage_text}",
        ),
        Figure(name="node ready", value=full.ready_s, unit="s", promise=3, note="process start to subscribed"),
        Figure(name="idle", value=100 * full.idle_share, unit="% of a core", promise=5, note="no images, 8 s"),
    ]


def determinism_figure() -> list[Figure]:
    """Whether two runs over one bag agree.

    Returns:
        One figure: number of differing results.
    """
    with tempfile.TemporaryDirectory() as folder:
        bag = ROOT / "demo" / "tabletop"
        if not bag.is_dir():
            bag = Path(folder, "bag")
            make = [
                "-m",
                "model_training.scenes_bag",
                "--seed",
                str(DETERMINISM_SEED),
                "--seconds",
                "1",
                "-o",
                str(bag),
            ]
            _python(make)
        documents = []
        for name in ("first", "second"):
            output = Path(folder, name)
            _python(["-m", "n3d_ros.cli", "run", str(bag), "-o", str(output), "--no-bag"])
            document = json.loads((output / "objects.json").read_text())
            documents.append({key: value for key, value in document.items() if key != "timing"})
    same = json.dumps(documents[0]) == json.dumps(documents[1])
    frames = len(documents[0]["frames"])
    return [
        Figure(name="`n3d run` twice: differing results", value=float(not same), promise=0, note=f"{frames} frames")
    ]


def real_frame_figures() -> list[Figure]:
    """Scores on real frames.

    Returns:
        Figures; not measured where the frames are not at hand.
    """
    names = (("F1 at point IoU 0.5", 0.95), ("F1 at point IoU 0.75", 0.92))
    script = ROOT / "benchmarks" / "score_real_frames.py"
    if not SCORER.is_file():
        why = "the real frames and their scorer do not lie beside this checkout"
        return [Figure(name=f"real frames, {n}", value=math.nan, promise=p, at_most=False, note=why) for n, p in names]
    result = _last_json(_python([str(script), str(REAL_FRAMES), "--scorer", str(SCORER)]))
    return [
        Figure(
            name=f"real frames, {name}",
            value=float(result.get(f"f1_{level}", math.nan)),
            promise=promise,
            at_most=False,
            note=f"{result.get('frames')} Kinect frames",
        )
        for (name, promise), level in zip(names, ("0.5", "0.75"), strict=True)
    ]


def generated_scene_figures(scenes: int) -> list[Figure]:
    """Errors on generated scenes with depth noise: of every object found, and how many were.

    Args:
        scenes: per kind and sensor.

    Returns:
        Figures per kind of scene; the promise is made for the first sensor.
    """
    script = ROOT / "benchmarks" / "score_generated_scenes.py"
    figures = []
    for noise in GENERATED_NOISE:
        result = _last_json(_python([str(script), "--scenes", str(scenes), "--noise", noise]))
        for kind, values in result["results"].items():
            subject = f"{kind}, {noise.replace('_', ' ')}"
            figures += _generated_errors(subject, values, has_promise=noise == GENERATED_NOISE[0])
    return figures


def _generated_errors(subject: str, values: dict[str, Any], *, has_promise: bool) -> list[Figure]:
    """Errors and recall of one kind of scene."""
    errors = (
        ("center_m", "centre", "cm", 100.0, 1.5),
        ("size_m", "size", "cm", 100.0, 2.0),
        ("yaw_rad", "yaw", "deg", math.degrees(1.0), None),
    )
    note = f"of those found; {values.get('objects')} unoccluded objects"
    figures = [
        Figure(
            name=f"{subject}: median {name} error",
            value=_number(values.get(key, {}).get("median")) * factor,
            unit=unit,
            promise=promise if has_promise else None,
            note=note,
        )
        for key, name, unit, factor, promise in errors
    ]
    for level in ("0.25", "0.5"):
        precision = _number(values.get(f"precision_{level}"))
        figures.append(
            Figure(
                name=f"{subject}: found at IoU {level}",
                value=100 * _number(values.get(f"recall_{level}")),
                unit="%",
                note=f"precision {precision:.2f}",
            )
        )
    return figures


def _number(value: float | None) -> float:
    """The value, NaN when there is none (no object of a kind was found)."""
    return math.nan if value is None else float(value)


def _python(arguments: Sequence[str], codes: Sequence[int] = (0,)) -> str:
    """What a Python program prints, when it ends with one of the codes; its progress goes to our standard error."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    try:
        result = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            check=False,
            timeout=SCORE_TIMEOUT_S,
        )
        if result.returncode not in codes:
            result.check_returncode()
    except (OSError, subprocess.SubprocessError) as error:
        raise N3dError(f"{' '.join(arguments)} failed: {error}") from error
    return result.stdout.decode(errors="replace")


def _last_json(text: str) -> dict[str, Any]:
    """The JSON object in the last line."""
    lines = [line for line in text.splitlines() if line.startswith("{")]
    if not lines:
        raise N3dError("A score ended without its JSON line.")
    document: dict[str, Any] = json.loads(lines[-1])
    return document


def language_model_figures() -> list[Figure]:
    """Speed and memory of the language model's runtime on the CPU, beside transformers; needs the extra [model].

    Returns:
        The rows of ``python -m benchmarks language_model``.
    """
    return _rows(_last_json(_python(["-m", "benchmarks", "language_model", "--repeats", "2"], codes=(0, 1))))


def depth_network_figures() -> list[Figure]:
    """Speed of the depth network on the CPU, beside a straight implementation; memory and speed of the small sizes.

    Returns:
        The rows of ``python -m benchmarks depth_network``; needs the extra [model].
    """
    command = ["-m", "benchmarks", "depth_network", "--sizes", "small,base", "--repeats", "5"]
    return _rows(_last_json(_python(command, codes=(0, 1))))


def depth_beside_figures() -> list[Figure]:
    """A picture to five boxes with its depth, on the CPU.

    Returns:
        The rows of ``python -m benchmarks depth_beside``; needs the extra [model].
    """
    return _rows(_last_json(_python(["-m", "benchmarks", "depth_beside", "--repeats", "3"], codes=(0, 1))))


def _rows(document: dict[str, Any]) -> list[Figure]:
    """The figures of a measurement that ran in a process of its own."""
    return [
        Figure(
            name=row["name"],
            value=math.nan if row["value"] is None else float(row["value"]),
            unit=row["unit"],
            promise=row["promise"],
            at_most=row["at_most"],
            note=row["note"],
        )
        for row in document["figures"]
    ]


def depth_fusion_figures(scenes: int) -> list[Figure]:
    """What filling the holes of depth images gains, on generated scenes and on real frames where they are at hand.

    Args:
        scenes: per kind.

    Returns:
        Figures.
    """
    from benchmarks.depth_fusion import figures_of  # here, so that jobs on bare GPU machines need no OpenCV

    return figures_of(_last_json(_python(["-m", "benchmarks", "depth_fusion", "--scenes", str(scenes)])))


def depth_quality_figures(model: str | None, metric: str | None) -> list[Figure]:
    """How right a depth model is on generated sequences; without one, whether the measure gives the truth full marks.

    Args:
        model: folder or hub id; None: none is measured.
        metric: of the metric model beside it; None without.

    Returns:
        The rows of ``python -m benchmarks depth_quality``; needs the extra [eval].
    """
    command = ["-m", "benchmarks", "depth_quality"]
    command += [] if model is None else ["--model", model]
    command += [] if metric is None else ["--metric", metric]
    return _rows(_last_json(_python(command, codes=(0, 1))))


def backend_figures() -> list[Figure]:
    """PyTorch and ONNX Runtime on the same model and frames; needs the extra [train].

    Returns:
        The rows of ``python -m benchmarks backends``.
    """
    return _rows(_last_json(_python(["-m", "benchmarks", "backends"], codes=(0, 1))))


def evaluation_figures() -> list[Figure]:
    """How fast models are evaluated, and whether the truth gets full marks; needs the extra [train].

    Returns:
        The rows of ``python -m benchmarks evaluation``.
    """
    return _rows(_last_json(_python(["-m", "benchmarks", "evaluation"], codes=(0, 1))))


def scene_generation_figures() -> list[Figure]:
    """How many frames of generated scenes are made a second, by one process and by two.

    Returns:
        The rows of ``python -m benchmarks scene_generation``.
    """
    return _rows(_last_json(_python(["-m", "benchmarks", "scene_generation"], codes=(0, 1))))


def training_figures() -> list[Figure]:
    """How fast the small model trains and its input is made; needs the extra [train].

    Returns:
        The rows of ``python -m benchmarks training``.
    """
    return _rows(_last_json(_python(["-m", "benchmarks", "training"], codes=(0, 1))))


def measure(
    parts: Sequence[str],
    *,
    seconds: float,
    scenes: int,
    minutes: float,
    tell: Callable[[str], None],
    depth_model: str | None = None,
    depth_metric: str | None = None,
) -> list[Figure]:
    """Measures some parts.

    Args:
        parts: of ``PARTS`` of ``n3d bench``.
        seconds: of images in the live sessions.
        scenes: generated scenes per kind.
        minutes: of the endurance session.
        tell: told what happens.
        depth_model: folder or hub id, for the quality of depth; None: none is measured.
        depth_metric: of the metric model beside it; None without.

    Returns:
        Figures in the order of the parts.
    """
    makers: dict[str, Callable[[], list[Figure]]] = {
        "real": real_frame_figures,
        "generated": lambda: generated_scene_figures(scenes),
        "live": lambda: live_figures(seconds),
        "asking": lambda: asking_figures(seconds),
        "determinism": determinism_figure,
        "fuzzing": fuzzing_figures,
        "endurance": lambda: endurance_figures(minutes),
        "language_model": language_model_figures,
        "backends": backend_figures,
        "depth_network": depth_network_figures,
        "depth_beside": depth_beside_figures,
        "depth_fusion": lambda: depth_fusion_figures(scenes),
        "depth_quality": lambda: depth_quality_figures(depth_model, depth_metric),
        "evaluation": evaluation_figures,
        "scene_generation": scene_generation_figures,
        "training": training_figures,
    }
    figures: list[Figure] = []
    for part in parts:
        tell(f"measuring: {part} ...")
        begin = time.monotonic()
        try:
            figures += makers[part]()
        except N3dError as error:
            figures.append(Figure(name=part, value=math.nan, promise=0.0, note=error.message.splitlines()[0]))
        tell(f"  {time.monotonic() - begin:.0f} s")
    return figures


def json_line(figures: Sequence[Figure]) -> str:
    """The figures as one line of JSON.

    Args:
        figures: rows.

    Returns:
        The line.
    """
    rows = [
        {
            "name": figure.name,
            "value": None if math.isnan(figure.value) else round(figure.value, 5),
            "unit": figure.unit,
            "promise": figure.promise,
            "kept": figure.is_kept,
        }
        for figure in figures
    ]
    return json.dumps({"machine": machine_facts(), "figures": rows})
