"""Checks of images: encodings, sizes, units, amount of depth, headers, and whether pairs can be put together."""

from __future__ import annotations

from collections.abc import Iterator

from n3d_ros.ros.doctor.findings import Finding, fault, ok, warning
from n3d_ros.ros.doctor.snapshot import IMAGE_ROLES, Calibration, Picture, Snapshot
from n3d_ros.ros.frame_assembly import MAX_PLAUSIBLE_MEDIAN_M, MIN_PLAUSIBLE_MEDIAN_M

LITTLE_DEPTH = 0.1  # share of pixels: less means a lens cover, glass or a scene out of range
MILLIMETRE_M = 0.001
WORDS = {"color": "Colour", "depth": "Depth"}


def check_images(snapshot: Snapshot) -> Iterator[Finding]:
    """Whether the images can be read and belong together.

    Args:
        snapshot: the facts.

    Yields:
        Findings about each image, then about the pair.
    """
    for role in IMAGE_ROLES:
        picture = snapshot.picture(role)
        if picture is not None:
            yield from _one(snapshot, role, picture)
    depth = snapshot.picture("depth")
    if depth is not None and not depth.error:
        yield from _depth(snapshot, depth)
    yield from _sizes(snapshot)
    yield from _assembly(snapshot)


def _one(snapshot: Snapshot, role: str, picture: Picture) -> Iterator[Finding]:
    """Encoding and header of one image."""
    subject = snapshot.topics[role].name
    if picture.error:
        yield fault(f"{role}.encoding", picture.error, _encoding_mend(role, picture), subject=subject)
    else:
        text = f"{WORDS[role]} is {picture.encoding}, {picture.width}x{picture.height} px."
        yield ok(f"{role}.encoding", text, subject=subject)
    if not picture.frame_id.strip("/"):
        yield fault(
            f"{role}.frame_id",
            f"{WORDS[role]} images have no frame_id.",
            "Set the driver's frame_id: every result is given in a frame.",
            subject=subject,
        )
    elif picture.frame_id.startswith("/"):
        yield warning(
            f"{role}.frame_id",
            f"{WORDS[role]} has the frame_id {picture.frame_id!r}; tf2 knows no leading slash.",
            "Set the driver's frame_id without the slash; the node leaves it out.",
            subject=subject,
        )


def _encoding_mend(role: str, picture: Picture) -> str:
    """What to do about an image that cannot be read."""
    encoding = picture.encoding.lower()
    if role == "depth" and picture.is_compressed and "compresseddepth" not in encoding:
        return (
            "Plain `compressed` makes 8-bit JPEG of depth: subscribe to .../compressedDepth "
            "(depth.transport:=compressedDepth), or to the raw image."
        )
    if role == "depth" and encoding in ("mono8", "8uc1", "rgb8", "bgr8", "rgba8", "bgra8", "8uc3"):
        return "This is a picture, not depth: remap depth/image to the topic with 16UC1 or 32FC1."
    if role == "color" and encoding in ("32fc1", "16uc1"):
        return "This is depth: remap rgb/image to the colour image."
    return "Choose another format in the driver."


def _depth(snapshot: Snapshot, depth: Picture) -> Iterator[Finding]:
    """Unit and amount of depth."""
    subject = snapshot.topics["depth"].name
    median, share = depth.median_depth_m, depth.depth_share or 0.0
    if median is None:
        yield fault(
            "depth.values",
            "Not one pixel of the depth image holds depth: all are 0 or NaN.",
            "Is the projector on, the lens free, and the scene neither too near nor behind glass?",
            subject=subject,
        )
        return
    unit = _unit(snapshot, depth, median, subject)
    yield unit
    if unit.level:
        return
    low, high = snapshot.parameter("depth.min_m", 0.1), snapshot.parameter("depth.max_m", 10.0)
    text = f"{share:.0%} of the pixels hold depth, half of them nearer than {median:.2f} m."
    if not low <= median <= high:
        yield warning(
            "depth.values",
            f"{text} The node uses {low:g} to {high:g} m.",
            "Set depth.min_m and depth.max_m to the range of the scene.",
            subject=subject,
        )
    elif share < LITTLE_DEPTH:
        mend = "Check exposure, projector and distance; shiny, black and transparent things give no depth."
        yield warning("depth.values", text, mend, subject=subject)
    else:
        yield ok("depth.values", text, subject=subject)


def _unit(snapshot: Snapshot, depth: Picture, median: float, subject: str) -> Finding:
    """Whether the unit is what the encoding says."""
    given = float(snapshot.parameter("depth.unit_m", 0.0) or 0.0)
    text = f"{depth.encoding} gives a median depth of {median:.4g} m"
    if median > MAX_PLAUSIBLE_MEDIAN_M:
        mend = "Set depth.unit_m to 0.001, or let the driver publish metres in 32FC1 (REP-118)."
        return fault("depth.unit", f"{text}: these are millimetres taken for metres.", mend, subject=subject)
    if median < MIN_PLAUSIBLE_MEDIAN_M:
        mend = (
            "Set depth.unit_m to what one count is in metres (1.0 for whole metres), or let the driver publish "
            "millimetres in 16UC1 (REP-118)."
        )
        return fault("depth.unit", f"{text}: the counts are not millimetres.", mend, subject=subject)
    stated = f" with depth.unit_m = {given:g}" if given else ""
    return ok("depth.unit", f"{text}{stated}.", subject=subject)


def _sizes(snapshot: Snapshot) -> Iterator[Finding]:
    """Colour against depth, and each against its calibration."""
    color, depth = snapshot.picture("color"), snapshot.picture("depth")
    for role in IMAGE_ROLES:
        picture, calibration = snapshot.picture(role), snapshot.calibration(role)
        if picture is not None and calibration is not None and picture.width:
            yield from _fits(snapshot, role, picture, calibration)
    if color is None or depth is None or not color.width or not depth.width:
        return
    sizes = f"colour {color.width}x{color.height} px, depth {depth.width}x{depth.height} px"
    if (color.width, color.height) == (depth.width, depth.height):
        yield ok("pair.size", f"Colour and depth are both {color.width}x{color.height} px.")
    elif snapshot.calibration("depth") is None:
        yield fault(
            "pair.size",
            f"Depth is not registered to colour: {sizes}, and no depth/camera_info to register it with.",
            "Let the driver align depth to colour (docs/cameras.md), or publish depth/camera_info and tf.",
        )
    else:
        yield warning(
            "pair.size",
            f"Depth is not registered to colour: {sizes}.",
            "The node registers it from both calibrations and tf; the driver's own alignment is cheaper and sharper at "
            "edges (docs/cameras.md).",
        )


def _fits(snapshot: Snapshot, role: str, picture: Picture, calibration: Calibration) -> Iterator[Finding]:
    """Whether a calibration is for images of this size."""
    own, size = (calibration.width, calibration.height), (picture.width, picture.height)
    text = f"The calibration is for {own[0]}x{own[1]} px, the image has {size[0]}x{size[1]} px"
    subject = snapshot.topics[f"{role}_info"].name
    if own == size or not all(own):
        return
    if own[0] * size[1] == own[1] * size[0]:
        mend = "The node scales it; a driver that publishes the calibration of the image's own size is safer."
        yield warning(f"{role}.calibration_size", f"{text}: the same shape.", mend, subject=subject)
    else:
        yield fault(
            f"{role}.calibration_size",
            f"{text}, and no even scaling explains that.",
            "Remap to the camera_info beside the image, or calibrate this camera mode.",
            subject=subject,
        )


def _assembly(snapshot: Snapshot) -> Iterator[Finding]:
    """Whether the node could make a frame of these messages: the last word."""
    if snapshot.assembly is None:
        return
    if not snapshot.assembly:
        yield ok("pair.frame", "A pair was decoded, rectified and registered as the node does it.")
    else:
        yield fault(
            "pair.frame",
            f"A pair put together as the node does it is refused ({snapshot.assembly_reason}): {snapshot.assembly}",
            "The sentence says what to change; docs/node.md lists the reasons.",
        )
