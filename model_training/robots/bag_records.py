"""Frames of a recording as records without objects, evenly over its length: for what needs its pictures alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from model_training.data.pictures import depth_to_millimetres, encode_jpeg, encode_png
from model_training.data.records import FrameRecord
from model_training.robots.looking import JPEG_QUALITY, Bag, Dropped, candidates_of, up_of
from n3d_ros.errors import ConfigurationError
from n3d_ros.inference.grounder import GroundingRequest, GroundingResult
from n3d_ros.ros.bag import BagReader
from n3d_ros.ros.bag_pass import BagLook
from n3d_ros.ros.camera_topics import find_camera_topics
from n3d_ros.ros.config import NodeConfig


class _NoGrounder:
    """Finds nothing: what is wanted of the recording is its frames."""

    name, device = "frames alone", "none"

    def ground(self, frame: object, request: GroundingRequest, **_more: object) -> GroundingResult:  # noqa: ARG002
        """Nothing."""
        return GroundingResult(detections=())

    def close(self) -> None:
        """Holds nothing."""


def bag_records(path: Path, count: int) -> tuple[FrameRecord, ...]:
    """Frames of a recording, as the node makes them. Needs ROS's messages.

    Args:
        path: of the recording.
        count: how many, at most.

    Returns:
        Records without objects, evenly over those of its frames that have depth.

    Raises:
        BagError: it cannot be read.
        ConfigurationError: it has no frames with depth.
    """
    records, dropped = list[FrameRecord](), Dropped()

    def keep(look: BagLook) -> None:
        frame = look.outcome.frame
        if look.outcome.is_ok and frame is not None:
            record = FrameRecord(
                id=str(frame.stamp_ns),
                source="bag",
                split="held_out",
                image=encode_jpeg(frame.rgb, JPEG_QUALITY),
                depth_png=encode_png(depth_to_millimetres(frame.depth_m)),
                intrinsics=frame.intrinsics,
                up=up_of(look.outcome)[0],
                stamp_ns=frame.stamp_ns,
            )
            records.append(record)

    with BagReader(path) as reader:
        bag = Bag(reader=reader, topics=find_camera_topics(reader, {}), grounder=_NoGrounder(), config=NodeConfig())
        stamps = [one.stamp_ns for one in candidates_of(bag, dropped)[0]]
        chosen = {stamps[k] for k in np.linspace(0, len(stamps) - 1, min(count, len(stamps))).round().astype(int)}
        bag.walk(dropped, wants=lambda pair: pair.stamp_ns in chosen, look=keep)
    if not records:
        why = "; ".join(dropped.why.values()) or "it holds none"
        raise ConfigurationError(f"--data {path}: expected frames with depth, got none: {why}")
    return tuple(records)
