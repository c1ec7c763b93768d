"""labels.txt: written, read, and told of every line that says nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_training.robots.label_file import (
    STATUSES,
    Fault,
    LabelFileError,
    Pixel,
    ToldObject,
    frame_text,
    header_text,
    written_label,
)
from model_training.robots.label_reading import parse_labels, read_labels
from model_training.robots.level import BoxWords
from n3d_ros.errors import InputError

WORDS = BoxWords(place_cm=(-1.9, 80.2, -40.1), size_cm=(10.0, 10.1, 9.8), turn_deg=45.0)
HEADER = header_text(bag="desk", grounder="geometric", folder="work")
FRAME = "frame 0012.500: complete\n"
OBJECT = " 1 | yes | red box | -1.9 80.2 -40.1 | 10 10.1 9.8 | 45 |\n"


def faults_of(text: str) -> list[Fault]:
    return parse_labels(text)[1]


def test_what_is_written_is_read_back() -> None:
    told = [ToldObject(number=1, label="red box", words=WORDS, note="score 0.83 | leans")]
    file, faults = parse_labels(HEADER + frame_text("0012.500", told[:1], about="pictures/0012.500.jpg"))
    assert len(faults) == 1 and "9" in faults[0].message  # a bar in the note makes a ninth cell
    told = [ToldObject(number=7, label="red box", words=WORDS, note="score 0.83")]
    file, faults = parse_labels(HEADER + frame_text("0012.500", told, about="pictures/0012.500.jpg"))
    assert not faults and not file.renames
    (frame,) = file.frames
    (line,) = frame.objects
    assert (frame.name, frame.status) == ("0012.500", "unchecked")
    assert (line.number, line.keep, line.label, line.words, line.refit) == (7, True, "red box", WORDS, False)


def test_the_header_alone_says_nothing_wrong() -> None:
    file, faults = parse_labels(HEADER)
    assert not faults and not file.frames and not file.renames


@given(st.text(max_size=40))
def test_any_label_can_be_written_and_read(label: str) -> None:
    text = frame_text("0001.000", [ToldObject(number=1, label=label, words=WORDS)], about="a picture")
    file, faults = parse_labels(text)
    assert not faults
    assert file.frames[0].objects[0].label == written_label(label)


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=200))
def test_no_text_breaks_the_reading(text: str) -> None:
    parse_labels(HEADER + text)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_of_every_editor_are_read(end: str) -> None:
    file, faults = parse_labels((FRAME + OBJECT).replace("\n", end))
    assert not faults and len(file.frames[0].objects) == 1


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes(b"\xef\xbb\xbf" + (HEADER + FRAME + OBJECT).encode())
    assert not read_labels(path)[1]


def test_columns_may_be_written_short() -> None:
    file, faults = parse_labels(FRAME + "new|YES|red ball|pixel 320 200.5|7 7,5 7|0")
    assert not faults
    line = file.frames[0].objects[0]
    assert line.number is None and line.keep
    assert line.place_cm == Pixel(u=320.0, v=200.5) and line.size_cm == (7.0, 7.5, 7.0)


def test_renames_are_by_label_and_by_number_and_take_away() -> None:
    text = "rename:\n  white cup -> coffee mug\n  #7 -> cereal box  \n## 8 -> no rename\n  grey thing -> -\n"
    file, faults = parse_labels(text)
    assert not faults
    assert [(one.label, one.number, one.target) for one in file.renames] == [
        ("white cup", None, "coffee mug"),
        ("", 7, "cereal box"),
        ("grey thing", None, None),
    ]


def test_a_comment_behind_a_rename_is_no_part_of_the_label() -> None:
    file, faults = parse_labels("rename:\n a -> mug # the white one\n #3 -> jar  # of honey\n b -> -  # junk\n")
    assert not faults and [one.target for one in file.renames] == ["mug", "jar", None]


def test_the_header_s_examples_of_renames_can_be_used_as_they_stand() -> None:
    examples = [line.removeprefix("#   ") for line in HEADER.splitlines() if " -> " in line]
    file, faults = parse_labels("rename:\n" + "\n".join(examples))
    assert not faults and [one.target for one in file.renames] == ["coffee mug", "cereal box", None]


def test_a_rename_by_number_that_a_comment_would_swallow_is_a_fault() -> None:
    (fault,) = faults_of("rename:\n# 8 -> mug\n")
    assert fault.line == 2 and "'#8', without a blank" in fault.message
    (fault,) = faults_of(FRAME + "#8 -> mug\n" + OBJECT)
    assert fault.line == 2 and "stands under 'rename:'" in fault.message


def test_numbers_of_thousands_of_digits_are_faults() -> None:
    assert len(faults_of("rename:\n#" + "9" * 5000 + " -> a\n" + FRAME + OBJECT.replace(" 1 ", "9" * 5000))) == 2


@pytest.mark.parametrize("status", STATUSES)
def test_every_status_is_read_in_any_case(status: str) -> None:
    file, faults = parse_labels(f"frame 0001.000: {status.upper()}   # pictures")
    assert not faults and file.frames[0].status == status


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("frmae 0013.000: checked", "Did you mean 'frame'"),
        ("frame 0013.000: complet", "did you mean 'complete'"),
        ("frame 0013.000", "expected 'frame NAME"),
        ("remane:", "Did you mean 'rename:'"),
        ("format 2", "reads no other version"),
        ("1 | yse | a | 1 2 3 | 1 2 3 | 0", "did you mean 'yes'"),
        ("1 | | a | 1 2 3 | 1 2 3 | 0", "keep: expected 'yes' or 'no', got ''"),
        ("1 | yes | | 1 2 3 | 1 2 3 | 0", "label: expected what it is"),
        ("1 | yes | a=b | 1 2 3 | 1 2 3 | 0", "'a b' can"),
        ("1 | yes | a | 1 2 | 1 2 3 | 0", "place: expected three numbers"),
        ("1 | yes | a | 1 2 x | 1 2 3 | 0", "place: expected a number such as 12.5, got 'x'"),
        ("1 | yes | a | 1 2 nan | 1 2 3 | 0", "place: expected a number"),
        ("1 | yes | a | 1 2 3 | 1e3 2 3 | 0", "size: expected a number"),
        ("1 | yes | a | 1 2 3 | 1 2 3 4 | 0", "size: expected three numbers"),
        ("1 | yes | a | 1 2 3 | 1 2 3 | ", "turn: expected one number"),
        ("1 | yes | a | 1 2 3 | 1 2 3 | 0 | refti", "did you mean 'refit'"),
        ("0 | yes | a | 1 2 3 | 1 2 3 | 0", "no: expected the box's number"),
        ("70000 | yes | a | 1 2 3 | 1 2 3 | 0", "no: expected the box's number"),
        ("newt | yes | a | 1 2 3 | 1 2 3 | 0", "no: expected the box's number"),
        ("1 | yes | a | pixel 3 4 | 1 2 3 | 0", "give its line the number 'new'"),
        ("new | yes | a | pixel 3 | 1 2 3 | 0", "pixel COLUMN ROW"),
        ("1 | yes | a", "expected 6 to 8 cells"),
        ("a -> b", "expected a frame"),
    ],
)
def test_a_line_that_says_nothing_is_told_with_its_number(line: str, told: str) -> None:
    (fault,) = faults_of(FRAME + line + "\n" + OBJECT.replace(" 1 ", " 2 "))
    assert fault.line == 2
    assert told in fault.message


def test_one_bad_line_keeps_the_good_ones() -> None:
    file, faults = parse_labels(FRAME + "2 | yse | a | 1 2 3 | 1 2 3 | 0\n" + OBJECT)
    assert [one.number for one in file.frames[0].objects] == [1] and len(faults) == 1


def test_a_number_twice_in_a_frame_is_a_fault_and_in_two_frames_none() -> None:
    (fault,) = faults_of(FRAME + OBJECT + OBJECT)
    assert fault.line == 3 and "line 2" in fault.message
    assert not faults_of(FRAME + OBJECT + FRAME.replace("12", "13") + OBJECT)


def test_new_boxes_may_be_several() -> None:
    assert not faults_of(FRAME + OBJECT.replace(" 1 ", "new") + OBJECT.replace(" 1 ", "new"))


def test_a_frame_or_rename_that_stands_twice_is_a_fault() -> None:
    (fault,) = faults_of(FRAME + FRAME)
    assert fault.line == 2 and "line 1" in fault.message
    (fault,) = faults_of("rename:\n a -> b\n a -> c\n")
    assert fault.line == 3


def test_an_object_before_the_first_frame_is_a_fault() -> None:
    (fault,) = faults_of(OBJECT)
    assert "before the first object" in fault.message


def test_label_of_a_box_left_out_may_be_anything() -> None:
    assert not faults_of(FRAME + "1 | no | | 1 2 3 | 1 2 3 | 0")


def test_all_faults_are_told_at_once_in_the_order_of_lines() -> None:
    error = LabelFileError("labels.txt", [Fault(line=9, message="b."), Fault(line=2, message="a.")])
    assert error.message.splitlines() == [
        "labels.txt: 2 lines need a change; nothing was written.",
        "  line 2: a.",
        "  line 9: b.",
    ]


def test_very_many_faults_are_counted() -> None:
    error = LabelFileError("labels.txt", [Fault(line=k, message="x.") for k in range(1, 101)])
    assert error.message.endswith("and 60 more.") and len(error.faults) == 100


def test_bytes_that_are_no_text_are_told_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes(b"frame 0001.000: checked\n1 | yes | caf\xe9 | 1 2 3 | 1 2 3 | 0\n")
    with pytest.raises(LabelFileError) as caught:
        read_labels(path)
    assert caught.value.faults[0].line == 2


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is none. `n3d dataset from-bag"):
        read_labels(tmp_path / "labels.txt")
