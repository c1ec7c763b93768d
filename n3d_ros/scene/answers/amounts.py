"""Amounts: a quantity of a body in a context: who looks, and what the time is."""

from __future__ import annotations

from collections.abc import Sequence

from n3d_ros.errors import StatusCode
from n3d_ros.scene.answers.body import Body
from n3d_ros.scene.answers.context import Context
from n3d_ros.scene.answers.measures import FROM_VIEWER, Measured, measure
from n3d_ros.scene.answers.movement import moved_since
from n3d_ros.scene.questions.question import Quantity

NANOSECONDS = 1e-9
FROM_ALL_SIDES = frozenset((Quantity.HEIGHT, Quantity.THICKNESS, Quantity.VOLUME, Quantity.SIZE))
"""What takes more than one side of a thing to be known."""
_UNITS = {Quantity.VOLUME: "m^3", Quantity.SIZE: "m^3", Quantity.FOOTPRINT: "m^2", Quantity.AGE: "s"}


def unit_of(quantity: Quantity) -> str:
    """The unit of a quantity's value.

    Args:
        quantity: one that comes to a number.

    Returns:
        "m", "m^2", "m^3" or "s".
    """
    return _UNITS.get(quantity, "m")


def amount(quantity: Quantity, body: Body, context: Context, reference: Body | None = None) -> Measured:
    """A quantity of a body.

    Args:
        quantity: one that comes to a number.
        body: the body.
        context: who looks.
        reference: the other end of a distance; None: the viewer.

    Returns:
        The number with its error.
    """
    if quantity is Quantity.AGE:
        return age_of(body, context)
    if quantity is Quantity.MOVED:
        return moved_since(body, context)
    if body.surface is not None and quantity in FROM_ALL_SIDES:
        return _of_surface(quantity, body, context)
    if quantity is Quantity.ELEVATION and reference is None:
        reference = ground_of(context)
    needs_viewer = (reference is None and quantity in FROM_VIEWER) or quantity is Quantity.LATERAL
    return measure(quantity, body, context.view if needs_viewer else context.axes, reference)


def _of_surface(quantity: Quantity, body: Body, context: Context) -> Measured:
    """The height of a top over the floor; nothing else is known of what is seen from one side only."""
    ground, surface = ground_of(context), body.surface
    assert surface is not None
    is_top = quantity is Quantity.HEIGHT and body.label != "wall" and ground is not body
    if is_top and ground is not None and ground.surface is not None and ground.label == "floor":
        return Measured(value=float(ground.surface.height_m(surface.outline.mean(axis=0))), stddev=0.0)
    told = f"the {quantity.value} of {body.the}: I see only its {'face' if body.label == 'wall' else 'top'}"
    raise context.refusal(StatusCode.NOT_FOUND, f"I cannot tell {told}.")


def ground_of(context: Context) -> Body | None:
    """The surface from which heights count where none is named: the floor, else the largest level one.

    Args:
        context: what is known.

    Returns:
        The surface; None: heights count from the viewer.
    """
    level = [one for one in context.surfaces if one.label != "wall"]
    return max(level, key=lambda one: (one.label == "floor", one.box.volume), default=None)


def age_of(body: Body, context: Context) -> Measured:
    """How long ago a body was last seen, from the present if it is told, else from the scene's image.

    Args:
        body: the body; surfaces are seen in the scene's image.
        context: what is known.

    Returns:
        Seconds.
    """
    now_ns = context.query.now_ns or context.scene.stamp_ns
    seen_ns = context.scene.stamp_ns if body.known is None else body.known.last_seen_ns
    return Measured(value=max(0.0, (now_ns - seen_ns) * NANOSECONDS), stddev=0.0, unit="s")


def ranked(
    bodies: Sequence[Body], quantity: Quantity, context: Context, reference: Body | None = None, *, most: bool = False
) -> list[tuple[Body, Measured]]:
    """Bodies in the order of a quantity.

    Args:
        bodies: to be ordered.
        quantity: by what.
        context: who looks.
        reference: the other end of a distance; None: the viewer.
        most: whether the largest comes first.

    Returns:
        Pairs of body and measure; equal ones keep their order.
    """
    if quantity in (Quantity.VOLUME, Quantity.SIZE) and bodies and all(body.surface is not None for body in bodies):
        quantity = Quantity.FOOTPRINT if all(body.label != "wall" for body in bodies) else Quantity.WIDTH
    measured = [(body, amount(quantity, body, context, reference)) for body in bodies]
    return sorted(measured, key=lambda one: -one[1].value if most else one[1].value)
