import numpy as np
import pytest

from model_training.scenes import CAMERAS, SceneSpec
from model_training.scenes.cameras import CAMERA_LINK_T_OPTICAL, OPTICAL_T_OPENGL, arc_path, look_at, orbit_pose
from model_training.scenes.layout import draw_layout
from model_training.scenes.render import frustum
from n3d_ros.errors import InputError
from n3d_ros.geometry.camera import CameraIntrinsics


def test_a_camera_looking_along_world_x_sees_left_right_and_up_where_a_person_would():
    # Hand-computed: at (0, 0, 1) looking along +x, a point 2 m ahead, 0.5 m to the right (world -y), 0.3 m up.
    world_T_optical = look_at((0, 0, 1), (1, 0, 1))
    point = world_T_optical.inverse().apply([[2.0, -0.5, 1.3]])[0]
    np.testing.assert_allclose(point, [0.5, -0.3, 2.0], atol=1e-12)


def test_opengl_up_is_optical_minus_y_and_opengl_looks_along_minus_z():
    np.testing.assert_allclose(OPTICAL_T_OPENGL.apply([[0.1, 1.0, -2.0]])[0], [0.1, -1.0, 2.0])


def test_the_optical_axis_is_the_camera_bodys_forward_axis():
    np.testing.assert_allclose(CAMERA_LINK_T_OPTICAL.apply([[0.2, 0.3, 4.0]])[0], [4.0, -0.2, -0.3])


def test_roll_turns_the_image_clockwise_about_the_optical_axis():
    level, rolled = look_at((0, 0, 1), (1, 0, 1)), look_at((0, 0, 1), (1, 0, 1), roll_rad=0.1)
    np.testing.assert_allclose(rolled.rotation[:, 2], level.rotation[:, 2])
    assert rolled.rotation[:, 0] @ level.rotation[:, 1] == pytest.approx(np.sin(0.1))


def test_a_view_straight_down_is_refused():
    with pytest.raises(InputError, match="straight up or down"):
        look_at((0, 0, 2), (0, 0, 0))


def test_an_orbiting_camera_keeps_its_distance_and_looks_at_the_focus():
    focus = np.array([0.3, -0.2, 0.8])
    pose = orbit_pose(focus, 1.5, azimuth_rad=0.7, elevation_rad=0.5)
    np.testing.assert_allclose(pose.inverse().apply(focus[None])[0], [0, 0, 1.5], atol=1e-12)


def test_the_frustum_reaches_half_a_pixel_beyond_the_outermost_centres():
    camera = CameraIntrinsics(fx=100.0, fy=50.0, cx=1.0, cy=0.5, width=4, height=3)
    left, right, bottom, top = frustum(camera, near_m=1.0)
    assert (left, right) == pytest.approx((-0.015, 0.025))
    assert (bottom, top) == pytest.approx((-0.04, 0.02))


@pytest.mark.parametrize("kind", ["tabletop", "room"])
def test_a_moving_camera_starts_and_ends_at_rest_and_never_jumps(kind):
    spec = SceneSpec(kind=kind, seed=3, camera=CAMERAS["small"])
    layout = draw_layout(spec, np.random.default_rng(3))
    path = arc_path(spec, layout, np.random.default_rng(4))
    positions = np.array([path(f).translation for f in np.linspace(0, 1, 101)])
    steps = np.linalg.norm(np.diff(positions, axis=0), axis=1)
    assert steps.max() < 0.1 and steps.sum() > 0.2
    assert steps[0] < 0.3 * steps.max() and steps[-1] < 0.3 * steps.max()
