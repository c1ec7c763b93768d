"""Box text with one token per field: the same text, fewer tokens, and a grammar of whole numbers."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from codec.grammar_walks import follow, random_answer
from n3d_ros.codec.box_text import parse_boxes
from n3d_ros.codec.grammar import box_grammar
from n3d_ros.codec.label_bytes import MAX_LABEL_BYTES
from n3d_ros.codec.prompts import SYSTEM_TEXT, detection_text, question_text
from n3d_ros.codec.tokenizer import Tokenizer, load_tokenizer
from n3d_ros.errors import ConfigurationError, InputError

LINE = "bbox_3=Bbox(mug,512,300,410,500,80,120,75)\n"
CLASSES = ("mug", "cereal box", "x (y)", "cup 5", "\u4f60\u597d", "man, in red")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("tokenizers", reason="the package tokenizers (make setup MODEL=1) is not installed")
    from model_training.nano.tokenizer import write_nano_tokenizer

    made = tmp_path_factory.mktemp("fields")
    write_nano_tokenizer(made)
    return made


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> Tokenizer:
    return load_tokenizer(folder)


def pieces(tokenizer: Tokenizer, text: str) -> list[str]:
    return [tokenizer.piece(token).decode() for token in tokenizer.encode(text)]


def test_a_box_line_has_one_token_per_field(tokenizer: Tokenizer) -> None:
    expected = ["bbox_3=Bbox", "(mug", ",512", ",300", ",410", ",500", ",80", ",120", ",75", ")\n"]
    assert pieces(tokenizer, LINE) == expected


def test_every_bin_is_one_token_and_known_by_its_number(tokenizer: Tokenizer) -> None:
    assert tokenizer.bin_ids is not None and len(set(tokenizer.bin_ids)) == 1000
    assert all(tokenizer.piece(token) == f",{number}".encode() for number, token in enumerate(tokenizer.bin_ids))


def test_the_prompts_standing_texts_are_one_token_each(tokenizer: Tokenizer) -> None:
    assert len(tokenizer.encode(f"system\n{SYSTEM_TEXT}")) == 1
    assert len(tokenizer.encode(detection_text())) <= 5
    assert len(tokenizer.encode(question_text("Is the mug left of the box?"))) <= 10


@pytest.mark.parametrize(
    "text",
    ["Zaphod's caf\u00e9 \u4f60\u597d \U0001f600", "1,000 or ,0123", "bbox_70=Bbox(", "\n\n \t<think>2.05</think>"],
)
def test_any_text_comes_back(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize("seed", range(40))
def test_with_given_classes_every_answer_is_what_the_tokenizer_makes_of_its_text(
    tokenizer: Tokenizer, seed: int
) -> None:
    *answer, end = random_answer(box_grammar(tokenizer, classes=CLASSES, max_boxes=6), random.Random(seed))
    text = tokenizer.decode(answer)
    assert end == tokenizer.im_end and tokenizer.encode(text) == answer
    parsed = parse_boxes(text)
    assert not parsed.rejected and len(parsed.boxes) == text.count("=Bbox(")
    assert {box.code.label for box in parsed.boxes} <= set(CLASSES)


@pytest.mark.parametrize("seed", range(40))
def test_with_an_open_vocabulary_every_answer_can_be_read(tokenizer: Tokenizer, seed: int) -> None:
    *answer, _ = random_answer(box_grammar(tokenizer, max_boxes=4), random.Random(seed))
    parsed = parse_boxes(b"".join(map(tokenizer.piece, answer)).decode("utf-8", "strict"))
    assert not parsed.rejected


@pytest.mark.parametrize("label", [*CLASSES, "a)b", "Hotair ballon", "x" * MAX_LABEL_BYTES])
def test_the_tokenizers_own_line_is_accepted_with_open_and_given_classes(tokenizer: Tokenizer, label: str) -> None:
    tokens = [*tokenizer.encode(f"bbox_0=Bbox({label},0,1,12,500,999,120,75)\n"), tokenizer.im_end]
    assert follow(box_grammar(tokenizer), tokens).is_end
    assert follow(box_grammar(tokenizer, classes=[label]), tokens).is_end


@pytest.mark.parametrize(
    "line",
    [LINE, "bbox_0=Bbox(mug,012,1,1,1,1,1,1)\n", "bbox_0=Bbox(mug,1,2,3,4,5,6)\n", "bbox_0=Bbox(,1,2,3,4,5,6,7)\n"],
)
def test_what_is_no_line_is_refused(tokenizer: Tokenizer, line: str) -> None:
    with pytest.raises(InputError, match="Grammar"):
        follow(box_grammar(tokenizer), [*tokenizer.encode(line), tokenizer.im_end])


def test_parts_are_the_class_and_then_one_number_after_the_other(tokenizer: Tokenizer) -> None:
    state, parts = box_grammar(tokenizer), []
    for token in tokenizer.encode(LINE.replace("_3", "_0").replace("mug", "cereal box")):
        parts.append(state.part_of(token))
        state = state.after(token)
    assert parts == [None, (0, 0), (0, 1), *((number, 0) for number in range(1, 8)), None]


def test_the_lines_end_is_forced_and_another_box_expected(tokenizer: Tokenizer) -> None:
    line = tokenizer.encode(LINE.replace("_3", "_0"))
    state = follow(box_grammar(tokenizer), line[:-1])
    assert state.forced == (line[-1],)
    after = state.after(line[-1])
    assert after.only is None and after.expected == tokenizer.encode("bbox_1=Bbox")[0]


def test_without_turns_the_angle_is_forced(tokenizer: Tokenizer) -> None:
    line = tokenizer.encode(LINE.replace("_3", "_0"))
    assert follow(box_grammar(tokenizer, yaw="zero"), line[:5]).forced == (line[5],)
    assert follow(box_grammar(tokenizer), line[:5]).expected == line[5]


def test_two_trainings_write_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    from model_training.nano.tokenizer import write_nano_tokenizer

    write_nano_tokenizer(tmp_path)
    assert (tmp_path / "tokenizer.json").read_bytes() == (folder / "tokenizer.json").read_bytes()


def test_a_bin_that_is_no_token_is_named(folder: Path) -> None:
    document = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = document["model"]["vocab"]
    vocabulary["unheard"] = vocabulary.pop(",7")
    with pytest.raises(ConfigurationError, match="',7'"):
        Tokenizer(document)


def test_the_split_by_fields_without_whole_pieces_is_another_layout(folder: Path) -> None:
    document = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    document["model"]["ignore_merges"] = False
    with pytest.raises(ConfigurationError, match="layout"):
        Tokenizer(document)
