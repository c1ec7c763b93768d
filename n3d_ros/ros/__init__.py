"""ROS 2: messages to types and back, transforms, pairing, and the node. The only place that imports rclpy and messages.

Modules that only read messages (``image_codec``, ``conversions``, ``frame_assembly``, ``registration``, ``pairing``)
import without ROS: they look at fields, so the messages of a bag reader do as well. What writes messages imports their
classes when called.
"""
