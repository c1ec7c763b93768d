"""Text from outside becomes one printable line of bounded length."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from n3d_ros.ros.plain_text import plain, plain_lines


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a red box", "a red box"),
        ("红色的方块 أحمر 📦", "红色的方块 أحمر 📦"),
        ("red\n[ERROR] forged", "red [ERROR] forged"),
        ("\x1b[2Jred", "\\x1b[2Jred"),
        ("a\u202eb", "a\\u202eb"),
        ("\ud800", "\\ud800"),
        ("a\u00a0b\u3000c\td", "a b c d"),
        ("back\\slash", "back\\slash"),
        ("'quoted\x00'", "'quoted\\x00'"),
    ],
)
def test_what_a_terminal_obeys_becomes_visible(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_long_text_is_cut_and_says_by_how_much() -> None:
    assert plain("x" * 50, 10) == "x" * 10 + "... (40 more characters)"


@given(st.text(alphabet=st.characters()))
def test_any_text_becomes_printable(text: str) -> None:
    assert plain(text).isprintable()


def test_lines_of_ours_stay_apart_and_only_the_first_begins_at_the_margin() -> None:
    assert (
        plain_lines("Traceback\n  File\nError: \x1b[1m\r[INFO]") == "Traceback\n      File\n    Error: \\x1b[1m [INFO]"
    )
