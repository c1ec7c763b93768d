"""``n3d dataset questions``: questions with answers and reasoning about the frames of a data set."""

from __future__ import annotations

import argparse

from model_training.cli.stage_options import (
    add_engine_arguments,
    config_file,
    finish,
    shard_numbers,
    shipped_configs,
    workers_of,
)

SUMMARY = "ask about every frame of a data set, with checked answers"
EXAMPLES = """\
  n3d dataset questions data/scenes
  n3d dataset questions data/scenes --config questions.yaml --workers 8
  n3d dataset questions data/scenes --config boxes      # what a first stage learns: no reasoning
  n3d dataset questions /net/scenes --ray-address head:6379 --workers 64
  n3d dataset show data/scenes          # frames with what is asked about them

questions.yaml, every key may be left out; model_training/questions/config.py explains all of them:
  seed: 0
  reasoning: 8
  target_box: visible
  classes: [left_right, distance, direction]
  margins: {size_ratio: 1.35, clock_deg: 4}
"""
NEEDS_ROS = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``n3d dataset questions``.

    Args:
        parser: of the subcommand.
    """
    parser.add_argument("out", metavar="OUT", help="folder of a data set with all its frames; questions go beside them")
    names = ", ".join(shipped_configs("questions"))
    parser.add_argument(
        "--config",
        metavar="YAML",
        help=f"what to ask: your file, or one that is shipped: {names} (default: some of everything, see below)",
    )
    add_engine_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Asks.

    Args:
        args: parsed arguments.

    Returns:
        0; 1 where shards could not be made.
    """
    from model_training.data.folder import DatasetFolder
    from model_training.data.stages import run_stage
    from model_training.questions.config import QuestionConfig
    from model_training.questions.stage import AskQuestions, with_vocabulary
    from model_training.yaml_config import read_yaml

    config = read_yaml(config_file(args.config, "questions"), QuestionConfig) if args.config else QuestionConfig()
    folder = DatasetFolder.open(args.out)
    wanted, there = shard_numbers(args.shards, folder.shards), folder.frame_shards
    folder = folder.begin_questions(with_vocabulary(config, folder))
    made = run_stage(
        AskQuestions(config=config, folder=folder),
        folder,
        "questions",
        engine=args.engine,
        workers=workers_of(args),
        ray_address=args.ray_address,
        only=there if wanted is None else [number for number in wanted if number in there],
    )
    return finish(folder, "questions", made)
