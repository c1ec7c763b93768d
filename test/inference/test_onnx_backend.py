"""Exported graphs in ONNX Runtime against the torch runtime, from logits to the boxes of a frame.

The ladder: the network as transformers runs it, our runtime over a cache (test_torch_backend.py), the graphs here. The
network is of the released models' head geometry: 16 query heads on 2 key heads of 128 channels, 16 vision heads of 80.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra [model] is not installed")
pytest.importorskip("transformers", reason="the extra [model] is not installed")
pytest.importorskip("onnxscript", reason="the extra [model] is not installed")

from safetensors.torch import load_file, save_file  # noqa: E402

from model_training.models.random_model import write_random_model  # noqa: E402
from n3d_ros.codec.grammar import box_grammar, free_text  # noqa: E402
from n3d_ros.codec.model_input import ImageInput  # noqa: E402
from n3d_ros.codec.token_set import TokenSet  # noqa: E402
from n3d_ros.codec.tokenizer import Tokenizer, load_tokenizer  # noqa: E402
from n3d_ros.errors import BackendError, ConfigurationError, InputError  # noqa: E402
from n3d_ros.inference.backend import Chunk  # noqa: E402
from n3d_ros.inference.export.language_model import ExportOptions, export_language_model  # noqa: E402
from n3d_ros.inference.generation import GenerationConfig, GenerationRequest, Generator  # noqa: E402
from n3d_ros.inference.graphs import LanguageModelGraphs, read_graphs  # noqa: E402
from n3d_ros.inference.language_model.config import LanguageModelConfig  # noqa: E402
from n3d_ros.inference.language_model.loading import load_runtime  # noqa: E402
from n3d_ros.inference.onnx_backend import OnnxBackend  # noqa: E402
from n3d_ros.inference.torch_backend import TorchBackend  # noqa: E402
from n3d_ros.model.checkpoint import load_model  # noqa: E402
from scripted_backend import make_prompt  # noqa: E402
from tiny_vlm import make_inputs  # noqa: E402

pytestmark = pytest.mark.timeout(300)  # an export takes half a minute where other tests run beside it

CAPACITY = 256
GRID = (6, 10)
F32, F16 = 1e-4, 3e-2  # of the largest logit


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of the released head geometry, two layers and two blocks."""
    folder = tmp_path_factory.mktemp("random") / "model"
    write_random_model(
        folder,
        size="small",
        dtype="float32",
        position_code="aligned",
        num_hidden_layers=2,
        intermediate_size=512,
        tie_word_embeddings=False,
    )
    _begin_boxes_rather_than_end(folder)
    return folder


def _begin_boxes_rather_than_end(folder: Path) -> None:
    """Noise would end an answer at once."""
    tokenizer, file = load_tokenizer(folder), next(folder.glob("*.safetensors"))
    tensors = load_file(file)
    head = tensors["lm_head.weight"]
    for end in tokenizer.eos_ids:
        head[end] = 2.0 * head[tokenizer.encode("bbox_0")[0]]
    save_file(tensors, file, metadata={"format": "pt"})


@pytest.fixture(scope="module")
def exported(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its graphs for any image size, float32."""
    out = tmp_path_factory.mktemp("graphs") / "float32"
    export_language_model(str(checkpoint), out, ExportOptions())
    return out


@pytest.fixture(scope="module")
def tokenizer(checkpoint: Path) -> Tokenizer:
    return load_tokenizer(checkpoint)


@pytest.fixture(scope="module")
def reference(checkpoint: Path) -> TorchBackend:
    return TorchBackend(load_model(checkpoint, dtype="float32", device="cpu"), capacity=CAPACITY)


@pytest.fixture(scope="module")
def backend(exported: Path) -> Iterator[OnnxBackend]:
    made = OnnxBackend(exported, read_graphs(exported, LanguageModelGraphs), capacity=CAPACITY)
    yield made
    made.close()


def make_image(grid: tuple[int, int] = GRID, seed: int = 0) -> ImageInput:
    inputs = make_inputs([grid], seed)
    points = inputs["point_clouds"][0].numpy().copy()
    points[..., :3][points[..., 3] <= 0] = np.nan
    return ImageInput(pixel_values=inputs["pixel_values"].numpy(), grid=grid, points=points)


def text_chunk(start: int, count: int, seed: int = 0) -> Chunk:
    """Words at places from some on."""
    ids = np.random.default_rng((seed, start)).integers(0, 1000, count)
    return Chunk(token_ids=ids, position_ids=np.tile(np.arange(start, start + count), (3, 1)))


def image_chunk(visual: Any, image_token: int) -> Chunk:
    """An image between two words."""
    ids = np.array([5, *[image_token] * visual.count, 6])
    return Chunk(token_ids=ids, position_ids=np.tile(np.arange(len(ids)), (3, 1)), visual=(visual,))


def logits_after(backend: Any, cache: Any, chunk: Chunk) -> np.ndarray:
    """All logits after every token of a chunk."""
    everything = TokenSet(range(backend.vocab_size))
    choices = backend.forward(cache, chunk, choose=[everything] * len(chunk.token_ids), top_k=32)
    found = np.full((len(chunk.token_ids), backend.vocab_size), np.nan, np.float32)
    np.put_along_axis(found, choices.token_ids, choices.logits, axis=1)
    return found


def assert_alike(found: np.ndarray, expected: np.ndarray, tolerance: float) -> None:
    """Whether the likeliest tokens have the same logits."""
    both = ~np.isnan(found) & ~np.isnan(expected)
    assert both.sum() > 0.9 * (~np.isnan(expected)).sum()
    np.testing.assert_allclose(found[both], expected[both], atol=tolerance * np.nanmax(np.abs(expected)))


@pytest.mark.parametrize("grid", [(6, 10), (8, 8), (4, 14), (2, 2)])
def test_an_image_of_any_size_becomes_the_same_visual_tokens(
    backend: OnnxBackend, reference: TorchBackend, grid: tuple[int, int]
) -> None:
    image = make_image(grid)
    found, expected = backend.encode_image(image).embeds, reference.encode_image(image).embeds
    assert found.shape == expected.shape == (grid[0] * grid[1] // 4, 2048)
    assert (found - expected).abs().max() < F32 * expected.abs().max()


def test_prefill_twenty_steps_and_extensions_give_the_logits_of_torch(
    backend: OnnxBackend, reference: TorchBackend, tokenizer: Tokenizer
) -> None:
    image = make_image()
    caches = [each.new_cache() for each in (backend, reference)]
    chunks = [image_chunk(each.encode_image(image), tokenizer.image_pad) for each in (backend, reference)]
    at = len(chunks[0].token_ids)
    assert_alike(*(logits_after(*pair) for pair in zip((backend, reference), caches, chunks, strict=True)), F32)
    for count in (7, *[1] * 20, 12, 3):
        chunk = text_chunk(at, count)
        pairs = zip((backend, reference), caches, strict=True)
        assert_alike(*(logits_after(each, cache, chunk) for each, cache in pairs), F32)
        at += count
        assert caches[0].length == at


def test_a_prefix_is_used_again_after_other_words_were_tried(backend: OnnxBackend, tokenizer: Tokenizer) -> None:
    cache = backend.new_cache()
    assert backend.forward(cache, image_chunk(backend.encode_image(make_image()), tokenizer.image_pad)) is None
    prefix = cache.length
    first = logits_after(backend, cache, text_chunk(prefix, 9))
    fork = cache.fork()
    cache.truncate(prefix)
    backend.forward(cache, text_chunk(prefix, 30, seed=8))
    assert fork.length == prefix + 9
    cache.truncate(prefix)
    np.testing.assert_array_equal(logits_after(backend, cache, text_chunk(prefix, 9)), first)
    fork.truncate(prefix)
    np.testing.assert_array_equal(logits_after(backend, fork, text_chunk(prefix, 9)), first)
    with pytest.raises(InputError, match="expected 0 to"):
        fork.truncate(prefix + 10)


@pytest.mark.parametrize("kind", ["boxes", "free"])
def test_every_way_of_writing_gives_the_tokens_of_torch(
    backend: OnnxBackend, reference: TorchBackend, tokenizer: Tokenizer, kind: str
) -> None:
    image = make_image()
    prompt = make_prompt(tokenizer, image=image)
    grammar = box_grammar(tokenizer, max_boxes=3) if kind == "boxes" else free_text(tokenizer)
    plain = GenerationConfig(max_new_tokens=40, forced_runs=False, expected_runs=False)
    expected = Generator(reference, tokenizer).generate(prompt, image, grammar=grammar, config=plain)
    assert len(expected.token_ids) > 10
    for forced, guessed, drafted in itertools.product((False, True), repeat=3):
        config = GenerationConfig(max_new_tokens=40, forced_runs=forced, expected_runs=guessed, drafting=drafted)
        found = Generator(backend, tokenizer).generate(prompt, image, grammar=grammar, config=config)
        assert found.token_ids == expected.token_ids
    np.testing.assert_allclose(found.log_probs, expected.log_probs, atol=1e-3)


def test_questions_side_by_side_cancel_and_stream_as_with_torch(backend: OnnxBackend, tokenizer: Tokenizer) -> None:
    image, told = make_image(), []
    requests = [
        GenerationRequest(
            prompt=make_prompt(tokenizer, f"Question {index}?", image=image),
            grammar=box_grammar(tokenizer, max_boxes=3),
            config=GenerationConfig(max_new_tokens=25),
        )
        for index in range(3)
    ]
    generator = Generator(backend, tokenizer, max_parallel=2)
    together = generator.generate_many(requests, image)
    for request, answer in zip(requests, together, strict=True):
        alone = Generator(backend, tokenizer).generate(
            request.prompt, image, grammar=request.grammar, config=request.config
        )
        assert alone.token_ids == answer.token_ids
    stopped = generator.generate(
        requests[0].prompt,
        image,
        grammar=requests[0].grammar,
        config=requests[0].config,
        on_tokens=lambda steps: told.extend(step.token_id for step in steps),
        is_cancelled=lambda: len(told) > 8,
    )
    assert stopped.finish_reason == "cancelled" and tuple(told) == stopped.token_ids
    assert stopped.token_ids == together[0].token_ids[: len(told)]


def test_a_cache_that_is_used_again_forgets_what_was_in_it(backend: OnnxBackend) -> None:
    cache, fresh = backend.new_cache(), backend.new_cache()
    backend.forward(cache, text_chunk(0, 20))
    with torch.inference_mode():
        cache.memory[:] = float("nan")  # whatever a sequence before it left
    cache.truncate(0)
    np.testing.assert_array_equal(
        logits_after(backend, cache, text_chunk(0, 6)), logits_after(backend, fresh, text_chunk(0, 6))
    )


def test_graphs_in_safe_attention_and_float16_stay_within_their_tolerance(
    checkpoint: Path, tmp_path: Path, reference: TorchBackend, tokenizer: Tokenizer
) -> None:
    made = export_language_model(
        str(checkpoint), tmp_path / "half", ExportOptions(dtype="float16", attention="safe", image=(2000, 100))
    )
    assert isinstance(made.graphs, LanguageModelGraphs)
    assert (made.graphs.dtype, made.graphs.attention) == ("float16", "safe")
    halved = OnnxBackend(tmp_path / "half", made.graphs, capacity=CAPACITY)
    image = make_image(made.graphs.grid or GRID)
    caches = [each.new_cache() for each in (halved, reference)]
    chunks = [image_chunk(each.encode_image(image), tokenizer.image_pad) for each in (halved, reference)]
    for pair in (chunks, [text_chunk(len(chunks[0].token_ids), 8)] * 2):
        found, expected = (
            logits_after(each, cache, chunk)
            for each, cache, chunk in zip((halved, reference), caches, pair, strict=True)
        )
        both = ~np.isnan(found) & ~np.isnan(expected)
        assert np.abs(found[both] - expected[both]).max() < F16 * np.nanmax(np.abs(expected))
    with pytest.raises(InputError, match="made for 46x2 patches, this one has 10x6"):
        halved.encode_image(make_image())


# ------------------------------------------------------------------------------------------------- what is refused


def test_calls_that_cannot_be_done_are_refused(backend: OnnxBackend, reference: TorchBackend) -> None:
    with pytest.raises(InputError, match="made by this backend"):
        backend.forward(reference.new_cache(), text_chunk(0, 3))
    cache = backend.new_cache()
    with pytest.raises(BackendError, match="300 more do not fit"):
        backend.forward(cache, text_chunk(0, 300))
    with pytest.raises(InputError, match="at most 2 places"):
        backend.forward(cache, text_chunk(0, 2), choose=[None] * 3)
    with pytest.raises(InputError, match="expected 0 to 4095"):
        backend.forward(cache, Chunk(token_ids=np.array([4096]), position_ids=np.zeros((3, 1), np.int64)))
    assert cache.length == 0


def test_a_closed_runtime_says_so(exported: Path) -> None:
    closed = OnnxBackend(exported, read_graphs(exported, LanguageModelGraphs), capacity=32)
    closed.close()
    closed.close()
    with pytest.raises(BackendError, match="this one was closed"):
        closed.encode_image(make_image())
    with pytest.raises(BackendError, match="16 tokens or more"):
        OnnxBackend(exported, read_graphs(exported, LanguageModelGraphs), capacity=8)


def config_of(folder: Path, **more: Any) -> LanguageModelConfig:
    return LanguageModelConfig(model=str(folder), device="cpu", capacity=1024, max_new_tokens=512, **more)


def test_a_folder_of_graphs_is_run_by_onnx_runtime_without_being_told(exported: Path, checkpoint: Path) -> None:
    told: list[float] = []
    runtime = load_runtime(config_of(exported), lambda _sentence, share: told.append(share))
    assert (runtime.backend.name, runtime.position_code) == ("onnx", "aligned")
    assert told == sorted(told) and len(told) > 5
    assert any("float32, any image size" in fact for fact in runtime.facts)
    runtime.backend.close()
    noted = load_runtime(config_of(exported, compile=True))
    assert any("language_model.compile is not for ONNX Runtime" in fact for fact in noted.facts)
    noted.backend.close()
    assert load_runtime(config_of(checkpoint)).backend.name == "torch"


def test_what_is_not_whole_or_not_wanted_is_refused_before_it_runs(
    exported: Path, checkpoint: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match="there is no n3d_graphs.json"):
        load_runtime(config_of(checkpoint, backend="onnx"))
    for setting in ({"dtype": "bfloat16"}, {"position_code": "reference"}):
        with pytest.raises(ConfigurationError, match=rf"language_model.{next(iter(setting))}: expected auto or"):
            load_runtime(config_of(exported, **setting))
    with pytest.raises(ConfigurationError, match="holds exported graphs, which PyTorch does not run"):
        load_runtime(config_of(exported, backend="torch"))
    with pytest.raises(ConfigurationError, match="The model does not fit"):
        load_runtime(config_of(exported, memory_limit_gb=0.1))
    broken = tmp_path / "broken"
    shutil.copytree(exported, broken)
    with (broken / "decoder.data").open("r+b") as file:
        file.truncate(1000)
    with pytest.raises(ConfigurationError, match=r"decoder\.data: expected sha256"):
        load_runtime(config_of(broken))
    (broken / "decoder.data").unlink()
    with pytest.raises(ConfigurationError, match=r"decoder\.data: expected this file"):
        load_runtime(config_of(broken))
