"""Text to ids and back: the stand-in tokenizer always, Qwen's own where a folder is given (N3D_TOKENIZER)."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("tokenizers", reason="the package tokenizers (make setup MODEL=1) is not installed")

from model_training.models.stand_in_tokenizer import corpus, train_stand_in_tokenizer
from n3d_ros.codec.tokenizer import QWEN_SPECIAL_TOKENS, Tokenizer, load_tokenizer
from n3d_ros.codec.tokenizer_files import MAX_FILE_BYTES, MAX_TOKENS
from n3d_ros.codec.tokenizer_splits import QWEN_SPLIT
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
        ("{}", "expected a tokenizer in Qwen2's layout"),
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


ADDED: list[tuple[Callable[[Any], None], str]] = [
    (lambda d: d["added_tokens"][0].update(id=50_000_000), "expected an id of 0 to 999999, got 50000000"),
    (lambda d: d["added_tokens"][0].update(id=5_000_000_000), "expected an id"),
    (lambda d: d["added_tokens"][0].update(id=-1), "expected an id"),
    (lambda d: d["added_tokens"][0].update(id=True), "expected an id"),
    (lambda d: d["added_tokens"][0].update(id="7"), "expected an id"),
    (lambda d: d["added_tokens"][0].update(id=1.5), "expected an id"),
    (lambda d: d["added_tokens"][0].pop("id"), "expected an id"),
    (lambda d: d["added_tokens"][0].pop("content"), "expected a text, got None"),
    (lambda d: d["added_tokens"][0].update(content=""), "expected a text"),
    (lambda d: d["added_tokens"][0].update(content="\ud800"), "expected a text"),
    (lambda d: d["added_tokens"][0].update(id=d["added_tokens"][1]["id"]), "expected once, got it twice"),
    (lambda d: d["added_tokens"][0].update(content=d["added_tokens"][1]["content"]), "expected once"),
    (lambda d: d["added_tokens"][0].update(id=3), "id 3: expected one token"),
    (lambda d: d.update(added_tokens=[1, 2, 3]), "added_tokens: expected a list of objects"),
    (lambda d: d.update(added_tokens={"a": 1}), "added_tokens: expected a list of objects"),
    (lambda d: d["model"]["vocab"].update(x_1=MAX_TOKENS), "expected an id of 0 to"),
    (lambda d: d["model"]["vocab"].update(x_1=3), "id 3: expected one token"),
    (lambda d: d["model"]["vocab"].update(x_1="3"), "expected an id of 0 to"),
    (lambda d: d["model"]["vocab"].update(x_1=-3), "expected an id of 0 to"),
    (lambda d: d["model"]["vocab"].pop("\u0120"), "256 bytes, |256 bytes"),
    (lambda d: d["model"].update(vocab={}, merges=[]), "expected a token for each of 256 bytes"),
    (lambda d: d["model"].update(vocab=[]), "expected an object vocab"),
    (lambda d: d["model"].update(merges=[["a"]]), "merge 0: expected two tokens"),
    (lambda d: d["model"].update(merges=["zz yy"]), "merge 0: expected two tokens"),
    (lambda d: d["model"].update(type="WordLevel"), "model.type BPE"),
    (lambda d: d.update(model=None), "model.type BPE"),
    (lambda d: d.update(model=[]), "model.type BPE"),
    (lambda d: d.update(normalizer={"type": "Lowercase"}), "normalizer NFC"),
    (lambda d: d["pre_tokenizer"]["pretokenizers"].pop(), "pre_tokenizer Split"),
    (lambda d: d.update(pre_tokenizer={"type": "Split"}), "pre_tokenizer Split"),
    # The package ends the process, or panics, over these.
    (lambda d: d["model"].update(continuing_subword_prefix="##"), "other options of BPE"),
    (lambda d: d["model"].update(merges=[["", "a"]]), "merge 0: expected two tokens"),
    (lambda d: d.update(normalizer={"type": "Precompiled", "precompiled_charsmap": "AA"}), "normalizer NFC"),
]


@pytest.mark.parametrize(("damage", "message"), ADDED)
def test_a_damaged_tokenizer_json_is_refused_by_name(
    stand_in_folder: Path, tmp_path: Path, damage: Callable[[Any], None], message: str
) -> None:
    document = json.loads((stand_in_folder / "tokenizer.json").read_text())
    damage(document)
    (tmp_path / "tokenizer.json").write_text(json.dumps(document))
    with pytest.raises(ConfigurationError, match=message) as caught:
        load_tokenizer(tmp_path)
    assert str(tmp_path / "tokenizer.json") in caught.value.message


@pytest.mark.parametrize(
    "content",
    [
        '{"added_tokens": ' + "[" * 100_000,
        '{"model": ' + '{"a":' * 100_000 + "1" + "}" * 100_001,
        '{"added_tokens": [{"id": ' + "9" * 5000 + ', "content": "a"}]}',
        '{"added_tokens": null}',
        '"text"',
        "NaN",
        "",
    ],
)
def test_json_of_absurd_form_is_refused_by_name(tmp_path: Path, content: str) -> None:
    for name in ("tokenizer.json", "vocab.json"):
        folder = tmp_path / name.partition(".")[0]
        folder.mkdir()
        (folder / name).write_text(content)
        (folder / "merges.txt").write_text("")
        with pytest.raises(ConfigurationError) as caught:
            load_tokenizer(folder)
        assert str(folder / name) in caught.value.message


def test_a_file_too_large_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "tokenizer.json").open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(ConfigurationError, match=f"at most {MAX_FILE_BYTES} bytes"):
        load_tokenizer(tmp_path)


PARTS: list[tuple[str, Any, str]] = [
    ("vocab.json", {"x_1": "3"}, "expected an id"),
    ("vocab.json", {"x_1": 5 * 10**9}, "expected an id"),
    ("vocab.json", {"x_1": None}, "expected an id"),
    ("vocab.json", {"x_1": 3}, "id 3: expected one token"),
    ("vocab.json", {"a": 0}, "256 bytes"),
    ("vocab.json", [1], "expected a JSON object"),
    ("merges.txt", "a", "line 1: expected two tokens"),
    ("merges.txt", "a b c", "line 1: expected two tokens"),
    ("merges.txt", "#version: 0.2\nzz yy", "line 2: expected two tokens"),
    ("merges.txt", "\x00\x01 \u2028", "line 1: expected two tokens"),
    ("tokenizer_config.json", {"added_tokens_decoder": [1]}, "expected an object of objects"),
    ("tokenizer_config.json", {"added_tokens_decoder": {"1": "a"}}, "expected an object of objects"),
    ("tokenizer_config.json", {"added_tokens_decoder": {"one": {"content": "a"}}}, "expected an id"),
    ("tokenizer_config.json", {"added_tokens_decoder": {"\u00b2": {"content": "a"}}}, "expected an id"),
    ("tokenizer_config.json", {"added_tokens_decoder": {"-1": {"content": "a"}}}, "expected an id"),
    ("tokenizer_config.json", {"added_tokens_decoder": {"50000000": {"content": "a"}}}, "expected an id"),
    ("tokenizer_config.json", {"added_tokens_decoder": {"2000": {}}}, "expected a text"),
    ("tokenizer_config.json", [1], "expected a JSON object"),
]


@pytest.mark.parametrize(("name", "damage", "message"), PARTS)
def test_a_damaged_part_is_refused_by_name(
    stand_in_folder: Path, tmp_path: Path, name: str, damage: Any, message: str
) -> None:
    files = write_parts(stand_in_folder, tmp_path)
    damaged = {**files[name], **damage} if name == "vocab.json" and "x_1" in damage else damage
    (tmp_path / name).write_text(damaged if isinstance(damaged, str) else json.dumps(damaged), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=message) as caught:
        load_tokenizer(tmp_path)
    assert str(tmp_path / name) in caught.value.message


def write_parts(stand_in_folder: Path, folder: Path) -> dict[str, Any]:
    document = json.loads((stand_in_folder / "tokenizer.json").read_text())
    merges = "\n".join(" ".join(pair) for pair in document["model"]["merges"])
    decoder = {str(entry["id"]): {"content": entry["content"]} for entry in document["added_tokens"]}
    files: dict[str, Any] = {
        "vocab.json": document["model"]["vocab"],
        "merges.txt": merges,
        "tokenizer_config.json": {"added_tokens_decoder": decoder},
    }
    for name, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / name).write_text(text, encoding="utf-8")
    return files


SCALARS = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=4)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
)


def damage_anywhere(node: Any, choice: random.Random, value: Any) -> None:
    """Replaces, adds or takes away something, at a random depth."""
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = choice.choice(keys) if keys else None
        if key is None or choice.random() < 0.3 or not isinstance(node[key], (dict, list)):
            break
        node = node[key]
    if key is None:
        return
    if choice.random() < 0.3:
        del node[key]
    else:
        node[key] = copy.deepcopy(value)


def loaded_text(folder: Path, text: str) -> str | None:
    """The text as it comes back from its tokens; None where a damage was found and the file named."""
    try:
        tokenizer = load_tokenizer(folder)
        return tokenizer.decode(tokenizer.encode(text))
    except ConfigurationError as error:
        message = error.message
    assert str(folder) in message
    return None


@given(seed=st.integers(0, 2**32), value=VALUES, count=st.integers(1, 3))
@settings(max_examples=200, deadline=None)
def test_whatever_is_damaged_a_tokenizer_loads_or_says_which_file(
    stand_in_folder: Path, tmp_path_factory: pytest.TempPathFactory, seed: int, value: Any, count: int
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    choice = random.Random(seed)
    document = json.loads((stand_in_folder / "tokenizer.json").read_text())
    parts = write_parts(stand_in_folder, folder)
    if choice.random() < 0.5:
        for _ in range(count):
            damage_anywhere(document, choice, value)
        (folder / "tokenizer.json").write_text(json.dumps(document))
    else:
        name = choice.choice(["vocab.json", "tokenizer_config.json"])
        for _ in range(count):
            damage_anywhere(parts[name], choice, value)
        (folder / name).write_text(json.dumps(parts[name]))
    text = BOX_LINE + "Tasse \u00fc\u4f60 \U0001fa91"
    assert loaded_text(folder, text) in (text, None)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=100, deadline=None)
def test_flipped_bytes_are_refused_or_do_no_harm(
    stand_in_folder: Path, tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("flipped")
    choice = random.Random(seed)
    write_parts(stand_in_folder, folder)
    (folder / "tokenizer.json").write_bytes((stand_in_folder / "tokenizer.json").read_bytes())
    if choice.random() < 0.5:
        (folder / "tokenizer.json").unlink()
    path = choice.choice(sorted(folder.iterdir()))
    raw = bytearray(path.read_bytes())
    for _ in range(choice.randrange(1, 4)):
        raw[choice.randrange(len(raw))] = choice.randrange(256)
    path.write_bytes(raw[: choice.randrange(len(raw))] if choice.random() < 0.2 else raw)
    assert loaded_text(folder, BOX_LINE) in (BOX_LINE, None)
