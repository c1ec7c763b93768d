"""TorchBackend against the model as transformers runs it, and against the golden tensors."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra [model] is not installed")
pytest.importorskip("transformers", reason="the extra [model] is not installed")

import copy  # noqa: E402
import gc  # noqa: E402
import weakref  # noqa: E402
from dataclasses import replace  # noqa: E402

from safetensors.torch import load_file  # noqa: E402

from n3d_ros.codec.model_input import ImageInput  # noqa: E402
from n3d_ros.codec.token_set import TokenSet  # noqa: E402
from n3d_ros.errors import BackendError, InputError  # noqa: E402
from n3d_ros.inference import torch_backend  # noqa: E402
from n3d_ros.inference.backend import Chunk  # noqa: E402
from n3d_ros.inference.torch_backend import TorchBackend  # noqa: E402
from n3d_ros.inference.torch_choices import SMALL_SET  # noqa: E402
from n3d_ros.model.config import build_config  # noqa: E402
from n3d_ros.model.n3d_vlm import N3dVlm  # noqa: E402
from n3d_ros.model.position_code import sinusoid  # noqa: E402
from n3d_ros.model.static_decoder import GRAPH_SIZES, StaticDecoder  # noqa: E402
from tiny_vlm import IMAGE, make_inputs, tiny_model  # noqa: E402

torch.set_num_threads(1)

GOLDEN = Path(__file__).resolve().parents[3] / "shared" / "golden" / "n3d"
RUNS = sorted(f"{file.parent.name}/{file.stem}" for file in GOLDEN.glob("case_*/*.safetensors") if file.stem != "model")
SHAPES: dict[str, dict[str, Any]] = {
    "plain": {},
    "tied, one key head": {"tie_word_embeddings": True, "text": {"num_key_value_heads": 1}},
    "odd widths": {
        "vision": {"hidden_size": 36, "num_heads": 1, "window_size": 56, "fullatt_block_indexes": [0]},
        "text": {"hidden_size": 60, "num_attention_heads": 2, "num_key_value_heads": 2},
    },
}


def make_backend(model: Any, *, capacity: int = 256, **options: Any) -> TorchBackend:
    """A backend over a copy of the model."""
    loaded = SimpleNamespace(model=copy.deepcopy(model), position_code=model.position_code)
    return TorchBackend(loaded, capacity=capacity, **options)


def make_image(pixels: Any, points: Any, grid: tuple[int, int]) -> ImageInput:
    """One image as the codec hands it over."""
    points = points.numpy().copy()
    points[..., :3][points[..., 3] <= 0] = np.nan
    return ImageInput(pixel_values=pixels.numpy(), grid=grid, points=points)


def make_chunk(token_ids: Any, positions: Any, visual: tuple[Any, ...] = ()) -> Chunk:
    return Chunk(token_ids=np.asarray(token_ids), position_ids=np.asarray(positions), visual=visual)


class Sequence:
    """A prompt with an image and some words behind it, and its logits without a cache."""

    def __init__(self, model: Any, grid: tuple[int, int] = (6, 10), words: int = 40, seed: int = 0) -> None:
        inputs = make_inputs([grid], seed, text=words)
        with torch.no_grad():
            types = (inputs["input_ids"] == IMAGE).int()
            self.positions = model.model.get_rope_index(inputs["input_ids"], types, inputs["image_grid_thw"])[0][:, 0]
            output = model(**inputs)
        self.token_ids = inputs["input_ids"][0].numpy()
        self.positions = self.positions.numpy()
        self.logits = output.logits[0].float().numpy()
        self.image = make_image(inputs["pixel_values"], inputs["point_clouds"][0], grid)
        self.prefix = int(np.flatnonzero(self.token_ids == IMAGE)[-1]) + 2

    def __len__(self) -> int:
        return len(self.token_ids)

    def feed(self, backend: TorchBackend, cache: Any, start: int, stop: int, visual: Any = ()) -> np.ndarray:
        """All logits after the tokens from start to stop, from the chooser's rows."""
        chunk = make_chunk(self.token_ids[start:stop], self.positions[:, start:stop], visual)
        everything = TokenSet(range(backend.vocab_size))
        choices = backend.forward(cache, chunk, choose=[everything] * (stop - start), top_k=20)
        assert choices is not None
        np.testing.assert_allclose(choices.log_allowed, choices.log_all, atol=1e-4)
        found = np.full((stop - start, backend.vocab_size), np.nan, dtype=np.float32)
        np.put_along_axis(found, choices.token_ids, choices.logits, axis=1)
        return found

    def check(self, found: np.ndarray, start: int, atol: float = 1e-4) -> None:
        """Whether the 20 likeliest are those of transformers."""
        expected = self.logits[start : start + len(found)]
        known = ~np.isnan(found)
        scale = max(1.0, float(np.abs(expected).max()))
        np.testing.assert_allclose(found[known], expected[known], atol=atol * scale)
        np.testing.assert_array_equal(np.nanargmax(found, axis=1), expected.argmax(axis=1))


@pytest.mark.parametrize("name", SHAPES)
def test_prefill_extend_and_decode_give_the_logits_of_transformers(name: str) -> None:
    model = tiny_model(1, **SHAPES[name])
    sequence, backend = Sequence(model), make_backend(model)
    visual = backend.encode_image(sequence.image)
    assert visual.count == sequence.image.token_count
    generator = np.random.default_rng(0)
    for _ in range(3):
        cache, at = backend.new_cache(), sequence.prefix
        sequence.check(sequence.feed(backend, cache, 0, at, (visual,)), 0)
        while at < len(sequence):
            end = min(len(sequence), at + int(generator.choice([1, 1, 2, 3, 7, 12])))
            sequence.check(sequence.feed(backend, cache, at, end), at)
            at = end
        assert cache.length == len(sequence)


def test_truncating_takes_the_cache_back() -> None:
    model = tiny_model(2)
    sequence, backend = Sequence(model), make_backend(model)
    visual, cache, prefix = backend.encode_image(sequence.image), backend.new_cache(), sequence.prefix
    sequence.feed(backend, cache, 0, prefix, (visual,))
    first = sequence.feed(backend, cache, prefix, len(sequence))
    cache.truncate(prefix)
    wrong = make_chunk([7] * 9, np.full((3, 9), 50))
    assert backend.forward(cache, wrong) is None
    cache.truncate(prefix)
    np.testing.assert_array_equal(sequence.feed(backend, cache, prefix, len(sequence)), first)
    with pytest.raises(InputError, match="expected 0 to"):
        cache.truncate(len(sequence) + 1)


def test_a_fork_and_its_origin_do_not_change_each_other() -> None:
    model = tiny_model(3)
    sequence, backend = Sequence(model), make_backend(model)
    visual, cache, prefix = backend.encode_image(sequence.image), backend.new_cache(), sequence.prefix
    sequence.feed(backend, cache, 0, prefix, (visual,))
    fork = cache.fork()
    assert fork.length == prefix
    backend.forward(fork, make_chunk([9] * 20, np.full((3, 20), 60)))
    sequence.check(sequence.feed(backend, cache, prefix, len(sequence)), prefix)
    fork.truncate(prefix)
    sequence.check(sequence.feed(backend, fork, prefix, len(sequence)), prefix)


def test_the_buffers_of_a_dropped_cache_are_used_again() -> None:
    model = tiny_model(4)
    sequence, backend = Sequence(model), make_backend(model)
    visual = backend.encode_image(sequence.image)
    cache = backend.new_cache()
    sequence.feed(backend, cache, 0, sequence.prefix, (visual,))
    memory = cache.slot.memory.data_ptr()
    del cache
    gc.collect()
    again = backend.new_cache()
    assert again.slot.memory.data_ptr() == memory and again.length == 0
    sequence.check(sequence.feed(backend, again, 0, len(sequence), (visual,)), 0)


def test_several_images_stand_in_order() -> None:
    model = tiny_model(5)
    inputs = make_inputs([(4, 6), (6, 4)], 1)
    with torch.no_grad():
        types = (inputs["input_ids"] == IMAGE).int()
        positions = model.model.get_rope_index(inputs["input_ids"], types, inputs["image_grid_thw"])[0][:, 0].numpy()
        expected = model(**inputs).logits[0, -1].numpy()
    backend = make_backend(model)
    pixels = inputs["pixel_values"].split([24, 24])
    visual = tuple(
        backend.encode_image(make_image(part, points, grid))
        for part, points, grid in zip(pixels, inputs["point_clouds"], [(4, 6), (6, 4)], strict=True)
    )
    chunk = make_chunk(inputs["input_ids"][0].numpy(), positions, visual)
    choices = backend.forward(backend.new_cache(), chunk, choose=[None], top_k=8)
    assert choices is not None
    np.testing.assert_array_equal(choices.token_ids[0], np.argsort(-expected)[:8])
    with pytest.raises(InputError, match="12 tokens"):
        backend.forward(backend.new_cache(), make_chunk(chunk.token_ids, positions, visual[:1]))


@pytest.mark.parametrize("run", RUNS)
def test_the_golden_logits_and_greedy_ids_come_out(shared_data: Path, run: str) -> None:
    folder = GOLDEN / run.split("/")[0]
    golden = load_file(GOLDEN / f"{run}.safetensors")
    model = N3dVlm(build_config(json.loads((folder / "config.json").read_text()))).eval()
    model.load_state_dict(load_file(folder / "model.safetensors"), strict=False)
    backend = make_backend(model, capacity=1024)
    rows, columns = golden["image_grid_thw"][0, 1:].tolist()
    height, width = golden["pcd_f16"].shape[:2]
    points = golden["point_clouds"].reshape(height, width, 4)
    image = make_image(golden["pixel_values"].float(), points, (rows, columns))
    code = sinusoid(golden["pe_coords"][0], model.config.vision_config.hidden_size).numpy()
    visual = backend.encode_with_code(image, code)
    np.testing.assert_allclose(visual.embeds.numpy(), golden["visual_embeds"].numpy(), atol=1e-3)
    own = backend.encode_image(image)  # coordinates may differ by one unit in a few places
    assert (own.embeds - golden["visual_embeds"]).norm() < 0.05 * golden["visual_embeds"].norm()
    token_ids, positions = golden["input_ids"][0].numpy(), golden["position_ids"][:, 0].numpy()
    cache, expected = backend.new_cache(), golden["logits"][0].numpy()
    choices = backend.forward(
        cache, make_chunk(token_ids, positions, (visual,)), choose=[None] * len(token_ids), top_k=16
    )
    assert choices is not None
    np.testing.assert_allclose(choices.logits, np.take_along_axis(expected, choices.token_ids, axis=1), atol=1e-3)
    np.testing.assert_array_equal(choices.token_ids[:, 0], expected.argmax(axis=1))
    written, position = [int(choices.token_ids[-1, 0])], int(positions.max()) + 1
    while len(written) < len(golden["greedy_ids"]):
        step = backend.forward(cache, make_chunk([written[-1]], np.full((3, 1), position)), choose=[None])
        assert step is not None
        written.append(int(step.token_ids[0, 0]))
        position += 1
    assert written == golden["greedy_ids"].tolist()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_ranks_tokens_nearly_as_float32(dtype: Any) -> None:
    model = tiny_model(6)
    sequence, halved = Sequence(model), make_backend(copy.deepcopy(model).to(dtype))
    visual = halved.encode_image(sequence.image)
    found = sequence.feed(halved, halved.new_cache(), 0, len(sequence), (visual,))
    known = ~np.isnan(found)
    error = found[known] - sequence.logits[known]
    assert np.sqrt(np.mean(error**2)) < (0.25 if dtype == torch.bfloat16 else 0.05) * sequence.logits.std()
    assert halved.dtype == str(dtype).removeprefix("torch.")


class Chooser:
    """A backend whose next logits are known: those after one fixed chunk."""

    def __init__(self, seed: int = 7, vocab_size: int = 320) -> None:
        model = tiny_model(seed, text={"vocab_size": vocab_size})
        self.backend = make_backend(model, capacity=32)
        self.chunk = make_chunk([5, 6, 7, 8], np.tile(np.arange(4), (3, 1)))
        with torch.no_grad():
            self.logits = model(input_ids=torch.tensor([[5, 6, 7, 8]])).logits[0].numpy()

    def choose(self, allowed: list[TokenSet | None], top_k: int) -> Any:
        choices = self.backend.forward(self.backend.new_cache(), self.chunk, choose=allowed, top_k=top_k)
        assert choices is not None
        return choices


def log_sum(values: np.ndarray) -> float:
    return float(np.log(np.exp(values.astype(np.float64) - values.max()).sum()) + values.max())


@pytest.mark.parametrize("top_k", [1, 5, 64])
def test_choices_are_the_likeliest_among_the_allowed(top_k: int) -> None:
    chooser = Chooser(vocab_size=2500)
    generator = np.random.default_rng(0)
    small, large = (TokenSet(generator.choice(2500, size, replace=False)) for size in (30, 2 * SMALL_SET))
    allowed = [small, None, large, TokenSet([3])]
    choices = chooser.choose(allowed, top_k)
    assert choices.token_ids.shape == choices.logits.shape == (4, top_k)
    for row, (place, logits) in enumerate(zip(allowed, chooser.logits, strict=True)):
        ids = np.arange(2500) if place is None else place.ids
        order = ids[np.argsort(-logits[ids], kind="stable")][:top_k]
        np.testing.assert_array_equal(choices.token_ids[row, : len(order)], order)
        np.testing.assert_allclose(choices.logits[row, : len(order)], logits[order], atol=1e-4)
        assert (choices.logits[row, len(order) :] == -np.inf).all()
        assert choices.log_allowed[row] == pytest.approx(log_sum(logits[ids]), abs=1e-4)
        assert choices.log_all[row] == pytest.approx(log_sum(logits), abs=1e-4)


@pytest.mark.parametrize("top_k", [1, 3])
@pytest.mark.parametrize(
    "allowed", [None, TokenSet(range(10, 40)), TokenSet(range(5, 1900))], ids=["all", "few", "many"]
)
def test_of_equal_logits_the_lowest_id_comes_first(allowed: TokenSet | None, top_k: int) -> None:
    model = tiny_model(8, text={"vocab_size": 2000})
    with torch.no_grad():
        model.lm_head.weight[:] = model.lm_head.weight[0]  # every token is as likely as any other
    backend = make_backend(model, capacity=32)
    choices = backend.forward(
        backend.new_cache(), make_chunk([1], np.zeros((3, 1), int)), choose=[allowed], top_k=top_k
    )
    assert choices is not None
    first = 0 if allowed is None else int(allowed.ids[0])
    assert choices.token_ids[0].tolist() == list(range(first, first + top_k))


def test_only_the_last_places_are_chosen_after() -> None:
    chooser = Chooser()
    choices = chooser.choose([None, None], 1)
    np.testing.assert_array_equal(choices.token_ids[:, 0], chooser.logits[-2:].argmax(axis=1))


def test_token_sets_are_forgotten_with_their_owner() -> None:
    chooser, kept = Chooser(vocab_size=2500), TokenSet(range(1, SMALL_SET + 2))
    chooser.choose([TokenSet(range(SMALL_SET + 1)), kept], 1)
    gc.collect()
    assert list(chooser.backend._chooser._masks) == [kept]


def test_logits_that_are_not_finite_are_an_error_not_an_answer() -> None:
    model = tiny_model(9)
    with torch.no_grad():
        model.lm_head.weight[3] = float("nan")
    backend = make_backend(model, capacity=32)
    with pytest.raises(BackendError, match="not finite"):
        backend.forward(backend.new_cache(), make_chunk([1], np.zeros((3, 1), int)), choose=[TokenSet([1, 2])])


def test_what_does_not_fit_is_refused_with_figures() -> None:
    chooser = Chooser()
    backend, cache = chooser.backend, chooser.backend.new_cache()
    positions = np.tile(np.arange(30), (3, 1))
    backend.forward(cache, make_chunk([1] * 30, positions))
    with pytest.raises(BackendError, match=r"holds 32 tokens, 30 are in it, 3 more"):
        backend.forward(cache, make_chunk([1] * 3, positions[:, :3]))
    assert cache.length == 30
    for chunk, choose, top_k in (
        (make_chunk([320], positions[:, :1]), [None], 1),
        (make_chunk([1], positions[:, :1]), [None, None], 1),
        (make_chunk([1], positions[:, :1]), [None], 65),
        (make_chunk([1], positions[:, :1]), [TokenSet([320])], 1),
    ):
        with pytest.raises(InputError):
            backend.forward(cache, chunk, choose=choose, top_k=top_k)
    with pytest.raises(InputError, match="made by this backend"):
        backend.forward(make_backend(tiny_model(1), capacity=64).new_cache(), make_chunk([1], positions[:, :1]))


def test_lack_of_memory_is_told_with_figures_and_what_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = Chooser().backend
    cache = backend.new_cache()

    def fail(*_args: Any, **_kwargs: Any) -> None:
        raise RuntimeError(
            "[enforce fail at alloc_cpu.cpp:124] . DefaultCPUAllocator: can't allocate memory: you tried"
        )

    monkeypatch.setattr(backend._decoder, "run", fail)
    with pytest.raises(BackendError, match=r"cache of 32 tokens takes .* MiB.*language_model.capacity") as caught:
        backend.forward(cache, make_chunk([1], np.zeros((3, 1), int)), choose=[None])
    assert caught.value.reason == "out_of_memory" and cache.length == 0


def test_another_failure_of_the_device_is_a_backend_error(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = Chooser().backend
    cache = backend.new_cache()

    def fail(*_args: Any, **_kwargs: Any) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered\nCompile with ...")

    monkeypatch.setattr(backend._decoder, "run", fail)
    with pytest.raises(BackendError, match=r"failed on cpu: CUDA error: an illegal memory access was encountered$"):
        backend.forward(cache, make_chunk([1], np.zeros((3, 1), int)))


def test_a_backend_works_in_the_thread_that_uses_it() -> None:
    chooser = Chooser()
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(chooser.choose([None], 1)))
    thread.start()
    thread.join()
    assert found[0].token_ids[0, 0] == chooser.logits[-1].argmax()


def test_the_models_own_forward_still_works_and_can_be_trained() -> None:
    model = tiny_model(10)
    before = Sequence(model)
    TorchBackend(SimpleNamespace(model=model, position_code="reference"), capacity=64)
    np.testing.assert_allclose(Sequence(model).logits, before.logits, atol=1e-5)
    model(input_ids=torch.tensor([[1, 2, 3]])).logits.sum().backward()
    layer = model.model.language_model.layers[0]
    assert float(layer.self_attn.k_proj.weight.grad.norm()) > 0
    with torch.no_grad():  # an optimiser's step is seen by the graph: the storage is the same
        layer.mlp.up_proj.weight.add_(0.1)
    assert model(input_ids=torch.tensor([[1, 2, 3]])).logits.isfinite().all()


def test_a_closed_backend_holds_no_weights_and_says_that_it_is_closed() -> None:
    backend = Chooser().backend
    weight = weakref.ref(backend._decoder.graph.head.weight)
    image = Sequence(tiny_model(1)).image
    backend.close()
    backend.close()
    chunk = make_chunk([1], np.zeros((3, 1), int))
    for call in (
        backend.new_cache,
        lambda: backend.encode_image(image),
        lambda: backend.forward(None, chunk),  # type: ignore[arg-type]
        lambda: backend.warm_up(8),
        lambda: backend.notes,
    ):
        with pytest.raises(BackendError, match="was closed"):
            call()
    assert weight() is None


def test_lack_of_memory_while_the_runtime_is_built_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_tower: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 172.00 MiB.")

    monkeypatch.setattr(torch_backend, "VisionGraph", fail)
    with pytest.raises(BackendError, match=r"Not enough memory for the runtime.*language_model\.dtype") as caught:
        Chooser()
    assert caught.value.reason == "out_of_memory"


def test_the_time_of_an_image_and_of_a_prefix_is_that_of_their_own_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model(1)
    sequence, backend = Sequence(model), make_backend(model)
    waits: list[str] = []
    monkeypatch.setattr(backend._decoder, "synchronize", lambda: waits.append("waited"))
    visual = backend.encode_image(sequence.image)
    assert len(waits) == 1
    chunk = make_chunk(sequence.token_ids[: sequence.prefix], sequence.positions[:, : sequence.prefix], (visual,))
    backend.forward(backend.new_cache(), chunk)
    assert len(waits) == 2


def test_a_warm_up_prepares_as_many_caches_as_will_be_used() -> None:
    backend = make_backend(tiny_model(1), capacity=40)
    decoder = StaticDecoder(backend._decoder.graph, capacity=40, record=lambda step: step)
    assert backend._networks is not None
    backend._networks = replace(backend._networks, decoder=decoder)
    backend.warm_up(30, caches=2)
    first, second = backend.new_cache(), backend.new_cache()
    assert first.slot is not second.slot
    assert len(first.slot.recorded) == len(second.slot.recorded) == len(GRAPH_SIZES)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_gpu_writes_what_the_cpu_writes(dtype: Any) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    model = tiny_model(11)
    sequence = Sequence(model)
    tolerance = {torch.float32: 2e-3, torch.bfloat16: 0.25, torch.float16: 0.05}[dtype]
    for cuda_graphs in ("off", "on"):
        backend = make_backend(copy.deepcopy(model).to("cuda", dtype), cuda_graphs=cuda_graphs)
        backend.warm_up(200)
        visual, cache, at = backend.encode_image(sequence.image), backend.new_cache(), sequence.prefix
        parts = [sequence.feed(backend, cache, 0, at, (visual,))]
        for size in (1, 1, 3, 5, 8, 13):
            parts.append(sequence.feed(backend, cache, at, at + size))
            at += size
        assert backend._decoder.records == (cuda_graphs == "on")
        found = np.concatenate(parts)
        known = ~np.isnan(found)
        error = found[known] - sequence.logits[: len(found)][known]
        assert np.sqrt(np.mean(error**2)) < tolerance * sequence.logits.std()
        fork = cache.fork()
        token = make_chunk([5], np.full((3, 1), 70))
        first, second = (backend.forward(each, token, choose=[None]) for each in (cache, fork))
        assert first is not None and second is not None
        np.testing.assert_allclose(first.logits, second.logits, atol=1e-5)


@pytest.mark.gpu
@pytest.mark.parametrize("top_k", [1, 5, 64])
def test_a_gpu_chooses_from_a_large_vocabulary_as_the_cpu_does(top_k: int) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    model = tiny_model(12, text={"vocab_size": 152_000})
    with torch.no_grad():
        head = model.lm_head.weight
        head[1000::3] = head[1000]  # many equal logits
    generator = np.random.default_rng(0)
    digits, labels = (TokenSet(generator.choice(152_000, size, replace=False)) for size in (12, 90_000))
    allowed = [digits, None, labels, TokenSet([7]), digits, TokenSet(range(1000, 152_000, 3)), None]
    chunk = make_chunk(generator.integers(0, 290, len(allowed)), np.tile(np.arange(len(allowed)), (3, 1)))
    found = []
    for device in ("cpu", "cuda"):
        backend = make_backend(copy.deepcopy(model).to(device), capacity=64)
        found.append(backend.forward(backend.new_cache(), chunk, choose=allowed, top_k=top_k))
    one, other = found
    assert one is not None and other is not None
    np.testing.assert_array_equal(other.token_ids[:, 0], one.token_ids[:, 0])
    np.testing.assert_array_equal(other.token_ids[5], one.token_ids[5])  # all equal: the lowest ids, in order
    for name in ("logits", "log_allowed", "log_all"):
        np.testing.assert_allclose(getattr(other, name), getattr(one, name), atol=5e-3)


@pytest.mark.gpu
def test_drafts_that_are_rejected_leave_no_trace_in_recorded_steps() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    model = tiny_model(13)
    sequence, backend = Sequence(model, words=120), make_backend(copy.deepcopy(model).to("cuda"), capacity=300)
    backend.warm_up(100, caches=2)
    visual = backend.encode_image(sequence.image)
    for cache in (backend.new_cache(), backend.new_cache()):
        at = sequence.prefix
        sequence.check(sequence.feed(backend, cache, 0, at, (visual,)), 0, atol=2e-3)
        for size in (1, 3, 13, 1, 24, 2):
            backend.forward(cache, make_chunk([9] * 20, np.full((3, 20), at)), choose=[None] * 20)
            cache.truncate(at)
            sequence.check(sequence.feed(backend, cache, at, at + size), at, atol=2e-3)
            at += size
    assert backend._decoder.records and not backend.notes


@pytest.mark.gpu
def test_a_closed_backend_gives_its_memory_back_and_another_can_be_made() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    for _ in range(2):
        backend = make_backend(tiny_model(14, text={"vocab_size": 152_000}).to("cuda"), capacity=2048)
        backend.warm_up(600, caches=2)
        cache = backend.new_cache()
        assert backend.forward(cache, make_chunk([5], np.zeros((3, 1), int)), choose=[None]) is not None
        assert torch.cuda.memory_allocated() > before + 2**24
        del cache
        backend.close()
        del backend
        gc.collect()
        torch._C._cuda_clearCublasWorkspaces()  # one of 32 MB per stream, not ours
        assert torch.cuda.memory_allocated() <= before + 2**22
