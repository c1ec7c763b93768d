"""Values of answers compared, each in its own way: words and counts exactly, measured numbers within tolerances."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from n3d_ros.ros.golden.expected import ExpectedAnswer, Tolerances

ROUNDING = 1e-9
COUNT_UNIT = "1"


def value_difference(expected: ExpectedAnswer, given: ExpectedAnswer, tolerances: Tolerances) -> tuple[str, str] | None:
    """How the value of an answer differs.

    Args:
        expected: of the file.
        given: of the run.
        tolerances: what may differ.

    Returns:
        What was expected and what was found, in words; None when they agree, or the file expects no value.
    """
    if expected.value is None:
        return None
    unit = given.unit if expected.unit is None else expected.unit
    wanted, found = _worded(expected.value, unit), _worded(given.value, given.unit)
    if unit != given.unit:
        return wanted, found
    return None if _agree(expected.value, given.value, unit or "", tolerances) else (wanted, found)


def _agree(wanted: Any, found: Any, unit: str, tolerances: Tolerances) -> bool:
    """Whether two values are the same within the tolerances."""
    if isinstance(wanted, (bool, str)) or isinstance(found, (bool, str)) or found is None:
        return type(wanted) is type(found) and bool(wanted == found)
    if isinstance(wanted, list) != isinstance(found, list):
        return False
    if isinstance(wanted, list):
        return _vectors_agree(np.array(wanted), np.array(found), unit, tolerances)
    allowed = tolerances.value_share * abs(wanted) + _absolute(unit, tolerances)
    whole = unit == COUNT_UNIT and float(wanted).is_integer() and float(found).is_integer()
    return bool(abs(wanted - found) <= (0 if whole else allowed + ROUNDING))


def _vectors_agree(wanted: Any, found: Any, unit: str, tolerances: Tolerances) -> bool:
    """Whether two positions, sizes or directions are the same within the tolerances."""
    if unit:
        return bool(np.linalg.norm(wanted - found) <= _absolute(unit, tolerances) + ROUNDING)
    turn_rad = math.atan2(float(np.linalg.norm(np.cross(wanted, found))), float(wanted @ found))
    return turn_rad <= math.radians(tolerances.yaw_deg) + ROUNDING


def _absolute(unit: str, tolerances: Tolerances) -> float:
    """By how much a measured number of this unit may differ, whatever its size."""
    return {"m": tolerances.center_m, "rad": math.radians(tolerances.yaw_deg)}.get(unit, 0.0)


def _worded(value: Any, unit: str | None) -> str:
    """A value in words."""
    if value is None:
        return "no value"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    shown = ", ".join(f"{one:g}" for one in value) if isinstance(value, list) else f"{value:g}"
    return shown if unit in (None, "", COUNT_UNIT) else f"{shown} {unit}"
