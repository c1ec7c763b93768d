"""Fields of configurations that tell their unit, meaning and range, and the check that holds values to them."""

from __future__ import annotations

from dataclasses import field, fields
from numbers import Real
from typing import Any

from n3d_ros.errors import ConfigurationError


def number(default: Any, meaning: str, *, minimum: float, maximum: float, unit: str = "") -> Any:
    """A number whose unit, meaning and range can be read by whoever shows or declares it (ROS parameters).

    Args:
        default: the value when nobody sets one.
        meaning: one sentence without its end.
        minimum: the least value allowed.
        maximum: the largest value allowed.
        unit: empty for plain numbers.

    Returns:
        A field of a dataclass.
    """
    return field(default=default, metadata={"meaning": meaning, "unit": unit, "minimum": minimum, "maximum": maximum})


def check(config: Any, owner: str) -> None:
    """Refuses values outside the choices or the range that their field states.

    Args:
        config: a dataclass; fields that state neither are not looked at.
        owner: whose settings they are, such as "scene".

    Raises:
        ConfigurationError: naming the field, what is allowed and the value.
    """
    for entry in fields(config):
        value, metadata = getattr(config, entry.name), entry.metadata
        choices = metadata.get("choices")
        if choices is not None and value not in choices:
            raise ConfigurationError(f"{owner} {entry.name}: expected one of {', '.join(choices)}, got {value!r}.")
        is_number = isinstance(value, Real) and not isinstance(value, bool)
        if "minimum" in metadata and not (is_number and metadata["minimum"] <= value <= metadata["maximum"]):  # NaN too
            low, high, unit = metadata["minimum"], metadata["maximum"], metadata["unit"]
            raise ConfigurationError(
                f"{owner} {entry.name}: expected {low:g} to {high:g}{f' {unit}' if unit else ''}, got {value!r}."
            )
