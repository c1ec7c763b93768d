"""Where a checkpoint is: a folder, or a repository on the hub that the user named."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from n3d_ros.errors import ConfigurationError
from n3d_ros.model.config import read_config
from n3d_ros.model.weight_files import find_weight_files

logger = logging.getLogger(__name__)

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
CACHE_FOLDER = re.compile(r"models--([\w.-]+?)--([\w.-]+)")  # of one repository
HUB_PATTERNS = ["*.json", "*.safetensors", "*.txt", "*.jinja", "README*", "LICENSE*"]  # never pickles or code


def resolve_source(source: str | Path) -> Path:
    """The folder of a checkpoint: the one named, or the local copy of a repository on the hub, downloaded if need be.

    Args:
        source: a folder, or "owner/name".

    Returns:
        The folder.

    Raises:
        ConfigurationError: no such folder and no such repository, or no connection.
    """
    folder = Path(source).expanduser()
    if folder.is_dir():
        return folder
    if folder.exists():
        raise ConfigurationError(f"model: expected the folder of a checkpoint, got the file {folder}; name its folder.")
    name = hub_id_of(source)
    if name is None:
        raise ConfigurationError(
            f"model: there is no folder {folder}; name the folder of a checkpoint, or a hub id 'owner/name'."
        )
    return _download(name)


def hub_id_of(source: str | Path) -> str | None:
    """The hub id in what a user named.

    Args:
        source: of ``load_model``.

    Returns:
        "owner/name", also of a folder inside the hub's cache; None for other folders and what looks like a path.
    """
    folder = Path(source).expanduser()
    if folder.exists():
        cached = [match for part in folder.absolute().parts if (match := CACHE_FOLDER.fullmatch(part))]
        return f"{cached[-1][1]}/{cached[-1][2]}" if cached else None
    return str(source) if HUB_ID.fullmatch(str(source)) and not isinstance(source, Path) else None


def _download(name: str) -> Path:
    """The snapshot of a repository; without a connection when it is complete already."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(name, allow_patterns=HUB_PATTERNS, local_files_only=True))
        read_config(folder)
        find_weight_files(folder)
    except (LocalEntryNotFoundError, ConfigurationError, ValueError, OSError):
        logger.info("%s: downloading from the hub.", name)
    else:
        return folder
    try:
        return Path(snapshot_download(name, allow_patterns=HUB_PATTERNS))
    except (HfHubHTTPError, LocalEntryNotFoundError, ValueError, OSError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ConfigurationError(
            f"model: there is no folder {name!r} here, and the repository of that id cannot be had from the hub: "
            f"{reason} Check the name and the connection, or download it elsewhere and name the folder."
        ) from error
