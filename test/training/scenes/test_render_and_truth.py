from dataclasses import replace

import numpy as np
import pytest

from model_training.scenes import (
    CAMERAS,
    CATALOGUE,
    SceneRenderer,
    SceneSpec,
    build_world,
    generate_frames,
    generate_sequence,
)
from model_training.scenes.cameras import look_at
from model_training.scenes.catalogue import draw_design
from model_training.scenes.render import disjoint_groups, whole_object_counts
from model_training.scenes.truth import object_box
from n3d_ros.errors import InputError
from n3d_ros.geometry import RigidTransform
from n3d_ros.geometry.camera import pixel_rays, project, unproject
from n3d_ros.geometry.transforms import rotation_about_axis

OFF_CENTRE = replace(CAMERAS["small"], fx=140.0, fy=120.0, cx=60.25, cy=71.5)


def test_depth_of_the_floor_is_the_rays_intersection_with_it(renderer):
    world = build_world(SceneSpec(seed=1, camera=OFF_CENTRE, object_count=(0, 0)))
    renderer.load(world)
    pose = look_at((2.0, -2.0, 1.4), (2.1, -0.8, 0.0), roll_rad=0.05)
    depth = renderer.render(pose).depth_m
    rays = pixel_rays(OFF_CENTRE) @ pose.rotation.T  # z component 1 in the camera, so the factor is z-depth
    expected = -pose.translation[2] / rays[..., 2]
    points = pose.translation + rays * expected[..., None]
    floor = (expected > 0) & (expected < 2.5) & (points[..., 1] < -0.7) & (np.abs(points[..., 0] - 2) < 1.0)
    assert floor.mean() > 0.2
    np.testing.assert_allclose(depth[floor], expected[floor], atol=2e-4)


def test_objects_appear_where_their_vertices_project(renderer):
    spec = SceneSpec(seed=3, camera=OFF_CENTRE, views=2, depth_noise="none")
    checked = 0
    for frame in generate_frames(spec, renderer):
        for truth in (t for t in frame.truth if t.is_unoccluded and t.visible_pixels > 40):
            world_thing = frame.object_ids == truth.object_id
            rows, columns = np.nonzero(world_thing)
            box = project(truth.box_camera.corners, OFF_CENTRE)
            assert columns.min() >= box[:, 0].min() - 1 and columns.max() <= box[:, 0].max() + 1
            assert rows.min() >= box[:, 1].min() - 1 and rows.max() <= box[:, 1].max() + 1
            checked += 1
    assert checked >= 4


@pytest.mark.parametrize("frames", ["tabletop_frames", "room_frames"])
def test_seen_surfaces_lie_inside_the_true_boxes_and_reach_their_sides(frames, request):
    tight = 0
    for frame in request.getfixturevalue(frames):
        points = unproject(frame.clean_depth_m, frame.frame.intrinsics)
        for truth in frame.truth:
            mine = points[frame.object_ids == truth.object_id]
            if len(mine) == 0:
                continue
            assert truth.box_camera.contains(mine, margin_m=0.002).all(), truth.category
            local = np.abs(truth.box_camera.local(mine)) / (truth.box_camera.size / 2)
            tight += bool((local.max(axis=0) > 0.85).all())
    assert tight >= 3


def test_world_and_camera_boxes_are_one_box(room_frames):
    for frame in room_frames:
        for truth in frame.truth:
            back = truth.box_camera.transformed(frame.world_T_camera)
            np.testing.assert_allclose(back.corners, truth.box_world.corners, atol=1e-9)


def test_upright_objects_have_gravity_aligned_boxes_standing_on_the_table(tabletop_frames):
    table = next(t for t in tabletop_frames[0].truth if t.category == "table")
    top = table.box_world.center[2] + table.box_world.size[2] / 2
    upright = [t for t in tabletop_frames[0].truth if t.upright and t.supported_by == table.object_id]
    assert upright
    for truth in upright:
        assert truth.box_world.rotation[2, 2] == pytest.approx(1.0)
        assert truth.box_world.center[2] - truth.box_world.size[2] / 2 == pytest.approx(top, abs=0.003)


def test_a_lying_can_is_described_by_its_length_width_and_height():
    design = draw_design(CATALOGUE["can"], np.random.default_rng(1))
    lying = (
        rotation_about_axis((0, 0, 1), 0.4)
        @ rotation_about_axis((0, 1, 0), np.pi / 2)
        @ rotation_about_axis((0, 0, 1), 1.0)
    )
    box, symmetry, upright = object_box(design, RigidTransform(rotation=lying, translation=np.zeros(3)))
    assert (symmetry, upright) == ("half_turn", False)
    np.testing.assert_allclose(box.size, [design.size[2], design.size[0], design.size[0]], rtol=0.01)
    np.testing.assert_allclose(np.abs(box.rotation[:, 0]), [np.cos(0.4), np.sin(0.4), 0], atol=1e-9)


def test_a_leaning_box_keeps_its_own_axes():
    design = draw_design(CATALOGUE["box"], np.random.default_rng(1))
    leaning = rotation_about_axis((1, 0, 0), 0.5)
    box, _, upright = object_box(design, RigidTransform(rotation=leaning, translation=np.zeros(3)))
    assert not upright
    np.testing.assert_allclose(box.rotation, leaning, atol=1e-9)
    np.testing.assert_allclose(box.size, design.size)


def test_visible_fractions_agree_with_drawing_every_object_alone(renderer, room_frames):
    frame = room_frames[0]
    renderer.load(build_world(frame.spec))
    alone = renderer.alone_pixel_counts(frame.world_T_camera)
    assert {t.object_id for t in frame.truth} == {i for i, count in alone.items() if count}
    for truth in frame.truth:
        assert truth.visible_fraction == pytest.approx(truth.visible_pixels / alone[truth.object_id], abs=0.02)


def test_an_object_with_a_nearer_neighbour_is_not_counted_as_whole():
    ids = np.array([[0, 1, 1, 2, 2, 0]], np.int32)
    depth = np.array([[3.0, 1.0, 1.0, 2.0, 2.0, 3.0]], np.float32)
    assert whole_object_counts(ids, depth) == {1: 2}


def test_groups_hold_every_id_once_and_never_two_that_overlap():
    rectangles = {1: (0.0, 0.0, 4.0, 4.0), 2: (3.0, 3.0, 6.0, 6.0), 3: (5.0, 0.0, 9.0, 2.0)}
    groups = list(disjoint_groups(rectangles))
    assert sorted(i for group in groups for i in group) == [1, 2, 3]
    assert not any({1, 2} <= group for group in groups)


def test_frames_of_one_spec_are_identical(renderer):
    spec = SceneSpec(seed=21, camera=CAMERAS["small"])
    first, again = (next(iter(generate_frames(spec, renderer))) for _ in range(2))
    np.testing.assert_array_equal(first.frame.rgb, again.frame.rgb)
    np.testing.assert_array_equal(first.frame.depth_m, again.frame.depth_m)
    np.testing.assert_array_equal(first.object_ids, again.object_ids)


def test_a_sequence_has_even_stamps_a_moving_camera_and_a_still_world(renderer):
    frames = list(generate_sequence(SceneSpec(seed=2, camera=CAMERAS["small"]), 0.4, 10, renderer))
    stamps = [f.frame.stamp_ns for f in frames]
    assert np.diff(stamps).tolist() == [100_000_000] * 3
    assert not frames[0].world_T_camera.is_close(frames[-1].world_T_camera, translation_m=0.01)
    boxes = [{t.object_id: t.box_world for t in f.truth} for f in frames]
    for object_id in boxes[0].keys() & boxes[-1].keys():
        np.testing.assert_array_equal(boxes[0][object_id].corners, boxes[-1][object_id].corners)


def test_the_tf_chain_gives_the_optical_pose(tabletop_frames):
    frame = tabletop_frames[1]
    assert (frame.map_T_camera_link @ frame.camera_link_T_optical).is_close(frame.world_T_camera)
    np.testing.assert_allclose(frame.up_camera, frame.world_T_camera.inverse().rotate([0.0, 0.0, 1.0]), atol=1e-12)


def test_a_renderer_refuses_worlds_of_another_image_size(renderer):
    with pytest.raises(InputError, match="160x120"):
        renderer.load(build_world(SceneSpec(seed=1, object_count=(0, 0))))


def test_rendering_without_a_world_is_refused(renderer):
    fresh = SceneRenderer(CAMERAS["small"])
    with pytest.raises(InputError, match="load"):
        fresh.render(RigidTransform.identity())
    fresh.close()
