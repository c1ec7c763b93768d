"""Checks of calibrations: is there one, can a camera have it, and are lens and topic's name in agreement."""

from __future__ import annotations

import math
from collections.abc import Iterator

from n3d_ros.ros.doctor.findings import Finding, fault, ok, warning
from n3d_ros.ros.doctor.snapshot import IMAGE_ROLES, INFO_OF, Calibration, Snapshot
from n3d_ros.ros.frame_assembly import RECTIFIED_TOPIC

NARROW_DEG, WIDE_DEG = 15.0, 150.0  # horizontal fields of view of depth cameras and their colour lenses
SQUARE_SHARE = 0.1  # fx and fy of square pixels differ by less
CENTER_SHARE = 0.25  # the principal point lies within this share of the width (height) around the middle
WORDS = {"color": "Colour's", "depth": "Depth's"}


def check_calibrations(snapshot: Snapshot) -> Iterator[Finding]:
    """Whether the calibrations are those of a camera.

    Args:
        snapshot: the facts.

    Yields:
        One finding a calibration, more where something is odd.
    """
    for role in IMAGE_ROLES:
        calibration = snapshot.calibration(role)
        if calibration is not None:
            yield from _one(snapshot, role, calibration)


def _one(snapshot: Snapshot, role: str, calibration: Calibration) -> Iterator[Finding]:
    subject = snapshot.topics[INFO_OF[role]].name
    name = f"{role}.calibration"
    if not any(calibration.k):
        yield fault(
            name,
            f"{WORDS[role]} K is all zeros: the camera is not calibrated.",
            "Calibrate it (camera_calibration), or let the driver load its calibration file.",
            subject=subject,
        )
        return
    if calibration.error:
        mend = "Correct the driver's calibration file; distortion models are plumb_bob, rational_polynomial, "
        mend += "equidistant."
        yield fault(name, calibration.error, mend, subject=subject)
        return
    odd = implausible(calibration)
    if odd:
        yield warning(
            name,
            f"{WORDS[role]} calibration is unusual: {odd}.",
            "Is it the calibration of this camera mode (resolution, crop, lens)? Sizes and places come out wrong "
            "when it is not.",
            subject=subject,
        )
    else:
        yield ok(name, f"{WORDS[role]} field of view is {_field_deg(calibration):.0f} deg wide.", subject=subject)
    yield from _lens(snapshot, role, calibration, subject)
    image = snapshot.picture(role)
    if image is not None and calibration.frame_id.strip("/") not in ("", image.frame_id.strip("/")):
        yield warning(
            f"{role}.calibration_frame",
            f"Image and calibration differ in frame_id: {image.frame_id!r} and {calibration.frame_id!r}.",
            "Are they of the same camera? Remap camera_info to the topic beside the image.",
            subject=subject,
        )


def _field_deg(calibration: Calibration) -> float:
    """Horizontal field of view, degrees."""
    return math.degrees(2 * math.atan2(calibration.width / 2, calibration.k[0]))


def implausible(calibration: Calibration) -> str:
    """What is unusual about a calibration that can be read.

    Args:
        calibration: with K not all zeros.

    Returns:
        Words; empty: nothing.
    """
    fx, cx, fy, cy = (calibration.k[i] for i in (0, 2, 4, 5))
    width, height = calibration.width, calibration.height
    field = _field_deg(calibration)
    parts = []
    if not NARROW_DEG <= field <= WIDE_DEG:
        parts.append(f"fx = {fx:.5g} px at {width} px gives a field of view of {field:.0f} deg")
    if abs(fx - fy) > SQUARE_SHARE * max(fx, fy):
        parts.append(f"fx = {fx:.5g} px and fy = {fy:.5g} px are far apart")
    if abs(cx - width / 2) > CENTER_SHARE * width or abs(cy - height / 2) > CENTER_SHARE * height:
        parts.append(f"the centre ({cx:.5g}, {cy:.5g}) px lies far off the middle of {width}x{height}")
    return "; ".join(parts)


def _lens(snapshot: Snapshot, role: str, calibration: Calibration, subject: str) -> Iterator[Finding]:
    """Whether images that are called rectified have a lens left, and the reverse."""
    choice = str(snapshot.parameter("rgb.rectified" if role == "color" else "depth.rectified", "auto"))
    named = RECTIFIED_TOPIC.search(snapshot.topics[role].name) is not None
    distorted = any(abs(value) > 1e-9 for value in calibration.d)
    if choice == "false" and named and distorted:
        yield warning(
            f"{role}.lens",
            f"The topic is called rectified, and {role}.rectified is false: it is straightened once more.",
            "Set it to auto, or subscribe to the raw image.",
            subject=subject,
        )
    elif distorted and not named and choice != "true":
        lens = f"{calibration.model} with {len(calibration.d)} coefficients"
        yield ok(f"{role}.lens", f"Not rectified ({lens}); the node straightens it.", subject=subject)
