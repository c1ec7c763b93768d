"""One row of the benchmark table: what was promised and what came out."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from n3d_ros.bench.table import markdown_table


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured number.

    Args:
        name: what was measured.
        value: the result; NaN when it could not be measured.
        unit: its unit.
        promise: the limit, None when it is only reported.
        at_most: whether the promise is an upper limit.
        note: how, or why not.
    """

    name: str
    value: float
    unit: str = ""
    promise: float | None = None
    at_most: bool = True
    note: str = ""

    @property
    def is_kept(self) -> bool | None:
        """Whether the promise is kept; None when there is none or nothing was measured."""
        if self.promise is None or math.isnan(self.value):
            return None
        return self.value <= self.promise if self.at_most else self.value >= self.promise

    @property
    def row(self) -> list[str]:
        """Cells for the table."""
        value = "not measured" if math.isnan(self.value) else f"{self.value:.4g} {self.unit}".strip()
        sign = "<=" if self.at_most else ">="
        promise = "" if self.promise is None else f"{sign} {self.promise:g} {self.unit}".strip()
        kept = {True: "yes", False: "**no**", None: ""}[self.is_kept]
        return [self.name, value, promise, kept, self.note]


def markdown(figures: Sequence[Figure]) -> str:
    """The figures as a Markdown table.

    Args:
        figures: rows.

    Returns:
        Lines.
    """
    header = ["figure", "measured", "promised", "kept", "how"]
    rows = [figure.row for figure in figures]
    return markdown_table(header, rows)


def told(figures: Sequence[Figure]) -> int:
    """Prints the table, and as the last line one JSON object.

    Args:
        figures: rows.

    Returns:
        0 when every promise is kept; 1 otherwise.
    """
    print(markdown(figures))
    rows = [asdict(figure) | {"value": None if math.isnan(figure.value) else figure.value} for figure in figures]
    print(json.dumps({"figures": rows}))
    return 0 if all(figure.is_kept is not False for figure in figures) else 1
