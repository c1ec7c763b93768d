"""Entry of the node: ``ros2 run n3d_ros n3d_node``, ``python -m n3d_ros.ros.node``.

Light on purpose: the signal handlers stand before rclpy and all else is loaded, so that a SIGINT ends the process in
order at any moment.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from n3d_ros.inference.depth_source import DepthSource
    from n3d_ros.inference.grounder import Grounder, OnProgress
    from n3d_ros.ros.config import NodeConfig

THREADS = "n3d_"  # what the names of the node's threads begin with


def main(
    args: Sequence[str] | None = None,
    *,
    make_grounder: Callable[[NodeConfig], Grounder] | None = None,
    make_model: Callable[[NodeConfig, OnProgress], Grounder] | None = None,
    make_depth: Callable[[NodeConfig, OnProgress], DepthSource] | None = None,
) -> int:
    """Runs the node until SIGINT or SIGTERM.

    Args:
        args: command line with ``--ros-args``; None: that of the process.
        make_grounder: makes the grounder that needs no model; None: as the settings say.
        make_model: loads the language model; None: the one that they name.
        make_depth: loads the depth model; None: the one that they name.

    Returns:
        Exit code: 0 after a signal, 1 when the settings cannot be used.
    """
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    from n3d_ros.ros.transport import apply_transport_profile

    apply_transport_profile()  # read when the first participant is made
    from n3d_ros.ros.leaving import leave_if_busy
    from n3d_ros.ros.loading import depth_from_config, grounder_from_config, model_from_config
    from n3d_ros.ros.running import run

    if stop.is_set():
        return 0
    code = run(
        sys.argv if args is None else args,
        stop,
        make_grounder or grounder_from_config,
        make_model or model_from_config,
        make_depth or depth_from_config,
    )
    leave_if_busy(code, THREADS)  # what loads a model or looks at an image may take longer than we wait for it
    return code


if __name__ == "__main__":
    sys.exit(main())
