"""The description of a folder of graphs: written, read, and refused by name where it is not what it should be."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from n3d_ros.errors import ConfigurationError
from n3d_ros.inference.graphs import (
    GRAPHS_FILE,
    DepthGraphs,
    LanguageModelGraphs,
    check_files,
    has_graphs,
    read_graphs,
    write_graphs,
)
from n3d_ros.whole_files import file_digest

NEEDED = (
    "vision.onnx", "vision.data", "decoder.onnx", "decoder.data", "embedding.safetensors", "config.json",
)  # fmt: skip
LANGUAGE = LanguageModelGraphs(
    name="n3d-nano", source="n3d-nano", made_with={"torch": "2.13.0"}, dtype="float32", licence="Apache-2.0",
    attention="fused",
    position_code="aligned", image_token=3303, vocab_size=3328, layers=4, cache_width=320, head_dim=32,
    rope_theta=10000.0, rope_sections=(4, 6, 6), vision_width=128, vision_head_dim=32, vision_window=4, vision_merge=2,
    vision_theta=10000.0, point_channels=True, grid=None, files=dict.fromkeys(NEEDED, "00"),
)  # fmt: skip
DEPTH = DepthGraphs(
    name="da3-small", source="small", made_with={}, dtype="float32", licence="Apache-2.0", network_hw=(378, 504),
    views=2, takes_poses=True, any_view="any_view.onnx", single="", single_is_metric=False,
    files={"any_view.onnx": "00", "any_view.data": "01"},
)  # fmt: skip


QUANTIZED = replace(LANGUAGE, weights="int4", losses={"boxes": 0.01, "corners_mm": 3})


@pytest.mark.parametrize(
    "graphs",
    [LANGUAGE, replace(LANGUAGE, grid=(18, 22)), QUANTIZED, DEPTH],
    ids=["any size", "one size", "quantised", "depth"],
)
def test_what_was_written_is_read(tmp_path: Path, graphs: Any) -> None:
    assert not has_graphs(tmp_path)
    write_graphs(tmp_path, graphs)
    assert has_graphs(tmp_path)
    assert read_graphs(tmp_path, type(graphs)) == graphs


def test_people_read_what_it_is() -> None:
    assert replace(LANGUAGE, grid=(18, 22)).lines()[1] == "graphs    float32, 22x18 patches, attention fused"
    assert QUANTIZED.lines()[1] == (
        "graphs    float32, int4 weights in the language model, any image size, attention fused"
    )
    assert QUANTIZED.lines()[-1] == "losses    boxes 0.01, corners_mm 3"
    assert replace(QUANTIZED, losses={}).lines()[-1] == "losses    not measured"
    assert not any("losses" in line for line in LANGUAGE.lines())
    assert DEPTH.lines()[2] == "licence   Apache-2.0"
    assert DEPTH.lines()[1] == "graphs    float32, 504x378 px, 2 views at a time with poses"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"dtype": "int8"}, "dtype: expected float32 or float16 or bfloat16, got 'int8'"),
        ({"layers": "4"}, "layers: expected int, got '4'"),
        ({"layers": True}, "layers: expected int, got True"),
        ({"point_channels": 1}, "point_channels: expected bool, got 1"),
        ({"grid": [18]}, "grid: expected"),
        ({"grid": [18, -2]}, "grid: expected"),
        ({"rope_sections": None}, "rope_sections: expected"),
        ({"files": {"a": 1}}, "files: expected"),
        ({"files": {"../a": "00"}}, "names without folders"),
        ({"files": {}}, "expected a checksum of config.json, decoder.data"),
        ({"layers": -1}, "layers: expected int, got -1"),
        ({"attention": "flash"}, "attention: expected fused or safe"),
        ({"weights": "int3"}, "weights: expected float or int8 or int4 or fp8, got 'int3'"),
        ({"losses": {"boxes": "0.1"}}, "losses: expected"),
        ({"losses": {"boxes": float("nan")}}, "losses: expected"),
        ({"losses": [0.1]}, "losses: expected"),
        ({"surprise": 1}, "surprise"),
        ({"kind": "depth"}, "expected graphs of kind language_model"),
        ({"format": 99}, "in 99"),
    ],
)
def test_a_description_that_is_none_is_refused_by_name(tmp_path: Path, change: dict[str, Any], named: str) -> None:
    write_graphs(tmp_path, LANGUAGE)
    file = tmp_path / GRAPHS_FILE
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(ConfigurationError, match=named):
        read_graphs(tmp_path, LanguageModelGraphs)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"{}", b"[" * 100_000, b" " * (2 << 20)])
def test_a_broken_description_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / GRAPHS_FILE).write_bytes(content)
    with pytest.raises(ConfigurationError, match=GRAPHS_FILE):
        read_graphs(tmp_path, LanguageModelGraphs)


def test_a_folder_without_graphs_is_told_how_to_get_some(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="n3d export MODEL --out FOLDER"):
        read_graphs(tmp_path / "nowhere", LanguageModelGraphs)


def test_graphs_outside_of_their_folder_are_not_read(tmp_path: Path) -> None:
    write_graphs(tmp_path, replace(DEPTH, any_view="../any_view.onnx"))
    with pytest.raises(ConfigurationError, match="expected a checksum of"):
        read_graphs(tmp_path, DepthGraphs)


def test_a_name_that_no_folder_has_is_none_of_graphs() -> None:
    assert not has_graphs(Path("x" * 5000))


def test_a_file_that_changed_or_is_gone_is_named(tmp_path: Path) -> None:
    file = tmp_path / "decoder.data"
    file.write_bytes(bytes(range(256)) * 40)
    files = {file.name: file_digest(file)}
    told: list[float] = []
    check_files(tmp_path, files, lambda _sentence, share: told.append(share))
    assert told
    content = bytearray(file.read_bytes())
    content[5000] ^= 1
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"decoder\.data: expected sha256"):
        check_files(tmp_path, files)
    file.unlink()
    with pytest.raises(ConfigurationError, match=r"decoder\.data: expected this file"):
        check_files(tmp_path, files)
