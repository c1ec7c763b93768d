"""A catalogue object as surfaces a ray can meet: boxes, ellipsoids, cones and discs, all affine images of unit ones.

``unit = A point + b`` takes the object's frame to the surface's own coordinates, where intersection is a formula;
distances along a ray survive the map. A solid of revolution becomes the cones and discs between its profile's points.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from model_training.scenes.catalogue import Category, Design, Piece, draw_design
from model_training.scenes.entries import CATALOGUE
from model_training.scenes.truth import object_box
from n3d_ros.geometry.arrays import Float32Array, FloatArray
from n3d_ros.geometry.boxes import CORNER_SIGNS, Box3D
from n3d_ros.geometry.transforms import RigidTransform

SHAPES_PER_CATEGORY = 48  # sizes and variants that are ever met; more cost memory and time, and look the same
RING_BEADS = 10  # ellipsoids that stand for a handle
RING_TUBE = 0.16  # as in meshes.ring
FLAT = 1e-6  # a profile's step in height below which it is a disc
POOL_SEED = 77
CYLINDER_PROFILE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))

TIP = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])  # z axis to x: onto its side


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Surfaces:
    """Surfaces of one kind.

    Args:
        matrix: (P, 3, 3) float32.
        offset: (P, 3) float32.
        numbers: (P, 4) float32: of a cone radius at height 0, its slope, lowest and highest height; of a disc height,
            inner and outer radius, 0; of others zeros.
        piece: (P,) int32 index of the piece that each belongs to.
    """

    matrix: Float32Array
    offset: Float32Array
    numbers: Float32Array
    piece: NDArray[np.int32]

    def only(self, index: int) -> Surfaces:
        """One of them.

        Args:
            index: which.

        Returns:
            Surfaces of length 1.
        """
        one = slice(index, index + 1)
        return Surfaces(
            matrix=self.matrix[one], offset=self.offset[one], numbers=self.numbers[one], piece=self.piece[one]
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CastShape:
    """One design, ready to be met by rays, standing or lying with its lowest point at z = 0.

    Args:
        category: its kind.
        boxes: filling -1 to 1.
        ellipsoids: of radius 1.
        cones: open, about z.
        discs: level rings about z.
        slots: material slot of every piece.
        textures: texture name of every piece.
        box: its box, in the frame in which it stands.
        box_rotation: (3, 3) of that box.
        symmetry: of the box about z.
        upright: whether it stands.
        corners: (8, 3) of its extent.
        radius_m: half the diagonal of its footprint.
    """

    category: Category
    boxes: Surfaces
    ellipsoids: Surfaces
    cones: Surfaces
    discs: Surfaces
    slots: tuple[str, ...]
    textures: tuple[str, ...]
    box: Box3D
    box_rotation: FloatArray
    symmetry: str
    upright: bool
    corners: FloatArray
    radius_m: float

    def apart(self) -> tuple[CastShape, ...]:
        """Each box as a shape of its own, for shapes of boxes alone: a table's legs need few rays, its top many.

        Returns:
            The shapes; this one alone where it has other surfaces.
        """
        if any(len(kind.piece) for kind in (self.ellipsoids, self.cones, self.discs)):
            return (self,)
        return tuple(
            replace(self, boxes=self.boxes.only(k), corners=_box_corners(self.boxes, k))
            for k in range(len(self.boxes.piece))
        )

    @property
    def height_m(self) -> float:
        """From the support to its top."""
        return float(self.corners[:, 2].max())


class _Collector:
    """Collects surfaces by kind."""

    def __init__(self) -> None:
        self.found: dict[str, list[tuple[FloatArray, FloatArray, tuple[float, ...], int]]] = {
            kind: [] for kind in ("box", "ellipsoid", "cone", "disc")
        }

    def add(
        self,
        kind: str,
        matrix: FloatArray,
        offset: FloatArray,
        piece: int,
        numbers: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0),
    ) -> None:
        """One surface more."""
        self.found[kind].append((matrix, offset, numbers, piece))

    def surfaces(self, kind: str) -> Surfaces:
        """All of a kind."""
        entries = self.found[kind]
        matrices = np.array([e[0] for e in entries], np.float32).reshape(-1, 3, 3)
        offsets = np.array([e[1] for e in entries], np.float32).reshape(-1, 3)
        numbers = np.array([e[2] for e in entries], np.float32).reshape(-1, 4)
        return Surfaces(
            matrix=matrices, offset=offsets, numbers=numbers, piece=np.array([e[3] for e in entries], np.int32)
        )


def _add_piece(into: _Collector, piece: Piece, index: int, tip: FloatArray, lift: FloatArray) -> None:
    """The piece's surfaces; ``tip`` and ``lift`` take the object's frame to that in which it stands."""
    half, middle = (piece.high - piece.low) / 2, (piece.high + piece.low) / 2
    to_piece = piece.rotation.T @ tip.T
    matrix = to_piece / half[:, None]
    offset = -matrix @ lift - (piece.rotation.T @ middle) / half
    kind = piece.part.kind
    if kind in ("box", "ellipsoid"):
        into.add(kind, matrix, offset, index)
    elif kind == "ring":
        _add_ring(into, matrix, offset, index)
    else:
        profile = piece.part.profile if kind == "lathe" else CYLINDER_PROFILE
        halved = np.array([1.0, 1.0, 0.5])
        _add_profile(into, matrix * halved[:, None], offset * halved + np.array([0.0, 0.0, 0.5]), index, profile)


def _add_profile(
    into: _Collector, matrix: FloatArray, offset: FloatArray, index: int, profile: tuple[tuple[float, float], ...]
) -> None:
    """Cones and discs between the points of a profile."""
    for (r0, z0), (r1, z1) in itertools.pairwise(profile):
        if abs(z1 - z0) < FLAT:
            into.add("disc", matrix, offset, index, (z0, min(r0, r1), max(r0, r1), 0.0))
        else:
            slope = (r1 - r0) / (z1 - z0)
            into.add("cone", matrix, offset, index, (r0 - slope * z0, slope, min(z0, z1), max(z0, z1)))


def _add_ring(into: _Collector, matrix: FloatArray, offset: FloatArray, index: int) -> None:
    """Beads along an upright ring in the x-z plane that fills -1 to 1."""
    reach = 1 - RING_TUBE
    for k in range(RING_BEADS):
        angle = 2 * np.pi * (k + 0.5) / RING_BEADS
        c, s = np.cos(angle), np.sin(angle)
        axes = np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])  # outwards, across, along
        half = np.array([RING_TUBE, 1.0, 1.25 * np.pi * reach / RING_BEADS])
        turned = axes / half[:, None]
        center = np.array([c * reach, 0.0, s * reach])
        into.add("ellipsoid", turned @ matrix, turned @ (offset - center), index)


def _box_corners(boxes: Surfaces, index: int) -> FloatArray:
    """(8, 3) corners of a box in the shape's frame."""
    back = np.linalg.inv(boxes.matrix[index].astype(np.float64))
    corners: FloatArray = (CORNER_SIGNS - boxes.offset[index]) @ back.T
    return corners


def cast_shape(design: Design, *, lying: bool = False) -> CastShape:
    """The surfaces of a design.

    Args:
        design: of the catalogue.
        lying: whether it lies on its side.

    Returns:
        The shape.
    """
    tip = TIP if lying else np.eye(3)
    turned = design.vertices @ tip.T
    low, high = turned.min(axis=0), turned.max(axis=0)
    lift = np.array([*(-(low + high)[:2] / 2 * lying), -low[2]])
    into = _Collector()
    for index, piece in enumerate(design.pieces):
        _add_piece(into, piece, index, tip, lift)
    box, symmetry, upright = object_box(design, RigidTransform(rotation=tip, translation=lift))
    ends = np.stack([low + lift, high + lift])
    corners = np.array(list(itertools.product(*ends.T)))
    return CastShape(
        category=design.category,
        boxes=into.surfaces("box"),
        ellipsoids=into.surfaces("ellipsoid"),
        cones=into.surfaces("cone"),
        discs=into.surfaces("disc"),
        slots=tuple(piece.part.material for piece in design.pieces),
        textures=tuple(piece.part.texture for piece in design.pieces),
        box=box,
        box_rotation=box.rotation,
        symmetry=symmetry,
        upright=upright,
        corners=corners,
        radius_m=float(np.linalg.norm((high - low)[:2]) / 2),
    )


@cache
def pooled_parts(name: str, number: int) -> tuple[CastShape, ...]:
    """The boxes of one of a category's shapes, each by itself; see ``CastShape.apart``.

    Args:
        name: of the category.
        number: as for ``pooled_shape``.

    Returns:
        The shapes.
    """
    return pooled_shape(name, number).apart()


@cache
def pooled_shape(name: str, number: int) -> CastShape:
    """One of the shapes of a category that are ever met; made once per process.

    Args:
        name: of the category.
        number: 0 to ``SHAPES_PER_CATEGORY`` - 1.

    Returns:
        The shape; the same on every machine.
    """
    category = CATALOGUE[name]
    rng = np.random.default_rng([POOL_SEED, list(CATALOGUE).index(name), number])
    design = draw_design(category, rng)
    return cast_shape(design, lying=bool(rng.random() < category.lies))
