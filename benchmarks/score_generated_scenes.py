#!/usr/bin/env python3
"""Scores a grounder's boxes on seeded generated scenes with depth noise.

Usage: score_generated_scenes.py [--grounder geometric] [--scenes N] [--views V] [--seed S] [--noise NAME] [--kinds a,b]

Scored are loose objects that the frame shows almost whole: visible fraction above 0.9, not cut by the image's border,
at least ``--min-pixels`` pixels. Everything else that is really there (hidden objects, cut ones, furniture, and objects
with missing depth) is neither asked for nor held against a prediction that finds it.

A prediction and an object are paired by 3-D IoU, best first, one to one. Recall and precision count pairs with IoU of
at least 0.25 and 0.5. Errors are medians and 90th percentiles over pairs whose centres are within half the object's
diagonal, so that an inexact box counts in the errors instead of disappearing from them:

* centre: distance of the centres, metres;
* size: the three lengths of either box sorted, then the mean absolute difference; sorting, because which axis is x
  is a convention and not a measurement;
* yaw: the smallest turn about the vertical between the boxes' level axes. A box looks the same after half a turn, one
  whose level sides differ by less than 15 % after a quarter, and a round one always (left out). Only boxes standing on
  a side count.

For round objects the true box is turned to the prediction's yaw before the IoU, since its own yaw means nothing.
The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs from a checkout without installation

from model_training.scenes import (
    CAMERAS,
    DEPTH_NOISE,
    KINDS,
    ObjectTruth,
    SceneFrame,
    SceneRenderer,
    SceneSpec,
    generate_frames,
)
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.geometry.iou import iou_3d
from n3d_ros.geometry.transforms import RigidTransform
from n3d_ros.inference.grounder import Grounder, GroundingRequest, create_grounder

IOU_LEVELS = (0.25, 0.5)
SQUARE_SHARE = 0.15  # level sides that differ by less: a quarter turn cannot be told
LEVEL_COSINE = 0.98  # an axis within 11 degrees of the vertical: the box stands on a side
IGNORED_IOU = 0.1  # a prediction that overlaps something unscored by this is not a false alarm
IGNORED_INSIDE = 0.5  # nor is one that lies half inside it (the visible part of a cut object, a leg of a table)


@dataclass(slots=True, kw_only=True)
class Scores:
    """Sums over frames.

    Args:
        truths: objects asked for.
        predictions: boxes held against the grounder (matched to an object or to nothing).
        ignored: boxes on things that are there but not asked for.
        hits: pairs per IoU level.
        center_m: centre error per near pair.
        size_m: size error per near pair.
        yaw_deg: yaw error per near pair whose yaw means something.
        ious: IoU of the best pair per asked object, 0 when there is none.
        missed: category and shape of objects not found at the lowest level.
        seconds: grounding time per frame.
    """

    truths: int = 0
    predictions: int = 0
    ignored: int = 0
    hits: dict[float, int] = field(default_factory=lambda: dict.fromkeys(IOU_LEVELS, 0))
    center_m: list[float] = field(default_factory=list)
    size_m: list[float] = field(default_factory=list)
    yaw_deg: list[float] = field(default_factory=list)
    ious: list[float] = field(default_factory=list)
    missed: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)


def _yaw_free_truth(truth: ObjectTruth, predicted: Box3D, up: np.ndarray) -> Box3D:
    """The true box in camera axes, turned to the prediction's yaw when the object is round about the vertical."""
    box = truth.box_camera
    vertical = int(np.abs(predicted.rotation.T @ up).argmax())
    stands = abs(float(predicted.rotation[:, vertical] @ up)) > LEVEL_COSINE
    if truth.symmetry != "round" or not stands or abs(float(box.rotation[:, 2] @ up)) < LEVEL_COSINE:
        return box
    x = predicted.rotation[:, (vertical + 1) % 3]
    z = box.rotation[:, 2]
    x = x - (x @ z) * z
    x = x / np.linalg.norm(x)
    rotation = np.stack([x, np.cross(z, x), z], axis=1)
    turned = RigidTransform(rotation=rotation, translation=box.center)
    return Box3D(center=box.center, size=box.size, orientation_xyzw=turned.orientation_xyzw)


def _overlap_inside(predicted: Box3D, truth: Box3D) -> float:
    """Share of the predicted box's grid points that lie inside the true one."""
    steps = (np.arange(4) + 0.5) / 4 - 0.5
    grid = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3)
    points = predicted.center + (grid * predicted.size) @ predicted.rotation.T
    return float(truth.contains(points, margin_m=0.01).mean())


def yaw_error_deg(truth: ObjectTruth, predicted: Box3D, up: np.ndarray) -> float | None:
    """Degrees between the level axes of two boxes on a side, modulo what cannot be told; None when undefined.

    Args:
        truth: with its box in camera axes.
        predicted: a box in camera axes.
        up: (3,) unit vector against gravity, camera axes.

    Returns:
        0 to 90 degrees (0 to 45 for nearly square ones), None for round objects and boxes that lie askew.
    """
    box = truth.box_camera
    if truth.symmetry == "round" or truth.shape == "ball":
        return None
    on_truth, on_found = np.abs(box.rotation.T @ up), np.abs(predicted.rotation.T @ up)
    if on_truth.max() < LEVEL_COSINE or on_found.max() < LEVEL_COSINE:
        return None
    long_truth = _longer_level_axis(box, int(on_truth.argmax()))
    long_found = _longer_level_axis(predicted, int(on_found.argmax()))
    level = np.delete(box.size, int(on_truth.argmax()))
    cosine = float(np.clip(abs(long_truth @ long_found), 0, 1))
    angle = float(np.degrees(np.arccos(cosine)))
    is_square = abs(level[0] - level[1]) < SQUARE_SHARE * level.max()
    return min(angle, 90 - angle) if is_square else angle


def _longer_level_axis(box: Box3D, vertical: int) -> np.ndarray:
    """(3,) direction of the longer of the two axes that are not vertical."""
    others = [k for k in range(3) if k != vertical]
    return box.rotation[:, max(others, key=lambda k: float(box.size[k]))]


def is_asked_for(truth: ObjectTruth, frame: SceneFrame, min_pixels: int) -> bool:
    """True for loose objects that the frame shows almost whole and for which the sensor has depth.

    Args:
        truth: the object.
        frame: the frame.
        min_pixels: fewest pixels.

    Returns:
        Whether the object counts.
    """
    if truth.role != "object" or not truth.is_unoccluded or truth.visible_pixels < min_pixels:
        return False
    mask = frame.object_ids == truth.object_id
    return bool(np.isfinite(frame.frame.depth_m[mask]).mean() > 0.5)


def score_frame(scores: Scores, frame: SceneFrame, boxes: Sequence[Box3D], min_pixels: int) -> None:
    """Adds one frame's boxes to the sums.

    Args:
        scores: changed.
        frame: with its truth.
        boxes: predictions in the camera optical frame.
        min_pixels: fewest pixels of objects asked for.
    """
    asked = [t for t in frame.truth if is_asked_for(t, frame, min_pixels)]
    others = [t for t in frame.truth if t not in asked]
    up = frame.up_camera
    pairs, taken = _pair(asked, boxes, up)
    near = {i: j for i, j, _ in pairs}
    for i, j, overlap in pairs:
        scores.ious.append(overlap)
        for level in IOU_LEVELS:
            scores.hits[level] += overlap >= level
        truth, box = asked[i], boxes[j]
        scores.center_m.append(float(np.linalg.norm(truth.box_camera.center - box.center)))
        scores.size_m.append(float(np.abs(np.sort(truth.box_camera.size) - np.sort(box.size)).mean()))
        error = yaw_error_deg(truth, box, up)
        if error is not None:
            scores.yaw_deg.append(error)
        if overlap < IOU_LEVELS[0]:
            scores.missed[truth.category] += 1
    for i, truth in enumerate(asked):
        if i not in near:
            scores.ious.append(0.0)
            scores.missed[truth.category] += 1
    for j, box in enumerate(boxes):
        if j in taken:
            scores.predictions += 1
        elif _is_something(box, others):
            scores.ignored += 1
        else:
            scores.predictions += 1
    scores.truths += len(asked)


def _is_something(box: Box3D, others: Iterable[ObjectTruth]) -> bool:
    """True when the box shows a part of an object that was not asked for."""
    for truth in others:
        if iou_3d(box, truth.box_camera) >= IGNORED_IOU or _overlap_inside(box, truth.box_camera) >= IGNORED_INSIDE:
            return True
    return False


def _pair(
    asked: Sequence[ObjectTruth], boxes: Sequence[Box3D], up: np.ndarray
) -> tuple[list[tuple[int, int, float]], set[int]]:
    """Pairs (object, box, IoU), best IoU first, then nearest centre; and the boxes used."""
    candidates = []
    for i, truth in enumerate(asked):
        reach = float(np.linalg.norm(truth.box_camera.size)) / 2
        for j, box in enumerate(boxes):
            distance = float(np.linalg.norm(truth.box_camera.center - box.center))
            overlap = iou_3d(_yaw_free_truth(truth, box, up), box)
            if overlap > 0 and (distance < reach or overlap >= IOU_LEVELS[0]):
                candidates.append((overlap, -distance, i, j))
    pairs, used_i, used_j = [], set(), set()
    for overlap, _, i, j in sorted(candidates, reverse=True):
        if i not in used_i and j not in used_j:
            used_i.add(i)
            used_j.add(j)
            pairs.append((i, j, overlap))
    return pairs, used_j


def summary(scores: Scores) -> dict[str, Any]:
    """The figures, JSON-ready.

    Args:
        scores: sums over frames.

    Returns:
        Medians, percentiles, precision and recall; None where nothing was measured.
    """

    def percentile(values: Sequence[float], q: float) -> float | None:
        return round(float(np.percentile(values, q)), 5) if values else None

    yaw_rad = np.radians(scores.yaw_deg).tolist()
    figures: dict[str, Any] = {
        "objects": scores.truths,
        "predictions": scores.predictions,
        "ignored_predictions": scores.ignored,
        "center_m": {"median": percentile(scores.center_m, 50), "p90": percentile(scores.center_m, 90)},
        "size_m": {"median": percentile(scores.size_m, 50), "p90": percentile(scores.size_m, 90)},
        "yaw_rad": {"median": percentile(yaw_rad, 50), "p90": percentile(yaw_rad, 90)},
        "mean_iou": round(float(np.mean(scores.ious)), 4) if scores.ious else None,
        "grounding_ms": {"median": percentile([1e3 * s for s in scores.seconds], 50)},
    }
    for level in IOU_LEVELS:
        hits = scores.hits[level]
        figures[f"precision_{level}"] = round(hits / scores.predictions, 4) if scores.predictions else None
        figures[f"recall_{level}"] = round(hits / scores.truths, 4) if scores.truths else None
        total = scores.predictions + scores.truths
        figures[f"f1_{level}"] = round(2 * hits / total, 4) if total else None
    return figures


def ground_boxes(grounder: Grounder, frame: SceneFrame, *, with_up: bool) -> list[Box3D]:
    """The grounder's boxes for one frame.

    Args:
        grounder: any.
        frame: colour and noisy depth.
        with_up: whether it is told where up is, as a robot's tf would.

    Returns:
        Boxes in the camera optical frame.
    """
    request = GroundingRequest(phrase=None, up=frame.up_camera if with_up else None)
    return [detection.box for detection in grounder.ground(frame.frame, request).detections]


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grounder", default="geometric", help="name for create_grounder (default: %(default)s)")
    parser.add_argument("--scenes", type=int, default=20, help="scenes per kind (default: %(default)s)")
    parser.add_argument("--views", type=int, default=2, help="frames per scene (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1000, help="seed of the first scene (default: %(default)s)")
    parser.add_argument("--noise", choices=sorted(DEPTH_NOISE), default="structured_light")
    parser.add_argument("--camera", choices=sorted(CAMERAS), default="kinect")
    parser.add_argument("--kinds", default=",".join(KINDS), help="comma-separated (default: %(default)s)")
    parser.add_argument("--min-pixels", type=int, default=300, help="smallest object asked for (default: %(default)s)")
    parser.add_argument("--no-up", action="store_true", help="do not tell the grounder where up is")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status; prints one table per kind and one JSON line.

    Args:
        arguments: without the program's name.

    Returns:
        0.
    """
    options = _parse(arguments)
    grounder = create_grounder(options.grounder)
    camera = CAMERAS[options.camera]
    results: dict[str, Any] = {}
    with SceneRenderer(camera) as renderer:
        for kind in options.kinds.split(","):
            scores = Scores()
            for seed in range(options.seed, options.seed + options.scenes):
                spec = SceneSpec(kind=kind, seed=seed, views=options.views, depth_noise=options.noise, camera=camera)
                for frame in generate_frames(spec, renderer):
                    started = time.perf_counter()
                    boxes = ground_boxes(grounder, frame, with_up=not options.no_up)
                    scores.seconds.append(time.perf_counter() - started)
                    score_frame(scores, frame, boxes, options.min_pixels)
            results[kind] = summary(scores)
            _print_table(kind, results[kind], scores)
    grounder.close()
    print(json.dumps({"grounder": options.grounder, "noise": options.noise, "seed": options.seed, "results": results}))
    return 0


def _print_table(kind: str, figures: dict[str, Any], scores: Scores) -> None:
    """One kind's figures for people."""
    asked, boxes, more = (figures[k] for k in ("objects", "predictions", "ignored_predictions"))
    print(f"{kind}: {asked} objects asked for, {boxes} boxes ({more} more on other things)")
    for name, unit, factor in (("center_m", "cm", 100), ("size_m", "cm", 100), ("yaw_rad", "deg", 57.29578)):
        median, high = figures[name]["median"], figures[name]["p90"]
        if median is not None:
            print(f"  {name.rsplit('_', 1)[0]:<14} median {median * factor:.2f} {unit}, p90 {high * factor:.2f} {unit}")
    for level in IOU_LEVELS:
        precision, recall, f1 = (figures[f"{name}_{level}"] for name in ("precision", "recall", "f1"))
        print(f"  IoU {level:<10} precision {precision} recall {recall} F1 {f1}")
    if scores.missed:
        print("  missed: " + ", ".join(f"{name} {count}" for name, count in scores.missed.most_common(8)))


if __name__ == "__main__":
    sys.exit(main())
