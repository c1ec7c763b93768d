"""Drafts: what they guess. That a wrong guess changes nothing is held by test_generation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

pytest.importorskip("tokenizers", reason="the model's language needs the extra [model]")

from model_training.models.stand_in_tokenizer import train_stand_in_tokenizer
from n3d_ros.codec.grammar import GrammarState, box_grammar, free_text
from n3d_ros.codec.tokenizer import Tokenizer
from n3d_ros.inference.drafting import Drafter

LINE = "=Bbox(chair,512,433,287,510,620,150,711)\n"


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return train_stand_in_tokenizer(tmp_path_factory.mktemp("tokenizer"), vocab_size=1200)


def write(drafter: Drafter, state: GrammarState, token_ids: Sequence[int]) -> GrammarState:
    for token in token_ids:
        drafter.accept(state, token)
        state = state.after(token)
    return state


def draft_text(tokenizer: Tokenizer, drafter: Drafter, written: str, limit: int = 20) -> str:
    state = write(drafter, box_grammar(tokenizer), tokenizer.encode(written))
    return tokenizer.decode(drafter.draft(state, limit))


def test_the_grammar_expects_a_box_an_angle_of_zero_and_the_next_line(tokenizer: Tokenizer) -> None:
    assert draft_text(tokenizer, Drafter(()), "") == "bbox_0=Bbox"
    assert draft_text(tokenizer, Drafter(()), "bbox_0=Bbox(chair,512,433,287") == ",500,"
    assert draft_text(tokenizer, Drafter(()), LINE.join(["bbox_0", ""])[:-2]) == ")\nbbox_1=Bbox(chair,"


def test_nothing_is_expected_without_the_option(tokenizer: Tokenizer) -> None:
    assert draft_text(tokenizer, Drafter((), expected=False), "") == ""


def test_a_draft_is_no_longer_than_asked(tokenizer: Tokenizer) -> None:
    state = box_grammar(tokenizer)
    assert [len(Drafter(()).draft(state, limit)) for limit in (-1, 0, 1, 2)] == [0, 0, 1, 2]


def test_the_last_boxs_class_is_expected_until_one_was_another(tokenizer: Tokenizer) -> None:
    other = LINE.replace("chair", "table")
    assert draft_text(tokenizer, Drafter(()), f"bbox_0{LINE}bbox_1=Bbox") == "(chair,"
    assert draft_text(tokenizer, Drafter(()), f"bbox_0{LINE}bbox_1{other}bbox_2=Bbox") == ""
    assert draft_text(tokenizer, Drafter(()), f"bbox_0{LINE}bbox_1{other}bbox_2{other}bbox_3=Bbox") == "(table,"
    assert draft_text(tokenizer, Drafter((), expected=False), f"bbox_0{LINE}bbox_1=Bbox") == ""


def test_numbers_that_were_the_same_in_two_boxes_are_repeated(tokenizer: Tokenizer) -> None:
    written = f"bbox_0{LINE}bbox_1{LINE.replace('433', '434')}bbox_2=Bbox"
    assert draft_text(tokenizer, Drafter((), repeats=True), written) == "(chair,512,"
    assert draft_text(tokenizer, Drafter((), repeats=True), f"{written}(chair,512,434,", 30).startswith(LINE[20:])
    assert draft_text(tokenizer, Drafter(()), written) == "(chair,"


def test_a_number_that_began_otherwise_is_not_guessed(tokenizer: Tokenizer) -> None:
    written = f"bbox_0{LINE}bbox_1{LINE}bbox_2=Bbox"
    assert draft_text(tokenizer, Drafter((), repeats=True), f"{written}(chair,6") == ""
    assert draft_text(tokenizer, Drafter((), repeats=True), f"{written}(chair,5", 2) == "12"


def test_text_is_looked_up_in_the_question_and_in_the_answer(tokenizer: Tokenizer) -> None:
    question = tokenizer.encode("The 3D bbox of chair is [2.15, 1.19, 17.7].")
    drafter = Drafter(question, repeats=True)
    state = write(drafter, free_text(tokenizer), tokenizer.encode("So it stands at [2.1"))
    assert tokenizer.decode(drafter.draft(state, 6)).startswith("5, 1.1")
    state = write(drafter, state, tokenizer.encode("9 there; it stands"))
    assert tokenizer.decode(drafter.draft(state, 4)).startswith(" at [2.19"[:6])


def test_special_tokens_of_the_question_are_never_drafted(tokenizer: Tokenizer) -> None:
    words = tokenizer.encode("a b c d")
    drafter = Drafter([*words, tokenizer.im_start, *words], repeats=True)
    assert drafter.draft(write(drafter, free_text(tokenizer), words), 5)[:1] != [tokenizer.im_start]


def test_with_one_token_per_field_the_class_of_the_last_box_is_guessed_again(tmp_path: Path) -> None:
    from model_training.nano.tokenizer import write_nano_tokenizer

    tokenizer = write_nano_tokenizer(tmp_path)
    line = tokenizer.encode("bbox_0=Bbox(cereal box,512,300,410,500,80,120,75)\n")
    state, drafter = box_grammar(tokenizer), Drafter((), expected=True)
    for token in line[:-1]:
        drafter.accept(state, token)
        state = state.after(token)
    expected = [line[-1], *tokenizer.encode("bbox_1=Bbox(cereal box")]
    assert drafter.draft(state, 12) == expected


def test_with_one_token_per_field_the_usual_angle_and_repeated_numbers_are_guessed(tmp_path: Path) -> None:
    from model_training.nano.tokenizer import write_nano_tokenizer

    tokenizer = write_nano_tokenizer(tmp_path)
    text = "".join(f"bbox_{k}=Bbox(mug,{5 + k},300,{410 + k},500,80,120,75)\n" for k in range(2))
    state, drafter = box_grammar(tokenizer), Drafter((), expected=True, repeats=True)
    for token in [*tokenizer.encode(text), *tokenizer.encode("bbox_2=Bbox(mug,7")]:
        drafter.accept(state, token)
        state = state.after(token)
    assert drafter.draft(state, 12) == tokenizer.encode(",300")  # the depth was another one in each
    for token in tokenizer.encode(",300,412"):
        drafter.accept(state, token)
        state = state.after(token)
    assert drafter.draft(state, 5) == tokenizer.encode(",500,80,120,75)\n")
