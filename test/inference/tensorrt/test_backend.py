"""The runtime of engines beside ONNX Runtime on the same graphs.

The stand-in computes each call from the shapes and addresses that it is given, so a row that is read or written in the
wrong place, a mask or a padding that is wrong shows in the numbers.
"""

from __future__ import annotations

import gc
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra [model] is not installed")
for name in ("transformers", "onnxscript", "onnxruntime"):
    pytest.importorskip(name, reason="the extra [model] is not installed")

from n3d_ros.codec.frame_input import encode_frame  # noqa: E402
from n3d_ros.codec.grammar import box_grammar, free_text  # noqa: E402
from n3d_ros.codec.input_options import read_input_options  # noqa: E402
from n3d_ros.codec.model_input import ImageInput  # noqa: E402
from n3d_ros.codec.prompts import build_prompt, detection_text  # noqa: E402
from n3d_ros.codec.tokenizer import Tokenizer, load_tokenizer  # noqa: E402
from n3d_ros.errors import BackendError, InputError  # noqa: E402
from n3d_ros.inference.backend import Chunk  # noqa: E402
from n3d_ros.inference.generation import GenerationConfig, Generator  # noqa: E402
from n3d_ros.inference.golden_scene import golden_frame  # noqa: E402
from n3d_ros.inference.graphs import DECODER, VISION, LanguageModelGraphs, read_graphs  # noqa: E402
from n3d_ros.inference.onnx_backend import OnnxBackend  # noqa: E402
from n3d_ros.inference.tensorrt import api, profiles  # noqa: E402
from n3d_ros.inference.tensorrt.backend import RECORDED_SIZES, TensorRtBackend  # noqa: E402
from n3d_ros.inference.tensorrt.job import BuildJob  # noqa: E402
from tensorrt_standin import load_standin  # noqa: E402

pytestmark = pytest.mark.timeout(300)  # an export takes half a minute where other tests run beside it

CAPACITY = 400
BUCKET = 256
CLOSE = 1e-4


@pytest.fixture(scope="module")
def standin() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(profiles, "SMALLEST_BUCKET", BUCKET)
        yield load_standin(patch)


@pytest.fixture(scope="module")
def plans(standin: Any, nano_graphs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Plans of both graphs with two buckets."""
    folder = tmp_path_factory.mktemp("plans")
    graphs = read_graphs(nano_graphs, LanguageModelGraphs)
    of = {
        VISION: profiles.vision_profiles(graphs, read_input_options(nano_graphs)),
        DECODER: profiles.decoder_profiles(CAPACITY),
    }
    for graph, ranges in of.items():
        job = BuildJob(
            graph=str(nano_graphs / f"{graph}.onnx"),
            plan=str(folder / f"{graph}.plan"),
            profiles=tuple(profile.dimensions for profile in ranges),
        )
        api.build(standin, job, tell=lambda *_: None, log=print)
    return folder


class Recorder:
    """Keeps what is recorded, and plays it again as it is."""

    def __init__(self) -> None:
        self.recorded = 0

    def __call__(self, step: Callable[[], None]) -> Callable[[], None]:
        self.recorded += 1
        step()
        return step


@pytest.fixture(params=["recorded", "call by call"])
def backend(request: pytest.FixtureRequest, standin: Any, plans: Path, nano_graphs: Path) -> Iterator[TensorRtBackend]:
    made = make_backend(standin, plans, nano_graphs, Recorder() if request.param == "recorded" else None)
    yield made
    made.close()


def make_backend(standin: Any, plans: Path, folder: Path, record: Any = None, **more: Any) -> TensorRtBackend:
    options = {"capacity": CAPACITY, "device": torch.device("cpu"), "record": record, **more}
    return TensorRtBackend(folder, plans, read_graphs(folder, LanguageModelGraphs), standin, **options)


@pytest.fixture(scope="module")
def reference(nano_graphs: Path) -> OnnxBackend:
    return OnnxBackend(nano_graphs, read_graphs(nano_graphs, LanguageModelGraphs), capacity=CAPACITY)


@pytest.fixture(scope="module")
def tokenizer(nano_graphs: Path) -> Tokenizer:
    return load_tokenizer(nano_graphs)


@pytest.fixture(scope="module")
def image(nano_graphs: Path) -> ImageInput:
    return encode_frame(golden_frame(320, 240), read_input_options(nano_graphs))[0]


def text(start: int, count: int, seed: int = 0) -> Chunk:
    """Words at places from some on."""
    ids = np.random.default_rng((seed, start)).integers(0, 500, count)
    return Chunk(token_ids=ids, position_ids=np.tile(np.arange(start, start + count), (3, 1)))


def choices_after(each: Any, cache: Any, chunk: Chunk, wanted: int | None = None) -> Any:
    count = len(chunk.token_ids) if wanted is None else wanted
    return each.forward(cache, chunk, choose=[None] * count, top_k=12)


def assert_alike(found: Any, expected: Any) -> None:
    assert found.token_ids.shape == expected.token_ids.shape
    np.testing.assert_allclose(found.logits, expected.logits, atol=CLOSE * np.abs(expected.logits).max())
    np.testing.assert_allclose(found.log_all, expected.log_all, atol=1e-4)


def test_an_image_becomes_the_same_visual_tokens(
    backend: TensorRtBackend, reference: OnnxBackend, image: ImageInput
) -> None:
    found, expected = backend.encode_image(image).embeds, reference.encode_image(image).embeds
    assert (found - expected).abs().max() < CLOSE * expected.abs().max()


def test_chunks_of_every_length_across_buckets_give_the_logits_of_onnx_runtime(
    backend: TensorRtBackend, reference: OnnxBackend
) -> None:
    caches = [backend.new_cache(), reference.new_cache()]
    start = 0
    for count in (30, 1, 1, 2, 3, 5, 16, 17, 64, 65, 40, *[1] * 8, 11, 1, 100, 24, 7, 3, 1, 1):
        pairs = zip((backend, reference), caches, strict=True)
        assert_alike(*(choices_after(each, cache, text(start, count)) for each, cache in pairs))
        start += count
        assert caches[0].length == start
    assert start == CAPACITY


@pytest.mark.parametrize("wanted", [0, 1, 5, 64, 65, 130])
def test_only_the_last_places_that_are_wanted_come_back(
    backend: TensorRtBackend, reference: OnnxBackend, wanted: int
) -> None:
    for first in (0, 9):
        caches = [backend.new_cache(), reference.new_cache()]
        for each, cache in zip((backend, reference), caches, strict=True):
            if first:
                each.forward(cache, text(0, first))
        found, expected = (
            each.forward(cache, text(first, 130), choose=[None] * wanted, top_k=4)
            for each, cache in zip((backend, reference), caches, strict=True)
        )
        if wanted == 0:
            assert found is None
        else:
            assert_alike(found, expected)
        assert_alike(*(choices_after(e, c, text(first + 130, 3)) for e, c in zip((backend, reference), caches)))  # noqa: B905


def test_an_image_behind_text_is_read_where_it_stands(
    backend: TensorRtBackend, reference: OnnxBackend, image: ImageInput, tokenizer: Tokenizer
) -> None:
    found = []
    for each in (backend, reference):
        cache = each.new_cache()
        each.forward(cache, text(0, 20))
        visual = each.encode_image(image)
        ids = np.array([5, *[tokenizer.image_pad] * visual.count, 6])
        chunk = Chunk(token_ids=ids, position_ids=np.tile(np.arange(20, 20 + len(ids)), (3, 1)), visual=(visual,))
        found.append(choices_after(each, cache, chunk))
    assert_alike(*found)


def test_a_prefix_is_used_again_after_other_words_were_tried(backend: TensorRtBackend) -> None:
    cache = backend.new_cache()
    backend.forward(cache, text(0, 40))
    first = choices_after(backend, cache, text(40, 9))
    fork = cache.fork()
    cache.truncate(40)
    backend.forward(cache, text(40, 30, seed=8))
    for each in (cache, fork):
        each.truncate(40)
        again = choices_after(backend, each, text(40, 9))
        np.testing.assert_array_equal(again.logits, first.logits)


@pytest.mark.parametrize("kind", ["boxes", "free"])
def test_every_way_of_writing_gives_the_tokens_of_onnx_runtime(
    backend: TensorRtBackend, reference: OnnxBackend, tokenizer: Tokenizer, image: ImageInput, kind: str
) -> None:
    prompt = build_prompt(tokenizer, detection_text(), image.token_count)
    grammar = box_grammar(tokenizer, max_boxes=3) if kind == "boxes" else free_text(tokenizer)
    plain = GenerationConfig(max_new_tokens=40, forced_runs=False, expected_runs=False)
    expected = Generator(reference, tokenizer).generate(prompt, image, grammar=grammar, config=plain)
    assert len(expected.token_ids) > 10
    generator, told = Generator(backend, tokenizer), []
    for forced, guessed, drafted in itertools.product((False, True), repeat=3):
        config = GenerationConfig(max_new_tokens=40, forced_runs=forced, expected_runs=guessed, drafting=drafted)
        found = generator.generate(prompt, image, grammar=grammar, config=config)
        assert found.token_ids == expected.token_ids
    assert found.prefix_reused
    stopped = generator.generate(
        prompt,
        image,
        grammar=grammar,
        config=plain,
        on_tokens=lambda steps: told.extend(step.token_id for step in steps),
        is_cancelled=lambda: len(told) > 5,
    )
    assert stopped.finish_reason == "cancelled"
    assert tuple(told) == stopped.token_ids == expected.token_ids[: len(told)]


def test_steps_are_recorded_once_per_cache_size_and_bucket(standin: Any, plans: Path, nano_graphs: Path) -> None:
    recorder = Recorder()
    made = make_backend(standin, plans, nano_graphs, recorder)
    made.warm_up(100, caches=2)
    assert recorder.recorded == 2 * 2 * len(RECORDED_SIZES)  # caches, buckets, sizes
    caches = [made.new_cache(), made.new_cache()]
    for cache in caches:
        made.forward(cache, text(0, 250))
        for start in range(250, 262):
            made.forward(cache, text(start, 1))
    del cache, caches
    gc.collect()
    made.forward(again := made.new_cache(), text(0, 10))
    made.forward(again, text(10, 3))
    assert recorder.recorded == 2 * 2 * len(RECORDED_SIZES)
    runs = [call[1] for call in standin.calls if call[0] == "run"]
    assert runs[-1]["embeds"][0] == 4 and runs[-1]["past_mask"] == (1, BUCKET)  # 3 tokens, padded
    made.close()


def test_the_oldest_recorded_steps_are_let_go(
    standin: Any, plans: Path, nano_graphs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("n3d_ros.inference.tensorrt.backend.MOST_RECORDED", 2)
    recorder = Recorder()
    made = make_backend(standin, plans, nano_graphs, recorder)
    made.forward(cache := made.new_cache(), text(0, 10))
    for start, count in ((10, 1), (11, 2), (13, 4), (17, 1)):
        made.forward(cache, text(start, count))
    assert recorder.recorded == 4  # the first was let go, and recorded again
    made.close()


def test_where_recording_fails_steps_go_on_without_it(
    standin: Any, plans: Path, nano_graphs: Path, reference: OnnxBackend
) -> None:
    def refuse(_step: Callable[[], None]) -> Callable[[], None]:
        raise RuntimeError("operation not permitted when stream is capturing")

    made = make_backend(standin, plans, nano_graphs, refuse)
    caches = [made.new_cache(), reference.new_cache()]
    for start, count in ((0, 10), (10, 3), (13, 1)):
        pairs = zip((made, reference), caches, strict=True)
        assert_alike(*(choices_after(each, cache, text(start, count)) for each, cache in pairs))
    assert len(made.notes) == 1 and "CUDA graphs failed" in made.notes[0]
    made.close()


def test_every_layer_of_a_cache_begins_at_an_aligned_address_whatever_its_capacity(
    standin: Any, nano_graphs: Path, plans: Path, tmp_path: Path
) -> None:
    graphs = read_graphs(nano_graphs, LanguageModelGraphs)
    job = BuildJob(
        graph=str(nano_graphs / "decoder.onnx"),
        plan=str(tmp_path / "decoder.plan"),
        profiles=tuple(profile.dimensions for profile in profiles.decoder_profiles(333)),
    )
    api.build(standin, job, tell=lambda *_: None, log=print)
    (tmp_path / "vision.plan").write_bytes((plans / "vision.plan").read_bytes())
    made = make_backend(standin, tmp_path, nano_graphs, Recorder(), capacity=333)
    cache = made.new_cache()
    assert cache.capacity == 333
    assert all(layer.data_ptr() % api.ALIGNMENT == 0 for layer in cache.memory)
    assert len(cache.memory) == graphs.layers
    made.forward(cache, text(0, 330))
    assert choices_after(made, cache, text(330, 3)).token_ids.shape == (3, 12)
    with pytest.raises(BackendError, match="1 more do not fit"):
        made.forward(cache, text(333, 1))
    made.close()


def test_an_engine_for_another_capacity_is_refused(standin: Any, plans: Path, nano_graphs: Path) -> None:
    with pytest.raises(BackendError, match="expected 3 profiles for 200 tokens, got 5"):
        make_backend(standin, plans, nano_graphs, capacity=200)


def test_a_closed_runtime_and_a_strange_cache_are_refused(
    standin: Any, plans: Path, nano_graphs: Path, reference: OnnxBackend, image: ImageInput
) -> None:
    made, other = (make_backend(standin, plans, nano_graphs) for _ in range(2))
    for cache in (reference.new_cache(), other.new_cache()):
        with pytest.raises(InputError, match="made by this backend"):
            made.forward(cache, text(0, 3))
    made.close()
    made.close()
    for call in (made.new_cache, lambda: made.encode_image(image)):
        with pytest.raises(BackendError, match="this one was closed"):
            call()
