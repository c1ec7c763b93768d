"""The launch files with the real launch, where it is installed together with this package (a colcon workspace)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from domains import LAUNCH_DOMAIN_ID

PROOF = Path(__file__).with_name("proof_of_life.py")


@pytest.mark.ros
@pytest.mark.slow
def test_the_launch_file_brings_a_node_that_finds_and_answers(repository: Path, tmp_path: Path) -> None:
    pytest.importorskip("launch_testing", reason="launch is not installed here; the stand-in checks the files instead")
    pytest.importorskip("launch_ros")
    from ament_index_python.packages import PackageNotFoundError, get_package_prefix

    try:
        executable = Path(get_package_prefix("n3d_ros")) / "lib" / "n3d_ros" / "n3d_node"
    except PackageNotFoundError:
        pytest.skip("n3d_ros is not built as a ROS package here (colcon build)")
    if not executable.is_file():
        pytest.skip(f"{executable} is not there: build n3d_ros with colcon")
    environment = dict(
        os.environ,
        ROS_DOMAIN_ID=str(LAUNCH_DOMAIN_ID),
        ROS_AUTOMATIC_DISCOVERY_RANGE="LOCALHOST",
        ROS_LOG_DIR=str(tmp_path),
    )
    result = subprocess.run(
        [sys.executable, "-m", "launch_testing.launch_test", str(PROOF)],
        capture_output=True,
        text=True,
        timeout=110,
        env=environment,
        cwd=tmp_path,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
