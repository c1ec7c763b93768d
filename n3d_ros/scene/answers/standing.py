"""Standing: whether a relation holds, by how much, and with which numbers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from n3d_ros.scene.answers.measures import Measured


class Holds(Enum):
    """Whether a relation holds."""

    YES = "yes"
    NO = "no"
    LEVEL = "within the measuring error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a body stands to others.

    Args:
        holds: whether the relation asked for holds.
        margin: for sides: how far on that side, below 0 on the other one; None for other relations.
        step: a sentence with the numbers.
    """

    holds: Holds
    step: str
    margin: Measured | None = None


def yes_if(holds: bool) -> Holds:
    """YES or NO.

    Args:
        holds: which.

    Returns:
        The verdict.
    """
    return Holds.YES if holds else Holds.NO
