"""ROS domains of the tests: of this machine only, and others in every process that runs beside this one."""

from __future__ import annotations

import os

FIRST = int(os.environ.get("N3D_TEST_DOMAIN_ID", "44"))  # another for runs side by side
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))

DOMAIN_ID = FIRST + 4 * WORKER
REPLAY_DOMAIN_ID = DOMAIN_ID + 1
INTERFACES_DOMAIN_ID = DOMAIN_ID + 2
LAUNCH_DOMAIN_ID = DOMAIN_ID + 3
EMPTY_DOMAIN_ID = DOMAIN_ID + 40  # nobody is there; up to 101, ports stay below those that Linux lends to anybody
