"""Estimates of finished chunks on disk: whole or not there, and believed only for the same images and settings."""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from n3d_ros.depth.streaming.chunks import Chunk
from n3d_ros.depth.views import DepthEstimate, PoseSource, ScaleSource, View, ViewDepth
from n3d_ros.errors import ConfigurationError
from n3d_ros.geometry.camera import CameraIntrinsics
from n3d_ros.geometry.transforms import RigidTransform
from n3d_ros.whole_files import whole_file

FORMAT = 1
CARD = "card.json"  # the array that holds the text of everything that is no image
IMAGES = ("depth_m", "confidence", "sky")
# Damaged and foreign files; MemoryError: the header of a foreign array may claim any size.
UNREADABLE = (OSError, ValueError, KeyError, TypeError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkFiles:
    """The folder of a sequence's chunks.

    Args:
        folder: to write in; made with the first chunk.
        fingerprint: of the model and of every setting that results depend on.
        prefix: of the files' names.
    """

    folder: Path
    fingerprint: str
    prefix: str = "chunk"

    def path(self, number: int) -> Path:
        """Where a chunk's estimate lies.

        Args:
            number: of the chunk.

        Returns:
            The file.
        """
        return self.folder / f"{self.prefix}_{number:06d}.npz"

    def read(self, chunk: Chunk) -> DepthEstimate | None:
        """A finished estimate of exactly these views.

        Args:
            chunk: as cut now.

        Returns:
            None where there is none, or a file that is damaged, of other settings, of other images or of other sizes.
        """
        found = _read_estimate(self.path(chunk.number))
        if found is None or found[0] != self._made_of(chunk):
            return None
        made, views = [_sizes(view) for view in found[1].views], [{view.rgb.shape[:2]} for view in chunk.views]
        return found[1] if made == views else None

    def read_again(self, number: int) -> DepthEstimate:
        """An estimate that this run has already read or written.

        Args:
            number: of the chunk.

        Returns:
            The estimate.

        Raises:
            ConfigurationError: somebody removed or damaged it meanwhile.
        """
        found = _read_estimate(self.path(number))
        if found is None:
            raise ConfigurationError(f"{self.path(number)} was whole before and is not now; start again.")
        return found[1]

    def write(self, chunk: Chunk, estimate: DepthEstimate) -> None:
        """Keeps an estimate, under its name only once it is whole.

        Args:
            chunk: that was estimated.
            estimate: of its views.

        Raises:
            ConfigurationError: the disk is full or read-only.
        """
        card = {
            "made_of": self._made_of(chunk),
            "scale_source": estimate.scale_source.value,
            "scale": estimate.scale,
            "notes": list(estimate.notes),
            "views": [_facts(view) for view in estimate.views],
        }
        arrays: dict[str, NDArray[Any]] = {CARD: np.frombuffer(json.dumps(card).encode(), dtype=np.uint8)}
        for i, view in enumerate(estimate.views):
            for name in IMAGES:
                if (image := getattr(view, name)) is not None:
                    arrays[_key(i, name)] = image
        write_arrays(self.path(chunk.number), arrays)

    def _made_of(self, chunk: Chunk) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "fingerprint": self.fingerprint,
            "first": chunk.first,
            "views": [_digest(view) for view in chunk.views],
        }


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Writes arrays under a name that never stands for half of them.

    They go straight to a file beside the place: a chunk in memory twice would break the promise of memory.

    Args:
        path: to write.
        arrays: by name.

    Raises:
        ConfigurationError: the disk is full or read-only.
    """
    advice = "Make room or choose another folder, and start again: finished chunks are taken up."
    with whole_file(path, advice=advice) as file:
        np.savez(file, **dict(arrays))  # type: ignore[arg-type]  # names never meet its own keyword


def read_image(path: Path, name: str) -> NDArray[np.uint8]:
    """One image of a file that this run has written.

    Args:
        path: of the file.
        name: of the image.

    Returns:
        (H, W, 3) uint8.

    Raises:
        ConfigurationError: somebody removed or damaged it meanwhile.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return np.asarray(arrays[name], dtype=np.uint8)
    except UNREADABLE as error:
        raise ConfigurationError(f"{path} was whole before and is not now; start again.") from error


def _read_estimate(path: Path) -> tuple[dict[str, Any], DepthEstimate] | None:
    """What a file says that it was made of, and the estimate; None where it is missing or damaged."""
    try:
        # numpy leaves a file open that it opened itself and found broken.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            card = json.loads(bytes(arrays[CARD]).decode())
            return dict(card["made_of"]), DepthEstimate(
                views=tuple(_view(arrays, i, facts) for i, facts in enumerate(card["views"])),
                scale_source=ScaleSource(card["scale_source"]),
                scale=float(card["scale"]),
                notes=tuple(str(note) for note in card["notes"]),
            )
    except UNREADABLE:  # it is made again; what matters is that nothing half or foreign is taken for it
        return None


def _digest(view: View) -> str:
    digest = hashlib.sha256(np.ascontiguousarray(view.rgb).tobytes())
    digest.update(json.dumps([view.rgb.shape, _camera(view.intrinsics), _pose(view.world_T_camera)]).encode())
    return digest.hexdigest()


def _sizes(view: ViewDepth) -> set[tuple[int, ...]]:
    return {image.shape for name in IMAGES if (image := getattr(view, name)) is not None}


def _key(number: int, name: str) -> str:
    return f"{number:04d}_{name}"


def _facts(view: ViewDepth) -> dict[str, Any]:
    return {
        "images": [name for name in IMAGES if getattr(view, name) is not None],
        "intrinsics": _camera(view.intrinsics),
        "intrinsics_estimated": view.intrinsics_estimated,
        "world_T_camera": _pose(view.world_T_camera),
        "pose_source": view.pose_source.value,
        "agreement": view.agreement,
    }


def _view(arrays: Mapping[str, NDArray[Any]], number: int, facts: Mapping[str, Any]) -> ViewDepth:
    camera, pose = facts["intrinsics"], facts["world_T_camera"]
    return ViewDepth(
        **{name: arrays[_key(number, name)] for name in facts["images"]},
        intrinsics=None if camera is None else CameraIntrinsics(**camera),
        intrinsics_estimated=bool(facts["intrinsics_estimated"]),
        world_T_camera=None if pose is None else _transform(pose),
        pose_source=PoseSource(facts["pose_source"]),
        agreement=None if facts["agreement"] is None else float(facts["agreement"]),
    )


def _camera(camera: CameraIntrinsics | None) -> dict[str, float] | None:
    if camera is None:
        return None
    return {name: getattr(camera, name) for name in ("fx", "fy", "cx", "cy", "width", "height")}


def _pose(pose: RigidTransform | None) -> list[list[float]] | None:
    # As JSON writes them, Python's floats come back to the last bit.
    return None if pose is None else [*pose.rotation.tolist(), pose.translation.tolist()]


def _transform(rows: Sequence[Sequence[float]]) -> RigidTransform:
    return RigidTransform(rotation=np.array(rows[:3]), translation=np.array(rows[3]))
