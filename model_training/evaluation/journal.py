"""What a run has found so far: one JSON line per frame, so that an interrupted run goes on where it ended."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from n3d_ros.errors import ConfigurationError
from n3d_ros.whole_files import read_json, write_json

RUN_FILE, LINES_FILE = "run.json", "found.jsonl"
FORMAT, VERSION = "n3d_evaluation_run", 1


class Journal:
    """The lines of a run in a folder.

    Args:
        folder: of the report; made if missing.
        about: what is evaluated, by whom, and how, as plain values; another one of these is another run.
        force: whether what another run left there may be dropped.
        stale: names of files made of its lines, which are dropped with them.

    Raises:
        ConfigurationError: the folder holds the lines of another run.
    """

    def __init__(
        self, folder: Path, about: Mapping[str, Any], *, force: bool = False, stale: Sequence[str] = ()
    ) -> None:
        self._path = folder / LINES_FILE
        digest = _digest(about)
        there = read_json(folder / RUN_FILE) or {}
        # Lines without a readable word on whose they are may be anybody's.
        if self._path.exists() and there.get("digest") != digest:
            if not force:
                raise _refusal(folder, there.get("about"), about)
            for left in (self._path, *(folder / name for name in stale)):
                left.unlink(missing_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / RUN_FILE, {"format": FORMAT, "version": VERSION, "digest": digest, "about": dict(about)})
        self.lines: dict[str, dict[str, Any]] = {}
        """By the frame's id."""
        self._keep_whole_lines()

    def has(self, frame_id: str) -> bool:
        """Whether a frame was done.

        Args:
            frame_id: its id.

        Returns:
            True when its line is there.
        """
        return frame_id in self.lines

    def add(self, frame_id: str, values: Mapping[str, Any]) -> None:
        """Writes the line of a frame, so that it survives whatever comes next.

        Args:
            frame_id: its id.
            values: plain values.

        Raises:
            ConfigurationError: it cannot be written.
        """
        line = {"frame": frame_id, **values}
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line, allow_nan=False) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise ConfigurationError(
                f"{self._path}: cannot be written ({error.strerror or error}). Make room and give the same command "
                "again; it continues."
            ) from error
        self.lines[frame_id] = line

    def _keep_whole_lines(self) -> None:
        """Reads the lines that are there, and cuts off one that a crash left half written."""
        if not self._path.exists():
            return
        data = self._path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        kept = 0
        for raw in whole.splitlines(keepends=True):
            try:
                line = json.loads(raw)
                self.lines[str(line["frame"])] = line
            except (ValueError, KeyError, TypeError):
                break
            kept += len(raw)
        if kept < len(data):
            with self._path.open("r+b") as file:
                file.truncate(kept)


def refuse_other_run(folder: Path, about: Mapping[str, Any]) -> None:
    """Refuses a folder that ``Journal`` will refuse, by what is known before anything is loaded.

    Args:
        folder: of the report; it need not exist.
        about: a part of what is told to ``Journal``.

    Raises:
        ConfigurationError: the folder holds the lines of a run of which this part is another.
    """
    there = (read_json(folder / RUN_FILE) or {}).get("about")
    if (folder / LINES_FILE).exists() and isinstance(there, Mapping):
        before = {name: there.get(name) for name in about}
        if _digest(before) != _digest(about):
            raise _refusal(folder, before, about)


def _digest(about: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def _refusal(folder: Path, before: Any, now: Mapping[str, Any]) -> ConfigurationError:
    return ConfigurationError(
        f"{folder}: holds the evaluation of something else ({_difference(before, now)}). "
        "Choose another folder, or --force to replace it."
    )


def _difference(before: Any, now: Mapping[str, Any]) -> str:
    """What differs between two runs, in words."""
    if not isinstance(before, Mapping):
        return "of an unknown kind"
    told = []
    for name in (name for name in sorted({*before, *now}) if before.get(name) != now.get(name)):
        one, other = before.get(name), now.get(name)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            told.append(f"{name}: {_difference(one, other)}")
        else:
            told.append(f"{name} {one!r} and now {other!r}"[:200])
    return ", ".join(told[:3])
