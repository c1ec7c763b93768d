"""The page's server: where it listens, and whom it lets in."""

from __future__ import annotations

import contextlib
import socket
import sys
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from n3d_ros.errors import ConfigurationError

pytest.importorskip("rclpy", reason="needs ROS 2")
viser = pytest.importorskip("viser", reason="needs the extra [view]")

from websockets.exceptions import ConnectionClosed  # noqa: E402 -- comes with viser
from websockets.sync.client import connect  # noqa: E402

from n3d_ros.ros.viewer.page_server import PageServer, check_address, is_loopback, is_own_origin  # noqa: E402
from n3d_ros.ros.viewer.serving import ViewOptions, open_server  # noqa: E402

PROTOCOL: Any = f"viser-v{viser.__version__}"


@pytest.fixture(scope="module")
def server() -> Iterator[PageServer]:
    running = PageServer("127.0.0.1", 0)
    yield running
    running.stop()


def is_let_in(server: PageServer, origin: str | None, host: str | None = None) -> bool:
    """Whether a browser on a page of this origin hears anything."""
    headers = {"Host": host} if host else {}
    address = f"ws://127.0.0.1:{server.get_port()}"
    options: dict[str, Any] = {"origin": origin, "subprotocols": [PROTOCOL], "additional_headers": headers}
    with connect(address, **options) as connection:
        try:
            return bool(connection.recv(timeout=10.0))
        except ConnectionClosed:
            return False


def test_the_page_is_served_from_this_machine_alone(server: PageServer) -> None:
    with urllib.request.urlopen(server.url, timeout=10.0) as page:
        text = page.read().decode()
    assert "<html" in text.lower()
    with socket.socket() as other:  # another address of this machine: nobody is there
        other.settimeout(2.0)
        assert other.connect_ex(("127.0.0.2", server.get_port())) != 0


def test_the_page_s_own_connection_is_let_in(server: PageServer) -> None:
    assert is_let_in(server, f"http://127.0.0.1:{server.get_port()}")


def test_a_page_of_another_site_is_refused(server: PageServer) -> None:
    assert not is_let_in(server, "http://evil.example")


def test_a_connection_that_ends_with_an_error_is_one_line_in_the_log(
    server: PageServer, caplog: pytest.LogCaptureFixture
) -> None:
    with connect(
        f"ws://127.0.0.1:{server.get_port()}", origin=None, subprotocols=[PROTOCOL], max_size=None
    ) as connection:
        connection.recv(timeout=10.0)
        connection.send(b"\xc1\x00 no message")
        with contextlib.suppress(ConnectionClosed):
            for _ in connection:
                pass
    (record,) = [one for one in caplog.records if one.name == "websockets.server" and one.levelname == "ERROR"]
    assert record.getMessage().startswith("A connection was closed: ") and "\n" not in record.getMessage()
    assert not record.exc_info and not record.exc_text


@pytest.mark.parametrize(
    ("origin", "host", "loopback_only", "own"),
    [
        ("http://localhost:8080", "localhost:8080", True, True),
        ("http://localhost:9000", "localhost:9000", True, True),  # through ssh -L 9000:localhost:8080
        ("http://[::1]:8080", "[::1]:8080", True, True),
        (None, "localhost:8080", True, True),
        ("http://evil.example", "localhost:8080", True, False),
        ("http://localhost:3000", "localhost:8080", True, False),
        ("http://evil.example:8080", "evil.example:8080", True, False),  # a name that points to 127.0.0.1
        ("null", "localhost:8080", True, False),
        ("http://robot.local:8080", "robot.local:8080", False, True),
        ("http://evil.example", "robot.local:8080", False, False),
    ],
)
def test_only_pages_of_the_server_itself_are_its_own(
    origin: str | None, host: str, loopback_only: bool, own: bool
) -> None:
    assert is_own_origin(origin, host, loopback_only=loopback_only) is own


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("localhost", True), ("127.0.0.1", True), ("127.1.2.3", True), ("::1", True), ("0.0.0.0", False), ("", False)],
)
def test_addresses_of_this_machine_alone_are_known(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_a_port_that_is_taken_is_told_and_no_other_one_is_used(server: PageServer) -> None:
    with pytest.raises(ConfigurationError, match=r"Port \d+ of 127.0.0.1 is in use.*--port 0"):
        open_server("127.0.0.1", server.get_port())


def test_an_address_that_is_not_here_is_told() -> None:
    with pytest.raises(ConfigurationError, match="Cannot listen at 192.0.2.1"):
        check_address("192.0.2.1", 8080)


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_cannot_be_is_refused(port: int) -> None:
    with pytest.raises(ConfigurationError, match="0 to 65535"):
        check_address("127.0.0.1", port)


def test_nobody_gets_a_share_link(server: PageServer) -> None:
    assert server.request_share_url() is None


def test_without_viser_it_is_said_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "viser", None)
    monkeypatch.delitem(sys.modules, "n3d_ros.ros.viewer.page_server", raising=False)
    with pytest.raises(ConfigurationError, match=r"make setup VIEW=1.*n3d_ros\[view\]"):
        open_server("127.0.0.1", 0)


@pytest.mark.parametrize("change", [{"rate_hz": 0.0}, {"rate_hz": float("nan")}, {"timeout_s": -1.0}])
def test_options_out_of_their_range_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match="expected 0.1 to"):
        ViewOptions(**change)  # type: ignore[arg-type]
