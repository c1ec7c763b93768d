"""How each benchmark reconstructs and compares surfaces: the settings of the Visual Geometry Benchmark, and our own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from n3d_ros.errors import ConfigurationError
from n3d_ros.settings import check, number

SAMPLE_SEED = 42  # of the released program, for the choice of images, of RANSAC's subsets and of points


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkSettings:
    """What is fused, sampled and counted.

    Args:
        voxel_m: edge of the voxels into which depth is fused.
        truncation_m: distance from a surface up to which its signed distance is kept.
        max_depth_m: depth beyond it is not fused into surfaces, yet scored as depth; None: all is fused.
        threshold_m: a point nearer than this to the other surface counts as right (for F1).
        downsample_m: points are averaged over cubes of this edge before they are compared.
        points: sampled from each surface.
        every: of the images of a sequence, every how many-th is taken.
        max_images: of those, at most so many are drawn, always the same ones.
        crop_margin_m: predicted points further outside the box around the true ones are left out; None: none are.
    """

    voxel_m: float = number(4 / 512, "edge of a voxel", minimum=1e-4, maximum=1, unit="m")
    truncation_m: float = number(0.04, "truncation of the signed distance", minimum=1e-4, maximum=10, unit="m")
    max_depth_m: float | None = None
    threshold_m: float = number(0.05, "distance up to which a point is right", minimum=1e-4, maximum=10, unit="m")
    downsample_m: float = number(4 / 512, "edge of the cubes of averaging", minimum=1e-4, maximum=1, unit="m")
    points: int = number(1_000_000, "points sampled from a surface", minimum=100, maximum=10_000_000)
    every: int = number(1, "every how many-th image", minimum=1, maximum=10_000)
    max_images: int = number(100, "images of a sequence at most", minimum=2, maximum=10_000)
    crop_margin_m: float | None = None

    def __post_init__(self) -> None:
        """Checks the ranges.

        Raises:
            ConfigurationError: a value out of its range, or a truncation below one voxel.
        """
        check(self, "evaluation")
        if self.truncation_m < self.voxel_m:
            raise ConfigurationError(
                f"evaluation truncation_m: expected at least one voxel ({self.voxel_m:g} m), got {self.truncation_m:g}."
            )
        for name in ("max_depth_m", "crop_margin_m"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < float("inf"):
                raise ConfigurationError(f"evaluation {name}: expected 0 or more metres, or none, got {value}.")


BENCHMARK_SETTINGS: Mapping[str, BenchmarkSettings] = MappingProxyType(
    {
        "hiroom": BenchmarkSettings(),
        "eth3d": BenchmarkSettings(voxel_m=5 * 4 / 512, truncation_m=0.20, threshold_m=0.25, downsample_m=5 * 4 / 512),
        "7scenes": BenchmarkSettings(every=11),
        "scannetpp": BenchmarkSettings(
            voxel_m=0.02,
            truncation_m=0.15,
            max_depth_m=5.0,
            threshold_m=0.05,
            downsample_m=0.02,
            every=5,
            crop_margin_m=0.1,
        ),
        # A Kinect's depth grows noisy with its square (Khoshelham and Elberink 2012): 4 cm at 4 m.
        "tum": BenchmarkSettings(voxel_m=0.01, truncation_m=0.05, max_depth_m=4.0, downsample_m=0.01),
        # Objects of a few centimetres within arm and sight: finer voxels, and a threshold of a centimetre.
        "tabletop": BenchmarkSettings(
            voxel_m=0.004, truncation_m=0.02, max_depth_m=2.5, threshold_m=0.01, downsample_m=0.004, points=400_000
        ),
    }
)
"""By name; the first four are the published settings of those data sets."""


def benchmark_settings(name: str) -> BenchmarkSettings:
    """The settings of a name.

    Args:
        name: of ``BENCHMARK_SETTINGS``.

    Returns:
        The settings.

    Raises:
        ConfigurationError: an unknown name.
    """
    if name not in BENCHMARK_SETTINGS:
        raise ConfigurationError(f"Settings: expected one of {', '.join(BENCHMARK_SETTINGS)}, got {name!r}.")
    return BENCHMARK_SETTINGS[name]
