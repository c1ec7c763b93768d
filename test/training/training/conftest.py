"""A tiny random model to begin with; one thread, for on tiny matrices more wait for each other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch comes with the extra [model]")
pytest.importorskip("accelerate", reason="accelerate comes with the extra [train]")

import torch

from model_training.models.random_model import write_random_model


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("start") / "tiny"
    write_random_model(folder, size="tiny", dtype="float32", position_code="aligned", seed=1)
    return folder
