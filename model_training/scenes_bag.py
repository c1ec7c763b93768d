"""A generated scene with a moving camera, recorded as a robot would have recorded it: images, calibration, tf.

``python -m model_training.scenes_bag --kind tabletop --seed 7 -o my_bag`` makes a rosbag2 folder, and beside the
recording ``truth.json``: the true box of every object in the frame ``map``.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from model_training.scenes import (
    CAMERA_LINK_FRAME,
    CAMERAS,
    KINDS,
    MAP_FRAME,
    OPTICAL_FRAME,
    SceneFrame,
    SceneSpec,
    generate_sequence,
)
from n3d_ros.errors import N3dError

logger = logging.getLogger(__name__)

TRUTH_FILE = "truth.json"
TRANSPORT_DELAY_NS = 4_000_000  # images are recorded a little after the pose they were taken from, as on a robot
FIRST_STAMP_NS = 1_700_000_000_000_000_000  # a plausible date: some tools take small stamps for "not set"


def write_scene_bag(
    frames: Iterable[SceneFrame],
    path: str | Path,
    *,
    compressed: bool = True,
    storage: str = "mcap",
    force: bool = False,
) -> dict[str, Any]:
    """Writes the frames of one sequence as a bag, and the truth beside it.

    Args:
        frames: of one scene, in order.
        path: folder to make.
        compressed: JPEG and compressedDepth PNG; else raw images.
        storage: "mcap" or "sqlite3".
        force: replace a bag that is there.

    Returns:
        What was written to ``truth.json``.
    """
    from n3d_ros.ros.bag import BagWriter
    from n3d_ros.ros.rgbd_bag import RgbdBagWriter, write_transform

    truth: dict[int, dict[str, Any]] = {}
    spec: SceneSpec | None = None
    count = 0
    with BagWriter(path, storage=storage, force=force) as writer:
        camera: RgbdBagWriter | None = None
        offset_ns = 0
        for scene_frame in frames:
            frame = scene_frame.frame
            if camera is None:
                spec, offset_ns = scene_frame.spec, FIRST_STAMP_NS - frame.stamp_ns
                link_T_optical = scene_frame.camera_link_T_optical
                write_transform(writer, CAMERA_LINK_FRAME, OPTICAL_FRAME, link_T_optical, FIRST_STAMP_NS, static=True)
                camera = RgbdBagWriter(writer, frame.intrinsics, frame_id=OPTICAL_FRAME, compressed=compressed)
            stamp_ns = frame.stamp_ns + offset_ns
            write_transform(writer, MAP_FRAME, CAMERA_LINK_FRAME, scene_frame.map_T_camera_link, stamp_ns)
            camera.write_frame(frame.rgb, frame.depth_m, stamp_ns, recorded_ns=stamp_ns + TRANSPORT_DELAY_NS)
            _note_truth(truth, scene_frame)
            count += 1
    objects = [truth[object_id] for object_id in sorted(truth)]
    document = {
        "spec": None if spec is None else json.loads(spec.to_json()),
        "frame_id": MAP_FRAME,
        "frames": count,
        "objects": objects,
    }
    Path(path, TRUTH_FILE).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return document


def _note_truth(truth: dict[int, dict[str, Any]], scene_frame: SceneFrame) -> None:
    """Adds what this frame shows to what is known of each object."""
    for item in scene_frame.truth:
        box = item.box_world
        entry = truth.setdefault(
            item.object_id,
            {
                "id": item.object_id,
                "category": item.category,
                "color": item.color,
                "shape": item.shape,
                "role": item.role,
                "center_m": [round(float(v), 5) for v in box.center],
                "size_m": [round(float(v), 5) for v in box.size],
                "orientation_xyzw": [round(float(v), 6) for v in box.orientation_xyzw],
                "frames_visible": 0,
                "frames_unoccluded": 0,
            },
        )
        entry["frames_visible"] += item.visible_fraction > 0.1
        entry["frames_unoccluded"] += item.is_unoccluded


def main(argv: Sequence[str] | None = None) -> int:
    """Generates a scene and records it.

    Args:
        argv: arguments; None: those of this process.

    Returns:
        Exit code.
    """
    parser = argparse.ArgumentParser(prog="python -m model_training.scenes_bag", description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", required=True, help="folder to make")
    parser.add_argument("--kind", choices=KINDS, default="tabletop", help="kind of scene")
    parser.add_argument("--seed", type=int, default=0, help="everything drawn by chance follows from it")
    parser.add_argument("--camera", choices=CAMERAS, default="realsense", help="pinhole camera")
    parser.add_argument("--noise", default="active_stereo", help="depth noise model, or none")
    parser.add_argument("--objects", type=int, nargs=2, metavar=("FEWEST", "MOST"), help="number of loose objects")
    parser.add_argument("--categories", nargs="+", default=[], help="draw loose objects from these only")
    parser.add_argument("--clutter", type=float, default=0.3, help="0: spread, 1: crowded")
    parser.add_argument("--seconds", type=float, default=4.0, help="duration")
    parser.add_argument("--rate", type=float, default=10.0, help="frames per second")
    parser.add_argument("--raw", action="store_true", help="raw images instead of JPEG and PNG")
    parser.add_argument("--storage", choices=("mcap", "sqlite3"), default="mcap", help="file format")
    parser.add_argument("--force", action="store_true", help="replace a bag of that name")
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        spec = SceneSpec(
            kind=args.kind,
            seed=args.seed,
            camera=CAMERAS[args.camera],
            depth_noise=args.noise,
            object_count=tuple(args.objects) if args.objects else None,
            categories=tuple(args.categories),
            clutter=args.clutter,
        )
        frames = generate_sequence(spec, args.seconds, args.rate)
        document = write_scene_bag(frames, args.output, compressed=not args.raw, storage=args.storage, force=args.force)
    except N3dError as error:
        logger.error("%s", error.message)
        return 1
    logger.info("%s: %d frames of %d objects.", args.output, document["frames"], len(document["objects"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
