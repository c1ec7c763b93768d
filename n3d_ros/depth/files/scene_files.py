"""The files of a whole input, from the records of its frames: one cloud, the cameras, a contact sheet, a summary."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from n3d_ros.depth.files.arrays import METRIC_SUFFIX, RELATIVE_SUFFIX
from n3d_ros.depth.files.cameras import cameras_document, colmap_texts, tum_text
from n3d_ros.depth.files.clouds import Cloud, glb_bytes, ply_bytes
from n3d_ros.depth.files.frame_files import COLMAP, GLB, PLY, PREVIEW, OutputChoices
from n3d_ros.depth.files.preview import MAX_TILES, contact_sheet, picture_bytes
from n3d_ros.depth.files.records import FrameRecord
from n3d_ros.depth.views import PoseSource
from n3d_ros.geometry.transforms import RigidTransform
from n3d_ros.whole_files import json_bytes, write_whole

Put = Callable[[str, bytes], None]  # writes a file of this name

SUMMARY_FILE = "summary.json"
MIN_KEPT = 1000  # points of a frame, however many frames there are


def cloud_points_of(choices: OutputChoices, frames: int | None) -> int:
    """How many points of each frame are kept for the cloud of all.

    Args:
        choices: with the limit of the whole cloud.
        frames: how many there are, as far as is known.

    Returns:
        Points.
    """
    if not ({GLB, PLY} & set(choices.formats)):
        return 1
    return max(min(MIN_KEPT, choices.max_points), choices.max_points // max(1, frames or 100))


def write_scene_files(
    folder: Path,
    records: Sequence[FrameRecord],
    choices: OutputChoices,
    *,
    world: str,
    z_is_up: bool,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Writes what is made of all frames together.

    Args:
        folder: for all results.
        records: of the frames, in order.
        choices: what is written.
        world: what the world is, in words.
        z_is_up: whether its z axis points up.

    Returns:
        Names of the files, and sentences on what could not be made.
    """
    files: list[str] = []
    notes: list[str] = []

    def put(name: str, content: bytes) -> None:
        write_whole(folder / name, content)
        files.append(name)

    cameras = [record.camera for record in records]
    put("cameras.json", json_bytes(cameras_document(cameras, unit=_unit_of(records))))
    if choices.frames_share_world:
        worlds = _worlds(records)
        if len(worlds) > 1:
            notes.append(
                f"the sequence falls into {len(worlds)} parts that could not be put together: each has a world, and "
                "files, of its own"
            )
        for number, part in enumerate(worlds):
            place = Placement(name="" if not number else f"_part{number + 1}", world=world, z_is_up=z_is_up)
            _write_trajectory(part, choices, put, place)
            _write_cloud(part, choices, put, notes, place)
    if PREVIEW in choices.formats and len(records) > 1:
        put("contact_sheet.png", _contact_sheet(folder, records))
    return tuple(files), tuple(notes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """What the positions of some frames are given in.

    Args:
        name: of files, after their own; empty for the first world.
        world: in words.
        z_is_up: whether its z axis points up.
    """

    name: str
    world: str
    z_is_up: bool


def _has_given_pose(record: FrameRecord) -> bool:
    """Whether its position was given, so that it is in metres whatever the depth is in."""
    return record.camera.pose_source == PoseSource.GIVEN.value


def _unit_of(records: Sequence[FrameRecord]) -> str:
    """Of the positions: metres, relative, or different from frame to frame."""
    kinds = {record.is_metric or _has_given_pose(record) for record in records}
    return "mixed" if len(kinds) > 1 else "m" if kinds == {True} else "relative"


def _worlds(records: Sequence[FrameRecord]) -> list[list[FrameRecord]]:
    """Frames whose positions belong together; given poses in metres always do."""
    worlds: dict[int, list[FrameRecord]] = {}
    for record in records:
        worlds.setdefault(-1 if _has_given_pose(record) else record.camera.segment, []).append(record)
    return list(worlds.values())


def _write_trajectory(records: Sequence[FrameRecord], choices: OutputChoices, put: Put, place: Placement) -> None:
    """The cameras of one world for other tools."""
    cameras = [record.camera for record in records]
    if all(camera.world_T_camera is None for camera in cameras):
        return
    suffix = METRIC_SUFFIX if _unit_of(records) == "m" else RELATIVE_SUFFIX
    put(f"trajectory{suffix}{place.name}.tum", tum_text(cameras).encode())
    if COLMAP in choices.formats:
        for name, text in colmap_texts(cameras).items():
            put(f"colmap{suffix}{place.name}/{name}", text.encode())


def _write_cloud(
    records: Sequence[FrameRecord], choices: OutputChoices, put: Put, notes: list[str], place: Placement
) -> None:
    """One cloud of the frames whose place and scale are known; a single image is its own world."""
    wanted = {GLB, PLY} & set(choices.formats)
    used = _with_one_scale(records, notes) if wanted else []
    placed = []
    for record in used:
        pose = record.camera.world_T_camera or (RigidTransform.identity() if len(used) == 1 else None)
        if _has_given_pose(record) and not record.is_metric:
            pose = None  # metres and points of unknown size do not go together
        if pose is not None and record.camera.intrinsics is not None:
            placed.append((record, record.camera.intrinsics, pose))
    if len(placed) < len(used):
        notes.append(
            f"cloud: of {len(placed)} of {len(used)} frames; of the others the calibration or the pose is not known "
            "(--intrinsics), or poses are in metres and depth is not (--metric; or --frame none, which has poses "
            "estimated)"
        )
    if not placed:
        return
    cloud = Cloud.joined([record.cloud.moved(pose) for record, _, pose in placed]).thinned(choices.max_points)
    suffix = METRIC_SUFFIX if placed[0][0].is_metric else RELATIVE_SUFFIX
    unit = "metres" if placed[0][0].is_metric else "relative, not metres"
    comment = f"{unit}; {place.world}"
    if PLY in wanted:
        put(f"scene{suffix}{place.name}.ply", ply_bytes(cloud, comment=comment))
    if GLB in wanted:
        cameras = [(intrinsics, pose) for _, intrinsics, pose in placed]
        put(f"scene{suffix}{place.name}.glb", glb_bytes(cloud, cameras, z_is_up=place.z_is_up, comment=comment))


def _with_one_scale(records: Sequence[FrameRecord], notes: list[str]) -> list[FrameRecord]:
    """The metric frames where some are; all where none is."""
    metric = [record for record in records if record.is_metric]
    if metric and len(metric) < len(records):
        notes.append(f"cloud: of the {len(metric)} of {len(records)} frames that are in metres")
    return metric or list(records)


def _contact_sheet(folder: Path, records: Sequence[FrameRecord]) -> bytes:
    """Previews evenly over the input, read back from their files."""
    count = min(MAX_TILES, len(records))
    chosen = [records[i] for i in np.linspace(0, len(records) - 1, count).round().astype(int)]
    pictures = []
    for record in chosen:
        with Image.open(folder / f"preview/{record.camera.name}.png") as image:
            pictures.append(np.asarray(image.convert("RGB")))
    return picture_bytes(contact_sheet(pictures, [record.camera.name for record in chosen]))


def summary_document(
    records: Sequence[FrameRecord], *, files: Sequence[str], notes: Sequence[str], facts: Mapping[str, Any]
) -> dict[str, Any]:
    """What was done, for programs.

    Args:
        records: of the frames, in order.
        files: of the whole input.
        notes: sentences.
        facts: further plain values: input, model, settings, times.

    Returns:
        Plain values.
    """
    sources: dict[str, int] = {}
    for record in records:
        source = record.camera.scale_source
        sources[source] = sources.get(source, 0) + 1
    return {
        **facts,
        "frames_done": len(records),
        "scale_sources": sources,
        "is_metric": bool(records) and all(record.is_metric for record in records),
        "png_pixels_too_far": sum(record.too_far or 0 for record in records),
        "png_pixels_too_near": sum(record.too_near or 0 for record in records),
        "notes": list(notes),
        "files": list(files),
        "frames": [record.facts() for record in records],
    }
