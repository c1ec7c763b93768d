"""A client that asks without end and says so once: run by the tests of crashes in a process of its own, and killed.

``python fault_client.py locate|query|ground|listen``
"""

from __future__ import annotations

import sys
import threading

import rclpy
from n3d_msgs.action import Ground
from n3d_msgs.msg import Object3DArray
from n3d_msgs.srv import Locate, SpatialQuery
from rclpy.action import ActionClient
from sensor_msgs.msg import Image
from visualization_msgs.msg import MarkerArray

WAIT_S = 30.0


def main(kind: str) -> None:
    rclpy.init()
    node = rclpy.create_node(f"doomed_{kind}")
    begun = threading.Event()
    if kind == "listen":
        for message_type, topic in ((Object3DArray, "objects"), (MarkerArray, "markers"), (Image, "debug/image")):
            node.create_subscription(message_type, f"/n3d/{topic}", lambda _: begun.set(), 10)
    elif kind == "ground":
        action = ActionClient(node, Ground, "/n3d/ground")
        assert action.wait_for_server(WAIT_S)
        action.send_goal_async(Ground.Goal(text="slow", timeout_s=60.0), feedback_callback=lambda _: begun.set())
    else:
        request = Locate.Request(phrase="slow", timeout_s=60.0)
        client = node.create_client(Locate, "/n3d/locate")
        if kind == "query":  # asked for a future moment's image, it waits for one
            client = node.create_client(SpatialQuery, "/n3d/query")
            request = SpatialQuery.Request(question="where is the red block?", timeout_s=60.0)
        assert client.wait_for_service(WAIT_S)
        client.call_async(request)
        begun.set()
    while not begun.is_set():
        rclpy.spin_once(node, timeout_sec=0.1)
    sys.stdout.write("begun\n")
    sys.stdout.flush()
    rclpy.spin(node)


if __name__ == "__main__":
    main(sys.argv[1])
