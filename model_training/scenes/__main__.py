"""``python -m model_training.scenes``: generates scenes into a folder, with a contact sheet to look at."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from model_training.scenes.batch import is_written, write_scenes
from model_training.scenes.depth_noise import DEPTH_NOISE
from model_training.scenes.export import contact_sheet, write_image
from model_training.scenes.spec import CAMERAS, KINDS, VARIETIES, SceneSpec
from n3d_ros.errors import N3dError

PICTURES_PER_SHEET = 9
BAR_WIDTH = 30


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line's values.

    Args:
        arguments: without the program's name; None: the process's own.

    Returns:
        Parsed values.
    """
    parser = argparse.ArgumentParser(prog="python -m model_training.scenes", description=__doc__)
    parser.add_argument("--kind", choices=KINDS, default="tabletop", help="what to generate (default: %(default)s)")
    parser.add_argument("--count", type=int, default=10, help="scenes, one seed each (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first scene (default: %(default)s)")
    parser.add_argument("--views", type=int, default=1, help="frames per scene (default: %(default)s)")
    parser.add_argument("--noise", choices=sorted(DEPTH_NOISE), default="structured_light", help="depth camera model")
    parser.add_argument("--camera", choices=sorted(CAMERAS), default="kinect", help="intrinsics (default: %(default)s)")
    parser.add_argument(
        "--spec", type=Path, help="JSON file with a scene spec; options above that it names are ignored"
    )
    parser.add_argument("--seconds", type=float, help="record a moving camera for so long instead of single views")
    parser.add_argument(
        "--rate", type=float, default=10.0, help="frames per second with --seconds (default: %(default)s)"
    )
    parser.add_argument(
        "--workers", type=int, default=1, help="processes; each renders whole scenes (default: %(default)s)"
    )
    parser.add_argument(
        "--variety", choices=VARIETIES, default="basic", help="rich: everything varies (default: basic)"
    )
    parser.add_argument("--no-shadows", action="store_true", help="faster, and less like a photograph")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to; scenes already there are kept")
    options = parser.parse_args(arguments)
    if options.count < 1 or options.views < 1 or options.workers < 1:
        parser.error("--count, --views and --workers: expected 1 or more.")
    return options


def _spec(options: argparse.Namespace) -> SceneSpec:
    """The spec that the options describe."""
    if options.spec is not None:
        return SceneSpec.from_json(options.spec.read_text())
    return SceneSpec(
        kind=options.kind,
        camera=CAMERAS[options.camera],
        views=options.views,
        depth_noise=options.noise,
        shadows=not options.no_shadows,
        variety=options.variety,
    )


def _show_progress(done: int, total: int, frames: int, started: float) -> None:
    """One line that is written over; silent when nobody watches a terminal, except at the end."""
    if not sys.stderr.isatty() and done < total:
        return
    filled = BAR_WIDTH * done // max(total, 1)
    rate = frames / max(time.perf_counter() - started, 1e-9)
    bar = "#" * filled + "." * (BAR_WIDTH - filled)
    end = "\n" if done == total else ""
    print(
        f"\r[{bar}] {done}/{total} scenes, {frames} frames, {rate:.1f} frames/s", end=end, file=sys.stderr, flush=True
    )


def _write_sheets(folder: Path) -> list[Path]:
    """Contact sheets of all previews in the folder."""
    previews = sorted(folder.glob("*.preview.png"))
    sheets = []
    for number, start in enumerate(range(0, len(previews), PICTURES_PER_SHEET)):
        read = [cv2.imread(str(path)) for path in previews[start : start + PICTURES_PER_SHEET]]
        pictures: list[NDArray[np.uint8]] = [np.asarray(picture, np.uint8) for picture in read if picture is not None]
        if not pictures:
            continue
        sheets.append(folder / f"contact_sheet_{number:03d}.png")
        write_image(sheets[-1], contact_sheet(pictures))
    return sheets


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0 when all scenes were written.

    Args:
        arguments: without the program's name; None: the process's own.

    Returns:
        0, or 2 with a sentence on stderr.
    """
    options = parse_arguments(arguments)
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        base = _spec(options)
        specs = [base.with_seed(options.seed + k) for k in range(options.count)]
        missing = [spec for spec in specs if not is_written(options.out, spec)]
        if len(missing) < len(specs):
            print(f"{len(specs) - len(missing)} of {len(specs)} scenes are already there.", file=sys.stderr)
        started, frames = time.perf_counter(), 0
        batch = write_scenes(missing, options.out, options.seconds, options.rate, workers=options.workers)
        for done, count in enumerate(batch, start=1):
            frames += count
            _show_progress(done, len(missing), frames, started)
        for sheet in _write_sheets(options.out):
            print(f"{sheet}")
    except (N3dError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped; run the same command again to go on.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
