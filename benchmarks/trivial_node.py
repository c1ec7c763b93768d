"""The real node with a grounder that does nothing but report one box: what remains is the ROS side alone."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np

from n3d_ros.detection import Detection3D
from n3d_ros.frame import RgbdFrame
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.inference.grounder import GroundingRequest, GroundingResult
from n3d_ros.ros.config import NodeConfig
from n3d_ros.ros.node import main

PATCH_PX = 40  # side of the square in the middle of the image that the box is made from


class TrivialGrounder:
    """Answers with one box around the middle of the image: the least a grounder can do."""

    name = "trivial"
    device = "cpu"

    def ground(
        self,
        frame: RgbdFrame,
        request: GroundingRequest,  # noqa: ARG002 (the protocol's)
        *,
        on_detection: Callable[[Detection3D], None] | None = None,
        is_cancelled: Callable[[], bool] | None = None,  # noqa: ARG002 (the protocol's)
    ) -> GroundingResult:
        """One box.

        Args:
            frame: the look.
            request: not read.
            on_detection: told of the box.
            is_cancelled: not asked.

        Returns:
            The box in the middle, when there is depth.
        """
        camera = frame.intrinsics
        u, v = camera.width // 2, camera.height // 2
        depth = frame.depth_m[v - PATCH_PX // 2 : v + PATCH_PX // 2, u - PATCH_PX // 2 : u + PATCH_PX // 2]
        known = depth[np.isfinite(depth)]
        if not known.size:
            return GroundingResult(detections=())
        z = float(np.median(known))
        side = PATCH_PX * z / camera.fx
        center = np.array([(u - camera.cx) * z / camera.fx, (v - camera.cy) * z / camera.fy, z])
        found = Detection3D(label="patch", box=Box3D.axis_aligned(center, [side, side, side]))
        if on_detection is not None:
            on_detection(found)
        return GroundingResult(detections=(found,))

    def close(self) -> None:
        """Nothing to free."""


def make_trivial(config: NodeConfig) -> TrivialGrounder:  # noqa: ARG001 (the node's factory)
    """The trivial grounder, whatever the parameters name.

    Args:
        config: not read.

    Returns:
        The grounder.
    """
    return TrivialGrounder()


if __name__ == "__main__":
    sys.exit(main(make_grounder=make_trivial))
