"""The untrained small model: its size, its first weights, and that the node's grounder runs it as it is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch (make setup MODEL=1) is not installed")

import torch

from builders import make_intrinsics
from model_training.nano.__main__ import main
from model_training.nano.first_weights import SPREAD, bin_code
from model_training.nano.folder import write_untrained
from model_training.nano.shapes import SHAPES, Shape
from n3d_ros.codec.input_options import read_input_options
from n3d_ros.codec.tokenizer import load_tokenizer
from n3d_ros.errors import ConfigurationError
from n3d_ros.frame import RgbdFrame
from n3d_ros.inference.grounder import GroundingRequest, GroundingResult
from n3d_ros.inference.language_model.config import LanguageModelConfig
from n3d_ros.inference.language_model.grounder import LanguageModelGrounder
from n3d_ros.inference.language_model.loading import check_tokenizer
from n3d_ros.model.checkpoint import LoadedModel, load_model

MAX_PARAMETERS = 8_000_000
SMALL = Shape(
    vision_width=64, vision_blocks=2, vision_inner=64, width=64, layers=2, inner=64, kv_heads=1, long_side=140
)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("nano") / "small"
    write_untrained(made, SMALL)
    return made


@pytest.fixture(scope="module")
def loaded(folder: Path) -> LoadedModel:
    return load_model(folder, dtype="float32", device="cpu")


def table_frame() -> RgbdFrame:
    """A box on a slope, in grey."""
    rows = np.mgrid[:120, :160][0]
    depth = 1.5 - 0.004 * rows
    depth[40:80, 60:100] -= 0.2
    rgb = np.full((120, 160, 3), 90, dtype=np.uint8)
    rgb[40:80, 60:100] = (200, 30, 30)
    intrinsics = make_intrinsics(width=160, height=120)
    return RgbdFrame(rgb=rgb, depth_m=depth.astype(np.float32), intrinsics=intrinsics, stamp_ns=0, frame_id="camera")


def grounded(folder: Path, **settings: object) -> GroundingResult:
    config = LanguageModelConfig(model=str(folder), device="cpu", capacity=512, **settings)  # type: ignore[arg-type]
    grounder = LanguageModelGrounder(config)
    try:
        return grounder.ground(table_frame(), GroundingRequest(phrase="mug"))
    finally:
        grounder.close()


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_is_within_what_is_shipped(tmp_path: Path, name: str) -> None:
    write_untrained(tmp_path / name, name)
    made = load_model(tmp_path / name, dtype="float16", device="cpu", hashes=False)
    assert made.card.parameters <= MAX_PARAMETERS
    small_files = sum(f.stat().st_size for f in (tmp_path / name).iterdir() if f.suffix != ".safetensors")
    assert made.card.weight_bytes + small_files <= 16_000_000


def test_it_is_ours_in_every_switch(folder: Path, loaded: LoadedModel) -> None:
    assert (loaded.position_code, loaded.model.point_channels) == ("aligned", True)
    assert loaded.model.lm_head.weight is loaded.model.model.language_model.embed_tokens.weight
    assert read_input_options(folder).long_side == SMALL.long_side
    check_tokenizer(load_tokenizer(folder), folder)


def test_the_same_seed_writes_the_same_folder_and_another_other_weights(folder: Path, tmp_path: Path) -> None:
    write_untrained(tmp_path / "again", SMALL)
    write_untrained(tmp_path / "other", SMALL, seed=1)
    for file in folder.iterdir():
        assert file.read_bytes() == (tmp_path / "again" / file.name).read_bytes()
    assert (folder / "model.safetensors").read_bytes() != (tmp_path / "other" / "model.safetensors").read_bytes()


def test_without_depth_it_is_the_same_network_that_sees_no_points(tmp_path: Path, loaded: LoadedModel) -> None:
    write_untrained(tmp_path / "flat", SMALL, depth=False)
    flat = load_model(tmp_path / "flat", dtype="float32", device="cpu")
    assert (flat.position_code, flat.model.point_channels) == ("none", False)
    more = dict(loaded.model.named_parameters()).keys() - dict(flat.model.named_parameters()).keys()
    assert more == {"model.visual.patch_embed.points.weight"}


def test_neighbouring_bins_begin_alike_and_far_ones_apart(folder: Path, loaded: LoadedModel) -> None:
    bins = load_tokenizer(folder).bin_ids
    assert bins is not None
    rows = loaded.model.lm_head.weight.detach()[list(bins)]
    similarity = torch.nn.functional.cosine_similarity(rows[500:501], rows)
    assert similarity.argmax() == 500
    assert similarity[499] > 0.9 > 0.8 > similarity[450]
    assert rows.square().mean().sqrt() == pytest.approx(SPREAD / SMALL.width**0.5, rel=1e-4)


def test_the_code_of_bins_has_rows_of_one_length() -> None:
    lengths = bin_code(1000, 64).square().mean(dim=1)
    assert torch.allclose(lengths, torch.ones(1000), atol=1e-5)


def test_first_weights_give_logits_of_a_moderate_size(folder: Path, loaded: LoadedModel) -> None:
    ids = torch.tensor([load_tokenizer(folder).encode("Detect boxes. Where is the mug?")])
    with torch.no_grad():
        logits = loaded.model(input_ids=ids).logits
    assert 0.01 < logits.std() < 3


def test_the_nodes_grounder_runs_it_as_it_is(folder: Path) -> None:
    result = grounded(folder, closed_classes=True, max_new_tokens=64)
    assert result.counts["rejected_lines"] == 0
    assert result.stage_ms.keys() >= {"input", "vision", "prefill", "decode"}
    assert {box.label for box in result.detections} <= {"mug"}
    again = grounded(folder, closed_classes=True, max_new_tokens=64)
    assert [box.box.center.tolist() for box in again.detections] == [
        box.box.center.tolist() for box in result.detections
    ]


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ConfigurationError, match="empty folder"):
        write_untrained(tmp_path, SMALL)
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


def test_an_unknown_shape_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="nano, pico"):
        write_untrained(tmp_path / "new", "giant")


def test_the_command_writes_a_folder_and_says_what_it_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        assert main([str(tmp_path / "flat"), "--shape", "pico", "--no-depth", "--long-side", "224"]) == 0
        assert main([str(tmp_path / "flat")]) == 1
    assert "first weights" in caplog.text and "empty folder" in caplog.text
    assert json.loads((tmp_path / "flat" / "config.json").read_text())["position_code"] == "none"
    assert read_input_options(tmp_path / "flat").long_side == 224
