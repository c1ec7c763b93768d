#!/usr/bin/env python3
"""Measures what filling holes gains: ``python -m benchmarks depth_fusion [--scenes N] [--picture FOLDER]``.

Holes are cut where depth is known (blobs, whole objects, the shadow bands beside edges), then filled, then compared
with what was there: on generated scenes with the true depth, on real Kinect frames with the depth held out. Beside the
error stands coverage, the share of the hole that was filled: a method may leave what it cannot know.

Without a network's weights at hand the model is a *stand-in*: the true depth with an unknown scale and shift, a smooth
bias, a bias per object, edges blurred as by a network at 504 pixels, and fine noise (class ``StandIn``; its figures are
printed). It shows what alignment does with errors of that kind, and nothing about a network. ``--model`` takes a real
one instead.

On real frames boxes are found too, by the geometric grounder: with the depth as it came, with objects cut out, and with
the cuts filled. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs from a checkout without installation

from benchmarks.depth_fill_methods import METHODS
from benchmarks.depth_fill_picture import write_picture
from benchmarks.depth_fill_samples import Sample, generated_samples, network_of, real_samples
from benchmarks.depth_holes import HOLES, Depth, Mask, StandIn, objects
from benchmarks.figure import Figure
from benchmarks.frames import REAL_FRAMES
from benchmarks.score_real_frames import FIRST_OBJECT, LEVELS, as_prediction, load_scorer, matches
from model_training.scenes import CAMERAS
from n3d_ros.depth.filling import fill
from n3d_ros.errors import GroundingError
from n3d_ros.frame import RgbdFrame
from n3d_ros.inference.grounder import GroundingRequest, create_grounder

SCORER = REAL_FRAMES.parents[1] / "tools" / "score_osd.py"
WITHOUT_MODEL = ("nearest reading", "inpainting", "Laplace")
MOST_OF_BEST = 0.5  # promised: at most half the error of the best filling that needs no model
WRONG = 0.05  # relative error from which a filled pixel is counted as wrong
STAND_IN = StandIn()
Means = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Errors:
    """Means over images of what one method did in holes of one kind; images weigh alike.

    Args:
        coverage: share of the hole filled.
        abs_rel: mean relative error of what was filled.
        rmse_mm: its root mean square error, millimetres.
        wrong: share of what was filled that is off by more than ``WRONG``.
    """

    coverage: list[float] = field(default_factory=list)
    abs_rel: list[float] = field(default_factory=list)
    rmse_mm: list[float] = field(default_factory=list)
    wrong: list[float] = field(default_factory=list)

    def add(self, filled_m: Depth, true_m: Depth, hole: Mask) -> None:
        """Counts one image."""
        asked = hole & np.isfinite(true_m)
        if not asked.any():
            return
        done = asked & np.isfinite(filled_m)
        self.coverage.append(float(done.sum() / asked.sum()))
        if done.any():
            error = np.abs(filled_m[done] - true_m[done])
            self.abs_rel.append(float((error / true_m[done]).mean()))
            self.rmse_mm.append(1e3 * float(np.sqrt(np.square(error).mean())))
            self.wrong.append(float((error > WRONG * true_m[done]).mean()))

    def row(self) -> Means:
        """The means; None where nothing was filled."""
        return {name: float(np.mean(values)) if values else None for name, values in asdict(self).items()}


def hole_errors(samples: Sequence[Sample]) -> dict[str, dict[str, Means]]:
    """Every method on every kind of hole.

    Args:
        samples: images with known depth.

    Returns:
        Kind of hole, method, then means.
    """
    table = {kind: {name: Errors() for name in METHODS} for kind in HOLES}
    for sample in samples:
        for kind, row in table.items():
            cut, hole = sample.cut(kind)
            for name, errors in row.items():
                errors.add(METHODS[name](cut, sample.model_m), sample.true_m, hole)
    return {kind: {name: errors.row() for name, errors in row.items()} for kind, row in table.items()}


def box_scores(samples: Sequence[Sample], scorer_path: Path) -> dict[str, dict[str, float]]:
    """F1 of the geometric grounder's boxes with some objects cut out of the depth, and with the cuts filled.

    Args:
        samples: the real frames.
        scorer_path: the scorer's file.

    Returns:
        Variant of depth, then F1 per level of point IoU.
    """
    scorer = load_scorer(scorer_path)
    grounder = create_grounder("geometric")
    camera = CAMERAS["kinect"]
    variants = ("as measured", "objects cut out", "cut, nearest reading", "cut, ours")
    hits = {name: np.zeros(len(LEVELS), np.int64) for name in variants}
    boxes, wanted = dict.fromkeys(variants, 0), dict.fromkeys(variants, 0)
    for sample in samples:
        hole = objects(sample.true_m, sample.ids, np.random.default_rng([sample.seed, 1]))
        cut = np.where(hole, np.nan, sample.sensor_m).astype(np.float32)
        depths = {
            "as measured": sample.sensor_m,
            "objects cut out": cut,
            "cut, nearest reading": np.where(hole, METHODS["nearest reading"](cut, cut), cut),
            "cut, ours": np.where(hole, METHODS["ours"](cut, sample.model_m), cut),
        }
        label = np.where(sample.ids > 0, sample.ids + FIRST_OBJECT - 1, 1)
        valid = np.isfinite(sample.true_m)
        frame = RgbdFrame(rgb=sample.rgb, depth_m=sample.true_m, intrinsics=camera, stamp_ns=0, frame_id="camera")
        points = frame.point_map().xyz[valid]
        for name, depth in depths.items():
            try:
                found = grounder.ground(replace(frame, depth_m=depth), GroundingRequest()).detections
            except GroundingError:
                found = ()
            overlaps, count = matches(scorer, [as_prediction(each) for each in found], points, label[valid])
            hits[name] += [sum(overlap >= level for overlap in overlaps) for level in LEVELS]
            boxes[name] += len(found)
            wanted[name] += count
    grounder.close()
    return {
        name: {
            f"{level}": 2 * int(n) / max(boxes[name] + wanted[name], 1)
            for level, n in zip(LEVELS, hits[name], strict=True)
        }
        for name in variants
    }


def fill_ms(samples: Sequence[Sample]) -> float:
    """Median processor time of one fill, milliseconds on one core.

    Args:
        samples: at least one.

    Returns:
        Milliseconds.
    """
    times = []
    for sample in samples:
        cut, _ = sample.cut("objects")
        begin = time.process_time()
        fill(cut, sample.model_m)
        times.append(time.process_time() - begin)
    return 1e3 * float(np.median(times))


def print_table(title: str, table: dict[str, dict[str, Means]]) -> None:
    """One Markdown table."""
    print(f"\n{title}\n\n| holes | method | AbsRel | RMSE mm | wrong by > 5 % | coverage |\n|---|---|---|---|---|---|")
    for kind, row in table.items():
        for name, means in row.items():
            cells = [
                "" if means["abs_rel"] is None else f"{means['abs_rel']:.4f}",
                "" if means["rmse_mm"] is None else f"{means['rmse_mm']:.1f}",
                "" if means["wrong"] is None else f"{100 * means['wrong']:.1f} %",
                f"{100 * means['coverage']:.0f} %",
            ]
            print(f"| {kind} | {name} | {' | '.join(cells)} |")


def figures_of(document: dict[str, Any]) -> list[Figure]:
    """Rows for the table of all benchmarks.

    Args:
        document: what ``main`` prints as its last line.

    Returns:
        Figures.
    """
    figures = []
    for place, table in document["errors"].items():
        for kind, row in table.items():
            name, mine = f"filled holes, {place}, {kind}", row["ours"]
            best = min(row[method]["abs_rel"] for method in WITHOUT_MODEL)
            figures += [
                Figure(
                    name=f"{name}: relative error",
                    value=100 * mine["abs_rel"],
                    unit="%",
                    note=f"RMSE {mine['rmse_mm']:.0f} mm; covers {100 * mine['coverage']:.0f} %; model: a stand-in",
                ),
                Figure(
                    name=f"{name}: error over that of the best filling without a model",
                    value=mine["abs_rel"] / best,
                    promise=MOST_OF_BEST,
                    note=f"which has {100 * best:.1f} %",
                ),
            ]
    scores = document["boxes"]
    if scores:
        figures.append(
            Figure(
                name="boxes of real frames with objects cut out of the depth: F1 at point IoU 0.5",
                value=scores["cut, ours"]["0.5"],
                promise=scores["objects cut out"]["0.5"],
                at_most=False,
                note=f"filled; promised: more than unfilled; before the cut {scores['as measured']['0.5']:.3f}",
            )
        )
    figures.append(
        Figure(
            name="filling one 640x480 depth image",
            value=document["fill_ms"],
            unit="ms",
            note="processor time of one core",
        )
    )
    return figures


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status; prints tables and one JSON line.

    Args:
        arguments: without the program's name.

    Returns:
        0.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=12, help="generated scenes per kind (default %(default)s)")
    parser.add_argument("--frames", type=Path, default=REAL_FRAMES, help="real frames (default: beside the checkout)")
    parser.add_argument("--model", help="folder or hub id of a depth model in place of the stand-in")
    parser.add_argument("--metric", help="folder or hub id of a metric model beside it")
    parser.add_argument("--resolution", type=int, default=504, help="longer side that it sees (default %(default)s px)")
    parser.add_argument("--inverse", action="store_true", help="the stand-in's scale and shift act on inverse depth")
    parser.add_argument("--picture", type=Path, help="folder for pictures: before, after, where from")
    options = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    stand_in = replace(STAND_IN, inverse=options.inverse)
    network = network_of(options.model, options.metric, options.resolution) if options.model else None
    model = options.model or f"stand-in {json.dumps(asdict(stand_in))}"
    document: dict[str, Any] = {"model": model, "errors": {}, "boxes": {}}
    generated = list(generated_samples(options.scenes, stand_in, network))
    real = list(real_samples(options.frames, stand_in, network)) if options.frames.is_dir() else []
    for place, samples in (("generated scenes", generated), ("real frames", real)):
        if samples:
            document["errors"][place] = hole_errors(samples)
            print_table(f"{place}, {len(samples)} images; model: {model}", document["errors"][place])
    if real and SCORER.is_file():
        document["boxes"] = box_scores(real, SCORER)
        print("\n| depth | " + " | ".join(f"F1 at {level}" for level in LEVELS) + " |\n|---|---|---|---|")
        for name, scores in document["boxes"].items():
            print(f"| {name} | " + " | ".join(f"{value:.3f}" for value in scores.values()) + " |")
    document["fill_ms"] = fill_ms(generated)
    print(f"\nfilling one 640x480 frame: {document['fill_ms']:.1f} ms of one core")
    if options.picture:
        for sample in (*generated[:1], *generated[options.scenes : options.scenes + 1], *real[::15]):
            cut, hole = sample.cut("objects")
            write_picture(options.picture, sample.name, sample.rgb, sample.true_m, cut, hole, fill(cut, sample.model_m))
    print(json.dumps(document))
    return 0


if __name__ == "__main__":
    sys.exit(main())
