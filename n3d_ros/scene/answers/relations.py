"""How one body stands to others: does a relation hold, by how much, and is that more than the measuring error.

Left and right, in front and behind, above and below compare the centres (spec n3d_vlm c), along level axes where the
vertical is known. Higher and lower are told of any two things; what is said to be above or below another, rather than
higher or lower, also overlaps it seen from above. On, under, inside, next to and between compare the boxes. Each says
in its step what was measured and against which bound.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import sqrt

import numpy as np

from n3d_ros.errors import StatusCode
from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.scene.answers.body import Body
from n3d_ros.scene.answers.contact import contact, inside, on, overlapping, under
from n3d_ros.scene.answers.context import Context
from n3d_ros.scene.answers.measures import Measured, along, edges_of, side_by_side
from n3d_ros.scene.answers.sight import Sight
from n3d_ros.scene.answers.spacing import gap_between, nearest_in
from n3d_ros.scene.answers.standing import Holds as Holds
from n3d_ros.scene.answers.standing import Standing as Standing
from n3d_ros.scene.answers.standing import yes_if
from n3d_ros.scene.answers.wording import length
from n3d_ros.scene.questions.question import Relation

NEXT_TO_M = 0.10  # free space that is always small enough for "next to"
NEXT_TO_VIEWER_M = 0.5  # the same, from a person or robot
GAP_WORK = 4  # the exact gap of two boxes costs as much as so many other relations
ORIGIN = (0.0, 0.0, 0.0)
HEIGHTS = (Relation.ABOVE, Relation.BELOW)
HEIGHT_WORDS = {Relation.ABOVE: "higher than", Relation.BELOW: "lower than"}
"""What is said instead of above and below when two things do not overlap seen from above."""
SIDES = (Relation.LEFT, Relation.RIGHT, Relation.FRONT, Relation.BEHIND, Relation.ABOVE, Relation.BELOW)
"""Relations with an opposite, in pairs."""
OPPOSITES = {SIDES[k]: SIDES[k ^ 1] for k in range(6)}
LEVEL_WORDS = {
    Relation.LEFT: "at about the same place from left to right as {}",
    Relation.RIGHT: "at about the same place from left to right as {}",
    Relation.FRONT: "at about the same place from front to back as {}",
    Relation.BEHIND: "at about the same place from front to back as {}",
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
    if relation in _TOUCHING:
        return _TOUCHING[relation](body, references[0], context)
    return _side(relation, body, references[0], context)


def is_over_or_under(body: Body, reference: Body, context: Context) -> bool:
    """Whether two bodies overlap seen from above, so that the higher one is above the other and not only higher.

    Args:
        body: one.
        reference: the other.
        context: for the vertical.

    Returns:
        True for at least 30 % of the footprint of one of them.
    """
    return overlapping(body, reference, context).holds is Holds.YES


def straight_over(relation: Relation, body: Body, reference: Body | None, context: Context) -> Standing:
    """Above or below in the narrow sense: higher or lower, and overlapping seen from above.

    Args:
        relation: one of ``HEIGHTS``.
        body: the subject.
        reference: the other; None: the viewer, from whose vertical the body may lie half a metre away.
        context: what is known.

    Returns:
        Whether it holds, with the numbers.
    """
    found = _to_viewer(relation, body, context) if reference is None else _side(relation, body, reference, context)
    if found.holds is Holds.NO:
        return found
    overlap = _plumb(body, context) if reference is None else overlapping(body, reference, context)
    holds = found.holds if overlap.holds is Holds.YES else Holds.NO
    return replace(found, holds=holds, step=f"{found.step} {overlap.step}")


def _plumb(body: Body, context: Context) -> Standing:
    """Whether a body is straight above or below the viewer, or nearly so."""
    sight = context.view
    way = nearest_in(body.box, sight.origin[None])[0] - sight.origin
    beside_m = float(np.linalg.norm(way - (way @ sight.up) * sight.up))
    step = f"Seen from above, {beside_m:.3f} m lie between the {sight.viewer} and {body.name}"
    return Standing(holds=yes_if(beside_m <= NEXT_TO_VIEWER_M), step=f"{step} (bound {NEXT_TO_VIEWER_M:.3f} m).")


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
        Relation.FRONT: -sight.level_forward,
        Relation.BEHIND: sight.level_forward,
        Relation.ABOVE: sight.up,
        Relation.BELOW: -sight.up,
    }[relation]


def _side(relation: Relation, body: Body, reference: Body, context: Context) -> Standing:
    """Compares the centres along the side's direction; heights over a surface count from the surface."""
    is_height = relation in HEIGHTS
    direction = side_direction(relation, context.axes if is_height else context.view)
    margin = side_by_side(body, reference, direction)
    axes = "" if context.query.up is None or is_height else ", along level axes"
    words = HEIGHT_WORDS.get(relation, SIDE_WORDS[relation])
    step = f"{body.name} lies {margin.figures()} {words} {reference.name} (centre to centre{axes})."
    if is_height and reference.surface is not None:
        height = float(reference.surface.height_m(body.center))
        height = height if relation is Relation.ABOVE else -height
        margin = Measured(value=height, stddev=sqrt(body.center_variance(reference.surface.normal)))
        step = f"The centre of {body.name} lies {margin.figures()} {SIDE_WORDS[relation]} the {reference.name}."
    holds = Holds.LEVEL if margin.sign == 0 else Holds.YES if margin.sign > 0 else Holds.NO
    return Standing(holds=holds, margin=margin, step=step)


def _to_viewer(relation: Relation, body: Body, context: Context) -> Standing:
    """As seen from the viewer's own place: in front is ahead, behind is at the back; what is on or in it is unknown."""
    sight = context.view
    if relation in _NOT_OF_VIEWERS:
        raise context.refusal(StatusCode.NOT_UNDERSTOOD, _NOT_OF_VIEWERS[relation].format(sight.viewer))
    if relation is Relation.NEXT_TO:
        way = nearest_in(body.box, sight.origin[None])[0] - sight.origin
        free_m = float(np.linalg.norm(way))
        step = f"{free_m:.3f} m lie between the {sight.viewer} and {body.name} (bound {NEXT_TO_VIEWER_M:.3f} m)."
        return Standing(holds=yes_if(free_m <= NEXT_TO_VIEWER_M), step=step)
    if relation is Relation.UNDER:
        return replace(straight_over(Relation.BELOW, body, None, context), margin=None)
    flipped = {Relation.FRONT: Relation.BEHIND, Relation.BEHIND: Relation.FRONT}.get(relation, relation)
    margin = along(body, sight, side_direction(flipped, sight))
    words = {Relation.FRONT: "ahead of", Relation.BEHIND: "at the back of"}.get(relation, SIDE_WORDS[relation])
    step = f"{body.name} lies {margin.figures()} {words} the {sight.viewer}."
    holds = Holds.LEVEL if margin.sign == 0 else Holds.YES if margin.sign > 0 else Holds.NO
    return Standing(holds=holds, margin=margin, step=step)


_NOT_OF_VIEWERS = {
    Relation.ON: "I know where the {} is, not what is on it. Ask what is near it, or name a thing: on the table.",
    Relation.INSIDE: "I know where the {} is, not what is in it. Ask what is near it, or name a thing: in the bowl.",
    Relation.BETWEEN: "Between takes two things; the {} alone is one place. Name both: between the mug and the box.",
}


# --- next to, between -------------------------------------------------------------------------------------------------


def _next_to(body: Body, reference: Body, context: Context) -> Standing:
    """Little free space at one height, and neither on nor in the other."""
    reach_m = (math.dist(body.box.size, ORIGIN) + math.dist(reference.box.size, ORIGIN)) / 2
    at_least_m = math.dist(body.center, reference.center) - reach_m
    at_most_m = max(NEXT_TO_M, float(max(body.box.size)) / 2, float(max(reference.box.size)) / 2)
    if at_least_m > at_most_m:  # true of most pairs, and cheap
        step = f"More than {at_least_m:.3f} m of free space lie between {body.name} and {reference.name}"
        return Standing(holds=Holds.NO, step=f"{step} (bound at most {at_most_m:.3f} m).")
    up = context.axes.up
    widest = max(_widest(body, context), _widest(reference, context)) if reference.surface is None else 0.0
    bound_m = max(NEXT_TO_M, widest / 2)
    heights = body.half_extent(up)[0] + reference.half_extent(up)[0]
    is_level = abs(side_by_side(body, reference, up).value) <= heights + NEXT_TO_M
    if not is_level:
        return Standing(holds=Holds.NO, step=f"{body.name} and {reference.name} differ too much in height.")
    context.spend(GAP_WORK)
    gap = gap_between(body.box, reference.box)
    step = f"{gap.length_m:.3f} m of free space lie between {body.name} and {reference.name} (bound {bound_m:.3f} m)"
    if gap.length_m > bound_m:
        return Standing(holds=Holds.NO, step=f"{step}.")
    touch = contact(body, reference, context)
    return Standing(holds=yes_if(not touch), step=f"{step}, but it is {touch} it." if touch else f"{step}.")


def _widest(body: Body, context: Context) -> float:
    """The larger of the two level edges."""
    edges = edges_of(body, context.axes)
    return float(max(body.box.size[edges.width], body.box.size[edges.depth]))


def _between(body: Body, references: Sequence[Body], context: Context) -> Standing:
    """On the way between two centres, and not far beside it.

    Halfway a third of the way's length is near enough, less towards its ends; half of the widest body always is.
    """
    start, end = references[0], references[-1]
    way = end.center - start.center
    length_m = float(np.linalg.norm(way))
    if length_m <= 1e-9 or len(references) < 2:
        return Standing(holds=Holds.NO, step=f"{start.name} and {end.name} have nothing between them.")
    from_start = body.center - start.center
    share = float(from_start @ way) / length_m**2
    beside_m = float(np.linalg.norm(from_start - share * way))
    widest = max(_widest(one, context) for one in (body, start, end))
    bound_m = max(4 * share * (1 - share) * length_m / 3, min(widest / 2, length_m))
    step = (
        f"{body.name} lies at {100 * share:.0f} % of the way from {start.name} to {end.name} ({length(length_m)}) and "
        f"{beside_m:.3f} m beside it (bound {bound_m:.3f} m)."
    )
    return Standing(holds=yes_if(0 < share < 1 and beside_m <= bound_m), step=step)


_TOUCHING: Mapping[Relation, Callable[[Body, Body, Context], Standing]] = {
    Relation.ON: on,
    Relation.UNDER: under,
    Relation.INSIDE: inside,
    Relation.NEXT_TO: _next_to,
}
