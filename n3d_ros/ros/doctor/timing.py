"""Checks of time: stamps, how far colour and depth lie apart, how old images are, and which clock the node has."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from n3d_ros.ros.doctor.findings import Finding, fault, ok, warning
from n3d_ros.ros.doctor.snapshot import IMAGE_ROLES, NANOSECONDS, Heard, Snapshot

OTHER_CLOCK_S = 600.0  # stamps farther from the clock come from another one, as the node has it
FUTURE_S = 0.1  # stamps may lead by a little: the camera's clock is estimated
WORDS = {"color": "Colour", "depth": "Depth"}


def check_timing(snapshot: Snapshot) -> Iterator[Finding]:
    """Whether stamps are set, agree with each other and with the clock.

    Args:
        snapshot: the facts.

    Yields:
        Findings.
    """
    for role in IMAGE_ROLES:
        heard = snapshot.heard(role)
        if heard is not None and heard.stamps_ns:
            yield from _stamps(snapshot, role, heard)
    yield from _skew(snapshot)
    yield from _age(snapshot)
    yield from _clock(snapshot)


def _stamps(snapshot: Snapshot, role: str, heard: Heard) -> Iterator[Finding]:
    """Whether stamps are there and grow."""
    subject = snapshot.topics[role].name
    if not all(heard.stamps_ns):
        yield fault(
            f"{role}.stamp",
            f"{WORDS[role]} images have the stamp 0.",
            "The driver must fill header.stamp; without it nothing can be paired or placed by tf.",
            subject=subject,
        )
        return
    pairs = zip(heard.stamps_ns, heard.stamps_ns[1:], strict=False)
    steps = [later - earlier for earlier, later in pairs]
    backwards = sum(step < 0 for step in steps)
    if any(step == 0 for step in steps):
        yield warning(
            f"{role}.stamp",
            f"{WORDS[role]} images come with the same stamp twice.",
            "Two publishers on one topic, or a driver that repeats images: the second is dropped.",
            subject=subject,
        )
    elif backwards:
        yield warning(
            f"{role}.stamp",
            f"{WORDS[role]} stamps jumped back {backwards} time{'s' * (backwards > 1)}.",
            "A bag that loops or a camera that restarted: scene and transforms start anew each time.",
            subject=subject,
        )


def nearest_skews_s(a_ns: Sequence[int], b_ns: Sequence[int]) -> list[float]:
    """How far each stamp is from the nearest of the other topic.

    Args:
        a_ns: stamps.
        b_ns: stamps of the other topic, at least one.

    Returns:
        Seconds, as many as the stamps of the slower topic.
    """
    few, many = sorted((a_ns, b_ns), key=len)
    return [min(abs(one - other) for other in many) / NANOSECONDS for one in few]


def _skew(snapshot: Snapshot) -> Iterator[Finding]:
    """Whether colour and depth can be paired."""
    color, depth = snapshot.heard("color"), snapshot.heard("depth")
    if color is None or depth is None or not all(color.stamps_ns) or not all(depth.stamps_ns):
        return
    if not color.stamps_ns or not depth.stamps_ns:
        return
    skews = nearest_skews_s(color.stamps_ns, depth.stamps_ns)
    middle, slop = statistics.median(skews), float(snapshot.parameter("sync.slop_s", 0.02))
    text = f"Colour and depth lie {middle * 1e3:.1f} ms apart (sync.slop_s allows {slop * 1e3:g} ms)."
    mend = (
        "Turn on the driver's frame synchronisation (docs/cameras.md), or raise sync.slop_s and accept that moving "
        "things are misplaced."
    )
    if middle > slop:
        yield fault("pair.skew", text, mend)
    elif sum(skew > slop for skew in skews) > len(skews) / 10:
        yield warning("pair.skew", f"{text} Some lie farther apart, and are dropped.", mend)
    else:
        yield ok("pair.skew", text)


def _age(snapshot: Snapshot) -> Iterator[Finding]:
    """How old images are when they come."""
    heard = snapshot.heard("color")
    if heard is None or not heard.ages_s or not all(heard.stamps_ns):
        return
    age_s = statistics.median(heard.ages_s)
    limit_s = float(snapshot.parameter("request.max_frame_age_s", 2.0))
    if abs(age_s) > OTHER_CLOCK_S:
        yield warning(
            "time.age",
            f"The images' stamps are from another clock: {_span(abs(age_s))} {'behind' if age_s > 0 else 'ahead of'} "
            "this one.",
            "A bag replayed without the clock: `n3d replay --clock` (or `ros2 bag play --clock`), and use_sim_time for "
            "the node and all who use tf.",
        )
    elif age_s < -FUTURE_S:
        yield warning(
            "time.age",
            f"The images' stamps lie {-age_s:.2f} s in the future.",
            "Set both machines' clocks (chrony, ntp); tf cannot be looked up in the future.",
        )
    elif age_s > limit_s:
        yield fault(
            "time.age",
            f"Images are {age_s:.2f} s old when they come; the node takes them for stale after {limit_s:g} s.",
            "Set both machines' clocks (chrony, ntp), lower the driver's queue and rate, or raise "
            "request.max_frame_age_s.",
        )
    else:
        yield ok("time.age", f"Images are {age_s * 1e3:.0f} ms old when they come.")


def _span(seconds: float) -> str:
    """A long time for people."""
    return f"{seconds / 86400:.0f} days" if seconds > 2 * 86400 else f"{seconds:.0f} s"


def _clock(snapshot: Snapshot) -> Iterator[Finding]:
    """Whether the node's clock is one that runs."""
    clock = snapshot.others.get("/clock")
    is_published = clock is not None and bool(clock.publishers)
    ticks = clock is not None and clock.heard is not None and clock.heard.count > 0
    known = "use_sim_time" in snapshot.node.parameters
    simulated = bool(snapshot.parameter("use_sim_time", default=False))
    if simulated and not ticks:
        why = "is published and silent" if is_published else "is published by nobody"
        yield fault(
            "time.clock",
            f"{snapshot.node.name} has use_sim_time, and /clock {why}: its time stands still.",
            f"Publish it (`n3d replay --clock`, the simulator), or `ros2 param set {snapshot.node.name} use_sim_time "
            "false`.",
        )
    elif is_published and clock is not None and known and not simulated:
        yield warning(
            "time.clock",
            f"/clock is published by {clock.nodes}, and {snapshot.node.name} does not use it.",
            f"Start the node with `-p use_sim_time:=true`, or `ros2 param set {snapshot.node.name} use_sim_time true`.",
        )
    elif clock is not None and len(clock.publishers) > 1:
        mend = "Stop all but one: time jumps back and forth, and the scene starts anew with every jump."
        yield warning("time.clock", f"/clock has {len(clock.publishers)} publishers: {clock.nodes}.", mend)
    elif known:
        yield ok("time.clock", "The node uses /clock." if simulated else "The node uses the time of day.")
