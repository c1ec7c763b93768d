"""Figures from the node's reports."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from n3d_ros.ros.viewer.report_window import ReportWindow
from viewer_messages import make_report


def test_without_reports_there_are_no_figures() -> None:
    summary = ReportWindow().summary(0.0)
    assert (summary.rate_hz, summary.age_ms, summary.status) == (0.0, None, "")


def test_the_rate_is_that_of_the_last_seconds() -> None:
    window = ReportWindow()
    for number in range(50):
        window.add(make_report(frames_received=number), number * 0.1)
    assert window.summary(4.9).rate_hz == pytest.approx(10.0)
    assert window.summary(60.0).rate_hz == 0.0
    assert window.usual_gap_s() == pytest.approx(0.1)


def test_median_and_95th_percentile_of_age_and_processing() -> None:
    window = ReportWindow()
    for number in range(100):
        window.add(make_report(age_at_publish_ms=float(number), total_ms=10.0, frames_received=number), number * 0.1)
    summary = window.summary(10.0)
    assert summary.age_ms == (50.0, 95.0)
    assert summary.total_ms == (10.0, 10.0)


@pytest.mark.parametrize("age_ms", [float("nan"), 1e12, -1e12])
def test_an_age_that_is_unknown_or_of_another_clock_is_not_counted(age_ms: float) -> None:
    window = ReportWindow()
    window.add(make_report(age_at_publish_ms=age_ms), 0.0)
    assert window.summary(0.0).age_ms is None


def test_drops_are_listed_most_frequent_first() -> None:
    drops = [SimpleNamespace(name="overload", count=2), SimpleNamespace(name="no_transform", count=9)]
    window = ReportWindow()
    window.add(make_report(frames_dropped=drops), 0.0)
    assert window.summary(0.0).drops == (("no_transform", 9), ("overload", 2))


def test_a_node_that_began_anew_starts_the_window_afresh() -> None:
    window = ReportWindow()
    for number in range(20):
        window.add(make_report(total_ms=500.0, frames_received=100 + number), number * 0.1)
    window.add(make_report(total_ms=5.0, frames_received=1), 3.0)
    assert window.summary(3.0).total_ms == (5.0, 5.0)


def test_a_refused_frame_is_told_with_its_reason_and_is_no_look() -> None:
    window = ReportWindow()
    window.add(make_report(status=SimpleNamespace(code=7, message="tf is missing.")), 0.0)
    summary = window.summary(0.0)
    assert (summary.status, summary.message, summary.rate_hz) == ("NO_TRANSFORM", "tf is missing.", 0.0)
