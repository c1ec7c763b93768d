"""What the tests of launch files and layouts share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builders import make_intrinsics
from domains import INTERFACES_DOMAIN_ID


@pytest.fixture(scope="session")
def small_bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bag with two frames of a camera called /cam."""
    from n3d_ros.ros.bag import BagWriter
    from n3d_ros.ros.rgbd_bag import RgbdBagWriter, RgbdTopics

    path = tmp_path_factory.mktemp("bags") / "small"
    topics = RgbdTopics(
        color="/cam/rgb", color_info="/cam/camera_info", depth="/cam/depth", depth_info="/cam/camera_info_depth"
    )
    with BagWriter(path) as writer:
        frames = RgbdBagWriter(writer, make_intrinsics(), frame_id="cam_optical_frame", topics=topics)
        for i in range(2):
            rgb, depth = np.zeros((48, 64, 3), np.uint8), np.full((48, 64), 1000, np.uint16)
            frames.write_frame(rgb, depth, (i + 1) * 10**9)
    return path


@pytest.fixture(scope="session")
def node_interfaces(repository: Path) -> dict[str, dict[str, str]]:
    """Topics and services of the real node as the middleware knows them: {"topics": {name: type}, "services": ...}."""
    pytest.importorskip("rclpy")
    pytest.importorskip("n3d_msgs")
    environment = dict(os.environ, ROS_AUTOMATIC_DISCOVERY_RANGE="LOCALHOST", ROS_DOMAIN_ID=str(INTERFACES_DOMAIN_ID))
    environment["PYTHONPATH"] = os.pathsep.join(
        [str(repository), str(repository / "test"), environment.get("PYTHONPATH", "")]
    )
    script = Path(__file__).with_name("node_interfaces.py")
    result = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=60, env=environment, check=False
    )
    assert result.returncode == 0, result.stderr
    interfaces: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return interfaces
