"""Context: what an answer is computed on, and the way out when there is none."""

from __future__ import annotations

from dataclasses import dataclass

from n3d_ros.errors import StatusCode
from n3d_ros.scene.answers.body import Body, body_of, surface_bodies
from n3d_ros.scene.answers.sight import Sight, nobody, sight_of
from n3d_ros.scene.scene import Scene
from n3d_ros.scene.spatial_answer import SpatialAnswer, SpatialQuery

NO_SIDES = (
    "I cannot tell left from right or near from far: nothing says who looks. Give a viewpoint, or ask in the camera's "
    "own frame."
)


class UnansweredError(Exception):
    """Leaves the computation with the answer that says why there is none.

    Args:
        answer: the answer.
    """

    def __init__(self, answer: SpatialAnswer) -> None:
        super().__init__(answer.text)
        self.answer = answer


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Context:
    """What an answer is computed on.

    Args:
        scene: the objects.
        query: the question with its viewpoint and vertical.
        sight: who looks; None when nothing says so.
        bodies: the scene's objects.
        surfaces: the flat surfaces.
    """

    scene: Scene
    query: SpatialQuery
    sight: Sight | None
    bodies: tuple[Body, ...]
    surfaces: tuple[Body, ...]

    @classmethod
    def of(cls, scene: Scene, query: SpatialQuery) -> Context:
        """The context of a question, seen by its asker.

        Args:
            scene: what is known.
            query: the question.

        Returns:
            The context.
        """
        bodies = tuple(body_of(known) for known in scene.objects)
        surfaces = surface_bodies(query.surfaces)
        return cls(scene=scene, query=query, sight=sight_of(scene, query), bodies=bodies, surfaces=surfaces)

    @property
    def view(self) -> Sight:
        """Who looks, for sides and distances.

        Raises:
            UnansweredError: nothing says who looks.
        """
        if self.sight is None:
            raise self.refusal(StatusCode.INVALID_REQUEST, NO_SIDES)
        return self.sight

    @property
    def axes(self) -> Sight:
        """Who looks, or the frame's own axes: enough for sizes and heights."""
        return nobody(self.query) if self.sight is None else self.sight

    def refusal(self, status: StatusCode, text: str, *steps: str) -> UnansweredError:
        """The exception that ends the computation with this answer.

        Args:
            status: why there is no answer.
            text: in words.
            *steps: what was found out until then.

        Returns:
            The exception, to be raised.
        """
        return UnansweredError(SpatialAnswer(status=status, text=text, steps=steps, stamp_ns=self.scene.stamp_ns))
