"""What ``n3d depth`` refuses before a model is loaded, which may take minutes."""

from __future__ import annotations

import argparse
import contextlib
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from n3d_ros.errors import ConfigurationError

if TYPE_CHECKING:
    from n3d_ros.depth.files.sources import FrameSource

DTYPES = ("auto", "float32", "bfloat16", "float16")


def check_options(args: argparse.Namespace) -> None:
    """Refuses numbers that no option can have.

    Args:
        args: parsed arguments.

    Raises:
        ConfigurationError: the option, what it takes and what came.
    """
    for name, least in {"every": 1, "max_frames": 1, "chunk": 2, "overlap": 1}.items():
        value = getattr(args, name)
        if value is not None and value < least:
            raise ConfigurationError(f"--{name.replace('_', '-')}: expected {least} and more, got {value}.")
    if args.chunk is not None and args.overlap is not None:
        check_overlap(args.chunk, args.overlap)
    if args.dtype not in DTYPES:
        raise ConfigurationError(f"--dtype: expected one of {', '.join(DTYPES)}, got {args.dtype!r}.")
    _check_resolution(args.resolution)
    if args.close_loops and not args.resume:
        raise ConfigurationError("--close-loops looks at chunks a second time, from disk; leave --no-resume out.")


def check_overlap(chunk: int, overlap: int) -> None:
    """Refuses an overlap that leaves no new image.

    Args:
        chunk: images of a chunk.
        overlap: of them shared with the next one.

    Raises:
        ConfigurationError: as many as the chunk has, or more.
    """
    if overlap >= chunk:
        raise ConfigurationError(
            f"--overlap: expected fewer images than a chunk has (--chunk {chunk}), got {overlap}; half is usual."
        )


def _check_resolution(resolution: int) -> None:
    from n3d_ros.depth.options import PATCH_PX, DepthOptions

    limits = next(field.metadata for field in fields(DepthOptions) if field.name == "process_res")
    low, high = limits["minimum"], limits["maximum"]
    if not low <= resolution <= high or resolution % PATCH_PX:
        raise ConfigurationError(
            f"--resolution: expected a multiple of {PATCH_PX} from {low:g} to {high:g} px, got {resolution}; models "
            "learnt at 504."
        )


def check_first_image(source: FrameSource) -> None:
    """Reads the first image of files, so that what cannot be read or does not fit its calibration is told at once.

    Args:
        source: the input; a recording is left as it is, where the first image may come late.
    """
    from n3d_ros.depth.files.sources import RECORDING

    if source.kind == RECORDING:
        return
    frames = source.frames()
    try:
        next(frames, None)
    finally:
        with contextlib.suppress(AttributeError):  # an iterator need not be a generator
            frames.close()  # type: ignore[attr-defined]


def refuse_place(args: argparse.Namespace) -> None:
    """Refuses results in a folder that is read: the next run would take them for input.

    Args:
        args: parsed arguments.

    Raises:
        ConfigurationError: the folder for results lies in the input.
    """
    output = Path(args.output).expanduser().resolve()
    for path in map(Path, args.inputs):
        place = path.expanduser().resolve()
        if place == output or (place.is_dir() and place in output.parents):
            raise ConfigurationError(f"-o {args.output} lies in the input {path}; choose another folder.")
    if any((place / "metadata.yaml").is_file() for place in (output, *output.parents)):
        from n3d_ros.ros.bag import refuse_inside_bag

        refuse_inside_bag(output)
