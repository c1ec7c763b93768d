"""``n3d train``: teaches a grounding model where objects are (stage1), then to reason about them (stage2)."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from n3d_ros.cli.main import EXIT_INTERRUPTED, EXIT_OK

SUMMARY = "train or fine-tune a model: stage1 finds objects, stage2 answers about them"
EXAMPLES = """\
  n3d train stage1 --config nano_stage1 --start runs/nano_start --data data/scenes --out runs/nano1
  n3d train stage2 --config nano_stage2 --start runs/nano1/model --data data/scenes --out runs/nano2
  n3d train stage1 --config nano_stage1 --start runs/nano_start --out runs/nano1 --dry-run   # what would be trained
  n3d train stage1 --config my_objects_lora --data data/my_objects --out runs/mine           # a released 7B, one card
  torchrun --nproc-per-node 4 -m -- n3d_ros.cli train stage1 --config all_weights_sharded --data data/big --out runs/big
  n3d train stage1 --config nano_stage1 --start runs/nano_start --data data/scenes --out runs/nano1 --until 5000
  tensorboard --logdir runs/stage1/tensorboard

A configuration is one YAML file; every field is described in model_training/training/config.py, and examples lie in
model_training/training/configs. The model is in OUT/model: ros2 launch n3d_ros n3d.launch.py model:=OUT/model
"""
NEEDS_ROS = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``n3d train``.

    Args:
        parser: of the subcommand.
    """
    parser.add_argument(
        "stage", choices=("stage1", "stage2"), help="stage1: localisation; stage2: reasoning and replay"
    )
    parser.add_argument(
        "--config",
        required=True,
        metavar="YAML",
        help="everything that decides the run: a file, or a shipped one's name",
    )
    parser.add_argument(
        "--data",
        action="append",
        default=[],
        metavar="FOLDER",
        help="data set to learn from, in place of the configuration's sources; may be given several times",
    )
    parser.add_argument(
        "--validation", action="append", default=[], metavar="FOLDER", help="data set that is scored and never learnt"
    )
    parser.add_argument(
        "--out", required=True, type=Path, metavar="OUT", help="folder of the run: log, checkpoints, report, model/"
    )
    parser.add_argument(
        "--start",
        metavar="MODEL",
        help="model to begin with, in place of the configuration's: a folder, a hub id or n3d-nano",
    )
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: a GPU if there is one"
    )
    parser.add_argument("--threads", type=int, metavar="N", help="of torch on the CPU (default: one per core)")
    parser.add_argument(
        "--resume",
        choices=("auto", "never"),
        default="auto",
        help="auto: go on where OUT holds a run (default); never: refuse to",
    )
    other = parser.add_mutually_exclusive_group()
    other.add_argument("--dry-run", action="store_true", help="print what would be trained, and train nothing")
    other.add_argument(
        "--until",
        type=int,
        metavar="STEP",
        help="end at this step with a model, though the configuration has more; the run can go on later",
    )
    other.add_argument(
        "--release-now",
        action="store_true",
        help="with the command of a stopped run: train no further, but write OUT/model and the report from the newest "
        "checkpoint; the run can go on later",
    )


def run(args: argparse.Namespace) -> int:
    """Trains.

    Args:
        args: parsed arguments.

    Returns:
        0; 130 where the run was stopped, with a checkpoint to go on from.
    """
    import torch

    from model_training.cli.stage_options import config_file
    from model_training.training.config import TrainConfig
    from model_training.training.plan import describe_device, plan_of
    from model_training.training.run import (
        MODEL_FOLDER,
        Run,
        begin_folder,
        check_release,
        chosen_device,
        with_folders,
    )
    from model_training.yaml_config import read_yaml
    from n3d_ros.errors import ConfigurationError

    config = read_yaml(config_file(args.config, "training"), TrainConfig)
    if args.start:
        from dataclasses import replace

        config = replace(config, start_from=args.start)
    config = with_folders(config, args.data, args.validation)
    if args.until is not None and not 1 <= args.until <= config.optimizer.steps:
        raise ConfigurationError(
            f"--until: expected 1 to {config.optimizer.steps} (steps of the YAML), got {args.until}."
        )
    if not config.data.sources:
        raise ConfigurationError(f"{args.config}: data sources: expected some; give --data FOLDER.")
    device = chosen_device(args.device)
    if args.threads:
        torch.set_num_threads(args.threads)
    if args.dry_run:
        print("\n".join(plan_of(config, args.stage).lines(config, args.stage, args.out)))
        print(f"{'device':8} {describe_device(device)}")
        return EXIT_OK
    begin_folder(args.out, args.resume)
    if args.release_now:
        check_release(config, args.out)
    logging.getLogger("transformers.trainer").setLevel(logging.WARNING)
    made = Run(config, args.stage, args.out, device=device)
    if args.release_now:
        made.release_now()
        complete = True
    else:
        complete = made.train(args.until)
    if made.trainer.args.process_index == 0:
        step = made.trainer.state.global_step
        if complete:
            print(f"{args.out / MODEL_FOLDER}: the model after {step} steps. {args.out / 'report.md'}: how it went.")
        else:
            print(f"Stopped at step {step}; the same command goes on from there. {args.out / 'report.md'}: so far.")
    return EXIT_OK if complete else EXIT_INTERRUPTED
