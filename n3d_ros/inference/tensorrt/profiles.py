"""For which sizes an engine is built: optimisation profiles, as ranges of the dimensions that have a name in the graph.

One engine holds the language model's weights once and has a profile for each way of calling it::

    prefill        a sequence's first chunk, up to 2048 tokens, no earlier rows (one that is hidden)
    extend R       up to 64 tokens behind the first R rows of a cache: a question, a verified guess
    decode R       one token behind them

R are buckets: the rows of a cache are one block of memory, so its first R rows can be read without a copy, and a mask
hides those that are not filled yet. Fixed numbers of rows are what CUDA graphs and the choice of kernels need.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from n3d_ros.codec.image_patches import PATCH_PX, patch_size
from n3d_ros.codec.input_options import InputOptions
from n3d_ros.inference.graphs import LanguageModelGraphs
from n3d_ros.model.tables import VisionGeometry

Range = tuple[int, int, int]
"""Least, usual and most."""

SMALLEST_BUCKET = 1024
"""Rows; each further bucket has twice as many. A 640x480 image, a question and ten boxes stay in the first. More of
them would cost minutes of building each, and save a third of a percent of a step (see ``static_decoder``)."""
LONGEST_EXTEND = 64  # tokens; a longer chunk behind earlier rows goes in pieces
LONGEST_PREFILL = 2048  # tokens; scores of more would need gigabytes, and no prompt with one image has more
USUAL_PREFILL, USUAL_EXTEND = 512, 16
SMALLEST_GRID = (2, 2)  # patches: one merged token
LONGEST_STRIP = 16  # times as long as wide: images up to this fit an engine for any image
PREFILL = "prefill"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Sizes that one way of calling a graph has.

    Args:
        name: for people.
        dimensions: least, usual and most by the dimension's name in the graph.
    """

    name: str
    dimensions: Mapping[str, Range]

    def __post_init__(self) -> None:
        """Checks the order.

        Raises:
            ValueError: a range that is none.
        """
        for name, (least, usual, most) in self.dimensions.items():
            if not 1 <= least <= usual <= most:
                raise ValueError(
                    f"Profile {self.name}: {name}: expected 1 <= least <= usual <= most, got {least, usual, most}."
                )


def buckets(capacity: int) -> tuple[int, ...]:
    """How many rows of a cache are read.

    Args:
        capacity: of a cache, rows.

    Returns:
        ``SMALLEST_BUCKET`` doubled until it holds the capacity, which is the last one.
    """
    found = []
    rows = SMALLEST_BUCKET
    while rows < capacity:
        found.append(rows)
        rows *= 2
    return (*found, capacity)


def extend_profile(rows: int) -> str:
    """Name of the profile of some tokens behind earlier rows.

    Args:
        rows: a bucket.

    Returns:
        The name.
    """
    return f"extend {rows}"


def decode_profile(rows: int) -> str:
    """Name of the profile of one token behind earlier rows.

    Args:
        rows: a bucket.

    Returns:
        The name.
    """
    return f"decode {rows}"


def decoder_profiles(capacity: int) -> tuple[Profile, ...]:
    """How the language model's graph is called.

    Args:
        capacity: of a cache, rows.

    Returns:
        Prefill, then two per bucket.
    """
    longest = min(LONGEST_EXTEND, capacity)
    usual = min(USUAL_EXTEND, longest)
    profiles = [
        Profile(
            name=PREFILL,
            dimensions={
                "tokens": (1, min(USUAL_PREFILL, capacity), min(capacity, LONGEST_PREFILL)),
                "past": (1, 1, 1),
                "wanted": (1, 1, longest),
            },
        )
    ]
    for rows in buckets(capacity):
        past = (rows, rows, rows)
        profiles += [
            Profile(
                name=extend_profile(rows),
                dimensions={"tokens": (1, usual, longest), "past": past, "wanted": (1, usual, longest)},
            ),
            Profile(name=decode_profile(rows), dimensions={"tokens": (1, 1, 1), "past": past, "wanted": (1, 1, 1)}),
        ]
    return tuple(profiles)


def vision_profiles(graphs: LanguageModelGraphs, options: InputOptions) -> tuple[Profile, ...]:
    """How the vision tower's graph is called.

    Every end of the ranges is an image that there can be, since TensorRT tries them.

    Args:
        graphs: what they are.
        options: how long an image's longer side is.

    Returns:
        One for all images whose longer side is that long; none for a graph of one size.
    """
    if graphs.grid is not None:
        return ()
    geometry = VisionGeometry(
        window=graphs.vision_window,
        merge=graphs.vision_merge,
        head_dim=graphs.vision_head_dim,
        theta=graphs.vision_theta,
    )
    usual = _grid_of((options.long_side, options.long_side * 3 // 4), options)
    least, middle, most = (
        vision_dimensions(grid, geometry) for grid in (SMALLEST_GRID, usual, _largest_grid(options, geometry))
    )
    return (Profile(name="images", dimensions={name: (least[name], middle[name], most[name]) for name in least}),)


def vision_dimensions(grid: tuple[int, int], geometry: VisionGeometry) -> dict[str, int]:
    """Sizes of an image by the names of the graph's dimensions; see ``export.tracing``.

    Args:
        grid: rows and columns of patches.
        geometry: of the tower.

    Returns:
        By name.
    """
    rows, columns = (side // geometry.merge for side in grid)
    windows = -(-rows // geometry.window) * -(-columns // geometry.window)
    places = min(rows, geometry.window) * min(columns, geometry.window) * geometry.merge**2
    return {
        "patches": grid[0] * grid[1],
        "merged": rows * columns,
        "padded": windows * places,
        "windows": windows,
        "places": places,
    }


def _grid_of(size: tuple[int, int], options: InputOptions) -> tuple[int, int]:
    """Rows and columns of patches of an image of some width and height."""
    width, height = patch_size(*size, min_pixels=options.min_pixels, max_pixels=options.max_pixels)
    return height // PATCH_PX, width // PATCH_PX


def _largest_grid(options: InputOptions, geometry: VisionGeometry) -> tuple[int, int]:
    """A square that is as large, in every dimension, as all images of that longer side.

    Usually it is the square image itself; where an area bounds images, others have more patches or windows.
    """
    side = options.long_side
    heights = range(max(side // LONGEST_STRIP, 1), side + 1)
    grids = {_grid_of(size, options) for height in heights for size in ((side, height), (height, side))}
    found = [vision_dimensions(grid, geometry) for grid in grids]
    needed = {name: max(each[name] for each in found) for name in found[0]}
    length = min(max(grid) for grid in grids) // geometry.merge * geometry.merge
    while True:
        dimensions = vision_dimensions((length, length), geometry)
        if all(dimensions[name] >= size for name, size in needed.items()):
            return length, length
        length += geometry.merge
