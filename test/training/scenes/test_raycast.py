from dataclasses import replace

import numpy as np
import pytest

from model_training.scenes import CATALOGUE, SceneSpec
from model_training.scenes.cameras import look_at, orbit_pose
from model_training.scenes.catalogue import draw_design
from model_training.scenes.dataset import PlaceConfig, SceneDatasetConfig, ViewConfig, scene_records
from model_training.scenes.layout import Layout, Placement
from model_training.scenes.raycast.arrangement import CastObject, arrange
from model_training.scenes.raycast.casting import cast
from model_training.scenes.raycast.solids import cast_shape
from model_training.scenes.raycast.view import look
from model_training.scenes.surfaces import draw_surfaces
from model_training.scenes.world import settle_world
from n3d_ros.geometry.camera import CameraIntrinsics, unproject

CAMERA = CameraIntrinsics(fx=150.0, fy=150.0, cx=79.5, cy=59.5, width=160, height=120)
CONFIG = SceneDatasetConfig(
    kind="raycast",
    scenes=6,
    scenes_per_shard=6,
    views=2,
    rooms=0.4,
    tabletop=PlaceConfig(objects=(3, 8)),
    noise=("none",),
    view=ViewConfig(sizes=((160, 120),)),
)


def design(name: str, seed: int = 3):
    return draw_design(CATALOGUE[name], np.random.default_rng(seed))


def down(x: float, y: float) -> tuple[np.ndarray, np.ndarray]:
    """A ray straight down from 2 m above."""
    return np.array([x, y, 2.0], np.float32), np.array([[0.0], [0.0], [-1.0]], np.float32)


def test_a_ray_meets_a_box_at_its_top_and_the_normal_points_up():
    shape = cast_shape(design("cereal box"))
    hits = cast(shape, *down(0.02, 0.01))
    assert hits.distance == pytest.approx([2.0 - shape.height_m], abs=1e-5)
    np.testing.assert_allclose(hits.normal, [[0, 0, 1]], atol=1e-6)


def test_a_ray_meets_a_ball_where_a_sphere_is():
    made = design("orange")
    shape = cast_shape(made)
    radius = float(made.size[0]) / 2
    hits = cast(shape, *down(radius / 2, 0.0))
    assert hits.distance == pytest.approx([2.0 - radius - np.sqrt(0.75) * radius], abs=1e-5)
    np.testing.assert_allclose(hits.normal, [[0.5, 0.0, np.sqrt(0.75)]], atol=1e-3)


def test_a_ray_into_a_bowl_meets_its_floor_and_one_beside_it_nothing():
    made = design("bowl")
    hits = cast(cast_shape(made), *down(0.0, 0.001))
    assert hits.distance[0] > 2.0 - 0.3 * made.size[2]
    assert len(cast(cast_shape(made), *down(float(made.size[0]), 0.0)).rays) == 0


def test_a_lying_bottle_rests_on_its_side():
    made = design("bottle")
    shape = cast_shape(made, lying=True)
    assert not shape.upright and shape.symmetry == "half_turn"
    np.testing.assert_allclose(sorted(shape.box.size), sorted(made.size), rtol=0.01)
    assert shape.height_m == pytest.approx(made.size[0], rel=0.02)


SEEN = ("box", "bottle", "mug", "bowl", "banana", "laptop", "teddy bear", "plant", "clock", "chair")


@pytest.mark.parametrize("name", SEEN)
def test_rays_see_what_is_rendered(renderer, name):
    """The same design through both generators: silhouettes and depths agree but for facets and pixel borders."""
    made = design(name)
    position = np.array([0.0, 0.0, -made.low[2]])
    pose = orbit_pose(np.array([0, 0, made.size[2] / 2]), 2.2 * float(np.linalg.norm(made.size)) + 0.1, -1.2, 0.6)
    placement = Placement(
        object_id=1, design=made, position=position, rotation=np.eye(3), static=True, support_height_m=0, supported_by=0
    )
    rng = np.random.default_rng(0)
    layout = Layout(
        placements=(placement,),
        walls=(),
        surfaces=draw_surfaces(rng, rich=False),
        focus=np.zeros(3),
        targets=np.zeros((1, 3)),
        focus_half_m=0.3,
        room_half_m=0.0,
    )
    renderer.load(settle_world(SceneSpec(camera=CAMERA), layout, rng))
    rendered = renderer.render(pose)
    arrangement = arrange(SceneSpec(kind="room", object_count=(0, 0)), rng)
    thing = CastObject(
        object_id=1,
        shape=cast_shape(made),
        rotation=np.eye(3),
        position=np.zeros(3),
        color="red",
        material="plastic",
        paints=np.zeros((len(made.pieces), 3), np.float32),
        accent=np.zeros(3, np.float32),
        supported_by=0,
    )
    view = look(replace(arrangement, objects=(thing,), wall_m=50.0), CAMERA, pose)
    both, either = (view.object_ids & rendered.object_ids) > 0, (view.object_ids | rendered.object_ids) > 0
    assert either.sum() > 300
    assert both.sum() / either.sum() > 0.93
    apart = np.abs(view.depth_m - rendered.depth_m)[both]
    assert np.median(apart) < 0.002
    floor = (view.object_ids == 0) & (rendered.object_ids == 0) & (rendered.depth_m < 3)
    assert np.abs(view.depth_m - rendered.depth_m)[floor].max() < 1e-3


def test_depth_of_floor_and_wall_is_where_the_rays_meet_them():
    arrangement = arrange(SceneSpec(kind="room", object_count=(0, 0), seed=2), np.random.default_rng(2))
    pose = look_at((0.2, -1.5, 1.0), (0.0, 0.5, 0.4))
    view = look(arrangement, CAMERA, pose)
    points = pose.apply(unproject(view.depth_m, CAMERA).reshape(-1, 3))
    on_floor, on_wall = np.abs(points[:, 2]) < 1e-3, np.abs(points[:, 1] - arrangement.wall_m) < 1e-3
    on_side = np.abs(np.abs(points[:, 0]) - 3.0) < 1e-3
    assert (on_floor | on_wall | on_side).mean() == 1.0
    assert on_floor.mean() > 0.2 and on_wall.mean() > 0.1


def test_a_ray_along_the_wall_finds_floor_or_wall_and_never_a_negative_depth():
    camera = CameraIntrinsics(fx=100.0, fy=100.0, cx=32.0, cy=24.0, width=65, height=49)  # the middle column: x is 0
    pose = look_at((0.0, -1.5, 1.0), (0.0, 0.5, 0.4))
    view = look(arrange(SceneSpec(kind="room", object_count=(0, 0)), np.random.default_rng(1)), camera, pose)
    assert np.isfinite(view.depth_m).all() and view.depth_m.min() > 0.3


@pytest.fixture(scope="module")
def records():
    return list(scene_records(CONFIG, 0))


def test_records_of_both_generators_have_the_same_kind_of_truth(records):
    assert len(records) >= 10
    for record in records:
        assert record.source == "raycast" and record.split == "train"
        points = unproject(record.depth_m, record.intrinsics)
        for one in record.objects:
            mine = points[record.mask(one.id)]
            assert one.box.contains(mine, margin_m=0.003).all(), one.label
            assert one.visible_box.contains(mine, margin_m=0.001).all()
            assert one.visible_pixels == len(mine)
            assert 0 < one.visible_fraction <= 1


def test_whole_objects_fill_their_boxes(records):
    tight = 0
    for record in records:
        points = unproject(record.depth_m, record.intrinsics)
        for one in record.objects:
            if one.visible_fraction > 0.99 and not one.touches_border:
                local = np.abs(one.box.local(points[record.mask(one.id)])) / (one.box.size / 2)
                tight += bool((local.max(axis=0) > 0.85).all())
    assert tight >= 5


def test_a_ray_cast_shard_made_twice_is_the_same(records):
    again = list(scene_records(CONFIG, 0))
    assert [(one.id, one.image, one.depth_png) for one in again] == [
        (one.id, one.image, one.depth_png) for one in records
    ]


def test_objects_stand_apart_or_on_each_other():
    for seed in range(6):
        spec = SceneSpec(seed=seed, variety="rich", object_count=(6, 10), stack_chance=0.6)
        made = arrange(spec, np.random.default_rng(seed))
        by_id = {one.object_id: one for one in made.objects}
        for one in made.objects[1:]:
            below = by_id[one.supported_by]
            assert one.position[2] == pytest.approx(below.position[2] + below.shape.height_m, abs=1e-6)
        standing = [one for one in made.objects[1:] if one.supported_by == 1]
        for k, first in enumerate(standing):
            for second in standing[k + 1 :]:
                gap = np.hypot(*(first.position - second.position)[:2])
                least = (first.shape.box.size[:2].min() + second.shape.box.size[:2].min()) / 2
                assert gap > 0.9 * least
