"""Making a grounder and a depth source: from the settings, and, for the node, warmed up. Needs no rclpy."""

from __future__ import annotations

import concurrent.futures
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from n3d_ros.errors import GroundingError, InputError, N3dError, StatusCode
from n3d_ros.frame import RgbdFrame
from n3d_ros.geometry.camera import CameraIntrinsics
from n3d_ros.inference.depth_source import ColorView, DepthSource, create_depth_source
from n3d_ros.inference.graphs import NOT_MADE_FOR
from n3d_ros.inference.grounder import Grounder, GroundingRequest, OnProgress, create_grounder
from n3d_ros.ros.config import GEOMETRIC, LANGUAGE_MODEL, NodeConfig
from n3d_ros.ros.plain_text import plain
from n3d_ros.ros.worker import Worker

POLL_S = 0.1  # between two looks whether the node is asked to stop while a grounder loads
TELL_EVERY_S = 2.0  # between two lines on the console while a model loads
WARM_UP_S = 5.0  # longest warm-up of a grounder that stops at a deadline
WARM_UP_SIZE = (640, 480)  # px; the size of most depth cameras, for which engines and buffers are then made


def grounder_from_config(config: NodeConfig, on_progress: OnProgress | None = None) -> Grounder:
    """The grounder that the settings come to, with its own settings; the node and ``n3d run`` share it.

    Args:
        config: the node's settings.
        on_progress: told of the loading of a model.

    Returns:
        The grounder, ready to use.

    Raises:
        N3dError: it cannot be made.
    """
    model = config.language_model
    if model.model.startswith("~"):  # no shell has read it
        model = replace(model, model=str(Path(model.model).expanduser()))
    own = {GEOMETRIC: config.geometric, LANGUAGE_MODEL: model}
    name = config.chosen_grounder
    return create_grounder(name, own.get(name), on_progress=on_progress)


def model_from_config(config: NodeConfig, on_progress: OnProgress) -> Grounder:
    """The language model that the settings name, whatever ``grounder`` says.

    Args:
        config: the node's settings.
        on_progress: told of the loading; what it raises ends it.

    Returns:
        The grounder, ready to use.

    Raises:
        N3dError: it cannot be loaded.
    """
    return grounder_from_config(replace(config, grounder=LANGUAGE_MODEL), on_progress)


def depth_from_config(config: NodeConfig, on_progress: OnProgress | None = None) -> DepthSource:
    """The source of depth that the settings come to, with its model; the node and ``n3d run`` share it.

    Args:
        config: the node's settings, with another ``depth_source`` than the camera.
        on_progress: told of the loading of a model; what it raises ends it.

    Returns:
        The source, ready to use.

    Raises:
        N3dError: it cannot be loaded.
    """
    return create_depth_source(config.depth_source, config.depth_model, on_progress=on_progress)


class LoadingProgress:
    """How far a model is loaded: written by the thread that loads, read by any. Call it as ``OnProgress``.

    Args:
        tell: given a line for the console now and then.
        should_stop: asked at each step; once true, the loading is ended.
        what: what is loaded.
    """

    def __init__(self, tell: Callable[[str], None], should_stop: Callable[[], bool], what: str = "the model") -> None:
        self._tell = tell
        self._should_stop = should_stop
        self._told_s = -TELL_EVERY_S
        self._what = f"loading {what}"
        self.started_s = time.monotonic()
        self.text = self._what

    def __call__(self, sentence: str, fraction: float) -> None:
        """Notes a step.

        Args:
            sentence: what is being done, such as "loading the model: shard 2 of 4".
            fraction: share that is done, 0 to 1.

        Raises:
            N3dError: the model is no longer wanted.
        """
        if self._should_stop():
            raise N3dError("The model is no longer wanted.", code=StatusCode.SHUTTING_DOWN)
        step = sentence.rstrip(". ")
        if not step.lower().startswith("loading"):  # amid other sentences it must say what it is about
            step = f"{self._what}: {step}" if step else self._what
        self.text = f"{step}, {100 * min(max(fraction, 0.0), 1.0):.0f} %"
        now_s = time.monotonic()
        if now_s - self._told_s >= TELL_EVERY_S:
            self._told_s = now_s
            self._tell(self.text[:1].upper() + self.text[1:])


def told(error: BaseException) -> str:
    """What a user is told of an error.

    Args:
        error: any.

    Returns:
        The sentence of ours; kind and text of others.
    """
    return plain(error.message if isinstance(error, N3dError) else f"{type(error).__name__}: {error}")


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
    loading = worker.call(lambda: warmed_up(make()))
    while not concurrent.futures.wait([loading], timeout=POLL_S).done:
        if stop.is_set():
            loading.add_done_callback(_close_unwanted)
            raise N3dError("The node is going down while the grounder loads.", code=StatusCode.SHUTTING_DOWN)
    return loading.result()


def _close_unwanted(loading: concurrent.futures.Future[Grounder]) -> None:
    """Closes a grounder that comes when nobody waits for it any more; in the thread that made it."""
    if loading.exception() is None:
        loading.result().close()


def warmed_up(grounder: Grounder, is_cancelled: Callable[[], bool] | None = None) -> Grounder:
    """The grounder after one frame: what is loaded or built at first use is then there before the first image.

    Args:
        grounder: just made; closed when it fails.
        is_cancelled: asked between its steps.

    Returns:
        The same grounder.

    Raises:
        N3dError: it failed, or was asked to stop.
    """
    request = GroundingRequest(max_objects=1, deadline_s=time.monotonic() + WARM_UP_S)
    _try_out(grounder, lambda: grounder.ground(warm_up_frame(), request, is_cancelled=is_cancelled))
    return grounder


def warmed_up_depth(source: DepthSource, is_cancelled: Callable[[], bool] | None = None) -> DepthSource:
    """The source after one image; see ``warmed_up``.

    Args:
        source: just loaded; closed when it fails.
        is_cancelled: asked between its steps.

    Returns:
        The same source.

    Raises:
        N3dError: it failed, or was asked to stop.
    """
    frame = warm_up_frame()
    view = ColorView(
        rgb=frame.rgb,
        intrinsics=frame.intrinsics,
        stamp_ns=frame.stamp_ns,
        frame_id=frame.frame_id,
        sensor_depth_m=frame.depth_m if source.needs_sensor else None,
    )
    _try_out(source, lambda: source.find([view], is_cancelled=is_cancelled))
    return source


def _try_out(model: Grounder | DepthSource, use: Callable[[], object]) -> None:
    """Uses a model once; one that fails is closed."""
    try:
        use()
    except GroundingError:
        pass  # it finds too little in a made-up frame, or takes it for sky; that is no fault
    except InputError as error:
        if error.reason != NOT_MADE_FOR:  # graphs of one image size cannot see a made-up frame of another
            model.close()
            raise
    except Exception:
        model.close()
        raise


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
