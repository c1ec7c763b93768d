"""Speed and memory of the depth networks, ours beside a straight implementation of the same network, in one process.

``python -m benchmarks depth_network`` compares monocular depth at 378 x 504 with the small model's shape on the CPU:
the same random weights, rounds in turn, the best round of each. ``--sizes all`` then gives frames per second and peak
memory of every size, each in a process of its own; with ``--device cuda`` beside the figures that the paper names for
an A100 at 504 x 336 with 32 images of a scene.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.depth_straight import straight_network
from benchmarks.figure import Figure, markdown
from n3d_ros.depth.config import NestedConfig, NetworkConfig
from n3d_ros.depth.network import DepthNetwork, build_network
from n3d_ros.depth.network.repeating import repeating
from n3d_ros.depth.variants import VARIANTS

SIZES = {
    "small": "da3-small",
    "base": "da3-base",
    "large": "da3-large",
    "giant": "da3-giant",
    "mono": "da3mono-large",
    "metric": "da3metric-large",
}
MONOCULAR_HW = (378, 504)  # of a 480 x 640 image
PAPER_HW, PAPER_VIEWS = (336, 504), 32
PAPER_FPS = {"small": 160.5, "base": 126.5, "large": 78.37, "giant": 37.6}  # table 8 of arXiv 2511.10647, A100 80 GB
SPEED_UP = 1.25
SAME = 2e-5  # of the largest number: what the golden tensors allow
EXPLANATION = "same weights, {} rounds in turn, best of each; {} threads"


def random_network(config: NetworkConfig, device: str, dtype: torch.dtype, *, seed: int = 0) -> DepthNetwork:
    """A network with random weights on a device, its backbone's projections in a dtype.

    Args:
        config: its shape.
        device: where it is made.
        dtype: of the projections.
        seed: of the numbers.

    Returns:
        In evaluation mode.
    """
    torch.manual_seed(seed)
    with torch.device(device):
        network: DepthNetwork = build_network(config).eval().requires_grad_(False)  # noqa: FBT003
    for name, parameter in network.named_parameters():
        if name.endswith(".gamma"):
            parameter.data.fill_(0.3)
        elif "token" in name or "pos_embed" in name:
            parameter.data.normal_(0, 0.02)
    for block in network.backbone.pretrained.blocks:
        block.attn.qkv.to(dtype), block.attn.proj.to(dtype), block.mlp.to(dtype)
    return network


def comparison(size: str, repeats: int, tell: Callable[[str], None]) -> list[Figure]:
    """Ours beside the straight implementation, on the CPU, in float32.

    Args:
        size: of the shape.
        repeats: rounds.
        tell: told each round.

    Returns:
        Figures.
    """
    network = random_network(config_of(size), "cpu", torch.float32)
    images = torch.randn(1, 1, 3, *MONOCULAR_HW, generator=torch.Generator().manual_seed(1))
    weights = dict(network.state_dict())

    def ours() -> torch.Tensor:
        return network(images).depth[0]

    def straight() -> torch.Tensor:
        return straight_network(weights, network.config, images[0])["depth"]

    with torch.inference_mode():
        difference = float((ours() - straight()).abs().max() / straight().max())
        seconds: dict[str, list[float]] = {"ours": [], "straight": []}
        for number in range(repeats):
            for name, call in (("ours", ours), ("straight", straight)):
                begin = time.perf_counter()
                call()
                seconds[name].append(time.perf_counter() - begin)
            tell(f"round {number + 1}: ours {seconds['ours'][-1]:.3f} s, straight {seconds['straight'][-1]:.3f} s")
    best = {name: min(values) for name, values in seconds.items()}
    ratios = [slow / fast for fast, slow in zip(seconds["ours"], seconds["straight"], strict=True)]
    note = EXPLANATION.format(repeats, torch.get_num_threads())
    shape = f"{size}, {MONOCULAR_HW[0]}x{MONOCULAR_HW[1]}, CPU"
    return [
        Figure(name=f"depth network, {shape}: ours", value=best["ours"], unit="s", note=note),
        Figure(name=f"depth network, {shape}: straight", value=best["straight"], unit="s", note=note),
        Figure(
            name=f"depth network, {shape}: times faster",
            value=best["straight"] / best["ours"],
            promise=SPEED_UP if size == "small" else None,
            at_most=False,
            note=f"median of the rounds {statistics.median(ratios):.2f}",
        ),
        Figure(
            name=f"depth network, {shape}: largest difference, share of the largest depth",
            value=difference,
            promise=SAME,
            note="rounding: the order of additions differs",
        ),
    ]


def throughput(size: str, *, device: str, dtype: torch.dtype, repeats: int, views: int) -> list[Figure]:
    """Frames per second and peak memory of a size.

    Args:
        size: which.
        device: "cpu" or "cuda".
        dtype: of the backbone's projections.
        repeats: counted runs.
        views: at once; any-view sizes see them as one scene, the others one by one in a batch.

    Returns:
        Figures.
    """
    on_gpu = device.startswith("cuda")
    height, width = PAPER_HW if on_gpu else MONOCULAR_HW
    config = config_of(size)
    network = random_network(config, device, dtype)
    images = torch.randn(1, views, 3, height, width, device=device)
    seconds = []
    with torch.inference_mode(), repeating(torch.device(device), dtype):  # as the node runs it
        for _ in range(repeats + 1):
            _synchronize(device)
            begin = time.perf_counter()
            network(images, reference_view="first")
            _synchronize(device)
            seconds.append(time.perf_counter() - begin)
    best = min(seconds[1:])
    peak = torch.cuda.max_memory_allocated() if on_gpu else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    paper = PAPER_FPS.get(size) if on_gpu else None
    where = torch.cuda.get_device_name() if on_gpu else f"CPU, {torch.get_num_threads()} threads"
    name = f"depth network, {size}, {height}x{width}, {views} view{'s' * (views > 1)}, {where}"
    kind = str(dtype).removeprefix("torch.")
    note = f"{kind} backbone, float32 heads, best of {repeats}"
    note += f"; the paper's A100: {paper:g}" if paper else ""
    return [
        Figure(name=name, value=views / best, unit="frames/s", promise=paper, at_most=False, note=note),
        Figure(
            name=f"{name}: peak memory",
            value=peak / 1e9,
            unit="GB",
            note="allocated on the device" if on_gpu else "resident, of the whole process",
        ),
    ]


def config_of(size: str) -> NetworkConfig:
    """The shape of a size.

    Args:
        size: of ``SIZES``.

    Returns:
        The configuration.
    """
    config = VARIANTS[SIZES[size]].config
    assert not isinstance(config, NestedConfig)
    return config


def _synchronize(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def _in_own_process(size: str, args: argparse.Namespace) -> list[Figure]:
    """The throughput of a size, so that one size's memory is not counted for the next."""
    command = [sys.executable, "-m", "benchmarks", "depth_network", "--only", size, "--device", args.device]
    command += ["--repeats", str(args.repeats), "--dtype", args.dtype]
    command += ["--threads", str(args.threads)] if args.threads else []
    command += ["--views", str(args.views)] if args.views else []
    root = Path(__file__).resolve().parents[1]
    result = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, check=False, timeout=3600)
    lines = [line for line in result.stdout.decode().splitlines() if line.startswith("{")]
    if not lines:
        note = f"ended with code {result.returncode}: out of memory?"
        return [Figure(name=f"depth network, {size}", value=math.nan, note=note)]
    return [Figure(**{**row, "value": _nan(row["value"])}) for row in json.loads(lines[-1])["figures"]]


def _nan(value: float | None) -> float:
    return math.nan if value is None else value


def _document(figures: Sequence[Figure], args: argparse.Namespace) -> str:
    """Everything as one JSON line."""
    rows: list[dict[str, Any]] = [
        {
            "name": figure.name,
            "value": None if math.isnan(figure.value) else figure.value,
            "unit": figure.unit,
            "promise": figure.promise,
            "at_most": figure.at_most,
            "note": figure.note,
        }
        for figure in figures
    ]
    facts = {
        "torch": torch.__version__,
        "python": platform.python_version(),
        "device": args.device,
        "weights": "random",
    }
    return json.dumps({**facts, "figures": rows})


def main(argv: Sequence[str] | None = None) -> int:
    """Measures and prints.

    Args:
        argv: arguments; None: those of this process.

    Returns:
        0 when every promise is kept, else 1.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks depth_network", description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="", help=f"for frames per second: all, or some of {','.join(SIZES)}")
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    parser.add_argument(
        "--dtype", choices=("auto", "float32", "bfloat16", "float16"), default="auto", help="of the backbone"
    )
    parser.add_argument("--repeats", type=int, default=7, help="rounds of the comparison, counted runs of sizes")
    parser.add_argument("--threads", type=int, help="of the CPU (default: torch's own)")
    parser.add_argument("--views", type=int, help="at once (default 1 on the CPU, 32 on a GPU)")
    parser.add_argument("--no-comparison", action="store_true", help="leave the straight implementation out")
    parser.add_argument("--only", choices=SIZES, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.threads:
        torch.set_num_threads(args.threads)
    on_gpu = args.device.startswith("cuda")
    figures: list[Figure] = []
    if args.only:
        words = {"auto": torch.bfloat16 if on_gpu else torch.float32}
        dtype = words.get(args.dtype) or getattr(torch, args.dtype)
        views = args.views or (PAPER_VIEWS if on_gpu else 1)
        figures = throughput(args.only, device=args.device, dtype=dtype, repeats=args.repeats, views=views)
    else:
        if not args.no_comparison:
            figures += comparison("small", args.repeats, lambda text: print(text, file=sys.stderr, flush=True))
            gc.collect()
        wanted = list(SIZES) if args.sizes == "all" else [size for size in args.sizes.split(",") if size]
        unknown = [size for size in wanted if size not in SIZES]
        if unknown:
            parser.error(f"--sizes: expected all or some of {', '.join(SIZES)}, got {', '.join(unknown)}")
        for size in wanted:
            figures += _in_own_process(size, args)
    print(markdown(figures))
    print(_document(figures, args))
    return 0 if all(figure.is_kept is not False for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
