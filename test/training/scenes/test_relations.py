import numpy as np
import pytest

from model_training.scenes import CATALOGUE, SceneSpec, build_world
from model_training.scenes.catalogue import draw_design
from model_training.scenes.layout import Placement
from model_training.scenes.relations import cavity, containers
from n3d_ros.geometry import RigidTransform


def placed(object_id: int, name: str, at: tuple[float, float, float]) -> tuple[Placement, RigidTransform]:
    made = draw_design(CATALOGUE[name], np.random.default_rng(object_id))
    position = np.array(at) - np.array([0, 0, made.low[2]])
    pose = RigidTransform(rotation=np.eye(3), translation=position)
    rest = {"rotation": np.eye(3), "static": False, "support_height_m": 0.0, "supported_by": 0}
    return Placement(object_id=object_id, design=made, position=position, **rest), pose


def held(*things: tuple[Placement, RigidTransform], support: dict[int, int]) -> dict[int, int]:
    return containers([p for p, _ in things], {p.object_id: pose for p, pose in things}, support)


def test_an_apple_on_the_floor_of_a_bowl_is_inside_it():
    assert held(placed(1, "bowl", (0, 0, 0)), placed(2, "apple", (0, 0, 0.015)), support={1: 0, 2: 1}) == {2: 1}


def test_an_apple_beside_a_bowl_is_not_inside_it():
    assert held(placed(1, "bowl", (0, 0, 0)), placed(2, "apple", (0.2, 0, 0)), support={1: 0, 2: 0}) == {}


def test_a_plate_across_a_bowls_rim_is_on_it_not_in_it():
    bowl = placed(1, "bowl", (0, 0, 0))
    rim = float(bowl[0].design.size[2])
    assert held(bowl, placed(2, "plate", (0, 0, rim)), support={1: 0, 2: 1}) == {}


def test_what_lies_on_something_in_a_bowl_is_in_the_bowl():
    things = placed(1, "bowl", (0, 0, 0)), placed(2, "apple", (0, 0, 0.012)), placed(3, "orange", (0.01, 0, 0.03))
    assert held(*things, support={1: 0, 2: 1, 3: 2}) == {2: 1, 3: 1}


def test_nothing_is_inside_what_holds_nothing():
    assert held(placed(1, "box", (0, 0, 0)), placed(2, "apple", (0, 0, 0.01)), support={1: 0, 2: 1}) == {}
    assert cavity(draw_design(CATALOGUE["box"], np.random.default_rng(0))) is None


def test_a_mugs_cavity_leaves_the_handle_out():
    made = draw_design(CATALOGUE["mug"], np.random.default_rng(0))
    low, high = cavity(made)
    assert high[0] < made.low[0] + 0.8 * made.size[0]
    assert low[0] == pytest.approx(made.low[0], abs=0.003)


def test_settled_objects_know_what_really_carries_them():
    wanted = {"categories": ("bowl", "apple", "box"), "object_count": (8, 8)}
    world = build_world(SceneSpec(seed=8, hold_chance=1.0, stack_chance=0.6, **wanted))
    poses = {one.object_id: one for one in world.objects}
    inside = 0
    for one in world.objects:
        if one.static:
            continue
        below = poses[one.supported_by]
        lowest = one.world_T_object.apply(one.design.vertices)[:, 2].min()
        highest = below.world_T_object.apply(below.design.vertices)[:, 2].max()
        assert lowest < highest + 0.003  # touches it, or reaches into it
        if one.inside_of:
            inside += 1
            assert poses[one.inside_of].design.category.name == "bowl"
    assert inside >= 1
