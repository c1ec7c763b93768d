"""Frames of a recording, made as the node makes them, for measurements that show the same ones time and again."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from n3d_ros.bench.frames import BenchFrames
from n3d_ros.detection import Detection3D
from n3d_ros.errors import BagError
from n3d_ros.frame import RgbdFrame
from n3d_ros.inference.grounder import GroundingRequest, GroundingResult
from n3d_ros.ros.bag import BagReader
from n3d_ros.ros.bag_pass import BagListeners, BagPass
from n3d_ros.ros.camera_topics import find_camera_topics
from n3d_ros.ros.config import NodeConfig

MIN_RATE_HZ = 0.01  # of images that are taken: a recording of hours gives some all the same


class _Collector:
    """A grounder that keeps the frames it is shown and finds nothing."""

    name, device = "collector", "none"

    def __init__(self) -> None:
        self.frames: list[RgbdFrame] = []

    def ground(
        self,
        frame: RgbdFrame,
        request: GroundingRequest,  # noqa: ARG002 (the protocol's)
        *,
        on_detection: Callable[[Detection3D], None] | None = None,  # noqa: ARG002 (the protocol's)
        is_cancelled: Callable[[], bool] | None = None,  # noqa: ARG002 (the protocol's)
    ) -> GroundingResult:
        """Nothing found; the frame is kept."""
        self.frames.append(frame)
        return GroundingResult(detections=())

    def close(self) -> None:
        """Nothing to free."""


def bag_frames(path: str, count: int, topics: Mapping[str, str | None]) -> BenchFrames:
    """Frames of a recording, spread over it.

    Args:
        path: rosbag2 folder, or one .mcap or .db3 file.
        count: at most so many.
        topics: the user's, by role, as ``find_camera_topics`` takes them.

    Returns:
        Frames of the first one's size.

    Raises:
        BagError: it cannot be read, or gives no pair of images.
    """
    collector, reasons = _Collector(), list[str]()
    with BagReader(path) as reader:
        found = find_camera_topics(reader, dict(topics), with_depth=True)
        rate_hz = max(MIN_RATE_HZ, count / max(reader.duration_ns / 1e9, 1e-3))
        listeners = BagListeners(drop=(lambda reason, sentence, _at: _note(reasons, reason, sentence),))
        once = BagPass(reader, found, collector, NodeConfig(continuous_rate_hz=min(rate_hz, 1000.0)), listeners)
        once.run(should_stop=lambda: len(collector.frames) >= count)
    if not collector.frames:
        raise BagError(
            f"{path}: expected colour images with depth, none could be used. {' '.join(reasons[:1])}".strip()
        )
    size = collector.frames[0].intrinsics
    source = f"{len(collector.frames)} frames of the recording named, {size.width}x{size.height}"
    return BenchFrames.of_frames(collector.frames, source)


def _note(reasons: list[str], reason: str, sentence: str) -> None:
    """Keeps why an image was of no use."""
    if reason != "paced":
        reasons.append(sentence)
