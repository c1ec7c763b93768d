"""One graph in ONNX Runtime: inputs and outputs are tensors, bound by their addresses, so that nothing is copied."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from n3d_ros.errors import BackendError
from n3d_ros.weights.placement import choose_device

ELEMENT_TYPES: Mapping[torch.dtype, int] = {
    torch.float32: 1,
    torch.int64: 7,
    torch.float16: 10,
    torch.bfloat16: 16,
}
"""ONNX's numbers of the dtypes that graphs here have."""

CUDA = "CUDAExecutionProvider"
MEND = "Run `pip install 'n3d_ros[model]'`, or `make setup MODEL=1` in a checkout."


class OnnxSession:
    """A graph that is loaded. Used by one thread.

    Args:
        file: of the graph; its weights lie beside it.
        device: where it computes: the CPU, or a GPU with ONNX Runtime's CUDA build.
        threads: of the CPU; None: as torch is set.
        stream: of the GPU on which work is queued; None: ONNX Runtime's own.
        exact: whether inputs of products with quantised weights stay as they are, to compare with a network; ONNX
            Runtime's CPU else rounds them to 8 bits in blocks too, which is several times as fast.

    Raises:
        BackendError: ONNX Runtime is not installed, has nothing for this device, or cannot load the graph.
    """

    def __init__(
        self,
        file: Path,
        *,
        device: torch.device,
        threads: int | None = None,
        stream: torch.cuda.Stream | None = None,
        exact: bool = False,
    ) -> None:
        runtime = import_runtime()
        providers = _providers(runtime, device, stream)
        self._device, self._file = device, file
        options = runtime.SessionOptions()
        options.log_severity_level = 3  # errors; they come as exceptions too
        options.intra_op_num_threads = threads or torch.get_num_threads()
        options.inter_op_num_threads = 1
        options.use_deterministic_compute = True
        # Threads that wait by spinning keep the cores from torch's, and from the node's own.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if exact:
            options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "1")
        options.enable_mem_pattern = False  # shapes change from call to call
        try:
            self._session = runtime.InferenceSession(str(file), options, providers=providers)
        except Exception as error:  # ONNX Runtime has no error type of its own
            raise BackendError(f"{file}: ONNX Runtime {runtime.__version__} cannot load it: {_short(error)}") from error
        used, wanted = self._session.get_providers()[0], providers[0] if device.type == "cpu" else providers[0][0]
        if used != wanted:
            raise BackendError(f"{file}: expected ONNX Runtime to compute on {device}, it would do so with {used}.")
        self.input_names = tuple(entry.name for entry in self._session.get_inputs())
        self.output_names = tuple(entry.name for entry in self._session.get_outputs())

    def run(self, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> None:
        """Computes.

        Args:
            inputs: every input of the graph, on the session's device; copied where they are not contiguous.
            outputs: every output of the graph, contiguous, of the right shape, to be written.

        Raises:
            BackendError: an input is missing, a shape does not fit, or the device failed.
        """
        binding = self._session.io_binding()
        if absent := [name for name in self.input_names if name not in inputs]:
            raise BackendError(f"{self._file.name}: expected the inputs {', '.join(absent)} too.")
        try:
            read = {name: inputs[name].contiguous() for name in self.input_names}  # kept until it has run
            for name, tensor in read.items():
                binding.bind_input(name, *_described(tensor))
            for name in self.output_names:
                if not outputs[name].is_contiguous():
                    raise BackendError(f"{self._file.name}: expected contiguous memory for {name}, to write into.")
                binding.bind_output(name, *_described(outputs[name]))
            self._session.run_with_iobinding(binding)
        except BackendError:
            raise
        except Exception as error:
            text = _short(error)
            is_memory = "allocate memory" in text or "out of memory" in text.lower() or "bad_alloc" in text
            raise BackendError(
                f"{self._file.name} failed on {self._device}: {text}", reason="out_of_memory" if is_memory else None
            ) from error


def _described(tensor: Tensor) -> tuple[str, int, int, tuple[int, ...], int]:
    """Device, its number, element type, shape and address, as ONNX Runtime binds them."""
    device = tensor.device
    return device.type, device.index or 0, ELEMENT_TYPES[tensor.dtype], tuple(tensor.shape), tensor.data_ptr()


def choose_runtime_device(device: str) -> torch.device:
    """The device of that name, for ONNX Runtime.

    Args:
        device: "auto", "cpu", "cuda" or "cuda:i".

    Returns:
        The device; with "auto" the CPU where ONNX Runtime has no CUDA, though torch may have.

    Raises:
        ConfigurationError: there is no such device.
        BackendError: ONNX Runtime is not installed.
    """
    chosen = choose_device(device)
    if device == "auto" and CUDA not in import_runtime().get_available_providers():
        return torch.device("cpu")
    return chosen


def import_runtime() -> Any:
    """The module onnxruntime.

    Returns:
        The module.

    Raises:
        BackendError: it is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise BackendError(
            f"The backend onnx needs the package onnxruntime, which does not import ({error}). {MEND}"
        ) from error
    return onnxruntime


def _providers(runtime: Any, device: torch.device, stream: torch.cuda.Stream | None) -> list[Any]:
    """What computes, in ONNX Runtime's words."""
    if device.type == "cpu":
        return ["CPUExecutionProvider"]
    if CUDA not in runtime.get_available_providers():
        raise BackendError(
            f"onnxruntime {runtime.__version__} has no CUDA; install onnxruntime-gpu in its place, or choose the "
            "device cpu."
        )
    options = {"device_id": str(device.index or 0), "use_tf32": "0"}
    if stream is not None:
        options["user_compute_stream"] = str(stream.cuda_stream)
    return [(CUDA, options), "CPUExecutionProvider"]


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:400]
