"""The language model's exported graphs in ONNX Runtime, behind the boundary of ``n3d_ros.inference.backend``.

A forward binds the rows of the cache that are there as inputs and the rows behind them as outputs: ONNX Runtime writes
new keys and values where they belong, and no row is ever copied. The same code serves the CPU and, where ONNX Runtime's
CUDA build and a torch with CUDA are there, a GPU; that has never been run by us.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from n3d_ros.errors import BackendError
from n3d_ros.inference.backend import Chunk
from n3d_ros.inference.graph_backend import GraphBackend, GraphCache, GraphSession, causal
from n3d_ros.inference.graphs import DECODER, VISION, LanguageModelGraphs
from n3d_ros.inference.onnx_session import OnnxSession, import_runtime


class OnnxBackend(GraphBackend):
    """Runs exported graphs with ONNX Runtime.

    Args:
        folder: of the graphs.
        graphs: what they are; the caller has checked the files.
        capacity: longest sequence, tokens.
        device: where it computes.
        threads: of the CPU; None: as torch is set.
        exact: whether inputs of products with quantised weights stay as they are; see ``OnnxSession``.

    Raises:
        BackendError: ONNX Runtime is missing or cannot load the graphs, or a capacity that is too small.
        ConfigurationError: the embedding cannot be read.
    """

    name = "onnx"

    def __init__(
        self,
        folder: Path,
        graphs: LanguageModelGraphs,
        *,
        capacity: int = 2048,
        device: torch.device | None = None,
        threads: int | None = None,
        exact: bool = False,
    ) -> None:
        place = torch.device("cpu") if device is None else device
        check_device(graphs, place)
        super().__init__(folder, graphs, capacity=capacity, device=place, threads=threads)
        self._sessions = {
            name: OnnxSession(folder / f"{name}.onnx", device=place, threads=threads, stream=self._stream, exact=exact)
            for name in (VISION, DECODER)
        }

    def _vision(self) -> GraphSession:
        return self._session(VISION)

    def _session(self, name: str) -> GraphSession:
        """A graph, as long as it is there."""
        if not self._sessions:
            raise self._closed()
        return self._sessions[name]

    def _append(self, cache: GraphCache, chunk: Chunk, wanted: int) -> tuple[Tensor, Tensor]:
        """Appends the chunk's rows in place; see ``GraphBackend``.

        A graph always reads an earlier row and gives a row of logits: a sequence's first chunk hides a row of zeros,
        and a prefix ignores the logits.
        """
        count, start, device = len(chunk.token_ids), cache.length, self._place
        past = cache.memory[:, :start] if start else [self._hidden_row] * len(cache.memory)
        inputs = {
            **self._token_inputs(chunk),
            "past_mask": torch.full((1, max(start, 1)), 0.0 if start else float("-inf"), device=device),
            "new_mask": torch.from_numpy(causal(count)).to(device),
            "wanted": torch.arange(count - wanted, count, device=device),
            **{f"past.{layer}": rows for layer, rows in enumerate(past)},
        }
        logits = torch.empty(wanted, self.vocab_size, device=device)
        log_all = torch.empty(wanted, device=device)
        new = cache.memory[:, start : start + count]
        self._session(DECODER).run(
            inputs, {"logits": logits, "log_all": log_all, **{f"new.{layer}": rows for layer, rows in enumerate(new)}}
        )
        return logits, log_all


def check_device(graphs: LanguageModelGraphs, device: torch.device) -> None:
    """Refuses graphs that cannot be computed on a device.

    Args:
        graphs: what they are.
        device: where.

    Raises:
        BackendError: bfloat16 on a CPU, or ONNX Runtime is not installed.
    """
    import_runtime()
    if device.type == "cpu" and graphs.dtype == "bfloat16":
        raise BackendError(
            f"Graphs of {graphs.name}: ONNX Runtime computes no bfloat16 on a CPU; export with --dtype float32 (or "
            "float16, which is slower here), or use a GPU."
        )
