"""A camera that is tilted, on its side or upside down tells the same places as a level one."""

from __future__ import annotations

import math

import numpy as np
import pytest

from n3d_ros.geometry import RigidTransform
from n3d_ros.geometry.transforms import rotation_about_axis
from n3d_ros.scene.questions.question import Direction, IsPlaced, Measure, Quantity, Relation, Side, Where
from n3d_ros.scene.scene import Scene
from scene.answers.asking import OPTICAL_T_VIEWER, ask, known, scene_of, the

R = Relation
MUG, BOX = the("mug"), the("box")
DOWN_Y = np.array([0.0, -1.0, 0.0])  # up, in a level camera's optical frame


def turned(scene: Scene, roll_deg: float, pitch_deg: float) -> tuple[Scene, np.ndarray]:
    """The scene as a camera sees it that looks up by ``pitch_deg`` and is then rolled about its own axis."""
    pitched = rotation_about_axis([1, 0, 0], math.radians(pitch_deg))
    level_T_camera = pitched @ rotation_about_axis([0, 0, 1], math.radians(roll_deg))
    camera_T_level = RigidTransform(rotation=level_T_camera, translation=np.zeros(3)).inverse()
    return scene.transformed(scene.frame_id, camera_T_level), camera_T_level.rotate(DOWN_Y)


@pytest.mark.parametrize("pitch_deg", [-60, -45, -17, 0, 17, 45, 60])
@pytest.mark.parametrize("roll_deg", [0, 0.8, 45, 90, 90.8, 180, 270])
@pytest.mark.parametrize("with_viewpoint", [False, True])
def test_places_do_not_depend_on_how_the_camera_is_mounted(
    roll_deg: float, pitch_deg: float, with_viewpoint: bool
) -> None:
    """The mug stands 2 m ahead, 0.5 m to the left; the box 1 m ahead, 0.4 m to the right and 0.3 m lower."""
    level = scene_of(known(1, "mug", (-0.5, 0.0, 2.0)), known(2, "box", (0.4, 0.3, 1.0)))
    scene, up = turned(level, roll_deg, pitch_deg)
    changes = {"up": up, **({"viewpoint": OPTICAL_T_VIEWER} if with_viewpoint else {})}
    assert "2.00 m ahead of the camera, 0.50 m to the left" in ask(scene, Where(thing=MUG), **changes).text
    assert ask(scene, Direction(target=MUG), **changes).clock_hour == 12
    assert ask(scene, Direction(target=MUG, origin=BOX), **changes).clock_hour == 11
    offsets = ask(scene, Side(subject=MUG, reference=BOX), **changes).text
    assert offsets == "The mug 1 is 90 cm to the left, 1.00 m behind and 30 cm higher than the box 2."
    holding = {
        one: ask(scene, IsPlaced(subject=MUG, options=(one,), references=(BOX,)), **changes).value
        for one in (R.LEFT, R.RIGHT, R.FRONT, R.BEHIND)
    }
    assert holding == {R.LEFT: True, R.RIGHT: False, R.FRONT: False, R.BEHIND: True}
    assert ask(scene, IsPlaced(subject=MUG, options=(R.FRONT,)), **changes).value is True


@pytest.mark.parametrize("pitch_deg", [-90, -80, 80, 90])
def test_for_a_steep_view_the_top_of_the_image_tells_what_is_ahead(pitch_deg: float) -> None:
    """Looking down, the top of the image is ahead, its left is left; looking up, the bottom is ahead."""
    ahead = -1.0 if pitch_deg < 0 else 1.0  # optical y runs to the bottom of the image
    mug, box = known(1, "mug", (-0.3, ahead * 0.5, 1.0)), known(2, "box", (0.0, 0.0, 1.0))
    _, up = turned(scene_of(mug, box), 0, pitch_deg)
    asked = IsPlaced(subject=MUG, options=(R.FRONT, R.BEHIND), references=(BOX,))
    assert ask(scene_of(mug, box), asked, up=up).value == "behind"
    assert ask(scene_of(mug, box), IsPlaced(subject=MUG, options=(R.LEFT,), references=(BOX,)), up=up).value is True


def test_behind_is_level_and_the_distance_runs_along_the_optical_axis() -> None:
    """Looking 45 degrees down, a tall mug ahead of the box is nearer along the axis, yet it stands behind the box."""
    level = scene_of(known(1, "mug", (0.0, -0.4, 1.2)), known(2, "box", (0.0, 0.1, 1.0)))
    scene, up = turned(level, 0, -45)
    behind = ask(scene, IsPlaced(subject=MUG, options=(R.BEHIND,), references=(BOX,)), up=up)
    assert (behind.value, behind.text) == (True, "Yes, the mug 1 is 20 cm behind the box 2.")
    far = [ask(scene, Measure(quantity=Quantity.DISTANCE, thing=one), up=up).value for one in (MUG, BOX)]
    assert far == pytest.approx([0.8 / math.sqrt(2), 1.1 / math.sqrt(2)])


def test_without_a_vertical_the_cameras_own_axes_serve() -> None:
    level = scene_of(known(1, "mug", (0.0, -0.4, 1.2)), known(2, "box", (0.0, 0.1, 1.0)))
    scene, _ = turned(level, 0, -45)
    assert ask(scene, IsPlaced(subject=MUG, options=(R.FRONT,), references=(BOX,))).value is True
