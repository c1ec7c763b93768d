"""Starts one node per camera, each in a namespace of its own.

    ros2 launch n3d_ros multi_camera.launch.py cameras:="front=realsense rear=realsense" output_frame:=base_link
    ros2 launch n3d_ros multi_camera.launch.py cameras:="left=zed:/left/zed_node top=oak:/oak_top"

Each camera is `namespace=preset` or `namespace=preset:prefix`; the prefix is what the driver's topics begin with, by
default the preset's behind the namespace (`/front/camera/camera`). The node of `front` is `/front/n3d`, which is asked
at `/front/n3d/query`. Every driver needs frames of its own (`camera_name`, `tf_prefix`, ...), and tf between them if
results are wanted in one `output_frame`. The other arguments hold for all nodes.
"""

import re
from typing import NamedTuple

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

from n3d_ros.errors import ConfigurationError
from n3d_ros.ros.camera_presets import camera_preset
from n3d_ros.ros.transport import share_file

FORM = "namespace=preset or namespace=preset:/prefix, such as front=realsense:/front/camera"
NAMESPACE = re.compile(r"[A-Za-z]\w*(/[A-Za-z]\w*)*")
PREFIX = re.compile(r"(/[A-Za-z]\w*)+")
FOR_ALL = (
    *("params_file", "model", "grounder", "depth_source", "depth_model", "metric_model", "output_frame", "autostart"),
    *("use_sim_time", "log_level", "view"),
)
FIRST_VIEW_PORT = "8080"


class Camera(NamedTuple):
    """One camera: the namespace of its node, its preset, and what its topics begin with."""

    namespace: str
    preset: str
    prefix: str


def generate_launch_description() -> LaunchDescription:
    def argument(name: str, default: str | None, description: str) -> DeclareLaunchArgument:
        return DeclareLaunchArgument(name, default_value=default, description=description)

    return LaunchDescription(
        [
            argument("cameras", None, f"each as {FORM}; blanks between them"),
            argument("params_file", "", "your parameters (YAML), after the shipped defaults"),
            argument("model", "", "language model; every node loads its own copy"),
            argument("grounder", "", "auto (default: the model when there is one), geometric or language_model"),
            argument("depth_source", "", "camera (default), model (found in the colour image) or fused (both)"),
            argument(
                "depth_model",
                "",
                "depth model: a folder of weights or graphs, or a hub id such as depth-anything/DA3-SMALL",
            ),
            argument("metric_model", "", "gives it metres: a folder, or such as depth-anything/DA3METRIC-LARGE"),
            argument(
                "output_frame", "", "one frame for the results of all, such as base_link; empty: each image's own"
            ),
            argument("autostart", "", "false waits for the lifecycle services"),
            argument("use_sim_time", "", "true takes the time from /clock (simulation, replay)"),
            argument("log_level", "info", "debug, info, warn, error or fatal"),
            argument("view", "false", "true serves a page for the browser per camera, on ports from view_port on"),
            argument("view_host", "127.0.0.1", "address of the pages; 0.0.0.0 for browsers of other machines"),
            argument("view_port", FIRST_VIEW_PORT, "port of the first camera's page"),
            OpaqueFunction(function=launch_setup),
        ]
    )


def launch_setup(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    def value(name: str) -> str:
        return str(LaunchConfiguration(name).perform(context).strip())

    shared = {name: value(name) for name in (*FOR_ALL, "view_host")}
    port = value("view_port")
    if not port.isdecimal():
        raise ConfigurationError(f"view_port: expected a number, got {port!r}.")
    source = PythonLaunchDescriptionSource(str(share_file("launch", "n3d.launch.py")))
    return [
        IncludeLaunchDescription(
            source,
            launch_arguments={
                **shared,
                "namespace": camera.namespace,
                "camera": camera.preset,
                "camera_prefix": camera.prefix,
                "view_port": str(int(port) + number),
            }.items(),
        )
        for number, camera in enumerate(_cameras(value("cameras")))
    ]


def _cameras(text: str) -> list[Camera]:
    """The cameras that the argument names."""
    cameras = [_camera(word) for word in text.split()]
    namespaces = [camera.namespace for camera in cameras]
    if not cameras or len(set(namespaces)) < len(namespaces):
        raise ConfigurationError(f"cameras: expected one or more, each with a namespace of its own, got {text!r}.")
    return cameras


def _camera(word: str) -> Camera:
    """A camera of the form namespace=preset:prefix."""
    namespace, separator, rest = word.partition("=")
    name, _, prefix = rest.partition(":")
    if not separator or not NAMESPACE.fullmatch(namespace) or (prefix and not PREFIX.fullmatch(prefix)):
        raise ConfigurationError(f"cameras: expected {FORM}, got {word!r}.")
    preset = camera_preset(name)
    return Camera(namespace, preset.name, prefix or f"/{namespace}{preset.prefix}")
