"""Which objects stand where in a ray-cast scene, in which paints, under which light."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_training.scenes.catalogue import Category
from model_training.scenes.colors import MATERIAL_WORDS, Rgb, draw_paint
from model_training.scenes.entries import categories
from model_training.scenes.layout import (
    TABLETOP_HALF_M,
    common_beside,
    draw_held_out_pair,
    footprint,
    rectangles_apart,
    yaw_matrix,
)
from model_training.scenes.materials import possible_materials
from model_training.scenes.raycast.solids import SHAPES_PER_CATEGORY, CastShape, pooled_parts, pooled_shape
from model_training.scenes.spec import SceneSpec
from n3d_ros.geometry.arrays import FloatArray

TRIES = 25  # positions tried before an object is given up
FLOOR_HALF_M = (0.8, 0.7)  # half extents of the region used on a floor
GAP_M = (0.06, 0.003)  # free space around an object at clutter 0 and 1
SIDE_M = 3.0  # from the middle to the walls beside


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CastObject:
    """An object in place.

    Plain arrays instead of a transform: thousands are made a second, and a turn about z needs no check.

    Args:
        object_id: 1, 2, ...
        shape: its surfaces.
        rotation: (3, 3) world from object: a turn about z.
        position: (3,) metres, world: the middle of its foot.
        color: its main colour word.
        material: of its main slot.
        paints: (pieces, 3) float32 red, green, blue of every piece.
        accent: (3,) float32: the second colour of patterns.
        supported_by: id of what it stands on, 0: the floor.
        parts: the shape in pieces, for furniture that fills the image; empty: it is cast as a whole.
    """

    object_id: int
    shape: CastShape
    rotation: FloatArray
    position: FloatArray
    color: str
    material: str
    paints: NDArray[np.float32]
    accent: NDArray[np.float32]
    supported_by: int
    parts: tuple[CastShape, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Arrangement:
    """A scene of standing objects; the world's z is up, its floor at 0.

    Args:
        spec: what it was drawn for.
        objects: by id; a table, where there is one, is the first.
        level_m: height of the surface that carries the others.
        wall_m: distance of the wall behind.
        floor_paint: red, green, blue.
        wall_paint: red, green, blue.
        light: (3,) float32 unit vector towards the light.
        ambient: share of light from everywhere.
        power: share of light from the lamp.
        pattern: phase and frequency of the floor's pattern.
    """

    spec: SceneSpec
    objects: tuple[CastObject, ...]
    level_m: float
    wall_m: float
    floor_paint: NDArray[np.float32]
    wall_paint: NDArray[np.float32]
    light: NDArray[np.float32]
    ambient: float
    power: float
    pattern: tuple[float, float, float]


class _Arranger:
    """Collects objects; one instance per scene."""

    def __init__(self, spec: SceneSpec, rng: np.random.Generator) -> None:
        self.spec = spec
        self.rng = rng
        self.objects: list[CastObject] = []
        self.taken: list[tuple[FloatArray, float, FloatArray]] = []  # middle, radius, corners
        self.tops: list[CastObject] = []
        self.gap_m = float(np.interp(spec.clutter, (0, 1), GAP_M))

    def put(
        self,
        shape: CastShape,
        xy: FloatArray,
        z: float,
        yaw: float,
        owner: int,
        parts: tuple[CastShape, ...] = (),
    ) -> CastObject:
        """One object more, in paints of its own."""
        category, rng = shape.category, self.rng
        words = {slot: str(choices[int(rng.integers(len(choices)))]) for slot, choices in category.materials.items()}
        paints = {slot: draw_paint(word, rng) for slot, word in words.items()}
        main = words[category.main_slot]
        substances = possible_materials(category.name, main)
        made = CastObject(
            object_id=len(self.objects) + 1,
            shape=shape,
            rotation=yaw_matrix(yaw),
            position=np.array([*xy, z]),
            color=MATERIAL_WORDS.get(main, main),
            material=substances[int(rng.integers(len(substances)))],
            paints=np.array([paints[slot] for slot in shape.slots], np.float32),
            accent=rng.uniform(0.05, 0.95, 3).astype(np.float32),
            supported_by=owner,
            parts=parts,
        )
        self.objects.append(made)
        return made

    def draw(self, pool: Sequence[Category]) -> Category | None:
        """A category that may stand beside those present; None when there is none."""
        if self.spec.combinations == "common":
            present = {one.shape.category.name for one in self.objects}
            pool = common_beside(present, pool)
        return pool[int(self.rng.integers(len(pool)))] if pool else None

    def place(self, category: Category, half: tuple[float, float], level_m: float, owner: int) -> bool:
        """Puts one object where it is free; False when there is no room."""
        rng = self.rng
        shape = pooled_shape(category.name, int(rng.integers(SHAPES_PER_CATEGORY)))
        yaw = float(rng.uniform(-np.pi, np.pi))
        if self.tops and shape.upright and category.shape != "ball" and rng.random() < self.spec.stack_chance:
            below = self.tops.pop(int(rng.integers(len(self.tops))))
            if shape.radius_m < 1.1 * below.shape.radius_m:
                top = below.position
                self.put(shape, top[:2], float(top[2]) + below.shape.height_m, yaw, below.object_id)
                return True
        corners = footprint(shape.corners @ yaw_matrix(yaw).T, yaw)
        reach = np.abs(corners).max(axis=0)
        if (reach >= half).any():
            return False
        for _ in range(TRIES):
            xy = rng.uniform(-1, 1, 2) * (np.asarray(half) - reach)
            if all(self._is_apart(xy, shape.radius_m, corners + xy, other) for other in self.taken):
                self.taken.append((xy, shape.radius_m, corners + xy))
                made = self.put(shape, xy, level_m, yaw, owner)
                if category.stackable and shape.upright:
                    self.tops.append(made)
                return True
        return False

    def _is_apart(
        self, xy: FloatArray, radius_m: float, corners: FloatArray, other: tuple[FloatArray, float, FloatArray]
    ) -> bool:
        """Whether two footprints do not touch; circles first, since they are quick."""
        near = np.hypot(*(xy - other[0])) < radius_m + other[1] + self.gap_m
        return not near or rectangles_apart(corners, other[2], self.gap_m)


def arrange(spec: SceneSpec, rng: np.random.Generator) -> Arrangement:
    """A scene of the spec: a table ("tabletop") or a floor ("room") with objects on it.

    Args:
        spec: what to draw.
        rng: source of chance.

    Returns:
        The arrangement.
    """
    arranger, on_table = _Arranger(spec, rng), spec.kind == "tabletop"
    level_m, half, owner = 0.0, FLOOR_HALF_M, 0
    if on_table:
        number = int(rng.integers(SHAPES_PER_CATEGORY))
        shape = pooled_shape("table", number)
        arranger.put(shape, np.zeros(2), 0.0, 0.0, 0, pooled_parts("table", number))
        edge_x, edge_y = (float(v) - 0.03 for v in shape.corners.max(axis=0)[:2])
        level_m, owner = shape.height_m, 1
        half = (min(TABLETOP_HALF_M[0], edge_x), min(TABLETOP_HALF_M[1], edge_y))
    pool = [c for c in categories("object", rich=spec.is_rich) if not spec.categories or c.name in spec.categories]
    wanted = draw_held_out_pair(pool, rng) if spec.combinations == "held_out" else []
    for _ in range(int(rng.integers(spec.loose_count[0], spec.loose_count[1] + 1))):
        category = wanted.pop() if wanted else arranger.draw(pool)
        if category is not None:
            arranger.place(category, half, level_m, owner)
    return _lit(spec, arranger, level_m, rng)


def _paint(words: Sequence[str], rng: np.random.Generator) -> NDArray[np.float32]:
    """(3,) float32 of a surface."""
    paint: Rgb = draw_paint(words[int(rng.integers(len(words)))], rng)
    return np.array(paint, np.float32)


def _lit(spec: SceneSpec, arranger: _Arranger, level_m: float, rng: np.random.Generator) -> Arrangement:
    """The arrangement with surroundings and light."""
    table = arranger.objects[0].shape.corners.max(axis=0)[1] if level_m else 0.8
    behind = float(table + (rng.uniform(0.05, 0.6) if rng.random() < spec.wall_chance else rng.uniform(1.2, 2.5)))
    height, azimuth = np.radians(rng.uniform(35, 85)), rng.uniform(-np.pi, np.pi)
    light = (np.cos(height) * np.cos(azimuth), np.cos(height) * np.sin(azimuth), np.sin(height))
    ambient = float(rng.uniform(0.35, 0.65))
    return Arrangement(
        spec=spec,
        objects=tuple(arranger.objects),
        level_m=level_m,
        wall_m=behind,
        floor_paint=_paint(("oak", "walnut", "birch", "gray", "white", "green"), rng),
        wall_paint=_paint(("white", "white", "birch", "gray", "blue", "yellow"), rng),
        light=np.array(light, np.float32),
        ambient=ambient,
        power=float(rng.uniform(0.85, 1.2)) - ambient,
        pattern=(float(rng.uniform(0, 6)), float(rng.uniform(10, 60)), float(rng.uniform(10, 60))),
    )
