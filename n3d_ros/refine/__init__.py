"""Boxes fitted to measured points, with evidence, uncertainty and words for colour and shape.

``fit_box`` turns one object's points into a gravity-aligned box; ``refine_box`` finds the points that a rough box means
and fits those. Everything is deterministic and uses physics only.
"""

from n3d_ros.refine.attributes import COLOR_WORDS, SHAPE_WORDS, color_name, shape_word
from n3d_ros.refine.fit import FitConfig, FittedBox, fit_box
from n3d_ros.refine.noise import DEPTH_NOISE, KINECT_V1, STEREO, TIME_OF_FLIGHT, DepthNoise, depth_noise
from n3d_ros.refine.refine import RefineConfig, refine_box

__all__ = [
    "COLOR_WORDS",
    "DEPTH_NOISE",
    "KINECT_V1",
    "SHAPE_WORDS",
    "STEREO",
    "TIME_OF_FLIGHT",
    "DepthNoise",
    "FitConfig",
    "FittedBox",
    "RefineConfig",
    "color_name",
    "depth_noise",
    "fit_box",
    "refine_box",
    "shape_word",
]
