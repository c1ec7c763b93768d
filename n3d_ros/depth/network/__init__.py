"""The networks of Depth Anything 3, under the parameter names of the released files."""

from n3d_ros.depth.network.depth_network import DepthNetwork, NetworkOutput, build_network

__all__ = ["DepthNetwork", "NetworkOutput", "build_network"]
