"""Messages of the node as plain values with the same fields."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any


def make_stamp(stamp_ns: int) -> Any:
    """A builtin_interfaces/Time."""
    return SimpleNamespace(sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)


def make_object(
    object_id: int = 1,
    label: str = "red box",
    center: tuple[float, float, float] = (0.0, 0.0, 1.0),
    size: tuple[float, float, float] = (0.1, 0.2, 0.3),
    **changes: Any,
) -> Any:
    """An n3d_msgs/Object3D, axis-aligned."""
    pose = SimpleNamespace(
        position=SimpleNamespace(x=center[0], y=center[1], z=center[2]),
        orientation=SimpleNamespace(x=0.0, y=0.0, z=0.0, w=1.0),
    )
    values = {
        "id": object_id,
        "label": label,
        "pose": SimpleNamespace(pose=pose),
        "size": SimpleNamespace(x=size[0], y=size[1], z=size[2]),
        "score": 0.9,
        "support_ratio": float("nan"),
        "attributes": [SimpleNamespace(key="color", value="red")],
        "observations": 3,
        "first_seen": make_stamp(10**9),
        "last_seen": make_stamp(3 * 10**9),
    }
    return SimpleNamespace(**{**values, **changes})


def make_objects(*objects: Any, stamp_ns: int = 10**9, frame_id: str = "camera_color_optical_frame") -> Any:
    """An n3d_msgs/Object3DArray."""
    return SimpleNamespace(header=SimpleNamespace(stamp=make_stamp(stamp_ns), frame_id=frame_id), objects=list(objects))


def make_report(**changes: Any) -> Any:
    """An n3d_msgs/FrameReport."""
    values = {
        "header": SimpleNamespace(stamp=make_stamp(10**9), frame_id="camera"),
        "status": SimpleNamespace(code=0, message=""),
        "total_ms": 40.0,
        "age_at_publish_ms": 60.0,
        "frames_received": 10,
        "frames_used": 8,
        "frames_dropped": [],
        "backend": "geometric",
        "device": "cpu",
    }
    return SimpleNamespace(**{**values, **changes})
