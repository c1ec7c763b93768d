"""Starts the node for a camera, and RViz or a page for the browser when asked.

    ros2 launch n3d_ros n3d.launch.py camera:=realsense
    ros2 launch n3d_ros n3d.launch.py camera:=generic rgb_image:=/my/rgb rgb_camera_info:=/my/rgb_info \
        depth_image:=/my/depth depth_camera_info:=/my/depth_info
    ros2 launch n3d_ros n3d.launch.py camera:=realsense model:=/models/N3D-VLM view:=true
    ros2 launch n3d_ros n3d.launch.py rgb_image:=/webcam/image_raw rgb_camera_info:=/webcam/camera_info \
        depth_model:=/models/DA3-SMALL metric_model:=/models/DA3METRIC-LARGE
    ros2 launch n3d_ros n3d.launch.py --show-args

Values on the command line win over those of `params_file`, which win over `config/n3d.yaml`; an empty value leaves the
parameter alone. The camera's own driver is not started: `config/cameras.yaml` says how, per camera.
"""

import contextlib
import sys
from pathlib import Path

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, ExecuteProcess, LogInfo, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from n3d_ros.errors import ConfigurationError
from n3d_ros.ros.camera_presets import CameraPreset, camera_preset, load_camera_presets
from n3d_ros.ros.given_parameters import implied_depth_source
from n3d_ros.ros.transport import apply_transport_profile, share_file

TOPIC_ARGUMENTS = {
    "rgb_image": "rgb/image",
    "rgb_camera_info": "rgb/camera_info",
    "depth_image": "depth/image",
    "depth_camera_info": "depth/camera_info",
}
PARAMETER_ARGUMENTS = {
    "model": "model",
    "grounder": "grounder",
    "depth_source": "depth_source",
    "depth_model": "depth_model.model",
    "metric_model": "depth_model.metric_model",
    "output_frame": "output_frame",
    "autostart": "autostart",
    "rgb_transport": "rgb.transport",
    "depth_transport": "depth.transport",
    "use_sim_time": "use_sim_time",
}
BOOLEANS = {"autostart", "use_sim_time"}
TRUE, FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off")
RVIZ_TOPICS = ("objects", "markers", "debug/image", "frame_report", "depth/points")


def generate_launch_description() -> LaunchDescription:
    presets = load_camera_presets()

    def argument(name: str, default: str, description: str, choices: list[str] | None = None) -> DeclareLaunchArgument:
        return DeclareLaunchArgument(name, default_value=default, description=description, choices=choices)

    return LaunchDescription(
        [
            argument("camera", "generic", "whose topic names to use", list(presets)),
            argument("camera_prefix", "", "what the driver's topics begin with, when not the preset's"),
            argument("rgb_image", "", "colour image, when not the preset's"),
            argument("rgb_camera_info", "", "its calibration"),
            argument("depth_image", "", "depth image, when not the preset's"),
            argument("depth_camera_info", "", "its calibration"),
            argument("rgb_transport", "", "raw (default) or compressed"),
            argument("depth_transport", "", "raw (default) or compressedDepth"),
            argument("params_file", "", "your parameters (YAML), after the shipped defaults"),
            argument("namespace", "", "namespace of the node; give each of several cameras its own"),
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
            argument("use_sim_time", "", "true takes the time from /clock (simulation, replay)"),
            argument("log_level", "info", "debug, info, warn, error or fatal"),
            argument("rviz", "false", "true starts RViz with config/n3d.rviz"),
            argument("rviz_config", "", "another RViz file"),
            argument("view", "false", "true serves a page for the browser (n3d view)"),
            argument("view_host", "127.0.0.1", "address of the page; 0.0.0.0 for browsers of other machines"),
            argument("view_port", "8080", "port of the page"),
            OpaqueFunction(function=launch_setup),
        ]
    )


def launch_setup(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    values = _values(context)
    topics = {topic: values[name] for name, topic in TOPIC_ARGUMENTS.items()}
    preset = camera_preset(values["camera"]).with_prefix(values["camera_prefix"]).with_topics(topics)
    parameters = {**preset.parameters, **_parameters(values)}
    node = Node(
        package="n3d_ros",
        executable="n3d_node",
        name=values["name"],
        namespace=values["namespace"],
        parameters=[*_parameter_files(values["params_file"]), parameters],
        remappings=list(preset.remappings.items()),
        arguments=["--ros-args", "--log-level", values["log_level"]],
        output="screen",
        emulate_tty=True,
    )
    hints = [] if any(topics.values()) else _hints(preset)  # who names topics knows what the camera does
    started = [*_transport(context), *hints, node]
    if _is_true("rviz", values["rviz"]):
        started.append(_rviz(values, preset))
    if _is_true("view", values["view"]):
        started.append(_view(values))
    return started


def _values(context: LaunchContext) -> dict[str, str]:
    """Every argument's value."""
    names = [
        *TOPIC_ARGUMENTS,
        *PARAMETER_ARGUMENTS,
        *("camera", "camera_prefix", "params_file", "namespace", "name", "log_level", "rviz", "rviz_config"),
        *("view", "view_host", "view_port"),
    ]
    return {name: LaunchConfiguration(name).perform(context).strip() for name in names}


def _parameters(values: dict[str, str]) -> dict[str, str | bool]:
    """The parameters that were given as arguments; who names a depth model wants its depth."""
    implied: dict[str, str | bool] = {}
    if values["depth_model"] and not values["depth_source"]:
        implied["depth_source"] = implied_depth_source(values["params_file"], values["name"])
    return implied | {
        parameter: _is_true(name, values[name]) if name in BOOLEANS else values[name]
        for name, parameter in PARAMETER_ARGUMENTS.items()
        if values[name]
    }


def _is_true(name: str, value: str) -> bool:
    """The truth of an argument."""
    if value.lower() not in (*TRUE, *FALSE):
        raise ConfigurationError(f"{name}: expected true or false, got {value!r}.")
    return value.lower() in TRUE


def _parameter_files(own: str) -> list[str]:
    """The shipped parameters, then the user's."""
    files = []
    with contextlib.suppress(ConfigurationError):  # the node's built-in defaults are the same
        files.append(str(share_file("config", "n3d.yaml")))
    if own:
        if not Path(own).expanduser().is_file():
            raise ConfigurationError(f"params_file: expected a parameter file, {own} does not exist.")
        files.append(str(Path(own).expanduser()))
    return files


def _transport(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Sets the Fast DDS profile for everything started here, unless the user has chosen one."""
    before = dict(context.environment)
    after = dict(before)
    apply_transport_profile(after)
    return [SetEnvironmentVariable(name, after[name]) for name in after if after[name] != before.get(name)]


def _hints(preset: CameraPreset) -> list[LaunchDescriptionEntity]:
    """How the driver wants to be started, since a wrong start is the most common reason for silence."""
    lines = [f"Driver: {preset.launch}"] if preset.launch else []
    return [LogInfo(msg=f"[{preset.name}] {line}") for line in (*lines, *preset.notes)]


def _full_name(values: dict[str, str], name: str) -> str:
    """A name in the node's namespace, from the root."""
    return "/".join(["", *filter(None, [values["namespace"].strip("/"), name])])


def _view(values: dict[str, str]) -> ExecuteProcess:
    """The page for the browser; the node goes on when it ends, for instance because its packages are missing."""
    command = [sys.executable, "-m", "n3d_ros.cli", "view", "--node", _full_name(values, values["name"])]
    address = ["--host", values["view_host"], "--port", values["view_port"]]
    return ExecuteProcess(cmd=[*command, *address], name="view", output="screen")


def _rviz(values: dict[str, str], preset: CameraPreset) -> Node:
    """RViz with its topics led to this node's, looking from the frame that results are in."""
    here = _full_name(values, values["name"])
    config = values["rviz_config"] or str(share_file("config", "n3d.rviz"))
    return Node(
        package="rviz2",
        executable="rviz2",
        name="rviz",
        namespace=values["namespace"],
        arguments=["-d", config, "-f", values["output_frame"] or preset.frame],
        parameters=[
            {"use_sim_time": bool(values["use_sim_time"]) and _is_true("use_sim_time", values["use_sim_time"])}
        ],
        remappings=[
            *((f"/n3d/{topic}", f"{here}/{topic}") for topic in RVIZ_TOPICS),
            ("/clicked_point", _full_name(values, "clicked_point")),
        ],
        output="log",
    )
