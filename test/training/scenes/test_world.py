import numpy as np
import pytest

from model_training.scenes import CAMERAS, SceneSpec, build_world
from model_training.scenes.gl import load_mujoco
from model_training.scenes.layout import footprint, rectangles_apart


@pytest.mark.parametrize(("kind", "seed"), [("tabletop", 1), ("tabletop", 2), ("room", 1)])
def test_settled_objects_stay_where_they_are(kind, seed):
    world = build_world(SceneSpec(kind=kind, seed=seed, camera=CAMERAS["small"], stack_chance=0.5))
    mujoco = load_mujoco()
    mujoco.mj_step(world.model, world.data, 100)  # 0.4 s
    for thing in world.objects:
        body = mujoco.mj_name2id(world.model, mujoco.mjtObj.mjOBJ_BODY, f"object{thing.object_id}")
        assert np.linalg.norm(world.data.xpos[body] - thing.world_T_object.translation) < 0.006


@pytest.mark.parametrize(("kind", "seed"), [("tabletop", 4), ("tabletop", 5), ("room", 4), ("room", 6)])
def test_no_object_hangs_in_the_air(kind, seed):
    world = build_world(SceneSpec(kind=kind, seed=seed, camera=CAMERAS["small"], stack_chance=0.5))
    mujoco = load_mujoco()
    mujoco.mj_forward(world.model, world.data)
    touching = {int(world.model.geom_bodyid[g]) for c in world.data.contact for g in (c.geom1, c.geom2)}
    loose = [thing for thing in world.objects if not thing.static]
    assert loose
    for thing in loose:
        body = mujoco.mj_name2id(world.model, mujoco.mjtObj.mjOBJ_BODY, f"object{thing.object_id}")
        assert body in touching, f"{thing.design.category.name} touches nothing"


def test_removed_objects_are_neither_drawn_nor_listed():
    # Balls on a shelf's open top and on chairs roll; over these seeds some fall.
    for seed in range(12):
        world = build_world(
            SceneSpec(kind="room", seed=seed, camera=CAMERAS["small"], categories=("ball", "can"), stack_chance=1.0)
        )
        ids = {thing.object_id for thing in world.objects}
        drawn = set(np.unique(world.geom_object_ids)) - {-1, 0}
        assert drawn == ids
        assert len(ids) + world.removed == len(world.layout.placements)


def test_things_dropped_into_a_bowl_stay_in_it():
    spec = SceneSpec(
        seed=8, camera=CAMERAS["small"], categories=("bowl", "apple"), hold_chance=1.0, object_count=(6, 6)
    )
    world = build_world(spec)
    by_id = {thing.object_id: thing for thing in world.objects}
    inside = [
        t for t in world.objects if t.supported_by in by_id and by_id[t.supported_by].design.category.name == "bowl"
    ]
    assert inside
    for thing in inside:
        bowl = by_id[thing.supported_by]
        offset = thing.world_T_object.translation - bowl.world_T_object.translation
        assert np.linalg.norm(offset[:2]) < bowl.design.size[0] / 2
        assert offset[2] > 0.0


def test_equal_specs_settle_alike_and_other_seeds_do_not():
    spec = SceneSpec(seed=9, camera=CAMERAS["small"])
    first, again, other = build_world(spec), build_world(spec), build_world(spec.with_seed(10))
    np.testing.assert_array_equal(first.data.qpos, again.data.qpos)
    assert first.data.qpos.shape != other.data.qpos.shape or not np.allclose(first.data.qpos, other.data.qpos)


def test_footprints_apart_by_less_than_the_gap_count_as_touching():
    square = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    assert rectangles_apart(square, square + np.array([1.2, 0.0]), 0.1)
    assert not rectangles_apart(square, square + np.array([1.05, 0.0]), 0.1)
    assert not rectangles_apart(square, square + 0.5, 0.0)
    turned = footprint(np.array([[0.0, 0.0, 0.0], [1.0, 1.0, 0.0]]), np.pi / 4)
    assert np.linalg.norm(turned[1] - turned[0]) == pytest.approx(np.sqrt(2))
