"""``python -m benchmarks depth_beside``: from a picture to five boxes, depth by Depth Anything 3 included.

Random weights of the true shapes. A frame needs its depth before the language model can look at it; a camera's next
frame needs its own meanwhile. So three things are measured: each network alone, one after the other (what one frame
takes), and the language model while depth runs beside it in a thread of its own, on a stream of its own where there is
a GPU. Medians. Ends in a table and one JSON line. No network, no ROS, no files.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from benchmarks.depth_network import MONOCULAR_HW, SIZES, config_of, random_network
from benchmarks.figure import Figure, told
from benchmarks.language_model import BOXES, Bench
from benchmarks.language_model_setup import make_subject
from n3d_ros.inference.generation import GenerationConfig

LANGUAGE_MODELS = ("small", "3b", "7b")


class Depth:
    """A depth network that looks at one image, again and again.

    Args:
        size: of its shape.
        device: as torch names it.
        dtype: of the backbone.
    """

    def __init__(self, size: str, device: str, dtype: torch.dtype) -> None:
        self._network = random_network(config_of(size), device, dtype)
        generator = torch.Generator().manual_seed(1)
        self._images = torch.randn(1, 1, 3, *MONOCULAR_HW, generator=generator).to(device)
        self._stream = torch.cuda.Stream(device) if device.startswith("cuda") else None
        if self._stream is not None:
            self._stream.wait_stream(torch.cuda.current_stream(self._stream.device))

    def look(self) -> float:
        """One image.

        Returns:
            Milliseconds until its depth is on the host.
        """
        beside: AbstractContextManager[Any] = nullcontext() if self._stream is None else torch.cuda.stream(self._stream)
        begin = time.perf_counter()
        with torch.inference_mode(), beside:
            self._network(self._images).depth.cpu()
        return (time.perf_counter() - begin) * 1e3


def measure(size: str, depth_size: str, *, device: str, dtype: str, repeats: int) -> list[Figure]:
    """The rows.

    Args:
        size: of the language model, "small", "3b" or "7b".
        depth_size: of the depth network.
        device: where both compute.
        dtype: of the weights of both.
        repeats: of each kind; one more before warms up.

    Returns:
        Figures.
    """
    bench = Bench(make_subject(size, device=device, dtype=dtype), repeats)
    backend = bench.backend()
    depth = Depth(depth_size, device, getattr(torch, dtype))

    def answer() -> float:
        begin = time.perf_counter()
        bench.ours(backend, GenerationConfig(), "ours")
        return (time.perf_counter() - begin) * 1e3

    def answer_alone() -> float:
        answer()
        return bench.results["ours total"][-1]

    kinds: dict[str, Callable[[], float]] = {"depth": depth.look, "answer": answer_alone}
    alone = {name: _median(call, repeats) for name, call in kinds.items()}
    after = _median(lambda: depth.look() + answer_alone(), repeats)
    looks: list[float] = []
    ends = threading.Event()

    def look_on() -> None:
        while not ends.is_set():
            looks.append(depth.look())

    thread = threading.Thread(target=look_on)
    thread.start()
    try:
        beside = _median(answer_alone, repeats)
    finally:
        ends.set()
        thread.join()
    shown = f"{MONOCULAR_HW[1]}x{MONOCULAR_HW[0]}"
    note = f"{size} language model, {depth_size} depth network {shown}, {dtype}, {backend.device}"
    backend.close()
    rows = (
        ("depth of a picture, alone", alone["depth"], ""),
        (f"{BOXES} boxes of a picture, alone", alone["answer"], "vision, prompt and answer"),
        (f"picture to {BOXES} boxes, depth first", after, "one after the other"),
        (f"{BOXES} boxes while depth runs beside", beside, "depth without a pause, in a thread of its own"),
        ("depth of a picture meanwhile", statistics.median(looks), f"{len(looks)} looks"),
    )
    return [
        Figure(name=name, value=value, unit="ms", note=f"{more}; {note}".removeprefix("; "))
        for name, value, more in rows
    ]


def _median(call: Callable[[], float], repeats: int) -> float:
    call()  # warms up
    return statistics.median(call() for _ in range(repeats))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints.

    Args:
        arguments: without the program's name.

    Returns:
        0.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--size", choices=LANGUAGE_MODELS, default="small", help="language model (default: %(default)s)"
    )
    parser.add_argument("--depth-size", choices=SIZES, default="small", help="depth network (default: %(default)s)")
    parser.add_argument("--device", default="cpu", help="of both (default: %(default)s)")
    parser.add_argument("--dtype", default=None, help="of both (default: bfloat16 on a GPU, float32 on a CPU)")
    parser.add_argument("--repeats", type=int, default=5, help="of each kind (default: %(default)s)")
    options = parser.parse_args(arguments)
    if options.repeats < 1:
        parser.error("--repeats: at least 1")
    dtype = options.dtype or ("bfloat16" if options.device.startswith("cuda") else "float32")
    rows = measure(options.size, options.depth_size, device=options.device, dtype=dtype, repeats=options.repeats)
    return told(rows)


if __name__ == "__main__":
    sys.exit(main())
