"""Weights that do not fit: what the error and the log name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the extra [model] is not installed")

from n3d_ros.errors import ConfigurationError
from n3d_ros.weights.filling import LOGGED_NAMES, SHOWN_NAMES, Match


@pytest.mark.parametrize(
    ("count", "told", "logged"),
    [
        (SHOWN_NAMES, r"tensor11. hint\.$", None),
        (SHOWN_NAMES + 1, r"tensor11 and 1 more. hint; the log names all\.$", "tensor12$"),
        (LOGGED_NAMES + 1, r"the log names more\.$", rf"tensor{LOGGED_NAMES - 1} and 1 more$"),
    ],
)
def test_a_few_names_are_told_many_are_logged_and_of_endless_ones_the_first(
    caplog: pytest.LogCaptureFixture, count: int, told: str, logged: str | None
) -> None:
    match = Match(targets={}, problems={"missing": [f"tensor{number}" for number in range(count)], "extra": []})
    with pytest.raises(ConfigurationError, match=told):
        match.refuse_misfits(Path("folder"), hint="hint")
    assert [bool(re.search(logged or "", message)) for message in caplog.messages] == [True] * (logged is not None)
