"""The decoder's weights in few bits: how they are rounded, and what stands in the graph."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra [model] is not installed")
pytest.importorskip("transformers", reason="the extra [model] is not installed")
ir = pytest.importorskip("onnx_ir", reason="the extra [model] is not installed")
onnx = pytest.importorskip("onnx", reason="the extra [model] is not installed")
pytest.importorskip("onnxscript", reason="the extra [model] is not installed")

from n3d_ros.errors import BackendError  # noqa: E402
from n3d_ros.inference.export.folders import write_checked  # noqa: E402
from n3d_ros.inference.export.operators import CHECKED, check_operators, parse_version  # noqa: E402
from n3d_ros.inference.export.quantized_graph import opset_for, put_codes  # noqa: E402
from n3d_ros.inference.export.quantizing import (  # noqa: E402
    LARGEST_CODE,
    block_size,
    projections,
    quantize,
    quantize_decoder,
)
from n3d_ros.inference.export.tracing import trace_of_decoder  # noqa: E402
from n3d_ros.model.decoder_graph import DecoderGraph  # noqa: E402
from tiny_vlm import tiny_model  # noqa: E402

pytestmark = pytest.mark.timeout(300)

KINDS: tuple[Any, ...] = ("int8", "int4", "fp8")
DTYPES = (torch.float32, torch.float16, torch.bfloat16)
HALF_UNITS = {torch.float32: 2**-24, torch.float16: 2**-11, torch.bfloat16: 2**-8}  # of rounding the product


def weight_of(rows: int = 24, width: int = 256, dtype: Any = torch.float32) -> Any:
    return torch.randn(rows, width, generator=torch.Generator().manual_seed(3)).to(dtype)


def decoder_of(**text: Any) -> DecoderGraph:
    """Two layers with heads of 128 channels, as released models have them."""
    shape = {"hidden_size": 256, "num_attention_heads": 2, "num_key_value_heads": 1, "intermediate_size": 384}
    model = tiny_model(text=shape | text)
    return DecoderGraph(model.model.language_model, model.lm_head)


# ------------------------------------------------------------------------------------------------------- rounding


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["int8", "int4"])
def test_no_weight_is_further_from_its_code_than_half_a_step(kind: Any, dtype: Any) -> None:
    weight = weight_of(dtype=dtype)
    made = quantize(weight, kind)
    steps = made.scale.float().repeat_interleave(made.block, dim=1)
    off = (made.dequantized().float() - weight.float()).abs()
    assert bool((off <= 0.5001 * steps + HALF_UNITS[dtype] * weight.float().abs()).all())


@pytest.mark.parametrize("kind", KINDS)
def test_rounding_is_symmetric_and_keeps_zero_and_the_largest(kind: Any) -> None:
    weight = weight_of()
    weight[3, 5], weight[7] = 0.0, 0.0
    made, turned = quantize(weight, kind), quantize(-weight, kind)
    torch.testing.assert_close(made.dequantized(), -turned.dequantized(), rtol=0, atol=0)
    assert made.dequantized()[3, 5] == 0 and not bool(made.dequantized()[7].any())
    assert bool((made.scale > 0).all())
    assert made.codes.float().abs().max() == LARGEST_CODE[kind]
    torch.testing.assert_close(made.dequantized().abs().amax(), weight.abs().amax())


@pytest.mark.parametrize("kind", KINDS)
def test_rounding_twice_is_rounding_once(kind: Any) -> None:
    once = quantize(weight_of(), kind)
    twice = quantize(once.dequantized(), kind)
    assert torch.equal(once.codes.float(), twice.codes.float())


def test_a_scale_is_shared_by_a_row_or_by_a_block() -> None:
    assert quantize(weight_of(), "int8").scale.shape == quantize(weight_of(), "fp8").scale.shape == (24, 1)
    assert quantize(weight_of(), "int4").scale.shape == (24, 2)
    assert [block_size(width) for width in (2048, 11008, 18944, 160, 48)] == [128, 128, 128, 32, 16]
    with pytest.raises(BackendError, match="multiple of 16, got 24; export with --weights int8"):
        block_size(24)


def test_weights_that_are_no_numbers_are_refused() -> None:
    weight = weight_of()
    weight[0, 0] = float("nan")
    with pytest.raises(BackendError, match="expected finite weights"):
        quantize(weight, "int8")


def test_only_attention_and_mlp_are_rounded_and_the_network_gets_the_same_numbers() -> None:
    decoder = decoder_of()
    before = {name: value.clone() for name, value in decoder.state_dict().items()}
    made = quantize_decoder(decoder, "int4")
    assert len(made) == 2 * 4
    for name, weight in projections(decoder).items():
        assert torch.equal(weight, made[name].dequantized())
    for name in ("embedding.weight", "head.weight"):
        assert torch.equal(decoder.state_dict()[name], before[name])
    assert quantize_decoder(decoder, "float") == {}


# -------------------------------------------------------------------------------------------------------- in graphs


def written(folder: Path, kind: Any, dtype: str = "float32", **text: Any) -> tuple[Any, float | None]:
    """The graph's file and how far it is from its network."""
    decoder = decoder_of(**text).to(getattr(torch, dtype))
    tracing = replace(trace_of_decoder(decoder), quantized=quantize_decoder(decoder, kind))
    difference = write_checked(tracing, folder / f"{kind}.onnx", dtype=dtype, tensorrt="10.3")
    return onnx.load(str(folder / f"{kind}.onnx"), load_external_data=False), difference


@pytest.mark.parametrize(("kind", "opset"), [("float", 17), ("int8", 17), ("fp8", 19), ("int4", 21)])
def test_a_graph_of_codes_computes_what_its_network_does_and_states_its_operator_set(
    tmp_path: Path, kind: Any, opset: int
) -> None:
    model, difference = written(tmp_path, kind)
    assert difference is not None and difference < 1e-5
    assert [(one.domain, one.version) for one in model.opset_import] == [("", opset)]
    of_codes = [node for node in model.graph.node if node.op_type == "DequantizeLinear"]
    assert len(of_codes) == (0 if kind == "float" else 8)
    assert all(len(node.input) == 2 for node in of_codes)  # no zero point
    stored = {one.name: one.data_type for one in model.graph.initializer}
    types = {"int8": onnx.TensorProto.INT8, "int4": onnx.TensorProto.INT4, "fp8": onnx.TensorProto.FLOAT8E4M3FN}
    assert {stored[node.input[0]] for node in of_codes} <= {types.get(kind)}
    assert stored["decoder.head.weight"] == onnx.TensorProto.FLOAT
    assert {node.domain for node in model.graph.node} == {""}


@pytest.mark.parametrize("kind", ["int8", "int4"])
def test_onnx_runtime_reads_the_codes_themselves(tmp_path: Path, kind: Any) -> None:
    runtime = pytest.importorskip("onnxruntime", minversion="1.29")
    written(tmp_path, kind)
    options = runtime.SessionOptions()
    options.log_severity_level, options.optimized_model_filepath = 3, str(tmp_path / "optimized.onnx")
    runtime.InferenceSession(str(tmp_path / f"{kind}.onnx"), options, providers=["CPUExecutionProvider"])
    found = [node.op_type for node in onnx.load(str(tmp_path / "optimized.onnx")).graph.node]
    assert found.count("MatMulNBits") == 8 and "DequantizeLinear" not in found


def test_the_same_weights_give_the_same_bytes(tmp_path: Path) -> None:
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
        written(tmp_path / folder, "int4")
    for name in ("int4.onnx", "int4.data"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_codes_take_the_room_that_they_say(tmp_path: Path) -> None:
    sizes = {}
    for kind in ("float", "int8", "int4"):
        written(tmp_path, kind, vocab_size=320, num_hidden_layers=3)
        sizes[kind] = (tmp_path / f"{kind}.data").stat().st_size
    head = 320 * 256 * 4
    assert 3.8 < (sizes["float"] - head) / (sizes["int8"] - head) < 4.1
    assert 6.8 < (sizes["float"] - head) / (sizes["int4"] - head) < 7.7


def test_half_precision_takes_scales_of_its_own_kind() -> None:
    for kind, least in (("int8", 19), ("fp8", 19), ("int4", 21)):
        for dtype in (torch.float16, torch.bfloat16):
            assert opset_for({"w": quantize(weight_of(dtype=dtype), kind)}) == least
    assert opset_for({}) == opset_for({"w": quantize(weight_of(), "int8")}) == 17


def test_a_weight_that_is_read_otherwise_is_refused() -> None:
    made = quantize(weight_of(4, 32), "int8")
    x, weight = ir.val("x", dtype=ir.DataType.FLOAT, shape=(2, 4)), ir.val("w", dtype=ir.DataType.FLOAT, shape=(4, 32))
    weight.const_value = ir.tensor(np.zeros((4, 32), np.float32), name="w")
    node = ir.node("Add", [x, weight])
    graph = ir.Graph([x], node.outputs, nodes=[node], initializers=[weight], opset_imports={"": 17})
    with pytest.raises(BackendError, match="expected a product with w, got Add"):
        put_codes(graph, {"w": made})
    with pytest.raises(BackendError, match="the weight other to quantise, found 0"):
        put_codes(graph, {"other": made})


@pytest.mark.parametrize("version", [".".join(map(str, each)) for each in CHECKED])
def test_types_of_codes_are_held_against_the_version_that_reads_them(version: str) -> None:
    def reading(kind: Any) -> Any:
        return [ir.node("DequantizeLinear", [ir.val("codes", dtype=kind), ir.val("scale")])]

    for kind in (ir.DataType.INT8, ir.DataType.FLOAT8E4M3FN, ir.DataType.INT4):
        check_operators(reading(kind), version)
    with pytest.raises(BackendError, match="DequantizeLinear of UINT4 needs no version that is known"):
        check_operators(reading(ir.DataType.UINT4), version)
    if parse_version(version) < (10, 8):
        with pytest.raises(BackendError, match=r"DequantizeLinear of FLOAT4E2M1 needs TensorRT 10\.8 or newer"):
            check_operators(reading(ir.DataType.FLOAT4E2M1), version)
