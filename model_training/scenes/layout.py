"""Where things are put before physics settles them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_training.data.split import held_out_pairs, is_held_out_pair
from model_training.scenes.catalogue import Category, Design, draw_design
from model_training.scenes.entries import CATALOGUE, categories
from model_training.scenes.spec import SceneSpec
from model_training.scenes.surfaces import Surfaces, draw_surfaces
from n3d_ros.errors import InputError

FloatArray = NDArray[np.float64]

DROP_M = 0.004  # gap left under a dropped object: enough to never start in contact, too little to bounce
TRIES = 60  # positions tried before an object is given up
SPREAD_M = (0.08, 0.004)  # largest free gap asked for between neighbours at clutter 0 and 1
TABLETOP_HALF_M = (0.42, 0.3)  # half extents of the region used on a table, about what a camera 1 m away sees
ROOM_SIDE_M = (3.6, 5.2)
WALL_HEIGHT_M = 4.0  # there is no ceiling: walls reach above what cameras see
CEILING_M = 2.5  # lights hang here, and cameras stay below
SIDE_WALL_M = 3.0  # from a table to the walls beside it
WALL_GAP_M = 0.015  # furniture's back to the wall


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Placement:
    """An object and where it starts.

    Args:
        object_id: 1, 2, ... in order of placing; also the value in label images.
        design: the object.
        position: (3,) metres, world: the object's origin.
        rotation: (3, 3) world from object.
        static: furniture, not simulated.
        support_height_m: height of what it is meant to rest on or in; fallen below it, it is removed.
        supported_by: id of the furniture, object or container it was put on or in; 0: the floor.
    """

    object_id: int
    design: Design
    position: FloatArray
    rotation: FloatArray
    static: bool
    support_height_m: float
    supported_by: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Wall:
    """A wall's inner face.

    Args:
        center: (2,) metres, middle of the foot.
        normal: (2,) unit vector into the room.
        half_length_m: half its length.
    """

    center: FloatArray
    normal: FloatArray
    half_length_m: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layout:
    """A scene before physics.

    Args:
        placements: furniture first, then loose objects in the order they may rest on each other.
        walls: inner faces.
        surfaces: what floor and walls look like.
        focus: (3,) metres: the middle of what matters; moving cameras circle around it.
        targets: (N, 3) metres: what single views look at, one of them each.
        focus_half_m: half extent of the region of interest.
        room_half_m: half the room's side, 0 without a room.
    """

    placements: tuple[Placement, ...]
    walls: tuple[Wall, ...]
    surfaces: Surfaces
    focus: FloatArray
    targets: FloatArray
    focus_half_m: float
    room_half_m: float


@dataclass(slots=True, kw_only=True, eq=False)
class _Region:
    """A level rectangle that fills up with footprints."""

    owner: int
    center: FloatArray  # (3,) world
    rotation: FloatArray  # (3, 3) yaw
    half: FloatArray  # (2,) m
    clearance_m: float  # 0: open above
    taken: list[FloatArray]  # (4, 2) world footprints


def yaw_matrix(yaw_rad: float) -> FloatArray:
    """(3, 3) rotation about the world's z."""
    c, s = np.cos(yaw_rad), np.sin(yaw_rad)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def footprint(vertices: FloatArray, yaw_rad: float) -> FloatArray:
    """(4, 2) corners of the level rectangle at ``yaw_rad`` around the vertices, in order."""
    c, s = np.cos(yaw_rad), np.sin(yaw_rad)
    axes = np.array([[c, s], [-s, c]])
    along = vertices[:, :2] @ axes.T
    low, high = along.min(axis=0), along.max(axis=0)
    corners = np.array([[low[0], low[1]], [high[0], low[1]], [high[0], high[1]], [low[0], high[1]]])
    world: FloatArray = corners @ axes
    return world


def rectangles_apart(a: FloatArray, b: FloatArray, gap_m: float) -> bool:
    """True when two rectangles are more than ``gap_m`` apart along a side of one of them.

    Args:
        a: (4, 2) corners in order.
        b: (4, 2) corners in order.
        gap_m: metres.

    Returns:
        Whether a separating side exists (separating axis theorem).
    """
    for corners in (a, b):
        for k in (0, 1):
            side = corners[k + 1] - corners[k]
            axis = side / max(float(np.linalg.norm(side)), 1e-12)
            on_a, on_b = a @ axis, b @ axis
            if on_a.min() - on_b.max() > gap_m or on_b.min() - on_a.max() > gap_m:
                return True
    return False


def common_beside(present: Collection[str], pool: Iterable[Category]) -> list[Category]:
    """Those categories that training may show beside what is there.

    Args:
        present: names of the categories that are there.
        pool: to choose from.

    Returns:
        The categories that form no held-out pair.
    """
    return [c for c in pool if not any(is_held_out_pair(c.name, name) for name in present)]


def draw_held_out_pair(pool: Iterable[Category], rng: np.random.Generator) -> list[Category]:
    """Two categories that training never shows together.

    Args:
        pool: to choose from.
        rng: source of chance.

    Returns:
        A pair.

    Raises:
        InputError: no pair of the pool is held out.
    """
    by_name = {c.name: c for c in pool}
    pairs = held_out_pairs(by_name)
    if not pairs:
        raise InputError(
            f"Held-out scene: no pair of {', '.join(sorted(by_name))} is held out; give it more categories."
        )
    return [by_name[name] for name in pairs[int(rng.integers(len(pairs)))]]


class _Builder:
    """Collects placements; one instance per layout."""

    def __init__(self, spec: SceneSpec, rng: np.random.Generator) -> None:
        self.spec = spec
        self.rng = rng
        self.placements: list[Placement] = []
        self.gap_m = float(np.interp(spec.clutter, (0, 1), SPREAD_M) * rng.uniform(0.1, 1.0))
        self.wanted: list[Category] = []  # what must be put before anything is left to chance

    def put(
        self, design: Design, position: FloatArray, rotation: FloatArray, *, static: bool, height_m: float, owner: int
    ) -> Placement:
        """Adds a placement."""
        placement = Placement(
            object_id=len(self.placements) + 1,
            design=design,
            position=position,
            rotation=rotation,
            static=static,
            support_height_m=height_m,
            supported_by=owner,
        )
        self.placements.append(placement)
        return placement

    def furniture(self, design: Design, xy: Sequence[float], yaw_rad: float) -> Placement:
        """Furniture on the floor."""
        position = np.array([xy[0], xy[1], -design.low[2]])
        return self.put(design, position, yaw_matrix(yaw_rad), static=True, height_m=0.0, owner=0)

    def regions(self, furniture: Placement) -> list[_Region]:
        """The places on a piece of furniture."""
        size = np.array([piece.high for piece in furniture.design.pieces]).max(axis=0) * np.array([2, 2, 1])
        found = []
        for surface in furniture.design.category.surfaces:
            low, high = np.asarray(surface.low) * size[:2], np.asarray(surface.high) * size[:2]
            middle = np.array([*((low + high) / 2), surface.height * size[2]])
            found.append(
                _Region(
                    owner=furniture.object_id,
                    center=furniture.position + furniture.rotation @ middle,
                    rotation=furniture.rotation,
                    half=(high - low) / 2,
                    clearance_m=surface.clearance * size[2],
                    taken=[],
                )
            )
        return found

    def orientation(self, design: Design) -> tuple[FloatArray, float]:
        """World from object, and the yaw of its footprint."""
        yaw = float(self.rng.uniform(-np.pi, np.pi))
        if self.rng.random() < design.category.lies:
            tip = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])  # z axis to x: onto its side
            return yaw_matrix(yaw) @ tip, yaw
        return yaw_matrix(yaw), yaw

    def place(self, design: Design, region: _Region) -> Placement | None:
        """The object somewhere free in the region, or None when there is no room."""
        rotation, yaw = self.orientation(design)
        turned = design.vertices @ rotation.T
        low, high = turned.min(axis=0), turned.max(axis=0)
        if region.clearance_m and high[2] - low[2] > region.clearance_m - 2 * DROP_M:
            return None
        inward = region.half * float(np.interp(self.spec.clutter, (0, 1), (1.0, 0.7)))
        for _ in range(TRIES):
            offset = np.array([*self.rng.uniform(-inward, inward), 0.0])
            position = region.center + region.rotation @ offset
            corners = footprint(turned, yaw) + position[:2]
            local = (corners - region.center[:2]) @ region.rotation[:2, :2]
            if (np.abs(local) > region.half + 1e-9).any():
                continue
            if all(rectangles_apart(corners, other, self.gap_m) for other in region.taken):
                region.taken.append(corners)
                position[2] = region.center[2] - low[2] + DROP_M
                height = float(region.center[2])
                return self.put(design, position, rotation, static=False, height_m=height, owner=region.owner)
        return None

    def stack(self, design: Design, below: Placement) -> Placement | None:
        """The object upright on top of another one that stands, or None when it does not fit."""
        if design.radius_m > 1.15 * below.design.radius_m:
            return None
        yaw = float(self.rng.uniform(-np.pi, np.pi))
        top = float((below.design.vertices @ below.rotation.T)[:, 2].max() + below.position[2])
        slack = 0.15 * float(below.design.size[:2].min())
        position = below.position + np.array([*self.rng.uniform(-slack, slack, 2), 0.0])
        position[2] = top + DROP_M - design.low[2]
        height = below.support_height_m
        return self.put(design, position, yaw_matrix(yaw), static=False, height_m=height, owner=below.object_id)

    def design(self, category: Category) -> Design:
        """One object of the category."""
        return draw_design(category, self.rng, rich=self.spec.is_rich)

    def draw(self, pool: Sequence[Category]) -> Category | None:
        """One category, by chance among those that may stand beside what is there; None when there is none."""
        if self.wanted:
            return self.wanted.pop(0)
        if self.spec.combinations == "common":
            present = {p.design.category.name for p in self.placements if not p.static}
            pool = common_beside(present, pool)
        return pool[int(self.rng.integers(len(pool)))] if pool else None

    def fill(self, container: Placement, choices: Sequence[Category]) -> None:
        """Drops one to three small things into an upright container."""
        inside_m = 0.4 * float(container.design.size[1])
        level = float(container.design.size[2]) * 0.75
        for _ in range(int(self.rng.integers(1, 4))):
            category = self.draw(choices)
            if category is None:
                return
            design = self.design(category)
            if design.radius_m > inside_m:
                continue
            slack = max(inside_m - design.radius_m, 0.0) * 0.7
            position = container.position + np.array([*self.rng.uniform(-slack, slack, 2), level])
            level += float(design.size.max()) + DROP_M
            height = container.support_height_m + 0.004
            self.put(design, position, np.eye(3), static=False, height_m=height, owner=container.object_id)

    def objects(self, regions: Sequence[_Region], count: int, pool: Sequence[Category]) -> None:
        """Loose objects on the regions: placed, stacked and put into each other."""
        if self.spec.combinations == "held_out" and not any(not p.static for p in self.placements):
            self.wanted = draw_held_out_pair(pool, self.rng)
        fillers = [c for c in pool if c.shape == "ball"] or [CATALOGUE["ball"]]
        open_tops: list[Placement] = []
        while count > 0:
            count -= 1
            category = self.draw(pool)
            if category is None:
                return
            design = self.design(category)
            placed = None
            flat_base = category.shape != "ball"
            if open_tops and flat_base and self.rng.random() < self.spec.stack_chance:
                below = open_tops.pop(int(self.rng.integers(len(open_tops))))
                placed = self.stack(design, below)
            if placed is None:
                region = regions[int(self.rng.integers(len(regions)))]
                placed = self.place(design, region)
                if placed is None:
                    continue
                if region.clearance_m:  # nothing is stacked under a board
                    continue
            upright = placed.rotation[2, 2] > 0.9
            if category.stackable and upright:
                open_tops.append(placed)
            if category.holds and upright and design.size[1] > 0.12 and self.rng.random() < self.spec.hold_chance:
                self.fill(placed, fillers)


def _pool(spec: SceneSpec, place: str) -> list[Category]:
    """The categories that may be drawn for a place."""
    fitting = categories("object", place, rich=spec.is_rich)
    return [c for c in fitting if not spec.categories or c.name in spec.categories] or list(fitting)


def _count(spec: SceneSpec, rng: np.random.Generator) -> int:
    """How many loose objects to try."""
    return int(rng.integers(spec.loose_count[0], spec.loose_count[1] + 1))


def tabletop_layout(spec: SceneSpec, rng: np.random.Generator) -> Layout:
    """A table with objects, perhaps a wall behind.

    Args:
        spec: what to generate.
        rng: source of chance.

    Returns:
        The layout; the table's centre stands on the world's origin.
    """
    builder = _Builder(spec, rng)
    table = builder.furniture(builder.design(CATALOGUE["table"]), (0.0, 0.0), 0.0)
    region = builder.regions(table)[0]
    region.half = np.minimum(region.half, TABLETOP_HALF_M)
    builder.objects([region], _count(spec, rng), _pool(spec, "table"))
    near = rng.random() < spec.wall_chance
    behind = float(table.design.size[1] / 2 + (rng.uniform(0.02, 0.5) if near else rng.uniform(1.2, 2.5)))
    walls: tuple[Wall, ...] = (
        Wall(center=np.array([0.0, behind]), normal=np.array([0.0, -1.0]), half_length_m=SIDE_WALL_M),
    )
    for side in (-1.0, 1.0):  # far to the sides, so that the picture never ends in nothing
        foot = np.array([side * SIDE_WALL_M, behind - SIDE_WALL_M])
        walls += (Wall(center=foot, normal=np.array([-side, 0.0]), half_length_m=SIDE_WALL_M),)
    focus = region.center + np.array([*rng.uniform(-0.05, 0.05, 2), 0.04])
    return Layout(
        placements=tuple(builder.placements), walls=walls, surfaces=draw_surfaces(rng, rich=spec.is_rich),
        focus=focus, targets=_tabletop_targets(builder, focus), focus_half_m=0.3, room_half_m=0.0,
    )  # fmt: skip


def _tabletop_targets(builder: _Builder, focus: FloatArray) -> FloatArray:
    """What views look at: the table's middle; in a rich scene any object, too."""
    loose = [p.position for p in builder.placements if not p.static]
    return np.array([focus, *loose]) if builder.spec.is_rich else focus[None]


def room_layout(spec: SceneSpec, rng: np.random.Generator) -> Layout:
    """A room: furniture along two walls, a table in front, objects on everything level.

    Args:
        spec: what to generate.
        rng: source of chance.

    Returns:
        The layout; the room is centred on the world's origin.
    """
    builder = _Builder(spec, rng)
    half = float(rng.uniform(*ROOM_SIDE_M) / 2)
    taken: list[FloatArray] = []
    _wall_furniture(builder, half, taken)
    _table_group(builder, half, taken)
    surfaces = [region for placed in list(builder.placements) for region in builder.regions(placed)]
    table_like = [r for r in surfaces if not r.clearance_m]
    under_boards = [r for r in surfaces if r.clearance_m]
    count = _count(spec, rng)
    builder.objects(table_like, count - count // 3 if under_boards else count, _pool(spec, "table"))
    if under_boards:
        builder.objects(under_boards, count // 3, _pool(spec, "shelf"))
    turns = [np.array([0.0, -1.0]), np.array([0.0, 1.0]), np.array([-1.0, 0.0]), np.array([1.0, 0.0])]
    walls = tuple(Wall(center=-n * half, normal=n, half_length_m=half) for n in turns)
    targets = np.array(
        [p.position for p in builder.placements if not p.static] or [p.position for p in builder.placements]
    )
    return Layout(
        placements=tuple(builder.placements), walls=walls, surfaces=draw_surfaces(rng, rich=spec.is_rich),
        focus=targets.mean(axis=0), targets=targets, focus_half_m=0.8, room_half_m=half,
    )  # fmt: skip


def _stand(builder: _Builder, design: Design, xy: FloatArray, yaw: float, taken: list[FloatArray], half: float) -> bool:
    """Puts furniture where it is free; False (and nothing placed) when it is not."""
    corners = footprint(design.vertices @ yaw_matrix(yaw).T, yaw) + xy
    if (np.abs(corners) > half).any() or not all(rectangles_apart(corners, other, 0.05) for other in taken):
        return False
    builder.furniture(design, (float(xy[0]), float(xy[1])), yaw)
    taken.append(corners)
    return True


def _wall_furniture(builder: _Builder, half: float, taken: list[FloatArray]) -> None:
    """Two to five pieces with their backs to the far and the right wall; a shelf among them most of the time."""
    rng = builder.rng
    choices = list(categories("furniture", "wall", rich=builder.spec.is_rich))
    wanted = [CATALOGUE["shelf"]] if rng.random() < 0.8 else []
    wanted += [choices[int(rng.integers(len(choices)))] for _ in range(int(rng.integers(2, 5)))]
    for category in wanted:
        design = builder.design(category)
        reach = half - float(design.low[1] + design.size[1]) - WALL_GAP_M
        for _ in range(12):
            along = float(rng.uniform(-half, half))
            far_wall = rng.random() < 0.65
            xy, yaw = (np.array([along, reach]), 0.0) if far_wall else (np.array([reach, along]), -np.pi / 2)
            if _stand(builder, design, xy, yaw, taken, half):
                break


def _table_group(builder: _Builder, half: float, taken: list[FloatArray]) -> None:
    """A table near the middle with up to four chairs, stools, bins or plants around it."""
    rng = builder.rng
    yaw = float(rng.choice([0.0, np.pi / 2]) + rng.normal(0.0, 0.06))
    center = np.array([float(rng.uniform(-0.5, 0.3)), float(rng.uniform(-0.4, 0.3))])
    table = builder.design(CATALOGUE["table"])
    for _ in range(10):
        if _stand(builder, table, center, yaw, taken, half):
            break
        center = rng.uniform(-0.7, 0.5, 2)
    seats = [CATALOGUE["chair"], CATALOGUE["chair"], CATALOGUE["stool"], CATALOGUE["bin"], CATALOGUE["potted plant"]]
    if builder.spec.is_rich:
        seats += [CATALOGUE[name] for name in ("armchair", "bench", "suitcase")]
    for _ in range(int(rng.integers(1, 5))):
        design = builder.design(seats[int(rng.integers(len(seats)))])
        for _ in range(8):
            angle, reach = float(rng.uniform(-np.pi, np.pi)), float(rng.uniform(0.6, 1.3))
            xy = center + reach * np.array([np.cos(angle), np.sin(angle)])
            # A chair's back (+y) points away from the table.
            if _stand(builder, design, xy, angle - np.pi / 2 + float(rng.normal(0, 0.15)), taken, half):
                break


def draw_layout(spec: SceneSpec, rng: np.random.Generator) -> Layout:
    """The layout of the spec's kind.

    Args:
        spec: what to generate.
        rng: source of chance.

    Returns:
        Objects and walls before physics.
    """
    return tabletop_layout(spec, rng) if spec.kind == "tabletop" else room_layout(spec, rng)
