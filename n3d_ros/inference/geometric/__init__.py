"""Objects from one RGB-D frame without learning: support surfaces, then what stands on them."""

from n3d_ros.inference.geometric.config import GeometricConfig
from n3d_ros.inference.geometric.segmentation import FrameSurfaces, Segmentation, frame_surfaces, segment

__all__ = ["FrameSurfaces", "GeometricConfig", "Segmentation", "frame_surfaces", "segment"]
