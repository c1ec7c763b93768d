"""The words that are one token each."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("tokenizers", reason="the package tokenizers (make setup MODEL=1) is not installed")

from model_training.nano.tokenizer import write_nano_tokenizer
from model_training.scenes.entries import CATALOGUE
from n3d_ros.codec.prompts import grounding_text
from n3d_ros.codec.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return write_nano_tokenizer(tmp_path_factory.mktemp("words"))


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_what_the_scenes_hold_has_one_token_per_word(tokenizer: Tokenizer, name: str) -> None:
    assert len(tokenizer.encode(f"bbox_0=Bbox({name},1,2,3,500,5,6,7)\n")) == 9 + len(name.split())
    assert (
        len(tokenizer.encode(grounding_text([name])))
        == len(tokenizer.encode(grounding_text(["mug"]))) + len(name.split()) - 1
    )


def test_it_is_small(tokenizer: Tokenizer) -> None:
    assert tokenizer.vocab_size <= 3400


def test_writing_it_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_nano_tokenizer(tmp_path / name)
    assert (tmp_path / "one" / "tokenizer.json").read_bytes() == (tmp_path / "two" / "tokenizer.json").read_bytes()
