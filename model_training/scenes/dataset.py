"""A whole data set of generated scenes as one configuration, and the records of each of its shards.

A shard is a range of scene numbers. Everything about a scene follows from its seed and the configuration, so a shard
is the same whoever makes it, in whichever order and however often.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import numpy as np

from model_training.data.records import SPLITS, FrameRecord
from model_training.data.split import SEED_RANGES, seed_of, shows_held_out_pair
from model_training.scenes.depth_noise import DEPTH_NOISE
from model_training.scenes.generate import SceneFrame, generate_frames
from model_training.scenes.raycast import cast_frames
from model_training.scenes.records import RecordConfig, frame_record
from model_training.scenes.render import SceneRenderer
from model_training.scenes.spec import MAX_OBJECTS, VARIETIES, SceneSpec
from n3d_ros.errors import ConfigurationError, N3dError
from n3d_ros.geometry.camera import CameraIntrinsics
from n3d_ros.settings import check, number

GENERATORS = ("mujoco", "raycast")
SPEC_STREAM = 41  # keeps these draws apart from the scene generator's own
LONGEST_SIDE_PX = 2048  # MuJoCo's off-screen buffer; far above what the model reads

Range = tuple[float, float]


def check_range(owner: str, name: str, values: tuple[float, ...], minimum: float, maximum: float) -> None:
    """Refuses what is not two numbers in order within limits.

    Args:
        owner: whose setting it is.
        name: the field.
        values: low and high.
        minimum: the least low.
        maximum: the largest high.

    Raises:
        ConfigurationError: naming the field, what is allowed and the values.
    """
    if len(values) != 2 or not minimum <= values[0] <= values[1] <= maximum:
        raise ConfigurationError(
            f"{owner} {name}: expected low and high with {minimum:g} <= low <= high <= {maximum:g}, got {list(values)}."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewConfig:
    """Cameras: their lenses and how they are held. The model works from points, so any pinhole camera may be met.

    Args:
        sizes: widths and heights in pixels, one of which is drawn per scene; all views of a scene have one.
        focal: shortest and longest focal length, in image widths: 0.7 is 71 degrees wide (wide RGB-D cameras), 1.2 is
            45 degrees (telephones upright).
        center_offset: how far the principal point may lie from the image's middle, as a share of the width; factory
            calibrations stay within 0.03.
        roll_deg: standard deviation of the camera's turn about its axis, degrees: hands and heads are never level.
        height_m: lowest and highest camera above the floor, metres; None: wherever distance and elevation lead.
    """

    sizes: tuple[tuple[int, int], ...] = ((640, 480),)
    focal: Range = (0.7, 1.2)
    center_offset: float = number(0.02, "of the principal point", minimum=0, maximum=0.3, unit="image widths")
    roll_deg: float = number(2.0, "standard deviation", minimum=0, maximum=30, unit="deg")
    height_m: Range | None = None

    def __post_init__(self) -> None:
        """Checks every field.

        Raises:
            ConfigurationError: a value outside its range, or no size.
        """
        check(self, "view")
        check_range("view", "focal", self.focal, 0.2, 5.0)
        if self.height_m is not None:
            check_range("view", "height_m", self.height_m, 0.05, 4.0)
        if not self.sizes or any(len(size) != 2 for size in self.sizes):
            raise ConfigurationError(f"view sizes: expected pairs of width and height, got {self.sizes}.")
        for size in self.sizes:
            if not all(32 <= side <= LONGEST_SIDE_PX for side in size):
                raise ConfigurationError(f"view sizes: expected 32 to {LONGEST_SIDE_PX} px a side, got {size}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceConfig:
    """What stands in one kind of place and from where it is seen.

    Args:
        objects: fewest and most loose objects tried per scene; those that find no room or fall off are fewer.
        distance_m: nearest and farthest camera from what it looks at, metres.
        elevation_deg: lowest and highest view down, degrees from the horizontal.
    """

    objects: tuple[int, int] = (3, 14)
    distance_m: Range = (0.65, 1.7)
    elevation_deg: Range = (15.0, 65.0)

    def __post_init__(self) -> None:
        """Checks every field.

        Raises:
            ConfigurationError: a value outside its range.
        """
        check_range("place", "objects", self.objects, 0, MAX_OBJECTS)
        check_range("place", "distance_m", self.distance_m, 0.3, 8.0)
        check_range("place", "elevation_deg", self.elevation_deg, 0.0, 85.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneDatasetConfig:
    """A data set of generated scenes.

    Args:
        kind: "mujoco" (rendered, settled by physics) or "raycast" (simple solids, many times faster).
        split: whose seeds are used and which combinations of categories may stand together, see ``data.split``.
        scenes: how many are tried; the few that fail are counted, not replaced, so that shards stay independent.
        first_scene: number of the first one within the split: two data sets with disjoint numbers share no scene.
        scenes_per_shard: in one file: enough that files stay few, few enough that a lost worker loses minutes only.
        views: frames of each scene. Settling costs as much as several frames, so more views are cheaper frames, but
            they show the same objects.
        rooms: share of scenes that are rooms, the others are tabletops.
        tabletop: what stands on tables.
        room: what stands in rooms.
        view: cameras.
        noise: names of depth cameras' noise models, one of which is drawn per scene.
        clutter: 0 (spread) to 1 (crowded, objects touch); drawn per scene.
        stack_chance: that an object is put on another one.
        hold_chance: that a container gets something inside.
        wall_chance: of a wall close behind a tabletop.
        variety: "basic" or "rich", see ``SceneSpec``: rich has all categories, materials, lights and exposures.
        shadows: whether lights cast them; without is faster and less like a photograph.
        categories: names of loose categories to draw from; empty: all.
        least_objects: a frame with fewer objects that count is left out: there is nothing to ask about it.
        record: which objects count, and how images are encoded.
    """

    kind: str = field(default="mujoco", metadata={"choices": GENERATORS})
    split: str = field(default="train", metadata={"choices": SPLITS})
    scenes: int = number(100, "tried in all", minimum=1, maximum=100_000_000)
    first_scene: int = number(0, "number within the split", minimum=0, maximum=100_000_000)
    scenes_per_shard: int = number(50, "in one file", minimum=1, maximum=100_000)
    views: int = number(4, "frames of each scene", minimum=1, maximum=100)
    rooms: float = number(0.0, "share of rooms", minimum=0, maximum=1)
    tabletop: PlaceConfig = field(default_factory=PlaceConfig)
    room: PlaceConfig = field(
        default_factory=lambda: PlaceConfig(objects=(10, 26), distance_m=(1.2, 3.6), elevation_deg=(5.0, 40.0))
    )
    view: ViewConfig = field(default_factory=ViewConfig)
    noise: tuple[str, ...] = ("structured_light", "active_stereo", "time_of_flight")
    clutter: Range = (0.2, 1.0)
    stack_chance: float = number(0.2, "that an object is stacked", minimum=0, maximum=1)
    hold_chance: float = number(0.5, "that a container is filled", minimum=0, maximum=1)
    wall_chance: float = number(0.5, "of a wall behind a tabletop", minimum=0, maximum=1)
    variety: str = field(default="rich", metadata={"choices": VARIETIES})
    shadows: bool = True
    categories: tuple[str, ...] = ()
    least_objects: int = number(1, "that count in a frame", minimum=0, maximum=MAX_OBJECTS)
    record: RecordConfig = field(default_factory=RecordConfig)

    def __post_init__(self) -> None:
        """Checks every field.

        Raises:
            ConfigurationError: a value outside its range, an unknown name, or more scenes than the split has seeds.
        """
        check(self, "scenes")
        check_range("scenes", "clutter", self.clutter, 0.0, 1.0)
        unknown = [name for name in self.noise if name not in DEPTH_NOISE]
        if unknown or not self.noise:
            raise ConfigurationError(f"scenes noise: expected some of {', '.join(DEPTH_NOISE)}, got {self.noise}.")
        if self.first_scene + self.scenes > len(SEED_RANGES[self.split]):
            raise ConfigurationError(
                f"scenes first_scene + scenes: the split {self.split} has {len(SEED_RANGES[self.split])} seeds, "
                f"got {self.first_scene + self.scenes}."
            )

    @property
    def shards(self) -> int:
        """How many files the data set has."""
        return -(-self.scenes // self.scenes_per_shard)

    def scene_numbers(self, shard: int) -> range:
        """Numbers within the split of a shard's scenes.

        Args:
            shard: 0 to ``shards`` - 1.

        Returns:
            The numbers.

        Raises:
            ConfigurationError: no such shard.
        """
        if not 0 <= shard < self.shards:
            raise ConfigurationError(f"Shard: expected 0 to {self.shards - 1}, got {shard}.")
        first = shard * self.scenes_per_shard
        last = min(first + self.scenes_per_shard, self.scenes)
        return range(self.first_scene + first, self.first_scene + last)


def draw_camera(view: ViewConfig, rng: np.random.Generator) -> CameraIntrinsics:
    """A camera of those that a configuration allows.

    Args:
        view: sizes, focal lengths, principal points.
        rng: source of chance.

    Returns:
        The camera, with square pixels.
    """
    width, height = view.sizes[int(rng.integers(len(view.sizes)))]
    focal = float(rng.uniform(*view.focal)) * width
    shift_u, shift_v = (float(v) for v in rng.uniform(-view.center_offset, view.center_offset, 2) * width)
    return CameraIntrinsics(
        fx=focal,
        fy=focal,
        cx=(width - 1) / 2 + shift_u,
        cy=(height - 1) / 2 + shift_v,
        width=width,
        height=height,
    )


def scene_spec(config: SceneDatasetConfig, scene_number: int) -> SceneSpec:
    """The spec of one scene of a data set.

    Args:
        config: the data set.
        scene_number: within its split.

    Returns:
        The spec; what the configuration leaves open is drawn from the scene's seed.
    """
    seed = seed_of(config.split, scene_number)
    rng = np.random.default_rng([seed, SPEC_STREAM])
    is_room = bool(rng.random() < config.rooms)
    place = config.room if is_room else config.tabletop
    return SceneSpec(
        kind="room" if is_room else "tabletop",
        seed=seed,
        camera=draw_camera(config.view, rng),
        views=config.views,
        object_count=place.objects,
        categories=config.categories,
        depth_noise=config.noise[int(rng.integers(len(config.noise)))],
        stack_chance=config.stack_chance,
        hold_chance=config.hold_chance,
        wall_chance=config.wall_chance,
        distance_m=place.distance_m,
        elevation_deg=place.elevation_deg,
        clutter=float(rng.uniform(*config.clutter)),
        shadows=config.shadows,
        variety=config.variety,
        height_m=config.view.height_m,
        roll_deg=config.view.roll_deg,
        combinations="held_out" if config.split == "held_out" else "common",
    )


def scene_records(config: SceneDatasetConfig, shard: int, skipped: Counter[str] | None = None) -> Iterator[FrameRecord]:
    """The frames of a shard.

    A scene that cannot be made, and a frame that shows nothing worth asking about, are left out and counted.

    Args:
        config: the data set.
        shard: which part of it.
        skipped: gets the number of frames left out, by reason; None: they are not counted.

    Yields:
        Records, in the order of scene numbers and views.
    """
    skipped = Counter() if skipped is None else skipped
    renderers: dict[tuple[int, int], SceneRenderer] = {}
    with ExitStack() as stack:
        for scene_number in config.scene_numbers(shard):
            spec = scene_spec(config, scene_number)
            if config.kind == "raycast":
                frames = cast_frames(spec, skipped)
            else:
                size = (spec.camera.width, spec.camera.height)
                if size not in renderers:
                    renderers[size] = stack.enter_context(SceneRenderer(spec.camera))
                frames = _rendered_frames(spec, renderers[size], skipped)
            for frame in frames:
                record = frame_record(frame, split=config.split, config=config.record, generator=config.kind)
                reason = fault(config, record)
                if reason:
                    skipped[reason] += 1
                else:
                    yield record


def _rendered_frames(spec: SceneSpec, renderer: SceneRenderer, skipped: Counter[str]) -> Iterator[SceneFrame]:
    """The scene's frames; none, and a count, where it fails."""
    made = 0
    try:
        for frame in generate_frames(spec, renderer):
            yield frame
            made += 1
    except ConfigurationError:
        raise  # no OpenGL, no MuJoCo: every scene would fail
    except N3dError as error:
        skipped[f"scene failed: {error.reason}"] += spec.views - made
    except (ValueError, RuntimeError, ArithmeticError) as error:  # MuJoCo raises ValueError and RuntimeError
        skipped[f"scene failed: {type(error).__name__}"] += spec.views - made


def fault(config: SceneDatasetConfig, record: FrameRecord) -> str:
    """Why a frame is left out.

    Args:
        config: the data set.
        record: the frame.

    Returns:
        The reason; empty when it is kept.
    """
    if len(record.objects) < config.least_objects:
        return "too few objects in view"
    loose = [one.label for one in record.objects if one.role == "object"]
    if config.split == "held_out" and not shows_held_out_pair(loose):
        return "no held-out pair in view"
    return ""
