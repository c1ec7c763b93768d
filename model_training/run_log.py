"""The log of a run: one JSON object a line, cut back where a resumed run begins."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LOG_FILE = "log.jsonl"


class RunLog:
    """Appends lines that each hold a step; opened at a step, later lines of an earlier attempt are dropped."""

    def __init__(self, run: Path, first_step: int) -> None:
        self.path = run / LOG_FILE
        kept = read_log(run, until=first_step)
        self.path.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")

    def add(self, step: int, kind: str, values: Mapping[str, Any]) -> None:
        """Appends a line.

        Args:
            step: steps done.
            kind: "train" or "validation".
            values: by name.
        """
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, "kind": kind, **values}) + "\n")


def read_log(run: Path, *, until: int | None = None) -> list[dict[str, Any]]:
    """The lines of a run's log; a last line that was cut off is left out.

    Args:
        run: folder of the run.
        until: the last step whose lines are wanted; None: all.

    Returns:
        One mapping per line.
    """
    path = run / LOG_FILE
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    values = [json.loads(line) for line in lines if line.endswith("}\n")]
    return [line for line in values if until is None or line["step"] <= until]
