"""Recorded answers: played as they were, within the grammar, and recorded without changing anything."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tokenizers", reason="the tokenizer's package comes with the extra [model]")

from builders import make_frame
from model_training.models.stand_in_tokenizer import train_stand_in_tokenizer
from n3d_ros.codec.frame_input import encode_frame
from n3d_ros.codec.model_input import ImageInput
from n3d_ros.codec.prompts import build_prompt
from n3d_ros.codec.token_set import TokenSet
from n3d_ros.codec.tokenizer import Tokenizer
from n3d_ros.errors import BackendError, ConfigurationError
from n3d_ros.inference.backend import Chunk, InferenceBackend, KvCache
from n3d_ros.inference.recording_backend import RecordingBackend
from n3d_ros.inference.replay_backend import ReplayBackend
from n3d_ros.inference.replay_records import ReplayRecord, image_digest, read_records, write_records

ANSWER = "bbox_0=Bbox(red mug, 杯,512,300,410,500,80,120,75)\n"


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return train_stand_in_tokenizer(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="module")
def image() -> ImageInput:
    depth = np.linspace(0.8, 1.6, 64 * 48, dtype=np.float32).reshape(48, 64)
    return encode_frame(make_frame(depth_m=depth))[0]


def chunk(token_ids: object, backend: InferenceBackend, image: ImageInput | None = None) -> Chunk:
    """Tokens with positions that nobody looks at."""
    ids = np.array(token_ids, dtype=np.int64)
    visual = () if image is None else (backend.encode_image(image),)
    return Chunk(token_ids=ids, position_ids=np.zeros((3, len(ids)), dtype=np.int64), visual=visual)


def answer_of(
    backend: InferenceBackend, tokenizer: Tokenizer, text: str, image: ImageInput | None = None
) -> tuple[str, KvCache]:
    """What a backend writes, token by token, until it ends."""
    prompt = build_prompt(tokenizer, text, None if image is None else image.token_count)
    cache = backend.new_cache()
    backend.forward(cache, chunk(prompt.prefix_ids, backend, image))
    choices = backend.forward(cache, chunk(prompt.suffix_ids, backend), choose=(None,))
    written: list[int] = []
    while choices is not None and (token := int(choices.token_ids[0, 0])) not in tokenizer.eos_ids:
        written.append(token)
        choices = backend.forward(cache, chunk([token], backend), choose=(None,))
    return tokenizer.decode(written), cache


def test_a_recorded_answer_is_played(tokenizer: Tokenizer) -> None:
    backend = ReplayBackend(tokenizer, [ReplayRecord(answer=ANSWER)])
    assert answer_of(backend, tokenizer, "Detect boxes.")[0] == ANSWER


def test_each_prompt_has_its_own_answer(tokenizer: Tokenizer, image: ImageInput) -> None:
    records = [
        ReplayRecord(prompt="Where is the mug?", answer="mug"),
        ReplayRecord(prompt="  Where? \n", answer="blanks"),
        ReplayRecord(answer="else"),
    ]
    backend = ReplayBackend(tokenizer, records)
    for shown in (None, image):
        assert answer_of(backend, tokenizer, "Where is the mug?", shown)[0] == "mug"
        assert answer_of(backend, tokenizer, "  Where? \n", shown)[0] == "blanks"
        assert answer_of(backend, tokenizer, "Where is the <|im_end|> cup?", shown)[0] == "else"


def test_each_image_has_its_own_answer(tokenizer: Tokenizer, image: ImageInput) -> None:
    backend = ReplayBackend(tokenizer, [ReplayRecord(image=image_digest(image), answer="seen")])
    other = encode_frame(make_frame(depth_m=np.linspace(1, 2, 64 * 48).reshape(48, 64)))[0]
    assert image_digest(other) != image_digest(image)
    assert answer_of(backend, tokenizer, "Detect boxes.", image)[0] == "seen"
    assert answer_of(backend, tokenizer, "Detect boxes.", other)[0] == ""


def test_only_allowed_tokens_are_chosen(tokenizer: Tokenizer) -> None:
    backend = ReplayBackend(tokenizer, [ReplayRecord(answer="12")])
    prompt = build_prompt(tokenizer, "Detect boxes.", None)
    digits = {digit: tokenizer.encode(digit)[0] for digit in "0123456789"}
    for allowed, expected in (
        (TokenSet(digits.values()), digits["1"]),
        (TokenSet([digits["7"], digits["9"]]), min(digits["7"], digits["9"])),
        (TokenSet([digits["7"], tokenizer.im_end]), tokenizer.im_end),
    ):
        cache = backend.new_cache()
        choices = backend.forward(cache, chunk(prompt.token_ids, backend), choose=(allowed,), top_k=4)
        assert choices is not None
        assert choices.token_ids[0, 0] == expected
        np.testing.assert_array_equal(choices.logits[0], [0, -np.inf, -np.inf, -np.inf])


def test_a_sequence_that_left_its_record_ends(tokenizer: Tokenizer) -> None:
    backend = ReplayBackend(tokenizer, [ReplayRecord(answer="12")])
    prompt = build_prompt(tokenizer, "Detect boxes.", None)
    choices = backend.forward(
        backend.new_cache(), chunk([*prompt.token_ids, *tokenizer.encode("19")], backend), choose=(None, None, None)
    )
    assert choices is not None
    assert choices.token_ids[:, 0].tolist() == [*tokenizer.encode("12"), tokenizer.im_end]


def test_a_full_cache_is_refused(tokenizer: Tokenizer) -> None:
    backend = ReplayBackend(tokenizer, [], capacity=8)
    with pytest.raises(BackendError, match="at most 8 tokens"):
        backend.forward(backend.new_cache(), chunk(range(9), backend))


def test_a_recording_plays_what_the_runtime_answered(tokenizer: Tokenizer, image: ImageInput, tmp_path: Path) -> None:
    real = RecordingBackend(ReplayBackend(tokenizer, [ReplayRecord(prompt="A?", answer=ANSWER)]), tokenizer)
    answer_of(real, tokenizer, "A?", image)
    answer_of(real, tokenizer, "B?")
    write_records(real.records, tmp_path / "replay.json")
    records = read_records(tmp_path / "replay.json")
    assert records == (
        ReplayRecord(prompt="A?", image=image_digest(image), answer=ANSWER),
        ReplayRecord(prompt="B?", image=None, answer=""),
    )
    assert answer_of(ReplayBackend(tokenizer, records), tokenizer, "A?", image)[0] == ANSWER


def test_a_recording_keeps_what_is_cut_away_for_the_next_question(tokenizer: Tokenizer, image: ImageInput) -> None:
    answers = [ReplayRecord(prompt="A?", answer="first"), ReplayRecord(prompt="B?", answer="second")]
    real = RecordingBackend(ReplayBackend(tokenizer, answers), tokenizer)
    _, cache = answer_of(real, tokenizer, "A?", image)
    prompt = build_prompt(tokenizer, "B?", image.token_count)
    cache.truncate(len(prompt.prefix_ids))
    fork = cache.fork()
    real.forward(fork, chunk([*prompt.suffix_ids, *tokenizer.encode("second")], real), choose=(None,))
    assert [(r.prompt, r.answer) for r in real.records] == [("A?", "first"), ("B?", "second")]


def test_a_rejected_guess_is_not_recorded(tokenizer: Tokenizer) -> None:
    real = RecordingBackend(ReplayBackend(tokenizer, [ReplayRecord(answer="12")]), tokenizer)
    prompt = build_prompt(tokenizer, "A?", None)
    cache = real.new_cache()
    real.forward(cache, chunk([*prompt.token_ids, *tokenizer.encode("19")], real), choose=(None,))
    cache.truncate(cache.length - 1)
    real.forward(cache, chunk(tokenizer.encode("2"), real), choose=(None,))
    assert [r.answer for r in real.records] == ["12"]


@pytest.mark.parametrize(
    "content",
    [
        "[",
        "[]",
        json.dumps({"format": "n3d_replay", "version": 9, "records": []}),
        json.dumps({"format": "n3d_replay", "version": 1, "records": {}}),
        json.dumps({"format": "n3d_replay", "version": 1, "records": [{"prompt": "x"}]}),
        json.dumps({"format": "n3d_replay", "version": 1, "records": [{"prompt": 3, "answer": ""}]}),
    ],
)
def test_a_file_that_is_no_recording_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "replay.json").write_text(content)
    with pytest.raises(ConfigurationError, match="Recorded answers"):
        read_records(tmp_path / "replay.json")


def test_a_missing_recording_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="replay.json"):
        read_records(tmp_path / "replay.json")
