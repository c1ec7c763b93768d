"""Prepared views on disk: safetensors files of some scenes each, read a scene at a time without copying the rest."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from model_training.depth.packed import packed, unpacked
from model_training.depth.prepare_config import PrepareConfig
from model_training.depth.view_set import ViewSet
from model_training.yaml_config import to_json
from n3d_ros.errors import ConfigurationError
from n3d_ros.weights.permissions import as_umask_says

INDEX_FILE = "index.json"
FIELDS = ("rgb", "depth_mm", "sky", "objects", "intrinsics", "world_T_camera")
CAMERA_FIELDS = ("intrinsics", "world_T_camera")
ABOUT = "scenes"  # key of a file's metadata
PACKED_FIELDS = ("rgb", "depth_mm", "masks")
Scenes = Callable[[PrepareConfig, int, int], Iterable[ViewSet]]
LABELS_FOLDER = "labels"


def shard_name(number: int) -> str:
    """File name of a shard."""
    return f"shard_{number:05d}.safetensors"


def write_shard(path: Path, sets: Iterable[ViewSet], encoding: str = "raw") -> int:
    """The number of scenes written; the file appears when it is complete.

    Args:
        path: ends in .safetensors.
        sets: of one shape; none: nothing is written.
        encoding: "raw" or "packed".

    Returns:
        Scenes in the file.
    """
    kept = list(sets)
    if not kept:
        return 0
    stacked = CAMERA_FIELDS if encoding == "packed" else FIELDS
    tensors = {name: np.ascontiguousarray(np.stack([getattr(s, name) for s in kept])) for name in stacked}
    if encoding == "packed":
        tensors |= _packed_tensors(kept)
    # One entry only: the order of several would change from run to run.
    about = json.dumps({"names": [s.name for s in kept], "shape": kept[0].depth_mm.shape})
    part = path.with_name(path.name + ".part")
    save_file(tensors, part, metadata={ABOUT: about})
    as_umask_says(part)
    part.replace(path)
    return len(kept)


def _packed_tensors(sets: Sequence[ViewSet]) -> dict[str, NDArray[Any]]:
    """Bytes of all scenes one after the other, and where each ends."""
    scenes = [packed(views) for views in sets]
    tensors: dict[str, NDArray[Any]] = {}
    for name in PACKED_FIELDS:
        tensors[f"{name}_bytes"] = np.concatenate([scene[name] for scene in scenes])
        tensors[f"{name}_ends"] = np.cumsum([len(scene[name]) for scene in scenes]).astype(np.int64)
    return tensors


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
    scenes: Scenes,
    on_progress: Callable[[int, int], None] | None = None,
    *,
    workers: int = 1,
) -> int:
    """Writes what is missing of the shards; stopped at any moment, the same call goes on.

    Args:
        config: what to prepare.
        folder: made if missing.
        scenes: scenes number first to first + count - 1; may give fewer at the end of a recording.
        on_progress: called with scenes done and scenes wanted.
        workers: processes, each of which writes whole shards; then ``scenes`` must be a function of a module.

    Returns:
        Scenes in the folder.

    Raises:
        ConfigurationError: the folder was begun with another configuration.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _check_same(folder, config)
    report = on_progress or (lambda _done, _total: None)
    numbers = range(-(-config.scenes // config.scenes_per_shard))
    there = {number: _scene_count(path) for number in numbers if (path := folder / shard_name(number)).exists()}
    missing = [number for number in numbers if number not in there]
    done = sum(there.values())
    if there:
        report(done, config.scenes)
    if workers > 1:
        return done + _prepare_in_parallel(config, folder, scenes, missing, workers, done, report)
    for number in missing:
        # The lambda is called before ``done`` changes.
        written = prepare_shard(config, folder, scenes, number, lambda count: report(done + count, config.scenes))  # noqa: B023
        done += written
        if written < _wanted(config, number):
            break
    return done


def _wanted(config: PrepareConfig, number: int) -> int:
    """Scenes of a full shard; the last one may be smaller."""
    return min(config.scenes_per_shard, config.scenes - number * config.scenes_per_shard)


def prepare_shard(
    config: PrepareConfig,
    folder: Path,
    scenes: Scenes,
    number: int,
    on_scene: Callable[[int], None] | None = None,
) -> int:
    """Writes one shard.

    Args:
        config: what to prepare.
        folder: exists.
        scenes: as for ``prepare``.
        number: of the shard.
        on_scene: called with the scenes done of this shard.

    Returns:
        Scenes written; 0 where a recording has ended.
    """
    wanted = _wanted(config, number)

    def counted() -> Iterator[ViewSet]:
        for done, views in enumerate(scenes(config, number * config.scenes_per_shard, wanted), start=1):
            if on_scene is not None:
                on_scene(done)
            yield views

    return write_shard(folder / shard_name(number), islice(counted(), wanted), config.encoding)


def _prepare_in_parallel(
    config: PrepareConfig,
    folder: Path,
    scenes: Scenes,
    missing: Sequence[int],
    workers: int,
    done: int,
    report: Callable[[int, int], None],
) -> int:
    """Scenes written by several processes."""
    context = multiprocessing.get_context("spawn")  # an OpenGL context does not survive a fork
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=cv2.setNumThreads, initargs=(1,))
    written = 0
    try:
        jobs = [pool.submit(prepare_shard, config, folder, scenes, number) for number in missing]
        for job in as_completed(jobs):
            written += job.result()
            report(done + written, config.scenes)
    finally:
        pool.shutdown(cancel_futures=True)
    return written


def _opened(path: Path) -> Any:
    """A shard to read from; refuses one that is not whole."""
    try:
        return safe_open(path, framework="np")
    except (SafetensorError, OSError) as error:
        raise ConfigurationError(
            f"{path}: not a whole shard ({error}); delete it and run prepare again, which makes what is missing."
        ) from error


def _scene_count(path: Path) -> int:
    """Scenes in a file."""
    with _opened(path) as file:
        return int(file.get_slice("intrinsics").get_shape()[0])


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
        views, height, width = self._about(self.paths[0])["shape"]
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
        name = self.names(path)[row]
        if "rgb_bytes" not in file.keys():  # noqa: SIM118 - a file of safetensors is no mapping
            return ViewSet(name=name, **{field: file.get_slice(field)[row] for field in FIELDS})
        data = {field: self._bytes_of(file, field, row) for field in PACKED_FIELDS}
        return unpacked(name, data, *(file.get_slice(field)[row] for field in CAMERA_FIELDS))

    @staticmethod
    def _bytes_of(file: Any, field: str, row: int) -> NDArray[np.uint8]:
        """The bytes of one scene in a packed file."""
        ends = file.get_tensor(f"{field}_ends")
        begin = int(ends[row - 1]) if row else 0
        found: NDArray[np.uint8] = file.get_slice(f"{field}_bytes")[begin : int(ends[row])]
        return found

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
        as_umask_says(part)
        part.replace(path)

    def has_shard_labels(self, shard: int) -> bool:
        """Whether a shard's labels are there."""
        return self._label_path(self.paths[shard]).exists()

    def shard_range(self, shard: int) -> range:
        """Numbers of the scenes in a shard."""
        return range(int(self._starts[shard]), int(self._starts[shard + 1]))

    def names(self, path: Path) -> list[str]:
        """Names of a shard's scenes."""
        found: list[str] = self._about(path)["names"]
        return found

    def _about(self, path: Path) -> dict[str, Any]:
        """Names and shape of a file's scenes."""
        values: dict[str, Any] = json.loads(self._file(path).metadata()[ABOUT])
        return values

    def _place(self, number: int) -> tuple[Path, int]:
        """The file and the row of a scene."""
        if not 0 <= number < len(self):
            raise IndexError(f"{self.folder}: expected a scene from 0 to {len(self) - 1}, got {number}.")
        shard = int(np.searchsorted(self._starts, number, side="right")) - 1
        return self.paths[shard], number - int(self._starts[shard])

    def _file(self, path: Path) -> Any:
        """The opened file."""
        if path not in self._files:
            self._files[path] = _opened(path)
        return self._files[path]

    def _label_path(self, path: Path) -> Path:
        return path.parent / LABELS_FOLDER / path.name
