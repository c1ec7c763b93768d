"""Records of ray-cast scenes: the same truth as that of rendered ones, hundreds a second."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from model_training.data.records import FrameRecord
from model_training.scenes.cameras import OBJECT_MARGIN_M, ROLL_STDDEV_RAD, orbit_pose
from model_training.scenes.depth_noise import depth_noise
from model_training.scenes.generate import FIRST_STAMP_NS, OPTICAL_FRAME, SceneFrame, with_camera_noise
from model_training.scenes.raycast.arrangement import Arrangement, CastObject, arrange
from model_training.scenes.raycast.view import View, look
from model_training.scenes.spec import SceneSpec
from model_training.scenes.truth import ObjectTruth
from n3d_ros.errors import N3dError
from n3d_ros.frame import RgbdFrame
from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.geometry.transforms import RigidTransform, matrix_to_quaternion

if TYPE_CHECKING:
    from model_training.scenes.dataset import SceneDatasetConfig

ARRANGE_STREAM, POSE_STREAM, NOISE_STREAM = 51, 52, 53  # keep draws apart
AZIMUTH_DEG = (-150.0, -30.0)  # the side away from the wall
POSE_TRIES = 40


def raycast_records(
    config: SceneDatasetConfig, shard: int, skipped: Counter[str] | None = None
) -> Iterator[FrameRecord]:
    """The frames of a shard of a ray-cast data set: what ``scene_records`` gives for it.

    Args:
        config: the data set, of kind "raycast".
        shard: which part of it.
        skipped: gets the number of frames left out, by reason; None: they are not counted.

    Yields:
        Records, in the order of scene numbers and views.
    """
    from model_training.scenes.dataset import scene_records

    yield from scene_records(config, shard, skipped)


def cast_frames(spec: SceneSpec, skipped: Counter[str]) -> Iterator[SceneFrame]:
    """``spec.views`` frames of one scene from different poses; none where it has no arrangement.

    Args:
        spec: what to generate.
        skipped: gets the number of frames that a failed scene would have had.

    Yields:
        Frames with truth.
    """
    try:
        arrangement = arrange(spec, np.random.default_rng([spec.seed, ARRANGE_STREAM]))
    except N3dError as error:
        skipped[f"scene failed: {error.reason}"] += spec.views
        return
    for index in range(spec.views):
        yield cast_frame(arrangement, index)


def cast_frame(arrangement: Arrangement, index: int) -> SceneFrame:
    """One view of an arrangement with truth.

    Args:
        arrangement: the scene.
        index: number of the view; its pose and noise follow from it and the spec's seed.

    Returns:
        Frame and truth.
    """
    spec = arrangement.spec
    pose = _pose(arrangement, np.random.default_rng([spec.seed, POSE_STREAM, index]))
    view = look(arrangement, spec.camera, pose)
    rng = np.random.default_rng([spec.seed, NOISE_STREAM, index])
    frame = RgbdFrame(
        rgb=with_camera_noise(view.rgb, spec, rng),
        depth_m=depth_noise(spec.depth_noise).apply(view.depth_m, spec.camera, rng, view.rgb),
        intrinsics=spec.camera,
        stamp_ns=FIRST_STAMP_NS + index * 1_000_000_000,
        frame_id=OPTICAL_FRAME,
    )
    return SceneFrame(
        frame=frame,
        clean_depth_m=view.depth_m,
        object_ids=view.object_ids,
        world_T_camera=pose,
        truth=_truth(arrangement, view, pose),
        spec=spec,
        index=index,
    )


def _pose(arrangement: Arrangement, rng: np.random.Generator) -> RigidTransform:
    """world_T_camera of a camera that looks at one of the objects, from outside all of them."""
    spec: SceneSpec = arrangement.spec
    loose = [one for one in arrangement.objects if one.shape.category.role == "object"]
    middles = np.array([_middle(one) for one in loose]) if loose else np.array([[0.0, 0.0, arrangement.level_m]])
    radii = np.array([np.linalg.norm(one.shape.box.size) / 2 for one in loose]) if loose else np.zeros(1)
    nearest, farthest = spec.distance_m or (0.7, 1.6)
    lowest, highest = np.radians(spec.elevation_deg or (20.0, 60.0))
    roll = ROLL_STDDEV_RAD if spec.roll_deg is None else np.radians(spec.roll_deg)
    for attempt in range(POSE_TRIES):
        focus = (
            0.5 * middles.mean(axis=0) + 0.5 * middles[int(rng.integers(len(middles)))] + rng.uniform(-0.04, 0.04, 3)
        )
        pose = orbit_pose(
            focus,
            float(rng.uniform(nearest, farthest)) * (1 + 0.02 * attempt),
            float(np.radians(rng.uniform(*AZIMUTH_DEG))),
            float(rng.uniform(lowest, highest)),
            float(rng.normal(0.0, roll)),
        )
        if (np.linalg.norm(middles - pose.translation, axis=1) > OBJECT_MARGIN_M + radii).all():
            break
    return pose


def _middle(thing: CastObject) -> FloatArray:
    """(3,) centre of an object's box, world."""
    middle: FloatArray = thing.rotation @ thing.shape.box.center + thing.position
    return middle


def _box(thing: CastObject, rotation: FloatArray, translation: FloatArray) -> Box3D:
    """An object's box in the frame that a transform takes the world to."""
    turn = rotation @ thing.rotation @ thing.shape.box_rotation
    center = rotation @ _middle(thing) + translation
    return Box3D(center=center, size=thing.shape.box.size, orientation_xyzw=matrix_to_quaternion(turn))


def _truth(arrangement: Arrangement, view: View, world_T_camera: RigidTransform) -> tuple[ObjectTruth, ...]:
    """Truth of every object of which something is seen."""
    turn = world_T_camera.rotation.T
    shift = -turn @ world_T_camera.translation
    seen = np.bincount(view.object_ids.ravel(), minlength=len(arrangement.objects) + 1)
    found = []
    for thing in arrangement.objects:
        alone, pixels = view.alone.get(thing.object_id, 0), int(seen[thing.object_id])
        if not pixels:
            continue
        category = thing.shape.category
        found.append(
            ObjectTruth(
                object_id=thing.object_id,
                category=category.name,
                color=thing.color,
                shape=category.shape,
                role=category.role,
                box_world=_box(thing, np.eye(3), np.zeros(3)),
                box_camera=_box(thing, turn, shift),
                symmetry=thing.shape.symmetry,
                upright=thing.shape.upright,
                visible_pixels=pixels,
                visible_fraction=pixels / alone,
                touches_border=thing.object_id in view.cut,
                supported_by=thing.supported_by,
                material=thing.material,
            )
        )
    return tuple(found)
