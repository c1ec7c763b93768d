"""Bad input through the running node: each fault is counted and explained, and the next good pair is processed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytest.importorskip("n3d_msgs", reason="needs the built interface package")

from n3d_ros.ros.conversions import ns_to_stamp
from n3d_ros.ros.image_codec import depth_to_image_msg, fill_data, rgb_to_image_msg
from node_harness import FRAME, NodeClient, NodeProcess, client_of, running_node, wait_until

Messages = dict[str, Any]
MILLISECOND = 1_000_000


@pytest.fixture(scope="module")
def node() -> Iterator[NodeProcess]:
    with running_node() as process:
        yield process
    assert "Traceback" not in process.log, process.log


@pytest.fixture(scope="module")
def client(node: NodeProcess) -> Iterator[NodeClient]:
    with client_of(node) as client:
        yield client


def _set(message: Any, **changes: Any) -> Any:
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def _with_data(message: Any, content: bytes) -> Any:
    del message.data[:]
    fill_data(message, content)
    return message


def unknown_color_encoding(m: Messages) -> None:
    m["color"].encoding = "rainbow12"


def unknown_depth_encoding(m: Messages) -> None:
    m["depth"].encoding = "8UC3"


def color_as_depth(m: Messages) -> None:
    m["depth"] = _set(
        rgb_to_image_msg(np.zeros((48, 64, 3), np.uint8), stamp_ns=1, frame_id=FRAME), header=m["color"].header
    )


def depth_of_another_size(m: Messages) -> None:
    header = m["depth"].header
    m["depth"] = depth_to_image_msg(np.ones((20, 50), np.float32), stamp_ns=1, frame_id=FRAME)
    m["depth"].header = header


def unregistered_depth(m: Messages) -> None:
    m["depth"].header.frame_id = "depth_frame_nobody_knows"
    m["depth_info"].k[0] = m["depth_info"].p[0] = 40.0


def millimetres_called_metres(m: Messages) -> None:
    header = m["depth"].header
    m["depth"] = depth_to_image_msg(np.full((48, 64), 1000.0, np.float32), encoding="32FC1", stamp_ns=1, frame_id=FRAME)
    m["depth"].header = header


def all_zero_depth(m: Messages) -> None:
    _with_data(m["depth"], bytes(48 * 64 * 2))


def all_nan_depth(m: Messages) -> None:
    header = m["depth"].header
    m["depth"] = depth_to_image_msg(np.full((48, 64), np.nan, np.float32), encoding="32FC1", stamp_ns=1, frame_id=FRAME)
    m["depth"].header = header


def zero_camera_matrix(m: Messages) -> None:
    m["color_info"].k = [0.0] * 9
    m["color_info"].p = [0.0] * 12


def camera_matrix_not_finite(m: Messages) -> None:
    m["color_info"].k[0] = float("nan")


def calibration_of_another_size(m: Messages) -> None:
    m["color_info"].width, m["color_info"].height = 100, 100


def truncated_color(m: Messages) -> None:
    _with_data(m["color"], bytes(100))


def truncated_depth(m: Messages) -> None:
    _with_data(m["depth"], bytes(100))


def wrong_step(m: Messages) -> None:
    m["color"].step = 10


def size_of_zero(m: Messages) -> None:
    m["color"].width = 0


def too_large(m: Messages) -> None:
    m["color"].width, m["color"].height, m["color"].step = 16000, 16000, 48000


def no_frame_id(m: Messages) -> None:
    m["color"].header.frame_id = ""


def zero_stamps(m: Messages) -> None:
    m["color"].header.stamp = ns_to_stamp(0)
    m["depth"].header.stamp = ns_to_stamp(0)


FAULTS: list[tuple[Callable[[Messages], None], tuple[str, ...]]] = [
    (unknown_color_encoding, ("unknown_encoding",)),
    (unknown_depth_encoding, ("unknown_encoding",)),
    (color_as_depth, ("unknown_encoding",)),
    (depth_of_another_size, ("unregistered_depth", "calibration_size_mismatch")),
    (unregistered_depth, ("unregistered_depth",)),
    (millimetres_called_metres, ("implausible_depth_unit",)),
    (all_zero_depth, ("no_depth",)),
    (all_nan_depth, ("no_depth",)),
    (zero_camera_matrix, ("bad_calibration",)),
    (camera_matrix_not_finite, ("bad_calibration",)),
    (calibration_of_another_size, ("calibration_size_mismatch",)),
    (truncated_color, ("truncated_image",)),
    (truncated_depth, ("truncated_image",)),
    (wrong_step, ("wrong_step",)),
    (size_of_zero, ("bad_size",)),
    (too_large, ("image_too_large", "bad_size")),
    (no_frame_id, ("empty_frame_id",)),
    (zero_stamps, ("zero_stamp",)),
]


@pytest.mark.parametrize(("fault", "reasons"), FAULTS, ids=[fault.__name__ for fault, _ in FAULTS])
def test_a_fault_is_counted_by_its_reason_and_the_next_good_pair_is_processed(
    client: NodeClient, node: NodeProcess, fault: Callable[[Messages], None], reasons: tuple[str, ...]
) -> None:
    client.send_good()
    before = client.dropped()

    def counted() -> set[str]:
        return {reason for reason, count in client.dropped().items() if count > before.get(reason, 0)}

    for _ in range(4):  # on a busy machine the good pair may replace the faulty one before it is looked at
        messages = client.messages()
        fault(messages)
        client.publish(messages)
        wait_until(lambda: bool(counted() & set(reasons)), 0.2)
        client.send_good()
        if wait_until(lambda: bool(counted() & set(reasons)), 2.0):
            break
    assert counted() & set(reasons), (counted(), node.log[-2000:])
    assert "Traceback" not in node.log


def test_stamps_far_apart_are_not_paired_and_counted(client: NodeClient) -> None:
    client.send_good()
    before = client.dropped()

    def counted() -> bool:
        """Publishes them, and again where the best-effort topics lost one."""
        messages = client.messages()
        messages["depth"].header.stamp = ns_to_stamp(client.now_ns() - 300 * MILLISECOND)
        client.publish(messages)
        client.send_good()
        return wait_until(lambda: client.dropped().get("unpaired_color", 0) > before.get("unpaired_color", 0), 2.0)

    assert wait_until(counted)


def test_when_stamps_jump_back_the_scene_starts_anew_and_goes_on(client: NodeClient) -> None:
    client.send_good()
    hour = 3_600_000 * MILLISECOND
    past = client.send_good(stamp_ns=client.now_ns() - hour)
    assert past.objects[0].observations == 1
    assert wait_until(lambda: client.dropped().get("time_jumped_back", 0) >= 1)  # the report follows the objects
    assert client.send_good().objects


def test_a_refusal_says_in_the_report_what_came_and_what_to_change(client: NodeClient) -> None:
    client.send_good()
    reports = client.heard["reports"]
    known = len(reports)

    def refusals() -> list[str]:
        return [one.status.message for one in reports[known:] if one.status.code != 0]

    def refused() -> bool:
        """Publishes it, and again where the best-effort topics lost it."""
        messages = client.messages()
        unknown_color_encoding(messages)
        client.publish(messages)
        return wait_until(lambda: bool(refusals()), 2.0)

    assert wait_until(refused)
    assert "rainbow12" in refusals()[0]


def test_drops_appear_on_diagnostics_with_what_to_do(client: NodeClient) -> None:
    client.send_good()

    def told() -> bool:
        return any("no_depth" in status.message for array in client.heard["diagnostics"] for status in array.status)

    def told_of_one() -> bool:
        """Publishes one, and again where the best-effort topics lost it."""
        messages = client.messages()
        all_zero_depth(messages)
        client.publish(messages)
        return wait_until(told, 3.0)

    assert wait_until(told_of_one)
