"""Which model files are: the repository tells a release from the one before it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="the extra [model] is not installed")

from n3d_ros.depth.identity import identify
from n3d_ros.depth.variants import LARGE

SUPERSEDED = "superseded by the -1.1 release"
UNCERTAIN = f"unless they are of it, {SUPERSEDED}"
DA3_LARGE: dict[str, Any] = {"model_name": "da3-large"}


@pytest.mark.parametrize(
    ("source", "name", "note"),
    [
        ("depth-anything/DA3-LARGE-1.1", "da3-large-1.1", ""),
        ("depth-anything/DA3-LARGE", "da3-large", f"{SUPERSEDED},"),
        ("someone/DA3-LARGE-1.1", "da3-large", UNCERTAIN),
        ("depth-anything/DA3-SMALL", "da3-large", UNCERTAIN),  # cannot be: the shape is another
    ],
)
def test_a_repository_says_which_of_two_releases_of_a_name_it_holds(source: str, name: str, note: str) -> None:
    known = identify(DA3_LARGE, Path("folder"), source)
    assert (known.name, known.config, known.licence) == (name, LARGE, "CC BY-NC 4.0")
    assert known.note.startswith(note)
    assert bool(known.note) == bool(note)


def test_so_does_a_folder_in_the_hubs_cache(tmp_path: Path) -> None:
    folder = tmp_path / "models--depth-anything--DA3-LARGE-1.1" / "snapshots" / "0"
    folder.mkdir(parents=True)
    assert identify(DA3_LARGE, folder, folder).name == "da3-large-1.1"


def test_of_another_folder_the_name_is_all_that_is_known(tmp_path: Path) -> None:
    known = identify(DA3_LARGE, tmp_path, tmp_path)
    assert known.name == "da3-large"
    assert known.note.startswith(UNCERTAIN)
    assert identify({"model_name": "DA3-Large-1.1"}, tmp_path, tmp_path).note == ""


@pytest.mark.parametrize(
    ("data", "metric"),
    [
        ({"model_name": "da3metric-large"}, True),
        ({"model_name": "da3mono-large"}, False),
        ({"model_name": "da3mono-large", "is_metric": True}, True),
        ({"model_name": "da3mono-large", "is_metric": "yes"}, False),
    ],
)
def test_what_is_metric_is_known_by_name_or_said(data: dict[str, Any], metric: bool) -> None:
    assert identify(data, Path("folder"), "somewhere").is_metric is metric
