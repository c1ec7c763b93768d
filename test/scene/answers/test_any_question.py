"""Questions put together at random from all types, asked of random scenes: always an answer, always bounded."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from n3d_ros.errors import StatusCode
from n3d_ros.scene.answers.answering import ANSWERERS, answer_to
from n3d_ros.scene.answers.context import MAX_WORK, Context
from n3d_ros.scene.answers.wording import MAX_STEPS, MAX_TEXT_CHARS
from n3d_ros.scene.questions import question as q
from n3d_ros.scene.scene import Scene
from n3d_ros.scene.spatial_answer import SpatialAnswer, SpatialQuery, ValueType
from scene.answers.asking import CAMERA, OPTICAL_T_VIEWER, STAMP, known, level_table, scene_of, the

WORDS = (*("object", "object", "box", "boxes", "red box", "mug", "ball") * 3, "table", "floor", "unicorn", "surface")
KINDS = tuple(ANSWERERS)


class Dice:
    """Random parts of questions."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def one(self, choices: Any) -> Any:
        choices = list(choices)
        return choices[int(self.rng.integers(len(choices)))]

    def maybe(self, make: Any, share: float = 0.3) -> Any:
        return make() if self.rng.random() < share else None

    def thing(self, depth: int = 0) -> q.Thing:
        deeper = depth < 2
        place = self.maybe(lambda: self.place(depth + 1)) if deeper else None
        bound = self.maybe(lambda: self.bound(depth + 1), 0.2) if deeper else None
        return the(
            self.one(WORDS),
            places=(place,) if place else (),
            bounds=(bound,) if bound else (),
            extreme=self.maybe(lambda: self.extreme(depth + 1), 0.2) if deeper else None,
            is_other=self.rng.random() < 0.1,
            is_any=self.rng.random() < 0.2,
            is_each=self.rng.random() < 0.1,
            number=self.maybe(lambda: int(self.rng.integers(1, 9)), 0.05),
            count=self.maybe(lambda: int(self.rng.integers(1, 4)), 0.1),
            stands_out=self.maybe(lambda: self.extreme(2), 0.1),
        )

    def things(self, depth: int, low: int, high: int) -> tuple[q.Thing, ...]:
        return tuple(self.thing(depth) for _ in range(int(self.rng.integers(low, high + 1))))

    def place(self, depth: int) -> q.Place:
        relation = self.one(q.Relation)
        count = 2 if relation is q.Relation.BETWEEN else 1
        within = self.maybe(lambda: float(self.rng.uniform(0, 2)))
        return q.Place(relation=relation, references=self.things(depth, 0, count), within_m=within)

    def number(self) -> q.Quantity:
        named = (q.Quantity.COLOR, q.Quantity.SHAPE, q.Quantity.NAME, q.Quantity.POSITION)
        return self.one([one for one in q.Quantity if one not in named])

    def bound(self, depth: int) -> q.SizeBound:
        reference = self.maybe(lambda: self.thing(depth), 0.5)
        bound = None if reference else float(self.rng.uniform(0, 2))
        return q.SizeBound(quantity=self.number(), more=self.rng.random() < 0.5, bound=bound, reference=reference)

    def extreme(self, depth: int) -> q.Extreme:
        return q.Extreme(
            quantity=self.number(),
            most=self.rng.random() < 0.5,
            rank=int(self.rng.integers(1, 4)),
            count=int(self.rng.integers(1, 3)),
            reference=self.maybe(lambda: self.thing(depth)),
        )

    def intent(self, kind: type) -> Any:
        some = self.things
        other = self.maybe(self.thing, 0.5)
        made: dict[type, Any] = {
            q.Where: lambda: q.Where(thing=self.thing(), relative_to=other),
            q.Count: lambda: q.Count(thing=self.thing()),
            q.Exists: lambda: q.Exists(thing=self.thing(), negated=self.rng.random() < 0.5),
            q.Which: lambda: q.Which(thing=self.thing(), is_single=self.rng.random() < 0.5),
            q.Choose: lambda: q.Choose(candidates=some(0, 1, 3), extreme=self.extreme(1)),
            q.ChoosePlaced: lambda: q.ChoosePlaced(
                candidates=some(0, 1, 3), relation=self.one(q.Relation), reference=other
            ),
            q.IsPlaced: lambda: q.IsPlaced(
                subject=self.thing(), options=(self.one(q.Relation), self.one(q.Relation)), references=some(0, 0, 2)
            ),
            q.IsColored: lambda: q.IsColored(subject=self.thing(), colors=("red", "blue")),
            q.Side: lambda: q.Side(subject=self.thing(), reference=self.thing()),
            q.Compare: lambda: q.Compare(
                subject=self.thing(), quantity=self.number(), sense=self.one(q.Sense), other=other,
                reference=self.maybe(self.thing), factor=self.one([1.0, 2.0]),
                bound=None if other else self.maybe(lambda: 0.3), inclusive=self.rng.random() < 0.3,
            ),
            q.Measure: lambda: q.Measure(
                quantity=self.one(q.Quantity), thing=self.thing(), reference=other, unit=self.one([None, "cm", "ft"])
            ),
            q.Difference: lambda: q.Difference(
                quantity=self.number(), subject=self.thing(), other=self.thing(), reference=self.maybe(self.thing),
                as_ratio=self.rng.random() < 0.5,
            ),
            q.Direction: lambda: q.Direction(
                target=self.thing(), origin=other, hour=self.maybe(lambda: int(self.rng.integers(1, 13)))
            ),
            q.Order: lambda: q.Order(things=some(0, 1, 3), quantity=self.number(), reference=other),
            q.Fits: lambda: self.one([
                q.Fits(thing=self.thing(), opening_m=tuple(self.rng.uniform(0.01, 1, int(self.rng.integers(1, 4))))),
                q.Fits(thing=self.thing(), between=some(0, 1, 2)),
                q.Fits(thing=self.thing(), inside=self.thing()),
                q.Fits(thing=self.thing(), on_top_of=self.thing()),
            ]),
            q.Describe: lambda: q.Describe(thing=self.thing()),
            q.Changed: lambda: q.Changed(
                thing=other, is_new=self.rng.random() < 0.3, is_moved=self.rng.random() < 0.3,
                place=self.maybe(lambda: self.place(1)),
            ),
        }  # fmt: skip
        return made[kind]()

    def viewpoint(self) -> q.Viewpoint:
        return q.Viewpoint(view=self.one(q.View), at=self.maybe(self.thing, 0.7), facing=self.maybe(self.thing))

    def scene(self) -> tuple[Scene, SpatialQuery]:
        labels = ("red box", "box", "mug", "ball", "coffee table")
        objects = [
            known(
                k + 1, self.one(labels), self.rng.uniform([-1, -1, self.one([1, 1, -3])], [1, 1, 3]),
                self.rng.uniform(0.01, 0.6, 3), stddev_m=self.one([0.0, 0.01]), axis=self.rng.normal(size=3),
                angle_rad=float(self.rng.uniform(0, 3)),
            )
            for k in range(int(self.rng.integers(0, 7)))
        ]  # fmt: skip
        frame_id = self.one([CAMERA, "map"])
        before = scene_of(*objects[1:], frame_id=frame_id, stamp_ns=STAMP - 5)
        query = SpatialQuery(
            text="?",
            viewpoint=self.maybe(lambda: OPTICAL_T_VIEWER, 0.7),
            viewer_is_camera=self.rng.random() < 0.5,
            up=self.maybe(lambda: np.array([0.0, -1.0, 0.0]), 0.5),
            surfaces=self.one([(), (level_table(),), (level_table(), level_table(1.0, "floor"), level_table(0.8))]),
            before=self.maybe(lambda: before, 0.7),
            departed=tuple(objects[:1]),
            open_vocabulary=self.rng.random() < 0.7,
        )
        return scene_of(*objects[1:], frame_id=frame_id), query


def is_sound(got: SpatialAnswer) -> bool:
    """Whether value and type, status and text fit together."""
    kinds: dict[ValueType, Any] = {
        ValueType.NONE: type(None), ValueType.NUMBER: float, ValueType.BOOLEAN: bool, ValueType.COUNT: float,
        ValueType.TEXT: str, ValueType.POSITION: tuple, ValueType.SIZE: tuple, ValueType.DIRECTION: tuple,
    }  # fmt: skip
    numbers = got.value if isinstance(got.value, tuple) else (got.value,) if isinstance(got.value, float) else ()
    return (
        isinstance(got.value, kinds[got.value_type])
        and all(math.isfinite(number) for number in numbers)
        and (got.value_type is ValueType.NONE or (got.status is StatusCode.OK and bool(got.value_text)))
        and 0 < len(got.text) <= MAX_TEXT_CHARS
        and got.text.endswith((".", "?"))
        and len(got.steps) <= MAX_STEPS
        and all("nan" not in step and "--" not in step for step in got.steps)
    )


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_question_gets_a_sound_answer(kind: type) -> None:
    for seed in range(80):
        dice = Dice(seed)
        scene, query = dice.scene()
        question = q.Question(text="?", intent=dice.intent(kind), viewpoint=dice.viewpoint())
        got = answer_to(question, scene, query)
        assert is_sound(got), (seed, question, got)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_many_equal_things_cost_bounded_work(kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    """40 boxes in reach of each other: whatever is asked, no more is computed than one question may cost."""
    spent, spend = list[int](), Context.spend
    monkeypatch.setattr(Context, "spend", lambda self, amount: spent.append(amount) or spend(self, amount))
    boxes = [known(k + 1, "box", (k % 8 * 0.12 - 0.4, 0.25, 1.0 + k // 8 * 0.12)) for k in range(40)]
    for seed in range(12):
        dice = Dice(1000 + seed)
        _, query = dice.scene()
        scene = scene_of(*boxes)
        question = q.Question(text="?", intent=dice.intent(kind), viewpoint=dice.viewpoint())
        spent.clear()
        assert is_sound(answer_to(question, scene, query)), (seed, question)
        assert sum(spent[:-1]) <= MAX_WORK, "only the last piece of work may go beyond the bound"
