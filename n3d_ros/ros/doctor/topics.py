"""Checks of topics: are they there, do they publish, how fast, and what else could have been meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping

from n3d_ros.inference.depth_source import MODEL
from n3d_ros.ros.camera_presets import TRANSPORT_ENDINGS, CameraPreset
from n3d_ros.ros.doctor.findings import Finding, fault, ok, warning
from n3d_ros.ros.doctor.roles import COMPRESSED, Chosen, choose_topics, without_own
from n3d_ros.ros.doctor.snapshot import NODE_TOPICS, ROLES, Snapshot, Topic

IMAGE_TYPES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
INFO_TYPE = "sensor_msgs/msg/CameraInfo"
SLOW_HZ = 1.0  # below this, requests wait noticeably for an image
RATE_RATIO = 1.5  # colour and depth that differ by more lose pairs
MANY_LOST = 0.05  # share of the messages
MOST_SUGGESTED = 4


def check_topics(snapshot: Snapshot, presets: dict[str, CameraPreset]) -> Iterator[Finding]:
    """Whether every input has a publisher that publishes.

    Args:
        snapshot: the facts.
        presets: cameras whose topics are known.

    Yields:
        One finding a role and more where something is odd.
    """
    if not any(topic.publishers for topic in snapshot.topics.values()):
        yield _nothing(snapshot, presets)
        return
    for role in ROLES:
        topic = snapshot.topics.get(role)
        if topic is not None:
            yield from _one(snapshot, role, topic, presets)
    yield from _rates(snapshot)


def _nothing(snapshot: Snapshot, presets: dict[str, CameraPreset]) -> Finding:
    """No input is published at all."""
    if not snapshot.graph:
        return fault(
            "topics.published",
            "Nobody publishes anything here.",
            "Start the camera driver or `n3d replay BAG`, with the same ROS_DOMAIN_ID as here (see ros.domain).",
        )
    names = ", ".join(topic.name for topic in snapshot.topics.values()) or "any image"
    mend = _preset_hint(snapshot, presets) or _image_hint(snapshot)
    return fault(
        "topics.published",
        f"Nobody publishes {names}.",
        mend or "No image topic is there at all: start the camera driver, or `n3d replay BAG`.",
    )


def _one(snapshot: Snapshot, role: str, topic: Topic, presets: dict[str, CameraPreset]) -> Iterator[Finding]:
    """The topic of one role."""
    name = f"{role}.published"
    types = sorted({one.type_name for one in topic.publishers if one.type_name})
    if types and topic.expected_type and topic.expected_type not in types:
        yield fault(
            name,
            f"{topic.name} has the type {', '.join(types)}, expected {topic.expected_type}.",
            "Remap to the raw image, or set rgb.transport / depth.transport to the compressed one that is published.",
            subject=topic.name,
        )
        return
    if not topic.publishers:
        yield _missing(snapshot, role, topic, presets)
        return
    if len({one.gid or one.node for one in topic.publishers}) > 1:
        yield warning(
            f"{role}.publishers",
            f"{len(topic.publishers)} publishers on {topic.name}: {topic.nodes}.",
            "One camera a topic: stop one of them, or give it a namespace of its own.",
            subject=topic.name,
        )
    yield from _heard(role, topic)


def _missing(snapshot: Snapshot, role: str, topic: Topic, presets: dict[str, CameraPreset]) -> Finding:
    """A role whose topic nobody publishes."""
    level = warning if role == "depth_info" else fault
    near = near_names(snapshot, role, topic.name, presets)
    mend = f"Published is {' or '.join(near)}: `-r {NODE_TOPICS[role]}:={near[0]}`." if near else ""
    if role == "depth_info":
        mend = f"{mend} Depth that is registered to colour does without it.".strip()
    return level(
        f"{role}.published",
        f"Nobody publishes {topic.name}.",
        mend or "Start the driver with this stream on, or remap; docs/cameras.md has the names of each camera.",
        subject=topic.name,
    )


def _heard(role: str, topic: Topic) -> Iterator[Finding]:
    """What came on a topic that is published."""
    name, heard = f"{role}.published", topic.heard
    if heard is None:
        return
    if heard.count == 0:
        yield fault(
            name,
            f"{topic.nodes} offers {topic.name} and sent nothing in {heard.seconds:.1f} s.",
            "Is the stream on and the camera plugged in? If `ros2 topic hz` sees images on the camera's machine, they "
            "are lost on the way: see transport.*.",
            subject=topic.name,
        )
        return
    text = f"{topic.name}: {heard.rate_hz:.1f} Hz from {topic.nodes}."
    sent = heard.count + (heard.lost or 0)
    if heard.lost and heard.lost > MANY_LOST * sent:
        yield warning(
            f"{role}.lost",
            f"{topic.name}: {heard.lost} of {sent} messages did not arrive here.",
            "Best-effort images are lost when the shared memory is small or the machine is busy: see transport.* and "
            "load.*.",
            subject=topic.name,
        )
    if heard.rate_hz < SLOW_HZ:
        yield warning(name, text, "Raise the camera's rate: requests wait for the next image.", subject=topic.name)
    else:
        yield ok(name, text, subject=topic.name)


def _rates(snapshot: Snapshot) -> Iterator[Finding]:
    """Whether colour and depth come equally often."""
    color, depth = snapshot.heard("color"), snapshot.heard("depth")
    if color is None or depth is None or not color.count or not depth.count:
        return
    low, high = sorted((color.rate_hz, depth.rate_hz))
    if high > RATE_RATIO * low:
        yield warning(
            "topics.rates",
            f"Colour comes at {color.rate_hz:.1f} Hz and depth at {depth.rate_hz:.1f} Hz.",
            "Pairs are made at the lower rate, the rest is dropped: give both streams the same rate in the driver.",
        )


def near_names(snapshot: Snapshot, role: str, wanted: str, presets: dict[str, CameraPreset]) -> list[str]:
    """Published topics that could have been meant for a role.

    Args:
        snapshot: the facts.
        role: of ``ROLES``.
        wanted: the name that nobody publishes.
        presets: cameras whose topics are known.

    Returns:
        Names, the likeliest first.
    """
    types = (INFO_TYPE,) if role.endswith("info") else IMAGE_TYPES
    taken = {topic.name for topic in snapshot.topics.values()}
    cameras = without_own(snapshot.graph, (snapshot.node.name, *snapshot.node.others))
    there = [name for name, kinds in cameras.items() if set(kinds) & set(types) and name not in taken]
    known = [preset.remappings.get(NODE_TOPICS[role], "") for preset in presets.values()]
    found = [name for name in there if name in known or name in _compressed(wanted)]
    word = "depth" if role.startswith("depth") else ""
    alike = [one for one in there if (word in one if word else "depth" not in one and "infra" not in one)]
    found += difflib.get_close_matches(wanted, alike, n=MOST_SUGGESTED, cutoff=0.3)
    return list(dict.fromkeys(found))[:MOST_SUGGESTED]


def _compressed(name: str) -> tuple[str, str]:
    return f"{name}/compressed", f"{name}/compressedDepth"


def matching_presets(snapshot: Snapshot, presets: dict[str, CameraPreset]) -> list[str]:
    """Cameras whose colour and depth topics are published.

    Args:
        snapshot: the facts.
        presets: cameras whose topics are known.

    Returns:
        Names of presets.
    """
    return [
        preset.name
        for preset in presets.values()
        if preset.remappings
        and all(
            preset.remappings.get(NODE_TOPICS[role]) in snapshot.graph
            for role in ("color", "depth")
            if role == "color" or preset.parameters.get("depth_source") != MODEL
        )
    ]


def _preset_hint(snapshot: Snapshot, presets: dict[str, CameraPreset]) -> str:
    """The camera that is there, when it is a known one."""
    matching = matching_presets(snapshot, presets)
    if not matching:
        return ""
    return f"The topics of {matching[0]!r} are there: `n3d start --camera {matching[0]}` (camera:={matching[0]})."


def _image_hint(snapshot: Snapshot) -> str:
    """How to start the node with the images that are there."""
    cameras = without_own(snapshot.graph, (snapshot.node.name, *snapshot.node.others))
    images = sorted(name for name, kinds in cameras.items() if set(kinds) & set(IMAGE_TYPES))
    if not images:
        return ""
    chosen = choose_topics(published=cameras, subscribed={}, wanted={})
    if all(role in chosen for role in ROLES):
        return f"Images are on other topics: `{start_command(chosen)}`."
    more = f" and {len(images) - 8} more" if len(images) > 8 else ""
    return (
        f"Images are on {', '.join(images[:8])}{more}: remap to them (`n3d start -r rgb/image:=...`), or name them "
        "here with --color and --depth."
    )


def start_command(chosen: Mapping[str, Chosen]) -> str:
    """The command that starts the node for these topics.

    Args:
        chosen: by role, all of them.

    Returns:
        A command line.
    """
    words = ["n3d start"]
    for role in ROLES:
        is_compressed = chosen[role].type_name == COMPRESSED
        ending = TRANSPORT_ENDINGS[NODE_TOPICS[role]] if is_compressed else ""
        words.append(f"-r {NODE_TOPICS[role]}{ending}:={chosen[role].name}")
        if is_compressed:
            words.append(f"-p {NODE_TOPICS[role].split('/')[0]}.transport:={ending.strip('/')}")
    return " ".join(words)
