"""Sequences of any known layout."""

from __future__ import annotations

from pathlib import Path

from n3d_ros.depth.evaluation import tum_sequence
from n3d_ros.depth.evaluation.folder_sequences import TRUTH, read_scene_sequences, read_seven_scenes_sequence
from n3d_ros.depth.evaluation.sequence import Sequence
from n3d_ros.errors import ConfigurationError, InputError

FORMATS = ("auto", "tum", "scenes", "7scenes")


def read_sequences(
    folder: Path,
    *,
    layout: str = "auto",
    intrinsics: tuple[float, float, float, float] | None = None,
    depth_units_per_m: float | None = None,
) -> tuple[Sequence, ...]:
    """The sequences of a folder.

    Args:
        folder: of one TUM or 7-Scenes sequence, or of generated scenes.
        layout: of ``FORMATS``; "auto" tells by the files.
        intrinsics: fx, fy, cx, cy in pixels, for layouts that do not hold them; None: known ones.
        depth_units_per_m: of the depth images; None: that of the layout.

    Returns:
        One or more.

    Raises:
        InputError: no folder, no known layout, or damaged files.
        ConfigurationError: an unknown layout, or options that its files answer.
    """
    if layout not in FORMATS:
        raise ConfigurationError(f"--format: expected one of {', '.join(FORMATS)}, got {layout!r}.")
    if not folder.is_dir():
        raise InputError(f"{folder}: expected a folder with a sequence.")
    layout = layout_of(folder) if layout == "auto" else layout
    if layout == "scenes":
        if intrinsics is not None or depth_units_per_m is not None:
            raise ConfigurationError(
                "--intrinsics, --depth-factor: generated scenes hold both with every frame; leave the options out."
            )
        return read_scene_sequences(folder)
    if layout == "tum":
        units = depth_units_per_m or tum_sequence.DEPTH_UNITS_PER_M
        return (tum_sequence.read_tum_sequence(folder, intrinsics=intrinsics, depth_units_per_m=units),)
    units = depth_units_per_m or 1000.0
    return (read_seven_scenes_sequence(folder, intrinsics=intrinsics, depth_units_per_m=units),)


def layout_of(folder: Path) -> str:
    """The layout of a folder, by its files.

    Args:
        folder: to look into.

    Returns:
        Of ``FORMATS``, not "auto".

    Raises:
        InputError: none is known.
    """
    if (folder / "rgb.txt").is_file():
        return "tum"
    if next(folder.glob(f"*{TRUTH}"), None) is not None:
        return "scenes"
    if next(folder.glob("frame-*.pose.txt"), None) is not None:
        return "7scenes"
    raise InputError(
        f"{folder}: no known layout. Expected rgb.txt, depth.txt and groundtruth.txt (TUM), NAME{TRUTH} beside images "
        "(generated scenes) or frame-NNNNNN.pose.txt (7-Scenes)."
    )
