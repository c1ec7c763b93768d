"""Which topics of a recording are the colour image, the depth image (where one is used) and their calibrations.

By message type first, by encoding second, by name last; what the user names is taken as it is.
"""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from n3d_ros.errors import BagError
from n3d_ros.ros.bag import BagReader

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED = "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"

MESSAGES_TRIED = 5  # of a topic, until one can be read

DEPTH_ENCODINGS = ("16UC1", "mono16", "32FC1")
DEPTH_WORDS = ("depth", "range", "disparity")
REGISTERED_WORDS = ("aligned", "registered", "rect", "to_color", "to_rgb")
COLOR_WORDS = ("color", "rgb", "image_rect_color", "left")
OTHER_WORDS = (
    "infra",
    "/ir",
    "confidence",
    "label",
    "mask",
    "segment",
    "debug",
    "overlay",
    "right",
    "fisheye",
    "thermal",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraTopics:
    """The topics of one camera.

    Args:
        color: colour image.
        color_info: its calibration.
        depth: depth image; empty: none is used.
        depth_info: its calibration; that of the colour image when there is no other.
        color_compressed: the colour topic holds JPEG or PNG.
        depth_compressed: the depth topic holds compressedDepth.
    """

    color: str
    color_info: str
    depth: str = ""
    depth_info: str = ""
    color_compressed: bool = False
    depth_compressed: bool = False

    @property
    def remappings(self) -> dict[str, str]:
        """The node's topic names and what they are called in the recording."""
        names = {
            "rgb/image" + "/compressed" * self.color_compressed: self.color,
            "rgb/camera_info": self.color_info,
            "depth/image" + "/compressedDepth" * self.depth_compressed: self.depth,
            "depth/camera_info": self.depth_info,
        }
        return {name: topic for name, topic in names.items() if topic}

    @property
    def parameters(self) -> dict[str, str]:
        """The node's parameters that go with these topics."""
        return {
            "rgb.transport": "compressed" if self.color_compressed else "raw",
            "depth.transport": "compressedDepth" if self.depth_compressed else "raw",
        }

    @property
    def all(self) -> tuple[str, ...]:
        """The topics, each once."""
        return tuple(dict.fromkeys(filter(None, (self.color, self.color_info, self.depth, self.depth_info))))


@dataclass(frozen=True, slots=True, kw_only=True)
class _ImageTopic:
    """An image topic and what its first message says of it."""

    name: str
    compressed: bool
    encoding: str
    frame_id: str
    size: tuple[int, int] | None  # width, height; None in compressed messages

    @property
    def is_depth(self) -> bool:
        """Whether it holds depth."""
        if self.compressed:
            return "compressedDepth" in self.encoding or self.name.endswith("/compressedDepth")
        return self.encoding in DEPTH_ENCODINGS

    @property
    def base(self) -> str:
        """The name without the transport's ending."""
        return re.sub(r"/(compressed|compressedDepth)$", "", self.name)


def find_camera_topics(
    reader: BagReader, wanted: Mapping[str, str | None] | None = None, *, with_depth: bool = True
) -> CameraTopics:
    """The camera's topics in a bag.

    Args:
        reader: an open bag.
        wanted: topics the user named, by role: "color", "color_info", "depth", "depth_info".
        with_depth: False: depth is found by a model, so that none is looked for.

    Returns:
        The topics.

    Raises:
        BagError: a role has no topic; the sentence lists what the bag holds.
    """
    named = {role: topic for role, topic in (wanted or {}).items() if topic}
    if unknown := sorted(set(named.values()) - set(reader.topics)):
        raise BagError(f"{reader.path} has no topic {', '.join(unknown)}; it holds:\n{reader.describe()}")
    images = _image_topics(reader)
    color = _chosen(reader, "color", [i for i in images if not i.is_depth], named, _color_score)
    if not with_depth:
        color_info = named.get("color_info") or _info_of(reader, color)
        if color_info is None:
            raise _nothing_for(reader, "calibration", f"a {CAMERA_INFO} beside {color.name}")
        return CameraTopics(color=color.name, color_info=color_info, color_compressed=color.compressed)
    depth = _chosen(reader, "depth", [i for i in images if i.is_depth], named, lambda i: _depth_score(i, color))
    color_info = named.get("color_info") or _info_of(reader, color)
    depth_info = named.get("depth_info") or _info_of(reader, depth, default=color_info)
    if color_info is None or depth_info is None:
        raise _nothing_for(reader, "calibration", f"a {CAMERA_INFO} beside {color.name}")
    return CameraTopics(
        color=color.name,
        color_info=color_info,
        depth=depth.name,
        depth_info=depth_info,
        color_compressed=color.compressed,
        depth_compressed=depth.compressed,
    )


def _first_readable(reader: BagReader, name: str) -> Any:
    """The first message of a topic that can be read, of the first few; None when there is none."""
    for message in itertools.islice(reader.messages([name]), MESSAGES_TRIED):
        with contextlib.suppress(BagError):
            return message.deserialize()
    return None


def _image_topics(reader: BagReader) -> list[_ImageTopic]:
    """Every image topic that has a message which can be read."""
    found = []
    for topic in reader.topics.values():
        if topic.type not in (IMAGE, COMPRESSED) or topic.message_count == 0:
            continue
        message = _first_readable(reader, topic.name)
        if message is None:
            continue
        compressed = topic.type == COMPRESSED
        found.append(
            _ImageTopic(
                name=topic.name,
                compressed=compressed,
                encoding=message.format if compressed else message.encoding,
                frame_id=message.header.frame_id,
                size=None if compressed else (message.width, message.height),
            )
        )
    return found


def _chosen(
    reader: BagReader, role: str, candidates: list[_ImageTopic], named: Mapping[str, str], score: Any
) -> _ImageTopic:
    """The image topic the user named for a role, or the best candidate."""
    if role in named:
        match = [i for i in _image_topics(reader) if i.name == named[role]]
        if not match:
            raise BagError(f"Topic {named[role]} holds no images; {reader.path} holds:\n{reader.describe()}")
        return match[0]
    if not candidates:
        what = "an image with encoding " + ", ".join(DEPTH_ENCODINGS) if role == "depth" else "an image with colours"
        raise _nothing_for(reader, role, what)
    # Equal scores: the shorter and then the alphabetically first name, so that every run chooses the same.
    return max(candidates, key=lambda i: (score(i), -len(i.name), [-ord(c) for c in i.name]))


def _nothing_for(reader: BagReader, role: str, what: str) -> BagError:
    """The error for a role without a topic."""
    option = "--color-info" if role == "calibration" else f"--{role}"
    return BagError(f"{reader.path}: no topic is {what}; name one with {option}. The bag holds:\n{reader.describe()}")


def _count(name: str, words: Iterable[str]) -> int:
    """How many of the words are in a name."""
    return sum(word in name.lower() for word in words)


def _color_score(image: _ImageTopic) -> float:
    """How much a topic looks like the colour image."""
    encoding = image.encoding.lower()
    has_color = image.compressed or any(word in encoding for word in ("rgb", "bgr", "bayer", "yuv", "uyvy", "yuyv"))
    wrong = 3.0 * _count(image.name, OTHER_WORDS) + 2.0 * _count(image.name, DEPTH_WORDS)
    return 4.0 * has_color + _count(image.name, COLOR_WORDS) - wrong - 0.5 * image.compressed


def _depth_score(image: _ImageTopic, color: _ImageTopic) -> float:
    """How much a topic looks like depth that is registered to the colour image."""
    registered = 2.0 * (image.frame_id == color.frame_id) + 2.0 * (image.size is not None and image.size == color.size)
    named = _count(image.name, DEPTH_WORDS) + 0.5 * min(1, _count(image.name, REGISTERED_WORDS))
    return registered + named - 3.0 * _count(image.name, OTHER_WORDS) - 0.5 * image.compressed


def _info_of(reader: BagReader, image: _ImageTopic, default: str | None = None) -> str | None:
    """The calibration beside an image; by its name, else the one of the same frame and size, else the default."""
    infos = [topic.name for topic in reader.topics.values() if topic.type == CAMERA_INFO and topic.message_count != 0]
    sibling = f"{image.base.rpartition('/')[0]}/camera_info"
    if sibling in infos:
        return sibling
    for name in infos:
        message = _first_readable(reader, name)
        if message is None:
            continue
        same_size = image.size is None or image.size == (message.width, message.height)
        if message.header.frame_id == image.frame_id and same_size:
            return name
    if default is not None:
        return default
    return infos[0] if len(infos) == 1 else None
