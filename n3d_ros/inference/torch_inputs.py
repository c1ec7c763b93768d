"""What runtimes of the language model share on their way in: tensors of an image, and checks of a chunk of tokens."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from n3d_ros.codec.model_input import ImageInput
from n3d_ros.codec.token_set import TokenSet
from n3d_ros.errors import BackendError, InputError
from n3d_ros.inference.backend import MAX_TOP_K, Chunk, KvCache
from n3d_ros.model.point_channels import point_values
from n3d_ros.model.position_code import position_code
from n3d_ros.model.tables import VisionGeometry, vision_tables
from n3d_ros.model.vision_graph import VisionInputs

KEPT_IMAGE_SIZES = 4  # whose tables stay on the device


class EncodedImage:
    """The visual tokens of an image, as a tensor.

    Args:
        embeds: (M, h) where the runtime computes.
    """

    def __init__(self, embeds: Tensor) -> None:
        self.embeds = embeds

    @property
    def count(self) -> int:
        """How many visual tokens it is."""
        return int(self.embeds.shape[0])


class CountedRows:
    """How many rows of a cache of fixed size are filled."""

    def __init__(self) -> None:
        self.length = 0

    def truncate(self, length: int) -> None:
        """Forgets all tokens from ``length`` on.

        Args:
            length: 0 to the present length.

        Raises:
            InputError: a length outside of that.
        """
        if not 0 <= length <= self.length:
            raise InputError(f"KvCache.truncate: expected 0 to {self.length}, got {length}.")
        self.length = length


class ImageTables:
    """The vision tower's tables on the device, of the image sizes used last.

    Args:
        geometry: of the tower.
        device: where it is.
        dtype: of the tower.
    """

    def __init__(self, geometry: VisionGeometry, *, device: torch.device, dtype: torch.dtype) -> None:
        self._geometry, self._device, self._dtype = geometry, device, dtype
        self._kept: dict[tuple[int, int], VisionInputs] = {}

    def of(self, grid: tuple[int, int]) -> VisionInputs:
        """The tables of one size.

        Args:
            grid: rows and columns of patches.

        Returns:
            The tensors.
        """
        if grid not in self._kept:
            while len(self._kept) >= KEPT_IMAGE_SIZES:
                self._kept.pop(next(iter(self._kept)))
            tables = vision_tables(grid, self._geometry)
            self._kept[grid] = VisionInputs.from_tables(tables, device=self._device, dtype=self._dtype)
        return self._kept[grid]

    def clear(self) -> None:
        """Drops all."""
        self._kept.clear()


class ThreadCount:
    """The number of CPU threads that torch uses, which it keeps for every thread that calls.

    Args:
        threads: how many; None: as torch is set.
    """

    def __init__(self, threads: int | None) -> None:
        self._threads, self._thread_of_setting = threads, 0

    def set(self) -> None:
        """Sets it, once per calling thread."""
        if self._threads is not None and self._thread_of_setting != threading.get_ident():
            torch.set_num_threads(self._threads)
            self._thread_of_setting = threading.get_ident()


def code_of(image: ImageInput, *, mode: Any, width: int, geometry: VisionGeometry, device: torch.device) -> Tensor:
    """The 3-D position code of an image, in the order in which the vision tower adds it.

    Args:
        image: with its points.
        mode: "reference", "aligned" or "none".
        width: of the vision tower.
        geometry: of its windows.
        device: where the code is wanted.

    Returns:
        (P, width) float32; zeros for "none".
    """
    if mode == "none":
        return torch.zeros(len(image.pixel_values), width, device=device)
    points = torch.tensor(image.points, device=device)
    return position_code(points, image.grid, width, mode, window_blocks=geometry.window, merge=geometry.merge)


def points_of(image: ImageInput, *, merge: int, device: torch.device) -> Tensor:
    """The points of an image as further channels of its patches.

    Args:
        image: with its points.
        merge: patches a side of a merged token.
        device: where they are wanted.

    Returns:
        (P, POINT_VALUES) float32.
    """
    return point_values(torch.tensor(image.points, device=device)[None], image.grid, merge=merge)[0]


def check_call(
    cache: KvCache, chunk: Chunk, choose: Sequence[TokenSet | None], top_k: int, *, vocab_size: int, name: str
) -> None:
    """Refuses a forward that cannot be done.

    Args:
        cache: to append to.
        chunk: the tokens.
        choose: what is allowed after the last of them.
        top_k: candidates per place.
        vocab_size: of the model.
        name: of the runtime, for errors.

    Raises:
        BackendError: the cache is full.
        InputError: more places than tokens, too many candidates, or a token that the model does not have.
    """
    count, limit = len(chunk.token_ids), cache.capacity - cache.length
    if count > limit:
        raise BackendError(
            f"The cache holds {cache.capacity} tokens, {cache.length} are in it, {count} more do not fit; raise "
            "`language_model.capacity`, shorten the prompt or lower `language_model.max_new_tokens`."
        )
    if len(choose) > count or not 1 <= top_k <= MAX_TOP_K:
        raise InputError(
            f"{name}.forward: expected at most {count} places and top_k of 1 to {MAX_TOP_K}, got "
            f"{len(choose)} and {top_k}."
        )
    if int(chunk.token_ids.min()) < 0 or int(chunk.token_ids.max()) >= vocab_size:
        raise InputError(f"Chunk.token_ids: expected 0 to {vocab_size - 1}, got {chunk.token_ids}.")


def visual_of(chunk: Chunk, image_token: int) -> tuple[NDArray[np.int64], Tensor] | None:
    """Where visual tokens stand in a chunk, and their embeddings.

    Args:
        chunk: with encoded images.
        image_token: the id that stands for a visual token.

    Returns:
        (N,) places and (N, h) embeddings; None without images.

    Raises:
        InputError: as many visual tokens as places are wanted, of this kind of runtime.
    """
    if not chunk.visual:
        return None
    embeds = [tokens.embeds for tokens in chunk.visual if isinstance(tokens, EncodedImage)]
    places = np.flatnonzero(chunk.token_ids == image_token)
    count = sum(len(tensor) for tensor in embeds)
    if len(embeds) != len(chunk.visual) or count != len(places):
        raise InputError(
            f"Chunk.visual: expected {len(places)} tokens encoded by this backend, one per image token of the "
            f"chunk, got {count}."
        )
    return places, embeds[0] if len(embeds) == 1 else torch.cat(embeds)
