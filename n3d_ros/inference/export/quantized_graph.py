"""Rounded weights in a graph: their codes as constants, and ``DequantizeLinear`` before the product that reads them.

Standard operators only, each with the type that its operator set gives it. The codes lie with inputs first, (K, N),
as ModelOpt writes them for TensorRT, and are read by ``Gemm``: ONNX Runtime (1.29 and 1.31 were looked at) replaces
that by a product that reads the codes themselves. With outputs first it does not, nor with ``MatMul`` before the sum of
a residual, which it joins to the product; then all weights are made anew in each step.
"""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir
from torch import Tensor

from n3d_ros.errors import BackendError
from n3d_ros.inference.export.lowering import OPSET
from n3d_ros.inference.export.quantizing import QuantizedWeight

TYPES: Mapping[str, ir.DataType] = {
    "int8": ir.DataType.INT8,
    "int4": ir.DataType.INT4,
    "fp8": ir.DataType.FLOAT8E4M3FN,
}


def opset_for(weights: Mapping[str, QuantizedWeight]) -> int:
    """The operator set that a graph with such weights needs.

    Args:
        weights: by name; empty: none are rounded.

    Returns:
        17; 19 for fp8 and for scales in half precision; 21 for int4 in blocks.
    """
    needs = [OPSET]
    for weight in weights.values():
        is_wide = str(weight.scale.dtype) == "torch.float32"
        needs.append({"int8": OPSET if is_wide else 19, "fp8": 19}.get(weight.kind, 21))
    return max(needs)


def put_codes(graph: ir.Graph, weights: Mapping[str, QuantizedWeight]) -> None:
    """Puts codes in the place of weights.

    Args:
        graph: changed in place.
        weights: by the name of the constant that they replace, (N, K) each.

    Raises:
        BackendError: a weight that is not in the graph, or is read by something else than one product.
    """
    for name, weight in weights.items():
        value = graph.initializers.get(name)
        readers = [] if value is None else [(node, index) for node, index in value.uses()]
        if len(readers) != 1:
            raise BackendError(
                f"Export: expected one product with the weight {name} to quantise, found {len(readers)}."
            )
        node, index = readers[0]
        codes = _codes(graph, name, weight)
        if node.op_type == "Transpose":
            _replace(graph, node, [codes])
        elif node.op_type == "Gemm" and index == 1 and _attributes(node) == TURNED:
            product = ir.node("Gemm", [node.inputs[0], codes.outputs[0], *node.inputs[2:]], name=node.name)
            _replace(graph, node, [codes, product])
        else:
            raise BackendError(f"Export: expected a product with {name}, got {node.op_type} (node {node.name}).")
        del graph.initializers[name]


TURNED: Mapping[str, object] = {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 1}
"""Attributes of ``Gemm`` as torch writes x W^T + b."""


def _attributes(node: ir.Node) -> dict[str, object]:
    return {name: attribute.value for name, attribute in node.attributes.items()}


def _replace(graph: ir.Graph, node: ir.Node, others: list[ir.Node]) -> None:
    """Puts nodes in the place of one, whose result the last of them gives."""
    values = (node.outputs, others[-1].outputs)
    ir.convenience.replace_nodes_and_values(graph, node, [node], others, *values)


def _codes(graph: ir.Graph, name: str, weight: QuantizedWeight) -> ir.Node:
    """What makes (K, N) numbers of codes."""
    in_blocks = weight.kind == "int4"
    codes = _constant(graph, f"{name}.codes", weight.codes, TYPES[weight.kind])
    scale = _constant(graph, f"{name}.scale", weight.scale if in_blocks else weight.scale[:, 0])
    attributes = {"axis": 0, "block_size": weight.block} if in_blocks else {"axis": 1}
    return ir.node("DequantizeLinear", [codes, scale], attributes, name=f"{name}/DequantizeLinear")


def _constant(graph: ir.Graph, name: str, numbers: Tensor, kind: ir.DataType | None = None) -> ir.Value:
    """A constant of the transposed numbers; ``kind`` is given for codes."""
    words = {"torch.float32": ir.DataType.FLOAT, "torch.float16": ir.DataType.FLOAT16}
    kind = kind or words.get(str(numbers.dtype), ir.DataType.BFLOAT16)
    array = numbers.t().contiguous().float().numpy().astype(kind.numpy())  # exact: float32 holds all of these
    value = ir.val(name, dtype=kind, shape=array.shape, const_value=ir.tensor(array, dtype=kind, name=name))
    graph.register_initializer(value)
    return value
