"""All that is said to the module ``tensorrt``, and all that differs between its versions 10.3 to 11.4.

What differs, by the sources of its bindings up to 11.1 (newer ones are known by their release notes alone):

* enumerations have other numbers in 11, so flags are looked up by name and nothing is kept as a number;
* ``STRONGLY_TYPED`` may vanish, since 11 knows nothing else; ``EXPLICIT_BATCH`` and all precision flags did vanish;
* sizes of device memory are asked for by their ``_v2`` names, contexts without memory by ``USER_MANAGED``: both are
  there from 10.3 on, the older names are gone in 11;
* up to 10.7 a wrong profile or a wrong shape ended the process instead of raising: both are checked here first.

None of this was ever run by us; the tests use a stand-in of the module that is made from the same sources.
"""

from __future__ import annotations

import mmap
import struct
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from n3d_ros.errors import BackendError
from n3d_ros.inference.tensorrt.job import BuildJob

OLDEST, FIRST_UNKNOWN = (10, 3), (12, 0)
ALIGNMENT = 256  # bytes of every address that is given to a context
DTYPES: Mapping[str, str] = {
    "FLOAT": "float32",
    "HALF": "float16",
    "BF16": "bfloat16",
    "INT64": "int64",
    "INT32": "int32",
    "BOOL": "bool",
}
"""TensorRT's names of the dtypes that our graphs have at their ends, and torch's."""

_KEPT_ERRORS = 8
_MAGIC = b"ftrt"  # of a plan
_WRITING = 0.97  # share of a build that is done when the plan is written
_READING = 0.03

Tell = Callable[[float, str], None]


def import_tensorrt() -> Any:
    """The module tensorrt.

    Returns:
        The module.

    Raises:
        BackendError: it is not installed, cannot be loaded, or is too old or too new.
    """
    try:
        import tensorrt
    except (ImportError, OSError) as error:  # OSError: a library of it that cannot be loaded
        raise BackendError(
            f"TensorRT does not import ({str(error)[:200]}); on a Jetson it comes with JetPack, elsewhere run `pip "
            "install tensorrt` (several GB, from NVIDIA).",
            reason="no_tensorrt",
        ) from error
    version = str(getattr(tensorrt, "__version__", "0"))
    if not OLDEST <= numbers(version)[:2] < FIRST_UNKNOWN:
        raise BackendError(
            f"TensorRT {version}: expected 10.3 (JetPack 6.2) to 11.x; update JetPack or TensorRT.",
            reason="no_tensorrt",
        )
    if not hasattr(tensorrt, "OnnxParser"):
        raise BackendError(
            f"TensorRT {version} is one without builder and parser (lean or dispatch); install the full one.",
            reason="no_tensorrt",
        )
    return tensorrt


def numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version.

    Args:
        version: such as "10.3.0.26" or "11.1.0+cuda13".

    Returns:
        Such as (10, 3, 0, 26).
    """
    found = []
    for part in version.split("."):
        digits = part[: next((place for place, sign in enumerate(part) if not sign.isdigit()), len(part))]
        if not digits:
            break
        found.append(int(digits))
        if digits != part:
            break
    return tuple(found)


def plan_version(plan: Path) -> str:
    """The version of TensorRT that built a plan, read from its first bytes.

    Args:
        plan: file of an engine.

    Returns:
        Such as "10.3.0.26"; empty where the file says nothing of the kind.
    """
    with plan.open("rb") as file:
        head = file.read(28)
    if len(head) < 28 or head[:4] != _MAGIC:
        return ""
    return ".".join(str(number) for number in struct.unpack_from("4B", head, 24))


def build(trt: Any, job: BuildJob, *, tell: Tell, log: Callable[[str], None]) -> dict[str, Any]:
    """Builds one engine and writes its plan.

    Args:
        trt: the module.
        job: what to build.
        tell: told the share done and what is done; from any thread.
        log: told what TensorRT warns of.

    Returns:
        What is to be known of it: TensorRT's version, bytes of plan and of device memory, profiles.

    Raises:
        BackendError: TensorRT cannot read the graph, or cannot build it.
    """
    logger = _logger(trt, log)
    builder = _made(trt.Builder(logger), "a builder", logger)
    network = builder.create_network(_flags(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED"))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse_from_file(job.graph):
        raise BackendError(_not_read(trt, parser, job.graph))
    config = builder.create_builder_config()
    _clear(config, trt.BuilderFlag, "TF32")  # float32 graphs are exported to be exact
    if job.workspace_bytes:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, job.workspace_bytes)
    if job.level is not None:
        config.builder_optimization_level = job.level
    for number, ranges in enumerate(job.profiles):
        if config.add_optimization_profile(_profile(builder, network, ranges)) != number:
            raise BackendError(f"TensorRT {trt.__version__} refuses the sizes {dict(ranges)}: {logger.last()}")
    # Kept in variables until the build is done: the builder holds neither.
    cache = _timing_cache(config, Path(job.timing_cache)) if job.timing_cache else None
    monitor = _monitor(trt, lambda share: tell(_READING + (_WRITING - _READING) * share, "Building the engine"))
    config.progress_monitor = monitor
    tell(_READING, "Building the engine")
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise BackendError(_not_built(trt, logger))
    tell(_WRITING, "Writing the engine")
    with Path(job.plan).open("wb") as file:
        file.write(plan)
    if cache is not None:
        _keep_timing(cache, Path(job.timing_cache))
    return {"tensorrt": str(trt.__version__), "bytes": int(plan.nbytes), "profiles": len(job.profiles)}


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorFacts:
    """An input or output of an engine.

    Args:
        is_input: or output.
        dtype: torch's name.
        shape: -1 where it differs from call to call.
    """

    is_input: bool
    dtype: str
    shape: tuple[int, ...]


class Engine:
    """A plan that is loaded, with its weights on the GPU.

    Args:
        trt: the module.
        plan: its file.

    Raises:
        BackendError: it is of another TensorRT or GPU, or damaged.
    """

    def __init__(self, trt: Any, plan: Path) -> None:
        self._trt, self.plan = trt, plan
        self._logger = _logger(trt, lambda _text: None)
        self._runtime = _made(trt.Runtime(self._logger), "a runtime", self._logger)
        try:
            engine = self._deserialized()
        except OSError as error:
            raise BackendError(
                f"{plan}: cannot be read ({error}); `n3d engine list` shows what is there.", reason="engine"
            ) from error
        if engine is None:
            built_with = plan_version(plan)
            raise BackendError(
                f"{plan}: TensorRT {trt.__version__} cannot load this engine"
                f"{f', which {built_with} built' if built_with else ''}: {self._logger.last()} Build it again: `n3d "
                "engine build`.",
                reason="engine",
            )
        self._engine = engine
        names = [engine.get_tensor_name(number) for number in range(engine.num_io_tensors)]
        self.tensors: Mapping[str, TensorFacts] = {name: self._facts(name) for name in names}
        self.profiles = int(engine.num_optimization_profiles)
        self.memory_bytes = int(engine.device_memory_size_v2)

    def _deserialized(self) -> Any:
        with self.plan.open("rb") as file:
            if numbers(str(self._trt.__version__)) < (10, 8):
                return self._runtime.deserialize_cuda_engine(file.read())  # which reads other buffers unlocked
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped, memoryview(mapped) as view:
                return self._runtime.deserialize_cuda_engine(view)

    def _facts(self, name: str) -> TensorFacts:
        dtype = self._engine.get_tensor_dtype(name).name
        if dtype not in DTYPES:
            raise BackendError(f"{self.plan.name}: {name} is {dtype}, expected one of {', '.join(DTYPES)}.")
        return TensorFacts(
            is_input=self._engine.get_tensor_mode(name) == self._trt.TensorIOMode.INPUT,
            dtype=DTYPES[dtype],
            shape=tuple(self._engine.get_tensor_shape(name)),
        )

    def ranges(self, name: str, profile: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Least and largest shape of an input.

        Args:
            name: of it.
            profile: its number.

        Returns:
            Two shapes.
        """
        least, _, most = self._engine.get_tensor_profile_shape(name, profile)
        return tuple(least), tuple(most)

    def context(self, profile: int, stream: int, memory: int) -> Context:
        """What runs the engine with the sizes of a profile.

        Args:
            profile: its number.
            stream: handle of the stream on which it will run.
            memory: address of ``memory_bytes`` on the device, which no other context uses at the same time.

        Returns:
            The context.

        Raises:
            BackendError: no such profile, or too little memory.
        """
        if not 0 <= profile < max(self.profiles, 1):
            raise BackendError(f"{self.plan.name}: expected a profile below {self.profiles}, got {profile}.")
        strategy = self._trt.ExecutionContextAllocationStrategy.USER_MANAGED
        context = _made(self._engine.create_execution_context(strategy), "a context", self._logger)
        context.set_device_memory(memory, self.memory_bytes)
        if profile and not context.set_optimization_profile_async(profile, stream):
            raise BackendError(f"{self.plan.name}: profile {profile} is refused: {self._logger.last()}")
        return Context(self, context, profile, self._logger)


class Context:
    """Runs an engine: sizes and addresses are set, then it is queued as often as wanted.

    Args:
        engine: which it belongs to.
        context: of TensorRT.
        profile: its number.
        logger: which keeps TensorRT's errors.
    """

    def __init__(self, engine: Engine, context: Any, profile: int, logger: Any) -> None:
        self._engine, self._context, self._profile, self._logger = engine, context, profile, logger
        self._shapes: dict[str, tuple[int, ...]] = {}

    def bind(self, shapes: Mapping[str, tuple[int, ...]], addresses: Mapping[str, int]) -> None:
        """Sets what the next runs read and write.

        Args:
            shapes: of every input.
            addresses: of every input and output, multiples of ``ALIGNMENT``.

        Raises:
            BackendError: a tensor is missing, a shape is outside of the profile, or an address is not aligned.
        """
        name_of_file = self._engine.plan.name
        for name, facts in self._engine.tensors.items():
            if name not in addresses or (facts.is_input and name not in shapes):
                raise BackendError(f"{name_of_file}: expected the tensor {name} too.")
            if addresses[name] % ALIGNMENT or not addresses[name]:
                raise BackendError(
                    f"{name_of_file}: {name}: expected an address that is a multiple of {ALIGNMENT}, got "
                    f"{addresses[name]:#x}."
                )
            if facts.is_input and self._shapes.get(name) != shapes[name]:
                self._set_shape(name, facts, shapes[name])
        for name in self._engine.tensors:
            if not self._context.set_tensor_address(name, addresses[name]):
                raise BackendError(f"{name_of_file}: {name}: its address is refused: {self._logger.last()}")

    def _set_shape(self, name: str, facts: TensorFacts, shape: tuple[int, ...]) -> None:
        """One input's shape, when the profile has it."""
        least = most = facts.shape
        if -1 in facts.shape:
            least, most = self._engine.ranges(name, self._profile)
        is_inside = len(shape) == len(least) and all(a <= b <= c for a, b, c in zip(least, shape, most, strict=True))
        if not is_inside or not self._context.set_input_shape(name, shape):
            raise BackendError(
                f"{self._engine.plan.name}: {name}: the engine is built for {least} to {most}, got {shape}; build it "
                "for these sizes (`n3d engine build`)."
            )
        self._shapes[name] = shape

    def queue(self, stream: int) -> None:
        """Runs once, when what was queued before on the stream is done.

        Args:
            stream: handle of a stream that is not the default one.

        Raises:
            BackendError: TensorRT refuses.
        """
        if not self._context.execute_async_v3(stream):
            raise BackendError(f"{self._engine.plan.name}: TensorRT failed: {self._logger.last()}")


def _logger(trt: Any, log: Callable[[str], None]) -> Any:
    """A logger that passes warnings on and keeps errors for messages."""

    class Log(trt.ILogger):  # type: ignore[misc]  # the module is not there to be looked at
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: deque[str] = deque(maxlen=_KEPT_ERRORS)

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.INTERNAL_ERROR, trt.ILogger.ERROR):
                self.errors.append(message)
            if severity in (trt.ILogger.INTERNAL_ERROR, trt.ILogger.ERROR, trt.ILogger.WARNING):
                log(message)

        def last(self) -> str:
            """TensorRT's own words."""
            return " ".join(" ".join(self.errors).split())[:500] or "it gave no reason."

    return Log()


def _made(made: Any, what: str, logger: Any) -> Any:
    """What TensorRT made, where it made something."""
    if made is None:
        raise BackendError(f"TensorRT cannot make {what}: {logger.last()}")
    return made


def _flags(kind: Any, *names: str) -> int:
    """Flags of those that this version has."""
    return sum(1 << int(getattr(kind, name)) for name in names if hasattr(kind, name))


def _clear(config: Any, kind: Any, name: str) -> None:
    """Switches a flag off, where this version has it."""
    if hasattr(kind, name):
        config.clear_flag(getattr(kind, name))


def _profile(builder: Any, network: Any, ranges: Mapping[str, tuple[int, int, int]]) -> Any:
    """An optimisation profile of the sizes of named dimensions."""
    profile = builder.create_optimization_profile()
    for number in range(network.num_inputs):
        tensor = network.get_input(number)
        named = [tensor.get_dimension_name(axis) if size < 0 else "" for axis, size in enumerate(tensor.shape)]
        if not any(named):
            continue
        if absent := [name for name in named if name and name not in ranges]:
            raise BackendError(f"Profile: {tensor.name}: expected sizes of {', '.join(absent)} too.")
        least, usual, most = (
            tuple(ranges[name][end] if name else int(size) for name, size in zip(named, tensor.shape, strict=True))
            for end in range(3)
        )
        profile.set_shape(tensor.name, least, usual, most)
    return profile


def _timing_cache(config: Any, file: Path) -> Any:
    """The timing cache of a file in a configuration; a new one where it cannot be used."""
    known = file.read_bytes() if file.is_file() else b""
    cache = config.create_timing_cache(known)
    if cache is None or not config.set_timing_cache(cache, ignore_mismatch=False):
        cache = config.create_timing_cache(b"")
        config.set_timing_cache(cache, ignore_mismatch=False)
    return cache


def _keep_timing(cache: Any, file: Path) -> None:
    """Writes a timing cache whole."""
    part = file.with_name(f"{file.name}.part")
    with part.open("wb") as opened:
        opened.write(cache.serialize())
    part.replace(file)


def _monitor(trt: Any, tell: Callable[[float], None]) -> Any:
    """A progress monitor: phases are nested, and each says how many steps it has."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self._lock = threading.Lock()  # TensorRT calls from several threads
            self._phases: dict[str, list[Any]] = {}  # parent, steps, done

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            with self._lock:
                self._phases[phase_name] = [parent_phase, max(num_steps, 1), 0]

        def step_complete(self, phase_name: str, step: int) -> bool:
            with self._lock:
                if phase_name in self._phases:
                    self._phases[phase_name][2] = step + 1
                share = max((self._share(name) for name, of in self._phases.items() if of[0] is None), default=0.0)
            tell(share)
            return True  # the parent ends a build by ending the process

        def phase_finish(self, phase_name: str) -> None:
            with self._lock:
                self._phases.pop(phase_name, None)

        def _share(self, name: str) -> float:
            _, steps, done = self._phases[name]
            inner = max((self._share(child) for child, of in self._phases.items() if of[0] == name), default=0.0)
            return float(min((done + inner) / steps, 1.0))

    return Monitor()


def _not_read(trt: Any, parser: Any, graph: str) -> str:
    """What the parser says of a graph that it cannot read."""
    errors = [parser.get_error(number) for number in range(min(parser.num_errors, 3))]
    words = "; ".join(f"{error.desc()} (operator {error.node_operator() or '?'})" for error in errors)
    return (
        f"TensorRT {trt.__version__} cannot read {Path(graph).name}: {words or 'it gave no reason'}. Export for this "
        "version (`n3d export --tensorrt`)."
    )


def _not_built(trt: Any, logger: Any) -> str:
    """Why an engine was not built, with what helps where that is known."""
    text = logger.last()
    if "is not supported by this TensorRT release" in text:
        text += (
            " This build of TensorRT has no code for this GPU: in a container take the TensorRT of the JetPack below "
            "it (Isaac ROS 4.5 brings 10.13.3, which has none for Orin)."
        )
    if "memory" in text.lower():
        text += " Close other programs, lower --workspace-gb, or export in a smaller dtype."
    return f"TensorRT {trt.__version__} cannot build this engine: {text}"
