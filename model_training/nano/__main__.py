"""Writes an untrained small model: ``python -m model_training.nano FOLDER``."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence

from model_training.nano.folder import write_untrained
from model_training.nano.shapes import SHAPES
from n3d_ros.errors import N3dError

logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Writes a folder.

    Args:
        argv: arguments; None: those of this process.

    Returns:
        Exit code: 0 when the folder is written, 1 with a sentence otherwise.
    """
    parser = argparse.ArgumentParser(
        prog="python -m model_training.nano",
        description="Write an untrained small model, from which `n3d train stage1` starts.",
    )
    parser.add_argument("folder", help="folder to make")
    parser.add_argument(
        "--shape", choices=SHAPES, default="nano", help="nano: 7.8 M weights; pico: 2.8 M, as n3d-nano has"
    )
    parser.add_argument("--seed", type=int, default=0, help="the same seed, the same weights")
    parser.add_argument(
        "--no-depth",
        action="store_true",
        help="the same network without point channels (depth, place in the picture) and position code, to compare",
    )
    parser.add_argument(
        "--long-side", type=int, default=None, help="longer side of its images, px; default: the shape's"
    )
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        write_untrained(args.folder, args.shape, seed=args.seed, depth=not args.no_depth, long_side=args.long_side)
    except N3dError as error:
        logger.error("%s", error)
        return 1
    logger.info("%s: first weights of the shape %s; answers mean nothing before training.", args.folder, args.shape)
    return 0


if __name__ == "__main__":
    sys.exit(main())
