"""The Fast DDS profile that lets images through: applied unless the user has chosen one.

Fast DDS's default shared-memory segment is smaller than one colour image, so best-effort images are lost; see the
comments in ``config/fastdds.xml``. The environment is read when the first participant is made: call this before
``rclpy.init``.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from pathlib import Path

from n3d_ros.errors import ConfigurationError

PROFILE_VARIABLE = "FASTDDS_DEFAULT_PROFILES_FILE"
OLD_PROFILE_VARIABLE = "FASTRTPS_DEFAULT_PROFILES_FILE"  # the one that Humble and Jazzy read; Kilted warns about it
OLD_DISTRIBUTIONS = ("humble", "iron", "jazzy")
FAST_DDS = ("", "rmw_fastrtps_cpp", "rmw_fastrtps_dynamic_cpp")  # "" is the default middleware, Fast DDS


def share_file(*parts: str) -> Path:
    """A file that ships with the package: from its installed share folder, or from the source tree.

    Args:
        parts: path below the share folder, such as ``("config", "fastdds.xml")``.

    Returns:
        The path of an existing file.

    Raises:
        ConfigurationError: neither place has it.
    """
    prefixes = [Path(prefix) for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if prefix]
    candidates = [Path(__file__).resolve().parents[2].joinpath(*parts)]
    candidates += [(prefix / "share" / "n3d_ros").joinpath(*parts) for prefix in prefixes]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    places = ", ".join(str(path.parent) for path in candidates)
    raise ConfigurationError(f"{'/'.join(parts)}: not in {places}; build or install n3d_ros again.")


def apply_transport_profile(environment: MutableMapping[str, str] | None = None) -> Path | None:
    """Names the shipped Fast DDS profile in the environment, unless one is named or another middleware is used.

    Args:
        environment: what to change; None: this process's.

    Returns:
        The profile now in use by this call; None when nothing was changed.
    """
    variables: MutableMapping[str, str] = os.environ if environment is None else environment
    chosen = (PROFILE_VARIABLE, OLD_PROFILE_VARIABLE, "FASTDDS_BUILTIN_TRANSPORTS")
    if variables.get("RMW_IMPLEMENTATION", "") not in FAST_DDS or any(variables.get(name) for name in chosen):
        return None
    profile = share_file("config", "fastdds.xml")
    variables[PROFILE_VARIABLE] = str(profile)
    if variables.get("ROS_DISTRO", "") in OLD_DISTRIBUTIONS:
        variables[OLD_PROFILE_VARIABLE] = str(profile)
    return profile
