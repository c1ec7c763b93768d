"""``python -m benchmarks``: every figure the project promises, as one Markdown table and one JSON line at the end.

``python -m benchmarks language_model`` measures the language model alone, with options of its own and without ROS; so
do ``python -m benchmarks depth_network`` with the depth networks, ``depth_fusion`` with the filling of depth images and
``depth_quality`` with a depth model on generated sequences; ``evaluation`` measures the evaluation of models,
``scene_generation`` the making of scenes, ``training`` the training of models and its input.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    if sys.argv[1:2] == ["language_model"]:
        from benchmarks.language_model import main as measure_language_model

        sys.exit(measure_language_model(sys.argv[2:]))
    if sys.argv[1:2] == ["depth_network"]:
        from benchmarks.depth_network import main as measure_depth_network

        sys.exit(measure_depth_network(sys.argv[2:]))
    if sys.argv[1:2] == ["depth_fusion"]:
        from benchmarks.depth_fusion import main as measure_depth_fusion

        sys.exit(measure_depth_fusion(sys.argv[2:]))
    if sys.argv[1:2] == ["depth_quality"]:
        from benchmarks.depth_quality import main as measure_depth_quality

        sys.exit(measure_depth_quality(sys.argv[2:]))
    if sys.argv[1:2] == ["evaluation"]:
        from benchmarks.evaluation import main as measure_evaluation

        sys.exit(measure_evaluation(sys.argv[2:]))
    if sys.argv[1:2] == ["scene_generation"]:
        from benchmarks.scene_generation import main as measure_scene_generation

        sys.exit(measure_scene_generation(sys.argv[2:]))
    if sys.argv[1:2] == ["training"]:
        from benchmarks.training import main as measure_training

        sys.exit(measure_training(sys.argv[2:]))
    from n3d_ros.cli.main import main

    sys.exit(main(["bench", *sys.argv[1:]]))
