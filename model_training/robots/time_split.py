"""Which frames of a recording train and which test: by time, since neighbours show the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from n3d_ros.errors import ConfigurationError
from n3d_ros.settings import check, number

FEWEST_FRAMES = 8  # with fewer, a part for validation tells nothing
FEWEST_GAPS = 10  # in a recording's length: in a shorter one all frames show nearly the same


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitConfig:
    """How a recording's frames are split: its beginning trains, its end tests, as a robot meets its future.

    Args:
        validation: share of the frames for choosing among runs; 0: none.
        held_out: share of the frames, the last ones, for a final figure; 0: none.
        gap_s: frames of two splits lie further apart than this; what is nearer is left out of the earlier one.
    """

    validation: float = number(0.2, "share of the frames that validate, towards the end", minimum=0.0, maximum=0.5)
    held_out: float = number(0.0, "share of the frames held out, the last ones", minimum=0.0, maximum=0.5)
    gap_s: float = number(
        2.0,
        "frames of two splits lie further apart; a recording of less than ten gaps all trains",
        minimum=0.0,
        maximum=3600.0,
        unit="s",
    )

    def __post_init__(self) -> None:
        """Checks the ranges.

        Raises:
            ConfigurationError: a value outside its range, or nothing left to train on.
        """
        check(self, "split")
        if self.validation + self.held_out > 0.9:
            raise ConfigurationError(
                f"split: expected validation and held_out of 0.9 together at most, got "
                f"{self.validation + self.held_out:g}."
            )


def at_one_time(spans: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Which recordings overlap in time, directly or by way of others.

    Args:
        spans: first and last moment of each.

    Returns:
        Their places in ``spans``; each stands in one group.
    """
    groups: list[list[int]] = []
    end = 0
    for k in sorted(range(len(spans)), key=lambda each: spans[each]):
        if not groups or spans[k][0] > end:
            groups.append([])
            end = spans[k][1]
        groups[-1].append(k)
        end = max(end, spans[k][1])
    return groups


def split_by_time(seconds: Sequence[float], config: SplitConfig) -> list[str | None]:
    """The split of each frame.

    Args:
        seconds: into the recording, ascending.
        config: shares and gap.

    Returns:
        A split each; None for frames left out between two splits. All train where there are fewer than 8, or where they
        span less than ten gaps.
    """
    count = len(seconds)
    if count < FEWEST_FRAMES or seconds[-1] - seconds[0] < FEWEST_GAPS * config.gap_s:
        return ["train"] * count
    held_out, validation = round(config.held_out * count), round(config.validation * count)
    parts = [("train", count - validation - held_out), ("validation", validation), ("held_out", held_out)]
    splits: list[str | None] = []
    for name, frames in parts:
        begins = seconds[len(splits)] if frames else None
        for earlier in range(len(splits)):
            if begins is not None and begins - seconds[earlier] <= config.gap_s:
                splits[earlier] = None
        splits += [name] * frames
    return splits
