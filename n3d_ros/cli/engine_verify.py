"""``n3d engine verify``: is every byte the one that was tested, and does a runtime say what the network says?"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from n3d_ros.cli.console import told_progress
from n3d_ros.cli.engines import add_target_arguments, options_of, self_test_lines, store_of
from n3d_ros.errors import ConfigurationError

if TYPE_CHECKING:
    from n3d_ros.inference.backend import InferenceBackend
    from n3d_ros.inference.graphs import LanguageModelGraphs, Progress

SUMMARY = "check the engines that are there, or test a runtime against the exported network"
EXAMPLES = """\
  n3d engine verify                              # checksums of all engines
  n3d engine verify ~/graphs/n3d-vlm             # and the self-test of the engine built of these graphs
  n3d engine verify ~/graphs/n3d-nano --backend onnx    # the same test of ONNX Runtime, on any machine
  n3d engine verify ~/graphs/n3d-nano --backend torch --device cuda    # and of PyTorch with CUDA graphs
"""
NEEDS_ROS = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``n3d engine verify``.

    Args:
        parser: of the subcommand.
    """
    parser.add_argument(
        "graphs", type=Path, nargs="?", metavar="FOLDER", help="that `n3d export` wrote; without it checksums alone"
    )
    parser.add_argument(
        "--backend",
        choices=("tensorrt", "onnx", "torch"),
        default="tensorrt",
        help="what is tested (default tensorrt); torch with the weights that the graphs were made of",
    )
    add_target_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Verifies.

    Args:
        args: parsed arguments.

    Returns:
        0 when all is right; 1 otherwise.

    Raises:
        BackendError: what is to be tested cannot run here.
        ConfigurationError: no folder of graphs.
    """
    if args.graphs is None and args.backend != "tensorrt":
        raise ConfigurationError(f"n3d engine verify --backend {args.backend}: name the folder of graphs to test.")
    bad = _check_files(args) if args.backend == "tensorrt" else 0
    if args.graphs is None:
        return 1 if bad else 0
    return 1 if _self_test(args) or bad else 0


def _check_files(args: argparse.Namespace) -> int:
    """How many engines are not whole; each is told."""
    from n3d_ros.inference.tensorrt.store import file_problem

    store = store_of(args)
    entries = store.entries()
    problems = 0
    for entry in entries:
        problem = file_problem(entry)
        problems += bool(problem)
        name = entry.record.name if entry.record is not None else "?"
        print(f"{entry.folder.name[:12]}  {name}: {problem or 'every byte is the one that was tested'}")
    if not entries:
        print(f"No engine in {store.folder}.")
    if problems:
        print(f"{problems} of {len(entries)} engines cannot be used; remove them (`n3d engine clean --damaged`).")
    return problems


def _self_test(args: argparse.Namespace) -> bool:
    """Whether a runtime says something else than the network; it is told."""
    options, folder = options_of(args), args.graphs.expanduser()
    with told_progress("self-test") as tell:
        if args.backend == "tensorrt":
            from n3d_ros.inference.tensorrt.engines import measure_engine
            from n3d_ros.inference.tensorrt.targets import find_target

            target = find_target(folder, options)
            found = measure_engine(target, store_of(args), tell)
            bad = target.failures(found)
        else:
            found, bad = _of_other(args, folder, tell)
    print("\n".join(self_test_lines(found)))
    print("\n".join(f"not the network: {each}" for each in bad) or f"{args.backend} says what the network says")
    return bool(bad)


def _of_other(args: argparse.Namespace, folder: Path, tell: Progress) -> tuple[dict[str, float], list[str]]:
    """The self-test of ONNX Runtime or PyTorch, and what fails."""
    from n3d_ros.codec.input_options import read_input_options
    from n3d_ros.codec.tokenizer import load_tokenizer
    from n3d_ros.inference.depth_self_test import depth_failures, measure_depth
    from n3d_ros.inference.graphs import (
        GOLDENS_FILE,
        DepthGraphs,
        LanguageModelGraphs,
        check_files,
        kind_of,
        read_graphs,
    )
    from n3d_ros.inference.onnx_backend import OnnxBackend
    from n3d_ros.inference.onnx_session import OnnxSession, choose_runtime_device
    from n3d_ros.inference.self_test import failures, measure, read_goldens

    graphs = read_graphs(folder, kind_of(folder))
    device = choose_runtime_device(args.device if args.backend == "onnx" else "cpu")
    check_files(folder, graphs.files)
    goldens = folder / GOLDENS_FILE
    if isinstance(graphs, DepthGraphs):
        if args.backend != "onnx":
            raise ConfigurationError(f"n3d engine verify --backend {args.backend}: depth graphs take tensorrt or onnx.")
        figures: dict[str, float] = {}
        for file in filter(None, (graphs.any_view, graphs.single)):
            session = OnnxSession(folder / file, device=device)
            figures |= measure_depth(session, graphs, Path(file).stem, goldens, device=device)
        return figures, depth_failures(figures, graphs.dtype)
    assert isinstance(graphs, LanguageModelGraphs)
    backend: InferenceBackend
    if args.backend == "onnx":
        # What the network said is compared, which rounds no inputs; what rounding them loses is measured at the export.
        backend = OnnxBackend(folder, graphs, capacity=args.capacity, device=device, exact=True)
    else:
        backend = _torch_backend(args, graphs, tell)
    try:
        found = measure(backend, load_tokenizer(folder), read_input_options(folder), read_goldens(goldens), tell)
    finally:
        backend.close()
    return found, failures(found, graphs.dtype)


def _torch_backend(args: argparse.Namespace, graphs: LanguageModelGraphs, tell: Progress) -> InferenceBackend:
    """PyTorch with the weights that graphs were made of, in their precision."""
    from n3d_ros.inference.language_model.config import LanguageModelConfig
    from n3d_ros.inference.language_model.ladder import load_weights_of, why_no_weights

    if why := why_no_weights(graphs):
        raise ConfigurationError(
            f"n3d engine verify --backend torch: {why}; take --backend onnx, or export float weights from a folder "
            "that stays."
        )
    config = LanguageModelConfig(
        device=args.device, capacity=args.capacity, max_new_tokens=min(1024, args.capacity // 2), kept_images=1
    )
    return load_weights_of(graphs, config, tell).backend
