"""The real node with a grounder that is quick and predictable: run by the tests in a process of its own."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from n3d_ros.detection import Detection3D
from n3d_ros.errors import BackendError, CancelledError, QueryError
from n3d_ros.frame import RgbdFrame
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.inference.grounder import GroundingRequest, GroundingResult

SIZE_M = (0.2, 0.1, 0.3)


class BlockGrounder:
    """Says that a red block lies at the median depth of the picture's centre. Some phrases make it misbehave."""

    name = "block"
    device = "cpu"

    def ground(
        self,
        frame: RgbdFrame,
        request: GroundingRequest,
        *,
        on_detection: Callable[[Detection3D], None] | None = None,
        is_cancelled: Callable[[], bool] | None = None,
    ) -> GroundingResult:
        phrase = request.phrase or ""
        if phrase == "explode":
            raise RuntimeError("the backend broke")
        if phrase == "gibberish":
            raise QueryError("This phrase is not understood.")
        if phrase == "slow":
            for _ in range(500):
                if is_cancelled is not None and is_cancelled():
                    raise CancelledError("Stopped.")
                time.sleep(0.01)
        detections: tuple[Detection3D, ...] = ()
        if phrase in ("", "red block", "slow"):
            detections = (block_in(frame),)
        for detection in detections:
            if on_detection is not None:
                on_detection(detection)
        return GroundingResult(detections=detections, stage_ms={"look": 0.1})

    def close(self) -> None:
        if path := os.environ.get("N3D_TEST_CLOSED"):
            with Path(path).open("a", encoding="utf-8") as file:
                file.write("closed\n")


def block_in(frame: RgbdFrame) -> Detection3D:
    """The block on the optical axis."""
    h, w = frame.depth_m.shape
    depth = float(np.nanmedian(frame.depth_m[h // 4 : -h // 4 : 4, w // 4 : -w // 4 : 4]))
    box = Box3D(
        center=np.array([0.0, 0.0, depth]), size=np.array(SIZE_M), orientation_xyzw=np.array([0.0, 0.0, 0.0, 1.0])
    )
    return Detection3D(label="red block", box=box, score=0.9, color="red", shape="box", point_count=100)


def load_slowly() -> None:
    """Goes in and out of C++ for a minute, as what imports and loads a model does."""
    from rclpy.clock import Clock, ClockType
    from rclpy.duration import Duration

    clock = Clock(clock_type=ClockType.STEADY_TIME)
    end_s = time.monotonic() + 60.0
    sys.stdout.write("loading slowly\n")  # for who waits until it is here
    sys.stdout.flush()
    while time.monotonic() < end_s:
        clock.sleep_for(Duration(nanoseconds=100_000))


def make_grounder(_config: object) -> BlockGrounder:
    """The grounder, unless the file that N3D_TEST_HINDRANCE names exists."""
    if "N3D_TEST_HINDRANCE" in os.environ and Path(os.environ["N3D_TEST_HINDRANCE"]).exists():
        raise BackendError("The weights are not there yet.")
    if os.environ.get("N3D_TEST_SLOW_LOADING"):
        load_slowly()
    return BlockGrounder()


if __name__ == "__main__":
    from n3d_ros.ros.node import main
    from talking_grounder import make_model

    sys.exit(main(make_grounder=make_grounder, make_model=make_model))
