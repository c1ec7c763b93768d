"""A camera in a process of its own: publishes colour, depth and calibrations at a steady rate, stamped with the clock.

``python -m n3d_ros.ros.measuring.camera FRAMES.npz --seconds 10 --rate 30``
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from pathlib import Path

from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image

from n3d_ros.bench.frames import BenchFrames
from n3d_ros.ros.conversions import fill_stamp, intrinsics_to_camera_info
from n3d_ros.ros.image_codec import depth_to_image_msg, rgb_to_image_msg
from n3d_ros.ros.measuring.topics import FRAME_ID, TOPICS
from n3d_ros.ros.session import ros_node
from n3d_ros.ros.transport import apply_transport_profile

COUNTED_BYTES = 3  # the first pixel of the colour image holds its number
DISCOVERY_S = 10.0  # longest wait for somebody to subscribe


def main() -> int:
    """Publishes until the time is over.

    Returns:
        Exit code.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("frames", type=Path)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=30.0)
    parser.add_argument("--namespace", default="")
    args = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):  # how a session ends
        publish(BenchFrames.load(args.frames), args.seconds, args.rate, namespace=args.namespace)
    return 0


def publish(frames: BenchFrames, seconds: float, rate_hz: float, *, namespace: str = "") -> None:
    """Publishes frames in turn, colour first and depth right after it, with one stamp.

    Args:
        frames: what to publish.
        seconds: for how long.
        rate_hz: pairs per second.
        namespace: of the topics; empty: the root.
    """
    apply_transport_profile()
    # The images are made beforehand: while it publishes, the camera must not take the processor from the node.
    where = {"stamp_ns": 0, "frame_id": FRAME_ID}
    colors = [rgb_to_image_msg(rgb, **where) for rgb in frames.rgb]  # type: ignore[arg-type]
    depths = [depth_to_image_msg(depth, **where) for depth in frames.depth_m]  # type: ignore[arg-type]
    info = intrinsics_to_camera_info(frames.intrinsics, stamp_ns=0, frame_id=FRAME_ID)
    prefix = f"/{namespace}" if namespace else ""
    with ros_node("bench_camera") as node:
        types = (Image, CameraInfo, Image, CameraInfo)
        publishers = [
            node.create_publisher(type_, f"{prefix}/{topic}", qos_profile_sensor_data)
            for type_, topic in zip(types, TOPICS, strict=True)
        ]
        deadline = time.monotonic() + DISCOVERY_S
        while not all(one.get_subscription_count() for one in publishers) and time.monotonic() < deadline:
            time.sleep(0.02)
        begin = time.monotonic()
        for i in range(round(seconds * rate_hz)):
            time.sleep(max(0.0, begin + i / rate_hz - time.monotonic()))
            color, depth = colors[i % len(colors)], depths[i % len(depths)]
            for place in range(COUNTED_BYTES):  # no two images are the same: what is kept of one serves no other
                color.data[place] = i >> 8 * place & 255
            messages = (color, info, depth, info)
            now_ns = time.time_ns()
            for message in messages:
                fill_stamp(message.header.stamp, now_ns)
            for j in (1, 3, 0, 2):  # calibrations first: the pair needs them
                publishers[j].publish(messages[j])


if __name__ == "__main__":
    sys.exit(main())
