"""``python -m n3d_ros.cli``: the same as the ``n3d`` command."""

import sys

from n3d_ros.cli.main import main

sys.exit(main())
