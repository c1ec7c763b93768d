"""What the tests of faults share: a node that must end calmly, its lifecycle, and its log as it should look."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from re import Pattern
from typing import Any

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from n3d_msgs.srv import Locate
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter

from node_harness import NodeClient, NodeProcess

NOTHING: Pattern[str] = re.compile("(?!)")
FIRST_LINE = re.compile(r"^\[(DEBUG|INFO|WARN|ERROR|FATAL)\] \[[\d.]+\] \[[\w.]+\]: ")
TRANSITIONS = {
    "configure": Transition.TRANSITION_CONFIGURE,
    "activate": Transition.TRANSITION_ACTIVATE,
    "deactivate": Transition.TRANSITION_DEACTIVATE,
    "cleanup": Transition.TRANSITION_CLEANUP,
}
SHUTDOWNS = {
    "unconfigured": Transition.TRANSITION_UNCONFIGURED_SHUTDOWN,
    "inactive": Transition.TRANSITION_INACTIVE_SHUTDOWN,
    "active": Transition.TRANSITION_ACTIVE_SHUTDOWN,
}


@contextmanager
def running(
    parameters: Mapping[str, Any] | None = None,
    *,
    until: str = "Active",
    name: str = "n3d",
    is_product: bool = False,
    beside: Pattern[str] = NOTHING,
) -> Iterator[tuple[NodeProcess, NodeClient]]:
    """A node and a client; at the end the node must go down in order, without an internal error in its log."""
    process = NodeProcess(parameters, name=name, is_product=is_product)
    try:
        process.wait_for_log(until)
        client = NodeClient(name)
        try:
            yield process, client
        finally:
            client.close()
        code = process.end()
        assert code == 0, process.told("did not end well")
        assert_log_is_plain(process, beside=beside)
    finally:
        if process.process.poll() is None:
            process.end(signal.SIGKILL)


def assert_log_is_plain(process: NodeProcess, *, beside: Pattern[str] = NOTHING) -> None:
    """Fails when the log holds an internal error, a line that is none of the logger's, or anything but plain text.

    ``beside``: lines that libraries write past the logger, which are left out.
    """
    log = process.log
    assert "Traceback" not in log, log
    assert "Internal error" not in log, log
    lines = [line for line in log.split("\n")[:-1] if not beside.fullmatch(line)]  # a carriage return ends no line
    assert all(FIRST_LINE.match(line) for line in lines), [line for line in lines if not FIRST_LINE.match(line)][:5]
    assert all(line.isprintable() for line in lines), [line for line in lines if not line.isprintable()][:5]


def assert_still_works(client: NodeClient) -> None:
    """Fails unless a good pair of images is looked at and found again by a request."""
    client.meet(client.locate)  # before the image, which would be old by then
    assert client.send_good().objects
    response = client.call(client.locate, Locate.Request(phrase="red block"))
    assert response.success, response.status.message


def change_state(client: NodeClient, transition: int, name: str = "n3d", timeout_s: float = 15.0) -> bool:
    """Asks for a transition; whether the node made it."""
    request = ChangeState.Request(transition=Transition(id=transition))
    return bool(client.call(client.caller(ChangeState, f"/{name}/change_state"), request, timeout_s).success)


def state_of(client: NodeClient, name: str = "n3d") -> str:
    """The node's lifecycle state, such as "active"."""
    response = client.call(client.caller(GetState, f"/{name}/get_state"), GetState.Request())
    return str(response.current_state.label)


def set_parameters(client: NodeClient, values: Mapping[str, Any], name: str = "n3d") -> list[Any]:
    """Sets parameters one by one; the results in that order."""
    parameters = [Parameter(key, value=value).to_parameter_msg() for key, value in values.items()]
    request = SetParameters.Request(parameters=parameters)
    return list(client.call(client.caller(SetParameters, f"/{name}/set_parameters"), request).results)
