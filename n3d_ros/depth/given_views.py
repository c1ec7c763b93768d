"""What views must be before a network looks at them: images with something in them, calibrations that a camera has.

A wrong focal length is the same error in every metric distance, and nothing downstream can see it; so a calibration
that no camera has is refused, and one that few have is named.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from n3d_ros.depth.cameras import MAX_FOCAL_SHARE, MIN_FOCAL_SHARE
from n3d_ros.depth.options import DepthOptions
from n3d_ros.depth.preprocess import network_hw
from n3d_ros.depth.views import View
from n3d_ros.errors import CalibrationError, InputError
from n3d_ros.geometry.camera import CameraIntrinsics

ODD_ASPECT, MAX_ASPECT = 1.25, 2.0  # of fx to fy; pixels of anamorphic video are 1.42 times as wide as high
ODD_STRETCH, MAX_STRETCH = 1.25, 1.5  # of one axis beside the other; 1.5 is half a patch on an image one patch high
MIN_CONTRAST = 2.0  # standard deviation of grey levels; a covered lens has less, a dim room more
LOOKED_AT_PX = 128  # side of the picture that contrast is read from


def given_view_notes(views: Sequence[View], options: DepthOptions) -> tuple[str, ...]:
    """Checks views before they are looked at.

    Args:
        views: as given.
        options: how their images are prepared.

    Returns:
        Sentences on what is odd about them.

    Raises:
        InputError: something that is no view, or an image too thin for the resolution.
        CalibrationError: a calibration that no camera has.
    """
    notes = []
    for number, view in enumerate(views):
        if not isinstance(view, View):
            raise InputError(f"Depth: expected views (n3d_ros.depth.views.View), got {type(view).__name__}.")
        if view.intrinsics is not None:
            notes += _calibration_notes(number, view.intrinsics)
        notes += _stretch_notes(number, view, options)
        notes += _contrast_notes(number, view)
    return tuple(notes)


def _calibration_notes(number: int, camera: CameraIntrinsics) -> list[str]:
    shares = [focal / max(camera.width, camera.height) for focal in (camera.fx, camera.fy)]
    aspect = max(camera.fx / camera.fy, camera.fy / camera.fx)
    words = f"fx {camera.fx:.4g}, fy {camera.fy:.4g} px for {camera.width}x{camera.height} px"
    if not all(MIN_FOCAL_SHARE <= share <= MAX_FOCAL_SHARE for share in shares) or aspect > MAX_ASPECT:
        raise CalibrationError(
            f"View {number}: expected focal lengths of {MIN_FOCAL_SHARE:g} to {MAX_FOCAL_SHARE:g} times the image's "
            f"longer side, alike within a factor of {MAX_ASPECT:g}, got {words}; check that the calibration is this "
            "camera's, at this resolution."
        )
    if aspect > ODD_ASPECT:
        return [f"View {number}: its calibration has {words}; few cameras have pixels that far from square."]
    return []


def _stretch_notes(number: int, view: View, options: DepthOptions) -> list[str]:
    """What is to be said of an image that becomes a whole number of patches by being stretched along one axis."""
    if options.method.endswith("_crop"):
        return []
    height, width = view.rgb.shape[:2]
    seen = network_hw((height, width), process_res=options.process_res, method=options.method)
    ratio = (seen[0] / height) / (seen[1] / width)
    stretch = max(ratio, 1 / ratio)
    if stretch > MAX_STRETCH:
        raise InputError(
            f"Depth: view {number} of {width}x{height} px would be seen at {seen[1]}x{seen[0]} px (resolution "
            f"{options.process_res}), stretched {stretch:.3g} times along one axis, more than {MAX_STRETCH:g}: too "
            "thin for metres; cut a less thin part out, or raise the resolution."
        )
    if stretch > ODD_STRETCH:
        off = (1 + stretch) / 2 - 1
        return [
            f"View {number} is seen stretched {stretch:.3g} times along one axis, and metres may be {off:.0%} off; "
            "raise the resolution."
        ]
    return []


def _contrast_notes(number: int, view: View) -> list[str]:
    height, width = view.rgb.shape[:2]
    thin = view.rgb[:: -(-height // LOOKED_AT_PX), :: -(-width // LOOKED_AT_PX)]
    grey = cv2.cvtColor(np.ascontiguousarray(thin), cv2.COLOR_RGB2GRAY)
    if float(grey.std()) >= MIN_CONTRAST:
        return []
    return [f"View {number} shows one colour (a covered lens, a wall, darkness): its depth is a guess."]
