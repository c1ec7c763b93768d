"""ROS parameters from the frozen config dataclasses: one source for names, types, defaults, ranges and descriptions.

A field becomes the parameter of the same dotted name (``scene.min_iou``). Its metadata may hold ``meaning`` (else its
entry under ``Args:`` in the class's docstring is the description), ``minimum``, ``maximum``, ``unit``, ``choices``,
``live`` (may change while the node is active), ``name`` (a full dotted name instead); a nested config's field may hold
``prefix``, and ``live`` for all its fields.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
import re
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from n3d_ros.errors import ConfigurationError, N3dError
from n3d_ros.ros.given_parameters import misspelt
from n3d_ros.ros.plain_text import plain

if TYPE_CHECKING:
    from rcl_interfaces.msg import ParameterDescriptor
    from rclpy.node import Node
    from rclpy.parameter import Parameter

ConfigT = TypeVar("ConfigT")
SCALARS = (bool, int, float, str)
INT64 = 2**63 - 1  # parameters hold 64-bit integers
DECLARED_BY_ROS = ("use_sim_time", "start_type_description_service")  # parameters every node has


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterSpec:
    """One parameter.

    Args:
        name: dotted name.
        kind: bool, int, float or str.
        is_list: whether it holds several values of ``kind``.
        default: value when nobody sets it.
        description: one sentence, with the unit.
        unit: "m", "s", ...; empty: none.
        minimum: smallest allowed number, None: no bound.
        maximum: largest allowed number, None: no bound.
        choices: allowed values; empty: any.
        live: whether it may change while the node is active.
    """

    name: str
    kind: type
    is_list: bool
    default: Any
    description: str
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[Any, ...] = ()
    live: bool = False

    @property
    def allowed(self) -> str:
        """What may be set, in words: "a number from 0.0 to 1.0 s"."""
        noun = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}[self.kind]
        if self.choices:
            noun = "one of " + ", ".join(repr(choice) for choice in self.choices)
        elif self.minimum is not None and self.maximum is not None:
            noun += f" from {self.minimum} to {self.maximum}"
        elif self.minimum is not None:
            noun += f" of at least {self.minimum}"
        elif self.maximum is not None:
            noun += f" of at most {self.maximum}"
        noun += f" {self.unit}" if self.unit else ""
        return f"a list of items, each {noun}" if self.is_list else noun

    def check(self, value: Any) -> Any:
        """The value in the field's own type.

        Args:
            value: what was set.

        Returns:
            The value; lists as tuples.

        Raises:
            ConfigurationError: wrong type or out of range; names parameter, value and what is allowed.
        """
        items = list(value) if self.is_list and isinstance(value, (list, tuple)) else [value]
        if (self.is_list and not isinstance(value, (list, tuple))) or not all(self._fits(item) for item in items):
            shown = list(value) if isinstance(value, tuple) else value
            raise ConfigurationError(f"Parameter {self.name}: expected {self.allowed}, got {shown!r}.")
        converted = tuple(self.kind(item) for item in items)
        return converted if self.is_list else converted[0]

    def _fits(self, item: Any) -> bool:
        if self.kind is float:
            fits = isinstance(item, (int, float)) and not isinstance(item, bool) and math.isfinite(item)
        elif self.kind is int:
            fits = isinstance(item, int) and not isinstance(item, bool)
        else:
            fits = isinstance(item, self.kind)
        if not fits or (self.choices and item not in self.choices):
            return False
        if self.minimum is not None and item < self.minimum:
            return False
        return self.maximum is None or item <= self.maximum


def parameter_specs(config: Any, prefix: str = "") -> tuple[ParameterSpec, ...]:
    """The parameters of a config and of the configs within it, in the order of the fields.

    Args:
        config: an instance of a config dataclass; its values are the defaults.
        prefix: dotted prefix of the names, "" or ending in a dot.

    Returns:
        One spec per field that can be a parameter.
    """
    return tuple(spec for spec, _ in _walk(config, prefix))


def build_config(config: ConfigT, values: Mapping[str, Any], prefix: str = "") -> ConfigT:
    """The config with these values in place of its own.

    Args:
        config: gives the types and the values that are not named.
        values: dotted name to value; names of other configs are ignored.
        prefix: as in ``parameter_specs``.

    Returns:
        A new config.

    Raises:
        ConfigurationError: a value of a wrong type, out of range, or refused by the config's own checks.
    """
    changes: dict[str, Any] = {}
    specs = {path: spec for spec, path in _walk(config, prefix) if len(path) == 1}
    for field in dataclasses.fields(config):  # type: ignore[arg-type]
        current = getattr(config, field.name)
        if dataclasses.is_dataclass(current):
            changes[field.name] = build_config(current, values, _nested_prefix(field, prefix))
        elif (spec := specs.get((field.name,))) is not None and spec.name in values:
            changes[field.name] = spec.check(values[spec.name])
    try:
        return dataclasses.replace(config, **changes)  # type: ignore[type-var]
    except ConfigurationError:
        raise
    except (N3dError, ValueError) as error:
        names = ", ".join(spec.name for spec in specs.values())
        raise ConfigurationError(f"Parameters {names}: {error}") from error


def _walk(
    config: Any, prefix: str, path: tuple[str, ...] = (), *, live: bool = False
) -> Iterator[tuple[ParameterSpec, tuple[str, ...]]]:
    """Each parameter with the path of field names that leads to it."""
    descriptions = argument_descriptions(type(config))
    hints = typing.get_type_hints(type(config))
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.name.startswith("_"):
            continue
        if dataclasses.is_dataclass(value):
            all_live = live or bool(field.metadata.get("live", False))
            yield from _walk(value, _nested_prefix(field, prefix), (*path, field.name), live=all_live)
            continue
        kind, is_list = _kind(hints[field.name], value)
        if kind is None:
            continue
        metadata = field.metadata
        spec = ParameterSpec(
            name=metadata.get("name", prefix + field.name),
            kind=kind,
            is_list=is_list,
            default=value,
            description=metadata.get("meaning", "") or descriptions.get(field.name, ""),
            unit=metadata.get("unit", ""),
            minimum=metadata.get("minimum", metadata.get("min")),
            maximum=metadata.get("maximum", metadata.get("max")),
            choices=tuple(metadata.get("choices", ())),
            live=live or bool(metadata.get("live", False)),
        )
        yield spec, (*path, field.name)


def _nested_prefix(field: dataclasses.Field[Any], prefix: str) -> str:
    return prefix + str(field.metadata.get("prefix", f"{field.name}."))


def _kind(hint: Any, value: Any) -> tuple[type | None, bool]:
    """The scalar type of a field and whether it is a list; (None, False) for what cannot be a parameter."""
    if hint in SCALARS:
        return hint, False
    if typing.get_origin(hint) is tuple:
        items = {item for item in typing.get_args(hint) if item is not Ellipsis}
        if len(items) == 1 and (item := items.pop()) in SCALARS:
            return item, True
    if typing.get_origin(hint) is typing.Literal and isinstance(value, SCALARS):
        return type(value), False
    return None, False


def argument_descriptions(config_type: type) -> dict[str, str]:
    """The entries under ``Args:`` of a class's docstring.

    Args:
        config_type: the class.

    Returns:
        Name to text, on one line.
    """
    text = inspect.getdoc(config_type) or ""
    section = re.search(r"^Args:\n(.*?)(?=^\S|\Z)", text, flags=re.MULTILINE | re.DOTALL)
    entries: dict[str, str] = {}
    name = ""
    for line in section.group(1).splitlines() if section else []:
        match = re.match(r"    (\w+)(?: \([^)]*\))?: (.*)", line)
        if match:
            name, entries[match[1]] = match[1], match[2].strip()
        elif name and line.strip():
            entries[name] += " " + line.strip()
    return entries


class NodeParameters:
    """The parameters of a node: declares them, keeps the config up to date, refuses what does not fit.

    Args:
        node: the node that has them.
        defaults: the config whose fields become parameters.
        is_locked: asked on every change; while true only live parameters may change.
    """

    def __init__(self, node: Node, defaults: Any, *, is_locked: typing.Callable[[], bool]) -> None:
        self._node = node
        self._specs = {spec.name: spec for spec in parameter_specs(defaults)}
        self._is_locked = is_locked
        self._listeners: list[typing.Callable[[Any], None]] = []
        values = {name: self._declare(spec) for name, spec in self._specs.items()}
        self.config = build_config(defaults, values)
        for sentence in misspelt(node._parameter_overrides, self._specs):
            node.get_logger().warning(plain(sentence))
        node.add_on_set_parameters_callback(self._on_set)

    def on_change(self, listener: typing.Callable[[Any], None]) -> None:
        """Calls ``listener`` with the new config after each accepted change.

        Args:
            listener: what to call; must not raise.
        """
        self._listeners.append(listener)

    def _declare(self, spec: ParameterSpec) -> Any:
        from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException

        default = list(spec.default) if spec.is_list else spec.default
        try:
            parameter: Parameter[Any] = self._node.declare_parameter(spec.name, default, descriptor(spec))
        except (InvalidParameterTypeException, InvalidParameterValueException) as error:
            override = self._node._parameter_overrides.get(spec.name)
            given = "another type" if override is None else repr(override.value)
            hint = " (write 1.0, not 1)" if spec.kind is float else ""
            raise ConfigurationError(f"Parameter {spec.name}: expected {spec.allowed}{hint}, got {given}.") from error
        return spec.check(parameter.value)

    def _on_set(self, parameters: list[Parameter[Any]]) -> Any:
        from rcl_interfaces.msg import SetParametersResult

        changes = {parameter.name: parameter.value for parameter in parameters if parameter.name in self._specs}
        if not changes:
            return SetParametersResult(successful=True)
        try:
            self._refuse_locked(changes)
            config = build_config(self.config, changes)
        except ConfigurationError as error:
            return SetParametersResult(successful=False, reason=plain(error.message))
        self.config = config
        for listener in self._listeners:
            listener(config)
        return SetParametersResult(successful=True)

    def _refuse_locked(self, changes: Mapping[str, Any]) -> None:
        for name in changes:
            if self._is_locked() and not self._specs[name].live:
                raise ConfigurationError(
                    f"Parameter {name} takes effect when the node is configured; it cannot change now. First "
                    "`ros2 lifecycle set <node> deactivate` and `cleanup`, or set it at the start."
                )


def descriptor(spec: ParameterSpec) -> ParameterDescriptor:
    """The ROS descriptor of a parameter.

    Args:
        spec: the parameter.

    Returns:
        Description, what is allowed, and the range where there is one.
    """
    from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor

    when = "live" if spec.live else "takes effect when the node is configured"
    message = ParameterDescriptor(
        name=spec.name, description=spec.description, additional_constraints=f"{spec.allowed}; {when}"
    )
    bounded = spec.minimum is not None or spec.maximum is not None
    if bounded and not spec.is_list and spec.kind is float:
        low = -math.inf if spec.minimum is None else float(spec.minimum)
        high = math.inf if spec.maximum is None else float(spec.maximum)
        message.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
    elif bounded and not spec.is_list and spec.kind is int:
        low_int = -INT64 if spec.minimum is None else int(spec.minimum)
        high_int = INT64 if spec.maximum is None else int(spec.maximum)
        message.integer_range = [IntegerRange(from_value=low_int, to_value=high_int)]
    return message
