"""The camera presets of ``config/cameras.yaml``: what drivers call the node's inputs. Needs no ROS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from n3d_ros.errors import ConfigurationError
from n3d_ros.ros.transport import share_file

INPUT_TOPICS = ("rgb/image", "rgb/camera_info", "depth/image", "depth/camera_info")
"""The node's inputs, by the names that are remapped."""

TRANSPORT_ENDINGS = MappingProxyType({"rgb/image": "/compressed", "depth/image": "/compressedDepth"})
"""What image_transport appends to the names of compressed images. Remapping the image alone does not move these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraPreset:
    """One camera driver's names.

    Args:
        name: key of the preset.
        title: the cameras it is for.
        remappings: the node's topic -> the driver's.
        parameters: of the node, by dotted name.
        frame: the colour image's optical frame.
        prefix: what the driver's topics begin with; empty: the root.
        launch: command that starts the driver as needed; empty when there is none.
        notes: what to know.
    """

    name: str
    title: str = ""
    remappings: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    parameters: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    frame: str = ""
    prefix: str = ""
    launch: str = ""
    notes: tuple[str, ...] = ()

    def with_prefix(self, prefix: str) -> CameraPreset:
        """The preset of a driver that runs under another name.

        Args:
            prefix: such as "/front/camera"; empty changes nothing.

        Returns:
            The preset with its topics moved there.
        """
        if not prefix:
            return self
        new = "/" + prefix.strip("/")
        moved = {topic: new + target.removeprefix(self.prefix) for topic, target in self.remappings.items()}
        return replace(self, remappings=MappingProxyType(moved), prefix=new)

    def with_topics(self, topics: Mapping[str, str]) -> CameraPreset:
        """The preset with some topics named by the user, compressed ones following their image.

        Args:
            topics: the node's topic -> the camera's; empty values change nothing.

        Returns:
            The preset.

        Raises:
            ConfigurationError: a topic the node does not have.
        """
        changed = dict(self.remappings)
        for topic, target in topics.items():
            if topic not in INPUT_TOPICS:
                raise ConfigurationError(f"Input topic: expected one of {', '.join(INPUT_TOPICS)}, got {topic!r}.")
            if target:
                ending = TRANSPORT_ENDINGS.get(topic, "")
                changed[topic] = target.removesuffix(ending)
                changed[topic + ending] = changed[topic] + ending
        return replace(self, remappings=MappingProxyType(changed))


def load_camera_presets(path: Path | None = None) -> dict[str, CameraPreset]:
    """The presets by name, in the order of the file.

    Args:
        path: a file of that form; None: the one that ships with the package.

    Returns:
        Presets.

    Raises:
        ConfigurationError: the file is missing or has another form.
    """
    import yaml

    path = share_file("config", "cameras.yaml") if path is None else path
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return {str(name): _preset(str(name), entry) for name, entry in content["cameras"].items()}
    except (OSError, yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(f"{path}: expected `cameras:` with a preset per name ({error!r}).") from error


def camera_preset(name: str, presets: Mapping[str, CameraPreset] | None = None) -> CameraPreset:
    """The preset of that name.

    Args:
        name: such as "realsense".
        presets: where to look; None: those that ship with the package.

    Returns:
        The preset.

    Raises:
        ConfigurationError: there is none.
    """
    known = load_camera_presets() if presets is None else presets
    if name not in known:
        raise ConfigurationError(f"Camera: expected one of {', '.join(known)}, got {name!r}.")
    return known[name]


def _preset(name: str, entry: Mapping[str, Any]) -> CameraPreset:
    """One entry of the file."""
    return CameraPreset(
        name=name,
        title=str(entry.get("title", "")),
        remappings=MappingProxyType({str(k): str(v) for k, v in (entry.get("remappings") or {}).items()}),
        parameters=MappingProxyType(dict(entry.get("parameters") or {})),
        frame=str(entry.get("frame") or ""),
        prefix=str(entry.get("prefix") or ""),
        launch=str(entry.get("launch") or ""),
        notes=tuple(str(note) for note in entry.get("notes") or ()),
    )
