"""The engine cache: which engines there are on this machine, what each was built for, and whether it is whole.

::

    <cache>/engines/<key>/n3d_engine.json     what it is; written last
                          decoder.plan ...    one per graph
    <cache>/engines/timing-<key>.cache        what TensorRT learnt of its kernels' speed on this machine

A key is the sha256 of everything an engine depends on. An engine of another machine, another TensorRT or other graphs
has another key, so it is never loaded by mistake; it is listed with what differs. A folder appears whole or not at all.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from n3d_ros.errors import BackendError, ConfigurationError
from n3d_ros.whole_files import file_digest, read_json, write_json, writer_name

ENGINE_FILE = "n3d_engine.json"
ENGINES_FOLDER = "engines"
FORMAT = 1
KEY_DIGITS = 32
DEFAULT_LIMIT_GB = 40.0
ENGINE_REASON = "engine"
"""Reason of errors about engines that are not there, or cannot be used."""

_LOCK_FILE = ".lock"
_STAGING = ".part-"
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_LARGEST = 1e12  # bytes and seconds
_MAX_LIMIT_GB = 1e6
_TOLD_DIFFERENCES = 4
_STALE_STAGING_S = 24 * 3600  # a build of a day is none that goes on


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineKey:
    """Everything an engine depends on, by name.

    Args:
        facts: digests of graphs and weights, profiles, precision, versions, and the machine.
    """

    facts: Mapping[str, str]

    @property
    def digest(self) -> str:
        """The name of the engine's folder."""
        return hashlib.sha256(json.dumps(dict(self.facts), sort_keys=True).encode()).hexdigest()[:KEY_DIGITS]

    def differences(self, other: Mapping[str, str]) -> list[str]:
        """What is not the same in another key.

        Args:
            other: its facts.

        Returns:
            Such as "tensorrt 10.3.0.30, here 10.7.0.23".
        """
        names = sorted({*self.facts, *other})
        return [
            f"{name} {_short(other.get(name, 'unknown'))}, here {_short(self.facts.get(name, 'unknown'))}"
            for name in names
            if self.facts.get(name) != other.get(name)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineRecord:
    """What an engine says of itself.

    Args:
        name: of the model, for people.
        source: where the model's weights came from.
        facts: of its key.
        form: of attention, "fused" or "safe".
        files: sha256 by name of file.
        bytes: of all files.
        built: when, seconds since 1970.
        build_s: how long it took.
        self_test: what its self-test measured.
        notes: what is to be known about it, such as that it was built again in the safe form.
    """

    name: str
    source: str
    facts: Mapping[str, str]
    form: str
    files: Mapping[str, str]
    bytes: int
    built: float
    build_s: float
    self_test: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEngine:
    """An entry of the cache.

    Args:
        folder: of it.
        record: what it says of itself; None where that cannot be read.
        problem: why it cannot be used as it is; empty: as far as its description says, nothing.
    """

    folder: Path
    record: EngineRecord | None
    problem: str = ""

    @property
    def bytes(self) -> int:
        """On the disk."""
        total = 0
        for file in self.folder.rglob("*"):
            with suppress(OSError):  # another process may just remove it
                total += file.stat().st_size if file.is_file() else 0
        return total

    @property
    def used(self) -> float:
        """When it was loaded last, seconds since 1970."""
        for file in (self.folder / ENGINE_FILE, self.folder):
            with suppress(OSError):
                return file.stat().st_mtime
        return 0.0  # another process has just removed it


def default_cache_folder() -> Path:
    """The user's own folder for what can be made again.

    Returns:
        ``$XDG_CACHE_HOME/n3d_ros``, else ``~/.cache/n3d_ros``.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "n3d_ros"


class EngineStore:
    """The engines of one cache folder.

    Args:
        cache: its folder; None: the user's own.
        limit_gb: above which the engines that were not used for longest are removed; 0: never.

    Raises:
        ConfigurationError: a limit that is none.
    """

    def __init__(self, cache: Path | None = None, *, limit_gb: float = DEFAULT_LIMIT_GB) -> None:
        if not 0 <= limit_gb <= _MAX_LIMIT_GB:  # NaN too
            raise ConfigurationError(f"Engine cache: expected a limit of 0 to {_MAX_LIMIT_GB:g} GB, got {limit_gb}.")
        self.folder = (default_cache_folder() if cache is None else cache.expanduser()) / ENGINES_FOLDER
        self._limit_bytes = int(limit_gb * 1e9)

    def entries(self) -> list[StoredEngine]:
        """All there is, the last used first.

        Returns:
            Entries, damaged ones among them.
        """
        if not self.folder.is_dir():
            return []
        names = [path for path in self.folder.iterdir() if path.is_dir() and re.fullmatch(r"[0-9a-f]{32}", path.name)]
        return sorted((_entry(folder) for folder in names), key=lambda entry: -entry.used)

    def find(self, key: EngineKey) -> StoredEngine:
        """The engine of a key, its files not looked at yet.

        Args:
            key: of graphs, settings and machine.

        Returns:
            The entry.

        Raises:
            BackendError: there is none, with what the nearest one differs in; or it is damaged.
        """
        folder = self.folder / key.digest
        if not folder.is_dir():
            raise BackendError(self._absent(key), reason=ENGINE_REASON)
        entry = _entry(folder)
        if not entry.problem and entry.record is not None and dict(entry.record.facts) != dict(key.facts):
            entry = StoredEngine(folder=folder, record=entry.record, problem="its description is of another engine")
        if entry.problem:
            raise BackendError(
                f"The engine {folder} cannot be used: {entry.problem}. Build it again: `n3d engine build`.",
                reason=ENGINE_REASON,
            )
        return entry

    def checked(self, key: EngineKey) -> StoredEngine:
        """The engine of a key, when each of its files is the one that was tested.

        Args:
            key: of graphs, settings and machine.

        Returns:
            The entry, noted as used now.

        Raises:
            BackendError: there is none, or a file lacks or changed a byte.
        """
        entry = self.find(key)
        problem = file_problem(entry)
        if problem:
            raise BackendError(
                f"The engine {entry.folder} cannot be used: {problem}. Build it again: `n3d engine build`.",
                reason=ENGINE_REASON,
            )
        with suppress(OSError):  # a cache that may only be read
            os.utime(entry.folder / ENGINE_FILE)
        return entry

    def _absent(self, key: EngineKey) -> str:
        """Why no engine fits."""
        text = "No engine is built of these graphs for this machine; run `n3d engine build FOLDER` once (minutes)."
        records = [entry.record for entry in self.entries() if entry.record is not None]
        same = [each for each in records if each.facts.get("graphs") == key.facts.get("graphs")]
        others = [key.differences(each.facts) for each in same]
        if not others:
            return text
        nearest = min(others, key=len)
        more = f"; {len(nearest) - _TOLD_DIFFERENCES} more" if len(nearest) > _TOLD_DIFFERENCES else ""
        return f"{text} There is one for something else: {'; '.join(nearest[:_TOLD_DIFFERENCES])}{more}."

    @contextmanager
    def building(self) -> Iterator[Path]:
        """An empty folder to build in, while no other process builds.

        Yields:
            The folder, on the cache's own disk; removed at the end, unless ``keep`` made it an engine.

        Raises:
            ConfigurationError: the cache cannot be written.
            BackendError: another process builds.
        """
        staging = self.folder / f"{_STAGING}{writer_name()}"
        with self._locked("Another process builds an engine"):
            self._sweep()
            shutil.rmtree(staging, ignore_errors=True)
            is_made = False
            try:
                staging.mkdir(parents=True)
                is_made = True
                yield staging
            except OSError as error:
                if is_made and error.errno not in _NO_ROOM:
                    raise
                raise ConfigurationError(
                    f"{staging.parent}: cannot be written ({error}); make room (`n3d engine clean`), or name another "
                    "cache."
                ) from error
            finally:
                shutil.rmtree(staging, ignore_errors=True)

    def keep(self, staging: Path, key: EngineKey, record: EngineRecord) -> StoredEngine:
        """Makes a built folder an engine of the cache; one of the same key is replaced.

        Args:
            staging: with all its files.
            key: of graphs, settings and machine.
            record: what it is.

        Returns:
            The entry.

        Raises:
            ConfigurationError: the cache cannot be written.
        """
        write_json(staging / ENGINE_FILE, {"format": FORMAT, **asdict(record)})
        place = self.folder / key.digest
        former = self.folder / f"{_STAGING}former-{writer_name()}"
        try:
            if place.exists():
                place.rename(former)
            staging.rename(place)
        except OSError as error:
            with suppress(OSError):
                former.rename(place)  # what was there stays
            raise ConfigurationError(f"{place}: cannot be written ({error}); name another cache.") from error
        shutil.rmtree(former, ignore_errors=True)
        self._bound(place)
        return _entry(place)

    def remove(self, entry: StoredEngine) -> None:
        """Removes an engine. A process that has loaded it keeps it.

        Args:
            entry: of this cache.

        Raises:
            BackendError: another process builds.
            ConfigurationError: it cannot be removed.
        """
        with self._locked("An engine is being built"):
            try:
                shutil.rmtree(entry.folder)
            except OSError as error:
                raise ConfigurationError(f"{entry.folder}: cannot be removed ({error}).") from error

    def timing_cache(self, machine_facts: Mapping[str, str]) -> Path:
        """Where TensorRT keeps what it learnt of its kernels on a machine.

        Args:
            machine_facts: TensorRT, GPU, driver.

        Returns:
            The file, there or not.
        """
        return self.folder / f"timing-{EngineKey(facts=machine_facts).digest[:16]}.cache"

    def _bound(self, newest: Path) -> None:
        """Removes what was not used for longest until the limit is kept; never the newest."""
        if not self._limit_bytes:
            return
        entries = self.entries()
        total = sum(entry.bytes for entry in entries)
        for entry in reversed(entries):
            if total <= self._limit_bytes:
                return
            if entry.folder != newest:
                total -= entry.bytes
                shutil.rmtree(entry.folder, ignore_errors=True)

    def _sweep(self) -> None:
        """Removes what builds left that were killed."""
        for path in self.folder.glob(f"{_STAGING}*"):
            if time.time() - path.stat().st_mtime > _STALE_STAGING_S or not _is_alive(path.name):
                shutil.rmtree(path, ignore_errors=True)

    @contextmanager
    def _locked(self, otherwise: str) -> Iterator[None]:
        """The cache to change, for one process at a time."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            file = (self.folder / _LOCK_FILE).open("w")
        except OSError as error:
            raise ConfigurationError(f"{self.folder}: cannot be written ({error}); name another cache.") from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise BackendError(
                    f"{otherwise} in {self.folder}; wait until it is done.", reason=ENGINE_REASON
                ) from error
            except OSError as error:
                raise ConfigurationError(
                    f"{self.folder}: cannot be locked ({error}); name a cache on this machine's own disk."
                ) from error
            yield


def file_problem(entry: StoredEngine) -> str:
    """What is wrong with an engine's files.

    Args:
        entry: of a cache.

    Returns:
        A few words; empty where every byte is the one that was tested.
    """
    if entry.problem or entry.record is None:
        return entry.problem
    for name, wanted in entry.record.files.items():
        file = entry.folder / name
        try:
            if not file.is_file():
                return f"{name} is not there"
            if file_digest(file) != wanted:
                return f"{name} is not the file that was tested"
        except OSError as error:
            return f"{name} cannot be read ({error.strerror or error})"
    return ""


def graphs_fact(files: Mapping[str, str], names: Sequence[str]) -> str:
    """One digest of some files.

    Args:
        files: sha256 by name.
        names: of those that count.

    Returns:
        A sha256.
    """
    return hashlib.sha256(json.dumps({name: files[name] for name in sorted(names)}).encode()).hexdigest()


def _entry(folder: Path) -> StoredEngine:
    """What a folder holds."""
    data = read_json(folder / ENGINE_FILE)
    if data is None:
        return StoredEngine(folder=folder, record=None, problem=f"{ENGINE_FILE} is missing or cannot be read")
    if data.pop("format", None) != FORMAT:
        return StoredEngine(folder=folder, record=None, problem="it is of another version of n3d_ros")
    try:
        record = _record(data)
    except (TypeError, ValueError) as error:
        return StoredEngine(folder=folder, record=None, problem=f"{ENGINE_FILE}: {error}")
    if EngineKey(facts=record.facts).digest != folder.name:
        return StoredEngine(folder=folder, record=record, problem="its description is of another engine")
    return StoredEngine(folder=folder, record=record)


def _record(data: Mapping[str, Any]) -> EngineRecord:
    """A description whose values are of their kinds."""
    record = EngineRecord(**data)
    if not all(isinstance(data.get(name, {}), dict) for name in ("facts", "files", "self_test")):
        raise ValueError("expected facts, files and a self-test by name")
    words = [*record.facts.items(), *record.files.items()]
    if not all(isinstance(word, str) for pair in words for word in pair):
        raise ValueError("expected facts and files of words")
    if not all(re.fullmatch(r"\w[\w.-]{0,79}", name) for name in record.files):
        raise ValueError("expected names of files without folders")
    times: tuple[Any, ...] = (record.bytes, record.built, record.build_s)
    if not all(isinstance(number, (int, float)) and 0 <= number < _LARGEST for number in times):
        raise ValueError("expected numbers of bytes and seconds")
    if not all(isinstance(number, (int, float)) for number in record.self_test.values()):
        raise ValueError("expected a self-test of numbers")
    if not isinstance(data.get("notes", []), list):
        raise ValueError("expected a list of notes")
    if not all(isinstance(word, str) for word in (record.name, record.source, record.form, *record.notes)):
        raise ValueError("expected words")
    return record


def _short(value: str) -> str:
    if re.fullmatch(r"[0-9a-f]{64}", value):
        return f"{value[:12]}..."
    # Long ones, such as profiles, begin alike.
    return value if len(value) <= 60 else f"#{hashlib.sha256(value.encode()).hexdigest()[:8]}"


def _is_alive(name: str) -> bool:
    """Whether the process that a folder of work is named after still runs; on another machine it may."""
    host, _, number = name.removeprefix(_STAGING).removeprefix("former-").rpartition("-")
    if not number.isdigit() or host != writer_name().rpartition("-")[0]:
        return True
    return Path(f"/proc/{number}").exists()
