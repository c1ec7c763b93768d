"""Grammar: what it allows is what the tokenizer makes of box text, and what it lets through can be read."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

pytest.importorskip("tokenizers", reason="the model's language needs the extra [model]")

from codec.grammar_walks import follow, random_answer
from model_training.models.stand_in_tokenizer import train_stand_in_tokenizer
from n3d_ros.codec.box_text import format_boxes, parse_boxes
from n3d_ros.codec.grammar import MAX_BOXES, GrammarState, box_grammar, free_text
from n3d_ros.codec.label_bytes import MAX_LABEL_BYTES, MAX_PIECE_BYTES, LabelBytes, writable_label
from n3d_ros.codec.tokenizer import Tokenizer, load_tokenizer
from n3d_ros.errors import ConfigurationError, InputError
from scripted_backend import make_box_code

VOCABULARIES = (300, 700, 1200, 1800)  # from single bytes to whole words
NAMES = (
    "chair", "orange/tangerine", "red mug", "tv (small)", "person's bag", "tête-à-tête", "T-shirt", "7", "cup 2", "2nd",
    "Kitchen & dining room table", "椅子", "naïve café", "a", "A", "we'll", "{x}", "(", ")", "\\", '"quoted"', "x_1",
    "стул", "🪑", "e\u0301gg", "wine glass...", "!", "Cosmetics Brush/Eyeliner Pencil", "man, in red", "cup,5", "cup",
    ",",
)  # fmt: skip
BIN = st.one_of(st.sampled_from((0, 1, 9, 10, 99, 100, 500, 999)), st.integers(0, 999))
LABEL = st.one_of(
    st.sampled_from([name for name in NAMES if name not in ("cup,5", ",")]),
    st.text("abcXYZ é's-/.()&_0129!,椅\u0301", max_size=12).map(lambda text: writable_label("a" + text)),
    st.integers(60, MAX_LABEL_BYTES).map(
        lambda size: ("the man, in a red jacket (left of the door), " * 8)[:size].strip(" ,")
    ),
)
REFUSED = LabelBytes([b"(", b"\x07"], comma=0, digits=[0]).after(LabelBytes.start, 1)
BINS = st.tuples(BIN, BIN, BIN, BIN, BIN, BIN, BIN)


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory: pytest.TempPathFactory) -> list[Tokenizer]:
    made = [train_stand_in_tokenizer(tmp_path_factory.mktemp(str(size)), vocab_size=size) for size in VOCABULARIES]
    real = os.environ.get("N3D_TOKENIZER")
    return [*made, load_tokenizer(Path(real))] if real else made


@pytest.fixture(scope="module")
def tokenizer(tokenizers: list[Tokenizer]) -> Tokenizer:
    return tokenizers[2]


def accepts(state: GrammarState, token_ids: Sequence[int]) -> bool:
    try:
        return follow(state, token_ids).is_end
    except InputError:
        return False


@given(boxes=st.lists(st.tuples(LABEL, BINS), max_size=12), has_newline=st.booleans())
@settings(max_examples=25)
def test_the_tokenizers_own_text_is_accepted(
    tokenizers: list[Tokenizer], boxes: list[tuple[str, tuple[int, ...]]], has_newline: bool
) -> None:
    text = format_boxes([make_box_code(label, bins) for label, bins in boxes])
    text = text if has_newline else text[:-1]
    labels = [label for label, _ in boxes] or ["chair"]
    for tokenizer in tokenizers:
        answer = [*tokenizer.encode(text), tokenizer.im_end]
        assert accepts(box_grammar(tokenizer, classes=labels), answer)
        assert accepts(box_grammar(tokenizer), answer)


@given(names=st.lists(st.sampled_from(NAMES), min_size=1, max_size=6), seed=st.integers(0, 2**32))
@settings(max_examples=25)
def test_with_given_classes_every_answer_is_what_the_tokenizer_makes_of_its_text(
    tokenizers: list[Tokenizer], names: list[str], seed: int
) -> None:
    for tokenizer in tokenizers:
        start = box_grammar(tokenizer, classes=names, max_boxes=12)
        *answer, end = random_answer(start, random.Random(seed))
        text = tokenizer.decode(answer)
        assert end == tokenizer.im_end
        assert tokenizer.encode(text) == answer
        parsed = parse_boxes(text)
        assert not parsed.rejected and len(parsed.boxes) == text.count("=Bbox(")
        assert [box.index for box in parsed.boxes] == list(range(len(parsed.boxes)))
        spelled = {tokenizer.decode(tokenizer.encode(name)) for name in names}
        assert {box.code.label for box in parsed.boxes} <= spelled


@given(seed=st.integers(0, 2**32))
@settings(max_examples=30)
def test_with_an_open_vocabulary_every_answer_can_be_read(tokenizers: list[Tokenizer], seed: int) -> None:
    for tokenizer in tokenizers:
        *answer, _ = random_answer(box_grammar(tokenizer, max_boxes=6), random.Random(seed))
        text = b"".join(tokenizer.piece(token) for token in answer).decode("utf-8", "strict")
        parsed = parse_boxes(text)
        assert not parsed.rejected
        assert [box.index for box in parsed.boxes] == list(range(text.count("=Bbox(")))
        assert all(len(box.code.label.encode()) <= MAX_LABEL_BYTES + MAX_PIECE_BYTES for box in parsed.boxes)


@pytest.mark.parametrize("text", ["", "bbox_0=Bbox(chair,1,2,3,500,4,5,6)\n", "bbox_0=Bbox(chair,1,2,3,500,4,5,6)"])
def test_no_box_and_a_last_line_with_and_without_newline_are_answers(tokenizer: Tokenizer, text: str) -> None:
    assert accepts(box_grammar(tokenizer), [*tokenizer.encode(text), tokenizer.im_end])


@pytest.mark.parametrize(
    "text",
    [
        "bbox_1=Bbox(chair,1,2,3,500,4,5,6)",  # counting starts at 0
        "bbox_0=Bbox(chair,1,2,3,500,4,5)",
        "bbox_0=Bbox(chair,1,2,3,500,4,5,6,7)",
        "bbox_0=Bbox(chair,01,2,3,500,4,5,6)",
        "bbox_0=Bbox(chair,1000,2,3,500,4,5,6)",
        "bbox_0=Bbox(chair,,2,3,500,4,5,6)",
        "bbox_0=Bbox(chair, 1,2,3,500,4,5,6)",
        "bbox_0=Bbox(chair,,1,2,3,500,4,5,6)",
        "bbox_0=Bbox(,a,1,2,3,500,4,5,6)",
        "bbox_0=Bbox(cup, 5,1,2,3,500,4,5,6)",
        "bbox_0=Bbox(man,in red,2,3,500,4,5,6)",
        "bbox_0=Bbox(chair,-1,2,3,500,4,5,6)",
        "bbox_0=Bbox(,1,2,3,500,4,5,6)",
        "bbox_0=Bbox( ,1,2,3,500,4,5,6)",
        "bbox_0=Bbox(chair ,1,2,3,500,4,5,6)",
        "bbox_0=Bbox(a=b,1,2,3,500,4,5,6)",
        "bbox_0=Bbox(a\u2028b,1,2,3,500,4,5,6)",
        "bbox_0=Bbox(a\u202eb,1,2,3,500,4,5,6)",
        "bbox_0=Bbox(a\u200eb,1,2,3,500,4,5,6)",
        "bbox_0=Bbox(a\u200f,1,2,3,500,4,5,6)",
        "bbox_0=Bbox(a\u061cb,1,2,3,500,4,5,6)",
        "bbox_0=Bbox(\u200b,1,2,3,500,4,5,6)",
        "bbox_0=Bbox(\ufeff,1,2,3,500,4,5,6)",
        "bbox_0=Bbox(\u00ad,1,2,3,500,4,5,6)",
        "bbox_0=Bbox(\u200d,1,2,3,500,4,5,6)",
        "bbox_0=Bbox(\ufe0f,1,2,3,500,4,5,6)",
        "bbox_0=Bbox(\u3000,1,2,3,500,4,5,6)",
        "bbox_0=Bbox(a\x07b,1,2,3,500,4,5,6)",
        "bbox_0=Bbox(a\nb,1,2,3,500,4,5,6)",
        "bbox_0=Bbox(chair,1,2,3,500,4,5,6)\n\n",
        "bbox_0=Bbox(chair,1,2,3,500,4,5,6) ",
        "bbox_0=Bbox(chair,1,2,3,500,4,5,6)\nbbox_2=Bbox(chair,1,2,3,500,4,5,6)",
        "There is no chair.",
    ],
)
def test_text_that_is_no_list_of_boxes_is_refused(tokenizers: list[Tokenizer], text: str) -> None:
    for tokenizer in tokenizers:
        assert not accepts(box_grammar(tokenizer), [*tokenizer.encode(text), tokenizer.im_end])


def test_a_given_class_is_refused_in_other_pieces_and_other_case(tokenizer: Tokenizer) -> None:
    line = format_boxes([make_box_code("chair")])
    whole = [*tokenizer.encode(line), tokenizer.im_end]
    pieces = [token for sign in line for token in tokenizer.encode(sign)]
    start = box_grammar(tokenizer, classes=["chair"])
    assert accepts(start, whole)
    assert tokenizer.decode(pieces) == line and not accepts(start, [*pieces, tokenizer.im_end])
    assert not accepts(start, [*tokenizer.encode(line.replace("chair", "Chair")), tokenizer.im_end])


def test_a_single_class_is_one_forced_run_from_the_lines_first_token(tokenizer: Tokenizer) -> None:
    start = box_grammar(tokenizer, classes=["red mug"])
    first, *rest = tokenizer.encode("bbox_0=Bbox(red mug,")
    assert start.after(first).forced == tuple(rest)


def test_indices_of_several_digits_are_forced(tokenizer: Tokenizer) -> None:
    state = follow(
        box_grammar(tokenizer, classes=["a"]), tokenizer.encode(format_boxes([make_box_code("a") for _ in range(12)]))
    )
    first, *rest = tokenizer.encode("bbox_12=Bbox(a,")
    assert state.after(first).forced == tuple(rest)


@pytest.mark.parametrize("number", ["0", "512"])
def test_after_three_digits_or_a_lone_zero_the_comma_is_forced(tokenizer: Tokenizer, number: str) -> None:
    state = follow(box_grammar(tokenizer), tokenizer.encode(f"bbox_0=Bbox(chair,{number}"))
    assert state.forced == tuple(tokenizer.encode(","))


def test_yaw_zero_leaves_no_other_angle(tokenizer: Tokenizer) -> None:
    state = follow(box_grammar(tokenizer, yaw="zero"), tokenizer.encode("bbox_0=Bbox(chair,1,2,3,"))
    assert tokenizer.decode(state.forced) == "500,"
    start = box_grammar(tokenizer, yaw="zero")
    turned = format_boxes([make_box_code(bins=(1, 2, 3, 5, 6, 7, 8))])
    assert not accepts(start, [*tokenizer.encode(turned), tokenizer.im_end])


def test_after_the_last_box_only_the_end_is_left(tokenizers: list[Tokenizer]) -> None:
    for tokenizer in tokenizers:
        state = follow(
            box_grammar(tokenizer, max_boxes=2), tokenizer.encode(format_boxes([make_box_code(), make_box_code()]))
        )
        assert state.forced == (tokenizer.im_end,) and state.after(tokenizer.im_end).is_end


def test_another_box_the_newline_and_angle_zero_are_expected(tokenizer: Tokenizer) -> None:
    state = box_grammar(tokenizer)
    line = tokenizer.encode("bbox_0=Bbox(chair,512,433,287,500,620,150,711)\nbbox_1=Bbox")
    expected = []
    for token in line:
        if state.only is None and state.expected is not None:
            expected.append(token == state.expected)
        state = state.after(token)
    # bbox, the comma behind (chair, 5 0 0, the line's end, bbox
    assert expected.count(True) >= 7 and expected[-2:] == [True, True]


def test_long_labels_end(tokenizer: Tokenizer) -> None:
    state = follow(box_grammar(tokenizer), tokenizer.encode("bbox_0=Bbox(x"))
    letter = tokenizer.encode("y")[0]
    written = 0
    while state.allowed is not None and letter in state.allowed:
        state = state.after(letter)
        written += 1
    assert written == MAX_LABEL_BYTES - 1
    assert state.forced == tuple(tokenizer.encode(","))
    state = state.after(state.forced[0])
    assert state.allowed is not None and list(state.allowed.ids) == sorted(tokenizer.encode("0123456789"))
    line = f"bbox_0=Bbox({'x' + 'y' * written},1,2,3,500,4,5,6)"
    assert parse_boxes(line).boxes[0].label_is_full and not parse_boxes(line.replace("xy", "x")).boxes[0].label_is_full


def test_sets_of_tokens_are_shared_between_boxes_and_grammars(tokenizer: Tokenizer) -> None:
    seen: dict[tuple[int, ...], set[int]] = {}
    text = tokenizer.encode(format_boxes([make_box_code() for _ in range(30)]))
    for start in (box_grammar(tokenizer), box_grammar(tokenizer, yaw="zero"), box_grammar(tokenizer, max_boxes=31)):
        state = start
        for token in text:
            assert state.allowed is not None
            seen.setdefault(tuple(state.allowed.ids), set()).add(id(state.allowed))
            state = state.after(token)
    assert all(len(objects) == 1 for objects in seen.values())
    assert len(seen) < 40


def test_a_grammar_asked_for_again_is_the_same_one(tokenizer: Tokenizer) -> None:
    assert box_grammar(tokenizer, classes=["a", " b"]) is box_grammar(tokenizer, classes=("a", "b", "a"))


def test_a_token_that_is_not_allowed_is_named(tokenizer: Tokenizer) -> None:
    with pytest.raises(InputError, match=f"got token {tokenizer.im_start}"):
        box_grammar(tokenizer).after(tokenizer.im_start)
    with pytest.raises(InputError, match="complete"):
        box_grammar(tokenizer).after(tokenizer.im_end).after(tokenizer.im_end)


@pytest.mark.parametrize(
    "arguments",
    [
        {"classes": []},
        {"classes": [" "]},
        {"classes": ["a=Bbox(b"]},
        {"classes": ["x" * 400]},
        {"max_boxes": 0},
        {"max_boxes": MAX_BOXES + 1},
        {"yaw": "sideways"},
    ],
)
def test_values_out_of_range_are_refused(tokenizer: Tokenizer, arguments: dict[str, object]) -> None:
    with pytest.raises(InputError):
        box_grammar(tokenizer, **arguments)  # type: ignore[arg-type]


def test_a_tokenizer_that_cuts_otherwise_is_refused() -> None:
    class Merging:
        """Two characters to a token, wherever they stand."""

        im_end = 0
        special_ids = frozenset({0})
        vocab_size = 70000
        bin_ids = None

        def encode(self, text: str) -> list[int]:
            return [ord(text[k]) * 256 + ord(text[k + 1 : k + 2] or "\0") for k in range(0, len(text), 2)]

    with pytest.raises(ConfigurationError, match="Qwen"):
        box_grammar(Merging())  # type: ignore[arg-type]


def test_free_text_ends_at_either_end_and_takes_no_other_special_token(tokenizer: Tokenizer) -> None:
    start = free_text(tokenizer)
    assert start.forced == () and not start.is_end
    state = follow(start, tokenizer.encode("<think>1. It is, 512 long.</think> Yes.\n"))
    assert all(state.after(token).is_end for token in tokenizer.eos_ids)
    assert state.allowed is not None
    assert tokenizer.vision_start not in state.allowed and tokenizer.image_pad not in state.allowed


def test_a_referring_expression_of_128_characters_is_a_label(tokenizers: list[Tokenizer]) -> None:
    label = (
        "the man with the red jacket, who stands left of the tall white door in the back, next to the second of two "
        "windows, with a mug"
    )
    assert 120 <= len(label) <= 128
    line = format_boxes([make_box_code(label)])
    for tokenizer in tokenizers:
        assert accepts(box_grammar(tokenizer), [*tokenizer.encode(line), tokenizer.im_end])


def test_behind_a_comma_a_digit_is_a_number_and_a_letter_goes_on_with_the_label(tokenizer: Tokenizer) -> None:
    state = follow(box_grammar(tokenizer), tokenizer.encode("bbox_0=Bbox(man,"))
    assert state.part == (1, 0) and state.allowed is not None
    assert set(tokenizer.encode("0123456789")) <= set(state.allowed.ids.tolist())
    assert tokenizer.encode(",")[0] not in state.allowed and tokenizer.encode("-")[0] not in state.allowed
    assert follow(state, tokenizer.encode("5")).part == (1, 1)
    assert follow(state, tokenizer.encode(" in red")).part[0] == 0  # type: ignore[index]


@given(text=st.text("aé椅5-,= \u200b\u200d\u0301\x07(", max_size=12) | st.text(max_size=12))
@example(text="cup,5")
@example(text="a,\u200b5,,=,b")
def test_a_writable_label_can_be_written_and_stays_as_it_is(text: str) -> None:
    try:
        label = writable_label(text)
    except InputError:
        return
    assert byte_machine_takes(label) and writable_label(label) == label
    if byte_machine_takes(text):
        assert label == text


@pytest.mark.parametrize(
    ("label", "written"),
    [
        ("man, in red", "man, in red"),
        ("cup,5", "cup 5"),
        ("a ,b", "a,b"),
        ("a,,b", "a b"),
        ("x=1", "x 1"),
        ("1,234 nails", "1 234 nails"),
        ("cup\u200e", "cup"),
        ("👨\u200d👩\u200d👧 family", "👨\u200d👩\u200d👧 family"),
    ],
)
def test_what_no_answer_could_hold_is_left_out_of_labels(label: str, written: str) -> None:
    assert writable_label(label) == written


@pytest.mark.parametrize("label", ["", ",", "\u200b", "=", "x" * (MAX_LABEL_BYTES + 1), "椅" * 86])
def test_labels_of_nothing_and_too_long_ones_are_refused(label: str) -> None:
    with pytest.raises(InputError, match=f"1 to {MAX_LABEL_BYTES} bytes"):
        writable_label(label)


def byte_machine() -> LabelBytes:
    return LabelBytes([bytes([byte]) for byte in range(256)], comma=ord(","), digits=tuple(b"0123456789"))


def byte_machine_takes(text: str) -> bool:
    labels, state = byte_machine(), LabelBytes.start
    for byte in f"({text},1".encode("utf-8", "surrogatepass"):
        if state == LabelBytes.done or byte not in labels.allowed(state, 0):
            return False
        state = labels.after(state, byte)
    return state == LabelBytes.done


UNSEEN = {
    *(0xAD, 0x034F, 0x061C, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180E, 0x3164, 0xFEFF, 0xFFA0),
    *(*range(0x200B, 0x2010), *range(0x2028, 0x2030), *range(0x205F, 0x2070), *range(0xFFF0, 0xFFFC)),
    *(*range(0x1BCA0, 0x1BCA4), *range(0x1D173, 0x1D17B), *range(0xE0000, 0xE1000)),
} - {0x200C, 0x200D}
JOINING = {0x180B, 0x180C, 0x180D, 0x180F, 0x200C, 0x200D, *range(0xFE00, 0xFE10)}


@given(text=st.text(max_size=6) | st.text("ab5 ,椅\u200d\ufe0f-", max_size=8))
@example(text="\u2027\u202f\u2060\u2066\u205f")
@example(text="\x85\xa0\u1680\u3000")
@settings(max_examples=300)
def test_the_byte_machine_agrees_with_python_on_what_a_label_is(text: str) -> None:
    is_label = (
        text == " ".join(text.split()) != ""
        and all(ord(sign) >= 0x20 and not 0x7F <= ord(sign) < 0xA0 for sign in text)
        and not any(sign == "=" or ord(sign) in UNSEEN or 0xD800 <= ord(sign) < 0xE000 for sign in text)
        and not any(sign.isspace() and sign != " " for sign in text)
        and re.search(r"^,|,$| ,|,(?! ?(?:[A-Za-z]|[^\x00-\x7f]))", text) is None
        and not any(ord(sign) in JOINING and before in " ," for before, sign in pairwise(" " + text))
    )
    assert byte_machine_takes(text) == is_label


def test_every_character_the_byte_machine_refuses_alone_is_one_of_the_list() -> None:
    labels = byte_machine()
    for code in range(0x80, 0x110000, 1):
        if 0x20000 <= code < 0xDFF00 or 0xE1100 <= code < 0x10FF00:
            continue  # planes without any of them
        state = labels.after(LabelBytes.start, ord("("))
        for byte in chr(code).encode("utf-8", "surrogatepass"):
            state = labels.after(state, byte)
        is_refused = code in UNSEEN or code in JOINING or 0xD800 <= code < 0xE000 or chr(code).isspace() or code < 0xA0
        assert (state == REFUSED) == is_refused, hex(code)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=100)
def test_random_bytes_become_labels_of_valid_utf_8(seed: int) -> None:
    labels = byte_machine()
    choice = random.Random(seed)
    state, spent, raw = LabelBytes.start, 0, b""
    while state != LabelBytes.done:
        ids = labels.allowed(state, spent).ids
        byte = int(ids[choice.randrange(len(ids))])
        state, spent, raw = labels.after(state, byte), spent + labels.cost(byte), raw + bytes([byte])
    label = raw[1:-2].decode("utf-8", "strict")
    assert label.strip() and len(label.splitlines()) == 1 and len(raw) <= MAX_LABEL_BYTES + 8
