"""``python -m benchmarks language_model``: speed of the language model beside transformers' own ``generate``.

Random weights of the true shape, the same for both, in one process: same prompt, same image, and both are made to
write the same five recorded boxes. Runs alternate and the best of each kind counts: other programs only ever add time.
Ends in a table and one JSON line. Needs torch, transformers and tokenizers; no network, no ROS, no files.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from benchmarks.language_model_setup import (
    SMALL,
    RecordedBackend,
    Subject,
    make_image,
    make_subject,
    recorded_answer,
)
from benchmarks.report import Figure, markdown
from n3d_ros.bench.machine import machine_facts
from n3d_ros.bench.torch_device import bandwidth, nominal_bandwidth
from n3d_ros.bench.torch_generate import run_transformers, transformers_inputs
from n3d_ros.codec.grammar import box_grammar
from n3d_ros.codec.model_input import ImageInput, Prompt
from n3d_ros.codec.prompts import build_prompt, detection_text, grounding_text
from n3d_ros.codec.token_set import TokenSet
from n3d_ros.errors import N3dError
from n3d_ros.inference.backend import Chunk
from n3d_ros.inference.generation import Generation, GenerationConfig, Generator
from n3d_ros.inference.torch_backend import TorchBackend

SIZES = ("small", "3b", "7b")
CAPACITY = 2048
DECODE_STEPS = 48  # of one token, at the length of the prompt
BOXES = 5
LEAST_BANDWIDTH_SHARE = {"3b": 0.55, "7b": 0.70}


class Bench:
    """One model, measured.

    Args:
        subject: the model.
        repeats: runs of each kind.
    """

    def __init__(self, subject: Subject, repeats: int) -> None:
        self.subject, self.repeats = subject, repeats
        tokenizer = subject.tokenizer
        self.image: ImageInput = make_image()
        self.prompt = build_prompt(tokenizer, detection_text(), self.image.token_count)
        self.second = build_prompt(tokenizer, grounding_text(["person"]), self.image.token_count)
        self.answer, self.first_box = recorded_answer(tokenizer)
        self.inputs = transformers_inputs(self.image, self.prompt.token_ids, subject.device)
        self.results: dict[str, list[float]] = {}
        self.generators: dict[str, tuple[RecordedBackend, Generator]] = {}

    def keep(self, name: str, value: float) -> None:
        """Adds a measurement.

        Args:
            name: of the figure.
            value: measured.
        """
        self.results.setdefault(name, []).append(value)

    def best(self, name: str) -> float:
        """The least measurement.

        Args:
            name: of the figure.

        Returns:
            NaN when there is none.
        """
        return min(self.results.get(name, [math.nan]))

    def timed(self, name: str, call: Callable[[], Any]) -> Any:
        """Measures a call in milliseconds, device included.

        Args:
            name: of the figure.
            call: what to do.

        Returns:
            What it gives.
        """
        self.subject.synchronize()
        start = time.perf_counter()
        result = call()
        self.subject.synchronize()
        self.keep(name, (time.perf_counter() - start) * 1e3)
        return result

    def backend(self, **options: Any) -> TorchBackend:
        """Our runtime over the model.

        Args:
            **options: of ``TorchBackend``.

        Returns:
            The backend.
        """
        return TorchBackend(self.subject, capacity=CAPACITY, **options)

    def ours(self, backend: TorchBackend, config: GenerationConfig, name: str) -> Generation:
        """One answer of our runtime, and a further one on the same image.

        Args:
            backend: does the work.
            config: of the generation.
            name: prefix of the figures.

        Returns:
            The first answer.
        """
        if name not in self.generators:
            recorded = RecordedBackend(backend, self.answer, len(self.prompt.token_ids))
            self.generators[name] = recorded, Generator(recorded, self.subject.tokenizer)
        recorded, generator = self.generators[name]
        generator.forget()  # a new image; the cache's memory, and what is recorded for it, stays
        recorded.begin = len(self.prompt.token_ids)
        first = self._answer(generator, self.prompt, config, name)
        if list(first.token_ids) != list(self.answer[:-1]) or first.finish_reason != "end":
            raise N3dError(f"{name}: other tokens were written than recorded ({first.finish_reason}).")
        recorded.begin = len(self.second.token_ids)
        briefly = replace(config, max_new_tokens=self.first_box)
        again = self._answer(generator, self.second, briefly, f"{name} second")
        self.keep(f"{name} reuse", first.first_token_ms / again.first_token_ms)
        return first

    def _answer(self, generator: Generator, prompt: Prompt, config: GenerationConfig, name: str) -> Generation:
        """One answer; its times are kept."""
        told: list[tuple[float, int]] = []
        grammar = box_grammar(self.subject.tokenizer)
        self.subject.synchronize()
        start = time.perf_counter()
        answer = generator.generate(
            prompt,
            self.image,
            grammar=grammar,
            config=config,
            on_tokens=lambda steps: told.append((time.perf_counter(), len(steps))),
        )
        self.keep(f"{name} total", (time.perf_counter() - start) * 1e3)
        counts = np.cumsum([count for _, count in told])
        first_box = told[int(np.searchsorted(counts, self.first_box))][0]
        self.keep(f"{name} first box", (first_box - start) * 1e3)
        self.keep(f"{name} first token", answer.first_token_ms)
        self.keep(f"{name} decode", answer.decode_ms)
        return answer

    def theirs(self) -> None:
        """One answer of transformers; its times are kept."""
        start, at_s, written = run_transformers(
            self.subject.model, self.inputs, self.answer, end_token=self.subject.tokenizer.im_end
        )
        if written != list(self.answer):
            raise N3dError("transformers wrote other tokens than recorded.")
        self.keep("transformers total", (at_s[-1] - start) * 1e3)
        self.keep("transformers first token", (at_s[0] - start) * 1e3)
        self.keep("transformers first box", (at_s[self.first_box - 1] - start) * 1e3)
        self.keep("transformers decode", (at_s[-1] - at_s[0]) * 1e3)

    def parts(self, backend: TorchBackend) -> None:
        """Vision tower and prompt alone, both runtimes.

        Args:
            backend: ours.
        """
        model, inputs = self.subject.model, self.inputs
        vision = {"grid_thw": inputs["image_grid_thw"], "point_clouds": inputs["point_clouds"]}
        pixels = inputs["pixel_values"].to(model.dtype)
        token_ids, positions = self.prompt.token_ids, self._positions()
        with torch.inference_mode():
            self.timed("transformers vision", lambda: model.model.visual(pixels, **vision))
            visual = self.timed("ours vision", lambda: backend.encode_image(self.image))
            embeds = model.model.language_model.embed_tokens(inputs["input_ids"])
            where = {"inputs_embeds": embeds, "position_ids": torch.tensor(positions, device=embeds.device)[:, None]}
            self.timed(
                "transformers prompt",
                lambda: model.lm_head(model.model.language_model(**where, use_cache=True).last_hidden_state[:, -1:]),
            )
            chunk = Chunk(token_ids=token_ids, position_ids=positions, visual=(visual,))
            cache = backend.new_cache()
            self.timed("ours prompt", lambda: backend.forward(cache, chunk, choose=[None]))

    def _positions(self) -> Any:
        """(3, S) positions; their values do not matter for speed."""
        return np.tile(np.arange(len(self.prompt.token_ids), dtype=np.int64), (3, 1))

    def decode_steps(self, backend: TorchBackend, name: str) -> None:
        """Steps of one token each, behind the prompt.

        Args:
            backend: ours.
            name: of the figure.
        """
        cache, positions = backend.new_cache(), self._positions()
        backend.forward(cache, Chunk(token_ids=self.prompt.token_ids % 256, position_ids=positions))
        digits = TokenSet(self.subject.tokenizer.encode("0123456789,"))
        times = []
        for step in range(DECODE_STEPS):
            place = np.full((3, 1), len(positions[0]) + step)
            start = time.perf_counter()
            backend.forward(cache, Chunk(token_ids=np.array([5]), position_ids=place), choose=[digits])
            times.append((time.perf_counter() - start) * 1e3)
        self.keep(name, float(np.median(times[8:])))

    def step_bytes(self) -> int:
        """What one step of one token must read: layers, head, and the keys and values of the prompt."""
        language, head = self.subject.model.model.language_model, self.subject.model.lm_head
        layers = sum(parameter.nbytes for parameter in language.layers.parameters())
        config = self.subject.model.config.text_config
        width = config.hidden_size // config.num_attention_heads * config.num_key_value_heads
        rows = len(self.prompt.token_ids) * 2 * width * config.num_hidden_layers
        return layers + head.weight.nbytes + rows * head.weight.itemsize


def measure_size(size: str, args: argparse.Namespace, tell: Callable[[str], None]) -> tuple[list[Figure], Any]:
    """All figures of one size.

    Args:
        size: of ``SIZES``.
        args: of the command line.
        tell: told what happens.

    Returns:
        Figures, and what else belongs into the JSON line.
    """
    device = torch.device(args.device)
    speed = bandwidth(device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    start = time.monotonic()
    subject = make_subject(size, device=args.device, dtype=args.dtype)
    subject.synchronize()
    tell(f"{size}: {subject.weight_bytes / 1e9:.2f} GB of random weights in {time.monotonic() - start:.1f} s")
    bench = Bench(subject, args.repeats)
    backend = bench.backend(cuda_graphs="off" if args.no_cuda_graphs else "auto", compile=args.compile)
    built = _device_memory(device)
    fast, plain = GenerationConfig(), GenerationConfig(forced_runs=False, expected_runs=False)
    passes = math.nan
    for repeat in range(args.repeats + 1):
        tell(f"{size}: run {repeat} of {args.repeats}")
        bench.theirs()
        answer = bench.ours(backend, fast, "ours")
        if repeat:
            bench.ours(backend, plain, "ours, a pass per token")
        bench.parts(backend)
        bench.decode_steps(backend, "step")
        passes = answer.passes / BOXES
        if repeat == 0:
            bench.results.clear()  # warm-up: plans of libraries, recorded graphs
            warm = _device_memory(device)
    extra = _variants(bench, args, tell) if device.type == "cuda" else {}
    figures = _figures(bench, passes, speed, args)
    extra |= {
        "weight_bytes": subject.weight_bytes,
        "step_bytes": bench.step_bytes(),
        "bandwidth_bytes_per_s": speed,
        "prompt_tokens": len(bench.prompt.token_ids),
        "answer_tokens": len(bench.answer),
        "built_over_weights": built / subject.weight_bytes,
        "peak_device_bytes": warm,
        "milliseconds": {name: round(bench.best(name), 3) for name in bench.results if "reuse" not in name},
    }
    if device.type == "cuda":
        note = "random weights made on the device, projections fused, before the first image"
        figures.append(
            Figure(name=f"{size}: peak device memory of building over the weights", value=extra["built_over_weights"],
                   promise=1.1, note=note)
        )  # fmt: skip
        figures.append(
            Figure(name=f"{size}: peak device memory of answering", value=warm / 2**30, unit="GiB",
                   note=f"weights {subject.weight_bytes / 2**30:.2f} GiB; caches of {CAPACITY} tokens; both runtimes")
        )  # fmt: skip
    return figures, extra


def _device_memory(device: torch.device) -> int:
    """Peak bytes that torch reserved on a GPU so far; 0 on the CPU. Starts anew."""
    if device.type != "cuda":
        return 0
    peak = torch.cuda.max_memory_reserved(device)
    torch.cuda.reset_peak_memory_stats(device)
    return peak


def _variants(bench: Bench, args: argparse.Namespace, tell: Callable[[str], None]) -> dict[str, Any]:
    """What bounds a step of one token: milliseconds with other choices of how it is run."""
    found = {}
    for name, options, widest in (
        ("without CUDA graphs", {"cuda_graphs": "off"}, None),
        ("attention by sdpa", {}, 0),
        ("torch.compile", {"compile": True}, None),
    ):
        if name == "torch.compile" and not args.try_compile:
            continue
        tell(f"{bench.subject.size}: step {name}")
        backend = bench.backend(**options)
        if widest is not None:
            backend._decoder.widest_products = widest
        bench.decode_steps(backend, f"step {name}")
        bench.decode_steps(backend, f"step {name}")
        found[name] = bench.best(f"step {name}")
        backend.close()
    return {"step_variants_ms": found}


def _figures(bench: Bench, passes: float, speed: dict[str, float], args: argparse.Namespace) -> list[Figure]:
    """The table's rows of one size."""
    size, best = bench.subject.size, bench.best
    title = f"{size} ({args.dtype}, {args.device})"
    step_s = best("step") / 1e3
    limit = _limit(speed, args.device)
    share = bench.step_bytes() / limit / step_s
    on_cpu = torch.device(args.device).type == "cpu"
    plain = best("ours, a pass per token decode")

    def versus(name: str) -> str:
        return f"transformers {best(f'transformers {name}'):.1f} ms"

    rows = [
        Figure(name=f"{title}: vision tower", value=best("ours vision"), unit="ms", note=versus("vision")),
        Figure(name=f"{title}: prompt of {len(bench.prompt.token_ids)} tokens", value=best("ours prompt"), unit="ms",
               note=versus("prompt")),
        Figure(name=f"{title}: first token", value=best("ours first token"), unit="ms", note=versus("first token")),
        Figure(name=f"{title}: first box", value=best("ours first box"), unit="ms", note=versus("first box")),
        Figure(name=f"{title}: five boxes, whole answer", value=best("ours total"), unit="ms", note=versus("total")),
        Figure(name=f"{title}: decode, transformers' time over ours",
               value=best("transformers decode") / best("ours decode"), promise=1.5 if on_cpu else None, at_most=False,
               note=f"{best('transformers decode'):.0f}, {best('ours decode'):.0f} ms; {len(bench.answer)} tokens"),
        Figure(name=f"{title}: the same with a pass per token", value=best("transformers decode") / plain,
               note=f"{plain:.0f} ms"),
        Figure(name=f"{title}: passes per box", value=passes, promise=23, note="grammar with forced and expected runs"),
        Figure(name=f"{title}: second question, first token sooner by", value=max(bench.results["ours reuse"]),
               promise=5, at_most=False, note=f"{best('ours second first token'):.1f} ms; 391 visual tokens kept"),
        Figure(name=f"{title}: decode of single tokens", value=1 / step_s, unit="tokens/s",
               note=f"{best('step'):.3f} ms; limit {limit / bench.step_bytes():.0f} tokens/s"),
        Figure(name=f"{title}: share of the bandwidth limit", value=100 * share, unit="%",
               promise=100 * LEAST_BANDWIDTH_SHARE[size] if not on_cpu and size in LEAST_BANDWIDTH_SHARE else None,
               at_most=False,
               note=f"{bench.step_bytes() / 1e9:.2f} GB a step; limit {limit / 1e9:.0f} GB/s; measured read "
               f"{speed['read'] / 1e9:.0f}, copy {speed['copy'] / 1e9:.0f} GB/s"),
    ]  # fmt: skip
    slower = [
        name
        for name in ("vision", "prompt", "first token", "first box", "total", "decode")
        if best(f"ours {name}") > 1.03 * best(f"transformers {name}")
    ]
    rows.append(Figure(name=f"{title}: slower than transformers by more than 3 %", value=len(slower), promise=0,
                       note=", ".join(slower) or "nowhere"))  # fmt: skip
    return rows


def _limit(speed: dict[str, float], device: str) -> float:
    """Bytes per second: the data sheet's where the GPU is known, else what reading reached."""
    if torch.device(device).type == "cuda":
        name = torch.cuda.get_device_name(torch.device(device))
        return nominal_bandwidth(name) or speed["read"]
    return speed["read"]


def loading_figure(args: argparse.Namespace) -> list[Figure]:
    """Peak host memory of loading a checkpoint and building the runtime, in a process of its own.

    Args:
        args: of the command line.

    Returns:
        One figure.
    """
    from model_training.models.random_model import write_random_model

    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "model")
        write_random_model(target, size="small", dtype=args.dtype, **SMALL)
        command = [sys.executable, "-m", "benchmarks.language_model", "--load", str(target), "--device", args.device]
        command += ["--dtype", args.dtype]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=600, cwd=Path(__file__).parents[1])
    result = json.loads(done.stdout.decode().splitlines()[-1])
    weights, place = result["weight_bytes"], "device" if args.device.startswith("cuda") else "host"
    note = f"{weights / 2**20:.0f} MiB of weights from files, runtime built"
    return [Figure(name=f"small: peak {place} memory of loading over the weights", value=result["peak_bytes"] / weights,
                   promise=1.1, note=note)]  # fmt: skip


def _load(folder: str, device: str, dtype: str) -> dict[str, int]:
    """Loads a checkpoint and builds the runtime; what it took beyond the imports."""
    from n3d_ros.model.checkpoint import load_model

    torch.zeros(1, device=device)
    before = _peak_host_bytes()
    loaded = load_model(folder, device=device, dtype=dtype)  # type: ignore[arg-type]
    backend = TorchBackend(loaded, capacity=256)
    after = _peak_host_bytes()
    peak = _device_memory(torch.device(device)) or after - before
    backend.close()
    return {"peak_bytes": peak, "weight_bytes": sum(parameter.nbytes for parameter in loaded.model.parameters())}


def _peak_host_bytes() -> int:
    """Most memory this process ever held (proc(5), VmHWM); getrusage would count its parent's too."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def _document(figures: Sequence[Figure], extra: dict[str, Any], args: argparse.Namespace) -> str:
    """One line of JSON."""
    where = machine_facts()
    if args.device.startswith("cuda"):
        where["gpu"] = torch.cuda.get_device_name(torch.device(args.device))
        where["cuda"] = torch.version.cuda
    versions = {
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "python": platform.python_version(),
    }
    rows = [
        {"name": figure.name, "value": None if math.isnan(figure.value) else round(figure.value, 5),
         "unit": figure.unit, "promise": figure.promise, "at_most": figure.at_most, "kept": figure.is_kept,
         "note": figure.note}
        for figure in figures
    ]  # fmt: skip
    return json.dumps(
        {"machine": where, "versions": versions, "threads": torch.get_num_threads(), "figures": rows} | extra
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Measures and prints.

    Args:
        argv: arguments; None: those of this process.

    Returns:
        0 when every promise is kept, else 1.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks language_model", description=__doc__.splitlines()[0])
    parser.add_argument("--size", action="append", choices=SIZES, help="may be given several times (default small)")
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    parser.add_argument(
        "--dtype", choices=("float32", "bfloat16", "float16"), help="default: float32 on the CPU, else bfloat16"
    )
    parser.add_argument("--repeats", type=int, default=3, help="counted runs of each kind (default 3)")
    parser.add_argument("--threads", type=int, help="of the CPU (default: torch's own)")
    parser.add_argument("--no-cuda-graphs", action="store_true", help="launch every operation")
    parser.add_argument("--compile", action="store_true", help="compile the step of one token")
    parser.add_argument("--try-compile", action="store_true", help="measure a compiled step too (takes minutes)")
    parser.add_argument("--no-loading", action="store_true", help="leave the memory of loading out")
    parser.add_argument("--load", metavar="FOLDER", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    args.dtype = args.dtype or ("float32" if args.device == "cpu" else "bfloat16")
    warnings.filterwarnings("ignore", module="transformers")
    transformers.logging.set_verbosity_error()
    if args.threads:
        torch.set_num_threads(args.threads)
    if args.load:
        print(json.dumps(_load(args.load, args.device, args.dtype)))
        return 0
    figures: list[Figure] = []
    extra: dict[str, Any] = {"weights": "random, of the true shape"}
    for size in args.size or ["small"]:
        rows, more = measure_size(size, args, lambda text: print(text, file=sys.stderr, flush=True))
        figures += rows
        extra[size] = more
        gc.collect()
        if args.device.startswith("cuda"):
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
    if not args.no_loading:
        figures += loading_figure(args)
    print(markdown(figures))
    print(_document(figures, extra, args))
    return 0 if all(figure.is_kept is not False for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
