"""Holes of a depth camera filled with a model's depth that was brought onto the camera's own measurements.

``fill`` is the whole of it: compare both where both know something (``support``), bring the model onto the camera by a
robust scale and shift (``alignment``), follow what remains with a smooth field that stops at depth edges
(``correction``), and write the result into the holes except where it cannot be trusted (``filling``). numpy, scipy and
OpenCV only.
"""

from n3d_ros.depth.filling.alignment import Alignment, align
from n3d_ros.depth.filling.config import DOMAINS, FillingConfig
from n3d_ros.depth.filling.filling import Filled, fill

__all__ = ["DOMAINS", "Alignment", "Filled", "FillingConfig", "align", "fill"]
