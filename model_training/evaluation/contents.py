"""Whether files are still the same: results of a model that was trained on since must not pass for those of the new."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from n3d_ros.errors import InputError

WHOLE_BYTES = 32 * 2**20  # files up to this size are read whole, larger ones in samples
_SAMPLES = 64
_SAMPLE_BYTES = 2**16


def contents_digest(paths: Iterable[Path]) -> str:
    """A digest of files by their names, sizes and bytes; of large files some evenly spread bytes stand for all.

    Training changes every weight, so that samples tell two checkpoints apart, and seconds are enough for gigabytes.

    Args:
        paths: of files; those that are none are left out.

    Returns:
        Hex digits.

    Raises:
        InputError: a file cannot be read.
    """
    digest = hashlib.sha256()
    for path in sorted(one for one in paths if one.is_file()):
        try:
            size = path.stat().st_size
            digest.update(f"{path.name}\0{size}\0".encode(errors="surrogateescape"))
            with path.open("rb") as file:
                if size <= WHOLE_BYTES:
                    digest.update(file.read())
                    continue
                for sample in range(_SAMPLES):
                    file.seek((size - _SAMPLE_BYTES) * sample // (_SAMPLES - 1), os.SEEK_SET)
                    digest.update(file.read(_SAMPLE_BYTES))
        except OSError as error:
            raise InputError(f"{path}: expected a file that can be read ({error.strerror}).") from error
    return digest.hexdigest()[:16]
