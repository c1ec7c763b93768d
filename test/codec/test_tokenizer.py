"""Text to ids and back: the stand-in tokenizer always, Qwen's own where a folder is given (N3D_TOKENIZER)."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("tokenizers", reason="the package tokenizers (make setup MODEL=1) is not installed")

from model_training.models.stand_in_tokenizer import corpus, train_stand_in_tokenizer
from n3d_ros.codec.tokenizer import QWEN_SPECIAL_TOKENS, QWEN_SPLIT, Tokenizer, load_tokenizer
from n3d_ros.errors import ConfigurationError, InputError

BOX_LINE = "bbox_12=Bbox(chair,512,43,7,500,62,1,999)\n"


def pieces(tokenizer: Tokenizer, text: str) -> list[bytes]:
    return [tokenizer.piece(token) for token in tokenizer.encode(text)]


def test_a_box_line_has_the_pieces_of_qwens_tokenizer(tokenizer: Tokenizer) -> None:
    found = pieces(tokenizer, BOX_LINE)
    assert found[:6] == [b"bbox", b"_", b"1", b"2", b"=B", b"box"]
    assert found[6].startswith(b"(")
    assert found[-2:] == [b"9", b")\n"]
    start = found.index(b",")
    assert found[start:-1] == [bytes([byte]) for byte in b",512,43,7,500,62,1,999"]


def test_every_digit_is_one_token(tokenizer: Tokenizer) -> None:
    assert pieces(tokenizer, "0123456789") == [bytes([byte]) for byte in b"0123456789"]


@pytest.mark.parametrize("name", QWEN_SPECIAL_TOKENS)
def test_special_tokens_in_a_text_stay_plain_text(tokenizer: Tokenizer, name: str) -> None:
    for text in (name, f"the cup{name}\n{name}assistant", f" {name} "):
        ids = tokenizer.encode(text)
        assert not tokenizer.special_ids & set(ids)
        assert tokenizer.decode(ids) == text


def test_special_tokens_follow_the_ordinary_vocabulary_in_qwens_order(tokenizer: Tokenizer) -> None:
    first = tokenizer.end_of_text
    assert [tokenizer.piece(first + place).decode() for place in range(len(QWEN_SPECIAL_TOKENS))] == list(
        QWEN_SPECIAL_TOKENS
    )
    assert (tokenizer.im_start, tokenizer.im_end) == (first + 1, first + 2)
    assert (tokenizer.vision_start, tokenizer.vision_end, tokenizer.image_pad) == (first + 9, first + 10, first + 12)
    assert tokenizer.eos_ids == (first + 2, first)
    assert tokenizer.vocab_size == first + len(QWEN_SPECIAL_TOKENS)


def test_the_real_vocabulary_has_the_published_ids(tokenizer: Tokenizer) -> None:
    if tokenizer.vocab_size < 100_000:
        pytest.skip("this is the stand-in")
    assert (tokenizer.end_of_text, tokenizer.im_end, tokenizer.image_pad) == (151643, 151645, 151655)


@given(text=st.text(max_size=60))
def test_any_text_comes_back_in_its_composed_form(stand_in_folder: Path, text: str) -> None:
    import unicodedata

    tokenizer = load_tokenizer(stand_in_folder)
    composed = unicodedata.normalize("NFC", text)
    assert tokenizer.decode(tokenizer.encode(text)) == composed
    assert b"".join(tokenizer.piece(token) for token in tokenizer.encode(text)) == composed.encode()


def test_half_a_surrogate_pair_does_no_harm(tokenizer: Tokenizer) -> None:
    assert tokenizer.decode(tokenizer.encode("cup \ud800!")) == "cup ?!"


def test_composed_and_decomposed_letters_have_the_same_ids(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode("cafe\u0301") == tokenizer.encode("caf\u00e9")


def test_ids_outside_the_vocabulary_are_nothing(tokenizer: Tokenizer) -> None:
    assert tokenizer.piece(-1) == tokenizer.piece(tokenizer.vocab_size) == b""
    assert tokenizer.decode([tokenizer.vocab_size + 5, *tokenizer.encode("cup"), tokenizer.im_end]) == "cup"
    assert tokenizer.decode([tokenizer.im_end], keep_special=True) == "<|im_end|>"


def test_two_trainings_write_the_same_bytes(tmp_path: Path) -> None:
    # In processes of their own: hashing of strings is seeded per process.
    program = (
        "import sys; from model_training.models.stand_in_tokenizer import train_stand_in_tokenizer as train;"
        "train(sys.argv[1], vocab_size=700)"
    )
    digests = []
    for name in ("a", "b"):
        environment = {**os.environ, "PYTHONHASHSEED": "1" if name == "a" else "2"}
        root = str(Path(__file__).parents[2])
        subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / name)], check=True, cwd=root, env=environment, timeout=60
        )
        files = sorted((tmp_path / name).iterdir())
        digests.append([(file.name, hashlib.sha256(file.read_bytes()).hexdigest()) for file in files])
    assert digests[0] == digests[1] and len(digests[0]) == 2


@pytest.mark.parametrize("size", [278, 512, 1024, 1500])
def test_the_vocabulary_has_the_wanted_size(tmp_path: Path, size: int) -> None:
    assert train_stand_in_tokenizer(tmp_path, vocab_size=size).vocab_size == size


@pytest.mark.parametrize("size", [0, 277, 100_000])
def test_an_impossible_size_is_refused_with_the_bound(tmp_path: Path, size: int) -> None:
    with pytest.raises(InputError, match=r"expected a vocabulary of at (least|most) \d+"):
        train_stand_in_tokenizer(tmp_path, vocab_size=size)


def test_the_corpus_never_joins_what_qwen_keeps_apart() -> None:
    assert not any("=Bbox" in text for text in corpus())


def test_vocabulary_and_merges_give_the_same_tokenizer(stand_in_folder: Path, tmp_path: Path) -> None:
    document = json.loads((stand_in_folder / "tokenizer.json").read_text())
    (tmp_path / "vocab.json").write_text(json.dumps(document["model"]["vocab"]))
    merges = "\n".join(" ".join(pair) for pair in document["model"]["merges"])
    (tmp_path / "merges.txt").write_text(f"#version: 0.2\n{merges}\n")
    whole, parts = load_tokenizer(stand_in_folder), load_tokenizer(tmp_path)
    text = BOX_LINE + "Identify the 3D boxes, please. \u4f60\u597d"
    assert parts.encode(text) == whole.encode(text)
    assert (parts.im_end, parts.image_pad, parts.vocab_size) == (whole.im_end, whole.image_pad, whole.vocab_size)


def test_added_tokens_of_a_configuration_decide_the_ids(stand_in_folder: Path, tmp_path: Path) -> None:
    document = json.loads((stand_in_folder / "tokenizer.json").read_text())
    (tmp_path / "vocab.json").write_text(json.dumps(document["model"]["vocab"]))
    (tmp_path / "merges.txt").write_text("\n".join(" ".join(pair) for pair in document["model"]["merges"]))
    decoder = {str(2000 + place): {"content": name} for place, name in enumerate(QWEN_SPECIAL_TOKENS)}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"added_tokens_decoder": decoder}))
    tokenizer = load_tokenizer(tmp_path)
    assert (tokenizer.im_end, tokenizer.vocab_size) == (2002, 2000 + len(QWEN_SPECIAL_TOKENS))


def test_transformers_reads_the_same_ids_from_the_folder(stand_in_folder: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    theirs = transformers.PreTrainedTokenizerFast(tokenizer_file=str(stand_in_folder / "tokenizer.json"))
    ours = load_tokenizer(stand_in_folder)
    assert theirs.encode(BOX_LINE, add_special_tokens=False) == ours.encode(BOX_LINE)
    assert theirs.convert_tokens_to_ids("<|image_pad|>") == ours.image_pad


def test_the_written_file_cuts_text_as_qwen_does(stand_in_folder: Path) -> None:
    document = json.loads((stand_in_folder / "tokenizer.json").read_text())
    assert document["normalizer"] == {"type": "NFC"}
    assert document["pre_tokenizer"]["pretokenizers"][0]["pattern"] == {"Regex": QWEN_SPLIT}


def test_a_folder_without_a_tokenizer_says_what_it_needs(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"expected tokenizer.json, or vocab.json and merges.txt"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "expected JSON"),
        ("[]", "expected a JSON object, got list"),
        ("{}", "expected a tokenizer as the package tokenizers"),
        ("\xff", "expected UTF-8"),
    ],
)
def test_a_broken_file_is_refused_with_the_reason(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "tokenizer.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(ConfigurationError, match=message):
        load_tokenizer(tmp_path)


def test_a_tokenizer_of_another_kind_names_the_missing_tokens(stand_in_folder: Path, tmp_path: Path) -> None:
    document = json.loads((stand_in_folder / "tokenizer.json").read_text())
    document["added_tokens"] = [entry for entry in document["added_tokens"] if "vision" not in entry["content"]]
    (tmp_path / "tokenizer.json").write_text(json.dumps(document))
    with pytest.raises(ConfigurationError, match=r"not found: <\|vision_start\|>, <\|vision_end\|>"):
        load_tokenizer(tmp_path)
