"""The rule of the split on layouts, before physics and rendering, over many seeds."""

import numpy as np
import pytest

from model_training.data.split import held_out_pairs, shows_held_out_pair
from model_training.scenes import SceneSpec
from model_training.scenes.layout import draw_layout
from model_training.scenes.raycast.arrangement import arrange
from n3d_ros.errors import InputError


def loose_names(spec: SceneSpec, *, raycast: bool) -> list[str]:
    rng = np.random.default_rng(spec.seed)
    if raycast:
        return [one.shape.category.name for one in arrange(spec, rng).objects if not one.parts]
    return [p.design.category.name for p in draw_layout(spec, rng).placements if not p.static]


def spec(seed: int, combinations: str, kind: str) -> SceneSpec:
    crowded = {"object_count": (9, 14), "clutter": 1.0, "hold_chance": 1.0}
    return SceneSpec(kind=kind, seed=seed, variety="rich", combinations=combinations, **crowded)


@pytest.mark.parametrize(
    ("kind", "raycast"), [("tabletop", False), ("room", False), ("tabletop", True), ("room", True)]
)
def test_training_scenes_hold_no_held_out_pair(kind, raycast):
    counts = []
    for seed in range(10):
        names = loose_names(spec(seed, "common", kind), raycast=raycast)
        assert not held_out_pairs(names)
        counts.append(len(set(names)))
    assert np.mean(counts) > 5  # crowded enough that chance alone would have shown one
    free = [shows_held_out_pair(loose_names(spec(seed, "any", kind), raycast=raycast)) for seed in range(10)]
    assert any(free)


@pytest.mark.parametrize(
    ("kind", "raycast"), [("tabletop", False), ("room", False), ("tabletop", True), ("room", True)]
)
def test_held_out_scenes_hold_at_least_one_such_pair(kind, raycast):
    shown = [shows_held_out_pair(loose_names(spec(s, "held_out", kind), raycast=raycast)) for s in range(8)]
    assert np.mean(shown) >= 0.7  # where one of the two found no room, the frame is left out later


def test_too_few_categories_for_a_held_out_scene_are_named():
    few = SceneSpec(seed=1, categories=("can", "ball"), combinations="held_out")
    with pytest.raises(InputError, match="ball, can"):
        draw_layout(few, np.random.default_rng(1))
