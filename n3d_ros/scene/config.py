"""What can be set about the scene, with unit, meaning and range of each field."""

from __future__ import annotations

from dataclasses import dataclass

from n3d_ros.settings import check, number


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneConfig:
    """How objects are recognised again, settle and are forgotten. Ranges are inclusive and checked."""

    min_iou: float = number(
        0.1, "overlap (IoU) from which a box may be a known object, seen again", unit="", minimum=0.01, maximum=1.0
    )
    max_center_distance_m: float = number(
        0.15,
        "how far an object may have moved without overlapping its old place, once that place is empty",
        unit="m",
        minimum=0.0,
        maximum=10.0,
    )
    smoothing: float = number(
        0.8,
        "largest weight of what is known against one more look of the same quality; 0 = newest look only",
        unit="",
        minimum=0.0,
        maximum=0.999,
    )
    drift_m_per_sqrt_s: float = number(
        0.002,
        "growth of a position's standard deviation while nobody looks",
        unit="m/sqrt(s)",
        minimum=0.0,
        maximum=1.0,
    )
    min_observations: int = number(
        1, "looks in which an object must be found before it is reported", unit="looks", minimum=1, maximum=100
    )
    max_missed_visible: int = number(
        3, "looks in a row that see its place empty before an object is removed", unit="looks", minimum=1, maximum=1000
    )
    forget_after_s: float = number(
        30.0,
        "time after which an object that is hidden or out of view is forgotten; less if it was found in under 10 looks",
        unit="s",
        minimum=0.0,
        maximum=1e6,
    )
    visible_share: float = number(
        0.5,
        "share of an object's core that must lie in the picture to judge its absence",
        unit="",
        minimum=0.05,
        maximum=1.0,
    )
    max_objects: int = number(
        256, "objects kept; beyond it those unseen for longest go first", unit="objects", minimum=1, maximum=4096
    )

    remember_departed_s: float = number(
        600.0,
        "time for which an object that left the scene is remembered, and gets its old id when it comes back",
        unit="s",
        minimum=0.0,
        maximum=86400.0,
    )
    max_departed: int = number(
        64, "objects remembered that left the scene; the newest ones", unit="objects", minimum=0, maximum=1024
    )

    def __post_init__(self) -> None:
        """Checks the ranges.

        Raises:
            ConfigurationError: a value outside the range of its field.
        """
        check(self, "scene")


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryConfig:
    """How much of the past is kept. Ranges are inclusive and checked."""

    max_age_s: float = number(300.0, "time for which snapshots are kept", unit="s", minimum=0.0, maximum=86400.0)
    max_scenes: int = number(
        600,
        "snapshots kept; when full, every second of the older half goes",
        unit="snapshots",
        minimum=2,
        maximum=100000,
    )
    max_gap_s: float = number(
        5.0, "how far the nearest snapshot may lie from the moment asked for", unit="s", minimum=0.0, maximum=3600.0
    )

    def __post_init__(self) -> None:
        """Checks the ranges.

        Raises:
            ConfigurationError: a value outside the range of its field.
        """
        check(self, "scene")
