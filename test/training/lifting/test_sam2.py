"""Masks from boxes by SAM 2: the way through transformers, on a tiny network of random weights.

Released weights were never run here; what is tested is that prompts, sizes, scores and files go the right way.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from model_training.lifting.annotations import Annotation2D  # noqa: E402
from model_training.lifting.config import MaskConfig  # noqa: E402
from model_training.lifting.masks import masks_of  # noqa: E402
from model_training.lifting.outlines import Polygons  # noqa: E402
from model_training.lifting.packed_mask import PackedMask  # noqa: E402
from model_training.lifting.sam2 import Sam2Segmenter, load_sam2  # noqa: E402
from n3d_ros.errors import ConfigurationError, InputError  # noqa: E402

SIDE = 128


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SAM 2 of random weights, saved as transformers saves it."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    backbone = {
        "hidden_size": 16,
        "num_attention_heads": 1,
        "image_size": [SIDE, SIDE],
        "blocks_per_stage": [1, 1, 2, 1],
        "embed_dim_per_stage": [16, 32, 64, 128],
        "num_attention_heads_per_stage": [1, 1, 2, 2],
        "window_size_per_stage": [4, 4, 4, 4],
        "global_attention_blocks": [3],
    }
    vision = transformers.Sam2VisionConfig(
        backbone_config=transformers.Sam2HieraDetConfig(**backbone),
        backbone_channel_list=[128, 64, 32, 16],
        backbone_feature_sizes=[[32, 32], [16, 16], [8, 8]],
        fpn_hidden_size=32,
    )
    prompt = transformers.Sam2PromptEncoderConfig(hidden_size=32, image_size=SIDE, mask_input_channels=4)
    decoder = transformers.Sam2MaskDecoderConfig(
        hidden_size=32, mlp_dim=32, num_hidden_layers=1, num_attention_heads=2, iou_head_hidden_dim=32
    )
    config = transformers.Sam2Config(vision_config=vision, prompt_encoder_config=prompt, mask_decoder_config=decoder)
    path = tmp_path_factory.mktemp("sam2")
    transformers.Sam2Model(config).save_pretrained(path)
    (path / "preprocessor_config.json").write_text(json.dumps({"image_mean": [0.5] * 3, "image_std": [0.25] * 3}))
    return path


@pytest.fixture(scope="module")
def segmenter(folder: Path) -> Sam2Segmenter:
    return load_sam2(str(folder), "cpu")


def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (90, 120, 3), dtype=np.uint8)


def test_every_box_has_a_mask_of_the_images_size_and_a_score(segmenter: Sam2Segmenter) -> None:
    found = segmenter.masks(image(), [(10.0, 10.0, 60.0, 50.0), (70.0, 20.0, 110.0, 80.0)])
    assert [mask.unpacked().shape for mask in found.masks] == [(90, 120)] * 2
    assert [mask.unpacked().dtype for mask in found.masks] == [bool] * 2
    assert found.scores.shape == (2,)


@pytest.mark.parametrize("width", [1, 8, 13])
def test_a_packed_mask_is_the_mask_in_an_eighth_of_its_size(width: int) -> None:
    mask = np.random.default_rng(width).random((5, width)) < 0.5
    packed = PackedMask.of(mask)
    assert (packed.unpacked() == mask).all() and packed.unpacked().dtype == bool
    assert packed.count == mask.sum() and packed.bits.nbytes == 5 * -(-width // 8)


def test_many_boxes_go_through_in_parts_with_the_same_result(
    segmenter: Sam2Segmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    boxes = [(float(x), 10.0, x + 40.0, 70.0) for x in range(0, 70, 10)]
    together = segmenter.masks(image(), boxes)
    monkeypatch.setattr("model_training.lifting.sam2.BOXES_AT_ONCE", 3)
    apart = segmenter.masks(image(), boxes)
    pairs = list(zip(together.masks, apart.masks, strict=True))
    assert len(pairs) == 7 and np.mean([one.unpacked() == other.unpacked() for one, other in pairs]) > 0.999
    assert np.allclose(together.scores, apart.scores, atol=1e-4)


def test_the_mask_depends_on_the_prompt_and_the_prompt_is_in_the_networks_pixels(
    segmenter: Sam2Segmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    model = segmenter._model
    encode = model.prompt_encoder.forward

    def listening(**inputs: Any) -> Any:
        seen.append(inputs["input_boxes"].clone())
        return encode(**inputs)

    monkeypatch.setattr(model.prompt_encoder, "forward", listening)
    segmenter.masks(image(), [(12.0, 9.0, 60.0, 45.0)])
    # 120 x 90 px become 128 x 128.
    assert seen[0][0, 0].tolist() == pytest.approx([12.8, 12.8, 64.0, 64.0])


def test_the_image_is_brought_to_the_square_with_the_folders_mean(segmenter: Sam2Segmenter) -> None:
    grey = np.full((90, 120, 3), 128, np.uint8)
    prepared = segmenter._prepared(grey)
    assert tuple(prepared.shape) == (1, 3, SIDE, SIDE)
    assert prepared.mean().item() == pytest.approx((128 / 255 - 0.5) / 0.25, abs=1e-5)


def test_masks_that_the_segmenter_doubts_are_refused_and_outlines_are_kept(segmenter: Sam2Segmenter) -> None:
    box = (10.0, 10.0, 60.0, 50.0)
    outline = Polygons(rings=((10.0, 10.0, 60.0, 10.0, 60.0, 50.0),))
    annotations = [
        Annotation2D(id="1", label="mug", box_2d=box),
        Annotation2D(id="2", label="mug", box_2d=box, outline=outline),
    ]
    sure = list(masks_of(annotations, image(), MaskConfig(min_score=0.0), segmenter))
    score = float(segmenter.masks(image(), [box]).scores[0])
    doubted = list(masks_of(annotations, image(), MaskConfig(min_score=min(score + 0.1, 1.0)), segmenter))
    assert not isinstance(sure[1], InputError)
    assert int(sure[1].sum()) == int(outline.mask(120, 90).sum())
    if score >= 0:
        assert not isinstance(sure[0], InputError)
    assert isinstance(doubted[0], InputError)
    assert doubted[0].reason == "mask_unsure"
    without = list(masks_of(annotations, image(), MaskConfig(), None))
    assert isinstance(without[0], InputError)
    assert without[0].reason == "no_mask"


def test_a_folder_of_another_model_or_without_weights_is_refused(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no folder"):
        load_sam2(str(tmp_path / "nothing"), "cpu")
    (tmp_path / "config.json").write_text('{"model_type": "qwen2_5_vl"}')
    with pytest.raises(ConfigurationError, match="qwen2_5_vl"):
        load_sam2(str(tmp_path), "cpu")
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    with pytest.raises(ConfigurationError, match="safetensors"):
        load_sam2(str(tmp_path), "cpu")
    (tmp_path / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(ConfigurationError, match=r"model\.safetensors"):
        load_sam2(str(tmp_path), "cpu")


def test_weights_that_are_missing_are_not_made_up(tmp_path: Path, folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    del weights["no_memory_embedding"]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    with pytest.raises(ConfigurationError, match="no_memory_embedding"):
        load_sam2(str(tmp_path), "cpu")


def test_a_device_that_is_not_there_is_refused_in_a_sentence(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cuda:99 was asked for"):
        load_sam2(str(folder), "cuda:99")
