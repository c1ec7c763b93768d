#!/usr/bin/env python3
"""The same model through PyTorch and through ONNX Runtime, frame by frame in turn, in one process.

Usage: python -m benchmarks backends [--model MODEL] [--frames N] [--repeats N]

Frames are ray-cast tabletops of 640x480 with three to seven objects; every frame is looked at afresh, nothing of it is
kept. The model is exported first. Medians; the ratio of two medians is what a change is judged by. The last line is one
JSON object.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figure import Figure, told
from model_training.scenes.dataset import SceneDatasetConfig, scene_records
from model_training.yaml_config import from_mapping
from n3d_ros.frame import RgbdFrame
from n3d_ros.inference.export.language_model import ExportOptions, export_language_model
from n3d_ros.inference.grounder import GroundingRequest, GroundingResult
from n3d_ros.inference.language_model.config import LanguageModelConfig
from n3d_ros.inference.language_model.grounder import LanguageModelGrounder
from n3d_ros.model.packaged import PACKAGED_NAME

DEFAULT_FRAMES, DEFAULT_REPEATS = 8, 5
RATIO_PROMISE = 1.3  # ONNX Runtime beside torch, on two cores
BOX_PROMISE_MM = 1.0  # by which a corner of the model's own boxes may move
MODEL_STAGES = ("vision", "prefill", "decode")


def frames(count: int) -> list[RgbdFrame]:
    """Tabletops that no training saw.

    Args:
        count: how many.

    Returns:
        Frames of 640x480.
    """
    config = from_mapping(
        {
            "kind": "raycast", "split": "held_out", "scenes": 4 * count, "scenes_per_shard": 4 * count, "views": 1,
            "tabletop": {"objects": [3, 7], "distance_m": [0.4, 0.9]}, "view": {"sizes": [[640, 480]]},
        },
        SceneDatasetConfig,
        "benchmarks",
    )  # fmt: skip
    return [record.frame() for record in islice(scene_records(config, 0), count)]


def measure(model: str, count: int, repeats: int) -> list[Figure]:
    """The rows.

    Args:
        model: as users name one.
        count: frames.
        repeats: looks at each, by each runtime.

    Returns:
        Figures.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "graphs"
        export_language_model(model, out, ExportOptions())
        shown = frames(count)
        runtimes = {"torch": _grounder(model), "onnx": _grounder(str(out))}
        times: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in runtimes}
        results: dict[str, list[GroundingResult]] = {name: [] for name in runtimes}
        for turn in range(repeats + 1):  # the first warms up
            for number, frame in enumerate(shown):
                fresh = replace(frame, stamp_ns=turn * len(shown) + number)  # another stamp makes it another frame
                for name, grounder in runtimes.items():
                    took, result = _look(grounder, fresh)
                    if turn == 0:
                        results[name].append(result)
                    else:
                        _keep(times[name], took, result)
        for grounder in runtimes.values():
            grounder.close()
    return _rows(times, results, f"{model}, float32, {len(shown)} frames of 640x480, {repeats} looks at each")


def _grounder(model: str) -> LanguageModelGrounder:
    return LanguageModelGrounder(LanguageModelConfig(model=model, device="cpu", kept_images=1))


def _look(grounder: LanguageModelGrounder, frame: RgbdFrame) -> tuple[float, GroundingResult]:
    """One look at a frame, in ms."""
    began = time.perf_counter()
    result = grounder.ground(frame, GroundingRequest(up=None))
    return (time.perf_counter() - began) * 1e3, result


def _keep(times: dict[str, list[float]], took_ms: float, result: GroundingResult) -> None:
    """Adds one look to the times of a runtime."""
    times["frame"].append(took_ms)
    for stage in MODEL_STAGES:
        times[stage].append(result.stage_ms.get(stage, 0.0))
    times["model"].append(sum(result.stage_ms.get(stage, 0.0) for stage in MODEL_STAGES))


def _rows(times: dict[str, Any], results: dict[str, list[GroundingResult]], note: str) -> list[Figure]:
    """Figures from times and boxes."""
    rows = []
    for part, words in (("frame", "a whole frame"), ("model", "the networks"), *((s, s) for s in MODEL_STAGES)):
        medians = {name: float(np.median(of[part])) for name, of in times.items()}
        for name, median in medians.items():
            p95 = np.percentile(times[name][part], 95)
            rows.append(Figure(name=f"{words}, {name}", value=median, unit="ms", note=f"p95 {p95:.0f} ms; {note}"))
        is_promised = part in ("frame", "model")
        rows.append(
            Figure(
                name=f"{words}: torch / onnx",
                value=medians["torch"] / medians["onnx"] if medians["onnx"] else math.nan,
                promise=RATIO_PROMISE if is_promised else None,
                at_most=False,
                note="of the medians",
            )
        )
    boxes = sum(len(result.raw_detections) for result in results["torch"])
    rows.append(
        Figure(
            name="largest move of a box's corner",
            value=_largest_move_mm(results),
            unit="mm",
            promise=BOX_PROMISE_MM,
            note=f"{boxes} boxes, as the model says them; NaN where labels or numbers of boxes differ",
        )
    )
    return rows


def _largest_move_mm(results: dict[str, list[GroundingResult]]) -> float:
    """How far the corners of one runtime's boxes are from the other's."""
    largest = 0.0
    for one, other in zip(results["torch"], results["onnx"], strict=True):
        if [box.label for box in one.raw_detections] != [box.label for box in other.raw_detections]:
            return math.nan
        for left, right in zip(one.raw_detections, other.raw_detections, strict=True):
            largest = max(largest, float(np.abs(left.box.corners - right.box.corners).max()) * 1e3)
    return largest


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints.

    Args:
        arguments: without the program's name.

    Returns:
        0 when every promise is kept; 1 otherwise.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=PACKAGED_NAME, help="folder, hub id or n3d-nano (default: %(default)s)")
    parser.add_argument("--frames", type=int, default=DEFAULT_FRAMES, help="how many (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=DEFAULT_REPEATS, help="looks at each (default: %(default)s)")
    options = parser.parse_args(arguments)
    if options.frames < 2:
        parser.error("--frames: at least 2, since what a runtime keeps of an image would be used again")
    return told(measure(options.model, options.frames, options.repeats))


if __name__ == "__main__":
    sys.exit(main())
