"""Everything between a bare machine and a working checkout, in steps that are each skipped when nothing changed.

Uses the standard library only, because it runs before anything is installed. Two worlds (docs/dependencies.md):

* no ROS sourced: ROS 2 Kilted comes from pip into ``.venv``, and colcon builds the interface packages against it;
* a distribution sourced (``ROS_DISTRO`` is set and rclpy imports): ``.venv`` sees the distribution's packages, pip adds
  only what has no rosdep key, and colcon builds ``n3d_msgs`` against the distribution.

On request there are further steps: ``--model`` (torch, transformers; a torch that is there and new enough is kept),
``--view`` (the page of `n3d view`), ``--eval`` (Open3D for `n3d depth eval`), ``--train`` (Ray, pyarrow, peft and more
for data sets and training; with ``--model``) and ``--docs`` (what builds the documentation).

A step writes its stamp when it is done. A step that was killed leaves a mark instead, and the next run makes what that
step makes from nothing.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Raise when the steps themselves change, so that existing environments are brought up to date.
REVISION = 1
OLDEST_PYTHON = (3, 10)
# What builds the documentation needs a newer one.
OLDEST_DOCS_PYTHON = (3, 11)
# Steps that run only when they are asked for, with what `--help` says of each.
EXTRAS = {
    "model": "install the extra [model] too: torch and transformers",
    "view": "install the extra [view] too: the page of `n3d view`",
    "eval": "install the extra [eval] too: Open3D, for the reconstructions of `n3d depth eval`",
    "train": "install the extra [train] too: Ray, pyarrow, peft and more, for data sets and training; with [model]",
    "docs": "install what builds the documentation too",
}
# Extras that stand on another one: what is installed first.
FOUNDATIONS = {"train": ("model",)}
# What Open3D's wheel links and does not bring, with the Debian packages.
EVAL_LIBRARIES = {
    "libusb-1.0.so.0": "libusb-1.0-0",
    "libX11.so.6": "libx11-6",
    "libudev.so.1": "libudev1",
    "libidn2.so.0": "libidn2-0",
}
LOG_TAIL_LINES = 25
# Seconds between signs of life of a long step when no terminal is attached, such as in CI.
PROGRESS_PERIOD_S = 20.0
# Installed into .venv in both worlds: they install n3d_ros there, and nothing outside .venv sees them.
BUILD_TOOLS = ("setuptools", "wheel")
# What the ROS wheels exist for.
WHEEL_MACHINE = "x86_64"
NEWEST_WHEEL_PYTHON = (3, 14)
# What the model's tests ran with first, and the oldest that has all it uses.
OLDEST_TORCH = (2, 11)
# Where the wheels were built; their cmake files still point there.
WHEEL_INCLUDE = re.compile(r"/opt/python/cp\d+-cp\d+/include/python3\.\d+")
WHEEL_NUMPY = re.compile(r"/opt/python/cp\d+-cp\d+/lib/python3\.\d+/site-packages/numpy/_?core/include")

TF2_MSGS = {
    "package.xml": """<?xml version="1.0"?>
<package format="3">
  <name>tf2_msgs</name>
  <version>0.0.0</version>
  <description>The message of /tf and /tf_static, generated because pip has no package of it.</description>
  <maintainer email="maintainers@n3d-ros.example">n3d_ros maintainers</maintainer>
  <license>Apache-2.0</license>
  <buildtool_depend>ament_cmake</buildtool_depend>
  <buildtool_depend>rosidl_default_generators</buildtool_depend>
  <depend>geometry_msgs</depend>
  <exec_depend>rosidl_default_runtime</exec_depend>
  <member_of_group>rosidl_interface_packages</member_of_group>
  <export><build_type>ament_cmake</build_type></export>
</package>
""",
    "CMakeLists.txt": """cmake_minimum_required(VERSION 3.16)
project(tf2_msgs)
find_package(ament_cmake REQUIRED)
find_package(geometry_msgs REQUIRED)
find_package(rosidl_default_generators REQUIRED)
rosidl_generate_interfaces(${PROJECT_NAME} "msg/TFMessage.msg" DEPENDENCIES geometry_msgs)
ament_export_dependencies(rosidl_default_runtime)
ament_package()
""",
    "msg/TFMessage.msg": "geometry_msgs/TransformStamped[] transforms\n",
}

ENVIRONMENT_SCRIPT = """\
# Source this (bash, zsh, dash) to use ROS 2, the interface packages and the commands of this checkout.
# Written by `make setup`.
_n3d_root={root}
_n3d_prepend() {{ # name, folder: the folder comes first in that variable, once
  eval "_n3d_old=\\${{$1:-}}"
  case ":$_n3d_old:" in *":$2:"*) ;; *) eval "export $1=\\"\\$2\\${{_n3d_old:+:\\$_n3d_old}}\\"" ;; esac
}}
_n3d_prepend PATH "$_n3d_root/.venv/bin"
{prefixes}export FASTDDS_DEFAULT_PROFILES_FILE="${{FASTDDS_DEFAULT_PROFILES_FILE:-$_n3d_root/config/fastdds.xml}}"
case "${{ROS_DISTRO:-}}" in # later releases call the old name deprecated, in every process
  humble|iron|jazzy)
    export FASTRTPS_DEFAULT_PROFILES_FILE="${{FASTRTPS_DEFAULT_PROFILES_FILE:-$_n3d_root/config/fastdds.xml}}" ;;
esac
unset _n3d_root _n3d_old
unset -f _n3d_prepend
"""

# The prefixes of the two worlds. The wheels bring no local_setup files, and colcon's knows no prefix below it then.
WHEEL_PREFIXES = """\
_n3d_prepend AMENT_PREFIX_PATH "$_n3d_root/.venv"
_n3d_prepend AMENT_PREFIX_PATH "$_n3d_root/.ros/install"
_n3d_prepend CMAKE_PREFIX_PATH "$_n3d_root/.venv"
_n3d_prepend CMAKE_PREFIX_PATH "$_n3d_root/.ros/install"
_n3d_prepend PYTHONPATH "$_n3d_root/.ros/install/{site_packages}"
_n3d_prepend LD_LIBRARY_PATH "$_n3d_root/.ros/install/lib"
"""
DISTRIBUTION_PREFIXES = """\
COLCON_CURRENT_PREFIX="$_n3d_root/.ros/install"
. "$COLCON_CURRENT_PREFIX/local_setup.sh"
unset COLCON_CURRENT_PREFIX
"""

# Read by the interpreter of .venv at its start, before the ROS wheels' own start-up file sets the library path.
STARTUP_MODULE = '''\
"""Finds the interface packages of this checkout without a sourced shell. Written by `make setup`."""

import os


def _append(name: str, folder: str) -> None:
    # Behind what is there: a workspace that the user sourced comes first.
    parts = [part for part in os.environ.get(name, "").split(os.pathsep) if part]
    if folder not in parts:
        os.environ[name] = os.pathsep.join([*parts, folder])


_append("AMENT_PREFIX_PATH", {install!r})
_append("AMENT_PREFIX_PATH", {venv!r})
_append("LD_LIBRARY_PATH", {install!r} + "/lib")
'''


class SetupError(Exception):
    """Set-up cannot go on; the message says what to do."""


@dataclass(frozen=True)
class World:
    """Where ROS comes from.

    Args:
        distro: name of the sourced distribution, such as "jazzy"; None when ROS comes from pip.
    """

    distro: str | None

    @property
    def name(self) -> str:
        """The world in words."""
        return f"ROS distribution {self.distro}" if self.distro else "ROS 2 Kilted from pip"


@dataclass(frozen=True)
class Requirement:
    """One line of a requirements file.

    Args:
        pin: what pip reads: name, version and environment marker.
        name: name of the distribution package on PyPI, normalised.
        rosdep: rosdep key; None for "pip only" and for what only the world of wheels needs.
        applies: whether the environment marker holds for this interpreter.
    """

    pin: str
    name: str
    rosdep: str | None
    applies: bool


@dataclass(frozen=True)
class Step:
    """One step of the set-up.

    Args:
        name: file name of its stamp.
        home: folder that what it makes lies in, with its stamp.
        title: what is shown while it runs.
        inputs: text that changes when the step must run again.
        run: does it.
        clean: removes what a killed run may have left half made.
        products: paths that must exist for the stamp to count.
    """

    name: str
    home: Path
    title: str
    inputs: str
    run: Callable[[], None]
    clean: Callable[[], None]
    products: tuple[Path, ...]


# -------------------------------------------------------------------------------------------------------------- helpers


def digest(*parts: str | bytes) -> str:
    """Hex digest over the parts, each with its length, so that no two lists collide."""
    value = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        value.update(len(data).to_bytes(8, "little") + data)
    return value.hexdigest()


def files_digest(root: Path, paths: Iterable[Path]) -> str:
    """Hex digest over names and contents of the files; folders count with all files below them."""
    files: list[Path] = []
    for path in paths:
        files += sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return digest(*(part for file in files for part in (str(file.relative_to(root)), file.read_bytes())))


def write_atomically(path: Path, text: str) -> None:
    """Nothing; the file has the text or is as it was, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def remove(*folders: Path) -> None:
    """Nothing; the folders and all below them are gone."""
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def marker_holds(marker: str, version: tuple[int, int]) -> bool:
    """Whether a requirement's marker holds; the only form used here is ``python_version < "3.11"`` and ``>=``."""
    match = re.fullmatch(r'\s*python_version\s*(<|>=)\s*"3\.(\d+)"\s*', marker)
    if match is None:
        raise SetupError(f"requirements: cannot read the marker '{marker}'; write python_version < or >= \"3.x\"")
    below = version < (3, int(match[2]))
    return below if match[1] == "<" else not below


def read_requirements(path: Path, version: tuple[int, int] = sys.version_info[:2]) -> list[Requirement]:
    """All requirements of a file, in its order."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        pin, _, note = line.partition("#")
        if not pin.strip():
            continue
        name = re.match(r"[A-Za-z0-9._-]+", pin.strip())
        if name is None:
            raise SetupError(f"{path.name}: cannot read '{line}'")
        key = re.search(r"rosdep:\s*([\w-]+)", note)
        _, _, marker = pin.partition(";")
        found.append(
            Requirement(
                pin=pin.strip(),
                name=re.sub(r"[-_.]+", "-", name[0]).lower(),
                rosdep=key[1] if key else None,
                applies=not marker or marker_holds(marker, version),
            )
        )
    return found


class Reporter:
    """Shows progress and keeps the full output of commands in a log file.

    Args:
        log: file that every command's output is appended to.
        total: number of steps.
    """

    def __init__(self, log: Path, total: int) -> None:
        self.log = log
        self.total = total
        self.terminal = sys.stdout.isatty()

    def say(self, text: str) -> None:
        """Nothing; prints a line."""
        print(text, flush=True)

    def run(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        """Nothing; raises SetupError with the end of the log when the command fails."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            log.write(f"\n$ {' '.join(command)}\n".encode())
            log.flush()
            begin = log.tell()
            process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=environment, cwd=ROOT
            )
            try:
                self._wait(process)
            finally:
                if process.poll() is None:
                    process.terminate()
                    process.wait()
        if process.returncode:
            output = self.log.read_bytes()[begin:].decode(errors="replace").splitlines()
            tail = "\n".join("    " + line for line in output[-LOG_TAIL_LINES:])
            raise SetupError(f"this command failed with code {process.returncode}:\n    {' '.join(command)}\n{tail}")

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        """Nothing; returns when the process has ended, and shows that time goes by."""
        start = shown = time.monotonic()
        while process.poll() is None:
            time.sleep(0.1)
            now = time.monotonic()
            if self.terminal and now - shown >= 1.0:
                print(f"\r      {now - start:4.0f} s  {self._last_line():<90.90}", end="", flush=True)
                shown = now
            elif not self.terminal and now - shown >= PROGRESS_PERIOD_S:
                self.say(f"      {now - start:4.0f} s  {self._last_line():.90}")
                shown = now
        if self.terminal:
            print("\r" + " " * 104 + "\r", end="", flush=True)

    def _last_line(self) -> str:
        """The newest line of the log."""
        with self.log.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - 2000))
            lines = log.read().decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")


# -------------------------------------------------------------------------------------------- 1: what the system brings


def missing_system_packages(world: World) -> list[str]:
    """Debian and Ubuntu packages that the set-up or the product needs and that are not here."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    system_python = Path(sys.base_prefix) == Path("/usr")
    has_venv = importlib.util.find_spec("venv") is not None and importlib.util.find_spec("ensurepip") is not None
    header = Path(sysconfig.get_paths()["include"]) / "Python.h"
    checks = [
        ("g++", shutil.which("c++") or shutil.which("g++")),
        ("cmake", shutil.which("cmake")),
        ("make", shutil.which("make")),
        (f"python{version}-venv" if system_python else "", has_venv),
        (f"python{version}-dev" if system_python else "", header.is_file()),
        ("libegl1", has_library("libEGL.so.1")),
        ("libgl1-mesa-dri", has_library("libEGL_mesa.so.0")),
        ("libegl-mesa0", has_library("libEGL_mesa.so.0")),
        ("libgl1", has_library("libGL.so.1")),
    ]
    missing = [package for package, present in checks if not present]
    if "" in missing:
        raise SetupError(
            f"the Python at {sys.executable} has no venv module or no C headers (Python.h). Install one that has "
            "both, or use the system's: make setup PYTHON=/usr/bin/python3"
        )
    if world.distro:
        missing += missing_distribution_packages()
    return missing


def has_library(name: str) -> bool:
    """Whether the dynamic loader finds the library."""
    folders = [
        *os.environ.get("LD_LIBRARY_PATH", "").split(":"),
        "/lib",
        "/usr/lib",
        "/usr/local/lib",
        "/lib64",
        "/usr/lib64",
    ]
    folders += [f"/usr/lib/{platform.machine()}-linux-gnu", f"/lib/{platform.machine()}-linux-gnu"]
    return any(folder and Path(folder, name).exists() for folder in folders)


def missing_distribution_packages() -> list[str]:
    """Debian names of what a distribution installs through rosdep and this interpreter cannot import."""
    modules = {
        "numpy": "numpy",
        "scipy": "scipy",
        "opencv-python-headless": "cv2",
        "pyyaml": "yaml",
        "pillow": "PIL",
        "tqdm": "tqdm",
    }
    modules |= {"pytest": "pytest", "hypothesis": "hypothesis"}
    lines = read_requirements(ROOT / "requirements/base.txt") + read_requirements(ROOT / "requirements/test.txt")
    wanted = [line for line in lines if line.rosdep and line.applies]
    # These rosdep keys are named as their Debian packages.
    missing = [line.rosdep for line in wanted if line.rosdep and importlib.util.find_spec(modules[line.name]) is None]
    return missing if shutil.which("colcon") else [*missing, "python3-colcon-common-extensions"]


def install_system_packages(world: World, report: Reporter) -> None:
    """Nothing; installs what is missing as root, otherwise raises SetupError with the command to run."""
    install_with_apt(lambda: missing_system_packages(world), report)


def install_with_apt(find_missing: Callable[[], list[str]], report: Reporter) -> None:
    """Nothing; installs the packages found missing, as root, otherwise raises SetupError with the command to run."""
    missing = sorted(set(find_missing()))
    if not missing:
        return
    command = ["apt-get", "install", "-y", "--no-install-recommends", *missing]
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise SetupError(f"system packages are missing. Run this and start again:\n    sudo {' '.join(command)}")
    report.say(f"      installing {' '.join(missing)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    report.run(["apt-get", "update"], environment)
    report.run(command, environment)
    left = find_missing()
    if left:
        raise SetupError(f"still missing after apt-get: {' '.join(left)}")


# ----------------------------------------------------------------------------------------- 2 to 4: .venv and its wheels


def detect_world() -> World:
    """The distribution that is sourced and usable by this interpreter, or the world of pip."""
    distro = os.environ.get("ROS_DISTRO")
    if not distro:
        check_wheels_exist()
        return World(None)
    found = importlib.util.find_spec("rclpy")
    if found is None or found.origin is None:
        version = platform.python_version()
        raise SetupError(
            f"ROS_DISTRO is '{distro}', but Python {version} ({sys.executable}) cannot import rclpy. Source the "
            f"distribution (. /opt/ros/{distro}/setup.sh) and use its Python: make setup PYTHON=/usr/bin/python3. To "
            "use ROS 2 from pip instead: unset ROS_DISTRO"
        )
    return World(distro)


def check_wheels_exist() -> None:
    """Nothing; raises SetupError where ROS 2 cannot come from pip."""
    version = platform.python_version()
    if platform.machine() != WHEEL_MACHINE:
        raise SetupError(
            f"ROS 2 comes as wheels for {WHEEL_MACHINE} only, this is {platform.machine()}. Install a ROS distribution "
            "(Humble, Jazzy or Kilted), source it and run this again."
        )
    if sys.version_info[:2] > NEWEST_WHEEL_PYTHON:
        raise SetupError(
            f"there are no ROS 2 wheels for Python {version} yet; name an older one: make setup PYTHON=python3.12"
        )


def make_environment(venv: Path, world: World, report: Reporter) -> None:
    """Nothing; makes an empty virtual environment where there is none for this interpreter and world."""
    if (venv / "bin/python").exists():
        shutil.rmtree(venv)
    options = ["--system-site-packages"] if world.distro else []
    report.run([sys.executable, "-m", "venv", *options, str(venv)])


def install_packages(venv: Path, world: World, report: Reporter) -> None:
    """Nothing; installs the pinned packages, less those that come from the distribution."""
    lines = [
        line for name in ("base", "scenes", "test") for line in read_requirements(ROOT / f"requirements/{name}.txt")
    ]
    if not world.distro:
        pip_install(venv, [line.pin for line in lines], [ROOT / "requirements/constraints.txt"], report)
        return
    held = venv / "held_by_distribution.txt"
    versions = [(name, version) for name, version in installed_versions() if name not in BUILD_TOOLS]
    write_atomically(held, "".join(f"{name}=={version}\n" for name, version in versions))
    lines += [line for line in read_requirements(ROOT / "requirements/ros.txt") if line.name in BUILD_TOOLS]
    pip_install(venv, [line.pin for line in lines if line.rosdep is None and line.applies], [held], report)


def installed_versions() -> Iterator[tuple[str, str]]:
    """Name and version of every Python package this interpreter sees; pip must not put others in front of them."""
    from importlib.metadata import distributions

    for found in distributions():
        name = found.metadata["Name"]
        if name and re.fullmatch(r"[A-Za-z0-9._-]+", name) and re.fullmatch(r"\d[\w.!+]*", found.version or ""):
            yield name, found.version


def pip_install(venv: Path, pins: Sequence[str], constraints: Sequence[Path], report: Reporter) -> None:
    """Nothing; raises SetupError when pip fails."""
    options = [option for path in constraints for option in ("-c", str(path))]
    python = str(venv / "bin/python")
    report.run(
        [python, "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "off", *options, *pins]
    )


def install_ros(venv: Path, report: Reporter) -> None:
    """Nothing; installs the ROS wheels and points their cmake files to this interpreter."""
    pins = [line.pin for line in read_requirements(ROOT / "requirements/ros.txt")]
    pip_install(venv, pins, [ROOT / "requirements/constraints.txt"], report)
    patch_wheels(venv)


def patch_wheels(venv: Path, include: str | None = None, numpy_include: str | None = None) -> list[Path]:
    """Files that were changed: cmake files of the wheels that named folders of the machine the wheels were built on.

    Args:
        venv: the virtual environment with the wheels.
        include: folder of Python.h; None = ask the environment.
        numpy_include: folder of numpy's headers; None = ask the environment.
    """
    if include is None or numpy_include is None:
        code = "import sysconfig, numpy; print(sysconfig.get_paths()['include']); print(numpy.get_include())"
        answer = subprocess.run([str(venv / "bin/python"), "-c", code], check=True, capture_output=True, text=True)
        include, numpy_include = answer.stdout.split("\n")[:2]
    changed = []
    for path in sorted((venv / "share").rglob("*.cmake")):
        before = path.read_text(encoding="utf-8")
        # Functions, because a replacement string would interpret backslashes.
        after = WHEEL_INCLUDE.sub(lambda _: include, WHEEL_NUMPY.sub(lambda _: numpy_include, before))
        if after != before:
            write_atomically(path, after)
            changed.append(path)
    return changed


# ------------------------------------------------------------------------------------------------ 5: interface packages


def build_interfaces(venv: Path, workspace: Path, world: World, report: Reporter) -> None:
    """Nothing; builds n3d_msgs, and tf2_msgs where no distribution brings it, into ``workspace``/install."""
    sources = ["msg"]
    if not world.distro:
        for name, text in TF2_MSGS.items():
            write_atomically(workspace / "src/tf2_msgs" / name, text)
        sources.append(str(workspace / "src"))
    colcon = str(venv / "bin/colcon") if not world.distro else shutil.which("colcon") or "colcon"
    command = [colcon, "--log-base", str(workspace / "log"), "build", "--merge-install", "--base-paths", *sources]
    command += ["--build-base", str(workspace / "build"), "--install-base", str(workspace / "install")]
    command += ["--event-handlers", "console_direct+", "--cmake-args", "-DBUILD_TESTING=OFF"]
    if not world.distro:
        command.append(f"-DPython3_EXECUTABLE={venv / 'bin/python'}")
    report.run(command, build_variables(venv, world))


def build_variables(venv: Path, world: World) -> dict[str, str]:
    """Environment for colcon: the caller's, and where ROS is a set of wheels, their prefix first."""
    variables = dict(os.environ)
    if world.distro:
        return variables
    # A half sourced shell must not mix another prefix in.
    for name in ("AMENT_PREFIX_PATH", "CMAKE_PREFIX_PATH", "COLCON_PREFIX_PATH", "PYTHONPATH"):
        variables.pop(name, None)
    variables |= {"AMENT_PREFIX_PATH": str(venv), "CMAKE_PREFIX_PATH": str(venv), "PYTHONWARNINGS": "ignore"}
    variables["PATH"] = f"{venv / 'bin'}:{variables['PATH']}"
    return variables


# ------------------------------------------------------------------------------------------------ 6: the package itself


def install_project(venv: Path, workspace: Path, world: World, report: Reporter) -> None:
    """Nothing; makes `n3d` and the checkout's modules available in .venv, and the files that set the environment."""
    python = str(venv / "bin/python")
    command = [
        python,
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--no-deps",
        "--no-build-isolation",
        "--use-pep517",
    ]
    report.run([*command, "--config-settings", "editable_mode=compat", "--editable", str(ROOT)])
    link_share(workspace / "install")
    site_packages = str(site_packages_of(venv).relative_to(venv))
    prefixes = DISTRIBUTION_PREFIXES if world.distro else WHEEL_PREFIXES.format(site_packages=site_packages)
    root = "'" + str(ROOT).replace("'", "'\\''") + "'"
    script = ENVIRONMENT_SCRIPT.format(root=root, prefixes=prefixes)
    write_atomically(venv / "ros_env.sh", script)
    if not world.distro:
        packages = site_packages_of(venv)
        install = str(workspace / "install")
        write_atomically(packages / "n3d_workspace.py", STARTUP_MODULE.format(venv=str(venv), install=install))
        write_atomically(packages / "n3d_workspace.pth", f"{install}/{site_packages}\nimport n3d_workspace\n")


def link_share(install: Path) -> None:
    """Nothing; lets the ament index find this checkout's launch files, configuration and demo as package n3d_ros."""
    share = install / "share/n3d_ros"
    share.mkdir(parents=True, exist_ok=True)
    for name in ("launch", "config", "demo", "package.xml"):
        link = share / name
        if link.is_symlink():
            link.unlink()
        link.symlink_to(ROOT / name)
    write_atomically(install / "share/ament_index/resource_index/packages/n3d_ros", "")


# ---------------------------------------------------------------------- 7, on request: the extras and the documentation


@dataclass(frozen=True)
class FoundTorch:
    """A torch that an interpreter imports.

    Args:
        version: as torch says it, such as "2.13.0+cpu".
        folder: site-packages or dist-packages it lies in.
    """

    version: str
    folder: str

    @property
    def is_new_enough(self) -> bool:
        """Whether the model runs with it."""
        match = re.match(r"(\d+)\.(\d+)", self.version)
        return match is not None and (int(match[1]), int(match[2])) >= OLDEST_TORCH


def find_torch(python: Path | str) -> FoundTorch | None:
    """The torch that this interpreter imports; None where it has none or its torch does not load."""
    code = "import pathlib, torch; print(torch.__version__); print(pathlib.Path(torch.__file__).resolve().parents[1])"
    answer = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=False, cwd="/")
    lines = answer.stdout.splitlines()
    return FoundTorch(lines[0], lines[1]) if answer.returncode == 0 and len(lines) == 2 else None


def kept_torch(venv: Path, report: Reporter) -> FoundTorch | None:
    """The torch that stays in use: in .venv, or of the interpreter behind it, as on a Jetson; None: one is installed.

    .venv sees the interpreter's torch through a path file, behind everything of its own.
    """
    found = find_torch(venv / "bin/python")
    if found is None:
        found = find_torch(sys.executable)
        if found is not None and found.is_new_enough:
            write_atomically(site_packages_of(venv) / "n3d_system_torch.pth", found.folder + "\n")
    if found is None:
        return None
    if not found.is_new_enough:
        wanted = ".".join(map(str, OLDEST_TORCH))
        report.say(f"      torch {found.version} is too old (needs {wanted} or newer); .venv gets its own")
        return None
    report.say(f"      keeping torch {found.version} in {found.folder}")
    return found


def install_model(venv: Path, world: World, report: Reporter) -> None:
    """Nothing; installs the extra [model] and moves no package that the steps before it installed."""
    lines = read_requirements(ROOT / "requirements/model.txt")
    kept = kept_torch(venv, report)
    pins = [line.pin for line in lines if not (kept and line.name == "torch")]
    pip_install(venv, pins, [ROOT / "requirements/constraints.txt", held_for_extras(venv, world)], report)
    # The first import writes the byte code, so that the first command is not slower than the second.
    report.run([str(venv / "bin/python"), "-c", "import torch, transformers, tokenizers, safetensors"])
    found = find_torch(venv / "bin/python")
    report.say(f"      torch {found.version if found else 'cannot be imported'}")


def install_view(venv: Path, world: World, report: Reporter) -> None:
    """Nothing; installs the extra [view] and moves no package that the steps before it installed."""
    install_extra("view", venv, world, report)
    report.run([str(venv / "bin/python"), "-c", "import viser"])


def install_eval(venv: Path, world: World, report: Reporter) -> None:
    """Nothing; installs the extra [eval] and moves no package that the steps before it installed."""
    install_with_apt(missing_eval_packages, report)
    install_extra("eval", venv, world, report)
    report.run([str(venv / "bin/python"), "-c", "import open3d"])


def install_train(venv: Path, world: World, report: Reporter) -> None:
    """Nothing; installs the extra [train] on top of [model] and moves no package that the steps before it installed."""
    install_extra("train", venv, world, report)
    report.run([str(venv / "bin/python"), "-c", "import ray.data, pyarrow.parquet, datasets, accelerate, peft"])


def missing_eval_packages() -> list[str]:
    """Debian packages of the libraries that Open3D's wheel links and that are not here."""
    return [package for library, package in EVAL_LIBRARIES.items() if not has_library(library)]


def install_docs(venv: Path, world: World, report: Reporter) -> None:
    """Nothing; installs what builds the documentation and moves no package that the steps before it installed."""
    if sys.version_info[:2] < OLDEST_DOCS_PYTHON:
        raise SetupError(
            f"the documentation is built with Python 3.11 or newer, this is {platform.python_version()}. Name one: "
            "make docs PYTHON=python3.11 (it makes .venv anew)"
        )
    install_extra("docs", venv, world, report)


def install_extra(name: str, venv: Path, world: World, report: Reporter) -> None:
    """Nothing; installs requirements/NAME.txt beside what is there."""
    pins = [line.pin for line in read_requirements(ROOT / f"requirements/{name}.txt")]
    pip_install(venv, pins, [ROOT / "requirements/constraints.txt", held_for_extras(venv, world)], report)


def held_for_extras(venv: Path, world: World) -> Path:
    """File with the version of every package that is asked for elsewhere: the distribution's where it has one."""
    files = ("base", "scenes", "test", "ros")
    lines = [line for name in files for line in read_requirements(ROOT / f"requirements/{name}.txt") if line.applies]
    # pip takes no extras in constraints.
    held = {line.name: re.sub(r"\[.*?\]", "", line.pin.partition(";")[0]).strip() for line in lines}
    if world.distro:
        shared = {line.name for line in lines if line.rosdep}
        for name, version in installed_versions():
            normal = re.sub(r"[-_.]+", "-", name).lower()
            if normal in shared:
                held[normal] = f"{normal}=={version}"
    path = venv / "held_for_extras.txt"
    write_atomically(path, "".join(f"{pin}\n" for pin in held.values()))
    return path


def site_packages_of(venv: Path) -> Path:
    """The folder of .venv that its interpreter imports from."""
    return venv / f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"


# -------------------------------------------------------------------------------------------------- the steps, in order


def plan(venv: Path, workspace: Path, world: World, report: Reporter) -> list[Step]:
    """The steps of this world, in order, those on request last; inputs contain those of the steps below."""
    requirements = ROOT / "requirements"

    environment = digest(str(REVISION), platform.python_version(), sys.base_prefix, world.name, str(ROOT))
    names = ("base", "scenes", "test", "constraints")
    packages = digest(environment, files_digest(ROOT, [requirements / f"{name}.txt" for name in names]))
    ros = digest(environment, files_digest(ROOT, [requirements / "ros.txt", requirements / "constraints.txt"]))
    prefix = os.environ.get("AMENT_PREFIX_PATH", "") if world.distro else ""
    interfaces = digest(ros, prefix, *TF2_MSGS.values(), files_digest(ROOT, [ROOT / "msg"]))
    texts = ENVIRONMENT_SCRIPT + WHEEL_PREFIXES + DISTRIBUTION_PREFIXES + STARTUP_MODULE
    project = digest(
        environment,
        texts,
        files_digest(ROOT, [ROOT / "setup.py", ROOT / "setup.cfg"]),
        files_digest(ROOT, [requirements / f"{name}.txt" for name in ("model", "view", "eval", "train")]),
    )
    install = workspace / "install"

    def extra_step(name: str, title: str, product: str, run: Callable[[Path, World, Reporter], None]) -> Step:
        # Of one of EXTRAS; ``product``: the package in site-packages by which one sees that it is installed.
        files = [requirements / f"{name}.txt", requirements / "ros.txt"]
        return Step(
            name=name,
            home=venv,
            title=title,
            inputs=digest(packages, files_digest(ROOT, files)),
            run=lambda: run(venv, world, report),
            clean=lambda: remove(venv),
            products=(site_packages_of(venv) / product,),
        )

    steps = [
        Step(
            name="environment",
            home=venv,
            title=f"virtual environment with Python {platform.python_version()} (about 5 s)",
            inputs=environment,
            run=lambda: make_environment(venv, world, report),
            clean=lambda: remove(venv),
            products=(venv / "bin/python",),
        ),
        Step(
            name="packages",
            home=venv,
            title="Python packages (about 60 s)",
            inputs=packages,
            run=lambda: install_packages(venv, world, report),
            clean=lambda: remove(venv),
            products=(),
        ),
        Step(
            name="ros",
            home=venv,
            title="ROS 2 Kilted wheels (about 60 s)",
            inputs=ros,
            run=lambda: install_ros(venv, report),
            clean=lambda: remove(venv),
            products=(venv / "share/rclpy",),
        ),
        Step(
            name="interfaces",
            home=install,
            title="interface packages with colcon (about 60 s)",
            inputs=interfaces,
            run=lambda: build_interfaces(venv, workspace, world, report),
            clean=lambda: remove(workspace / "build", install),
            products=(install / "share/n3d_msgs/package.xml",),
        ),
        Step(
            name="project",
            home=venv,
            title="n3d_ros itself (about 5 s)",
            inputs=project,
            run=lambda: install_project(venv, workspace, world, report),
            clean=remove,
            products=(venv / "ros_env.sh", venv / "bin/n3d", install / "share/n3d_ros"),
        ),
        extra_step(
            "model",
            "extra [model]: torch, transformers (about 60 s; 3 GB to load where torch comes with CUDA)",
            "transformers",
            install_model,
        ),
        extra_step("view", "extra [view]: viser (about 10 s)", "viser", install_view),
        extra_step("eval", "extra [eval]: Open3D (about 30 s; 480 MB to load)", "open3d", install_eval),
        extra_step("train", "extra [train]: Ray, pyarrow, peft (about 60 s; 200 MB to load)", "ray", install_train),
        extra_step("docs", "Sphinx for the documentation (about 10 s)", "sphinx", install_docs),
    ]
    return [step for step in steps if step.name != "ros" or not world.distro]


def stamp_of(step: Step) -> Path:
    """File with the digest of the inputs the step was last completed with; it goes when what the step made goes."""
    return step.home / "setup_stamps" / step.name


def mark_of(step: Step, workspace: Path) -> Path:
    """File that is there from the beginning of the step to its end, and stays behind when the set-up is killed."""
    return workspace / "begun" / step.name


def is_done(step: Step) -> bool:
    """Whether the step was completed with these inputs and what it made is still there."""
    stamp = stamp_of(step)
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != step.inputs:
        return False
    return all(path.exists() for path in step.products)


def carry_out(step: Step, workspace: Path) -> None:
    """Nothing; runs the step between its mark and its stamp."""
    mark = mark_of(step, workspace)
    stamp_of(step).unlink(missing_ok=True)
    write_atomically(mark, "")
    try:
        step.run()
    except SetupError:
        # The command itself gave up, such as pip without a network: what it leaves can be gone on with.
        mark.unlink()
        raise
    write_atomically(stamp_of(step), step.inputs)
    mark.unlink()


def repair(steps: Sequence[Step], workspace: Path) -> list[str]:
    """Names of the steps that a killed run left half done; what they made is removed, so that they are done again."""
    broken = [step for step in steps if mark_of(step, workspace).exists()]
    for step in broken:
        step.clean()
        mark_of(step, workspace).unlink()
    return [step.name for step in broken]


@contextmanager
def only_one(workspace: Path, report: Reporter) -> Iterator[None]:
    """Context in which no other set-up of this checkout runs; waits for one that does."""
    workspace.mkdir(parents=True, exist_ok=True)
    with (workspace / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report.say("setup: another set-up of this checkout is running; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def set_up(venv: Path, workspace: Path, report: Reporter, extras: Collection[str] = ()) -> None:
    """Nothing; brings the checkout to the state the requirements and sources describe; ``extras``: of EXTRAS."""
    world = detect_world()
    steps = plan(venv, workspace, world, report)
    # Also a killed installation of an extra is repaired by a set-up that does not ask for it.
    broken = repair(steps, workspace)
    wanted = {*extras, *(below for name in extras for below in FOUNDATIONS.get(name, ()))}
    steps = [step for step in steps if step.name not in EXTRAS or step.name in wanted]
    report.total = len(steps) + 1
    if not broken and all(is_done(step) for step in steps):
        return
    if broken:
        report.say(f"setup: repairing what an interrupted set-up left ({', '.join(broken)})")
    report.say(
        f"setup: {world.name}, Python {platform.python_version()}; full output in {report.log.relative_to(ROOT)}"
    )
    report.say(f"[1/{report.total}] system packages")
    install_system_packages(world, report)
    for number, step in enumerate(steps, start=2):
        if is_done(step):
            report.say(f"[{number}/{report.total}] {step.title.split(' (about')[0]}: up to date")
            continue
        report.say(f"[{number}/{report.total}] {step.title} ...")
        start = time.monotonic()
        carry_out(step, workspace)
        report.say(f"      done in {time.monotonic() - start:.0f} s")
    report.say("setup: ready. In your own shell: . .venv/ros_env.sh")


def check_interpreter() -> None:
    """Nothing; raises SetupError for an interpreter that cannot be used, or that would replace another one unasked."""
    if sys.version_info[:2] < OLDEST_PYTHON:
        raise SetupError(
            f"Python {platform.python_version()} is too old; name 3.10 or newer: make setup PYTHON=python3.11"
        )
    if sys.prefix != sys.base_prefix:
        raise SetupError(
            f"{sys.executable} belongs to a virtual environment; leave it (deactivate), or name the interpreter to use"
        )
    if platform.system() != "Linux":
        raise SetupError(
            f"this set-up knows Linux with apt (Debian 12, Ubuntu 22.04 and 24.04), not {platform.system()}"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 when everything is in place, 1 with an explanation otherwise, 130 when interrupted."""
    parser = argparse.ArgumentParser(
        description="Set this checkout up: system packages, .venv, ROS 2, interface packages."
    )
    for name, what in EXTRAS.items():
        parser.add_argument(f"--{name}", dest="extras", action="append_const", const=name, default=[], help=what)
    extras = parser.parse_args(arguments).extras
    venv, workspace = ROOT / ".venv", ROOT / ".ros"
    report = Reporter(workspace / "setup.log", 0)
    try:
        check_interpreter()
        with only_one(workspace, report):
            set_up(venv, workspace, report, extras)
    except SetupError as error:
        print(
            f"\nsetup: {error}\n\nsetup: did not finish; it goes on where it stopped when you run it again.",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        print("\nsetup: interrupted; run it again to finish", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
