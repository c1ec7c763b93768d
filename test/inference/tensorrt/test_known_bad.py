"""Which TensorRT on which machine is warned of, at the boundaries of every entry."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("torch", reason="the extra [model] is not installed")

from n3d_ros.inference.tensorrt.known_bad import warnings_about
from n3d_ros.inference.tensorrt.machine import Machine

FUSED, BF16_BUILD, FLOAT32, TRANSPOSED = "issue 4837", "issue 4842", "issue 4813", "issue 4826"
ORIN_CODE, NO_JETPACK = "no code for Orin", "do not support JetPack"
MARKS = (FUSED, BF16_BUILD, FLOAT32, TRANSPOSED, ORIN_CODE, NO_JETPACK)

BLACKWELL, HOPPER, ORIN, ORIN_7, THOR = (
    ("12.0", ""),
    ("9.0", ""),
    ("8.7", "R36.4.3"),
    ("8.7", "R39.2.0"),
    ("11.0", "R39.2.0"),
)


def warnings_of(version: str, board: tuple[str, str], dtype: str) -> tuple[str, ...]:
    machine = Machine(
        tensorrt=version, driver="570.86.15", gpu="GPU", compute_capability=board[0], multiprocessors=16,
        jetpack=board[1],
    )  # fmt: skip
    return warnings_about(machine, dtype)


@pytest.mark.parametrize(
    ("version", "board", "dtype", "expected"),
    [
        # fused attention in half precision, 10.0 to 10.16.1, compute capability 12
        ("9.3.0.1", BLACKWELL, "float16", ()),
        ("10.0.0.6", BLACKWELL, "float16", (FUSED,)),
        ("10.9.0.34", ("12.1", ""), "bfloat16", (FUSED,)),
        ("10.16.1.11", BLACKWELL, "bfloat16", (FUSED,)),
        ("10.16.2", BLACKWELL, "bfloat16", ()),
        ("10.16.2.10", BLACKWELL, "bfloat16", ()),
        ("10.9.0.34", BLACKWELL, "float32", ()),
        ("10.9.0.34", HOPPER, "float16", ()),
        ("10.9.0.34", ("1.2", ""), "float16", ()),
        # 11 on compute capability 12
        ("11.0.0.114", BLACKWELL, "bfloat16", (BF16_BUILD,)),
        ("11.0.0.114", BLACKWELL, "float16", ()),
        ("11.0.0.114", BLACKWELL, "float32", ()),
        ("11.0.0.114", HOPPER, "bfloat16", ()),
        ("11.1.0.106", BLACKWELL, "float32", (FLOAT32,)),
        ("11.1.0.106", BLACKWELL, "bfloat16", (BF16_BUILD, FLOAT32)),
        ("11.1.0.106", HOPPER, "float32", ()),
        ("11.2.0.1", BLACKWELL, "float32", ()),
        ("11.2.1.9", BLACKWELL, "bfloat16", (BF16_BUILD, TRANSPOSED)),
        ("11.2.2.0", BLACKWELL, "bfloat16", (TRANSPOSED,)),
        # transposed inputs, 11.2 alone, every GPU
        ("11.1.9.9", HOPPER, "float16", ()),
        ("11.2.0.1", HOPPER, "float16", (TRANSPOSED,)),
        ("11.2.9.9", HOPPER, "bfloat16", (TRANSPOSED,)),
        ("11.2.0.1", HOPPER, "float32", ()),
        ("11.3.0.1", HOPPER, "float16", ()),
        # Orin under JetPack 7.2
        ("10.3.0.30", ORIN_7, "float16", ()),
        ("10.4.0.26", ORIN_7, "float16", (ORIN_CODE,)),
        ("10.13.3.9", ORIN_7, "float32", (ORIN_CODE,)),
        ("10.15.9.9", ORIN_7, "bfloat16", (ORIN_CODE,)),
        ("10.16.0.1", ORIN_7, "float16", ()),
        ("10.13.3.9", ORIN, "float16", ()),
        ("10.13.3.9", THOR, "float16", ()),
        ("10.13.3.9", ("8.7", ""), "float16", ()),
        # 11 under JetPack
        ("10.16.9.9", THOR, "float32", ()),
        ("11.0.0.114", THOR, "float32", (NO_JETPACK,)),
        ("11.2.0.1", ORIN, "float16", (TRANSPOSED, NO_JETPACK)),
        ("11.4.0.9", ORIN_7, "float32", (NO_JETPACK,)),
        ("11.4.1.0", ORIN_7, "float32", ()),
        ("11.4.0.9", HOPPER, "float32", ()),
        # what JetPack 6.2 brings, and a version that says more than numbers
        ("10.3.0.30", ORIN, "bfloat16", ()),
        ("10.9.0+cuda13", BLACKWELL, "float16", (FUSED,)),
    ],
)  # fmt: skip
def test_what_is_known_to_go_wrong_is_told_there_and_nowhere_else(
    version: str, board: tuple[str, str], dtype: str, expected: tuple[str, ...]
) -> None:
    warnings = warnings_of(version, board, dtype)
    assert tuple(mark for text in warnings for mark in MARKS if mark in text) == expected
    assert len(warnings) == len(expected)


def test_a_warning_is_a_sentence_that_names_the_version() -> None:
    for warning in warnings_of("11.1.0.106", BLACKWELL, "bfloat16"):
        assert re.fullmatch(r"TensorRT 11\.1\.0\.106: [a-z].*\.", warning)
