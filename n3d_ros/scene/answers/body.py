"""Body: what a relation or measure is computed on: an object of the scene or a flat surface, both as boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot

import numpy as np

from n3d_ros.detection import BoxUncertainty, SupportSurface
from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.geometry.transforms import matrix_to_quaternion
from n3d_ros.scene.answers.wording import echo
from n3d_ros.scene.objects import SceneObject

SURFACE_THICKNESS_M = 0.001  # a surface is known from one side only
SURFACE_NOUNS = {
    **dict.fromkeys(("table", "desk", "counter", "countertop", "tabletop", "desktop", "bench", "workbench"), "table"),
    **dict.fromkeys(("floor", "ground"), "floor"),
    **dict.fromkeys(("shelf", "shelve", "rack"), "shelf"),
    "wall": "wall",
}
"""Noun -> kind of surface that is called so."""
ANY_SURFACE = "surface"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Body:
    """An object or a surface.

    Args:
        name: as answers call it, without article: "red box 3", "table".
        label: as it is labelled, for phrases.
        box: the oriented box, scene frame; of a surface its seen extent, flat.
        axes: (3, 3) the box's axes as columns, kept because the box computes them anew each time.
        uncertainty: of the box; zero for a surface, whose height is an average over many points.
        known: the object; None for a surface.
        surface: the surface; None for an object.
    """

    name: str
    label: str
    box: Box3D
    axes: FloatArray
    uncertainty: BoxUncertainty
    known: SceneObject | None = None
    surface: SupportSurface | None = None

    @property
    def id(self) -> int | None:
        """The object's id; None for a surface."""
        return None if self.known is None else self.known.id

    @property
    def center(self) -> FloatArray:
        """(3,) metres, scene frame."""
        return self.box.center

    @property
    def color(self) -> str | None:
        """Its colour word, if known."""
        return None if self.known is None else self.known.color

    @property
    def shape(self) -> str | None:
        """Its shape word, if known."""
        return "flat" if self.known is None else self.known.shape

    @property
    def the(self) -> str:
        """Such as "the red box 3"."""
        return f"the {self.name}"

    def half_extent(self, direction: FloatArray) -> tuple[float, float]:
        """How far the box reaches from its centre along a direction, and the standard deviation of that reach.

        Args:
            direction: (3,) unit vector.

        Returns:
            Metres, both.
        """
        shares = np.abs(direction @ self.axes).tolist()
        edges, errors = self.box.size.tolist(), self.uncertainty.size_stddev_m.tolist()
        # plain floats: for three numbers the calls of numpy cost more than the arithmetic
        reach = sum(share * edge for share, edge in zip(shares, edges, strict=True)) / 2
        return reach, hypot(*(share * error for share, error in zip(shares, errors, strict=True))) / 2

    def center_variance(self, direction: FloatArray) -> float:
        """Variance of the centre along a direction.

        Args:
            direction: (3,) unit vector.

        Returns:
            Square metres.
        """
        return max(float(direction @ self.uncertainty.center_covariance_m2 @ direction), 0.0)


def body_of(known: SceneObject) -> Body:
    """The body of an object.

    Args:
        known: the object.

    Returns:
        The body, named by label and id so that equal ones can be told apart.
    """
    return Body(
        name=f"{echo(known.label)} {known.id}",
        label=known.label,
        box=known.box,
        axes=known.box.rotation,
        uncertainty=known.uncertainty,
        known=known,
    )


def surface_bodies(surfaces: Sequence[SupportSurface]) -> tuple[Body, ...]:
    """The bodies of the surfaces; several of a kind are numbered.

    Args:
        surfaces: scene frame.

    Returns:
        One body each, those without an outline left out.
    """
    kept = [surface for surface in surfaces if len(surface.outline) >= 3]
    kinds = [surface.kind for surface in kept]
    return tuple(
        _surface_body(surface, kind if kinds.count(kind) == 1 else f"{kind} {kinds[: i + 1].count(kind)} (surface)")
        for i, (kind, surface) in enumerate(zip(kinds, kept, strict=True))
    )


def _surface_body(surface: SupportSurface, name: str) -> Body:
    box = _flat_box(surface)
    return Body(name=name, label=surface.kind, box=box, axes=box.rotation, uncertainty=_EXACT, surface=surface)


_EXACT = BoxUncertainty(center_covariance_m2=np.zeros((3, 3)), size_stddev_m=np.zeros(3), yaw_stddev_rad=0.0)


def _flat_box(surface: SupportSurface) -> Box3D:
    """The rectangle of least area around the outline, its top face in the surface; own z is the normal."""
    edges = np.roll(surface.outline, -1, axis=0) - surface.outline
    edges = edges - np.outer(edges @ surface.normal, surface.normal)
    edges = edges[np.linalg.norm(edges, axis=1) > 1e-6]
    if not len(edges):
        edges = np.eye(3)[[int(np.argmin(np.abs(surface.normal)))]]
        edges = edges - np.outer(edges @ surface.normal, surface.normal)
    along = edges / np.linalg.norm(edges, axis=1, keepdims=True)
    across = np.cross(surface.normal, along)
    areas = np.ptp(surface.outline @ along.T, axis=0) * np.ptp(surface.outline @ across.T, axis=0)
    best = int(np.argmin(areas))
    frame = np.column_stack([along[best], across[best], surface.normal])
    local = surface.outline @ frame
    low, high = local.min(axis=0), local.max(axis=0)
    middle = (low + high) / 2
    middle[2] = -surface.offset_m - SURFACE_THICKNESS_M / 2
    size = np.maximum(high - low, SURFACE_THICKNESS_M)
    size[2] = SURFACE_THICKNESS_M
    return Box3D(center=frame @ middle, size=size, orientation_xyzw=matrix_to_quaternion(frame))
