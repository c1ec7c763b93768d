"""``n3d calibrate``: makes the scores of a model's boxes frequencies."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from n3d_ros.errors import ConfigurationError

if TYPE_CHECKING:
    from model_training.evaluation.calibrating import Fit

SUMMARY = "learn from labelled frames how likely a model's boxes are right"
EXAMPLES = """\
  n3d calibrate --model runs/mine/model --data data/validation
  n3d calibrate --model runs/mine/model --data data/validation --limit 100 --device cuda
  n3d eval --model runs/mine/model --data data/held_out --out reports/mine     # its scores.jpg shows the difference

Give frames that the model did not learn from; held-out ones are left out. The result, calibration.json, lies beside the
weights, and the node uses it from the next start on. Without it scores order boxes and say no more.
"""
NEEDS_ROS = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``n3d calibrate``.

    Args:
        parser: of the subcommand.
    """
    parser.add_argument("--model", required=True, metavar="FOLDER", help="folder of the model; the result goes there")
    parser.add_argument("--data", required=True, metavar="DATA", help="data set of `n3d dataset`, with true boxes")
    parser.add_argument(
        "--limit", type=int, default=0, metavar="N", help="look at so many frames at most (default: all)"
    )
    parser.add_argument(
        "--measure",
        choices=("visible", "aligned", "oriented"),
        default="visible",
        help="boxes that tell right from wrong: around what is seen (default), hulls, or whole objects as turned",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 (default auto)")
    parser.add_argument("--dtype", default="auto", help="auto, float32, bfloat16, float16 (default auto)")


def run(args: argparse.Namespace) -> int:
    """Calibrates, writes the file, and tells what it changed.

    Args:
        args: parsed arguments.

    Returns:
        0.

    Raises:
        ConfigurationError: no folder of a model, or too few boxes.
    """
    from model_training.evaluation.calibrating import fit_scores, judged_boxes, judged_by
    from model_training.evaluation.cases import DatasetCases
    from n3d_ros.cli.console import progress
    from n3d_ros.inference.language_model.config import LanguageModelConfig
    from n3d_ros.inference.language_model.grounder import LanguageModelGrounder

    model = _model_folder(args.model)
    _check_limit(args.limit)
    source = DatasetCases(Path(args.data).expanduser())
    total = min(args.limit or source.count(), source.count())
    grounder = LanguageModelGrounder(LanguageModelConfig(model=str(model), device=args.device, dtype=args.dtype))
    try:
        with progress(total, "calibrating", unit="frame") as bar:
            boxes = judged_boxes(
                grounder, source.cases(), measure=args.measure, limit=args.limit, on_frame=lambda: bar.update(1)
            )
    finally:
        grounder.close()
    fit = fit_scores(boxes, f"{source.name}, {boxes.looked_at} frames; {judged_by(args.measure)}")
    path = _kept(fit, model)
    print(_told(fit))
    for reason, frames in boxes.skipped.most_common():
        print(f"Left out: {frames} frames ({reason}).")
    if boxes.learnt:
        print(f"{boxes.learnt} frames are of the split train: if the model learnt from them, its scores are too high.")
    print(path)
    return 0


def _check_limit(limit: int) -> None:
    """Refuses a number of frames below 0."""
    if limit < 0:
        raise ConfigurationError(f"--limit: expected 0 (all) or more, got {limit}.")


def _model_folder(given: str) -> Path:
    """The folder that the result goes to; refused before the model is loaded where it could not be written."""
    from n3d_ros.model.packaged import SUMS_FILE, check_sums

    model = Path(given).expanduser()
    if not (model / "config.json").is_file():
        raise ConfigurationError(
            f"--model {given}: expected the folder of a model, for the result is written there. Of a model on the hub, "
            "or of the one that comes with the package, make a copy first."
        )
    if not os.access(model, os.W_OK):
        raise ConfigurationError(f"--model {given}: the folder cannot be written. Copy the model to one of your own.")
    if (model / SUMS_FILE).is_file():
        check_sums(model)  # what is calibrated is what was made
    return model


def _kept(fit: Fit, model: Path) -> Path:
    """Writes the file; while it is, the list of sums does not name it, so that it is never wrong."""
    from n3d_ros.inference.language_model.calibration import CALIBRATION_FILE, write_calibration
    from n3d_ros.model.packaged import SUMS_FILE, add_sum, drop_sum

    has_sums = (model / SUMS_FILE).is_file()
    if has_sums:
        drop_sum(model, CALIBRATION_FILE)
    path = write_calibration(fit.calibration, model)
    if has_sums:
        add_sum(model, CALIBRATION_FILE)
    return path


def _told(fit: Fit) -> str:
    """What the new scores are worth, as a table."""
    from n3d_ros.cli.console import number, table

    rows = [
        [name, str(one.boxes), str(one.correct), number(one.ece, 3), number(one.brier, 3)]
        for name, one in (("as they were", fit.before), ("fitted to the other half of the frames", fit.after))
    ]
    header = ["scores", "boxes", "right", "calibration error", "Brier"]
    weights = fit.calibration.to_dict()["weights"]
    used = ", ".join(f"{name} {weight:.2f}" for name, weight in weights.items() if weight > 0)
    return f"{table(header, rows)}\n{fit.calibration.about}. Weights: {used}."
