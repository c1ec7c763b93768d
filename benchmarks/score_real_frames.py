#!/usr/bin/env python3
"""Runs a grounder over a folder of real frames and scores its boxes.

Usage: score_real_frames.py FRAMES [--scorer score_osd.py] [--out PREDICTIONS.json] [--grounder geometric] [--mirror]
       [--noise SIGMA] [--fx 525 --fy 525 --cx 319.5 --cy 239.5]

FRAMES holds NAME_color.png and NAME_depth.png (16-bit millimetres, 0 = none). Written are boxes per frame in the
camera optical frame, as the scorer takes them. With the scorer's path and NAME_label.png beside the frames, F1 at point
IoU 0.25, 0.5 and 0.75 is printed, and a line for each frame that is not perfect. ``--mirror`` flips the frames,
``--noise`` adds Gaussian noise to inverse depth (1/m): neither may change much. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs from a checkout without installation

from model_training.evaluation.matching import match
from model_training.evaluation.osd import FIRST_OBJECT as FIRST_OBJECT
from model_training.evaluation.osd import MIN_LABEL_POINTS
from n3d_ros.detection import Detection3D
from n3d_ros.errors import GroundingError
from n3d_ros.frame import RgbdFrame
from n3d_ros.geometry.camera import CameraIntrinsics
from n3d_ros.inference.grounder import GroundingRequest, create_grounder

LEVELS = (0.25, 0.5, 0.75)


def read_frame(folder: Path, name: str, intrinsics: CameraIntrinsics, *, mirror: bool, noise: float) -> RgbdFrame:
    """One frame of a folder.

    Args:
        folder: where it lies.
        name: without "_color.png".
        intrinsics: of both images.
        mirror: whether to flip it left to right.
        noise: standard deviation of what is added to inverse depth, 1/m.

    Returns:
        The frame.
    """
    color = cv2.imread(str(folder / f"{name}_color.png"), cv2.IMREAD_COLOR)
    depth = cv2.imread(str(folder / f"{name}_depth.png"), cv2.IMREAD_UNCHANGED)
    if color is None or depth is None:
        raise SystemExit(f"{folder}/{name}: expected _color.png and _depth.png that can be read.")
    depth_m = np.where(depth > 0, depth / 1000.0, np.nan)
    if noise:
        added = np.random.default_rng(len(name)).normal(0, noise, depth_m.shape)
        depth_m = 1 / np.maximum(1 / depth_m + added, 0.05)
    rgb = cv2.cvtColor(color, cv2.COLOR_BGR2RGB)
    if mirror:
        rgb, depth_m = rgb[:, ::-1], depth_m[:, ::-1]
    return RgbdFrame(
        rgb=np.ascontiguousarray(rgb),
        depth_m=np.ascontiguousarray(depth_m, dtype=np.float32),
        intrinsics=intrinsics,
        stamp_ns=0,
        frame_id="camera_optical_frame",
    )


def as_prediction(detection: Detection3D) -> dict[str, Any]:
    """One box as the scorer reads it."""
    box = detection.box
    return {
        "center": box.center.tolist(),
        "size": box.size.tolist(),
        "orientation_xyzw": box.orientation_xyzw.tolist(),
        "score": detection.score,
        "label": detection.label,
    }


def load_scorer(path: Path) -> ModuleType:
    """The scorer as a module."""
    spec = importlib.util.spec_from_file_location("scorer", path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"--scorer {path}: expected a Python file.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def matches(
    scorer: ModuleType, boxes: Iterable[dict[str, Any]], points: NDArray[Any], label: NDArray[Any]
) -> tuple[list[float], int]:
    """Point IoU of matched pairs, best first, and the number of objects asked for."""
    wanted = [label == k for k in np.unique(label) if k >= FIRST_OBJECT and (label == k).sum() >= MIN_LABEL_POINTS]
    inside = [scorer.inside(points, box) for box in boxes]
    iou = np.array([[(b & w).sum() / max((b | w).sum(), 1) for w in wanted] for b in inside])
    iou = iou.reshape(len(inside), len(wanted))
    pairs = match(iou, level=LEVELS[0], way="overlap")
    return sorted((float(iou[pair]) for pair in pairs), reverse=True), len(wanted)


def main(arguments: list[str] | None = None) -> int:
    """Runs and scores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("frames", type=Path)
    parser.add_argument("--scorer", type=Path)
    parser.add_argument("--out", type=Path, help="where to write the boxes")
    parser.add_argument("--grounder", default="geometric")
    parser.add_argument("--mirror", action="store_true")
    parser.add_argument("--noise", type=float, default=0.0, help="added to inverse depth, 1/m")
    for name, value in (("fx", 525.0), ("fy", 525.0), ("cx", 319.5), ("cy", 239.5)):
        parser.add_argument(f"--{name}", type=float, default=value, help="px")
    options = parser.parse_args(arguments)

    cv2.setNumThreads(1)
    names = sorted(path.name[: -len("_depth.png")] for path in options.frames.glob("*_depth.png"))
    if not names:
        raise SystemExit(f"{options.frames}: expected files NAME_depth.png, found none.")
    scorer = load_scorer(options.scorer) if options.scorer else None
    grounder = create_grounder(options.grounder)
    predictions: dict[str, list[dict[str, Any]]] = {}
    times_ms, hits, boxes, objects = [], np.zeros(len(LEVELS), dtype=int), 0, 0
    for name in names:
        size = cv2.imread(str(options.frames / f"{name}_depth.png"), cv2.IMREAD_UNCHANGED).shape
        cx = size[1] - 1 - options.cx if options.mirror else options.cx
        camera = CameraIntrinsics(fx=options.fx, fy=options.fy, cx=cx, cy=options.cy, width=size[1], height=size[0])
        frame = read_frame(options.frames, name, camera, mirror=options.mirror, noise=options.noise)
        started = time.perf_counter()
        try:
            detections = grounder.ground(frame, GroundingRequest()).detections
        except GroundingError as error:
            print(f"{name}: {error}", file=sys.stderr)
            detections = ()
        times_ms.append(1e3 * (time.perf_counter() - started))
        predictions[name] = [as_prediction(d) for d in detections]
        if scorer is None:
            continue
        label = cv2.imread(str(options.frames / f"{name}_label.png"), cv2.IMREAD_UNCHANGED)
        label = label[:, ::-1] if options.mirror else label
        valid = np.isfinite(frame.depth_m) & (label > 0)
        points = frame.point_map().xyz[valid]
        found, wanted = matches(scorer, predictions[name], points, label[valid])
        hits += [sum(iou >= level for iou in found) for level in LEVELS]
        boxes, objects = boxes + len(detections), objects + wanted
        if sum(iou >= LEVELS[-1] for iou in found) < max(wanted, len(detections)):
            print(f"{name}: {wanted} objects, {len(detections)} boxes, IoU {' '.join(f'{x:.2f}' for x in found)}")
    if options.out:
        options.out.write_text(json.dumps(predictions))
    p50, p95 = np.percentile(times_ms, [50, 95])
    summary: dict[str, Any] = {"frames": len(names), "ms_p50": round(p50, 1), "ms_p95": round(p95, 1)}
    if scorer is not None:
        summary |= {
            f"f1_{level}": round(2 * int(n) / max(boxes + objects, 1), 4) for level, n in zip(LEVELS, hits, strict=True)
        }
        summary |= {"objects": objects, "boxes": boxes}
    print(json.dumps(summary))
    return 0


if __name__ == "__main__":
    sys.exit(main())
