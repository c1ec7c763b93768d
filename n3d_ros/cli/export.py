"""``n3d export``: writes a model as ONNX graphs, for ONNX Runtime and TensorRT."""

from __future__ import annotations

import argparse
import importlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from n3d_ros.cli.console import table, told_progress
from n3d_ros.errors import BackendError, ConfigurationError

if TYPE_CHECKING:
    from n3d_ros.inference.export.folders import Exported

SUMMARY = "write a model as ONNX graphs for ONNX Runtime and TensorRT"
EXAMPLES = """\
  n3d export n3d-nano --out ~/graphs/n3d-nano                          # any camera, float32: for ONNX Runtime
  n3d export n3d-nano --out ~/graphs/n3d-nano-640 --image 640x480      # for one camera: all tables are constants
  n3d export yuxinhk/N3D-VLM --out ~/graphs/n3d-vlm --dtype bfloat16   # for a GPU; no CPU runs it
  n3d export n3d-nano --out ~/graphs/n3d-int8 --weights int8           # and tells what boxes and answers lose by it
  n3d export yuxinhk/N3D-VLM --out ~/graphs/n3d-int4 --dtype float16 --weights int4 --data my_bag --frames 40
  n3d export depth-anything/DA3-SMALL --out ~/graphs/da3 --image 640x480
  n3d export depth-anything/DA3-SMALL --out ~/graphs/da3-pair --image 640x480 --views 2 --poses
  n3d run bag --model ~/graphs/n3d-nano                                # or model:= of the node

Every graph is run beside the network it was made of, and refused where it computes something else (bfloat16 cannot be
run on a CPU). A language model's folder holds its tokenizer too: it is all that the node needs.

Quantised weights (--weights) are those of the language model's attention and MLP; vision tower, embedding and output
layer stay as --dtype says. Frames are looked at and asked about before and after; where boxes or answers lose more than
--max-loss, nothing is written. Of a recording, what the model finds before is taken for the truth.
"""
NEEDS_ROS = False
MAX_SIDE_PX = 16_384
GATE_OPTIONS = ("quantizer", "data", "frames", "max_loss")
GATE = "model_training.evaluation.weights_gate:gate_for"
RECORDED = "model_training.robots.bag_records:bag_records"
BAG_FILES = (".mcap", ".db3")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``n3d export``.

    Args:
        parser: of the subcommand.
    """
    parser.add_argument("model", metavar="MODEL", help="folder of a checkpoint, a hub id, or n3d-nano")
    parser.add_argument(
        "--out", required=True, type=Path, metavar="FOLDER", help="folder to write; one exported before is replaced"
    )
    parser.add_argument(
        "--dtype",
        choices=("float32", "float16", "bfloat16"),
        default="float32",
        help="numbers of the weights (default float32; bfloat16 for a GPU, half the size and less exact)",
    )
    parser.add_argument(
        "--image",
        type=_size,
        metavar="WxH",
        help="size of the camera's images, such as 640x480; other shapes are refused then (default: any size, which "
        "depth models cannot have)",
    )
    parser.add_argument(
        "--tensorrt",
        default="10.3",
        metavar="VERSION",
        help="oldest TensorRT that shall read the graphs (default 10.3, of JetPack 6.2)",
    )
    language = parser.add_argument_group("language models")
    language.add_argument(
        "--attention",
        choices=("fused", "safe"),
        default="fused",
        help="safe: all of attention in float32, meant to be out of reach of fused kernels that compute wrongly; for "
        "float16 and bfloat16 (default fused)",
    )
    language.add_argument(
        "--weights",
        choices=("float", "int8", "int4", "fp8"),
        default="float",
        help="numbers of attention and MLP (default float, as --dtype says): int8 or fp8 with a scale per output, int4 "
        "with one per block of inputs, the largest power of two from 16 to 128 that divides their number",
    )
    language.add_argument(
        "--quantizer",
        choices=("auto", "round", "modelopt"),
        help="with --weights int4: made by NVIDIA ModelOpt's AWQ, which learns from further frames of --data, or "
        "rounded to nearest; auto (default): with ModelOpt where it is installed. int8 and fp8 are rounded to nearest",
    )
    language.add_argument(
        "--data",
        metavar="DATA",
        help="with --weights: frames that their loss is measured on, evenly over a data set or a recording (default: "
        "generated tabletops)",
    )
    language.add_argument("--frames", type=int, metavar="N", help="with --weights: how many frames judge, at most (24)")
    language.add_argument(
        "--max-loss",
        type=float,
        metavar="SHARE",
        help="with --weights: largest fall of the boxes' F1, and of the share of right answers (0.05)",
    )
    depth = parser.add_argument_group("depth models")
    depth.add_argument("--resolution", type=int, metavar="PX", help="longer side of the image in the network (504)")
    depth.add_argument("--views", type=int, metavar="N", help="views that are seen together (1)")
    depth.add_argument("--poses", action="store_true", help="the cameras' poses are given with the images")


def run(args: argparse.Namespace) -> int:
    """Exports, and tells what was made.

    Args:
        args: parsed arguments.

    Returns:
        0.

    Raises:
        ConfigurationError: no model, or options of the other kind of model.
        BackendError: a package is missing, or the graph is not what it should be.
    """
    try:
        from n3d_ros.inference.export import writing  # noqa: F401 -- all the packages that are needed
        from n3d_ros.inference.graphs import has_graphs
    except ImportError as error:
        raise BackendError(
            f"n3d export needs the package {error.name}, which is not installed. Run `pip install 'n3d_ros[model]'`, "
            "or `make setup MODEL=1` in a checkout."
        ) from error
    if has_graphs(Path(args.model).expanduser()):
        raise ConfigurationError(f"{args.model} holds exported graphs already; name the weights they were made of.")
    made = _export_depth(args) if _is_depth_model(args.model) else _export_language_model(args)
    for line in made.graphs.lines():
        print(line)
    for name, difference in made.differences.items():
        print(f"{'checked':9} {name}: at most {difference:.1e} of the largest number beside the network")
    if not made.differences:
        print(f"{'checked':9} structure alone: {made.graphs.dtype} cannot be run on a CPU")
    print(f"{'folder':9} {made.folder}")
    return 0


def _export_language_model(args: argparse.Namespace) -> Exported:
    """Graphs of a language model."""
    from n3d_ros.inference.export.language_model import ExportOptions, export_language_model

    if args.weights == "float":
        _refuse_gate_options(args, "--weights is needed to quantise")
    if args.resolution is not None or args.views is not None or args.poses:
        raise ConfigurationError(f"{args.model} is a language model: --resolution, --views and --poses are not for it.")
    options = ExportOptions(
        dtype=args.dtype, image=args.image, attention=args.attention, tensorrt=args.tensorrt, weights=args.weights
    )
    gate: Any = None if args.weights == "float" else _gate(args)
    with told_progress("export") as tell:
        made = export_language_model(args.model, args.out, options, tell, gate)
    if gate is not None:
        print(table(gate.header, gate.rows()))
    return made


def _gate(args: argparse.Namespace) -> Any:
    """What judges quantised weights: its measures are those of ``n3d eval``, and it lies beside them."""
    from n3d_ros.ros.bag import is_bag_folder

    given = {name: value for name in GATE_OPTIONS if (value := getattr(args, name)) is not None}
    if args.data and (Path(args.data).suffix in BAG_FILES or is_bag_folder(Path(args.data).expanduser())):
        from n3d_ros.cli.environment import ensure_ros_environment

        ensure_ros_environment()
        given["recorded"] = _function(RECORDED)
    return _function(GATE)(args.weights, size=args.image, **given)


def _function(name: str) -> Any:
    """What "module:function" names."""
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)


def _refuse_gate_options(args: argparse.Namespace, why: str) -> None:
    """Refuses options that would do nothing."""
    names = [f"--{name.replace('_', '-')}" for name in GATE_OPTIONS if getattr(args, name) is not None]
    if names:
        raise ConfigurationError(f"{', '.join(names)}: only for quantised weights; {why}.")


def _export_depth(args: argparse.Namespace) -> Exported:
    """Graphs of a depth model."""
    from n3d_ros.inference.depth_config import DEFAULT_RESOLUTION_PX
    from n3d_ros.inference.export.depth import DepthExportOptions, export_depth_model

    if args.image is None:
        raise ConfigurationError(f"{args.model} is a depth model: name its camera's size, such as --image 640x480.")
    if args.attention != "fused" or args.weights != "float":
        raise ConfigurationError(f"{args.model} is a depth model: --attention and --weights are not for it.")
    _refuse_gate_options(args, f"{args.model} is a depth model")
    options = DepthExportOptions(
        image=args.image,
        resolution=DEFAULT_RESOLUTION_PX if args.resolution is None else args.resolution,
        views=1 if args.views is None else args.views,
        poses=args.poses,
        dtype=args.dtype,
        tensorrt=args.tensorrt,
    )
    with told_progress("export") as tell:
        return export_depth_model(args.model, args.out, options, tell)


def _is_depth_model(source: str) -> bool:
    """Whether a model is one of depth, by its config.json or the repository that the user named."""
    from n3d_ros.depth.variants import OWNER
    from n3d_ros.model.packaged import PACKAGED_NAME
    from n3d_ros.weights.json_files import CONFIG_FILE, MAX_CONFIG_BYTES, read_json

    file = Path(source).expanduser() / CONFIG_FILE
    if source == PACKAGED_NAME or not file.is_file():
        return source.startswith(f"{OWNER}/")
    return "model_type" not in (data := read_json(file, limit=MAX_CONFIG_BYTES)) and "text_config" not in data


def _size(text: str) -> tuple[int, int]:
    """Width and height of "640x480"."""
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    size = (int(found[1]), int(found[2])) if found else (0, 0)
    if not all(1 <= side <= MAX_SIDE_PX for side in size):
        raise argparse.ArgumentTypeError(f"expected width and height such as 640x480, got {text!r}")
    return size
