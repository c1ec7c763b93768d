"""What colcon and setuptools see of the checkout."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def find_colcon() -> str | None:
    """The colcon beside this interpreter, or the one on the path."""
    beside = Path(sys.executable).with_name("colcon")
    return str(beside) if beside.exists() else shutil.which("colcon")


def colcon_list(*base_paths: Path | str) -> list[str]:
    """Names and build types colcon finds below the base paths."""
    colcon = find_colcon()
    if colcon is None:
        pytest.skip("colcon is not installed")
    command = [colcon, "--log-base", os.devnull, "list", "--base-paths", *map(str, base_paths)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, timeout=60)
    return [f"{line.split()[0]} {line.split()[-1]}" for line in answer.stdout.splitlines()]


def test_colcon_finds_both_packages_with_the_documented_base_paths() -> None:
    assert colcon_list(".", "msg") == ["n3d_msgs (ros.ament_cmake)", "n3d_ros (ros.ament_python)"]


def test_colcon_finds_both_packages_in_a_workspace(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src/n3d_ros").symlink_to(ROOT)
    found = colcon_list(tmp_path / "src", tmp_path / "src/n3d_ros/msg")
    assert found == ["n3d_msgs (ros.ament_cmake)", "n3d_ros (ros.ament_python)"]


def test_both_packages_name_a_maintainer_with_a_valid_address_and_a_licence() -> None:
    for path in ("package.xml", "msg/package.xml"):
        root = ElementTree.parse(ROOT / path).getroot()
        maintainer = root.find("maintainer")
        assert maintainer is not None
        assert "@" in maintainer.get("email", "")
        assert root.findtext("license") == "Apache-2.0"
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").lstrip().startswith("Apache License")


@pytest.mark.ros
def test_the_commands_are_installed() -> None:
    scripts = {entry.name: entry.value for entry in importlib.metadata.entry_points(group="console_scripts")}
    assert scripts.get("n3d") == "n3d_ros.cli.main:main"
    assert scripts.get("n3d_node") == "n3d_ros.ros.node:main"


@pytest.mark.ros
def test_the_ament_index_finds_launch_files_and_configuration() -> None:
    packages = pytest.importorskip("ament_index_python.packages")
    share = Path(packages.get_package_share_directory("n3d_ros"))
    assert (share / "package.xml").is_file()
    assert (share / "config/fastdds.xml").is_file()


def test_an_installed_copy_finds_the_page_of_reports(tmp_path: Path) -> None:
    build = [sys.executable, "setup.py", "--quiet", "build_py", "--build-lib", str(tmp_path / "installed")]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=100)
    ask = "from importlib.resources import files; import n3d_ros; print(n3d_ros.__file__)\n"
    ask += "print(files('n3d_ros.ros.report').joinpath('templates').joinpath('report.html').is_file())"
    environ = {**os.environ, "PYTHONPATH": str(tmp_path / "installed")}
    command = [sys.executable, "-c", ask]
    answer = subprocess.run(command, cwd=tmp_path, env=environ, check=True, capture_output=True, text=True, timeout=60)
    assert answer.stdout.splitlines() == [str(tmp_path / "installed/n3d_ros/__init__.py"), "True"]


def test_the_transport_profile_has_room_for_several_images() -> None:
    root = ElementTree.parse(ROOT / "config/fastdds.xml").getroot()
    name = "{http://www.eprosima.com}"
    segment = int(root.findtext(f".//{name}segment_size") or 0)
    message = int(root.findtext(f".//{name}maxMessageSize") or 0)
    pair = 640 * 480 * (3 + 2)
    assert segment >= 4 * pair
    assert message >= 1920 * 1080 * 3
    assert {element.text for element in root.iter(f"{name}type")} == {"SHM", "UDPv4"}
