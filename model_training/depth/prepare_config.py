"""What to prepare: which scenes or recordings, how many views, of which size."""

from __future__ import annotations

from dataclasses import dataclass, field

from model_training.scenes.spec import KINDS
from n3d_ros.errors import ConfigurationError
from n3d_ros.settings import check, number

SOURCES = ("scenes", "rgbd")
ENCODINGS = ("raw", "packed")


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareConfig:
    """Shards of views from generated scenes or from a folder of RGB-D.

    Args:
        source: "scenes" generates; "rgbd" reads ``folder``.
        folder: for "rgbd": a sequence in the layout of TUM RGB-D or 7-Scenes, or frames of
            ``python -m model_training.scenes``.
        intrinsics: for "rgbd": fx, fy, cx, cy in pixels; empty: those that the layout holds or that are known for it.
        depth_units_per_m: for "rgbd": of the depth images; None: the layout's.
        scenes: sets of views to write; for "rgbd" the most, fewer where the recording ends.
        views: views of each set.
        height: of the stored images; for "rgbd" they are resized, which keeps their aspect best when it fits.
        width: of the stored images.
        scenes_per_shard: sets in one file.
        encoding: "raw" is read fastest; "packed" takes about a sixth, colours as JPEG keeps them.
        first_seed: seed of the first generated scene.
        kind: of generated scenes.
        categories: names of the loose objects to draw from; empty: all.
        shadows: whether lights cast shadows; without is faster.
        wall_chance: chance of a wall behind a generated tabletop; without one there is background, kept as sky.
        elevation_low_deg: lowest view down on generated scenes; None: the scene's own range.
        elevation_high_deg: highest view down; None: the scene's own range.
        focal_low: least focal length of generated cameras.
        focal_high: largest focal length of generated cameras.
        widest_turn_deg: largest angle between the first camera of a set and the others.
        frame_step: for "rgbd": every so-manieth frame of the recording is taken.
    """

    source: str = field(default="scenes", metadata={"choices": SOURCES})
    folder: str = ""
    intrinsics: tuple[float, ...] = ()
    depth_units_per_m: float | None = None
    scenes: int = number(100, "sets of views", minimum=1, maximum=10_000_000)
    views: int = number(8, "views of each set", minimum=1, maximum=64)
    height: int = number(84, "of the stored images", minimum=14, maximum=2048, unit="px")
    width: int = number(112, "of the stored images", minimum=14, maximum=2048, unit="px")
    scenes_per_shard: int = number(50, "sets in one file", minimum=1, maximum=10_000)
    encoding: str = field(default="raw", metadata={"choices": ENCODINGS})
    first_seed: int = number(0, "seed of the first generated scene", minimum=0, maximum=2**31)
    kind: str = field(default="tabletop", metadata={"choices": KINDS})
    categories: tuple[str, ...] = ()
    shadows: bool = False
    wall_chance: float = number(0.5, "chance of a wall behind a tabletop", minimum=0, maximum=1)
    elevation_low_deg: float | None = None
    elevation_high_deg: float | None = None
    focal_low: float = number(0.72, "least focal length", minimum=0.2, maximum=5, unit="image widths")
    focal_high: float = number(0.94, "largest focal length", minimum=0.2, maximum=5, unit="image widths")
    widest_turn_deg: float = number(40.0, "largest turn within a set", minimum=0, maximum=180, unit="deg")
    frame_step: int = number(5, "every so-manieth frame of a recording", minimum=1, maximum=10_000)

    def __post_init__(self) -> None:
        """Checks every field.

        Raises:
            ConfigurationError: a value outside its range, or "rgbd" without a folder.
        """
        check(self, "prepare")
        if self.focal_low > self.focal_high:
            raise ConfigurationError(f"prepare focal_low {self.focal_low} is above focal_high {self.focal_high}.")
        if len(self.intrinsics) not in (0, 4):
            raise ConfigurationError(f"prepare intrinsics: expected fx, fy, cx, cy or nothing, got {self.intrinsics}.")
        if self.source == "rgbd" and not self.folder:
            raise ConfigurationError("prepare folder: source rgbd needs the folder to read.")
