"""What floors and walls of generated scenes look like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model_training.scenes.colors import COLOR_NAMES, Rgb, draw_paint

FLOORS = ("planks", "tiles", "carpet")
RICH_FLOORS = (*FLOORS, "parquet", "concrete", "marble")
RICH_WALLS = ("plain", "plain", "plaster", "bricks", "wallpaper", "boards")


@dataclass(frozen=True, slots=True, kw_only=True)
class Surfaces:
    """Floor and walls.

    Args:
        floor_paint: colour of the floor.
        wall_paint: colour of the walls.
        floor_texture: a key of ``TEXTURES``.
        wall_texture: a key of ``TEXTURES``.
    """

    floor_paint: Rgb
    wall_paint: Rgb
    floor_texture: str
    wall_texture: str = "plain"


def draw_surfaces(rng: np.random.Generator, *, rich: bool) -> Surfaces:
    """Floor and walls by chance.

    Args:
        rng: source of chance.
        rich: whether walls have colours and patterns, and floors are of more kinds.

    Returns:
        The surfaces.
    """
    floor, wall = _floor_paint(rng), _wall_paint(rng)
    if not rich:
        return Surfaces(floor_paint=floor, wall_paint=wall, floor_texture=str(rng.choice(list(FLOORS))))
    if rng.random() < 0.4:
        wall = _tinted(wall, rng)
    return Surfaces(
        floor_paint=floor,
        wall_paint=wall,
        floor_texture=str(rng.choice(list(RICH_FLOORS))),
        wall_texture=str(rng.choice(list(RICH_WALLS))),
    )


def _tinted(wall: Rgb, rng: np.random.Generator) -> Rgb:
    """The wall with some colour in it."""
    tint, share = draw_paint(str(rng.choice(COLOR_NAMES)), rng), float(rng.uniform(0.1, 0.55))
    r, g, b = (w * (1 - share) + t * share for w, t in zip(wall, tint, strict=True))
    return r, g, b


def _floor_paint(rng: np.random.Generator) -> Rgb:
    """A floor colour."""
    return draw_paint(str(rng.choice(["oak", "walnut", "birch", "gray"])), rng)


def _wall_paint(rng: np.random.Generator) -> Rgb:
    """A light wall."""
    base = float(rng.uniform(0.74, 0.92))
    r, g, b = (float(np.clip(base + d, 0, 1)) for d in rng.uniform(-0.04, 0.04, 3))
    return r, g, b
