"""How one body stands to others: does a relation hold, by how much, and is that more than the measuring error.

Left and right, in front and behind, above and below compare the centres (spec n3d_vlm c). On, under, inside, next to
and between compare the boxes; each says in its step what was measured and against which bound.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from math import hypot, sqrt

import numpy as np

from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.geometry.iou import intersection_volume
from n3d_ros.scene.answers.body import Body
from n3d_ros.scene.answers.context import Context
from n3d_ros.scene.answers.measures import SIGMAS, Measured, along, edges_of, side_by_side
from n3d_ros.scene.answers.sight import Sight
from n3d_ros.scene.answers.spacing import gap_between, nearest_in, shared_footprint, within_outline
from n3d_ros.scene.answers.wording import length
from n3d_ros.scene.questions.question import Relation

REST_M = 0.03  # a carried object's bottom may be measured so far off the carrier's top
REST_DEEPEST_M = 0.10  # however unsure the boxes are, more is no contact
CARRIED_SHARE = 0.3  # of the footprint that must lie over the carrier
INSIDE_SHARE = 0.5  # of the volume that must lie in the container
NEXT_TO_M = 0.10  # free space that is always small enough for "next to"
NEXT_TO_VIEWER_M = 0.5  # the same, from a person or robot
BESIDE_OUTLINE_M = 0.05  # the seen edge of a surface is ragged
ON_WALL_M = 0.10  # how far from a wall something may hang on it

SIDES = (Relation.LEFT, Relation.RIGHT, Relation.FRONT, Relation.BEHIND, Relation.ABOVE, Relation.BELOW)
"""Relations with an opposite, in pairs."""
OPPOSITES = {SIDES[k]: SIDES[k ^ 1] for k in range(6)}
LEVEL_WORDS = {
    Relation.LEFT: "at about the same place from left to right as {}",
    Relation.RIGHT: "at about the same place from left to right as {}",
    Relation.FRONT: "at about the same distance as {}",
    Relation.BEHIND: "at about the same distance as {}",
    Relation.ABOVE: "at about the same height as {}",
    Relation.BELOW: "at about the same height as {}",
}
SIDE_WORDS = {
    Relation.LEFT: "to the left of",
    Relation.RIGHT: "to the right of",
    Relation.FRONT: "in front of",
    Relation.BEHIND: "behind",
    Relation.ABOVE: "above",
    Relation.BELOW: "below",
    Relation.ON: "on",
    Relation.UNDER: "under",
    Relation.INSIDE: "inside",
    Relation.NEXT_TO: "next to",
    Relation.BETWEEN: "between",
}


class Holds(Enum):
    """Whether a relation holds."""

    YES = "yes"
    NO = "no"
    LEVEL = "within the measuring error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a body stands to others.

    Args:
        holds: whether the relation asked for holds.
        margin: for sides: how far on that side, below 0 on the other one; None for other relations.
        step: a sentence with the numbers.
    """

    holds: Holds
    step: str
    margin: Measured | None = None


def standing(relation: Relation, body: Body, references: Sequence[Body], context: Context) -> Standing:
    """How a body stands to others.

    Args:
        relation: asked for.
        body: the subject.
        references: one body, for ``BETWEEN`` two; empty: the viewer.
        context: what is known.

    Returns:
        Whether it holds, with the numbers.
    """
    if not references:
        return _to_viewer(relation, body, context)
    if relation is Relation.BETWEEN:
        return _between(body, references, context)
    return _RELATIONS[relation](relation, body, references[0], context)


def side_direction(relation: Relation, sight: Sight) -> FloatArray:
    """The direction in which something lies that stands so.

    Args:
        relation: one of ``SIDES``.
        sight: who looks.

    Returns:
        (3,) unit vector.
    """
    return {
        Relation.LEFT: sight.left,
        Relation.RIGHT: sight.right,
        Relation.FRONT: -sight.forward,
        Relation.BEHIND: sight.forward,
        Relation.ABOVE: sight.up,
        Relation.BELOW: -sight.up,
    }[relation]


def _side(relation: Relation, body: Body, reference: Body, context: Context) -> Standing:
    """Compares the centres along the side's direction; heights over a surface count from the surface."""
    is_height = relation in (Relation.ABOVE, Relation.BELOW)
    direction = side_direction(relation, context.axes if is_height else context.view)
    margin = side_by_side(body, reference, direction)
    step = f"{body.name} lies {margin.figures()} {SIDE_WORDS[relation]} {reference.name} (centre to centre)."
    if is_height and reference.surface is not None:
        height = float(reference.surface.height_m(body.center))
        height = height if relation is Relation.ABOVE else -height
        margin = Measured(value=height, stddev=sqrt(body.center_variance(reference.surface.normal)))
        step = f"The centre of {body.name} lies {margin.figures()} {SIDE_WORDS[relation]} the {reference.name}."
    holds = Holds.LEVEL if margin.sign == 0 else Holds.YES if margin.sign > 0 else Holds.NO
    return Standing(holds=holds, margin=margin, step=step)


def _to_viewer(relation: Relation, body: Body, context: Context) -> Standing:
    """As seen from the viewer's own place: in front is ahead, behind is at the back."""
    sight = context.view
    if relation in (Relation.NEXT_TO, Relation.INSIDE, Relation.ON, Relation.BETWEEN):
        way = nearest_in(body.box, sight.origin[None])[0] - sight.origin
        free_m = float(np.linalg.norm(way))
        step = f"{free_m:.3f} m lie between the {sight.viewer} and {body.name} (bound {NEXT_TO_VIEWER_M:.3f} m)."
        return Standing(holds=_yes(free_m <= NEXT_TO_VIEWER_M), step=step)
    relation = Relation.BELOW if relation is Relation.UNDER else relation
    flipped = {Relation.FRONT: Relation.BEHIND, Relation.BEHIND: Relation.FRONT}.get(relation, relation)
    margin = along(body, sight, side_direction(flipped, sight))
    words = {Relation.FRONT: "ahead of", Relation.BEHIND: "at the back of"}.get(relation, SIDE_WORDS[relation])
    step = f"{body.name} lies {margin.figures()} {words} the {sight.viewer}."
    holds = Holds.LEVEL if margin.sign == 0 else Holds.YES if margin.sign > 0 else Holds.NO
    return Standing(holds=holds, margin=margin, step=step)


# --- on, under, inside ------------------------------------------------------------------------------------------------


def _on(_: Relation, body: Body, reference: Body, context: Context) -> Standing:
    """Resting on a surface or object; on a surface also what rests on something that rests there."""
    if reference.surface is None:
        return rests_on(body, reference, context)
    if reference.surface.kind == "wall":
        return _on_wall(body, reference)
    direct = _on_surface(body, reference)
    if direct.holds is Holds.YES or reference.surface.kind == "floor":  # what is on a table is not on the floor
        return direct
    for carrier in context.bodies:
        if carrier.id == body.id or rests_on(body, carrier, context).holds is not Holds.YES:
            continue
        if _on_surface(carrier, reference).holds is Holds.YES:
            return Standing(
                holds=Holds.YES, step=f"{body.name} rests on {carrier.name}, which is on the {reference.name}."
            )
    return direct


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
    return Standing(holds=_yes(holds), step=step)


def _on_surface(body: Body, reference: Body) -> Standing:
    """Whether a body rests on a surface."""
    surface = reference.surface
    assert surface is not None
    half, error = body.half_extent(surface.normal)
    free_m = float(surface.height_m(body.center)) - half
    bound_m = _rest_bound(hypot(error, sqrt(body.center_variance(surface.normal))))
    is_over = within_outline(surface, body.center, margin_m=BESIDE_OUTLINE_M)
    step = (
        f"The bottom of {body.name} is {_zeroed(free_m)} m above the {reference.name} (bound +- {bound_m:.3f} m), "
        f"{'within' if is_over else 'outside'} its outline."
    )
    return Standing(holds=_yes(abs(free_m) <= bound_m and is_over), step=step)


def _on_wall(body: Body, reference: Body) -> Standing:
    """Whether a body hangs at a wall."""
    surface = reference.surface
    assert surface is not None
    free_m = float(surface.height_m(body.center)) - body.half_extent(surface.normal)[0]
    step = f"{body.name} is {free_m:.3f} m from the {reference.name} (bound {ON_WALL_M:.3f} m)."
    is_over = within_outline(surface, body.center, margin_m=BESIDE_OUTLINE_M)
    return Standing(holds=_yes(abs(free_m) <= ON_WALL_M and is_over), step=step)


def _under(_: Relation, body: Body, reference: Body, context: Context) -> Standing:
    """Below, and overlapping seen from above."""
    up = context.axes.up
    if body.surface is not None:  # "what is under the mug": what carries it
        return _on_surface(reference, body)
    if reference.surface is not None:
        top_m = float(reference.surface.height_m(body.center)) + body.half_extent(reference.surface.normal)[0]
        is_over = within_outline(reference.surface, body.center, margin_m=BESIDE_OUTLINE_M)
        step = f"The top of {body.name} is {-top_m:.3f} m below the {reference.name}."
        return Standing(holds=_yes(top_m <= REST_M and is_over), step=step)
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
    return Standing(holds=_yes(holds), step=step)


def _inside(_: Relation, body: Body, reference: Body, context: Context) -> Standing:
    """Within the box of the container, at least by half; an open one may be overtopped."""
    if reference.surface is not None:
        return _on(Relation.ON, body, reference, context)
    share = intersection_volume(body.box, reference.box) / body.box.volume
    is_center = bool(reference.box.contains(body.center))
    step = (
        f"{100 * share:.0f} % of {body.name} lies within the box of {reference.name} (bound "
        f"{100 * INSIDE_SHARE:.0f} %); its centre lies {'inside' if is_center else 'outside'}."
    )
    return Standing(holds=_yes(_is_inside(body, reference)), step=step)


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


# --- next to, between -------------------------------------------------------------------------------------------------


def _next_to(_: Relation, body: Body, reference: Body, context: Context) -> Standing:
    """Little free space at one height, and neither on nor in the other."""
    up = context.axes.up
    widest = max(_widest(body, context), _widest(reference, context)) if reference.surface is None else 0.0
    bound_m = max(NEXT_TO_M, widest / 2)
    heights = body.half_extent(up)[0] + reference.half_extent(up)[0]
    is_level = abs(side_by_side(body, reference, up).value) <= heights + NEXT_TO_M
    reach_m = float(np.linalg.norm(body.box.size) + np.linalg.norm(reference.box.size)) / 2
    at_least_m = float(np.linalg.norm(body.center - reference.center)) - reach_m
    if at_least_m > bound_m:
        step = f"More than {at_least_m:.3f} m of free space lie between {body.name} and {reference.name}"
        return Standing(holds=Holds.NO, step=f"{step} (bound {bound_m:.3f} m).")
    gap = gap_between(body.box, reference.box)
    step = f"{gap.length_m:.3f} m of free space lie between {body.name} and {reference.name} (bound {bound_m:.3f} m)"
    if gap.length_m > bound_m or not is_level:
        return Standing(holds=Holds.NO, step=step + ("." if is_level else ", but their heights differ too much."))
    contact = _contact(body, reference, context)
    return Standing(holds=_yes(not contact), step=f"{step}, but it is {contact} it." if contact else f"{step}.")


def _contact(body: Body, reference: Body, context: Context) -> str:
    """How two bodies touch that are not beside each other; empty when they are, or when one is a surface."""
    if body.surface is not None or reference.surface is not None:
        return ""
    if rests_on(body, reference, context).holds is Holds.YES:
        return "on"
    if rests_on(reference, body, context).holds is Holds.YES:
        return "under"
    return "inside" if _is_inside(body, reference) else "around" if _is_inside(reference, body) else ""


def _widest(body: Body, context: Context) -> float:
    """The larger of the two level edges."""
    edges = edges_of(body, context.axes)
    return float(max(body.box.size[edges.width], body.box.size[edges.depth]))


def _between(body: Body, references: Sequence[Body], context: Context) -> Standing:
    """On the way between two centres, not farther beside it than a third of its length or half the widest body."""
    start, end = references[0], references[-1]
    way = end.center - start.center
    length_m = float(np.linalg.norm(way))
    if length_m <= 1e-9 or len(references) < 2:
        return Standing(holds=Holds.NO, step=f"{start.name} and {end.name} have nothing between them.")
    from_start = body.center - start.center
    share = float(from_start @ way) / length_m**2
    beside_m = float(np.linalg.norm(from_start - share * way))
    widest = max(_widest(one, context) for one in (body, start, end))
    bound_m = max(length_m / 3, min(widest / 2, length_m))
    step = (
        f"{body.name} lies at {100 * share:.0f} % of the way from {start.name} to {end.name} ({length(length_m)}) and "
        f"{beside_m:.3f} m beside it (bound {bound_m:.3f} m)."
    )
    return Standing(holds=_yes(0 < share < 1 and beside_m <= bound_m), step=step)


def _yes(holds: bool) -> Holds:
    return Holds.YES if holds else Holds.NO


_RELATIONS: Mapping[Relation, Callable[[Relation, Body, Body, Context], Standing]] = {
    **dict.fromkeys(SIDES, _side),
    Relation.ON: _on,
    Relation.UNDER: _under,
    Relation.INSIDE: _inside,
    Relation.NEXT_TO: _next_to,
}
