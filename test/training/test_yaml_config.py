"""Configurations out of YAML files: what fits the fields, and sentences about what does not."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from model_training.yaml_config import from_mapping, read_yaml
from n3d_ros.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True)
class Inner:
    share: float = 0.5


@dataclass(frozen=True, kw_only=True)
class Outer:
    names: tuple[str, ...] = ()
    size: tuple[int, int] = (1, 1)
    steps: int = 1
    distance_m: tuple[float, float] | None = None
    word: str = ""
    inner: Inner = Inner()


def test_lists_become_tuples_and_whole_numbers_do_where_numbers_belong() -> None:
    made = from_mapping({"names": ["mug"], "distance_m": [1, 2.5], "inner": {"share": 1}}, Outer, "here")
    assert made == Outer(names=("mug",), distance_m=(1, 2.5), inner=Inner(share=1))
    assert from_mapping({"distance_m": None}, Outer, "here") == Outer()


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"names": ["mug", 3]}, "here names: expected list[str, ...], got ['mug', 3]."),
        ({"names": "mug"}, "here names: expected list[str, ...], got 'mug'."),
        ({"size": [1, 2, 3]}, "here size: expected list[int, int], got [1, 2, 3]."),
        ({"steps": "many"}, "here steps: expected int, got 'many'."),
        ({"steps": 1.5}, "here steps: expected int, got 1.5."),
        ({"steps": True}, "here steps: expected int, got True."),
        ({"word": None}, "here word: expected str, got None."),
        ({"inner": {"share": [1]}}, "here inner share: expected float, got [1]."),
        ({"stesp": 1}, "here: unknown key 'stesp'; known: names, size, steps, distance_m, word, inner."),
    ],
)
def test_a_value_of_another_type_is_named_with_its_place(values: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(told)):
        from_mapping(values, Outer, "here")


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(ConfigurationError, match="photo.jpg: expected a readable YAML file"):
        read_yaml(tmp_path / "photo.jpg", Outer)
