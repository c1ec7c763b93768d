"""Prepared views on disk: safetensors files of some scenes each, read a scene at a time without copying the rest."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from model_training.depth.prepare_config import PrepareConfig
from model_training.depth.view_set import ViewSet
from model_training.depth.yaml_config import to_json
from n3d_ros.errors import ConfigurationError

INDEX_FILE = "index.json"
FIELDS = ("rgb", "depth_mm", "sky", "objects", "intrinsics", "world_T_camera")
LABELS_FOLDER = "labels"


def shard_name(number: int) -> str:
    """File name of a shard."""
    return f"shard_{number:05d}.safetensors"


def write_shard(path: Path, sets: Iterable[ViewSet]) -> int:
    """The number of scenes written; the file appears when it is complete.

    Args:
        path: ends in .safetensors.
        sets: of one shape; none: nothing is written.

    Returns:
        Scenes in the file.
    """
    kept = list(sets)
    if not kept:
        return 0
    tensors = {name: np.ascontiguousarray(np.stack([getattr(s, name) for s in kept])) for name in FIELDS}
    part = path.with_name(path.name + ".part")
    save_file(tensors, part, metadata={"names": json.dumps([s.name for s in kept])})
    part.replace(path)
    return len(kept)


def _check_same(folder: Path, config: PrepareConfig) -> None:
    """Writes the folder's index, or refuses a folder that was begun with another configuration."""
    index, text = folder / INDEX_FILE, to_json(config)
    if index.exists() and index.read_text(encoding="utf-8").strip() != text:
        raise ConfigurationError(
            f"{folder} was begun with another configuration; name a new folder, or the configuration it was begun with."
        )
    index.write_text(text + "\n", encoding="utf-8")


def prepare(
    config: PrepareConfig,
    folder: Path,
    scenes: Callable[[PrepareConfig, int, int], Iterable[ViewSet]],
    on_progress: Callable[[int, int], None] | None = None,
) -> int:
    """Writes what is missing of the shards; stopped at any moment, the same call goes on.

    Args:
        config: what to prepare.
        folder: made if missing.
        scenes: scenes number first to first + count - 1; may give fewer at the end of a recording.
        on_progress: called with scenes done and scenes wanted.

    Returns:
        Scenes in the folder.

    Raises:
        ConfigurationError: the folder was begun with another configuration.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _check_same(folder, config)
    done = 0
    report = on_progress or (lambda _done, _total: None)

    def counted(sets: Iterable[ViewSet], before: int) -> Iterator[ViewSet]:
        for number, views in enumerate(sets, start=1):
            yield views
            report(before + number, config.scenes)

    for number, first in enumerate(range(0, config.scenes, config.scenes_per_shard)):
        count = min(config.scenes_per_shard, config.scenes - first)
        path = folder / shard_name(number)
        if path.exists():
            done += _scene_count(path)
            report(done, config.scenes)
            continue
        written = write_shard(path, counted(islice(scenes(config, first, count), count), done))
        done += written
        if written < count:
            break
    return done


def _scene_count(path: Path) -> int:
    """Scenes in a file."""
    with safe_open(path, framework="np") as file:
        return int(file.get_slice("depth_mm").get_shape()[0])


class ShardFolder:
    """Random access to prepared scenes, by number. Files stay mapped; safe to read from several threads."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.paths = sorted(self.folder.glob("shard_*.safetensors"))
        if not self.paths:
            raise ConfigurationError(
                f"{self.folder}: no shards here; make them with `python -m model_training.depth prepare`."
            )
        self._files: dict[Path, Any] = {}
        counts = [_scene_count(path) for path in self.paths]
        self._starts = np.concatenate([[0], np.cumsum(counts)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    @cached_property
    def shape(self) -> tuple[int, int, int]:
        """Views of a scene, height and width of its images."""
        views, height, width = self._file(self.paths[0]).get_slice("depth_mm").get_shape()[1:]
        return int(views), int(height), int(width)

    @property
    def has_labels(self) -> bool:
        """Whether a teacher's labels are there for every shard."""
        return all(self._label_path(path).exists() for path in self.paths)

    def scene(self, number: int) -> ViewSet:
        """All views of one scene.

        Args:
            number: 0 to ``len(self) - 1``.

        Returns:
            The views.
        """
        path, row = self._place(number)
        file = self._file(path)
        values = {name: file.get_slice(name)[row] for name in FIELDS}
        return ViewSet(name=self.names(path)[row], **values)

    def labels_mm(self, number: int) -> NDArray[np.uint16]:
        """(V, H, W) uint16 millimetres: the teacher's depth, aligned to the measured one; 0 where it said nothing.

        Args:
            number: of the scene.

        Returns:
            The labels.

        Raises:
            ConfigurationError: no labels were made for this folder.
        """
        path, row = self._place(number)
        label = self._label_path(path)
        if not label.exists():
            raise ConfigurationError(
                f"{self.folder}: no teacher labels; make them with `python -m model_training.depth teach`."
            )
        values: NDArray[np.uint16] = self._file(label).get_slice("label_mm")[row]
        return values

    def write_labels(self, shard: int, label_mm: NDArray[np.uint16]) -> None:
        """Stores a shard's labels beside it.

        Args:
            shard: position in ``paths``.
            label_mm: (N, V, H, W) millimetres, 0 for none.
        """
        path = self._label_path(self.paths[shard])
        path.parent.mkdir(exist_ok=True)
        part = path.with_name(path.name + ".part")
        save_file({"label_mm": np.ascontiguousarray(label_mm)}, part)
        part.replace(path)

    def has_shard_labels(self, shard: int) -> bool:
        """Whether a shard's labels are there."""
        return self._label_path(self.paths[shard]).exists()

    def shard_range(self, shard: int) -> range:
        """Numbers of the scenes in a shard."""
        return range(int(self._starts[shard]), int(self._starts[shard + 1]))

    def names(self, path: Path) -> list[str]:
        """Names of a shard's scenes."""
        found: list[str] = json.loads(self._file(path).metadata()["names"])
        return found

    def _place(self, number: int) -> tuple[Path, int]:
        """The file and the row of a scene."""
        if not 0 <= number < len(self):
            raise IndexError(f"{self.folder}: expected a scene from 0 to {len(self) - 1}, got {number}.")
        shard = int(np.searchsorted(self._starts, number, side="right")) - 1
        return self.paths[shard], number - int(self._starts[shard])

    def _file(self, path: Path) -> Any:
        """The opened file."""
        if path not in self._files:
            self._files[path] = safe_open(path, framework="np")
        return self._files[path]

    def _label_path(self, path: Path) -> Path:
        return path.parent / LABELS_FOLDER / path.name
