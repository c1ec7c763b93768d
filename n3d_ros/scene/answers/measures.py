"""Measures of bodies, each with the standard deviation that the boxes' uncertainty gives it.

The edges of a box are told apart by how they run: height is the edge that runs most along the vertical, width the one
of the other two that runs most across the view, depth the remaining one. For a box aligned with the camera these are
sx, sy and sz of the N3D-VLM paper (spec c).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import hypot, sqrt

import numpy as np

from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.scene.answers.body import Body
from n3d_ros.scene.answers.sight import Sight
from n3d_ros.scene.answers.spacing import gap_between, nearest_in
from n3d_ros.scene.answers.wording import area, duration, length, volume
from n3d_ros.scene.questions.question import Quantity

SIGMAS = 2.0  # a difference within so many standard deviations is no difference
ROUNDING = 1e-9  # differences below it come from rounding


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A number with its error.

    Args:
        value: in ``unit``.
        stddev: one standard deviation, in ``unit``.
        unit: "m", "m^2", "m^3" or "s".
    """

    value: float
    stddev: float
    unit: str = "m"

    def words(self, unit: str | None = None) -> str:
        """The value in words.

        Args:
            unit: for lengths, the unit asked for; None: chosen by size.

        Returns:
            Such as "42 cm".
        """
        if self.unit == "m":
            return length(self.value, unit)
        return {"m^2": area, "m^3": volume, "s": duration}[self.unit](self.value)

    def figures(self) -> str:
        """The value with its error, to check by hand.

        Returns:
            Such as "0.420 m +- 0.004 m".
        """
        digits = {"m": 3, "m^2": 4, "m^3": 6, "s": 1}[self.unit]
        error = f" +- {self.stddev:.{digits}f} {self.unit}" if self.stddev > 0 else ""
        value = round(self.value, digits) + 0.0  # adding zero turns -0.000 into 0.000
        return f"{value:.{digits}f} {self.unit}{error}"

    def minus(self, other: Measured, factor: float = 1.0) -> Measured:
        """The difference to a multiple of another measure; the errors are taken as independent.

        Args:
            other: what is taken away.
            factor: how many times.

        Returns:
            The difference with its error.
        """
        stddev = hypot(self.stddev, factor * other.stddev)
        return Measured(value=self.value - factor * other.value, stddev=stddev, unit=self.unit)

    @property
    def sign(self) -> int:
        """1 above 0, -1 below, 0 when the value is within its error of 0."""
        if abs(self.value) <= max(SIGMAS * self.stddev, ROUNDING):
            return 0
        return 1 if self.value > 0 else -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Edges:
    """A box's edges by how they run, each an index of the box's own axes.

    Args:
        width: across the view.
        height: along the vertical.
        depth: along the view.
    """

    width: int
    height: int
    depth: int


def edges_of(body: Body, sight: Sight) -> Edges:
    """Which edge of a box is its width, its height and its depth.

    Args:
        body: the body.
        sight: who looks.

    Returns:
        The edges.
    """
    axes = body.axes
    height = int(np.argmax(np.round(np.abs(sight.up @ axes), 9)))
    across = np.round(np.abs(sight.left @ axes), 9)
    first, second = (k for k in range(3) if k != height)
    width, depth = (first, second) if across[first] >= across[second] else (second, first)
    return Edges(width=width, height=height, depth=depth)


def measure(quantity: Quantity, body: Body, sight: Sight, reference: Body | None = None) -> Measured:
    """A quantity of a body.

    Args:
        quantity: one of ``MEASURABLE``.
        body: the body.
        sight: who looks.
        reference: the other end of a distance, height or gap; None: the viewer.

    Returns:
        The number with its error.
    """
    if quantity in _EDGES:
        return _edge(body, _EDGES[quantity](body, sight))
    if quantity in _PRODUCTS:
        return _product(body, _PRODUCTS[quantity](body, sight))
    return _PLACED[quantity](body, sight, reference)


def side_by_side(body: Body, reference: Body, direction: FloatArray) -> Measured:
    """How far a body's centre lies from another's along a direction.

    Args:
        body: the body.
        reference: the other one.
        direction: (3,) unit vector.

    Returns:
        Metres, above 0 when it lies further along.
    """
    variance = body.center_variance(direction) + reference.center_variance(direction)
    return Measured(value=float(direction @ (body.center - reference.center)), stddev=sqrt(variance))


def along(body: Body, sight: Sight, direction: FloatArray) -> Measured:
    """How far a body's centre lies from the viewer along a direction.

    Args:
        body: the body.
        sight: who looks.
        direction: (3,) unit vector.

    Returns:
        Metres.
    """
    stddev = sqrt(body.center_variance(direction))
    return Measured(value=float(direction @ (body.center - sight.origin)), stddev=stddev)


def straight(body: Body, origin: FloatArray) -> Measured:
    """The straight distance of a body's centre from a point.

    Args:
        body: the body.
        origin: (3,) metres.

    Returns:
        Metres.
    """
    return _norm(body.center - origin, body.uncertainty.center_covariance_m2)


# --- how each quantity is measured ------------------------------------------------------------------------------------


def _edge(body: Body, k: int) -> Measured:
    return Measured(value=float(body.box.size[k]), stddev=float(body.uncertainty.size_stddev_m[k]))


def _product(body: Body, edges: tuple[int, ...]) -> Measured:
    """The product of edges; relative errors add in quadrature."""
    size, stddev = body.box.size[list(edges)], body.uncertainty.size_stddev_m[list(edges)]
    value = float(np.prod(size))
    return Measured(value=value, stddev=value * float(np.linalg.norm(stddev / size)), unit=f"m^{len(edges)}")


def _diameter(body: Body, sight: Sight, _reference: Body | None) -> Measured:
    """The mean of the two level edges."""
    edges = edges_of(body, sight)
    a, b = _edge(body, edges.width), _edge(body, edges.depth)
    return Measured(value=(a.value + b.value) / 2, stddev=hypot(a.stddev, b.stddev) / 2)


def _distance(body: Body, sight: Sight, reference: Body | None) -> Measured:
    """Between two centres straight, to a surface the shortest way; from a camera along its view, else straight."""
    if reference is not None and (reference.surface is not None or body.surface is not None):
        return _to_surface(body, reference)
    if reference is not None:
        return _norm(body.center - reference.center, _joint(body, reference))
    return along(body, sight, sight.forward) if sight.measures_along else straight(body, sight.origin)


def _to_surface(body: Body, reference: Body) -> Measured:
    """From a centre to the nearest seen point of a surface; between two surfaces their free space."""
    if body.surface is not None and reference.surface is not None:
        return Measured(value=gap_between(body.box, reference.box).length_m, stddev=0.0)
    surface, other = (body, reference) if body.surface is not None else (reference, body)
    way = nearest_in(surface.box, other.center[None])[0] - other.center
    return _norm(way, other.uncertainty.center_covariance_m2)


def _horizontal(body: Body, sight: Sight, reference: Body | None) -> Measured:
    """The level part of the way between two centres."""
    level = np.eye(3) - np.outer(sight.up, sight.up)
    start = sight.origin if reference is None else reference.center
    return _norm(level @ (body.center - start), level @ _joint(body, reference) @ level)


def _vertical(body: Body, sight: Sight, reference: Body | None) -> Measured:
    """The difference of height of two centres, whichever is higher."""
    height = _elevation(body, sight, reference)
    return Measured(value=abs(height.value), stddev=height.stddev)


def _elevation(body: Body, sight: Sight, reference: Body | None) -> Measured:
    """How much higher a centre is than another, than a surface, or than the viewer."""
    if reference is None:
        return along(body, sight, sight.up)
    if reference.surface is not None:
        normal = reference.surface.normal
        height = float(reference.surface.height_m(body.center))
        return Measured(value=height, stddev=sqrt(body.center_variance(normal)))
    return side_by_side(body, reference, sight.up)


def _gap(body: Body, sight: Sight, reference: Body | None) -> Measured:
    """The free space between two boxes, or between a box and the viewer."""
    if reference is None:
        nearest = nearest_in(body.box, sight.origin[None])[0]
        return _free(nearest - sight.origin, [body])
    gap = gap_between(body.box, reference.box)
    return _free(gap.end - gap.start, [body, reference])


def _free(way: FloatArray, bodies: list[Body]) -> Measured:
    """The length of the shortest way between faces, whose place depends on centres and sizes."""
    size = float(np.linalg.norm(way))
    if size < ROUNDING:
        return Measured(value=0.0, stddev=0.0)
    direction = way / size
    variance = sum(one.center_variance(direction) + one.half_extent(direction)[1] ** 2 for one in bodies)
    return Measured(value=size, stddev=sqrt(variance))


def _lateral(body: Body, sight: Sight, reference: Body | None) -> Measured:
    """How far to the right of the viewer, or of another body."""
    return along(body, sight, sight.right) if reference is None else side_by_side(body, reference, sight.right)


def _joint(body: Body, reference: Body | None) -> FloatArray:
    """Covariance of the way between two centres."""
    own = body.uncertainty.center_covariance_m2
    return own if reference is None else own + reference.uncertainty.center_covariance_m2


def _norm(way: FloatArray, covariance: FloatArray) -> Measured:
    """The length of a way, its error along the way itself."""
    size = float(np.linalg.norm(way))
    if size < ROUNDING:
        return Measured(value=0.0, stddev=sqrt(max(float(np.linalg.eigvalsh(covariance)[-1]), 0.0)))
    direction = way / size
    return Measured(value=size, stddev=sqrt(max(float(direction @ covariance @ direction), 0.0)))


_EDGES: Mapping[Quantity, Callable[[Body, Sight], int]] = {
    Quantity.WIDTH: lambda body, sight: edges_of(body, sight).width,
    Quantity.HEIGHT: lambda body, sight: edges_of(body, sight).height,
    Quantity.DEPTH: lambda body, sight: edges_of(body, sight).depth,
    Quantity.LENGTH: lambda body, _: int(np.argmax(body.box.size)),
    Quantity.THICKNESS: lambda body, _: int(np.argmin(body.box.size)),
}
_PRODUCTS: Mapping[Quantity, Callable[[Body, Sight], tuple[int, ...]]] = {
    Quantity.VOLUME: lambda _body, _sight: (0, 1, 2),
    Quantity.SIZE: lambda _body, _sight: (0, 1, 2),  # "the same size", "of what size more" compare volumes
    Quantity.FOOTPRINT: lambda body, sight: (edges_of(body, sight).width, edges_of(body, sight).depth),
}
_PLACED: Mapping[Quantity, Callable[[Body, Sight, Body | None], Measured]] = {
    Quantity.DIAMETER: _diameter,
    Quantity.DISTANCE: _distance,
    Quantity.HORIZONTAL_DISTANCE: _horizontal,
    Quantity.VERTICAL_DISTANCE: _vertical,
    Quantity.ELEVATION: _elevation,
    Quantity.GAP: _gap,
    Quantity.LATERAL: _lateral,
}
MEASURABLE = frozenset({*_EDGES, *_PRODUCTS, *_PLACED})
"""Quantities that come to a number and can be compared."""
FROM_VIEWER = frozenset((
    Quantity.DISTANCE, Quantity.HORIZONTAL_DISTANCE, Quantity.VERTICAL_DISTANCE, Quantity.GAP, Quantity.LATERAL,
))  # fmt: skip
"""Quantities that take a viewer where no reference is named."""
