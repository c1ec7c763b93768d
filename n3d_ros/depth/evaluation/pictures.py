"""Pictures of an evaluation: depth with its errors, the trajectories from above, the two surfaces side by side."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from n3d_ros.depth.evaluation.depth_error import DepthAlignment, aligned_depth, compared_pixels
from n3d_ros.depth.evaluation.reconstruction import Reconstruction
from n3d_ros.depth.evaluation.sequence import TrueFrame
from n3d_ros.depth.evaluation.surfaces import distances_to
from n3d_ros.depth.views import ViewDepth
from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.geometry.camera import CameraIntrinsics
from n3d_ros.geometry.transforms import RigidTransform, rotation_about_axis

Picture = NDArray[np.uint8]  # (H, W, 3), blue green red, as OpenCV writes it

TILE_WIDTH = 300
STRIP = 24  # height of a line of text
WORST_SHARE = 0.25  # of the true depth, at the far end of the colours of errors
PAPER, INK, TRUE, GUESS = (250, 250, 250), (50, 42, 38), (160, 120, 40), (40, 60, 210)
NOTHING = (70, 70, 70)  # no value
PLOT = 560
POINT_SIZE = (640, 480)
POINT_STEP_BACK = 0.35  # of the median distance: the camera of the surfaces stands behind and above a true one


def depth_sheet(
    frames: Sequence[TrueFrame], views: Sequence[ViewDepth], alignment: DepthAlignment, rows: int = 4
) -> Picture:
    """Some frames, one per row: image, true depth, estimated depth after the alignment, relative error.

    Args:
        frames: the truth.
        views: the estimate of each.
        alignment: as in the scores.
        rows: at most so many frames, evenly over the sequence.

    Returns:
        (H, W, 3) uint8.
    """
    picked = np.unique(np.linspace(0, len(frames) - 1, rows).round().astype(int))
    sheet = [_titles(["image", "true depth", "estimated depth", f"error, 0 to {100 * WORST_SHARE:.0f} % of depth"])]
    sheet += [_depth_row(frames[k], views[k], alignment) for k in picked]
    return np.vstack(sheet).astype(np.uint8)


def _depth_row(frame: TrueFrame, view: ViewDepth, alignment: DepthAlignment) -> Picture:
    true = frame.depth_m.astype(np.float64)
    both = compared_pixels(view.depth_m, true)
    guess = aligned_depth(view.depth_m, true, alignment)[0] if both.any() else view.depth_m.astype(np.float64)
    near, far = np.nanpercentile(true, [2, 98]) if np.isfinite(true).any() else (0.0, 1.0)
    error = np.where(both, np.abs(guess - true) / true, np.nan)
    tiles = [
        np.ascontiguousarray(frame.rgb[..., ::-1]),
        _colored((true - near) / max(far - near, 1e-6), cv2.COLORMAP_VIRIDIS),
        _colored((guess - near) / max(far - near, 1e-6), cv2.COLORMAP_VIRIDIS),
        _colored(error / WORST_SHARE, cv2.COLORMAP_INFERNO),
    ]
    height = round(TILE_WIDTH * true.shape[0] / true.shape[1])
    row = np.hstack([cv2.resize(tile, (TILE_WIDTH, height), interpolation=cv2.INTER_AREA) for tile in tiles])
    label = f"{frame.name}   {near:.2f} to {far:.2f} m"
    return np.vstack([row, _strip(label, row.shape[1])]).astype(np.uint8)


def trajectory_picture(true: Sequence[RigidTransform], aligned: Sequence[RigidTransform]) -> Picture:
    """Both trajectories in the plane in which the true cameras move most, with a scale in metres.

    Args:
        true: ``world_T_camera`` of all frames.
        aligned: estimated ones in the true world; may be fewer.

    Returns:
        (H, W, 3) uint8.
    """
    places = np.stack([pose.translation for pose in true])
    middle = places.mean(axis=0)
    _, _, axes = np.linalg.svd(places - middle, full_matrices=True)
    plane = axes[:2]
    flat_true = (places - middle) @ plane.T
    flat_guess = np.array([(pose.translation - middle) @ plane.T for pose in aligned]).reshape(-1, 2)
    span = max(float(np.ptp(flat_true, axis=0).max()), 1e-3)
    # A lost camera far away must not shrink the rest to a dot.
    shown = np.vstack([flat_true, np.clip(flat_guess, flat_true.min(0) - span, flat_true.max(0) + span)])
    low, high = shown.min(axis=0), shown.max(axis=0)
    factor = (PLOT - 80) / max(float((high - low).max()), 1e-3)
    corner = np.array([PLOT, PLOT]) / 2 - factor * (low + high) / 2
    canvas = np.full((PLOT + STRIP, PLOT, 3), PAPER, dtype=np.uint8)
    _draw_scale(canvas, factor)
    for flat, color in ((flat_true, TRUE), (flat_guess, GUESS)):
        if len(flat):
            pixels = np.round((flat * factor + corner) * 16).clip(-1e6, 1e6).astype(np.int32)
            cv2.polylines(
                canvas, [pixels[:, None]], isClosed=False, color=color, thickness=2, lineType=cv2.LINE_AA, shift=4
            )
            for x, y in pixels:
                cv2.circle(canvas, (int(x), int(y)), 3 * 16, color, -1, cv2.LINE_AA, 4)
            cv2.circle(canvas, (int(pixels[0][0]), int(pixels[0][1])), 7 * 16, color, 2, cv2.LINE_AA, 4)
    _text(canvas, "true", (10, PLOT + 16), TRUE)
    _text(canvas, "estimated, aligned   (ring: first image)", (60, PLOT + 16), GUESS)
    return canvas


def surface_picture(result: Reconstruction, seen_from: RigidTransform) -> Picture:
    """Both surfaces as points from one place, coloured by their distance from the other one.

    Args:
        result: the surfaces.
        seen_from: ``world_T_camera`` of a true camera; the picture is taken from behind and above it.

    Returns:
        (H, W, 3) uint8.
    """
    worst = 2 * result.score.threshold_m
    width, height = POINT_SIZE
    camera = CameraIntrinsics(fx=0.8 * width, fy=0.8 * width, cx=width / 2, cy=height / 2, width=width, height=height)
    view = _place_behind(seen_from, result.true)
    pairs = ((result.true, result.predicted), (result.predicted, result.true))
    tiles = []
    for points, others in pairs:
        share = distances_to(points, others) / worst if len(points) and len(others) else np.full(len(points), np.nan)
        tiles.append(_splatted(points, share, view, camera))
    words = f"0 to {1000 * worst:.0f} mm; right below {1000 * result.score.threshold_m:.0f} mm"
    score = result.score
    titles = [
        f"true surface: distance from the estimate, {words} (recall {score.recall:.3f})",
        f"estimated surface: distance from the truth (precision {score.precision:.3f})",
    ]
    heads = np.hstack([_strip(title, width) for title in titles])
    return np.vstack([heads, np.hstack(tiles)]).astype(np.uint8)


def _place_behind(seen_from: RigidTransform, points: FloatArray) -> RigidTransform:
    """A camera behind and above another one, looking the same way and a little down."""
    ahead = seen_from.inverse().apply(points)[:, 2]
    distance = float(np.median(ahead[ahead > 0])) if (ahead > 0).any() else 1.0
    back = np.array([0.0, -0.5 * POINT_STEP_BACK * distance, -POINT_STEP_BACK * distance])
    return seen_from @ RigidTransform(rotation=rotation_about_axis([1, 0, 0], -0.2), translation=back)


def _splatted(points: FloatArray, share: FloatArray, view: RigidTransform, camera: CameraIntrinsics) -> Picture:
    """Points as squares, near ones over far ones; ``share`` 0 to 1 is the colour."""
    canvas = np.full((camera.height, camera.width, 3), PAPER, dtype=np.uint8)
    if not len(points):
        _text(canvas, "no surface", (20, 40), INK)
        return canvas
    local = view.inverse().apply(points)
    front = local[:, 2] > 1e-3
    local, colors = local[front], _colored(share[front][None], cv2.COLORMAP_TURBO)[0]
    u = np.round(local[:, 0] / local[:, 2] * camera.fx + camera.cx).astype(int)
    v = np.round(local[:, 1] / local[:, 2] * camera.fy + camera.cy).astype(int)
    inside = (u >= 1) & (v >= 1) & (u < camera.width - 1) & (v < camera.height - 1)
    order = np.argsort(-local[inside, 2], kind="stable")  # numpy writes in order, so the nearest stays
    u, v, colors = u[inside][order], v[inside][order], colors[inside][order]
    for du in (-1, 0, 1):
        for dv in (-1, 0, 1):
            canvas[v + dv, u + du] = colors
    return canvas


def _colored(share: FloatArray, colormap: int) -> Picture:
    """(H, W, 3) colours of numbers 0 to 1; grey for NaN."""
    levels = np.round(np.nan_to_num(np.clip(share, 0, 1)) * 255).astype(np.uint8)
    colors = np.asarray(cv2.applyColorMap(levels, colormap), dtype=np.uint8)
    colors[np.isnan(share)] = NOTHING
    return colors


def _titles(words: Sequence[str]) -> Picture:
    return np.hstack([_strip(word, TILE_WIDTH) for word in words]).astype(np.uint8)


def _strip(text: str, width: int) -> Picture:
    strip = np.full((STRIP, width, 3), PAPER, dtype=np.uint8)
    _text(strip, text, (6, 16), INK)
    return strip


def _text(canvas: Picture, text: str, where: tuple[int, int], color: tuple[int, int, int]) -> None:
    plain = text.encode("ascii", "replace").decode()
    cv2.putText(canvas, plain, where, cv2.FONT_HERSHEY_SIMPLEX, 0.42, color, 1, cv2.LINE_AA)


def _draw_scale(canvas: Picture, factor: float) -> None:
    """A bar of a round length."""
    length = 10.0 ** np.floor(np.log10(0.4 * PLOT / factor))
    length *= max(step for step in (1, 2, 5) if step * length * factor <= 0.4 * PLOT)
    end = (20 + round(length * factor), 24)
    cv2.line(canvas, (20, 24), end, INK, 2, cv2.LINE_AA)
    _text(canvas, f"{length:g} m", (end[0] + 8, 28), INK)
