"""``python -m benchmarks``: every figure the project promises, as one Markdown table and one JSON line at the end."""

from __future__ import annotations

import sys

from n3d_ros.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["bench", *sys.argv[1:]]))
