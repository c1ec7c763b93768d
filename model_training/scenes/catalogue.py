"""The catalogue of objects, as data: each category is a list of parts in a unit box and ranges of sizes in metres.

A part fills the box ``low`` to ``high`` in the object's unit coordinates (x, y in -0.5 to 0.5, z in 0 to 1), so one
entry describes objects of any size. To add a category, add an entry to ``entries.py``; nothing else needs to know it.
Sizes are everyday ones, measured or from shop pages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from model_training.scenes import meshes
from model_training.scenes.colors import MATERIAL_WORDS, VIVID, Rgb, draw_paint
from model_training.scenes.materials import possible_materials
from model_training.scenes.meshes import Mesh

Triple = tuple[float, float, float]
Profile = tuple[tuple[float, float], ...]
Range = tuple[float, float]

FULL: tuple[Triple, Triple] = ((-0.5, -0.5, 0.0), (0.5, 0.5, 1.0))
ROUND_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One piece of an object.

    Args:
        kind: "box", "cylinder", "ellipsoid", "lathe" or "ring".
        low: lower corner in unit coordinates.
        high: upper corner in unit coordinates.
        material: slot name, see ``Category.materials``.
        profile: for "lathe": (radius, height) from the axis at the bottom along the outside back to the axis.
        tilt_deg: turn about y through the part's centre, after scaling.
        turn_deg: turn about z through the part's centre, after the tilt.
        texture: "plain", "wood", "print", "label", "screen" or "stripes".
        solid: whether other objects collide with it.
    """

    kind: str
    low: Triple = FULL[0]
    high: Triple = FULL[1]
    material: str = "body"
    profile: Profile = ()
    tilt_deg: float = 0.0
    turn_deg: float = 0.0
    texture: str = "plain"
    solid: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """A horizontal place where other objects may stand.

    Args:
        height: unit coordinate of the surface.
        low: lower x, y in unit coordinates.
        high: upper x, y in unit coordinates.
        clearance: free height above, as a share of the object's height; 0: open to the sky.
    """

    height: float = 1.0
    low: tuple[float, float] = (-0.5, -0.5)
    high: tuple[float, float] = (0.5, 0.5)
    clearance: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Category:
    """A kind of object.

    Args:
        name: the word people use.
        role: "object" (loose, small) or "furniture" (stands still, may carry objects).
        shape: "box", "cylinder", "ball", "bowl" or "flat": what the geometry alone would be called.
        width_m: range of the x size.
        depth_m: range of the y size; None: ``depth_share`` of the width.
        depth_share: range of y size over x size.
        height_m: range of the z size; None: ``height_share`` of the width.
        height_share: range of z size over x size.
        variants: tuples of parts, one of which is drawn.
        materials: slot to the paints it may have (colour words or materials); the first slot names the object's colour.
        symmetry: about the object's z axis: "none", "half_turn", "quarter_turn" or "round".
        lies: chance that a loose object is dropped on its side.
        stackable: whether something may be put on top.
        holds: whether small things may be dropped inside.
        density: kilogrammes per cubic metre of the solid parts.
        surfaces: where objects may stand on furniture.
        stands_on: "table", "shelf", "floor", "wall" (on the floor, with its back to a wall).
    """

    name: str
    role: str = "object"
    shape: str = "box"
    width_m: Range
    depth_m: Range | None = None
    depth_share: Range = (1.0, 1.0)
    height_m: Range | None = None
    height_share: Range = (1.0, 1.0)
    variants: tuple[tuple[Part, ...], ...]
    materials: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({"body": VIVID}))
    symmetry: str = "half_turn"
    lies: float = 0.0
    stackable: bool = False
    holds: bool = False
    density: float = 400.0
    surfaces: tuple[Surface, ...] = ()
    stands_on: tuple[str, ...] = ("table", "shelf")

    @property
    def main_slot(self) -> str:
        """The slot that gives an object its colour and material."""
        return next(iter(self.materials))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Piece:
    """A part at its real size, in the object's frame (origin: centre of the footprint; z up).

    Args:
        part: what it is.
        mesh: its surface, metres.
        paint: red, green, blue, 0 to 1.
        low: (3,) metres, lower corner before the part's own turn.
        high: (3,) metres.
        rotation: (3, 3) the part's own turn about the middle of low and high.
    """

    part: Part
    mesh: Mesh
    paint: Rgb
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    rotation: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Design:
    """One object drawn from a category.

    Args:
        category: its kind.
        color: its main colour word.
        pieces: its parts at real size.
        size: (3,) metres: extent of all vertices along the object's axes.
        low: (3,) metres: lower corner of that extent.
        vertices: (N, 3) metres: all vertices in the object's frame.
        material: what its first slot is made of, a key of ``materials.FINISHES``.
    """

    category: Category
    color: str
    pieces: tuple[Piece, ...]
    size: NDArray[np.float64]
    low: NDArray[np.float64]
    vertices: NDArray[np.float64]
    material: str

    @property
    def radius_m(self) -> float:
        """Half the diagonal of the footprint."""
        return float(np.hypot(self.size[0], self.size[1]) / 2)


@lru_cache(maxsize=1024)  # the catalogue has a few hundred parts
def _unit_mesh(part: Part) -> Mesh:
    """The part's surface in the unit box."""
    if part.kind == "lathe":
        return meshes.lathe(part.profile)
    makers = {"box": meshes.unit_box, "cylinder": meshes.cylinder, "ellipsoid": meshes.ellipsoid, "ring": meshes.ring}
    return makers[part.kind]()


def _turn(part: Part) -> NDArray[np.float64]:
    """The part's own rotation, (3, 3)."""
    tilt, turn = np.radians(part.tilt_deg), np.radians(part.turn_deg)
    about_y = np.array([[np.cos(tilt), 0, np.sin(tilt)], [0, 1, 0], [-np.sin(tilt), 0, np.cos(tilt)]])
    about_z = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    turned: NDArray[np.float64] = about_z @ about_y
    return turned


def _build_piece(part: Part, size: NDArray[np.float64], paint: Rgb) -> Piece:
    """The part at real size."""
    low, high = np.asarray(part.low) * size, np.asarray(part.high) * size
    middle = (low + high) / 2
    rotation = _turn(part)
    offset = np.array([middle[0], middle[1], low[2]])
    mesh = _unit_mesh(part).scaled((high - low).tolist(), offset.tolist()).rotated(rotation, middle)
    return Piece(part=part, mesh=mesh, paint=paint, low=low, high=high, rotation=rotation)


def _draw_size(category: Category, rng: np.random.Generator) -> NDArray[np.float64]:
    """(3,) metres."""
    width = rng.uniform(*category.width_m)
    depth = rng.uniform(*category.depth_m) if category.depth_m else width * rng.uniform(*category.depth_share)
    height = rng.uniform(*category.height_m) if category.height_m else width * rng.uniform(*category.height_share)
    return np.array([width, depth, height])


def draw_design(category: Category, rng: np.random.Generator, *, rich: bool = False) -> Design:
    """One object of the category, its size, variant and paints drawn by chance.

    Args:
        category: an entry of the catalogue.
        rng: source of chance.
        rich: whether its material is drawn, too; otherwise it is the usual one.

    Returns:
        The object, centred over its footprint, standing on z = 0.
    """
    size = _draw_size(category, rng)
    parts = category.variants[int(rng.integers(len(category.variants)))]
    words = {slot: str(rng.choice(choices)) for slot, choices in category.materials.items()}
    main = words[category.main_slot]
    paints = {slot: draw_paint(word, rng) for slot, word in words.items()}
    substances = possible_materials(category.name, main)
    material = substances[int(rng.integers(len(substances)))] if rich else substances[0]
    pieces = tuple(_build_piece(part, size, paints[part.material]) for part in parts)
    vertices = np.concatenate([piece.mesh.vertices for piece in pieces])
    low = vertices.min(axis=0)
    return Design(
        category=category,
        color=MATERIAL_WORDS.get(main, main),
        pieces=pieces,
        size=vertices.max(axis=0) - low,
        low=low,
        vertices=vertices,
        material=material,
    )
