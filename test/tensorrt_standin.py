"""The stand-in of the module tensorrt (test/standins), loaded as a version of it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent / "standins"
OLDEST, NEWEST = "10.3.0.26", "11.1.0.106"


def load_standin(monkeypatch: pytest.MonkeyPatch, version: str = OLDEST, mode: str = "") -> Any:
    """The stand-in, here and in child processes, in place of a module that may be installed.

    Args:
        monkeypatch: undoes it.
        version: which it pretends to be.
        mode: how it fails; see its own text.
    """
    monkeypatch.setenv("TENSORRT_STANDIN_VERSION", version)
    monkeypatch.setenv("TENSORRT_STANDIN", mode)
    monkeypatch.syspath_prepend(str(FOLDER))
    spec = importlib.util.spec_from_file_location("tensorrt", FOLDER / "tensorrt" / "__init__.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setitem(sys.modules, "tensorrt", module)
    return module
