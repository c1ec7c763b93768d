"""Operator set 18 in the words of 17: the same numbers, or a refusal."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

ir = pytest.importorskip("onnx_ir", reason="the extra [model] is not installed")
onnx = pytest.importorskip("onnx", reason="the extra [model] is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="the extra [model] is not installed")

from n3d_ros.errors import BackendError  # noqa: E402
from n3d_ros.inference.export.lowering import OPSET, lower  # noqa: E402

SHAPE = (2, 3, 4, 6)
X = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)


def model_of(operator: str, *constants: Any, outputs: int = 1, **attributes: Any) -> onnx.ModelProto:
    """A graph of one node over x, with further constant inputs."""
    names = [f"c{index}" for index in range(len(constants))]
    helper = onnx.helper
    made = helper.make_node(operator, ["x", *names], [f"y{index}" for index in range(outputs)], "only", **attributes)
    made.doc_string = "written in a secret place"
    graph = helper.make_graph(
        [made],
        "g",
        [helper.make_tensor_value_info("x", 1, SHAPE)],
        [helper.make_tensor_value_info(f"y{index}", 1, None) for index in range(outputs)],
        [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in zip(names, constants, strict=True)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return onnx.shape_inference.infer_shapes(model)


def computed(model: onnx.ModelProto) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return list(session.run(None, {"x": X}))


def lowered(model: onnx.ModelProto) -> onnx.ModelProto:
    as_ir = ir.serde.deserialize_model(model)
    lower(as_ir)
    return ir.serde.serialize_model(as_ir)


@pytest.mark.parametrize(
    "model",
    [
        model_of("ReduceMean", np.array([-1]), keepdims=1),
        model_of("ReduceMax", np.array([1, 2]), keepdims=0),
        model_of("ReduceLogSumExp", np.array([3]), keepdims=0, noop_with_empty_axes=0),
        model_of("Split", outputs=3, axis=1, num_outputs=3),
        model_of("Split", np.array([1, 2]), outputs=2, axis=1),
        model_of(
            "Resize",
            np.zeros(0, np.float32),
            np.zeros(0, np.float32),
            np.array([2, 3, 8, 9]),
            mode="linear",
            coordinate_transformation_mode="align_corners",
            antialias=0,
        ),
    ],
    ids=["mean", "max", "log-sum-exp", "split in equal parts", "split as told", "resize"],
)
def test_a_lowered_graph_is_of_set_17_and_gives_the_same_numbers(model: onnx.ModelProto) -> None:
    low = lowered(model)
    assert [(entry.domain, entry.version) for entry in low.opset_import] == [("", OPSET)]
    onnx.checker.check_model(low, full_check=True)
    for found, expected in zip(computed(low), computed(model), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("model", "named"),
    [
        (model_of("Resize", np.zeros(0, np.float32), np.zeros(0, np.float32), np.array([2, 3, 2, 3]), mode="linear",
                  antialias=1), "Resize with antialias"),
        (model_of("Split", outputs=2, axis=1, num_outputs=2), "cannot split 3 into 2"),
        (model_of("Mish"), "Mish"),
    ],
)  # fmt: skip
def test_what_17_does_not_have_is_refused_by_name(model: onnx.ModelProto, named: str) -> None:
    with pytest.raises(BackendError, match=named):
        lowered(model)


def test_computed_axes_are_refused() -> None:
    model = model_of("ReduceMean", np.array([-1]))
    del model.graph.initializer[:]
    model.graph.input.append(onnx.helper.make_tensor_value_info("c0", 7, [1]))
    with pytest.raises(BackendError, match="expected constant axes"):
        lowered(model)


def test_nothing_is_left_of_where_it_was_made() -> None:
    assert b"secret" not in lowered(model_of("Relu")).SerializeToString()
