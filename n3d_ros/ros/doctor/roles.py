"""Which topics are colour, depth and their calibrations on a running system, told by names and types. Needs no ROS."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import takewhile

from n3d_ros.inference.depth_source import MODEL
from n3d_ros.ros.camera_presets import CameraPreset
from n3d_ros.ros.camera_topics import COLOR_WORDS, DEPTH_WORDS, OTHER_WORDS, REGISTERED_WORDS
from n3d_ros.ros.doctor.snapshot import IMAGE_ROLES, INFO_OF, NODE_TOPICS

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED = "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
ALIGNED_WORDS = ("aligned", "registered", "to_color", "to_rgb")  # say more than "rect", which raw depth is called too
NOT_DEPTH_ENDINGS = ("/compressed", "/theora", "/ffmpeg", "/zstd")
ENDINGS = ("/compressed", "/compressedDepth")

Graph = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A topic chosen for a role.

    Args:
        name: full name.
        type_name: that it must have.
    """

    name: str
    type_name: str


def choose_topics(
    *,
    published: Graph,
    subscribed: Graph,
    wanted: Mapping[str, str | None],
    preset: CameraPreset | None = None,
    with_depth: bool = True,
) -> dict[str, Chosen]:
    """The topics of each role: as the user says, else as the node subscribes, else by the preset, else by their names.

    Args:
        published: types of every published topic.
        subscribed: types of every topic that the node subscribes to; empty without a node.
        wanted: names the user gave, by role.
        preset: camera the user named.
        with_depth: False where a model finds the depth, so that no depth image is expected.

    Returns:
        By role; a role that nothing fits, or that is not needed, is left out.
    """
    names = {role: name for role, name in wanted.items() if name}
    if preset is not None:
        for role, topic in NODE_TOPICS.items():
            names.setdefault(role, preset.remappings.get(topic, f"/{topic}"))
    elif any(IMAGE in types or COMPRESSED in types for types in subscribed.values()):
        names = {**_by_names(subscribed), **names}
    else:
        names = {**_by_names(published), **names}
    all_types = {**subscribed, **published}
    chosen = {}
    if not with_depth or (preset is not None and preset.parameters.get("depth_source") == MODEL):
        names = {role: name for role, name in names.items() if not role.startswith("depth") or wanted.get(role)}
    for role in NODE_TOPICS:
        if role in names:
            chosen[role] = Chosen(name=names[role], type_name=_expected(role, names[role], subscribed, all_types))
    return chosen


def without_own(graph: Graph, nodes: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """A graph without what nodes of this package publish: their images are results, not cameras.

    Args:
        graph: types by topic.
        nodes: full names.

    Returns:
        The rest.
    """
    prefixes = tuple(f"{name}/" for name in nodes)
    return {topic: types for topic, types in graph.items() if not topic.startswith(prefixes)}


def _expected(role: str, name: str, subscribed: Graph, all_types: Graph) -> str:
    """The type that a topic must have."""
    if role not in IMAGE_ROLES:
        return CAMERA_INFO
    for types in (subscribed.get(name, ()), all_types.get(name, ())):
        for one in (IMAGE, COMPRESSED):
            if one in types:
                return one
    return COMPRESSED if name.endswith(ENDINGS) else IMAGE


def _by_names(graph: Graph) -> dict[str, str]:
    """The likeliest topics of a graph."""
    images = [name for name, types in graph.items() if IMAGE in types or COMPRESSED in types]
    infos = [name for name, types in graph.items() if CAMERA_INFO in types]
    names: dict[str, str] = {}
    depth = [name for name in images if _count(name, DEPTH_WORDS) and not name.endswith(NOT_DEPTH_ENDINGS)]
    if depth:
        names["depth"] = max(sorted(depth), key=_depth_score)
    color = [name for name in images if name not in depth and not _count(name, DEPTH_WORDS)]
    if not color and len(images) == 2 and not depth:
        color = images
    if color:
        names["color"] = max(sorted(color), key=_color_score)
    for role in IMAGE_ROLES:
        if role in names and infos:
            names[INFO_OF[role]] = info_beside(names[role], infos)
    return names


def _count(name: str, words: Iterable[str]) -> int:
    return sum(word in name.lower() for word in words)


def _depth_score(name: str) -> float:
    registered = 2.0 * min(1, _count(name, ALIGNED_WORDS)) + 0.5 * min(1, _count(name, REGISTERED_WORDS))
    return registered - 3.0 * _count(name, OTHER_WORDS) - 0.5 * name.endswith(ENDINGS) - 0.001 * len(name)


def _color_score(name: str) -> float:
    wrong = 3.0 * _count(name, OTHER_WORDS) + name.endswith(("/theora", "/ffmpeg", "/zstd"))
    return _count(name, COLOR_WORDS) - wrong - 0.5 * name.endswith(ENDINGS) - 0.001 * len(name)


def info_beside(image: str, infos: Iterable[str]) -> str:
    """The calibration that belongs to an image by its name.

    Args:
        image: name of the image topic.
        infos: names of calibration topics, one at least.

    Returns:
        The one beside it, else the one with the longest common beginning.
    """
    base = image
    for ending in sorted(ENDINGS, key=len, reverse=True):
        base = base.removesuffix(ending)
    sibling = f"{base.rpartition('/')[0]}/camera_info"
    ordered = sorted(infos)
    if sibling in ordered:
        return sibling
    return max(ordered, key=lambda name: _shared(image, name))


def _shared(a: str, b: str) -> int:
    """How many characters two names begin with in common."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False)))
