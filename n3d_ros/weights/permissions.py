"""Who may read a file that was written for others too."""

from __future__ import annotations

import os
from pathlib import Path


def as_umask_says(path: Path) -> None:
    """Gives a file the permissions that any new file gets; safetensors leaves its files to their owner alone.

    Args:
        path: of the file.
    """
    mask = os.umask(0o077)  # can only be read by setting it; for this moment other new files are private
    os.umask(mask)
    path.chmod(0o666 & ~mask)
