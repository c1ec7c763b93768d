"""The words of ``meanings.yaml``, which the code does not hold itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

_WORDS: Mapping[str, Any] = yaml.safe_load(Path(__file__).with_name("meanings.yaml").read_text(encoding="utf-8"))

TOPICS: Mapping[str, str] = _WORDS["topics"]
"""What each topic, service and action is for, by the name the node gives it."""

STATUS_MENDS: Mapping[str, str] = _WORDS["status_mends"]
"""What to do about each status, by its name."""

DROP_REASONS: Mapping[str, Mapping[str, str]] = _WORDS["drop_reasons"]
"""What happened (``happened``) and what to do (``mend``), by reason."""

NOT_OF_IMAGES: Mapping[str, str] = _WORDS["not_of_images"]
"""Reasons in the code under which no image is counted, and what they are about."""
