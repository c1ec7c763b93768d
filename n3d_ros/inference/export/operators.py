"""Which operators TensorRT's ONNX parser has, and since when: a graph that needs a newer one is refused at export.

Sources: operators.md of onnx-tensorrt 10.1 for what there has been since 10.0, and the release notes of TensorRT 10.14,
10.15 and 11.0 for what came later. None of these parsers was run here.

Weights in codes: the parser of 10.1 lists ``DequantizeLinear`` of int8, fp8 and int4, takes the size of int4's blocks
from the shape of the scales, wants symmetric codes and an even last axis, and asks no operator set of it. Its list ends
at set 20 all the same, and int4 needs 21: no TensorRT has read such a graph of ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

import onnx_ir as ir

from n3d_ros.errors import BackendError, ConfigurationError

Version = tuple[int, int]

OLDEST: Version = (10, 3)  # of JetPack 6.2
CHECKED: tuple[Version, ...] = ((10, 3), (10, 13), (10, 16), (11, 4))
"""JetPack 6.2, JetPack 7.0 and Isaac ROS 4.5, JetPack 7.2, and the newest for servers and desktops."""

_NAMES = """
    Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh AveragePool BatchNormalization Cast CastLike Ceil
    Clip Concat Constant ConstantOfShape Conv ConvTranspose Cos Cosh CumSum DepthToSpace DequantizeLinear Div
    Einsum Elu Equal Erf Exp Expand EyeLike Flatten Floor Gather GatherElements GatherND Gelu Gemm
    GlobalAveragePool Greater GreaterOrEqual HardSigmoid Identity If InstanceNormalization IsInf IsNaN
    LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax Loop MatMul Max MaxPool Mean Min Mod Mul Neg
    Not OneHot Or Pad Pow QuantizeLinear Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum
    ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize Round
    ScatterElements ScatterND Shape Sigmoid Sign Sin Sinh Size Slice Softmax Softplus SpaceToDepth Split Sqrt
    Squeeze Sub Sum Tan Tanh Tile TopK Transpose Trilu Unsqueeze Where Xor
"""
SINCE_10: frozenset[str] = frozenset(_NAMES.split())

SINCE: Mapping[str, Version] = MappingProxyType(
    {
        "Attention": (10, 14),
        "RotaryEmbedding": (10, 15),
        "RMSNormalization": (10, 15),
        "TensorScatter": (10, 15),
        "Swish": (11, 0),
    }
)
"""Standard operators that came later, and the first version that reads them."""

UNFIT: Mapping[str, str] = MappingProxyType(
    {"ReduceLogSumExp": "no version: they take no maximum out first and overflow above 88; write it in steps"}
)
"""Standard operators that are read, and computed in a way that networks here cannot use."""


CODES_SINCE: Mapping[str, Version] = MappingProxyType(
    {"INT8": (10, 0), "FLOAT8E4M3FN": (10, 0), "INT4": (10, 0), "FLOAT4E2M1": (10, 8)}
)
"""Types of codes that ``DequantizeLinear`` reads, and the first version that does."""


def parse_version(text: str) -> Version:
    """The first two numbers of a version.

    Args:
        text: such as "10.3" or "10.16.2.10".

    Returns:
        Such as (10, 3).

    Raises:
        ConfigurationError: no version, or one that was never supported.
    """
    found = re.match(r"(\d{1,3})\.(\d{1,3})(?:\.|$)", text)
    if found is None:
        raise ConfigurationError(f"TensorRT version: expected two numbers such as 10.3, got {text!r}.")
    version = int(found[1]), int(found[2])
    if version < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise ConfigurationError(
            f"TensorRT {text}: expected {oldest} (JetPack 6.2) or newer; update JetPack or TensorRT."
        )
    return version


def check_operators(nodes: Iterable[ir.Node], tensorrt: str) -> None:
    """Refuses a graph that a version of TensorRT cannot read.

    Args:
        nodes: of the graph.
        tensorrt: the version, such as "10.3".

    Raises:
        BackendError: naming the operators, and the first version that has them where there is one.
        ConfigurationError: no version that is supported.
    """
    version = parse_version(tensorrt)
    missing: dict[str, str] = {}
    for node in nodes:
        name, since = _needs(node)
        if since is None or since > version:
            newer = "no version that is known" if since is None else f"TensorRT {since[0]}.{since[1]} or newer"
            missing[name] = UNFIT.get(name, newer)
    if missing:
        raise BackendError(
            f"The graph cannot be read by TensorRT {tensorrt}: "
            + "; ".join(f"{name} needs {wanted}" for name, wanted in sorted(missing.items()))
            + ". Export for a newer TensorRT, or in another form."
        )


def _needs(node: ir.Node) -> tuple[str, Version | None]:
    """A node's operator, with the type of its codes where it reads some, and the first version that has it."""
    name = node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}::{node.op_type}"
    codes = node.inputs[0] if name == "DequantizeLinear" else None
    if codes is not None and codes.dtype is not None:
        return f"{name} of {codes.dtype.name}", CODES_SINCE.get(codes.dtype.name)
    return name, (10, 0) if name in SINCE_10 else SINCE.get(name)
