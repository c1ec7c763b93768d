"""Where weights are found: folders, repositories in the cache, and what is said of neither."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the extra [model] is not installed")

from n3d_ros.errors import ConfigurationError
from n3d_ros.weights.sources import hub_id_of, resolve_source


def never(_folder: Path) -> None:
    pytest.fail("a folder that was named is not checked here")


def refuse(folder: Path) -> None:
    if not (folder / "whole").exists():
        raise ConfigurationError("not whole")


def test_a_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    assert resolve_source(tmp_path, check_complete=never) == tmp_path


def test_errors_name_the_parameter_that_was_given(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="metric_model: there is no folder nowhere"):
        resolve_source("nowhere", check_complete=never, parameter="metric_model")
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(ConfigurationError, match="metric_model: expected the folder of a checkpoint, got the file"):
        resolve_source(tmp_path / "model.safetensors", check_complete=never, parameter="metric_model")


def test_a_repository_is_downloaded_only_while_its_local_copy_is_not_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    huggingface_hub = pytest.importorskip("huggingface_hub")
    asked: list[bool] = []

    def snapshot(_name: str, *, local_files_only: bool = False, **_options: object) -> str:
        asked.append(local_files_only)
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    assert resolve_source("owner/name", check_complete=refuse) == tmp_path
    assert asked == [True, False]
    (tmp_path / "whole").touch()
    asked.clear()
    assert resolve_source("owner/name", check_complete=refuse) == tmp_path
    assert asked == [True]


def test_hub_ids_are_told_from_paths(tmp_path: Path) -> None:
    assert hub_id_of("depth-anything/DA3-SMALL") == "depth-anything/DA3-SMALL"
    assert hub_id_of("./models/small") is None
    assert hub_id_of(Path("owner/name")) is None
    cached = tmp_path / "models--depth-anything--DA3-SMALL" / "snapshots" / "1"
    cached.mkdir(parents=True)
    assert hub_id_of(cached) == "depth-anything/DA3-SMALL"
