"""The ``n3d`` command: help, errors in one sentence, exit codes, its own environment, signals."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from n3d_msgs.action import Ground
from n3d_msgs.srv import Locate, SpatialQuery
from rclpy.duration import Duration
from std_msgs.msg import String

from bags_for_tests import START_NS, write_camera_bag
from domains import REPLAY_DOMAIN_ID
from n3d_ros.cli import environment, start
from n3d_ros.cli import main as cli
from n3d_ros.cli.console import size_text, table
from n3d_ros.errors import ConfigurationError, StatusCode
from n3d_ros.ros import client
from n3d_ros.ros.bag import BagReader, BagWriter
from n3d_ros.ros.session import ros_node

COMMAND = [sys.executable, "-m", "n3d_ros.cli"]


@pytest.fixture(autouse=True)
def own_domain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", str(REPLAY_DOMAIN_ID))
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")


@pytest.fixture
def environ(repository: Path) -> dict[str, str]:
    path = os.pathsep.join([str(repository), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path}


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_every_command_has_help_with_examples(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main([*name.split(), "--help"])
    text = capsys.readouterr().out
    assert end.value.code == 0 and "examples:" in text and f"n3d {name}" in text.split("examples:")[1]


def test_the_list_of_commands_names_them_all(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["--help"])
    text = capsys.readouterr().out
    assert end.value.code == 0 and all(f"\n  {name} " in text for name in cli.COMMANDS)


def test_help_loads_neither_ros_nor_opencv(repository: Path, environ: dict[str, str]) -> None:
    code = (
        "import sys\nfrom n3d_ros.cli.main import main\n"
        "try:\n    main(['replay', '--help'])\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('rclpy', 'cv2', 'numpy', 'rosbags') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, timeout=60)
    assert result.stdout.splitlines()[-1] == "[]", result.stderr


def test_an_unknown_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["fly"])
    assert end.value.code == cli.EXIT_USAGE and "fly" in capsys.readouterr().err


def test_a_word_that_begins_several_commands_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["engine"]) == cli.EXIT_USAGE
    told = capsys.readouterr().err
    assert "n3d engine {build,list,verify,clean}" in told and "n3d engine verify  check engines" in told
    assert "n3d demo" not in told


def test_errors_are_one_sentence_and_exit_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = cli.main(["run", str(tmp_path / "none"), "-o", str(tmp_path / "out")])
    error = capsys.readouterr().err
    assert code == cli.EXIT_FAILED
    assert error.startswith("n3d: ") and "nothing of that name" in error and "Traceback" not in error


def test_verbose_shows_where_an_error_comes_from(tmp_path: Path) -> None:
    from n3d_ros.errors import BagError

    with pytest.raises(BagError):
        cli.main(["run", str(tmp_path / "none"), "-o", str(tmp_path / "out"), "--verbose"])


def test_a_command_of_two_words_goes_before_the_one_of_its_first_word() -> None:
    commands = {"depth", "depth eval", "run"}
    assert cli.split_command(["depth", "eval", "-o", "x"], commands) == ("depth eval", ["-o", "x"])
    assert cli.split_command(["depth", "./eval"], commands) == ("depth", ["./eval"])
    assert cli.split_command(["run", "eval"], commands) == ("run", ["eval"])
    assert cli.split_command(["eval"], commands) == (None, [])
    assert cli.split_command(["--help"], commands) == (None, [])


def test_packages_add_commands_but_replace_none(monkeypatch: pytest.MonkeyPatch) -> None:
    module = SimpleNamespace(
        SUMMARY="Adds.", EXAMPLES="n3d extra", NEEDS_ROS=False, add_arguments=lambda _: None, run=lambda _: 7
    )
    monkeypatch.setitem(sys.modules, "extra_command", module)
    group = cli.ENTRY_POINT_GROUP
    entries = [EntryPoint("extra", "extra_command", group), EntryPoint("run", "extra_command", group)]
    monkeypatch.setattr(cli, "entry_points", lambda **_: entries)
    assert cli.main(["extra"]) == 7
    assert cli.all_commands()["run"] == cli.COMMANDS["run"]


def test_the_list_takes_the_words_of_added_commands_from_them_and_names_one_that_is_broken(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "extra_command", SimpleNamespace(SUMMARY="do more"))
    group = cli.ENTRY_POINT_GROUP
    entries = [EntryPoint("extra", "extra_command", group), EntryPoint("broken", "no_such_module", group)]
    monkeypatch.setattr(cli, "entry_points", lambda **_: entries)
    assert cli.main([]) == cli.EXIT_USAGE
    listed = capsys.readouterr().out
    assert re.search(r"\n  extra +do more\n", listed)
    assert re.search(r"\n  broken +\(of no_such_module; cannot be loaded: No module named 'no_such_module'\)", listed)


def test_a_command_called_without_any_environment_enters_its_own(repository: Path, tmp_path: Path) -> None:
    if not Path(sys.prefix, environment.ENVIRONMENT_FILE).is_file():
        pytest.skip("ROS comes from a distribution here, which the user sources")
    bare = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONPATH": str(repository)}
    command = [*COMMAND, "run", str(tmp_path / "none"), "-o", str(tmp_path / "out")]
    result = subprocess.run(command, env=bare, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert result.returncode == 1 and "nothing of that name" in result.stderr, result.stderr


def test_the_environment_file_is_read_with_all_its_quirks(tmp_path: Path) -> None:
    (tmp_path / "env.sh").write_text("export A='two words'\nexport B=\"line\nbreak\"\nC=private\n")
    variables = environment.environment_of(tmp_path / "env.sh")
    assert variables["A"] == "two words" and variables["B"] == "line\nbreak" and "C" not in variables
    (tmp_path / "bad.sh").write_text("exit 3\n")
    with pytest.raises(ConfigurationError, match="could not be sourced"):
        environment.environment_of(tmp_path / "bad.sh")


def test_without_ros_and_without_a_file_the_user_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "missing_modules", lambda: ("rclpy",))
    monkeypatch.setenv(environment.GUARD_VARIABLE, "1")
    with pytest.raises(ConfigurationError, match="rclpy missing. Source your ROS distribution"):
        environment.ensure_ros_environment()


def test_locate_without_a_node_says_how_to_start_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(client, "DISCOVERY_TIMEOUT_S", 0.2)
    assert cli.main(["locate", "red box", "--node", "/nobody"]) == cli.EXIT_NO_NODE
    assert "No node answers at /nobody/locate. Start one with `n3d start`" in capsys.readouterr().err


def test_phrases_that_are_too_long_are_refused_before_they_are_sent(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["locate", "x" * 513]) == 1
    assert "513 bytes; expected at most 512" in capsys.readouterr().err


@pytest.mark.parametrize("word", ["rgb/image", ":=/a", "a:="])
def test_remappings_of_another_form_are_refused(word: str) -> None:
    with pytest.raises(ConfigurationError, match="FROM:=TO"):
        start.parse_remappings([word])


def test_a_parameter_of_another_form_is_refused_in_its_own_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["run", str(tmp_path), "-o", str(tmp_path / "out"), "-p", "output_frame"]) == 1
    assert "Expected NAME:=VALUE, got 'output_frame'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (StatusCode.OK, 0),
        (StatusCode.NOT_FOUND, cli.EXIT_NOTHING_FOUND),
        (StatusCode.NO_FRAME, cli.EXIT_FAILED),
        (StatusCode.NOT_UNDERSTOOD, cli.EXIT_NOT_UNDERSTOOD),
        (StatusCode.AMBIGUOUS, cli.EXIT_NOT_UNDERSTOOD),
    ],
)
@pytest.mark.parametrize("command", ["locate", "query", "ask"])
def test_scripts_tell_nothing_found_from_not_able_to_look(
    command: str, status: StatusCode, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reply(*_args: object, **_options: object) -> Any:
        kinds = {"locate": Locate.Response, "query": SpatialQuery.Response, "ask": Ground.Result}
        response = kinds[command](success=status is StatusCode.OK)
        response.status.code = int(status)
        return response

    monkeypatch.setattr(client.NodeClient, command, reply)
    assert cli.main([command, "red box"]) == code


def test_the_command_line_of_the_node_carries_every_setting() -> None:
    command = start.node_command(
        remappings={"rgb/image": "/a"},
        parameters={"use_sim_time": True, "max_objects": 5},
        parameter_files=[Path("p.yaml")],
        namespace="/robot",
        name="eyes",
        log_level="debug",
    )
    text = " ".join(command)
    assert "--ros-args --params-file p.yaml -p use_sim_time:=true -p max_objects:=5 -r rgb/image:=/a" in text
    assert text.endswith("-r __ns:=/robot -r __node:=eyes --log-level debug")


@pytest.mark.parametrize("command", ["start", "run BAG -o OUT", "demo"])
def test_a_model_is_named_by_one_option_of_each_command(command: str, tmp_path: Path) -> None:
    name, *needed = command.split()
    parser = cli.command_parser(name, cli.COMMANDS[name].load())
    assert start.model_parameters(parser.parse_args(needed)) == {}
    hub = start.model_parameters(parser.parse_args([*needed, "--model", "yuxinhk/N3D-VLM"]))
    assert hub == {"model": '"yuxinhk/N3D-VLM"'}
    (tmp_path / "7").mkdir()
    folder = start.model_parameters(parser.parse_args([*needed, "--model", str(tmp_path / "." / "7")]))
    assert folder == {"model": f'"{tmp_path / "7"}"'}


@pytest.mark.parametrize("command", ["start", "run BAG -o OUT"])
def test_who_names_a_depth_model_wants_its_depth_and_a_file_that_says_fused_is_heeded(
    command: str, tmp_path: Path
) -> None:
    name, *needed = command.split()
    parser = cli.command_parser(name, cli.COMMANDS[name].load())
    needed += ["--depth-model", "depth-anything/DA3-SMALL"]
    for said, source in (("fused", "fused"), ("camera", "model"), ("", "model")):
        file = tmp_path / "robot.yaml"
        file.write_text(f"n3d:\n  ros__parameters:\n    depth_source: {said or '{}'}\n")
        values = start.depth_parameters(parser.parse_args([*needed, "--params", str(file)]))
        assert values == {"depth_source": source, "depth_model.model": '"depth-anything/DA3-SMALL"'}
    assert start.depth_parameters(parser.parse_args(needed))["depth_source"] == "model"


def test_a_model_that_is_not_there_ends_a_run_with_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = write_camera_bag(tmp_path / "bag", frames=2)
    assert cli.main(["run", str(bag), "-o", str(tmp_path / "out"), "--model", str(tmp_path / "nowhere")]) == 1
    error = capsys.readouterr().err
    assert "nowhere" in error and "Traceback" not in error


def test_a_run_with_a_model_says_which_and_repeats_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tokenizers", reason="needs the packages of the extra [model]")
    from model_training.models.stand_in_tokenizer import train_stand_in_tokenizer
    from n3d_ros.inference.replay_records import REPLAY_FILE, ReplayRecord, write_records

    bag, model = write_camera_bag(tmp_path / "bag", frames=3), tmp_path / "model"
    model.mkdir()
    train_stand_in_tokenizer(model)
    record = ReplayRecord(answer="bbox_0=Bbox(mug,500,500,500,500,200,200,200)\n")
    write_records([record], model / REPLAY_FILE)
    further = ["--model", str(model), "-p", "language_model.backend:=replay", "-p", "output_frame:=map", "--no-bag"]
    documents = []
    for name in ("a", "b"):
        assert cli.main(["run", str(bag), "-o", str(tmp_path / name), *further]) == 0
        documents.append(json.loads((tmp_path / name / "objects.json").read_text()) | {"timing": None})
    assert documents[0] == documents[1]
    assert documents[0]["backend"] == "language_model"
    assert [one["label"] for one in documents[0]["frames"][-1]["objects"]] == ["mug"]
    said = capsys.readouterr()
    assert "Found by language_model on" in said.out and "1 recorded answers" in said.out
    assert "recorded answers" in said.err, "loading is told"


def test_presets_can_be_listed_and_unknown_ones_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["start", "--list-cameras"]) == 0
    assert "realsense" in capsys.readouterr().out
    assert cli.main(["start", "--camera", "lomo"]) == 1
    assert "lomo" in capsys.readouterr().err


COUNT_SIGNALS = """
import signal, sys, time
seen = []
signal.signal(signal.SIGINT, lambda *_: seen.append(1))
print("ready", flush=True)
while not seen:
    time.sleep(0.01)
time.sleep(0.5)
print("signals", len(seen), flush=True)
sys.exit(int(sys.argv[1]))
"""


@pytest.mark.parametrize(("child_code", "expected"), [(0, 0), (4, 4)])
def test_ctrl_c_reaches_the_node_once_and_its_exit_code_comes_back(
    environ: dict[str, str], child_code: int, expected: int
) -> None:
    parent = (
        "import sys\nfrom n3d_ros.cli.start import run_forwarding_signals\n"
        f"sys.exit(run_forwarding_signals([sys.executable, '-c', {COUNT_SIGNALS!r}, '{child_code}']))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", parent], env=environ, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the whole group
    time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=20)
    assert output == "signals 1\n" and process.returncode == expected


@pytest.fixture
def talker() -> Iterator[Any]:
    with ros_node("talker") as node:
        yield node.create_publisher(String, "/words", 10)


def test_record_ends_with_a_whole_bag_on_ctrl_c(tmp_path: Path, environ: dict[str, str], talker: Any) -> None:
    command = [*COMMAND, "record", "/words", "-o", str(tmp_path / "bag")]
    process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 20
    while not talker.get_subscription_count() and time.monotonic() < deadline:
        time.sleep(0.02)
    for i in range(5):
        talker.publish(String(data=f"word {i}"))
    assert talker.wait_for_all_acked(Duration(seconds=20))
    time.sleep(1.0)  # they have come, and are written a little later
    assert not (tmp_path / "bag").exists(), "a bag must not have its name before it is whole"
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert "5 messages on 1 topics" in output
    with BagReader(tmp_path / "bag") as reader:
        assert [m.deserialize().data for m in reader.messages()] == [f"word {i}" for i in range(5)]


def test_replay_tells_what_it_published(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with BagWriter(tmp_path / "bag") as writer:
        for i in range(3):
            writer.write("/words", START_NS + i, String(data="x"))
    assert cli.main(["replay", str(tmp_path / "bag"), "--wait", "0"]) == 0
    assert "3 messages on 1 topics" in capsys.readouterr().out


def test_run_writes_results_pictures_and_a_bag(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bag, out = write_camera_bag(tmp_path / "bag", frames=4), tmp_path / "out"
    assert cli.main(["run", str(bag), "-o", str(out), "-p", "output_frame:=map"]) == 0
    document = json.loads((out / "objects.json").read_text())
    assert len(document["frames"]) == 4 and document["backend"] == "geometric"
    assert (out / "annotated" / "metadata.yaml").is_file()
    assert "4 of 4 frames with a result" in capsys.readouterr().out
    assert cli.main(["run", str(bag), "-o", str(out)]) == 1
    assert "--force" in capsys.readouterr().err


def test_run_finds_objects_with_the_grounders_own_parameters(tmp_path: Path) -> None:
    bag, out = write_camera_bag(tmp_path / "bag", frames=2), tmp_path / "out"
    command = ["run", str(bag), "-o", str(out), "--no-bag", "-p", "geometric.min_object_height_m:=0.25"]
    assert cli.main(command) == 0
    frames = json.loads((out / "objects.json").read_text())["frames"]
    assert [frame["objects"] for frame in frames] == [[], []], "the block is only 0.1 m high"


def test_tables_line_up() -> None:
    lines = table(["id", "label", "m"], [["1", "red box", "0.5"], ["12", "cup", "-"]]).splitlines()
    assert lines == ["id  label      m", "--  -------  ---", " 1  red box  0.5", "12  cup        -"]


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (3_100_000, "3.1 MB"), (5e12, "5000.0 GB")]
)
def test_sizes_are_written_for_people(count: float, text: str) -> None:
    assert size_text(count) == text
