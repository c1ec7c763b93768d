"""``python -m benchmarks``: every figure the project promises, as one Markdown table and one JSON line at the end.

``python -m benchmarks language_model`` measures the language model alone, with options of its own and without ROS, and
``backends`` one model in PyTorch and in ONNX Runtime; so do ``python -m benchmarks depth_network`` with the depth
networks, ``depth_fusion`` with the filling of depth images and ``depth_quality`` with a depth model on generated
sequences; ``evaluation`` measures the evaluation of models, ``scene_generation`` the making of scenes, ``training`` the
training of models and its input.
"""

from __future__ import annotations

import importlib
import sys

from n3d_ros.cli.bench import ALONE

if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in ALONE:
        sys.exit(importlib.import_module(f"benchmarks.{sys.argv[1]}").main(sys.argv[2:]))
    from n3d_ros.cli.main import main

    sys.exit(main(["bench", *sys.argv[1:]]))
