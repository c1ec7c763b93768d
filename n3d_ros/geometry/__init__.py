"""Geometry in numpy alone: cameras, rigid transforms, point maps, oriented boxes.

Frames: a camera *optical* frame has x right, y down, z forward (REP-103). Lengths in metres, angles in radians,
stamps in nanoseconds, quaternions x, y, z, w. ``target_T_source`` takes points of ``source`` to ``target``.
"""

from n3d_ros.geometry.boxes import BOX_EDGES, Box3D
from n3d_ros.geometry.camera import CameraIntrinsics, CameraModel, Distortion, project, unproject
from n3d_ros.geometry.iou import intersection_volume, iou_3d
from n3d_ros.geometry.point_map import PointMap, PointNormalization
from n3d_ros.geometry.transform_buffer import TransformBuffer
from n3d_ros.geometry.transforms import RigidTransform

__all__ = [
    "BOX_EDGES",
    "Box3D",
    "CameraIntrinsics",
    "CameraModel",
    "Distortion",
    "PointMap",
    "PointNormalization",
    "RigidTransform",
    "TransformBuffer",
    "intersection_volume",
    "iou_3d",
    "project",
    "unproject",
]
