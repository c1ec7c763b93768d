"""Unit shapes as vertex arrays: box, solids of revolution, rings, ellipsoids, prisms.

All shapes fill x, y in [-0.5, 0.5] and z in [0, 1] and are closed surfaces with outward triangles, so they can be
scaled into place, have a volume, and need no file. Vertices are doubled where a surface has a crease: a renderer that
averages normals over shared vertices then keeps edges sharp.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int32]
ROUND_SEGMENTS = 28  # facets of a full turn: chord error 0.6 % of the radius
CREASE_DEG = 35.0  # profile corners sharper than this are shaded as edges


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mesh:
    """A closed triangle surface.

    Args:
        vertices: (N, 3) float64 metres (or unit lengths before scaling).
        faces: (M, 3) int32 indices, counter-clockwise seen from outside.
        texcoords: (N, 2) float64, 0 to 1.
    """

    vertices: FloatArray
    faces: IntArray
    texcoords: FloatArray

    def scaled(self, scale: Sequence[float], offset: Sequence[float]) -> Mesh:
        """The mesh with each axis scaled, then moved.

        Args:
            scale: three factors above 0.
            offset: three lengths, added afterwards.

        Returns:
            A new mesh.
        """
        vertices = self.vertices * np.asarray(scale) + np.asarray(offset)
        return Mesh(vertices=vertices, faces=self.faces, texcoords=self.texcoords)

    def rotated(self, rotation: FloatArray, about: FloatArray) -> Mesh:
        """The mesh turned about a point.

        Args:
            rotation: (3, 3).
            about: (3,) fixed point.

        Returns:
            A new mesh.
        """
        vertices = (self.vertices - about) @ rotation.T + about
        return Mesh(vertices=vertices, faces=self.faces, texcoords=self.texcoords)

    @property
    def volume(self) -> float:
        """Enclosed volume by the divergence theorem; positive when faces point outwards."""
        a, b, c = (self.vertices[self.faces[:, k]] for k in range(3))
        return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6.0)


def unit_box() -> Mesh:
    """A cube with four own vertices per side; every side shows the whole texture upright."""
    vertices: list[FloatArray] = []
    faces: list[tuple[int, ...]] = []
    texcoords: list[tuple[int, int]] = []
    for axis in range(3):
        for side in (-0.5, 0.5):
            first, second = ((axis + 1) % 3, (axis + 2) % 3)
            if axis == 1:  # keep z as the vertical of the picture on all four walls
                first, second = second, first
            base = len(vertices)
            for s, t in ((0, 0), (1, 0), (1, 1), (0, 1)):
                corner = np.zeros(3)
                corner[axis], corner[first], corner[second] = side, s - 0.5, t - 0.5
                vertices.append(corner)
                texcoords.append((s, 1 - t) if axis != 1 else (t, 1 - s))
            quad = ((0, 1, 2), (0, 2, 3))
            outward = (side > 0) != (axis == 1)
            faces += [tuple(base + k for k in (tri if outward else tri[::-1])) for tri in quad]
    array = np.array(vertices) + np.array([0, 0, 0.5])
    return Mesh(vertices=array, faces=np.array(faces, np.int32), texcoords=np.array(texcoords, dtype=np.float64))


def _split_at_creases(profile: FloatArray) -> list[tuple[int, int]]:
    """Index ranges (first, last) of the profile's smooth runs."""
    directions = np.diff(profile, axis=0)
    angles = np.unwrap(np.arctan2(directions[:, 1], directions[:, 0]))
    corners = [i + 1 for i, turn in enumerate(np.abs(np.diff(angles))) if turn > np.radians(CREASE_DEG)]
    stops = [0, *corners, len(profile) - 1]
    return list(itertools.pairwise(stops))


def lathe(profile: Sequence[tuple[float, float]], segments: int = ROUND_SEGMENTS) -> Mesh:
    """The solid that a profile sweeps in a full turn about z.

    Args:
        profile: (radius 0 to 1, height 0 to 1) from the axis at the bottom, along the outside, back to the axis; the
            radius is relative to half the width.
        segments: facets around.

    Returns:
        The mesh; u runs around, v up.
    """
    points = np.asarray(profile, dtype=np.float64)
    turn = np.linspace(0.0, 2 * np.pi, segments + 1)
    vertices, faces, texcoords = [], [], []
    base = 0
    for first, last in _split_at_creases(points):
        run = points[first : last + 1]
        for radius, height in run:
            ring = np.stack([np.cos(turn) * radius / 2, np.sin(turn) * radius / 2, np.full_like(turn, height)], -1)
            vertices.append(ring)
            texcoords.append(np.stack([turn / (2 * np.pi), np.full_like(turn, 1 - height)], -1))
        for row in range(len(run) - 1):
            low = base + row * (segments + 1) + np.arange(segments)
            high = low + segments + 1
            if run[row, 0] > 0:
                faces.append(np.stack([low, low + 1, high], -1))
            if run[row + 1, 0] > 0:
                faces.append(np.stack([low + 1, high + 1, high], -1))
        base += len(run) * (segments + 1)
    return Mesh(
        vertices=np.concatenate(vertices),
        faces=np.concatenate(faces).astype(np.int32),
        texcoords=np.concatenate(texcoords),
    )


def ring(tube: float = 0.16, segments: int = 20, around: int = 10) -> Mesh:
    """An upright ring (a handle) in the x-z plane.

    Args:
        tube: thickness as a share of the ring's width.
        segments: facets along the ring.
        around: facets around the tube.

    Returns:
        The mesh; y extent is one whatever the tube, so scale it to the thickness wanted.
    """
    along, about = np.meshgrid(
        np.linspace(0, 2 * np.pi, segments, endpoint=False),
        np.linspace(0, 2 * np.pi, around, endpoint=False),
        indexing="ij",
    )
    reach = 0.5 - tube / 2 + np.cos(about) * tube / 2
    vertices = np.stack([np.cos(along) * reach, np.sin(about) / 2, 0.5 + np.sin(along) * reach], -1).reshape(-1, 3)
    texcoords = np.stack([along / (2 * np.pi), about / (2 * np.pi)], -1).reshape(-1, 2)
    i, j = np.meshgrid(np.arange(segments), np.arange(around), indexing="ij")
    here, right = i * around + j, (i + 1) % segments * around + j
    up, both = i * around + (j + 1) % around, (i + 1) % segments * around + (j + 1) % around
    faces = np.concatenate([np.stack([here, up, right], -1), np.stack([right, up, both], -1)]).reshape(-1, 3)
    return Mesh(vertices=vertices, faces=faces.astype(np.int32), texcoords=texcoords)


def ellipsoid(rows: int = 14) -> Mesh:
    """A ball that fills the unit box.

    Args:
        rows: facets from pole to pole.

    Returns:
        The mesh.
    """
    angle = np.linspace(-np.pi / 2, np.pi / 2, rows + 1)
    profile = [(max(float(np.cos(a)), 0.0), float(0.5 + np.sin(a) / 2)) for a in angle]
    profile[0], profile[-1] = (0.0, 0.0), (0.0, 1.0)
    return lathe(profile)


def cylinder() -> Mesh:
    """An upright cylinder that fills the unit box."""
    return lathe(((0, 0), (1, 0), (1, 1), (0, 1)))
