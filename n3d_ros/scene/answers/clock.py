"""Is a thing at some o'clock: Direction with an hour; without one it is told in ``locating``."""

from __future__ import annotations

from n3d_ros.scene.answers.context import Context
from n3d_ros.scene.answers.finding import Finding, settled, yes_or_no
from n3d_ros.scene.answers.locating import clock_hour, direction
from n3d_ros.scene.answers.resolve import Meaning
from n3d_ros.scene.questions.question import Direction
from n3d_ros.scene.spatial_answer import SpatialAnswer


def toward(intent: Direction, context: Context) -> SpatialAnswer:
    """In which direction a thing is, or whether it is at the hour that was said.

    Args:
        intent: what is asked.
        context: what is known; its sight says where 12 o'clock is.

    Returns:
        A direction, or yes or no.
    """
    if intent.hour is None:
        return direction(intent, context)
    hour = intent.hour
    things = [thing for thing in (intent.origin, intent.target) if thing is not None]

    def compute(*meanings: Meaning) -> Finding:
        target, sight = meanings[-1].one, context.view
        origin = meanings[0].one if intent.origin is not None else None
        start, whence = (sight.origin, f"the {sight.viewer}") if origin is None else (origin.center, origin.the)
        found, angle_deg = clock_hour(target.center - start, sight)
        sentence = f"{target.the} is at {found} o'clock from {whence}."
        step = f"From {whence} to {target.the}: {angle_deg:.1f} degrees to the left of 12 o'clock, {found} o'clock."
        bodies = [target] if origin is None else [origin, target]
        return yes_or_no(found == hour, [sentence], bodies=bodies, steps=[step])

    return settled(things, context, compute)
