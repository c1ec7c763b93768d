"""One run at a time writes into a folder of results."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from n3d_ros.depth.files.run_lock import only_run_in
from n3d_ros.errors import ConfigurationError

HOLD = """
import sys
from pathlib import Path
from n3d_ros.depth.files.run_lock import only_run_in
with only_run_in(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_run_is_refused_until_the_first_one_ends_however_it_ends(tmp_path: Path) -> None:
    out = tmp_path / "out"
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(out)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        with pytest.raises(ConfigurationError, match="another run is writing there"), only_run_in(out):
            pass
    finally:
        other.kill()
        other.communicate()
    with only_run_in(out):
        assert not list(out.iterdir()), "nothing is left to be removed"


def test_the_folder_is_free_again_after_a_run_and_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), only_run_in(tmp_path):
        raise ZeroDivisionError
    with only_run_in(tmp_path):
        pass
    with only_run_in(tmp_path):
        pass


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(ConfigurationError, match="is a file"), only_run_in(tmp_path / "out"):
        pass
    with pytest.raises(ConfigurationError, match="cannot be used"), only_run_in(tmp_path / "out" / "inner"):
        pass
