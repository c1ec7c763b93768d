"""Topics of the camera that measurements publish, relative to its namespace."""

from __future__ import annotations

FRAME_ID = "camera_color_optical_frame"
TOPICS = ("rgb/image", "rgb/camera_info", "depth/image", "depth/camera_info")
