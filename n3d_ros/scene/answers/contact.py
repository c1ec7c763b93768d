"""Bodies that touch: on, under, inside.

What carries a thing is under it. A table or shelf carries what rests on it and whatever that carries or contains, and
so on; a floor carries only what stands on it itself. Neither a surface nor the box around a table contains anything,
except that things are said to be in a shelf.
"""

from __future__ import annotations

import math
from math import hypot, sqrt

from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.geometry.iou import intersection_volume
from n3d_ros.scene.answers.body import SURFACE_NOUNS, Body
from n3d_ros.scene.answers.context import Context
from n3d_ros.scene.answers.measures import SIGMAS, side_by_side
from n3d_ros.scene.answers.spacing import shared_footprint, within_outline
from n3d_ros.scene.answers.standing import Holds, Standing, yes_if
from n3d_ros.scene.phrases import singular, words_of

REST_M = 0.03  # a carried object's bottom may be measured so far off the carrier's top
REST_DEEPEST_M = 0.10  # however unsure the boxes are, more is no contact
CARRIED_SHARE = 0.3  # of the footprint that must lie over the carrier
INSIDE_SHARE = 0.5  # of the volume that must lie in the container
BESIDE_OUTLINE_M = 0.05  # the seen edge of a surface is ragged
HOLLOW = frozenset({"bowl", "flat"})  # shapes on which things lie within the box: bowls, plates, trays
ON_WALL_M = 0.10  # how far from a wall something may hang on it


def on(body: Body, reference: Body, context: Context) -> Standing:
    """Resting on a surface or object; on a table or shelf also what rests on or in something that is there.

    Args:
        body: the carried one.
        reference: the carrier.
        context: what else is there, and the vertical.

    Returns:
        Whether it does, with the numbers.
    """
    if reference.surface is None:
        lies_in_it = reference.shape in HOLLOW and _is_inside(body, reference)
        direct = inside(body, reference, context) if lies_in_it else rests_on(body, reference, context)
        is_asked_through = direct.holds is not Holds.YES and _is_table(reference)
        return (is_asked_through and _carried_by(body, reference, context)) or direct
    if reference.surface.kind == "wall":
        return _on_wall(body, reference)
    if body.surface is not None:
        return _surface_on(body, reference)
    direct = _on_surface(body, reference)
    if direct.holds is Holds.YES or reference.surface.kind == "floor":  # what is on a table is not on the floor
        return direct
    if float(reference.surface.height_m(body.center)) < 0:
        return direct
    return _carried_by(body, reference, context) or direct


def _carried_by(body: Body, reference: Body, context: Context) -> Standing | None:
    """Follows what a body rests on or lies in down to the surface or table; None when that ends elsewhere."""
    way_from = {reference.id: "", body.id: ""}  # each body reached, with the words of how
    open_ends = [body]
    while open_ends:
        upper = open_ends.pop()
        for carrier in context.bodies:
            if carrier.id in way_from or not _can_touch(upper, carrier):
                continue
            context.spend(1)
            is_in = _is_inside(upper, carrier)
            if not is_in and rests_on(upper, carrier, context).holds is not Holds.YES:
                continue
            how = "lies in" if is_in else "rests on"
            way_from[carrier.id] = f"{way_from[upper.id]}{upper.name} {how} {carrier.name}; "
            is_top = reference.surface is not None
            last = _on_surface(carrier, reference) if is_top else rests_on(carrier, reference, context)
            if last.holds is Holds.YES:
                step = f"{way_from[carrier.id]}{carrier.name} is on the {reference.name}."
                return Standing(holds=Holds.YES, step=step)
            open_ends.append(carrier)
    return None


def _surface_on(body: Body, reference: Body) -> Standing:
    """Whether one surface stands on another: a table on the floor; of other pairs nothing that carries is seen."""
    is_floor = body.label == "table" and reference.label == "floor"
    step = f"Of the {body.name} only the top is seen; {'a table stands' if is_floor else 'it is not known to stand'} on"
    return Standing(holds=yes_if(is_floor and _is_lower(reference, body)), step=f"{step} the {reference.name}.")


def _is_lower(body: Body, reference: Body) -> bool:
    """Whether one level surface lies below another by more than what touches may be apart."""
    assert reference.surface is not None
    return float(reference.surface.height_m(body.center)) < -REST_M


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
    """What carries the reference, or is below it and overlaps it seen from above.

    Args:
        body: the lower one.
        reference: the upper one.
        context: what else is there, and the vertical.

    Returns:
        Whether it does, with the numbers.
    """
    up = context.axes.up
    surfaces = [one.surface.kind for one in (body, reference) if one.surface is not None]
    if "wall" in surfaces:
        return Standing(holds=Holds.NO, step="A wall is neither under anything nor over it.")
    if len(surfaces) == 2:
        return _surface_under(body, reference, up)
    if body.surface is not None:
        return on(reference, body, context)
    if reference.surface is not None:
        top_m = float(reference.surface.height_m(body.center)) + body.half_extent(reference.surface.normal)[0]
        is_over = within_outline(reference.surface, body.center, margin_m=BESIDE_OUTLINE_M)
        step = f"The top of {body.name} is {-top_m:.3f} m below the {reference.name}."
        return Standing(holds=yes_if(top_m <= REST_M and is_over), step=step)
    below = side_by_side(reference, body, up)
    if below.sign <= 0:
        step = f"The centre of {body.name} is {below.figures()} below that of {reference.name}."
        return Standing(holds=yes_if(on(reference, body, context).holds is Holds.YES), step=step)
    overlap = overlapping(body, reference, context)
    holds = overlap.holds is Holds.YES and not _is_inside(body, reference)
    step = f"The centre of {body.name} is {below.figures()} below that of {reference.name}. {overlap.step}"
    return Standing(holds=yes_if(holds), step=step)


def overlapping(body: Body, reference: Body, context: Context) -> Standing:
    """Whether two bodies overlap seen from above: what "above" and "under" need besides the heights.

    Args:
        body: one.
        reference: the other; of a surface its seen outline, a floor goes on beyond it.
        context: for the vertical.

    Returns:
        Whether they do, with the numbers.
    """
    surfaces = [one for one in (body, reference) if one.surface is not None]
    if any(one.label == "floor" for one in surfaces):
        return Standing(holds=Holds.YES, step="The floor is under everything.")
    if len(surfaces) == 1 and surfaces[0].surface is not None:
        other = body if surfaces[0] is reference else reference
        is_over = within_outline(surfaces[0].surface, other.center, margin_m=BESIDE_OUTLINE_M)
        where = "within" if is_over else "outside"
        return Standing(holds=yes_if(is_over), step=f"{other.name} lies {where} the outline of the {surfaces[0].name}.")
    up = context.axes.up
    share = max(shared_footprint(body.box, reference.box, up), shared_footprint(reference.box, body.box, up))
    step = (
        f"Seen from above, {100 * share:.0f} % of the footprint of {body.name} or {reference.name} lies over the other "
        f"(bound {100 * CARRIED_SHARE:.0f} %)."
    )
    return Standing(holds=yes_if(share >= CARRIED_SHARE), step=step)


def _surface_under(body: Body, reference: Body, up: FloatArray) -> Standing:
    """Whether one level surface is under another; a floor goes on beyond what is seen of it."""
    share = max(shared_footprint(body.box, reference.box, up), shared_footprint(reference.box, body.box, up))
    is_over = body.label == "floor" or share >= CARRIED_SHARE
    way = abs(float(up @ (reference.center - body.center)))
    lower = _is_lower(body, reference)
    step = f"The {body.name} is {way:.3f} m {'below' if lower else 'above'} the {reference.name}."
    return Standing(holds=yes_if(lower and is_over), step=step)


def inside(body: Body, reference: Body, context: Context) -> Standing:
    """Within the box of the container, at least by half; an open one may be overtopped.

    Args:
        body: the smaller one.
        reference: the container.
        context: what else is there, and the vertical.

    Returns:
        Whether it does, with the numbers.
    """
    if reference.label == "shelf" and reference.surface is not None:
        return on(body, reference, context)
    if reference.surface is not None:
        return Standing(holds=Holds.NO, step=f"The {reference.name} is a surface and contains nothing.")
    share = intersection_volume(body.box, reference.box) / body.box.volume
    is_center = bool(reference.box.contains(body.center))
    step = (
        f"{100 * share:.0f} % of {body.name} lies within the box of {reference.name} (bound "
        f"{100 * INSIDE_SHARE:.0f} %); its centre lies {'inside' if is_center else 'outside'}."
    )
    return Standing(holds=yes_if(_is_inside(body, reference)), step=step)


def _is_inside(body: Body, reference: Body) -> bool:
    """Whether the smaller of two boxes lies in the other by its centre or by half; a table's box is no container."""
    if body.box.volume >= reference.box.volume or _is_table(reference):
        return False
    share = intersection_volume(body.box, reference.box) / body.box.volume
    return bool(reference.box.contains(body.center)) or share >= INSIDE_SHARE


def _is_table(body: Body) -> bool:
    """Whether an object is a table by its name: its box holds the room between its legs."""
    heads = (words[-1] for part in body.label.split("/") if (words := words_of(part)))
    return any(SURFACE_NOUNS.get(singular(head)) == "table" for head in heads)


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
