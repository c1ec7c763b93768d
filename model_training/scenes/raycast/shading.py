"""Colours of what rays met: paint, a simple pattern, light from everywhere and from one lamp, shadows on the ground."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model_training.scenes.raycast.arrangement import Arrangement, CastObject
from model_training.scenes.raycast.casting import Hits
from n3d_ros.geometry.arrays import Float32Array

PLAIN = frozenset({"plain"})
SHADOW_EDGE_M = 0.012  # over which a shadow fades
TILE_CONTRAST = 0.86  # of every other floor tile
SHADOW_DEPTH = 0.75  # of the lamp's light that a shadow takes


def object_colors(thing: CastObject, hits: Hits, arrangement: Arrangement) -> Float32Array:
    """(M, 3) float32 colours of an object where rays met it, 0 to about 1.

    Args:
        thing: the object.
        hits: what was met of it.
        arrangement: the light.

    Returns:
        The colours.
    """
    colors = thing.paints[hits.piece]
    for texture in set(thing.shape.textures) - PLAIN:
        pieces = [k for k, name in enumerate(thing.shape.textures) if name == texture]
        mine = np.flatnonzero(np.isin(hits.piece, pieces))
        if len(mine):
            colors[mine] = _patterned(texture, colors[mine], hits.local[mine], thing.accent)
    light = (arrangement.light @ thing.rotation).astype(np.float32)  # in the object's frame
    lit = np.maximum(hits.normal @ light, 0)
    shaded: Float32Array = colors * (arrangement.ambient + arrangement.power * lit)[:, None]
    return shaded


def _patterned(texture: str, colors: Float32Array, local: Float32Array, accent: Float32Array) -> Float32Array:
    """The colours with the pattern of a texture."""
    x, y, z = local.T
    if texture == "wood":
        grain = np.sin(9 * y + 3 * np.sin(2.3 * x) + 5 * z) * 0.5 + np.sin(31 * y + 2 * x) * 0.3
        return np.asarray(colors * (1 + 0.1 * grain)[:, None], np.float32)
    if texture in ("stripes", "weave"):
        bands = np.sin(z * (9 if texture == "stripes" else 40) + 6 * x * (texture == "weave")) > 0.5
        return np.asarray(colors * (1 - 0.25 * bands)[:, None], np.float32)
    if texture == "label":
        marked = (z > 0.42) & (z < 0.62)
    elif texture in ("print", "picture", "screen"):
        marked = (np.abs(x + 0.1) < 0.4) & (np.abs(z - 0.1) < 0.45) & (np.abs(y - 0.2) < 2)
    else:
        return colors
    share = 0.15 if texture == "screen" else 1.0
    return np.where(marked[:, None], colors * (1 - share) + accent * share, colors).astype(np.float32)


def shadow_strip(thing: CastObject, arrangement: Arrangement) -> tuple[NDArray[np.float64], float]:
    """The shadow of an upright cylinder with an object's footprint and height, on what it stands on.

    Args:
        thing: the object.
        arrangement: the light.

    Returns:
        (2,) metres from the foot to the far end, and the radius: a strip with round ends.
    """
    away = -arrangement.light[:2].astype(np.float64) / max(float(arrangement.light[2]), 0.2)
    return away * thing.shape.height_m * 0.9, 0.45 * float(thing.shape.box.size[:2].mean())


def lit_share(
    offset: Float32Array, strip: NDArray[np.float64], radius_m: float, arrangement: Arrangement
) -> Float32Array:
    """(M,) float32 share of light left on a level surface in a shadow.

    Args:
        offset: (2, M) float32 metres from the object's foot.
        strip: from ``shadow_strip``.
        radius_m: from ``shadow_strip``.
        arrangement: the light.

    Returns:
        1 in the open.
    """
    x, y = strip.astype(np.float32)
    along = np.clip((offset[0] * x + offset[1] * y) / max(float(strip @ strip), 1e-9), 0, 1)
    outside = np.hypot(offset[0] - along * x, offset[1] - along * y) - np.float32(radius_m)
    lamp = arrangement.power * float(arrangement.light[2])
    taken = SHADOW_DEPTH * lamp / (lamp + arrangement.ambient)
    return np.asarray(1 - taken * (1 - np.clip(0.5 + outside / SHADOW_EDGE_M, 0, 1)), np.float32)


def surroundings(
    arrangement: Arrangement, origin: Float32Array, directions: Float32Array, side_m: float
) -> tuple[Float32Array, Float32Array]:
    """Floor and three walls behind everything.

    Args:
        arrangement: paints, light, where the wall is.
        origin: (3,) float32, world.
        directions: (3, N) float32, world.
        side_m: distance of the walls at the sides.

    Returns:
        (N,) float32 distances, infinite where there is nothing, and (N, 3) float32 colours.
    """
    dx, dy, dz = directions
    with np.errstate(divide="ignore", invalid="ignore"):
        floor = np.where(dz < 0, -origin[2] / dz, np.inf)
        back = np.where(dy > 0, (arrangement.wall_m - origin[1]) / dy, np.inf)
        sides = np.where(dx != 0, (np.sign(dx) * side_m - origin[0]) / dx, np.inf)
    wall = np.minimum(back, sides)
    distance = np.minimum(floor, wall).astype(np.float32)
    surface = np.where(floor <= wall, 0, np.where(back < sides, 1, np.where(dx > 0, 2, 3)))
    light, wall_paint = arrangement.light, arrangement.wall_paint
    facing = np.maximum([light[2], -light[1], -light[0], light[0]], 0)  # floor, wall behind, right, left
    paints = np.array([arrangement.floor_paint, wall_paint, wall_paint, wall_paint])
    colors = (paints * (arrangement.ambient + arrangement.power * facing)[:, None]).astype(np.float32)[surface]
    tiles = np.flatnonzero((surface == 0) & np.isfinite(distance))
    phase, per_x, per_y = arrangement.pattern
    x, y = origin[0] + distance[tiles] * dx[tiles], origin[1] + distance[tiles] * dy[tiles]
    dark = (np.sin(x * per_x * 0.3 + phase) > 0) == (np.sin(y * per_y * 0.3) > 0)
    colors[tiles[dark]] *= np.float32(TILE_CONTRAST)
    colors[~np.isfinite(distance)] = 0
    return distance, colors
