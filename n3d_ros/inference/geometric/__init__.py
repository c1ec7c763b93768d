"""Objects from one RGB-D frame without learning: support surfaces, then what stands on them."""

from n3d_ros.inference.geometric.config import GeometricConfig
from n3d_ros.inference.geometric.segmentation import Segmentation, segment

__all__ = ["GeometricConfig", "Segmentation", "segment"]
