"""What can be set about the geometric grounder: unit, meaning and range of each field, and the physics behind it."""

from __future__ import annotations

from dataclasses import dataclass

from n3d_ros.errors import ConfigurationError
from n3d_ros.settings import check, number


@dataclass(frozen=True, slots=True, kw_only=True)
class GeometricConfig:
    """How a frame is cut into surfaces and objects. Ranges are inclusive and checked.

    Noise is a number of inverse depth (1/m): triangulating cameras measure disparity, which is proportional to it, so
    sigma = disparity noise [px] / (focal length [px] * baseline [m]). A Kinect v1 has 0.08 / (575 * 0.075) = 0.0019; an
    active stereo camera with 50 mm baseline and f = 425 px has about 0.0040. The frame itself tells the rest.
    """

    working_pixels: int = number(
        110_000,
        "the image is thinned until it has at most this many pixels; 640x480 becomes 320x240",
        unit="px",
        minimum=5_000,
        maximum=2_000_000,
    )
    min_range_m: float = number(
        0.15, "nearer depth is ignored: no depth camera for robots measures there", unit="m", minimum=0.01, maximum=5.0
    )
    max_range_m: float = number(
        6.0, "farther depth is ignored: noise grows with its square", unit="m", minimum=0.5, maximum=50.0
    )
    noise_floor_per_m: float = number(
        0.0008, "least noise of inverse depth that is believed of a frame", unit="1/m", minimum=1e-5, maximum=0.02
    )
    noise_ceiling_per_m: float = number(
        0.006, "largest noise of inverse depth that is believed of a frame", unit="1/m", minimum=1e-4, maximum=0.1
    )
    window_radius_px: int = number(
        2, "planes are fitted to windows of 2 r + 1 working pixels a side", unit="px", minimum=1, maximum=6
    )
    wide_window_radius_px: int = number(
        5, "the same, where noise would tilt the small windows too much", unit="px", minimum=2, maximum=15
    )
    jump_sigmas: float = number(
        4.0, "neighbouring planes that miss each other by more are a jump", unit="sigma", minimum=1.0, maximum=12.0
    )
    crease_deg: float = number(
        25.0, "neighbouring pixels whose normals differ more lie on two faces", unit="deg", minimum=5.0, maximum=80.0
    )
    wide_crease_deg: float = number(
        40.0, "the same across two pixels to each side", unit="deg", minimum=10.0, maximum=90.0
    )
    flat_deg: float = number(
        15.0, "faces whose normals differ less continue each other", unit="deg", minimum=1.0, maximum=40.0
    )
    min_height_m: float = number(
        0.010,
        "what rises less above a surface belongs to it: cameras bend planes by several millimetres",
        unit="m",
        minimum=0.002,
        maximum=0.1,
    )
    min_object_height_m: float = number(0.015, "lower things are not reported", unit="m", minimum=0.002, maximum=0.3)
    min_object_px: int = number(
        60, "smaller things, in working pixels, are not reported", unit="px", minimum=8, maximum=10_000
    )
    max_object_m: float = number(1.2, "longer things are furniture or walls", unit="m", minimum=0.05, maximum=10.0)
    min_surface_m2: float = number(
        0.15, "smaller flat tops are objects, unless nothing lies below them", unit="m^2", minimum=0.005, maximum=10.0
    )
    min_surface_width_m: float = number(
        0.12,
        "narrower flat tops are objects (a shelf board is about 0.25 m deep, partly seen)",
        unit="m",
        minimum=0.02,
        maximum=5.0,
    )
    min_board_m: float = number(
        0.5, "flat tops of this length are boards of a shelf, however small", unit="m", minimum=0.1, maximum=5.0
    )
    min_wall_m2: float = number(
        0.5, "larger upright planes are walls or furniture", unit="m^2", minimum=0.05, maximum=20.0
    )
    contact_share: float = number(
        0.4, "share of a common boundary without a jump from which faces touch", unit="", minimum=0.05, maximum=1.0
    )
    overhang_m: float = number(
        0.012,
        "a step that a rounded or overhanging edge (a lid, a rim) may leave between two faces of one object",
        unit="m",
        minimum=0.0,
        maximum=0.1,
    )
    dent_m: float = number(
        0.010, "solids may be hollow by so much and still count as convex", unit="m", minimum=0.001, maximum=0.1
    )
    max_dent_share: float = number(
        0.25,
        "share of the smaller part that may stand out before the larger one's faces when two are joined",
        unit="",
        minimum=0.0,
        maximum=1.0,
    )
    rim_step_m: float = number(
        0.015, "inside and outside of a bowl reach equally high, up to this", unit="m", minimum=0.002, maximum=0.1
    )
    rim_band_m: float = number(
        0.012, "so much below its top, a wall counts as its rim", unit="m", minimum=0.002, maximum=0.1
    )
    hollow_share: float = number(
        0.2,
        "share of its own points a hollow face sees in front of itself, at least",
        unit="",
        minimum=0.0,
        maximum=1.0,
    )
    continuation_share: float = number(
        0.4, "share of two faces that must continue each other behind an occluder", unit="", minimum=0.05, maximum=1.0
    )
    attached_ratio: float = number(
        0.35, "a part that hangs on another's side belongs to it if at most this much of its size", unit="",
        minimum=0.0, maximum=1.0,
    )  # fmt: skip

    def __post_init__(self) -> None:
        """Refuses values outside the range that their field states.

        Raises:
            ConfigurationError: naming the field, its range and the value.
        """
        check(self, "geometric")
        if self.min_range_m >= self.max_range_m or self.noise_floor_per_m > self.noise_ceiling_per_m:
            raise ConfigurationError(
                "geometric: expected min_range_m < max_range_m and noise_floor_per_m <= noise_ceiling_per_m, got "
                f"{self.min_range_m}, {self.max_range_m}, {self.noise_floor_per_m}, {self.noise_ceiling_per_m}."
            )
