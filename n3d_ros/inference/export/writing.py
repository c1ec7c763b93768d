"""A traced network as a file: torch's exporter, lowered, checked against what TensorRT reads, weights beside it."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx
import onnx_ir as ir
import torch

from n3d_ros.errors import BackendError
from n3d_ros.inference.export.lowering import lower
from n3d_ros.inference.export.operators import check_operators
from n3d_ros.inference.export.quantized_graph import opset_for, put_codes
from n3d_ros.inference.export.tracing import Tracing

TRACED_OPSET = 18  # the oldest that torch writes
SMALLEST_EXTERNAL = 256  # bytes; smaller tensors, such as shapes, stay in the graph's own file


def write_graph(tracing: Tracing, file: Path, *, tensorrt: str, weights_of: Path | None = None) -> Path:
    """Traces a network and writes it, weights in a file of their own.

    Args:
        tracing: what to trace.
        file: to write, ending in .onnx; the weights go beside it, ending in .data.
        tensorrt: oldest version that shall read it, such as "10.3".
        weights_of: graph in the same folder that has the same weights, which are not written again.

    Returns:
        The file of the weights.

    Raises:
        BackendError: torch cannot trace it, or it needs an operator that this TensorRT does not have.
    """
    model = traced(tracing)
    lower(model, opset_for(tracing.quantized))
    put_codes(model.graph, tracing.quantized)
    check_operators(model.graph, tensorrt)
    data = (weights_of or file).with_suffix(".data")
    if weights_of is None:
        ir.save(model, file, external_data=data.name, size_threshold_bytes=SMALLEST_EXTERNAL)
    else:
        _take_weights(model, weights_of)
        ir.save(model, file)
    if not data.exists():  # everything was small
        data.touch()
    try:
        onnx.checker.check_model(str(file), full_check=True)
    except Exception as error:  # of several kinds without a common one
        raise BackendError(f"Export: {file.name} is no valid graph: {' '.join(str(error).split())[:400]}") from error
    return data


def _take_weights(model: ir.Model, other: Path) -> None:
    """Lets a graph read its weights where those of another graph lie, as far as they are the same."""
    stored = {
        name: value.const_value
        for name, value in ir.load(other).graph.initializers.items()
        if isinstance(value.const_value, ir.ExternalTensor)
    }
    for name, value in model.graph.initializers.items():
        own, found = value.const_value, stored.get(name)
        if own is None or found is None or own.shape != found.shape or own.dtype != found.dtype:
            continue
        if own.tobytes() == found.tobytes():
            value.const_value = found


def traced(tracing: Tracing) -> ir.Model:
    """A network as torch writes it.

    Args:
        tracing: what to trace.

    Returns:
        The model, in operator set 18.

    Raises:
        BackendError: torch cannot trace it.
    """
    try:
        with torch.no_grad(), _quiet():
            program = torch.onnx.export(
                tracing.module,
                tracing.arguments(),
                dynamo=True,
                opset_version=TRACED_OPSET,
                input_names=[*tracing.inputs, *tracing.listed],
                output_names=list(tracing.outputs),
                dynamic_shapes=tracing.dynamic_shapes() if tracing.named else None,
                verbose=False,
            )
    except Exception as error:  # of many kinds, each with pages of text
        reason = " ".join(str(error.__cause__ or error).split())[:400]
        raise BackendError(f"Export: torch {torch.__version__} cannot write this network as ONNX: {reason}") from error
    assert program is not None
    model: ir.Model = program.model
    return model


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's remarks about packages that are not needed here."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
