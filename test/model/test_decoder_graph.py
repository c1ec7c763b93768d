"""The language model over a static cache, against transformers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra [model] is not installed")
pytest.importorskip("transformers", reason="the extra [model] is not installed")

import copy  # noqa: E402
import gc  # noqa: E402
from collections import Counter  # noqa: E402

from safetensors.torch import load_file  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

from n3d_ros.errors import BackendError  # noqa: E402
from n3d_ros.model import fused, static_decoder  # noqa: E402
from n3d_ros.model.decoder_graph import DecoderGraph  # noqa: E402
from n3d_ros.model.fused import TRANSPOSED_ROWS, has_onednn, project, signed  # noqa: E402
from n3d_ros.model.recorded_steps import StepBuffers, garbage_kept  # noqa: E402
from n3d_ros.model.static_decoder import GRAPH_SIZES, StaticDecoder  # noqa: E402
from tiny_vlm import tiny_model  # noqa: E402

torch.set_num_threads(1)

SHAPES: dict[str, dict[str, Any]] = {
    "two heads share a key": {},
    "each head has its key": {"text": {"num_key_value_heads": 4}},
    "all heads share one key": {"text": {"num_key_value_heads": 1}},
    "odd width": {"text": {"hidden_size": 60, "num_attention_heads": 2, "num_key_value_heads": 1}},
    "tied embedding": {"tie_word_embeddings": True},
}


def make_tokens(count: int, seed: int = 0) -> tuple[Any, Any]:
    """Token ids (S,) and positions (3, S) that differ per axis."""
    generator = np.random.default_rng(seed)
    positions = np.cumsum(generator.integers(0, 3, (3, count)), axis=1)
    return generator.integers(0, 290, count), positions


def expected_logits(model: Any, token_ids: Any, positions: Any) -> Any:
    """(S, V) of transformers without a cache."""
    with torch.no_grad():
        hidden = model.model.language_model(
            input_ids=torch.from_numpy(token_ids)[None], position_ids=torch.from_numpy(positions)[:, None]
        ).last_hidden_state
        return model.lm_head(hidden)[0].float()


def run(decoder: StaticDecoder, sizes: list[int], token_ids: Any, positions: Any) -> Any:
    """(S, V) of the static decoder in chunks."""
    slot, at, parts = decoder.take_slot(parent := type("Owner", (), {})()), 0, []
    with torch.inference_mode():
        for size in sizes:
            span = slice(at, at + size)
            following = decoder.run(slot, at, token_ids[span], positions[:, span], last=size)
            assert following is not None
            torch.testing.assert_close(following.log_all, following.logits.logsumexp(dim=-1))
            parts.append(following.logits.clone())
            at += size
    del parent
    return torch.cat(parts)


@pytest.mark.parametrize("name", SHAPES)
def test_any_division_into_chunks_gives_the_logits_of_transformers(name: str) -> None:
    model = tiny_model(1, **SHAPES[name])
    token_ids, positions = make_tokens(90)
    expected = expected_logits(model, token_ids, positions)
    decoder = StaticDecoder(DecoderGraph(copy.deepcopy(model).model.language_model, model.lm_head), capacity=128)
    for sizes in ([90], [1] * 90, [17, 1, 5, 1, 1, 30, 35], [2, 3, 4, 8, 13, 60]):
        torch.testing.assert_close(run(decoder, sizes, token_ids, positions), expected, atol=1e-4, rtol=1e-4)


def test_both_kinds_of_attention_agree_over_a_slice_longer_than_the_sequence() -> None:
    model = tiny_model(2)
    graph = DecoderGraph(model.model.language_model, model.lm_head)
    token_ids, positions = make_tokens(12)
    found = []
    for kind in ("sdpa", "products"):
        caches = [torch.full((64, graph.cache_width), 7.0) for _ in graph.layers]
        outputs, at = [], 0
        for size in (5, 1, 6):
            cos, sin = graph.rotary.tables(positions[:, at : at + size])
            rows = torch.arange(at, at + size)
            with torch.inference_mode():
                hidden = graph(
                    graph.embed(torch.from_numpy(token_ids[at : at + size])),
                    torch.tensor(cos)[:, None],
                    signed(torch.tensor(sin)),
                    rows,
                    caches,
                    graph.mask(rows, 64, kind),
                    kind,
                )
                outputs.append(graph.logits(hidden))
            at += size
        found.append(torch.cat(outputs))
    torch.testing.assert_close(found[0], found[1], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found[0], expected_logits(model, token_ids, positions), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.bfloat16, 0.1), (torch.float16, 0.02)])
def test_half_precision_stays_close_to_float32(dtype: Any, tolerance: float) -> None:
    model = tiny_model(3)
    token_ids, positions = make_tokens(40)
    expected = expected_logits(model, token_ids, positions)
    halved = model.to(dtype)
    decoder = StaticDecoder(DecoderGraph(halved.model.language_model, halved.lm_head), capacity=64)
    found = run(decoder, [30, 1, 1, 8], token_ids, positions)
    assert found.dtype == torch.float32
    assert (found - expected).norm() < tolerance * expected.norm()


def test_float16_survives_sums_and_products_outside_its_range() -> None:
    model = tiny_model(4)
    with torch.no_grad():
        for layer in model.model.language_model.layers:
            layer.mlp.up_proj.weight *= 2000
            layer.mlp.gate_proj.weight *= 200
    token_ids, positions = make_tokens(20)
    expected = expected_logits(model, token_ids, positions)
    halved = model.to(torch.float16)
    decoder = StaticDecoder(DecoderGraph(halved.model.language_model, halved.lm_head), capacity=32)
    found = run(decoder, [12, 1, 7], token_ids, positions)
    assert found.isfinite().all()
    assert (found - expected).norm() < 0.05 * expected.norm()


def test_weights_are_held_once_and_the_state_dict_is_as_before(tmp_path: Any) -> None:
    model = tiny_model(5, tie_word_embeddings=True)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    graph = DecoderGraph(model.model.language_model, model.lm_head)
    assert graph.head.weight.data_ptr() == graph.embedding.weight.data_ptr()
    own = {"angle_scale", "is_value"}  # a number per head each
    tensors = [*graph.parameters(), *(buffer for name, buffer in graph.named_buffers() if name not in own)]
    storages = {tensor.untyped_storage().data_ptr() for tensor in tensors}
    held = {value.untyped_storage().data_ptr() for value in model.model.language_model.state_dict().values()}
    assert storages == held
    after = model.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)
    model.save_pretrained(tmp_path)
    saved = load_file(tmp_path / "model.safetensors")
    assert sum(value.numel() for value in saved.values()) == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("onednn", [True, False])
@pytest.mark.parametrize("rows", [1, 2, 8, 64, 65, TRANSPOSED_ROWS.stop - 1, TRANSPOSED_ROWS.stop])
def test_a_product_is_the_same_by_whatever_library(rows: int, onednn: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused, "has_onednn", lambda: onednn and has_onednn())
    x, weight, bias = torch.randn(rows, 40), torch.randn(24, 40), torch.randn(24)
    with torch.inference_mode():
        torch.testing.assert_close(project(x, weight, bias), x @ weight.T + bias)
        torch.testing.assert_close(project(x, weight), x @ weight.T)
        assert project(x, weight).is_contiguous()


def test_products_can_be_differentiated_where_gradients_are_on() -> None:
    weight = torch.randn(4, 6, requires_grad=True)
    project(torch.randn(3, 6), weight).sum().backward()
    assert weight.grad is not None


def test_what_a_recorded_step_reads_is_what_was_staged() -> None:
    generator = np.random.default_rng(0)
    cos, sin = (generator.random((3, 8), dtype=np.float32) for _ in range(2))
    buffers = StepBuffers(4, 8, torch.device("cpu"))
    buffers.fill(np.array([5, 6, 7]), 40, cos, sin)
    assert buffers.token_ids.tolist() == [5, 6, 7, 7]
    assert buffers.rows.tolist() == [40, 41, 42, 43]
    torch.testing.assert_close(buffers.cos[:3, 0], torch.tensor(cos))
    torch.testing.assert_close(buffers.signed_sin[:3], signed(torch.tensor(sin)))


def test_buckets_double_up_to_the_capacity() -> None:
    model = tiny_model(6)
    decoder = StaticDecoder(DecoderGraph(model.model.language_model, model.lm_head), capacity=3000)
    assert [decoder.bucket(length) for length in (1, 1024, 1025, 2048, 2049)] == [1024, 1024, 2048, 2048, 3000]


def test_buffers_come_back_when_their_owner_is_gone() -> None:
    model = tiny_model(7)
    decoder = StaticDecoder(DecoderGraph(model.model.language_model, model.lm_head), capacity=32)
    owner = type("Owner", (), {})()
    slot = decoder.take_slot(owner)
    assert decoder.take_slot(parent := type("Owner", (), {})()) is not slot
    del owner
    assert decoder.take_slot(parent) is slot


def test_shapes_of_no_released_model_are_refused() -> None:
    model = tiny_model(8)
    model.model.language_model.config.rope_parameters["rope_type"] = "yarn"
    with pytest.raises(BackendError, match="yarn"):
        DecoderGraph(model.model.language_model, model.lm_head)


def recorded_decoder(model: Any, capacity: int, **options: Any) -> StaticDecoder:
    """A decoder whose recorded steps are the functions themselves: all but the graph, without a GPU."""
    graph = DecoderGraph(model.model.language_model, model.lm_head)
    return StaticDecoder(graph, capacity=capacity, record=lambda step: step, **options)


def test_recorded_steps_of_any_size_and_bucket_give_the_logits_of_transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(static_decoder, "SMALLEST_BUCKET", 64)
    model = tiny_model(10)
    token_ids, positions = make_tokens(300)
    expected = expected_logits(model, token_ids, positions)
    decoder, generator = recorded_decoder(model, 330), np.random.default_rng(0)
    slot, at = decoder.take_slot(owner := type("Owner", (), {})()), 0
    slot.memory.fill_(9.0)  # what a sequence before has left
    while at < 300:
        size = min(300 - at, int(generator.choice([1, 2, 3, 5, 7, 11, 17, 20, 24, 40])))
        span = slice(at, at + size)
        with torch.inference_mode():
            if at and generator.random() < 0.3:  # a draft that is rejected
                wrong = generator.integers(0, 290, size)
                assert decoder.run(slot, at, wrong, positions[:, span], last=size) is not None
            following = decoder.run(slot, at, token_ids[span], positions[:, span], last=size)
        assert following is not None
        torch.testing.assert_close(following.logits, expected[span], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(following.log_all, expected[span].logsumexp(dim=-1), atol=1e-4, rtol=1e-4)
        at += size
    assert {bucket for _, bucket in slot.recorded} == {64, 128, 256, 330}
    assert len({size for size, _ in slot.recorded}) >= 5
    del owner


def test_only_the_last_logits_of_a_padded_step_are_given() -> None:
    model = tiny_model(11)
    token_ids, positions = make_tokens(5)
    decoder = recorded_decoder(model, 40)
    slot = decoder.take_slot(owner := type("Owner", (), {})())
    with torch.inference_mode():
        following = decoder.run(slot, 0, token_ids, positions, last=2)
        assert following is not None and list(slot.recorded) == [(6, 40)]
        expected = expected_logits(model, token_ids, positions)[-2:]
        torch.testing.assert_close(following.logits, expected, atol=1e-4, rtol=1e-4)
        assert decoder.run(slot, 0, token_ids, positions, last=0) is None
    del owner


def test_a_warm_up_records_all_that_a_sequence_and_its_answer_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(static_decoder, "SMALLEST_BUCKET", 16)
    decoder = recorded_decoder(tiny_model(12), 70)
    owners = [type("Owner", (), {})() for _ in range(2)]
    slots = [decoder.take_slot(owner) for owner in owners]
    with torch.inference_mode():
        decoder.warm_up(slots, 20)
    wanted = {(size, bucket) for size in GRAPH_SIZES for bucket in (32, 64, 70)}
    assert all(set(slot.recorded) == wanted for slot in slots)


def test_a_recorder_that_fails_is_noted_and_not_asked_again() -> None:
    model, asked = tiny_model(13), []

    def fail(step: Any) -> Any:
        asked.append(step)
        raise RuntimeError("operation not permitted when stream is capturing\nand more")

    graph = DecoderGraph(model.model.language_model, model.lm_head)
    decoder = StaticDecoder(graph, capacity=64, record=fail)
    token_ids, positions = make_tokens(9)
    found = run(decoder, [4, 1, 4], token_ids, positions)
    torch.testing.assert_close(found, expected_logits(model, token_ids, positions), atol=1e-4, rtol=1e-4)
    assert len(asked) == 1 and not decoder.records
    assert decoder.notes == [
        "CUDA graphs failed; steps run without them: operation not permitted when stream is capturing"
    ]


def test_all_is_compiled_before_an_answer_and_for_one_length_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths: list[int] = []

    def compiled(forward: Any, dynamic: bool) -> Any:
        def step(*args: Any) -> Any:
            lengths.append(len(args[4][0]))
            return forward(*args)

        return step

    monkeypatch.setattr(static_decoder, "SMALLEST_BUCKET", 16)
    monkeypatch.setattr(torch, "compile", compiled)
    model = tiny_model(14)
    token_ids, positions = make_tokens(60)
    for records in (False, True):
        lengths.clear()
        graph = DecoderGraph(model.model.language_model, model.lm_head)
        decoder = StaticDecoder(graph, capacity=70, compiles=True, record=(lambda step: step) if records else None)
        owner = type("Owner", (), {})()
        with torch.inference_mode():
            decoder.warm_up([decoder.take_slot(owner)], 10)
        assert lengths == [70]
        found = run(decoder, [1] * 60, token_ids, positions)
        torch.testing.assert_close(found, expected_logits(model, token_ids, positions), atol=1e-4, rtol=1e-4)
        assert set(lengths) == {70}
        del owner


def test_no_garbage_is_collected_while_a_step_is_recorded() -> None:
    assert gc.isenabled()
    with garbage_kept():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_the_product_through_onednn_is_there_on_the_pinned_torch() -> None:
    if not torch.__version__.startswith("2.13.") or not torch.backends.mkldnn.is_available():
        pytest.skip("another torch than the pinned one, or one without oneDNN")
    assert has_onednn()


@pytest.mark.parametrize("largest", [17, 4096])
def test_positions_of_text_and_of_images_have_one_rotation(largest: int) -> None:
    rotary = DecoderGraph(*parts(tiny_model(15))).rotary
    places = np.array([0, 3, 4095, largest])
    found = rotary.tables(np.tile(places, (3, 1)))
    for axis in range(3):  # another position beside them, so that no table is read
        apart = np.tile(np.append(places, 9), (3, 1))
        apart[axis, -1] = 5
        for one, other in zip(rotary.tables(apart), found, strict=True):
            np.testing.assert_allclose(one[:-1], other, atol=1e-6)


def parts(model: Any) -> tuple[Any, Any]:
    """What a graph is made of."""
    return model.model.language_model, model.lm_head


FREE = {"view", "transpose", "slice", "unsqueeze", "expand", "permute", "t", "split", "_unsafe_view", "empty_like"}


class Operations(TorchDispatchMode):
    """Counts what would be a kernel on a GPU."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket.__name__ not in FREE:
            self.counts[str(func).removeprefix("aten.")] += 1
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(("tokens", "kernels"), [(1, 17), (4, 19)])
def test_a_layer_launches_few_kernels_on_a_gpu(tokens: int, kernels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = DecoderGraph(*parts(tiny_model(18).to(torch.bfloat16))).to("meta")  # shapes and dtypes alone
    monkeypatch.setattr(torch.Tensor, "is_cuda", property(lambda _tensor: True), raising=False)
    monkeypatch.setattr(fused.functional, "rms_norm", lambda x, *_: x.neg())  # one kernel, several steps on no device
    found: list[Counter[str]] = []
    layer = graph.layers[0]
    for layers in (1, 2):
        graph.layers = torch.nn.ModuleList([layer] * layers)
        embeds = torch.empty(tokens, graph.hidden_size, dtype=graph.dtype, device="meta")
        angles = torch.empty(2, tokens, 1, graph.head_dim, device="meta")
        caches = [torch.empty(64, graph.cache_width, dtype=graph.dtype, device="meta") for _ in range(layers)]
        rows = torch.empty(tokens, dtype=torch.int64, device="meta")
        mask = graph.mask(rows, 64, "products")
        with torch.no_grad(), Operations() as operations:
            hidden = graph(embeds, *angles, rows, caches, mask, "products")
        assert hidden.dtype == torch.bfloat16 and graph.logits(hidden).dtype == torch.float32
        found.append(operations.counts)
    per_layer = found[1] - found[0]
    assert per_layer.total() == kernels, per_layer
    assert per_layer["addmm_.default"] == 2 and per_layer["bmm.dtype"] == 1


@pytest.mark.gpu
@pytest.mark.parametrize("compiles", [False, True])
def test_recorded_steps_give_the_logits_of_plain_ones(compiles: bool) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    model = tiny_model(9).to("cuda")
    graph = DecoderGraph(model.model.language_model, model.lm_head)
    token_ids, positions = make_tokens(300)
    found = []
    for records in (False, True):
        decoder = StaticDecoder(graph, capacity=512, cuda_graphs=records, compiles=compiles and records)
        with decoder.on_stream():
            sizes = [200, *GRAPH_SIZES, 5, 7, 12]
            found.append(run(decoder, sizes, token_ids, positions).cpu())
        assert decoder.records == records and not decoder.notes
    torch.testing.assert_close(found[1], found[0], atol=1e-3, rtol=1e-3)


REAL_HEADS = {"hidden_size": 2048, "num_attention_heads": 16, "num_key_value_heads": 2, "intermediate_size": 512}


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_heads_of_the_released_size_agree_with_transformers_over_two_slots_and_buckets(
    dtype: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    monkeypatch.setattr(static_decoder, "SMALLEST_BUCKET", 256)
    model = tiny_model(16, text=REAL_HEADS)
    token_ids, positions = make_tokens(400)
    expected = expected_logits(model, token_ids, positions)
    graph = DecoderGraph(*parts(model.to("cuda", dtype)))
    decoder = StaticDecoder(graph, capacity=600)
    owners = [type("Owner", (), {})() for _ in range(2)]
    slots = [decoder.take_slot(owner) for owner in owners]
    with torch.inference_mode(), decoder.on_stream():
        decoder.warm_up(slots, 100)
        assert all({bucket for _, bucket in slot.recorded} == {256, 512, 600} for slot in slots)
        for slot in slots:
            slot.memory.fill_(9.0)
        found: list[list[Any]] = [[], []]
        at = 0
        for size in [200, 1, 1, 3, 12, 1, 24, 8, 30, 17, 2, *[1] * 8, 13, 24, 24, 5, 1]:
            span = slice(at, at + size)
            for number, slot in enumerate(slots):
                if size in (3, 8, 13):  # a draft that is rejected
                    decoder.run(slot, at, token_ids[:12], positions[:, at : at + 12], last=12)
                following = decoder.run(slot, at, token_ids[span], positions[:, span], last=size)
                assert following is not None
                found[number].append(following.logits.cpu())
            at += size
    assert at > 256 + 100 and decoder.records and not decoder.notes
    first, second = (torch.cat(logits) for logits in found)
    torch.testing.assert_close(first, second, atol=1e-3, rtol=1e-3)
    tolerance = {torch.float32: 2e-3, torch.bfloat16: 0.1, torch.float16: 0.02}[dtype]
    assert (first - expected[:at]).norm() < tolerance * expected[:at].norm()
