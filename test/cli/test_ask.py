"""``n3d ask``: one question, a pipe, a prompt; moments, completion and history."""

from __future__ import annotations

import io
import json
import os
import pty
import select
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("n3d_msgs", reason="needs the built interface package")

import rclpy
from n3d_msgs.action import Ground
from n3d_msgs.msg import Object3D, Object3DArray

from n3d_ros.cli import ask, prompt
from n3d_ros.cli import main as cli
from n3d_ros.cli.moments import stamp_of
from n3d_ros.errors import ConfigurationError, N3dError, QueryError, StatusCode
from n3d_ros.ros.client import NO_NODE, OPTICAL_XYZW_VIEWER, NodeClient, stamp_of_text
from n3d_ros.ros.conversions import stamp_to_ns
from node_harness import NodeClient as Camera
from node_harness import NodeProcess, ros_environment, wait_until

NOW_NS = 1_795_255_000_250_000_000


class FakeClient:
    """Answers every question with its own words; some words make it fail."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.labels = ["red box", "red ball", "green mug"]

    def ask(self, text: str, **options: Any) -> Any:
        self.asked.append((text, options))
        if text == "interrupt":
            raise KeyboardInterrupt
        if text == "gone":
            raise N3dError("The node went away.", reason=NO_NODE)
        if text == "too long":
            raise N3dError("Too long.")
        result = Ground.Result(success=text != "nothing", sentence=f"Said: {text}\n\x1b[31m", steps=["1 = 1"])
        result.status.code = int(StatusCode.NOT_FOUND if text == "nothing" else StatusCode.OK)
        return result

    def objects(self, _wait_s: float = 0.0) -> Any:
        return Object3DArray(objects=[Object3D(label=label) for label in self.labels])

    def now_ns(self) -> int:
        return NOW_NS


def conversation(**changes: Any) -> ask.Conversation:
    parser = cli.command_parser("ask", ask)
    args = parser.parse_args([])
    for name, value in changes.items():
        setattr(args, name, value)
    return ask.Conversation(client=FakeClient(), args=args)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "expected_ns"),
    [
        ("10 s ago", NOW_NS - 10_000_000_000),
        ("1.5 minutes ago", NOW_NS - 90_000_000_000),
        ("250ms ago", NOW_NS - 250_000_000),
        ("1764000000.000000001", 1_764_000_000_000_000_001),
        ("1764000000", 1_764_000_000_000_000_000),
        ("2026-11-20T12:03:04.5+00:00", 1_795_176_184_500_000_000),
        ("2026-11-20 12:03:04.25Z", 1_795_176_184_250_000_000),
    ],
)
def test_moments_are_read_as_stamps(text: str, expected_ns: int) -> None:
    assert stamp_of(text, lambda: NOW_NS) == expected_ns


def test_a_time_of_day_is_the_newest_one_that_is_over() -> None:
    present = datetime.fromtimestamp(NOW_NS / 1e9)
    later = stamp_of("23:59:59.9", lambda: NOW_NS) if present.hour < 23 else NOW_NS
    earlier = stamp_of(f"{present:%H:%M}:00", lambda: NOW_NS)
    assert later <= NOW_NS and NOW_NS - later < 86_400 * 10**9
    assert 0 <= NOW_NS - earlier < 60 * 10**9


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "10 years ago", "-5", "nan", "1e99", "inf", "25:00", "0", "9999999999", "9" * 310 + " s ago"],
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="Moment"):
        stamp_of(text, lambda: NOW_NS)


@pytest.mark.parametrize(
    ("line", "word", "expected"),
    [
        ("where is the re", "re", ["red box", "red ball"]),
        ("where is the red b", "b", ["box", "ball"]),
        ("where is the RED BA", "BA", ["ball"]),
        ("gr", "gr", ["green mug"]),
        ("red ", "", ["box", "ball", "green mug"]),
        ("where is the blue b", "b", []),
    ],
)
def test_names_are_completed_word_by_word(line: str, word: str, expected: list[str]) -> None:
    assert prompt.name_completions(line, word, ["red box", "red ball", "green mug"]) == expected


def test_commands_are_completed_at_the_beginning_only() -> None:
    names = prompt.Names(conversation())
    assert names.completions("he", "he") == ["help"]
    assert names.completions("where he", "he") == []


def test_every_answer_of_a_pipe_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    talk = conversation()
    assert talk.lines(io.StringIO("one\n\nnothing\ntoo long\ntwo\n")) == cli.EXIT_NOTHING_FOUND
    said = capsys.readouterr()
    assert [line.split(":")[0] for line in said.out.splitlines()] == ["Said", "NOT_FOUND", "Said"]
    assert "\x1b" not in said.out, "a node must not steer the terminal"
    assert "Too long." in said.err


def test_lines_that_begin_with_a_hash_are_comments() -> None:
    talk = conversation()
    assert talk.lines(io.StringIO("# mine\n  # too\nwhere is # 2?\n")) == 0
    assert [text for text, _ in talk.client.asked] == ["where is # 2?"]  # type: ignore[attr-defined]


def test_bytes_that_are_no_text_are_refused_as_a_question_of_their_own() -> None:
    for text in ("where is \udcff the bowl?", "\ud800"):
        with pytest.raises(QueryError, match="The question is no text in UTF-8"):
            NodeClient.goal(text, 0.0, "", "", 0)


def test_a_pipe_ends_when_the_node_is_gone() -> None:
    talk = conversation()
    with pytest.raises(N3dError, match="went away"):
        talk.lines(io.StringIO("gone\none\n"))
    assert len(talk.client.asked) == 1  # type: ignore[attr-defined]


def test_a_pipe_with_json_has_one_document_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert conversation(json=True).lines(["one", "two"]) == 0
    documents = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["status"] for one in documents] == ["OK", "OK"]


def test_options_reach_the_node() -> None:
    talk = conversation(viewpoint="base_link", frame="map", timeout=2.5, at="10 s ago")
    talk.put("where is the mug")
    (text, options), *_ = talk.client.asked  # type: ignore[attr-defined]
    assert text == "where is the mug" and options.pop("on_feedback") is not None
    assert options == {
        "timeout_s": 2.5,
        "target_frame": "map",
        "viewpoint_frame": "base_link",
        "stamp_ns": NOW_NS - 10_000_000_000,
    }


def test_an_optical_frame_looks_along_its_z_axis() -> None:
    from n3d_ros.geometry.transforms import quaternion_to_matrix

    goal = NodeClient.goal("x", 0.0, "", "camera_color_optical_frame", 0)
    turn = goal.viewpoint.orientation
    assert (turn.x, turn.y, turn.z, turn.w) == OPTICAL_XYZW_VIEWER
    optical_R_viewer = quaternion_to_matrix(OPTICAL_XYZW_VIEWER)
    assert optical_R_viewer.round(9).tolist() == [[0, -1, 0], [0, 0, -1], [1, 0, 0]]
    assert NodeClient.goal("x", 0.0, "", "base_link", 0).viewpoint.orientation.w == 1.0


def test_quick_looks_are_not_told_of_and_slow_ones_are() -> None:
    told: list[str] = []
    mug = {"label": "mug", "center_m": [1.0, 2.0, 3.0]}
    quick = ask.Companion(told.append)
    quick("grounding", [], 0.1)
    quick("grounding", [mug], 0.4)
    assert told == []
    slow = ask.Companion(told.append)
    slow("grounding", [mug], 0.5)
    slow("grounding", [mug], 2.0)
    slow("thinking", [], 3.0)
    slow("thinking", [], 4.5)
    slow("thinking", [], 5.0)
    assert told == [
        "  0.5 s: grounding",
        "  0.5 s: found mug at (1.00, 2.00, 3.00) m",
        "  2.0 s: found mug at (1.00, 2.00, 3.00) m",
        "  3.0 s: thinking",
    ]


def typed(lines: list[Any]) -> Any:
    """A reader that gives these lines, raises what is an exception, and then ends."""
    rest = iter(lines)

    def read(_prompt: str) -> str:
        line = next(rest, None)
        if line is None:
            raise EOFError
        if isinstance(line, BaseException):
            raise line
        return str(line)

    return read


def test_the_prompt_obeys_its_words_and_outlives_ctrl_c(capsys: pytest.CaptureFixture[str]) -> None:
    talk = conversation()
    lines = ["again", "steps", "where?", "steps", "again", "objects", "help", "interrupt", KeyboardInterrupt(), "gone"]
    assert prompt.run_prompt(talk, keep_history=False, read=typed([*lines, "last"])) == 0
    said = capsys.readouterr()
    assert [text for text, _ in talk.client.asked] == ["where?", "where?", "interrupt", "gone", "last"]  # type: ignore[attr-defined]
    assert "Nothing was asked yet." in said.out and "  - 1 = 1" in said.out
    assert "green mug" in said.out and "Questions such as:" in said.out and "Interrupted." in said.out
    assert "went away" in said.err and "Said: last" in said.out


def test_help_lists_every_kind_of_question() -> None:
    from n3d_ros.scene.questions.reading import UNDERSTOOD

    text = prompt.help_text()
    assert all(one in text for one in (*UNDERSTOOD, *prompt.COMMANDS))


def test_the_history_is_private_bounded_and_shared_by_prompts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    path = prompt.history_path()
    assert path == tmp_path / "n3d" / "ask_history"
    prompt.run_prompt(conversation(), read=typed(["one", "one", "two"]))
    prompt.run_prompt(conversation(), read=typed(["three", "bell \x07"]))
    assert path.read_text().splitlines() == ["one", "two", "three", "bell \x07"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    prompt.run_prompt(conversation(), keep_history=False, read=typed(["secret"]))
    assert "secret" not in path.read_text()
    path.write_bytes(b"\xff\xfe\n" + b"x\n" * 2000)
    prompt.run_prompt(conversation(), read=typed(["newest"]))
    lines = path.read_text().splitlines()
    assert len(lines) == prompt.HISTORY_LINES and lines[-1] == "newest"


def test_a_history_that_cannot_be_kept_costs_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "n3d").write_text("a file where the folder would be")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert prompt.run_prompt(conversation(), read=typed(["one"])) == 0
    assert "history was not kept" in capsys.readouterr().err


@pytest.mark.parametrize("state", ["", "relative/path"])
def test_without_an_absolute_state_folder_the_default_is_taken(state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", state)
    monkeypatch.setenv("HOME", "/home/robot")
    assert prompt.history_path() == Path("/home/robot/.local/state/n3d/ask_history")


# --------------------------------------------------------------------------------------- with the node, over real DDS


@pytest.fixture(scope="module")
def node() -> Iterator[NodeProcess]:
    process = NodeProcess({"request.timeout_s": 20.0}, name="asked")
    yield process
    process.end()


@pytest.fixture(scope="module")
def camera(node: NodeProcess) -> Iterator[Camera]:
    client = Camera("asked")
    client.wait_connected()
    client.send_good()
    yield client
    client.close()


def command(*words: str, node: str = "/asked") -> list[str]:
    return [sys.executable, "-m", "n3d_ros.cli", "ask", "--node", node, *words]


def asked(camera: Camera, words: list[str], lines: str = "", node: str = "/asked") -> tuple[int, str, str]:
    """Exit code and outputs of the command, while images come."""
    process = subprocess.Popen(
        command(*words, node=node),
        env=ros_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write(lines)
    process.stdin.close()
    process.stdin = None
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        camera.publish(camera.messages())
        time.sleep(0.1)
    output, errors = process.communicate(timeout=5)
    return process.returncode, output, errors


def test_ago_counts_from_the_newest_images_after_they_have_ended(camera: Camera) -> None:
    newest = camera.send_good()
    late = rclpy.create_node("late", context=camera.context)
    client = NodeClient(late, "/asked")
    try:
        assert client.now_ns() == stamp_to_ns(newest.header.stamp)
    finally:
        client.close()
        late.destroy_node()


@pytest.mark.parametrize("text", ["", "1", "1.5", "-1.000000000", "1.00000000x", "9" * 40 + ".000000000"])
def test_a_stamp_of_another_form_is_none(text: str) -> None:
    assert stamp_of_text(text) == 0
    assert stamp_of_text("1700000003.100000001") == 1_700_000_003_100_000_001


def test_one_question_is_answered_in_a_sentence_a_value_and_a_table(camera: Camera) -> None:
    code, output, errors = asked(camera, ["how", "many", "blocks", "are", "there?", "--steps"])
    assert code == 0, errors
    assert "value: 1" in output and "red block" in output and "  - " in output


def test_a_pipe_is_answered_line_by_line_and_the_first_failure_is_its_exit_code(camera: Camera) -> None:
    code, output, errors = asked(camera, [], "is there a red block?\nwhere is the blue ball?\nred block\n")
    assert code == cli.EXIT_NOTHING_FOUND, errors
    lines = output.splitlines()
    assert len(lines) == 3 and lines[1].startswith("NOT_FOUND: ")


def test_ctrl_c_cancels_the_question_in_the_node_and_keeps_the_prompt(
    node: NodeProcess, camera: Camera, tmp_path: Path
) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(sys.executable, command(), {**ros_environment(), "XDG_STATE_HOME": str(tmp_path)})
    screen = ""

    def shows(text: str, timeout_s: float = 30.0) -> bool:
        nonlocal screen
        deadline = time.monotonic() + timeout_s
        while text not in screen and time.monotonic() < deadline:
            camera.publish(camera.messages())
            if select.select([terminal], [], [], 0.1)[0]:
                screen += os.read(terminal, 65536).decode(errors="replace")
        return text in screen

    try:
        assert shows("n3d> "), screen
        os.write(terminal, b"slow\n")
        assert shows("grounding"), screen  # five seconds of work in the node
        screen = ""
        os.write(terminal, b"\x03")
        assert shows("Interrupted."), screen
        assert shows("n3d> "), screen
        screen = ""
        os.write(terminal, b"red block\n")
        assert shows("Found 1"), screen
        assert shows("n3d> "), screen
        os.write(terminal, b"\x04")
        assert wait_until(lambda: os.waitpid(pid, os.WNOHANG) != (0, 0), 15.0), screen
        pid = 0
    finally:
        if pid:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        os.close(terminal)
    assert (tmp_path / "n3d" / "ask_history").read_text().splitlines() == ["slow", "red block"]


def test_what_a_slow_model_finds_is_told_while_it_looks() -> None:
    """A model that never ends: its boxes come on the way, and what was found until the deadline at the end."""
    node = NodeProcess({"model": "talking", "continuous": "false"}, name="talker")
    camera = Camera("talker")
    try:
        camera.wait_connected()
        code, output, errors = asked(camera, ["endless mugs", "--timeout", "4"], node="/talker")
    finally:
        camera.close()
        node.end()
    assert code == cli.EXIT_FAILED and output.startswith("TIMEOUT: Partial:"), output
    assert " s: grounding" in errors and "found mug" in errors
