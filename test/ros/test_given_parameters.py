"""Parameters as they are given at the start: nothing that is given is dropped without a word."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from n3d_ros.errors import ConfigurationError
from n3d_ros.ros.config import NodeConfig
from n3d_ros.ros.given_parameters import check_given, misspelt
from n3d_ros.ros.parameters import parameter_specs

SPECS = parameter_specs(NodeConfig())
ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "config" / "n3d.yaml"


def check(*words: str) -> None:
    check_given(["--ros-args", *words], SPECS, "n3d")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("scene.max_departed:=x", "expected a whole number .* got 'x'"),
        ("scene.max_departed:=1.5", "expected a whole number .* got 1.5"),
        ("memory.frames_s:=5", r"write 1.0, not 1\), got 5"),
        ("memory.frames_s:=.inf", "got inf"),
        ("continuous:=5", "expected true or false, got 5"),
        ("output_frame:=7", "expected text, got 7"),
        ("n3d:scene.max_departed:=true", "got True"),
    ],
)
def test_a_value_of_another_type_is_refused_with_its_place(given: str, expected: str) -> None:
    with pytest.raises(ConfigurationError, match=expected) as caught:
        check("-p", given)
    assert caught.value.message.startswith(f"-p {given}: Parameter ")


@pytest.mark.parametrize(
    "given",
    [
        "scene.max_departed:=0x10",
        "memory.frames_s:=5.0",
        "memory.frames_s:=1e1",
        "continuous:=no",
        'output_frame:="7"',
        "output_frame:=map",
        "output_frame:=''",
        "another_node:scene.max_departed:=x",
        "of_another_node:=x",
        "scene.max_departed:=[",
    ],
)
def test_what_fits_and_what_is_not_ours_to_judge_passes(given: str) -> None:
    check("-p", given)


def test_the_shipped_file_passes_and_a_broken_one_is_left_to_rcl(tmp_path: Path) -> None:
    check("--params-file", str(SHIPPED))
    check("--params-file", str(tmp_path / "missing.yaml"))
    broken = tmp_path / "broken.yaml"
    broken.write_text("/**: [")
    check("--params-file", str(broken))


@pytest.mark.parametrize("section", ["/**", "n3d", "/robot/n3d", "/*/n3d", "/robot/**"])
def test_a_value_in_a_file_is_checked_where_the_section_is_for_this_node(tmp_path: Path, section: str) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(f"{section}:\n  ros__parameters:\n    scene:\n      max_departed: many\n")
    with pytest.raises(ConfigurationError, match=r"own\.yaml: Parameter scene\.max_departed: .* got 'many'"):
        check("--params-file", str(file))
    file.write_text("/robot/planner:\n  ros__parameters:\n    scene.max_departed: many\n")
    check("--params-file", str(file))


def test_a_name_that_is_nearly_one_of_ours_is_told_and_others_are_left_alone() -> None:
    names = [spec.name for spec in SPECS]
    assert misspelt(["memory.frmaes_s"], names) == (
        "There is no parameter 'memory.frmaes_s', so its value has no effect; did you mean 'memory.frames_s'?",
    )
    assert misspelt([*names, "use_sim_time", "qos_overrides./tf.subscription.depth", "robot_radius"], names) == ()


def test_a_value_that_rcl_would_drop_behind_the_shipped_file_ends_the_node_with_a_sentence() -> None:
    pytest.importorskip("rclpy", reason="needs ROS 2")
    pytest.importorskip("n3d_msgs", reason="needs the built interface package")
    from node_harness import PRODUCT, ros_environment

    command = [sys.executable, *PRODUCT, "--ros-args", "--params-file", str(SHIPPED), "-p", "scene.max_departed:=x"]
    ended = subprocess.run(command, env=ros_environment(), capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1, ended.stderr
    assert "Parameter scene.max_departed: expected a whole number from 0 to 1024 objects, got 'x'" in ended.stderr
