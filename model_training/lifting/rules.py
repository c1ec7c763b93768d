"""The rules: each looks at one step's result and names what is wrong with it, or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from model_training.data.pictures import mask_box
from model_training.lifting.annotations import Annotation2D
from model_training.lifting.boxes_2d import overlap, overlaps
from model_training.lifting.config import FilterConfig
from model_training.lifting.points import OwnPoints
from n3d_ros.geometry.arrays import BoolArray
from n3d_ros.geometry.boxes import Box3D

Fault: TypeAlias = "tuple[str, str] | None"
"""A rule's name and a sentence with the numbers; None: nothing is wrong."""


def annotation_fault(one: Annotation2D, width: int, height: int, filters: FilterConfig) -> Fault:
    """What is wrong with an annotation before its mask is looked at.

    Args:
        one: with its box in pixels.
        width: of the image, pixels.
        height: of the image, pixels.
        filters: thresholds.

    Returns:
        The first fault.
    """
    left, top, right, bottom = one.box_2d
    if one.is_group and not filters.keep_groups:
        return "group", "several things in one box"
    for remark in ("depiction", "reflection", "inside"):
        if remark in one.remarks:
            return remark, f"the annotation says so: {', '.join(one.remarks)}"
    if one.score is not None and one.score < filters.min_score:
        return "unsure", f"score {one.score:.2f}, below {filters.min_score}"
    if min(right - left, bottom - top) < filters.min_box_px:
        return "small_in_image", f"{right - left:.0f} x {bottom - top:.0f} px, below {filters.min_box_px:g}"
    share = (right - left) * (bottom - top) / (width * height)
    if share > filters.max_box_share:
        return "fills_image", f"{share:.0%} of the image, above {filters.max_box_share:.0%}"
    return None


def duplicates(annotations: Sequence[Annotation2D], filters: FilterConfig) -> set[int]:
    """Places of annotations that repeat an earlier one.

    Args:
        annotations: of one image.
        filters: thresholds.

    Returns:
        Places in the sequence.
    """
    repeated: set[int] = set()
    kept: dict[str, list[int]] = {}
    boxes = np.array([one.box_2d for one in annotations], dtype=np.float64).reshape(-1, 4)
    for place, one in enumerate(annotations):
        if one.is_group:
            continue
        earlier = kept.setdefault(one.label, [])
        if earlier and overlaps(boxes[earlier], one.box_2d).max() > filters.max_duplicate_iou:
            repeated.add(place)
        else:
            earlier.append(place)
    return repeated


def mask_fault(mask: BoolArray, one: Annotation2D, filters: FilterConfig) -> Fault:
    """What is wrong with a mask.

    Args:
        mask: (H, W) bool.
        one: its annotation.
        filters: thresholds.

    Returns:
        The first fault.
    """
    pixels = int(mask.sum())
    own = mask_box(mask)
    if own is None or pixels < filters.min_mask_px:
        return "mask_small", f"{pixels} px, below {filters.min_mask_px}"
    agreement = overlap(own, one.box_2d)
    if agreement < filters.min_mask_box_iou:
        return "mask_not_box", f"overlap {agreement:.2f} of the mask's box and the annotated one"
    share = border_share(mask)
    if share > filters.max_border_share:
        return "cut_by_border", f"{share:.0%} of the outline lies on the image's border"
    return None


def border_share(mask: BoolArray) -> float:
    """Share of a mask's 2-D box's outline along which the image's border cuts the mask.

    Args:
        mask: (H, W) bool.

    Returns:
        0 to 1.
    """
    box = mask_box(mask)
    if box is None:
        return 0.0
    cut = int(mask[0].sum()) + int(mask[-1].sum()) + int(mask[:, 0].sum()) + int(mask[:, -1].sum())
    return cut / (2 * (box[2] - box[0] + box[3] - box[1]))


def points_fault(found: OwnPoints | None, sky_share: float, filters: FilterConfig) -> Fault:
    """What is wrong with an object's points.

    Args:
        found: None where the mask has no depth at all.
        sky_share: of the mask in the sky, 0 to 1.
        filters: thresholds.

    Returns:
        The first fault.
    """
    if sky_share > filters.max_sky_share:
        return "sky", f"{sky_share:.0%} of the mask is sky"
    if found is None or found.depth_share < filters.min_depth_share:
        return "no_depth", f"{0.0 if found is None else found.depth_share:.0%} of the mask has depth"
    if not filters.min_depth_m <= found.median_m <= filters.max_depth_m:
        return "depth_range", f"at {found.median_m:.2f} m"
    if found.own_share < filters.min_own_share:
        return "depth_gap", f"{found.own_share:.0%} of the measured pixels belong together"
    if found.own < filters.min_points:
        return "few_points", f"{found.own} points, below {filters.min_points}"
    return None


def box_fault(box: Box3D, label: str, scene_m: tuple[float, float], filters: FilterConfig) -> Fault:
    """What is wrong with a box.

    Args:
        box: along the camera's axes, metres.
        label: of the object.
        scene_m: nearest and farthest depth of the scene, without its extremes.
        filters: thresholds.

    Returns:
        The first fault.
    """
    sides = np.sort(box.size)[::-1]
    longest = float(sides[0])
    if longest < filters.min_size_m:
        return "too_small", f"longest side {longest:.3f} m, below {filters.min_size_m}"
    if longest > filters.max_size_m:
        return "too_big", f"longest side {longest:.1f} m, above {filters.max_size_m:g}"
    ratio = float(box.size[2] / box.size[:2].max())
    if ratio > filters.max_depth_ratio:
        return "deep", f"{ratio:.1f} times as deep as wide or high"
    depth = scene_m[1] - scene_m[0]
    if depth >= filters.min_scene_m and box.size[2] > filters.max_scene_share * depth:
        return "big_for_scene", f"{box.size[2]:.1f} m deep in a scene of {depth:.1f} m"
    return _class_fault(sides.tolist(), label, filters)


def _class_fault(sides: list[float], label: str, filters: FilterConfig) -> Fault:
    """What a table of classes says, for labels that it names."""
    size = filters.class_sizes.get(label)
    if size is not None and not size[0] <= sides[0] <= size[1]:
        return "class_size", f"a {label} of {sides[0]:.2f} m; expected {size[0]:g} to {size[1]:g}"
    aspect = filters.class_aspects.get(label)
    if aspect is not None and sides[0] > aspect * sides[1]:
        return "class_aspect", f"a {label} of {sides[0]:.2f} m by {sides[1]:.2f} m; expected a ratio up to {aspect:g}"
    return None
