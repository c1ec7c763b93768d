"""Light of rich scenes: how bright, from where, how warm; lamps at the ceiling, windows to the side, a flash."""

from __future__ import annotations

from typing import Any

import numpy as np

from model_training.scenes.gl import load_mujoco
from model_training.scenes.layout import CEILING_M, Layout
from model_training.scenes.spec import SceneSpec

BRIGHTNESS = (0.85, 1.3)  # what a white surface facing the main light sends back, 1: just white
AMBIENT_SHARE = (0.25, 0.55)  # of it from everywhere: the rest makes shades and shadows
HEAD_SHARE = (0.0, 0.2)  # from the camera
FILL_SHARE = (0.1, 0.4)  # of a light beside the main one
WARMTH = 0.14  # share of red against blue between candle-like lamps and an overcast window
LOWEST_SUN_DEG = 35.0  # above the horizon: what comes in through windows


def _tinted(power: float, warm: float) -> list[float]:
    """Red, green, blue of a light."""
    return [power * (1 + warm), power, power * (1 - warm)]


def _direction(rng: np.random.Generator) -> np.ndarray:
    """(3,) unit vector to a light above the lowest sun, any side."""
    height = np.radians(rng.uniform(LOWEST_SUN_DEG, 88.0))
    azimuth = rng.uniform(-np.pi, np.pi)
    return np.array([np.cos(height) * np.cos(azimuth), np.cos(height) * np.sin(azimuth), np.sin(height)])


def add_rich_lights(world: Any, spec: SceneSpec, layout: Layout, rng: np.random.Generator) -> None:
    """Adds a head light and one to three others, the first of which casts shadows.

    Args:
        world: the MjSpec to add to.
        spec: whether there are shadows.
        layout: where the middle of the scene is.
        rng: source of chance.
    """
    types, room = load_mujoco().mjtLightType, bool(layout.room_half_m)
    warm = float(rng.uniform(-WARMTH, WARMTH))
    brightness, ambient, at_camera = (float(rng.uniform(*r)) for r in (BRIGHTNESS, AMBIENT_SHARE, HEAD_SHARE))
    head = world.visual.headlight
    head.ambient = _tinted(brightness * ambient, warm / 2)
    head.diffuse = [brightness * at_camera] * 3
    head.specular = [float(rng.uniform(0.0, 0.15))] * 3
    others = int(rng.integers(0, 3))
    shares = [1.0, *rng.uniform(*FILL_SHARE, others)]
    power = brightness * (1 - ambient - at_camera) / sum(shares) * (1.3 if room else 1.0)
    for k, share in enumerate(shares):
        if room:  # a lamp at the ceiling; walls would hide anything lower
            offset = np.array([*rng.uniform(-1.2, 1.2, 2), CEILING_M + 0.3 - layout.focus[2]])
        else:
            offset = 1.6 * _direction(rng)
        world.worldbody.add_light(
            pos=(layout.focus + offset).tolist(),
            dir=(-offset / np.linalg.norm(offset)).tolist(),
            type=types.mjLIGHT_SPOT if room else types.mjLIGHT_DIRECTIONAL,
            cutoff=75.0,
            exponent=float(rng.uniform(0.5, 4.0)),
            diffuse=_tinted(power * float(share), warm + float(rng.uniform(-0.05, 0.05))),
            specular=[float(rng.uniform(0.05, 0.5))] * 3,
            ambient=[0.0] * 3,
            castshadow=bool(spec.shadows and k == 0),
        )
