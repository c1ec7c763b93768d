"""What to generate: one frozen, seedable value that survives a trip through JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from n3d_ros.errors import InputError
from n3d_ros.geometry.camera import CameraIntrinsics

KINDS = ("tabletop", "room")
VARIETIES = ("basic", "rich")
COMBINATIONS = ("any", "common", "held_out")
OBJECT_COUNTS = {"tabletop": (4, 10), "room": (12, 22)}  # loose objects, when the spec does not say
MAX_OBJECTS = 60  # bounds the physics; more do not fit on the supports anyway

CAMERAS: dict[str, CameraIntrinsics] = {
    # The Kinect v1 of most public data sets: the nominal registered camera of OpenNI.
    "kinect": CameraIntrinsics(fx=525.0, fy=525.0, cx=319.5, cy=239.5, width=640, height=480),
    # Typical factory calibrations at 640x480, rounded; every unit differs by a few pixels.
    "realsense": CameraIntrinsics(fx=615.0, fy=615.5, cx=321.5, cy=238.0, width=640, height=480),
    "azure_kinect": CameraIntrinsics(fx=504.5, fy=504.5, cx=320.8, cy=241.7, width=640, height=480),
    "oak": CameraIntrinsics(fx=498.0, fy=498.0, cx=317.0, cy=243.0, width=640, height=480),
    "small": CameraIntrinsics(fx=131.25, fy=131.25, cx=79.5, cy=59.5, width=160, height=120),
}
"""Pinhole cameras by name, for ``SceneSpec.camera``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneSpec:
    """One generated scene; equal specs give equal frames on one machine.

    Args:
        kind: "tabletop" or "room".
        seed: everything drawn by chance follows from it.
        camera: pinhole camera of all frames.
        views: frames taken of the settled scene by ``generate_frames``.
        object_count: fewest and most loose objects, before those that fall off are removed; None: ``OBJECT_COUNTS``.
        categories: names of loose categories to draw from; empty: all that fit the place.
        depth_noise: name in ``DEPTH_NOISE``; "none": clean depth.
        stack_chance: chance that an object is put on another one.
        hold_chance: chance that a container gets something inside.
        wall_chance: chance of a wall behind a tabletop.
        distance_m: nearest and farthest camera distance from what it looks at.
        elevation_deg: lowest and highest view down, degrees from the horizontal.
        clutter: 0 (spread) to 1 (crowded, objects touch).
        shadows: whether lights cast shadows.
        combinations: which loose categories may stand together: "any"; "common": no pair that is held out
            (``model_training.data.split``); "held_out": at least one such pair is put there.
        variety: "basic": the 32 plain categories under even light, as measured since the generator exists; "rich":
            all categories, materials, surfaces, lights and exposures.
        height_m: lowest and highest camera above the floor; None: any.
        roll_deg: standard deviation of the camera's turn about its axis; None: the usual 1.1 degrees.
    """

    kind: str = "tabletop"
    seed: int = 0
    camera: CameraIntrinsics = field(default_factory=lambda: CAMERAS["kinect"])
    views: int = 1
    object_count: tuple[int, int] | None = None
    categories: tuple[str, ...] = ()
    depth_noise: str = "structured_light"
    stack_chance: float = 0.2
    hold_chance: float = 0.5
    wall_chance: float = 0.5
    distance_m: tuple[float, float] | None = None
    elevation_deg: tuple[float, float] | None = None
    clutter: float = 0.5
    shadows: bool = True
    combinations: str = "any"
    variety: str = "basic"
    height_m: tuple[float, float] | None = None
    roll_deg: float | None = None

    def __post_init__(self) -> None:
        """Checks names and ranges.

        Raises:
            InputError: a name or number no scene can have.
        """
        if self.kind not in KINDS:
            raise InputError(f"SceneSpec.kind: expected one of {', '.join(KINDS)}, got {self.kind!r}.")
        for name, choices in (("combinations", COMBINATIONS), ("variety", VARIETIES)):
            if getattr(self, name) not in choices:
                raise InputError(
                    f"SceneSpec.{name}: expected one of {', '.join(choices)}, got {getattr(self, name)!r}."
                )
        low, high = self.loose_count
        if not 0 <= low <= high <= MAX_OBJECTS:
            raise InputError(f"SceneSpec.object_count: expected 0 <= low <= high <= {MAX_OBJECTS}, got {low}, {high}.")
        if self.views < 1:
            raise InputError(f"SceneSpec.views: expected 1 or more, got {self.views}.")
        for name in ("stack_chance", "hold_chance", "wall_chance", "clutter"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"SceneSpec.{name}: expected 0 to 1, got {getattr(self, name)}.")

    @property
    def is_rich(self) -> bool:
        """Whether everything varies."""
        return self.variety == "rich"

    @property
    def loose_count(self) -> tuple[int, int]:
        """Fewest and most loose objects."""
        return self.object_count or OBJECT_COUNTS[self.kind]

    def with_seed(self, seed: int) -> SceneSpec:
        """The same kind of scene from other chance.

        Args:
            seed: the new seed.

        Returns:
            A new spec.
        """
        return replace(self, seed=seed)

    def to_json(self) -> str:
        """The spec as one line of JSON, keys sorted."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> SceneSpec:
        """The spec that ``to_json`` wrote.

        Args:
            text: a JSON object; missing fields take their defaults.

        Returns:
            The spec.

        Raises:
            InputError: not an object, or a field this version does not know.
        """
        values: Any = json.loads(text)
        if not isinstance(values, dict):
            raise InputError(f"SceneSpec: expected a JSON object, got {type(values).__name__}.")
        unknown = sorted(set(values) - {f.name for f in fields(cls)})
        if unknown:
            raise InputError(
                f"SceneSpec: unknown field {unknown[0]!r}; known: {', '.join(f.name for f in fields(cls))}."
            )
        if "camera" in values:
            values["camera"] = CameraIntrinsics(**values["camera"])
        pairs: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return cls(**pairs)
