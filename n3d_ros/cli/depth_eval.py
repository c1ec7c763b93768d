"""``n3d depth eval``: how right estimated depth, poses and surfaces are, on sequences whose truth is known."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from n3d_ros.cli.console import progress, told_progress

if TYPE_CHECKING:
    from n3d_ros.depth.evaluation.benchmark_settings import BenchmarkSettings
    from n3d_ros.depth.evaluation.evaluate import Evaluated
    from n3d_ros.depth.evaluation.predictions import PredictionFolder
    from n3d_ros.depth.evaluation.sequence import Sequence, TrueFrame
    from n3d_ros.depth.model import DepthModel
    from n3d_ros.depth.views import DepthEstimate

SUMMARY = "Compare estimated depth and camera poses with the truth, as the Visual Geometry Benchmark does."
EXAMPLES = """\
  n3d depth eval rgbd_dataset_freiburg3_long_office_household --model ~/models/DA3-BASE --settings tum -o out
  n3d depth eval scenes/ --model ~/models/DA3-SMALL --metric ~/models/DA3METRIC-LARGE --poses given
  n3d depth eval 7scenes/chess/seq-01 --model ~/models/DA3-BASE --settings 7scenes --images-only
  n3d depth eval scenes/ --predictions out/of_n3d_depth --no-reconstruction
"""
EPILOG = """\
SEQUENCE is a folder: of the TUM RGB-D layout (rgb.txt, depth.txt, groundtruth.txt), of generated scenes
(python -m model_training.scenes --seconds 4 --noise none --out FOLDER), or a sequence of 7-Scenes.
AUC3, AUC30: pose accuracy over all pairs of images; delta1, AbsRel, RMSE: depth; F1 and the distances: the fused
surface against the true one, which needs Open3D (make setup EVAL=1)."""
NEEDS_ROS = False

LAYOUTS = ("auto", "tum", "scenes", "7scenes")
SETTINGS = ("hiroom", "eth3d", "7scenes", "scannetpp", "tum", "tabletop")
SETTINGS_OF_LAYOUT = {"tum": "tum", "scenes": "tabletop", "7scenes": "7scenes"}
STEPS_PER_SEQUENCE = 8  # read, model, truth, depth, poses, two surfaces, distances


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``n3d depth eval``.

    Args:
        parser: of the subcommand.
    """
    parser.epilog = f"{parser.epilog}\n\n{EPILOG}"
    parser.add_argument("sequences", nargs="+", metavar="SEQUENCE", help="folder with images and their truth")
    parser.add_argument("-o", "--output", metavar="OUT", help="folder for evaluation.json, report.md and pictures")
    parser.add_argument("--force", action="store_true", help="replace a report that is there")
    _add_estimate_arguments(parser.add_argument_group("what is evaluated"))
    _add_truth_arguments(parser.add_argument_group("truth"))
    _add_score_arguments(parser.add_argument_group("scores"))


def _add_estimate_arguments(group: Any) -> None:
    """A model and what it is told, or files."""
    group.add_argument("--model", metavar="MODEL", help="Depth Anything 3: a folder, or a hub id, which is downloaded")
    group.add_argument("--metric", metavar="MODEL", help="metric model beside an any-view one, for metres")
    group.add_argument("--predictions", metavar="FOLDER", help="instead: what `n3d depth --format npz` wrote of it")
    group.add_argument(
        "--poses",
        choices=("predicted", "given"),
        default="predicted",
        help="predicted: poses are estimated and scored; given: the model is told the true ones (default predicted)",
    )
    group.add_argument(
        "--images-only", action="store_true", help="do not tell the model the calibration either, as the benchmark does"
    )
    group.add_argument("--resolution", type=int, default=504, metavar="PX", help="longer side the model sees (504)")
    group.add_argument("--device", default="auto", metavar="DEVICE", help="auto, cpu, cuda, cuda:1 (default auto)")
    group.add_argument(
        "--dtype", default="auto", metavar="TYPE", help="auto, float32, bfloat16, float16 (default auto)"
    )


def _add_truth_arguments(group: Any) -> None:
    """How sequences are read."""
    group.add_argument("--format", choices=LAYOUTS, default="auto", help="layout of the sequences (default: found)")
    group.add_argument(
        "--intrinsics", metavar="FX,FY,CX,CY", help="of TUM and 7-Scenes, pixels, or freiburg1, freiburg2, freiburg3"
    )
    group.add_argument("--depth-factor", type=float, metavar="N", help="what 1 m is in a depth image (TUM: 5000)")
    group.add_argument("--every", type=int, metavar="N", help="take every N-th image (default: of the settings)")
    group.add_argument(
        "--max-images", type=int, metavar="N", help="of those, draw so many, always the same (default 100)"
    )


def _add_score_arguments(group: Any) -> None:
    """What is compared, and how."""
    group.add_argument(
        "--settings", choices=SETTINGS, help="voxels and distances of the surfaces (default: tum, 7scenes or tabletop)"
    )
    group.add_argument(
        "--align",
        choices=("auto", "none", "median", "affine"),
        default="auto",
        help="what is taken out of each depth image before it is compared (auto: nothing of metric depth, else median)",
    )
    group.add_argument(
        "--reconstruction",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="fuse depth into surfaces and compare those (default; needs Open3D)",
    )


def run(args: argparse.Namespace) -> int:
    """Evaluates, prints the table, and writes the report.

    Args:
        args: parsed arguments.

    Returns:
        0.

    Raises:
        ConfigurationError: neither or both of a model and predictions, or an output folder that holds a report.
    """
    from n3d_ros.depth.evaluation.fusion import require_open3d
    from n3d_ros.depth.evaluation.predictions import PredictionFolder
    from n3d_ros.depth.evaluation.results import explanation, markdown
    from n3d_ros.errors import ConfigurationError

    if (args.model is None) == (args.predictions is None):
        raise ConfigurationError(
            "What is to be evaluated? Give --model FOLDER (or a hub id), or --predictions FOLDER with what "
            "`n3d depth --format npz` wrote."
        )
    if args.predictions and (args.metric or args.poses == "given"):
        raise ConfigurationError("--predictions: what is told to a model (--metric, --poses given) is no choice here.")
    output = _output_of(args)
    if args.reconstruction:
        require_open3d()  # before the work begins
    folder = PredictionFolder.open(Path(args.predictions).expanduser()) if args.predictions else None
    chosen, settings = _sequences(args, folder)
    run_ = _Run(args, settings, folder, output)
    try:
        run_.work(chosen)
    finally:
        run_.close()
    print(markdown(run_.results))
    print(f"\n{explanation(run_.results, settings)}")
    for result in run_.results:
        for note in result.notes:
            print(f"{result.name}: {note}")
    if output is not None:
        run_.write_report(output)
        print(f"\n{output / 'report.md'}")
    return 0


def _output_of(args: argparse.Namespace) -> Path | None:
    """The folder for the report, made; None when none is wanted."""
    from n3d_ros.depth.evaluation.reporting import JSON
    from n3d_ros.errors import ConfigurationError

    if args.output is None:
        return None
    output = Path(args.output).expanduser()
    if (output / JSON).exists() and not args.force:
        raise ConfigurationError(f"{output} holds a report already; choose another folder, or --force to replace it.")
    if any(Path(name).expanduser().resolve() == output.resolve() for name in args.sequences):
        raise ConfigurationError(f"{output}: choose another folder than that of the sequence.")
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{output}: cannot be made ({error}).") from error
    return output


def _sequences(args: argparse.Namespace, folder: PredictionFolder | None) -> tuple[list[Sequence], BenchmarkSettings]:
    """All sequences with the frames that are evaluated, and the settings."""
    from n3d_ros.depth.evaluation.benchmark_settings import benchmark_settings
    from n3d_ros.depth.evaluation.reading import layout_of, read_sequences
    from n3d_ros.depth.evaluation.sequence import chosen_frames
    from n3d_ros.errors import ConfigurationError

    paths = [Path(name).expanduser() for name in args.sequences]
    intrinsics = _intrinsics(args.intrinsics)
    if args.depth_factor is not None and not 0 < args.depth_factor < float("inf"):
        raise ConfigurationError(f"--depth-factor: expected a number above 0, got {args.depth_factor}.")
    found = [
        sequence
        for path in paths
        for sequence in read_sequences(
            path, layout=args.format, intrinsics=intrinsics, depth_units_per_m=args.depth_factor
        )
    ]
    layout = layout_of(paths[0]) if args.format == "auto" else args.format
    settings = benchmark_settings(args.settings or SETTINGS_OF_LAYOUT[layout])
    if args.every is not None:
        settings = replace(settings, every=args.every)
    if args.max_images is not None:
        settings = replace(settings, max_images=args.max_images)
    if folder is not None:
        found = [_only_predicted(sequence, folder) for sequence in found]
    return [chosen_frames(sequence, settings) for sequence in found], settings


def _only_predicted(sequence: Sequence, folder: PredictionFolder) -> Sequence:
    """The frames that there is an estimate of; refuses an estimate of none."""
    from n3d_ros.errors import InputError

    kept = tuple(frame for frame in sequence.frames if folder.has(frame.color.stem))
    if sequence.frames and not kept:
        raise InputError(
            f"--predictions {folder.folder}: holds no estimate of the {len(sequence.frames)} frames of "
            f"{sequence.name} (looked for {sequence.frames[0].color.stem}; it has "
            f"{', '.join(sorted(folder.arrays)[:3])} ...). Are they of another sequence?"
        )
    lost = len(sequence.frames) - len(kept)
    return replace(
        sequence, frames=kept, notes=(*sequence.notes, *([f"{lost} frames without estimate"] if lost else []))
    )


def _intrinsics(text: str | None) -> tuple[float, float, float, float] | None:
    """Four numbers, or those of a known camera."""
    from n3d_ros.depth.evaluation.tum_sequence import TUM_CAMERAS
    from n3d_ros.errors import ConfigurationError

    if text is None:
        return None
    if text in TUM_CAMERAS:
        return TUM_CAMERAS[text]
    try:
        fx, fy, cx, cy = (float(word) for word in text.split(","))
    except ValueError as error:
        raise ConfigurationError(
            f"--intrinsics: expected FX,FY,CX,CY in pixels, or one of {', '.join(TUM_CAMERAS)}, got {text!r}."
        ) from error
    return fx, fy, cx, cy


class _Run:
    """The work over all sequences, with what it has made so far."""

    def __init__(
        self,
        args: argparse.Namespace,
        settings: BenchmarkSettings,
        folder: PredictionFolder | None,
        output: Path | None,
    ) -> None:
        self._args, self._settings, self._folder, self._output = args, settings, folder, output
        self._model: DepthModel | None = None
        self.results: list[Evaluated] = []
        self._pictures: list[tuple[str, ...]] = []
        self._facts: dict[str, Any] = {}

    def work(self, sequences: list[Sequence]) -> None:
        """Loads the model, where there is one, and evaluates sequence after sequence."""
        if self._folder is None:
            self._model = self._load()
            self._facts = {"model": self._model.name, "device": self._model.device, "about": list(self._model.facts())}
        else:
            self._facts = {"predictions": str(self._folder.folder)}
        self._facts |= {"poses": self._args.poses, "images_only": self._args.images_only}
        with progress(STEPS_PER_SEQUENCE * len(sequences), "evaluating", unit="step") as bar:
            for number, sequence in enumerate(sequences):
                self._one(sequence, bar)
                bar.update(STEPS_PER_SEQUENCE * (number + 1) - bar.n)

    def _one(self, sequence: Sequence, bar: Any) -> None:
        from n3d_ros.depth.evaluation.depth_error import DepthAlignment
        from n3d_ros.depth.evaluation.evaluate import evaluate
        from n3d_ros.depth.evaluation.reporting import write_pictures

        def on_step(name: str) -> None:
            bar.set_postfix_str(f"{sequence.name}: {name}", refresh=False)
            bar.update(1)

        on_step("images")
        frames = list(sequence.read())
        on_step("estimate")
        estimate = self._estimate(sequence, frames)
        result = evaluate(
            sequence.name,
            frames,
            estimate,
            self._settings,
            alignment=None if self._args.align == "auto" else DepthAlignment(self._args.align),
            with_reconstruction=self._args.reconstruction,
            on_step=on_step,
        )
        result = replace(result, notes=(*sequence.notes, *result.notes))
        self.results.append(result)
        if self._output is not None:
            self._pictures.append(write_pictures(self._output, result, frames, estimate))

    def _estimate(self, sequence: Sequence, frames: list[TrueFrame]) -> DepthEstimate:
        from n3d_ros.depth.evaluation.predictions import views_of

        if self._folder is not None:
            return self._folder.read([files.color.stem for files in sequence.frames])
        assert self._model is not None
        given = self._args.poses == "given"
        return self._model.estimate(views_of(frames, with_poses=given, with_intrinsics=not self._args.images_only))

    def _load(self) -> DepthModel:
        """The model, with the benchmark's choice of the reference view."""
        from n3d_ros.depth.options import DepthOptions
        from n3d_ros.inference.depth_loading import load_depth

        options = DepthOptions(
            process_res=self._args.resolution, reference_view="first", max_views=self._settings.max_images
        )
        with told_progress("loading") as tell:
            return load_depth(
                self._args.model,
                metric=self._args.metric,
                device=self._args.device,
                dtype=self._args.dtype,
                options=options,
                on_progress=tell if sys.stderr.isatty() else None,
            )

    def write_report(self, folder: Path) -> None:
        """Writes the table, all numbers, and what shows the pictures."""
        from n3d_ros.depth.evaluation.reporting import write_report

        write_report(folder, self.results, self._pictures, self._settings, self._facts)

    def close(self) -> None:
        """Frees the model."""
        if self._model is not None:
            self._model.close()
