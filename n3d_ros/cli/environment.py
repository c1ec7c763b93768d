"""The environment ROS needs: taken as it is when it is there, else the one this virtual environment was set up with.

A ROS distribution is entered by sourcing its setup file. The set-up of a checkout without one writes ``ros_env.sh``
into its virtual environment; a command called by its path, without sourcing anything, starts itself again with that
file's variables.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from n3d_ros.errors import ConfigurationError

GUARD_VARIABLE = "N3D_ENVIRONMENT_ENTERED"  # set on the second start, so that there is no third
ENVIRONMENT_FILE = "ros_env.sh"
NEEDED_MODULES = ("rclpy", "n3d_msgs", "tf2_msgs")
READ_TIMEOUT_S = 20.0


def missing_modules() -> tuple[str, ...]:
    """What ROS lacks in this process.

    Returns:
        Names of modules that cannot be found, and "AMENT_PREFIX_PATH" when that is not set; empty: all is there.
    """
    missing = [name for name in NEEDED_MODULES if importlib.util.find_spec(name) is None]
    if not os.environ.get("AMENT_PREFIX_PATH"):
        missing.append("AMENT_PREFIX_PATH")
    return tuple(missing)


def ensure_ros_environment() -> None:
    """Returns when ROS can be used; starts this program again in the right environment when that helps.

    Raises:
        ConfigurationError: ROS is not there and no environment file can bring it.
    """
    missing = missing_modules()
    if not missing:
        return
    path = Path(sys.prefix, ENVIRONMENT_FILE)
    if os.environ.get(GUARD_VARIABLE) or not path.is_file():
        raise ConfigurationError(
            f"ROS 2 is not usable here: {', '.join(missing)} missing. Source your ROS distribution and the workspace "
            "with n3d_msgs (. install/setup.bash), or run `make setup` in a checkout of n3d_ros."
        )
    variables = environment_of(path)
    variables[GUARD_VARIABLE] = "1"
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, _own_command(), variables)


def environment_of(path: Path) -> dict[str, str]:
    """The variables a shell has after it sourced a file.

    Args:
        path: a file for ``sh``.

    Returns:
        All variables, this process's included.

    Raises:
        ConfigurationError: the shell failed.
    """
    script = '. "$1" && exec env -0'  # the path goes in as an argument, never into the text
    try:
        result = subprocess.run(
            ["sh", "-c", script, "sh", str(path)], capture_output=True, timeout=READ_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ConfigurationError(f"{path}: could not be sourced ({error}); run `make setup` again.") from error
    pairs = (entry.partition(b"=") for entry in result.stdout.split(b"\0") if entry)
    return {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}


def _own_command() -> list[str]:
    """The command line that started this program."""
    original = getattr(sys, "orig_argv", [])  # interpreter options and -m included
    return [sys.executable, *original[1:]] if original else [sys.executable, *sys.argv]
