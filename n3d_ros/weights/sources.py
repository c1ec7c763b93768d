"""Where a checkpoint is: a folder, or a repository on the hub that the user named."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from n3d_ros.errors import ConfigurationError
from n3d_ros.weights.memory import gigabytes

logger = logging.getLogger(__name__)

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
CACHE_FOLDER = re.compile(r"models--([\w.-]+?)--([\w.-]+)")  # of one repository
SMALL_PATTERNS = ["*.json", "*.txt", "*.jinja", "README*", "LICENSE*"]  # never pickles or code
HUB_PATTERNS = [*SMALL_PATTERNS, "*.safetensors"]

Progress: TypeAlias = Callable[[str, float], None]


def resolve_source(
    source: str | Path,
    *,
    check_complete: Callable[[Path], object],
    on_progress: Progress | None = None,
    weights: bool = True,
    parameter: str = "model",
) -> Path:
    """The folder of a checkpoint: the one named, or the local copy of a repository on the hub, downloaded if need be.

    Args:
        source: a folder, or "owner/name".
        check_complete: raises ConfigurationError where the local copy of a repository lacks what is wanted of it.
        on_progress: told a sentence and the share done while something is downloaded; what it raises ends that.
        weights: False for configuration and tokenizer alone, which are small.
        parameter: what the source was given as, for errors.

    Returns:
        The folder.

    Raises:
        ConfigurationError: no such folder and no such repository, or no connection.
    """
    folder = Path(source).expanduser()
    if folder.is_dir():
        return folder
    if folder.exists():
        raise ConfigurationError(
            f"{parameter}: expected the folder of a checkpoint, got the file {folder}; name its folder."
        )
    name = hub_id_of(source)
    if name is None:
        raise ConfigurationError(
            f"{parameter}: there is no folder {folder}; name the folder of a checkpoint, or a hub id 'owner/name'."
        )
    tell = on_progress or (lambda _sentence, _share: None)
    return _download(name, tell, check_complete, weights=weights, parameter=parameter)


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


def _download(
    name: str, tell: Progress, check_complete: Callable[[Path], object], *, weights: bool, parameter: str
) -> Path:
    """The snapshot of a repository; without a connection when it is complete already."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    patterns = HUB_PATTERNS if weights else SMALL_PATTERNS
    try:
        folder = Path(snapshot_download(name, allow_patterns=patterns, local_files_only=True))
        check_complete(folder)
    except (LocalEntryNotFoundError, ConfigurationError, ValueError, OSError):
        logger.info("%s: downloading from the hub.", name)
    else:
        return folder
    tell(f"Downloading {name}" if weights else f"Downloading configuration and tokenizer of {name}", 0.0)
    watch = _Watch(name, tell)
    try:
        return Path(snapshot_download(name, allow_patterns=patterns, tqdm_class=watch.bar_class()))
    except (HfHubHTTPError, LocalEntryNotFoundError, ValueError, OSError) as error:
        watch.reraise()
        reason = " ".join(str(error).split())[:300]
        raise ConfigurationError(
            f"{parameter}: there is no folder {name!r} here, and the repository of that id cannot be had from the hub: "
            f"{reason} Check the name and the connection, or download it elsewhere and name the folder."
        ) from error
    except Exception:
        watch.reraise()
        raise


class _Watch:
    """Tells how far a download is, from the bars that huggingface_hub would draw.

    Args:
        name: of the repository.
        tell: told a sentence and the share; what it raises ends every further step of the download.
    """

    def __init__(self, name: str, tell: Progress) -> None:
        self._name, self._tell = name, tell
        self._lock = threading.Lock()
        self._shown = -1.0
        self._stopped: BaseException | None = None

    def reraise(self) -> None:
        """Raises what the listener raised, whatever the library made of it."""
        if self._stopped is not None:
            raise self._stopped

    def update(self, done: float, total: float, unit: str) -> None:
        """Takes note of a step, and tells of it at most a hundred times.

        Args:
            done: bytes or files.
            total: of the same, as far as it is known by now.
            unit: "B" for bytes.
        """
        with self._lock:
            self.reraise()
            share = min(1.0, done / total) if total else 0.0
            if unit != "B" or share < self._shown + 0.01:  # files are counted too, and say less
                return
            self._shown = share
            try:
                self._tell(f"Downloading {self._name} ({gigabytes(int(done))} of {gigabytes(int(total))})", share)
            except BaseException as error:
                self._stopped = error
                raise

    def bar_class(self) -> type[Any]:
        """A class of progress bars that draw nothing and tell this watch.

        Returns:
            A subclass of tqdm, as huggingface_hub wants it.
        """
        from tqdm.auto import tqdm

        watch = self

        class Bar(tqdm):  # type: ignore[misc, type-arg, unused-ignore]
            """Counts and draws nothing."""

            def __init__(self, *arguments: Any, **options: Any) -> None:
                self._unit = str(options.get("unit", "it"))
                options.pop("name", None)
                super().__init__(*arguments, **(options | {"disable": True}))
                self.n, self.total = options.get("initial", 0) or 0, options.get("total")

            def update(self, n: float | None = 1) -> bool | None:
                """Counts.

                Args:
                    n: bytes or files more.

                Returns:
                    None: nothing was drawn.
                """
                self.n += n or 0
                watch.update(self.n, self.total or 0, self._unit)
                return None

        return Bar
