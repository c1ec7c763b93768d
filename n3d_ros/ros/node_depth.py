"""Where the node's depth comes from, put together: the model, what it publishes, and further cameras.

With a depth camera alone nothing of it is made, and frames are what they are.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from n3d_ros.inference.depth_source import CAMERA, DepthSource
from n3d_ros.ros.compat.diagnostics import DiagnosticReport
from n3d_ros.ros.config import NodeConfig
from n3d_ros.ros.depth_keeper import DepthFactory, DepthKeeper
from n3d_ros.ros.depth_step import FrameMaker, SeenDepth
from n3d_ros.ros.depth_topics import DepthTopics
from n3d_ros.ros.extra_cameras import ExtraCameras
from n3d_ros.ros.frame_assembly import TransformLookup
from n3d_ros.ros.health import depth_health
from n3d_ros.ros.inputs import COLOR_TOPICS, DEPTH_TOPICS
from n3d_ros.ros.ledger import Ledger
from n3d_ros.ros.pairing import DropReport
from n3d_ros.ros.worker import Worker

if TYPE_CHECKING:
    from rclpy.node import Node


class NodeDepth:
    """The depth of a node. Called in the executor's thread where nothing else is said.

    Args:
        node: whose it is.
        make_source: loads the depth model that the settings name.
        ledger: counts, for /diagnostics.
        stop: set when the process is asked to end.
        in_executor: runs a function in the executor's thread.
        on_ended: called there when the loading has ended, well or not.
    """

    def __init__(
        self,
        node: Node,
        make_source: DepthFactory,
        *,
        ledger: Ledger,
        stop: threading.Event,
        in_executor: Callable[[Callable[[], None]], None],
        on_ended: Callable[[], None],
    ) -> None:
        self._node, self._ledger = node, ledger
        self._keeper = DepthKeeper(
            make_source,
            stop=stop,
            in_executor=in_executor,
            on_ended=on_ended,
            info=node.get_logger().info,
            error=node.get_logger().error,
        )
        self._kind = CAMERA
        self._worker: Worker[Any] | None = None
        self._frames: FrameMaker | None = None
        self._topics: DepthTopics | None = None
        self._cameras: ExtraCameras | None = None

    @property
    def loading(self) -> str:
        """What is being loaded and how far; empty: nothing."""
        return self._keeper.loading

    @property
    def trouble(self) -> str:
        """Why the model asked for is not in use; empty: it is, or none was asked for."""
        return self._keeper.trouble

    @property
    def blocks(self) -> bool:
        """Whether there is no depth at all, for the reason in ``trouble``."""
        return self._keeper.blocks

    @property
    def source(self) -> DepthSource | None:
        """The model in use; None: none."""
        return self._keeper.source

    def frame_maker(self, config: NodeConfig) -> FrameMaker:
        """What makes the frames of a node that is being configured.

        Args:
            config: the node's settings.

        Returns:
            Without a model as yet.
        """
        resolve = self._node.resolve_topic_name
        self._frames = FrameMaker(
            config.pipeline.frames,
            kind=config.depth_source,
            min_confidence=config.depth_model.min_confidence,
            color_topic=resolve(COLOR_TOPICS[config.rgb.transport][0]),
            depth_topic=resolve(DEPTH_TOPICS[config.depth.transport][0]),
            on_depth=self._publish_in_worker,
            on_failure=self._keeper.on_failure,
        )
        return self._frames

    def begin(self, worker: Worker[Any], config: NodeConfig) -> None:
        """Makes the publishers and begins to load the model, where the settings want one; after ``frame_maker``.

        Args:
            worker: its thread loads.
            config: the node's settings.
        """
        if self._frames is None:
            return
        self._kind, self._worker = config.depth_source, worker
        if self._kind != CAMERA:
            self._topics = DepthTopics(self._node, config)
        elif config.depth_model.model or config.depth_model.camera_names:
            self._node.get_logger().warning(
                "A depth model or further cameras are named (depth_model.*) and depth_source is 'camera', so they are "
                "not used; set depth_source to 'model' or 'fused'."
            )
        self._keeper.begin(worker, self._frames, config)

    def subscribe(self, config: NodeConfig, lookup: TransformLookup, on_drop: DropReport) -> None:
        """Subscribes to the further cameras, if there are any.

        Args:
            config: the node's settings.
            lookup: gives transforms.
            on_drop: told of each camera that is left out at a moment.
        """
        if self._kind == CAMERA or not config.depth_model.camera_names or self._frames is None:
            return
        self._cameras = ExtraCameras(self._node, config, lookup=lookup, on_drop=on_drop)
        self._frames.extra_views = self._cameras.views_beside
        self._node.get_logger().info(f"Looking with further cameras: {', '.join(self._cameras.topics)}.")

    def unsubscribe(self) -> None:
        """Ends the subscriptions to the further cameras."""
        cameras, self._cameras = self._cameras, None
        if self._frames is not None:
            self._frames.extra_views = None
        if cameras is not None:
            cameras.close()

    def clear(self) -> None:
        """Forgets the further cameras' images, for instance when time jumps back."""
        if self._cameras is not None:
            self._cameras.clear()

    def configure(self, config: NodeConfig) -> None:
        """Takes over settings that changed. In the worker's thread.

        Args:
            config: what is set now.
        """
        cameras, frames = self._cameras, self._frames
        if cameras is not None:
            cameras.configure(config.pipeline.frames)
        if frames is not None:
            frames.require(config.depth_model.min_confidence)

    def release(self) -> Callable[[], None]:
        """Lets go of the model; ``close`` follows once the worker has stopped.

        Returns:
            What closes the model: a function for the worker's thread, which may run later.
        """
        self.unsubscribe()
        close_source = self._keeper.closing()
        self._keeper.detach()
        self._worker = self._frames = None
        self._kind = CAMERA
        return close_source

    def close(self) -> None:
        """Ends the publications."""
        topics, self._topics = self._topics, None
        if topics is not None:
            topics.close()

    def health(self) -> DiagnosticReport:
        """What /diagnostics says of it.

        Returns:
            Where depth comes from, and whether that is well.
        """
        cameras = self._cameras
        return depth_health(
            self._ledger,
            self._kind,
            self.source,
            loading=self.loading,
            trouble=self.trouble,
            cameras="" if cameras is None else cameras.explain(),
            notes=() if self._frames is None else self._frames.latest_notes,
        )

    def _publish_in_worker(self, seen: SeenDepth) -> None:
        topics, worker = self._topics, self._worker
        if topics is not None and worker is not None and not worker.stopping:
            topics.publish(seen)
