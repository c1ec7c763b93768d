"""``n3d dataset generate``: generated scenes as a data set of Parquet shards."""

from __future__ import annotations

import argparse
from dataclasses import replace

from model_training.cli.stage_options import (
    add_engine_arguments,
    config_file,
    finish,
    shard_numbers,
    shipped_configs,
    workers_of,
)

SUMMARY = "generate scenes whose objects and boxes are known"
EXAMPLES = """\
  n3d dataset generate --config trial --out data/trial
  n3d dataset generate --config rich_train --scenes 500 --out data/rich        # the first of its 20 000 scenes
  n3d dataset generate --config scenes.yaml --out data/scenes --workers 8 --engine processes
  n3d dataset generate --config scenes.yaml --out /net/scenes --ray-address head:6379 --workers 64
  n3d dataset generate --config scenes.yaml --out data/scenes --shards 0-9     # and 10-19 on another machine
  python -c 'import datasets; print(datasets.load_dataset("parquet", data_files="data/scenes/frames/*.parquet"))'
"""
NEEDS_ROS = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``n3d dataset generate``.

    Args:
        parser: of the subcommand.
    """
    names = ", ".join(shipped_configs("scenes"))
    parser.add_argument(
        "--config", required=True, metavar="YAML", help=f"what to generate: your file, or one that is shipped: {names}"
    )
    parser.add_argument(
        "--out", required=True, metavar="OUT", help="folder of the data set; one begun there is continued"
    )
    parser.add_argument(
        "--scenes", type=int, metavar="N", help="make the first N scenes, a whole data set of them (default: config's)"
    )
    add_engine_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Generates.

    Args:
        args: parsed arguments.

    Returns:
        0; 1 where shards could not be made.
    """
    from model_training.data.folder import DatasetFolder
    from model_training.data.stages import run_stage
    from model_training.scenes.dataset import SceneDatasetConfig
    from model_training.scenes.stage import GenerateScenes
    from model_training.yaml_config import read_yaml

    config = read_yaml(config_file(args.config, "scenes"), SceneDatasetConfig)
    if args.scenes is not None:
        config = replace(config, scenes=args.scenes)
    folder = DatasetFolder.create(args.out, config.kind, config, config.shards)
    stage = GenerateScenes(config=config, folder=folder)
    made = run_stage(
        stage,
        folder,
        "frames",
        engine=args.engine,
        workers=workers_of(args),
        ray_address=args.ray_address,
        only=shard_numbers(args.shards, folder.shards),
        description="scenes",
    )
    return finish(folder, "frames", made)
