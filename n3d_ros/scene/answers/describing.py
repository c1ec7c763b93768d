"""What is said of one body: where it is, how large, how well it is known."""

from __future__ import annotations

import numpy as np

from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.scene.answers.body import Body
from n3d_ros.scene.answers.context import Context
from n3d_ros.scene.answers.sight import Sight
from n3d_ros.scene.answers.wording import LEVEL_M, echo, numbers

NANOSECONDS = 1e-9


def place_of(body: Body, context: Context, *, briefly: bool = False) -> str:
    """Where a body is, in the words people use for that frame.

    Args:
        body: the body.
        context: who looks, and the scene's frame.
        briefly: whether the viewer's words do without coordinates, as one of several places.

    Returns:
        Such as "0.85 m ahead of the camera, 0.12 m to the right"; coordinates too where a viewpoint was given.
    """
    at = f"at {numbers(body.center)} m in {echo(context.scene.frame_id)}"
    if context.sight is None:
        return at
    words = from_viewer(body.center, context.sight)
    needs_no_numbers = briefly or (context.query.viewpoint is None and not context.sight.note)
    return words if needs_no_numbers else f"{words}, {at}"


def from_viewer(point: FloatArray, sight: Sight) -> str:
    """Where a point is from a viewer, along level axes.

    Args:
        point: (3,) metres, scene frame.
        sight: who looks.

    Returns:
        Such as "0.85 m ahead of the camera, 0.12 m to the right, 0.05 m lower".
    """
    way = point - sight.origin
    ahead, right, up = float(way @ sight.level_forward), float(way @ sight.right), float(way @ sight.up)
    depth = f"{abs(ahead):.2f} m {'ahead of' if ahead >= 0 else 'behind'} the {sight.viewer}"
    side = f", {abs(right):.2f} m to the {'right' if right > 0 else 'left'}" if abs(right) >= LEVEL_M else ""
    height = f", {abs(up):.2f} m {'higher' if up > 0 else 'lower'}" if abs(up) >= LEVEL_M else ""
    return f"{depth}{side}{height}"


def size_of(body: Body) -> str:
    """The three edges along the box's own axes.

    Args:
        body: the body.

    Returns:
        Such as "20 x 10 x 8.5 cm"; two edges of what is seen of a surface.
    """
    edges = body.box.size if body.surface is None else body.box.size[:2]  # of a surface one side is seen
    return " x ".join(f"{100 * s:.0f}" if s >= 0.095 else f"{100 * s:.1f}" for s in edges) + " cm"


def measured_step(body: Body, context: Context) -> str:
    """What was measured of a body, and how well.

    Args:
        body: the body.
        context: the scene.

    Returns:
        One sentence.
    """
    stddev_m = float(np.sqrt(np.trace(body.uncertainty.center_covariance_m2) / 3))
    text = (
        f"{body.name}: centre {numbers(body.center)} m in {echo(context.scene.frame_id)}, give or take {stddev_m:.3f} "
        f"m; size {size_of(body)}"
    )
    if body.known is None:
        return f"{text} (what is seen of it)."
    age_s = (context.scene.stamp_ns - body.known.last_seen_ns) * NANOSECONDS
    seen = "in this image" if age_s <= 0 else f"{age_s:.1f} s before this image"
    times = body.known.observations
    return f"{text}; found in {times} image{'' if times == 1 else 's'}, last {seen}."
