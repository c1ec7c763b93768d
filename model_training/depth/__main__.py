"""``python -m model_training.depth prepare|train|teach|evaluate``: from scenes to a model in the released layout."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
from tqdm import tqdm

from n3d_ros.errors import ConfigurationError, N3dError

STOPPED = 130


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line's values.

    Args:
        arguments: without the program's name; None: the process's own.

    Returns:
        Parsed values.
    """
    parser = argparse.ArgumentParser(prog="python -m model_training.depth", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    prepare = commands.add_parser("prepare", help="views of generated scenes or of a recording as shards")
    prepare.add_argument("--config", type=Path, required=True, help="YAML of PrepareConfig")
    prepare.add_argument("--out", type=Path, required=True, help="folder; what is there already is kept")
    prepare.add_argument("--workers", type=int, default=1, help="processes (default: %(default)s)")

    train = commands.add_parser("train", help="a run, or the rest of one that was stopped")
    train.add_argument("--config", type=Path, required=True, help="YAML of TrainConfig")
    train.add_argument("--data", type=Path, required=True, help="shards to learn from")
    train.add_argument("--validation", type=Path, help="shards of other scenes, to be scored on")
    train.add_argument("--out", type=Path, required=True, help="folder of the run: log, checkpoints, report, model/")
    train.add_argument("--device", default="auto", help="cpu, cuda or auto (default)")
    train.add_argument("--threads", type=int, help="of torch on the CPU")
    train.add_argument(
        "--dtype", choices=("float32", "bfloat16", "float16"), default="float16", help="of the model file"
    )

    teach = commands.add_parser("teach", help="a teacher's labels, aligned to measured depth, beside the shards")
    teach.add_argument("--model", required=True, help="folder of the teacher, or a hub id such as a released model's")
    teach.add_argument("--data", type=Path, required=True, help="shards to label")
    teach.add_argument("--device", default="auto", help="cpu, cuda or auto (default)")

    evaluate = commands.add_parser("evaluate", help="scores of a model on shards, with pictures")
    evaluate.add_argument("--model", required=True, help="folder or hub id")
    evaluate.add_argument("--data", type=Path, required=True, help="shards that training never saw")
    evaluate.add_argument("--blind", type=Path, help="shards of training: scores a model without eyes beside it")
    evaluate.add_argument("--out", type=Path, required=True, help="folder for scores.json and samples.png")
    evaluate.add_argument("--scenes", type=int, default=64, help="at most (default: %(default)s)")
    evaluate.add_argument("--views", type=int, default=4, help="of each scene (default: %(default)s)")
    evaluate.add_argument(
        "--size",
        type=int,
        nargs=2,
        metavar=("HEIGHT", "WIDTH"),
        help="of the images, multiples of 14 (default: stored)",
    )
    evaluate.add_argument("--device", default="auto", help="cpu, cuda or auto (default)")
    return parser.parse_args(arguments)


def _bar(unit: str) -> tuple[Callable[[int, int], None], Callable[[], None]]:
    """A progress bar as a function of done and total, and what closes it."""
    bar = tqdm(unit=unit, disable=None)

    def show(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)

    return show, bar.close


def _prepare(options: argparse.Namespace) -> int:
    from model_training.depth.prepare_config import PrepareConfig
    from model_training.depth.shards import prepare
    from model_training.yaml_config import read_yaml

    config = read_yaml(options.config, PrepareConfig)
    if config.source == "scenes":
        from model_training.depth.generated import generate as scenes
    else:
        from model_training.depth.recordings import recorded as scenes
    show, close = _bar("scene")
    try:
        count = prepare(config, options.out, scenes, show, workers=max(options.workers, 1))
    finally:
        close()
    print(f"{options.out}: {count} scenes of {config.views} views, {config.width}x{config.height} px.")
    return 0


def _teach(options: argparse.Namespace) -> int:
    from model_training.depth.shards import ShardFolder
    from model_training.depth.teach import teach
    from n3d_ros.depth.checkpoint import LoadedNetwork, load_network

    loaded = load_network(options.model, device=options.device)
    if not isinstance(loaded, LoadedNetwork) or loaded.network.config.gives_poses:
        raise ConfigurationError(f"{options.model}: expected a monocular teacher, got a model of several views.")
    show, close = _bar("scene")
    try:
        report = teach(loaded.network, ShardFolder(options.data), device=loaded.device, on_progress=show)
    finally:
        close()
    print(
        f"{options.data}: {report.views} views labelled, {report.unaligned} without a label, "
        f"{report.inlier_share:.1%} of measured pixels agree."
    )
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status.

    Args:
        arguments: without the program's name; None: the process's own.

    Returns:
        0; 2 with a sentence on stderr; 130 when stopped, with everything kept that was done.
    """
    from model_training.depth import runs

    options = parse_arguments(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    cv2.setNumThreads(1)
    commands: dict[str, Callable[[argparse.Namespace], int]] = {
        "prepare": _prepare,
        "teach": _teach,
        "train": runs.train,
        "evaluate": runs.evaluate,
    }
    try:
        return commands[options.command](options)
    except (N3dError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped; run the same command again to go on.", file=sys.stderr)
        return STOPPED


if __name__ == "__main__":
    sys.exit(main())
