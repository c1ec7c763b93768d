"""A runtime held against what the network said: figures, limits, and what is found out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra [model] is not installed")
pytest.importorskip("transformers", reason="the extra [model] is not installed")

from n3d_ros.codec.input_options import InputOptions, read_input_options
from n3d_ros.codec.prompts import build_prompt, detection_text
from n3d_ros.codec.tokenizer import Tokenizer, load_tokenizer
from n3d_ros.errors import BackendError, CancelledError, ConfigurationError
from n3d_ros.inference.backend import Choices, Chunk
from n3d_ros.inference.graphs import GOLDENS_FILE
from n3d_ros.inference.self_test import (
    GOLDEN_CAPACITY,
    LIMITS,
    PREFIXES,
    STEPS,
    Goldens,
    failures,
    measure,
    read_goldens,
    record_goldens,
    write_goldens,
)
from n3d_ros.inference.torch_backend import TorchBackend
from n3d_ros.model.checkpoint import LoadedModel, load_model


@pytest.fixture(scope="module")
def loaded() -> LoadedModel:
    return load_model("n3d-nano", dtype="float32", device="cpu")


@pytest.fixture(scope="module")
def backend(loaded: LoadedModel) -> TorchBackend:
    return TorchBackend(loaded, capacity=GOLDEN_CAPACITY)


@pytest.fixture(scope="module")
def tokenizer(loaded: LoadedModel) -> Tokenizer:
    return load_tokenizer(loaded.folder)


@pytest.fixture(scope="module")
def options(loaded: LoadedModel) -> InputOptions:
    return read_input_options(loaded.folder)


@pytest.fixture(scope="module")
def goldens(backend: TorchBackend, tokenizer: Tokenizer, options: InputOptions, tmp_path_factory: Any) -> Goldens:
    """Recorded, written and read."""
    file: Path = tmp_path_factory.mktemp("goldens") / GOLDENS_FILE
    told: list[float] = []
    made = record_goldens(
        backend, tokenizer, options, yaw="free", size=(320, 240), on_progress=lambda _text, share: told.append(share)
    )
    assert told == sorted(told)
    write_goldens(file, made)
    again = file.with_name("again.safetensors")
    write_goldens(again, made)
    assert file.read_bytes() == again.read_bytes()
    return read_goldens(file)


class Changed:
    """A runtime of which one thing is wrong.

    Args:
        backend: that computes rightly.
        scale: by which three visual tokens are multiplied.
        shift: rows by which choices are rolled when some tokens are read at a time.
        only_pieces: whether single tokens stay right.
        behind: tokens from which on choices are wrong.
        log_off: is added to the sum over the vocabulary.
    """

    def __init__(
        self,
        backend: TorchBackend,
        *,
        scale: float = 1.0,
        shift: int = 0,
        only_pieces: bool = False,
        behind: int = 0,
        log_off: float = 0.0,
    ) -> None:
        self._log_off = log_off
        self._backend, self._scale, self._shift = backend, scale, shift
        self._only_pieces, self._behind = only_pieces, behind
        self.name, self.device, self.dtype = "changed", backend.device, backend.dtype
        self.vocab_size, self.capacity = backend.vocab_size, backend.capacity
        self.new_cache, self.close = backend.new_cache, backend.close

    def encode_image(self, image: Any) -> Any:
        visual = self._backend.encode_image(image)
        visual.embeds = visual.embeds.clone()
        visual.embeds[:3] *= self._scale
        return visual

    def forward(self, cache: Any, chunk: Chunk, *, choose: Sequence[Any] = (), top_k: int = 1) -> Choices | None:
        is_wrong = cache.length >= self._behind and not (self._only_pieces and len(chunk.token_ids) == 1)
        choices = self._backend.forward(cache, chunk, choose=choose, top_k=top_k)
        if choices is None or not is_wrong:
            return choices
        rolled = np.roll(choices.logits, self._shift, axis=1)
        return replace(choices, logits=rolled, log_all=choices.log_all + np.float32(self._log_off))


def test_the_network_passes_its_own_test(
    backend: TorchBackend, tokenizer: Tokenizer, options: InputOptions, goldens: Goldens
) -> None:
    told: list[float] = []
    found = measure(backend, tokenizer, options, goldens, lambda _text, share: told.append(share))
    assert failures(found, "float32") == []
    assert told == sorted(told)
    assert len(found) == 2 + 2 * 4 * (1 + len(PREFIXES)) + 2
    assert found["same_boxes"] == 1.0 and found["box_mm"] == 0.0
    assert {name: len(places.token_ids) for name, places in goldens.places.items() if name != "picture"} == {
        str(length): STEPS for length in PREFIXES
    }


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({"scale": -1.0}, "vision_least_cosine"),
        ({"shift": 1}, "picture_steps_same_choice"),
        ({"log_off": 1.5}, "text448_steps_log_sum"),
        ({"shift": 1, "only_pieces": True}, "text448_pieces_same_choice"),
        ({"shift": 1, "behind": 1000}, "text1472_steps_same_choice"),
    ],
)
def test_a_runtime_that_is_wrong_somewhere_is_found_out_there(
    backend: TorchBackend,
    tokenizer: Tokenizer,
    options: InputOptions,
    goldens: Goldens,
    fault: dict[str, Any],
    expected: str,
) -> None:
    changed: Any = Changed(backend, **fault)
    found = measure(changed, tokenizer, options, goldens)
    for dtype in LIMITS:
        told = failures(found, dtype)
        assert any(each.startswith(f"{expected} ") for each in told)
        if fault.get("behind"):
            assert all(each.startswith("text1472") for each in told)
        if fault.get("only_pieces"):
            assert not any("_steps_" in each for each in told)


def test_what_is_no_number_fails(backend: TorchBackend) -> None:
    found = {"vision_cosine": float("nan"), "box_mm": float("nan"), "same_boxes": 1.0}
    assert [each.split()[0] for each in failures(found, "bfloat16")] == ["vision_cosine", "box_mm"]


def test_a_short_capacity_leaves_the_long_text_out(
    loaded: LoadedModel, tokenizer: Tokenizer, options: InputOptions, goldens: Goldens
) -> None:
    short = TorchBackend(loaded, capacity=512)
    found = measure(short, tokenizer, options, goldens)
    assert any(name.startswith("text448") for name in found)
    assert not any(name.startswith("text1472") for name in found)


def test_a_prompt_that_leaves_little_room_is_compared_as_far_as_it_goes(
    loaded: LoadedModel,
    backend: TorchBackend,
    tokenizer: Tokenizer,
    options: InputOptions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("n3d_ros.inference.self_test.PREFIXES", (30,))
    kept = record_goldens(backend, tokenizer, options, yaw="free", size=(320, 240))
    assert len(kept.answer) > 50
    prompt = len(build_prompt(tokenizer, detection_text(), len(kept.visual)).token_ids)
    for capacity, is_compared in ((prompt + 40, True), (prompt - 5, False)):
        found = measure(TorchBackend(loaded, capacity=capacity), tokenizer, options, kept)
        assert failures(found, "float32") == []
        assert ("picture_steps_cosine" in found) is ("box_mm" in found) is is_compared


def test_a_capacity_without_room_for_text_is_refused(
    loaded: LoadedModel, tokenizer: Tokenizer, options: InputOptions, goldens: Goldens
) -> None:
    with pytest.raises(BackendError, match="expected room for 512 tokens, got 400"):
        measure(TorchBackend(loaded, capacity=400), tokenizer, options, goldens)


def test_numbers_of_another_tokenizer_or_image_size_are_told(
    backend: TorchBackend, tokenizer: Tokenizer, options: InputOptions, goldens: Goldens
) -> None:
    other = replace(goldens, answer=goldens.answer[:-1])
    with pytest.raises(BackendError, match="kept of another tokenizer or prompt"):
        measure(backend, tokenizer, options, other)
    found = measure(backend, tokenizer, replace(options, long_side=224), goldens)
    assert np.isnan(found["vision_cosine"]) and failures(found, "float32")


def test_stopping_ends_the_test(
    backend: TorchBackend, tokenizer: Tokenizer, options: InputOptions, goldens: Goldens
) -> None:
    def stop(_text: str, _share: float) -> None:
        raise CancelledError("enough")

    with pytest.raises(CancelledError):
        measure(backend, tokenizer, options, goldens, stop)


@pytest.mark.parametrize("content", [None, b"", b"no tensors"])
def test_a_file_that_holds_no_goldens_is_refused(content: bytes | None, tmp_path: Path) -> None:
    file = tmp_path / GOLDENS_FILE
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError, match="export the model again"):
        read_goldens(file)


def test_goldens_of_another_format_are_refused(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    file = tmp_path / GOLDENS_FILE
    save_file({"visual": np.zeros(3, np.float16)}, file, metadata={"n3d_goldens": '{"format": 2}'})
    with pytest.raises(ConfigurationError, match="expected goldens of format 1"):
        read_goldens(file)
