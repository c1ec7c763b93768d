"""A running node in its own process, and a client that publishes to it and hears it, over real DDS."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from n3d_msgs.action import Ground
from n3d_msgs.msg import FrameReport, Object3DArray
from n3d_msgs.srv import Locate, SpatialQuery
from rclpy._rclpy_pybind11 import InvalidHandle  # has no other place in all releases
from rclpy.action import ActionClient
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

from domains import DOMAIN_ID
from n3d_ros.geometry.camera import CameraIntrinsics
from n3d_ros.ros.conversions import intrinsics_to_camera_info, stamp_to_ns
from n3d_ros.ros.image_codec import depth_to_image_msg, rgb_to_image_msg
from n3d_ros.ros.transport import apply_transport_profile

REPOSITORY = Path(__file__).resolve().parents[1]
FRAME = "camera_color_optical_frame"
INTRINSICS = CameraIntrinsics(fx=60.0, fy=60.0, cx=31.5, cy=23.5, width=64, height=48)
UNDER_TEST = (str(Path(__file__).with_name("node_under_test.py")),)
PRODUCT = ("-m", "n3d_ros.ros.node")
READY_TIMEOUT_S = END_TIMEOUT_S = 45.0  # other tests may run beside this one; both fit into pytest's limit of 120 s
STACKS_TIMEOUT_S = 5.0  # for a process that did not end to say where it is
LAST_LINES = 80


def ros_environment() -> dict[str, str]:
    """The environment of a process that takes part: its own domain, this machine only."""
    apply_transport_profile()
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    python_path = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "ROS_DOMAIN_ID": str(DOMAIN_ID), "PYTHONPATH": python_path, "RCUTILS_COLORIZED_OUTPUT": "0"}


class LoggedProcess:
    """Python with these arguments as a process that takes part; its log is read all the time."""

    def __init__(self, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        self.lines: list[str] = []
        self.command = shlex.join(["python", *arguments])
        self.started_s = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            # A process that crashes, or is made to because it does not end, says where each thread was.
            env={**ros_environment(), "PYTHONFAULTHANDLER": "1", **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.lines.extend(iter(self.process.stdout.readline, ""))

    @property
    def log(self) -> str:
        """What it has written so far."""
        return "".join(self.lines)

    def wait_for_log(self, text: str, timeout_s: float = READY_TIMEOUT_S) -> None:
        """Returns once the log holds the text."""
        wait_until(lambda: text in self.log or self.process.poll() is not None, timeout_s)
        self._reader.join(0.0 if self.process.poll() is None else 2.0)  # its last words
        assert text in self.log, self.told(f"did not write {text!r} within {timeout_s:g} s")

    def end(self, number: int = signal.SIGINT, timeout_s: float = END_TIMEOUT_S) -> int:
        """Sends a signal; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._make_it_tell()
            ordered = signal.Signals(number).name
            raise AssertionError(self.told(f"did not end within {timeout_s:g} s of {ordered}")) from None
        finally:
            self._reader.join(2.0)
            if self.process.stdout is not None and not self._reader.is_alive():
                self.process.stdout.close()

    def _make_it_tell(self) -> None:
        """Ends the process with the stacks of its threads in the log."""
        self.process.send_signal(signal.SIGABRT)
        try:
            self.process.wait(STACKS_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join(2.0)

    def told(self, what: str) -> str:
        """A sentence about this process, for people: the command, what it did, and the end of its log."""
        code = self.process.poll()
        state = "it runs" if code is None else f"exit code {code}"
        lines = list(self.lines)
        left_out = f"[{len(lines) - LAST_LINES} earlier lines]\n" if len(lines) > LAST_LINES else ""
        return f"`{self.command}` {what} ({state}); its log:\n{left_out}{''.join(lines[-LAST_LINES:])}"


def end_all(processes: Mapping[str, LoggedProcess], timeout_s: float = END_TIMEOUT_S) -> dict[str, int]:
    """Ends one after the other, also when one does not end by itself; the exit codes."""
    codes = {}

    def end(name: str) -> None:
        codes[name] = processes[name].end(timeout_s=timeout_s)

    with ExitStack() as stack:
        for name in reversed(list(processes)):  # the last one that is put on ends first
            stack.callback(end, name)
    return codes


class NodeProcess(LoggedProcess):
    """``node_under_test.py`` (or the product as it is) as a process."""

    def __init__(
        self,
        parameters: Mapping[str, Any] | None = None,
        name: str = "n3d",
        *,
        namespace: str = "",
        remappings: Mapping[str, str] | None = None,
        is_product: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        arguments = ["--ros-args", "-r", f"__node:={name}", "-r", f"__ns:=/{namespace}"]
        for source, target in (remappings or {}).items():
            arguments += ["-r", f"{source}:={target}"]
        for key, value in (parameters or {}).items():
            arguments += ["-p", f"{key}:={value}"]
        super().__init__(*(PRODUCT if is_product else UNDER_TEST), *arguments, environment=environment)


def harmless(kind: Any) -> Any:
    """A request that a service answers at once and that changes nothing."""
    if kind in (Locate, SpatialQuery):
        return kind.Request(timeout_s=-1.0)  # out of range
    return kind.Request()  # of ChangeState, too: the transition "create" is allowed in no state


def wait_until(condition: Callable[[], bool], timeout_s: float = 30.0) -> bool:
    """Whether the condition came true in time."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.01)
    return condition()


class NodeClient:
    """Publishes what a camera would and keeps what the node says."""

    def __init__(self, node_name: str = "n3d", *, namespace: str = "") -> None:
        ros_environment()
        node_name = f"{namespace}/{node_name}".strip("/")
        self._closing = False
        self.context = Context()
        rclpy.init(context=self.context, domain_id=DOMAIN_ID)
        self.node = rclpy.create_node("n3d_test_client", namespace=namespace, context=self.context)
        self.publishers = {
            "color": self.node.create_publisher(Image, "rgb/image", 10),
            "depth": self.node.create_publisher(Image, "depth/image", 10),
            "color_info": self.node.create_publisher(CameraInfo, "rgb/camera_info", 10),
            "depth_info": self.node.create_publisher(CameraInfo, "depth/camera_info", 10),
            "color_compressed": self.node.create_publisher(CompressedImage, "rgb/image/compressed", 10),
            "depth_compressed": self.node.create_publisher(CompressedImage, "depth/image/compressedDepth", 10),
            "tf": self.node.create_publisher(TFMessage, "/tf", 100),
        }
        self.heard: dict[str, list[Any]] = {name: [] for name in ("objects", "reports", "markers", "diagnostics")}
        listen = [(Object3DArray, "objects", "objects"), (FrameReport, "frame_report", "reports")]
        for message_type, topic, name in [*listen, (MarkerArray, "markers", "markers")]:
            self.node.create_subscription(message_type, f"/{node_name}/{topic}", self.heard[name].append, 50)
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self.heard["diagnostics"].append, 10)
        self.locate = self.node.create_client(Locate, f"/{node_name}/locate")
        self.query = self.node.create_client(SpatialQuery, f"/{node_name}/query")
        self.ground = ActionClient(self.node, Ground, f"/{node_name}/ground")
        self._callers: dict[tuple[Any, str], Any] = {}
        self._met: set[Any] = set()
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        while not self._closing:
            try:
                self._executor.spin()
                return
            except InvalidHandle:  # noqa: PERF203 -- a loop of whole spins, not of small steps
                continue  # a test destroyed what the executor had just gathered; it leaves it out at the next look
            except Exception:
                if not self._closing:  # rclpy may find its handles gone while it is being shut down
                    raise

    def close(self) -> None:
        """Leaves."""
        self._closing = True
        self._executor.shutdown(2.0)
        self._thread.join(2.0)
        for action_client in list(self.node.waitables):  # each keeps the node in the graph as long as it lives
            action_client.destroy()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)

    def now_ns(self) -> int:
        """The clock."""
        return int(self.node.get_clock().now().nanoseconds)

    def wait_connected(self, *names: str, timeout_s: float = READY_TIMEOUT_S) -> None:
        """Returns once the node subscribes to these and its own topics are found."""
        chosen = [self.publishers[name] for name in names or ("color", "depth", "color_info")]
        own = ["objects", "frame_report"]
        name = self.locate.srv_name.rpartition("/")[0]

        def missing() -> list[str]:
            topics = [f"{name}/{topic}" for topic in own]
            unheard = [topic for topic in topics if not self.node.count_publishers(topic)]
            return unheard + [one.topic_name for one in chosen if not one.get_subscription_count()]

        found = wait_until(lambda: not missing(), timeout_s)
        assert found, f"{name} was not found on {', '.join(missing())} within {timeout_s:g} s"

    def messages(self, stamp_ns: int | None = None, depth_m: float = 1.0) -> dict[str, Any]:
        """A good pair with its calibration, by publisher's name."""
        stamp_ns = self.now_ns() if stamp_ns is None else stamp_ns
        rgb = np.full((48, 64, 3), 90, dtype=np.uint8)
        depth = np.full((48, 64), depth_m, dtype=np.float32)
        return {
            "color_info": intrinsics_to_camera_info(INTRINSICS, stamp_ns=stamp_ns, frame_id=FRAME),
            "depth_info": intrinsics_to_camera_info(INTRINSICS, stamp_ns=stamp_ns, frame_id=FRAME),
            "color": rgb_to_image_msg(rgb, stamp_ns=stamp_ns, frame_id=FRAME),
            "depth": depth_to_image_msg(depth, encoding="16UC1", stamp_ns=stamp_ns, frame_id=FRAME),
        }

    def publish(self, messages: Mapping[str, Any]) -> None:
        """Publishes each message on its topic, calibrations first."""
        for name, message in messages.items():
            self.publishers[name].publish(message)
            if name.endswith("info"):
                time.sleep(0.002)  # calibrations travel on topics of their own and must be there before the image

    def send_good(self, timeout_s: float = 30.0, stamp_ns: int | None = None) -> Any:
        """Publishes good pairs until the objects of one come back; those objects."""
        deadline = time.monotonic() + timeout_s
        sent: list[int] = []
        while time.monotonic() < deadline:
            messages = self.messages(stamp_ns)
            sent.append(stamp_to_ns(messages["color"].header.stamp))
            self.publish(messages)
            if wait_until(lambda: self.first_objects(sent) is not None, 1.0):  # a slow node may answer an earlier one
                return self.first_objects(sent)
            stamp_ns = None if stamp_ns is None else stamp_ns + 50_000_000
        reports = self.heard["reports"]
        raise AssertionError(
            f"no objects came back for a good pair within {timeout_s:g} s; the newest report: {reports[-1:]}"
        )

    def objects_at(self, stamp_ns: int) -> Any:
        """The objects message with that stamp; None when there is none."""
        found = [one for one in self.heard["objects"] if stamp_to_ns(one.header.stamp) == stamp_ns]
        return found[-1] if found else None

    def first_objects(self, stamps_ns: Sequence[int]) -> Any:
        """The objects of the first of these stamps that has any; None when none has."""
        found = (self.objects_at(stamp_ns) for stamp_ns in stamps_ns)
        return next((objects for objects in found if objects is not None), None)

    def dropped(self) -> dict[str, int]:
        """Drop counts of the newest report."""
        reports = self.heard["reports"]
        return {} if not reports else {one.name: one.count for one in reports[-1].frames_dropped}

    def caller(self, kind: Any, name: str) -> Any:
        """A client of a service, the same one each time."""
        if (kind, name) not in self._callers:
            self._callers[kind, name] = self.node.create_client(kind, name)
        return self._callers[kind, name]

    def meet(self, client: Any) -> None:
        """Returns once the service has found this client as well: an answer sent before that is lost."""
        assert client.wait_for_service(READY_TIMEOUT_S), f"nobody offers {client.srv_name}"
        if client in self._met:
            return
        deadline = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < deadline:
            future = client.call_async(harmless(client.srv_type))
            if wait_until(future.done, 1.0):
                self._met.add(client)
                return
        raise AssertionError(f"{client.srv_name} does not answer")

    def call(self, client: Any, request: Any, timeout_s: float = 15.0) -> Any:
        """The response of a service."""
        self.meet(client)
        future = client.call_async(request)
        assert wait_until(future.done, timeout_s), f"{client.srv_name} did not answer within {timeout_s:g} s"
        return future.result()


@contextmanager
def running_node(parameters: Mapping[str, Any] | None = None) -> Iterator[NodeProcess]:
    """A node that must end well afterwards."""
    process = NodeProcess(parameters)
    yield process
    code = process.end()
    assert code == 0, process.told("did not end well")


@contextmanager
def client_of(node: NodeProcess) -> Iterator[NodeClient]:
    """A client that has met the node once it was active."""
    node.wait_for_log("Active")
    client = NodeClient()
    try:
        client.wait_connected()
        yield client
    finally:
        client.close()
