"""Checks of the middleware: do images fit through, on both sides, and do all mean one network."""

from __future__ import annotations

from collections.abc import Iterator

from n3d_ros.ros.doctor.findings import Finding, fault, ok, warning
from n3d_ros.ros.doctor.snapshot import IMAGE_ROLES, Snapshot, Topic
from n3d_ros.ros.transport import OLD_PROFILE_VARIABLE, PROFILE_VARIABLE

IMAGES_PER_SEGMENT = 3  # a pair on its way and the next image being written
VGA_IMAGE_BYTES = 640 * 480 * 3
SMALL_SHARED_MEMORY_BYTES = 64_000_000  # Docker's default for /dev/shm; the profile takes 32 MB a participant
MUCH_STALE_BYTES = 100_000_000
SMALL_BUFFER_BYTES = 2_000_000  # Linux' default is 212 992: images in pieces from another machine overflow it
FAST_DDS = "fastrtps"
PROFILE_MEND = (
    "Start it through `n3d` or the launch files, or set FASTDDS_DEFAULT_PROFILES_FILE (Jazzy, Humble: "
    "FASTRTPS_DEFAULT_PROFILES_FILE) to config/fastdds.xml of n3d_ros in its environment."
)


def check_transport(snapshot: Snapshot) -> Iterator[Finding]:
    """Whether messages as large as images pass.

    Args:
        snapshot: the facts.

    Yields:
        Findings.
    """
    yield _network(snapshot)
    if FAST_DDS in snapshot.installation.middleware:
        yield from _own_profile(snapshot)
        for role in IMAGE_ROLES:
            topic = snapshot.topics.get(role)
            if topic is not None:
                yield from _writers(role, topic)
        yield from _readers(snapshot)
        yield from _memory(snapshot)
    yield from _remote(snapshot)


def _network(snapshot: Snapshot) -> Finding:
    """Domain, middleware and reach, for comparison with the other side."""
    environment = snapshot.installation.environment
    domain = environment.get("ROS_DOMAIN_ID") or "0"
    reach = environment.get("ROS_AUTOMATIC_DISCOVERY_RANGE") or "SUBNET"
    only = environment.get("ROS_LOCALHOST_ONLY", "0") == "1" or reach == "LOCALHOST"
    where = "this machine only" if only else f"discovery range {reach}"
    text = f"Domain {domain}, {snapshot.installation.middleware}, {where}."
    elsewhere = {number: pids for number, pids in snapshot.host.domains.items() if str(number) != domain}
    if elsewhere and not snapshot.graph:
        number = max(elsewhere, key=lambda one: len(elsewhere[one]))
        there = "; ".join(f"domain {one}: process {', '.join(map(str, those[:4]))}" for one, those in elsewhere.items())
        mend = f"`export ROS_DOMAIN_ID={number}` here, or the same number on both sides."
        return warning("ros.domain", f"{text} Nobody is here, but on this machine ROS runs in {there}.", mend)
    if reach == "OFF":
        mend = "Unset ROS_AUTOMATIC_DISCOVERY_RANGE, or name peers in ROS_STATIC_PEERS."
        return fault("ros.domain", text, mend)
    if only and not snapshot.graph:
        mend = "A camera on another machine is not seen with this setting; unset it here when there is one."
        return warning("ros.domain", text, mend)
    return ok("ros.domain", text)


def _own_profile(snapshot: Snapshot) -> Iterator[Finding]:
    """The profile that this process was started with."""
    installation = snapshot.installation
    named = installation.environment.get(PROFILE_VARIABLE) or installation.environment.get(OLD_PROFILE_VARIABLE)
    builtin = installation.environment.get("FASTDDS_BUILTIN_TRANSPORTS")
    own = installation.own_process
    if named and installation.profile_exists is False:
        yield fault(
            "transport.profile",
            f"The Fast DDS profile {named} cannot be read.",
            "Correct or unset FASTDDS_DEFAULT_PROFILES_FILE; unset, the one of n3d_ros is used.",
        )
    elif builtin and not named:
        yield warning(
            "transport.profile",
            f"FASTDDS_BUILTIN_TRANSPORTS={builtin} is set, so the profile of n3d_ros is not used.",
            "Unset it: images of 640x480 px and more are lost with the built-in transports.",
        )
    elif own is not None:
        size = f", {own.segment_bytes / 1e6:.0f} MB of shared memory" if own.segment_bytes else ""
        yield ok("transport.profile", f"Here: {named or 'no profile'}{size}.")


def _writers(role: str, topic: Topic) -> Iterator[Finding]:
    """Whether the shared memory of those who send images holds some of them."""
    heard = topic.heard
    if heard is None:
        return
    size = heard.picture.byte_count if heard.picture is not None else 0
    image = f"an image of {topic.name} has {size / 1e6:.2f} MB"
    if not size:  # nothing came, maybe for this very reason
        size, image = VGA_IMAGE_BYTES, f"a colour image of 640x480 px has {VGA_IMAGE_BYTES / 1e6:.2f} MB"
    for publisher in topic.publishers:
        if publisher.process is not None:
            who = f"{publisher.node} (process {publisher.process.pid})"
            yield _segment(f"{role}.transport", topic.name, who, publisher.process.segment_bytes, size, image)


def _segment(name: str, topic: str, who: str, segment_bytes: int, size: int, image: str) -> Finding:
    """Whether one sender's segment fits its images."""
    if not segment_bytes:
        return warning(
            name,
            f"{who} has no shared memory, {image}: it comes over the network stack in pieces.",
            f"{PROFILE_MEND} In containers, share /dev/shm and the user id (`--ipc=host`).",
            subject=topic,
        )
    text = f"{who} has {segment_bytes / 1e6:.1f} MB of shared memory, {image}"
    if segment_bytes < size:
        return fault(name, f"{text}: images do not fit and are lost.", PROFILE_MEND, subject=topic)
    if segment_bytes < IMAGES_PER_SEGMENT * size:
        return warning(name, f"{text}: some are lost when the machine is busy.", PROFILE_MEND, subject=topic)
    return ok(name, f"{text}.", subject=topic)


def _readers(snapshot: Snapshot) -> Iterator[Finding]:
    """Whether the node itself has shared memory to read from."""
    topic = snapshot.topics.get("color")
    for subscription in topic.subscriptions if topic is not None else ():
        process = subscription.process
        if process is None or subscription.node != snapshot.node.name:
            continue
        if process.segment_bytes:
            size = f"{process.segment_bytes / 1e6:.1f} MB of shared memory"
            text = f"{subscription.node} (process {process.pid}) has {size}."
            yield ok("node.transport", text, subject=subscription.node)
        else:
            yield warning(
                "node.transport",
                f"{subscription.node} (process {process.pid}) has no shared memory: images come in pieces.",
                PROFILE_MEND,
                subject=subscription.node,
            )


def _memory(snapshot: Snapshot) -> Iterator[Finding]:
    """Room in /dev/shm."""
    free, stale = snapshot.host.shared_memory_free_bytes, snapshot.host.stale_segment_bytes
    if free is not None and free < SMALL_SHARED_MEMORY_BYTES:
        yield fault(
            "transport.shared_memory",
            f"/dev/shm has {free / 1e6:.0f} MB left; a participant takes 35 MB.",
            "Give the container more (`--shm-size=1g` or `--ipc=host`), or remove what dead processes left there.",
        )
    if stale > MUCH_STALE_BYTES:
        yield warning(
            "transport.stale_memory",
            f"{snapshot.host.stale_segments} shared-memory files of processes that are gone hold {stale / 1e6:.0f} MB "
            "of /dev/shm.",
            "`fastdds shm clean` removes them; processes killed by SIGKILL leave them.",
        )


def _remote(snapshot: Snapshot) -> Iterator[Finding]:
    """Whether images from another machine find room in the socket buffers."""
    for role in IMAGE_ROLES:
        topic = snapshot.topics.get(role)
        if topic is None:
            continue
        names = sorted({one.node for one in topic.publishers if one.is_local is False})
        size = snapshot.host.receive_buffer_bytes
        if not names:
            continue
        text = f"{topic.name} comes from another machine ({', '.join(names)})"
        if size and size < SMALL_BUFFER_BYTES:
            yield warning(
                f"{role}.network",
                f"{text}, and sockets may buffer {size / 1e3:.0f} kB only.",
                "sysctl -w net.core.rmem_max=16777216 net.ipv4.ipfrag_time=3 net.ipv4.ipfrag_high_thresh=134217728, or "
                "take the compressed topics (rgb.transport, depth.transport).",
                subject=topic.name,
            )
        else:
            yield ok(f"{role}.network", f"{text}.", subject=topic.name)
