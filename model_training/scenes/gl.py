"""Which OpenGL the renderer uses: EGL, else OSMesa, chosen before MuJoCo is imported.

MuJoCo reads MUJOCO_GL once, when it is imported, and without it tries a window system that servers do not have. So
every module here reaches MuJoCo through ``load_mujoco``.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, MutableMapping
from typing import Any

from n3d_ros.errors import ConfigurationError

GL_VARIABLE = "MUJOCO_GL"
EGL_LIBRARIES = ("libEGL.so.1", "libEGL.so")
OSMESA_LIBRARIES = ("libOSMesa.so.8", "libOSMesa.so.6", "libOSMesa.so")
INSTALL_ADVICE = (
    "Scene rendering needs an off-screen OpenGL. Install software EGL (Debian, Ubuntu: `apt install libegl1 libgl1 "
    "libgl1-mesa-dri`) or OSMesa (`apt install libosmesa6`), or set MUJOCO_GL yourself."
)


def _can_load(library: str) -> bool:
    """True when the dynamic linker finds the library."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def choose_gl_backend(environment: MutableMapping[str, str], can_load: Callable[[str], bool] = _can_load) -> str:
    """The backend MuJoCo will use, written into ``environment`` unless the user has named one there.

    Args:
        environment: usually ``os.environ``.
        can_load: whether a shared library can be loaded.

    Returns:
        The value of MUJOCO_GL from now on.

    Raises:
        ConfigurationError: neither EGL nor OSMesa is installed.
    """
    named = environment.get(GL_VARIABLE, "").strip()
    if named:
        return named
    for backend, libraries in (("egl", EGL_LIBRARIES), ("osmesa", OSMESA_LIBRARIES)):
        if any(can_load(library) for library in libraries):
            environment[GL_VARIABLE] = backend
            return backend
    raise ConfigurationError(INSTALL_ADVICE)


def load_mujoco() -> Any:
    """The ``mujoco`` module, imported with a backend that renders off screen.

    Raises:
        ConfigurationError: MuJoCo is not installed, or no OpenGL is.
    """
    if "mujoco" not in sys.modules:
        choose_gl_backend(os.environ)
    try:
        import mujoco
    except ImportError as error:
        if getattr(error, "name", None) == "mujoco":
            raise ConfigurationError("Generating scenes needs MuJoCo: `pip install mujoco`.") from error
        raise ConfigurationError(f"{INSTALL_ADVICE} ({error})") from error
    except (AttributeError, RuntimeError) as error:  # PyOpenGL without its library
        raise ConfigurationError(f"{INSTALL_ADVICE} ({error})") from error
    return mujoco
