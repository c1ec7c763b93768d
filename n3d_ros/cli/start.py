"""``n3d start``: starts the node for a camera, as the launch file does, without launch."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from n3d_ros.errors import ConfigurationError

if TYPE_CHECKING:
    from n3d_ros.ros.camera_presets import CameraPreset

SUMMARY = "Start the node for a camera: the same as `ros2 launch n3d_ros n3d.launch.py`, without launch."
EXAMPLES = """\
  n3d start --camera realsense
  n3d start --camera generic -r rgb/image:=/my_camera/rgb -r depth/image:=/my_camera/depth
  n3d start --camera realsense --model ~/models/N3D-VLM
  n3d start --depth-model ~/models/DA3-SMALL --metric-model ~/models/DA3METRIC-LARGE -r rgb/image:=/webcam/image_raw
  n3d start --params my_robot.yaml -p output_frame:=map -p use_sim_time:=true
  n3d start --list-cameras
"""
NEEDS_ROS = True

NODE_MODULE = "n3d_ros.ros.node"
PARAMETERS_FILE = ("config", "n3d.yaml")
DEFAULT_CAMERA = "generic"
POLL_S = 0.05
STOP_TIMEOUT_S = 10.0  # from SIGINT to the end; a node that takes longer is killed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``n3d start``.

    Args:
        parser: of the subcommand.
    """
    parser.add_argument(
        "--camera", default=DEFAULT_CAMERA, metavar="PRESET", help="topics of a camera (default generic)"
    )
    parser.add_argument("--prefix", metavar="NS", help="what the camera's topics begin with, such as /front/camera")
    parser.add_argument("--list-cameras", action="store_true", help="show the presets and end")
    add_model_argument(parser)
    add_depth_arguments(parser)
    parser.add_argument("--params", metavar="FILE", help="parameter file (YAML) after the shipped defaults")
    parser.add_argument("-p", "--param", action="append", default=[], metavar="NAME:=VALUE", help="one parameter")
    parser.add_argument(
        "-r", "--remap", action="append", default=[], metavar="FROM:=TO", help="another name for a topic"
    )
    parser.add_argument("--namespace", metavar="NS", help="namespace of the node")
    parser.add_argument("--name", metavar="NAME", help="name of the node (default n3d)")
    parser.add_argument("--log-level", metavar="LEVEL", help="debug, info, warn, error")


def add_model_argument(parser: argparse.ArgumentParser) -> None:
    """Adds the argument that names the language model.

    Args:
        parser: of the subcommand.
    """
    parser.add_argument(
        "--model",
        metavar="MODEL",
        help="find objects with this language model: a folder with config.json, weights and tokenizer, or one that "
        "`n3d export` wrote, a hub id such as yuxinhk/N3D-VLM, which is downloaded, or n3d-nano, which comes with the "
        "package (default: without a model, by geometry alone)",
    )


def model_parameters(args: argparse.Namespace) -> dict[str, str]:
    """The parameters that ``--model`` stands for.

    Args:
        args: with what ``add_model_argument`` adds.

    Returns:
        Value by name, in YAML; empty without a model. A folder by its full path.
    """
    return {"model": quoted_source(args.model)} if args.model else {}


def quoted_source(model: str) -> str:
    """A model as a parameter's value; quoted: a name such as 7 or yes is text, too.

    Args:
        model: a folder, a hub id or a packaged model.

    Returns:
        YAML; a folder by its full path.
    """
    folder = Path(model).expanduser()
    return json.dumps(str(folder.resolve()) if folder.is_dir() else model, ensure_ascii=False)


def add_depth_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments that say where depth comes from.

    Args:
        parser: of the subcommand.
    """
    parser.add_argument(
        "--depth-source",
        choices=("camera", "model", "fused"),
        help="where depth comes from (default: camera; with --depth-model: model, or fused where --params says so)",
    )
    parser.add_argument(
        "--depth-model",
        metavar="MODEL",
        help="find depth in the colour image with this Depth Anything 3: a folder of weights or exported "
        "graphs, or a hub id such as depth-anything/DA3-SMALL, which is downloaded",
    )
    parser.add_argument(
        "--metric-model",
        metavar="MODEL",
        help="gives metres to a depth model that knows none: likewise, such as depth-anything/DA3METRIC-LARGE",
    )


def depth_parameters(args: argparse.Namespace) -> dict[str, str]:
    """The parameters that ``--depth-source``, ``--depth-model`` and ``--metric-model`` stand for.

    Args:
        args: with what ``add_depth_arguments`` adds, and ``params``.

    Returns:
        Value by name, in YAML; empty when none is given.
    """
    from n3d_ros.ros.given_parameters import implied_depth_source

    source = args.depth_source
    if args.depth_model and not source:
        source = implied_depth_source(args.params, getattr(args, "name", None) or "n3d")
    named = {"depth_model.model": args.depth_model, "depth_model.metric_model": args.metric_model}
    values = {name: quoted_source(model) for name, model in named.items() if model}
    return {**({"depth_source": source} if source else {}), **values}


def run(args: argparse.Namespace) -> int:
    """Runs the node until it ends or Ctrl-C.

    Args:
        args: parsed arguments.

    Returns:
        The node's exit code; 0 when Ctrl-C or SIGTERM ended it cleanly.
    """
    from n3d_ros.ros.camera_presets import camera_preset, load_camera_presets

    if args.list_cameras:
        for preset in load_camera_presets().values():
            print(_preset_text(preset))
        return 0
    preset = camera_preset(args.camera).with_prefix(args.prefix or "")
    remappings = {**preset.remappings, **parse_remappings(args.remap)}
    parameters = {
        **preset.parameters,
        **model_parameters(args),
        **depth_parameters(args),
        **parse_parameters(args.param),
    }
    command = node_command(
        remappings=remappings,
        parameters=parameters,
        parameter_files=_parameter_files(args.params),
        namespace=args.namespace,
        name=args.name,
        log_level=args.log_level,
    )
    return run_forwarding_signals(command)


def _preset_text(preset: CameraPreset) -> str:
    """A preset for people."""
    lines = [f"{preset.name}: {preset.title}"]
    lines += [f"  start it with: {preset.launch}"] if preset.launch else []
    lines += [f"  {source} <- {target}" for source, target in preset.remappings.items()]
    lines += [f"  note: {note}" for note in preset.notes]
    return "\n".join(lines)


def parse_remappings(words: Sequence[str]) -> dict[str, str]:
    """Remappings given on a command line.

    Args:
        words: ``from:=to``.

    Returns:
        ``to`` by ``from``.

    Raises:
        ConfigurationError: another form.
    """
    return _pairs(words, "FROM:=TO")


def parse_parameters(words: Sequence[str]) -> dict[str, str]:
    """Parameters given on a command line.

    Args:
        words: ``name:=value``.

    Returns:
        Value by name, as text.

    Raises:
        ConfigurationError: another form.
    """
    return _pairs(words, "NAME:=VALUE")


def _pairs(words: Sequence[str], form: str) -> dict[str, str]:
    """Name and value of words with ``:=`` between them."""
    pairs = {}
    for word in words:
        name, separator, value = word.partition(":=")
        if not name or not separator or not value:
            raise ConfigurationError(f"Expected {form}, got {word!r}.")
        pairs[name] = value
    return pairs


def _parameter_files(own: str | None) -> list[Path]:
    """The shipped defaults and the user's file after them."""
    from n3d_ros.ros.transport import share_file

    files = []
    with contextlib.suppress(ConfigurationError):  # the node's built-in defaults are the same
        files.append(share_file(*PARAMETERS_FILE))
    if own is not None:
        if not Path(own).is_file():
            raise ConfigurationError(f"--params: expected a parameter file, {own} does not exist.")
        files.append(Path(own))
    return files


def node_command(
    *,
    remappings: Mapping[str, str] | None = None,
    parameters: Mapping[str, Any] | None = None,
    parameter_files: Sequence[Path] = (),
    namespace: str | None = None,
    name: str | None = None,
    log_level: str | None = None,
) -> list[str]:
    """The command line that starts the node with these settings.

    Args:
        remappings: other names for topics.
        parameters: values; later ones than those of the files.
        parameter_files: YAML files in order.
        namespace: of the node; None: the root.
        name: of the node; None: its own.
        log_level: None: its own.

    Returns:
        Arguments for ``subprocess``.
    """
    command = [sys.executable, "-m", NODE_MODULE, "--ros-args"]
    for path in parameter_files:
        command += ["--params-file", str(path)]
    for key, value in (parameters or {}).items():
        command += ["-p", f"{key}:={_parameter_text(value)}"]
    for source, target in (remappings or {}).items():
        command += ["-r", f"{source}:={target}"]
    if namespace is not None:
        command += ["-r", f"__ns:=/{namespace.strip('/')}"]
    if name is not None:
        command += ["-r", f"__node:={name}"]
    if log_level is not None:
        command += ["--log-level", log_level]
    return command


def _parameter_text(value: Any) -> str:
    """A value in YAML, as ``-p`` reads it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def run_forwarding_signals(command: Sequence[str]) -> int:
    """Runs a command in a session of its own and hands it SIGINT and SIGTERM once.

    A terminal sends Ctrl-C to the whole group: a child in the same group would get it twice, and the second one may
    land in the middle of an orderly end.

    Args:
        command: what to run.

    Returns:
        Its exit code, 0 when a forwarded signal ended it.
    """
    asked_at: list[float] = []

    def ask(_number: int, _frame: FrameType | None) -> None:
        asked_at.append(time.monotonic())

    # Before the start: a Ctrl-C in between must not leave the node running alone.
    previous = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with started(command) as process:
            _wait_forwarding(process, asked_at)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    code = process.returncode
    if asked_at and code in (0, -signal.SIGINT, 128 + signal.SIGINT):
        return 0
    return code if code >= 0 else 128 - code


def _wait_forwarding(process: subprocess.Popen[bytes], asked_at: list[float]) -> None:
    """Waits for a process; hands it the first signal, and kills it when it does not end within its time."""
    forwarded = False
    while process.poll() is None:
        if asked_at and not forwarded:
            process.send_signal(signal.SIGINT)
            forwarded = True
        if asked_at and time.monotonic() - asked_at[0] > STOP_TIMEOUT_S:
            process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=POLL_S)


@contextlib.contextmanager
def started(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is certainly over after the block: asked by SIGINT, killed when it does not listen.

    Args:
        command: what to run.
        options: further ones of ``subprocess.Popen``.

    Yields:
        The process.
    """
    environment = options.pop("env", None) or dict(os.environ)
    # `-m n3d_ros...` must find this very package, also when it is used from a source tree.
    root = str(Path(__file__).resolve().parents[2])
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [root, environment.get("PYTHONPATH", "")]))
    process = subprocess.Popen(list(command), start_new_session=True, env=environment, **options)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(timeout=STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
