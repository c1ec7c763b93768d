"""How many bytes a step reads, and the share of the bandwidth that makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from n3d_ros.bench.step_bytes import bandwidth_share, checkpoint_step_bytes, graph_step_bytes

SHAPE = {
    "hidden_size": 8,
    "intermediate_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 100,
}


def test_a_checkpoints_step_reads_layers_norm_head_and_cache() -> None:
    # q 8x8+8, k and v 8x4+4 each, o 8x8; three products of the MLP; two norms; then the last norm and the head
    layer = 72 + 2 * 36 + 64 + 3 * 8 * 16 + 16
    step = checkpoint_step_bytes(SHAPE, "bfloat16")
    assert step.weights == 2 * (2 * layer + 8 + 800)
    assert step.cache_row == 2 * (2 * 2 * 2 * 2)  # bytes of: keys and values, heads, channels, layers
    assert step.at(10) == step.weights + 10 * step.cache_row
    assert checkpoint_step_bytes(SHAPE, "float32").weights == 2 * step.weights


def test_the_packaged_models_step_is_what_its_weights_take() -> None:
    pytest.importorskip("torch", reason="the extra [model] is not installed")
    from n3d_ros.bench.subjects import step_bytes_of
    from n3d_ros.model.checkpoint import load_model

    loaded = load_model("n3d-nano", device="cpu", dtype="float32", hashes=False).model
    language = loaded.model.language_model
    read = [*language.layers.parameters(), *language.norm.parameters(), loaded.lm_head.weight]
    step = step_bytes_of("n3d-nano", "float32")
    assert step is not None and step.weights == sum(parameter.nbytes for parameter in read)


def test_graphs_count_their_decoders_weights_and_no_structure(tmp_path: Path) -> None:
    sizes = {"decoder.onnx": 10, "decoder_safe.onnx": 20, "decoder.data": 1000, "vision.data": 5000, "decoder.txt": 7}
    for name, size in sizes.items():
        (tmp_path / name).write_bytes(bytes(size))
    step = graph_step_bytes(tmp_path, layers=3, cache_width=8, dtype="float32")
    assert (step.weights, step.cache_row) == (1000, 96)


def test_a_share_of_the_bandwidth_is_bytes_a_second_over_what_the_memory_gives() -> None:
    assert bandwidth_share(6e9, 100.0, 4.8e12) == pytest.approx(0.125)
