"""What all tests share."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

# The same examples in every run: a change is judged by what it changes, and a busy machine fails no deadline.
settings.register_profile("repository", derandomize=True, deadline=None, database=None)
settings.load_profile("repository")

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real frames and golden tensors beside the checkout; not part of what users install."""
    folder = REPOSITORY.parent / "shared"
    if not (folder / "realdata").is_dir():
        pytest.skip("the real frames (a folder 'shared' beside the checkout) are not here")
    return folder
