"""Snapshots of systems that are well, to be spoilt one thing at a time."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from n3d_ros.geometry.transform_buffer import TransformBuffer
from n3d_ros.geometry.transforms import RigidTransform
from n3d_ros.ros.doctor.machine import Host, Installation, Process
from n3d_ros.ros.doctor.snapshot import (
    Calibration,
    Endpoint,
    Heard,
    NodeFacts,
    Picture,
    Report,
    Snapshot,
    Topic,
    Transforms,
)

IMAGE, INFO = "sensor_msgs/msg/Image", "sensor_msgs/msg/CameraInfo"
FRAME = "camera_color_optical_frame"
STAMPS_NS = tuple(1_700_000_000_000_000_000 + i * 100_000_000 for i in range(30))
CAMERA = Endpoint(
    node="/camera/camera",
    type_name=IMAGE,
    reliability="best_effort",
    gid="010f",
    is_local=True,
    process=Process(pid=10, segment_bytes=35_000_000),
)
NODE = Endpoint(
    node="/n3d", type_name=IMAGE, reliability="best_effort", process=Process(pid=11, segment_bytes=35_000_000)
)
K = (525.0, 0.0, 319.5, 0.0, 525.0, 239.5, 0.0, 0.0, 1.0)
NAMES = {
    "color": "/camera/camera/color/image_raw",
    "color_info": "/camera/camera/color/camera_info",
    "depth": "/camera/camera/aligned_depth_to_color/image_raw",
    "depth_info": "/camera/camera/aligned_depth_to_color/camera_info",
}


def heard(**changes: Any) -> Heard:
    """Thirty messages in three seconds."""
    facts: dict[str, Any] = {
        "count": 30,
        "lost": 0,
        "seconds": 3.0,
        "stamps_ns": STAMPS_NS,
        "ages_s": (0.03,) * len(STAMPS_NS),
    }
    return Heard(**{**facts, **changes})


def color_picture(**changes: Any) -> Picture:
    """A colour image of 640x480 px."""
    facts: dict[str, Any] = {
        "width": 640,
        "height": 480,
        "encoding": "rgb8",
        "frame_id": FRAME,
        "byte_count": 921_700,
    }
    return Picture(**{**facts, **changes})


def depth_picture(**changes: Any) -> Picture:
    """A depth image that is registered to it."""
    facts = {"encoding": "16UC1", "byte_count": 614_500, "median_depth_m": 0.9, "depth_share": 0.8}
    return color_picture(**{**facts, **changes})


def calibration(**changes: Any) -> Calibration:
    """The calibration of both."""
    facts: dict[str, Any] = {"width": 640, "height": 480, "k": K, "d": (0.0,) * 5, "frame_id": FRAME}
    return Calibration(**{**facts, **changes})


def transforms(parent: str = "map", child: str = FRAME) -> Transforms:
    """A static transform of the camera."""
    buffer = TransformBuffer()
    place = RigidTransform(rotation=np.eye(3), translation=np.array([0.0, 0.0, 1.0]))
    buffer.set_transform(parent, child, 0, place, static=True)
    return Transforms(
        buffer=buffer,
        parents={child: frozenset([parent])},
        senders={child: frozenset(["/robot_state_publisher"])},
        static=frozenset([child]),
    )


def well(**changes: Any) -> Snapshot:
    """A camera and the node, both well."""
    contents: dict[str, dict[str, Any]] = {
        "color": {"picture": color_picture()},
        "depth": {"picture": depth_picture()},
        "color_info": {"calibration": calibration()},
        "depth_info": {"calibration": calibration()},
    }
    topics = {
        role: Topic(
            name=name,
            role=role,
            expected_type=INFO if role.endswith("info") else IMAGE,
            publishers=(replace(CAMERA, type_name=INFO if role.endswith("info") else IMAGE),),
            subscriptions=(NODE,),
            heard=heard(**contents[role]),
        )
        for role, name in NAMES.items()
    }
    facts: dict[str, Any] = {
        "topics": MappingProxyType(topics),
        "graph": {name: (topics[role].expected_type,) for role, name in NAMES.items()},
        "transforms": transforms(),
        "node": NodeFacts(
            count=1,
            state="active",
            parameters={"use_sim_time": False, "continuous": True, "output_frame": "", "sync.slop_s": 0.02},
            report=Report(message_count=20, received=30, used=20, total_ms=40.0, backend="geometric", device="cpu"),
            all_nodes=("/camera/camera", "/n3d"),
        ),
        "host": Host(
            cores=8,
            busy_share=0.3,
            memory_bytes=16 * 10**9,
            memory_free_bytes=8 * 10**9,
            disk_free_bytes=100 * 10**9,
            shared_memory_free_bytes=8 * 10**9,
            receive_buffer_bytes=212_992,
        ),
        "installation": Installation(
            python="3.11.2",
            versions={"numpy": "2.4.6", "n3d_msgs": "0.1.0"},
            environment={"FASTDDS_DEFAULT_PROFILES_FILE": "/opt/n3d_ros/config/fastdds.xml"},
            own_process=Process(pid=12, segment_bytes=35_000_000),
            profile_exists=True,
        ),
        "assembly": "",
    }
    return Snapshot(**{**facts, **changes})
