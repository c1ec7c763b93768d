"""Files that are whole or not there: written beside their place, then renamed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from n3d_ros.errors import ConfigurationError

PART_SUFFIX = ".part"
BLOCK_BYTES = 1 << 20  # read at a time
LONGEST_HOST = 32  # characters of a machine's name; a file's name has 255 in all
START_AGAIN = (
    "What was written before it is whole; make room or choose another folder, and give the same command again."
)


@contextlib.contextmanager
def whole_file(path: Path, *, advice: str) -> Iterator[BinaryIO]:
    """A file to write, whose name stands for it only once it is whole.

    Args:
        path: to write; its folder is made, a file of that name is replaced.
        advice: what to do where that fails, a sentence.

    Yields:
        A file beside the place, renamed at the end.

    Raises:
        ConfigurationError: the disk is full or read-only, or the place is taken by a folder.
    """
    part = path.with_name(f"{path.name}.{writer_name()}{PART_SUFFIX}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # a rename may reach the disk before the content does
        part.replace(path)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be written ({error.strerror or error}). {advice}") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def writer_name() -> str:
    """Name of this process among all that may write into one folder, of this machine and of others."""
    return f"{socket.gethostname()[:LONGEST_HOST]}-{os.getpid()}"


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file so that its name never stands for half of it.

    Args:
        path: to write; its folder is made, a file of that name is replaced.
        content: all of it.
    """
    with whole_file(path, advice=START_AGAIN) as file:
        file.write(content)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes plain values as JSON people can read.

    Args:
        path: to write.
        content: without NaN and infinity, which JSON does not have.
    """
    write_whole(path, json_bytes(content))


def json_bytes(content: Mapping[str, Any]) -> bytes:
    """Plain values as JSON people can read.

    Args:
        content: without NaN and infinity, which JSON does not have.

    Returns:
        The file's bytes.
    """
    return (json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def file_digest(path: Path) -> str:
    """The sha256 of a file, whatever its size.

    Args:
        path: of the file.

    Returns:
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def read_json(path: Path) -> dict[str, Any] | None:
    """The content of a JSON file that this program wrote.

    Args:
        path: of the file.

    Returns:
        Its object; None when there is no such file, or it holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):  # the last for brackets within brackets without an end
        return None
    return content if isinstance(content, dict) else None
