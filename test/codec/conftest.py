"""Tokenizers for the tests of the codec."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

REAL_TOKENIZER = "N3D_TOKENIZER"


@pytest.fixture(scope="session")
def stand_in_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the stand-in tokenizer."""
    pytest.importorskip("tokenizers", reason="the package tokenizers (make setup MODEL=1) is not installed")
    from model_training.models.stand_in_tokenizer import train_stand_in_tokenizer

    folder = tmp_path_factory.mktemp("stand_in")
    train_stand_in_tokenizer(folder)
    return folder


@pytest.fixture(scope="session", params=["stand-in", "real"])
def tokenizer(request: pytest.FixtureRequest) -> Any:
    """The stand-in tokenizer, and Qwen's own where a folder is given."""
    from n3d_ros.codec.tokenizer import load_tokenizer

    if request.param == "stand-in":
        return load_tokenizer(request.getfixturevalue("stand_in_folder"))
    if not os.environ.get(REAL_TOKENIZER):
        pytest.skip(f"{REAL_TOKENIZER} does not name a folder with the tokenizer of Qwen2.5-VL or N3D-VLM")
    pytest.importorskip("tokenizers", reason="the package tokenizers (make setup MODEL=1) is not installed")
    return load_tokenizer(os.environ[REAL_TOKENIZER])
