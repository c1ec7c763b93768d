"""Checks of tf: is the camera connected with the frames that are wanted, at the image's stamp, by one sender each."""

from __future__ import annotations

from collections.abc import Iterator

from n3d_ros.errors import TransformError
from n3d_ros.ros.doctor.findings import Finding, fault, ok, warning
from n3d_ros.ros.doctor.snapshot import NANOSECONDS, Snapshot

FIXED_FRAMES = ("map", "odom", "world")  # that "auto" tries for the scene, in this order
UP_FRAMES = (*FIXED_FRAMES, "base_link")  # ... and for up
OPTICAL_WITHOUT_THE_NAME = ("rgb_camera_link", "depth_camera_link")  # of the Azure Kinect driver
AUTO, NONE = "auto", "none"


def check_frames(snapshot: Snapshot) -> Iterator[Finding]:
    """Whether tf connects what the node needs.

    Args:
        snapshot: the facts.

    Yields:
        Findings.
    """
    picture = snapshot.picture("color")
    camera = picture.frame_id.strip("/") if picture is not None else ""
    if camera:
        yield from _wanted(snapshot, camera)
        yield from _up(snapshot, camera)
        yield from _registration(snapshot, camera)
        yield from _optical(snapshot, camera)
    yield from _authorities(snapshot)


def connection(snapshot: Snapshot, target: str, source: str) -> str:
    """Whether tf takes a frame to another at the stamps of the images.

    Args:
        snapshot: the facts.
        target: frame.
        source: frame.

    Returns:
        Empty: it does for one of the images at least; else why not.
    """
    heard = snapshot.heard("color")
    stamps = heard.stamps_ns if heard is not None else ()
    buffer = snapshot.transforms.buffer
    if any(buffer.can_transform(target, source, stamp_ns or None) for stamp_ns in stamps or (0,)):
        return ""
    try:
        buffer.lookup(target, source)
    except TransformError as failure:
        return failure.message
    return f"not at the images' stamps: {_lag(snapshot, stamps)}."


def _lag(snapshot: Snapshot, stamps: tuple[int, ...]) -> str:
    """How far tf's stamps are from the images'."""
    if not stamps or not snapshot.transforms.newest_ns:
        return "tf is not there at these times"
    lag_s = (stamps[-1] - snapshot.transforms.newest_ns) / NANOSECONDS
    return f"the newest transform is {abs(lag_s):.2f} s {'older' if lag_s > 0 else 'newer'} than the newest image"


def _wanted(snapshot: Snapshot, camera: str) -> Iterator[Finding]:
    """The frames that parameters name."""
    output = str(snapshot.parameter("output_frame", ""))
    scene = str(snapshot.parameter("scene.frame", AUTO))
    up = str(snapshot.parameter("gravity.frame", AUTO))
    for parameter, frame in (("output_frame", output), ("scene.frame", scene), ("gravity.frame", up)):
        if frame in ("", AUTO, NONE):
            continue
        why = connection(snapshot, frame, camera) if frame != camera else ""
        if why:
            yield fault(
                "tf.connected",
                f"{parameter} is {frame!r}, and tf does not take the camera's {camera!r} there: {why}",
                _mend(snapshot, frame, camera, parameter),
                subject=frame,
            )
        else:
            yield ok("tf.connected", f"{parameter}: tf takes {camera!r} to {frame!r}.", subject=frame)


def _mend(snapshot: Snapshot, frame: str, camera: str, parameter: str) -> str:
    """What to do about a frame that cannot be reached."""
    known = snapshot.transforms.buffer.frames()
    if not known:
        return f"Nobody publishes tf: start robot_state_publisher or localisation, or leave {parameter} at its default."
    missing = [name for name in (frame, camera) if name not in known]
    if missing:
        names = " and ".join(map(repr, missing))
        return (
            f"tf does not know {names}; it knows {', '.join(known[:10])}. Publish the missing link "
            f"(static_transform_publisher), or correct {parameter}."
        )
    return "Both are known and not connected at these times: publish the link between them, with the images' clock."


def _up(snapshot: Snapshot, camera: str) -> Iterator[Finding]:
    """Whether "auto" finds a frame that remembers and one that tells where up is."""
    if str(snapshot.parameter("scene.frame", AUTO)) == AUTO:
        reached = next((one for one in FIXED_FRAMES if not connection(snapshot, one, camera)), "")
        if reached:
            yield ok("tf.scene", f"Objects are remembered in {reached!r}.", subject=reached)
        else:
            yield warning(
                "tf.scene",
                f"tf connects {camera!r} with none of {', '.join(FIXED_FRAMES)}.",
                "Objects are remembered in the camera's frame, and lost when it moves: start odometry or localisation, "
                "or set scene.frame.",
            )
    if str(snapshot.parameter("gravity.frame", AUTO)) == AUTO:
        reached = next((one for one in UP_FRAMES if not connection(snapshot, one, camera)), "")
        if reached:
            yield ok("tf.up", f"Up is the z axis of {reached!r}.", subject=reached)
        else:
            mend = "Up is estimated from the largest surfaces; publish the camera's place on the robot, or set "
            yield warning(
                "tf.up", f"tf connects {camera!r} with none of {', '.join(UP_FRAMES)}.", mend + "gravity.frame."
            )


def _registration(snapshot: Snapshot, camera: str) -> Iterator[Finding]:
    """Whether depth is in colour's frame, or can be taken there."""
    picture = snapshot.picture("depth")
    frame = picture.frame_id.strip("/") if picture is not None else ""
    if not frame:
        return
    if frame == camera:
        yield ok("pair.frame_id", f"Colour and depth are both in {camera!r}.")
        return
    why = connection(snapshot, camera, frame)
    text = f"Colour is in {camera!r}, depth in {frame!r}"
    if not why:
        mend = "The node registers depth with tf; the driver's own alignment is cheaper (docs/cameras.md)."
        yield warning("pair.frame_id", f"{text}.", mend)
        return
    yield fault(
        "pair.frame_id",
        f"{text}, and tf does not connect them: {why}",
        "Let the driver align depth to colour (docs/cameras.md), or publish the transform between the two.",
    )


def _optical(snapshot: Snapshot, camera: str) -> Iterator[Finding]:
    """Whether the camera's frame is an optical one by its name."""
    if "optical" in camera or camera in OPTICAL_WITHOUT_THE_NAME:
        return
    stem = camera.removesuffix("_link").removesuffix("_frame")
    near = [one for one in snapshot.transforms.buffer.frames() if "optical" in one and one.startswith(stem)]
    suggestion = f"tf has {', '.join(near[:3])}: set the driver's frame_id to it" if near else "Check the driver"
    yield warning(
        "tf.optical",
        f"The images' frame {camera!r} is not called optical.",
        f"{suggestion}; boxes are turned by 90 degrees when its axes are not x right, y down, z forward (REP-103).",
        subject=camera,
    )


def _authorities(snapshot: Snapshot) -> Iterator[Finding]:
    """Whether each frame has one parent and one sender."""
    transforms, bad = snapshot.transforms, 0
    for frame, parents in sorted(transforms.parents.items()):
        if len(parents) > 1:
            bad += 1
            yield fault(
                "tf.authority",
                f"Frame {frame!r} has {len(parents)} parents: {', '.join(sorted(parents))}.",
                f"One of {', '.join(sorted(transforms.senders.get(frame, ()))) or 'the senders'} must not send it: the "
                "tree changes with every message.",
                subject=frame,
            )
        elif len(transforms.senders.get(frame, ())) > 1:
            bad += 1
            yield warning(
                "tf.authority",
                f"The transform of {frame!r} comes from {' and '.join(sorted(transforms.senders[frame]))}.",
                "Stop one of them: the frame jumps between two places when they disagree.",
                subject=frame,
            )
    for frame in sorted(transforms.static & transforms.moving):
        bad += 1
        mend = "Send it on one of the two only."
        yield warning("tf.authority", f"{frame!r} comes on /tf and on /tf_static.", mend, subject=frame)
    if transforms.parents and not bad:
        yield ok("tf.authority", f"{len(transforms.parents)} transforms, one sender each.")
