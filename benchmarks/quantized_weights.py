#!/usr/bin/env python3
"""The same model's graphs with float32, int8 and int4 weights in ONNX Runtime, in turn, in one process: size and time.

Usage: python -m benchmarks.quantized_weights [--model MODEL] [--steps N]

Words drawn by chance stand for a prompt, and others for an answer: times do not depend on them. Weights are rounded to
nearest and not judged; ``n3d export --weights`` tells what they lose. Medians, and fastest tenths, which other work on
the machine disturbs less; the last line is one JSON object.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.figure import Figure, told
from n3d_ros.inference.backend import Chunk
from n3d_ros.inference.export.language_model import ExportOptions, export_language_model
from n3d_ros.inference.export.quantizing import WeightKind
from n3d_ros.inference.graphs import LanguageModelGraphs, read_graphs
from n3d_ros.inference.onnx_backend import OnnxBackend
from n3d_ros.model.packaged import PACKAGED_NAME

KINDS: tuple[WeightKind, ...] = ("float", "int8", "int4")
PROMPT = 400  # tokens, as of a 640x480 image with a question
DEFAULT_STEPS = 100
WORDS = 1000  # ids below are words of every tokenizer here


def measure(model: str, steps: int) -> list[Figure]:
    """The rows.

    Args:
        model: as users name one.
        steps: of one token, by each graph.

    Returns:
        Figures.
    """
    with tempfile.TemporaryDirectory() as folder:
        places = {kind: Path(folder) / kind for kind in KINDS}
        for kind, place in places.items():
            export_language_model(model, place, ExportOptions(weights=kind))
        sizes = {kind: (place / "decoder.data").stat().st_size for kind, place in places.items()}
        backends = {kind: OnnxBackend(place, read_graphs(place, LanguageModelGraphs)) for kind, place in places.items()}
        times = _times(backends, steps)
        for backend in backends.values():
            backend.close()
    note = f"{model}; {PROMPT} tokens before, {steps} steps of one token"
    rows = [
        Figure(name=f"decoder.data, {kind}", value=size / 1e6, unit="MB", note=note) for kind, size in sizes.items()
    ]
    for part in ("prompt", "step"):
        quantiles = {kind: np.percentile(times[kind, part], (50, 10)) for kind in KINDS}
        for kind, (median, fast) in quantiles.items():
            rows.append(Figure(name=f"{part}, {kind}", value=median, unit="ms", note=f"p10 {fast:.2f} ms; {note}"))
        for kind in KINDS[1:]:
            ratio, of_fast = quantiles["float"] / quantiles[kind]
            rows.append(Figure(name=f"{part}: float / {kind}", value=ratio, note=f"of the p10: {of_fast:.2f}"))
    return rows


def _times(backends: dict[WeightKind, OnnxBackend], steps: int) -> dict[tuple[WeightKind, str], list[float]]:
    """Milliseconds of prompts and steps, the graphs in turn."""
    times = defaultdict[tuple[WeightKind, str], list[float]](list)
    caches = {kind: backend.new_cache() for kind, backend in backends.items()}
    for turn in range(4):  # the first warms up
        for kind, backend in backends.items():
            caches[kind].truncate(0)
            took = _took(backend, caches[kind], _chunk(0, PROMPT))
            times[kind, "prompt"] += [took] if turn else []
    for step in range(steps + 5):
        for kind, backend in backends.items():
            took = _took(backend, caches[kind], _chunk(PROMPT + step, 1))
            times[kind, "step"] += [took] if step >= 5 else []
    return times


def _took(backend: OnnxBackend, cache: object, chunk: Chunk) -> float:
    """Milliseconds of one forward."""
    began = time.perf_counter()
    backend.forward(cache, chunk, choose=[None])  # type: ignore[arg-type]
    return (time.perf_counter() - began) * 1e3


def _chunk(start: int, count: int) -> Chunk:
    """Words at places from some on."""
    ids = np.random.default_rng(start).integers(0, WORDS, count)
    return Chunk(token_ids=ids, position_ids=np.tile(np.arange(start, start + count), (3, 1)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints.

    Args:
        arguments: without the program's name.

    Returns:
        0.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=PACKAGED_NAME, help="folder, hub id or n3d-nano (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=DEFAULT_STEPS, help="how many (default: %(default)s)")
    options = parser.parse_args(arguments)
    return told(measure(options.model, options.steps))


if __name__ == "__main__":
    sys.exit(main())
