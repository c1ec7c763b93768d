"""Which OpenGL the renderer uses: EGL, else OSMesa, chosen before MuJoCo is imported.

MuJoCo reads MUJOCO_GL once, when it is imported, and without it tries a window system that servers do not have. So
every module here reaches MuJoCo through ``load_mujoco``, and contexts come from the backend's own module, which also
works in a program that had imported MuJoCo before.
"""

from __future__ import annotations

import ctypes
import importlib
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
    """The ``mujoco`` module, imported with a backend that renders off screen where there is one.

    Physics needs no OpenGL, so a missing one is not an error here but in ``make_context``.

    Returns:
        The module.

    Raises:
        ConfigurationError: MuJoCo is not installed, or the OpenGL named by the user cannot be used.
    """
    if "mujoco" not in sys.modules and any(_can_load(library) for library in (*EGL_LIBRARIES, *OSMESA_LIBRARIES)):
        choose_gl_backend(os.environ)
    try:
        return importlib.import_module("mujoco")
    except ImportError as error:
        if error.name == "mujoco":
            raise ConfigurationError("Generating scenes needs MuJoCo: `pip install mujoco`.") from error
        raise ConfigurationError(f"{INSTALL_ADVICE} ({error})") from error
    except (AttributeError, RuntimeError) as error:  # PyOpenGL without its library
        raise ConfigurationError(f"{INSTALL_ADVICE} ({error})") from error


def make_context(width: int, height: int) -> Any:
    """An off-screen OpenGL context, current in this thread; ``free`` it when done.

    Args:
        width: pixels.
        height: pixels.

    Returns:
        MuJoCo's context object of the backend that MUJOCO_GL names.

    Raises:
        ConfigurationError: there is no off-screen OpenGL, or it does not work.
    """
    mujoco = load_mujoco()
    backend = choose_gl_backend(os.environ)
    try:
        named = backend in ("egl", "osmesa")
        context_type = importlib.import_module(f"mujoco.{backend}").GLContext if named else mujoco.GLContext
        context = context_type(width, height)
        context.make_current()
    except Exception as error:  # each backend raises its own kinds
        raise ConfigurationError(f"{INSTALL_ADVICE} (MUJOCO_GL={backend}: {error})") from error
    return context
