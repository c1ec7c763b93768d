"""The page of parameters, from the frozen config dataclasses whose fields they are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from n3d_ros.ros.config import NodeConfig
from n3d_ros.ros.parameters import ParameterSpec, parameter_specs
from scripts.reference_pages.markdown import code, page, prose, sentence, table

KINDS = {bool: "boolean", int: "integer", float: "number", str: "text"}

INTRODUCTION = """
A parameter's value comes from its default, then a parameter file (`--params-file`, the launch argument `params_file`),
then the command line (`-p name:=value`). [`config/n3d.yaml`](../../config/n3d.yaml) holds all of them with their
defaults, to copy from.

*Live* parameters may change at any time: `ros2 param set /n3d NAME VALUE`. The others take effect when the node is
configured: `ros2 lifecycle set /n3d deactivate`, `cleanup`, then change, `configure`, `activate`. A value that is not
allowed ends the start with exit code 1, or refuses the change; both name the parameter, the value and what is allowed.
Where the type is number, a parameter file needs the point: `1.0`, not `1`.

The QoS of every topic can be set too:
`qos_overrides.<topic>.<publisher|subscription>.<reliability|durability|history|depth>`, with the topic's full name
after remapping, such as `qos_overrides./camera/color/image_raw.subscription.reliability: reliable`. `use_sim_time` is
every node's.
"""


def parameters_page() -> str:
    """Every parameter of the node: name, type, default, range, when it may change, meaning.

    Returns:
        Markdown.
    """
    specs = parameter_specs(NodeConfig())
    parts = [INTRODUCTION]
    for group in _groups(specs):
        members = [spec for spec in specs if _group(spec) == group]
        parts.append(f"## {code(group) if group else 'Of the node as a whole'}")
        parts.append(_table(members))
    return page("Parameters", *parts)


def _group(spec: ParameterSpec) -> str:
    return spec.name.rpartition(".")[0]


def _groups(specs: Iterable[ParameterSpec]) -> list[str]:
    """Groups in the order of their first parameter; those without a group first."""
    return list(dict.fromkeys(["", *map(_group, specs)]))


def _table(specs: Sequence[ParameterSpec]) -> str:
    rows = [
        (
            code(spec.name),
            _value(spec.default, spec.unit),
            _allowed(spec),
            prose(sentence(spec.description)) + (" *Live.*" if spec.live else ""),
        )
        for spec in specs
    ]
    return table(("parameter", "default", "type and range", "meaning"), rows)


def _value(value: Any, unit: str) -> str:
    if isinstance(value, tuple):
        return ", ".join(_value(one, "") for one in value) + _with(unit) if value else "empty"
    if isinstance(value, bool):
        return code(str(value).lower())
    if isinstance(value, str):
        return code(value) if value else "empty"
    return code(_number(value)) + _with(unit)


def _allowed(spec: ParameterSpec) -> str:
    """The type, and what of it may be set: "integer, 1 to 256 px"."""
    if spec.choices:
        return " or ".join(_value(choice, "") for choice in spec.choices)
    kind = KINDS[spec.kind] + (" list" if spec.is_list else "")
    if spec.minimum is not None and spec.maximum is not None:
        return f"{kind}, {_bound(spec.minimum)} to {_bound(spec.maximum)}{_with(spec.unit)}"
    if spec.minimum is not None:
        return f"{kind}, at least {_bound(spec.minimum)}{_with(spec.unit)}"
    if spec.maximum is not None:
        return f"{kind}, at most {_bound(spec.maximum)}{_with(spec.unit)}"
    return kind


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else repr(float(value))


def _bound(value: float) -> str:
    """A bound, without a fraction that says nothing."""
    return str(int(value)) if float(value).is_integer() else _number(value)


def _with(unit: str) -> str:
    return f" {unit}" if unit else ""
