"""A checkpoint's own way to be shown images."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from n3d_ros.codec.input_options import PREPROCESSOR_FILE, InputOptions, read_input_options, stored_options
from n3d_ros.errors import ConfigurationError


def written(folder: Path, content: object) -> Path:
    (folder / PREPROCESSOR_FILE).write_text(json.dumps(content), encoding="utf-8")
    return folder


def test_a_folder_that_says_nothing_is_shown_what_the_released_weights_learnt(tmp_path: Path) -> None:
    assert read_input_options(tmp_path) == InputOptions()
    # The released folders' own limits belong to another image path.
    assert read_input_options(written(tmp_path, {"min_pixels": 4000, "max_pixels": 5000})) == InputOptions()


def test_what_is_stored_comes_back(tmp_path: Path) -> None:
    options = InputOptions(long_side=320, normalization="robust", max_pixels=100_000)
    assert read_input_options(written(tmp_path, {"n3d": stored_options(options)})) == options


@pytest.mark.parametrize(
    "stored",
    [
        {"longside": 320},
        {"long_side": "320"},
        {"long_side": True},
        {"long_side": 1},
        {"normalization": "median"},
        {"min_pixels": 10, "max_pixels": 5},
        [],
        "320",
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_files_name(tmp_path: Path, stored: object) -> None:
    with pytest.raises(ConfigurationError, match="preprocessor_config.json: n3d"):
        read_input_options(written(tmp_path, {"n3d": stored}))
