"""The web server of the page: viser's, bound to where it was told, for pages of its own only, without a way outside."""

from __future__ import annotations

import contextlib
import errno
import io
import ipaddress
import logging
import os
import socket
from typing import Any
from urllib.parse import urlsplit

import viser

from n3d_ros.errors import ConfigurationError
from n3d_ros.ros.plain_text import plain

logger = logging.getLogger(__name__)

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
POLICY_VIOLATION = 1008  # WebSocket close code


class PageServer(viser.ViserServer):
    """viser's server without its share links, and closed to pages of other origins.

    A web page from anywhere can open a connection to a server on the visitor's own machine; what it cannot do is hide
    its origin, so each connection's is compared with the address it was opened at.

    Args:
        host: address to listen at.
        port: 0: a free one.
    """

    def __init__(self, host: str, port: int) -> None:
        check_address(host, port)
        os.environ.pop("_VISER_PORT_OVERRIDE", None)  # viser would take it instead of the port that was named
        with contextlib.redirect_stdout(io.StringIO()):  # viser prints a banner there
            super().__init__(host=host, port=port, label="n3d", verbose=False)
        if port and self.get_port() != port:  # viser goes on to the next port by itself
            self.stop()
            raise ConfigurationError(_busy(host, port))
        self._is_loopback = is_loopback(host)
        logging.getLogger("websockets.server").addFilter(without_traceback)
        self._websock_server.on_client_connect(self._check_origin)
        self._websock_server.disconnect_all_clients()  # one that came before the check was there comes again
        self.gui.configure_theme(show_share_button=False, show_logo=False)

    @property
    def url(self) -> str:
        """Where the page is."""
        host = self.get_host()
        shown = "localhost" if host in ("0.0.0.0", "::", *LOOPBACK_NAMES) else host
        return f"http://{f'[{shown}]' if ':' in shown else shown}:{self.get_port()}"

    def stop(self) -> None:
        """Ends the server."""
        with contextlib.redirect_stdout(io.StringIO()):
            super().stop()

    def request_share_url(self, verbose: bool = True) -> str | None:
        """Nothing: the page is never made public through a server of others.

        Args:
            verbose: not used.

        Returns:
            None.
        """
        del verbose
        logger.warning("A browser asked for a share link; there is none.")
        return None

    async def _check_origin(self, connection: Any) -> None:
        live = self._websock_server._live_connections.get(connection.client_id)  # viser 1.1.1 has no public way
        if live is None or live.request is None:
            return
        headers = live.request.headers
        origin, host = headers.get("Origin"), headers.get("Host", "")
        if not is_own_origin(origin, host, loopback_only=self._is_loopback):
            logger.warning("A page of %r tried to connect to %r and was refused.", origin, host)
            await live.close(POLICY_VIOLATION, "This page belongs to another site.")


def without_traceback(record: logging.LogRecord) -> bool:
    """Tells in one line of a connection that ended with an error: what browsers send is not ours.

    Args:
        record: of the library's log; changed.

    Returns:
        True: it is logged.
    """
    if record.exc_info and record.exc_info[1] is not None:
        error = record.exc_info[1]
        record.msg, record.args = "A connection was closed: %s.", (plain(f"{type(error).__name__}: {error}", 200),)
        record.exc_info = record.exc_text = None
    return True


def is_own_origin(origin: str | None, host: str, *, loopback_only: bool) -> bool:
    """Whether a connection comes from a page that this server gave out.

    Args:
        origin: header of the connection; None: not a browser.
        host: header of the connection: the address the browser believes to talk to.
        loopback_only: whether the server listens on this machine alone, so that only its own names are right. A name
            that somebody else's DNS points here is not.

    Returns:
        True when it does.
    """
    name = urlsplit(f"//{host}").hostname or ""
    if loopback_only and name not in LOOPBACK_NAMES and not is_loopback(name):
        return False
    return origin is None or urlsplit(origin).netloc.lower() == host.lower()


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine only.

    Args:
        host: name or address.

    Returns:
        True for localhost and 127.x.y.z.
    """
    if host in LOOPBACK_NAMES:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_address(host: str, port: int) -> None:
    """Tries whether a server can listen there.

    Args:
        host: name or address.
        port: 0: a free one.

    Raises:
        ConfigurationError: no such address here, no right to the port, or somebody else has it.
    """
    if not 0 <= port <= 65535:
        raise ConfigurationError(f"--port: expected 0 to 65535, got {port}.")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ConfigurationError(_busy(host, port)) from error
        raise ConfigurationError(f"Cannot listen at {host} port {port}: {error.strerror or error}.") from error


def _busy(host: str, port: int) -> str:
    return f"Port {port} of {host} is in use; name another one with --port, or --port 0 for any free one."
