"""What the dense head learns of each visual token: whether an object is there, which, and its box in the box code.

The head stands on the merged tokens during training alone. Without it a small model writes boxes from what boxes are
like on average, and does not begin to look at the image for tens of thousands of samples.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from model_training.data.records import ObjectRecord
from model_training.examples.config import ExampleConfig
from model_training.examples.look import Look, target_box
from n3d_ros.codec.box_code import BINS, encode_box
from n3d_ros.codec.image_patches import MERGE
from n3d_ros.codec.label_bytes import writable_label
from n3d_ros.codec.model_input import DecodeContext
from n3d_ros.errors import InputError

BOX_VALUES = 6  # u, v, depth, size_x, size_y, size_z, as fractions of their 1000 bins
LEAST_SHARE = 0.25  # of a token's area that an object must cover to be its object
SEEN_SHARE = 0.02  # the same where an object has no other token: some pixels of it, no more
CODE_PLACES = (0, 1, 2, 4, 5, 6)  # of those among ``BoxCode.bins``; the angle jumps by a quarter turn


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DenseTargets:
    """What is at each visual token, in the tokens' order.

    Args:
        classes: (T,) int64 bucket of the label, -1 where there is no object.
        boxes: (T, 6) float32 fractions of the bins' range; 0 where there is no object.
        known: (T,) bool, False where nothing may be learnt: an object without a box, or one that is not asked for.
        weights: (T,) float32 one over the tokens of the object there: a table with half of the picture is learnt no
            more than the mug on it. 0 where there is no object.
    """

    classes: NDArray[np.int64]
    boxes: NDArray[np.float32]
    known: NDArray[np.bool_]
    weights: NDArray[np.float32]


def class_bucket(label: str, buckets: int) -> int:
    """The class of a label: the same in every run and process.

    Args:
        label: words.
        buckets: how many classes there are.

    Returns:
        0 to ``buckets`` - 1.
    """
    return zlib.crc32(writable_label(label).casefold().encode()) % buckets


def dense_targets(look: Look, grid: tuple[int, int], context: DecodeContext, config: ExampleConfig) -> DenseTargets:
    """The targets of a frame.

    Args:
        look: the frame as it is shown.
        grid: rows and columns of patches.
        context: of the frame as it is encoded.
        config: which boxes, how many classes.

    Returns:
        One target per visual token.
    """
    rows, columns = grid[0] // MERGE, grid[1] // MERGE
    owner = _owners(look, rows, columns).reshape(-1)
    classes = np.full(rows * columns, -1, np.int64)
    boxes = np.zeros((rows * columns, BOX_VALUES), np.float32)
    weights = np.zeros(rows * columns, np.float32)
    known = np.full(rows * columns, look.is_complete)  # what nobody labelled may be an object all the same
    for one in look.objects:
        places = owner == one.id
        if not places.any():
            continue
        values = _box_values(one, context, config)
        if values is None:
            known[places] = False
            continue
        known[places] = True
        classes[places] = class_bucket(one.label, config.class_buckets)
        boxes[places] = values
        weights[places] = 1 / np.count_nonzero(places)
    return DenseTargets(classes=classes, boxes=boxes, known=known, weights=weights)


def _owners(look: Look, rows: int, columns: int) -> NDArray[np.int64]:
    """(rows, columns) the object of each token, 0 where none covers enough.

    It is the one that covers most of it; but every object has the token that shows most of it, the small ones first:
    at 320 px a third of all objects, those of a table's lesser things, would have none.
    """
    near_first = sorted(look.objects, key=_depth_of)
    if not near_first:
        return np.zeros((rows, columns), np.int64)
    if look.labels is not None:
        shares = _pixel_shares(look.labels, [one.id for one in near_first], rows, columns)
    else:
        shares = np.stack([_rectangle_share(look, one, rows, columns) for one in near_first])
    best = shares.argmax(axis=0)  # of two that cover the same the nearer
    owner = np.where(shares.max(axis=0) > LEAST_SHARE, best, -1)
    is_taken = np.zeros(owner.shape, bool)
    for k in np.argsort(shares.sum(axis=(1, 2)), kind="stable"):
        free = np.where(is_taken, 0.0, shares[k])
        place = np.unravel_index(free.argmax(), free.shape)
        if free[place] > SEEN_SHARE:
            owner[place], is_taken[place] = k, True
    ids = np.array([one.id for one in near_first], np.int64)
    return np.where(owner >= 0, ids[owner], 0)


def _depth_of(one: ObjectRecord) -> float:
    box = one.visible_box if one.visible_box is not None else one.box
    return float("inf") if box is None else float(box.center[2])


def _pixel_shares(labels: NDArray[np.uint16], ids: list[int], rows: int, columns: int) -> NDArray[np.float64]:
    """(ids, rows, columns) share of each token's pixels that show each object."""
    place = np.zeros(int(max(labels.max(), *ids)) + 1, np.int64)
    place[ids] = np.arange(1, len(ids) + 1)
    token = _token_of_pixel(*labels.shape, rows, columns)
    counts = np.bincount((token * (len(ids) + 1) + place[labels]).ravel(), minlength=rows * columns * (len(ids) + 1))
    counts = counts.reshape(rows, columns, len(ids) + 1)
    shares: NDArray[np.float64] = np.moveaxis(counts[..., 1:] / np.maximum(counts.sum(-1, keepdims=True), 1), -1, 0)
    return shares


@lru_cache(maxsize=8)
def _token_of_pixel(height: int, width: int, rows: int, columns: int) -> NDArray[np.int64]:
    """(H, W) number of the token that shows a pixel."""
    row = (np.arange(height) + 0.5) * rows // height
    column = (np.arange(width) + 0.5) * columns // width
    return (row[:, None] * columns + column[None]).astype(np.int64)


def _rectangle_share(look: Look, one: ObjectRecord, rows: int, columns: int) -> NDArray[np.float64]:
    """(rows, columns) share of each token that an object's 2-D box covers; 0 where that is unknown."""
    if one.box_2d is None:
        return np.zeros((rows, columns))
    camera = look.frame.intrinsics
    left, top, right, bottom = one.box_2d
    across = _overlap(left / camera.width * columns, right / camera.width * columns, columns)
    down = _overlap(top / camera.height * rows, bottom / camera.height * rows, rows)
    return np.outer(down, across)


def _overlap(low: float, high: float, count: int) -> NDArray[np.float64]:
    """(count,) share of each unit interval that lies between two numbers."""
    starts = np.arange(count, dtype=np.float64)
    return np.asarray(np.clip(np.minimum(starts + 1, high) - np.maximum(starts, low), 0, 1), np.float64)


def _box_values(one: ObjectRecord, context: DecodeContext, config: ExampleConfig) -> NDArray[np.float32] | None:
    """(6,) what the head is to say of an object; None where it has no box."""
    box = target_box(one, config.target_box)
    if box is None:
        return None
    try:
        code = encode_box(one.label, box, context, yaw="zero" if config.target_box == "visible" else "free")
    except InputError:
        return None
    return np.array([code.bins[place] / BINS for place in CODE_PLACES], np.float32)
