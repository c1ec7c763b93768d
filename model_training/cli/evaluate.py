"""``n3d eval``: how good found boxes and answers are, with a report."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from model_training.evaluation.cases import CaseSource
    from model_training.evaluation.looking import Looker
    from model_training.evaluation.running import EvaluationConfig

SUMMARY = "measure a model or a grounder: boxes, words, answers, scores, time"
EXAMPLES = """\
  n3d eval --data data/held_out --model runs/nano/release --out reports/nano
  n3d eval --data data/held_out --grounder geometric --out reports/geometric --against reports/nano
  n3d eval --data data/held_out --boxes true --out reports/upper_bound        # everything but grounding
  n3d eval --data data/held_out --grounder priors --priors data/train --out reports/guess
  n3d eval --osd osd_frames --out reports/real                                # the geometric grounder
  n3d eval --benchmark val_SpatialRGPT-Bench.jsonl --images images --depth depth --boxes true --out reports/srgpt
  n3d eval --benchmark test_3d.jsonl --images CV-Bench --depth depth --model my_model --answer-mode both --out r

An interrupted run goes on where it ended when the same command is given again. The benchmarks' files are not part of
this package; --depth names a folder with one .npz per image ("pcd" of N3D-VLM, or "depth" in metres; "intr", the
normalised camera matrix) or one 16-bit .png in millimetres, as `n3d depth` writes them.
"""
NEEDS_ROS = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``n3d eval``.

    Args:
        parser: of the subcommand.
    """
    _add_input_arguments(parser.add_argument_group("on what (one of)"))
    _add_looker_arguments(parser.add_argument_group("by whom"))
    _add_setting_arguments(parser.add_argument_group("how"))
    group = parser.add_argument_group("report")
    group.add_argument("--out", required=True, metavar="REPORT", help="folder of the report and of what was found")
    group.add_argument(
        "--against", metavar="OTHER", help="earlier report (its folder or evaluation.json) to compare with"
    )
    group.add_argument("--force", action="store_true", help="replace the evaluation of something else in the folder")


def _add_input_arguments(group: Any) -> None:
    where = group.add_mutually_exclusive_group(required=True)
    where.add_argument("--data", metavar="DATA", help="data set of `n3d dataset`")
    where.add_argument("--osd", metavar="DIR", help="folder with NAME_color.png, NAME_depth.png, NAME_label.png")
    where.add_argument("--benchmark", metavar="FILE", help="questions in a benchmark's JSON or JSON lines")
    group.add_argument("--layout", default="auto", help="of the benchmark's file (default: seen from its keys)")
    group.add_argument("--images", metavar="DIR", help="folder that the benchmark's image names begin in")
    group.add_argument("--depth", metavar="DIR", help="folder with the depth of the benchmark's images")
    group.add_argument(
        "--fov", type=float, default=60.0, metavar="DEG", help="horizontal view where nothing tells the camera (60)"
    )


def _add_looker_arguments(group: Any) -> None:
    group.add_argument("--model", metavar="FOLDER", help="language model: a folder, a hub id or n3d-nano")
    group.add_argument("--grounder", metavar="NAME", help="geometric (default) or priors, where no model is given")
    group.add_argument("--boxes", choices=("found", "true"), default="found", help="true: given the true boxes")
    group.add_argument("--priors", metavar="DATA", help="data set that --grounder priors is measured on")
    group.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 (default auto)")
    group.add_argument("--dtype", default="auto", help="auto, float32, bfloat16, float16 (default auto)")
    group.add_argument("--no-refine", action="store_true", help="do not fit a model's boxes to the measured points")
    group.add_argument(
        "--seconds", type=float, default=120.0, metavar="S", help="longest look or answer of a model (120; 0: no limit)"
    )
    group.add_argument("--no-up", action="store_true", help="do not tell where up is")


def _add_setting_arguments(group: Any) -> None:
    group.add_argument(
        "--answer-mode", choices=("code", "model", "both"), default="code", help="who answers (default code)"
    )
    group.add_argument("--limit", type=int, default=0, metavar="N", help="at most so many frames (default: all)")
    group.add_argument(
        "--words", type=int, default=4, metavar="N", help="words looked for per frame (default 4; 0 none, -1 all)"
    )
    group.add_argument(
        "--questions", type=int, default=-1, metavar="N", help="questions answered per frame (default: all; 0 none)"
    )
    group.add_argument(
        "--matching", choices=("score", "overlap", "optimal"), default="score", help="how boxes and objects are paired"
    )
    group.add_argument(
        "--min-pixels", type=int, default=100, metavar="N", help="smaller objects count neither way (100)"
    )
    group.add_argument(
        "--min-visible", type=float, default=0.2, metavar="SHARE", help="more hidden objects count neither way (0.2)"
    )
    group.add_argument("--ignore-furniture", action="store_true", help="tables and shelves count neither way")


def run(args: argparse.Namespace) -> int:
    """Evaluates, prints the tables, writes the report.

    Args:
        args: parsed arguments.

    Returns:
        0.

    Raises:
        ConfigurationError: options that do not go together.
    """
    from model_training.evaluation.evaluate import evaluate, identity_of
    from model_training.evaluation.journal import refuse_other_run
    from model_training.evaluation.report import REPORT_FILE, read_report
    from model_training.evaluation.running import planned
    from model_training.evaluation.tables import box_tables, further_tables, in_short
    from n3d_ros.cli.console import progress
    from n3d_ros.depth.files.run_lock import only_run_in

    _check(args)
    against = read_report(Path(args.against).expanduser()) if args.against else None
    source, config = _source(args), _config(args)
    output = Path(args.out).expanduser()
    identity = identity_of(source, config, {"run": _identity(args)})
    if not args.force:
        refuse_other_run(output, identity)  # a model takes a while to load
    looker = _looker(args)
    try:
        with only_run_in(output), progress(planned(source, config), "evaluating", unit="frame") as bar:
            result = evaluate(
                looker,
                source,
                config,
                output,
                about=identity,
                against=against,
                force=args.force,
                on_case=lambda _: bar.update(1),
            )
    except KeyboardInterrupt:
        print(
            f"\nInterrupted; what was found is kept in {output}. Give the same command again to go on.", file=sys.stderr
        )
        raise
    finally:
        looker.close()
    print(box_tables(result.figures, source.measures, open_classes=source.open_classes))
    print(further_tables(result.figures, open_classes=source.open_classes))
    print(f"\n{in_short(result.figures, source.measures, open_classes=source.open_classes)}")
    print(f"\n{output / REPORT_FILE}")
    return 0


def _check(args: argparse.Namespace) -> None:
    """Refuses options that do not go together, before anything is loaded."""
    from n3d_ros.errors import ConfigurationError

    if args.model and args.grounder:
        raise ConfigurationError("--model and --grounder: give one of them; a model is a grounder.")
    if args.boxes == "true" and args.grounder:
        raise ConfigurationError("--boxes true: the boxes are given, so that no --grounder looks for them.")
    if (args.grounder == "priors") != bool(args.priors):
        raise ConfigurationError("--grounder priors takes --priors DATA, the data set to measure them on, and only it.")
    if not args.seconds >= 0:
        raise ConfigurationError(f"--seconds: expected 0 or more, got {args.seconds}.")
    if args.answer_mode != "code" and not args.model:
        raise ConfigurationError(f"--answer-mode {args.answer_mode}: takes --model, which answers.")


def _identity(args: argparse.Namespace) -> dict[str, Any]:
    """What of the command makes it the same run: its options, and what the folders that they name hold."""
    from model_training.evaluation.contents import contents_digest
    from n3d_ros.model.packaged import packaged_folder

    names = ("model", "grounder", "boxes", "priors", "no_refine", "dtype", *(["seconds"] if args.model else []))
    identity = {name: value for name in names if (value := getattr(args, name)) not in (None, False)}
    for name, pattern in (("model", "*"), ("priors", "frames/*.parquet")):
        given = identity.get(name, "")
        folder = packaged_folder(given) or Path(given).expanduser()
        if name in identity and folder.is_dir():  # else a hub id, whose files do not change
            identity[f"{name} contents"] = contents_digest(folder.glob(pattern))
    return identity


def _config(args: argparse.Namespace) -> EvaluationConfig:
    from model_training.evaluation.asked import AskedFor
    from model_training.evaluation.running import EvaluationConfig

    return EvaluationConfig(
        answer_mode=args.answer_mode,
        limit=args.limit,
        words_per_frame=args.words,
        questions_per_frame=args.questions,
        matching=args.matching,
        with_up=not args.no_up,
        asked_for=AskedFor(
            min_pixels=args.min_pixels, min_visible=args.min_visible, ignore_furniture=args.ignore_furniture
        ),
    )


def _source(args: argparse.Namespace) -> CaseSource:
    if args.data:
        from model_training.evaluation.cases import DatasetCases

        return DatasetCases(Path(args.data).expanduser())
    if args.osd:
        from model_training.evaluation.osd import OsdCases

        return OsdCases(Path(args.osd).expanduser())
    from model_training.evaluation.benchmark import BenchmarkCases

    return BenchmarkCases(
        Path(args.benchmark).expanduser(),
        layout=args.layout,
        images=None if args.images is None else Path(args.images).expanduser(),
        depth=None if args.depth is None else Path(args.depth).expanduser(),
        fov_deg=args.fov,
    )


def _looker(args: argparse.Namespace) -> Looker:
    from model_training.evaluation.looking import GrounderLooker, TrueBoxes
    from n3d_ros.inference.grounder import create_grounder

    if args.model:
        reader = _model_looker(args)
        return TrueBoxes(reader) if args.boxes == "true" else reader
    if args.boxes == "true":
        return TrueBoxes()
    if args.priors:
        from model_training.data.folder import DatasetFolder
        from model_training.evaluation.priors import PriorsGrounder, measure_priors

        records = DatasetFolder.open(Path(args.priors).expanduser()).frames(images=False)
        return GrounderLooker(PriorsGrounder(measure_priors(records)), with_up=False)
    return GrounderLooker(create_grounder(args.grounder or "geometric"), with_up=not args.no_up)


def _model_looker(args: argparse.Namespace) -> Any:
    """The node's language model grounder, loaded with a bar."""
    from model_training.evaluation.looking import GrounderLooker
    from n3d_ros.cli.console import told_progress
    from n3d_ros.inference.grounder import create_grounder
    from n3d_ros.inference.language_model.config import LanguageModelConfig

    config = LanguageModelConfig(model=args.model, device=args.device, dtype=args.dtype, refine=not args.no_refine)
    with told_progress("loading") as tell:
        grounder = create_grounder("language_model", config, on_progress=tell if sys.stderr.isatty() else None)
    return GrounderLooker(grounder, with_up=not args.no_up, seconds=args.seconds)
