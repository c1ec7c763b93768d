"""A tokenizer of Qwen's kind, trained once."""

from __future__ import annotations

import pytest

from model_training.models.stand_in_tokenizer import train_stand_in_tokenizer
from n3d_ros.codec.tokenizer import Tokenizer


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return train_stand_in_tokenizer(tmp_path_factory.mktemp("tokenizer"))
