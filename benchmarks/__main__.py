"""``python -m benchmarks``: every figure the project promises, as one Markdown table and one JSON line at the end.

``python -m benchmarks language_model`` measures the language model alone, with options of its own and without ROS.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    if sys.argv[1:2] == ["language_model"]:
        from benchmarks.language_model import main as measure_language_model

        sys.exit(measure_language_model(sys.argv[2:]))
    from n3d_ros.cli.main import main

    sys.exit(main(["bench", *sys.argv[1:]]))
