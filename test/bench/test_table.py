"""Rows of measured figures: percentiles, ratios, what was not measured, and the table they make."""

from __future__ import annotations

import json
import math

import pytest

from n3d_ros.bench.table import HEADER, Row, markdown, percentiles, ratio_row


def test_percentiles_lie_between_samples_and_leave_nan_out() -> None:
    assert percentiles([*range(101), math.nan]) == (50.0, 95.0, 99.0)
    assert percentiles([10.0, 20.0]) == pytest.approx((15.0, 19.5, 19.9))
    assert percentiles([7.0]) == (7.0, 7.0, 7.0)


def test_no_samples_give_a_row_that_says_not_measured() -> None:
    row = Row.of_samples("first box", "nano", [math.nan], note="no box")
    assert all(math.isnan(value) for value in (row.p50, row.p95, row.p99)) and row.count == 0
    assert row.cells == ["first box", "nano", "not measured", "", "", "", "no box"]
    assert row.plain["p50"] is None and json.loads(json.dumps(row.plain))["note"] == "no box"


def test_a_ratio_says_how_many_times_as_fast_the_second_is() -> None:
    row = ratio_row("whole frame", ("torch", [30.0, 20.0, 1000.0]), ("onnx", [10.0, 15.0, 20.0]))
    assert row.p50 == 2.0 and row.of == "torch / onnx" and row.unit == "x"
    assert math.isnan(ratio_row("whole frame", ("torch", [30.0]), ("onnx", [])).p50)
    assert math.isnan(ratio_row("whole frame", ("torch", [30.0]), ("onnx", [0.0])).p50)


def test_a_single_number_has_no_further_percentiles() -> None:
    row = Row(figure="power", p50=12.3456789, unit="W")
    assert row.cells[2:6] == ["12.35 W", "", "", ""]
    assert Row(figure="latency", p50=18149.6, unit="ms").cells[2] == "18150 ms"
    assert row.plain["p50"] == 12.3457 and row.plain["p95"] is None


def test_bars_and_line_ends_in_a_cell_do_not_break_the_table() -> None:
    lines = markdown([Row(figure="a|b", of="two\nlines", p50=1.0)]).splitlines()
    assert lines[0] == "| " + " | ".join(HEADER) + " |"
    assert len(lines) == 3 and all(line.count("|") == len(HEADER) + 1 for line in lines)
    assert "a/b" in lines[2] and "two lines" in lines[2]
