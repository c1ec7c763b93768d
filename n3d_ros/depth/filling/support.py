"""Where sensor and model can be compared: both know something, and neither stands on an edge."""

from __future__ import annotations

import cv2
import numpy as np

from n3d_ros.geometry.arrays import BoolArray, Float32Array

WINDOW_PX = 5  # an edge is looked for in a window of two pixels around each pixel
NOWHERE = np.float32(1e6)  # 1/m; stands for "nothing" where the smallest inverse depth is asked for


def edges(depth_m: Float32Array, jump: float, *, window_px: int = WINDOW_PX) -> BoolArray:
    """Pixels beside which depth changes by more than a slope does, and where depth borders on nothing.

    Slopes are told from steps by the middle: on a slope the window's nearest and farthest depth lie evenly around it in
    inverse depth (planes are linear there), so only what exceeds twice the smaller half counts as a step. A pixel of an
    invented surface between foreground and background lies in the middle as well, but between two steps; gaps between
    steps that are no wider than the window are therefore closed.

    Args:
        depth_m: (H, W) float32 metres, NaN for none.
        jump: relative change that makes an edge.
        window_px: odd side of the window.

    Returns:
        (H, W) bool; false where depth is missing.
    """
    known = np.isfinite(depth_m)
    kernel = np.ones((window_px, window_px), np.uint8)
    with np.errstate(invalid="ignore", divide="ignore"):
        inverse = np.where(known, 1 / depth_m, np.float32(0))
        to_near = cv2.dilate(inverse, kernel) * depth_m - 1  # inverse depth, relative to the pixel's own
        to_far = 1 - cv2.erode(np.where(known, inverse, NOWHERE), kernel) * depth_m
        step = np.maximum(to_near, to_far) - 2 * np.minimum(to_near, to_far) > jump
    closed = cv2.morphologyEx(step.astype(np.uint8), cv2.MORPH_CLOSE, kernel)
    return closed.astype(np.bool_) & known


def shrunk(mask: BoolArray, by_px: int = 1) -> BoolArray:
    """A mask without its outermost pixels: beside a hole a depth camera's readings are the least reliable.

    Args:
        mask: (H, W).
        by_px: how many pixels it loses at each border to what it does not cover; the image's own border takes none.

    Returns:
        (H, W) bool.
    """
    side = 2 * by_px + 1
    kept = cv2.erode(mask.astype(np.uint8), np.ones((side, side), np.uint8), borderType=cv2.BORDER_REPLICATE)
    return kept.astype(np.bool_)
