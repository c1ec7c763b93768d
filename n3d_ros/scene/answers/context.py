"""Context: what an answer is computed on, and the way out when there is none."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np

from n3d_ros.detection import SupportSurface
from n3d_ros.errors import StatusCode
from n3d_ros.scene.answers.body import Body, body_of, surface_bodies
from n3d_ros.scene.answers.sight import Sight, nobody, sight_of
from n3d_ros.scene.scene import Scene
from n3d_ros.scene.spatial_answer import SpatialAnswer, SpatialQuery

NO_SIDES = (
    "I cannot tell left from right or near from far: nothing says who looks. Give a viewpoint, or ask in the camera's "
    "own frame."
)

WIDEST_VIEW_COSINE = 0.25  # 75 degrees off the axis: farther out no camera with depth sees
MAX_WORK = 6000  # relations and comparisons of two bodies for one question: about half a second
TOO_MUCH = "That takes more comparing than I do for one question. Name things by their numbers, or by colour and place."


class UnansweredError(Exception):
    """Leaves the computation with the answer that says why there is none.

    Args:
        answer: the answer.
    """

    def __init__(self, answer: SpatialAnswer) -> None:
        super().__init__(answer.text)
        self.answer = answer


@dataclass(slots=True, kw_only=True, eq=False)
class Work:
    """What was done for one question so far.

    Args:
        spent: relations and comparisons computed.
        is_cut: whether there were more meanings than were followed up.
        known: results by what they were computed of, with that itself, so that its identity stays taken.
        loosely: sentences on words that were taken loosely, wherever in the question they stand.
    """

    spent: int = 0
    is_cut: bool = False
    known: dict[Hashable, tuple[Any, ...]] = field(default_factory=dict)
    loosely: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Context:
    """What an answer is computed on.

    Args:
        scene: the objects.
        query: the question with its viewpoint and vertical.
        sight: who looks; None when nothing says so.
        bodies: the scene's objects.
        surfaces: the flat surfaces.
        work: what was done so far, for all contexts of a question together.
    """

    scene: Scene
    query: SpatialQuery
    sight: Sight | None
    bodies: tuple[Body, ...]
    surfaces: tuple[Body, ...]
    work: Work = field(default_factory=Work)

    @classmethod
    def of(cls, scene: Scene, query: SpatialQuery) -> Context:
        """The context of a question, seen by its asker.

        Args:
            scene: what is known.
            query: the question.

        Returns:
            The context.
        """
        bodies, surfaces = _bodies_of(scene), _surfaces_of(tuple(query.surfaces))
        sight = _measuring(sight_of(scene, query), bodies)
        return cls(scene=scene, query=query, sight=sight, bodies=bodies, surfaces=surfaces)

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

    def spend(self, amount: int) -> None:
        """Counts work against what one question may cost.

        Args:
            amount: relations or comparisons that are about to be computed.

        Raises:
            UnansweredError: it would be too much.
        """
        self.work.spent += amount
        if self.work.spent > MAX_WORK:
            raise self.refusal(StatusCode.AMBIGUOUS, TOO_MUCH)

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


def _measuring(sight: Sight | None, bodies: Sequence[Body]) -> Sight | None:
    """The sight, its distances straight where things are known that it does not look at.

    Along a camera's view, what lies behind it would be nearest of all, and what lies beside it next to it.
    """
    if sight is None or not sight.measures_along or not bodies:
        return sight
    ways = np.array([body.center for body in bodies]) - sight.origin
    is_seen = ways @ sight.forward >= WIDEST_VIEW_COSINE * np.linalg.norm(ways, axis=1)
    return sight if bool(is_seen.all()) else replace(sight, measures_along=False)


@lru_cache(maxsize=8)  # many questions come to one scene; scenes and surfaces are told apart by identity
def _bodies_of(scene: Scene) -> tuple[Body, ...]:
    """The objects of a scene as bodies."""
    return tuple(body_of(known) for known in scene.objects)


@lru_cache(maxsize=8)
def _surfaces_of(surfaces: tuple[SupportSurface, ...]) -> tuple[Body, ...]:
    """The surfaces as bodies."""
    return surface_bodies(surfaces)
