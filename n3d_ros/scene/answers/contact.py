"""Bodies that touch: on, under, inside."""

from __future__ import annotations

import math
from math import hypot, sqrt

from n3d_ros.geometry.iou import intersection_volume
from n3d_ros.scene.answers.body import Body
from n3d_ros.scene.answers.context import Context
from n3d_ros.scene.answers.measures import SIGMAS, side_by_side
from n3d_ros.scene.answers.spacing import shared_footprint, within_outline
from n3d_ros.scene.answers.standing import Holds, Standing, yes_if

REST_M = 0.03  # a carried object's bottom may be measured so far off the carrier's top
REST_DEEPEST_M = 0.10  # however unsure the boxes are, more is no contact
CARRIED_SHARE = 0.3  # of the footprint that must lie over the carrier
INSIDE_SHARE = 0.5  # of the volume that must lie in the container
BESIDE_OUTLINE_M = 0.05  # the seen edge of a surface is ragged
HOLLOW = frozenset({"bowl", "flat"})  # shapes on which things lie within the box: bowls, plates, trays
ON_WALL_M = 0.10  # how far from a wall something may hang on it


def on(body: Body, reference: Body, context: Context) -> Standing:
    """Resting on a surface or object; on a table or shelf also what rests on something that rests there.

    Args:
        body: the carried one.
        reference: the carrier.
        context: what else is there, and the vertical.

    Returns:
        Whether it does, with the numbers.
    """
    if reference.surface is None:
        lies_in_it = reference.shape in HOLLOW and _is_inside(body, reference)
        return inside(body, reference, context) if lies_in_it else rests_on(body, reference, context)
    if reference.surface.kind == "wall":
        return _on_wall(body, reference)
    direct = _on_surface(body, reference)
    if direct.holds is Holds.YES or reference.surface.kind == "floor":  # what is on a table is not on the floor
        return direct
    if float(reference.surface.height_m(body.center)) < 0:
        return direct
    for carrier in context.bodies:
        if carrier.id == body.id or not _can_touch(body, carrier):
            continue
        if rests_on(body, carrier, context).holds is not Holds.YES:
            continue
        if _on_surface(carrier, reference).holds is Holds.YES:
            return Standing(
                holds=Holds.YES, step=f"{body.name} rests on {carrier.name}, which is on the {reference.name}."
            )
    return direct


def _can_touch(body: Body, other: Body) -> bool:
    """Whether the spheres around two boxes come near each other: cheap, and false for most pairs."""
    reach = (math.dist(body.box.size, (0, 0, 0)) + math.dist(other.box.size, (0, 0, 0))) / 2
    return math.dist(body.center, other.center) <= reach + REST_DEEPEST_M


def rests_on(body: Body, carrier: Body, context: Context) -> Standing:
    """Whether a body rests on top of an object: its bottom at the other's top, its footprint over the other's.

    Args:
        body: the carried one.
        carrier: the object that may carry it.
        context: for the vertical.

    Returns:
        Whether it does, with the numbers.
    """
    up = context.axes.up
    (half_a, error_a), (half_b, error_b) = body.half_extent(up), carrier.half_extent(up)
    space = side_by_side(body, carrier, up)
    free_m = space.value - half_a - half_b
    bound_m = _rest_bound(hypot(space.stddev, error_a, error_b))
    if abs(free_m) > bound_m or space.value <= 0:  # footprints cost more than all the rest
        height = f"{_zeroed(free_m)} m above the top of {carrier.name} (bound +- {bound_m:.3f} m)"
        return Standing(holds=Holds.NO, step=f"The bottom of {body.name} is {height}.")
    share = shared_footprint(body.box, carrier.box, up)
    holds = share >= CARRIED_SHARE
    step = (
        f"The bottom of {body.name} is {_zeroed(free_m)} m above the top of {carrier.name} (bound +- {bound_m:.3f} m), "
        f"and {100 * share:.0f} % of its footprint lies over it (bound {100 * CARRIED_SHARE:.0f} %)."
    )
    return Standing(holds=yes_if(holds), step=step)


def _on_surface(body: Body, reference: Body) -> Standing:
    """Whether a body rests on a surface."""
    surface = reference.surface
    assert surface is not None
    half, error = body.half_extent(surface.normal)
    free_m = float(surface.height_m(body.center)) - half
    bound_m = _rest_bound(hypot(error, sqrt(body.center_variance(surface.normal))))
    step = f"The bottom of {body.name} is {_zeroed(free_m)} m above the {reference.name} (bound +- {bound_m:.3f} m)"
    if abs(free_m) > bound_m:
        return Standing(holds=Holds.NO, step=f"{step}.")
    is_over = within_outline(surface, body.center, margin_m=BESIDE_OUTLINE_M)
    return Standing(holds=yes_if(is_over), step=f"{step}, {'within' if is_over else 'outside'} its outline.")


def _on_wall(body: Body, reference: Body) -> Standing:
    """Whether a body hangs at a wall."""
    surface = reference.surface
    assert surface is not None
    free_m = float(surface.height_m(body.center)) - body.half_extent(surface.normal)[0]
    step = f"{body.name} is {free_m:.3f} m from the {reference.name} (bound {ON_WALL_M:.3f} m)."
    is_over = within_outline(surface, body.center, margin_m=BESIDE_OUTLINE_M)
    return Standing(holds=yes_if(abs(free_m) <= ON_WALL_M and is_over), step=step)


def under(body: Body, reference: Body, context: Context) -> Standing:
    """Below, and overlapping seen from above.

    Args:
        body: the lower one.
        reference: the upper one.
        context: what else is there, and the vertical.

    Returns:
        Whether it does, with the numbers.
    """
    up = context.axes.up
    if body.surface is not None:  # "what is under the mug": what carries it
        return _on_surface(reference, body)
    if reference.surface is not None:
        top_m = float(reference.surface.height_m(body.center)) + body.half_extent(reference.surface.normal)[0]
        is_over = within_outline(reference.surface, body.center, margin_m=BESIDE_OUTLINE_M)
        step = f"The top of {body.name} is {-top_m:.3f} m below the {reference.name}."
        return Standing(holds=yes_if(top_m <= REST_M and is_over), step=step)
    below = side_by_side(reference, body, up)
    if below.sign <= 0:
        step = f"The centre of {body.name} is {below.figures()} below that of {reference.name}."
        return Standing(holds=Holds.NO, step=step)
    share = max(shared_footprint(body.box, reference.box, up), shared_footprint(reference.box, body.box, up))
    step = (
        f"The centre of {body.name} is {below.figures()} below that of {reference.name}, and {100 * share:.0f} % of "
        f"the footprint of one lies under the other (bound {100 * CARRIED_SHARE:.0f} %)."
    )
    holds = share >= CARRIED_SHARE and not _is_inside(body, reference)
    return Standing(holds=yes_if(holds), step=step)


def inside(body: Body, reference: Body, context: Context) -> Standing:
    """Within the box of the container, at least by half; an open one may be overtopped.

    Args:
        body: the smaller one.
        reference: the container.
        context: what else is there, and the vertical.

    Returns:
        Whether it does, with the numbers.
    """
    if reference.surface is not None:
        return on(body, reference, context)
    share = intersection_volume(body.box, reference.box) / body.box.volume
    is_center = bool(reference.box.contains(body.center))
    step = (
        f"{100 * share:.0f} % of {body.name} lies within the box of {reference.name} (bound "
        f"{100 * INSIDE_SHARE:.0f} %); its centre lies {'inside' if is_center else 'outside'}."
    )
    return Standing(holds=yes_if(_is_inside(body, reference)), step=step)


def _is_inside(body: Body, reference: Body) -> bool:
    """Whether the smaller of two boxes lies in the other by its centre or by half."""
    if body.box.volume >= reference.box.volume:
        return False
    share = intersection_volume(body.box, reference.box) / body.box.volume
    return bool(reference.box.contains(body.center)) or share >= INSIDE_SHARE


def _zeroed(value_m: float) -> str:
    """Millimetres without a negative zero."""
    return f"{round(value_m, 3) + 0.0:.3f}"


def _rest_bound(stddev_m: float) -> float:
    """How far two faces that touch may be measured apart."""
    return min(max(REST_M, SIGMAS * stddev_m), REST_DEEPEST_M)


def contact(body: Body, reference: Body, context: Context) -> str:
    """How two bodies touch that are not beside each other.

    Args:
        body: the one that is asked about.
        reference: the other one.
        context: for the vertical.

    Returns:
        "on", "under", "inside", "around"; empty when they are beside each other or one is a surface.
    """
    if body.surface is not None or reference.surface is not None:
        return ""
    if rests_on(body, reference, context).holds is Holds.YES:
        return "on"
    if rests_on(reference, body, context).holds is Holds.YES:
        return "under"
    return "inside" if _is_inside(body, reference) else "around" if _is_inside(reference, body) else ""
