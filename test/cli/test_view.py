"""``n3d view``: what it says before a browser is opened."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from n3d_ros.cli import view
from n3d_ros.cli.main import command_parser

pytest.importorskip("viser", reason="needs the extra [view]")


def test_the_page_is_for_this_machine_alone_unless_told_otherwise() -> None:
    args = command_parser("view", view).parse_args([])
    assert (args.host, args.port, args.node, args.open) == ("127.0.0.1", 8080, "/n3d", False)


@pytest.mark.parametrize(("host", "warned"), [("127.0.0.1", False), ("0.0.0.0", True), ("192.168.1.7", True)])
def test_a_page_that_the_network_reaches_comes_with_a_warning(
    host: str, warned: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    view.warn_of_network(host)
    assert ("no password" in capsys.readouterr().err) is warned


@pytest.mark.ros
def test_a_port_that_is_taken_ends_with_one_sentence(repository: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        command = [sys.executable, "-m", "n3d_ros.cli", "view", "--port", str(other.getsockname()[1])]
        ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=repository, timeout=60)
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr.startswith("n3d: Port ")
    assert ended.stderr.endswith("--port 0 for any free one.\n")
