"""JSON files of a checkpoint, which are input from elsewhere: read whole, or refused with a sentence."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

from n3d_ros.errors import ConfigurationError

CONFIG_FILE = "config.json"
MAX_JSON_BYTES = 16 << 20  # the index of a 72B model has 0.1 MB
MAX_CONFIG_BYTES = 1 << 20  # published ones have 2 kB


def read_json(file: Path, *, limit: int = MAX_JSON_BYTES) -> dict[str, Any]:
    """The object in a JSON file.

    Args:
        file: a regular file, or a link to one.
        limit: most that it may hold, bytes.

    Returns:
        The object.

    Raises:
        ConfigurationError: the file is absent, no file but a pipe or a device, too long, not JSON, or not an object.
    """
    try:
        data = json.loads(_read_bytes(file, limit).decode("utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(f"{file}: there is no such file; name the folder of a complete checkpoint.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"{file}: cannot be read as JSON ({error}); copy or download it again.") from error
    if not isinstance(data, dict):
        raise ConfigurationError(f"{file}: expected a JSON object, got {type(data).__name__}.")
    return data


def _read_bytes(file: Path, limit: int) -> bytes:
    """What a file holds; a pipe that nobody writes into would let its reader wait for ever, a device has no end."""
    if not stat.S_ISREG(file.stat().st_mode):
        raise ConfigurationError(f"{file}: expected a regular file, got a pipe, a device or a folder.")
    with file.open("rb") as stream:
        content = stream.read(limit + 1)
    if len(content) > limit:
        raise ConfigurationError(f"{file}: expected at most {limit} bytes of JSON, got more.")
    return content
