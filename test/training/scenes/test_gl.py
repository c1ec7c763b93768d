import os
import subprocess
import sys

import pytest

from model_training.scenes.gl import GL_VARIABLE, choose_gl_backend, make_context
from n3d_ros.errors import ConfigurationError


def test_egl_is_chosen_when_it_can_be_loaded():
    environment: dict[str, str] = {}
    assert choose_gl_backend(environment, can_load=lambda name: "EGL" in name) == "egl"
    assert environment == {GL_VARIABLE: "egl"}


def test_osmesa_is_the_fallback():
    environment: dict[str, str] = {}
    assert choose_gl_backend(environment, can_load=lambda name: "OSMesa" in name) == "osmesa"
    assert environment[GL_VARIABLE] == "osmesa"


def test_the_users_choice_is_kept():
    environment = {GL_VARIABLE: "glfw"}
    assert choose_gl_backend(environment, can_load=lambda _: True) == "glfw"
    assert environment == {GL_VARIABLE: "glfw"}


def test_without_opengl_the_error_names_the_packages():
    with pytest.raises(ConfigurationError, match=r"libegl1.*libosmesa6"):
        choose_gl_backend({}, can_load=lambda _: False)


def test_the_backend_is_set_once_mujoco_is_loaded(repository):
    # In a process of its own: whether MuJoCo was imported before depends on the tests that ran before.
    code = (
        "import os\n"
        "from model_training.scenes.gl import load_mujoco\n"
        "load_mujoco()\n"
        f"print(os.environ['{GL_VARIABLE}'])\n"
    )
    environment = {k: v for k, v in os.environ.items() if k not in (GL_VARIABLE, "PYOPENGL_PLATFORM")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=repository, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() in ("egl", "osmesa"), done.stderr


def test_a_backend_that_does_not_work_is_named_with_the_remedy(monkeypatch):
    monkeypatch.setenv(GL_VARIABLE, "osmesa")
    monkeypatch.setitem(sys.modules, "mujoco.osmesa", None)  # as if its library were missing
    with pytest.raises(ConfigurationError, match=r"libegl1.*MUJOCO_GL=osmesa"):
        make_context(16, 16)


def test_rendering_also_works_where_mujoco_was_imported_before(renderer, repository):
    code = (
        "import mujoco\n"
        "from model_training.scenes import CAMERAS, SceneSpec, generate_frames\n"
        "frame = next(generate_frames(SceneSpec(camera=CAMERAS['small'], object_count=(1, 1))))\n"
        "assert frame.frame.rgb.std() > 1\n"
    )
    environment = {k: v for k, v in os.environ.items() if k not in (GL_VARIABLE, "PYOPENGL_PLATFORM")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=repository, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
