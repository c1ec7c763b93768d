"""Thousands of images and calibrations with faults in them: refused one by one, and the node neither ends nor grows."""

from __future__ import annotations

import itertools
import random
import re
import time
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytest.importorskip("n3d_msgs", reason="needs the built interface package")

from rclpy.serialization import serialize_message

from benchmarks.mutated_messages import COLOR_INFO, COMPRESSED, DEPTH_INFO, RAW, good_messages, mutated_messages
from fault_harness import assert_still_works, running
from n3d_ros.errors import N3dError, TransformError
from n3d_ros.ros.frame_assembly import FrameAssembler
from node_harness import NodeClient, NodeProcess, wait_until

NAMES = {
    COLOR_INFO: "color_info",
    DEPTH_INFO: "depth_info",
    **{topic: name for name, topic in RAW.items()},
    **{topic: f"{name}_compressed" for name, topic in COMPRESSED.items()},
}
OF_LIBJPEG = re.compile("(Corrupt JPEG data|Invalid SOS|Premature end of JPEG|Unsupported marker|[A-Z][^:]*JPEG).*")
OF_THE_MIDDLEWARE = re.compile(
    "|sequence size exceeds remaining buffer|>>> \\[rcutils.*|This error state is being overwritten:|<<<"
    "|with this new error message:|rcutils_reset_error.*|  '.*Fast CDR exception.*"
)
MOMENTS = 400  # of up to four messages each, for each way of transport
MOST_GROWTH_MB = 40.0


def no_transform(target: str, source: str, stamp_ns: int) -> None:
    raise TransformError(f"nothing connects {target!r} and {source!r} at {stamp_ns}")


def resident_mb(node: NodeProcess) -> float:
    status = Path(f"/proc/{node.process.pid}/status").read_text()
    return float(status.split("VmRSS:")[1].split()[0]) / 1024


@pytest.mark.parametrize("compressed", [False, True], ids=["raw", "compressed"])
def test_a_faulty_moment_makes_a_frame_or_a_typed_error(compressed: bool) -> None:
    topics = COMPRESSED if compressed else RAW
    assembler = FrameAssembler()
    refused = made = 0
    for messages in itertools.islice(mutated_messages(3, compressed=compressed), 2000):
        if not set(topics.values()) <= set(messages):
            continue
        try:
            assembler.assemble(
                messages[topics["color"]],
                messages[topics["depth"]],
                messages.get(COLOR_INFO),
                messages.get(DEPTH_INFO),
                no_transform,  # type: ignore[arg-type]
            )
            made += 1
        except N3dError:
            refused += 1
    assert refused > 500
    assert made > 50


def publish(client: NodeClient, moment: dict[str, object]) -> None:
    for topic, message in moment.items():
        client.publishers[NAMES[topic]].publish(message)


@pytest.mark.parametrize("compressed", [False, True], ids=["raw", "compressed"])
def test_the_node_lives_through_thousands_of_faulty_messages_and_does_not_grow(compressed: bool) -> None:
    transports = {"rgb.transport": "compressed", "depth.transport": "compressedDepth"} if compressed else {}
    with running(transports, beside=OF_LIBJPEG) as (node, client):
        names = ["color_compressed", "depth_compressed"] if compressed else ["color", "depth"]
        client.wait_connected(*names, "color_info")
        moments = mutated_messages(11, compressed=compressed, now_ns=client.now_ns)
        before_mb = 0.0
        for number, moment in enumerate(itertools.islice(moments, MOMENTS)):
            if number == MOMENTS // 3:
                before_mb = resident_mb(node)
            publish(client, moment)
            time.sleep(0.005)
        assert resident_mb(node) - before_mb < MOST_GROWTH_MB
        reports = client.heard["reports"]

        def much_was_looked_at() -> bool:
            """Publishes one more: reports may come late, and the best-effort topics of a busy machine lose a lot."""
            publish(client, next(moments))
            reasons = {one.name for report in list(reports) for one in report.frames_dropped}
            return len(reasons) >= 5 and reports[-1].frames_received > MOMENTS / 4

        assert wait_until(much_was_looked_at, 60.0), reports[-1:]

        def looked_at() -> bool:
            before = len(client.heard["objects"])
            publish(client, dict(good_messages(client.now_ns(), compressed=compressed)))
            return wait_until(lambda: len(client.heard["objects"]) > before, 0.5)

        assert wait_until(looked_at, 15.0)


def test_bytes_that_are_no_message_cost_nothing_but_themselves() -> None:
    rng = random.Random(5)
    with running(beside=OF_THE_MIDDLEWARE) as (_, client):
        client.wait_connected()
        for _ in range(300):
            messages = client.messages()
            for name in rng.sample(["color", "depth", "color_info"], 2):
                data = bytearray(serialize_message(messages[name]))
                for _ in range(rng.randint(1, 8)):  # in the fields, whose lengths then claim anything
                    data[rng.randrange(4, min(len(data), 90))] = rng.randrange(256)
                messages[name] = bytes(data[: rng.randint(4, len(data))]) if rng.random() < 0.3 else bytes(data)
            client.publish(messages)
        assert_still_works(client)
