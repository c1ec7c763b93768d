"""One run at a time in a folder of results: two would take each other's half of them for their own."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from n3d_ros.errors import ConfigurationError


@contextlib.contextmanager
def only_run_in(folder: Path) -> Iterator[None]:
    """Keeps others out of a folder while it is written.

    The lock lies on the folder itself and goes with the process, however it ends: nothing is left to be removed.

    Args:
        folder: made if absent.

    Yields:
        Nothing.

    Raises:
        ConfigurationError: another run writes there, or the folder cannot be made.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigurationError(f"{folder} is a file; expected a folder for the results.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise ConfigurationError(f"{folder}: cannot be used for results ({error.strerror or error}).") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigurationError(
                f"{folder}: another run is writing there; wait for it, or choose another folder."
            ) from error
        except OSError:
            pass  # a file system without locks, such as some network drives: then nobody is kept out
        yield
    finally:
        os.close(handle)
