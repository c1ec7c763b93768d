"""Measured figures as rows of one table: percentiles of samples, single numbers, and what was not measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

HEADER = ("figure", "of", "p50", "p95", "p99", "count", "how")
PERCENTS = (50.0, 95.0, 99.0)


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table.

    Args:
        header: names of the columns.
        rows: cells; what would end a cell or a row is replaced.

    Returns:
        Lines.
    """
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    """A cell in one line, without bars."""
    return " ".join(text.replace("|", "/").split())


def _number(value: float) -> str:
    """Four digits, or as many as there are before the point."""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def percentiles(samples: Sequence[float]) -> tuple[float, float, float]:
    """Median, 95th and 99th percentile, between samples where they fall between two.

    Args:
        samples: any number of them; NaN does not count.

    Returns:
        NaN three times when there are none.
    """
    values = np.asarray(samples, dtype=np.float64)
    values = values[np.isfinite(values)]
    if not values.size:
        return math.nan, math.nan, math.nan
    p50, p95, p99 = np.percentile(values, PERCENTS).tolist()
    return p50, p95, p99


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measured figure.

    Args:
        figure: what was measured.
        of: of which runtime; empty: of the machine or the whole run.
        p50: the median, or the number itself; NaN: not measured.
        p95: 95th percentile; NaN for a number that stands alone.
        p99: 99th percentile; NaN for a number that stands alone.
        unit: of all three.
        count: samples; 0 for a number that stands alone.
        note: how, or why not.
    """

    figure: str
    of: str = ""
    p50: float = math.nan
    p95: float = math.nan
    p99: float = math.nan
    unit: str = ""
    count: int = 0
    note: str = ""

    @classmethod
    def of_samples(cls, figure: str, of: str, samples: Sequence[float], unit: str = "ms", note: str = "") -> Row:
        """The percentiles of some samples.

        Args:
            figure: what was measured.
            of: of which runtime.
            samples: NaN does not count.
            unit: of the samples.
            note: how.

        Returns:
            The row.
        """
        p50, p95, p99 = percentiles(samples)
        count = int(np.isfinite(np.asarray(samples, dtype=np.float64)).sum())
        return cls(figure=figure, of=of, p50=p50, p95=p95, p99=p99, unit=unit, count=count, note=note)

    @property
    def cells(self) -> list[str]:
        """Cells for the table."""
        if math.isnan(self.p50):
            return [self.figure, self.of, "not measured", "", "", "", self.note]
        values = [_number(value) if math.isfinite(value) else "" for value in (self.p50, self.p95, self.p99)]
        values[0] = f"{values[0]} {self.unit}".strip()
        return [self.figure, self.of, *values, str(self.count or ""), self.note]

    @property
    def plain(self) -> dict[str, Any]:
        """Plain values for JSON: six digits, None for what was not measured."""
        return {
            name: (float(f"{value:.6g}") if math.isfinite(value) else None) if isinstance(value, float) else value
            for name, value in asdict(self).items()
        }


def ratio_row(figure: str, one: tuple[str, Sequence[float]], other: tuple[str, Sequence[float]]) -> Row:
    """How many times as fast the other is: the ratio of the two medians.

    Args:
        figure: what was measured.
        one: name and samples.
        other: name and samples.

    Returns:
        The row; not measured where one has no samples.
    """
    above, below = percentiles(one[1])[0], percentiles(other[1])[0]
    ratio = above / below if below else math.nan
    return Row(figure=figure, of=f"{one[0]} / {other[0]}", p50=ratio, unit="x", note="ratio of the medians")


def markdown(rows: Sequence[Row]) -> str:
    """The table.

    Args:
        rows: in order.

    Returns:
        Lines of Markdown.
    """
    return markdown_table(HEADER, [row.cells for row in rows])
