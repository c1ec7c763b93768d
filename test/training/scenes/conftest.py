"""One renderer and one settled scene of each kind for all tests of generated scenes."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import pytest

from model_training.scenes import CAMERAS, SceneFrame, SceneRenderer, SceneSpec, generate_frames
from n3d_ros.errors import ConfigurationError


@pytest.fixture(scope="session", autouse=True)
def _mujoco_is_installed() -> None:
    """Skips everything here where MuJoCo, an optional dependency, is missing."""
    if importlib.util.find_spec("mujoco") is None:
        pytest.skip("generating scenes needs the package mujoco")


@pytest.fixture(scope="session")
def renderer() -> Iterator[SceneRenderer]:
    """A renderer of 160x120 px."""
    try:
        made = SceneRenderer(CAMERAS["small"])
    except ConfigurationError as error:
        pytest.skip(f"no off-screen OpenGL: {error}")
    yield made
    made.close()


@pytest.fixture(scope="session")
def tabletop_frames(renderer: SceneRenderer) -> list[SceneFrame]:
    """Two views of a table, with clean depth."""
    return list(generate_frames(_spec("tabletop"), renderer))


@pytest.fixture(scope="session")
def room_frames(renderer: SceneRenderer) -> list[SceneFrame]:
    """Two views of a room, with clean depth."""
    return list(generate_frames(_spec("room"), renderer))


def _spec(kind: str) -> SceneSpec:
    return SceneSpec(kind=kind, seed=11, camera=CAMERAS["small"], views=2, depth_noise="none")
