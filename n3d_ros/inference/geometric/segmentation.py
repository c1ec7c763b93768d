"""One frame cut into surfaces and objects: the steps in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from n3d_ros.detection import SupportSurface
from n3d_ros.geometry.camera import CameraIntrinsics
from n3d_ros.inference.geometric.adjacency import meetings
from n3d_ros.inference.geometric.attachments import join_attachments, join_slivers
from n3d_ros.inference.geometric.colors import split_two_colored
from n3d_ros.inference.geometric.config import GeometricConfig
from n3d_ros.inference.geometric.containers import join_containers
from n3d_ros.inference.geometric.convexity import join_convex
from n3d_ros.inference.geometric.floating import join_floating
from n3d_ros.inference.geometric.grid import Grid, grid_of, inverse_depth, to_image
from n3d_ros.inference.geometric.grouping import Grouping
from n3d_ros.inference.geometric.local_planes import LocalPlanes, local_planes
from n3d_ros.inference.geometric.objects import ObjectSegment, select_objects
from n3d_ros.inference.geometric.occlusion import join_behind_occluders
from n3d_ros.inference.geometric.patches import find_patches, smooth_links
from n3d_ros.inference.geometric.samples import sample_relations
from n3d_ros.inference.geometric.splitting import split_shared_tops
from n3d_ros.inference.geometric.surfaces import SurfaceMap, find_surfaces
from n3d_ros.inference.timing import Stages

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Segmentation:
    """What a frame was cut into.

    Args:
        labels: (H, W) int32, 0 = no object, k = the object whose ``label`` is k.
        objects: in the order of their labels.
        surfaces: supports from low to high, then walls, camera optical frame.
        up: (3,) unit vector against gravity, camera optical frame.
        up_is_known: False where neither the caller nor a surface told which way is up.
        sigma_per_m: noise of inverse depth that the frame shows, 1/m.
        stage_ms: milliseconds per step.
    """

    labels: NDArray[np.int32]
    objects: tuple[ObjectSegment, ...]
    surfaces: tuple[SupportSurface, ...]
    up: FloatArray
    up_is_known: bool
    sigma_per_m: float
    stage_ms: dict[str, float] = field(default_factory=dict)


def segment(
    depth_m: NDArray[np.float32],
    rgb: NDArray[np.uint8] | None,
    intrinsics: CameraIntrinsics,
    up: FloatArray | None = None,
    config: GeometricConfig | None = None,
    *,
    checkpoint: Callable[[], None] = lambda: None,
) -> Segmentation:
    """Support surfaces of a frame, and each object that stands on them or on another object.

    Args:
        depth_m: (H, W) float32 metres along z, NaN = none.
        rgb: (H, W, 3) uint8, or None.
        intrinsics: of both images.
        up: (3,) unit vector against gravity in the camera optical frame; None = found from the surfaces.
        config: thresholds.
        checkpoint: called between steps; it may raise to stop.

    Returns:
        The segmentation; equal input gives equal output.
    """
    config = config or GeometricConfig()
    stages = Stages(checkpoint)
    with stages.timed("point_map"):
        grid = grid_of(intrinsics, config.working_pixels)
        inverse = inverse_depth(depth_m, grid, nearest_m=config.min_range_m, farthest_m=config.max_range_m)
        planes = local_planes(
            inverse,
            grid,
            radius=config.window_radius_px,
            wide_radius=config.wide_window_radius_px,
            floor=config.noise_floor_per_m,
            ceiling=config.noise_ceiling_per_m,
        )
    with stages.timed("support"):
        links = smooth_links(planes, config)
        scene = find_surfaces(planes, grid, links, up, config)
    with stages.timed("segments"):
        patches = find_patches(planes, links, _foreground(planes, scene))
    with stages.timed("regions"):
        grouping = _grouped(patches, rgb, planes, grid, scene, config)
        objects, labels = select_objects(grouping, patches, planes, scene, config)
        full = to_image(labels, grid, depth_m.shape[:2])
        full[~np.isfinite(depth_m)] = 0
    return Segmentation(
        labels=full,
        objects=objects,
        surfaces=_described(scene),
        up=scene.up,
        up_is_known=scene.up_is_known,
        sigma_per_m=planes.sigma,
        stage_ms=stages.stage_ms,
    )


def _foreground(planes: LocalPlanes, scene: SurfaceMap) -> NDArray[np.bool_]:
    """Pixels that may belong to objects: off the surfaces and above one, or anything where no surface is known."""
    off = planes.valid & ~scene.on_surface
    return off & (scene.support >= 0) if scene.surfaces else off


def _grouped(
    patches: NDArray[np.int32],
    rgb: NDArray[np.uint8] | None,
    planes: LocalPlanes,
    grid: Grid,
    scene: SurfaceMap,
    config: GeometricConfig,
) -> Grouping:
    """Patches joined to objects, by one physical reason after another. Cuts ``patches`` that several objects share."""
    relations = sample_relations(patches, planes, grid, config)
    cut_from = {} if rgb is None else split_two_colored(patches, relations, rgb, grid)
    if cut_from:
        relations = sample_relations(patches, planes, grid, config)
    met = meetings(patches, planes, grid, scene, config, cut_from=cut_from)
    tops = split_shared_tops(patches, relations, met, planes, scene.up, config)
    if tops:
        relations = sample_relations(patches, planes, grid, config)
        met = meetings(patches, planes, grid, scene, config, cut_from=cut_from | tops)
    grouping = Grouping(relations)
    join_convex(grouping, met, config)
    join_slivers(grouping, met, patches, scene.height, config)
    join_containers(grouping, met, planes.points, scene.up, config)
    join_behind_occluders(grouping, patches, planes, config)
    join_attachments(grouping, met, scene.height, config)
    join_floating(grouping, patches, planes, grid, scene, config)
    return grouping


def _described(scene: SurfaceMap) -> tuple[SupportSurface, ...]:
    return tuple(
        SupportSurface(normal=s.plane.normal, offset_m=s.plane.offset_m, kind=s.kind, outline=s.outline)
        for s in [*scene.surfaces, *scene.walls]
    )
