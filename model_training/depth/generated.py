"""Views of generated scenes: MuJoCo renders a settled world from cameras that look at the same things."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from model_training.depth.prepare_config import PrepareConfig
from model_training.depth.view_set import ViewSet, millimetres
from model_training.scenes import SceneRenderer, SceneSpec, build_world
from model_training.scenes.cameras import sample_pose
from model_training.scenes.layout import Layout
from n3d_ros.geometry.camera import CameraIntrinsics
from n3d_ros.geometry.transforms import RigidTransform

POSE_STREAM, CAMERA_STREAM = 31, 32  # keep these draws apart from the scene generator's own
DRAWS_PER_VIEW = 60  # poses tried before the nearest turn is taken


def turn_deg(first: RigidTransform, second: RigidTransform) -> float:
    """Angle between two orientations, degrees.

    Args:
        first: a pose.
        second: another.

    Returns:
        0 to 180.
    """
    cosine = (np.trace(first.rotation.T @ second.rotation) - 1) / 2
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def nearby_poses(
    spec: SceneSpec, layout: Layout, rng: np.random.Generator, count: int, widest_turn_deg: float
) -> list[RigidTransform]:
    """Poses that look at the scene, all turned against the first by no more than the given angle.

    Views that share nothing teach nothing about pose; hence the limit.

    Args:
        spec: what the poses are drawn for.
        layout: the scene.
        rng: source of chance.
        count: poses wanted.
        widest_turn_deg: degrees.

    Returns:
        world_T_camera, ``count`` of them.
    """
    poses = [sample_pose(spec, layout, rng)]
    while len(poses) < count:
        nearest = sample_pose(spec, layout, rng)
        for _ in range(DRAWS_PER_VIEW):
            if turn_deg(poses[0], nearest) <= widest_turn_deg:
                break
            other = sample_pose(spec, layout, rng)
            nearest = min(nearest, other, key=lambda pose: turn_deg(poses[0], pose))
        poses.append(nearest)
    return poses


def scene_spec(config: PrepareConfig, seed: int) -> SceneSpec:
    """The scene of one seed, with a camera whose field of view is drawn for it.

    Args:
        config: what to generate.
        seed: everything drawn follows from it.

    Returns:
        The spec.
    """
    rng = np.random.default_rng([seed, CAMERA_STREAM])
    focal = float(rng.uniform(config.focal_low, config.focal_high)) * config.width
    camera = CameraIntrinsics(
        fx=focal,
        fy=focal,
        cx=(config.width - 1) / 2,
        cy=(config.height - 1) / 2,
        width=config.width,
        height=config.height,
    )
    spec = SceneSpec(
        kind=config.kind,
        seed=seed,
        camera=camera,
        depth_noise="none",
        shadows=config.shadows,
        wall_chance=config.wall_chance,
        categories=config.categories,
    )
    if config.elevation_low_deg is not None and config.elevation_high_deg is not None:
        spec = replace(spec, elevation_deg=(config.elevation_low_deg, config.elevation_high_deg))
    return spec


def generated_views(spec: SceneSpec, renderer: SceneRenderer, count: int, widest_turn_deg: float) -> ViewSet:
    """Views of one settled scene with exact depth.

    Args:
        spec: the scene; its seed decides the poses too.
        renderer: of the spec's image size.
        count: views.
        widest_turn_deg: largest angle between the first camera and the others.

    Returns:
        The views.
    """
    world = build_world(spec)
    renderer.load(world)
    rng = np.random.default_rng([spec.seed, POSE_STREAM])
    poses = nearby_poses(spec, world.layout, rng, count, widest_turn_deg)
    images = [renderer.render(pose) for pose in poses]
    loose = [thing.object_id for thing in world.objects if not thing.static]
    depth = np.stack([image.depth_m for image in images])
    camera = spec.camera
    return ViewSet(
        name=f"{spec.kind}_{spec.seed:06d}",
        rgb=np.stack([image.rgb for image in images]),
        depth_mm=millimetres(depth),
        sky=np.isnan(depth),
        objects=np.stack([np.isin(image.object_ids, loose) for image in images]),
        intrinsics=np.tile(np.array([camera.fx, camera.fy, camera.cx, camera.cy]), (count, 1)),
        world_T_camera=np.stack([pose.matrix for pose in poses]),
    )


def generate(config: PrepareConfig, first: int, count: int) -> Iterator[ViewSet]:
    """Scenes number ``first`` to ``first + count - 1`` of a configuration.

    Args:
        config: what to generate.
        first: number of the first scene; its seed is ``config.first_seed + first``.
        count: how many.

    Yields:
        One set of views per scene.
    """
    seeds = range(config.first_seed + first, config.first_seed + first + count)
    with SceneRenderer(scene_spec(config, config.first_seed).camera) as renderer:
        for seed in seeds:
            spec = scene_spec(config, seed)
            yield generated_views(spec, renderer, config.views, config.widest_turn_deg)
