"""A STAND-IN for NVIDIA's module ``tensorrt``, for tests alone. It builds no engine and computes nothing on a GPU.

Written by hand from the public bindings of TensorRT 10.3 to 11.1: names, signatures, what comes back on failure, and
what is gone in 11. A "plan" is the name of an ONNX graph with profiles; a context computes it in ONNX Runtime on the
CPU, from the shapes and raw addresses it was given, so that whoever calls it wrongly gets wrong numbers or an error.

Environment, so that child processes see it too:

* ``TENSORRT_STANDIN_VERSION``: which version it pretends to be (10.3.0.26).
* ``TENSORRT_STANDIN``: "crash", "hang" or "refuse" a build; "wrong" numbers of every engine, "wrong_fused" of those
  whose graph is not of the safe form.
"""

from __future__ import annotations

import ctypes
import enum
import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime

__version__ = os.environ.get("TENSORRT_STANDIN_VERSION", "10.3.0.26")
_NUMBERS = tuple(int(part) for part in __version__.split("."))
_IS_11 = _NUMBERS[0] >= 11

calls: list[tuple[Any, ...]] = []
"""What contexts were told: ("profile", i), ("shape", name, shape), ("run", shapes)."""


class DataType(enum.Enum):
    FLOAT, HALF, BF16, INT8, INT32, INT64, BOOL = range(7)


class TensorIOMode(enum.Enum):
    NONE, INPUT, OUTPUT = range(3)


class ExecutionContextAllocationStrategy(enum.Enum):
    STATIC, ON_PROFILE_CHANGE, USER_MANAGED = range(3)


class MemoryPoolType(enum.Enum):
    WORKSPACE = 0


if _IS_11:
    NetworkDefinitionCreationFlag = enum.IntEnum(
        "NetworkDefinitionCreationFlag", {"STRONGLY_TYPED": 0, "PREFER_JIT_PYTHON_PLUGINS": 1}
    )
    BuilderFlag = enum.IntEnum("BuilderFlag", {"TF32": 5, "STRICT_NANS": 9})
else:
    NetworkDefinitionCreationFlag = enum.IntEnum(
        "NetworkDefinitionCreationFlag", {"EXPLICIT_BATCH": 0, "STRONGLY_TYPED": 1}
    )
    BuilderFlag = enum.IntEnum("BuilderFlag", {"FP16": 0, "TF32": 7})

_TYPES = {
    onnx.TensorProto.FLOAT: (DataType.FLOAT, np.float32),
    onnx.TensorProto.FLOAT16: (DataType.HALF, np.float16),
    onnx.TensorProto.INT64: (DataType.INT64, np.int64),
}


class ILogger:
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)

    def log(self, severity: int, msg: str) -> None:
        raise NotImplementedError


class IProgressMonitor:
    def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
        raise NotImplementedError

    def step_complete(self, phase_name: str, step: int) -> bool:
        raise NotImplementedError

    def phase_finish(self, phase_name: str) -> None:
        raise NotImplementedError


class IHostMemory(bytes):
    @property
    def nbytes(self) -> int:
        return len(self)


class _Tensor:
    def __init__(self, value: onnx.ValueInfoProto) -> None:
        self.name = value.name
        kind = value.type.tensor_type
        self._dims = list(kind.shape.dim)
        self.element = kind.elem_type
        self.shape = tuple(dim.dim_value if dim.HasField("dim_value") else -1 for dim in self._dims)

    def get_dimension_name(self, axis: int) -> str:
        return str(self._dims[axis].dim_param)


class _Network:
    def __init__(self, flags: int) -> None:
        self.flags = flags
        self.file = ""
        self.inputs: list[_Tensor] = []
        self.outputs: list[_Tensor] = []

    @property
    def num_inputs(self) -> int:
        return len(self.inputs)

    def get_input(self, number: int) -> _Tensor:
        return self.inputs[number]


class _ParserError:
    def __init__(self, text: str, operator: str) -> None:
        self._text, self._operator = text, operator

    def desc(self) -> str:
        return self._text

    def node_operator(self) -> str:
        return self._operator


class OnnxParser:
    def __init__(self, network: _Network, logger: ILogger) -> None:
        self._network, self._logger = network, logger
        self._errors: list[_ParserError] = []

    @property
    def num_errors(self) -> int:
        return len(self._errors)

    def get_error(self, number: int) -> _ParserError:
        return self._errors[number]

    def parse_from_file(self, path: str) -> bool:
        graph = onnx.load(path, load_external_data=False).graph
        unknown = [node.op_type for node in graph.node if node.op_type in ("Attention", "CumProd")]
        if unknown:
            self._errors.append(_ParserError("No importer registered for op", unknown[0]))
            return False
        self._network.file = str(Path(path).resolve())
        self._network.inputs = [_Tensor(value) for value in graph.input]
        self._network.outputs = [_Tensor(value) for value in graph.output]
        return True


class IOptimizationProfile:
    def __init__(self) -> None:
        self.shapes: dict[str, list[tuple[int, ...]]] = {}

    def set_shape(self, name: str, least: Any, usual: Any, most: Any) -> None:
        ends = [tuple(end) for end in (least, usual, most)]
        if not all(a <= b <= c for a, b, c in zip(*ends, strict=True)):
            raise RuntimeError("Shape provided for min is inconsistent with other shapes.")
        self.shapes[name] = ends


class _TimingCache:
    def __init__(self, content: bytes) -> None:
        self.content = content

    def serialize(self) -> IHostMemory:
        return IHostMemory(self.content + b"+")


class _Config:
    def __init__(self) -> None:
        self.profiles: list[IOptimizationProfile] = []
        self.cleared: list[Any] = []
        self.progress_monitor: IProgressMonitor | None = None
        self.builder_optimization_level = 3
        self.pools: dict[Any, int] = {}

    def clear_flag(self, flag: Any) -> None:
        self.cleared.append(flag)

    def set_memory_pool_limit(self, pool: MemoryPoolType, size: int) -> None:
        self.pools[pool] = size

    def add_optimization_profile(self, profile: IOptimizationProfile) -> int:
        self.profiles.append(profile)
        return len(self.profiles) - 1

    def create_timing_cache(self, content: bytes) -> _TimingCache | None:
        if not isinstance(content, bytes):
            raise TypeError("expected bytes")
        return None if content.startswith(b"damaged") else _TimingCache(content)

    def set_timing_cache(self, cache: _TimingCache, ignore_mismatch: bool) -> bool:
        return isinstance(cache, _TimingCache) and isinstance(ignore_mismatch, bool)


class Builder:
    def __init__(self, logger: ILogger) -> None:
        self._logger = logger

    def create_network(self, flags: int = 0) -> _Network:
        if not _IS_11 and not flags & 1 << int(NetworkDefinitionCreationFlag.STRONGLY_TYPED):
            raise AssertionError("the network must be strongly typed")
        if _IS_11 and flags & 1 << 1:
            raise AssertionError("a flag by its number of version 10")
        return _Network(flags)

    def create_builder_config(self) -> _Config:
        return _Config()

    def create_optimization_profile(self) -> IOptimizationProfile:
        return IOptimizationProfile()

    def build_serialized_network(self, network: _Network, config: _Config) -> IHostMemory | None:
        assert BuilderFlag.TF32 in config.cleared, "float32 would be computed in TF32"
        mode = os.environ.get("TENSORRT_STANDIN", "")
        if mode == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        while mode == "hang":
            time.sleep(0.1)
        if mode == "refuse":
            self._logger.log(
                ILogger.ERROR,
                "IBuilder::buildSerializedNetwork: Error Code 9: API Usage Error (Target GPU SM 87 is not supported by "
                "this TensorRT release.)",
            )
            return None
        for tensor in network.inputs:
            for profile in config.profiles:
                if -1 in tensor.shape and tensor.name not in profile.shapes:
                    self._logger.log(ILogger.ERROR, f"{tensor.name}: dynamic input without a profile")
                    return None
            if -1 in tensor.shape and not config.profiles:
                self._logger.log(ILogger.ERROR, f"{tensor.name}: dynamic input without a profile")
                return None
        self._report(config.progress_monitor)
        content = {
            "file": network.file,
            "mode": mode,
            "profiles": [profile.shapes for profile in config.profiles],
        }
        head = b"ftrt" + bytes(20) + bytes((*_NUMBERS, 0, 0, 0, 0)[:4])
        return IHostMemory(head + json.dumps(content).encode())

    def _report(self, monitor: IProgressMonitor | None) -> None:
        """Two phases in another, told from another thread, as the real one may."""
        if monitor is None:
            return

        def tell() -> None:
            monitor.phase_start("Building Engine", None, 2)
            for step in range(2):
                monitor.phase_start(f"part {step}", "Building Engine", 4)
                for inner in range(4):
                    assert monitor.step_complete(f"part {step}", inner)
                monitor.phase_finish(f"part {step}")
                assert monitor.step_complete("Building Engine", step)
            monitor.phase_finish("Building Engine")

        thread = threading.Thread(target=tell)
        thread.start()
        thread.join()


class Runtime:
    def __init__(self, logger: ILogger) -> None:
        self._logger = logger

    def deserialize_cuda_engine(self, plan: Any) -> ICudaEngine | None:
        content = bytes(plan)
        if content[:4] != b"ftrt":
            self._logger.log(ILogger.ERROR, "deserializeCudaEngine: Error Code 1: Serialization (magicTag mismatch)")
            return None
        if tuple(content[24:28]) != (*_NUMBERS, 0, 0, 0, 0)[:4]:
            self._logger.log(
                ILogger.ERROR,
                "deserializeCudaEngine: Error Code 1: Serialization (Version tag does not match. Note: Current "
                "Version: 237, Serialized Engine Version: 239)",
            )
            return None
        return ICudaEngine(json.loads(content[28:]), self._logger)


class ICudaEngine:
    def __init__(self, content: dict[str, Any], logger: ILogger) -> None:
        self._profiles = content["profiles"]
        self.logger = logger
        graph = onnx.load(content["file"], load_external_data=False).graph
        self.inputs = {value.name: _Tensor(value) for value in graph.input}
        self.outputs = {value.name: _Tensor(value) for value in graph.output}
        self._names = [*self.inputs, *self.outputs]
        self.num_io_tensors = len(self._names)
        self.num_optimization_profiles = max(len(self._profiles), 1)
        self.device_memory_size_v2 = 4096
        is_safe = "_safe" in Path(content["file"]).name
        self.is_wrong = content["mode"] == "wrong" or (content["mode"] == "wrong_fused" and not is_safe)
        self.session = onnxruntime.InferenceSession(content["file"], providers=["CPUExecutionProvider"])
        if not _IS_11:
            self.device_memory_size = 4096

    def tensor(self, name: str) -> _Tensor:
        return self.inputs.get(name) or self.outputs[name]

    def get_tensor_name(self, number: int) -> str:
        return self._names[number]

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        return TensorIOMode.INPUT if name in self.inputs else TensorIOMode.OUTPUT

    def get_tensor_dtype(self, name: str) -> DataType:
        return _TYPES[self.tensor(name).element][0]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self.tensor(name).shape

    def get_tensor_profile_shape(self, name: str, profile: int) -> list[tuple[int, ...]]:
        return [tuple(end) for end in self._profiles[profile][name]]

    def create_execution_context(self, strategy: ExecutionContextAllocationStrategy) -> IExecutionContext:
        return IExecutionContext(self, strategy)


class IExecutionContext:
    def __init__(self, engine: ICudaEngine, strategy: ExecutionContextAllocationStrategy) -> None:
        self._engine, self._strategy = engine, strategy
        self.active_optimization_profile = 0
        self._memory = 0
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._addresses: dict[str, int] = {}

    def set_device_memory(self, address: int, size: int) -> None:
        assert self._strategy is ExecutionContextAllocationStrategy.USER_MANAGED
        assert address % 256 == 0 and size >= self._engine.device_memory_size_v2
        self._memory = address

    def set_optimization_profile_async(self, profile: int, _stream: int) -> bool:
        if not 0 <= profile < self._engine.num_optimization_profiles:
            os.kill(os.getpid(), signal.SIGSEGV)  # as versions up to 10.7 do
        calls.append(("profile", profile))
        self.active_optimization_profile = profile
        self._shapes.clear()
        return True

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        fixed = self._engine.inputs[name].shape
        if -1 in fixed:
            least, _, most = self._engine.get_tensor_profile_shape(name, self.active_optimization_profile)
            if len(shape) != len(least) or not all(a <= b <= c for a, b, c in zip(least, shape, most, strict=True)):
                return False
        elif tuple(shape) != fixed:
            return False
        calls.append(("shape", name, tuple(shape)))
        self._shapes[name] = tuple(shape)
        return True

    def set_tensor_address(self, name: str, address: int) -> bool:
        self._addresses[name] = address
        return name in self._engine.inputs or name in self._engine.outputs

    def execute_async_v3(self, _stream: int) -> bool:
        if not self._memory or set(self._shapes) != set(self._engine.inputs):
            self._engine.logger.log(ILogger.ERROR, "enqueueV3: not all shapes are specified, or no device memory")
            return False
        if any(not self._addresses.get(name, 0) for name in [*self._engine.inputs, *self._engine.outputs]):
            self._engine.logger.log(ILogger.ERROR, "enqueueV3: an address is not set")
            return False
        assert all(address % 256 == 0 for address in self._addresses.values())
        calls.append(("run", dict(self._shapes)))
        feeds = {name: self._array(name, shape).copy() for name, shape in self._shapes.items()}
        for name, value in zip(self._engine.outputs, self._engine.session.run(None, feeds), strict=True):
            result = np.roll(value, 1, axis=-1) if self._engine.is_wrong and value.ndim else value
            self._array(name, value.shape)[...] = result
        return True

    def _array(self, name: str, shape: tuple[int, ...]) -> Any:
        """The memory at an address."""
        dtype = np.dtype(_TYPES[self._engine.tensor(name).element][1])
        count = int(np.prod(shape)) * dtype.itemsize
        block = (ctypes.c_char * count).from_address(self._addresses[name])
        return np.frombuffer(block, dtype=dtype).reshape(shape)


if not _IS_11:

    def _old_context(self: ICudaEngine) -> IExecutionContext:
        return IExecutionContext(self, ExecutionContextAllocationStrategy.USER_MANAGED)

    ICudaEngine.create_execution_context_without_device_memory = _old_context  # type: ignore[attr-defined]
