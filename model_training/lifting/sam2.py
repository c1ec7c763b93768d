"""Masks from 2-D boxes by SAM 2, through transformers.

The image is prepared here as ``Sam2Processor`` does it (bilinear with antialiasing to a square, then mean and standard
deviation): the processor itself needs torchvision, which nothing else here does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_training.lifting.annotations import Box2D
from model_training.lifting.packed_mask import PackedMask
from n3d_ros.errors import ConfigurationError
from n3d_ros.geometry.arrays import Float32Array
from n3d_ros.whole_files import read_json

MODEL_TYPES = ("sam2", "sam2_video")  # the releases are of the second, whose image part is the first
BOXES_AT_ONCE = 32  # prompts of one pass: bounds memory
PROCESSOR_FILES = ("preprocessor_config.json", "processor_config.json")
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of the released processors


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BoxMasks:
    """Masks of an image's boxes.

    Args:
        masks: N, each of the image's size.
        scores: (N,) float32: overlap with the true mask that the model expects, 0 to 1.
    """

    masks: tuple[PackedMask, ...]
    scores: Float32Array


class Sam2Segmenter:
    """A loaded model.

    Args:
        model: ``Sam2Model``.
        side: of the square image that it sees, pixels.
        mean: of the channels, 0 to 1.
        std: of the channels.
        device: of the model.
    """

    def __init__(self, model: Any, *, side: int, mean: Sequence[float], std: Sequence[float], device: str) -> None:
        self._model, self._side, self._device = model, side, device
        self._mean, self._std = tuple(mean), tuple(std)

    def masks(self, rgb: NDArray[np.uint8], boxes: Sequence[Box2D]) -> BoxMasks:
        """The masks of the things in boxes.

        Args:
            rgb: (H, W, 3) uint8.
            boxes: left, top, right, bottom, pixels from the image's corner.

        Returns:
            One mask per box.
        """
        import torch

        height, width = rgb.shape[:2]
        scale = np.array([self._side / width, self._side / height] * 2)
        prompts = torch.as_tensor(np.asarray(boxes) * scale, dtype=torch.float32)[None]
        masks: list[PackedMask] = []
        scores = []
        with torch.inference_mode():
            embeddings = self._model.get_image_embeddings(self._prepared(rgb))
            for first in range(0, len(boxes), BOXES_AT_ONCE):
                chunk = prompts[:, first : first + BOXES_AT_ONCE].to(self._device)
                # A box leaves no doubt which of nested things is meant, so one mask is asked for.
                seen = self._model(image_embeddings=list(embeddings), input_boxes=chunk, multimask_output=False)
                logits = seen.pred_masks[0].float()
                for one in logits.split(1):  # at the image's size one at a time
                    sized = torch.nn.functional.interpolate(one, (height, width), mode="bilinear", align_corners=False)
                    masks.append(PackedMask.of((sized[0, 0] > 0).cpu().numpy()))
                scores.append(seen.iou_scores[0, :, 0].float().cpu().numpy())
        return BoxMasks(masks=tuple(masks), scores=np.concatenate(scores).astype(np.float32))

    def _prepared(self, rgb: NDArray[np.uint8]) -> Any:
        """(1, 3, side, side) float32."""
        import torch

        image = torch.as_tensor(np.ascontiguousarray(rgb)).permute(2, 0, 1)[None].float()
        size = (self._side, self._side)
        sized = torch.nn.functional.interpolate(image, size, mode="bilinear", align_corners=False, antialias=True)
        mean, std = (torch.tensor(values)[None, :, None, None] for values in (self._mean, self._std))
        return ((sized.round() / 255 - mean) / std).to(self._device)


@lru_cache(maxsize=1)
def load_sam2(source: str, device: str = "auto") -> Sam2Segmenter:
    """The model in a folder or a repository of the hub; kept, so that a process loads it once.

    Args:
        source: folder with config.json and safetensors, or a hub id that the user named.
        device: "auto", "cpu", "cuda" or "cuda:1".

    Returns:
        The model.

    Raises:
        ConfigurationError: no such folder or device, another model, or torch or transformers is not installed.
    """
    try:
        import torch
        from transformers import Sam2Model

        from n3d_ros.weights.placement import choose_device
        from n3d_ros.weights.sources import resolve_source
    except ImportError as error:
        raise ConfigurationError(
            f"segmenter: {error.name} is not installed; masks from boxes need the extra [model]."
        ) from error
    folder = resolve_source(source, check_complete=_check_complete, parameter="segmenter")
    _check_complete(folder)
    place = choose_device(device)
    try:
        model, loaded = Sam2Model.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, dtype=torch.float32, output_loading_info=True
        )
        model = model.to(place).eval()
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise ConfigurationError(f"segmenter: {folder} cannot be loaded as SAM 2: {str(error)[:300]}") from error
    if missing := sorted(loaded["missing_keys"]):  # transformers would go on with random numbers there
        raise ConfigurationError(f"segmenter: {folder}: {len(missing)} weights are missing, such as {missing[0]}.")
    words = next((found for name in PROCESSOR_FILES if (found := read_json(folder / name))), {})
    words = words.get("image_processor", words)
    return Sam2Segmenter(
        model,
        side=_side(model),
        mean=words.get("image_mean", IMAGENET_MEAN),
        std=words.get("image_std", IMAGENET_STD),
        device=str(place),
    )


def _side(model: Any) -> int:
    """Side of the square that prompts are given in."""
    size = model.config.prompt_encoder_config.image_size
    return int(size if isinstance(size, int) else size[0])


def _check_complete(folder: Path) -> None:
    """Refuses what is no SAM 2 with whole weights in safetensors."""
    from n3d_ros.weights.weight_files import find_weight_files  # imports torch

    kind = (read_json(folder / "config.json") or {}).get("model_type")
    if kind not in MODEL_TYPES:
        raise ConfigurationError(
            f"segmenter: {folder}: expected a SAM 2 model such as facebook/sam2.1-hiera-small in transformers' layout, "
            f"config.json says model_type {kind!r}."
        )
    find_weight_files(folder)
