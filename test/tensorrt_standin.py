"""The stand-in of the module tensorrt (test/standins), loaded as a version of it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

FOLDER = Path(__file__).parent / "standins"
OLDEST, NEWEST = "10.3.0.26", "11.1.0.106"
RANGES = {"rows": (1, 4, 8)}
"""Of the graph that ``write_graph`` writes."""


def load_standin(monkeypatch: pytest.MonkeyPatch, version: str = OLDEST, mode: str = "") -> Any:
    """The stand-in, here and in child processes, in place of a module that may be installed.

    Args:
        monkeypatch: undoes it.
        version: which it pretends to be.
        mode: how it fails; see its own text.
    """
    monkeypatch.setenv("TENSORRT_STANDIN_VERSION", version)
    monkeypatch.setenv("TENSORRT_STANDIN", mode)
    monkeypatch.syspath_prepend(str(FOLDER))
    spec = importlib.util.spec_from_file_location("tensorrt", FOLDER / "tensorrt" / "__init__.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setitem(sys.modules, "tensorrt", module)
    return module


def write_graph(file: Path, operator: str = "MatMul") -> Path:
    """A graph of one operator: y (rows, 3) of x (rows, 2) and a constant.

    Args:
        file: to write.
        operator: which.

    Returns:
        The file.
    """
    import onnx

    helper = onnx.helper
    x = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["rows", 2])
    y = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["rows", 3])
    weight = onnx.numpy_helper.from_array(np.arange(6, dtype=np.float32).reshape(2, 3), "w")
    graph = helper.make_graph([helper.make_node(operator, ["x", "w"], ["y"])], "g", [x], [y], [weight])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), file)
    return file
