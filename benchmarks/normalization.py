#!/usr/bin/env python3
"""Says how far wrong points move the scene normalisation of the language model's input, "mean" against "robust".

Usage: python -m benchmarks.normalization [FRAMES ...] [--seed 0]

FRAMES are folders of NAME_depth.png (16-bit millimetres, Kinect of f = 525 px) or point maps demoN.npz with the keys
``pcd`` and ``intr``. A share of the measured pixels gets another depth: "near" 0.1 to 0.3 of the frame's median, "far"
four to eight times, "both" either. Printed per kind and share are, over all frames, median and maximum of how far the
corner moves, in mean distances (a whole range of depth is 2), and median and maximum of how much the scale changes. The
last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.frames import KINECT, REAL_FRAMES
from n3d_ros.codec.frame_input import measure_scene, model_point_map
from n3d_ros.frame import RgbdFrame
from n3d_ros.geometry import CameraIntrinsics, PointNormalization

KINDS = ("near", "far", "both")
SHARES = (0.001, 0.003, 0.01)
METHODS = ("mean", "robust")


def read_frames(folder: Path) -> Iterator[RgbdFrame]:
    """The frames of a folder, without colours.

    Args:
        folder: see the module.

    Yields:
        One frame per file, in the order of names.
    """
    for file in sorted([*folder.glob("*_depth.png"), *folder.glob("demo*.npz")]):
        if file.suffix == ".png":
            raw = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
            yield make_frame(np.where(raw > 0, raw / 1000, np.nan), KINECT)
        else:
            with np.load(file, allow_pickle=False) as data:
                points, k = data["pcd"].astype(np.float32), data["intr"].astype(float)
            height, width = points.shape[:2]
            camera = CameraIntrinsics(
                fx=k[0, 0] * width,
                fy=k[1, 1] * height,
                cx=k[0, 2] * width - 0.5,
                cy=k[1, 2] * height - 0.5,
                width=width,
                height=height,
            )
            yield make_frame(np.where(points[..., 3] > 0, points[..., 2], np.nan), camera)


def make_frame(depth_m: NDArray[np.floating], camera: CameraIntrinsics) -> RgbdFrame:
    """A black frame of this depth.

    Args:
        depth_m: (H, W) metres, NaN for none.
        camera: of the same size.

    Returns:
        The frame.
    """
    rgb = np.zeros((*depth_m.shape, 3), dtype=np.uint8)
    return RgbdFrame(rgb=rgb, depth_m=depth_m.astype(np.float32), intrinsics=camera, stamp_ns=0, frame_id="camera")


def with_outliers(frame: RgbdFrame, kind: str, share: float, rng: np.random.Generator) -> RgbdFrame:
    """The frame with another depth at some of its pixels.

    Args:
        frame: the clean one.
        kind: one of ``KINDS``.
        share: of the measured pixels.
        rng: chooses them.

    Returns:
        A new frame.
    """
    depth = np.array(frame.depth_m)
    measured = np.flatnonzero(np.isfinite(depth))
    places = rng.choice(measured, max(1, int(share * len(measured))), replace=False)
    median = float(np.nanmedian(depth))
    near, far = rng.uniform(0.1, 0.3, len(places)) * median, rng.uniform(4, 8, len(places)) * median
    drawn = {"near": near, "far": far, "both": np.where(rng.random(len(places)) < 0.5, near, far)}
    depth.flat[places] = drawn[kind]
    return make_frame(depth, frame.intrinsics)


def movement(clean: PointNormalization, shaken: PointNormalization) -> tuple[float, float]:
    """How far a normalisation moved.

    Args:
        clean: without wrong points.
        shaken: with them.

    Returns:
        The corner's way in mean distances, and the change of the mean distance as a share.
    """
    way = float(np.linalg.norm(shaken.offset_m - clean.offset_m)) * clean.scale_per_m
    return way, abs(clean.scale_per_m / shaken.scale_per_m - 1)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures and prints.

    Args:
        arguments: the command line's when None.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folders", nargs="*", type=Path, default=[REAL_FRAMES])
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    frames = [frame for folder in options.folders for frame in read_frames(folder)]
    maps = [model_point_map(frame, max(frame.depth_m.shape)) for frame in frames]
    clean = [measure_scene(*points).normalization for points in maps]
    left_out = [measure_scene(*points, method="robust").excluded_share for points in maps]
    print(f"{len(frames)} frames; specks in {np.count_nonzero(left_out)} of them without any added")
    rng = np.random.default_rng(options.seed)
    rows = []
    for kind in KINDS:
        for share in SHARES:
            moved: dict[str, list[tuple[float, float]]] = {method: [] for method in METHODS}
            for frame, before in zip(frames, clean, strict=True):
                shaken = model_point_map(with_outliers(frame, kind, share, rng), max(frame.depth_m.shape))
                for method in METHODS:
                    after = measure_scene(*shaken, method=method).normalization
                    moved[method].append(movement(before, after))
            row: dict[str, object] = {"kind": kind, "share": share}
            for method, values in moved.items():
                ways, scales = np.array(values).T
                row[method] = [float(np.median(ways)), float(ways.max()), float(np.median(scales)), float(scales.max())]
            rows.append(row)
            print(kind, f"{share:.1%}", *(f"{m}: {row[m]}" for m in METHODS), sep="  ")
    print(json.dumps({"frames": len(frames), "rows": rows}))


if __name__ == "__main__":
    main()
