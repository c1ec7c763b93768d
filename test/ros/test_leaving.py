"""The end of a process whose thread is still at work; a process of its own for each, for it may be its last line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys, threading
from n3d_ros.ros.leaving import leave_if_busy

working, may_end = threading.Event(), threading.Event()
thread = threading.Thread(target=lambda: (working.set(), may_end.wait(60)), name=sys.argv[1], daemon=True)
thread.start()
working.wait()
if sys.argv[2] == "ended":
    may_end.set()
    thread.join()
sys.stdout.write("put away,")  # no end of a line: it waits in a buffer
leave_if_busy(3, "n3d_")
print(" went on")
"""


@pytest.mark.parametrize(
    ("name", "state", "code", "told"),
    [
        ("n3d_worker", "busy", 3, "put away,"),
        ("n3d_worker", "ended", 0, "put away, went on\n"),
        ("of_a_library", "busy", 0, "put away, went on\n"),
    ],
)
def test_a_process_leaves_only_a_thread_of_that_name_behind_and_says_all_it_had_to_say(
    repository: Path, name: str, state: str, code: int, told: str
) -> None:
    command = [sys.executable, "-c", SCRIPT, name, state]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=repository, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (code, told, "")
