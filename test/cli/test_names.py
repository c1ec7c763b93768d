"""Names on the command line: what a node, topic or frame can be called, and one line for what it cannot."""

from __future__ import annotations

import argparse

import pytest

from n3d_ros.cli.main import COMMANDS, main
from n3d_ros.cli.names import frame_name, node_name, topic_name


@pytest.mark.parametrize(("text", "name"), [("n3d", "/n3d"), ("/front/n3d", "/front/n3d"), ("/a_1/b2/", "/a_1/b2")])
def test_a_node_is_named_from_the_root(text: str, name: str) -> None:
    assert node_name(text) == name
    assert topic_name(text) == name


@pytest.mark.parametrize("text", ["", "/", "a b", "bad name!", "a//b", "1st", "/a/2b", "~/n3d", "ä", "a\n", "a" * 201])
def test_what_no_node_can_be_called_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="such as /front/n3d, got"):
        node_name(text)


@pytest.mark.parametrize("text", ["map", "camera/base", "camera_1-link", "kärnten"])
def test_a_frame_is_taken_as_it_is(text: str) -> None:
    assert frame_name(text) == text


@pytest.mark.parametrize("text", ["", "bad frame", "map\n", "\x1b[2J", "x" * 257])
def test_what_no_frame_is_called_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="name of a frame"):
        frame_name(text)


@pytest.mark.parametrize("command", ["ask", "locate", "query", "view", "doctor"])
def test_a_bad_node_name_ends_with_one_sentence_before_anything_is_begun(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command in COMMANDS
    words = {"ask": ["where?"], "query": ["where?"]}.get(command, [])
    with pytest.raises(SystemExit) as ended:
        main([command, *words, "--node", "bad name!"])
    told = capsys.readouterr().err.splitlines()[-1]
    assert ended.value.code == 2
    assert told.startswith(f"n3d {command}: error: argument --node: expected the name of a node")
