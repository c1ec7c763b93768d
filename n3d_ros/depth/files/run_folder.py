"""The folder of the results: what it was made of, what is done, and what has to go when the settings change.

::

    OUT/depth_run.json    input and settings, colour range; "complete" at the end
    OUT/.work/            records of finished frames, chunks of a long sequence; gone at the end
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from n3d_ros.depth.files.preview import ColorRange
from n3d_ros.depth.files.records import FrameRecord, read_record, write_record
from n3d_ros.errors import ConfigurationError
from n3d_ros.whole_files import read_json, write_json

STATE_FILE, WORK_FOLDER = "depth_run.json", ".work"
FORMAT = 1  # of the state; another one is taken for other settings


class Found(Enum):
    """What was in the folder."""

    NOTHING = "nothing"
    UNFINISHED = "unfinished"  # of the same input and settings
    COMPLETE = "complete"  # of the same input and settings
    OTHER_SETTINGS = "other settings"  # of the same input


@dataclass(slots=True)
class RunFolder:
    """The folder of one input's results.

    Args:
        path: of the folder.
        source: what the input is, plain values.
        settings: what the results depend on beside it, plain values.
        ranges: colour range by whether it is metric, fixed with the first frames.
        relative_unit: of a count of relative depth images, fixed with the first frames; None until then.
        found: what was there.
    """

    path: Path
    source: Mapping[str, Any]
    settings: Mapping[str, Any]
    ranges: dict[bool, ColorRange] = field(default_factory=dict)
    relative_unit: float | None = None
    found: Found = Found.NOTHING

    @property
    def work(self) -> Path:
        """For what is not a result."""
        return self.path / WORK_FOLDER

    def open(self, *, force: bool) -> None:
        """Looks at what is there, and clears what other settings have left.

        Args:
            force: replace the results of another input, and complete ones.

        Raises:
            ConfigurationError: the folder holds the results of another input, or is a file.
        """
        if self.path.exists() and not self.path.is_dir():
            raise ConfigurationError(f"{self.path} is a file; expected a folder for the results.")
        state = read_json(self.path / STATE_FILE)
        if state is None:
            if (self.path / STATE_FILE).exists() and not force:
                raise ConfigurationError(f"{self.path / STATE_FILE} cannot be read; --force to replace what is there.")
            self.found = Found.NOTHING
            return
        same = state.get("format") == FORMAT and state.get("input") == _as_json(self.source)
        if not same and not force:
            raise ConfigurationError(
                f"{self.path} holds the depth of another input, or of an older version of this one; choose another "
                "folder, or --force to replace it."
            )
        if same and state.get("settings") == _as_json(self.settings) and not force:
            self.found = Found.COMPLETE if state.get("complete") else Found.UNFINISHED
            self._take(state)
            return
        self.found = Found.OTHER_SETTINGS
        self._clear(state)

    def save(self, *, complete: bool = False, files: tuple[str, ...] = ()) -> None:
        """Writes the state.

        Args:
            complete: everything is there.
            files: all results, relative to the folder; they go when settings change.
        """
        names = {True: "metric", False: "relative"}
        content = {
            "format": FORMAT,
            "complete": complete,
            "input": dict(self.source),
            "settings": dict(self.settings),
            "color_ranges": {names[key]: [scale.near, scale.far] for key, scale in self.ranges.items()},
            "relative_unit": self.relative_unit,
            "files": list(files),
        }
        write_json(self.path / STATE_FILE, content)

    def finish(self, files: tuple[str, ...]) -> None:
        """Everything is there: says so, and removes what was kept on the way.

        Args:
            files: all results, relative to the folder.
        """
        self.save(complete=True, files=files)
        shutil.rmtree(self.work, ignore_errors=True)

    def record(self, index: int) -> FrameRecord | None:
        """What is known of a finished frame.

        Args:
            index: of the frame.

        Returns:
            None when it is not finished, or one of its files has gone.
        """
        record = read_record(self._record_path(index))
        if record is None or not all((self.path / name).is_file() for name in record.files):
            return None
        return record

    def add(self, record: FrameRecord) -> None:
        """Marks a frame as finished.

        Args:
            record: of it, after its files.
        """
        write_record(self._record_path(record.camera.index), record)

    def _record_path(self, index: int) -> Path:
        return self.work / "frames" / f"{index:06d}.npz"

    def _take(self, state: Mapping[str, Any]) -> None:
        """Ranges and unit that earlier frames were written with."""
        ranges = state.get("color_ranges", {})
        for name, is_metric in (("metric", True), ("relative", False)):
            if name in ranges:
                near, far = ranges[name]
                self.ranges[is_metric] = ColorRange(near=near, far=far, is_metric=is_metric)
        self.relative_unit = state.get("relative_unit")

    def _clear(self, state: Mapping[str, Any]) -> None:
        """Removes the results that this program wrote here, and nothing else."""
        names = {str(name) for name in state.get("files", ())}
        for path in sorted((self.work / "frames").glob("*.npz")):
            if (record := read_record(path)) is not None:
                names.update(record.files)
        root = self.path.resolve()
        for name in names:
            place = (self.path / name).resolve()
            if root in place.parents:  # a state that was edited must not reach outside
                place.unlink(missing_ok=True)
                with contextlib.suppress(OSError):  # not empty
                    if place.parent != root:
                        place.parent.rmdir()
        shutil.rmtree(self.work, ignore_errors=True)
        (self.path / STATE_FILE).unlink(missing_ok=True)


def _as_json(values: Mapping[str, Any]) -> Any:
    """Plain values as they come back from a file: tuples are lists."""
    return json.loads(json.dumps(dict(values)))
