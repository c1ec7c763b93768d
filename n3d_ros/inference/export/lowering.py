"""From what torch traces to a graph that every TensorRT since 10.3 reads: operator set 17, tidy names, nothing else.

Graphs with quantised weights stay in a later set, since their codes have no type in 17: what torch writes in 18 means
the same in 19 and 21.

torch writes operator set 18. What a network here uses of it differs from 17 in two respects only: reductions take
their axes as an input, and ``Split`` knows a number of parts. Both are written back, and anything else that 17 does not
have is refused by name rather than hoped for.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Mapping

import onnx_ir as ir

from n3d_ros.errors import BackendError

OPSET = 17
IR_VERSIONS: Mapping[int, int] = {OPSET: 8, 19: 9, 21: 10}
"""Operator sets that are written, and the file format that came with each (onnx 1.12, 1.14, 1.16)."""

REDUCTIONS = frozenset({"ReduceMean", "ReduceMax", "ReduceMin", "ReduceL2", "ReduceLogSumExp", "ReduceProd"})
NEW_IN_18: Mapping[str, Mapping[str, object]] = {
    "Resize": {"antialias": 0, "keep_aspect_ratio_policy": "stretch", "axes": None},
    "Split": {"num_outputs": None},
    "ScatterND": {"reduction": "none"},
    "ScatterElements": {"reduction": "none"},
}
"""Attributes that 18 gave some operators, and the value that changes nothing (None: every value does)."""

LATER = frozenset({"BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor", "Col2Im", "GroupNormalization", "Mish"})
"""Operators that came with 18."""

_SCOPES = "pkg.torch.onnx.name_scopes"


def lower(model: ir.Model, opset: int = OPSET) -> None:
    """Writes a model of operator set 18 in the words of 17, or of a later set.

    Its nodes are named by the modules they come from; what tracing left behind, such as paths of source files, is gone.

    Args:
        model: changed in place.
        opset: one of ``IR_VERSIONS``.

    Raises:
        BackendError: an operator, or a use of one, that the set does not have.
    """
    if model.functions:
        raise BackendError(f"Export: expected a graph without functions, got {sorted(map(str, model.functions))}.")
    if opset == OPSET:
        for node in model.graph:
            _lower_node(node)
    _name_nodes(model.graph)
    _forget_origins(model)
    model.graph.opset_imports.clear()
    model.graph.opset_imports[""] = opset
    model.ir_version = IR_VERSIONS[opset]


def _lower_node(node: ir.Node) -> None:
    """One node in the words of 17."""
    if node.domain not in ("", "ai.onnx") or node.op_type in LATER:
        name = f"{node.domain or 'ai.onnx'}::{node.op_type}"
        raise BackendError(f"Export: operator set {OPSET} has no {name} (node {node.name}).")
    if node.op_type in REDUCTIONS and len(node.inputs) > 1:
        axes = _constant(node, 1)
        node.attributes["axes"] = ir.AttrInt64s("axes", axes)
        node.attributes.pop("noop_with_empty_axes", None)
        node.resize_inputs(1)
    if node.op_type == "Split" and "num_outputs" in node.attributes:
        _split_evenly(node)
    for name, harmless in NEW_IN_18.get(node.op_type, {}).items():
        given = node.attributes.pop(name, None)
        if given is not None and (harmless is None or given.value != harmless):
            raise BackendError(
                f"Export: operator set {OPSET} has no {node.op_type} with {name} of {given.value!r} (node {node.name})."
            )


def _split_evenly(node: ir.Node) -> None:
    """Leaves the number of parts to the number of outputs, as 17 does, which splits evenly."""
    parts, given = node.attributes["num_outputs"].as_int(), node.inputs[0]
    axis = node.attributes["axis"].as_int() if "axis" in node.attributes else 0
    size = None if given is None or given.shape is None else given.shape[axis]
    if not isinstance(size, int) or size % parts:
        raise BackendError(f"Export: cannot split {size} into {parts} equal parts (node {node.name}).")
    del node.attributes["num_outputs"]


def _constant(node: ir.Node, index: int) -> list[int]:
    """The numbers of an input that is a constant."""
    value = node.inputs[index]
    known = None if value is None else ir.convenience.get_const_tensor(value)
    if known is None:
        raise BackendError(f"Export: expected constant axes for {node.op_type} (node {node.name}), they are computed.")
    return [int(number) for number in known.numpy().reshape(-1)]


def _name_nodes(graph: ir.Graph) -> None:
    """Names such as layers.3.norm1/Mul_1: where a profile says that time goes."""
    seen: Counter[str] = Counter()
    for node in graph:
        scopes = ast.literal_eval(node.metadata_props.get(_SCOPES, "[]"))
        module = scopes[-2] if len(scopes) > 1 else ""
        name = f"{module if module[:1].isalpha() else 'top'}/{node.op_type}"
        node.name = f"{name}_{seen[name]}" if seen[name] else name
        seen[name] += 1


def _forget_origins(model: ir.Model) -> None:
    """Drops traces and texts of whoever wrote the graph; what is left depends on the network alone."""
    graph = model.graph
    model.metadata_props.clear()
    graph.metadata_props.clear()
    model.producer_name, model.producer_version, model.doc_string, graph.doc_string = "n3d_ros", None, None, None
    graph.name = "n3d"
    values = [*graph.inputs, *graph.initializers.values(), *(value for node in graph for value in node.outputs)]
    for entry in (*graph, *values):
        entry.metadata_props.clear()
        entry.doc_string = None
