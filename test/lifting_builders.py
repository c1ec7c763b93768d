"""A photograph whose truth is known by hand: a box before a wall, with its annotations in any format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT, FOCAL = 200, 150, 200.0
CX, CY = 99.5, 74.5
WALL_M, FRONT_M = 4.0, 2.0
LEFT, TOP, RIGHT, BOTTOM = 80, 60, 120, 100  # pixels of the box's front
CAMERA = {"fx": FOCAL, "fy": FOCAL, "cx": CX, "cy": CY, "width": WIDTH, "height": HEIGHT}


def depth_of_box_before_wall(tilt_m: float = 0.3) -> NDArray[np.float32]:
    """(H, W) metres: a wall, and before it a face whose right end is ``tilt_m`` farther than its left one."""
    depth = np.full((HEIGHT, WIDTH), WALL_M, np.float32)
    depth[TOP:BOTTOM, LEFT:RIGHT] = np.linspace(FRONT_M, FRONT_M + tilt_m, RIGHT - LEFT, dtype=np.float32)
    return depth


def colour_image() -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB: a red box before a grey wall."""
    rgb = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    rgb[TOP:BOTTOM, LEFT:RIGHT] = (200, 20, 20)
    return rgb


def polygon(left: float, top: float, right: float, bottom: float) -> list[float]:
    """Corners of a rectangle as COCO writes them."""
    return [left, top, right, top, right, bottom, left, bottom]


def annotation(**changes: Any) -> dict[str, Any]:
    """A COCO annotation of the box."""
    return {
        "id": 7,
        "image_id": 1,
        "category_id": 3,
        "bbox": [LEFT, TOP, RIGHT - LEFT, BOTTOM - TOP],
        "segmentation": [polygon(LEFT, TOP, RIGHT, BOTTOM)],
        "iscrowd": 0,
    } | changes


def coco_content(annotations: list[Any], **image: Any) -> dict[str, Any]:
    """COCO's JSON of one image."""
    entry = {"id": 1, "file_name": "room.png", "width": WIDTH, "height": HEIGHT, "license": 4} | image
    return {
        "images": [entry],
        "annotations": annotations,
        "categories": [{"id": 3, "name": "Storage_Box"}, {"id": 5, "name": "mug"}],
        "licenses": [{"id": 4, "name": "CC BY 2.0", "url": "http://creativecommons.org/licenses/by/2.0/"}],
    }


def write_photograph(folder: Path, depth_m: NDArray[np.float32] | None = None, name: str = "room") -> None:
    """Writes images/NAME.png and depth/NAME.png (millimetres)."""
    for part in ("images", "depth"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(folder / "images" / f"{name}.png"), colour_image()[..., ::-1])
    metres = depth_of_box_before_wall() if depth_m is None else depth_m
    cv2.imwrite(str(folder / "depth" / f"{name}.png"), np.nan_to_num(metres * 1000).round().astype(np.uint16))


def write_coco(folder: Path, content: dict[str, Any]) -> Path:
    """Writes instances.json."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "instances.json"
    path.write_text(json.dumps(content))
    return path
