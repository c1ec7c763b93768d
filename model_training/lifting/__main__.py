"""``python -m model_training.lifting``: how well lifting recovers boxes where the truth is known."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from model_training.lifting.config import LiftConfig
from model_training.lifting.validation import table_of, true_frames, validate
from model_training.yaml_config import read_yaml
from n3d_ros.errors import N3dError
from n3d_ros.whole_files import write_json


def main(argv: Sequence[str] | None = None) -> int:
    """Runs ``python -m model_training.lifting``.

    Args:
        argv: arguments; None: those of this process.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(
        prog="python -m model_training.lifting",
        description="Lift generated scenes and compare with their true visible boxes.",
    )
    parser.add_argument("--scenes", type=int, default=40, help="default 40: some 500 objects in a few minutes")
    parser.add_argument("--config", metavar="YAML", help="of lifting; default: the defaults")
    parser.add_argument("--json", metavar="FILE", help="all numbers")
    args = parser.parse_args(argv)
    try:
        config = read_yaml(args.config, LiftConfig) if args.config else LiftConfig()
        frames = true_frames(args.scenes)
        with tempfile.TemporaryDirectory() as folder:
            found = validate(frames, config, Path(folder))
        print(table_of(found))
        if args.json:
            write_json(Path(args.json), {name: one.to_dict() for name, one in found.items()})
    except N3dError as error:
        print(error.message, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
