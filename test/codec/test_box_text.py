"""Box lines: written, read, and read when they are not as they should be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from n3d_ros.codec.box_code import CODE_FIELDS, BoxCode
from n3d_ros.codec.box_text import (
    MAX_INDEX,
    MAX_LINES,
    MetricLine,
    ParsedBox,
    RejectedLine,
    format_box,
    format_boxes,
    format_metric_box,
    parse_boxes,
    parse_line,
    parse_metric_line,
)
from n3d_ros.errors import InputError

CHAIR = BoxCode(label="chair", u=512, v=433, depth=287, angle=500, size_x=62, size_y=0, size_z=999)
LINE = "bbox_3=Bbox(chair,512,433,287,500,62,0,999)\n"
CODES = st.builds(
    BoxCode,
    label=st.text(min_size=1, max_size=30).filter(
        lambda text: bool(text.strip()) and "=Bbox(" not in text and text.isprintable()
    ),
    **{name: st.integers(0, 999) for name in CODE_FIELDS},
)


def test_a_line_is_written_as_the_model_writes_it() -> None:
    assert format_box(3, CHAIR) == LINE
    assert format_boxes([CHAIR, CHAIR]) == LINE.replace("_3", "_0") + LINE.replace("_3", "_1")
    assert format_boxes([]) == ""


def test_a_line_is_read_back() -> None:
    assert parse_line(LINE) == ParsedBox(index=3, code=CHAIR, line=LINE.strip())


@pytest.mark.parametrize(
    "label",
    [
        "hot air balloon",
        "orange/tangerine",
        "fan/heater, small",
        "a, b, c",
        "cup (blue)",
        "Schr\u00e4nkchen",
        "\u6905\u5b50",
        "1,2,3",
        "5",
        "Bbox(x)",
        "x)",
        "(",
        "'quoted'",
        "bbox_7",
    ],
)
def test_classes_of_all_kinds_survive(label: str) -> None:
    code = BoxCode(label=label, **dict(zip(CODE_FIELDS, CHAIR.bins, strict=True)))
    assert parse_boxes(format_boxes([code, CHAIR])).codes == (code, CHAIR)


@given(codes=st.lists(CODES, max_size=6))
def test_any_codes_survive(codes: list[BoxCode]) -> None:
    parsed = parse_boxes(format_boxes(codes))
    assert parsed.codes == tuple(codes)
    assert not parsed.rejected and not parsed.notes
    assert [box.index for box in parsed.boxes] == list(range(len(codes)))


@given(text=st.text())
def test_no_text_raises(text: str) -> None:
    parsed = parse_boxes(text)
    assert len(parsed.boxes) + len(parsed.rejected) <= len(text)
    parse_metric_line(text)
    parse_line(text)


FRAGMENTS = st.sampled_from(
    [
        "bbox_",
        "0",
        "12",
        "=Bbox(",
        "chair",
        ",",
        "1",
        "-3",
        "1000",
        "999",
        ")",
        "\n",
        " ",
        "(",
        "1.5",
        "e9",
        "nan",
        "\u6905",
    ]
)


@given(pieces=st.lists(FRAGMENTS, max_size=40))
def test_no_line_made_of_the_grammars_own_pieces_raises(pieces: list[str]) -> None:
    text = "".join(pieces)
    for box in parse_boxes(text).boxes:
        assert parse_line(format_box(box.index, box.code)) == ParsedBox(
            index=box.index, code=box.code, line=format_box(box.index, box.code).strip()
        )
    parse_metric_line(text)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("bbox_1=Bbox(cup,1,2,3,4,5,6)", r"expected a class and 7 numbers .* got 7 fields"),
        ("bbox_1=Bbox(cup)", "got 1 fields"),
        ("bbox_1=Bbox()", "got 1 fields"),
        ("bbox_1=Bbox(cup,1,2,3.5,4,5,6,7)", r"depth: expected an integer, got '3.5'"),
        ("bbox_1=Bbox(cup,1,2,3,4,5,6,seven)", "size_z: expected an integer, got 'seven'"),
        ("bbox_1=Bbox(cup,1,2,3,4,5,6,)", "size_z: expected an integer, got ''"),
        ("bbox_1=Bbox(cup,-1,2,3,4,5,6,7)", "u: expected 0 to 999, got -1"),
        ("bbox_1=Bbox(cup,1,1000,3,4,5,6,7)", "v: expected 0 to 999, got 1000"),
        ("bbox_1=Bbox(cup,1,2,3", "unfinished line"),
        ("bbox_1=Bbox(cup,1,2,3,4,5,6,7", "unfinished line"),
        ("bbox_1=Bbox(,1,2,3,4,5,6,7)", "expected a class before the numbers, got none"),
        ("bbox_1=Bbox( ,1,2,3,4,5,6,7)", "expected a class before the numbers"),
        ("bbox_=Bbox(cup,1,2,3,4,5,6,7)", "not a box line"),
        ("There are two cups.", "not a box line"),
        ("bbox_1=Bbox(cup,\u0661,2,3,4,5,6,7)", "u: expected an integer"),
        ("bbox_1=Bbox(" + "x" * 2000 + ",1,2,3,4,5,6,7)", "at most 1024 characters"),
        ("bbox_1=Bbox(" + "x" * 400 + ",1,2,3,4,5,6,7)", "Label of a box"),
    ],
)
def test_a_rejected_line_says_why(line: str, reason: str) -> None:
    import re

    result = parse_line(line)
    assert isinstance(result, RejectedLine)
    assert re.search(reason, result.reason), result.reason
    assert line.startswith(result.line)


def test_good_lines_come_back_beside_rejected_ones() -> None:
    text = "Here they are:\n" + LINE + "bbox_4=Bbox(cup,1,2\n\n  " + LINE.replace("_3", "_5") + "bbox_6=Bbox(lamp,1,"
    parsed = parse_boxes(text)
    assert [box.index for box in parsed.boxes] == [3, 5]
    assert [rejected.line for rejected in parsed.rejected] == [
        "Here they are:",
        "bbox_4=Bbox(cup,1,2",
        "bbox_6=Bbox(lamp,1,",
    ]


def test_an_index_that_occurs_twice_is_accepted_and_noted() -> None:
    parsed = parse_boxes(LINE + LINE + LINE.replace("_3", "_4"))
    assert len(parsed.boxes) == 3
    assert parsed.notes == ("bbox_3 occurs 2 times",)


def test_boxes_on_one_line_are_parted() -> None:
    parsed = parse_boxes(LINE.strip() + " " + LINE.replace("_3", "_4").strip() + LINE.replace("_3", "_5"))
    assert [box.index for box in parsed.boxes] == [3, 4, 5]
    assert not parsed.rejected


def test_the_last_line_needs_no_newline() -> None:
    assert len(parse_boxes(LINE.strip()).boxes) == 1


def test_blanks_around_numbers_and_in_classes_do_no_harm() -> None:
    result = parse_line("  bbox_0=Bbox(hotair          ballon , 1, 2,3,4,5,6, 7 )  ")
    assert isinstance(result, ParsedBox)
    assert (result.code.label, result.code.bins) == ("hotair ballon", (1, 2, 3, 4, 5, 6, 7))


def test_endless_texts_are_read_up_to_a_bound() -> None:
    parsed = parse_boxes(LINE * (MAX_LINES + 5))
    assert len(parsed.boxes) == MAX_LINES
    assert f"at most {MAX_LINES} lines, got {MAX_LINES + 5}" in parsed.rejected[-1].reason


@pytest.mark.parametrize("index", [-1, MAX_INDEX + 1])
def test_impossible_indices_are_refused(index: int) -> None:
    with pytest.raises(InputError, match="expected an index of 0 to"):
        format_box(index, CHAIR)


def test_metric_lines_are_read_apart() -> None:
    line = "bbox_1=Bbox(orange/tangerine,0.72,0.858,1.372624158859253,0.0,0.216,0.0712,1.1e-1)"
    result = parse_metric_line(line)
    assert isinstance(result, MetricLine)
    assert (result.box.u, result.box.depth_m, result.box.size_m) == (0.72, 1.372624158859253, (0.216, 0.0712, 0.11))
    assert parse_metric_line(format_metric_box(1, result.box)) == MetricLine(
        index=1, box=result.box, line=format_metric_box(1, result.box).strip()
    )
    assert isinstance(parse_line(line), RejectedLine)


@pytest.mark.parametrize("number", ["nan", "inf", "0x10", "1_0", "", "1e999", "-0.5"])
def test_metric_lines_take_finite_sizes_alone(number: str) -> None:
    assert isinstance(parse_metric_line(f"bbox_1=Bbox(cup,0.1,0.1,1,0,1,1,{number})"), RejectedLine)
