"""A spatial question and its answer: the types that go in and come out, whatever lies between."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from n3d_ros.detection import SupportSurface
from n3d_ros.errors import StatusCode
from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.geometry.transforms import RigidTransform
from n3d_ros.scene.objects import SceneObject
from n3d_ros.scene.scene import Scene


class ValueType(IntEnum):
    """What kind of value an answer comes to; the same numbers as the constants of ``n3d_msgs/TypedValue``."""

    NONE = 0
    NUMBER = 1
    BOOLEAN = 2
    COUNT = 3
    TEXT = 4
    POSITION = 5
    SIZE = 6
    DIRECTION = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class SpatialQuery:
    """A question.

    Args:
        text: in words.
        viewpoint: ``scene_T_viewer``, the viewer's axes x forward, y left, z up: positions are then also told from
            there. None: in the axes of the scene's frame alone.
        viewer_is_camera: whether ``viewpoint`` is the camera's own view: distances from the viewer are then told along
            the view (spec n3d_vlm c), else in a straight line.
        up: (3,) unit vector against gravity in the scene's frame; None: unknown, then the viewer's up.
        surfaces: flat pieces of the world in the scene's frame: "on the table", "above the floor".
        departed: objects that left the scene, newest first, in the scene's frame: "when did you last see the mug?".
        before: an earlier scene in the same frame, for "what changed since"; None: none is remembered.
        now_ns: the present, on the clock of the stamps; 0: not told. With it, ages count up to now, and an answer about
            the past says how long ago its image is.
        open_vocabulary: whether the objects are called what they are, by a grounder that was asked for the very things
            of the question: that none is called so then means that there is none.
    """

    text: str
    viewpoint: RigidTransform | None = None
    viewer_is_camera: bool = True
    up: FloatArray | None = None
    surfaces: tuple[SupportSurface, ...] = ()
    departed: tuple[SceneObject, ...] = ()
    before: Scene | None = None
    now_ns: int = 0
    open_vocabulary: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SpatialAnswer:
    """An answer in words and as a value.

    Args:
        status: ``OK`` when the question was answered, also with "no" or 0.
        text: the answer, or why there is none; at most ``MAX_TEXT_CHARS``.
        value: bool, number, words, three metres or a unit vector, as ``value_type`` says; None for ``NONE``.
        value_type: kind of the value.
        value_text: the value in words; empty when there is none.
        unit: "m", "m^2", "m^3", "rad", "s", "1" (a count, a ratio) or empty.
        clock_hour: 1 to 12 for ``DIRECTION``; None: none.
        object_ids: objects the answer rests on, in the order the steps name them.
        steps: how it was reached, one sentence per step, with the numbers.
        stamp_ns: of the look that the answer rests on.
    """

    status: StatusCode
    text: str
    value: bool | float | str | tuple[float, float, float] | None = None
    value_type: ValueType = ValueType.NONE
    value_text: str = ""
    unit: str = ""
    clock_hour: int | None = None
    object_ids: tuple[int, ...] = ()
    steps: tuple[str, ...] = ()
    stamp_ns: int = 0
