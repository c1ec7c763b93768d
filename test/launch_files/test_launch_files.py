"""The launch files, executed against a stand-in of launch: arguments, parameters, remappings, environment."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from launch_files.stand_in import ExecuteProcess, LogInfo, RegisterEventHandler, Started, execute
from n3d_ros.errors import ConfigurationError
from n3d_ros.ros.camera_presets import load_camera_presets


@pytest.fixture
def n3d(repository: Path) -> Any:
    """Executes n3d.launch.py in an empty environment."""

    def run(environment: dict[str, str] | None = None, **arguments: str) -> Started:
        return execute(repository / "launch" / "n3d.launch.py", environment or {}, **arguments)

    return run


@pytest.fixture
def replay(repository: Path) -> Any:
    """Executes replay.launch.py, and n3d.launch.py which it includes, in an empty environment."""

    def run(**arguments: str) -> Started:
        return execute(repository / "launch" / "replay.launch.py", {}, **arguments)

    return run


def parameters_of(node: Any) -> dict[str, Any]:
    return {name: value for entry in node.parameters if isinstance(entry, dict) for name, value in entry.items()}


# --- n3d.launch.py


def test_without_arguments_the_node_alone_starts_with_its_own_topic_names(n3d: Any) -> None:
    started = n3d()
    assert started.executables == ["n3d_node"]
    node = started.node("n3d_node")
    assert (node.package, node.name, node.namespace) == ("n3d_ros", "n3d", "")
    assert node.remappings == []
    assert parameters_of(node) == {}


def test_the_shipped_parameters_are_read_first_and_the_users_after(n3d: Any, tmp_path: Path) -> None:
    own = tmp_path / "mine.yaml"
    own.write_text("/**:\n  ros__parameters: {}\n")
    files = [entry for entry in n3d(params_file=str(own)).node("n3d_node").parameters if isinstance(entry, str)]
    assert [Path(file).name for file in files] == ["n3d.yaml", "mine.yaml"]
    assert all(Path(file).is_file() for file in files)


def test_values_given_as_arguments_become_parameters_of_the_right_type(n3d: Any) -> None:
    node = n3d(
        grounder="geometric", output_frame="map", autostart="False", use_sim_time="true", rgb_transport="compressed"
    ).node("n3d_node")
    assert parameters_of(node) == {
        "grounder": "geometric",
        "output_frame": "map",
        "autostart": False,
        "use_sim_time": True,
        "rgb.transport": "compressed",
    }
    assert isinstance(node.parameters[-1], dict), "arguments win over files"


def test_a_model_is_named_by_one_argument_of_both_launch_files(n3d: Any, replay: Any) -> None:
    for started in (n3d(model="yuxinhk/N3D-VLM"), replay(bag="b", camera="generic", model="yuxinhk/N3D-VLM")):
        assert parameters_of(started.node("n3d_node"))["model"] == "yuxinhk/N3D-VLM"


def test_who_names_a_depth_model_wants_its_depth_and_a_file_that_says_fused_is_heeded(n3d: Any, tmp_path: Path) -> None:
    own = tmp_path / "mine.yaml"
    own.write_text("/**:\n  ros__parameters:\n    depth_source: fused\n")
    for given, source in (({}, "model"), ({"params_file": str(own)}, "fused"), ({"depth_source": "camera"}, "camera")):
        values = parameters_of(n3d(depth_model="depth-anything/DA3-SMALL", **given).node("n3d_node"))
        assert values == {"depth_source": source, "depth_model.model": "depth-anything/DA3-SMALL"}


@pytest.mark.parametrize("camera", sorted(load_camera_presets()))
def test_every_preset_remaps_the_inputs_and_hints_at_its_driver(n3d: Any, camera: str) -> None:
    preset = load_camera_presets()[camera]
    started = n3d(camera=camera)
    assert dict(started.node("n3d_node").remappings) == dict(preset.remappings)
    said = "\n".join(message.msg for message in started.all(LogInfo))
    assert all(text in said for text in (preset.launch, *preset.notes))


def test_who_names_the_topics_gets_no_hints(n3d: Any) -> None:
    assert not n3d(rgb_image="/a", depth_image="/b").all(LogInfo)


def test_a_prefix_moves_the_whole_camera(n3d: Any) -> None:
    remappings = dict(n3d(camera="realsense", camera_prefix="robot/front/").node("n3d_node").remappings)
    assert remappings["rgb/image"] == "/robot/front/color/image_raw"
    assert remappings["depth/camera_info"] == "/robot/front/aligned_depth_to_color/camera_info"


def test_a_named_topic_wins_over_the_preset_and_its_compressed_form_follows(n3d: Any) -> None:
    remappings = dict(n3d(camera="zed", rgb_image="/zed/zed_node/rgb/image_rect_color").node("n3d_node").remappings)
    assert remappings["rgb/image"] == "/zed/zed_node/rgb/image_rect_color"
    assert remappings["rgb/image/compressed"] == "/zed/zed_node/rgb/image_rect_color/compressed"
    assert remappings["depth/image"] == "/zed/zed_node/depth/depth_registered"


def test_the_transport_profile_is_set_for_everything_started(n3d: Any) -> None:
    profile = n3d().environment["FASTDDS_DEFAULT_PROFILES_FILE"]
    assert Path(profile).is_file()
    assert "FASTRTPS_DEFAULT_PROFILES_FILE" not in n3d().environment
    assert n3d({"ROS_DISTRO": "humble"}).environment["FASTRTPS_DEFAULT_PROFILES_FILE"] == profile


@pytest.mark.parametrize(
    "chosen", [{"FASTDDS_DEFAULT_PROFILES_FILE": "/mine.xml"}, {"RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"}]
)
def test_what_the_user_chose_for_transport_stays(n3d: Any, chosen: dict[str, str]) -> None:
    assert n3d(dict(chosen)).environment == chosen


def test_rviz_shows_this_nodes_topics_from_the_camera_or_the_output_frame(n3d: Any) -> None:
    rviz = n3d(camera="oak", rviz="true", namespace="left", name="eye").node("rviz2")
    assert rviz.arguments[0] == "-d"
    assert Path(rviz.arguments[1]).is_file()
    assert rviz.arguments[2:] == ["-f", "oak_rgb_camera_optical_frame"]
    assert dict(rviz.remappings)["/n3d/markers"] == "/left/eye/markers"
    assert n3d(rviz="true", output_frame="map").node("rviz2").arguments[3] == "map"


def test_points_clicked_in_rviz_go_to_this_node(n3d: Any) -> None:
    assert dict(n3d(rviz="true", namespace="left").node("rviz2").remappings)["/clicked_point"] == "/left/clicked_point"


def test_a_page_for_the_browser_is_served_for_this_node_on_this_machine_alone(n3d: Any, replay: Any) -> None:
    assert not n3d().all(ExecuteProcess)
    for started in (n3d(view="true", namespace="left", name="eye"), replay(bag="b", camera="generic", view="true")):
        page = started.all(ExecuteProcess)[0 if started.arguments.get("bag") is None else -2]
        assert page.cmd[:4] == [sys.executable, "-m", "n3d_ros.cli", "view"]
        assert page.cmd[6:] == ["--host", "127.0.0.1", "--port", "8080"]
    (page,) = n3d(view="true", namespace="left", name="eye").all(ExecuteProcess)
    assert page.cmd[4:6] == ["--node", "/left/eye"]


def test_the_pages_command_is_one_that_n3d_view_takes(n3d: Any) -> None:
    import argparse

    from n3d_ros.cli import view as command

    (page,) = n3d(view="true", view_host="0.0.0.0", view_port="9001").all(ExecuteProcess)
    parser = argparse.ArgumentParser(exit_on_error=False)
    command.add_arguments(parser)
    taken = parser.parse_args(page.cmd[4:])
    assert (taken.node, taken.host, taken.port) == ("/n3d", "0.0.0.0", 9001)


def test_the_log_level_reaches_the_node(n3d: Any) -> None:
    assert n3d(log_level="debug").node("n3d_node").arguments == ["--ros-args", "--log-level", "debug"]


@pytest.mark.parametrize(
    "wrong",
    [{"rviz": "maybe"}, {"view": "?"}, {"autostart": "2"}, {"params_file": "/nowhere.yaml"}, {"use_sim_time": "x"}],
)
def test_wrong_values_are_refused_by_name(n3d: Any, wrong: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        n3d(**wrong)


def test_an_unknown_camera_is_refused(n3d: Any) -> None:
    with pytest.raises(RuntimeError, match="pinhole"):
        n3d(camera="pinhole")


def test_every_argument_says_what_it_is(n3d: Any, replay: Any) -> None:
    for started in (n3d(), replay(bag="b", camera="generic")):
        assert all(argument.description for argument in started.arguments.values())


# --- replay.launch.py


def test_a_bag_is_played_by_our_player_with_the_clock_and_the_node_follows_it(replay: Any) -> None:
    started = replay(bag="my bag", camera="realsense", rate="0.5", loop="true")
    (player,) = started.all(ExecuteProcess)
    assert player.cmd[:5] == [sys.executable, "-m", "n3d_ros.cli", "replay", "my bag"]
    assert player.cmd[5:] == ["--rate", "0.5", "--loop", "--clock", "--wait", "30.0"]
    node = started.node("n3d_node")
    assert parameters_of(node)["use_sim_time"] is True
    assert dict(node.remappings)["rgb/image"] == "/camera/camera/color/image_raw"
    assert not started.all(RegisterEventHandler)


def test_the_players_command_is_one_that_n3d_replay_takes(replay: Any) -> None:
    import argparse

    from n3d_ros.cli import replay as command

    (player,) = replay(bag="b", camera="generic", loop="true").all(ExecuteProcess)
    parser = argparse.ArgumentParser(exit_on_error=False)
    command.add_arguments(parser)
    taken = parser.parse_args(player.cmd[4:])
    assert (taken.bag, taken.rate, taken.loop, taken.clock, taken.wait) == ("b", 1.0, True, True, 30.0)


def test_without_the_clock_the_node_lives_in_wall_time(replay: Any) -> None:
    started = replay(bag="b", camera="generic", clock="false")
    assert "--clock" not in started.all(ExecuteProcess)[0].cmd
    assert parameters_of(started.node("n3d_node"))["use_sim_time"] is False


def test_ros2_bag_play_can_be_the_player(replay: Any) -> None:
    (player,) = replay(bag="b", camera="generic", player="ros2").all(ExecuteProcess)
    assert player.cmd == ["ros2", "bag", "play", "b", "--rate", "1", "--clock", "--delay", "3.0"]


def test_everything_ends_with_the_recording_when_asked(replay: Any) -> None:
    assert len(replay(bag="b", camera="generic", exit_at_end="true").all(RegisterEventHandler)) == 1


def test_the_node_s_arguments_are_passed_on(replay: Any) -> None:
    started = replay(bag="b", camera="generic", rviz="true", namespace="lab", output_frame="odom", log_level="warn")
    assert started.executables == ["n3d_node", "rviz2"]
    assert started.node("n3d_node").namespace == "lab"
    assert parameters_of(started.node("n3d_node"))["output_frame"] == "odom"


def test_the_player_uses_the_same_transport_as_the_node(replay: Any) -> None:
    (player,) = replay(bag="b", camera="generic").all(ExecuteProcess)
    assert Path(player.env["FASTDDS_DEFAULT_PROFILES_FILE"]).is_file()


@pytest.mark.parametrize("rate", ["0", "-1", "fast", "nan"])
def test_a_rate_that_is_no_rate_is_refused(replay: Any, rate: str) -> None:
    with pytest.raises(ConfigurationError, match="rate"):
        replay(bag="b", camera="generic", rate=rate)


def test_a_missing_bag_argument_is_refused(replay: Any) -> None:
    with pytest.raises(RuntimeError, match="bag"):
        replay()


def test_the_topics_are_found_in_the_bag(replay: Any, small_bag: Path) -> None:
    remappings = dict(replay(bag=str(small_bag)).node("n3d_node").remappings)
    assert remappings["rgb/image"] == "/cam/rgb"
    assert remappings["rgb/camera_info"] == "/cam/camera_info"
    assert remappings["depth/image"] == "/cam/depth"
