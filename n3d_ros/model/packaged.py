"""The checkpoint that comes with the package, under a name of its own: ``model:=n3d-nano``.

Its folder is like any other checkpoint's, with one file more: ``SHA256SUMS``, as the tool of that name writes it. A
copy that lacks a byte is named as such instead of answering nonsense.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from n3d_ros.errors import ConfigurationError
from n3d_ros.whole_files import file_digest, write_whole

PACKAGED_NAME = "n3d-nano"
PACKAGED_FOLDER = Path(__file__).resolve().parent.parent / "models" / "n3d_nano"
SUMS_FILE = "SHA256SUMS"
MAX_SUMS_BYTES = 65_536
_MEND = "Install the package again, or restore the checkout's file with `git checkout`."


def packaged_folder(source: str | Path, *, folder: Path = PACKAGED_FOLDER) -> Path | None:
    """The folder of the packaged checkpoint, checked byte by byte.

    Args:
        source: as the user named a model.
        folder: where it lies.

    Returns:
        The folder; None where the user named something else.

    Raises:
        ConfigurationError: it was named, and is not there or not as it was packaged.
    """
    if str(source) != PACKAGED_NAME:
        return None
    if not (folder / SUMS_FILE).is_file():
        raise ConfigurationError(
            f"model: {PACKAGED_NAME!r} is the checkpoint that comes with the package, and this installation has none. "
            "Leave model empty for the geometric grounder, or name the folder of a checkpoint or a hub id."
        )
    check_sums(folder)
    return folder


def write_sums(folder: Path) -> None:
    """Writes ``SHA256SUMS`` of all other files of a folder, as ``sha256sum -c`` reads it.

    Args:
        folder: of a checkpoint that is complete.
    """
    _write(
        {file.name: file_digest(file) for file in folder.iterdir() if file.is_file() and file.name != SUMS_FILE}, folder
    )


def drop_sum(folder: Path, name: str) -> None:
    """Takes a file off the list, so that it may be replaced; the others are not read.

    Args:
        folder: of a checkpoint with its list.
        name: of the file; it need not be on the list.
    """
    _write({other: wanted for other, wanted in _read_sums(folder / SUMS_FILE).items() if other != name}, folder)


def add_sum(folder: Path, name: str) -> None:
    """Puts a file on the list; the others are not read.

    Args:
        folder: of a checkpoint with its list.
        name: of the file.
    """
    _write({**_read_sums(folder / SUMS_FILE), name: file_digest(folder / name)}, folder)


def check_sums(folder: Path) -> None:
    """Holds the files of a folder against its ``SHA256SUMS``.

    Args:
        folder: of a checkpoint.

    Raises:
        ConfigurationError: a file is missing or another one, or the list cannot be read.
    """
    for name, wanted in _read_sums(folder / SUMS_FILE).items():
        file = folder / name
        if not file.is_file():
            raise ConfigurationError(f"{file}: expected this file of the packaged checkpoint, it is not there. {_MEND}")
        found = file_digest(file)
        if found != wanted:
            raise ConfigurationError(f"{file}: expected sha256 {wanted[:16]}..., got {found[:16]}... {_MEND}")


def _write(sums: Mapping[str, str], folder: Path) -> None:
    """The list, by name."""
    write_whole(folder / SUMS_FILE, "".join(f"{sums[name]}  {name}\n" for name in sorted(sums)).encode())


def _read_sums(file: Path) -> dict[str, str]:
    """Sums by file name."""
    try:
        with file.open("rb") as stream:
            text = stream.read(MAX_SUMS_BYTES).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file}: cannot be read: {error}. {_MEND}") from error
    sums = {}
    for line in text.splitlines():
        wanted, _, name = line.partition("  ")
        is_sum = len(wanted) == 64 and all(sign in "0123456789abcdef" for sign in wanted)
        if not is_sum or not name or Path(name).name != name:
            raise ConfigurationError(
                f"{file}: expected lines of a sha256 and a file's name, got {line[:80]!r}. {_MEND}"
            )
        sums[name] = wanted
    return sums
