"""Making a grounder: from the settings, and, for the node, warmed up in the worker's thread. Needs no rclpy."""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from n3d_ros.errors import GroundingError, N3dError, StatusCode
from n3d_ros.frame import RgbdFrame
from n3d_ros.geometry.camera import CameraIntrinsics
from n3d_ros.inference.grounder import Grounder, GroundingRequest, create_grounder
from n3d_ros.ros.config import NodeConfig
from n3d_ros.ros.worker import Worker

POLL_S = 0.1  # between two looks whether the node is asked to stop while a grounder loads
WARM_UP_SIZE = (640, 480)  # px; the size of most depth cameras, for which engines and buffers are then made


def grounder_from_config(config: NodeConfig) -> Grounder:
    """The grounder that the settings name, with its own settings; the node and ``n3d run`` share it.

    Args:
        config: the node's settings.

    Returns:
        The grounder, ready to use.
    """
    own = {"geometric": config.geometric}
    return create_grounder(config.grounder, own.get(config.grounder))


def load_grounder(worker: Worker[Any], make: Callable[[], Grounder], stop: threading.Event) -> Grounder:
    """A grounder that has seen a first frame, made in the worker's thread.

    Args:
        worker: owns the grounder.
        make: makes it.
        stop: set when the node is asked to go down, which ends the wait.

    Returns:
        The grounder.

    Raises:
        N3dError: it cannot be made, or the node is asked to go down.
    """
    loading = worker.call(lambda: _warmed_up(make()))
    while not concurrent.futures.wait([loading], timeout=POLL_S).done:
        if stop.is_set():
            loading.add_done_callback(_close_unwanted)
            raise N3dError("The node is going down while the grounder loads.", code=StatusCode.SHUTTING_DOWN)
    return loading.result()


def _close_unwanted(loading: concurrent.futures.Future[Grounder]) -> None:
    """Closes a grounder that comes when nobody waits for it any more; in the thread that made it."""
    if loading.exception() is None:
        loading.result().close()


def _warmed_up(grounder: Grounder) -> Grounder:
    """The grounder after one frame: what is loaded or built at first use is then there before the first image."""
    try:
        grounder.ground(warm_up_frame(), GroundingRequest())
    except GroundingError:
        pass  # it finds too little in a made-up frame; that is no fault
    except Exception:
        grounder.close()
        raise
    return grounder


def warm_up_frame() -> RgbdFrame:
    """A box before a wall.

    Returns:
        A frame of ``WARM_UP_SIZE``.
    """
    width, height = WARM_UP_SIZE
    depth_m = np.full((height, width), 1.5, dtype=np.float32)
    depth_m[height // 3 : height // 2, width // 3 : width // 2] = 1.2
    rgb = np.full((height, width, 3), 128, dtype=np.uint8)
    camera = CameraIntrinsics(
        fx=0.9 * width, fy=0.9 * width, cx=(width - 1) / 2, cy=(height - 1) / 2, width=width, height=height
    )
    return RgbdFrame(rgb=rgb, depth_m=depth_m, intrinsics=camera, stamp_ns=1, frame_id="warm_up")
