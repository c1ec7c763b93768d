"""What the commands ``n3d engine ...`` share: options, and an engine in lines for people."""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from n3d_ros.cli.console import size_text
from n3d_ros.errors import BackendError

if TYPE_CHECKING:
    from n3d_ros.inference.tensorrt.store import EngineStore, StoredEngine
    from n3d_ros.inference.tensorrt.targets import EngineOptions

FIGURES = {
    "vision": "picture",
    "picture_steps": "answer, one by one",
    "picture_pieces": "answer, several at a time",
    "text448_steps": "text behind 448 tokens, one by one",
    "text448_pieces": "the same, several at a time",
    "text1472_steps": "text behind 1472 tokens, one by one",
    "text1472_pieces": "the same, several at a time",
}
"""Parts of a self-test in words."""


def add_cache_argument(parser: argparse.ArgumentParser) -> None:
    """Adds the folder of the cache.

    Args:
        parser: of a subcommand.
    """
    parser.add_argument(
        "--cache",
        type=Path,
        metavar="FOLDER",
        help="folder of the cache (default: n3d_ros in the user's cache folder; the node's is "
        "language_model.engine_cache)",
    )


def add_target_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what an engine is for, and for which the node looks.

    Args:
        parser: of a subcommand.
    """
    parser.add_argument(
        "--capacity",
        type=int,
        default=2048,
        metavar="TOKENS",
        help="longest prompt and answer together; the same as the node's language_model.capacity (default 2048)",
    )
    parser.add_argument(
        "--long-side",
        type=int,
        default=0,
        metavar="PX",
        help="the node's language_model.long_side, where it is larger than the model's own (default: as the model "
        "says; smaller images fit too)",
    )
    parser.add_argument("--device", default="auto", help="GPU: auto, cuda, cuda:1 (default auto)")
    add_cache_argument(parser)


def options_of(args: argparse.Namespace) -> EngineOptions:
    """What an engine is for.

    Args:
        args: parsed arguments.

    Returns:
        The options, with those of building where the command has them.

    Raises:
        BackendError: a package is missing.
    """
    try:
        from n3d_ros.inference.tensorrt.targets import EngineOptions
    except ImportError as error:
        raise BackendError(
            f"n3d engine needs the package {error.name}, which is not installed. Run `pip install 'n3d_ros[model]'`, "
            "or `make setup MODEL=1` in a checkout."
        ) from error
    return EngineOptions(
        capacity=args.capacity,
        long_side=args.long_side,
        device=args.device,
        workspace_gb=getattr(args, "workspace_gb", 0.0),
        level=getattr(args, "level", None),
        uses_timing_cache=not getattr(args, "no_timing_cache", False),
    )


def store_of(args: argparse.Namespace) -> EngineStore:
    """The cache that the user named, or the usual one.

    Args:
        args: parsed arguments.

    Returns:
        The cache.
    """
    from n3d_ros.inference.tensorrt.store import DEFAULT_LIMIT_GB, EngineStore

    return EngineStore(args.cache, limit_gb=getattr(args, "limit_gb", DEFAULT_LIMIT_GB))


def lines_of(entry: StoredEngine) -> list[str]:
    """An engine of the cache.

    Args:
        entry: of the cache.

    Returns:
        Lines of text.
    """
    key, record = entry.folder.name[:12], entry.record
    if record is None:
        return [f"{key}  damaged: {entry.problem}, {size_text(entry.bytes)}"]
    facts = record.facts
    lines = [
        f"{key}  {record.name}, {facts.get('precision', '?')}, {_built_for(entry)}, {size_text(entry.bytes)}",
        f"{'':14}{facts.get('gpu', '?')} ({facts.get('compute_capability', '?')}), TensorRT "
        f"{facts.get('tensorrt', '?')}, driver {facts.get('driver', '?')}",
        f"{'':14}built {_day(record.built)} in {record.build_s:.0f} s, used {_day(entry.used)}, of {record.source}",
    ]
    return [*lines, *(f"{'':14}{note}" for note in ([entry.problem] if entry.problem else []) + list(record.notes))]


def self_test_lines(found: Mapping[str, float]) -> list[str]:
    """A self-test as a table.

    Args:
        found: what was measured.

    Returns:
        Lines of text.
    """
    names = [name.removesuffix("_least_cosine") for name in found if name.endswith("_least_cosine")]
    lines = []
    if names:
        lines.append(f"{'compared with the network':36} {'cosine':>9} {'least':>9} {'same choice':>12} {'sum off':>8}")
    for name in names:
        same, off = (found.get(f"{name}_{figure}", math.nan) for figure in ("same_choice", "log_sum"))
        further = "" if math.isnan(off) else f" {100 * same:10.1f} % {off:8.4f}"
        words = FIGURES.get(name, name.replace("_", ", "))
        lines.append(f"{words:36} {found[f'{name}_cosine']:9.6f} {found[f'{name}_least_cosine']:9.6f}{further}")
    for name, value in found.items():
        if name.endswith("_error"):
            lines.append(f"{name.replace('_', ' '):36} {100 * value:8.4f} %")
        elif name.endswith("_cosine") and name.removesuffix("_cosine").removesuffix("_least") not in names:
            lines.append(f"{name.removesuffix('_cosine').replace('_', ' '):36} {value:9.6f}")
    if "box_mm" in found:
        lines.append(f"{'boxes':36} moved by {found['box_mm']:.2f} mm, {100 * found['same_boxes']:.0f} % as before")
    return lines


def _built_for(entry: StoredEngine) -> str:
    """Sizes and form of an engine."""
    assert entry.record is not None
    facts = entry.record.facts
    if "capacity" in facts:
        return f"{entry.record.form} attention, up to {facts['capacity']} tokens"
    return facts.get("images", "?")


def _day(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
