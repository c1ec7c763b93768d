"""``n3d depth``: depth, camera poses and coloured points of images, videos and recordings."""

from __future__ import annotations

import argparse
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from n3d_ros.cli.console import on_stop_signal
from n3d_ros.errors import CancelledError, ConfigurationError, N3dError

if TYPE_CHECKING:
    from n3d_ros.cli.depth_telling import FrameProgress
    from n3d_ros.depth.files.frame_files import OutputChoices
    from n3d_ros.depth.files.results import FrameResult
    from n3d_ros.depth.files.run_folder import RunFolder
    from n3d_ros.depth.files.session import DepthSession
    from n3d_ros.depth.files.sources import FrameSource
    from n3d_ros.depth.model import DepthModel
    from n3d_ros.depth.streaming.options import StreamOptions

SUMMARY = "Find the depth of images, a folder, a video or a recording, with camera poses and a coloured point cloud."
EXAMPLES = """\
  n3d depth photo.jpg -o out --model ~/models/DA3-SMALL --metric ~/models/DA3METRIC-LARGE
  n3d depth photo.jpg -o out --model depth-anything/DA3-SMALL --metric depth-anything/DA3METRIC-LARGE
  n3d depth photo.jpg -o out --model ~/models/DA3METRIC-LARGE --intrinsics 1380,1380,960,540
  n3d depth photos/ -o out --model ~/models/DA3-BASE --views together --format glb,preview
  n3d depth drive.mp4 -o out --model ~/models/DA3-SMALL --every 5 --range 1,40
  n3d depth my_bag -o out --model ~/models/DA3-SMALL --metric ~/models/DA3METRIC-LARGE --format png,npz
"""
EPILOG = """\
writes into the output folder, as far as --format asks for it:
  depth/NAME.png      16 bits, millimetres unless --png-unit says otherwise, 0: none
  arrays/NAME.npz     depth, confidence, sky, K and pose without loss
  preview/NAME.png    photo and depth in colours of one scale for the whole input; contact_sheet.png of them
  scene.glb .ply      points of all frames, cameras as pyramids; clouds/NAME of each where --views is single
  cameras.json        calibration and pose of each frame; trajectory.tum, colmap/ the same for other tools
  summary.json        what was done, scale, rates, everything left out
where nothing makes depth metric these are called depth_relative/, arrays_relative/, scene_relative.glb ...: right up to
one factor. The same command goes on where it was interrupted; with other settings everything is computed anew.
"""
NEEDS_ROS = False  # recordings alone do, and ask for it

FEW_IMAGES = 8  # as many are seen in one pass by default, more of them as a sequence
CPU_CHUNK = 12  # attention over a chunk of 60 views takes minutes on a processor
DEFAULT_FORMATS = "png,npz,glb,ply,preview"
NO_MODEL = (
    "Depth comes from a model: give --model FOLDER, or a hub id, which is downloaded. The pair that may be used "
    "commercially, too (Apache-2.0), and gives metres: --model depth-anything/DA3-SMALL (or depth-anything/DA3-BASE) "
    "--metric depth-anything/DA3METRIC-LARGE."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``n3d depth``.

    Args:
        parser: of the subcommand.
    """
    parser.epilog = f"{parser.epilog}\n\n{EPILOG}"
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="image or images, a folder of images, a video, or a rosbag2 recording",
    )
    parser.add_argument("-o", "--output", required=True, metavar="OUT", help="folder for the results")
    parser.add_argument("--force", action="store_true", help="compute anew, and replace what another input has left")
    _add_model_arguments(parser.add_argument_group("model"))
    _add_input_arguments(parser.add_argument_group("input"))
    _add_output_arguments(parser.add_argument_group("results"))


def _add_model_arguments(group: Any) -> None:
    """Which networks, and how they are asked."""
    group.add_argument("--model", metavar="MODEL", help="Depth Anything 3: a folder, or a hub id, which is downloaded")
    group.add_argument("--metric", metavar="MODEL", help="metric model beside an any-view one, for metres")
    group.add_argument(
        "--views",
        choices=("auto", "together", "single", "stream"),
        default="auto",
        help="in one pass, each alone, or as a sequence in overlapping chunks (auto: videos, recordings and folders of "
        f"more than {FEW_IMAGES} images as a sequence, others in one pass; alone where the model sees single images)",
    )
    group.add_argument("--resolution", type=int, default=504, metavar="PX", help="longer side the model sees (504)")
    group.add_argument("--device", default="auto", metavar="DEVICE", help="auto, cpu, cuda, cuda:1 (default auto)")
    group.add_argument(
        "--dtype", default="auto", metavar="TYPE", help="auto, float32, bfloat16, float16 (default auto)"
    )
    group.add_argument(
        "--poses", choices=("camera", "rays"), default="camera", help="where estimated cameras come from (camera)"
    )
    group.add_argument(
        "--chunk", type=int, metavar="N", help=f"images of a chunk of a sequence (60; on a processor {CPU_CHUNK})"
    )
    group.add_argument(
        "--close-loops",
        action="store_true",
        help="of a sequence: places seen again pull the cameras together; nothing is written before all is seen",
    )
    group.add_argument(
        "--resume",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="keep finished chunks of a sequence on disk until the end, some 18 bytes a pixel (default)",
    )
    group.add_argument("--overlap", type=int, metavar="N", help="images that two chunks share (half a chunk)")


def _add_input_arguments(group: Any) -> None:
    """Calibration, topics, and which frames."""
    group.add_argument(
        "--intrinsics", metavar="FX,FY,CX,CY", help="of the images, pixels; right metres need a right focal length"
    )
    group.add_argument("--camera-info", metavar="FILE", help="YAML of camera_calibration; the lens is rectified")
    group.add_argument("--every", type=int, default=1, metavar="N", help="use each N-th frame (1)")
    group.add_argument("--max-frames", type=int, metavar="N", help="use at most N frames")
    group.add_argument("--color", metavar="TOPIC", help="colour image of a recording (default: found)")
    group.add_argument("--color-info", metavar="TOPIC", help="its calibration")
    group.add_argument(
        "--frame",
        metavar="FRAME",
        help="of a recording: camera poses from tf in this frame (default: map, odom or world; none: estimate them)",
    )


def _add_output_arguments(group: Any) -> None:
    """Which files."""
    group.add_argument(
        "--format",
        default=DEFAULT_FORMATS,
        metavar="LIST",
        help=f"some of png,npz,glb,ply,preview,colmap (default {DEFAULT_FORMATS})",
    )
    group.add_argument(
        "--png-unit", type=float, metavar="M", help="metres of one count of the depth images (0.001: up to 65.5 m)"
    )
    group.add_argument("--range", metavar="NEAR,FAR", help="ends of the colour scale (default: from the first frames)")
    group.add_argument("--max-points", type=int, default=1_000_000, metavar="N", help="of a cloud (1000000)")


def run(args: argparse.Namespace) -> int:
    """Estimates and writes.

    Args:
        args: parsed arguments.

    Returns:
        0; 1 when no frame gave a result; 130 after Ctrl-C, with whole files of the frames so far.

    Raises:
        ConfigurationError: no model, or options that do not go together.
    """
    from n3d_ros.cli.depth_checks import check_first_image, check_options, refuse_place
    from n3d_ros.cli.depth_input import input_of
    from n3d_ros.cli.depth_telling import tell_complete, tell_start
    from n3d_ros.depth.files.run_folder import Found, RunFolder
    from n3d_ros.depth.files.run_lock import only_run_in

    if not args.model:
        raise ConfigurationError(NO_MODEL)
    choices = choices_of(args)
    check_options(args)
    source = input_of(args)
    refuse_place(args)
    check_first_image(source)
    folder = RunFolder(Path(args.output).expanduser(), source.identity, settings_of(args, choices, source))
    with only_run_in(folder.path):
        folder.open(force=args.force)
        if folder.found is Found.COMPLETE:
            tell_complete(folder.path)
            return 0
        tell_start(source, folder)
        folder.save()
        return _run(args, source, folder, choices)


def _run(args: argparse.Namespace, source: FrameSource, folder: RunFolder, choices: OutputChoices) -> int:
    """Loads the model, works through the frames, and writes what is made of all of them."""
    from dataclasses import replace

    from n3d_ros.cli.depth_telling import FrameProgress, finish, say
    from n3d_ros.cli.main import EXIT_INTERRUPTED
    from n3d_ros.depth.files.results import SINGLE
    from n3d_ros.depth.files.session import DepthSession

    stopped = threading.Event()
    with on_stop_signal(stopped.set):
        try:
            model = _load(args, source, stopped)
        except N3dError:
            if not stopped.is_set():
                raise
            say("n3d: interrupted while the model was loaded; the same command goes on from here.")
            return EXIT_INTERRUPTED
        try:
            mode = views_mode(args.views, source, gives_poses=model.gives_poses)
            choices = replace(choices, frames_share_world=mode != SINGLE)
            session = DepthSession(folder=folder, choices=choices, frames=source.count)
            started_s = time.monotonic()
            with FrameProgress(source.count, mode) as bar:
                session.on_frame = bar.advance
                results = _results(args, mode, source, model, session, bar, stopped.is_set)
                try:
                    session.write_all(results)
                except CancelledError:
                    stopped.set()
            seconds = time.monotonic() - started_s
            return finish(
                session,
                source=source,
                model=model,
                mode=mode,
                seconds=seconds,
                interrupted=EXIT_INTERRUPTED if stopped.is_set() else None,
            )
        finally:
            model.close()


def choices_of(args: argparse.Namespace) -> OutputChoices:
    """What is to be written.

    Args:
        args: parsed arguments.

    Returns:
        The choices, checked.

    Raises:
        ConfigurationError: an unknown format or numbers that do not go.
    """
    from n3d_ros.depth.files.frame_files import OutputChoices

    color_range = None
    if args.range:
        try:
            near, far = (float(word) for word in args.range.split(","))
        except ValueError as error:
            raise ConfigurationError(f"--range: expected NEAR,FAR such as 0.3,8, got {args.range!r}.") from error
        color_range = (near, far)
    formats = tuple(dict.fromkeys(word.strip() for word in args.format.split(",") if word.strip()))
    return OutputChoices(formats=formats, png_unit=args.png_unit, color_range=color_range, max_points=args.max_points)


def settings_of(args: argparse.Namespace, choices: OutputChoices, source: FrameSource) -> dict[str, Any]:
    """What the results of an input depend on; another value has everything computed anew.

    Args:
        args: parsed arguments.
        choices: what is to be written.
        source: the input.

    Returns:
        Plain values.
    """
    return {
        "source": dict(source.version),
        "model": model_identity(args.model),
        "metric": model_identity(args.metric) if args.metric else None,
        "views": args.views,
        "resolution": args.resolution,
        "dtype": args.dtype,
        "poses": args.poses,
        "chunk": args.chunk,
        "overlap": args.overlap,
        "close_loops": args.close_loops,
        "intrinsics": args.intrinsics,
        "camera_info": Path(args.camera_info).read_text(errors="replace") if args.camera_info else None,
        "formats": list(choices.formats),
        "png_unit": choices.png_unit,
        "color_range": list(choices.color_range) if choices.color_range else None,
        "max_points": choices.max_points,
    }


def model_identity(source: str) -> Any:
    """What tells a model from another: its files where it is a folder, else its name.

    Args:
        source: a folder or a hub id.

    Returns:
        Plain values.
    """
    from n3d_ros.depth.files.sources import file_identity

    folder = Path(source).expanduser()
    if not folder.is_dir():
        return source
    files = sorted([*folder.glob("*.json"), *folder.glob("*.safetensors")])
    return [file_identity(file) for file in files]


def views_mode(wanted: str, source: FrameSource, *, gives_poses: bool) -> str:
    """How the frames are seen.

    Args:
        wanted: as the user says, or "auto".
        source: the input.
        gives_poses: whether the model sees several images together.

    Returns:
        One of ``VIEWS_MODES``.

    Raises:
        ConfigurationError: the model sees single images only.
    """
    from n3d_ros.depth.files.results import SINGLE, STREAM, TOGETHER
    from n3d_ros.depth.files.sources import RECORDING, VIDEO

    if not gives_poses:
        if wanted in (TOGETHER, STREAM):
            raise ConfigurationError(
                f"--views {wanted}: this model sees single images only; give an any-view model such as DA3-SMALL, or "
                "--views single."
            )
        return SINGLE
    if wanted != "auto":
        return wanted
    many = source.count is None or source.count > FEW_IMAGES
    return STREAM if source.count != 1 and (many or source.kind in (VIDEO, RECORDING)) else TOGETHER


def _load(args: argparse.Namespace, source: FrameSource, stopped: threading.Event) -> DepthModel:
    """The model, with its progress on standard error."""
    from n3d_ros.cli.depth_telling import loading_lines
    from n3d_ros.depth.options import DepthOptions
    from n3d_ros.inference.depth_loading import load_depth

    views = max(DepthOptions().max_views, args.chunk or 0, (source.count or 0) if args.views == "together" else 0)
    options = DepthOptions(process_res=args.resolution, pose_method=args.poses, max_views=views)
    return load_depth(
        args.model,
        metric=args.metric,
        device=args.device,
        dtype=args.dtype,
        options=options,
        on_progress=loading_lines(stopped.is_set),
    )


def _results(
    args: argparse.Namespace,
    mode: str,
    source: FrameSource,
    model: DepthModel,
    session: DepthSession,
    bar: FrameProgress,
    is_cancelled: Callable[[], bool],
) -> Iterator[FrameResult]:
    """Results of the frames that are not done, in the mode's way."""
    from n3d_ros.depth.files.results import SINGLE, STREAM, single_results, streamed_results, together_results

    common: dict[str, Any] = {"skip": session.is_done, "is_cancelled": is_cancelled}
    if mode == SINGLE:
        return single_results(source.frames(), model, on_nothing=session.leave_out, **common)
    if mode != STREAM:
        return together_results(source.frames(), model, **common)
    return streamed_results(
        source.frames(),
        model,
        options=stream_options(args, device=model.device, max_views=model.options.max_views),
        work_folder=session.folder.work / "chunks" if args.resume else None,
        fingerprint=json.dumps(session.folder.settings, sort_keys=True),
        on_chunk=bar.chunk,
        again=source.frames if args.close_loops else None,
        **common,
    )


def stream_options(args: argparse.Namespace, *, device: str, max_views: int) -> StreamOptions:
    """How a sequence is cut.

    Args:
        args: with ``chunk`` and ``overlap``.
        device: where the model runs; a processor takes shorter chunks.
        max_views: most images the model sees together.

    Returns:
        The options, checked.
    """
    from n3d_ros.cli.depth_checks import check_overlap
    from n3d_ros.depth.streaming.options import StreamOptions

    usual = CPU_CHUNK if device.startswith("cpu") else min(StreamOptions().chunk_views, max_views)
    chunk = args.chunk or usual
    overlap = args.overlap or max(1, chunk // 2)
    check_overlap(chunk, overlap)
    return StreamOptions(chunk_views=chunk, overlap_views=overlap, loop_closure=args.close_loops)
