"""Plays a bag into the node, with RViz when asked.

    ros2 launch n3d_ros replay.launch.py bag:=my_bag rviz:=true
    ros2 launch n3d_ros replay.launch.py bag:=my_bag camera:=realsense loop:=true rate:=0.5

`camera:=auto` looks into the bag for the colour image, the depth image and their calibrations.
"""

import sys

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    IncludeLaunchDescription,
    OpaqueFunction,
    RegisterEventHandler,
    Shutdown,
)
from launch.event_handlers import OnProcessExit
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

from n3d_ros.errors import ConfigurationError
from n3d_ros.ros.camera_presets import load_camera_presets
from n3d_ros.ros.given_parameters import implied_depth_source
from n3d_ros.ros.transport import apply_transport_profile, share_file

AUTO = "auto"
PLAYERS = ["n3d", "ros2"]
PASSED_ON = (
    *("params_file", "namespace", "name", "grounder", "output_frame", "autostart", "log_level", "rviz", "rviz_config"),
    *("camera_prefix", "model", "depth_source", "depth_model", "metric_model", "view", "view_host", "view_port"),
)
TRUE, FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off")
TOPIC_ARGUMENTS = {
    "rgb/image": "rgb_image",
    "rgb/image/compressed": "rgb_image",
    "rgb/camera_info": "rgb_camera_info",
    "depth/image": "depth_image",
    "depth/image/compressedDepth": "depth_image",
    "depth/camera_info": "depth_camera_info",
}


def generate_launch_description() -> LaunchDescription:
    def argument(name: str, default: str | None, text: str, choices: list[str] | None = None) -> DeclareLaunchArgument:
        return DeclareLaunchArgument(name, default_value=default, description=text, choices=choices)

    return LaunchDescription(
        [
            argument("bag", None, "the recording: a rosbag2 folder, or one .mcap or .db3 file"),
            argument("rate", "1.0", "times real time"),
            argument("loop", "false", "true begins again at the end"),
            argument("clock", "true", "publish /clock; the node then lives in the recording's time"),
            argument("wait", "30.0", "seconds to wait for the node before the first message"),
            argument("exit_at_end", "false", "true ends everything when the recording ends"),
            argument("player", "n3d", "n3d replay, or ros2 bag play", PLAYERS),
            argument("camera", AUTO, "auto finds the topics in the bag; or a preset", [AUTO, *load_camera_presets()]),
            argument("camera_prefix", "", "what the camera's topics begin with, when not the preset's"),
            argument("params_file", "", "your parameters (YAML), after the shipped defaults"),
            argument("namespace", "", "namespace of the node"),
            argument("name", "n3d", "name of the node"),
            argument("model", "", "language model: a folder of weights or graphs, a hub id, or n3d-nano; empty: none"),
            argument("grounder", "", "auto (default: the model when there is one), geometric or language_model"),
            argument("depth_source", "", "camera (default), model (found in the colour image) or fused (both)"),
            argument(
                "depth_model",
                "",
                "depth model: a folder of weights or graphs, or a hub id such as depth-anything/DA3-SMALL",
            ),
            argument("metric_model", "", "gives it metres: a folder, or such as depth-anything/DA3METRIC-LARGE"),
            argument("output_frame", "", "frame of the results; empty: the image's own"),
            argument("autostart", "", "false waits for the lifecycle services"),
            argument("log_level", "info", "debug, info, warn, error or fatal"),
            argument("rviz", "false", "true starts RViz"),
            argument("rviz_config", "", "another RViz file"),
            argument("view", "false", "true serves a page for the browser (n3d view)"),
            argument("view_host", "127.0.0.1", "address of the page; 0.0.0.0 for browsers of other machines"),
            argument("view_port", "8080", "port of the page"),
            OpaqueFunction(function=launch_setup),
        ]
    )


def launch_setup(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    def value(name: str) -> str:
        return str(LaunchConfiguration(name).perform(context).strip())

    clock = _is_true("clock", value("clock"))
    arguments = {name: value(name) for name in PASSED_ON} | {"use_sim_time": "true" if clock else "false"}
    if value("camera") == AUTO:
        source = value("depth_source")
        if value("depth_model") and not source:
            source = implied_depth_source(value("params_file"), value("name"))
        is_found = source == "model"
        arguments |= {"camera": "generic"} | _camera_arguments(value("bag"), with_depth=not is_found)
    else:
        arguments |= {"camera": value("camera")}
    environment = dict(context.environment)
    apply_transport_profile(environment)
    command = _player_command(
        value("player"),
        bag=value("bag"),
        rate=_rate(value("rate")),
        loop=_is_true("loop", value("loop")),
        clock=clock,
        wait=value("wait"),
    )
    player = ExecuteProcess(cmd=command, name="player", output="screen", env=environment)
    node = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(share_file("launch", "n3d.launch.py"))), launch_arguments=arguments.items()
    )
    if not _is_true("exit_at_end", value("exit_at_end")):
        return [node, player]
    end = OnProcessExit(target_action=player, on_exit=[Shutdown(reason="the recording has ended")])
    return [node, RegisterEventHandler(end), player]


def _player_command(player: str, *, bag: str, rate: float, loop: bool, clock: bool, wait: str) -> list[str]:
    """The command that plays the bag."""
    switches = [*(["--loop"] if loop else []), *(["--clock"] if clock else [])]
    if player == "ros2":
        return ["ros2", "bag", "play", bag, "--rate", f"{rate:g}", *switches, "--delay", "3.0"]
    return [sys.executable, "-m", "n3d_ros.cli", "replay", bag, "--rate", f"{rate:g}", *switches, "--wait", wait]


def _camera_arguments(bag: str, *, with_depth: bool) -> dict[str, str]:
    """The arguments of n3d.launch.py that name the camera's topics in the bag."""
    from n3d_ros.ros.bag import BagReader
    from n3d_ros.ros.camera_topics import find_camera_topics

    with BagReader(bag) as reader:
        topics = find_camera_topics(reader, with_depth=with_depth)
    named = {TOPIC_ARGUMENTS[topic]: target for topic, target in topics.remappings.items()}
    transports = {name.replace(".", "_"): value for name, value in topics.parameters.items()}
    return named | transports


def _rate(text: str) -> float:
    """The rate as a number above zero."""
    try:
        rate = float(text)
    except ValueError:
        rate = float("nan")
    if not rate > 0:
        raise ConfigurationError(f"rate: expected a number above 0, got {text!r}.")
    return rate


def _is_true(name: str, value: str) -> bool:
    """The truth of an argument."""
    if value.lower() not in (*TRUE, *FALSE):
        raise ConfigurationError(f"{name}: expected true or false, got {value!r}.")
    return value.lower() in TRUE
