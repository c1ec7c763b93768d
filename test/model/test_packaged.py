"""The checkpoint that comes with the package: named, checked, and missed in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from n3d_ros.errors import ConfigurationError
from n3d_ros.model import packaged
from n3d_ros.model.checkpoint import load_model, resolve_source, save_model
from n3d_ros.model.packaged import PACKAGED_FOLDER, PACKAGED_NAME, SUMS_FILE, check_sums, packaged_folder, write_sums
from tiny_vlm import tiny_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_model(tiny_model(), tmp_path)
    write_sums(tmp_path)
    return tmp_path


def test_other_names_are_not_its_business(folder: Path) -> None:
    assert packaged_folder("owner/n3d-nano", folder=folder) is None
    assert packaged_folder(folder, folder=folder) is None


def test_its_name_gives_its_folder(folder: Path) -> None:
    assert packaged_folder(PACKAGED_NAME, folder=folder) == folder


def test_the_name_loads_the_model(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packaged.packaged_folder, "__kwdefaults__", {"folder": folder})
    assert resolve_source(PACKAGED_NAME) == folder
    assert load_model(PACKAGED_NAME, device="cpu").folder == folder


def test_where_none_is_packaged_a_sentence_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="has none.*geometric grounder"):
        packaged_folder(PACKAGED_NAME, folder=tmp_path)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_changed_byte_and_a_missing_file_are_named(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[-1] ^= 1
    (folder / name).write_bytes(bytes(content))
    with pytest.raises(ConfigurationError, match=f"{name}: expected sha256"):
        check_sums(folder)
    (folder / name).unlink()
    with pytest.raises(ConfigurationError, match=f"{name}: expected this file"):
        check_sums(folder)


@pytest.mark.parametrize("line", ["", "abc  model.safetensors", f"{'0' * 64}  ../config.json", f"{'0' * 64}"])
def test_a_list_of_sums_that_is_none_is_refused(folder: Path, line: str) -> None:
    (folder / SUMS_FILE).write_text(line + "\n")
    with pytest.raises(ConfigurationError, match=SUMS_FILE):
        check_sums(folder)


def test_what_is_packaged_is_whole_and_small() -> None:
    check_sums(PACKAGED_FOLDER)
    assert sum(file.stat().st_size for file in PACKAGED_FOLDER.iterdir()) <= 16_000_000
