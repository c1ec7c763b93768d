"""All checks over one snapshot, in the order a person would look. Needs no ROS."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from n3d_ros.ros.camera_presets import CameraPreset
from n3d_ros.ros.doctor.calibrations import check_calibrations
from n3d_ros.ros.doctor.findings import Finding
from n3d_ros.ros.doctor.frames import check_frames
from n3d_ros.ros.doctor.images import check_images
from n3d_ros.ros.doctor.installation import check_installation
from n3d_ros.ros.doctor.load import check_load
from n3d_ros.ros.doctor.nodes import check_node
from n3d_ros.ros.doctor.qos_match import check_qos
from n3d_ros.ros.doctor.snapshot import Snapshot
from n3d_ros.ros.doctor.timing import check_timing
from n3d_ros.ros.doctor.topics import check_topics
from n3d_ros.ros.doctor.transport import check_transport


def examine(snapshot: Snapshot, presets: Mapping[str, CameraPreset]) -> tuple[Finding, ...]:
    """Everything that the checks find.

    Args:
        snapshot: the facts.
        presets: cameras whose topics are known.

    Returns:
        Findings, in the order of the checks.
    """

    def all_checks() -> Iterator[Finding]:
        yield from check_installation(snapshot)
        yield from check_transport(snapshot)
        yield from check_node(snapshot)
        yield from check_topics(snapshot, dict(presets))
        yield from check_qos(snapshot)
        yield from check_images(snapshot)
        yield from check_calibrations(snapshot)
        yield from check_timing(snapshot)
        yield from check_frames(snapshot)
        yield from check_load(snapshot)

    return tuple(all_checks())
