"""Support surfaces and walls: large flat patches, level or upright, and what of the image lies on them."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from n3d_ros.inference.geometric.config import GeometricConfig
from n3d_ros.inference.geometric.footprint import Footprint
from n3d_ros.inference.geometric.grid import Grid
from n3d_ros.inference.geometric.local_planes import LocalPlanes
from n3d_ros.inference.geometric.patches import Links, connected, in_order
from n3d_ros.inference.geometric.plane_fit import Plane, fit_plane
from n3d_ros.inference.geometric.scene_axes import ground_axes

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

_MIN_PATCH_PX = 150  # smaller pieces say little about a plane
_MIN_PATCH_M2 = 0.01
_MOST_PATCHES = 60  # the largest; rooms hold fewer large faces
_LEVEL_DEG = 10.0  # gravity, its calibration and a wide plane's fit are good to a few degrees together
_UPRIGHT_COSINE = 0.2
_SAME_SURFACE_M = 0.02
_SAME_NORMAL_DEG = 5.0
_NOISE_SIGMAS = 3.0
_LIKELY_UP = -0.2  # up has at least so much along -y unless the camera looks straight down
_UNLIKELY_WEIGHT = 0.3
_LARGEST_ROLL = 0.6  # |x| of up: cameras are mounted level or turned less than 37 degrees
_FLOOR_M2 = 4.0  # tables are smaller
_SHELF_GAP_M = 0.6  # boards of a shelf are closer
_WALL_SLACK_M = 0.02
_SEEN_SHARE = 0.3  # of its outline: things standing on a board hide more of it only in a crowd
_PIECE_SHARE = 0.4
_LEAST_BAY_M = 0.12  # boards of a shelf are not closer
_BOARD_PIECE_M2 = 0.02
_BOARD_PIECE_WIDTH_M = 0.1
_REACH_SAMPLES = 2000  # pixels that tell where a patch lies and how far it reaches
_PIECES_APART_M = 0.4  # what stands on a board or floor parts it into pieces no farther from each other


@dataclass(slots=True, kw_only=True, eq=False)
class Surface:
    """A flat piece of the world.

    Args:
        plane: its plane.
        kind: "table", "floor", "shelf" or "wall".
        footprint: where it lies, seen from above (of a wall: empty).
        region: (h, w) pixels inside its outline in the image.
        outline: (N, 3) metres, corners of what is seen of it.
        area_m2: of the outline.
        seen_m2: what is seen of it.
        largest_m2: the largest connected piece of that.
    """

    plane: Plane
    kind: str
    footprint: Footprint
    region: BoolArray
    outline: FloatArray
    area_m2: float
    seen_m2: float
    largest_m2: float


@dataclass(slots=True, kw_only=True, eq=False)
class SurfaceMap:
    """Surfaces of a frame and how its pixels lie to them.

    Args:
        up: (3,) unit vector against gravity.
        up_is_known: False where nothing told which way is up and the camera was taken to be level.
        surfaces: supports from low to high.
        walls: upright planes.
        on_surface: (h, w) pixels that belong to a support or a wall.
        height: (h, w) metres above the highest support below the pixel, NaN where there is none.
        support: (h, w) index of that support, -1 for none.
        ceiling: (h, w) metres below the next support above the pixel, inf where there is none.
    """

    up: FloatArray
    up_is_known: bool
    surfaces: list[Surface] = field(default_factory=list)
    walls: list[Surface] = field(default_factory=list)
    on_surface: BoolArray
    height: FloatArray
    support: NDArray[np.int32]
    ceiling: FloatArray


@dataclass(slots=True, eq=False)
class _FlatPatch:
    plane: Plane
    pixels: IntArray
    area_m2: float
    largest_m2: float


def find_surfaces(
    planes: LocalPlanes, grid: Grid, links: Links, up: FloatArray | None, config: GeometricConfig
) -> SurfaceMap:
    """Supports and walls of a frame.

    Args:
        planes: of the frame.
        grid: the working grid.
        links: of the frame.
        up: (3,) unit vector against gravity; None: taken from the surfaces themselves.
        config: sizes that make a surface.

    Returns:
        The map. Without any surface, everything but ``up`` is empty.
    """
    flats = _flat_patches(planes, grid, links)
    direction = up if up is not None else _up_from(flats)
    known = direction is not None
    vertical = np.array([0.0, -1.0, 0.0]) if direction is None else np.asarray(direction, dtype=np.float64)
    level = _clusters([f for f in flats if f.plane.normal @ vertical > np.cos(np.radians(_LEVEL_DEG))], planes, grid)
    if up is None and level:  # the largest level surface says it best
        vertical = max(level, key=lambda f: f.area_m2).plane.normal
    axes = ground_axes(vertical)
    supports = _supports([_surface(f, planes, grid, vertical, axes) for f in level], vertical, config)
    upright = [f for f in flats if abs(f.plane.normal @ vertical) < _UPRIGHT_COSINE and f.area_m2 > config.min_wall_m2]
    walls = [_surface(f, planes, grid, vertical, axes, kind="wall") for f in _clusters(upright, planes, grid)]
    _name(supports, vertical)
    return _mapped(planes, vertical, axes, supports, walls, config, up_is_known=known)


def _flat_patches(planes: LocalPlanes, grid: Grid, links: Links) -> list[_FlatPatch]:
    """The largest smooth pieces of the frame, each with its plane."""
    labels = connected(links, planes.valid & links.core).ravel()
    n = planes.normals  # times the rays; spelled out, since sums over a last axis of three are slow
    along = n[..., 0] * (grid.columns / grid.fx) + n[..., 1] * (grid.rows / grid.fy) + n[..., 2]
    foreshortening = np.abs(along).ravel()
    depth = planes.points[..., 2].ravel()
    area = depth * depth / (grid.fx * grid.fy * np.maximum(foreshortening, 0.05))
    areas, counts = np.bincount(labels, area), np.bincount(labels)
    areas[0] = 0
    large = np.flatnonzero((counts >= _MIN_PATCH_PX) & (areas >= _MIN_PATCH_M2))
    large = large[np.argsort(-areas[large], kind="stable")][:_MOST_PATCHES]
    order = in_order(labels)
    starts = np.cumsum(counts) - counts
    found = []
    for label in large:
        pixels = order[starts[label] : starts[label] + counts[label]]
        plane = fit_plane(planes, grid, pixels)
        if plane is not None:
            found.append(_FlatPatch(plane, pixels, float(areas[label]), float(areas[label])))
    return found


def _up_from(flats: list[_FlatPatch]) -> FloatArray | None:
    """The normal that makes most area level, upright area counting half; None without candidates.

    Cameras look ahead or down and are not mounted on their side; a plane that would need it gets less weight.
    """
    candidates = [f for f in flats if abs(f.plane.normal[0]) < _LARGEST_ROLL and f.plane.normal[1] < 0.2]
    if not candidates:
        return None
    normals = np.stack([f.plane.normal for f in flats])
    areas = np.array([f.area_m2 for f in flats])
    best, best_score = None, 0.0
    for flat in candidates:
        cosine = normals @ flat.plane.normal
        score = (
            areas[cosine > np.cos(np.radians(_LEVEL_DEG))].sum() + 0.5 * areas[np.abs(cosine) < _UPRIGHT_COSINE].sum()
        )
        score *= 1.0 if flat.plane.normal[1] < _LIKELY_UP else _UNLIKELY_WEIGHT
        if score > best_score:
            best, best_score = flat.plane.normal, float(score)
    return best


def _clusters(flats: list[_FlatPatch], planes: LocalPlanes, grid: Grid) -> list[_FlatPatch]:
    """Patches of one plane joined, largest first, with the plane fitted again."""
    points = planes.points.reshape(-1, 3)
    clusters: list[list[_FlatPatch]] = []
    reach: list[tuple[FloatArray, FloatArray]] = []
    for flat in sorted(flats, key=lambda f: -f.area_m2):
        own = points[flat.pixels[:: max(1, len(flat.pixels) // _REACH_SAMPLES)]]
        middle, low, high = np.median(own, axis=0), own.min(axis=0), own.max(axis=0)
        slack = _SAME_SURFACE_M + _NOISE_SIGMAS * planes.sigma * middle[2] ** 2 * 0.5
        for k, cluster in enumerate(clusters):
            plane = cluster[0].plane
            is_near = np.maximum(low - reach[k][1], reach[k][0] - high).max() < _PIECES_APART_M
            is_parallel = plane.normal @ flat.plane.normal > np.cos(np.radians(_SAME_NORMAL_DEG))
            if is_near and is_parallel and abs(plane.height(middle)) < slack:
                cluster.append(flat)
                reach[k] = np.minimum(reach[k][0], low), np.maximum(reach[k][1], high)
                break
        else:
            clusters.append([flat])
            reach.append((low, high))
    joined = []
    for cluster in clusters:
        pixels = np.concatenate([flat.pixels for flat in cluster])
        plane = cluster[0].plane if len(cluster) == 1 else fit_plane(planes, grid, pixels) or cluster[0].plane
        joined.append(_FlatPatch(plane, pixels, sum(flat.area_m2 for flat in cluster), cluster[0].area_m2))
    return joined


def _surface(
    flat: _FlatPatch, planes: LocalPlanes, grid: Grid, up: FloatArray, axes: FloatArray, *, kind: str = "table"
) -> Surface:
    """The surface of a patch; its outline is the hull of its pixels, so that what stands on it leaves no hole."""
    h, w = planes.inverse.shape
    hull = _image_hull(flat.pixels, w)
    region = np.zeros((h, w), np.uint8)
    cv2.fillConvexPoly(region, hull, 1)
    rays = grid.rays[hull[:, 1], hull[:, 0]]
    inverse = -(rays @ flat.plane.normal) / flat.plane.offset_m
    outline = rays / np.maximum(inverse, 1e-3)[:, None]
    seen_from = axes if kind != "wall" else np.stack([up, np.cross(up, flat.plane.normal)])
    footprint = Footprint.of(outline @ seen_from.T)
    return Surface(
        plane=flat.plane,
        kind=kind,
        footprint=footprint,
        region=cv2.dilate(region, np.ones((5, 5), np.uint8)).astype(np.bool_),
        outline=outline,
        area_m2=footprint.area_m2,
        seen_m2=flat.area_m2,
        largest_m2=flat.largest_m2,
    )


def _image_hull(pixels: IntArray, width: int) -> NDArray[np.int32]:
    """(k, 2) corners (x, y) of the convex hull of pixels, from the first and last of every row."""
    rising = np.sort(pixels)
    row = rising // width
    starts = np.flatnonzero(np.diff(row, prepend=-1))
    ends = np.append(starts[1:], len(row)) - 1
    rims = rising[np.concatenate([starts, ends])]
    corners = np.stack([rims % width, rims // width], axis=1).astype(np.int32)
    hull: NDArray[np.int32] = cv2.convexHull(corners)[:, 0].astype(np.int32)
    return hull


def _supports(level: list[Surface], up: FloatArray, config: GeometricConfig) -> list[Surface]:
    """Level surfaces that carry, from low to high: large ones, and the lowest of the considerable ones."""
    if not level:
        return []
    rising = sorted(level, key=lambda s: float(s.outline.mean(axis=0) @ up))
    largest = max(s.area_m2 for s in level)
    lowest = next(s for s in rising if s.area_m2 >= 0.25 * largest)
    found = [s for s in rising if s is lowest or _carries(s, config)]
    elevated = [s for s in found if s is not lowest]
    return [s for s in rising if s in found or any(_is_board_under(s, board, up) for board in elevated)]


def _is_board_under(surface: Surface, board: Surface, up: FloatArray) -> bool:
    """Whether a small level piece lies straight below a known board, as the boards of a shelf do."""
    gap = float((board.outline.mean(axis=0) - surface.outline.mean(axis=0)) @ up)
    return (
        gap > _LEAST_BAY_M
        and surface.area_m2 >= _BOARD_PIECE_M2
        and surface.footprint.width_m >= _BOARD_PIECE_WIDTH_M
        and surface.footprint.shared_m2(board.footprint) > 0.5 * surface.area_m2
    )


def _carries(surface: Surface, config: GeometricConfig) -> bool:
    """Whether a level plane is one large board and not several tops that happen to be equally high."""
    return (
        (surface.area_m2 >= config.min_surface_m2 or surface.footprint.length_m >= config.min_board_m)
        and surface.footprint.width_m >= config.min_surface_width_m
        and surface.seen_m2 >= _SEEN_SHARE * surface.area_m2
        and surface.largest_m2 >= _PIECE_SHARE * config.min_surface_m2
    )


def _name(supports: list[Surface], up: FloatArray) -> None:
    """Says which supports are floor, table, shelf. Changes ``kind``."""
    elevations = [-s.plane.offset_m for s in supports]
    for k, surface in enumerate(supports):
        neighbours = [
            abs(elevations[k] - elevations[j])
            for j in range(len(supports))
            if j != k and surface.footprint.shared_m2(supports[j].footprint) > 0
        ]
        lowest = elevations[k] <= min(elevations) + 0.05
        if lowest and (surface.area_m2 > _FLOOR_M2 or max(elevations) - elevations[k] > 0.3):
            surface.kind = "floor"
        elif not lowest and neighbours and min(neighbours) < _SHELF_GAP_M:
            surface.kind = "shelf"
        else:
            surface.kind = "table"
    del up


def _mapped(
    planes: LocalPlanes,
    up: FloatArray,
    axes: FloatArray,
    supports: list[Surface],
    walls: list[Surface],
    config: GeometricConfig,
    *,
    up_is_known: bool,
) -> SurfaceMap:
    """How every pixel lies to the surfaces."""
    points = planes.points
    on_surface = np.zeros(planes.inverse.shape, dtype=np.bool_)
    height = np.full(planes.inverse.shape, np.nan)
    ceiling = np.full(planes.inverse.shape, np.inf)
    support = np.full(planes.inverse.shape, -1, dtype=np.int32)
    noise = _NOISE_SIGMAS * planes.sigma * points[..., 2] ** 2
    slack = np.maximum(config.min_height_m, noise * 0.6)
    flat_points, belongs = points.reshape(-1, 3), on_surface.ravel()
    for surface in [*supports, *walls]:
        inside = np.flatnonzero(surface.region)
        allowed = _WALL_SLACK_M + noise.ravel()[inside] if surface.kind == "wall" else slack.ravel()[inside]
        belongs[inside] |= np.abs(surface.plane.height(flat_points[inside])) <= allowed
    on_surface &= planes.valid
    free = np.flatnonzero((planes.valid & ~on_surface).ravel())
    free_points = flat_points[free]
    ground, free_slack = free_points @ axes.T, slack.ravel()[free]
    for k, surface in enumerate(supports):
        above = surface.plane.height(free_points)
        over = surface.footprint.contains(ground)
        raised = over & (above > free_slack)
        height.ravel()[free[raised]], support.ravel()[free[raised]] = above[raised], k
        hidden = over & (above < -free_slack)
        under = free[hidden]
        ceiling.ravel()[under] = np.minimum(ceiling.ravel()[under], -above[hidden])
    return SurfaceMap(
        up=up,
        up_is_known=up_is_known,
        surfaces=supports,
        walls=walls,
        on_surface=on_surface,
        height=height,
        support=support,
        ceiling=ceiling,
    )
