"""The model card: licences by shape, our own card, and how it reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the extra [model] is not installed")
pytest.importorskip("transformers", reason="the extra [model] is not installed")

from n3d_ros.errors import ConfigurationError  # noqa: E402
from n3d_ros.model.card import CARD_FILE, ModelCard, make_card, read_own_card  # noqa: E402
from n3d_ros.model.config import PositionCodeChoice, build_config  # noqa: E402
from n3d_ros.weights.filling import CardFile  # noqa: E402
from n3d_ros.weights.memory import MemoryPlan  # noqa: E402
from tiny_vlm import tiny_config  # noqa: E402

MROPE = {"type": "mrope", "mrope_section": [16, 24, 24]}
SHAPES: dict[str, dict[str, Any]] = {
    "3B": {"hidden_size": 2048, "num_hidden_layers": 36, "num_attention_heads": 16, "rope_scaling": MROPE},
    "7B": {"hidden_size": 3584, "num_hidden_layers": 28, "num_attention_heads": 28, "rope_scaling": MROPE},
    "": {},
}


def card_of(folder: Path, shape: str, mode: Any = "reference") -> ModelCard:
    return make_card(
        source="owner/name",
        folder=folder,
        files=(CardFile(name="model.safetensors", size_bytes=16_584_333_312, sha256="ab" * 32),),
        config=build_config(tiny_config(text=SHAPES[shape])),
        choice=PositionCodeChoice(mode=mode, reason="set in config.json"),
        plan=MemoryPlan(
            parameters=8_292_166_656, weight_bytes=16_584_333_312, available_bytes=1, place="cuda:0 (NVIDIA X)"
        ),
        stored_dtype="bfloat16",
        dtype="float16",
    )


def test_a_3b_shape_is_said_to_be_for_research_only(tmp_path: Path) -> None:
    card = card_of(tmp_path, "3B")
    assert card.licence == "Qwen Research License"
    assert "RESEARCH ONLY" in card.licence_note and "does not allow commercial use" in card.licence_note
    assert any(line.startswith("licence") and "RESEARCH ONLY" in line for line in card.lines())


def test_a_7b_shape_is_apache_and_so_is_n3d_vlm(tmp_path: Path) -> None:
    card = card_of(tmp_path, "7B")
    assert card.licence == "Apache-2.0" and "RESEARCH" not in card.licence_note
    assert "N3D-VLM itself is Apache-2.0" in card.licence_note


def test_an_unknown_shape_has_an_unknown_licence(tmp_path: Path) -> None:
    assert card_of(tmp_path, "").licence == "unknown"


def test_our_own_card_speaks_for_our_own_weights(tmp_path: Path) -> None:
    own = {"name": "N3D small", "licence": "Apache-2.0", "licence_note": "Made here.", "notes": "seed 3", "other": [1]}
    (tmp_path / CARD_FILE).write_text(json.dumps(own))
    card = card_of(tmp_path, "")
    assert (card.name, card.licence, card.licence_note, card.notes) == (
        "N3D small",
        "Apache-2.0",
        "Made here.",
        "seed 3",
    )
    assert card.lines()[0].split() == ["model", "N3D", "small"]


def test_an_own_card_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    assert read_own_card(tmp_path) is None
    (tmp_path / CARD_FILE).write_text("{")
    with pytest.raises(ConfigurationError, match=CARD_FILE):
        read_own_card(tmp_path)


def test_the_lines_tell_what_is_loaded(tmp_path: Path) -> None:
    text = "\n".join(card_of(tmp_path, "7B").lines())
    for part in (
        "N3D-VLM, 7B shape",
        "owner/name",
        "8.29 billion parameters in float16 (stored bfloat16), 16.58 GB on cuda:0 (NVIDIA X)",
        "3-D code  reference (set in config.json)",
        "model.safetensors  16.58 GB  sha256 abab",
    ):
        assert part in text
    assert "without 3-D code" in card_of(tmp_path, "7B", "none").name


def test_the_card_becomes_json_and_back(tmp_path: Path) -> None:
    card = card_of(tmp_path, "7B")
    again = json.loads(json.dumps(card.to_dict()))
    assert again["files"][0]["sha256"] == "ab" * 32 and again["position_code"] == "reference"
    assert set(again) == set(card.__dataclass_fields__)
